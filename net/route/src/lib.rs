//! trivial-rewrite as a library: address rewriting to canonical form, and resolving to transport, next hop and recipient.
//!
//! [`Rewriter`] completes addresses and needs no tables. [`LocalDomains`] knows which domains are this host's. [`Router`] holds both and
//! the tables that decide where mail goes (ADDRESS_CLASS_README, transport(5), relocated(5)).

mod domain;
mod literal;
mod local;
mod resolve;
mod rewrite;

pub use domain::{is_mail_domain, literal};
pub use local::LocalDomains;
pub use rewrite::Rewriter;

use bstr::{BStr, BString};
use posthaste_address::Address;
use posthaste_config::{Config, ConfigError, split_list};
use posthaste_log::{Logger, warn};
use posthaste_table::{DomainList, Maps, StringList, TableError};
use resolve::Target;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

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
    /// The address has routing operators left in its local part (`user%elsewhere@here`): relaying is not granted for it.
    pub routed: bool,
    /// The syntax is hopeless: (`error:5.1.3 bad address syntax`).
    pub error: bool,
}

/// A table needed for the answer could not be asked: try later. The text is what trivial-rewrite logs as a warning.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RouteError(pub String);

/// A rewriting context with its tables open. Lookups may block if [`Router::may_block`] says so.
pub struct Router {
    rewriter: Rewriter,
    locals: Arc<LocalDomains>,
    myhostname: String,
    recipient_delimiter: String,
    empty_address_recipient: String,
    allow_min_user: bool,
    resolve_dequoted_address: bool,
    helpful_warnings: bool,
    resolve_null_domain: bool,
    resolve_numeric_domain: bool,
    utf8: bool,
    virtual_alias_domains: StringList,
    virtual_mailbox_domains: StringList,
    relay_domains: DomainList,
    local_transport: Target,
    virtual_transport: Target,
    relay_transport: Target,
    default_transport: Target,
    relayhost: String,
    sender_dependent_relayhost_maps: Maps,
    sender_dependent_default_transport_maps: Maps,
    null_relayhost_key: String,
    null_transport_key: String,
    transport_maps: Maps,
    transport_parents: bool,
    relocated_maps: Maps,
    relocated_prefix: bool,
    unknown_alias_text: String,
    log: Logger,
    /// Domains whose double listing has been looked for, so that each is looked up and warned of once.
    seen: Mutex<HashSet<BString>>,
}

/// How many domains [`Router`] remembers as checked for double listing.
const SEEN_MAX: usize = 1000;

impl Router {
    /// From main.cf with the overrides of the master.cf entry that `rewrite_service_name` names; `verify` uses the `address_verify_…`
    /// twins of the transport parameters.
    pub fn open(config: &Config, verify: bool) -> Result<Router, ConfigError> {
        let config = &config.service_profile("trivial-rewrite", &config.text("rewrite_service_name")?)?;
        let twin = |name: &str| if verify { format!("address_verify_{name}") } else { name.to_owned() };
        let text = |name: &str| config.text(&twin(name));
        let transport = |name: &str| {
            let target = Target::parse(text(name)?.as_bytes());
            match target.transport.is_empty() {
                false => Ok(target),
                true => Err(ConfigError::Bad(format!(
                    "file {}: parameter {}: null transport is not allowed",
                    config.directory().join("main.cf").display(),
                    twin(name)
                ))),
            }
        };
        let maps = |name: &str| Ok::<_, ConfigError>(Maps::open(&twin(name), &text(name)?, config));
        let parents = config.text("parent_domain_matches_subdomains")?;
        let parents = |name: &str| split_list(&parents).any(|feature| feature == name);
        let named = config.bool("show_user_unknown_table_name")?;
        let strings = |name: &str| StringList::open(name, &config.text(name)?, config).map_err(bad);
        Ok(Router {
            rewriter: Rewriter::open(config)?,
            locals: Arc::new(LocalDomains::open(config)?),
            myhostname: config.text("myhostname")?,
            recipient_delimiter: config.text("recipient_delimiter")?,
            empty_address_recipient: config.text("empty_address_recipient")?,
            allow_min_user: config.bool("allow_min_user")?,
            resolve_dequoted_address: config.bool("resolve_dequoted_address")?,
            helpful_warnings: config.bool("helpful_warnings")?,
            resolve_null_domain: config.bool("resolve_null_domain")?,
            resolve_numeric_domain: config.bool("resolve_numeric_domain")?,
            utf8: config.bool("smtputf8_enable")?,
            virtual_alias_domains: strings("virtual_alias_domains")?,
            virtual_mailbox_domains: strings("virtual_mailbox_domains")?,
            relay_domains: DomainList::open("relay_domains", &config.text("relay_domains")?, parents("relay_domains"), config)
                .map_err(bad)?,
            local_transport: transport("local_transport")?,
            virtual_transport: transport("virtual_transport")?,
            relay_transport: transport("relay_transport")?,
            default_transport: transport("default_transport")?,
            relayhost: text("relayhost")?,
            sender_dependent_relayhost_maps: maps("sender_dependent_relayhost_maps")?,
            sender_dependent_default_transport_maps: maps("sender_dependent_default_transport_maps")?,
            null_relayhost_key: config.text("empty_address_relayhost_maps_lookup_key")?,
            null_transport_key: config.text("empty_address_default_transport_maps_lookup_key")?,
            transport_maps: maps("transport_maps")?,
            transport_parents: parents("transport_maps"),
            relocated_maps: Maps::open("relocated_maps", &config.text("relocated_maps")?, config),
            relocated_prefix: config.bool("relocated_prefix_enable")?,
            unknown_alias_text: if named { "5.1.1 User unknown in virtual alias table" } else { "5.1.1 User unknown" }.into(),
            log: Logger::program(config, "trivial-rewrite")?,
            seen: Mutex::default(),
        })
    }

