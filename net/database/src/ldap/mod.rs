//! `ldap:/etc/postfix/table.cf` (ldap_table(5)).
//!
//! One search answers a lookup; with `special_result_attribute`, more of them, for the entries that the first names. All go through one
//! connection, which is kept for later lookups of all tables with the same server and the same login.

mod ber;
mod client;
mod filter;
mod url;

use crate::connection::Pool;
use crate::expand::Collected;
use crate::tls::{Tls, TlsSettings};
use crate::{Answers, Source, Template, sasl};
use bstr::{BStr, BString, ByteSlice};
use client::{Client, Code, Entry, Search};
use posthaste_log::Level;
use posthaste_table::{Context, OpenFlags, Table, TableError};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use url::{Scope, Url};

/// How long a connection is kept without work.
const IDLE: Duration = Duration::from_secs(60);

/// Servers, and how to log in there.
struct Server {
    /// As the log names them.
    names: String,
    /// `None` where one of the names is no URL.
    urls: Option<Vec<Url>>,
    port: u16,
    timeout: Duration,
    version: i32,
    bind: Bind,
    dn: String,
    password: String,
    start_tls: bool,
    tls: Option<Tls>,
    minimum_strength: i64,
    pool: Arc<Pool<Client>>,
}

enum Bind {
    None,
    Simple,
    Sasl { mechanisms: Vec<String>, realm: String, authzid: String },
}

/// The attributes of one kind, from settings.
type Names = Vec<String>;

struct Ldap {
    name: String,
    /// The file of settings, for messages.
    source: String,
    server: Server,
    base: Template,
    /// Whether the base depends on the key: then one that is not there is no fault.
    base_varies: bool,
    filter: Template,
    scope: Scope,
    result: Names,
    special: Names,
    terminal: Names,
    leaf: Names,
    /// All of them, as they are asked for.
    all: Names,
    answers: Answers,
    recursion_limit: usize,
    size_limit: i32,
    dereference: i32,
    chase_referrals: bool,
    debug: bool,
    context: Context,
}

/// Why a lookup came to nothing.
enum Stop {
    /// The connection is gone: the text for the log, unless another try succeeds.
    Lost(String),
    /// All has been said.
    Failed,
}

/// Connections by server, login and TLS, for the whole process.
static POOLS: LazyLock<Mutex<HashMap<String, Arc<Pool<Client>>>>> = LazyLock::new(Mutex::default);

pub fn open(spec: &str, source: &Source, _: OpenFlags, context: &Context) -> Result<Box<dyn Table>, String> {
    let place = source.name();
    let filter = source.text("query_filter", "mailacceptinggeneralid=%s")?;
    if !filter.replace("%%", "").contains('%') {
        context.warn(&format!("dict_ldap_open: {place}: Fixed query_filter {filter} is probably useless"));
    }
    let base = source.text("search_base", "")?;
    let scope = source.text("scope", "sub")?;
    let scope = Scope::parse(&scope).unwrap_or_else(|| {
        context.warn(&format!("dict_ldap_open: {place}: Unrecognized value {scope} specified for scope; using sub"));
        Scope::Sub
    });
    for old in ["cache", "cache_expiry", "cache_size"] {
        if source.is_set(old) {
            context.warn(&format!("dict_ldap_open: {place} ignoring {old}"));
        }
    }
    let names = |setting: &str, default: &str| -> Result<Names, String> { Ok(words(&source.text(setting, default)?)) };
    let (result, special) = (names("result_attribute", "maildrop")?, names("special_result_attribute", "")?);
    let (terminal, leaf) = (names("terminal_result_attribute", "")?, names("leaf_result_attribute", "")?);
    let mut all: Names = [&result, &special, &terminal, &leaf].into_iter().flatten().cloned().collect();
    if all.is_empty() {
        // No attribute would mean all of them (RFC 4511 §4.5.1.8); "1.1" means none.
        all.push("1.1".into());
    }
    let format = if source.is_set("result_format") || !source.is_set("result_filter") { "result_format" } else { "result_filter" };
    let answers = Answers::with_format(spec, source, format, context)?;
    let expansion_limit = source.int("expansion_limit", 0, i64::from(i32::MIN), i64::from(i32::MAX))?;
    let template = |setting: &str, text: &str| Template::parse(text).map_err(|fault| format!("{place}: {setting} = {text}: {fault}"));
    let server = Server::read(source, context)?;
    let recursion_limit = source.int("recursion_limit", 1000, 1, i64::from(i32::MAX))? as usize;
    let mut dereference = source.int("dereference", 0, i64::from(i32::MIN), i64::from(i32::MAX))?;
    if !(0..=3).contains(&dereference) {
        context.warn(&format!("dict_ldap_open: {place} Unrecognized value {dereference} specified for dereference; using 0"));
        dereference = 0;
    }
    Ok(Box::new(Ldap {
        name: spec.to_owned(),
        source: place.to_owned(),
        server,
        base_varies: base.replace("%%", "").contains('%'),
        base: template("search_base", &base)?,
        filter: template("query_filter", &filter)?,
        scope,
        result,
        special,
        terminal,
        leaf,
        all,
        answers,
        recursion_limit,
        size_limit: source.int("size_limit", expansion_limit, 0, i64::from(i32::MAX))? as i32,
        dereference: dereference as i32,
        chase_referrals: flag(source, "chase_referrals")?,
        debug: source.int("debuglevel", 0, i64::from(i32::MIN), i64::from(i32::MAX))? != 0,
        context: context.clone(),
    }))
}

