//! `memcache:/etc/postfix/table.cf` (memcache_table(5)): the text protocol of memcached, with a persistent table behind it if one is named.

use crate::connection::{Connection, Endpoint, Pool, reason};
use crate::{Answers, Source, Template, expand};
use aws_lc_rs::digest;
use bstr::{BStr, BString, ByteSlice};
use posthaste_table::{Context, OpenFlags, Table, TableError, open_or_unavailable};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longer keys are not taken by the server.
const LONGEST_KEY: usize = 250;

/// How long a connection is kept without work.
const IDLE: Duration = Duration::from_secs(30);

struct Memcache {
    name: String,
    /// The file of settings, for messages.
    source: String,
    server: Endpoint,
    key_format: Template,
    /// For the list of domains.
    answers: Answers,
    backup: Option<Backup>,
    flags: i64,
    ttl: i64,
    data_size_limit: usize,
    line_size_limit: usize,
    max_try: i64,
    retry_pause: Duration,
    timeout: Duration,
    pool: Pool<Connection>,
    context: Context,
}

/// The table behind the server. It is opened when it is needed first: settings may be read with the rights of root, and files that are
/// made then would be root's.
struct Backup {
    spec: String,
    flags: OpenFlags,
    context: Context,
    table: OnceLock<Arc<dyn Table>>,
}

impl Backup {
    fn table(&self) -> &dyn Table {
        &**self.table.get_or_init(|| open_or_unavailable(&self.spec, self.flags, &self.context))
    }
}

