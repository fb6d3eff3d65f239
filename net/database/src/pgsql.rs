//! `pgsql:/etc/postfix/table.cf` (pgsql_table(5)): PostgreSQL.

use crate::pgsql_tls::Secure;
use crate::servers::{Fault, Pools, QueryTable, Server, Times};
use crate::tls::TlsSettings;
use crate::{Answers, Source, Template, expand};
use bstr::{BStr, BString, ByteSlice};
use posthaste_table::{Context, OpenFlags, Table, TableError};
use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

const PORT: u16 = 5432;

static POOLS: Pools<PgSql> = Pools::new();

struct PgSqlTable(QueryTable<PgSql>);

/// Everything that a connection depends on.
#[derive(PartialEq)]
struct PgSql {
    /// As configured, without passwords.
    hosts: Vec<String>,
    places: Vec<Place>,
    times: Times,
}

#[derive(Clone, PartialEq)]
struct Place {
    config: Config,
    tls: Option<Secure>,
}

struct Query {
    template: Arc<Template>,
    key: BString,
}

pub fn open(spec: &str, source: &Source, _: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String> {
    let set = |name: &str| Ok::<_, String>(source.get(name)?.filter(|value| !value.is_empty()));
    let hosts = set("hosts")?.unwrap_or_else(|| "localhost".into());
    let hosts: Vec<&str> = posthaste_config::split_list(&hosts).collect();
    // A connection URI has the database in it.
    let dbname = match hosts.iter().all(|host| is_uri(host)) {
        true => set("dbname")?,
        false => Some(source.required("dbname")?),
    };
    let query = expand::sql_query(source)?;
    let times = Times::read(source)?;
    if let Some(encoding) = set("encoding")?
        && !["UTF8", "UTF-8", "UNICODE", "SQL_ASCII"].iter().any(|name| encoding.eq_ignore_ascii_case(name))
    {
        context.warn(&format!(
            "{}: encoding = {encoding} has no effect: keys and results are UTF8, as the server converts them",
            source.name()
        ));
    }
    let (user, password) = (set("user")?, set("password")?);
    let places = hosts
        .iter()
        .map(|host| {
            let mut place = if is_uri(host) { Place::of_uri(host)? } else { Place::of(host)? };
            let config = &mut place.config;
            // What a URI says counts more.
            if let (None, Some(user)) = (config.get_user(), &user) {
                config.user(user);
            }
            if let (None, Some(password)) = (config.get_password(), &password) {
                config.password(password);
            }
            if let (None, Some(dbname)) = (config.get_dbname(), &dbname) {
                config.dbname(dbname);
            }
            if config.get_application_name().is_none() {
                config.application_name("posthaste");
            }
            Ok(place)
        })
        .collect::<Result<Vec<_>, String>>()
        .map_err(|fault| format!("{}: hosts: {fault}", source.name()))?;
    Ok(Box::new(PgSqlTable(QueryTable {
        name: spec.to_owned(),
        query: Arc::new(query),
        answers: Answers::new(spec, source, context)?,
        pool: POOLS.get(PgSql { hosts: hosts.iter().map(|host| without_password(host)).collect(), places, times }),
        context: context.clone(),
    })))
}

fn is_uri(host: &str) -> bool {
    host.starts_with("postgresql://") || host.starts_with("postgres://")
}

/// `postgresql://user:password@host/` without the password, for messages.
fn without_password(host: &str) -> String {
    let Some((scheme, rest)) = host.split_once("://") else { return host.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('?').next().unwrap_or(path);
    match authority.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://{}@{host}{path}", user.split(':').next().unwrap_or(user)),
        None => format!("{scheme}://{authority}{path}"),
    }
}

impl Place {
    /// `unix:/folder/of/the/socket`, `inet:host:port`, `host:port`, `host`. TLS is used if the server offers it, without asking who it is: what
    /// libpq does by default.
    fn of(host: &str) -> Result<Place, String> {
        let mut config = Config::new();
        if let Some(path) = host.strip_prefix("unix:").or_else(|| host.starts_with('/').then_some(host)) {
            // The server's name for its socket is known to the library, which wants the folder; the port is part of the name.
            let path = Path::new(path);
            let (folder, port) = match path.file_name().and_then(|name| name.to_str()?.strip_prefix(".s.PGSQL.")?.parse().ok()) {
                Some(port) => (path.parent().unwrap_or(path), port),
                None => (path, PORT),
            };
            config.host_path(folder).port(port).ssl_mode(SslMode::Disable);
            return Ok(Place { config, tls: None });
        }
        let rest = host.strip_prefix("inet:").unwrap_or(host);
        let (name, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']').ok_or_else(|| format!("{host}: no ] after ["))?;
                (name, port.strip_prefix(':'))
            }
            None => match rest.split_once(':') {
                Some((name, port)) if !port.contains(':') => (name, Some(port)),
                _ => (rest, None),
            },
        };
        let port = match port {
            None => PORT,
            Some(port) => port.parse().map_err(|_| format!("{host}: bad port: {port}"))?,
        };
        config.host(name).port(port).ssl_mode(SslMode::Prefer);
        Ok(Place { config, tls: Some(Secure::new(TlsSettings::default())?) })
    }

    /// `postgresql://user:password@host:port/dbname?sslmode=verify-full&sslrootcert=/file…`
    fn of_uri(uri: &str) -> Result<Place, String> {
        let shown = without_password(uri);
        let (base, query) = uri.split_once('?').unwrap_or((uri, ""));
        let (mut mode, mut root, mut cert, mut key) = ("prefer".to_owned(), String::new(), String::new(), String::new());
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("{shown}: missing = in {pair}"))?;
            let value = || percent_decoded(value);
            match name {
                "sslmode" => mode = value(),
                "sslrootcert" => root = value(),
                "sslcert" => cert = value(),
                "sslkey" => key = value(),
                _ => rest.push(pair),
            }
        }
        let bare = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = bare.parse().map_err(|error: tokio_postgres::Error| format!("{shown}: {}", reason(&error)))?;
        // What is demanded of the server's certificate: that it is good, and that its name is right.
        let (ssl_mode, good, named) = match &*mode {
            "disable" => (SslMode::Disable, false, false),
            "allow" | "prefer" => (SslMode::Prefer, false, false),
            // As libpq: with certificates of authorities at hand, "require" looks at them.
            "require" => (SslMode::Require, !root.is_empty(), false),
            "verify-ca" => (SslMode::Require, true, false),
            "verify-full" => (SslMode::Require, true, true),
            other => return Err(format!("{shown}: unknown sslmode: {other}")),
        };
        config.ssl_mode(ssl_mode);
        if cert.is_empty() != key.is_empty() {
            return Err(format!("{shown}: sslcert and sslkey belong together"));
        }
        let settings = TlsSettings { ca_file: root, cert, key, verify: good, any_name: !named, ..TlsSettings::default() };
        let tls = if ssl_mode == SslMode::Disable { None } else { Some(Secure::new(settings)?) };
        Ok(Place { config, tls })
    }
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&c, after)) = rest.split_first() {
        let hex = (c == b'%').then(|| after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok())).flatten();
        match hex {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(c);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Doubles single quotes, and backslashes where the template has an escape string (`E'%s'`): within others they mean nothing, since each session
/// begins with `standard_conforming_strings = on`.
fn quote(text: &[u8], escapes: bool, out: &mut Vec<u8>) {
    for &c in text {
        if c == b'\'' || (escapes && c == b'\\') {
            out.push(c);
        }
        out.push(c);
    }
}

impl Server for PgSql {
    const KIND: &'static str = "pgsql";
    const LOCAL_FIRST: bool = false;
    type Connection = Client;
    type Query = Query;
    type Rows = Vec<BString>;

    fn hosts(&self) -> &[String] {
        &self.hosts
    }

    fn times(&self) -> Times {
        self.times
    }

    fn query_failed(&self, nth: usize, _: &str, reason: &str) -> String {
        format!("pgsql query failed: fatal error from host {}: {reason}", self.hosts[nth])
    }

    async fn connect(&self, nth: usize) -> Result<Client, String> {
        let place = &self.places[nth];
        let failed = |error: tokio_postgres::Error| reason(&error);
        let client = match &place.tls {
            Some(tls) => {
                let (client, connection) = place.config.connect(tls.clone()).await.map_err(failed)?;
                tokio::spawn(connection);
                client
            }
            None => {
                let (client, connection) = place.config.connect(tokio_postgres::NoTls).await.map_err(failed)?;
                tokio::spawn(connection);
                client
            }
        };
        client.batch_execute("SET standard_conforming_strings = on").await.map_err(failed)?;
        Ok(client)
    }

    async fn ask(&self, client: &mut Client, query: &Query) -> Result<Vec<BString>, Fault> {
        let escapes = query.template.contains("E'") || query.template.contains("e'");
        let Some(text) = query.template.query(query.key.as_bstr(), &|text, out| quote(text, escapes, out)) else { return Ok(Vec::new()) };
        // A key is UTF-8, and so is the template.
        let Ok(text) = String::from_utf8(text) else { return Ok(Vec::new()) };
        let messages = client.simple_query(&text).await.map_err(|error| match error.as_db_error() {
            // The server ends the connection with these: shutdown, administrator's command.
            Some(db) if !db.code().code().starts_with("57P") => Fault::Refused(reason(&error)),
            _ => Fault::Lost(reason(&error)),
        })?;
        let mut values = Vec::new();
        for message in messages {
            match message {
                // Of several statements the last one counts.
                SimpleQueryMessage::RowDescription(_) => values.clear(),
                SimpleQueryMessage::Row(row) => {
                    for column in 0..row.len() {
                        let value = row.try_get(column).map_err(|error| Fault::Refused(reason(&error)))?;
                        values.push(BString::from(value.unwrap_or_default()));
                    }
                }
                _ => {}
            }
        }
        Ok(values)
    }
}

/// The server's words, or what is beneath the library's.
fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{}:  {}", db.severity(), db.message());
    }
    match error.source() {
        Some(source) => match source.downcast_ref::<std::io::Error>() {
            Some(io) => posthaste_config::system_reason(io),
            None => source.to_string(),
        },
        None if error.is_closed() => "server closed the connection".into(),
        None => error.to_string(),
    }
}

