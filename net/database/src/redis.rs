//! `redis:/etc/postfix/table.cf`: a lookup is one command of Redis or Valkey, `GET` if nothing else is said; protocol RESP2. docs/tables.md tells the
//! settings.

use crate::connection::{Connection, Endpoint, Pool, reason};
use crate::tls::{Tls, TlsSettings};
use crate::{Answers, Source, Template, expand};
use bstr::{BStr, BString, ByteSlice};
use posthaste_table::{Context, OpenFlags, Table, TableError};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

/// How long a connection is kept without work.
const IDLE: Duration = Duration::from_secs(60);

/// Commands that look something up and change nothing.
const COMMANDS: &[&str] = &["GET", "HGET", "HMGET", "HVALS", "LINDEX", "LRANGE", "MGET", "SMEMBERS", "ZRANGE"];

struct Redis {
    name: String,
    /// The file of settings, for messages.
    source: String,
    hosts: Vec<Endpoint>,
    user: String,
    password: String,
    db: i64,
    tls: Option<Tls>,
    /// The words of the command.
    query: Vec<Template>,
    answers: Answers,
    timeout: Duration,
    size_limit: usize,
    pool: Arc<Pool<Connection>>,
    context: Context,
}

/// Connections by server and login, for the whole process.
static POOLS: LazyLock<Mutex<HashMap<String, Arc<Pool<Connection>>>>> = LazyLock::new(Mutex::default);

pub fn open(spec: &str, source: &Source, _: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String> {
    let place = source.name();
    let most = i64::from(i32::MAX);
    let names = source.text("hosts", "inet:localhost:6379")?;
    let hosts = names
        .split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
        .map(|word| Endpoint::parse(word, 6379).map_err(|fault| format!("{place}: hosts: {fault}")))
        .collect::<Result<Vec<_>, _>>()?;
    if hosts.is_empty() {
        return Err(format!("{place}: hosts is empty"));
    }
    let text = source.text("query", "GET %s")?;
    let query = text
        .split_ascii_whitespace()
        .map(|word| Template::parse(word).map_err(|fault| format!("{place}: query = {text}: {fault}")))
        .collect::<Result<Vec<_>, _>>()?;
    let verb = text.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if !COMMANDS.contains(&&*verb) || query.len() < 2 {
        return Err(format!("{place}: query = {text}: expected one of {} with its arguments", COMMANDS.join(", ")));
    }
    let settings = TlsSettings::read(source, true)?;
    let tls = match source.bool("tls", false)? {
        true => Some(Tls::new(&settings).map_err(|error| format!("{place}: {error}"))?),
        false => None,
    };
    let (user, password) = (source.text("user", "")?, source.text("password", "")?);
    let db = source.int("dbname", 0, 0, most)?;
    let timeout = source.int("timeout", 5, 1, most)?;
    // All that makes one connection as good as another.
    let key = format!("{names}\0{user}\0{password}\0{db}\0{timeout}\0{}\0{settings:?}", tls.is_some());
    let mut pools = POOLS.lock().unwrap_or_else(|e| e.into_inner());
    let pool = Arc::clone(pools.entry(key).or_insert_with(|| Arc::new(Pool::new(IDLE))));
    Ok(Box::new(Redis {
        name: spec.to_owned(),
        source: place.to_owned(),
        hosts,
        user,
        password,
        db,
        tls,
        query,
        answers: Answers::new(spec, source, context)?,
        timeout: Duration::from_secs(timeout as u64),
        size_limit: source.int("size_limit", 1 << 20, 1, most)? as usize,
        pool,
        context: context.clone(),
    }))
}

/// A reply (RESP2).
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    /// A text, a number, or a status.
    Text(Vec<u8>),
    /// Nothing there.
    Nil,
    /// Several.
    List(Vec<Reply>),
    /// The server's words for what it does not want to do.
    Error(Vec<u8>),
}

enum Fault {
    /// No connection, or no more.
    Io(io::Error),
    /// What the server said.
    Refused(Vec<u8>),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Io(error) => f.write_str(&reason(error)),
            Fault::Refused(text) => write!(f, "{}", text.as_bstr()),
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed reply")
}

/// Reads a reply of at most `left` bytes in all, `depth` lists within lists.
fn reply(connection: &mut Connection, left: &mut usize, depth: usize) -> io::Result<Reply> {
    let line = connection.line(4096)?;
    *left = left.checked_sub(line.len().max(1)).ok_or_else(malformed)?;
    let (&kind, rest) = line.split_first().ok_or_else(malformed)?;
    let number = || rest.to_str().ok().and_then(|text| text.parse::<i64>().ok()).ok_or_else(malformed);
    match kind {
        b'+' | b':' => Ok(Reply::Text(rest.to_vec())),
        b'-' => Ok(Reply::Error(rest.to_vec())),
        b'$' => {
            let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Nil) };
            *left = left.checked_sub(length).ok_or_else(malformed)?;
            let mut text = connection.exactly(length + 2)?;
            text.truncate(length);
            Ok(Reply::Text(text))
        }
        b'*' => {
            let Ok(count) = usize::try_from(number()?) else { return Ok(Reply::Nil) };
            if depth == 0 || count > *left {
                return Err(malformed());
            }
            (0..count).map(|_| reply(connection, left, depth - 1)).collect::<io::Result<_>>().map(Reply::List)
        }
        _ => Err(malformed()),
    }
}

