//! Where an address goes: relay permission, and whether there is such an address at all.

use super::eval::{Evaluation, Outcome};
use super::parse::Subject;
use super::reply::{Reject, fit_dsn, split_dsn};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_log::warn;
use posthaste_route::{Class, Route};
use posthaste_smtp_protocol::server::notice;
use posthaste_table::{AddressSearch, LocalPart, Maps};

impl Evaluation<'_> {
    /// Resolves the sender of MAIL; a hopeless one is no address.
    pub fn sender_address(&mut self) -> Outcome {
        let Some(transaction) = self.session.transaction() else { return Outcome::Dunno };
        if transaction.sender.is_empty() {
            self.memory.sender_route = None;
            return Outcome::Dunno;
        }
        match self.rules.router.resolve(&Address::empty(), &transaction.sender) {
            Ok(route) if route.error => Outcome::BadAddress,
            Ok(route) => {
                self.memory.sender_route = Some(route);
                Outcome::Dunno
            }
            Err(_) => self.resolve_failed(&transaction.sender),
        }
    }

    /// Resolves the recipient of RCPT or VRFY.
    pub fn recipient_address(&mut self) -> Outcome {
        let Some(candidate) = self.session.candidate() else { return Outcome::Dunno };
        let empty = Address::empty();
        let sender = self.session.transaction().map_or(&empty, |transaction| &transaction.sender);
        match self.rules.router.resolve(sender, &candidate.address) {
            Ok(route) if route.error => Outcome::BadAddress,
            Ok(route) => {
                self.route = Some(route);
                Outcome::Dunno
            }
            Err(_) => self.resolve_failed(&candidate.address),
        }
    }

    fn resolve_failed(&self, address: &Address) -> Outcome {
        Outcome::Reject(self.temporary_lookup_failure(address.as_bytes()))
    }

    /// Whether the recipient is one of ours, or of a domain we relay for, and names no further hops.
    pub fn authorized_destination(&mut self) -> Result<bool, Outcome> {
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
                let Some(candidate) = self.session.candidate() else { return Outcome::Dunno };
                let text = format!("<{}>: Relay access denied", candidate.address);
                let reject = if defer {
                    Reject::plain(454, &format!("4.7.1 {text}"))
                } else {
                    Reject::plain(self.rules.codes.relay_domains, &format!("5.7.1 {text}"))
                };
                self.reject(reject)
            }
            Err(outcome) => outcome,
        }
    }

    /// `reject_unlisted_recipient`.
    pub fn reject_unlisted_recipient(&mut self) -> Outcome {
        if self.rules.no_unknown_recipient_checks {
            return Outcome::Dunno;
        }
        let Some(route) = self.route.take() else { return Outcome::Dunno };
        let outcome = self.unlisted(&route, Subject::Recipient);
        self.route = Some(route);
        outcome
    }

    /// `reject_unlisted_sender`.
    pub fn reject_unlisted_sender(&mut self) -> Outcome {
        let Some(route) = self.memory.sender_route.take() else { return Outcome::Dunno };
        let outcome = self.unlisted(&route, Subject::Sender);
        self.memory.sender_route = Some(route);
        outcome
    }

    fn unlisted(&mut self, route: &Route, subject: Subject) -> Outcome {
        match self.search_unlisted(route, subject) {
            Ok(None) => Outcome::Dunno,
            Ok(Some(reject)) => self.reject(reject),
            Err(_) => {
                let name = self.name_of(subject);
                Outcome::Reject(self.temporary_lookup_failure(name.as_bstr()))
            }
        }
    }

    /// `Some` when there is no such address.
    fn search_unlisted(&self, route: &Route, subject: Subject) -> Result<Option<Reject>, posthaste_table::TableError> {
        let rules = self.rules;
        let name = self.name_of(subject);
        let address = &route.recipient;
        let class = subject.class();
        if self.is_special(route, subject) {
            return Ok(None);
        }
        // What cleanup will rewrite exists.
        let rewriting = if subject == Subject::Recipient { &rules.recipient_canonical_maps } else { &rules.sender_canonical_maps };
        for maps in [rewriting, &rules.canonical_maps, &rules.virtual_alias_maps] {
            if self.listed(maps, address, true)?.is_some() {
                return Ok(None);
            }
        }
        if let Some(new) = self.listed(&rules.relocated_maps, address, true)? {
            let dsn = fit_dsn("5.1.6", class, &rules.log);
            return Ok(Some(Reject::new(550, &dsn, name.as_bstr(), class, &format!("User has moved to {new}"))));
        }
        let unknown = |code: u16, table: &str| {
            let dsn = if subject == Subject::Recipient { "5.1.1" } else { "5.1.0" };
            let text = if rules.show_table_name { format!("User unknown in {table} table") } else { "User unknown".to_owned() };
            Some(Reject::new(code, dsn, name.as_bstr(), class, &text))
        };
        // A domain in transport_maps may go to error: or retry: with a text; an unknown virtual alias goes there too.
        if route.transport == "error" || route.transport == "retry" {
            let (code, first) = if route.transport == "error" { (550, "5") } else { (450, "4") };
            let text = route.nexthop.to_str_lossy();
            let (dsn, text) = match split_dsn(&text) {
                Some((dsn, rest)) => (dsn.to_owned(), rest.to_owned()),
                None => (format!("{first}.1.1"), text.into_owned()),
            };
            let code = if route.class == Class::VirtualAlias { rules.codes.unknown_alias } else { code };
            let dsn = fit_dsn(&dsn, class, &rules.log);
            return Ok(Some(Reject::new(code, &dsn, name.as_bstr(), class, &text)));
        }
        Ok(match route.class {
            Class::Local => {
                // An empty list means that all local names are good.
                if rules.local_recipient_maps.is_empty() || self.listed(&rules.local_recipient_maps, address, true)?.is_some() {
                    None
                } else {
                    unknown(rules.codes.unknown_local, "local recipient")
                }
            }
            // All good addresses of such a domain were found above.
            Class::VirtualAlias => unknown(rules.codes.unknown_alias, "virtual alias"),
            Class::VirtualMailbox => {
                if rules.virtual_mailbox_maps.is_empty() || self.listed(&rules.virtual_mailbox_maps, address, false)?.is_some() {
                    None
                } else {
                    unknown(rules.codes.unknown_mailbox, "virtual mailbox")
                }
            }
            Class::Relay => {
                if rules.relay_recipient_maps.is_empty() || self.listed(&rules.relay_recipient_maps, address, false)?.is_some() {
                    None
                } else {
                    unknown(rules.codes.unknown_relay, "relay recipient")
                }
            }
            Class::Default => None,
        })
    }

    /// Postmaster must always be reachable (RFC 5321 §4.5.1), and the sender of our own probes and notices must not look unknown.
    fn is_special(&self, route: &Route, subject: Subject) -> bool {
        let local = route.recipient.local();
        let bare = match subject {
            Subject::Sender => self.session.transaction().is_some_and(|transaction| transaction.sender.domain().is_none()),
            _ => self.session.candidate().is_some_and(|candidate| candidate.address.domain().is_none()),
        };
        bare && local.eq_ignore_ascii_case(b"postmaster")
            || route.class == Class::Local && local.eq_ignore_ascii_case(self.rules.double_bounce.as_bytes())
    }

    /// Looks an address up as cleanup or the delivery agent would.
    fn listed(&self, maps: &Maps, address: &Address, local_part: bool) -> Result<Option<BString>, posthaste_table::TableError> {
        if maps.is_empty() {
            return Ok(None);
        }
        let locals = self.rules.router.locals();
        let is_local = |domain: &BStr| locals.stands_for_bare(domain).unwrap_or(false);
        let part = if local_part { LocalPart::When(&is_local) } else { LocalPart::Never };
        let search = AddressSearch {
            owner_request_special: self.rules.owner_request_special,
            ..AddressSearch::rewriting(&self.rules.delimiters, part)
        };
        Ok(maps.find_address(address, &search)?.map(|found| found.value))
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
