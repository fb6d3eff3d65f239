//! From `smtpd_…_restrictions` to a list of [`Restriction`]s, with their tables open.

use super::dnslist::DnsList;
use super::policy::Policy;
use bstr::BStr;
use posthaste_config::{Config, ConfigError, braced, split_list};
use posthaste_service::Fatal;
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
    /// `type:table` alone: what the list is about is looked up.
    BareTable(Arc<Maps>),
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
    /// `{ … }` where a restriction should be.
    Braced(String),
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

    /// The list of the parameter `name`.
    pub fn parameter(&mut self, name: &str) -> Result<Vec<Item>, ConfigError> {
        let value = self.config.text(name)?;
        Ok(self.list(&value))
    }

    /// The lists of the restriction classes. Fatal when one has none.
    pub fn classes(&mut self) -> Result<HashMap<Rc<str>, Rc<[Item]>>, Fatal> {
        let names = self.classes.clone();
        let mut classes = HashMap::new();
        for name in names {
            let value = self.config.lookup(&name)?.filter(|value| !value.trim().is_empty());
            let value = value.ok_or_else(|| Fatal(format!("restriction class `{name}' needs a definition")))?;
            classes.insert(Rc::from(name.as_str()), Rc::from(self.list(&value)));
        }
        Ok(classes)
    }

    fn list(&mut self, value: &str) -> Vec<Item> {
        let classes = self.classes.clone();
        parse(value, &classes, &mut Some(self))
    }

    /// Lists share their connections to a policy server only if it is written alike.
    fn policy(&mut self, spec: &str) -> Result<Rc<Policy>, String> {
        if let Some(policy) = self.policies.get(spec) {
            return Ok(Rc::clone(policy));
        }
        let policy = Rc::new(Policy::parse(spec, braced(spec).unwrap_or(Ok(spec))?, self.config)?);
        self.policies.insert(spec.to_owned(), Rc::clone(&policy));
        Ok(policy)
    }

    fn open(&mut self, spec: &str) -> Arc<Maps> {
        let config = self.config;
        Arc::clone(self.tables.entry(spec.to_owned()).or_insert_with(|| Arc::new(Maps::open(spec, spec, config))))
    }
}

/// Parses a list that came out of an access table: no tables may be named in it.
pub fn parse_result(value: &str, classes: &[String]) -> Vec<Item> {
    parse(value, classes, &mut None)
}

fn parse(value: &str, classes: &[String], parser: &mut Option<&mut Parser<'_>>) -> Vec<Item> {
    use Restriction as R;
    let mut words = split_list(value);
    let mut list = Vec::new();
    while let Some(word) = words.next() {
        // Braces keep an argument together, never a restriction.
        if word.starts_with('{') {
            list.push(Item { name: Rc::from(word), rule: R::Braced(word.to_owned()) });
            continue;
        }
        let name = word.to_ascii_lowercase();
        let rule = rule(word, &name, &mut words, classes, parser);
        list.push(Item { name: Rc::from(word), rule });
    }
    list
}

fn rule<'a>(
    word: &str,
    name: &str,
    words: &mut impl Iterator<Item = &'a str>,
    classes: &[String],
    parser: &mut Option<&mut Parser<'_>>,
) -> Restriction {
    use Restriction as R;
    let no_table = |word: &str| R::Broken(format!("restriction {name}: bad argument \"{word}\": need maptype:mapname"));
    if let Some((what, hosts)) = access_check(name) {
        let Some(spec) = words.next() else { return no_table(word) };
        if !spec.contains(':') {
            return no_table(spec);
        }
        return match (parser.as_mut().map(|parser| parser.open(spec)), hosts) {
            (None, _) => R::TableInTable,
            (Some(maps), None) => R::Access(what, maps),
            (Some(maps), Some(hosts)) => R::HostAccess(what, hosts, maps),
        };
    }
    if let Some((_, make)) = DNS_LISTS.iter().find(|(known, _)| *known == name) {
        return match words.next().map(DnsList::parse) {
            None => R::Skipped(format!("restriction {name} requires domain name argument")),
            Some(Err(error)) => R::Broken(format!("restriction {name}: {error}")),
            Some(Ok(zone)) => make(Rc::new(zone)),
        };
    }
    if name == "check_policy_service" {
        let Some(spec) = words.next() else {
            return R::Broken(format!("restriction {name} must be followed by transport:server"));
        };
        let Some(parser) = parser.as_mut() else { return R::TableInTable };
        return match parser.policy(spec) {
            Ok(policy) => R::Policy(policy),
            Err(error) => R::Broken(error),
        };
    }
    if let Some((_, make)) = PLAIN.iter().find(|(known, _)| *known == name) {
        return make();
    }
    match name {
        "sleep" => match words.next().and_then(|word| word.parse().ok()) {
            Some(seconds) => R::Sleep(Duration::from_secs(seconds)),
            None => R::Broken("restriction sleep must be followed by number".into()),
        },
        "check_ccert_access" => words.next().map_or_else(|| no_table(word), |_| R::CertificateAccess),
        "check_sasl_access" => words.next().map_or_else(|| no_table(word), |_| R::SaslAccess),
        _ if classes.iter().any(|class| class == word) => R::Class(Rc::from(word)),
        _ if word.contains(':') => match parser.as_mut().map(|parser| parser.open(word)) {
            Some(maps) => R::BareTable(maps),
            None => R::TableInTable,
        },
        _ => R::Unknown(word.to_owned()),
    }
}

