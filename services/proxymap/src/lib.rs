//! proxymap(8): lookups in tables for others that cannot open them (a changed root) or should not (one connection to a database instead of one for
//! each process).
//!
//! Only tables that `proxy_read_maps` names with `proxy:` in front may be asked for (`proxy_write_maps` where the service is called `proxywrite`).
//! A client may send requests one after the other without waiting; they are answered in their order. Tables stay open for as long as the process
//! lives, and follow their files.
//!
//! Tables on database servers are opened here only, whether or not they are written with `proxy:`. Requests for those that are not come marked as
//! such, and are answered if main.cf or master.cf names the table anywhere; the settings of all of them are read before the process gives up its
//! rights.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails panics"))]

mod named;

use posthaste_config::Config;
use posthaste_ipc::frame::{self, Decoder};
use posthaste_ipc::proxymap::{Answer, Found, Query};
use posthaste_log::{Logger, warn};
use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
use posthaste_table::{Context, DATABASE_TYPES, OpenFlags, Table, open_or_unavailable};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
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
    /// The parameter that lists what may be asked for.
    parameter: &'static str,
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
        let write = setup.service == setup.config.text("proxywrite_service_name")?;
        let parameter = if write { "proxy_write_maps" } else { "proxy_read_maps" };
        let mut approved = HashSet::new();
        named::with_proxy(&setup.config.text(parameter)?, &mut approved);
        let named = named::in_configuration(&setup.config, &setup.log)?;
        let context = context(&setup.config, setup.log.clone())?;
        let service = Proxymap {
            parameter,
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
        self.databases().iter().flat_map(|table| posthaste_database::folders(table, &self.config)).collect()
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        let Connection::Unix(mut client) = client else { return };
        // A client that goes away, or talks nonsense, is no reason for a word.
        let _ = self.talk(&mut client).await;
    }
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
            self.table(&Query { table, keep_case: false, raw_bytes: false, implicit: true, check: true, key: Default::default() });
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
        loop {
            while let Some(request) = decoder.frame().map_err(bad)? {
                let number = request.request;
                let query = request.value::<Query>().map_err(bad)?;
                let answer = self.answer(query).await;
                let mut out = Vec::new();
                frame::put(&mut out, Answer::FRAME, number, &answer).map_err(bad)?;
                client.write_all(&out).await?;
            }
            match client.read(&mut chunk).await? {
                0 => return Ok(()),
                n => decoder.feed(&chunk[..n]),
            }
        }
    }

    async fn answer(&self, query: Query) -> Answer {
        let name = &query.table;
        let of_database = name.split_once(':').is_some_and(|(kind, _)| DATABASE_TYPES.contains(&kind));
        if query.implicit && !(of_database && self.named.contains(name)) {
            warn!(self.log, "request for table \"{name}\", which main.cf and master.cf do not name; \"postfix reload\" if they do now");
            return Answer { result: Found::Denied, text: Default::default() };
        }
        if !query.implicit && !self.approved.contains(name) {
            warn!(self.log, "request for unapproved table: \"{name}\"");
            let access = if self.parameter == "proxy_read_maps" { "read-only" } else { "read-write" };
            warn!(self.log, "to approve this table for {access} access, list proxy:{name} in main.cf:{}", self.parameter);
            return Answer { result: Found::Denied, text: Default::default() };
        }
        let table = self.table(&query);
        if query.check {
            return Answer { result: Found::Nothing, text: Default::default() };
        }
        let found = if table.may_block() || name.starts_with("unix:") {
            let key = query.key;
            // A panic there is reported where it happens.
            match tokio::task::spawn_blocking(move || table.lookup(key.as_ref())).await {
                Ok(found) => found,
                Err(_) => return Answer { result: Found::Failed, text: "internal error".into() },
            }
        } else {
            table.lookup(query.key.as_ref())
        };
        match found {
            Ok(Some(text)) => Answer { result: Found::Value, text },
            Ok(None) => Answer { result: Found::Nothing, text: Default::default() },
            Err(error) => Answer { result: Found::Failed, text: error.reason.into() },
        }
    }

    fn table(&self, query: &Query) -> Arc<dyn Table> {
        let wanted = (query.table.clone(), query.keep_case, query.raw_bytes);
        let mut open = self.open.borrow_mut();
        let table = open.entry(wanted).or_insert_with(|| {
            let flags = OpenFlags { keep_case: query.keep_case, raw_bytes: query.raw_bytes, ..OpenFlags::default() };
            open_or_unavailable(&query.table, flags, &self.context)
        });
        Arc::clone(table)
    }
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
            parameter: "proxy_read_maps",
            approved,
            named,
            open: RefCell::default(),
            config: Arc::new(Config::parse("", "main.cf").unwrap()),
            context: Context::with_report(Settings::default(), |_, _| {}),
            log: Logger::new("postfix/proxymap"),
        }
    }

    fn query(table: &str, key: &str) -> Query {
        Query { table: table.into(), keep_case: false, raw_bytes: false, implicit: false, check: false, key: key.into() }
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
}
