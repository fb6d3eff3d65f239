//! A stub resolver that means what libresolv means, on Tokio.
//!
//! It reads `resolv.conf` (servers, `search`, `timeout`, `attempts`, `rotate`, `edns0`, `trust-ad`, `use-vc`, `ndots`), `hosts` and
//! `nsswitch.conf`, and notices when they change. It asks by UDP, by TCP where the answer is long, follows CNAME records, keeps answers
//! for their time to live (within limits), and puts a question that many ask at once only once.
//!
//! An answer is *found* (`Ok`, at least one record), *not found* ([`DnsError::not_found`]: no such name, or no such data), or *failed*
//! ([`DnsError::temporary`]: ask later). `DnsError` prints as Postfix words it in logs and reports.
//!
//! ```no_run
//! # async fn example(config: &posthaste_config::Config, log: posthaste_log::Logger) -> Result<(), Box<dyn std::error::Error>> {
//! use posthaste_dns::{Data, Resolver, Settings, Type};
//! // Before chroot, since it reads files in /etc. Cheap to clone; clones share the cache.
//! let resolver = Resolver::new(Settings::from_config(config, log)?);
//! // Sorted by preference; null MX is an error of its own.
//! let mx = resolver.mx("example.com").await?;
//! for record in &mx.records {
//!     if let Data::Mx { preference, host } = &record.data {
//!         // A and AAAA as inet_protocols allows.
//!         let addresses = resolver.addresses(host, resolver.families()).await?;
//!         println!("{preference} {host} {:?}", addresses.records);
//!     }
//! }
//! // A DNS blocklist.
//! let listed = resolver.query("2.0.0.127.bl.example", Type::A).await;
//! let why = resolver.query("2.0.0.127.bl.example", Type::Txt).await;
//! // The client's name as smtpd wants it: PTR, and forward again.
//! let client = resolver.client_name("192.0.2.1".parse()?).await;
//! println!("connect from {}", client.name);
//! # Ok(()) }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails panics"))]

mod cache;
mod client;
mod exchange;
mod hostname;
mod record;
mod system;
pub mod wire;

pub use client::{ClientName, NameStatus};
pub use hostname::{HOSTNAME_LIMIT, HostnameError, valid_dns_name, valid_hostname};
pub use record::{Answer, Data, DnsError, Reason, Record, Type};
pub use system::{Hosts, ResolvConf, Source, native_order};
pub use wire::RECORD_LIMIT;

use cache::{Cache, Key, NEGATIVE_LIMIT, Outcome, POSITIVE_LIMIT};
use exchange::Random;
use posthaste_config::network::Protocols;
use posthaste_config::{Config, ConfigError};
use posthaste_log::{Logger, info, warn};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use system::Watched;

/// Address families that are used (`inet_protocols`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// A records, IPv4 connections.
    pub ipv4: bool,
    /// AAAA records, IPv6 connections.
    pub ipv6: bool,
}

impl Families {
    /// Both.
    pub const ALL: Families = Families { ipv4: true, ipv6: true };

    /// Whether addresses of this kind are used.
    pub fn contains(self, ip: IpAddr) -> bool {
        if ip.is_ipv4() { self.ipv4 } else { self.ipv6 }
    }
}

/// Says whether a record is to be ignored, given as [`Record`] prints: the tables of a `…_dns_reply_filter` parameter. An error makes the lookup a
/// temporary failure; the filter logs why.
pub type ReplyFilter = Arc<dyn Fn(&Record) -> Result<bool, ()> + Send + Sync>;

/// How a [`Resolver`] works.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Where `resolv.conf`, `hosts` and `nsswitch.conf` are.
    pub directory: PathBuf,
    /// `inet_protocols`.
    pub families: Families,
    /// `res_defnames`: complete names without a dot.
    pub defnames: bool,
    /// `res_dnsrch`: search the domains of `resolv.conf`.
    pub dnsrch: bool,
    /// Ask for DNSSEC data, so that answers can be [`Answer::secure`].
    pub dnssec: bool,
    /// `dnssec_probe`: asked once when nothing was validated, to find out whether that is the resolver's fault. `None` for no probe.
    pub dnssec_probe: Option<(Type, String)>,
    /// Answers kept.
    pub cache_limit: usize,
    /// `…_dns_reply_filter`; not used for native lookups and client names.
    pub filter: Option<ReplyFilter>,
    /// For warnings about what servers send.
    pub log: Logger,
}

impl Settings {
    /// With the host's files in `/etc`, both families, no search, no DNSSEC, no filter.
    pub fn new(log: Logger) -> Settings {
        Settings {
            directory: "/etc".into(),
            families: Families::ALL,
            defnames: false,
            dnsrch: false,
            dnssec: false,
            dnssec_probe: None,
            cache_limit: 5000,
            filter: None,
            log,
        }
    }

