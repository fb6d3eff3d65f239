//! A connection to a server: TCP or Unix socket, plain or through TLS.

use crate::lookup::HostAddress;
use crate::problem::{Peer, Problem};
use crate::settings::Settings;
use posthaste_config::system_reason;
use posthaste_log::{Logger, warn};
use posthaste_tls::Session as TlsSession;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

/// The bytes to and from the server.
pub struct Stream {
    socket: Socket,
    tls: Option<Tls>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

struct Tls {
    session: Box<dyn TlsSession>,
    received: Vec<u8>,
    output: Vec<u8>,
}

/// Read from the network at one time: more than the replies to a pipelined message.
const READ_SIZE: usize = 2048;

impl Socket {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.reserve(READ_SIZE);
        match self {
            Socket::Tcp(stream) => stream.read_buf(buffer).await,
            Socket::Unix(stream) => stream.read_buf(buffer).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.write_all(bytes).await,
            Socket::Unix(stream) => stream.write_all(bytes).await,
        }
    }
}

impl Stream {
    /// Appends what comes next; 0 is the end.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer).await };
        loop {
            let n = tls.session.read(buffer).map_err(io::Error::other)?;
            if n > 0 || tls.session.is_closed() {
                return Ok(n);
            }
            tls.received.clear();
            if self.socket.read(&mut tls.received).await? == 0 {
                return Ok(0);
            }
            tls.session.fill(&tls.received).map_err(io::Error::other)?;
            // A new session ticket or a key update may want an answer.
            flush(tls, &mut self.socket).await?;
        }
    }

    /// Writes all.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.socket.write_all(bytes).await };
        tls.session.write(bytes).map_err(io::Error::other)?;
        flush(tls, &mut self.socket).await
    }

    /// Makes the handshake of a session that has just begun; from then on all goes through it.
    pub async fn encrypt(&mut self, session: Box<dyn TlsSession>) -> io::Result<()> {
        let tls = self.tls.insert(Tls { session, received: Vec::new(), output: Vec::new() });
        loop {
            flush(tls, &mut self.socket).await?;
            if !tls.session.is_handshaking() {
                return Ok(());
            }
            tls.received.clear();
            if self.socket.read(&mut tls.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let filled = tls.session.fill(&tls.received);
            if let Err(error) = filled {
                // The alert tells the server why.
                let _ = flush(tls, &mut self.socket).await;
                return Err(io::Error::other(error));
            }
        }
    }

    /// The TLS session, if there is one.
    pub fn tls(&self) -> Option<&dyn TlsSession> {
        self.tls.as_ref().map(|tls| &*tls.session)
    }
}

async fn flush(tls: &mut Tls, socket: &mut Socket) -> io::Result<()> {
    tls.output.clear();
    if tls.session.take_output(&mut tls.output) {
        socket.write_all(&tls.output).await?;
    }
    Ok(())
}

/// Connects to a Unix socket; a relative path is one in the queue directory, where the process stands.
pub async fn connect_unix(path: &str, settings: &Settings) -> Result<Stream, Problem> {
    let stream = limited(settings.timeouts.connect, UnixStream::connect(path)).await;
    match stream {
        Ok(stream) => Ok(Stream { socket: Socket::Unix(stream), tls: None }),
        Err(error) => Err(unreachable(&Peer { host: settings.myhostname.clone(), address: path.to_owned(), port: None }, &error)),
    }
}

/// Connects to an address.
pub async fn connect(to: &HostAddress, peer: &Peer, settings: &Settings, log: &Logger) -> Result<Stream, Problem> {
    let socket = socket(to.ip, settings, log).map_err(|error| match error {
        Setup::Io(error) => unreachable(peer, &error),
        Setup::Bind => Problem::local("4.4.0", "server configuration error").of_destination(),
    })?;
    match limited(settings.timeouts.connect, socket.connect(SocketAddr::new(to.ip, to.port))).await {
        Ok(stream) => Ok(Stream { socket: Socket::Tcp(stream), tls: None }),
        Err(error) => Err(unreachable(peer, &error)),
    }
}

enum Setup {
    Io(io::Error),
    Bind,
}

fn socket(ip: IpAddr, settings: &Settings, log: &Logger) -> Result<TcpSocket, Setup> {
    let (socket, bind) = match ip {
        IpAddr::V4(_) => (TcpSocket::new_v4(), settings.bind4),
        IpAddr::V6(_) => (TcpSocket::new_v6(), settings.bind6),
    };
    let socket = socket.map_err(Setup::Io)?;
    // The last part of a message would else wait for the server's acknowledgement of the parts before.
    let _ = socket.set_nodelay(true);
    if settings.tcp_window > 0 {
        let _ = socket.set_send_buffer_size(settings.tcp_window);
        let _ = socket.set_recv_buffer_size(settings.tcp_window);
    }
    if let Some(bind) = bind
        && let Err(error) = socket.bind(SocketAddr::new(bind, 0))
    {
        warn!(log, "smtp_connect_addr: bind {bind}: {}", system_reason(&error));
        if settings.bind_enforce {
            return Err(Setup::Bind);
        }
    }
    Ok(socket)
}

/// A zero limit leaves it to the system.
async fn limited<T>(limit: Duration, connecting: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    if limit.is_zero() {
        return connecting.await;
    }
    match tokio::time::timeout(limit, connecting).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn unreachable(peer: &Peer, error: &io::Error) -> Problem {
    let reason = match error.kind() {
        io::ErrorKind::TimedOut => "Connection timed out".to_owned(),
        _ => system_reason(error),
    };
    Problem::local("4.4.1", format!("connect to {}: {reason}", peer.name_and_port())).of_destination()
}
