//! `socketmap:inet:host:port:name` and `socketmap:unix:path:name` (socketmap_table(5)): requests and replies are netstrings.

use crate::net_client::{Endpoint, Pool, Stream};
use crate::tcp::LEFT_OVER;
use crate::{Context, Table, TableError};
use bstr::{BStr, BString, ByteSlice};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(100);

pub(crate) struct SocketMap {
    name: String,
    /// The name of the map at the server.
    map: String,
    pool: Pool,
    context: Context,
}

impl SocketMap {
    pub fn open(spec: &str, name: &str, context: &Context) -> Result<SocketMap, String> {
        let wrong = || "socketmap requires server:socketmap argument".to_owned();
        let (server, map) = name.rsplit_once(':').filter(|(server, _)| !server.is_empty()).ok_or_else(wrong)?;
        let endpoint = match server.split_once(':') {
            Some(("unix", path)) => Endpoint::Unix(PathBuf::from(path)),
            Some(("inet", address)) => Endpoint::tcp(address)?,
            _ => Endpoint::tcp(server)?,
        };
        Ok(SocketMap { name: spec.to_owned(), map: map.to_owned(), pool: Pool::new(endpoint, LIMIT), context: context.clone() })
    }

    fn lookup_error(&self, reason: &str) -> TableError {
        self.context.warn(&format!("table {} lookup error: {reason}", self.name));
        TableError::new(&self.name, reason)
    }
}

/// Reads `length:text,`.
fn read_netstring(stream: &mut Stream, limit: usize) -> io::Result<Vec<u8>> {
    let bad = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        // The length is complete once the colon is there.
        if let Some(colon) = buffer.find_byte(b':') {
            let digits = buffer[..colon].to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()));
            let length: usize = digits.and_then(|text| text.parse().ok()).ok_or_else(|| bad("input format error"))?;
            if length > limit {
                return Err(bad("input exceeds size limit"));
            }
            if let Some(end) = buffer.get(colon + 1 + length) {
                if *end != b',' {
                    return Err(bad("input format error"));
                }
                return Ok(buffer[colon + 1..colon + 1 + length].to_vec());
            }
        } else if buffer.len() > 10 {
            return Err(bad("input format error"));
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Err(bad("unexpected disconnect")),
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return Err(bad("timeout error")),
            Err(error) => return Err(error),
        }
    }
}

impl Table for SocketMap {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let query = [self.map.as_bytes(), b" ", key].concat();
        if query.len() > self.context.settings.socketmap_max_query_size {
            return Err(self.lookup_error("query larger than socketmap_max_query_size"));
        }
        let request = [query.len().to_string().as_bytes(), b":", &query, b","].concat();
        let limit = self.context.settings.socketmap_max_reply_size;
        let reply = self.pool.ask(|stream| {
            stream.write_all(&request)?;
            read_netstring(stream, limit)
        });
        let reply = match reply {
            Err(reason) => {
                self.context.warn(&format!("connect to {}: {reason}", self.pool.endpoint()));
                return Err(self.lookup_error(&reason));
            }
            Ok(Err(error)) => return Err(self.lookup_error(&crate::file::reason(&error))),
            Ok(Ok(reply)) => reply,
        };
        let reply = crate::lines::before_nul(reply.into());
        let (status, text) = match reply.split_once_str(" ") {
            // A word alone is no value, not even an empty one.
            None if reply == "OK" => return Ok(None),
            None => (reply.as_slice(), &b""[..]),
            Some(parts) => parts,
        };
        let failed = |kind: &str, detail: Option<&str>| {
            let text = text.as_bstr();
            let colon = if text.is_empty() { "" } else { ": " };
            self.context.warn(&format!("{} socketmap server {kind} error{colon}{text:.200}", self.name));
            Err(TableError {
                table: self.name.clone(),
                reason: format!("{kind} error{colon}{text:.200}"),
                detail: detail.map(str::to_owned),
            })
        };
        match status {
            b"OK" => Ok(Some(text.into())),
            b"NOTFOUND" => Ok(None),
            b"TEMP" => failed("temporary", Some(LEFT_OVER)),
            b"TIMEOUT" => failed("timeout", Some(LEFT_OVER)),
            b"PERM" => failed("permanent", None),
            _ => failed("unknown", None),
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
mod tests {
    use super::*;
    use crate::context::collecting;
    use crate::open::{OpenFlags, open};
    use std::os::unix::net::UnixListener;

    fn server(path: &std::path::Path) {
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = Stream::Unix(client.unwrap());
                while let Ok(request) = read_netstring(&mut client, 1000) {
                    let reply: &[u8] = match request.as_slice() {
                        b"m a" => b"6:OK one,",
                        b"m temp" => b"10:TEMP later,",
                        b"m perm" => b"10:PERM never,",
                        b"m odd" => b"9:OKAY what,",
                        b"m bad" => b"x:,",
                        b"m huge" => b"99999999:",
                        b"m empty" => b"3:OK ,",
                        _ => b"9:NOTFOUND ,",
                    };
                    client.write_all(reply).unwrap();
                }
            }
        });
    }

    // S-TABLE-12
    #[test]
    fn socketmap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        server(&path);
        let (context, lines) = collecting();
        let spec = format!("socketmap:unix:{}:m", path.display());
        let table = open(&spec, OpenFlags::default(), &context).unwrap();
        let get = |key: &str| table.lookup(key.into());
        assert_eq!(get("a"), Ok(Some("one".into())));
        assert_eq!(get("nosuch"), Ok(None));
        assert_eq!(get("empty"), Ok(Some("".into())));
        assert_eq!(get("temp").unwrap_err().reason, "temporary error: later");
        assert_eq!(get("perm").unwrap_err().detail, None);
        assert!(get("odd").is_err());
        assert!(get("bad").is_err());
        assert!(get("huge").is_err());
        assert!(get(&"x".repeat(10_000)).is_err());
        assert_eq!(get("a"), Ok(Some("one".into())));
        assert_eq!(
            *lines.lock().unwrap(),
            [
                format!("{spec} socketmap server temporary error: later"),
                format!("{spec} socketmap server permanent error: never"),
                format!("{spec} socketmap server unknown error: what"),
                format!("table {spec} lookup error: input format error"),
                format!("table {spec} lookup error: input exceeds size limit"),
                format!("table {spec} lookup error: query larger than socketmap_max_query_size"),
            ]
        );
    }

    #[test]
    fn no_server_and_bad_names() {
        let (context, lines) = collecting();
        let table = open("socketmap:unix:/nosuch:m", OpenFlags::default(), &context).unwrap();
        assert!(table.lookup("a".into()).is_err());
        assert_eq!(
            *lines.lock().unwrap(),
            ["connect to /nosuch: No such file or directory", "table socketmap:unix:/nosuch:m lookup error: No such file or directory"]
        );
        let error = |spec: &str| open(spec, OpenFlags::default(), &context).map(|_| ()).unwrap_err();
        assert_eq!(error("socketmap:inet:127.0.0.1:9002"), "127.0.0.1: garbage after numerical service");
        assert_eq!(error("socketmap:x"), "socketmap requires server:socketmap argument");
    }
}
