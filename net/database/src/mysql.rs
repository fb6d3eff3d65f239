//! `mysql:/etc/postfix/table.cf` (mysql_table(5)): MySQL and MariaDB.

use crate::servers::{Fault, Pools, QueryTable, Server, Times};
use crate::{Answers, Source, Template, expand, my_cnf};
use bstr::{BStr, BString, ByteSlice};
use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, Row, SslOpts, Value};
use posthaste_table::{Context, OpenFlags, Table, TableError};
use std::path::Path;
use std::sync::Arc;

/// Where the server's socket may be, if nothing says so: what the client libraries of the distributions have built in.
const SOCKETS: [&str; 4] = ["/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];
const PORT: u16 = 3306;

/// Character sets in which a `'` or `\` in the bytes of a key is that character and nothing else. In the others (big5, gbk, sjis, …) it may be the
/// second half of a longer one.
const SAFE_CHARSETS: [&str; 9] = ["ascii", "binary", "latin1", "latin2", "latin5", "latin7", "utf8", "utf8mb3", "utf8mb4"];

static POOLS: Pools<MySql> = Pools::new();

struct MySqlTable {
    table: QueryTable<MySql>,
    /// `require_result_set`.
    need_rows: bool,
}

/// Everything that a connection depends on.
#[derive(PartialEq)]
struct MySql {
    hosts: Vec<String>,
    options: Vec<Opts>,
    charset: String,
    times: Times,
}

struct Connection {
    conn: Conn,
    /// The session has `NO_BACKSLASH_ESCAPES`.
    plain_backslash: bool,
}

struct Query {
    template: Arc<Template>,
    key: BString,
    need_rows: bool,
}

pub fn open(spec: &str, source: &Source, _: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String> {
    let dbname = source.required("dbname")?;
    let need_rows = source.bool("require_result_set", true)?;
    let query = expand::sql_query(source)?;
    let times = Times::read(source)?;
    let charset = source.text("charset", "utf8mb4")?;
    if charset.is_empty() || !charset.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
        return Err(format!("{}: charset = {charset}: not the name of a character set", source.name()));
    }
    let file = my_cnf::read(&source.text("option_file", "")?, &source.text("option_group", "client")?)?;
    let set = |name: &str, option: &str| {
        Ok::<_, String>(source.get(name)?.filter(|value| !value.is_empty()).or_else(|| file.get(option).cloned()))
    };
    let hosts = source.get("hosts")?.filter(|hosts| !hosts.is_empty()).or_else(|| file.get("host").cloned());
    let hosts: Vec<String> = posthaste_config::split_list(hosts.as_deref().unwrap_or("localhost")).map(str::to_owned).collect();
    let tls = tls(source, &set, context)?;
    let base = OptsBuilder::default()
        .user(set("user", "user")?)
        .pass(set("password", "password")?)
        .db_name(Some(dbname))
        .ssl_opts(tls)
        .prefer_socket(false)
        .stmt_cache_size(0)
        .init(vec![format!("SET NAMES {charset}")]);
    let options = hosts
        .iter()
        .map(|host| {
            Ok(match Place::of(host, &file)? {
                Place::Socket(path) => base.clone().socket(Some(path)).into(),
                Place::Tcp(name, port) => base.clone().ip_or_hostname(name).tcp_port(port).into(),
            })
        })
        .collect::<Result<Vec<Opts>, String>>()
        .map_err(|fault| format!("{}: hosts: {fault}", source.name()))?;
    let table = QueryTable {
        name: spec.to_owned(),
        query: Arc::new(query),
        answers: Answers::new(spec, source, context)?,
        pool: POOLS.get(MySql { hosts, options, charset, times }),
        context: context.clone(),
    };
    Ok(Box::new(MySqlTable { table, need_rows }))
}

#[derive(Debug, PartialEq)]
enum Place {
    Socket(String),
    Tcp(String, u16),
}

impl Place {
    /// `unix:/path`, `inet:host`, `inet:host:port`, `host`, `host:port`; `localhost` is the default socket, as for the client library.
    fn of(host: &str, file: &my_cnf::Options) -> Result<Place, String> {
        if let Some(path) = host.strip_prefix("unix:") {
            return Ok(Place::Socket(path.to_owned()));
        }
        let rest = host.strip_prefix("inet:").unwrap_or(host);
        let (name, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']').ok_or_else(|| format!("{host}: no ] after ["))?;
                (name, port.strip_prefix(':'))
            }
            None => match rest.split_once(':') {
                // More than one colon: an IPv6 address without brackets.
                Some((name, port)) if !port.contains(':') => (name, Some(port)),
                _ => (rest, None),
            },
        };
        if name == "localhost" {
            let default = || SOCKETS.iter().find(|path| Path::new(path).exists()).unwrap_or(&SOCKETS[0]).to_string();
            return Ok(Place::Socket(file.get("socket").cloned().unwrap_or_else(default)));
        }
        let port = match port.or(file.get("port").map(String::as_str)) {
            None => PORT,
            Some(port) => port.parse().map_err(|_| format!("{host}: bad port: {port}"))?,
        };
        Ok(Place::Tcp(name.to_owned(), port))
    }
}