/// `yes` and `no`, or a number: `chase_referrals` has 0 for its default in the manual.
fn flag(source: &Source, setting: &str) -> Result<bool, String> {
    match source.text(setting, "no")?.as_str() {
        "0" => Ok(false),
        text if text.parse::<i64>().is_ok() => Ok(true),
        _ => source.bool(setting, false),
    }
}

/// A list of names, parted by commas and white space.
fn words(text: &str) -> Names {
    text.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl Server {
    fn read(source: &Source, context: &Context) -> Result<Server, String> {
        let place = source.name();
        let port = source.int("server_port", 389, 1, 65535)? as u16;
        let timeout = source.int("timeout", 10, 0, i64::from(i32::MAX))?;
        let mut version = source.int("version", 3, i64::from(i32::MIN), i64::from(i32::MAX))?;
        if !(2..=3).contains(&version) {
            context.warn(&format!("dict_ldap_open: {place} Unknown version {version}, using 3."));
            version = 3;
        }
        let (dn, password) = (source.text("bind_dn", "")?, source.text("bind_pw", "")?);
        let bind = source.text("bind", "yes")?;
        let mechanisms = source.text("sasl_mechs", "")?;
        let (realm, authzid) = (source.text("sasl_realm", "")?, source.text("sasl_authz_id", "")?);
        let minimum_strength = source.int("sasl_minssf", 0, i64::from(i32::MIN), 4096)?;
        let how = match bind.to_ascii_lowercase().as_str() {
            "no" | "none" => Bind::None,
            "yes" | "simple" => Bind::Simple,
            "sasl" => Bind::Sasl { mechanisms: words(&mechanisms), realm: realm.clone(), authzid: authzid.clone() },
            _ => return Err(format!("{place}: unsupported parameter value: bind = {bind}")),
        };
        let start_tls = source.bool("start_tls", false)?;
        if start_tls && version < 3 {
            context.warn(&format!("dict_ldap_open: {place} start_tls requires protocol version 3"));
            version = 3;
        }
        let names: Vec<String> = words(&source.text("server_host", "localhost")?)
            .into_iter()
            .map(|word| match word {
                url if url::is_url(&url) => url,
                host if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => format!("ldap://{host}"),
                host => format!("ldap://{host}:{port}"),
            })
            .collect();
        let urls: Option<Vec<Url>> = names.iter().map(|name| Url::parse(name)).collect();
        let settings = TlsSettings::read(source, false)?;
        let needs_tls = start_tls || urls.iter().flatten().any(|url| url.scheme == "ldaps");
        let tls = if needs_tls { Some(Tls::new(&settings).map_err(|error| format!("{place}: {error}"))?) } else { None };
        let names = names.join(" ");
        // All that makes one connection as good as another.
        let key = format!(
            "{names}\0{timeout}\0{version}\0{bind}\0{dn}\0{password}\0{mechanisms}\0{realm}\0{authzid}\0{minimum_strength}\0{start_tls}\0{settings:?}"
        );
        let mut pools = POOLS.lock().unwrap_or_else(|e| e.into_inner());
        let pool = Arc::clone(pools.entry(key).or_insert_with(|| Arc::new(Pool::new(IDLE))));
        Ok(Server {
            names,
            urls,
            port,
            // 0 is no limit to OpenLDAP; here it is an hour, so that no lookup is there forever.
            timeout: Duration::from_secs(if timeout == 0 { 3600 } else { timeout as u64 }),
            version: version as i32,
            bind: how,
            dn,
            password,
            start_tls,
            tls,
            minimum_strength,
            pool,
        })
    }

    /// A new connection to the first server that takes one, logged in. The error is level and text for the log.
    fn connect(&self) -> Result<Client, (Level, String)> {
        let warning = |text: String| (Level::Warning, text);
        let urls = self.urls.as_ref().ok_or_else(|| warning(format!("dict_ldap_connect: Unable to init LDAP server {}", self.names)))?;
        let mut last = (Code::DOWN, false);
        for url in urls {
            match Client::connect(url, self.port, self.tls.as_ref(), self.start_tls, self.timeout) {
                Ok(mut client) => match self.login(&mut client, url) {
                    Ok(()) => return Ok(client),
                    // A server that goes away in the middle is as good as none; what the others say holds for all.
                    Err(code @ (Code::DOWN | Code::TIMEOUT)) => last = (code, false),
                    Err(code) => {
                        last = (code, false);
                        break;
                    }
                },
                Err(error) => last = error,
            }
        }
        Err(match last {
            (code, true) => (Level::Error, format!("dict_ldap_connect: Unable to set STARTTLS: {}: {code}", code.0)),
            (code, false) if matches!(self.bind, Bind::None) => warning(format!("dict_ldap_lookup: Search error {}: {code} ", code.0)),
            (code, false) => {
                let dn = if self.dn.is_empty() { "empty or implicit" } else { &self.dn };
                warning(format!("dict_ldap_connect: Unable to bind to server {} with dn {dn}: {} ({code})", self.names, code.0))
            }
        })
    }

    fn login(&self, client: &mut Client, url: &Url) -> Result<(), Code> {
        match &self.bind {
            Bind::None => Ok(()),
            Bind::Simple => client.bind(self.version, &self.dn, &self.password, self.timeout),
            Bind::Sasl { mechanisms, realm, authzid } => {
                // There is no SASL security layer here, so the strength is that of what is below.
                if self.minimum_strength > 0 && !client.is_secure() {
                    return Err(Code::LOCAL);
                }
                let who = sasl::Credentials {
                    user: self.dn.clone(),
                    password: self.password.clone(),
                    authzid: authzid.clone(),
                    realm: realm.clone(),
                    uri: format!("ldap/{}", if url.host.is_empty() { "localhost" } else { &url.host }),
                };
                client.sasl_bind("", mechanisms, &who, self.timeout)
            }
        }
    }
}

/// Whether an attribute of an entry is one of those. Options (`mail;lang-en`) must be the same if both have some.
fn among(names: &[String], found: &str) -> bool {
    names.iter().any(|name| same_attribute(name, found))
}

fn same_attribute(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.find(';');
    match (plain(one), plain(other)) {
        (Some(at), None) => one[..at].eq_ignore_ascii_case(other),
        (None, Some(at)) => one.eq_ignore_ascii_case(&other[..at]),
        _ => one.eq_ignore_ascii_case(other),
    }
}

/// What lookups in one entry after the other add up to.
struct Progress<'a> {
    key: &'a BStr,
    found: Collected<'a>,
    /// The outcome of the last search.
    last: Code,
}

