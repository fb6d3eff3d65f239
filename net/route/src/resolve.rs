//! Resolving an address to transport, next hop and recipient: what trivial-rewrite(8) calls a `resolve` request.

use crate::{Class, Route, RouteError, Router, domain, literal, lookup_failure};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_address::token::{self, Form, Token};
use posthaste_log::warn;
use posthaste_table::{AddressFound, AddressSearch, LocalPart, Maps};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What an `error:` or `retry:` without a text in the transport table says.
const UNDELIVERABLE: &str = "Address is undeliverable";

/// `transport:nexthop` as in main.cf; either may be empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) transport: String,
    pub(crate) nexthop: BString,
}

impl Target {
    /// Splits at the first colon.
    pub(crate) fn parse(text: &[u8]) -> Target {
        let (transport, nexthop) = text.split_once_str(":").unwrap_or((text, b""));
        Target { transport: transport.to_str_lossy().into_owned(), nexthop: nexthop.into() }
    }
}

/// An address without its local domains and routing operators.
struct Reduced {
    local: BString,
    /// `None` when the address had no domain: it is this host's.
    domain: Option<BString>,
    is_local: bool,
}

impl Router {
    pub(crate) fn resolve_address(&self, sender: &Address, address: &Address) -> Result<Route, RouteError> {
        let Reduced { mut local, domain, is_local } = self.reduce(address.as_bytes())?;
        if local.is_empty() && (is_local || domain.as_ref().is_some_and(|d| d.is_empty())) {
            local = self.empty_address_recipient.as_str().into();
        }
        let routed = local.iter().any(|c| matches!(c, b'@' | b'%' | b'!'));
        let domain = domain.unwrap_or_else(|| self.myhostname.as_str().into());
        let sound = is_local || domain::is_mail_domain(domain.as_bstr(), self.utf8);
        let bad_text = (!self.allow_min_user && local.starts_with(b"-")) || (self.utf8 && local.to_str().is_err());
        let source_route = address.as_bytes().starts_with(b"@") && address.as_bytes().contains(&b':');
        let recipient = if !sound && source_route {
            // What looks like a source route is shown as it is.
            address.clone()
        } else {
            let mut text = local;
            text.push(b'@');
            text.extend_from_slice(&domain);
            Address::new(text)
        };
        // The colon of a source route may be one of an address literal: what follows it is none then.
        if !sound
            && !source_route
            && let Some(fault) = literal::fault(domain.as_bstr())
        {
            warn!(self.log, "{fault}");
        }
        if !sound || bad_text {
            return Ok(Route {
                transport: "error".into(),
                nexthop: "5.1.3 bad address syntax".into(),
                recipient,
                class: if is_local { Class::Local } else { Class::Default },
                routed,
                error: true,
            });
        }

        let class = if is_local { Class::Local } else { self.class_of_remote(domain.as_bstr())? };
        let domain = recipient.domain().unwrap_or_default();
        let target = self.class_target(class, sender, domain)?;
        let Target { transport, nexthop } = match class {
            Class::VirtualAlias => target,
            _ => self.transport_override(&recipient, target)?,
        };
        let mut route = Route { transport, nexthop, recipient, class, routed, error: false };
        if let Some(place) = self.relocated(&route.recipient)? {
            route.transport = "error".into();
            route.nexthop = place;
        }
        Ok(route)
    }

    /// Takes local domains and routing operators off, until a domain is left that is not ours, or nothing that could be taken off.
    fn reduce(&self, address: &BStr) -> Result<Reduced, RouteError> {
        let mut rest = BString::from(address);
        let mut outer = BString::from(self.myhostname.as_str());
        loop {
            let Some(at) = domain_at(&rest) else {
                match self.rewriter.reroute(&rest, self.resolve_dequoted_address) {
                    Some(inner) => rest = inner,
                    None => return Ok(Reduced { local: rest, domain: None, is_local: true }),
                }
                continue;
            };
            let (local, mut domain) = (&rest[..at], normal_domain(&rest[at + 1..]));
            if self.resolve_numeric_domain && domain::is_numeric(domain.as_bstr()) {
                domain = [b"[", domain.as_slice(), b"]"].concat().into();
            }
            let null = domain.is_empty();
            let is_local = match null {
                true => self.resolve_null_domain,
                false => self.is_local(domain.as_bstr())?,
            };
            if is_local {
                // A null domain stands for the one around it, or this host.
                match domain.is_empty() {
                    true => domain = outer.clone(),
                    false => outer = domain.clone(),
                }
            }
            // An `@` or `%` with nothing after it is in nobody's way, unless nothing stands before it that could take its place.
            let inner = match is_local || null {
                true => self.rewriter.reroute(local, self.resolve_dequoted_address),
                false => None,
            };
            match inner {
                Some(inner) if inner != rest => rest = inner,
                _ => return Ok(Reduced { local: local.into(), domain: Some(domain), is_local }),
            }
        }
    }

