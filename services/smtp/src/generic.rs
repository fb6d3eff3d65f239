//! `smtp_generic_maps` (generic(5)): addresses that are known only here become addresses that the world knows.

use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_address::list::AddressList;
use posthaste_config::{Config, ConfigError, split_list};
use posthaste_mime::Header;
use posthaste_route::{Context, LocalDomains, Rewriter};
use posthaste_table::{AddressSearch, LocalPart, Maps, TableError};

/// The tables, and what is needed to use them.
pub struct Generic {
    maps: Maps,
    delimiters: String,
    propagate: bool,
    local: LocalDomains,
    rewriter: Rewriter,
    token_limit: usize,
}

/// Headers whose addresses are changed.
const HEADERS: [&str; 22] = [
    "apparently-to",
    "bcc",
    "cc",
    "disposition-notification-to",
    "errors-to",
    "from",
    "mail-followup-to",
    "mail-reply-to",
    "reply-to",
    "resent-bcc",
    "resent-cc",
    "resent-from",
    "resent-reply-to",
    "resent-sender",
    "resent-to",
    "return-path",
    "return-receipt-to",
    "sender",
    "to",
    "x-apparently-to",
    "x-envelope-to",
    "x-original-to",
];

impl Generic {
    /// `None` when no table is configured.
    pub fn open(config: &Config, parameter: &str) -> Result<Option<Generic>, ConfigError> {
        let maps = Maps::open(parameter, &config.text(parameter)?, config);
        if maps.is_empty() {
            return Ok(None);
        }
        Ok(Some(Generic {
            maps,
            delimiters: config.text("recipient_delimiter")?,
            propagate: split_list(&config.text("propagate_unmatched_extensions")?).any(|word| word == "generic"),
            local: LocalDomains::open(config)?,
            rewriter: Rewriter::open(config)?,
            token_limit: usize::try_from(config.int("header_address_token_limit")?).unwrap_or(usize::MAX),
        }))
    }

    /// The address to use instead; `None` to leave it.
    pub fn address(&self, address: &Address) -> Result<Option<Address>, TableError> {
        if address.is_empty() {
            return Ok(None);
        }
        let is_local = |domain: &BStr| self.local.stands_for_bare(domain).unwrap_or(false);
        let mut search = AddressSearch::rewriting(&self.delimiters, LocalPart::When(&is_local));
        search.unquoted = false;
        let Some(found) = self.maps.find_address(address, &search)? else { return Ok(None) };
        let value = found.value.trim_ascii();
        let mut new: BString = match value.strip_prefix(b"@") {
            // `@domain` keeps the local part.
            Some(domain) => [address.local().as_bytes(), b"@", domain].concat().into(),
            None => {
                let list = AddressList::parse(value, self.token_limit);
                let Some(first) = list.addresses().next() else { return Ok(None) };
                Address::from_external(first).as_bytes().to_owned()
            }
        };
        if self.propagate && !found.extension.is_empty() && !value.starts_with(b"@") {
            let at = new.rfind_byte(b'@').unwrap_or(new.len());
            new.splice(at..at, found.extension.iter().copied());
        }
        // Completed as a local address is: `user` and `user@host` in a table are this site's shorthand.
        let new = self.rewriter.rewrite(Context::Local, &Address::new(new));
        Ok((new != *address).then_some(new))
    }

    /// The header with its addresses changed; `None` when nothing changes.
    pub fn header(&self, header: &Header<'_>) -> Result<Option<BString>, TableError> {
        if !HEADERS.iter().any(|name| header.is(name)) {
            return Ok(None);
        }
        let mut list = AddressList::parse(header.value(), self.token_limit);
        let changed = list.replace(|external| Ok(self.address(&Address::from_external(external))?.map(|new| new.external())))?;
        Ok(changed.then(|| list.header(header.name())))
    }
}