impl Ldap {
    fn warn(&self, text: &str) {
        self.context.warn(text);
    }

    fn search(&self, client: &mut Client, base: &[u8], scope: Scope, filter: &[u8], attributes: &[String]) -> Result<Vec<Entry>, Code> {
        let search = Search {
            base,
            scope,
            filter,
            attributes,
            size_limit: self.size_limit,
            dereference: self.dereference,
            timeout: self.server.timeout,
        };
        let found = client.search(&search);
        if self.debug {
            let outcome = match &found {
                Ok(found) => format!("{} entries", found.entries.len()),
                Err(code) => code.to_string(),
            };
            let text = format!("{}: search base=\"{}\" filter=\"{}\": {outcome}", self.name, base.as_bstr(), filter.as_bstr());
            self.context.report(Level::Info, &text);
        }
        let mut found = found?;
        if self.chase_referrals {
            let (mut hops, mut lost) = (0, None);
            while let Some(text) = found.referrals.pop() {
                // RFC 4511 §4.1.10: loops are the client's to see.
                hops += 1;
                if hops > 10 {
                    return Err(Code(54));
                }
                match self.follow(&text, &search) {
                    Ok(more) => {
                        found.entries.extend(more.entries);
                        found.referrals.extend(more.referrals);
                    }
                    Err(Code::DOWN | Code::CONNECT) if found.elsewhere => lost = Some(Code::REFERRAL),
                    Err(code) => lost = Some(code),
                }
            }
            // What was found counts; but what was not found may be where nobody answered.
            if let Some(code) = lost.filter(|_| found.entries.is_empty()) {
                return Err(code);
            }
        } else if found.elsewhere || (found.entries.is_empty() && !found.referrals.is_empty() && scope == Scope::Base) {
            return Err(Code::REFERRAL);
        }
        Ok(found.entries)
    }

