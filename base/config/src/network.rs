//! What this host is called and which addresses it has: the computed defaults of `myhostname`, `mydomain` and `mynetworks`, and
//! the meaning of `inet_interfaces` and `inet_protocols`.

use crate::{Config, ConfigError, split_list};
use posthaste_system::interfaces::{InterfaceAddress, interface_addresses};
use std::net::{IpAddr, ToSocketAddrs};

/// What `inet_protocols` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// IPv4 is used.
    pub ipv4: bool,
    /// IPv6 is used.
    pub ipv6: bool,
}

impl Protocols {
    /// Whether addresses of this family are used.
    pub fn allow(self, address: &IpAddr) -> bool {
        if address.is_ipv4() { self.ipv4 } else { self.ipv6 }
    }
}

impl Config {
    /// `inet_protocols`; an empty value means all.
    pub fn protocols(&self) -> Result<Protocols, ConfigError> {
        let value = self.text("inet_protocols")?;
        let mut protocols = Protocols { ipv4: false, ipv6: false };
        for word in split_list(&value) {
            match word.to_ascii_lowercase().as_str() {
                "all" => protocols = Protocols { ipv4: true, ipv6: true },
                "ipv4" => protocols.ipv4 = true,
                "ipv6" => protocols.ipv6 = true,
                _ => return Err(ConfigError::Bad(format!("unknown inet_protocols value \"{word}\" in \"{value}\""))),
            }
        }
        if !protocols.ipv4 && !protocols.ipv6 {
            protocols = Protocols { ipv4: true, ipv6: true };
        }
        Ok(protocols)
    }

    /// The local addresses that `inet_interfaces` names, limited to `inet_protocols`: those on which mail is received, and that mean
    /// this host as a destination. Resolves host names, which may block.
    pub fn own_addresses(&self) -> Result<Vec<InterfaceAddress>, ConfigError> {
        let value = self.text("inet_interfaces")?;
        let protocols = self.protocols()?;
        let system =
            interface_addresses().map_err(|error| ConfigError::Bad(format!("cannot list the addresses of network interfaces: {error}")))?;
        let system: Vec<_> = system.into_iter().filter(|entry| protocols.allow(&entry.address)).collect();
        match value.trim().to_ascii_lowercase().as_str() {
            "all" => return Ok(system),
            "loopback-only" => return Ok(system.into_iter().filter(|entry| entry.address.is_loopback()).collect()),
            _ => {}
        }
        let mut own: Vec<InterfaceAddress> = Vec::new();
        for word in split_list(&value) {
            if word.eq_ignore_ascii_case("all") {
                return Ok(system);
            }
            for address in resolve("inet_interfaces", word, protocols)? {
                let entry = system
                    .iter()
                    .find(|entry| entry.address == address)
                    .ok_or_else(|| ConfigError::Bad(format!("parameter inet_interfaces: no local interface found for {address}")))?;
                if !own.contains(entry) {
                    own.push(*entry);
                }
            }
        }
        Ok(own)
    }

    /// The addresses in `proxy_interfaces`: those under which the world reaches this host through a proxy or address translation.
    pub fn proxy_addresses(&self) -> Result<Vec<IpAddr>, ConfigError> {
        let value = self.text("proxy_interfaces")?;
        let protocols = self.protocols()?;
        let mut found = Vec::new();
        for word in split_list(&value) {
            found.extend(resolve("proxy_interfaces", word, protocols)?);
        }
        Ok(found)
    }

