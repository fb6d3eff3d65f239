//! Which domains are this host's own.

use crate::{bad, domain};
use bstr::BStr;
use posthaste_config::{Config, ConfigError};
use posthaste_table::{StringList, TableError};
use std::net::IpAddr;

/// `mydestination`, and the addresses of `inet_interfaces` and `proxy_interfaces` as `[1.2.3.4]`.
pub struct LocalDomains {
    myorigin: String,
    mydestination: StringList,
    pub(crate) addresses: Vec<IpAddr>,
}

impl LocalDomains {
    /// From main.cf. Asks the system for its addresses and may resolve host names.
    pub fn open(config: &Config) -> Result<LocalDomains, ConfigError> {
        let mut addresses: Vec<IpAddr> = config.own_addresses()?.into_iter().map(|entry| entry.address).collect();
        addresses.extend(config.proxy_addresses()?);
        Ok(LocalDomains {
            myorigin: config.origin()?,
            mydestination: StringList::open("mydestination", &config.text("mydestination")?, config).map_err(bad)?,
            addresses,
        })
    }

    /// Whether some table in `mydestination` may block.
    pub fn may_block(&self) -> bool {
        self.mydestination.may_block()
    }

    /// Whether this host is the final destination for the domain (address class `local`).
    pub fn contains(&self, name: &BStr) -> Result<bool, TableError> {
        let listed = self.mydestination.matches(name)?;
        Ok(listed || domain::literal(name).is_some_and(|address| self.addresses.contains(&address)))
    }

    /// Whether a table key without a domain stands for this domain: it is `myorigin`, or local.
    pub fn stands_for_bare(&self, name: &BStr) -> Result<bool, TableError> {
        Ok(name.eq_ignore_ascii_case(self.myorigin.as_bytes()) || self.contains(name)?)
    }
}
