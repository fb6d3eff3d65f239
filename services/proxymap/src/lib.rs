//! proxymap(8): lookups in tables for others that cannot open them (a changed root) or should not (one connection to a database instead of one for
//! each process); as the service `proxywrite` changes, too, for several who write to one table.
//!
//! Only tables that `proxy_read_maps` names with `proxy:` in front may be asked for (`proxy_write_maps` where the service is called `proxywrite`).
//! A client may send requests one after the other without waiting; they are answered in their order. Tables stay open for as long as the process
//! lives, and follow their files.
//!
//! Tables on database servers are opened here only, whether or not they are written with `proxy:`. Requests for those that are not come marked as
//! such, and are answered if main.cf or master.cf names the table anywhere (for changes: as a cache); the settings of all of them are read before the process gives up its
//! rights.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails panics"))]

mod named;

use bstr::BString;
use posthaste_config::Config;
use posthaste_ipc::frame::{self, Decoder};
use posthaste_ipc::proxymap::{Answer, Ask, Entry, Found, Listed, Query};
use posthaste_log::{Logger, warn};
use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
use posthaste_table::{Context, DATABASE_TYPES, OpenFlags, Table, open_or_unavailable};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    const SPEC: Spec = Spec { program: "proxymap", privileged: false, connects: true, executes: false };
    posthaste_service::run::<Proxymap>(SPEC, arguments)
}

/// A table as it is asked for: name, case kept, bytes not checked.
type Wanted = (String, bool, bool);

struct Proxymap {
    /// Tables may be changed: this is proxywrite.
    writes: bool,
    approved: HashSet<String>,
    /// What may be asked for as a table that only this service can open: all that the configuration names.
    named: HashSet<String>,
    open: RefCell<HashMap<Wanted, Arc<dyn Table>>>,
    config: Arc<Config>,
    context: Context,
    log: Logger,
}

impl Service for Proxymap {
    // Clients stay connected for as long as they live, so their number says nothing about the work.
    const LIMIT_CLIENTS: bool = false;

    fn open(setup: &Setup) -> Result<Self, Fatal> {
        let writes = setup.service == setup.config.text("proxywrite_service_name")?;
        let mut approved = HashSet::new();
        named::with_proxy(&setup.config.text(parameter(writes))?, &mut approved);
        let named = named::in_configuration(&setup.config, writes, &setup.log)?;
        let context = context(&setup.config, setup.log.clone())?;
        let service = Proxymap {
            writes,
            approved,
            named,
            open: RefCell::default(),
            config: Arc::clone(&setup.config),
            context,
            log: setup.log.clone(),
        };
        service.read_settings();
        Ok(service)
    }

    fn folders(&self) -> Vec<PathBuf> {
        let databases = self.databases();
        let of_databases = databases.iter().flat_map(|table| posthaste_database::folders(table, &self.config));
        // New files are made beside the old ones.
        let written = self.approved.iter().filter(|_| self.writes).filter_map(|table| match table.split_once(':') {
            Some(("btree" | "hash" | "lmdb", path)) => Path::new(path).parent().map(Path::to_owned),
            _ => None,
        });
        of_databases.chain(written).collect()
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        let Connection::Unix(mut client) = client else { return };
        // A client that goes away, or talks nonsense, is no reason for a word.
        let _ = self.talk(&mut client).await;
    }

    async fn drained(self: Rc<Self>) {
        let tables: Vec<_> = self.open.borrow().values().cloned().collect();
        let _ = tokio::task::spawn_blocking(move || tables.iter().for_each(|table| table.sync())).await;
    }
}

/// The parameter that lists what may be asked for.
fn parameter(writes: bool) -> &'static str {
    if writes { "proxy_write_maps" } else { "proxy_read_maps" }
}

/// For tables that are opened here and nowhere else.
fn context(config: &Config, log: Logger) -> Result<Context, Fatal> {
    Ok(posthaste_database::with_databases(Context::from_config(config, log)?, config))
}

impl Proxymap {
    /// Opens the databases that may be asked for, while this process may still read the files of settings: they hold passwords and may be
    /// readable by root only. No connection is made.
    fn read_settings(&self) {
        for table in self.databases() {
            self.table(&table, false, false);
        }
    }

    /// The databases that may be asked for.
    fn databases(&self) -> HashSet<String> {
        let mut names = self.named.clone();
        for table in &self.approved {
            named::databases(table, &mut names);
        }
        names
    }

