//! The host's own files: `resolv.conf`, `nsswitch.conf`, `hosts`. Read as libc reads them; read again when they change.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// `resolv.conf`(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Servers in order, at most [`MAX_SERVERS`]. The local host when none is named.
    pub servers: Vec<SocketAddr>,
    /// Search list (`search`, or `domain`, or else the domain of the host's own name).
    pub search: Vec<String>,
    /// `options ndots:n`.
    pub ndots: usize,
    /// `options timeout:n`.
    pub timeout: Duration,
    /// `options attempts:n`.
    pub attempts: u32,
    /// `options rotate`.
    pub rotate: bool,
    /// `options edns0`.
    pub edns0: bool,
    /// `options trust-ad`: the AD bit of these servers may be believed.
    pub trust_ad: bool,
    /// `options use-vc`: always TCP.
    pub use_vc: bool,
    /// `options no-aaaa`: native lookups ask for no AAAA records.
    pub no_aaaa: bool,
}

/// libc uses no more servers than this.
pub const MAX_SERVERS: usize = 3;

impl Default for ResolvConf {
    fn default() -> ResolvConf {
        ResolvConf {
            servers: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53)],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            edns0: false,
            trust_ad: false,
            use_vc: false,
            no_aaaa: false,
        }
    }
}

impl ResolvConf {
    /// From the file's text. What cannot be understood is skipped, as libc does.
    pub fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf { search: local_domain(), ..ResolvConf::default() };
        let mut servers = Vec::new();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if servers.len() < MAX_SERVERS => servers.extend(words.next().and_then(server)),
                Some("search") => conf.search = words.map(name).collect(),
                Some("domain") => conf.search = words.take(1).map(name).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        if !servers.is_empty() {
            conf.servers = servers;
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        let number = |limit: u64| value.parse::<u64>().ok().map(|n| n.min(limit));
        match key {
            "ndots" => self.ndots = number(15).unwrap_or(1) as usize,
            "timeout" => self.timeout = Duration::from_secs(number(30).unwrap_or(5).max(1)),
            "attempts" => self.attempts = number(5).unwrap_or(2).max(1) as u32,
            "rotate" => self.rotate = true,
            "edns0" => self.edns0 = true,
            "trust-ad" => self.trust_ad = true,
            "use-vc" => self.use_vc = true,
            "no-aaaa" => self.no_aaaa = true,
            _ => {}
        }
    }
}

/// The domain of the host's own name, if it has one.
fn local_domain() -> Vec<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.split_once('.')
        .map(|(_, domain)| domain.trim_end_matches('.').to_owned())
        .filter(|domain| !domain.is_empty())
        .into_iter()
        .collect()
}

fn name(word: &str) -> String {
    word.trim_end_matches('.').to_owned()
}

fn server(word: &str) -> Option<SocketAddr> {
    if let Ok(ip) = word.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, 53));
    }
    // `fe80::1%eth0` (an interface's name or number), and `[address]:port` for tests and unusual installations.
    let (ip, scope) = match word.split_once('%') {
        Some((ip, scope)) => (ip, scope),
        None => return word.parse().ok(),
    };
    let ip = ip.parse().ok()?;
    let scope =
        scope.parse().ok().or_else(|| std::fs::read_to_string(format!("/sys/class/net/{scope}/ifindex")).ok()?.trim().parse().ok())?;
    Some(SocketAddr::V6(std::net::SocketAddrV6::new(ip, 53, 0, scope)))
}

/// A source of the `hosts:` line of `nsswitch.conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `/etc/hosts`.
    Files,
    /// The DNS (`dns`, `resolve`).
    Dns,
}

/// The order of native lookups from the text of `nsswitch.conf`(5). Sources that this program has not are skipped.
pub fn native_order(text: &str) -> Vec<Source> {
    let mut order = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some(rest) = line.trim_start().strip_prefix("hosts:") else { continue };
        for word in rest.split_ascii_whitespace() {
            let source = match word {
                "files" => Source::Files,
                "dns" | "resolve" => Source::Dns,
                _ => continue,
            };
            if !order.contains(&source) {
                order.push(source);
            }
        }
    }
    if order.is_empty() { vec![Source::Files, Source::Dns] } else { order }
}

/// `hosts`(5).
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    by_name: HashMap<String, Vec<IpAddr>>,
    by_address: HashMap<IpAddr, String>,
}

