//! `tcp:host:port` (tcp_table(5)): `get key`, answered by `200 value`, `500 not found`, `400 try again`.

use crate::net_client::{Endpoint, Pool, Stream};
use crate::{Context, Table, TableError};
use bstr::{BStr, BString, ByteSlice};
use std::io::{self, Read, Write};
use std::time::Duration;

/// Send and receive operations must complete in 100 seconds.
const LIMIT: Duration = Duration::from_secs(100);

/// Replies must be no longer than 4096 characters.
const LONGEST: usize = 4096;

/// What Postfix shows for a failure that the system has no words for: what was left in errno by the connection attempt.
pub(crate) const LEFT_OVER: &str = "Operation now in progress";

pub(crate) struct Tcp {
    name: String,
    pool: Pool,
    context: Context,
}

impl Tcp {
    pub fn open(spec: &str, name: &str, context: &Context) -> Result<Tcp, String> {
        Ok(Tcp { name: spec.to_owned(), pool: Pool::new(Endpoint::tcp(name)?, LIMIT), context: context.clone() })
    }

    fn fail(&self, warning: &str, reason: String) -> TableError {
        self.context.warn(warning);
        TableError::new(&self.name, reason)
    }
}

/// Everything but printable characters, and `%`, is sent as `%XX`.
fn encode(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 8);
    for &c in key {
        if c.is_ascii_graphic() && c != b'%' {
            out.push(c);
        } else {
            out.extend_from_slice(format!("%{c:02X}").as_bytes());
        }
    }
    out
}

fn decode(text: &[u8]) -> Option<BString> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        if c == b'%' {
            let digits = after.get(..2)?.to_str().ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            out.push(c);
        }
    }
    Some(out.into())
}

/// A reply that the protocol does not know; the text goes after `read TCP map reply from SERVER: `.
fn bad(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Status and text of a reply. A connection on which anything else comes is not used again.
fn read_reply(stream: &mut Stream) -> io::Result<(u16, BString)> {
    let mut line = Vec::new();
    let mut chunk = [0; 512];
    let end = loop {
        if let Some(end) = line.find_byte(b'\n') {
            break end;
        }
        if line.len() > LONGEST {
            return Err(bad(format!("text longer than {LONGEST}")));
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => line.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    let line = line[..end].as_bstr();
    let malformed = || bad(format!("malformed reply: {line:.100}"));
    let code = line.get(..3).and_then(|code| code.to_str().ok()?.parse::<u16>().ok()).ok_or_else(malformed)?;
    let text = &line[3..];
    if !text.first().is_some_and(|&c| crate::lines::is_space(c)) {
        return Err(malformed());
    }
    let text = &text[text.iter().position(|&c| !crate::lines::is_space(c)).unwrap_or(text.len())..];
    match code {
        200 => Ok((code, crate::lines::before_nul(decode(text).ok_or_else(malformed)?))),
        400 | 500 => Ok((code, text.into())),
        _ => Err(bad(format!("bad status code: {line:.100}"))),
    }
}

impl Table for Tcp {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let mut request = b"get ".to_vec();
        request.extend_from_slice(&encode(key));
        request.push(b'\n');
        let reply = self.pool.ask(|stream| {
            stream.write_all(&request)?;
            read_reply(stream)
        });
        let server = self.pool.endpoint();
        match reply {
            Ok(Ok((200, value))) => Ok(Some(value)),
            Ok(Ok((500, _))) => Ok(None),
            // The server's own words are the reason; what is shown is what Postfix shows.
            Ok(Ok((_, text))) => Err(TableError { table: self.name.clone(), reason: text.to_string(), detail: Some(LEFT_OVER.into()) }),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Err(self.fail(&format!("read TCP map reply from {server}: {error}"), LEFT_OVER.into()))
            }
            Ok(Err(error)) => {
                let reason = match error.kind() {
                    io::ErrorKind::UnexpectedEof => LEFT_OVER.to_owned(),
                    _ => crate::file::reason(&error),
                };
                Err(self.fail(&format!("read TCP map reply from {server}: unexpected EOF ({reason})"), reason))
            }
            Err(reason) => Err(self.fail(&format!("connect to TCP map {server}: {reason}"), reason)),
        }
    }

    fn whole_keys_only(&self) -> bool {
        true
    }

    fn may_block(&self) -> bool {
        true
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::context::collecting;
    use crate::open::{OpenFlags, open};
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// A server that answers each line by `answer`, one client after the other; its port.
    pub(crate) fn line_server(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = BufReader::new(client.unwrap());
                let mut line = String::new();
                while client.read_line(&mut line).unwrap_or(0) > 0 {
                    let Some(reply) = answer(line.trim_end()) else { break };
                    client.get_mut().write_all(reply.as_bytes()).unwrap();
                    line.clear();
                }
            }
        });
        port
    }

    // S-TABLE-12
    #[test]
    fn tcp() {
        let port = line_server(|line| {
            Some(match line {
                "get a" => "200 one%20value\n".into(),
                "get sp%20ace" => "200 100%25 sure\n".into(),
                "get temp" => "400 try later\n".into(),
                "get odd" => "nonsense\n".into(),
                "get %C3%BC" => "200 found\n".into(),
                "get long" => format!("200 {}\n", "x".repeat(5000)),
                "get once" => return None,
                _ => "500 no\n".into(),
            })
        });
        let (context, lines) = collecting();
        let table = open(&format!("tcp:127.0.0.1:{port}"), OpenFlags::default(), &context).unwrap();
        let get = |key: &str| table.lookup(key.into());
        assert_eq!(get("a"), Ok(Some("one value".into())));
        assert_eq!(get("sp ace"), Ok(Some("100% sure".into())));
        assert_eq!(get("nosuch"), Ok(None));
        assert_eq!(get("ü"), Ok(Some("found".into())));
        assert_eq!(get("temp").unwrap_err().reason, "try later");
        assert!(get("odd").is_err());
        assert!(get("long").is_err());
        // The server hangs up: the connection of before is of no use, and neither is the second.
        assert!(get("once").is_err());
        assert_eq!(get("a"), Ok(Some("one value".into())));
        let server = format!("read TCP map reply from 127.0.0.1:{port}:");
        let lines = lines.lock().unwrap();
        assert_eq!(lines[0], format!("{server} malformed reply: nonsense"));
        assert_eq!(lines[1], format!("{server} text longer than 4096"));
        assert!(lines[2].starts_with(&format!("{server} unexpected EOF")), "{lines:?}");
    }

    #[test]
    fn no_server() {
        let (context, lines) = collecting();
        let table = open("tcp:127.0.0.1:1", OpenFlags::default(), &context).unwrap();
        assert_eq!(table.lookup("a".into()).unwrap_err().detail.as_deref(), Some("Connection refused"));
        assert_eq!(*lines.lock().unwrap(), ["connect to TCP map 127.0.0.1:1: Connection refused"]);
    }
}
