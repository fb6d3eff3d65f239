//! Address mapping by tables: canonical(5), masquerading, virtual(5) (ADDRESS_REWRITING_README).

use crate::Profile;
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_address::list::AddressList;
use posthaste_config::{ConfigError, split_list};
use posthaste_log::warn;
use posthaste_queue::QueueId;
use posthaste_route::Context;
use posthaste_table::{AddressFound, AddressSearch, LocalPart, Maps, StringList};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How often canonical maps are asked again for what they answered, before that is taken for a loop.
const CANONICAL_DEPTH: usize = 1000;

/// How much of an address that is too long a log line shows.
const SHOWN: usize = 300;

/// Which addresses a mapping is for (`canonical_classes` and so on).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(u8);

impl Classes {
    pub const ENVELOPE_SENDER: Classes = Classes(1);
    pub const ENVELOPE_RECIPIENT: Classes = Classes(2);
    pub const HEADER_SENDER: Classes = Classes(4);
    pub const HEADER_RECIPIENT: Classes = Classes(8);

    pub fn parse(name: &str, value: &str) -> Result<Classes, ConfigError> {
        split_list(value)
            .map(|word| match word.to_ascii_lowercase().as_str() {
                "envelope_sender" => Ok(1),
                "envelope_recipient" => Ok(2),
                "header_sender" => Ok(4),
                "header_recipient" => Ok(8),
                _ => Err(ConfigError::Bad(format!("unknown {name} value \"{word}\" in \"{value}\""))),
            })
            .try_fold(Classes(0), |sum, bit| Ok(Classes(sum.0 | bit?)))
    }

    fn has(self, class: Classes) -> bool {
        self.0 & class.0 != 0
    }

    /// Sender, of envelope or header.
    fn is_sender(self) -> bool {
        self.0 & 5 != 0
    }
}

/// `masquerade_domains`: hosts behind a gateway that carry its name outside.
pub(crate) struct Masquerade {
    /// Left alone, and name, in order.
    domains: Vec<(bool, String)>,
    exceptions: StringList,
    classes: Classes,
}

impl Masquerade {
    pub fn new(domains: &str, exceptions: StringList, classes: Classes) -> Masquerade {
        let domains = split_list(domains).map(|word| match word.strip_prefix('!') {
            Some(name) => (true, name.to_ascii_lowercase()),
            None => (false, word.to_ascii_lowercase()),
        });
        Masquerade { domains: domains.collect(), exceptions, classes }
    }

    /// Strips the names of hosts off the address. The first domain that fits decides.
    fn apply(&self, address: &Address) -> Result<Option<Address>, Failure> {
        if self.domains.is_empty() {
            return Ok(None);
        }
        let Some(domain) = address.domain() else { return Ok(None) };
        // Asked first, whatever the domain: a table that fails defers the mail.
        if self.exceptions.matches(external_local(address).as_bstr()).map_err(|_| Failure::Lookup)? {
            return Ok(None);
        }
        let domain = domain.to_ascii_lowercase();
        let fits = |name: &str| domain.strip_suffix(name.as_bytes()).is_some_and(|host| host.is_empty() || host.ends_with(b"."));
        let Some((except, name)) = self.domains.iter().find(|(_, name)| fits(name)) else { return Ok(None) };
        if *except || domain == name.as_bytes() {
            return Ok(None);
        }
        Ok(Some(Address::new([address.local().as_bytes(), b"@", name.as_bytes()].concat())))
    }
}

/// Why an address could not be mapped. It has been logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A table could not be asked.
    Lookup,
    /// Virtual aliases make no end.
    Alias,
}

impl Profile {
    /// Whether no table says anything about addresses of this class.
    pub(crate) fn leaves_alone(&self, class: Classes) -> bool {
        let canonical = !self.canonical_maps.is_empty() && self.canonical_classes.has(class);
        let (maps, classes) = self.canonical_for(class);
        let own = !maps.is_empty() && classes.has(class);
        let masquerade = !self.masquerade.domains.is_empty() && self.masquerade.classes.has(class);
        !canonical && !own && !masquerade
    }

