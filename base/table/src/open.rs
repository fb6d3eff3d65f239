//! From `type:name` to a table.

use crate::cdb::Cdb;
use crate::db::{Db, Method};
use crate::file::{Followed, open_database_error};
use crate::lmdb::Lmdb;
use crate::writable::Writable;
use crate::{Context, Table, TableError, build, cidr, composite, fold, pcre, proxy, regexp, socketmap, tcp, text, unix};
use bstr::{BStr, BString, ByteSlice};
use posthaste_log::Level;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a table is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// Keys are not folded to lower case (`postmap -f`).
    pub keep_case: bool,
    /// No `$1` in the results of patterns: for tables whose results name files or commands.
    pub no_substitution: bool,
    /// `proxy:` is as if it were not there: for services that hold root, which must not believe the shared proxymap service.
    pub no_proxy: bool,
    /// No table whose server is not authenticated (`tcp:`, `socketmap:`): for tables whose results name files or commands.
    pub no_unauthenticated: bool,
    /// No checks that keys and values are UTF-8 (`postmap -u`, body lines).
    pub raw_bytes: bool,
    /// Values are names of files, to be replaced by the files' content in base64 (`postmap -F`). In tables that postmap makes this has
    /// happened when they were made; the others are read so.
    pub value_is_file: bool,
    /// [`Table::update`] and [`Table::delete`] will be used. Files of Berkeley DB and LMDB, `memcache:`, and with `proxy:` those of them that the
    /// proxywrite service may change.
    pub writable: bool,
}

impl OpenFlags {
    /// For tables whose results name files, commands or users to deliver with the rights of.
    pub const SECURE: OpenFlags = OpenFlags {
        keep_case: false,
        no_substitution: true,
        no_proxy: true,
        no_unauthenticated: true,
        raw_bytes: false,
        value_is_file: false,
        writable: false,
    };

    /// For lines of messages, which may hold any bytes: header_checks(5).
    pub const RAW: OpenFlags = OpenFlags {
        keep_case: false,
        no_substitution: false,
        no_proxy: false,
        no_unauthenticated: false,
        raw_bytes: true,
        value_is_file: false,
        writable: false,
    };
}

/// The types whose tables are on a database server, or in a file that is read by a database library (`sqlite`). Only proxymap, postmap and
/// postalias open them; everything else asks proxymap, whether or not the table is written with `proxy:`.
pub const DATABASE_TYPES: &[&str] = &["ldap", "memcache", "mongodb", "mysql", "pgsql", "redis", "sqlite"];

/// The table types that can be opened, as `postconf -m` lists them, sorted.
pub const TYPES: &[&str] = &[
    "btree",
    "cdb",
    "cidr",
    "debug",
    "environ",
    "fail",
    "hash",
    "inline",
    "internal",
    "ldap",
    "lmdb",
    "memcache",
    "mongodb",
    "mysql",
    "nis",
    "pcre",
    "pgsql",
    "pipemap",
    "proxy",
    "randmap",
    "redis",
    "regexp",
    "socketmap",
    "sqlite",
    "static",
    "tcp",
    "texthash",
    "unionmap",
    "unix",
];

/// Opens a table. The error is Postfix's text for the reason, complete.
pub fn try_open(spec: &str, flags: OpenFlags, context: &Context) -> Result<Arc<dyn Table>, String> {
    let Some((kind, name)) = spec.split_once(':').filter(|(kind, name)| !kind.is_empty() && !name.is_empty()) else {
        return Err(format!("open dictionary: expecting \"type:name\" form instead of \"{spec}\""));
    };
    if kind == "proxy" && flags.no_proxy {
        return try_open(name, flags, context);
    }
    let boxed: Box<dyn Table> = match kind {
        "btree" | "hash" | "lmdb" if flags.writable => Box::new(Writable::open(spec, context)?),
        "cdb" if flags.writable => return Err(build::CDB_IS_MADE_WHOLE.into()),
        "memcache" | "proxy" | "environ" | "fail" | "internal" | "static" if flags.writable => open_type(spec, kind, name, flags, context)?,
        known if flags.writable && TYPES.contains(&known) => return Err(format!("{spec} map requires O_RDONLY access mode")),
        _ => open_type(spec, kind, name, flags, context)?,
    };
    let folds = !flags.keep_case && !boxed.whole_keys_only();
    let utf8 = context.settings.utf8 && !flags.raw_bytes;
    Ok(Arc::new(Guard { folds, utf8, context: context.clone(), table: boxed }))
}

