//! What an administrator should hear at start although nothing is wrong with the grammar: settings for parts that are not there yet, services
//! without a program, and servers that relay for everybody.

use crate::table::parameter;
use crate::{Config, MasterEntry, split_list};
use std::net::IpAddr;
use std::path::Path;

/// A part of Postfix that is not there yet.
#[derive(Debug)]
pub struct Missing {
    /// Its name.
    pub what: &'static str,
    /// What happens for want of it.
    pub consequence: &'static str,
    /// Its parameters; `*` stands for any characters.
    pub parameters: &'static [&'static str],
}

/// All of them. The row of a part goes when the part comes.
pub const MISSING: &[Missing] = &[
    Missing {
        what: "TLS",
        consequence: "connections are in the clear, and mail that must be encrypted waits",
        parameters: &["*tls*", "lmtp_starttls_timeout", "relay_clientcerts", "smtp_starttls_timeout", "smtpd_starttls_timeout"],
    },
    Missing {
        what: "SASL",
        consequence: "clients cannot log in, and mail for servers that want a login waits",
        parameters: &["*sasl*", "smtpd_client_auth_rate_limit"],
    },
    Missing { what: "milter support", consequence: "mail passes without them", parameters: &["*milter*"] },
    Missing { what: "postscreen", consequence: "its service does not start", parameters: &["postscreen_*", "dnsblog_*"] },
];

/// All warnings, whole texts; none when all is well. `programs` is `daemon_directory`, `file` the name of master.cf.
pub fn advice(config: &Config, entries: &[MasterEntry], file: &str, programs: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for part in MISSING {
        let mut tell = |place: &str, settings: &mut dyn Iterator<Item = (&str, &str)>| {
            let names: Vec<&str> = settings.filter(|(name, value)| part.is_wanted_by(config, name, value)).map(|(name, _)| name).collect();
            if !names.is_empty() {
                let (what, consequence) = (part.what, part.consequence);
                warnings.push(format!("{place}: {what} is not there yet: {consequence}; without effect: {}", names.join(", ")));
            }
        };
        tell(config.file(), &mut config.settings());
        for entry in entries {
            tell(&format!("{file}: line {}: service {}", entry.line, entry.service), &mut entry.overrides());
        }
    }
    for entry in entries {
        let (line, service, program) = (entry.line, &entry.service, programs.join(&entry.command));
        if !program.exists() {
            warnings.push(format!("{file}: line {line}: service {service} cannot start: there is no program {}", program.display()));
        }
        if entry.command == "smtpd"
            && let Some(reason) = open_relay(config, entry)
        {
            warnings.push(format!("{file}: line {line}: service {service}: {reason}"));
        }
    }
    warnings
}

impl Missing {
    /// Whether this setting asks for the part: one that says what is the case anyway does not.
    fn is_wanted_by(&self, config: &Config, name: &str, value: &str) -> bool {
        let off = ["", "no", "none", "0"].iter().any(|word| value.trim().eq_ignore_ascii_case(word));
        let asks = !off && parameter(name).is_some_and(|row| config.expand(row.default).ok() != config.expand(value.trim()).ok());
        asks && self.parameters.iter().any(|pattern| fits(pattern, name))
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters.
pub fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            name.strip_prefix(start).is_some_and(|name| (0..=name.len()).any(|at| name.is_char_boundary(at) && fits(rest, &name[at..])))
        }
    }
}

/// What a list of restrictions does with a stranger's mail to a domain that is none of ours, as far as its words alone tell.
#[derive(PartialEq)]
enum Judgement {
    Refuses,
    Permits(String),
    Silent,
}

/// Why a server relays for everybody.
fn open_relay(config: &Config, entry: &MasterEntry) -> Option<String> {
    let config = config.with_overrides(entry.overrides()).ok()?;
    if !reachable(&config, entry) {
        return None;
    }
    let judge = |name: &str| config.text(name).ok().map(|list| judge(&config, &list));
    // Client, helo and sender restrictions can keep strangers away altogether.
    for name in ["smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions"] {
        if judge(name)? == Judgement::Refuses {
            return None;
        }
    }
    let lists = ["smtpd_relay_restrictions", "smtpd_recipient_restrictions"];
    let judgements = [judge(lists[0])?, judge(lists[1])?];
    if judgements.contains(&Judgement::Refuses) {
        return None;
    }
    // Where nothing refuses and nothing permits either, smtpd(8) does not serve at all, and says so.
    lists.iter().zip(judgements).find_map(|(list, judgement)| match judgement {
        Judgement::Permits(word) => Some(format!("an open relay: {word} in {list} lets anybody send mail to any domain")),
        _ => None,
    })
}

fn judge(config: &Config, list: &str) -> Judgement {
    let words = split_list(list).map(str::to_ascii_lowercase);
    for word in words {
        match word.as_str() {
            "reject" | "defer" | "reject_unauth_destination" | "defer_unauth_destination" => return Judgement::Refuses,
            "permit" => return Judgement::Permits(word),
            "permit_mynetworks" => {
                let networks = config.text("mynetworks").unwrap_or_default();
                if let Some(network) = split_list(&networks).find(|network| is_wide(network)) {
                    return Judgement::Permits(format!("permit_mynetworks, with {network} in mynetworks,"));
                }
            }
            _ => {}
        }
    }
    Judgement::Silent
}

