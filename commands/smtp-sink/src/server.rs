//! The sockets.

use crate::dump;
use crate::engine::{Engine, Step};
use crate::options::{Command, Dump, Endpoint, Options};
use posthaste_config::system_reason;
use posthaste_log::{Logger, info};
use std::cell::Cell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

/// What all sessions share.
pub struct Shared {
    pub options: Options,
    pub log: Logger,
    sessions: Cell<u64>,
    quits: Cell<u64>,
    messages: Cell<u64>,
    random: (RandomState, Cell<u64>),
    over: Notify,
}

impl Shared {
    pub fn new(options: Options, log: Logger) -> Shared {
        let zero = || Cell::new(0);
        Shared {
            options,
            log,
            sessions: zero(),
            quits: zero(),
            messages: zero(),
            random: (RandomState::new(), zero()),
            over: Notify::new(),
        }
    }

    fn count(&self, what: &Cell<u64>) {
        what.set(what.get() + 1);
        if self.options.counters {
            print!("sess={} quit={} mesg={}\r", self.sessions.get(), self.quits.get(), self.messages.get());
            let _ = io::stdout().flush();
        }
        let reached = |limit: u64, count: &Cell<u64>| limit > 0 && count.get() >= limit;
        if reached(self.options.message_limit, &self.messages) || reached(self.options.session_limit, &self.sessions) {
            self.over.notify_one();
        }
    }

    /// A number nobody can guess; enough for file names and delays.
    pub fn number(&self) -> u64 {
        let mut hasher = self.random.0.build_hasher();
        self.random.1.set(self.random.1.get() + 1);
        hasher.write_u64(self.random.1.get());
        hasher.finish()
    }

    /// Delays of `-w` and `-W`.
    async fn delay(&self, command: Command) {
        for delay in self.options.delays.iter().filter(|delay| delay.command == command) {
            let mut rolls = 1;
            while delay.odds > 0 && self.number() % 100 < delay.odds {
                rolls += 1;
            }
            sleep(delay.time * rolls).await;
        }
    }

    fn limit_reached(&self) -> bool {
        self.options.message_limit > 0 && self.messages.get() >= self.options.message_limit
    }
}

/// An open listening socket.
pub enum Listener {
    Tcp(Vec<TcpListener>),
    Unix(UnixListener),
}

/// Opens the sockets.
pub fn listen(options: &Options) -> Result<Listener, String> {
    match &options.endpoint {
        Endpoint::Unix(path) => {
            let _ = std::fs::remove_file(path);
            UnixListener::bind(path).map(Listener::Unix).map_err(|error| format!("bind {}: {}", path.display(), system_reason(&error)))
        }
        Endpoint::Inet(host, port) => {
            let addresses: Vec<SocketAddr> = if host.is_empty() {
                vec![(IpAddr::from([0, 0, 0, 0]), *port).into(), (IpAddr::from([0u16; 8]), *port).into()]
            } else {
                let found = (host.as_str(), *port).to_socket_addrs();
                found.map_err(|error| format!("{host}: {}", system_reason(&error)))?.collect()
            };
            let mut listeners = Vec::new();
            let mut last = "No address associated with hostname".to_owned();
            for address in addresses.into_iter().filter(|a| if a.is_ipv4() { options.ipv4 } else { options.ipv6 }) {
                match listen_on(address, options) {
                    Ok(listener) => listeners.push(listener),
                    Err(error) => last = format!("bind {address}: {}", system_reason(&error)),
                }
            }
            if listeners.is_empty() { Err(last) } else { Ok(Listener::Tcp(listeners)) }
        }
    }
}

fn listen_on(address: SocketAddr, options: &Options) -> io::Result<TcpListener> {
    let domain = if address.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Both families have sockets of their own.
        socket.set_only_v6(true)?;
    }
    if options.window > 0 {
        socket.set_recv_buffer_size(options.window as usize)?;
        socket.set_send_buffer_size(options.window as usize)?;
    }
    socket.bind(&address.into())?;
    TcpSocket::from_std_stream(socket.into()).listen(options.backlog)
}

/// Serves until a limit is reached.
pub async fn serve(listener: Listener, shared: Rc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.options.concurrency));
    match listener {
        Listener::Tcp(listeners) => {
            for listener in listeners {
                let (shared, places) = (Rc::clone(&shared), Arc::clone(&places));
                tokio::task::spawn_local(async move {
                    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                        let Ok((stream, peer)) = listener.accept().await else { continue };
                        let _ = stream.set_nodelay(true);
                        let address = match peer.ip() {
                            IpAddr::V4(v4) => v4.to_string(),
                            IpAddr::V6(v6) => format!("ipv6:{v6}"),
                        };
                        let shared = Rc::clone(&shared);
                        tokio::task::spawn_local(async move {
                            session(stream, &address, &shared).await;
                            drop(place);
                        });
                    }
                });
            }
        }
        Listener::Unix(listener) => {
            let (shared, places) = (Rc::clone(&shared), Arc::clone(&places));
            tokio::task::spawn_local(async move {
                while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    let shared = Rc::clone(&shared);
                    tokio::task::spawn_local(async move {
                        session(stream, "local", &shared).await;
                        drop(place);
                    });
                }
            });
        }
    }
    shared.over.notified().await;
}

