//! `proxy:type:name`: a table that the proxymap service has open; and tables on database servers, which only that service can open.

use crate::helper::Helper;
use crate::net_client::{Endpoint, Pool};
use crate::open::OpenFlags;
use crate::{Context, Table, TableError};
use bstr::{BStr, BString};
use posthaste_ipc::frame;
use posthaste_ipc::proxymap::{Answer, Ask, Found, Listed, Query};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long to wait for the service, which may itself be waiting for a database.
const LIMIT: Duration = Duration::from_secs(3600);

pub(crate) struct Proxy {
    name: String,
    /// The table as the service knows it.
    inner: String,
    keep_case: bool,
    raw_bytes: bool,
    /// Not written with `proxy:`.
    implicit: bool,
    /// Asks the service that may write.
    writable: bool,
    whole: bool,
    way: Way,
    direct: Option<Direct>,
    context: Context,
}

/// The system's users and groups are the same for every process that has not changed its root: once the service has said that this table may be
/// asked for, it need not be asked at each lookup.
struct Direct {
    table: Arc<dyn Table>,
    /// The root of this process when the table was opened: device and inode.
    root: (u64, u64),
    same_root: OnceLock<bool>,
}

impl Direct {
    fn open(spec: &str, flags: OpenFlags, context: &Context) -> Option<Direct> {
        let table = Some(spec).filter(|spec| spec.starts_with("unix:") && !flags.writable)?;
        let (table, root) = (crate::open::try_open(table, flags, context).ok()?, root()?);
        Some(Direct { table, root, same_root: OnceLock::new() })
    }

    /// Tables are opened before the root is changed, and asked after that.
    fn table(&self) -> Option<&dyn Table> {
        self.same_root.get_or_init(|| root() == Some(self.root)).then_some(&*self.table)
    }
}

fn root() -> Option<(u64, u64)> {
    std::fs::metadata("/").ok().map(|root| (root.dev(), root.ino()))
}

/// Who is asked.
enum Way {
    /// The service that all share.
    Shared(Pool),
    /// A process of this service's own.
    Own(Arc<Helper>),
}

impl Proxy {
    /// Asks the service whether the table may be used, if it can be reached already; else lookups find out.
    pub fn open(spec: &str, inner: &str, flags: OpenFlags, context: &Context) -> Result<Proxy, String> {
        Proxy::new(spec, inner, false, flags, context)
    }

    /// For a table that this process cannot open itself, such as `mysql:/etc/postfix/users.cf`.
    pub fn implicit(spec: &str, flags: OpenFlags, context: &Context) -> Result<Proxy, String> {
        Proxy::new(spec, spec, true, flags, context)
    }

    fn new(spec: &str, inner: &str, implicit: bool, flags: OpenFlags, context: &Context) -> Result<Proxy, String> {
        let settings = &context.settings;
        let socket = if flags.writable { &settings.proxywrite } else { &settings.proxymap };
        let way = match (&settings.helper, socket) {
            (Some((program, directory)), _) if !flags.writable => Way::Own(Helper::of_process(program, directory)),
            (_, Some(socket)) => Way::Shared(Pool::new(Endpoint::Service(socket.clone()), LIMIT)),
            (_, None) => return Err("the proxymap service is not known here".into()),
        };
        let mut proxy = Proxy {
            name: spec.to_owned(),
            inner: inner.to_owned(),
            keep_case: flags.keep_case,
            raw_bytes: flags.raw_bytes,
            implicit,
            writable: flags.writable,
            whole: whole_keys(inner),
            way,
            direct: None,
            context: context.clone(),
        };
        match proxy.ask(Ask::Check, BStr::new(""), BStr::new("")) {
            Ok(Answer { result: Found::Denied, .. }) => Err(proxy.denied()),
            Ok(_) => {
                proxy.direct = Direct::open(inner, flags, context);
                Ok(proxy)
            }
            Err(_) => Ok(proxy),
        }
    }

    fn denied(&self) -> String {
        let table = &self.inner;
        match (self.implicit, self.writable) {
            (false, false) => format!("proxymap service is not configured for table \"{table}\""),
            (false, true) => format!("proxywrite service is not configured for table \"{table}\""),
            (true, false) => format!("the proxymap service finds table \"{table}\" in no parameter of main.cf or master.cf"),
            (true, true) => format!("the proxywrite service finds table \"{table}\" in no parameter that names a cache"),
        }
    }

    fn ask(&self, ask: Ask, key: &BStr, value: &BStr) -> Result<Answer, String> {
        self.talk(ask, key, value, &|stream, request| exchange(stream, request, &mut |_| {}))
    }