/// A network that no single organisation has.
fn is_wide(network: &str) -> bool {
    let Some((address, length)) = network.rsplit_once('/') else { return false };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let (Ok(address), Ok(length)) = (address.parse::<IpAddr>(), length.trim_end_matches(']').parse::<u8>()) else { return false };
    length < if address.is_ipv4() { 8 } else { 16 } && !(address.is_loopback() && length > 0)
}

/// Whether anybody but this host's own users can connect.
fn reachable(config: &Config, entry: &MasterEntry) -> bool {
    let is_own = |host: &str| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "loopback-only" || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    match entry.service.rsplit_once(':') {
        _ if entry.kind != crate::ServiceKind::Inet => false,
        Some((host, _)) if !host.is_empty() => !is_own(host),
        _ => config.text("inet_interfaces").is_ok_and(|interfaces| !split_list(&interfaces).all(is_own)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master_cf::MasterFile;

    fn warnings(main: &str, master: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for program in ["smtpd", "smtp"] {
            std::fs::write(folder.path().join(program), "").unwrap();
        }
        let config = Config::parse(&format!("compatibility_level = 3.11\n{main}"), "main.cf").unwrap();
        let entries = MasterFile::parse(master, "master.cf").unwrap().entries(&config, &mut Vec::new()).unwrap();
        let text = |warning: String| warning.replace(folder.path().to_str().unwrap(), "D");
        advice(&config, &entries, "master.cf", folder.path()).into_iter().map(text).collect()
    }

    #[test]
    fn settings_for_what_is_not_there_are_named() {
        let main = "smtpd_tls_cert_file = /c\nsmtpd_tls_security_level = may\nsmtp_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n\
                    smtpd_milters =\nmilter_default_action = shutdown\npostscreen_greet_wait = 2s\nldap_tls_cert = x\n";
        let master = "submission inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=yes -o smtpd_tls_security_level=encrypt\n";
        assert_eq!(
            warnings(main, master),
            [
                "main.cf: TLS is not there yet: connections are in the clear, and mail that must be encrypted waits; \
                 without effect: smtpd_tls_cert_file, smtpd_tls_security_level",
                "master.cf: line 1: service submission: TLS is not there yet: connections are in the clear, and mail that must be encrypted \
                 waits; without effect: smtpd_tls_security_level",
                "master.cf: line 1: service submission: SASL is not there yet: clients cannot log in, and mail for servers that want a login \
                 waits; without effect: smtpd_sasl_auth_enable",
                "main.cf: postscreen is not there yet: its service does not start; without effect: postscreen_greet_wait",
            ]
        );
        assert_eq!(warnings("relayhost = x\n", "smtp inet n - n - - smtpd\nsmtp unix - - n - - smtp\n"), [""; 0]);
    }

    #[test]
    fn services_without_a_program_are_named() {
        assert_eq!(
            warnings("", "smtp inet n - n - 1 postscreen\n"),
            ["master.cf: line 1: service smtp cannot start: there is no program D/postscreen"]
        );
    }

    // S-TRAP-01
    #[test]
    fn open_relays_are_named() {
        let smtp = "smtp inet n - n - - smtpd\n";
        let open = |main: &str, master: &str| warnings(main, master).join("\n");
        assert_eq!(open("mynetworks = 10.0.0.0/8\n", smtp), "");
        assert_eq!(
            open("smtpd_relay_restrictions = permit_mynetworks, permit\n", smtp),
            "master.cf: line 1: service smtp: an open relay: permit in smtpd_relay_restrictions lets anybody send mail to any domain"
        );
        assert!(open("mynetworks = 192.0.2.0/24 0.0.0.0/0\n", smtp).contains("with 0.0.0.0/0 in mynetworks"));
        assert!(open("mynetworks = [::]/0\n", smtp).contains("with [::]/0 in mynetworks"));
        // The other list refuses; strangers are kept out; nobody can connect.
        for safe in [
            "smtpd_relay_restrictions = permit\nsmtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n",
            "smtpd_relay_restrictions = permit\nsmtpd_client_restrictions = permit_sasl_authenticated, reject\n",
            "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks reject\n",
            "smtpd_relay_restrictions = permit\ninet_interfaces = loopback-only\n",
            "smtpd_relay_restrictions = permit\ninet_interfaces = 127.0.0.1, [::1]\n",
        ] {
            assert_eq!(open(safe, smtp), "", "{safe}");
        }
        assert_eq!(open("", "127.0.0.1:10025 inet n - n - - smtpd -o smtpd_relay_restrictions=permit\n"), "");
        assert!(open("", "192.0.2.1:587 inet n - n - - smtpd -o smtpd_relay_restrictions=permit\n").contains("open relay"));
    }

    #[test]
    fn stars_stand_for_anything() {
        assert!(fits("*tls*", "smtp_tls_loglevel") && fits("*tls*", "tls_random_source") && !fits("*tls*", "smtp_bind_address"));
        assert!(fits("a*b*c", "abc") && fits("a*b*c", "axxbybc") && !fits("a*b*c", "acb"));
    }
}
