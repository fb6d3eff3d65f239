//! Lookup tables in databases: the types `ldap`, `memcache`, `mongodb`, `mysql`, `pgsql`, `redis` and `sqlite`.
//!
//! Only three programs use this crate: proxymap, postmap and postalias. They hand [`with_databases`] the [`Context`] with which they open tables;
//! from then on [`posthaste_table::try_open`] knows these types. Every other program reaches such a table through proxymap, so that the client
//! libraries, their memory and their faults stay in one process that has no other rights.
//!
//! A module for one type has a function `open` with the signature of [`Open`]; `open_type` below lists it. What they share:
//!
//! - `config`: the settings of a table ([`Source`]), from its own file or, as before Postfix 2.2, from main.cf.
//! - `expand`: `%s %u %d …` in queries and results ([`Template`]), `domain`, `result_format`, `expansion_limit` ([`Answers`]).
//! - `runtime`: runs the futures of asynchronous client libraries, on one thread for the whole process.
//! - `servers`: several hosts, which of them to ask, connections kept for later (the SQL servers; others where it fits).
//!
//! Rules for a type:
//!
//! - `open` reads settings and starts nothing: no connection and no thread, since the process enters its sandbox afterwards. A bad setting is an
//!   error there, with Postfix's words where it has some.
//! - `lookup` returns an error if the server could not be asked; `Ok(None)` only if it has answered that there is nothing. What went wrong is
//!   logged by `Context::warn` at that time, with the table's name and the server's reason, since callers log no more than that it failed.
//! - `lookup` may block, and bounds the time it does.
//! - Keys arrive folded to lower case. They are quoted for the query language by the rules of the connection, and never put in as they are.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails panics"))]

pub mod config;
#[cfg(any(feature = "ldap", feature = "memcache", feature = "mongodb", feature = "redis"))]
mod connection;
pub mod expand;
#[cfg(feature = "ldap")]
mod ldap;
#[cfg(feature = "sasl")]
mod md5;
#[cfg(feature = "memcache")]
mod memcache;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod my_cnf;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "pgsql")]
mod pgsql;
#[cfg(feature = "pgsql")]
mod pgsql_tls;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "mongodb", feature = "mysql", feature = "pgsql"))]
mod runtime;
#[cfg(feature = "sasl")]
mod sasl;
#[cfg(any(feature = "mysql", feature = "pgsql"))]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "tls")]
mod tls;

pub use config::Source;
pub use expand::{Answers, Template};

use posthaste_config::Config;
use posthaste_table::{Context, OpenFlags, Table};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Opens a table: `spec` is `type:name`, for messages; `source` its settings. The error is the whole text for the log.
pub type Open = fn(spec: &str, source: &Source, flags: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String>;

/// The function that opens tables of a type; `None`: not a type of this crate, or left out of this build.
fn open_type(kind: &str) -> Option<Open> {
    match kind {
        #[cfg(feature = "ldap")]
        "ldap" => Some(ldap::open),
        #[cfg(feature = "memcache")]
        "memcache" => Some(memcache::open),
        #[cfg(feature = "mongodb")]
        "mongodb" => Some(mongodb::open),
        #[cfg(feature = "mysql")]
        "mysql" => Some(mysql::open),
        #[cfg(feature = "pgsql")]
        "pgsql" => Some(pgsql::open),
        #[cfg(feature = "redis")]
        "redis" => Some(redis::open),
        #[cfg(feature = "sqlite")]
        "sqlite" => Some(sqlite::open),
        _ => None,
    }
}

/// The same context, with which tables of database types can be opened too. `config` is where tables whose name is no path have their settings.
///
/// The files of settings are read when a table is opened for the first time, and not again: a process that reads them before it gives up its rights
/// can open the same table later with other flags.
pub fn with_databases(context: Context, config: &Config) -> Context {
    let config = config.clone();
    let known: Mutex<HashMap<String, Arc<Source>>> = Mutex::default();
    context.with_databases(move |spec, flags, context| {
        let (kind, name) = spec.split_once(':')?;
        let open = open_type(kind)?;
        let source = known.lock().unwrap_or_else(|e| e.into_inner()).get(name).cloned();
        let source = match source {
            Some(source) => source,
            None => match Source::read(name, &config) {
                Ok(source) => {
                    for warning in &source.warnings {
                        context.warn(warning);
                    }
                    let source = Arc::new(source);
                    known.lock().unwrap_or_else(|e| e.into_inner()).insert(name.to_owned(), Arc::clone(&source));
                    source
                }
                Err(fault) => return Some(Err(fault)),
            },
        };
        Some(open(spec, &source, flags, context))
    })
}

/// Folders of files that the client library of a table opens by itself while lookups go on, for the sandbox: those of `sqlite` databases.
pub fn folders(spec: &str, config: &Config) -> Vec<std::path::PathBuf> {
    match spec.split_once(':') {
        #[cfg(feature = "sqlite")]
        Some(("sqlite", name)) => Source::read(name, config).ok().and_then(|source| sqlite::folder(&source)).into_iter().collect(),
        _ => Vec::new(),
    }
}
