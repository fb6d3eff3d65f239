//! Connections to servers that are asked and answer: blocking, plain or with TLS, with one time limit for all of an exchange.

#[cfg(feature = "tls")]
use crate::tls::Tls;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// A Unix-domain socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// From `inet:host:port`, `unix:/path`, `host`, `host:port`, `[2001:db8::1]:port`.
    pub fn parse(text: &str, default_port: u16) -> Result<Endpoint, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Endpoint::Unix(path.into()));
        }
        let text = text.strip_prefix("inet:").unwrap_or(text);
        let wrong = || format!("bad server \"{text}\": expected host:port, [address]:port or unix:/path");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(wrong)?) })
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None => default_port,
        };
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Endpoint::Tcp(host.to_owned(), port))
    }

    /// The host's name for the check of its certificate.
    #[cfg(feature = "tls")]
    pub fn host(&self) -> &str {
        match self {
            Endpoint::Tcp(host, _) => host,
            Endpoint::Unix(_) => "localhost",
        }
    }
}

/// As Postfix writes them: `127.0.0.1:11211`, `/path/of/socket`.
impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What an error of the system is called, without its number.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "Connection timed out".into(),
        io::ErrorKind::UnexpectedEof => "lost connection".into(),
        _ => posthaste_config::system_reason(error),
    }
}

/// A socket whose reads and writes all end at the same moment.
pub struct Socket {
    kind: Kind,
    deadline: Instant,
}

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.left()?;
            let done = match &mut self.kind {
                Kind::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(buffer)),
                Kind::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(buffer)),
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
                done => return done,
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        match &mut self.kind {
            Kind::Tcp(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(bytes)),
            Kind::Unix(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(bytes)),
        }
        .map_err(|error| if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One connection, with what was read and not yet used.
pub struct Connection {
    stream: Stream,
    input: Vec<u8>,
    used: usize,
}

enum Stream {
    Plain(Socket),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, Socket>>),
}

impl Connection {
    /// Connects, to the addresses of a host name one after the other, within `limit`; what follows has the same moment for its end until
    /// [`Connection::within`] sets another one.
    pub fn open(endpoint: &Endpoint, limit: Duration) -> io::Result<Connection> {
        let deadline = Instant::now() + limit;
        let kind = match endpoint {
            Endpoint::Unix(path) => Kind::Unix(UnixStream::connect(path)?),
            Endpoint::Tcp(host, port) => {
                let mut last = io::Error::other("host not found");
                let mut open = None;
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        last = io::ErrorKind::TimedOut.into();
                        break;
                    }
                    match TcpStream::connect_timeout(&address, left) {
                        Ok(stream) => {
                            // Small requests, each of which waits for its answer.
                            stream.set_nodelay(true)?;
                            open = Some(stream);
                            break;
                        }
                        Err(error) => last = error,
                    }
                }
                Kind::Tcp(open.ok_or(last)?)
            }
        };
        Ok(Connection { stream: Stream::Plain(Socket { kind, deadline }), input: Vec::new(), used: 0 })
    }

    /// Goes on with TLS. What was read before and not used is an error: it was sent in the clear by someone.
    #[cfg(feature = "tls")]
    pub fn secure(self, tls: &Tls, host: &str) -> io::Result<Connection> {
        if self.used < self.input.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "data before the TLS handshake"));
        }
        let Stream::Plain(mut socket) = self.stream else { return Err(io::Error::other("TLS within TLS")) };
        let mut session = tls.session(host)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let stream = Stream::Tls(Box::new(rustls::StreamOwned::new(session, socket)));
        Ok(Connection { stream, input: Vec::new(), used: 0 })
    }

    /// What follows has to be done within `limit` from now.
    pub fn within(&mut self, limit: Duration) {
        let socket = match &mut self.stream {
            Stream::Plain(socket) => socket,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => &mut stream.sock,
        };
        socket.deadline = Instant::now() + limit;
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Reads more; the end of the connection is an error.
    fn fill(&mut self) -> io::Result<()> {
        self.input.drain(..self.used);
        self.used = 0;
        let mut chunk = [0; 8192];
        let n = match &mut self.stream {
            Stream::Plain(socket) => socket.read(&mut chunk)?,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(&mut chunk)?,
        };
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.input.extend_from_slice(&chunk[..n]);
        Ok(())
    }

    /// The next `length` bytes.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.input.len() - self.used < length {
            self.fill()?;
        }
        let bytes = self.input[self.used..self.used + length].to_vec();
        self.used += length;
        Ok(bytes)
    }

    /// The next line, without its CR LF. One longer than `limit` bytes is an error.
    pub fn line(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut seen = 0;
        loop {
            let text = &self.input[self.used..];
            if let Some(end) = text[seen..].iter().position(|&c| c == b'\n') {
                if seen + end > limit {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
                }
                let line = &text[..seen + end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.used += seen + end + 1;
                return Ok(line);
            }
            seen = text.len();
            if seen > limit {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
            }
            self.fill()?;
        }
    }
}