impl Hosts {
    /// From the file's text.
    pub fn parse(text: &str) -> Hosts {
        let mut hosts = Hosts::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for (i, name) in words.enumerate() {
                if i == 0 {
                    hosts.by_address.entry(ip).or_insert_with(|| name.to_owned());
                }
                let list = hosts.by_name.entry(name.to_ascii_lowercase()).or_default();
                if !list.contains(&ip) {
                    list.push(ip);
                }
            }
        }
        hosts
    }

    /// Addresses of a name, case ignored; empty when it is not listed.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        self.by_name.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default()
    }

    /// The first name of an address.
    pub fn name(&self, ip: IpAddr) -> Option<&str> {
        self.by_address.get(&ip).map(String::as_str)
    }
}

/// How often a file is looked at for changes.
const RECHECK: Duration = Duration::from_secs(5);

/// A file whose parsed form is kept until it changes. When it cannot be read (any more), the last form stays: a service may have
/// changed its root or lost the right to see it.
#[derive(Debug)]
pub struct Watched<T> {
    path: PathBuf,
    parse: fn(&str) -> T,
    value: T,
    modified: Option<SystemTime>,
    checked: Instant,
}

impl<T> Watched<T> {
    /// Reads the file now; when it does not exist, `parse` gets an empty text.
    pub fn open(path: &Path, parse: fn(&str) -> T) -> Watched<T> {
        // The time is taken first: a change between the two calls is then seen at the next look.
        let modified = modified(path);
        let text = std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
        Watched { path: path.to_owned(), parse, value: parse(&text), modified, checked: Instant::now() }
    }

    /// The current form.
    pub fn current(&mut self) -> &T {
        if self.checked.elapsed() >= RECHECK {
            self.checked = Instant::now();
            let modified = modified(&self.path);
            if modified.is_some()
                && modified != self.modified
                && let Ok(text) = std::fs::read(&self.path)
            {
                self.modified = modified;
                self.value = (self.parse)(&String::from_utf8_lossy(&text));
            }
        }
        &self.value
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-DNS-11: resolv.conf decides who is asked and how. Names and meanings from resolv.conf(5).
    #[test]
    fn resolv_conf() {
        let conf = ResolvConf::parse(
            "# comment\nnameserver 192.0.2.53 ; why\nnameserver 2001:db8::53\nnameserver fe80::1%3\nnameserver 192.0.2.54\n\
             domain old.example\nsearch a.example b.example.\noptions timeout:2 attempts:9 rotate trust-ad edns0 ndots:3\nbogus line\n",
        );
        assert_eq!(
            conf.servers,
            ["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap(), "[fe80::1%3]:53".parse::<SocketAddr>().unwrap()]
        );
        assert_eq!(conf.search, ["a.example", "b.example"]);
        assert_eq!((conf.timeout, conf.attempts, conf.ndots), (Duration::from_secs(2), 5, 3));
        assert!(conf.rotate && conf.trust_ad && conf.edns0 && !conf.use_vc);
        assert_eq!(ResolvConf::parse("nameserver what").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn hosts_file() {
        let hosts = Hosts::parse("127.0.0.1 localhost\n::1 localhost ip6-localhost\n192.0.2.1\tMail.example.com mail # ours\nnonsense x\n");
        assert_eq!(hosts.addresses("LOCALHOST"), ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(hosts.addresses("mail"), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(hosts.name("192.0.2.1".parse().unwrap()), Some("Mail.example.com"));
        assert!(hosts.addresses("x").is_empty());
    }

    #[test]
    fn nsswitch_order() {
        assert_eq!(native_order("passwd: files\nhosts: mymachines dns [!UNAVAIL=return] files # x\n"), [Source::Dns, Source::Files]);
        assert_eq!(native_order(""), [Source::Files, Source::Dns]);
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_lost_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        let mut watched = Watched::open(&path, ResolvConf::parse);
        assert_eq!(watched.current().servers[0].ip().to_string(), "192.0.2.1");
        std::fs::write(&path, "nameserver 192.0.2.2\n").unwrap();
        watched.modified = None;
        let Some(past) = Instant::now().checked_sub(RECHECK) else { return };
        watched.checked = past;
        assert_eq!(watched.current().servers[0].ip().to_string(), "192.0.2.2");
        std::fs::remove_file(&path).unwrap();
        watched.checked = past;
        assert_eq!(watched.current().servers[0].ip().to_string(), "192.0.2.2");
    }
}
