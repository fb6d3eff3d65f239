//! Whether there is such an address: the tables of each address class (ADDRESS_CLASS_README, LOCAL_RECIPIENT_README).

use super::parse::Subject;
use bstr::{BStr, BString};
use posthaste_address::Address;
use posthaste_config::{Config, ConfigError};
use posthaste_route::{Class, Route, Router};
use posthaste_table::{AddressSearch, LocalPart, Maps, TableError};
use std::sync::Arc;

/// The tables that list addresses.
pub struct Recipients {
    local: Maps,
    virtual_alias: Maps,
    virtual_mailbox: Maps,
    relay: Maps,
    relocated: Maps,
    canonical: Maps,
    recipient_canonical: Maps,
    sender_canonical: Maps,
    delimiters: String,
    owner_request_special: bool,
    router: Arc<Router>,
}

/// What the tables say of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It exists, or nobody can say that it does not.
    Listed,
    /// In `relocated_maps`, with the new address.
    Moved(BString),
    /// Not in the table of its class.
    Unknown(Class),
}

impl Recipients {
    pub fn open(config: &Config, router: Arc<Router>) -> Result<Recipients, ConfigError> {
        let maps = |name: &str| -> Result<Maps, ConfigError> { Ok(Maps::open(name, &config.text(name)?, config)) };
        Ok(Recipients {
            local: maps("local_recipient_maps")?,
            virtual_alias: maps("virtual_alias_maps")?,
            virtual_mailbox: maps("virtual_mailbox_maps")?,
            relay: maps("relay_recipient_maps")?,
            relocated: maps("relocated_maps")?,
            canonical: maps("canonical_maps")?,
            recipient_canonical: maps("recipient_canonical_maps")?,
            sender_canonical: maps("sender_canonical_maps")?,
            delimiters: config.text("recipient_delimiter")?,
            owner_request_special: config.bool("owner_request_special")?,
            router,
        })
    }

    /// Whether a lookup may wait for another process or host.
    fn may_block(&self, class: Class) -> bool {
        let of_class = match class {
            Class::Local => &self.local,
            Class::VirtualMailbox => &self.virtual_mailbox,
            Class::Relay => &self.relay,
            Class::VirtualAlias | Class::Default => &self.virtual_alias,
        };
        [of_class, &self.virtual_alias, &self.relocated, &self.canonical, &self.recipient_canonical, &self.sender_canonical]
            .iter()
            .any(|maps| maps.may_block())
    }

    /// Looks an address up where cleanup, the queue manager and the delivery agent will; on a thread if that may block.
    pub async fn find(self: &Arc<Self>, route: &Route, subject: Subject) -> Result<Finding, TableError> {
        if !self.may_block(route.class) {
            return self.search(route, subject);
        }
        let (recipients, route) = (Arc::clone(self), route.clone());
        let work = tokio::task::spawn_blocking(move || recipients.search(&route, subject));
        work.await.unwrap_or_else(|_| Err(TableError::new("recipient maps", "the lookup was given up")))
    }

    fn search(&self, route: &Route, subject: Subject) -> Result<Finding, TableError> {
        let address = &route.recipient;
        // What cleanup will rewrite exists.
        let rewriting = if subject == Subject::Recipient { &self.recipient_canonical } else { &self.sender_canonical };
        for maps in [rewriting, &self.canonical, &self.virtual_alias] {
            if self.listed(maps, address, true)?.is_some() {
                return Ok(Finding::Listed);
            }
        }
        if let Some(new) = self.listed(&self.relocated, address, true)? {
            return Ok(Finding::Moved(new));
        }
        let (maps, local_part) = match route.class {
            Class::Local => (&self.local, true),
            Class::VirtualMailbox => (&self.virtual_mailbox, false),
            Class::Relay => (&self.relay, false),
            // All good addresses of such a domain were found above.
            Class::VirtualAlias => return Ok(Finding::Unknown(Class::VirtualAlias)),
            Class::Default => return Ok(Finding::Listed),
        };
        // No table: all addresses are good.
        if maps.is_empty() || self.listed(maps, address, local_part)?.is_some() {
            return Ok(Finding::Listed);
        }
        Ok(Finding::Unknown(route.class))
    }

    fn listed(&self, maps: &Maps, address: &Address, local_part: bool) -> Result<Option<BString>, TableError> {
        if maps.is_empty() {
            return Ok(None);
        }
        let locals = self.router.locals();
        let is_local = |domain: &BStr| locals.stands_for_bare(domain).unwrap_or(false);
        let part = if local_part { LocalPart::When(&is_local) } else { LocalPart::Never };
        let search =
            AddressSearch { owner_request_special: self.owner_request_special, ..AddressSearch::rewriting(&self.delimiters, part) };
        Ok(maps.find_address(address, &search)?.map(|found| found.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_address::Address;

    fn find(main_cf: &str, address: &str) -> Finding {
        let text = format!(
            "myhostname = mail.example.com\nmydestination = example.com\nmynetworks = 127.0.0.1\nalias_maps =\ninet_interfaces = 127.0.0.1\n\
             compatibility_level = 3.6\n{main_cf}\n"
        );
        let config = Config::parse(&text, "main.cf").unwrap();
        let router = Arc::new(Router::open(&config, false).unwrap());
        let recipients = Recipients::open(&config, Arc::clone(&router)).unwrap();
        let route = router.resolve(&Address::empty(), &Address::new(address)).unwrap();
        recipients.search(&route, Subject::Recipient).unwrap()
    }

    const MAPS: &str = "recipient_delimiter = +\nlocal_recipient_maps = inline:{ alice=x, bob@example.com=x }\n\
        virtual_alias_maps = inline:{ al.example=x, good@al.example=alice, virt@example.com=alice }\n\
        virtual_mailbox_domains = vm.example\nvirtual_mailbox_maps = inline:{ box@vm.example=x }\n\
        relay_domains = relay.example, open.example\nrelay_recipient_maps = inline:{ ok@relay.example=x, @open.example=x }\n\
        relocated_maps = inline:{ gone@example.com=there@x }";

    /// S-UBE and the parity scenarios: the user unknown in each class.
    #[test]
    fn each_class() {
        for address in ["alice@example.com", "alice", "alice+ext@example.com", "bob@example.com", "virt+x@example.com", "good@al.example"] {
            assert_eq!(find(MAPS, address), Finding::Listed, "{address}");
        }
        for address in ["box+x@vm.example", "ok@relay.example", "any@open.example", "any@elsewhere.example"] {
            assert_eq!(find(MAPS, address), Finding::Listed, "{address}");
        }
        for (address, class) in [
            ("nobody@example.com", Class::Local),
            ("bad@al.example", Class::VirtualAlias),
            ("bad@vm.example", Class::VirtualMailbox),
            ("bad@relay.example", Class::Relay),
        ] {
            assert_eq!(find(MAPS, address), Finding::Unknown(class), "{address}");
        }
        assert_eq!(find(MAPS, "gone@example.com"), Finding::Moved("there@x".into()));
        assert_eq!(find("local_recipient_maps =", "nobody@example.com"), Finding::Listed);
    }
}
