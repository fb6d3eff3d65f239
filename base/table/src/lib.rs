//! Lookup tables: one trait for every type of table, and the searches built on it.
//!
//! An answer is found, not found, or failed, and these are never mixed up: [`Table::lookup`] returns `Ok(Some)`, `Ok(None)` or `Err`.
//! Lookups are synchronous. Those on local files take microseconds and are made in place; a table for which [`Table::may_block`] is
//! true asks another process or host, and an event-driven service makes its lookups on a blocking thread.
//! Tables are opened before a service drops its rights or changes its root.

use bstr::{BStr, BString};
use posthaste_address::Address;
use posthaste_config::Config;
use std::sync::Arc;

/// A lookup that failed: the mail that needs it gets a temporary error, never "not found".
#[derive(Clone, Debug, thiserror::Error)]
#[error("table {table} lookup error: {reason}")]
pub struct TableError {
    /// `type:name` as configured.
    pub table: String,
    /// What went wrong.
    pub reason: String,
}

/// One lookup table. Keys and values are raw bytes.
pub trait Table: Send + Sync {
    /// `type:name`.
    fn name(&self) -> &str;
    /// Looks up `key` as given; case folding is the table's own matter (fold for hash and friends, flags for patterns).
    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError>;
    /// Whether only whole keys make sense (regexp, pcre, cidr, tcp, socketmap): no partial or parent-domain lookups.
    fn whole_keys_only(&self) -> bool {
        false
    }
    /// Whether a lookup may wait for another process or host.
    fn may_block(&self) -> bool {
        false
    }
}

/// A list of tables searched in order, as in `virtual_alias_maps`; the first answer wins, a failure stops the search.
#[derive(Clone, Default)]
pub struct Maps {
    title: String,
    tables: Vec<Arc<dyn Table>>,
}

/// How an address is looked up by [`Maps::find_address`]: which of Postfix's forms are tried, in order (ADDRESS_REWRITING_README, access(5)).
#[derive(Clone, Debug)]
pub struct AddressSearch<'a> {
    /// `recipient_delimiter`; empty for none.
    pub delimiters: &'a str,
    /// Tried: `user+ext@domain`, `user@domain` always; then as set here.
    pub local_part_for: LocalPart<'a>,
    /// Try `@domain` after the full and local forms.
    pub at_domain: bool,
    /// Try `domain`, and its parents as `.domain`.
    pub domain: bool,
    /// Try parents as `.parent` (true) or as `parent` (`parent_domain_matches_subdomains`).
    pub dot_parents: bool,
}

/// For which domains the bare local part (`user`) is tried.
#[derive(Clone, Copy)]
pub enum LocalPart<'a> {
    /// Never.
    Never,
    /// Always.
    Always,
    /// When the predicate (such as "is in mydestination, inet_interfaces, or equals myorigin") holds.
    When(&'a (dyn Fn(&BStr) -> bool + Sync)),
}

impl std::fmt::Debug for LocalPart<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LocalPart::Never => "Never",
            LocalPart::Always => "Always",
            LocalPart::When(_) => "When",
        })
    }
}

/// What [`Maps::find_address`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFound {
    /// The right-hand side.
    pub value: BString,
    /// The extension (with its delimiter) that the search left out, to be propagated if the parameter says so.
    pub extension: BString,
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl Maps {
    /// Opens the tables of a parameter's value (`hash:/etc/postfix/virtual, $other`), in order. `title` is the parameter's name, used
    /// in messages. Relative file names of tables are as Postfix treats them. A table that cannot be opened is not an
    /// error here: its lookups fail, with a warning that names it.
    pub fn open(title: &str, value: &str, config: &Config) -> Maps {
        todo!()
    }

    /// The name given at opening: the parameter.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether no table is configured.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Whether some table may block.
    pub fn may_block(&self) -> bool {
        self.tables.iter().any(|t| t.may_block())
    }

    /// The first table's answer for the key as given.
    pub fn find(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        todo!()
    }

    /// Like [`Maps::find`] but skips tables that are for whole keys only: for partial keys.
    pub fn find_partial(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        todo!()
    }

    /// Looks an address up by its forms: full, without extension, local part, `@domain`, domain.
    pub fn find_address(&self, address: &Address, search: &AddressSearch<'_>) -> Result<Option<AddressFound>, TableError> {
        todo!()
    }
}

/// A list of domains, host names or strings, as in `mydestination` or `relay_domains`: names, `!name`, `/file`, `type:table`.
#[derive(Clone)]
pub struct DomainList {
    _private: (),
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl DomainList {
    /// `parents`: a domain matches its subdomains too (`parent_domain_matches_subdomains` names this list), else only as `.domain`.
    pub fn open(title: &str, value: &str, parents: bool, config: &Config) -> Result<DomainList, TableError> {
        todo!()
    }
    /// Case is ignored.
    pub fn matches(&self, name: &BStr) -> Result<bool, TableError> {
        todo!()
    }
}

/// A list of hosts and networks, as in `mynetworks`: `10.0.0.0/8`, `[::1]/128`, `!x`, names, `/file`, `type:table`.
#[derive(Clone)]
pub struct AddressList {
    _private: (),
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl AddressList {
    /// See [`DomainList::open`].
    pub fn open(title: &str, value: &str, parents: bool, config: &Config) -> Result<AddressList, TableError> {
        todo!()
    }
    /// Matches a client by host name (or `unknown`) and address (printed form without brackets).
    pub fn matches(&self, name: &BStr, address: &BStr) -> Result<bool, TableError> {
        todo!()
    }
}
