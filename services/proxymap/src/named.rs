//! Which tables may be asked for: those of `proxy_read_maps`, and for requests that were not written with `proxy:` those of the whole
//! configuration.

use posthaste_config::{Config, ConfigError, MasterFile};
use posthaste_log::{Logger, warn};
use posthaste_table::{DATABASE_TYPES, syntax};
use std::collections::HashSet;

/// The tables with `proxy:` in front, also those within braces (`unionmap:{proxy:…}`), without it.
pub fn with_proxy(value: &str, found: &mut HashSet<String>) {
    for word in syntax::words(value) {
        if let Some(table) = word.strip_prefix("proxy:") {
            found.insert(table.to_owned());
        } else if let Some((_, name)) = word.split_once(':')
            && let Ok(inner) = syntax::inside_braces(name)
        {
            with_proxy(inner, found);
        }
    }
}

/// The tables of database types, wherever they stand in the value: in lists, after the name of a restriction, within other tables.
pub fn databases(value: &str, found: &mut HashSet<String>) {
    for word in syntax::words(value) {
        let word = word.trim_start_matches('!');
        if let Ok(inner) = syntax::inside_braces(word) {
            databases(inner, found);
        } else if let Some((kind, name)) = word.split_once(':') {
            if name.starts_with("//") {
                // A URL that looks like a table: `ldap://host` in old-style settings.
            } else if DATABASE_TYPES.contains(&kind) {
                found.insert(word.to_owned());
            } else {
                databases(syntax::inside_braces(name).unwrap_or(name), found);
            }
        }
    }
}

/// The parameters whose tables are changed by services.
const WRITTEN: [&str; 3] = ["address_verify_map", "postscreen_cache_map", "proxy_write_maps"];

/// The tables of database types that main.cf or an `-o` of master.cf names: those that are written, or all others.
pub fn in_configuration(config: &Config, written: bool, log: &Logger) -> Result<HashSet<String>, ConfigError> {
    let mut found = HashSet::new();
    let wanted = |name: &str| WRITTEN.contains(&name) == written;
    in_parameters(config, &[], wanted, &mut found);
    let entries = match MasterFile::load(config.directory()) {
        // Warnings are master's to give.
        Ok(file) => file.entries(config, &mut Vec::new())?,
        Err(error) => {
            warn!(log, "{error}: tables that are named in master.cf are not answered for");
            return Ok(found);
        }
    };
    for entry in &entries {
        let overrides: Vec<_> = entry.overrides().collect();
        if !overrides.is_empty() {
            let names: Vec<_> = overrides.iter().map(|(name, _)| *name).collect();
            in_parameters(&config.with_overrides(overrides)?, &names, wanted, &mut found);
        }
    }
    Ok(found)
}

fn in_parameters(config: &Config, overridden: &[&str], wanted: impl Fn(&str) -> bool, found: &mut HashSet<String>) {
    for name in config.settings().map(|(name, _)| name).chain(overridden.iter().copied()).filter(|name| wanted(name)) {
        // A value that cannot be expanded is no table's name, and whoever uses it says what is wrong with it.
        if let Ok(Some(value)) = config.lookup(name)
            && value.contains(':')
        {
            databases(&value, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str) -> Vec<String> {
        let mut found = HashSet::new();
        databases(value, &mut found);
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    // S-TABLE-11
    #[test]
    fn databases_are_found_wherever_they_stand() {
        assert_eq!(found("hash:/x, mysql:/etc/a.cf pgsql:/etc/b.cf"), ["mysql:/etc/a.cf", "pgsql:/etc/b.cf"]);
        assert_eq!(found("permit_mynetworks, check_client_access mysql:/a, reject"), ["mysql:/a"]);
        assert_eq!(found("!sqlite:/a, !hash:/b"), ["sqlite:/a"]);
        assert_eq!(found("pipemap:{unionmap:{ldap:a, mysql:/b}, debug:pgsql:/c}"), ["ldap:a", "mysql:/b", "pgsql:/c"]);
        assert_eq!(found("{ check_sasl_access memcache:/a, reject }"), ["memcache:/a"]);
        assert_eq!(found("proxy:mysql:/a"), ["mysql:/a"]);
        for none in ["smtp:[mysql.example]:25", "ldap://127.0.0.1:389", "mongodb://user:password@host/db"] {
            assert_eq!(found(none), Vec::<String>::new(), "{none}");
        }
    }

    // S-TABLE-11
    #[test]
    fn of_main_cf_and_of_master_cf() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("main.cf"),
            "base = mysql:/etc/\nvirtual_alias_maps = ${base}aliases.cf\nown_class = $other\nother =\naddress_verify_map = memcache:/v\n",
        )
        .unwrap();
        std::fs::write(
            folder.path().join("master.cf"),
            "smtp inet n - n - - smtpd\n -o other=pgsql:/b -o { smtpd_client_restrictions = check_client_access sqlite:/c }\n",
        )
        .unwrap();
        let config = Config::load(folder.path()).unwrap();
        let named = |written| {
            let found = in_configuration(&config, written, &Logger::new("postfix/proxymap")).unwrap();
            let mut found: Vec<_> = found.into_iter().collect();
            found.sort_unstable();
            found
        };
        assert_eq!(named(false), ["mysql:/etc/", "mysql:/etc/aliases.cf", "pgsql:/b", "sqlite:/c"]);
        assert_eq!(named(true), ["memcache:/v"]);
    }
}
