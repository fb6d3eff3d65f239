//! What a next hop means: smtp(8), "SMTP DESTINATION SYNTAX" and "LMTP DESTINATION SYNTAX".

use crate::settings::Settings;
use bstr::{BStr, ByteSlice};
use posthaste_dns::{valid_dns_name, valid_hostname};
use std::net::{IpAddr, Ipv6Addr};

/// One place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A Unix socket.
    Unix {
        /// Its path, relative to the queue directory or absolute.
        path: String,
    },
    /// A domain or host.
    Inet {
        /// As written, without port; in brackets if it was.
        shown: String,
        /// Domain, host or address.
        host: String,
        /// No MX lookup.
        literal: bool,
        /// TCP port.
        port: u16,
        /// The service name in `use_srv_lookup` by which SRV records are asked for.
        srv: Option<String>,
    },
}

/// A next hop that makes no sense. Postfix's smtp ends with this as its last words; here it costs the delivery that wanted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDestination(pub String);

/// The destinations in a next hop, in order.
pub fn parse(nexthop: &BStr, settings: &Settings) -> Result<Vec<Destination>, BadDestination> {
    let text = nexthop.to_str_lossy();
    posthaste_config::list::split_list(&text).map(|item| parse_one(item, settings)).collect()
}

/// One destination.
pub fn parse_one(item: &str, settings: &Settings) -> Result<Destination, BadDestination> {
    let mut item = item;
    if settings.lmtp {
        if let Some(path) = item.strip_prefix("unix:") {
            return Ok(Destination::Unix { path: path.to_owned() });
        }
        item = item.strip_prefix("inet:").unwrap_or(item);
    }
    let bad = |text: String| Err(BadDestination(text));
    let (host, port, brackets) = if let Some(rest) = item.strip_prefix('[') {
        let Some((host, rest)) = rest.split_once(']') else {
            return bad(format!("missing \"]\" in server description: {item}"));
        };
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port), true),
            None if rest.is_empty() => (host, None, true),
            None => return bad(format!("garbage after \"[]\" in server description: {item}")),
        }
    } else {
        match item.split_once(':') {
            Some((host, port)) => (host, Some(port), false),
            None => (item, None, false),
        }
    };
    let address = host.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("IPv6:")).map_or(host, |prefix| &host[prefix.len()..]);
    let is_address = address.parse::<IpAddr>().is_ok();
    let ascii = if host.is_ascii() { Some(host.to_owned()) } else { posthaste_address::idn::domain_to_ascii(host.as_bytes().as_bstr()) };
    let valid = is_address || ascii.as_deref().is_some_and(|host| valid_hostname(host).or_else(|_| valid_dns_name(host)).is_ok());
    if host.is_empty() || !valid {
        return bad(format!("valid hostname or network address required in server description: {item}"));
    }
    let service = port.filter(|port| !port.is_empty()).unwrap_or(&settings.default_port);
    let port = settings
        .ports
        .find(service)
        .ok_or_else(|| BadDestination(format!("unknown service: {service}/tcp")))
        .and_then(|port| if port == 0 { bad_port(item) } else { Ok(port) })?;
    let literal = brackets || settings.lmtp;
    let srv = settings.use_srv.iter().find(|name| !literal && name.eq_ignore_ascii_case(service)).cloned();
    let shown = if brackets { format!("[{host}]") } else { host.to_owned() };
    Ok(Destination::Inet { shown, host: address.to_owned(), literal: literal || is_address, port, srv })
}

fn bad_port(item: &str) -> Result<u16, BadDestination> {
    Err(BadDestination(format!("bad network port: 0 for destination: {item}")))
}

/// An address as a host name stands for it: `[::1]` is shown as `::1`.
pub fn address_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(v6) if v6 != Ipv6Addr::UNSPECIFIED => v6.to_string(),
        ip => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_config::Config;

    fn settings(lmtp: bool) -> Settings {
        let text = "myhostname = mail.example.com\ninet_interfaces = loopback-only\nuse_srv_lookup = submission\n";
        let config = Config::parse(text, "main.cf").unwrap();
        Settings::read(&config, lmtp, &[]).ok().unwrap()
    }

    fn show(nexthop: &str, lmtp: bool) -> String {
        match parse(nexthop.into(), &settings(lmtp)) {
            Err(BadDestination(text)) => text,
            Ok(list) => {
                let one = |d: &Destination| match d {
                    Destination::Unix { path } => format!("unix {path}"),
                    Destination::Inet { shown, host, literal, port, srv } => {
                        format!(
                            "{shown} {host} {port}{}{}",
                            if *literal { " literal" } else { "" },
                            if srv.is_some() { " srv" } else { "" }
                        )
                    }
                };
                list.iter().map(one).collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// smtp(8).
    #[test]
    fn smtp_destinations() {
        for (nexthop, expected) in [
            ("example.org", "example.org example.org 25"),
            ("example.org:2525", "example.org example.org 2525"),
            ("example.org:submission", "example.org example.org 587 srv"),
            ("[example.org]:submission", "[example.org] example.org 587 literal"),
            ("[mx.example.org]", "[mx.example.org] mx.example.org 25 literal"),
            ("[192.0.2.1]:24", "[192.0.2.1] 192.0.2.1 24 literal"),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1] 2001:db8::1 25 literal"),
            ("[2001:db8::1]:26", "[2001:db8::1] 2001:db8::1 26 literal"),
            ("a.example, [b.example]:26  c.example", "a.example a.example 25; [b.example] b.example 26 literal; c.example c.example 25"),
            ("_dmarc.example.org", "_dmarc.example.org _dmarc.example.org 25"),
        ] {
            assert_eq!(show(nexthop, false), expected);
        }
    }

    /// S-LMTP-02, S-LMTP-03.
    #[test]
    fn lmtp_destinations() {
        for (nexthop, expected) in [
            ("unix:private/lmtp", "unix private/lmtp"),
            ("unix:/run/lmtp.sock", "unix /run/lmtp.sock"),
            ("inet:192.0.2.20:24", "192.0.2.20 192.0.2.20 24 literal"),
            ("inet:[::1]:2400", "[::1] ::1 2400 literal"),
            ("mailstore.example", "mailstore.example mailstore.example 24 literal"),
        ] {
            assert_eq!(show(nexthop, true), expected);
        }
    }

    #[test]
    fn what_is_none() {
        for (nexthop, expected) in [
            ("bad..name", "valid hostname or network address required in server description: bad..name"),
            ("-dash.example", "valid hostname or network address required in server description: -dash.example"),
            ("[]", "valid hostname or network address required in server description: []"),
            ("[brack.example", "missing \"]\" in server description: [brack.example"),
            ("[a.example]x", "garbage after \"[]\" in server description: [a.example]x"),
            ("a.example:nosuch-service", "unknown service: nosuch-service/tcp"),
            ("[192.0.2.20]:0", "bad network port: 0 for destination: [192.0.2.20]:0"),
        ] {
            assert_eq!(show(nexthop, false), expected);
        }
    }
}
