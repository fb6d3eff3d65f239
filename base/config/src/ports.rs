//! TCP ports by name: `known_tcp_ports`, then services(5).

use crate::{Config, ConfigError, split_list};

/// `known_tcp_ports`, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(Vec<(String, u16)>);

impl Ports {
    /// From main.cf.
    pub fn read(config: &Config) -> Result<Ports, ConfigError> {
        Ports::parse(&config.text("known_tcp_ports")?)
    }

    /// `lmtp=24, smtps=submissions=465`: any number of names for one port.
    fn parse(value: &str) -> Result<Ports, ConfigError> {
        let mut ports = Vec::new();
        for item in split_list(value) {
            let bad = || ConfigError::Bad(format!("configuration error: known_tcp_ports: in \"{item}\": need name=port"));
            let (names, port) = item.rsplit_once('=').ok_or_else(bad)?;
            let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?;
            ports.extend(names.split('=').map(|name| (name.to_owned(), port)));
        }
        Ok(Ports(ports))
    }

    /// The port of a service: a number, one of these names, or a name in services(5), which is read for it.
    pub fn find(&self, service: &str) -> Option<u16> {
        if let Ok(port) = service.parse() {
            return Some(port);
        }
        let known = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(service));
        known.map(|(_, port)| *port).or_else(|| in_services(&std::fs::read_to_string("/etc/services").ok()?, service))
    }
}

/// Looks for `name 25/tcp alias # comment`.
fn in_services(text: &str, service: &str) -> Option<u16> {
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let (name, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        (name == service || words.any(|alias| alias == service)).then(|| port.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let ports = Ports::parse("lmtp=24, smtp=25, smtps=submissions=465").unwrap();
        assert_eq!(["smtp", "SMTPS", "submissions", "10025"].map(|name| ports.find(name)), [Some(25), Some(465), Some(465), Some(10025)]);
        assert_eq!(ports.find("no-such-service"), None);
        assert!(Ports::parse("smtp").is_err() && Ports::parse("smtp=99999").is_err() && Ports::parse("smtp=0").is_err());
        assert_eq!(Ports::parse("").unwrap(), Ports::default());
    }

    #[test]
    fn services() {
        let text = "# x\nsmtp 25/tcp mail\nsyslog 514/udp\nodd\nsubmission\t587/tcp msp # mail\n";
        assert_eq!(
            ["smtp", "mail", "msp", "syslog", "odd", "#"].map(|name| in_services(text, name)),
            [Some(25), Some(25), Some(587), None, None, None]
        );
    }
}
