//! The PROXY protocol of HAProxy, versions 1 and 2: what a proxy says of the client before the client may speak.

use crate::server::escape;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header taken, as in HAProxy's own receivers.
pub const LIMIT: usize = 536;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;
/// `PROXY UNKNOWN` with its line end.
const SHORTEST: usize = 15;

/// A header, and how many bytes it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Client and server as the proxy saw them; `None` for a connection of the proxy's own (`LOCAL`).
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// Bytes of the header; what follows is the client's.
    pub length: usize,
}

/// What is wrong with a header, in Postfix's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes may mend it; this is what to say if none come.
    Short(&'static str),
    /// It is none.
    Bad(&'static str),
}

/// `text: bytes`, as it is logged.
pub fn describe(text: &str, input: &[u8]) -> String {
    format!("{text}: {}", escape(&input[..input.len().min(LIMIT)]))
}

/// Reads the header at the start of `input`.
pub fn parse(input: &[u8]) -> Result<Header, Fault> {
    if input.starts_with(SIGNATURE) {
        return version2(input);
    }
    if SIGNATURE.starts_with(input) {
        return Err(Fault::Short("short protocol header"));
    }
    let Some(end) = input.iter().take(LIMIT).position(|c| *c == b'\n') else {
        return Err(if input.len() >= LIMIT {
            Fault::Bad("missing protocol header terminator")
        } else if input.len() < SHORTEST {
            Fault::Short("short protocol header")
        } else {
            Fault::Short("missing protocol header terminator")
        });
    };
    if end + 1 < SHORTEST {
        return Err(Fault::Bad("short protocol header"));
    }
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let ends = version1(line).map_err(Fault::Bad)?;
    Ok(Header { ends: Some(ends), length: end + 1 })
}

/// `PROXY TCP4 CLIENT SERVER CLIENTPORT SERVERPORT`.
fn version1(line: &[u8]) -> Result<(SocketAddr, SocketAddr), &'static str> {
    let mut words = line.split(|c| *c == b' ').filter(|word| !word.is_empty()).map(|word| std::str::from_utf8(word).unwrap_or_default());
    if words.next() != Some("PROXY") {
        return Err("unrecognized protocol header");
    }
    let address: fn(&str) -> Option<IpAddr> = match words.next() {
        Some("TCP4") => |word| word.parse().ok().map(IpAddr::V4),
        Some("TCP6") => |word| word.parse().ok().map(IpAddr::V6),
        _ => return Err("bad or missing protocol type"),
    };
    let client = words.next().and_then(address).ok_or("bad or missing client address")?;
    let server = words.next().and_then(address).ok_or("bad or missing server address")?;
    let client_port = words.next().and_then(port).ok_or("bad or missing client port")?;
    let server_port = words.next().and_then(port).ok_or("bad or missing server port")?;
    Ok((SocketAddr::new(client, client_port), SocketAddr::new(server, server_port)))
}

/// Digits, without leading zeros.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|c| c.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    if plain { word.parse().ok() } else { None }
}

fn version2(input: &[u8]) -> Result<Header, Fault> {
    let Some(fixed) = input.first_chunk::<FIXED>() else { return Err(Fault::Short("short protocol header")) };
    let [.., command, family, high, low] = *fixed;
    if command >> 4 != 2 {
        return Err(Fault::Bad("unrecognized protocol version"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED + length > LIMIT {
        return Err(Fault::Bad("short version 2 protocol header"));
    }
    let Some(body) = input.get(FIXED..FIXED + length) else { return Err(Fault::Short("short version 2 protocol header")) };
    let length = FIXED + length;
    match command & 15 {
        0 => return Ok(Header { ends: None, length }),
        1 => {}
        _ => return Err(Fault::Bad("bad command in proxy header")),
    }
    let short = Fault::Bad("short address field");
    let ends = match family {
        // TCP over IPv4: two addresses, two ports.
        0x11 => {
            let [a, b, c, d, e, f, g, h, p, q, r, s] = *body.first_chunk::<12>().ok_or(short)?;
            let end = |ip: [u8; 4], port: [u8; 2]| SocketAddr::new(Ipv4Addr::from(ip).into(), u16::from_be_bytes(port));
            (end([a, b, c, d], [p, q]), end([e, f, g, h], [r, s]))
        }
        // TCP over IPv6.
        0x21 => {
            let body = body.first_chunk::<36>().ok_or(short)?;
            let (client, rest) = body.split_first_chunk::<16>().ok_or(short)?;
            let (server, ports) = rest.split_first_chunk::<16>().ok_or(short)?;
            let end = |ip: &[u8; 16], port: &[u8]| {
                SocketAddr::new(Ipv6Addr::from(*ip).into(), port.iter().fold(0, |port, byte| port << 8 | u16::from(*byte)))
            };
            (end(client, &ports[..2]), end(server, &ports[2..]))
        }
        _ => return Err(Fault::Bad("unsupported network protocol")),
    };
    Ok(Header { ends: Some(ends), length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(client: &str, server: &str) -> Option<(SocketAddr, SocketAddr)> {
        Some((client.parse().unwrap(), server.parse().unwrap()))
    }

    /// The examples of the protocol's text, and what follows the header is left.
    #[test]
    fn version_1() {
        let header = parse(b"PROXY TCP4 198.51.100.9 192.0.2.1 4321 25\r\nEHLO x\r\n").unwrap();
        assert_eq!(header, Header { ends: ends("198.51.100.9:4321", "192.0.2.1:25"), length: 43 });
        let header = parse(b"PROXY TCP6 2001:db8::77 2001:db8::1 4321 25\r\n").unwrap();
        assert_eq!(header.ends, ends("[2001:db8::77]:4321", "[2001:db8::1]:25"));
        assert_eq!(parse(b"PROXY TCP4 1.2.3.4 1.2.3.4 01 25\r\n"), Err(Fault::Bad("bad or missing client port")));
        assert_eq!(parse(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 +2\r\n"), Err(Fault::Bad("bad or missing server port")));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Err(Fault::Bad("bad or missing protocol type")));
        assert_eq!(parse(b"EHLO foo\r\n"), Err(Fault::Bad("short protocol header")));
    }

    #[test]
    fn version_2() {
        let whole = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x09\xc0\0\x02\x01\x10\xe1\0\x19MORE";
        assert_eq!(parse(whole), Ok(Header { ends: ends("198.51.100.9:4321", "192.0.2.1:25"), length: 28 }));
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), Ok(Header { ends: None, length: 16 }));
        // A length that no sender means is not waited for.
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"), Err(Fault::Bad("short version 2 protocol header")));
        for cut in 0..28 {
            assert!(matches!(parse(&whole[..cut]), Err(Fault::Short(_))), "{cut}");
        }
    }

    proptest! {
        /// Any cut of a good header waits for more, and nothing panics.
        #[test]
        fn cuts_wait(client: std::net::Ipv4Addr, port: u16, cut in 0usize..40) {
            let line = format!("PROXY TCP4 {client} 192.0.2.1 {port} 25\r\n");
            let header = parse(line.as_bytes()).unwrap();
            prop_assert_eq!(header.ends.unwrap().0, SocketAddr::new(client.into(), port));
            prop_assert!(matches!(parse(&line.as_bytes()[..cut.min(line.len() - 1)]), Err(Fault::Short(_))));
        }

        #[test]
        fn never_panics(tail: Vec<u8>, signed: bool) {
            let input = if signed { [SIGNATURE, &tail].concat() } else { tail };
            if let Ok(header) = parse(&input) {
                prop_assert!(header.length <= input.len());
            }
        }
    }
}
