//! Connections to table servers: opened when they are needed, kept for the next lookup, as many as lookups go on at a time.

use crate::file::reason;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Host and port, as given: both may be names.
    Tcp(String, String),
    /// The socket of a service of this mail system, in the queue directory.
    Service(PathBuf),
    /// A Unix-domain socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// From `host:port`, `[address]:port`.
    pub fn tcp(text: &str) -> Result<Endpoint, String> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:"),
            None => text.rsplit_once(':'),
        }
        .filter(|(host, port)| !host.is_empty() && !port.is_empty())
        .ok_or_else(|| format!("{text}: garbage after numerical service"))?;
        Ok(Endpoint::Tcp(host.to_owned(), port.to_owned()))
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
            Endpoint::Service(path) | Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// One connection.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unix(stream: UnixStream, limit: Duration) -> io::Result<Stream> {
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    Ok(Stream::Unix(stream))
}

/// `private/proxymap` of `/var/spool/postfix/private/proxymap`.
fn below_queue(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    Path::new(folder).join(path.file_name().unwrap_or_default())
}

fn connect(endpoint: &Endpoint, limit: Duration) -> io::Result<Stream> {
    match endpoint {
        Endpoint::Service(path) => match UnixStream::connect(path) {
            // After a chroot the queue directory is the root, and where the process is.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                unix(UnixStream::connect(below_queue(path)).map_err(|_| error)?, limit)
            }
            stream => unix(stream?, limit),
        },
        Endpoint::Unix(path) => unix(UnixStream::connect(path)?, limit),
        Endpoint::Tcp(host, port) => {
            let port = match port.parse::<u16>() {
                Ok(port) => port,
                Err(_) => service_port(port).ok_or_else(|| io::Error::other(format!("unknown service: {port}")))?,
            };
            let mut last = io::Error::other("host not found");
            for address in (host.as_str(), port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, limit) {
                    Ok(stream) => {
                        stream.set_nodelay(true)?;
                        stream.set_read_timeout(Some(limit))?;
                        stream.set_write_timeout(Some(limit))?;
                        return Ok(Stream::Tcp(stream));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

/// The port of a service by its name in services(5).
fn service_port(name: &str) -> Option<u16> {
    let services = std::fs::read_to_string("/etc/services").ok()?;
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let (first, port) = (words.next()?, words.next()?);
        let port = port.strip_suffix("/tcp")?;
        (first == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    })
}

/// A connection that is not in use is closed after this time: the server may have few to give away.
const IDLE: Duration = Duration::from_secs(10);

/// Connections to one server.
pub(crate) struct Pool {
    endpoint: Endpoint,
    limit: Duration,
    free: Mutex<Vec<(Stream, Instant)>>,
}

impl Pool {
    /// `limit` bounds each wait for the server.
    pub fn new(endpoint: Endpoint, limit: Duration) -> Pool {
        Pool { endpoint, limit, free: Mutex::default() }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks once, on a connection of before or a new one. A connection of before may have been closed by the server meanwhile, so a failure on
    /// it is tried again on a new one. `Ok(Err)` says that there is no connection to be had.
    pub fn ask<T>(&self, exchange: impl Fn(&mut Stream) -> io::Result<T>) -> Result<io::Result<T>, String> {
        let old = {
            let mut free = self.free.lock().unwrap_or_else(|e| e.into_inner());
            free.retain(|(_, since)| since.elapsed() < IDLE);
            free.pop()
        };
        if let Some((mut stream, _)) = old
            && let Ok(answer) = exchange(&mut stream)
        {
            self.give_back(stream);
            return Ok(Ok(answer));
        }
        let mut stream = connect(&self.endpoint, self.limit).map_err(|error| reason(&error))?;
        let answer = exchange(&mut stream);
        if answer.is_ok() {
            self.give_back(stream);
        }
        Ok(answer)
    }

    fn give_back(&self, stream: Stream) {
        self.free.lock().unwrap_or_else(|e| e.into_inner()).push((stream, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        assert_eq!(Endpoint::tcp("127.0.0.1:9001"), Ok(Endpoint::Tcp("127.0.0.1".into(), "9001".into())));
        assert_eq!(Endpoint::tcp("[::1]:smtp"), Ok(Endpoint::Tcp("::1".into(), "smtp".into())));
        assert_eq!(Endpoint::tcp("127.0.0.1"), Err("127.0.0.1: garbage after numerical service".into()));
    }

    #[test]
    fn service_sockets_below_the_queue_directory() {
        assert_eq!(below_queue(Path::new("/var/spool/postfix/private/proxymap")), Path::new("private/proxymap"));
    }

    #[test]
    fn services_by_name() {
        assert_eq!(service_port("smtp"), Some(25));
        assert_eq!(service_port("nosuch"), None);
    }
}