/// Connections of one kind to one server, for all tables of this process that have the same settings.
pub struct Pool<C> {
    free: std::sync::Mutex<Vec<(C, Instant)>>,
    idle: Duration,
}

/// How many connections wait for work at most.
const MOST: usize = 20;

impl<C> Pool<C> {
    /// Connections are closed when they had nothing to do for `idle`.
    pub fn new(idle: Duration) -> Pool<C> {
        Pool { free: std::sync::Mutex::default(), idle }
    }

    /// One that was used before. The server may have closed it since.
    pub fn take(&self) -> Option<C> {
        let mut free = self.free.lock().unwrap_or_else(|e| e.into_inner());
        free.retain(|(_, since)| since.elapsed() < self.idle);
        free.pop().map(|(connection, _)| connection)
    }

    /// Closes those that wait: the server is not there.
    pub fn clear(&self) {
        self.free.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }

    /// Takes back one that is in order.
    pub fn give(&self, connection: C) {
        let mut free = self.free.lock().unwrap_or_else(|e| e.into_inner());
        if free.len() < MOST {
            free.push((connection, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn endpoints() {
        let tcp = |host: &str, port| Ok(Endpoint::Tcp(host.into(), port));
        assert_eq!(Endpoint::parse("inet:mc.example.com:11211", 1), tcp("mc.example.com", 11211));
        assert_eq!(Endpoint::parse("localhost", 6379), tcp("localhost", 6379));
        assert_eq!(Endpoint::parse("inet:[fc00:8d00:189::3]:11211", 1), tcp("fc00:8d00:189::3", 11211));
        assert_eq!(Endpoint::parse("[::1]", 7), tcp("::1", 7));
        assert_eq!(Endpoint::parse("unix:/path/to/socket", 1), Ok(Endpoint::Unix("/path/to/socket".into())));
        for bad in ["", ":1", "[::1", "[::1]1", "host:port", "host:99999"] {
            assert!(Endpoint::parse(bad, 1).is_err(), "{bad}");
        }
    }

    /// A server that sends a byte now and then keeps nobody beyond the limit.
    #[test]
    fn the_limit_is_for_the_whole_exchange() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..100 {
                if stream.write_all(b"x").is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let mut connection = Connection::open(&Endpoint::Tcp("127.0.0.1".into(), port), Duration::from_secs(5)).unwrap();
        connection.within(Duration::from_millis(400));
        let start = Instant::now();
        let error = connection.line(1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(8), "the server goes on for ten seconds");
    }

    #[test]
    fn lines_and_lengths() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for part in ["one\r", "\ntwo\nabc", "def", "too long for the limit", "\n"] {
                stream.write_all(part.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let mut connection = Connection::open(&Endpoint::Tcp("127.0.0.1".into(), port), Duration::from_secs(5)).unwrap();
        assert_eq!(connection.line(10).unwrap(), b"one");
        assert_eq!(connection.line(10).unwrap(), b"two");
        assert_eq!(connection.exactly(6).unwrap(), b"abcdef");
        assert_eq!(connection.line(10).unwrap_err().kind(), io::ErrorKind::InvalidData);
        // Also when the whole line is there at once.
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(connection.line(10).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn pools_forget_what_was_idle_for_long() {
        let pool = Pool::new(Duration::from_secs(60));
        pool.give(1);
        assert_eq!(pool.take(), Some(1));
        assert_eq!(pool.take(), None);
        let pool = Pool::new(Duration::from_millis(20));
        pool.give(2);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(pool.take(), None);
    }
}
