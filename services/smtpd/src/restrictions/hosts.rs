//! Restrictions on names: HELO, client, and the domains of addresses.

use super::eval::{Evaluation, Outcome};
use super::parse::Subject;
use super::reply::Reject;
use bstr::{BStr, ByteSlice};
use posthaste_dns::{DnsError, Reason, Type, valid_hostname};
use posthaste_route::Class;
use posthaste_smtp_protocol::server::NameStatus;
use std::net::IpAddr;

/// An address in brackets, as RFC 5321 §4.1.3 writes it.
pub fn literal(name: &BStr) -> Option<Option<IpAddr>> {
    let inner = name.strip_prefix(b"[")?;
    let Some(inner) = inner.strip_suffix(b"]") else { return Some(None) };
    Some(match inner.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case(b"IPv6:") => {
            inner[5..].to_str().ok().and_then(|text| text.parse().ok()).map(IpAddr::V6)
        }
        _ => inner.to_str().ok().and_then(|text| text.parse().ok()).map(IpAddr::V4),
    })
}

/// The DNS form of a name, without the final dot.
pub fn dns_name(name: &BStr) -> Option<String> {
    let text = name.to_str().ok()?;
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_ascii() { Some(text.to_owned()) } else { posthaste_address::idn::domain_to_ascii(BStr::new(text)) }
}

/// Whether it is a host name with a dot inside. An IP address without brackets is none.
fn fully_qualified(name: &BStr) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    name.contains(&b'.') && name.to_str().is_ok_and(|name| valid_hostname(name).is_ok())
}

/// What the DNS says about a name.
enum Found {
    Yes,
    No,
    NullMx,
    Malformed,
    Later,
}

