//! Parameters that nothing reads: misspelt names, and names that users made up and do not refer to.
//!
//! A name is known when the table has it, when it belongs to a service of master.cf (`relay_destination_concurrency_limit`), or when a
//! known parameter refers to it: by `$name` in its value, as a restriction class, or as the prefix of a table's own parameters
//! (`ldap:name`, see ldap_table(5)).

use crate::expand::names;
use crate::master_cf::MasterFile;
use crate::parameters::FAMILIES;
use crate::table::{Kind, parameter};
use crate::{Config, ConfigError, split_list};
use std::collections::BTreeSet;

/// Types of tables whose parameters may stand in main.cf as `<table>_<suffix>`, and the suffixes (`ldap_table(5)`, `mysql_table(5)`, …).
const TABLE_PARAMETERS: &[(&str, &[&str])] = &[
    (
        "ldap",
        &[
            "bind",
            "bind_dn",
            "bind_pw",
            "cache",
            "cache_expiry",
            "cache_size",
            "chase_referrals",
            "debuglevel",
            "dereference",
            "domain",
            "expansion_limit",
            "leaf_result_attribute",
            "query_filter",
            "recursion_limit",
            "result_attribute",
            "result_filter",
            "result_format",
            "sasl_authz_id",
            "sasl_mechs",
            "sasl_minssf",
            "sasl_realm",
            "scope",
            "search_base",
            "server_host",
            "server_port",
            "size_limit",
            "special_result_attribute",
            "start_tls",
            "terminal_result_attribute",
            "timeout",
            "tls_ca_cert_dir",
            "tls_ca_cert_file",
            "tls_cert",
            "tls_cipher_suite",
            "tls_key",
            "tls_random_file",
            "tls_require_cert",
            "version",
        ],
    ),
    (
        "memcache",
        &["backup", "data_size_limit", "flags", "key_format", "line_size_limit", "max_try", "memcache", "retry_pause", "timeout", "ttl"],
    ),
    (
        "mongodb",
        &["uri", "dbname", "collection", "query_filter", "projection", "result_attribute", "result_format", "domain", "expansion_limit"],
    ),
    (
        "mysql",
        &[
            "additional_conditions",
            "charset",
            "dbname",
            "domain",
            "expansion_limit",
            "hosts",
            "idle_interval",
            "option_file",
            "option_group",
            "password",
            "query",
            "require_result_set",
            "result_format",
            "retry_interval",
            "select_field",
            "table",
            "tls_CAfile",
            "tls_CApath",
            "tls_cert_file",
            "tls_ciphers",
            "tls_key_file",
            "tls_verify_cert",
            "user",
            "where_field",
        ],
    ),
    (
        "pgsql",
        &[
            "additional_conditions",
            "dbname",
            "domain",
            "encoding",
            "expansion_limit",
            "hosts",
            "idle_interval",
            "password",
            "query",
            "result_format",
            "retry_interval",
            "select_field",
            "select_function",
            "table",
            "user",
            "where_field",
        ],
    ),
    (
        "sqlite",
        &["additional_conditions", "dbpath", "domain", "expansion_limit", "query", "result_format", "select_field", "table", "where_field"],
    ),
];

/// Programs whose services have the parameters of a delivery agent.
const TRANSPORTS: [&str; 6] = ["error", "lmtp", "local", "pipe", "smtp", "virtual"];

/// What parameters a configuration can have beyond the table.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Names made from services of master.cf, with their unexpanded defaults.
    pub service: std::collections::BTreeMap<String, String>,
    /// Names that users made up and that are in use.
    pub user: BTreeSet<String>,
    /// Names of parameters of tables that are in use.
    pub table: BTreeSet<String>,
    /// Errors in values that were looked through for names; each once.
    pub faults: BTreeSet<String>,
    /// Names that values refer to and that nothing defines, each once, in the order in which they were found: as they are reported,
    /// `FILE: undefined parameter: NAME` (S-CONF-05).
    pub undefined: Vec<String>,
}

/// Where a value stands: the file's name for messages, and names that are defined there only (`-o` of the same service).
struct Origin<'a> {
    file: &'a str,
    config: &'a Config,
    local: &'a [(&'a str, &'a str)],
}

impl Names {
    /// Looks through main.cf and the overrides in master.cf.
    pub fn collect(config: &Config, master: &MasterFile) -> Names {
        let mut found = Names::default();
        for line in &master.lines {
            let service = &line.fields[0];
            let program = line.command.first().map_or("", String::as_str);
            let transport = TRANSPORTS.contains(&program) && line.fields[1] == "unix";
            let spawned = program == "pipe" || program == "spawn";
            for family in FAMILIES.iter().filter(|family| if family.spawned { spawned } else { transport }) {
                let name = format!("{service}_{}", family.suffix);
                // local_destination_recipient_limit and a few others have a default of their own.
                let default = parameter(&name).map_or(family.default, |row| row.default);
                found.service.insert(name, default.to_owned());
            }
        }
        let main = Origin { file: config.file(), config, local: &[] };
        // Every value counts, also that of a name that nothing reads: it may be there to be referred to by hand.
        for (name, value) in config.settings() {
            found.scan(name, value, &main);
        }
        for row in crate::parameters::PARAMETERS.iter().filter(|row| !config.is_set(row.name)) {
            found.scan(row.name, row.default, &main);
        }
        for entry in &master.lines {
            let local = overrides(&entry.command);
            let origin = Origin { file: &master.file, config, local: &local };
            for (name, value) in &local {
                found.scan(name, value, &origin);
            }
        }
        found
    }