    /// With `inet_protocols` and `dnssec_probe` of main.cf.
    pub fn from_config(config: &Config, log: Logger) -> Result<Settings, ConfigError> {
        let Protocols { ipv4, ipv6 } = config.protocols()?;
        let dnssec_probe = probe(&config.text("dnssec_probe")?)?;
        Ok(Settings { families: Families { ipv4, ipv6 }, dnssec_probe, ..Settings::new(log) })
    }
}

/// `type:name`, or nothing.
fn probe(value: &str) -> Result<Option<(Type, String)>, ConfigError> {
    if value.trim().is_empty() {
        return Ok(None);
    }
    let parsed = value.trim().split_once(':').and_then(|(kind, name)| Some((Type::parse(kind)?, name.to_owned())));
    parsed.map(Some).ok_or_else(|| ConfigError::Bad(format!("malformed dnssec_probe value: {value}")))
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("families", &self.families).field("dnssec", &self.dnssec).finish_non_exhaustive()
    }
}

/// A native lookup (`nsswitch.conf`) that found nothing. `Display` is Postfix's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to look up host {name}: {}", .error.native_text())]
pub struct NativeError {
    /// The name asked for.
    pub name: String,
    /// What went wrong.
    pub error: DnsError,
}

/// The resolver. Clones share cache and files.
#[derive(Clone, Debug)]
pub struct Resolver {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    cache: Cache,
    random: Random,
    resolv: Mutex<Watched<ResolvConf>>,
    hosts: Mutex<Watched<Hosts>>,
    order: Vec<Source>,
    /// A validated answer was seen, or the probe was made.
    probed: AtomicBool,
}

impl Resolver {
    /// Reads the host's files; later, on the runtime, they are looked at again from time to time.
    pub fn new(settings: Settings) -> Resolver {
        let directory = &settings.directory;
        let resolv = Mutex::new(Watched::open(&directory.join("resolv.conf"), ResolvConf::parse));
        let hosts = Mutex::new(Watched::open(&directory.join("hosts"), Hosts::parse));
        let order = native_order(&std::fs::read_to_string(directory.join("nsswitch.conf")).unwrap_or_default());
        let cache = Cache::new(settings.cache_limit);
        Resolver {
            inner: Arc::new(Inner { settings, cache, random: Random::default(), resolv, hosts, order, probed: AtomicBool::new(false) }),
        }
    }

    /// `inet_protocols`.
    pub fn families(&self) -> Families {
        self.inner.settings.families
    }

    /// A random number that a stranger cannot guess, for choosing among equals.
    pub fn random(&self) -> u64 {
        self.inner.random.number()
    }

    /// Any question: search options and reply filter apply.
    pub async fn query(&self, name: &str, kind: Type) -> Result<Arc<Answer>, DnsError> {
        let answer = self.query_searching(name, kind).await?;
        self.filtered(answer, name, kind)
    }

    /// MX records, best first (equal ones as the server gave them).
    pub async fn mx(&self, name: &str) -> Result<Arc<Answer>, DnsError> {
        let mut answer = self.query(name, Type::Mx).await?;
        if !answer.records.is_sorted_by_key(Record::preference) {
            Arc::make_mut(&mut answer).records.sort_by_key(Record::preference);
        }
        Ok(answer)
    }

    /// A records, for DNS lists.
    pub async fn a(&self, name: &str) -> Result<Arc<Answer>, DnsError> {
        self.query(name, Type::A).await
    }

    /// TXT records, for DNS lists.
    pub async fn txt(&self, name: &str) -> Result<Arc<Answer>, DnsError> {
        self.query(name, Type::Txt).await
    }

    /// A and then AAAA records of the given families. Found when one of them is; else failed when one failed; else the answer to the
    /// last question.
    pub async fn addresses(&self, name: &str, families: Families) -> Result<Answer, DnsError> {
        let mut found: Option<Answer> = None;
        let mut failure: Option<DnsError> = None;
        for (wanted, kind) in [(families.ipv4, Type::A), (families.ipv6, Type::Aaaa)] {
            if !wanted {
                continue;
            }
            match self.query(name, kind).await {
                Ok(answer) => match &mut found {
                    None => found = Some(Answer::clone(&answer)),
                    Some(found) => {
                        found.secure &= answer.secure;
                        found.records.extend_from_slice(&answer.records);
                    }
                },
                Err(error) if failure.as_ref().is_none_or(|failure| failure.not_found() || error.temporary()) => failure = Some(error),
                Err(_) => {}
            }
        }
        match (found, failure) {
            (Some(found), _) => Ok(found),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(DnsError { name: name.into(), kind: Type::A, reason: Reason::NoData, secure: false }),
        }
    }

