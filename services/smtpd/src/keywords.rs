//! What is looked up for each client when it connects: EHLO keywords to leave out, exemption from the rule on bare newlines, who may use
//! XCLIENT, XFORWARD and XVERP, whose dialogue is logged.

use posthaste_config::{Config, split_list};
use posthaste_log::warn;
use posthaste_service::Fatal;
use posthaste_smtp_protocol::server::{Client, Rules, keyword};
use posthaste_table::{AddressList, Maps};

/// `smtpd_discard_ehlo_keywords`, `…_address_maps`, `smtpd_forbid_bare_newline_exclusions`.
pub struct Keywords {
    all: u32,
    maps: Maps,
    bare_newline: AddressList,
    xclient: AddressList,
    xforward: AddressList,
    verp: AddressList,
    debug: AddressList,
    log: posthaste_log::Logger,
}

impl Keywords {
    pub fn open(config: &Config, log: &posthaste_log::Logger) -> Result<Keywords, Fatal> {
        let parents = config.text("parent_domain_matches_subdomains")?;
        let name = "smtpd_forbid_bare_newline_exclusions";
        // "The same parent-domain matching behavior as mynetworks."
        let has_parents = split_list(&parents).any(|word| word == "mynetworks");
        let exclusions = AddressList::open(name, &config.text(name)?, has_parents, config).map_err(|error| Fatal(error.reason))?;
        let clients = |name: &str| -> Result<AddressList, Fatal> {
            let has_parents = split_list(&parents).any(|word| word == name);
            AddressList::open(name, &config.text(name)?, has_parents, config).map_err(|error| Fatal(error.reason))
        };
        let maps = "smtpd_discard_ehlo_keyword_address_maps";
        Ok(Keywords {
            all: general(config, log)?,
            maps: Maps::open(maps, &config.text(maps)?, config),
            bare_newline: exclusions,
            xclient: clients("smtpd_authorized_xclient_hosts")?,
            xforward: clients("smtpd_authorized_xforward_hosts")?,
            verp: clients("smtpd_authorized_verp_clients")?,
            debug: clients("debug_peer_list")?,
            log: log.clone(),
        })
    }

    /// The rules for one client.
    pub fn of(&self, client: &Client) -> Rules {
        let mut discard = self.all;
        let mut unknown = 0;
        // The table's answer takes the place of the general list.
        match self.maps.find(client.address.as_slice().into()) {
            Ok(Some(value)) => discard = bits(&String::from_utf8_lossy(&value), &self.log),
            Ok(None) => {}
            Err(_) => unknown |= keyword::ANY,
        }
        let matches = |list: &AddressList| list.matches(client.name.as_slice().into(), client.address.as_slice().into());
        let mut authorized = |list: &AddressList, bit: u32| {
            matches(list).unwrap_or_else(|_| {
                unknown |= bit;
                false
            })
        };
        let xclient = authorized(&self.xclient, keyword::XCLIENT);
        let xforward = authorized(&self.xforward, keyword::XFORWARD);
        let verp = authorized(&self.verp, keyword::VERP);
        Rules {
            discard,
            bare_newline_excluded: matches(&self.bare_newline).unwrap_or(false),
            xclient,
            xforward,
            verp,
            unknown,
            debug: self.log.verbose() > 0 || matches(&self.debug).unwrap_or(false),
        }
    }
}

/// `smtpd_discard_ehlo_keywords`.
pub fn general(config: &Config, log: &posthaste_log::Logger) -> Result<u32, Fatal> {
    Ok(bits(&config.text("smtpd_discard_ehlo_keywords")?, log))
}

fn bits(value: &str, log: &posthaste_log::Logger) -> u32 {
    split_list(value).fold(0, |bits, word| match keyword::bit(word) {
        Some(bit) => bits | bit,
        None => {
            warn!(log, "unknown EHLO keyword \"{word}\" in \"{value}\"");
            bits
        }
    })
}