    fn canonical_for(&self, class: Classes) -> (&Maps, Classes) {
        match class.is_sender() {
            true => (&self.sender_canonical_maps, self.sender_canonical_classes),
            false => (&self.recipient_canonical_maps, self.recipient_canonical_classes),
        }
    }

    /// Canonical maps (those for senders or recipients first), then masquerading.
    pub(crate) fn map_address(&self, id: &QueueId, class: Classes, address: Address) -> Result<Address, Failure> {
        if self.leaves_alone(class) {
            return Ok(address);
        }
        let mut address = address;
        let own = self.canonical_for(class);
        for (maps, classes) in [own, (&self.canonical_maps, self.canonical_classes)] {
            if !maps.is_empty() && classes.has(class) {
                address = self.canonical(id, maps, address)?;
            }
        }
        if self.masquerade.classes.has(class)
            && let Some(masked) = self.masquerade.apply(&address)?
        {
            address = masked;
        }
        Ok(address)
    }

    /// Asks a canonical table, and again for its answer, until there is no more to change.
    fn canonical(&self, id: &QueueId, maps: &Maps, address: Address) -> Result<Address, Failure> {
        let mut current = address.clone();
        for _ in 0..CANONICAL_DEPTH {
            let Some(found) = self.find_logged(id, maps, &current)? else { return Ok(current) };
            let mut results = self.results(&current, &found, self.propagate_canonical);
            if results.len() > 1 {
                warn!(self.log, "{id}: multi-valued {} entry for {}", maps.title(), current.external());
            }
            if results.is_empty() {
                return Ok(current);
            }
            let next = results.swap_remove(0);
            if next.as_bytes().eq_ignore_ascii_case(current.as_bytes()) || next.is_empty() {
                return Ok(next);
            }
            current = next;
        }
        warn!(self.log, "{id}: unreasonable {} map nesting for {address} -- message not accepted, try again later", maps.title());
        Ok(address)
    }

    /// The recipients that an address stands for (`virtual_alias_maps`), itself if it is no alias.
    ///
    /// An alias is replaced in place by its first result; its other results go to the end of the list, where they are looked up in their
    /// turn. So `virtual_alias_recursion_limit` counts replacements at one place, and `virtual_alias_expansion_limit` places that are done.
    pub(crate) fn expand(&self, id: &QueueId, address: &Address) -> Result<Vec<Address>, Failure> {
        let maps = &self.virtual_alias_maps;
        // Each with whether it is to be looked up: an alias that names itself means the mailbox of that name.
        let mut list = vec![(address.clone(), true)];
        let mut at = 0;
        while at < list.len() {
            if at >= self.virtual_alias_expansion_limit {
                return Err(self.unreasonable(id, &format!("map expansion size for {address}")));
            }
            let mut replaced = 0;
            while list[at].1 {
                let current = list[at].0.clone();
                let Some(found) = self.find_logged(id, maps, &current)? else { break };
                replaced += 1;
                for (n, result) in self.results(&current, &found, self.propagate_virtual).into_iter().enumerate() {
                    if result.as_bytes().len() > self.virtual_alias_address_length_limit {
                        let text = &result.as_bytes()[..result.as_bytes().len().min(SHOWN)];
                        return Err(self.unreasonable(id, &format!("result {}...", text.as_bstr())));
                    }
                    let more = !result.as_bytes().eq_ignore_ascii_case(current.as_bytes());
                    match n {
                        0 => list[at] = (result, more),
                        _ => list.push((result, more)),
                    }
                }
                if list[at].1 && replaced >= self.virtual_alias_recursion_limit {
                    return Err(self.unreasonable(id, &format!("map nesting for {address}")));
                }
            }
            at += 1;
        }
        Ok(list.into_iter().map(|(recipient, _)| recipient).collect())
    }

