//! From `smtpd_…_restrictions` to a list of [`Restriction`]s, with their tables open.

use super::dnslist::DnsList;
use super::policy::Policy;
use bstr::BStr;
use posthaste_config::{Config, ConfigError, braced, split_list};
use posthaste_table::Maps;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a restriction looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Client,
    ReverseClient,
    Helo,
    Sender,
    Recipient,
    Data,
    EndOfData,
    Etrn,
}

impl Subject {
    /// The reply class: `Client host` and so on.
    pub fn class(self) -> &'static str {
        match self {
            Subject::Client => "Client host",
            Subject::ReverseClient => "Unverified Client host",
            Subject::Helo => "Helo command",
            Subject::Sender => "Sender address",
            Subject::Recipient => "Recipient address",
            Subject::Data => "Data command",
            Subject::EndOfData => "End-of-data",
            Subject::Etrn => "Etrn command",
        }
    }
}

/// Which hosts of a name are looked up in an access table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    Address,
    MailExchanger,
    NameServer,
}

/// A restriction and the word it was written with.
#[derive(Clone, Debug)]
pub struct Item {
    pub name: Rc<str>,
    pub rule: Restriction,
}

/// One restriction of access(5) and postconf(5).
#[derive(Clone, Debug)]
pub enum Restriction {
    Permit,
    Reject,
    Defer,
    DeferIfPermit,
    DeferIfReject,
    WarnIfReject,
    Sleep(Duration),
    Access(Subject, Arc<Maps>),
    HostAccess(Subject, Hosts, Arc<Maps>),
    /// `type:table` where a table name may not stand, because the list came out of a table.
    TableInTable,
    /// `check_ccert_access`, `check_sasl_access`: tables for what no client has without TLS and SASL.
    CertificateAccess,
    SaslAccess,
    PermitAuthDestination,
    PermitInetInterfaces,
    PermitMxBackup,
    PermitMynetworks,
    PermitSaslAuthenticated,
    PermitTlsClientCerts,
    RejectUnauthDestination {
        defer: bool,
    },
    RejectInvalidHelo,
    RejectMultiRecipientBounce,
    RejectNonFqdn(Subject),
    RejectPlaintextSession,
    RejectUnauthPipelining,
    RejectUnknownClient,
    RejectUnknownDomain(Subject),
    RejectUnknownHelo,
    RejectUnknownReverseClient,
    RejectUnlisted(Subject),
    RejectDnsList(Subject, Rc<DnsList>),
    PermitDnsList(Subject, Rc<DnsList>),
    /// `reject_rbl_client` looks up the address, not the name.
    RejectDnsListAddress(Rc<DnsList>),
    PermitDnsListAddress(Rc<DnsList>),
    /// A sender login check by the names of its parts: it means nothing without SASL.
    SenderLogin(&'static [&'static str]),
    RejectUnverified(Subject),
    Policy(Rc<Policy>),
    /// A restriction class.
    Class(Rc<str>),
    /// Not known: a configuration error for the client that meets it.
    Unknown(String),
    /// Known, but its argument is missing or wrong; the text is logged.
    Broken(String),
    /// Gone since 3.9; the text is logged at start and the restriction is skipped.
    Obsolete(String),
    /// Its argument is missing; the text is logged and the restriction is skipped.
    Skipped(String),
}

/// Parses lists and keeps the tables they share.
pub struct Parser<'a> {
    config: &'a Config,
    tables: HashMap<String, Arc<Maps>>,
    policies: HashMap<String, Rc<Policy>>,
    classes: Vec<String>,
}

