//! One connection to an LDAP server (RFC 4511): bind, StartTLS, search.

use super::ber::{self, ENUMERATED, INTEGER, Malformed, OCTETS, Reader, SEQUENCE, SET, Writer};
use super::filter;
use super::url::{Scope, Url};
use crate::connection::{Connection, Endpoint};
use crate::sasl;
use crate::tls::Tls;
use std::io;
use std::time::Duration;

/// Why something could not be done: a result code of the server, or one below zero of our own. `Display` is OpenLDAP's text for it, which is
/// what administrators know from their logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code(pub i32);

#[allow(missing_docs, reason = "named as in RFC 4511 §4.1.9")]
impl Code {
    pub const SUCCESS: Code = Code(0);
    pub const REFERRAL: Code = Code(10);
    pub const SASL_BIND_IN_PROGRESS: Code = Code(14);
    pub const NO_SUCH_OBJECT: Code = Code(32);
    /// The connection is gone, or there was none.
    pub const DOWN: Code = Code(-1);
    pub const LOCAL: Code = Code(-2);
    pub const DECODING: Code = Code(-4);
    pub const TIMEOUT: Code = Code(-5);
    pub const AUTH_UNKNOWN: Code = Code(-6);
    pub const FILTER: Code = Code(-7);
    pub const CONNECT: Code = Code(-11);
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            0 => "Success",
            1 => "Operations error",
            2 => "Protocol error",
            3 => "Time limit exceeded",
            4 => "Size limit exceeded",
            7 => "Authentication method not supported",
            8 => "Strong(er) authentication required",
            10 => "Referral",
            11 => "Administrative limit exceeded",
            12 => "Critical extension is unavailable",
            13 => "Confidentiality required",
            14 => "SASL bind in progress",
            16 => "No such attribute",
            17 => "Undefined attribute type",
            18 => "Inappropriate matching",
            32 => "No such object",
            33 => "Alias problem",
            34 => "Invalid DN syntax",
            36 => "Alias dereferencing problem",
            48 => "Inappropriate authentication",
            49 => "Invalid credentials",
            50 => "Insufficient access",
            51 => "Server is busy",
            52 => "Server is unavailable",
            53 => "Server is unwilling to perform",
            54 => "Loop detected",
            80 => "Other (e.g., implementation specific) error",
            -1 => "Can't contact LDAP server",
            -2 => "Local error",
            -4 => "Decoding error",
            -5 => "Timed out",
            -6 => "Unknown authentication method",
            -7 => "Bad search filter",
            -11 => "Connect error",
            _ => "Unknown error",
        })
    }
}

impl From<io::Error> for Code {
    fn from(error: io::Error) -> Code {
        if error.kind() == io::ErrorKind::TimedOut { Code::TIMEOUT } else { Code::DOWN }
    }
}

impl From<Malformed> for Code {
    fn from(_: Malformed) -> Code {
        Code::DECODING
    }
}

/// One entry of a search: attributes with their values, in the server's order.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Names and values.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// What a search brought.
#[derive(Debug, Default)]
pub struct Found {
    /// The entries, in the server's order.
    pub entries: Vec<Entry>,
    /// URLs at which the search should be continued.
    pub referrals: Vec<String>,
    /// The whole search is for another server: nothing is known here.
    pub elsewhere: bool,
}

/// A search.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// Where in the tree.
    pub base: &'a [u8],
    /// Which entries below.
    pub scope: Scope,
    /// Text of the filter.
    pub filter: &'a [u8],
    /// The attributes wanted.
    pub attributes: &'a [String],
    /// How many entries at most, 0 for all.
    pub size_limit: i32,
    /// `dereference`: 0 to 3.
    pub dereference: i32,
    /// Time limit for the whole search.
    pub timeout: Duration,
}

/// All that one search may bring, in bytes: the directory is not ours.
const MOST: usize = 64 << 20;

/// A connection.
pub struct Client {
    connection: Connection,
    last_id: i32,
    secure: bool,
}

impl Client {
    /// Connects to `ldap://`, `ldaps://` or `ldapi://`, with `tls` for `ldaps` or, with `start_tls`, after the StartTLS operation.
    /// The error says what failed: `Err((code, true))` is StartTLS itself.
    pub fn connect(url: &Url, default_port: u16, tls: Option<&Tls>, start_tls: bool, timeout: Duration) -> Result<Client, (Code, bool)> {
        let down = |error: io::Error| (Code::from(error), false);
        let host = if url.host.is_empty() { "localhost" } else { &url.host };
        let port = url.port.unwrap_or(if url.scheme == "ldaps" { 636 } else { default_port });
        let endpoint = match url.scheme {
            // OpenLDAP's default path.
            "ldapi" if url.host.is_empty() => Endpoint::Unix("/var/run/slapd/ldapi".into()),
            "ldapi" => Endpoint::Unix(host.into()),
            _ => Endpoint::Tcp(host.to_owned(), port),
        };
        let mut connection = Connection::open(&endpoint, timeout).map_err(down)?;
        let local = url.scheme == "ldapi";
        if url.scheme == "ldaps" {
            // A failed handshake is the same to callers as no connection.
            let tls = tls.ok_or((Code::CONNECT, false))?;
            connection = connection.secure(tls, endpoint.host()).map_err(|_| (Code::DOWN, false))?;
        }
        let mut client = Client { connection, last_id: 0, secure: local || url.scheme == "ldaps" };
        if start_tls && url.scheme == "ldap" {
            let tls = tls.ok_or((Code::CONNECT, true))?;
            client.start_tls().map_err(|code| (code, true))?;
            let Client { connection, last_id, .. } = client;
            let connection = connection.secure(tls, endpoint.host()).map_err(|_| (Code::CONNECT, true))?;
            client = Client { connection, last_id, secure: true };
        }
        Ok(client)
    }