fn open_type(spec: &str, kind: &str, name: &str, flags: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String> {
    Ok(match kind {
        "btree" | "cdb" | "hash" | "lmdb" => Box::new(Indexed::open(spec, context)?),
        "cidr" => Box::new(cidr::Cidr::open(spec, name, flags, context)?),
        "debug" => Box::new(composite::Debug::open(spec, name, flags, context)?),
        "environ" => Box::new(text::Environ(spec.to_owned())),
        "fail" => Box::new(text::Fail(spec.to_owned())),
        "inline" => Box::new(text::Inline::open(spec, name, flags, context)?),
        "internal" => Box::new(text::Empty(spec.to_owned())),
        "nis" => {
            context.warn("dict_nis_init: NIS domain name not set - NIS lookups disabled");
            Box::new(text::Empty(spec.to_owned()))
        }
        "pcre" => Box::new(pcre::Pcre::open(spec, name, flags, context)?),
        "pipemap" => Box::new(composite::Combined::pipe(spec, name, flags, context)?),
        "proxy" => Box::new(proxy::Proxy::open(spec, name, flags, context)?),
        "randmap" => Box::new(composite::Random::open(spec, name, flags)?),
        "regexp" => Box::new(regexp::Regexp::open(spec, name, flags, context)?),
        "memcache" if flags.no_unauthenticated => return Err(format!("{spec} map is not allowed for security-sensitive data")),
        "socketmap" | "tcp" if flags.no_unauthenticated => {
            return Err(format!("{spec} map is not allowed for security-sensitive data"));
        }
        "socketmap" => Box::new(socketmap::SocketMap::open(spec, name, context)?),
        "static" => Box::new(text::Static::open(spec, name, flags)?),
        "tcp" => Box::new(tcp::Tcp::open(spec, name, context)?),
        "texthash" => Box::new(text::TextHash::open(spec, name, flags, context)?),
        "unionmap" => Box::new(composite::Combined::union(spec, name, flags, context)?),
        "unix" => Box::new(unix::Unix::open(spec, name)?),
        _ if DATABASE_TYPES.contains(&kind) => match context.databases() {
            Some(open) => open(spec, flags, context).unwrap_or_else(|| Err(format!("unsupported dictionary type: {kind}")))?,
            None => Box::new(proxy::Proxy::implicit(spec, flags, context)?),
        },
        _ => return Err(format!("unsupported dictionary type: {kind}")),
    })
}

/// Opens a table for a service: one that cannot be opened is not an error here, but each of its lookups is, with a warning that names it.
/// Does not return where `daemon_table_open_error_is_fatal` is set.
pub fn open_or_unavailable(spec: &str, flags: OpenFlags, context: &Context) -> Arc<dyn Table> {
    try_open(spec, flags, context).unwrap_or_else(|reason| {
        if context.settings.open_error_is_fatal {
            context.report(Level::Fatal, &reason);
            // Asked for by name: a service that lacks a table should not take mail at all.
            std::process::exit(1);
        }
        context.report(Level::Error, &reason);
        let state = Mutex::new((Instant::now(), Err(reason)));
        Arc::new(Unavailable { name: spec.to_owned(), flags, context: context.clone(), state })
    })
}

#[cfg(test)]
pub(crate) use try_open as open;

/// What holds for all types: keys of fixed strings are folded, keys and values must be UTF-8 where SMTPUTF8 is enabled.
struct Guard {
    folds: bool,
    utf8: bool,
    context: Context,
    table: Box<dyn Table>,
}

const NOT_UTF8: &str = "malformed UTF-8 or invalid codepoint";

impl Table for Guard {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn label(&self) -> &str {
        self.table.label()
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let ascii = key.is_ascii();
        if self.utf8 && !ascii && key.to_str().is_err() {
            self.context.warn(&format!("{}: non-UTF-8 key \"{key}\": {NOT_UTF8}", self.table.label()));
            return Ok(None);
        }
        let found = if self.folds { self.table.lookup(&fold::fold(key, self.utf8)) } else { self.table.lookup(key) }?;
        match found {
            Some(value) if self.utf8 && !value.is_ascii() && value.to_str().is_err() => {
                self.context.warn(&format!("{}: key \"{key}\": non-UTF-8 value \"{value}\": {NOT_UTF8}", self.table.label()));
                Err(TableError::without_detail(self.table.name(), "value is not UTF-8"))
            }
            found => Ok(found),
        }
    }

    fn whole_keys_only(&self) -> bool {
        self.table.whole_keys_only()
    }

    fn may_block(&self) -> bool {
        self.table.may_block()
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        self.table.entries(visit)
    }

    fn update(&self, key: &BStr, value: &BStr) -> Result<(), TableError> {
        if self.folds { self.table.update(&fold::fold(key, self.utf8), value) } else { self.table.update(key, value) }
    }

    fn delete(&self, key: &BStr) -> Result<bool, TableError> {
        if self.folds { self.table.delete(&fold::fold(key, self.utf8)) } else { self.table.delete(key) }
    }

    fn sync(&self) {
        self.table.sync();
    }
}

/// Stands for a table that could not be opened. One whose file appears later comes to life: a service may run for months.
struct Unavailable {
    name: String,
    flags: OpenFlags,
    context: Context,
    state: Mutex<Attempt>,
}

/// When opening was tried last, and what came of it.
type Attempt = (Instant, Result<Arc<dyn Table>, String>);

/// How often the file of a table that could not be opened is looked for.
const RETRY: Duration = Duration::from_secs(1);

impl Unavailable {
    fn table(&self) -> Result<Arc<dyn Table>, String> {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        // Only files come and go; what is wrong with other tables is written in main.cf.
        let file = matches!(
            self.name.split_once(':'),
            Some(("btree" | "cdb" | "cidr" | "hash" | "lmdb" | "pcre" | "regexp" | "texthash", name)) if !name.starts_with('{')
        );
        if file && state.1.is_err() && state.0.elapsed() >= RETRY {
            *state = (Instant::now(), try_open(&self.name, self.flags, &self.context));
        }
        state.1.clone()
    }

    fn available(&self) -> Result<Arc<dyn Table>, TableError> {
        self.table().map_err(|reason| {
            self.context.warn(&format!("{} is unavailable. {reason}", self.name));
            TableError::new(&self.name, reason)
        })
    }
}

impl Table for Unavailable {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        self.available()?.lookup(key)
    }

    fn update(&self, key: &BStr, value: &BStr) -> Result<(), TableError> {
        self.available()?.update(key, value)
    }

    fn delete(&self, key: &BStr) -> Result<bool, TableError> {
        self.available()?.delete(key)
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        match self.available() {
            Ok(table) => table.entries(visit),
            Err(error) => Some(Err(error)),
        }
    }

    fn whole_keys_only(&self) -> bool {
        self.state.lock().unwrap_or_else(|e| e.into_inner()).1.as_ref().is_ok_and(|table| table.whole_keys_only())
    }
}

