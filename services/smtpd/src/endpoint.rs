//! A server that smtpd speaks to: `inet:host:port`, `unix:path`.

use crate::transport::Stream;
use posthaste_config::ports::Ports;
use posthaste_config::system_reason;
use posthaste_dns::{Families, Resolver};
use posthaste_log::{Logger, warn};
use rustix::io::Errno;
use std::io;

/// Where a server listens.
#[derive(Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The port is `None` when there is no service of that name.
    Inet {
        host: String,
        service: String,
        port: Option<u16>,
    },
    Unix(String),
}

impl Endpoint {
    /// `inet:` may be left out, and the host, which is `localhost` then.
    pub fn parse(name: &str, ports: &Ports) -> Result<Endpoint, String> {
        if let Some(path) = name.strip_prefix("unix:") {
            return Ok(Endpoint::Unix(path.to_owned()));
        }
        let rest = name.strip_prefix("inet:").unwrap_or(name);
        let (host, service) = match rest.rsplit_once(':') {
            Some((host, service)) => (host.trim_start_matches('[').trim_end_matches(']'), service),
            None => ("", rest),
        };
        if service.is_empty() || rest.parse::<std::net::IpAddr>().is_ok() {
            return Err("need inet:host:port or unix:path".into());
        }
        let port = ports.find(service);
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Endpoint::Inet { host: host.to_owned(), service: service.to_owned(), port })
    }

    /// With its type in front: `inet:`, `unix:`, or `local:`, which means the same as `unix:`.
    pub fn parse_typed(name: &str, ports: &Ports) -> Result<Endpoint, String> {
        match name.split_once(':') {
            Some(("inet", rest)) => Endpoint::parse(rest, ports),
            Some(("unix" | "local", path)) => Ok(Endpoint::Unix(path.to_owned())),
            Some((other, _)) => Err(format!("invalid transport name: {other} in service: {name}")),
            None => Err("need inet:host:port or unix:path".into()),
        }
    }

    /// Connects to the first address that answers. That there is none is logged.
    pub async fn connect(&self, resolver: &Resolver, log: &Logger) -> io::Result<Stream> {
        let (host, service, port) = match self {
            Endpoint::Unix(path) => return Stream::unix(path).await,
            Endpoint::Inet { host, service, port } => (host, service, port),
        };
        let not_found = |reason: &str| {
            warn!(log, "host or service {host}:{service} not found: {reason}");
            io::Error::from(Errno::ADDRNOTAVAIL)
        };
        let port = port.ok_or_else(|| not_found("Servname not supported for ai_socktype"))?;
        let addresses = match host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => resolver.native_addresses(host, Families::ALL).await.map_err(|error| not_found(error.error.native_text()))?,
        };
        let mut last = io::Error::from(Errno::ADDRNOTAVAIL);
        for ip in addresses {
            match Stream::tcp((ip, port).into()).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The system's words for an error, without the number that Rust adds.
pub fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut { "Connection timed out".into() } else { system_reason(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let inet = |host: &str, port: u16| Ok(Endpoint::Inet { host: host.into(), service: port.to_string(), port: Some(port) });
        assert_eq!(Endpoint::parse("inet:127.0.0.1:10025", &Ports::default()), inet("127.0.0.1", 10025));
        assert_eq!(Endpoint::parse("filter.example:10025", &Ports::default()), inet("filter.example", 10025));
        assert_eq!(Endpoint::parse("[::1]:10025", &Ports::default()), inet("::1", 10025));
        assert_eq!(Endpoint::parse(":10025", &Ports::default()), inet("localhost", 10025));
        assert_eq!(Endpoint::parse("10025", &Ports::default()), inet("localhost", 10025));
        assert_eq!(Endpoint::parse("unix:private/filter", &Ports::default()), Ok(Endpoint::Unix("private/filter".into())));
        assert_eq!(Endpoint::parse_typed("local:private/filter", &Ports::default()), Ok(Endpoint::Unix("private/filter".into())));
        assert_eq!(Endpoint::parse_typed("inet:127.0.0.1:10025", &Ports::default()), inet("127.0.0.1", 10025));
        assert!(matches!(Endpoint::parse("inet:[::1]:no-such-service", &Ports::default()), Ok(Endpoint::Inet { port: None, .. })));
        for bad in ["inet:127.0.0.1", "127.0.0.1:10025", "foo:bar", "10025", "inet:"] {
            assert!(Endpoint::parse_typed(bad, &Ports::default()).is_err(), "{bad}");
        }
    }
}