/// Looks a setting up, by its names in the table's file and in the option file.
type Setting<'a> = dyn Fn(&str, &str) -> Result<Option<String>, String> + 'a;

/// TLS is used when one of its settings is there, and is then demanded. The files are read now: later this process may not be able to.
fn tls(source: &Source, set: &Setting<'_>, context: &Context) -> Result<Option<SslOpts>, String> {
    let ca_file = set("tls_CAfile", "ssl-ca")?;
    let ca_path = set("tls_CApath", "ssl-capath")?;
    let cert = set("tls_cert_file", "ssl-cert")?;
    let key = set("tls_key_file", "ssl-key")?;
    let ciphers = set("tls_ciphers", "ssl-cipher")?;
    let verify = source.bool("tls_verify_cert", false)?;
    if ca_file.is_none() && ca_path.is_none() && cert.is_none() && key.is_none() && ciphers.is_none() && !verify {
        return Ok(None);
    }
    if ciphers.is_some() {
        context.warn(&format!("{}: tls_ciphers has no effect: the ciphers are those of TLS 1.2 and 1.3 that are safe", source.name()));
    }
    let read = |path: &str| std::fs::read(path).map_err(|error| format!("open {path}: {}", posthaste_config::system_reason(&error)));
    let mut roots = Vec::new();
    if let Some(path) = &ca_file {
        roots.push(read(path)?.into());
    } else if let Some(path) = &ca_path {
        let folder = std::fs::read_dir(path).map_err(|error| format!("open {path}: {}", posthaste_config::system_reason(&error)))?;
        for entry in folder.flatten() {
            if let Ok(pem) = std::fs::read(entry.path())
                && pem.contains_str("BEGIN CERTIFICATE")
            {
                roots.push(pem.into());
            }
        }
    }
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some(ClientIdentity::new(read(&cert)?.into(), read(&key)?.into())),
        (Some(both), None) => Some(ClientIdentity::new(read(&both)?.into(), read(&both)?.into())),
        (None, Some(_)) => return Err(format!("{}: tls_key_file without tls_cert_file", source.name())),
        (None, None) => None,
    };
    // As the client library: without certificates of authorities, and without a demand to verify, anybody's certificate will do.
    let anybody = roots.is_empty() && !verify;
    Ok(Some(
        SslOpts::default()
            .with_disable_built_in_roots(!roots.is_empty())
            .with_root_certs(roots)
            .with_client_identity(identity)
            .with_danger_accept_invalid_certs(anybody)
            .with_danger_skip_domain_validation(!verify),
    ))
}

/// Quotes by the rules of the session, as `mysql_real_escape_string` does.
fn quote(text: &[u8], plain_backslash: bool, out: &mut Vec<u8>) {
    for &c in text {
        let letter = match c {
            b'\'' if plain_backslash => {
                out.push(b'\'');
                b'\''
            }
            _ if plain_backslash => c,
            b'\0' => b'0',
            b'\n' => b'n',
            b'\r' => b'r',
            0x1a => b'Z',
            b'\\' | b'\'' | b'"' => c,
            _ => {
                out.push(c);
                continue;
            }
        };
        if !plain_backslash {
            out.push(b'\\');
        }
        out.push(letter);
    }
}

impl Server for MySql {
    const KIND: &'static str = "mysql";
    const LOCAL_FIRST: bool = true;
    type Connection = Connection;
    type Query = Query;
    type Rows = Vec<BString>;

    fn hosts(&self) -> &[String] {
        &self.hosts
    }

    fn times(&self) -> Times {
        self.times
    }

    async fn connect(&self, nth: usize) -> Result<Connection, String> {
        let mut conn = Conn::new(self.options[nth].clone()).await.map_err(|error| reason(&error))?;
        let mode: Option<String> = conn.query_first("SELECT @@SESSION.sql_mode").await.map_err(|error| reason(&error))?;
        Ok(Connection { conn, plain_backslash: mode.is_some_and(|mode| mode.contains("NO_BACKSLASH_ESCAPES")) })
    }