pub fn open(spec: &str, source: &Source, flags: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String> {
    if flags.no_unauthenticated {
        return Err(format!("{spec} map is not allowed for security-sensitive data"));
    }
    let most = i64::from(i32::MAX);
    let server = source.text("memcache", "inet:localhost:11211")?;
    let key_format = source.text("key_format", "%s")?;
    let backup = source.text("backup", "")?;
    Ok(Box::new(Memcache {
        name: spec.to_owned(),
        source: source.name().to_owned(),
        server: Endpoint::parse(&server, 11211).map_err(|fault| format!("{}: memcache: {fault}", source.name()))?,
        key_format: Template::parse(&key_format).map_err(|fault| format!("{}: key_format = {key_format}: {fault}", source.name()))?,
        answers: Answers::new(spec, source, context)?,
        backup: (!backup.is_empty()).then(|| Backup { spec: backup, flags, context: context.clone(), table: OnceLock::new() }),
        flags: source.int("flags", 0, 0, i64::from(u32::MAX))?,
        ttl: source.int("ttl", 3600, 0, most)?,
        data_size_limit: source.int("data_size_limit", 10240, 1, most)? as usize,
        line_size_limit: source.int("line_size_limit", 1024, 1, most)? as usize,
        max_try: source.int("max_try", 2, 1, most)?,
        retry_pause: Duration::from_secs(source.int("retry_pause", 1, 1, most)? as u64),
        timeout: Duration::from_secs(source.int("timeout", 2, 1, most)? as u64),
        pool: Pool::new(IDLE),
        context: context.clone(),
    }))
}

/// A reply that the protocol does not provide for, or a failed exchange.
enum Fault {
    /// Worth another try.
    Io(io::Error),
    /// The server's words.
    Reply(Vec<u8>),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl Memcache {
    fn fail(&self, text: &str) -> TableError {
        self.context.warn(text);
        TableError::without_detail(&self.name, text)
    }

    /// The key at the server. `None`: there is none for this one.
    fn key(&self, key: &BStr) -> Result<Option<Vec<u8>>, TableError> {
        if !self.answers.wanted(key)? {
            return Ok(None);
        }
        let Some(text) = self.key_format.query(key, &expand::unquoted) else { return Ok(None) };
        // The protocol has no way to write these.
        if text.is_empty() || text.iter().any(|&c| c <= b' ' || c == 0x7f) {
            return Ok(None);
        }
        if text.len() > LONGEST_KEY {
            let hash = digest::digest(&digest::SHA256, &text);
            return Ok(Some(hash.as_ref().iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()));
        }
        Ok(Some(text))
    }

    /// Makes an exchange on a connection of before or a new one, and makes it again when it fails.
    fn ask<T>(&self, exchange: impl Fn(&mut Connection) -> Result<T, Fault>) -> Result<T, TableError> {
        let mut tries = 0;
        loop {
            let before = self.pool.take();
            let old = before.is_some();
            let mut connection = match before {
                Some(connection) => connection,
                None => Connection::open(&self.server, self.timeout)
                    .map_err(|error| self.fail(&format!("connect to {}: {}", self.server, reason(&error))))?,
            };
            connection.within(self.timeout);
            let fault = match exchange(&mut connection) {
                Ok(answer) => {
                    self.pool.give(connection);
                    return Ok(answer);
                }
                Err(Fault::Reply(text)) => {
                    let shown = text[..text.len().min(30)].as_bstr();
                    return Err(self.fail(&format!("{}: unexpected memcache server reply: {shown}", self.source)));
                }
                Err(Fault::Io(error)) => error,
            };
            // The server may have closed a connection that was not in use.
            if old {
                continue;
            }
            tries += 1;
            if tries >= self.max_try {
                return Err(self.fail(&format!("{}: memcache server {}: {}", self.source, self.server, reason(&fault))));
            }
            std::thread::sleep(self.retry_pause);
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<BString>, TableError> {
        let request = [b"get ", key, b"\r\n"].concat();
        self.ask(|connection| {
            connection.send(&request)?;
            let line = connection.line(self.line_size_limit)?;
            if line == b"END" {
                return Ok(None);
            }
            // VALUE key flags bytes
            let mut words = line.split(|&c| c == b' ');
            let (verb, echo, _, length) = (words.next(), words.next(), words.next(), words.next());
            let length = length.and_then(|text| text.to_str().ok()?.parse::<usize>().ok());
            let (Some(b"VALUE"), Some(echo), Some(length)) = (verb, echo, length) else { return Err(Fault::Reply(line)) };
            if echo != key || length > self.data_size_limit {
                return Err(Fault::Reply(line));
            }
            let mut value = connection.exactly(length + 2)?;
            let end = connection.line(self.line_size_limit)?;
            if !value.ends_with(b"\r\n") || end != b"END" {
                return Err(Fault::Reply(end));
            }
            value.truncate(length);
            Ok(Some(value.into()))
        })
    }

    fn set(&self, key: &[u8], value: &BStr) -> Result<(), TableError> {
        let request = [b"set ", key, format!(" {} {} {}\r\n", self.flags, self.ttl, value.len()).as_bytes(), value, b"\r\n"].concat();
        self.ask(|connection| {
            connection.send(&request)?;
            match connection.line(self.line_size_limit)? {
                line if line == b"STORED" => Ok(()),
                line => Err(Fault::Reply(line)),
            }
        })
    }
}

impl Table for Memcache {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        // What the settings suppress is not asked of the backup either.
        let Some(wire) = self.key(key)? else { return Ok(None) };
        let found = self.get(&wire);
        let Some(backup) = &self.backup else { return found };
        if let Ok(Some(value)) = found {
            return Ok(Some(value));
        }
        let found = backup.table().lookup(key)?;
        if let Some(value) = &found {
            // That this fails has been said, and costs no more than time.
            let _ = self.set(&wire, value.as_ref());
        }
        Ok(found)
    }

    fn update(&self, key: &BStr, value: &BStr) -> Result<(), TableError> {
        let Some(wire) = self.key(key)? else {
            self.context.warn(&format!("{}: update skipped: no memcache key for \"{key}\"", self.source));
            return Ok(());
        };
        let stored = self.set(&wire, value);
        // With a backup that is what counts.
        self.backup.as_ref().map_or(stored, |backup| backup.table().update(key, value))
    }

    fn delete(&self, key: &BStr) -> Result<bool, TableError> {
        let Some(wire) = self.key(key)? else { return Ok(false) };
        let request = [b"delete ", &wire[..], b"\r\n"].concat();
        let deleted = self.ask(|connection| {
            connection.send(&request)?;
            match connection.line(self.line_size_limit)? {
                line if line == b"DELETED" => Ok(true),
                line if line == b"NOT_FOUND" => Ok(false),
                line => Err(Fault::Reply(line)),
            }
        });
        self.backup.as_ref().map_or(deleted, |backup| backup.table().delete(key))
    }

    fn sync(&self) {
        if let Some(backup) = &self.backup {
            backup.table().sync();
        }
    }

    fn may_block(&self) -> bool {
        true
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        match &self.backup {
            Some(backup) => backup.table().entries(visit),
            None => {
                self.context.warn(&format!("database {}: first/next support requires backup database", self.name));
                Some(Ok(()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_table::build::{Build, BuildFlags};
    use posthaste_table::{Settings, try_open};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Mutex;

    type Log = Arc<Mutex<Vec<String>>>;

    /// A server that answers each connection with these replies, one for each request; returns its port and what it was sent.
    fn server(connections: Vec<Vec<&'static str>>) -> (u16, Log) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Log::default();
        let sent = Arc::clone(&log);
        std::thread::spawn(move || {
            for replies in connections {
                let stream = listener.accept().unwrap().0;
                talk(&stream, replies, &sent);
            }
        });
        (port, log)
    }

    fn talk(mut stream: &TcpStream, replies: Vec<&str>, sent: &Log) {
        let mut reader = BufReader::new(stream);
        for reply in replies {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.starts_with("set ") {
                let length: usize = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
                let mut data = vec![0; length + 2];
                reader.read_exact(&mut data).unwrap();
                line.push_str(&String::from_utf8(data).unwrap());
            }
            sent.lock().unwrap().push(line);
            stream.write_all(reply.as_bytes()).unwrap();
        }
    }

    fn table(port: u16, settings: &str) -> (Box<dyn Table>, Log) {
        open_with(port, settings, OpenFlags::default())
    }

    fn open_with(port: u16, settings: &str, flags: OpenFlags) -> (Box<dyn Table>, Log) {
        let lines = Log::default();
        let sink = Arc::clone(&lines);
        let context = Context::with_report(Settings::default(), move |_, text| sink.lock().unwrap().push(text.to_owned()));
        let text = format!("memcache = inet:127.0.0.1:{port}\nretry_pause = 1\n{settings}");
        (open("memcache:/m.cf", &Source::parse("/m.cf", &text).unwrap(), flags, &context).unwrap(), lines)
    }

    fn ask(table: &dyn Table, key: &str) -> Result<Option<String>, TableError> {
        Ok(table.lookup(key.into())?.map(|value| value.to_string()))
    }

    // S-DB-12
    #[test]
    fn lookups_updates_deletes_on_one_connection() {
        let (port, sent) = server(vec![vec![
            "END\r\n",
            "STORED\r\n",
            "VALUE pre:k 5 7\r\na\r\nb\r\nc\r\nEND\r\n",
            "DELETED\r\n",
            "NOT_FOUND\r\n",
            "VALUE pre:e 0 0\r\n\r\nEND\r\n",
        ]]);
        let (table, lines) = table(port, "key_format = pre:%s\nflags = 5\nttl = 77\n");
        assert_eq!(ask(&*table, "k"), Ok(None));
        assert_eq!(table.update("k".into(), "a\r\nb\r\nc".into()), Ok(()));
        assert_eq!(ask(&*table, "k"), Ok(Some("a\r\nb\r\nc".into())));
        assert_eq!(table.delete("k".into()), Ok(true));
        assert_eq!(table.delete("k".into()), Ok(false));
        assert_eq!(ask(&*table, "e"), Ok(Some("".into())));
        let log = sent.lock().unwrap();
        assert_eq!(log[..3], ["get pre:k\r\n", "set pre:k 5 77 7\r\na\r\nb\r\nc\r\n", "get pre:k\r\n"]);
        assert!(lines.lock().unwrap().is_empty());
    }

    /// White space and line breaks in a key would be another command.
    #[test]
    fn keys_cannot_become_commands() {
        let (port, sent) = server(vec![vec!["END\r\n"]]);
        let (table, _) = table(port, "");
        for key in ["a b", "k\r\nflush_all", "\u{7f}", ""] {
            assert_eq!(ask(&*table, key), Ok(None), "{key:?}");
        }
        assert_eq!(ask(&*table, &"l".repeat(300)), Ok(None));
        // SHA-256 of 300 times "l".
        let log = sent.lock().unwrap();
        assert_eq!(log.len(), 1);
        assert_eq!(log[0].len(), "get \r\n".len() + 64);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (reply, shown) in [
            ("SERVER_ERROR out of memory storing object\r\n", "SERVER_ERROR out of memory sto"),
            ("VALUE other 0 1\r\nx\r\nEND\r\n", "VALUE other 0 1"),
            ("VALUE k 0 99999999\r\n", "VALUE k 0 99999999"),
            ("VALUE k 0 x\r\n", "VALUE k 0 x"),
            ("VALUE k 0 1\r\nxyEND\r\n", "ND"),
        ] {
            let (port, _) = server(vec![vec![reply]]);
            let (table, lines) = table(port, "");
            assert!(ask(&*table, "k").is_err());
            assert_eq!(lines.lock().unwrap().pop().unwrap(), format!("/m.cf: unexpected memcache server reply: {shown}"));
        }
    }

    #[test]
    fn a_lost_connection_is_tried_again() {
        let (port, _) = server(vec![vec!["END\r\n"], vec!["END\r\n"], vec![], vec!["END\r\n"]]);
        let (table, lines) = table(port, "max_try = 2\n");
        // The second lookup finds the connection of the first closed; the third makes a new one, is cut off, and tries once more.
        for _ in 0..3 {
            assert_eq!(ask(&*table, "k"), Ok(None));
        }
        assert!(lines.lock().unwrap().is_empty());
        // Nobody listens any more.
        assert!(ask(&*table, "k").is_err());
        assert_eq!(lines.lock().unwrap().pop().unwrap(), format!("connect to 127.0.0.1:{port}: Connection refused"));
    }

    #[test]
    fn a_server_that_is_silent_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (table, lines) = table(listener.local_addr().unwrap().port(), "max_try = 1\ntimeout = 1\n");
        assert!(ask(&*table, "k").is_err());
        assert!(lines.lock().unwrap().pop().unwrap().ends_with("Connection timed out"));
    }

    // S-DB-12
    #[test]
    fn the_backup_is_asked_and_copied() {
        let (port, sent) = server(vec![vec!["END\r\n", "STORED\r\n", "END\r\n"]]);
        let (table, lines) = table(port, "backup = inline:{k=v}\n");
        assert_eq!(ask(&*table, "k"), Ok(Some("v".into())));
        assert_eq!(ask(&*table, "other"), Ok(None));
        assert_eq!(*sent.lock().unwrap(), ["get k\r\n", "set k 0 3600 1\r\nv\r\n", "get other\r\n"]);
        // Without the server the backup answers alone.
        assert_eq!(ask(&*table, "k"), Ok(Some("v".into())));
        assert!(!lines.lock().unwrap().is_empty());
    }

    #[test]
    fn updates_and_deletes_reach_the_backup() {
        let folder = tempfile::tempdir().unwrap();
        let spec = format!("hash:{}/b", folder.path().display());
        let context = Context::with_report(Settings::default(), |_, _| {});
        let mut build = Build::create(&spec, BuildFlags::default(), &context).unwrap();
        build.put("old".into(), "o".into()).unwrap();
        build.finish().unwrap();
        // No server: the backup is what counts.
        let (port, _) = server(vec![]);
        let flags = OpenFlags { writable: true, ..OpenFlags::default() };
        let (table, _) = open_with(port, &format!("backup = {spec}\nmax_try = 1\n"), flags);
        assert_eq!(table.update("new".into(), "n".into()), Ok(()));
        assert_eq!(table.delete("old".into()), Ok(true));
        assert_eq!(table.delete("nosuch".into()), Ok(false));
        let backup = try_open(&spec, OpenFlags::default(), &context).unwrap();
        assert_eq!(backup.lookup("new".into()).unwrap(), Some("n".into()));
        assert_eq!(backup.lookup("old".into()).unwrap(), None);
    }

    #[test]
    fn not_for_tables_that_name_commands() {
        let context = Context::with_report(Settings::default(), |_, _| {});
        let source = Source::parse("/m.cf", "").unwrap();
        let error = open("memcache:/m.cf", &source, OpenFlags::SECURE, &context).err().unwrap();
        assert_eq!(error, "memcache:/m.cf map is not allowed for security-sensitive data");
    }
}