    /// Whether something may read this name.
    pub fn is_known(&self, name: &str) -> bool {
        parameter(name).is_some() || self.service.contains_key(name) || self.user.contains(name) || self.table.contains(name)
    }

    fn scan(&mut self, owner: &str, value: &str, origin: &Origin<'_>) {
        if owner == "smtpd_restriction_classes" {
            self.user.extend(split_list(value).map(str::to_owned));
        }
        self.tables(value);
        if matches!(parameter(owner), Some(row) if matches!(row.kind, Kind::Raw { .. })) {
            return;
        }
        let result = names(value.as_bytes(), &mut |name| {
            if parameter(name).is_some() || self.service.contains_key(name) {
                return;
            }
            if !origin.config.is_set(name) && !origin.local.iter().any(|(local, _)| *local == name) {
                let warning = format!("{}: undefined parameter: {name}", origin.file);
                if !self.undefined.contains(&warning) {
                    self.undefined.push(warning);
                }
            }
            self.user.insert(name.to_owned());
        });
        if let Err(error) = result {
            self.faults.insert(error.to_string());
        }
    }

    /// Parameters of `ldap:name` and its kin; a name with a slash is a file that holds its own.
    fn tables(&mut self, value: &str) {
        for item in value.split(|c: char| c == ',' || c == '{' || c == '}' || c.is_whitespace()) {
            let item = item.strip_prefix("proxy:").unwrap_or(item);
            let Some((kind, table)) = item.split_once(':') else { continue };
            if table.is_empty() || table.starts_with(['/', '.']) {
                continue;
            }
            if let Some((_, suffixes)) = TABLE_PARAMETERS.iter().find(|(name, _)| *name == kind) {
                self.table.extend(suffixes.iter().map(|suffix| format!("{table}_{suffix}")));
            }
        }
    }
}

/// The overrides in a command line of master.cf.
pub fn overrides(command: &[String]) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut words = command.iter().skip(1);
    while let Some(word) = words.next().filter(|word| word.starts_with('-')) {
        if let Some(joined) = word.strip_prefix("-o") {
            let text = if joined.is_empty() { words.next().map_or("", String::as_str) } else { joined };
            found.extend(crate::lines::split_name_value(text));
        }
    }
    found
}

/// [`main_warnings`] and [`master_warnings`].
pub fn unused(config: &Config, master: &MasterFile, names: &Names) -> Vec<String> {
    let mut warnings = main_warnings(config, names);
    warnings.extend(master_warnings(master, names));
    warnings
}

/// Warnings about names in main.cf that nothing reads, or that are deprecated; whole texts, in Postfix's words (S-CONF-07).
pub fn main_warnings(config: &Config, names: &Names) -> Vec<String> {
    let mut warnings: Vec<String> = config.settings().filter_map(|(name, value)| warning(config.file(), name, value, names)).collect();
    for (_, value) in config.settings() {
        if let Some(comment) = comment_in(value) {
            warnings.push(format!("{}: #comment after other text is not allowed: {comment}", config.file()));
        }
    }
    warnings
}

/// The same for the `-o` overrides in master.cf.
pub fn master_warnings(master: &MasterFile, names: &Names) -> Vec<String> {
    let overridden = master.lines.iter().flat_map(|line| overrides(&line.command));
    overridden.filter_map(|(name, value)| warning(&master.file, name, value, names)).collect()
}

fn warning(file: &str, name: &str, value: &str, names: &Names) -> Option<String> {
    if !names.is_known(name) {
        return Some(format!("{file}: unused parameter: {name}={value}"));
    }
    let instead = parameter(name)?.instead?;
    let instead = match instead.strip_prefix("specify ") {
        Some(other) => format!("specify \"{other}\""),
        None => instead.to_owned(),
    };
    Some(format!("{file}: support for parameter \"{name}\" will be removed; instead, {instead}"))
}

/// Text in a value that was meant as a comment, shortened as Postfix shows it.
fn comment_in(value: &str) -> Option<String> {
    let start = value.match_indices('#').map(|(at, _)| at).find(|at| *at == 0 || value[..*at].ends_with([' ', '\t']))?;
    let comment = &value[start..];
    Some(match comment.char_indices().nth(22) {
        Some((end, _)) => format!("{}...", &comment[..end]),
        None => comment.to_owned(),
    })
}