impl<'a> Parser<'a> {
    pub fn new(config: &'a Config) -> Result<Parser<'a>, ConfigError> {
        let classes = split_list(&config.text("smtpd_restriction_classes")?).map(str::to_owned).collect();
        Ok(Parser { config, tables: HashMap::new(), policies: HashMap::new(), classes })
    }

    /// The list of the parameter `name`; `subject` is what a bare `type:table` looks at.
    pub fn parameter(&mut self, name: &str, subject: Subject) -> Result<Vec<Item>, ConfigError> {
        let value = self.config.text(name)?;
        Ok(self.list(&value, subject))
    }

    /// The lists of the restriction classes. A class may be used in any list, so a bare table in it has no subject of its own; it is taken
    /// for the recipient, where classes are used most.
    pub fn classes(&mut self) -> Result<HashMap<Rc<str>, Rc<[Item]>>, ConfigError> {
        let names = self.classes.clone();
        let mut classes = HashMap::new();
        for name in names {
            let value = self.config.lookup(&name)?.unwrap_or_default();
            classes.insert(Rc::from(name.as_str()), Rc::from(self.list(&value, Subject::Recipient)));
        }
        Ok(classes)
    }

    fn list(&mut self, value: &str, subject: Subject) -> Vec<Item> {
        let classes = self.classes.clone();
        parse(value, subject, &classes, &mut Some(self))
    }

    /// Lists share their connections to a policy server only if it is written alike.
    fn policy(&mut self, spec: &str) -> Result<Rc<Policy>, String> {
        if let Some(policy) = self.policies.get(spec) {
            return Ok(Rc::clone(policy));
        }
        let policy = Rc::new(Policy::parse(spec, self.config)?);
        self.policies.insert(spec.to_owned(), Rc::clone(&policy));
        Ok(policy)
    }

    fn open(&mut self, spec: &str) -> Arc<Maps> {
        let config = self.config;
        Arc::clone(self.tables.entry(spec.to_owned()).or_insert_with(|| Arc::new(Maps::open(spec, spec, config))))
    }
}

/// Parses a list that came out of an access table: no tables may be named in it.
pub fn parse_result(value: &str, subject: Subject, classes: &[String]) -> Vec<Item> {
    parse(value, subject, classes, &mut None)
}

fn parse(value: &str, subject: Subject, classes: &[String], parser: &mut Option<&mut Parser<'_>>) -> Vec<Item> {
    use Restriction as R;
    let mut words = split_list(value);
    let mut list = Vec::new();
    while let Some(word) = words.next() {
        // `{ check_policy_service inet:…, timeout=5s }`: braces keep a restriction with its arguments together.
        if let Some(inner) = braced(word) {
            match inner {
                Ok(inner) => list.extend(parse(inner, subject, classes, parser)),
                Err(error) => list.push(Item { name: Rc::from(word), rule: R::Broken(error) }),
            }
            continue;
        }
        let name = word.to_ascii_lowercase();
        let rule = rule(word, &name, &mut words, subject, classes, parser);
        list.push(Item { name: Rc::from(word), rule });
    }
    list
}

fn rule<'a>(
    word: &str,
    name: &str,
    words: &mut impl Iterator<Item = &'a str>,
    subject: Subject,
    classes: &[String],
    parser: &mut Option<&mut Parser<'_>>,
) -> Restriction {
    use Restriction as R;
    if let Some((what, hosts)) = access_check(name) {
        let Some(spec) = words.next() else {
            return R::Broken(format!("restriction {name}: bad argument \"{word}\": need maptype:mapname"));
        };
        if !spec.contains(':') {
            return R::Broken(format!("restriction {name}: bad argument \"{spec}\": need maptype:mapname"));
        }
        return match (parser.as_mut().map(|parser| parser.open(spec)), hosts) {
            (None, _) => R::TableInTable,
            (Some(maps), None) => R::Access(what, maps),
            (Some(maps), Some(hosts)) => R::HostAccess(what, hosts, maps),
        };
    }
    if let Some(make) = dns_list(name) {
        return match words.next().map(DnsList::parse) {
            None => R::Skipped(format!("restriction {name} requires domain name argument")),
            Some(Err(error)) => R::Broken(format!("restriction {name}: {error}")),
            Some(Ok(zone)) => make(Rc::new(zone)),
        };
    }
    if name == "check_policy_service" {
        let Some(spec) = words.next() else {
            return R::Broken(format!("restriction {name} must be followed by server endpoint"));
        };
        let Some(parser) = parser.as_mut() else { return R::TableInTable };
        let inner = braced(spec).unwrap_or(Ok(spec));
        return match inner.and_then(|spec| parser.policy(spec)) {
            Ok(policy) => R::Policy(policy),
            Err(error) => R::Broken(error),
        };
    }
    const AUTHENTICATED: &str = "reject_authenticated_sender_login_mismatch";
    const UNAUTHENTICATED: &str = "reject_unauthenticated_sender_login_mismatch";
    match name {
        "permit" => R::Permit,
        "reject" => R::Reject,
        "defer" => R::Defer,
        "defer_if_permit" => R::DeferIfPermit,
        "defer_if_reject" => R::DeferIfReject,
        "warn_if_reject" => R::WarnIfReject,
        "sleep" => match words.next().and_then(|word| word.parse().ok()) {
            Some(seconds) => R::Sleep(Duration::from_secs(seconds)),
            None => R::Broken("restriction sleep must be followed by number".into()),
        },
        "permit_auth_destination" => R::PermitAuthDestination,
        "permit_inet_interfaces" => R::PermitInetInterfaces,
        "permit_mx_backup" => R::PermitMxBackup,
        "permit_mynetworks" => R::PermitMynetworks,
        "permit_sasl_authenticated" => R::PermitSaslAuthenticated,
        "permit_tls_all_clientcerts" => R::PermitTlsClientCerts,
        "permit_tls_clientcerts" => R::PermitTlsClientCerts,
        "reject_unauth_destination" => R::RejectUnauthDestination { defer: false },
        "defer_unauth_destination" => R::RejectUnauthDestination { defer: true },
        "reject_invalid_helo_hostname" | "reject_invalid_hostname" => R::RejectInvalidHelo,
        "reject_multi_recipient_bounce" => R::RejectMultiRecipientBounce,
        "reject_non_fqdn_helo_hostname" | "reject_non_fqdn_hostname" => R::RejectNonFqdn(Subject::Helo),
        "reject_non_fqdn_sender" => R::RejectNonFqdn(Subject::Sender),
        "reject_non_fqdn_recipient" => R::RejectNonFqdn(Subject::Recipient),
        "reject_plaintext_session" => R::RejectPlaintextSession,
        "reject_unauth_pipelining" => R::RejectUnauthPipelining,
        "reject_unknown_client_hostname" | "reject_unknown_client" => R::RejectUnknownClient,
        "reject_unknown_reverse_client_hostname" => R::RejectUnknownReverseClient,
        "reject_unknown_helo_hostname" | "reject_unknown_hostname" => R::RejectUnknownHelo,
        "reject_unknown_sender_domain" | "reject_unknown_address" => R::RejectUnknownDomain(Subject::Sender),
        "reject_unknown_recipient_domain" => R::RejectUnknownDomain(Subject::Recipient),
        "reject_unlisted_recipient" | "check_recipient_maps" => R::RejectUnlisted(Subject::Recipient),
        "reject_unlisted_sender" => R::RejectUnlisted(Subject::Sender),
        "reject_sender_login_mismatch" => R::SenderLogin(&[AUTHENTICATED, UNAUTHENTICATED]),
        "reject_authenticated_sender_login_mismatch" => R::SenderLogin(&[AUTHENTICATED]),
        "reject_known_sender_login_mismatch" => R::SenderLogin(&["reject_known_sender_login_mismatch"]),
        "reject_unauthenticated_sender_login_mismatch" => R::SenderLogin(&[UNAUTHENTICATED]),
        "check_ccert_access" => {
            let _ = words.next();
            R::CertificateAccess
        }
        "check_sasl_access" => {
            let _ = words.next();
            R::SaslAccess
        }
        "reject_unverified_sender" => R::RejectUnverified(Subject::Sender),
        "reject_unverified_recipient" | "reject_unverified_address" => R::RejectUnverified(Subject::Recipient),
        "permit_naked_ip_address" => R::Obsolete(removed("permit_naked_ip_address", "permit_mynetworks\" or \"permit_sasl_authenticated")),
        "reject_maps_rbl" => R::Obsolete(removed("reject_maps_rbl", "reject_rbl_client domain-name")),
        "check_relay_domains" => R::Obsolete(removed("check_relay_domains", "permit_mynetworks, reject_unauth_destination")),
        _ if classes.iter().any(|class| class == word) => R::Class(Rc::from(word)),
        // Data and end of data have no subject that a table could be asked for.
        _ if word.contains(':') && matches!(subject, Subject::Data | Subject::EndOfData) => R::Broken(format!(
            "specify one of (check_client_access, check_reverse_client_hostname_access, check_helo_access, check_sender_access, \
             check_recipient_access, check_etrn_access) before {} restriction \"{word}\"",
            subject.class()
        )),
        _ if word.contains(':') => match parser.as_mut().map(|parser| parser.open(word)) {
            Some(maps) => R::Access(subject, maps),
            None => R::TableInTable,
        },
        _ => R::Unknown(word.to_owned()),
    }
}

