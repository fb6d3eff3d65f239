//! Where an address goes: relay permission, and whether there is such an address at all.

use super::eval::{Evaluation, Outcome};
use super::literal;
use super::lookup::resolve;
use super::parse::Subject;
use super::recipients::Finding;
use super::reply::{Reject, fit_dsn, split_dsn};
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use posthaste_log::warn;
use posthaste_route::{Class, Route};
use posthaste_smtp_protocol::server::notice;

impl Evaluation<'_> {
    /// Resolves the sender of MAIL; a hopeless one is no address.
    pub async fn sender_address(&mut self) -> Outcome {
        let Some(transaction) = self.session.transaction() else { return Outcome::Dunno };
        (self.memory.sender_route, self.memory.sender_unresolved) = (None, false);
        if transaction.sender.is_empty() {
            return Outcome::Dunno;
        }
        match resolve(&self.rules.router, &Address::empty(), &transaction.sender).await {
            Ok(route) if route.error => self.bad_address(&route.recipient),
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
            Ok(route) if route.error => self.bad_address(&route.recipient),
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

    fn bad_address(&self, address: &Address) -> Outcome {
        if let Some(fault) = address.domain().and_then(literal::fault) {
            warn!(self.rules.rewrite_log, "{fault}");
        }
        Outcome::BadAddress
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

    /// Postmaster must always be reachable (RFC 5321 §4.5.1), and the sender of our own probes and notices must not look unknown.
    fn is_special(&self, route: &Route, subject: Subject) -> bool {
        let local = route.recipient.local();
        let bare = match subject {
            Subject::Sender => self.session.transaction().is_some_and(|transaction| transaction.sender.domain().is_none()),
            _ => self.session.recipient().is_some_and(|recipient| recipient.domain().is_none()),
        };
        bare && local.eq_ignore_ascii_case(b"postmaster")
            || route.class == Class::Local && local.eq_ignore_ascii_case(self.rules.double_bounce.as_bytes())
    }

    /// `permit_mx_backup`: this host is a mail exchanger for the recipient's domain.
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
        let name = self.name_of(Subject::Recipient);
        let failed = |text: String| {
            let mut reject = Reject::new(450, "4.4.4", name.as_bstr(), Subject::Recipient.class(), &text);
            reject.class = notice::POLICY;
            reject
        };
        let answer = match self.rules.resolver.mx(&domain).await {
            Ok(answer) => answer,
            Err(error) if error.temporary() => {
                self.defer_if_reject(failed(format!("Unable to look up mail exchanger information: {error}")));
                return Outcome::Dunno;
            }
            Err(_) => return Outcome::Dunno,
        };
        let exchangers: Vec<(u16, String)> = answer
            .records
            .iter()
            .filter_map(|record| match &record.data {
                posthaste_dns::Data::Mx { preference, host } => Some((*preference, host.clone())),
                _ => None,
            })
            .collect();
        let best = exchangers.iter().map(|(preference, _)| *preference).min().unwrap_or_default();
        let (mut ours, mut primary_ok) = (false, false);
        for (preference, host) in &exchangers {
            match self.rules.resolver.addresses(host, self.rules.resolver.families()).await {
                Ok(found) => {
                    for ip in found.records.iter().filter_map(posthaste_dns::Record::address) {
                        ours |= self.rules.own_addresses.contains(&ip);
                        let text = BString::from(ip.to_string());
                        let networks = &self.rules.mx_backup_networks;
                        primary_ok |= *preference == best && networks.matches(host.as_bytes().as_bstr(), text.as_bstr()).unwrap_or(false);
                    }
                }
                Err(error) if error.temporary() => {
                    self.defer_if_reject(failed(format!("Unable to look up mail exchanger host {host}: {error}")));
                }
                Err(_) => warn!(self.rules.log, "Unable to look up mail exchanger host {host} for {domain}"),
            }
        }
        let networks_set = self.rules.has_mx_backup_networks;
        if ours && (primary_ok || !networks_set) { self.permit("permit_mx_backup", Subject::Recipient) } else { Outcome::Dunno }
    }
}