    async fn talk(&self, client: &mut UnixStream) -> std::io::Result<()> {
        let bad = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        let mut decoder = Decoder::new();
        let mut chunk = vec![0; 4096];
        let mut out = Vec::new();
        loop {
            while let Some(request) = decoder.frame().map_err(bad)? {
                let number = request.request;
                let query = request.value::<Query>().map_err(bad)?;
                out.clear();
                let answer = if query.ask == Ask::List {
                    match self.list(query).await {
                        Ok(portions) => {
                            for portion in portions {
                                frame::put(&mut out, Listed::FRAME, number, &portion).map_err(bad)?;
                                client.write_all(&out).await?;
                                out.clear();
                            }
                            frame::put(&mut out, Listed::FRAME, number, &Listed { entries: Vec::new() })
                        }
                        Err(answer) => frame::put(&mut out, Answer::FRAME, number, &answer),
                    }
                } else {
                    frame::put(&mut out, Answer::FRAME, number, &self.answer(query).await)
                };
                answer.map_err(bad)?;
                client.write_all(&out).await?;
            }
            match client.read(&mut chunk).await? {
                0 => return Ok(()),
                n => decoder.feed(&chunk[..n]),
            }
        }
    }

    /// Whether the table may be asked for; if not, that is in the log.
    fn allowed(&self, query: &Query) -> bool {
        let name = &query.table;
        let of_database = name.split_once(':').is_some_and(|(kind, _)| DATABASE_TYPES.contains(&kind));
        if query.implicit && !(of_database && self.named.contains(name)) {
            warn!(self.log, "request for table \"{name}\", which main.cf and master.cf do not name; \"postfix reload\" if they do now");
            return false;
        }
        if !query.implicit && !self.approved.contains(name) {
            warn!(self.log, "request for unapproved table: \"{name}\"");
            let access = if self.writes { "read-write" } else { "read-only" };
            warn!(self.log, "to approve this table for {access} access, list proxy:{name} in main.cf:{}", parameter(self.writes));
            return false;
        }
        true
    }

    async fn answer(&self, query: Query) -> Answer {
        if !self.allowed(&query) {
            return answer_of(Found::Denied, "");
        }
        let table = self.table(&query.table, query.keep_case, query.raw_bytes);
        let Query { key, value, .. } = query;
        let work = move || match query.ask {
            Ask::Check | Ask::List => Ok(None),
            Ask::Lookup => table.lookup(key.as_ref()),
            Ask::Update => table.update(key.as_ref(), value.as_ref()).map(|()| Some(BString::default())),
            Ask::Delete => table.delete(key.as_ref()).map(|found| found.then(BString::default)),
        };
        let found = if self.writes || self.blocks(&query.table, query.keep_case, query.raw_bytes) {
            // A panic there is reported where it happens.
            match tokio::task::spawn_blocking(work).await {
                Ok(found) => found,
                Err(_) => return answer_of(Found::Failed, "internal error"),
            }
        } else {
            work()
        };
        match found {
            Ok(Some(text)) => Answer { result: Found::Value, text },
            Ok(None) => answer_of(Found::Nothing, ""),
            Err(error) => answer_of(Found::Failed, error.reason),
        }
    }

    fn blocks(&self, table: &str, keep_case: bool, raw_bytes: bool) -> bool {
        table.starts_with("unix:") || self.table(table, keep_case, raw_bytes).may_block()
    }

    /// All entries of a table, in portions of a moderate size.
    async fn list(&self, query: Query) -> Result<Vec<Listed>, Answer> {
        if !self.allowed(&query) {
            return Err(answer_of(Found::Denied, ""));
        }
        let table = self.table(&query.table, query.keep_case, query.raw_bytes);
        let work = move || {
            let (mut portions, mut size) = (Vec::new(), PORTION);
            let listed = table.entries(&mut |key, value| {
                if size >= PORTION {
                    portions.push(Listed { entries: Vec::new() });
                    size = 0;
                }
                size += key.len() + value.len();
                if let Some(portion) = portions.last_mut() {
                    portion.entries.push(Entry { key: key.to_owned(), value: value.to_owned() });
                }
                true
            });
            match listed {
                Some(listed) => listed.map(|()| portions).map_err(|error| answer_of(Found::Failed, error.reason)),
                None => Err(answer_of(Found::Failed, "sequence operation is not supported")),
            }
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(answer_of(Found::Failed, "internal error")))
    }

    fn table(&self, name: &str, keep_case: bool, raw_bytes: bool) -> Arc<dyn Table> {
        let mut open = self.open.borrow_mut();
        let table = open.entry((name.to_owned(), keep_case, raw_bytes)).or_insert_with(|| {
            // A table that is made of others with `proxy:` would wait for this process to answer itself.
            let flags = OpenFlags { keep_case, raw_bytes, writable: self.writes, no_proxy: true, ..OpenFlags::default() };
            open_or_unavailable(name, flags, &self.context)
        });
        Arc::clone(table)
    }
}

/// Bytes of keys and values that are sent in one piece.
const PORTION: usize = 1 << 16;