const AUTHENTICATED: &str = "reject_authenticated_sender_login_mismatch";
const UNAUTHENTICATED: &str = "reject_unauthenticated_sender_login_mismatch";

/// A name in a restriction list, and how to make what it stands for.
type Named = (&'static str, fn() -> Restriction);

/// The restrictions without an argument, old names included.
const PLAIN: &[Named] = {
    use Restriction as R;
    &[
        ("permit", || R::Permit),
        ("reject", || R::Reject),
        ("defer", || R::Defer),
        ("defer_if_permit", || R::DeferIfPermit),
        ("defer_if_reject", || R::DeferIfReject),
        ("warn_if_reject", || R::WarnIfReject),
        ("permit_auth_destination", || R::PermitAuthDestination),
        ("permit_inet_interfaces", || R::PermitInetInterfaces),
        ("permit_mx_backup", || R::PermitMxBackup),
        ("permit_mynetworks", || R::PermitMynetworks),
        ("permit_sasl_authenticated", || R::PermitSaslAuthenticated),
        ("permit_tls_all_clientcerts", || R::PermitTlsClientCerts),
        ("permit_tls_clientcerts", || R::PermitTlsClientCerts),
        ("reject_unauth_destination", || R::RejectUnauthDestination { defer: false }),
        ("defer_unauth_destination", || R::RejectUnauthDestination { defer: true }),
        ("reject_invalid_helo_hostname", || R::RejectInvalidHelo),
        ("reject_invalid_hostname", || R::RejectInvalidHelo),
        ("reject_multi_recipient_bounce", || R::RejectMultiRecipientBounce),
        ("reject_non_fqdn_helo_hostname", || R::RejectNonFqdn(Subject::Helo)),
        ("reject_non_fqdn_hostname", || R::RejectNonFqdn(Subject::Helo)),
        ("reject_non_fqdn_sender", || R::RejectNonFqdn(Subject::Sender)),
        ("reject_non_fqdn_recipient", || R::RejectNonFqdn(Subject::Recipient)),
        ("reject_plaintext_session", || R::RejectPlaintextSession),
        ("reject_unauth_pipelining", || R::RejectUnauthPipelining),
        ("reject_unknown_client_hostname", || R::RejectUnknownClient),
        ("reject_unknown_client", || R::RejectUnknownClient),
        ("reject_unknown_reverse_client_hostname", || R::RejectUnknownReverseClient),
        ("reject_unknown_helo_hostname", || R::RejectUnknownHelo),
        ("reject_unknown_hostname", || R::RejectUnknownHelo),
        ("reject_unknown_sender_domain", || R::RejectUnknownDomain(Subject::Sender)),
        ("reject_unknown_address", || R::RejectUnknownDomain(Subject::Sender)),
        ("reject_unknown_recipient_domain", || R::RejectUnknownDomain(Subject::Recipient)),
        ("reject_unlisted_recipient", || R::RejectUnlisted(Subject::Recipient)),
        ("check_recipient_maps", || R::RejectUnlisted(Subject::Recipient)),
        ("reject_unlisted_sender", || R::RejectUnlisted(Subject::Sender)),
        ("reject_sender_login_mismatch", || R::SenderLogin(&[AUTHENTICATED, UNAUTHENTICATED])),
        ("reject_authenticated_sender_login_mismatch", || R::SenderLogin(&[AUTHENTICATED])),
        ("reject_known_sender_login_mismatch", || R::SenderLogin(&["reject_known_sender_login_mismatch"])),
        ("reject_unauthenticated_sender_login_mismatch", || R::SenderLogin(&[UNAUTHENTICATED])),
        ("reject_unverified_sender", || R::RejectUnverified(Subject::Sender)),
        ("reject_unverified_recipient", || R::RejectUnverified(Subject::Recipient)),
        ("permit_naked_ip_address", || removed("permit_naked_ip_address", "permit_mynetworks\" or \"permit_sasl_authenticated")),
        ("reject_maps_rbl", || removed("reject_maps_rbl", "reject_rbl_client domain-name")),
        ("check_relay_domains", || removed("check_relay_domains", "permit_mynetworks, reject_unauth_destination")),
    ]
};

fn removed(name: &str, instead: &str) -> Restriction {
    let text = format!("support for restriction \"{name}\" has been removed from {}; instead, specify \"{instead}\"", "Postfix");
    Restriction::Obsolete(text)
}

/// `check_SUBJECT_access`, and `check_SUBJECT_a_access` and so on for those that have hosts.
const ACCESS_SUBJECTS: &[(&str, Subject)] = &[
    ("client", Subject::Client),
    ("reverse_client_hostname", Subject::ReverseClient),
    ("helo", Subject::Helo),
    ("sender", Subject::Sender),
    ("recipient", Subject::Recipient),
    ("etrn", Subject::Etrn),
];
const ACCESS_HOSTS: &[(&str, Hosts)] = &[("_a", Hosts::Address), ("_mx", Hosts::MailExchanger), ("_ns", Hosts::NameServer)];

fn access_check(name: &str) -> Option<(Subject, Option<Hosts>)> {
    let middle = name.strip_prefix("check_")?.strip_suffix("_access")?;
    let hosts = ACCESS_HOSTS.iter().find_map(|(suffix, hosts)| Some((middle.strip_suffix(suffix)?, *hosts)));
    let (subject, hosts) = hosts.map_or((middle, None), |(subject, hosts)| (subject, Some(hosts)));
    let (_, subject) = ACCESS_SUBJECTS.iter().find(|(known, _)| *known == subject)?;
    (*subject != Subject::Etrn || hosts.is_none()).then_some((*subject, hosts))
}

type OfZone = fn(Rc<DnsList>) -> Restriction;

/// The restrictions that ask a list in the DNS.
const DNS_LISTS: &[(&str, OfZone)] = {
    use Restriction as R;
    &[
        ("reject_rbl_client", R::RejectDnsListAddress),
        ("reject_rbl", R::RejectDnsListAddress),
        ("reject_rhsbl_client", |zone| R::RejectDnsList(Subject::Client, zone)),
        ("reject_rhsbl_reverse_client", |zone| R::RejectDnsList(Subject::ReverseClient, zone)),
        ("reject_rhsbl_helo", |zone| R::RejectDnsList(Subject::Helo, zone)),
        ("reject_rhsbl_sender", |zone| R::RejectDnsList(Subject::Sender, zone)),
        ("reject_rhsbl_recipient", |zone| R::RejectDnsList(Subject::Recipient, zone)),
        ("permit_dnswl_client", R::PermitDnsListAddress),
        ("permit_rhswl_client", |zone| R::PermitDnsList(Subject::Client, zone)),
    ]
};

/// Whether the list keeps strangers from relaying, whatever its tables say. What stands after `warn_if_reject` does not count, a class does, down to
/// `depth` classes in classes. What follows a bare `permit` can never count, and `ignored` is told of it: the next name, and how `permit` is written.
pub fn protects_relay(list: &[Item], classes: &HashMap<Rc<str>, Rc<[Item]>>, depth: u32, ignored: &dyn Fn(&str, &str)) -> bool {
    let mut items = list.iter().peekable();
    while let Some(item) = items.next() {
        match &item.rule {
            Restriction::WarnIfReject => {
                items.next();
            }
            Restriction::Permit => {
                if let Some(next) = items.peek() {
                    ignored(&next.name, &item.name);
                }
                return false;
            }
            Restriction::Class(name)
                if depth > 0 && classes.get(name).is_some_and(|list| protects_relay(list, classes, depth - 1, ignored)) =>
            {
                return true;
            }
            Restriction::Reject | Restriction::Defer | Restriction::DeferIfPermit | Restriction::RejectUnauthDestination { .. } => {
                return true;
            }
            _ => {}
        }
    }
    false
}

/// The value of a table as text; what is not UTF-8 can be no restriction.
pub fn as_text(value: &BStr) -> &str {
    std::str::from_utf8(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(value: &str) -> Vec<String> {
        parse_result(value, &["strict".to_owned()]).iter().map(|item| format!("{:?}", item.rule)).collect()
    }

    #[test]
    fn names_and_arguments() {
        assert_eq!(
            words("permit_mynetworks, Reject_Unknown_Client warn_if_reject sleep 2 reject { reject } strict nonsense"),
            [
                "PermitMynetworks",
                "RejectUnknownClient",
                "WarnIfReject",
                "Sleep(2s)",
                "Reject",
                "Braced(\"{ reject }\")",
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
        let names = ["strict".to_owned(), "endless".to_owned()];
        let list = |value: &str| parse_result(value, &names);
        let classes: HashMap<Rc<str>, Rc<[Item]>> =
            [("strict", list("reject")), ("endless", list("endless"))].map(|(name, list)| (name.into(), list.into())).into();
        let ignored = std::cell::RefCell::new(Vec::new());
        let note = |next: &str, permit: &str| ignored.borrow_mut().push(format!("{next} after {permit}"));
        let protects = |text: &str| protects_relay(&list(text), &classes, 10, &note);
        assert!(protects("permit_mynetworks, defer_unauth_destination"));
        assert!(protects("permit_mynetworks, reject, permit, defer"));
        assert!(protects("warn_if_reject permit, reject_non_fqdn_sender, reject"));
        assert!(protects("permit_mynetworks, strict"));
        assert!(!protects("permit_mynetworks, endless"));
        assert!(!protects("permit_mynetworks, warn_if_reject reject"));
        assert!(!protects("permit_mynetworks, permit"));
        assert!(!protects(""));
        assert_eq!(*ignored.borrow(), [""; 0]);
        assert!(!protects("permit_mynetworks, PERMIT, reject"));
        assert_eq!(*ignored.borrow(), ["reject after PERMIT"]);
    }

    /// Every name of the tables above, and every action of access(5), is in a scenario that was recorded from Postfix.
    #[test]
    fn scenarios_have_every_name() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/parity/scenarios");
        let mut text = String::new();
        for folder in std::fs::read_dir(root).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "py") {
                    // Comments show nothing.
                    let file = std::fs::read_to_string(&path).unwrap();
                    text.extend(file.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]));
                }
            }
        }
        let words: std::collections::HashSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        // Postfix 3.7, which scenarios are recorded from, still has these.
        const REMOVED: [&str; 3] = ["permit_naked_ip_address", "reject_maps_rbl", "check_relay_domains"];
        let mut names: Vec<String> =
            PLAIN.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !REMOVED.contains(&name.as_str())).collect();
        names.extend(DNS_LISTS.iter().map(|(name, _)| (*name).to_owned()));
        for (subject, _) in ACCESS_SUBJECTS {
            for suffix in [""].into_iter().chain(ACCESS_HOSTS.iter().map(|(suffix, _)| *suffix)) {
                names.push(format!("check_{subject}{suffix}_access"));
            }
        }
        names.retain(|name| !name.starts_with("check_etrn_") || name == "check_etrn_access");
        names.extend(["sleep", "check_policy_service", "check_ccert_access", "check_sasl_access"].map(str::to_owned));
        // The actions are the byte strings in capitals of access.rs.
        let actions = include_str!("access.rs").split("b\"").skip(1).filter_map(|rest| rest.split('"').next());
        let actions: Vec<&str> =
            actions.filter(|word| word.len() > 1 && word.bytes().all(|c| c.is_ascii_uppercase() || c == b'_')).collect();
        assert!(actions.contains(&"DEFER_IF_PERMIT") && actions.contains(&"BCC"));
        names.extend(actions.into_iter().map(str::to_owned));
        let missing: Vec<&String> = names.iter().filter(|name| !words.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "no scenario in {root} names {missing:?}");
    }

    /// S-UBE-29, S-TRAP-21: what Postfix 3.9 removed says so, with what to write instead, and is skipped.
    #[test]
    fn removed_restrictions() {
        for (name, instead) in [
            ("reject_maps_rbl", "reject_rbl_client domain-name"),
            ("check_relay_domains", "permit_mynetworks, reject_unauth_destination"),
            ("permit_naked_ip_address", "permit_mynetworks"),
        ] {
            let list = parse_result(&format!("{name}, reject"), &[]);
            let Restriction::Obsolete(text) = &list[0].rule else { panic!("{name}: {:?}", list[0].rule) };
            assert!(text.starts_with(&format!("support for restriction \"{name}\" has been removed")) && text.contains(instead), "{text}");
            assert!(matches!(list[1].rule, Restriction::Reject));
        }
        // The old names of the others still work.
        let old = "reject_invalid_hostname, reject_non_fqdn_hostname, reject_unknown_hostname, reject_unknown_client";
        let new =
            "reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, reject_unknown_helo_hostname, reject_unknown_client_hostname";
        assert_eq!(words(old), words(new));
    }
}