impl Evaluation<'_> {
    /// `reject_invalid_helo_hostname`.
    pub fn reject_invalid_helo(&mut self) -> Outcome {
        let Some(name) = self.session.helo() else { return Outcome::Dunno };
        let code = self.rules.codes.invalid_hostname;
        match literal(name) {
            Some(Some(_)) => Outcome::Dunno,
            Some(None) => self.reject_subject(Subject::Helo, code, "5.5.2", "invalid ip address"),
            None => {
                let name = name.to_str().unwrap_or("");
                let numeric = name.parse::<IpAddr>().is_ok();
                let valid = valid_hostname(name.strip_suffix('.').unwrap_or(name)).is_ok();
                if numeric || valid { Outcome::Dunno } else { self.reject_subject(Subject::Helo, code, "5.5.2", "Invalid name") }
            }
        }
    }

    /// `reject_non_fqdn_helo_hostname`, `reject_non_fqdn_sender`, `reject_non_fqdn_recipient`.
    pub fn reject_non_fqdn(&mut self, subject: Subject) -> Outcome {
        let code = self.rules.codes.non_fqdn;
        if subject == Subject::Helo {
            let Some(name) = self.session.helo() else { return Outcome::Dunno };
            return match literal(name) {
                Some(Some(_)) => Outcome::Dunno,
                Some(None) => self.reject_subject(subject, self.rules.codes.invalid_hostname, "5.5.2", "invalid ip address"),
                None if fully_qualified(name) => Outcome::Dunno,
                None => self.reject_subject(subject, code, "5.5.2", "need fully-qualified hostname"),
            };
        }
        let address = match subject {
            Subject::Sender => self.session.transaction().map(|transaction| &transaction.sender),
            _ => self.session.recipient(),
        };
        let Some(address) = address.filter(|address| !address.is_empty()) else { return Outcome::Dunno };
        let good = address.domain().is_some_and(|domain| literal(domain).is_some() || fully_qualified(domain));
        let dsn = if code >= 500 { "5.5.2" } else { "4.5.2" };
        if good { Outcome::Dunno } else { self.reject_subject(subject, code, dsn, "need fully-qualified address") }
    }

    /// `reject_unknown_client_hostname`.
    pub fn reject_unknown_client(&mut self) -> Outcome {
        let client = self.session.client();
        let status = client.name_status;
        if status == NameStatus::Found {
            return Outcome::Dunno;
        }
        let code = if status == NameStatus::Failed { 450 } else { self.rules.codes.unknown_client };
        let digit = if code >= 500 { 5 } else { 4 };
        let text = format!("{digit}.7.25 Client host rejected: cannot find your hostname, [{}]", client.address);
        self.reject(Reject::plain(code, &text))
    }

    /// `reject_unknown_reverse_client_hostname`.
    pub fn reject_unknown_reverse_client(&mut self) -> Outcome {
        let client = self.session.client();
        let status = client.reverse_status;
        if matches!(status, NameStatus::Found | NameStatus::Forged) {
            return Outcome::Dunno;
        }
        let code = if status == NameStatus::Failed { 450 } else { self.rules.codes.unknown_client };
        let digit = if code >= 500 { 5 } else { 4 };
        let text = format!("{digit}.7.1 Client host rejected: cannot find your reverse hostname, [{}]", client.address);
        self.reject(Reject::plain(code, &text))
    }

    /// `reject_unknown_helo_hostname`.
    pub async fn reject_unknown_helo(&mut self) -> Outcome {
        let Some(name) = self.session.helo() else { return Outcome::Dunno };
        match literal(name) {
            Some(Some(_)) => return Outcome::Dunno,
            Some(None) => return self.reject_subject(Subject::Helo, self.rules.codes.invalid_hostname, "5.5.2", "invalid ip address"),
            None => {}
        }
        let codes = &self.rules.codes;
        let code = codes.unknown_hostname;
        let digit = if code >= 500 { "5.7.1" } else { "4.7.1" };
        // Postfix does not find a name with a final dot.
        let Some(name) = dns_name(name).filter(|_| !name.ends_with(b".")) else {
            return self.reject_subject(Subject::Helo, code, digit, "Host not found");
        };
        match self.look_up(&name, &[Type::A, Type::Aaaa, Type::Mx]).await {
            // Such a host exists, though it takes no mail.
            Found::Yes | Found::NullMx => Outcome::Dunno,
            Found::No => self.reject_subject(Subject::Helo, code, digit, "Host not found"),
            Found::Malformed => self.reject_subject(Subject::Helo, code, digit, "Malformed DNS server reply"),
            Found::Later => self.later(Subject::Helo, "4.7.1", "Host not found", codes.unknown_helo_defers),
        }
    }

    /// `reject_unknown_sender_domain`, `reject_unknown_recipient_domain`.
    pub async fn reject_unknown_domain(&mut self, subject: Subject) -> Outcome {
        if let Some(refusal) = self.unresolved(subject) {
            return refusal;
        }
        let route = if subject == Subject::Sender { self.memory.sender_route.as_ref() } else { self.route.as_ref() };
        let Some(route) = route else { return Outcome::Dunno };
        // Our own domains need not be in the DNS.
        if matches!(route.class, Class::Local | Class::VirtualAlias | Class::VirtualMailbox) {
            return Outcome::Dunno;
        }
        let Some(domain) = route.recipient.domain().filter(|domain| !domain.is_empty()).map(BStr::to_owned) else { return Outcome::Dunno };
        if domain.starts_with(b"[") {
            return Outcome::Dunno;
        }
        let (status, null_code, null_dsn) = if subject == Subject::Sender { ("1.8", 550, "5.7.27") } else { ("1.2", 556, "5.1.10") };
        let codes = &self.rules.codes;
        let code = codes.unknown_address;
        let dsn = format!("{}.{status}", if code >= 500 { 5 } else { 4 });
        let name = dns_name(domain.as_bstr());
        let found = match &name {
            Some(name) => self.look_up(name, &[Type::Mx, Type::A, Type::Aaaa]).await,
            None => Found::No,
        };
        match found {
            Found::Yes => Outcome::Dunno,
            Found::No => self.reject_subject(subject, code, &dsn, "Domain not found"),
            Found::Malformed => self.reject_subject(subject, code, &dsn, "Malformed DNS server reply"),
            Found::NullMx => {
                let text = format!("Domain {} does not accept mail (nullMX)", domain);
                self.reject_subject(subject, null_code, null_dsn, &text)
            }
            Found::Later => self.later(subject, &format!("4.{status}"), "Domain not found", codes.unknown_address_defers),
        }
    }

    /// A temporary DNS failure: refused for now at once, or only if the mail would be accepted.
    fn later(&mut self, subject: Subject, dsn: &str, text: &str, at_once: bool) -> Outcome {
        let reject = Reject::new(450, dsn, self.name_of(subject).as_bstr(), subject.class(), text);
        if at_once {
            return self.reject(reject);
        }
        self.defer_if_permit(reject);
        Outcome::Dunno
    }

    /// Whether the name has a record of one of the types. The first that is found decides; a failure counts only when nothing is found.
    async fn look_up(&self, name: &str, types: &[Type]) -> Found {
        let mut failed = None;
        for kind in types {
            if *kind == Type::Aaaa && !self.rules.resolver.families().ipv6 {
                continue;
            }
            match self.rules.resolver.query(name, *kind).await {
                Ok(_) => return Found::Yes,
                Err(DnsError { reason: Reason::NullMx, .. }) => return Found::NullMx,
                Err(DnsError { reason: Reason::NoName, .. }) => return Found::No,
                Err(DnsError { reason: Reason::Malformed, .. }) => failed = Some(Found::Malformed),
                Err(error) if error.temporary() => failed = failed.or(Some(Found::Later)),
                Err(_) => {}
            }
        }
        failed.unwrap_or(Found::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        assert_eq!(literal("a.example".into()), None);
        assert_eq!(literal("[192.0.2.10]".into()), Some("192.0.2.10".parse().ok()));
        assert_eq!(literal("[IPv6:::1]".into()), Some("::1".parse().ok()));
        for text in ["[1.2.3]", "[bad", "[]", "[1.2.3.444]"] {
            assert_eq!(literal(text.into()), Some(None), "{text}");
        }
    }

    /// S-UBE-21.
    #[test]
    fn qualified_names() {
        for name in ["a.b", "a.b.", "a_b.c"] {
            assert!(fully_qualified(name.into()), "{name}");
        }
        for name in ["localhost", "localhost.", "192.0.2.10", "::1"] {
            assert!(!fully_qualified(name.into()), "{name}");
        }
    }
}