    /// The name or names of an address, from the DNS alone. See [`Resolver::client_name`] for what smtpd needs.
    pub async fn ptr(&self, ip: IpAddr) -> Result<Arc<Answer>, DnsError> {
        self.lookup(&reverse_name(ip), Type::Ptr).await
    }

    /// As getaddrinfo(3): `hosts` and the DNS in the order of `nsswitch.conf`, with the search list. Never empty.
    pub async fn native_addresses(&self, name: &str, families: Families) -> Result<Vec<IpAddr>, NativeError> {
        if let Ok(ip) = name.parse::<IpAddr>() {
            return Ok(vec![ip]);
        }
        let mut failure = DnsError { name: name.into(), kind: Type::A, reason: Reason::NoName, secure: false };
        for source in &self.inner.order {
            match source {
                Source::Files => {
                    let list: Vec<IpAddr> =
                        self.hosts(|hosts| hosts.addresses(name).iter().copied().filter(|&ip| families.contains(ip)).collect());
                    if !list.is_empty() {
                        return Ok(list);
                    }
                }
                Source::Dns => match self.native_dns(name, families).await {
                    Ok(list) => return Ok(list),
                    Err(error) => failure = error,
                },
            }
        }
        Err(NativeError { name: name.into(), error: failure })
    }

    async fn native_dns(&self, name: &str, mut families: Families) -> Result<Vec<IpAddr>, DnsError> {
        let conf = self.resolv();
        families.ipv6 &= !conf.no_aaaa || !families.ipv4;
        let mut failure: Option<DnsError> = None;
        for candidate in search_names(name, &conf, true, true) {
            let mut list = Vec::new();
            for (wanted, kind) in [(families.ipv4, Type::A), (families.ipv6, Type::Aaaa)] {
                if !wanted {
                    continue;
                }
                match self.lookup(&candidate, kind).await {
                    Ok(answer) => list.extend(answer.records.iter().filter_map(Record::address)),
                    // "No data" tells more than "no name"; a temporary failure outweighs both.
                    Err(error) if failure.as_ref().is_none_or(|f| error.temporary() || f.reason == Reason::NoName) => failure = Some(error),
                    Err(_) => {}
                }
            }
            if !list.is_empty() {
                return Ok(list);
            }
            if failure.as_ref().is_some_and(DnsError::temporary) {
                break;
            }
        }
        Err(failure.unwrap_or(DnsError { name: name.into(), kind: Type::A, reason: Reason::NoName, secure: false }))
    }

    fn filtered(&self, answer: Arc<Answer>, name: &str, kind: Type) -> Result<Arc<Answer>, DnsError> {
        let Some(filter) = &self.inner.settings.filter else { return Ok(answer) };
        let mut kept = Answer { records: Vec::new(), ..Answer::clone(&answer) };
        for record in &answer.records {
            match filter(record) {
                Ok(true) => info!(self.inner.settings.log, "ignoring DNS RR: {record}"),
                Ok(false) => kept.records.push(record.clone()),
                Err(()) => return Err(DnsError { name: name.into(), kind, reason: Reason::BadFilter, secure: false }),
            }
        }
        if kept.records.is_empty() {
            return Err(DnsError { name: name.into(), kind, reason: Reason::Filtered, secure: false });
        }
        Ok(Arc::new(kept))
    }

    async fn query_searching(&self, name: &str, kind: Type) -> Result<Arc<Answer>, DnsError> {
        let settings = &self.inner.settings;
        if !settings.defnames && !settings.dnsrch {
            return self.lookup(name, kind).await;
        }
        let mut failure = None;
        for candidate in search_names(name, &self.resolv(), settings.defnames, settings.dnsrch) {
            match self.lookup(&candidate, kind).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.not_found() => failure = failure.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or(DnsError { name: name.into(), kind, reason: Reason::NoName, secure: false }))
    }

    /// One name as it is, through the cache.
    async fn lookup(&self, name: &str, kind: Type) -> Result<Arc<Answer>, DnsError> {
        let ascii;
        let name = if name.is_ascii() {
            name
        } else {
            // RFC 6531 §3.3: a domain in UTF-8 is asked for as its A-label form.
            ascii = idna::domain_to_ascii(name).map_err(|_| DnsError {
                name: name.into(),
                kind,
                reason: Reason::InvalidName,
                secure: false,
            })?;
            &ascii
        };
        let key = Key { name: name.to_ascii_lowercase().into(), kind, dnssec: self.inner.settings.dnssec };
        let pending = self.inner.cache.entry(&key, Instant::now());
        let outcome = pending.get_or_init(|| self.ask(name, kind)).await;
        if key.dnssec {
            let secure = match &outcome.result {
                Ok(answer) => answer.secure,
                Err((_, secure)) => *secure,
            };
            self.probe(secure).await;
        }
        match &outcome.result {
            Ok(answer) => Ok(Arc::clone(answer)),
            Err((reason, secure)) => Err(DnsError { name: name.into(), kind, reason: reason.clone(), secure: *secure }),
        }
    }

