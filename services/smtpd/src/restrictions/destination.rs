//! Where an address goes: relay permission, and whether there is such an address at all.

use super::eval::{Evaluation, Outcome};
use super::hostaccess::dns_reason;
use super::lookup::resolve;
use super::parse::Subject;
use super::recipients::Finding;
use super::reply::{Reject, fit_dsn, split_dsn};
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use posthaste_log::warn;
use posthaste_route::{Class, Route};
use posthaste_smtp_protocol::server::notice;
use posthaste_table::fold;
use std::time::SystemTime;

impl Evaluation<'_> {
    /// Resolves the sender of MAIL; a hopeless one is no address.
    pub async fn sender_address(&mut self) -> Outcome {
        let Some(transaction) = self.session.transaction() else { return Outcome::Dunno };
        (self.memory.sender_route, self.memory.sender_unresolved) = (None, false);
        if transaction.sender.is_empty() {
            return Outcome::Dunno;
        }
        match resolve(&self.rules.router, &Address::empty(), &transaction.sender).await {
            Ok(route) if route.error || self.needs_utf8(&route) => Outcome::BadAddress,
            Ok(route) => {
                self.memory.sender_route = Some(route);
                Outcome::Dunno
            }
            // MAIL is accepted: only what needs to know where the sender is fails for now.
            Err(_) => {
                self.memory.sender_unresolved = true;
                Outcome::Dunno
            }
        }
    }

    /// The refusal, if a check needs to know where the sender or recipient is, and a table had failed.
    pub fn unresolved(&self, subject: Subject) -> Option<Outcome> {
        let address = match subject {
            Subject::Sender if self.memory.sender_unresolved => &self.session.transaction()?.sender,
            Subject::Recipient if self.memory.recipient_unresolved => self.session.recipient()?,
            _ => return None,
        };
        Some(Outcome::Reject(self.temporary_lookup_failure(address.as_bytes())))
    }

    /// Resolves the recipient of RCPT or VRFY.
    pub async fn recipient_address(&mut self) -> Outcome {
        self.memory.recipient_unresolved = false;
        let Some(recipient) = self.session.recipient() else { return Outcome::Dunno };
        let empty = Address::empty();
        let sender = self.session.transaction().map_or(&empty, |transaction| &transaction.sender);
        match resolve(&self.rules.router, sender, recipient).await {
            Ok(route) if route.error || self.needs_utf8(&route) => Outcome::BadAddress,
            Ok(route) => {
                self.route = Some(route);
                Outcome::Dunno
            }
            Err(_) => {
                self.memory.recipient_unresolved = true;
                Outcome::Dunno
            }
        }
    }

    /// Whether the domain the mail would go to needs SMTPUTF8, which was not declared. As in Postfix, that of the folded address.
    fn needs_utf8(&self, route: &Route) -> bool {
        !self.session.allows_utf8()
            && route.recipient.domain().is_some_and(|domain| !domain.is_ascii() && !fold::fold(domain, true).is_ascii())
    }

    /// Whether the recipient is one of ours, or of a domain we relay for, and names no further hops.
    pub fn authorized_destination(&mut self) -> Result<bool, Outcome> {
        if let Some(refusal) = self.unresolved(Subject::Recipient) {
            return Err(refusal);
        }
        let Some(route) = &self.route else { return Ok(false) };
        if route.routed && !self.rules.allow_untrusted_routing {
            return Ok(false);
        }
        Ok(route.class != Class::Default)
    }

    /// `reject_unauth_destination`, `defer_unauth_destination`.
    pub fn reject_unauth_destination(&mut self, defer: bool) -> Outcome {
        match self.authorized_destination() {
            Ok(true) => Outcome::Dunno,
            Ok(false) => {
                let Some(recipient) = self.session.recipient() else { return Outcome::Dunno };
                let text = format!("<{recipient}>: Relay access denied");
                let reject = if defer {
                    // The reply code of a refusal, made temporary.
                    let code = self.rules.codes.relay_domains;
                    Reject::plain(if code >= 500 { code - 100 } else { code }, &format!("4.7.1 {text}"))
                } else {
                    Reject::plain(self.rules.codes.relay_domains, &format!("5.7.1 {text}"))
                };
                self.reject(reject)
            }
            Err(outcome) => outcome,
        }
    }

    /// `reject_unlisted_recipient`.
    pub async fn reject_unlisted_recipient(&mut self) -> Outcome {
        if self.rules.no_unknown_recipient_checks {
            return Outcome::Dunno;
        }
        if let Some(refusal) = self.unresolved(Subject::Recipient) {
            return refusal;
        }
        let Some(route) = self.route.take() else { return Outcome::Dunno };
        let outcome = self.unlisted(&route, Subject::Recipient).await;
        self.route = Some(route);
        outcome
    }

    /// `reject_unlisted_sender`.
    pub async fn reject_unlisted_sender(&mut self) -> Outcome {
        if let Some(refusal) = self.unresolved(Subject::Sender) {
            return refusal;
        }
        let Some(route) = self.memory.sender_route.take() else { return Outcome::Dunno };
        let outcome = self.unlisted(&route, Subject::Sender).await;
        self.memory.sender_route = Some(route);
        outcome
    }

    async fn unlisted(&mut self, route: &Route, subject: Subject) -> Outcome {
        if self.is_special(route, subject) {
            return Outcome::Dunno;
        }
        match self.rules.recipients.find(route, subject).await {
            Ok(finding) => match self.unlisted_reply(route, subject, finding) {
                Some(mut reject) => {
                    reject.class = notice::BOUNCE;
                    self.reject(reject)
                }
                None => Outcome::Dunno,
            },
            Err(_) => {
                let name = self.name_of(subject);
                Outcome::Reject(self.temporary_lookup_failure(name.as_bstr()))
            }
        }
    }

    /// `None` when there is such an address.
    fn unlisted_reply(&self, route: &Route, subject: Subject, finding: Finding) -> Option<Reject> {
        let rules = self.rules;
        let name = self.name_of(subject);
        let class = subject.class();
        if let Finding::Moved(new) = finding {
            let dsn = fit_dsn("5.1.6", class, &rules.log);
            return Some(Reject::new(550, &dsn, name.as_bstr(), class, &format!("User has moved to {new}")));
        }
        // A domain in transport_maps may go to error: or retry: with a text; an unknown virtual alias goes there too.
        if finding != Finding::Listed || route.class != Class::VirtualAlias {
            let code = match route.transport.as_str() {
                _ if route.class == Class::VirtualAlias => Some(rules.codes.unknown_alias),
                "error" => Some(550),
                "retry" => Some(450),
                _ => None,
            };
            if let Some(code) = code {
                let text = route.nexthop.to_str_lossy();
                let digit = if code >= 500 { 5 } else { 4 };
                let (dsn, text) = match split_dsn(&text) {
                    Some((dsn, rest)) => (format!("{digit}{}", &dsn[1..]), rest.to_owned()),
                    None => (format!("{digit}.1.1"), text.into_owned()),
                };
                let dsn = fit_dsn(&dsn, class, &rules.log);
                return Some(Reject::new(code, &dsn, name.as_bstr(), class, &text));
            }
        }
        let (code, table) = match finding {
            Finding::Unknown(Class::Local) => (rules.codes.unknown_local, "local recipient"),
            Finding::Unknown(Class::VirtualMailbox) => (rules.codes.unknown_mailbox, "virtual mailbox"),
            Finding::Unknown(Class::Relay) => (rules.codes.unknown_relay, "relay recipient"),
            _ => return None,
        };
        let dsn = if subject == Subject::Recipient { "5.1.1" } else { "5.1.0" };
        let text = if rules.show_table_name { format!("User unknown in {table} table") } else { "User unknown".to_owned() };
        Some(Reject::new(code, dsn, name.as_bstr(), class, &text))
    }

    /// Whether the recipient is `postmaster` without a domain.
    pub fn to_postmaster(&self) -> bool {
        self.session.recipient().is_some_and(|recipient| recipient.as_bytes().eq_ignore_ascii_case(b"postmaster"))
    }

    /// Whether the recipient is the sender of this host's address probes.
    pub fn to_probe_sender(&self) -> bool {
        let sender = &self.rules.verification.probe_sender;
        self.session.recipient().is_some_and(|recipient| sender.matches(recipient, SystemTime::now()))
    }

    /// Postmaster must always be reachable (RFC 5321 §4.5.1), and the sender of our own probes and notices must not look unknown.
    fn is_special(&self, route: &Route, subject: Subject) -> bool {
        let local = route.recipient.local();
        let bare = match subject {
            Subject::Sender => self.session.transaction().is_some_and(|transaction| transaction.sender.domain().is_none()),
            _ => self.session.recipient().is_some_and(|recipient| recipient.domain().is_none()),
        };
        let is = |name: &str| local.eq_ignore_ascii_case(name.as_bytes());
        bare && is("postmaster")
            || route.class == Class::Local && (is(&self.rules.double_bounce) || is("postmaster") || is("MAILER-DAEMON"))
    }

    /// `permit_mx_backup`: this host is a mail exchanger for the recipient's domain, but none of the best; and, where
    /// `permit_mx_backup_networks` is set, all addresses of the best are in it.
    pub async fn permit_mx_backup(&mut self) -> Outcome {
        match self.authorized_destination() {
            Ok(true) => return self.permit("permit_mx_backup", Subject::Recipient),
            Ok(false) => {}
            Err(outcome) => return outcome,
        }
        let Some(route) = &self.route else { return Outcome::Dunno };
        let Some(domain) = route.recipient.domain().and_then(|domain| domain.to_str().ok()).map(str::to_owned) else {
            return Outcome::Dunno;
        };
        if route.routed || domain.starts_with('[') {
            return Outcome::Dunno;
        }
        let answer = match self.rules.resolver.mx(&domain).await {
            Ok(answer) => answer,
            Err(error) => {
                if error.temporary() {
                    self.backup_unsure(format!("Unable to look up mail exchanger information: {}", dns_reason(&error)));
                }
                return Outcome::Dunno;
            }
        };
        let exchangers: Vec<(u16, &str)> = answer
            .records
            .iter()
            .filter_map(|record| match &record.data {
                posthaste_dns::Data::Mx { preference, host } => Some((*preference, host.as_str())),
                _ => None,
            })
            .collect();
        let best = exchangers.iter().map(|(preference, _)| *preference).min().unwrap_or_default();
        let families = self.rules.resolver.families();
        let (mut backup, mut primary) = (false, Vec::new());
        for (preference, host) in exchangers {
            // A backup whose address is not known is of no concern here.
            let found = self.rules.resolver.native_addresses(host, families).await;
            let ours = found.as_ref().is_ok_and(|list| list.iter().any(|ip| self.rules.own_addresses.contains(ip)));
            if preference == best {
                if ours {
                    return Outcome::Dunno;
                }
                primary.push((host, found));
            }
            backup |= ours;
        }
        if !backup {
            // Whether the domain has a good exchanger is not known, then.
            if let Some((host, Err(error))) = primary.iter().find(|(_, found)| found.is_err()) {
                let reason = error.error.native_text();
                self.backup_unsure(format!("Unable to look up mail exchanger host {host}: {reason}"));
            }
            return Outcome::Dunno;
        }
        if self.rules.has_mx_backup_networks {
            for (host, found) in primary {
                let addresses = match found {
                    Ok(addresses) => addresses,
                    Err(error) => {
                        let reason = error.error.native_text();
                        self.backup_unsure(format!("Unable to look up mail exchanger host {host}: {reason}"));
                        return Outcome::Dunno;
                    }
                };
                for ip in addresses {
                    let text = BString::from(ip.to_string());
                    match self.rules.mx_backup_networks.matches(host.as_bytes().as_bstr(), text.as_bstr()) {
                        Ok(true) => {}
                        Ok(false) => return Outcome::Dunno,
                        Err(_) => {
                            warn!(self.rules.log, "all_auth_mx_addr: permit_mx_backup_networks lookup error for address {text} for {host}");
                            self.backup_unsure(format!("Unable to verify host {host} as mail exchanger"));
                            return Outcome::Dunno;
                        }
                    }
                }
            }
        }
        self.permit("permit_mx_backup", Subject::Recipient)
    }

    /// Whether this host is a backup cannot be said now: what would be refused is to come again.
    fn backup_unsure(&mut self, text: String) {
        let name = self.name_of(Subject::Recipient);
        let mut reject = Reject::new(450, "4.4.4", name.as_bstr(), Subject::Recipient.class(), &text);
        reject.class = notice::POLICY;
        self.defer_if_reject(reject);
    }
}