/// The content of an indexed file.
enum Index {
    Cdb(Cdb),
    Db(Db),
    Lmdb(Lmdb),
}

impl Index {
    fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match self {
            Index::Cdb(cdb) => cdb.find(key),
            Index::Db(db) => db.find(key),
            Index::Lmdb(lmdb) => lmdb.find(key),
        }
    }

    /// Whether it was found that the file is no longer what it was when it was opened.
    fn is_stale(&self) -> bool {
        match self {
            Index::Cdb(cdb) => cdb.is_stale(),
            Index::Db(db) => db.is_stale(),
            Index::Lmdb(lmdb) => lmdb.is_stale(),
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        match self {
            Index::Cdb(cdb) => cdb.each(visit),
            Index::Db(db) => db.each(visit),
            Index::Lmdb(lmdb) => lmdb.each(visit),
        }
    }
}

/// A table in a file made by postmap: `hash:/file` and `btree:/file` in `/file.db`, `cdb:/file` in `/file.cdb`, `lmdb:/file` in `/file.lmdb`.
pub(crate) struct Indexed {
    name: String,
    label: String,
    file: Followed<(Index, Nulls)>,
}

/// Whether the keys of a file end with NUL. Postfix stores them so (but not in cdb files); other programs, and `postmap -n`, without. One file has one
/// way, which shows as soon as a key was found.
struct Nulls(AtomicU8);