async fn session(stream: impl AsyncRead + AsyncWrite + Unpin, address: &str, shared: &Shared) {
    if shared.options.verbose {
        info!(shared.log, "connect ({address})");
    }
    conversation(stream, address, shared).await;
    if shared.options.verbose {
        info!(shared.log, "disconnect");
    }
    shared.count(&shared.sessions);
}

async fn conversation(mut stream: impl AsyncRead + AsyncWrite + Unpin, address: &str, shared: &Shared) {
    let options = &shared.options;
    let mut engine = Engine::new(options, options.dump != Dump::None);
    shared.delay(Command::Connect).await;
    let mut out = Vec::new();
    let greeting = engine.greet();
    if !act(greeting, &mut engine, address, &mut out, shared).await {
        let _ = write(&mut stream, &mut out, options.timeout).await;
        return;
    }
    let mut input: Vec<u8> = Vec::new();
    let mut used = 0;
    loop {
        while let Some(end) = memchr::memchr(b'\n', &input[used..]).map(|at| used + at) {
            let line = input[used..end].strip_suffix(b"\r").unwrap_or(&input[used..end]);
            let command = engine.command_of(line);
            if !engine.in_data() || command.is_some() {
                if options.verbose {
                    info!(shared.log, "{}", String::from_utf8_lossy(line));
                }
                if let Some(command) = command {
                    if options.log_commands.has(command) {
                        info!(shared.log, "{}", String::from_utf8_lossy(line));
                    }
                    if !options.delays.is_empty() {
                        let _ = write(&mut stream, &mut out, options.timeout).await;
                        shared.delay(command).await;
                    }
                }
            }
            if command == Some(Command::Quit) {
                shared.count(&shared.quits);
            }
            let was_data = engine.in_data();
            let step = engine.line(line);
            used = end + 1;
            if let Step::Abort(go, last) = step {
                out.extend_from_slice(go.as_bytes());
                out.extend_from_slice(b"\r\n");
                let _ = write(&mut stream, &mut out, options.timeout).await;
                sleep(options.abort.unwrap_or_default()).await;
                out.extend_from_slice(last.as_bytes());
                out.extend_from_slice(b"\r\n");
                let _ = write(&mut stream, &mut out, options.timeout).await;
                return;
            }
            if !act(step, &mut engine, address, &mut out, shared).await {
                let _ = write(&mut stream, &mut out, options.timeout).await;
                return;
            }
            if engine.in_data() && !was_data && !options.read_delay.is_zero() {
                let _ = write(&mut stream, &mut out, options.timeout).await;
                sleep(options.read_delay).await;
            }
        }
        input.drain(..used);
        used = 0;
        if write(&mut stream, &mut out, options.timeout).await.is_err() {
            return;
        }
        // A line without end: nobody needs the rest.
        if input.len() > 100_000 {
            input.clear();
        }
        input.reserve(8192);
        match timeout(options.timeout, stream.read_buf(&mut input)).await {
            Ok(Ok(n)) if n > 0 => {}
            _ => return,
        }
    }
}

/// Puts a step's reply out; `false` ends the session.
async fn act(step: Step, engine: &mut Engine<'_>, address: &str, out: &mut Vec<u8>, shared: &Shared) -> bool {
    let (text, go_on) = match step {
        Step::Data => return true,
        Step::Reply(text) => (text, true),
        Step::Close(text) => (text, false),
        Step::Abort(text, _) => (text, false),
        Step::Message(text) => {
            if let Some(mail) = engine.take_mail()
                && shared.options.dump != Dump::None
                && let Err(error) = dump::write(&mail, engine, address, shared)
            {
                posthaste_log::fatal!(shared.log, "dump message: {}", system_reason(&error));
                shared.over.notify_one();
                return false;
            }
            shared.count(&shared.messages);
            // As Postfix's program: the last message of -M gets no answer any more.
            (text, !shared.limit_reached())
        }
    };
    if !go_on && shared.limit_reached() {
        return false;
    }
    if !text.is_empty() {
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    go_on
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), out: &mut Vec<u8>, limit: Duration) -> io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let written = timeout(limit, stream.write_all(out)).await;
    out.clear();
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
