//! A server that smtpd speaks to: `inet:host:port`, `unix:path`.

use crate::transport::Stream;
use posthaste_dns::{Families, Resolver};
use std::io;

/// Where a server listens.
#[derive(Debug, PartialEq, Eq)]
pub enum Endpoint {
    Inet { host: String, port: u16 },
    Unix(String),
}

impl Endpoint {
    /// `inet:` may be left out, and the host, which is `localhost` then.
    pub fn parse(name: &str) -> Result<Endpoint, &'static str> {
        if let Some(path) = name.strip_prefix("unix:") {
            return Ok(Endpoint::Unix(path.to_owned()));
        }
        let rest = name.strip_prefix("inet:").unwrap_or(name);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host.trim_start_matches('[').trim_end_matches(']'), port),
            None => ("", rest),
        };
        let port = port.parse().map_err(|_| "need inet:host:port or unix:path")?;
        Ok(Endpoint::Inet { host: if host.is_empty() { "localhost".to_owned() } else { host.to_owned() }, port })
    }

    /// Connects to the first address that answers.
    pub async fn connect(&self, resolver: &Resolver) -> io::Result<Stream> {
        let (host, port) = match self {
            Endpoint::Unix(path) => return Stream::unix(path).await,
            Endpoint::Inet { host, port } => (host, *port),
        };
        let addresses = match host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => resolver.native_addresses(host, Families::ALL).await.map_err(|error| io::Error::other(error.to_string()))?,
        };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for ip in addresses {
            match Stream::tcp((ip, port).into()).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let inet = |host: &str, port| Ok(Endpoint::Inet { host: host.into(), port });
        assert_eq!(Endpoint::parse("inet:127.0.0.1:10025"), inet("127.0.0.1", 10025));
        assert_eq!(Endpoint::parse("filter.example:10025"), inet("filter.example", 10025));
        assert_eq!(Endpoint::parse("[::1]:10025"), inet("::1", 10025));
        assert_eq!(Endpoint::parse(":10025"), inet("localhost", 10025));
        assert_eq!(Endpoint::parse("10025"), inet("localhost", 10025));
        assert_eq!(Endpoint::parse("unix:private/filter"), Ok(Endpoint::Unix("private/filter".into())));
        assert!(Endpoint::parse("inet:foo").is_err());
    }
}