impl Redis {
    fn command(&self, connection: &mut Connection, words: &[Vec<u8>]) -> Result<Reply, Fault> {
        connection.within(self.timeout);
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        connection.send(&request)?;
        let mut left = self.size_limit;
        match reply(connection, &mut left, 2)? {
            Reply::Error(text) => Err(Fault::Refused(text)),
            reply => Ok(reply),
        }
    }

    /// A connection to the host, logged in.
    fn connect(&self, host: &Endpoint) -> Result<Connection, Fault> {
        let mut connection = Connection::open(host, self.timeout)?;
        if let (Some(tls), Endpoint::Tcp(..)) = (&self.tls, host) {
            connection = connection.secure(tls, host.host())?;
        }
        if !self.password.is_empty() {
            let mut words = vec![b"AUTH".to_vec()];
            if !self.user.is_empty() {
                words.push(self.user.clone().into_bytes());
            }
            words.push(self.password.clone().into_bytes());
            self.command(&mut connection, &words)?;
        }
        if self.db != 0 {
            self.command(&mut connection, &[b"SELECT".to_vec(), self.db.to_string().into_bytes()])?;
        }
        Ok(connection)
    }

    fn ask(&self, words: &[Vec<u8>]) -> Result<Reply, TableError> {
        let failed = |fault: &dyn std::fmt::Display, host: &str| {
            let text = format!("{}: redis server {host}: {fault}", self.source);
            self.context.warn(&text);
            TableError::without_detail(&self.name, text)
        };
        // The server may have closed a connection of before.
        while let Some(mut connection) = self.pool.take() {
            match self.command(&mut connection, words) {
                Ok(reply) => {
                    self.pool.give(connection);
                    return Ok(reply);
                }
                Err(Fault::Io(error)) if error.kind() == io::ErrorKind::TimedOut => self.pool.clear(),
                Err(Fault::Io(_)) => {}
                // It may have become a replica that is behind, or be loading: another host may do better.
                Err(Fault::Refused(_)) => break,
            }
        }
        let mut last = None;
        for host in &self.hosts {
            let answer = self.connect(host).and_then(|mut connection| {
                let reply = self.command(&mut connection, words)?;
                self.pool.give(connection);
                Ok(reply)
            });
            match answer {
                Ok(reply) => return Ok(reply),
                // Said for each host: with several, each has its reason.
                Err(fault) => last = Some(failed(&fault, &host.to_string())),
            }
        }
        Err(last.unwrap_or_else(|| TableError::without_detail(&self.name, "no hosts")))
    }
}

impl Table for Redis {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        if !self.answers.wanted(key)? {
            return Ok(None);
        }
        // Each word has its length before it, so that nothing needs to be quoted.
        let words: Option<Vec<_>> = self.query.iter().map(|word| word.query(key, &expand::unquoted)).collect();
        let Some(words) = words else { return Ok(None) };
        let mut result = self.answers.result(key);
        let replies = match self.ask(&words)? {
            Reply::List(replies) => replies,
            reply => vec![reply],
        };
        for reply in replies {
            match reply {
                Reply::Text(text) if !text.is_empty() => result.add(text.as_bstr())?,
                Reply::Text(_) | Reply::Nil => {}
                Reply::List(_) | Reply::Error(_) => {
                    let text = format!("{}: the reply is no list of texts", self.source);
                    self.context.warn(&text);
                    return Err(TableError::without_detail(&self.name, text));
                }
            }
        }
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
    use std::io::{Read, Write};
    use std::net::TcpListener;

    type Log = Arc<Mutex<Vec<String>>>;

    /// A server that answers each connection with these replies, one for each request.
    fn server(connections: Vec<Vec<&'static str>>) -> (u16, Log) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Log::default();
        let sent = Arc::clone(&log);
        std::thread::spawn(move || {
            for replies in connections {
                let mut stream = listener.accept().unwrap().0;
                for reply in replies {
                    let mut bytes = [0; 4096];
                    let n = stream.read(&mut bytes).unwrap();
                    sent.lock().unwrap().push(String::from_utf8(bytes[..n].to_vec()).unwrap());
                    stream.write_all(reply.as_bytes()).unwrap();
                }
            }
        });
        (port, log)
    }