    /// Whether some table may block.
    pub fn may_block(&self) -> bool {
        [&self.sender_dependent_relayhost_maps, &self.sender_dependent_default_transport_maps, &self.transport_maps, &self.relocated_maps]
            .iter()
            .any(|maps| maps.may_block())
            || [&self.virtual_alias_domains, &self.virtual_mailbox_domains].iter().any(|list| list.may_block())
            || self.relay_domains.may_block()
            || self.locals.may_block()
    }

    /// Completes and normalises an address: source routes, `!` and `%` forms, missing domain. Internal form in and out.
    pub fn rewrite(&self, context: Context, address: &Address) -> Address {
        self.rewriter.rewrite(context, address)
    }

    /// The part of this that rewrites.
    pub fn rewriter(&self) -> &Rewriter {
        &self.rewriter
    }

    /// The part of this that knows the host's own domains.
    pub fn locals(&self) -> &Arc<LocalDomains> {
        &self.locals
    }

    /// Resolves; `sender` matters for `sender_dependent_…` parameters. A failure has been logged as a warning of trivial-rewrite.
    pub fn resolve(&self, sender: &Address, address: &Address) -> Result<Route, RouteError> {
        self.resolve_address(sender, address).inspect_err(|error| {
            // Of mydestination the list itself has said so, and Postfix says no more.
            if error.0 != lookup_failure("mydestination").0 {
                warn!(self.log, "{error}");
            }
        })
    }

    /// The class of a domain.
    pub fn class_of(&self, domain: &BStr) -> Result<Class, RouteError> {
        match self.is_local(domain)? {
            true => Ok(Class::Local),
            false => self.class_of_remote(domain),
        }
    }

    /// Whether mail for the domain is delivered here: mydestination, or an address literal of this host.
    fn is_local(&self, domain: &BStr) -> Result<bool, RouteError> {
        let local = self.locals.contains(domain).map_err(|_| lookup_failure("mydestination"))?;
        if local && self.first_time(domain) {
            self.warn_if_also(domain, "mydestination", "virtual_alias_domains", self.virtual_alias_domains.matches(domain));
            self.warn_if_also(domain, "mydestination", "virtual_mailbox_domains", self.virtual_mailbox_domains.matches(domain));
        }
        Ok(local)
    }

    fn class_of_remote(&self, domain: &BStr) -> Result<Class, RouteError> {
        if self.virtual_alias_domains.matches(domain).map_err(|_| lookup_failure("virtual_alias_domains"))? {
            if self.first_time(domain) {
                self.warn_if_also(domain, "virtual_alias_domains", "virtual_mailbox_domains", self.virtual_mailbox_domains.matches(domain));
                self.warn_if_also(domain, "virtual_alias_domains", "relay_domains", self.relay_domains.matches(domain));
            }
            return Ok(Class::VirtualAlias);
        }
        if self.virtual_mailbox_domains.matches(domain).map_err(|_| lookup_failure("virtual_mailbox_domains"))? {
            if self.first_time(domain) {
                self.warn_if_also(domain, "virtual_mailbox_domains", "relay_domains", self.relay_domains.matches(domain));
            }
            return Ok(Class::VirtualMailbox);
        }
        if self.relay_domains.matches(domain).map_err(|_| lookup_failure("relay_domains"))? {
            return Ok(Class::Relay);
        }
        Ok(Class::Default)
    }

    /// Whether to look for conflicts of this domain: once, and only where warnings are wanted.
    fn first_time(&self, domain: &BStr) -> bool {
        if !self.helpful_warnings {
            return false;
        }
        let Ok(mut seen) = self.seen.lock() else { return false };
        !seen.contains(domain) && seen.len() < SEEN_MAX && seen.insert(domain.to_owned())
    }

    fn warn_if_also(&self, domain: &BStr, class: &str, other: &str, found: Result<bool, TableError>) {
        if found.is_ok_and(|found| found) {
            warn!(self.log, "do not list domain {domain} in BOTH {class} and {other}");
        }
    }
}

fn lookup_failure(name: &str) -> RouteError {
    RouteError(format!("{name} lookup failure"))
}

/// A list that cannot be read is a fault of the configuration.
fn bad(error: TableError) -> ConfigError {
    ConfigError::Bad(error.reason)
}

#[cfg(test)]
mod tests;
