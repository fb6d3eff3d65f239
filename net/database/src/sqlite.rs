//! `sqlite:/etc/postfix/table.cf` (sqlite_table(5)).

use crate::{Answers, Source, Template, expand};
use bstr::{BStr, BString, ByteSlice};
use posthaste_table::{Context, OpenFlags, Table, TableError};
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, OpenFlags as How};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// How long a lookup waits for another program that writes to the database.
const BUSY: Duration = Duration::from_secs(10);

struct Sqlite {
    name: String,
    /// The file of settings, for messages.
    source: String,
    path: PathBuf,
    query: Template,
    answers: Answers,
    /// Connections that no lookup uses just now, with the file that each is to.
    free: Mutex<Vec<(Connection, File)>>,
    context: Context,
}

/// Device and inode: a database may be replaced by another file of the same name.
type File = Option<(u64, u64)>;

fn file(path: &Path) -> File {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

pub fn open(spec: &str, source: &Source, _: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String> {
    let path = source.required("dbpath")?.into();
    let query = expand::sql_query(source)?;
    if source.text("query", "")?.contains('"') {
        context.warn(&format!(
            "{}: query contains double quotes: to SQLite text in them is a name first, and the key is only quoted for single quotes; \
             write '%s' instead of \"%s\"",
            source.name()
        ));
    }
    Ok(Box::new(Sqlite {
        name: spec.to_owned(),
        source: source.name().to_owned(),
        path,
        query,
        answers: Answers::new(spec, source, context)?,
        free: Mutex::default(),
        context: context.clone(),
    }))
}

/// The folder with the database of a table: SQLite makes its journal there.
pub fn folder(source: &Source) -> Option<PathBuf> {
    let path = PathBuf::from(source.get("dbpath").ok()??);
    path.parent().map(Path::to_owned)
}

/// Doubles single quotes.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    for &c in text {
        if c == b'\'' {
            out.push(c);
        }
        out.push(c);
    }
}

impl Sqlite {
    fn fail(&self, text: &str) -> TableError {
        self.context.warn(text);
        TableError::without_detail(&self.name, text)
    }

    fn connection(&self) -> Result<(Connection, File), TableError> {
        let now = file(&self.path);
        let mut free = self.free.lock().unwrap_or_else(|e| e.into_inner());
        free.retain(|(_, of)| *of == now);
        if let Some(known) = free.pop() {
            return Ok(known);
        }
        drop(free);
        // Writable if it can be: a query may be an INSERT, and a reader of a database with a write-ahead log takes part in it. One
        // that is not there is not made.
        let open = Connection::open_with_flags(&self.path, How::SQLITE_OPEN_READ_WRITE | How::SQLITE_OPEN_NO_MUTEX)
            .and_then(|connection| connection.busy_timeout(BUSY).map(|()| connection));
        match open {
            Ok(connection) => Ok((connection, now)),
            Err(error) => Err(self.fail(&format!("{}: Can't open database: {}", self.name, reason(&error)))),
        }
    }
}