impl Config {
    /// Checks every parameter that `program` reads according to the table, as each Postfix program does when it starts; `daemon` adds
    /// those that all daemons read. The first fault is returned.
    pub fn check(&self, program: &str, daemon: bool) -> Result<(), ConfigError> {
        // The host's name comes first: the domain is made from it.
        for name in ["myhostname", "mydomain"] {
            let value = self.text(name)?;
            crate::network::check_hostname(&value).map_err(|reason| {
                ConfigError::Bad(format!("file {}: parameter {name}: bad parameter value: {value} ({reason})", self.file()))
            })?;
        }
        for row in crate::parameters::PARAMETERS.iter().filter(|row| !row.legacy) {
            let mut readers = row.programs.split(' ');
            if !readers.any(|reader| reader == "all" || reader == program || (daemon && reader == "daemons")) || row.name == "service_name"
            {
                continue;
            }
            match row.kind {
                Kind::Bool => drop(self.bool(row.name)?),
                Kind::Int { .. } | Kind::Long { .. } => drop(self.int(row.name)?),
                Kind::Time { .. } => drop(self.time(row.name)?),
                Kind::Raw { .. } | Kind::Text { .. } => drop(self.text(row.name)?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(main: &str, master: &str) -> Vec<String> {
        let config = Config::parse(main, "/etc/postfix/main.cf").unwrap();
        let master = MasterFile::parse(master, "/etc/postfix/master.cf").unwrap();
        let names = Names::collect(&config, &master);
        unused(&config, &master, &names)
    }

    // S-CONF-07
    #[test]
    fn misspelt_names_are_reported() {
        assert_eq!(warnings("foo=bar\nrelayhost = x\n", ""), ["/etc/postfix/main.cf: unused parameter: foo=bar"]);
        assert_eq!(warnings("", "smtp inet n - n - - smtpd -o smtpd_bannr=x"), ["/etc/postfix/master.cf: unused parameter: smtpd_bannr=x"]);
    }

    // S-CONF-08
    #[test]
    fn names_in_use_are_known() {
        let main = "mua_client_restrictions = reject\nsmtpd_restriction_classes = strict\nstrict = $deep\ndeep = reject\n\
                    relay_destination_concurrency_limit = 2\nalias_maps = ldap:people\npeople_server_host = x\npeople_foo = y\n\
                    never = $again\nagain = x\n";
        let master = "submission inet n - n - - smtpd -o smtpd_client_restrictions=$mua_client_restrictions\nrelay unix - - n - - smtp\n";
        assert_eq!(
            warnings(main, master),
            ["/etc/postfix/main.cf: unused parameter: never=$again", "/etc/postfix/main.cf: unused parameter: people_foo=y"]
        );
        assert_eq!(warnings("uucp_destination_recipient_limit = 1\nuucp_time_limit = 1h\n", "uucp unix - n n - - pipe flags=F"), [""; 0]);
        assert_eq!(warnings("uucp_time_limit = 1h\n", "uucp unix - - n - - smtp").len(), 1);
    }

    // S-CONF-05
    #[test]
    fn undefined_names_are_reported_where_they_stand() {
        let config =
            Config::parse("relayhost = $nosuch${smtp_fallback_relay}\nunused = ${other?{$x}}\nforward_path = $home\n", "main.cf").unwrap();
        let text = "a inet n - n - - smtpd -o mine=x -o relayhost=$mine$zz\n";
        let names = Names::collect(&config, &MasterFile::parse(text, "master.cf").unwrap());
        let undefined: Vec<&str> = names.undefined.iter().map(String::as_str).collect();
        assert_eq!(
            undefined,
            [
                "main.cf: undefined parameter: nosuch",
                "main.cf: undefined parameter: other",
                "main.cf: undefined parameter: x",
                "master.cf: undefined parameter: zz"
            ]
        );
    }

    #[test]
    fn deprecated_names_and_comments_are_reported() {
        assert_eq!(
            warnings("smtpd_use_tls = yes\nsmtpd_tls_eecdh_grade = auto\nrelayhost = [a] # the smarthost of our provider\n", ""),
            [
                "/etc/postfix/main.cf: support for parameter \"smtpd_tls_eecdh_grade\" will be removed; instead, do not specify (leave at default)",
                "/etc/postfix/main.cf: support for parameter \"smtpd_use_tls\" will be removed; instead, specify \"smtpd_tls_security_level\"",
                "/etc/postfix/main.cf: #comment after other text is not allowed: # the smarthost of our..."
            ]
        );
        assert_eq!(warnings("relayhost = a#b\n", ""), [""; 0]);
    }

    // S-CONF-16, S-CONF-18
    #[test]
    fn programs_check_what_they_read() {
        let check = |text: &str, program: &str| {
            Config::parse(text, "m").unwrap().check(program, true).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(check("in_flow_delay = 11", "sendmail"), "invalid in_flow_delay: 11 (max 10)");
        assert_eq!(check("mailbox_size_limit = x", "local"), "bad numerical configuration: mailbox_size_limit = x");
        assert_eq!(check("biff = maybe", "local"), "bad boolean configuration: biff = maybe");
        assert!(check("myhostname = a..b", "smtpd").starts_with("file m: parameter myhostname: bad parameter value: a..b"));
        assert_eq!(check("", "smtpd"), "");
    }
}