impl Nulls {
    const UNKNOWN: u8 = 0;
    const WITH: u8 = 1;
    const WITHOUT: u8 = 2;

    fn find(&self, index: &Index, key: &BStr) -> Result<Option<Vec<u8>>, String> {
        let known = self.0.load(Ordering::Relaxed);
        if known != Nulls::WITHOUT {
            let mut with_null = Vec::with_capacity(key.len() + 1);
            with_null.extend_from_slice(key);
            with_null.push(0);
            if let Some(value) = index.find(&with_null)? {
                self.0.store(Nulls::WITH, Ordering::Relaxed);
                return Ok(Some(value));
            }
        }
        if known != Nulls::WITH
            && let Some(value) = index.find(key)?
        {
            self.0.store(Nulls::WITHOUT, Ordering::Relaxed);
            return Ok(Some(value));
        }
        Ok(None)
    }
}

impl Indexed {
    pub fn open(spec: &str, context: &Context) -> Result<Indexed, String> {
        let (kind, name) = spec.split_once(':').unwrap_or((spec, ""));
        let suffix = match kind {
            "btree" | "hash" => "db",
            other => other,
        };
        let path = PathBuf::from(format!("{name}.{suffix}"));
        let (own_kind, map) = (kind.to_owned(), context.settings.command);
        let file = Followed::open(&path, context, open_database_error, move |file, path| {
            match &*own_kind {
                "btree" => Db::open(file, Method::Btree).map(Index::Db),
                "hash" => Db::open(file, Method::Hash).map(Index::Db),
                "cdb" => Cdb::open(file, map).map(Index::Cdb),
                _ => Lmdb::open(file).map(Index::Lmdb),
            }
            .map(|index| (index, Nulls(AtomicU8::new(Nulls::UNKNOWN))))
            .map_err(|reason| format!("open database {}: {reason}", path.display()))
        })?;
        warn_older(Path::new(name), &path, context);
        let label = if kind == "lmdb" { spec.to_owned() } else { format!("{spec}.{suffix}") };
        Ok(Indexed { name: spec.to_owned(), label, file })
    }

    /// The next lookup looks whether the file has changed.
    pub fn expire(&self) {
        self.file.expire();
    }
}

/// Says so when the source was changed after the indexed file was made; not in the first hundred seconds, since it may be edited just now.
pub(crate) fn warn_older(source: &Path, indexed: &Path, context: &Context) {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let (Some(source_time), Some(indexed_time)) = (modified(source), modified(indexed)) else { return };
    let settled = source_time.elapsed().is_ok_and(|age| age.as_secs() > 100);
    if source_time > indexed_time && settled {
        context.warn(&format!("database {} is older than source file {}", indexed.display(), source.display()));
    }
}