fn reason(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

impl Table for Sqlite {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        if !self.answers.wanted(key)? {
            return Ok(None);
        }
        let Some(query) = self.query.query(key, &quote) else { return Ok(None) };
        // A key is UTF-8, and so is the template.
        let Ok(query) = String::from_utf8(query) else { return Ok(None) };
        let known = self.connection()?;
        let failed = |what: &str, error: rusqlite::Error| {
            self.fail(&format!("dict_sqlite_lookup: {}: SQL {what} failed: {}", self.source, reason(&error)))
        };
        let mut result = self.answers.result(key);
        {
            // Of several statements the first counts.
            let first = Batch::new(&known.0, &query).next().map_err(|error| failed("prepare", error))?;
            let Some(mut statement) = first else { return Ok(None) };
            let mut rows = statement.query([]).map_err(|error| failed("step", error))?;
            while let Some(row) = rows.next().map_err(|error| failed("step", error))? {
                match row.get_ref(0).map_err(|error| failed("step", error))? {
                    ValueRef::Null => {}
                    ValueRef::Integer(number) => result.add(number.to_string().as_bytes().as_bstr())?,
                    ValueRef::Real(number) => result.add(format!("{number:?}").as_bytes().as_bstr())?,
                    ValueRef::Text(text) | ValueRef::Blob(text) => result.add(text.as_bstr())?,
                }
            }
        }
        self.free.lock().unwrap_or_else(|e| e.into_inner()).push(known);
        Ok(result.finish())
    }

    fn may_block(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_table::Settings;
    use std::sync::Arc;

    struct Fixture {
        folder: tempfile::TempDir,
        lines: Arc<Mutex<Vec<String>>>,
    }

    impl Fixture {
        fn new() -> Fixture {
            let fixture = Fixture { folder: tempfile::tempdir().unwrap(), lines: Arc::default() };
            fixture.make("db", "one");
            fixture
        }

        fn make(&self, name: &str, value: &str) {
            let db = Connection::open(self.folder.path().join(name)).unwrap();
            db.execute_batch("create table t (k text, v)").unwrap();
            for (key, value) in [("a", value), ("a", "two"), ("o'b", "quoted"), ("e", "")] {
                db.execute("insert into t values (?1, ?2)", [key, value]).unwrap();
            }
            db.execute_batch("insert into t values ('n', null), ('i', 42), ('b', x'4142')").unwrap();
        }

        fn open(&self, settings: &str) -> Result<Box<dyn Table>, String> {
            let sink = Arc::clone(&self.lines);
            let context = Context::with_report(Settings::default(), move |_, text| sink.lock().unwrap().push(text.to_owned()));
            let text = format!("dbpath = {}/db\n{settings}", self.folder.path().display());
            open("sqlite:/t.cf", &Source::parse("/t.cf", &text).unwrap(), OpenFlags::default(), &context)
        }
    }

    const QUERY: &str = "query = SELECT v FROM t WHERE k = '%s'\n";

    // S-DB-05, S-DB-12
    #[test]
    fn values_and_quotes() {
        let fixture = Fixture::new();
        let table = fixture.open(QUERY).unwrap();
        let ask = |key: &str| table.lookup(key.into()).unwrap().map(|value| value.to_string());
        assert_eq!(ask("a").unwrap(), "one,two");
        assert_eq!(ask("o'b").unwrap(), "quoted");
        assert_eq!(ask("i").unwrap(), "42");
        assert_eq!(ask("b").unwrap(), "AB");
        let two = fixture.open("query = SELECT v FROM t WHERE k = '%s'; SELECT 'more'").unwrap();
        assert_eq!(two.lookup("a".into()).unwrap().unwrap(), "one,two");
        for key in ["n", "e", "nosuch", "' OR 1=1 --", "x\0y", ""] {
            assert_eq!(ask(key), None, "{key}");
        }
    }

    #[test]
    fn a_fault_is_a_failure_and_never_not_found() {
        let fixture = Fixture::new();
        for query in ["query = SELEC", "query = SELECT v FROM nosuch"] {
            let table = fixture.open(query).unwrap();
            assert!(table.lookup("a".into()).is_err());
        }
        let table = fixture.open(QUERY).unwrap();
        std::fs::remove_file(fixture.folder.path().join("db")).unwrap();
        assert!(table.lookup("a".into()).is_err());
        let lines = fixture.lines.lock().unwrap();
        assert_eq!(lines[0], "dict_sqlite_lookup: /t.cf: SQL prepare failed: near \"SELEC\": syntax error");
        assert_eq!(lines[1], "dict_sqlite_lookup: /t.cf: SQL prepare failed: no such table: nosuch");
        assert!(lines[2].starts_with("sqlite:/t.cf: Can't open database: unable to open database file"), "{}", lines[2]);
    }

    #[test]
    fn another_file_in_its_place_is_noticed() {
        let fixture = Fixture::new();
        let table = fixture.open(QUERY).unwrap();
        assert_eq!(table.lookup("a".into()).unwrap().unwrap(), "one,two");
        fixture.make("new", "three");
        std::fs::rename(fixture.folder.path().join("new"), fixture.folder.path().join("db")).unwrap();
        assert_eq!(table.lookup("a".into()).unwrap().unwrap(), "three,two");
    }

    #[test]
    fn settings_that_are_missing() {
        let fixture = Fixture::new();
        assert_eq!(fixture.open("").err().unwrap(), "/t.cf: bad string length 0 < 1: table = ");
        fixture.open("query = SELECT v FROM t WHERE k = \"%s\"").unwrap();
        assert!(fixture.lines.lock().unwrap()[0].contains("double quotes"));
    }
}