    fn try_table(settings: &str) -> (Result<Box<dyn Table>, String>, Log) {
        let lines = Log::default();
        let sink = Arc::clone(&lines);
        let context = Context::with_report(Settings::default(), move |_, text| sink.lock().unwrap().push(text.to_owned()));
        (open("redis:/r.cf", &Source::parse("/r.cf", settings).unwrap(), OpenFlags::default(), &context), lines)
    }

    fn table(port: u16, settings: &str) -> (Box<dyn Table>, Log) {
        let (table, lines) = try_table(&format!("hosts = 127.0.0.1:{port}\ntimeout = 1\n{settings}"));
        (table.unwrap(), lines)
    }

    fn ask(table: &dyn Table, key: &str) -> Result<Option<String>, TableError> {
        Ok(table.lookup(key.into())?.map(|value| value.to_string()))
    }

    #[test]
    fn replies_of_all_kinds() {
        let (port, sent) = server(vec![vec![
            "$3\r\na@b\r\n",
            "$-1\r\n",
            "*3\r\n$1\r\nx\r\n$-1\r\n:42\r\n",
            "*0\r\n",
            "*-1\r\n",
            "$0\r\n\r\n",
            "$5\r\na\r\nb\r\r\n",
        ]]);
        let (table, lines) = table(port, "result_format = <%s>\n");
        assert_eq!(ask(&*table, "k k"), Ok(Some("<a@b>".into())));
        assert_eq!(ask(&*table, "k"), Ok(None));
        assert_eq!(ask(&*table, "k"), Ok(Some("<x>,<42>".into())));
        for _ in 0..3 {
            assert_eq!(ask(&*table, "k"), Ok(None));
        }
        assert_eq!(ask(&*table, "k"), Ok(Some("<a\r\nb\r>".into())));
        // The key is one word, whatever it holds.
        assert_eq!(sent.lock().unwrap()[0], "*2\r\n$3\r\nGET\r\n$3\r\nk k\r\n");
        assert!(lines.lock().unwrap().is_empty());
    }

    #[test]
    fn login_database_and_command() {
        let (port, sent) = server(vec![vec!["+OK\r\n", "+OK\r\n", "$1\r\nv\r\n"]]);
        let (table, _) = table(port, "user = u\npassword = p\ndbname = 3\nquery = HGET mail:%d %u\n");
        assert_eq!(ask(&*table, "joe@dom"), Ok(Some("v".into())));
        assert_eq!(ask(&*table, "joe"), Ok(None));
        let log = sent.lock().unwrap();
        assert_eq!(log[0], "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n");
        assert_eq!(log[1], "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n");
        assert_eq!(log[2], "*3\r\n$4\r\nHGET\r\n$8\r\nmail:dom\r\n$3\r\njoe\r\n");
    }

    #[test]
    fn faults_are_failures_and_named() {
        for (reply, shown) in [
            ("-ERR unknown command\r\n", "ERR unknown command"),
            ("-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."),
            ("HTTP/1.0 400 Bad Request\r\n", "malformed reply"),
            ("$99999999\r\n", "malformed reply"),
            ("*1\r\n*1\r\n*1\r\n*1\r\n", "malformed reply"),
            ("", "lost connection"),
        ] {
            let (port, _) = server(vec![vec![reply]]);
            let (table, lines) = table(port, "");
            assert!(ask(&*table, "k").is_err());
            assert_eq!(lines.lock().unwrap().pop().unwrap(), format!("/r.cf: redis server 127.0.0.1:{port}: {shown}"));
        }
    }

    // S-DB-03
    #[test]
    fn the_next_host_is_asked() {
        let (down, _) = server(vec![]);
        let (loading, _) = server(vec![vec!["-LOADING Redis is loading the dataset in memory\r\n"]]);
        let (port, _) = server(vec![vec!["$1\r\nv\r\n"], vec!["$1\r\nw\r\n"]]);
        let (table, lines) = try_table(&format!("hosts = 127.0.0.1:{down} inet:127.0.0.1:{loading}, 127.0.0.1:{port}\n"));
        let table = table.unwrap();
        assert_eq!(ask(&*table, "k"), Ok(Some("v".into())));
        assert_eq!(lines.lock().unwrap().len(), 2);
    }

    #[test]
    fn settings_are_checked() {
        let error = |settings: &str| try_table(settings).0.err().unwrap();
        assert!(error("query = DEL %s\n").starts_with("/r.cf: query = DEL %s: expected one of GET, "));
        assert!(error("query = GET\n").contains("with its arguments"));
        assert!(error("query = GET %x\n").starts_with("/r.cf: query = GET %x: "));
        assert!(error("hosts = a:b\n").starts_with("/r.cf: hosts: bad server \"a:b\""));
        assert_eq!(error("hosts =\n"), "/r.cf: hosts is empty");
        assert_eq!(error("timeout = 0\n"), "/r.cf: invalid timeout parameter value 0 < 1");
    }
}