    /// Transport and next hop of the class, before transport_maps.
    fn class_target(&self, class: Class, sender: &Address, domain: &BStr) -> Result<Target, RouteError> {
        let mut target = match class {
            Class::Local => self.local_transport.clone(),
            Class::VirtualAlias => Target { transport: "error".into(), nexthop: self.unknown_alias_text.as_str().into() },
            Class::VirtualMailbox => self.virtual_transport.clone(),
            Class::Relay => self.relay_transport.clone(),
            Class::Default => match self.for_sender(&self.sender_dependent_default_transport_maps, sender, &self.null_transport_key)? {
                None => self.default_transport.clone(),
                Some(value) => {
                    let target = Target::parse(&value);
                    if target.transport.is_empty() {
                        let title = self.sender_dependent_default_transport_maps.title();
                        return Err(RouteError(format!("parameter {title}: null transport is not allowed")));
                    }
                    target
                }
            },
        };
        if matches!(class, Class::Relay | Class::Default) {
            // Asked first even when not needed: a table that fails defers the mail, as in Postfix.
            let hop = self.for_sender(&self.sender_dependent_relayhost_maps, sender, &self.null_relayhost_key)?;
            if target.nexthop.is_empty() {
                target.nexthop = hop.unwrap_or_else(|| self.relayhost.as_str().into());
            }
        }
        if target.nexthop.is_empty() {
            target.nexthop = domain.into();
        }
        Ok(target)
    }

    /// A sender-dependent table's answer; `DUNNO` is none.
    fn for_sender(&self, maps: &Maps, sender: &Address, null_key: &str) -> Result<Option<BString>, RouteError> {
        if maps.is_empty() {
            return Ok(None);
        }
        let null = Address::new(null_key);
        let key = if sender.is_empty() { &null } else { sender };
        let found = self.find_mapped(maps, key)?;
        Ok(found.map(|found| found.value).filter(|value| !value.eq_ignore_ascii_case(b"DUNNO")))
    }

    /// transport(5): the entry for the recipient takes the place of its class' target, or parts of it.
    fn transport_override(&self, recipient: &Address, target: Target) -> Result<Target, RouteError> {
        let maps = &self.transport_maps;
        if maps.is_empty() {
            return Ok(target);
        }
        let fail = |_| lookup_failure(maps.title());
        let search = AddressSearch::transport(&self.recipient_delimiter, self.transport_parents);
        let found = match maps.find_address(recipient, &search).map_err(fail)? {
            Some(found) => Some(found.value),
            None => maps.find("*".into()).map_err(fail)?,
        };
        let Some(value) = found else { return Ok(target) };
        let mut entry = Target::parse(&value);
        if entry.transport.is_empty() {
            // `:nexthop` keeps the transport, `:` keeps both.
            entry.transport = target.transport;
            if entry.nexthop.is_empty() {
                entry.nexthop = target.nexthop;
            }
        } else if entry.nexthop.is_empty() {
            entry.nexthop = match entry.transport.as_str() {
                "error" | "retry" => UNDELIVERABLE.into(),
                _ => recipient.domain().unwrap_or_default().into(),
            };
        }
        Ok(entry)
    }

    /// Looks up an address as canonical(5) does: full, without extension, local part of our own domains, `@domain`.
    fn find_mapped(&self, maps: &Maps, address: &Address) -> Result<Option<AddressFound>, RouteError> {
        let failed = AtomicBool::new(false);
        let bare = |domain: &BStr| {
            self.locals.stands_for_bare(domain).unwrap_or_else(|_| {
                failed.store(true, Relaxed);
                false
            })
        };
        let search = AddressSearch::rewriting(&self.recipient_delimiter, LocalPart::When(&bare));
        let found = maps.find_address(address, &search);
        match failed.into_inner() {
            true => Err(lookup_failure("mydestination")),
            false => found.map_err(|_| lookup_failure(maps.title())),
        }
    }

    /// relocated(5): the text for the sender, with its status.
    fn relocated(&self, recipient: &Address) -> Result<Option<BString>, RouteError> {
        if self.relocated_maps.is_empty() {
            return Ok(None);
        }
        let found = self.find_mapped(&self.relocated_maps, recipient)?;
        Ok(found.map(|found| match self.relocated_prefix {
            true => [b"5.1.6 User has moved to ", found.value.as_slice()].concat().into(),
            false => found.value,
        }))
    }
}

/// Where the domain begins: at the last `@` that does not stand in an address literal.
fn domain_at(address: &[u8]) -> Option<usize> {
    if address.ends_with(b"]") {
        let external = Address::new(address).external();
        if let [.., Token::Op(b'@'), Token::Literal(literal)] = token::scan(&external, usize::MAX).as_slice()
            && let Some(at) = address.len().checked_sub(literal.len() + 1)
            && address[at] == b'@'
            && address.ends_with(literal)
        {
            return Some(at);
        }
    }
    address.rfind_byte(b'@')
}

/// With blanks only where tokens need some, as after the `@` before it.
fn spaced(domain: &[u8]) -> BString {
    let mut tokens = vec![Token::Op(b'@')];
    tokens.extend(token::scan(domain, usize::MAX));
    let mut text = token::join(&tokens, Form::Internal);
    text.remove(0);
    text
}

/// The domain as written, without blanks between its parts and without one dot at the end.
fn normal_domain(domain: &[u8]) -> BString {
    let plain = domain.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'));
    let mut domain: BString = if plain { domain.into() } else { spaced(domain) };
    if let [.., before, b'.'] = domain.as_slice()
        && *before != b'.'
    {
        domain.pop();
    }
    domain
}