    /// Whether nobody can listen: TLS or a local socket.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    fn request(&mut self, write: impl FnOnce(&mut Writer)) -> Result<(), Code> {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let mut message = Writer::default();
        message.element(SEQUENCE, |message| {
            message.integer(INTEGER, self.last_id);
            write(message);
        });
        Ok(self.connection.send(&message.0)?)
    }

    /// The next message with the answer to the last request: its tag and contents.
    fn reply(&mut self, most: usize) -> Result<(u8, Vec<u8>), Code> {
        loop {
            let mut start = self.connection.exactly(2)?;
            if start[0] != SEQUENCE {
                return Err(Code::DECODING);
            }
            if start[1] & 0x80 != 0 {
                let count = usize::from(start[1] & 0x7f).min(5);
                start.extend(self.connection.exactly(count)?);
            }
            let (length, _) = ber::header(&start)?.ok_or(Code::DECODING)?;
            if length > most {
                return Err(Code::DECODING);
            }
            let body = self.connection.exactly(length)?;
            let mut message = Reader(&body);
            let id = message.integer(INTEGER)?;
            let (tag, contents) = message.element()?;
            if id == self.last_id {
                return Ok((tag, contents.0.to_vec()));
            }
            // RFC 4511 §4.4.1: notice of disconnection. Others are answers to a search that was given up.
            if id == 0 {
                return Err(Code::DOWN);
            }
        }
    }

    fn start_tls(&mut self) -> Result<(), Code> {
        self.request(|out| out.element(0x77, |out| out.bytes(0x80, b"1.3.6.1.4.1.1466.20037")))?;
        let (tag, body) = self.reply(MOST)?;
        if tag != 0x78 {
            return Err(Code::DECODING);
        }
        match result(&mut Reader(&body))? {
            (Code::SUCCESS, _) => Ok(()),
            (code, _) => Err(code),
        }
    }

    /// Simple bind; with empty texts it is anonymous.
    pub fn bind(&mut self, version: i32, dn: &str, password: &str, timeout: Duration) -> Result<(), Code> {
        self.connection.within(timeout);
        self.request(|out| {
            out.element(0x60, |out| {
                out.integer(INTEGER, version);
                out.bytes(OCTETS, dn.as_bytes());
                out.bytes(0x80, password.as_bytes());
            });
        })?;
        match self.bind_reply()? {
            (Code::SUCCESS, _) => Ok(()),
            (code, _) => Err(code),
        }
    }

    fn bind_reply(&mut self) -> Result<(Code, Option<Vec<u8>>), Code> {
        let (tag, body) = self.reply(MOST)?;
        if tag != 0x61 {
            return Err(Code::DECODING);
        }
        let mut reader = Reader(&body);
        let (code, _) = result(&mut reader)?;
        let mut credentials = None;
        while !reader.is_empty() {
            let (tag, contents) = reader.element()?;
            if tag == 0x87 {
                credentials = Some(contents.0.to_vec());
            }
        }
        Ok((code, credentials))
    }

    /// SASL bind (RFC 4511 §4.2, RFC 4513 §5.2) with the first of `mechanisms` that works here and there; without any, the best that the
    /// server offers.
    pub fn sasl_bind(&mut self, dn: &str, mechanisms: &[String], who: &sasl::Credentials, timeout: Duration) -> Result<(), Code> {
        self.connection.within(timeout);
        let offered;
        let wanted: Vec<&str> = if mechanisms.is_empty() {
            offered = self.offered(timeout)?;
            // Not those that give the password away, where somebody may listen; and not those for which there is no password.
            let usable = |name: &&str| match *name {
                "EXTERNAL" => who.user.is_empty() && who.password.is_empty(),
                "PLAIN" | "LOGIN" => self.secure && !who.password.is_empty(),
                _ => !who.password.is_empty(),
            };
            sasl::MECHANISMS.iter().copied().filter(usable).filter(|name| offered.iter().any(|o| o.eq_ignore_ascii_case(name))).collect()
        } else {
            mechanisms.iter().map(String::as_str).collect()
        };
        let mut outcome = if mechanisms.is_empty() { Code::LOCAL } else { Code::AUTH_UNKNOWN };
        for name in wanted {
            let Some(client) = sasl::Client::new(name, who.clone()) else { continue };
            match self.sasl_bind_with(dn, name, client, timeout) {
                // RFC 4511: the server does not know this one; the next may do.
                Err(Code(7)) => outcome = Code::AUTH_UNKNOWN,
                done => return done,
            }
        }
        Err(outcome)
    }

    fn offered(&mut self, timeout: Duration) -> Result<Vec<String>, Code> {
        let attributes = ["supportedSASLMechanisms".to_owned()];
        let root = Search {
            base: b"",
            scope: Scope::Base,
            filter: b"(objectClass=*)",
            attributes: &attributes,
            size_limit: 0,
            dereference: 0,
            timeout,
        };
        let found = self.search(&root)?;
        let values = found.entries.into_iter().flat_map(|entry| entry.attributes).flat_map(|(_, values)| values);
        Ok(values.filter_map(|value| String::from_utf8(value).ok()).collect())
    }

    fn sasl_bind_with(&mut self, dn: &str, name: &str, mut client: sasl::Client, timeout: Duration) -> Result<(), Code> {
        self.connection.within(timeout);
        let mut response = client.initial();
        loop {
            self.request(|out| {
                out.element(0x60, |out| {
                    out.integer(INTEGER, 3);
                    out.bytes(OCTETS, dn.as_bytes());
                    out.element(0xa3, |out| {
                        out.bytes(OCTETS, name.as_bytes());
                        if let Some(response) = &response {
                            out.bytes(OCTETS, response);
                        }
                    });
                });
            })?;
            let (code, challenge) = self.bind_reply()?;
            match code {
                Code::SUCCESS => {
                    // The last word may be the server's proof.
                    if let Some(challenge) = challenge.filter(|text| !text.is_empty()) {
                        client.answer(&challenge).map_err(|_| Code::LOCAL)?;
                    }
                    return if client.is_done() { Ok(()) } else { Err(Code::LOCAL) };
                }
                Code::SASL_BIND_IN_PROGRESS => {
                    response = Some(client.answer(&challenge.unwrap_or_default()).map_err(|_| Code::LOCAL)?);
                }
                code => return Err(code),
            }
        }
    }

    /// Searches. Entries that came before an error are lost with it. A referral of the whole search is among the referrals.
    pub fn search(&mut self, search: &Search<'_>) -> Result<Found, Code> {
        let mut condition = Writer::default();
        filter::write(search.filter, &mut condition).map_err(|_| Code::FILTER)?;
        self.connection.within(search.timeout);
        self.request(|out| {
            out.element(0x63, |out| {
                out.bytes(OCTETS, search.base);
                out.integer(ENUMERATED, search.scope as i32);
                out.integer(ENUMERATED, search.dereference);
                out.integer(INTEGER, search.size_limit);
                out.integer(INTEGER, i32::try_from(search.timeout.as_secs()).unwrap_or(i32::MAX));
                out.boolean(false);
                out.0.extend_from_slice(&condition.0);
                out.element(SEQUENCE, |out| {
                    for name in search.attributes {
                        out.bytes(OCTETS, name.as_bytes());
                    }
                });
            });
        })?;
        let mut found = Found::default();
        let mut left = MOST;
        loop {
            let (tag, body) = self.reply(left)?;
            left = left.saturating_sub(body.len());
            let mut reader = Reader(&body);
            match tag {
                0x64 => found.entries.push(entry(&mut reader)?),
                0x73 => urls(&mut reader, &mut found.referrals)?,
                0x65 => {
                    return match result(&mut reader)? {
                        (Code::SUCCESS, _) => Ok(found),
                        (Code::REFERRAL, urls) => {
                            found.referrals.extend(urls);
                            found.elsewhere = true;
                            Ok(found)
                        }
                        (code, _) => Err(code),
                    };
                }
                _ => return Err(Code::DECODING),
            }
        }
    }
}

