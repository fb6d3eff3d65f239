//! trivial-rewrite as a library: address rewriting to canonical form, and resolving to transport, next hop and recipient.

use bstr::{BStr, BString};
use posthaste_address::Address;
use posthaste_config::{Config, ConfigError};

/// Which domain completes an incomplete address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// `myorigin`, `append_dot_mydomain`.
    Local,
    /// `remote_header_rewrite_domain`.
    Remote,
}

/// The address class that a domain belongs to (ADDRESS_CLASS_README).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// mydestination, inet_interfaces, proxy_interfaces.
    Local,
    /// virtual_alias_domains.
    VirtualAlias,
    /// virtual_mailbox_domains.
    VirtualMailbox,
    /// relay_domains.
    Relay,
    /// All else.
    Default,
}

/// Where an address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Service in master.cf: `smtp`, `local`, `error`, …
    pub transport: String,
    /// Its next hop.
    pub nexthop: BString,
    /// The recipient as the agent gets it.
    pub recipient: Address,
    /// Class of the recipient's domain.
    pub class: Class,
    /// The address has routing operators left after its local part (`user%elsewhere@here`): relaying is not granted for it.
    pub routed: bool,
    /// The syntax is hopeless: (`error:5.1.3 bad address syntax`).
    pub error: bool,
}

/// A table needed for the answer could not be asked: try later.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RouteError(pub String);

/// A rewriting context with its tables open.
pub struct Router {
    _private: (),
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl Router {
    /// From main.cf; `verify` uses the `address_verify_…` twins of the transport parameters.
    pub fn open(config: &Config, verify: bool) -> Result<Router, ConfigError> {
        todo!()
    }

    /// Whether some table may block.
    pub fn may_block(&self) -> bool {
        todo!()
    }

    /// Completes and normalises an address: source routes, `!` and `%` forms, missing domain. Internal form in and out.
    pub fn rewrite(&self, context: Context, address: &Address) -> Address {
        todo!()
    }

    /// Resolves; `sender` matters for `sender_dependent_…` parameters.
    pub fn resolve(&self, sender: &Address, address: &Address) -> Result<Route, RouteError> {
        todo!()
    }

    /// The class of a domain.
    pub fn class_of(&self, domain: &BStr) -> Result<Class, RouteError> {
        todo!()
    }
}