fn removed(name: &str, instead: &str) -> String {
    format!("support for restriction \"{name}\" has been removed from {}; instead, specify \"{instead}\"", "Postfix")
}

fn access_check(name: &str) -> Option<(Subject, Option<Hosts>)> {
    let middle = name.strip_prefix("check_")?.strip_suffix("_access")?;
    let (subject, hosts) = match middle.rsplit_once('_') {
        Some((subject, "a")) => (subject, Some(Hosts::Address)),
        Some((subject, "mx")) => (subject, Some(Hosts::MailExchanger)),
        Some((subject, "ns")) => (subject, Some(Hosts::NameServer)),
        _ => (middle, None),
    };
    let subject = match subject {
        "client" => Subject::Client,
        "reverse_client_hostname" => Subject::ReverseClient,
        "helo" => Subject::Helo,
        "sender" => Subject::Sender,
        "recipient" => Subject::Recipient,
        "etrn" if hosts.is_none() => Subject::Etrn,
        _ => return None,
    };
    Some((subject, hosts))
}

fn dns_list(name: &str) -> Option<fn(Rc<DnsList>) -> Restriction> {
    use Restriction as R;
    Some(match name {
        "reject_rbl_client" | "reject_rbl" => R::RejectDnsListAddress,
        "reject_rhsbl_client" => |zone| R::RejectDnsList(Subject::Client, zone),
        "reject_rhsbl_reverse_client" => |zone| R::RejectDnsList(Subject::ReverseClient, zone),
        "reject_rhsbl_helo" => |zone| R::RejectDnsList(Subject::Helo, zone),
        "reject_rhsbl_sender" => |zone| R::RejectDnsList(Subject::Sender, zone),
        "reject_rhsbl_recipient" => |zone| R::RejectDnsList(Subject::Recipient, zone),
        "permit_dnswl_client" => R::PermitDnsListAddress,
        "permit_rhswl_client" => |zone| R::PermitDnsList(Subject::Client, zone),
        _ => return None,
    })
}

