//! Lookup tables: one trait for every type of table, and the searches built on it.
//!
//! An answer is found, not found, or failed, and these are never mixed up: [`Table::lookup`] returns `Ok(Some)`, `Ok(None)` or `Err`.
//! Lookups are synchronous. Those on local files take microseconds and are made in place; a table for which [`Table::may_block`] is
//! true asks another process or host, and an event-driven service makes its lookups on a blocking thread.
//! Tables are opened before a service drops its rights or changes its root. A file that changes is read again at the next lookup.
//!
//! ```
//! use posthaste_table::{Context, Maps, OpenFlags, Settings};
//! let context = Context::new(Settings::default(), posthaste_log::Logger::new("postfix/example"));
//! let maps = Maps::open_with("example_maps", "inline:{ a=1 }, static:2", OpenFlags::default(), &context);
//! assert_eq!(maps.find("A".into()).unwrap(), Some("1".into()));
//! assert_eq!(maps.find("b".into()).unwrap(), Some("2".into()));
//! ```

mod backrefs;
pub mod base64;
pub mod build;
pub mod cache;
mod cdb;
mod cidr;
mod composite;
mod context;
mod db;
mod entries;
mod file;
pub mod fold;
mod helper;
pub mod lines;
mod list;
mod lmdb;
mod macros;
mod maps;
mod net;
mod net_client;
mod open;
mod pattern;
mod pcre;
mod proxy;
mod regexp;
mod rules;
mod socketmap;
mod store;
pub mod syntax;
mod tcp;
mod text;
mod unix;
mod writable;

use bstr::{BStr, BString};

pub use context::{Context, Settings};
pub use list::{AddressList, DomainList, ListFault, StringList};
pub use maps::{AddressFound, AddressSearch, LocalPart, Maps, decode_file};
pub use net::Net;
pub use open::{DATABASE_TYPES, OpenFlags, TYPES, content_of_files, open_or_unavailable, try_open};

/// A lookup that failed: the mail that needs it gets a temporary error, never "not found".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table {table} lookup error: {reason}")]
pub struct TableError {
    /// `type:name` as configured.
    pub table: String,
    /// What went wrong.
    pub reason: String,
    /// The system's words for it, where there are some; what `postmap -q` shows after `query error`.
    pub detail: Option<String>,
}

impl TableError {
    /// An error whose reason is all there is to say.
    pub fn new(table: &str, reason: impl Into<String>) -> TableError {
        let reason = reason.into();
        TableError { table: table.to_owned(), detail: Some(reason.clone()), reason }
    }

    /// An error that was reported in full where it occurred.
    pub fn without_detail(table: &str, reason: impl Into<String>) -> TableError {
        TableError { table: table.to_owned(), reason: reason.into(), detail: None }
    }
}

/// One lookup table. Keys and values are raw bytes.
pub trait Table: Send + Sync {
    /// `type:name`.
    fn name(&self) -> &str;

    /// The name used in messages about the table's content, which for some types tells the file that is read: `hash:name.db`.
    fn label(&self) -> &str {
        self.name()
    }

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

    /// Calls `visit` with each key and value, in the table's own order, until it returns `false`. `None`: this type of table cannot be
    /// listed.
    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        let _ = visit;
        None
    }

    /// Sets the value of a key, for all who use the table. For tables that were opened with [`OpenFlags::writable`].
    fn update(&self, key: &BStr, value: &BStr) -> Result<(), TableError> {
        let _ = (key, value);
        Err(TableError::new(self.name(), "map cannot be updated"))
    }

    /// Removes a key, as [`Table::update`] sets one. `false`: it was not there.
    fn delete(&self, key: &BStr) -> Result<bool, TableError> {
        let _ = key;
        Err(TableError::new(self.name(), "map cannot be updated"))
    }

    /// Writes changes that wait to be written. What goes wrong is in the log. Blocks for the disk.
    fn sync(&self) {}
}