    /// Goes on with a search at another server, without a name, as OpenLDAP's library does.
    fn follow(&self, text: &str, search: &Search<'_>) -> Result<client::Found, Code> {
        let url = Url::parse(text).ok_or(Code::LOCAL)?;
        let server = &self.server;
        let mut client =
            Client::connect(&url, server.port, server.tls.as_ref(), server.start_tls, server.timeout).map_err(|(code, _)| code)?;
        if !matches!(server.bind, Bind::None) {
            client.bind(server.version, "", "", server.timeout)?;
        }
        let mut search = search.clone();
        if !url.dn.is_empty() {
            search.base = url.dn.as_bytes();
        }
        search.scope = url.scope.unwrap_or(search.scope);
        if let Some(filter) = &url.filter {
            search.filter = filter.as_bytes();
        }
        client.search(&search)
    }

    fn run<'a>(&'a self, client: &mut Client, key: &'a BStr, base: &[u8], filter: &[u8]) -> Result<Option<BString>, Stop> {
        let entries = match self.search(client, base, self.scope, filter, &self.all) {
            Ok(entries) => entries,
            Err(Code::NO_SUCH_OBJECT) if self.base_varies => return Ok(None),
            Err(code @ Code::NO_SUCH_OBJECT) => {
                self.warn(&format!("dict_ldap_lookup: {}: Search base '{}' not found: {}: {code}", self.source, base.as_bstr(), code.0));
                return Err(Stop::Failed);
            }
            Err(code) => return Err(self.stop(format!("dict_ldap_lookup: Search error {}: {code} ", code.0), &code)),
        };
        let mut progress = Progress { key, found: self.answers.result(key), last: Code::SUCCESS };
        let outcome = self.values(client, entries, 1, &mut progress);
        if progress.last != Code::SUCCESS {
            self.warn(&format!("dict_ldap_lookup: Had some trouble with entries returned by search: {}", progress.last));
        }
        outcome?;
        Ok(progress.found.finish())
    }

    fn stop(&self, text: String, code: &Code) -> Stop {
        if *code == Code::DOWN {
            return Stop::Lost(text);
        }
        self.warn(&text);
        Stop::Failed
    }

    /// Adds the results of entries, and of those that they name.
    fn values(&self, client: &mut Client, entries: Vec<Entry>, depth: usize, progress: &mut Progress<'_>) -> Result<(), Stop> {
        for entry in entries {
            let has = |names: &[String]| entry.attributes.iter().any(|(name, values)| !values.is_empty() && among(names, name));
            let (terminal, special) = (has(&self.terminal), has(&self.special));
            for (name, values) in &entry.attributes {
                let wanted =
                    if terminal { among(&self.terminal, name) } else { among(&self.result, name) || !special && among(&self.leaf, name) };
                for value in values {
                    if wanted {
                        if !progress.found.put(value.as_bstr()) {
                            self.warn(&format!(
                                "dict_ldap_get_values[{depth}]: {}: Expansion limit exceeded for key: '{}'",
                                self.source, progress.key
                            ));
                            return Err(Stop::Failed);
                        }
                    } else if !terminal && among(&self.special, name) {
                        if depth >= self.recursion_limit {
                            self.warn(&format!(
                                "dict_ldap_get_values[{depth}]: {}: Recursion limit exceeded for special attribute {name}={}",
                                self.source,
                                value.as_bstr()
                            ));
                            return Err(Stop::Failed);
                        }
                        self.special(client, value, depth, progress)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the results of what a special attribute names: an entry by its name, or a search by its URL.
    fn special(&self, client: &mut Client, value: &[u8], depth: usize, progress: &mut Progress<'_>) -> Result<(), Stop> {
        let shown = value.as_bstr();
        let text = value.to_str().unwrap_or_default();
        let outcome = if url::is_url(text) {
            let Some(url) = Url::parse(text) else {
                self.warn(&format!("dict_ldap_get_values[{depth}]: malformed URL {shown}"));
                return Err(Stop::Failed);
            };
            let attributes = self.chosen(&url.attributes);
            if attributes.is_empty() {
                return Ok(());
            }
            let filter = url.filter.as_deref().unwrap_or("(objectClass=*)");
            // RFC 4516 §3: base where nothing is said.
            self.search(client, url.dn.as_bytes(), url.scope.unwrap_or(Scope::Base), filter.as_bytes(), &attributes)
        } else {
            self.search(client, value, Scope::Base, b"(objectClass=*)", &self.all)
        };
        match outcome {
            Ok(entries) => {
                progress.last = Code::SUCCESS;
                self.values(client, entries, depth + 1, progress)
            }
            Err(code @ Code::NO_SUCH_OBJECT) => {
                // It may well name somebody who is gone.
                progress.last = code;
                self.warn(&format!("dict_ldap_get_values[{depth}]: DN {shown} not found, skipping "));
                Ok(())
            }
            Err(code) => {
                let text = format!("dict_ldap_get_values[{depth}]: search error {}: {code} ", code.0);
                let stop = self.stop(text, &code);
                if matches!(stop, Stop::Failed) {
                    progress.last = code;
                }
                Err(stop)
            }
        }
    }

    /// The attributes that both a URL and the settings name, with the option that one of them may have.
    fn chosen(&self, of_url: &[String]) -> Names {
        if of_url.is_empty() || of_url.iter().any(|name| name == "*") {
            return self.all.clone();
        }
        let mut out = Names::new();
        for ours in &self.all {
            for theirs in of_url.iter().filter(|theirs| same_attribute(ours, theirs)) {
                out.push(if theirs.contains(';') { theirs.clone() } else { ours.clone() });
            }
        }
        out
    }
}

impl Table for Ldap {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        if !self.answers.wanted(key)? {
            return Ok(None);
        }
        let Some(base) = self.base.query(key, &filter::quote_name) else { return Ok(None) };
        let Some(filter) = self.filter.query(key, &filter::quote) else { return Ok(None) };
        let fail = |level: Level, text: &str| {
            self.context.report(level, text);
            TableError::without_detail(&self.name, "LDAP lookup failed")
        };
        // A connection of before may have been closed by the server meanwhile: that is found out by using it, and no reason for a word.
        while let Some(mut client) = self.server.pool.take() {
            match self.run(&mut client, key, &base, &filter) {
                Ok(found) => {
                    self.server.pool.give(client);
                    return Ok(found);
                }
                Err(Stop::Lost(_)) => {}
                Err(Stop::Failed) => {
                    // It may be that the server does not answer any more.
                    self.server.pool.clear();
                    return Err(TableError::without_detail(&self.name, "LDAP lookup failed"));
                }
            }
        }
        let mut client = self.server.connect().map_err(|(level, text)| fail(level, &text))?;
        match self.run(&mut client, key, &base, &filter) {
            Ok(found) => {
                self.server.pool.give(client);
                Ok(found)
            }
            Err(Stop::Lost(text)) => Err(fail(Level::Warning, &text)),
            Err(Stop::Failed) => Err(TableError::without_detail(&self.name, "LDAP lookup failed")),
        }
    }

    fn may_block(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