    async fn ask(&self, connection: &mut Connection, query: &Query) -> Result<Vec<BString>, Fault> {
        let plain = connection.plain_backslash;
        if !query.key.is_ascii() && !SAFE_CHARSETS.contains(&self.charset.as_str()) {
            return Err(Fault::Refused(format!(
                "a key that is not ASCII cannot be quoted safely in {}; set charset = utf8mb4",
                self.charset
            )));
        }
        if plain && query.key.contains(&b'"') && query.template.contains("\"") {
            return Err(Fault::Refused("a key with \" cannot be quoted within \" where sql_mode has NO_BACKSLASH_ESCAPES".into()));
        }
        let Some(text) = query.template.query(query.key.as_bstr(), &|text, out| quote(text, plain, out)) else { return Ok(Vec::new()) };
        // A key is UTF-8, and so is the template.
        let Ok(text) = String::from_utf8(text) else { return Ok(Vec::new()) };
        let fault = |error: mysql_async::Error| match error.is_fatal() {
            true => Fault::Lost(reason(&error)),
            false => Fault::Refused(reason(&error)),
        };
        let mut result = connection.conn.query_iter(text).await.map_err(fault)?;
        let mut values = Vec::new();
        let mut sets = 0;
        while !result.is_empty() {
            if result.columns_ref().is_empty() {
                // The end of a CALL is a result without columns.
                let _: Vec<Row> = result.collect().await.map_err(fault)?;
                continue;
            }
            sets += 1;
            let rows: Vec<Row> = result.collect().await.map_err(fault)?;
            if sets == 1 {
                values.extend(rows.into_iter().flat_map(Row::unwrap).filter_map(text_of));
            }
        }
        match sets {
            0 if query.need_rows => Err(Fault::Refused("query returned no result set(require_result_set = yes)".into())),
            0 | 1 => Ok(values),
            _ => Err(Fault::Refused("multiple result sets returning data are not supported".into())),
        }
    }
}

/// `None`: NULL.
fn text_of(value: Value) -> Option<BString> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(bytes.into()),
        // The text protocol, in which queries without parameters are answered, has no others.
        other => Some(other.as_sql(true).into()),
    }
}

fn reason(error: &mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(error) => error.message.clone(),
        mysql_async::Error::Io(mysql_async::IoError::Io(error)) => posthaste_config::system_reason(error),
        mysql_async::Error::Io(mysql_async::IoError::Tls(error)) => error.to_string(),
        mysql_async::Error::Driver(mysql_async::DriverError::ConnectionClosed) => "Server has gone away".into(),
        mysql_async::Error::Driver(error) => error.to_string(),
        other => other.to_string(),
    }
}

impl Table for MySqlTable {
    fn name(&self) -> &str {
        &self.table.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        self.table.find(key, |template| Query { template, key: key.to_owned(), need_rows: self.need_rows })
    }

    fn may_block(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str, plain: bool) -> String {
        let mut out = Vec::new();
        quote(text.as_bytes(), plain, &mut out);
        String::from_utf8(out).unwrap()
    }

    // S-DB-05; the escapes of "String Literals" in MySQL's manual.
    #[test]
    fn quotes() {
        assert_eq!(quoted("o'b", false), "o\\'b");
        assert_eq!(quoted("\\' OR 1=1 -- ", false), "\\\\\\' OR 1=1 -- ");
        assert_eq!(quoted("a\"b\n\r\x1a", false), "a\\\"b\\n\\r\\Z");
        assert_eq!(quoted("o'b\\", true), "o''b\\");
    }

    // S-DB-03
    #[test]
    fn hosts() {
        let none = my_cnf::Options::new();
        let of = |host: &str| Place::of(host, &none);
        assert_eq!(of("unix:/tmp/s"), Ok(Place::Socket("/tmp/s".into())));
        assert_eq!(of("inet:db.example"), Ok(Place::Tcp("db.example".into(), 3306)));
        assert_eq!(of("db.example:3307"), Ok(Place::Tcp("db.example".into(), 3307)));
        assert_eq!(of("[::1]:3307"), Ok(Place::Tcp("::1".into(), 3307)));
        assert_eq!(of("inet:::1"), Ok(Place::Tcp("::1".into(), 3306)));
        assert_eq!(of("db:x").unwrap_err(), "db:x: bad port: x");
        let file = my_cnf::Options::from([("socket".into(), "/s".into()), ("port".into(), "99".into())]);
        assert_eq!(Place::of("localhost", &file), Ok(Place::Socket("/s".into())));
        assert_eq!(Place::of("db", &file), Ok(Place::Tcp("db".into(), 99)));
    }

    #[test]
    fn bad_settings_are_named() {
        let context = Context::with_report(posthaste_table::Settings::default(), |_, _| {});
        let fault = |text: &str| open("mysql:/t.cf", &Source::parse("/t.cf", text).unwrap(), OpenFlags::default(), &context).err().unwrap();
        assert_eq!(fault("query = x"), "/t.cf: bad string length 0 < 1: dbname = ");
        assert_eq!(fault("dbname = d"), "/t.cf: bad string length 0 < 1: table = ");
        assert_eq!(fault("dbname = d\nquery = x\nidle_interval = 0"), "/t.cf: invalid idle_interval parameter value 0 < 1");
        assert_eq!(fault("dbname = d\nquery = x\ntls_CAfile = /nosuch"), "open /nosuch: No such file or directory");
        assert!(fault("dbname = d\nquery = x\ncharset = a;b").contains("not the name of a character set"));
    }
}