    /// Once nothing could be validated: finds out whether anything can, and says so in the log (postconf(5), `dnssec_probe`).
    async fn probe(&self, secure: bool) {
        if self.inner.probed.load(Ordering::Relaxed) || self.inner.probed.fetch_or(true, Ordering::Relaxed) || secure {
            return;
        }
        let Some((kind, name)) = &self.inner.settings.dnssec_probe else { return };
        let outcome = self.ask(name, *kind).await;
        let probe = format!("{}:{name}", kind.to_string().to_lowercase());
        let reason = match &outcome.result {
            Ok(answer) if answer.secure => return,
            Err((reason, true)) if *reason != Reason::TryAgain => return,
            Err((Reason::TryAgain, _)) => format!("dnssec_probe '{probe}' received no response: Server failure"),
            _ => format!("dnssec_probe '{probe}' received a response that is not DNSSEC validated"),
        };
        warn!(self.inner.settings.log, "DNSSEC validation may be unavailable");
        warn!(self.inner.settings.log, "reason: {reason}");
    }

    /// Asks the servers, following CNAME records from one reply to the next.
    async fn ask(&self, name: &str, kind: Type) -> Outcome {
        let conf = self.resolv();
        let dnssec = self.inner.settings.dnssec;
        let mut next = name.to_owned();
        let (mut secure, mut ttl) = (conf.trust_ad, u32::MAX);
        for _ in 0..=wire::CNAME_LIMIT {
            let Some(wire_name) = wire::name_from_text(&next) else { return failed(Reason::InvalidName, false, 0) };
            let question = wire::Question { name: wire_name, kind, edns: dnssec || conf.edns0, dnssec, want_ad: conf.trust_ad };
            let Some(mut found) = exchange::ask(&conf, &question, &self.inner.random).await else {
                return failed(Reason::TryAgain, false, 0);
            };
            for warning in &found.warnings {
                warn!(self.inner.settings.log, "{warning}");
            }
            secure &= found.secure;
            ttl = ttl.min(found.ttl);
            match found.reason {
                None => {
                    sort_servers(&mut found.records);
                    let answer = Answer { name: found.name, records: found.records, secure };
                    let expires = Instant::now() + Duration::from_secs(ttl.into()).min(POSITIVE_LIMIT);
                    return Outcome { result: Ok(Arc::new(answer)), expires };
                }
                // The server did not follow the alias to its end: ask for that.
                Some(Reason::NoData) if found.aliased => next = found.name,
                Some(reason) => return failed(reason, secure, ttl),
            }
        }
        failed(Reason::NoData, secure, 0)
    }

    fn resolv(&self) -> ResolvConf {
        self.inner.resolv.lock().unwrap_or_else(PoisonError::into_inner).current().clone()
    }

    fn hosts<T>(&self, read: impl FnOnce(&Hosts) -> T) -> T {
        read(self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner).current())
    }
}

fn failed(reason: Reason, secure: bool, ttl: u32) -> Outcome {
    let keep = match reason {
        Reason::NoName | Reason::NoData | Reason::NullMx => Duration::from_secs(ttl.into()).min(NEGATIVE_LIMIT),
        _ => Duration::ZERO,
    };
    Outcome { result: Err((reason, secure)), expires: Instant::now() + keep }
}

fn sort_servers(records: &mut [Record]) {
    records.sort_by_key(|record| match record.data {
        Data::Srv { priority, .. } => priority,
        _ => 0,
    });
}

/// `1.2.0.192.in-addr.arpa` (RFC 1035 §3.5), or the nibbles of RFC 3596 §2.5.
pub fn reverse_name(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let mut name = String::with_capacity(72);
            for byte in v6.octets().iter().rev() {
                for nibble in [byte & 15, byte >> 4] {
                    name.extend(char::from_digit(nibble.into(), 16));
                    name.push('.');
                }
            }
            name + "ip6.arpa"
        }
    }
}

/// The names that res_search(3) would try, in order.
fn search_names(name: &str, conf: &ResolvConf, defnames: bool, dnsrch: bool) -> Vec<String> {
    if let Some(absolute) = name.strip_suffix('.') {
        return vec![absolute.to_owned()];
    }
    let dots = name.matches('.').count();
    let mut names = Vec::new();
    if dots >= conf.ndots.max(1) {
        names.push(name.to_owned());
    }
    let list = match () {
        () if dnsrch => &conf.search[..],
        () if defnames && dots == 0 => &conf.search[..conf.search.len().min(1)],
        () => &[],
    };
    names.extend(list.iter().map(|domain| format!("{name}.{domain}")));
    if dots < conf.ndots.max(1) {
        names.push(name.to_owned());
    }
    names
}

#[cfg(test)]
mod tests;