/// Whether a list keeps strangers from relaying: smtpd does not start unless one does. What follows an unconditional permit never works.
pub fn protects_relay(list: &[Item]) -> bool {
    list.iter().take_while(|item| !matches!(item.rule, Restriction::Permit)).any(|item| {
        matches!(
            item.rule,
            Restriction::Reject | Restriction::Defer | Restriction::DeferIfPermit | Restriction::RejectUnauthDestination { .. }
        )
    })
}

/// The value of a table as text; what is not UTF-8 can be no restriction.
pub fn as_text(value: &BStr) -> &str {
    std::str::from_utf8(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(value: &str) -> Vec<String> {
        parse_result(value, Subject::Sender, &["strict".to_owned()]).iter().map(|item| format!("{:?}", item.rule)).collect()
    }

    #[test]
    fn names_and_arguments() {
        assert_eq!(
            words("permit_mynetworks, Reject_Unknown_Client warn_if_reject sleep 2 { reject } strict nonsense"),
            [
                "PermitMynetworks",
                "RejectUnknownClient",
                "WarnIfReject",
                "Sleep(2s)",
                "Reject",
                "Class(\"strict\")",
                "Unknown(\"nonsense\")"
            ]
        );
        assert_eq!(words("check_sender_access hash:/x"), ["TableInTable"]);
        assert_eq!(words("hash:/x"), ["TableInTable"]);
        assert!(words("sleep soon")[0].starts_with("Broken"));
        assert!(words("reject_rbl_client")[0].starts_with("Skipped"));
    }

    #[test]
    fn table_checks() {
        assert_eq!(access_check("check_reverse_client_hostname_mx_access"), Some((Subject::ReverseClient, Some(Hosts::MailExchanger))));
        assert_eq!(access_check("check_helo_a_access"), Some((Subject::Helo, Some(Hosts::Address))));
        assert_eq!(access_check("check_recipient_ns_access"), Some((Subject::Recipient, Some(Hosts::NameServer))));
        assert_eq!(access_check("check_client_access"), Some((Subject::Client, None)));
        for name in ["check_access", "check_etrn_mx_access", "check_foo_access", "client_access"] {
            assert_eq!(access_check(name), None, "{name}");
        }
    }

    /// S-SMTPD-18.
    #[test]
    fn relay_protection() {
        let list = |value| parse_result(value, Subject::Recipient, &[]);
        assert!(protects_relay(&list("permit_mynetworks, defer_unauth_destination")));
        assert!(protects_relay(&list("permit_mynetworks, reject")));
        assert!(!protects_relay(&list("permit_mynetworks, permit, reject")));
        assert!(!protects_relay(&list("")));
    }
}
