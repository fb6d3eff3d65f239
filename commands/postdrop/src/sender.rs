//! Which senders a user may use: `local_login_sender_maps`.

use bstr::BStr;
use posthaste_address::Address;
use posthaste_config::{Config, ConfigError};
use posthaste_table::{Maps, TableError};

/// The senders of one user.
pub struct Allowed {
    /// `None`: all, as by default.
    maps: Option<Maps>,
    user: String,
    /// Stands for the empty sender.
    empty: String,
    delimiters: String,
    owner_request_special: bool,
}

impl Allowed {
    pub fn new(config: &Config, user: String) -> Result<Allowed, ConfigError> {
        let name = "local_login_sender_maps";
        let value = config.text(name)?;
        Ok(Allowed {
            maps: (value != "static:*").then(|| Maps::open(name, &value, config)),
            user,
            empty: config.text("empty_address_local_login_sender_maps_lookup_key")?,
            delimiters: config.text("recipient_delimiter")?,
            owner_request_special: config.bool("owner_request_special")?,
        })
    }

    /// Whether the user may use this sender. Asks tables.
    pub fn contains(&self, sender: &[u8]) -> Result<bool, TableError> {
        let Some(maps) = &self.maps else { return Ok(true) };
        let Some(patterns) = maps.find(BStr::new(&self.user))? else { return Ok(false) };
        let sender = Address::new(sender);
        let plain = sender.split_extension(&self.delimiters, self.owner_request_special).map_or(sender, |(plain, _)| plain);
        let mut words = patterns.split(|c| *c == b',' || c.is_ascii_whitespace());
        Ok(words.any(|pattern| !pattern.is_empty() && matches(pattern, &plain, self.empty.as_bytes())))
    }
}

fn matches(pattern: &[u8], sender: &Address, empty: &[u8]) -> bool {
    if pattern == b"*" {
        return true;
    }
    if sender.is_empty() {
        return pattern == empty;
    }
    match pattern.strip_prefix(b"@") {
        Some(domain) => sender.domain().is_some_and(|of| of.eq_ignore_ascii_case(domain)),
        None => sender.as_bytes().eq_ignore_ascii_case(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(senders: &str) -> Allowed {
        let text = format!("local_login_sender_maps = inline:{{ {{alice={senders}}} }}\nrecipient_delimiter = +\n");
        Allowed::new(&Config::parse(&text, "main.cf").unwrap(), "alice".into()).unwrap()
    }

    // The first seven as observed of Postfix.
    #[test]
    fn patterns() {
        let may = |senders: &str, sender: &str| allowed(senders).contains(sender.as_bytes()).unwrap();
        assert!(!may("carol@example.com @foo.com <>", "a@b"));
        assert!(may("carol@example.com @foo.com <>", "Carol@Example.com"));
        assert!(may("carol@example.com @foo.com <>", "x@foo.com"));
        assert!(may("carol@example.com @foo.com <>", ""));
        assert!(may("*", "") && may("*", "x@y"));
        assert!(may("alice", "alice") && !may("alice", "alice@example.com") && !may("alice", ""));
        assert!(may("alice@example.com", "alice+ext@example.com"));
    }

    #[test]
    fn unlisted_users_may_use_none() {
        let config = Config::parse("local_login_sender_maps = inline:{ {alice=*} }\n", "main.cf").unwrap();
        assert!(!Allowed::new(&config, "bob".into()).unwrap().contains(b"bob").unwrap());
        let config = Config::parse("", "main.cf").unwrap();
        assert!(Allowed::new(&config, "bob".into()).unwrap().contains(b"anybody").unwrap());
    }
}