impl Table for Indexed {
    fn name(&self) -> &str {
        &self.name
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let fail = |reason: String| TableError::new(&self.name, reason);
        // Under someone who writes in place, one more try meets the new file.
        for last in [false, true] {
            let content = self.file.get().map_err(fail)?;
            let (index, nulls) = &*content;
            match nulls.find(index, key) {
                Ok(found) => return Ok(found.map(without_null)),
                Err(_) if !last && index.is_stale() => self.file.expire(),
                Err(reason) => return Err(fail(reason)),
            }
        }
        Ok(None)
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        let fail = |reason: String| TableError::new(&self.name, reason);
        Some(
            self.file
                .get()
                .map_err(fail)
                .and_then(|content| content.0.each(&mut |key, value| visit(strip_null(key), strip_null(value))).map_err(fail)),
        )
    }
}

fn strip_null(text: &[u8]) -> &BStr {
    text.strip_suffix(b"\0").unwrap_or(text).as_bstr()
}

pub(crate) fn without_null(mut value: Vec<u8>) -> BString {
    if value.last() == Some(&0) {
        value.pop();
    }
    value.into()
}

/// The value of a table whose values are names of files (separated by comma or white space): their content, with an empty line between two
/// files, in base64.
pub fn content_of_files(names: &BStr) -> Result<BString, String> {
    let mut content = Vec::new();
    for (nth, name) in names.split(|&c| c == b',' || crate::lines::is_space(c)).filter(|name| !name.is_empty()).enumerate() {
        if nth > 0 {
            content.push(b'\n');
        }
        content.extend_from_slice(&crate::build::read_whole(Path::new(std::ffi::OsStr::from_bytes(name)))?);
    }
    Ok(crate::base64::encode(&content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::collecting;

    // S-TABLE-13
    #[test]
    fn unknown_types_and_bad_specifications() {
        let (context, _) = collecting();
        let error = |spec: &str| try_open(spec, OpenFlags::default(), &context).map(|_| ()).unwrap_err();
        assert_eq!(error("nosuch:/x"), "unsupported dictionary type: nosuch");
        for spec in ["", "hash", "hash:", ":x"] {
            assert_eq!(error(spec), format!("open dictionary: expecting \"type:name\" form instead of \"{spec}\""));
        }
    }

    #[test]
    fn tables_that_name_files_or_commands_come_from_no_stranger() {
        let (context, _) = collecting();
        for spec in ["tcp:127.0.0.1:1", "unionmap:{static:a, socketmap:unix:/x:y}"] {
            let error = try_open(spec, OpenFlags::SECURE, &context).map(|_| ()).unwrap_err();
            assert!(error.contains("map is not allowed for security"), "{spec}: {error}");
        }
        // Opened here, and not by the proxymap service.
        let table = try_open("unionmap:{proxy:static:a, static:b}", OpenFlags::SECURE, &context).unwrap();
        assert_eq!(table.lookup("x".into()).unwrap(), Some("a,b".into()));
    }

    // S-TABLE-21
    #[test]
    fn a_table_that_was_not_there_is_found_when_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let (context, _) = collecting();
        let table = open_or_unavailable(&format!("texthash:{}", path.display()), OpenFlags::default(), &context);
        assert!(table.lookup("a".into()).is_err());
        std::fs::write(&path, "a b\n").unwrap();
        std::thread::sleep(RETRY + Duration::from_millis(10));
        assert_eq!(table.lookup("a".into()).unwrap(), Some("b".into()));
    }

    // S-TABLE-01
    #[test]
    fn a_source_that_is_newer_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (source, indexed) = (folder.path().join("t"), folder.path().join("t.db"));
        std::fs::write(&source, "").unwrap();
        std::fs::write(&indexed, "").unwrap();
        let (context, lines) = collecting();
        let age = |path: &Path, seconds: u64| {
            let time = std::time::SystemTime::now() - Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        };
        for (source_age, indexed_age, told) in [(60, 120, 0), (180, 240, 1), (240, 180, 1)] {
            age(&source, source_age);
            age(&indexed, indexed_age);
            warn_older(&source, &indexed, &context);
            assert_eq!(lines.lock().unwrap().len(), told);
        }
        let text = format!("database {} is older than source file {}", indexed.display(), source.display());
        assert_eq!(*lines.lock().unwrap(), [text]);
    }
}