    fn unreasonable(&self, id: &QueueId, what: &str) -> Failure {
        let title = self.virtual_alias_maps.title();
        warn!(self.log, "{id}: unreasonable {title} {what} -- message not accepted, try again later");
        Failure::Alias
    }

    fn find_logged(&self, id: &QueueId, maps: &Maps, address: &Address) -> Result<Option<AddressFound>, Failure> {
        self.find(maps, address, false).inspect_err(|_| self.lookup_problem(id, maps, &format!(" for {address}")))
    }

    fn lookup_problem(&self, id: &QueueId, maps: &Maps, whose: &str) {
        warn!(self.log, "{id}: {} map lookup problem{whose} -- message not accepted, try again later", maps.title());
    }

    /// Looks up an address: full, without extension, local part (of local domains), `@domain`; with quotes where it needs some, and
    /// `unquoted` too. The key of the empty address is `""`: a table that has all keys has that too.
    fn find(&self, maps: &Maps, address: &Address, unquoted: bool) -> Result<Option<AddressFound>, Failure> {
        if maps.is_empty() {
            return Ok(None);
        }
        if address.is_empty() {
            let value = maps.find("\"\"".into()).map_err(|_| Failure::Lookup)?;
            return Ok(value.map(|value| AddressFound { value, extension: BString::default() }));
        }
        let failed = AtomicBool::new(false);
        let bare = |domain: &BStr| {
            self.locals.stands_for_bare(domain).unwrap_or_else(|_| {
                failed.store(true, Relaxed);
                false
            })
        };
        let mut search = AddressSearch::rewriting(&self.recipient_delimiter, LocalPart::When(&bare));
        search.owner_request_special = self.owner_request_special;
        search.unquoted = unquoted;
        let found = maps.find_address(address, &search);
        match failed.into_inner() {
            true => Err(Failure::Lookup),
            false => found.map_err(|_| Failure::Lookup),
        }
    }

    /// A table of bcc addresses: one address, taken as it is; none where the key is not found.
    pub(crate) fn find_bcc(&self, id: &QueueId, maps: &Maps, address: &Address) -> Result<Option<Address>, Failure> {
        let found = self.find(maps, address, true).inspect_err(|_| self.lookup_problem(id, maps, ""))?;
        Ok(found.map(|found| Address::new(found.value)))
    }

    /// The addresses of a table's answer, complete: `@domain` takes the local part of the key; an extension that was left out of the key is
    /// put back.
    fn results(&self, key: &Address, found: &AddressFound, propagate: bool) -> Vec<Address> {
        let list = AddressList::parse(&found.value, self.header_address_token_limit);
        let mut results = Vec::new();
        for external in list.addresses() {
            let address = match external.strip_prefix(b"@") {
                Some(domain) => Address::new([key.local().as_bytes(), b"@", domain].concat()),
                None => Address::from_external(external),
            };
            let mut address = self.rewriter.rewrite(Context::Local, &address);
            if propagate && !found.extension.is_empty() && !address.is_empty() {
                address = with_extension(&address, &found.extension);
            }
            results.push(address);
        }
        if results.is_empty() {
            results.push(Address::empty());
        }
        results
    }
}

/// The local part as it stands in a header, with quotes where it needs some.
fn external_local(address: &Address) -> Cow<'_, BStr> {
    match address.external_cow() {
        Cow::Borrowed(_) => Cow::Borrowed(address.local()),
        Cow::Owned(mut external) => {
            let at = external.rfind_byte(b'@').unwrap_or(external.len());
            external.truncate(at);
            Cow::Owned(external)
        }
    }
}

/// `user@domain` with `+extension` becomes `user+extension@domain`.
fn with_extension(address: &Address, extension: &[u8]) -> Address {
    let local = address.local();
    let mut text = BString::from(local);
    text.extend_from_slice(extension);
    text.extend_from_slice(&address.as_bytes()[local.len()..]);
    Address::new(text)
}