    /// Makes a request, which `exchange` sends and gets the answer for.
    fn talk(&self, ask: Ask, key: &BStr, value: &BStr, exchange: &Exchange<'_>) -> Result<Answer, String> {
        let query = Query {
            table: self.inner.clone(),
            keep_case: self.keep_case,
            raw_bytes: self.raw_bytes,
            implicit: self.implicit,
            ask,
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let mut request = Vec::new();
        frame::put(&mut request, Query::FRAME, 0, &query).map_err(|error| error.to_string())?;
        let (answer, whom, getting) = match &self.way {
            Way::Shared(pool) => (pool.ask(|stream| exchange(stream, &request)), pool.endpoint().to_string(), "connect to"),
            Way::Own(helper) => {
                (helper.ask(LIMIT, |stream| exchange(stream, &request)), format!("lookup helper {}", helper.program().display()), "start")
            }
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("read from {whom}: {}", crate::file::reason(&error))),
            Err(reason) => Err(format!("{getting} {whom}: {reason}")),
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

type Exchange<'a> = dyn Fn(&mut dyn Stream, &[u8]) -> io::Result<Answer> + 'a;

/// One request and its answer. Entries that come before it go to `listed`.
fn exchange(stream: &mut dyn Stream, request: &[u8], listed: &mut dyn FnMut(Listed)) -> io::Result<Answer> {
    stream.write_all(request)?;
    let mut decoder = frame::Decoder::new();
    let mut chunk = [0; 4096];
    let bad = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    loop {
        while let Some(frame) = decoder.frame().map_err(bad)? {
            if frame.kind != Listed::FRAME {
                return frame.value::<Answer>().map_err(bad);
            }
            let some: Listed = frame.value().map_err(bad)?;
            if some.entries.is_empty() {
                return Ok(Answer { result: Found::Nothing, text: BString::default() });
            }
            listed(some);
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => decoder.feed(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether only whole keys make sense for a table, by its type.
fn whole_keys(spec: &str) -> bool {
    let (kind, name) = spec.split_once(':').unwrap_or((spec, ""));
    match kind {
        "cidr" | "pcre" | "randmap" | "regexp" | "socketmap" | "tcp" => true,
        "debug" | "proxy" => whole_keys(name),
        "pipemap" | "unionmap" => crate::syntax::inside_braces(name).is_ok_and(|inner| crate::syntax::words(inner).any(whole_keys)),
        _ => false,
    }
}

impl Proxy {
    fn answer(&self, answer: Result<Answer, String>) -> Result<Option<BString>, TableError> {
        let answer = answer.map_err(|reason| {
            self.context.warn(&format!("{}: {reason}", self.name));
            TableError::new(&self.name, reason)
        })?;
        match answer.result {
            Found::Value => Ok(Some(answer.text)),
            Found::Nothing => Ok(None),
            // The reason is in the log of the service.
            Found::Failed => Err(TableError::new(&self.name, answer.text.to_string())),
            Found::Denied => Err(TableError::new(&self.name, self.denied())),
        }
    }
}

impl Table for Proxy {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        match self.direct.as_ref().and_then(Direct::table) {
            Some(table) => table.lookup(key).map_err(|error| TableError::new(&self.name, error.reason)),
            None => self.answer(self.ask(Ask::Lookup, key, BStr::new(""))),
        }
    }

    fn update(&self, key: &BStr, value: &BStr) -> Result<(), TableError> {
        self.answer(self.ask(Ask::Update, key, value)).map(drop)
    }

    fn delete(&self, key: &BStr) -> Result<bool, TableError> {
        self.answer(self.ask(Ask::Delete, key, BStr::new(""))).map(|found| found.is_some())
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        // All first: what `visit` does may need the connection, and a list that breaks off is asked for again.
        let all = RefCell::new(Vec::new());
        let listed = self.talk(Ask::List, BStr::new(""), BStr::new(""), &|stream, request| {
            let mut all = all.borrow_mut();
            all.clear();
            exchange(stream, request, &mut |some| all.extend(some.entries))
        });
        Some(self.answer(listed).map(|_| {
            let _ = all.into_inner().iter().all(|entry| visit(entry.key.as_ref(), entry.value.as_ref()));
        }))
    }

    fn whole_keys_only(&self) -> bool {
        self.whole
    }

    fn may_block(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_tables_take_whole_keys_only() {
        for (spec, whole) in [
            ("unix:passwd.byname", false),
            ("regexp:/x", true),
            ("debug:cidr:/x", true),
            ("unionmap:{hash:/x, static:y}", false),
            ("pipemap:{hash:/x, pcre:/y}", true),
            ("nonsense", false),
        ] {
            assert_eq!(whole_keys(spec), whole, "{spec}");
        }
    }

    // S-TABLE-09: the service's answer decides whether, and the root of the process where.
    #[test]
    fn the_systems_users_are_the_same_for_all_with_one_root() {
        let context = crate::context::collecting().0;
        let open = |spec| Direct::open(spec, OpenFlags::default(), &context);
        let users = open("unix:passwd.byname").unwrap();
        let found = users.table().unwrap().lookup("root".into()).unwrap().unwrap();
        assert!(found.starts_with(b"root:"), "{found}");
        let elsewhere = Direct { root: (users.root.0, users.root.1 + 1), same_root: OnceLock::new(), ..users };
        assert!(elsewhere.table().is_none());
        assert!(open("static:x").is_none());
    }
}