impl Table for PgSqlTable {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        self.0.find(key, |template| Query { template, key: key.to_owned() })
    }

    fn may_block(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

    fn quoted(text: &str, escapes: bool) -> String {
        let mut out = Vec::new();
        quote(text.as_bytes(), escapes, &mut out);
        String::from_utf8(out).unwrap()
    }

    // S-DB-05; "String Constants" in PostgreSQL's manual, 4.1.2.
    #[test]
    fn quotes() {
        assert_eq!(quoted("o'b\\", false), "o''b\\");
        assert_eq!(quoted("o'b\\", true), "o''b\\\\");
    }

    fn place(host: &str) -> Config {
        Place::of(host).unwrap_or_else(|fault| panic!("{fault}")).config
    }

    // S-DB-11
    #[test]
    fn hosts() {
        for (host, tcp, port) in [
            ("db.example", "db.example", 5432),
            ("inet:db.example:5433", "db.example", 5433),
            ("[::1]:1", "::1", 1),
            ("localhost", "localhost", 5432),
        ] {
            let config = place(host);
            assert_eq!((config.get_hosts(), config.get_ports()), (&[Host::Tcp(tcp.into())][..], &[port][..]));
        }
        for (host, port) in [("unix:/run/pg", 5432), ("unix:/run/pg/.s.PGSQL.5434", 5434), ("/run/pg", 5432)] {
            let config = place(host);
            assert_eq!((config.get_hosts(), config.get_ports()), (&[Host::Unix("/run/pg".into())][..], &[port][..]));
        }
    }

    #[test]
    fn uris() {
        let ok = |uri: &str| Place::of_uri(uri).unwrap_or_else(|fault| panic!("{fault}"));
        let place = ok("postgresql://u:p%40@db.example:5433/mail?sslmode=disable&connect_timeout=3");
        assert_eq!(
            (place.config.get_user(), place.config.get_password(), place.config.get_dbname()),
            (Some("u"), Some(&b"p@"[..]), Some("mail"))
        );
        assert!(place.tls.is_none());
        assert_eq!(ok("postgres://db/x?sslmode=require").config.get_ssl_mode(), SslMode::Require);
        let fault = |uri: &str| Place::of_uri(uri).err().unwrap();
        assert_eq!(fault("postgresql://u:secret@db/x?sslmode=maybe"), "postgresql://u@db/x: unknown sslmode: maybe");
        assert!(fault("postgresql://db/x?sslmode=verify-full&sslrootcert=/nosuch").contains("/nosuch"));
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("postgresql://u:p@h:1/db?password=x"), "postgresql://u@h:1/db");
        assert_eq!(without_password("postgresql://h/db"), "postgresql://h/db");
        assert_eq!(without_password("h:1"), "h:1");
    }
}