fn text(reader: Reader<'_>) -> String {
    String::from_utf8_lossy(reader.0).into_owned()
}

/// LDAPResult (RFC 4511 §4.1.9): the code, and the URLs of a referral.
fn result(reader: &mut Reader<'_>) -> Result<(Code, Vec<String>), Malformed> {
    let code = Code(reader.integer(ENUMERATED)?);
    reader.expect(OCTETS)?;
    reader.expect(OCTETS)?;
    let mut referrals = Vec::new();
    if reader.0.first() == Some(&0xa3) {
        urls(&mut reader.element()?.1, &mut referrals)?;
    }
    Ok((code, referrals))
}

fn urls(reader: &mut Reader<'_>, out: &mut Vec<String>) -> Result<(), Malformed> {
    while !reader.is_empty() {
        out.push(text(reader.expect(OCTETS)?));
    }
    Ok(())
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry, Malformed> {
    reader.expect(OCTETS)?;
    let mut list = reader.expect(SEQUENCE)?;
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut attribute = list.expect(SEQUENCE)?;
        let name = text(attribute.expect(OCTETS)?);
        let mut set = attribute.expect(SET)?;
        let mut values = Vec::new();
        while !set.is_empty() {
            values.push(set.expect(OCTETS)?.0.to_vec());
        }
        attributes.push((name, values));
    }
    Ok(Entry { attributes })
}