    /// `mynetworks` as it is when main.cf does not set it: from `mynetworks_style` and [`Config::own_addresses`].
    pub(crate) fn default_networks(&self) -> Result<String, ConfigError> {
        let style = self.text("mynetworks_style")?;
        let mut words = split_list(&style);
        let (Some(word), None) = (words.next(), words.next()) else {
            return Err(ConfigError::Bad(format!("bad mynetworks_style value: {style}; specify exactly one value")));
        };
        let style = match word {
            "host" => Style::Host,
            "subnet" => Style::Subnet,
            "class" => Style::Class,
            _ => return Err(ConfigError::Bad(format!("unknown mynetworks mask style value \"{word}\" in \"{style}\""))),
        };
        let mut networks: Vec<String> = Vec::new();
        for entry in self.own_addresses()? {
            let network = style.network(entry);
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        Ok(networks.join(" "))
    }

    /// The host's own name, completed with `mydomain` when it has no dot.
    pub(crate) fn default_hostname(&self, domain: Option<String>) -> String {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if name.contains('.') { name } else { format!("{name}.{}", domain.as_deref().unwrap_or(DEFAULT_DOMAIN)) }
    }
}

/// The domain of a host that has none.
const DEFAULT_DOMAIN: &str = "localdomain";

/// `mydomain` of a host: its name without the first label.
pub(crate) fn domain_of(hostname: &str) -> String {
    hostname.split_once('.').map_or(DEFAULT_DOMAIN, |(_, domain)| domain).to_owned()
}

#[derive(Clone, Copy)]
enum Style {
    Host,
    Subnet,
    Class,
}

impl Style {
    fn network(self, entry: InterfaceAddress) -> String {
        let full = if entry.address.is_ipv4() { 32 } else { 128 };
        let prefix = match (self, entry.address) {
            (Style::Host, _) => full,
            (Style::Subnet, _) | (Style::Class, IpAddr::V6(_)) => entry.prefix,
            (Style::Class, IpAddr::V4(address)) => match address.octets()[0] {
                0..=127 => 8,
                128..=191 => 16,
                192..=223 => 24,
                _ => 4,
            },
        };
        let network = InterfaceAddress { prefix, ..entry }.network();
        if network.is_ipv4() { format!("{network}/{prefix}") } else { format!("[{network}]/{prefix}") }
    }
}

/// The addresses of a host name or an address, which may stand in brackets.
fn resolve(parameter: &str, word: &str, protocols: Protocols) -> Result<Vec<IpAddr>, ConfigError> {
    let bare = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(if protocols.allow(&address) { vec![address] } else { Vec::new() });
    }
    let mut found: Vec<IpAddr> = Vec::new();
    if let Ok(addresses) = (bare, 0_u16).to_socket_addrs() {
        for address in addresses.map(|address| address.ip()).filter(|address| protocols.allow(address)) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    if found.is_empty() {
        return Err(ConfigError::Bad(format!("config variable {parameter}: host not found: {word}")));
    }
    Ok(found)
}

/// Whether a text has the form of a host name: letters, digits, `-` and `_` in labels of at most 63 bytes, not starting or ending
/// with `-`. The error is the text that Postfix logs as a warning.
pub fn check_hostname(name: &str) -> Result<(), String> {
    let bad = |what: &str| Err(format!("valid_hostname: {what}: {name}"));
    if name.is_empty() {
        return Err("valid_hostname: empty hostname".to_owned());
    }
    if name.len() > 255 {
        return Err(format!("valid_hostname: bad length {} for {}...", name.len(), name.chars().take(100).collect::<String>()));
    }
    if let Some(byte) = name.bytes().find(|byte| !(byte.is_ascii_alphanumeric() || b"-_.".contains(byte) || *byte >= 0x80)) {
        return Err(format!("valid_hostname: invalid character {byte}(decimal): {name}"));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return bad("misplaced delimiter");
        }
        if label.len() > 63 {
            return bad("hostname label too long");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return bad("misplaced hyphen");
        }
    }
    if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return bad("numeric hostname");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(style: Style, address: &str, prefix: u8) -> String {
        style.network(InterfaceAddress { address: address.parse().unwrap(), prefix })
    }

    // Observed with `postconf mynetworks` of Postfix 3.7.11.
    #[test]
    fn styles_of_networks() {
        assert_eq!(network(Style::Host, "192.0.2.2", 24), "192.0.2.2/32");
        assert_eq!(network(Style::Subnet, "192.0.2.2", 24), "192.0.2.0/24");
        assert_eq!(network(Style::Class, "10.1.2.3", 24), "10.0.0.0/8");
        assert_eq!(network(Style::Class, "172.16.2.3", 24), "172.16.0.0/16");
        assert_eq!(network(Style::Class, "fd00::2", 64), "[fd00::]/64");
        assert_eq!(network(Style::Host, "::1", 128), "[::1]/128");
    }

    #[test]
    fn interfaces_and_protocols() {
        let config = |text: &str| Config::parse(text, "main.cf").unwrap();
        let loopback = config("inet_interfaces = 127.0.0.1\nmynetworks_style = host\n");
        assert_eq!(loopback.text("mynetworks").unwrap(), "127.0.0.1/32");
        let error = |text: &str| config(text).text("mynetworks").unwrap_err().to_string();
        assert_eq!(error("inet_interfaces = 192.0.2.250"), "parameter inet_interfaces: no local interface found for 192.0.2.250");
        assert_eq!(error("mynetworks_style = Class"), "unknown mynetworks mask style value \"Class\" in \"Class\"");
        assert_eq!(error("mynetworks_style = host, subnet"), "bad mynetworks_style value: host, subnet; specify exactly one value");
        assert_eq!(error("inet_protocols = ipv4, foo"), "unknown inet_protocols value \"foo\" in \"ipv4, foo\"");
        assert_eq!(config("inet_interfaces =").text("mynetworks").unwrap(), "");
        assert_eq!(config("inet_protocols = ipv6").protocols().unwrap(), Protocols { ipv4: false, ipv6: true });
    }

    #[test]
    fn domains_of_hosts() {
        assert_eq!(domain_of("mail.example.com"), "example.com");
        assert_eq!(domain_of("mail"), "localdomain");
    }

    #[test]
    fn host_names() {
        assert!(check_hostname("mail.example_1.com").is_ok());
        for (name, error) in [
            ("a_b..c", "valid_hostname: misplaced delimiter: a_b..c"),
            ("-a.b", "valid_hostname: misplaced hyphen: -a.b"),
            ("a b", "valid_hostname: invalid character 32(decimal): a b"),
            ("1.2.3.4", "valid_hostname: numeric hostname: 1.2.3.4"),
            ("", "valid_hostname: empty hostname"),
        ] {
            assert_eq!(check_hostname(name), Err(error.to_owned()));
        }
    }
}