fn answer_of(result: Found, text: impl Into<BString>) -> Answer {
    Answer { result, text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_table::Settings;

    fn service(maps: &str) -> Proxymap {
        let (mut approved, mut named) = (HashSet::new(), HashSet::new());
        named::with_proxy(maps, &mut approved);
        named::databases(maps, &mut named);
        Proxymap {
            writes: false,
            approved,
            named,
            open: RefCell::default(),
            config: Arc::new(Config::parse("", "main.cf").unwrap()),
            context: Context::with_report(Settings::default(), |_, _| {}),
            log: Logger::new("postfix/proxymap"),
        }
    }

    fn query(table: &str, key: &str) -> Query {
        Query {
            table: table.into(),
            keep_case: false,
            raw_bytes: false,
            implicit: false,
            ask: Ask::Lookup,
            key: key.into(),
            value: BString::default(),
        }
    }

    // S-TABLE-09
    #[test]
    fn only_what_is_listed_with_proxy() {
        let names = service("proxy:unix:passwd.byname, hash:/x unionmap:{proxy:static:a, static:b}").approved;
        let mut names: Vec<_> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["static:a", "unix:passwd.byname"]);
    }

    // S-TABLE-09
    #[tokio::test(flavor = "current_thread")]
    async fn answers() {
        let service = service("proxy:inline:{a=1} proxy:fail:x proxy:unix:passwd.byname");
        let ask = async |table: &str, key: &str| {
            let answer = service.answer(query(table, key)).await;
            (answer.result, answer.text.to_string())
        };
        assert_eq!(ask("inline:{a=1}", "A").await, (Found::Value, "1".into()));
        assert_eq!(ask("inline:{a=1}", "b").await, (Found::Nothing, "".into()));
        assert_eq!(ask("fail:x", "b").await, (Found::Failed, "Application error".into()));
        assert_eq!(ask("static:x", "b").await, (Found::Denied, "".into()));
        assert!(ask("unix:passwd.byname", "root").await.1.starts_with("root:"));
    }

    // S-TABLE-09
    #[tokio::test(flavor = "current_thread")]
    async fn requests_on_one_connection() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let service = service("proxy:inline:{a=1,b=2}");
        let mut out = Vec::new();
        frame::put(&mut out, Query::FRAME, 1, &query("inline:{a=1,b=2}", "a")).unwrap();
        frame::put(&mut out, Query::FRAME, 2, &query("inline:{a=1,b=2}", "b")).unwrap();
        here.write_all(&out).await.unwrap();
        here.shutdown().await.unwrap();
        service.talk(&mut there).await.unwrap();
        drop(there);
        let mut bytes = Vec::new();
        here.read_to_end(&mut bytes).await.unwrap();
        let mut decoder = Decoder::new();
        decoder.feed(&bytes);
        for (number, value) in [(1, "1"), (2, "2")] {
            let frame = decoder.frame().unwrap().unwrap();
            assert_eq!((frame.request, frame.value::<Answer>().unwrap().text.to_string().as_str()), (number, value));
        }
    }

    // S-TABLE-09
    #[tokio::test(flavor = "current_thread")]
    async fn changes() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("btree:{}/t", folder.path().display());
        let mut service = service(&format!("proxy:{name} proxy:texthash:/x"));
        service.writes = true;
        let ask = async |table: &str, ask, key: &str, value: &str| {
            let query = Query { ask, value: value.into(), ..query(table, key) };
            service.answer(query).await.result
        };
        assert_eq!(ask(&name, Ask::Check, "", "").await, Found::Nothing);
        assert_eq!(ask(&name, Ask::Update, "Key", "value").await, Found::Value);
        assert_eq!(ask(&name, Ask::Lookup, "key", "").await, Found::Value);
        assert_eq!(ask(&name, Ask::Delete, "KEY", "").await, Found::Value);
        assert_eq!(ask(&name, Ask::Delete, "key", "").await, Found::Nothing);
        assert_eq!(ask("hash:/other", Ask::Update, "k", "v").await, Found::Denied);
        assert_eq!(ask("texthash:/x", Ask::Update, "k", "v").await, Found::Failed);
    }

    // S-TABLE-09
    #[tokio::test(flavor = "current_thread")]
    async fn lists_come_in_portions() {
        let text: String = (0..3000).map(|n| format!("{{key{n} = {}}},", "v".repeat(50))).collect();
        let (name, mut count) = (format!("inline:{{{text}}}"), 0);
        let service = service(&format!("proxy:{name}"));
        let portions = service.list(query(&name, "")).await.unwrap();
        assert_eq!(portions.len(), 3);
        portions.iter().for_each(|portion| count += portion.entries.len());
        assert_eq!(count, 3000);
        assert_eq!(service.list(query("inline:{a=b}", "")).await.unwrap_err().result, Found::Denied);
    }
}
