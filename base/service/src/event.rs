//! Event-driven services: one thread, any number of clients.

use crate::load::{Client, Load};
use crate::start::{Started, start};
use crate::watch::watch_reading;
use crate::{Connection, Service, Spec};
use posthaste_config::system_reason;
use posthaste_log::{Logger, fatal, verbose, warn};
use posthaste_system::process;
use posthaste_system::signals::{SIGTERM, Signals};
use rustix::fd::OwnedFd;
use std::cell::Cell;
use std::ffi::OsString;
use std::future::{pending, poll_fn};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};

/// Between two warnings that a service has reached its limit.
const WARN_INTERVAL: Duration = Duration::from_secs(1000);
/// After an accept(2) that failed for want of resources.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs an event-driven service until it has nothing more to do; the body of a daemon's `main`.
pub fn run<S: Service>(spec: Spec, arguments: Vec<OsString>) -> ExitCode {
    let mut started = match start(spec, arguments) {
        Ok(started) => started,
        Err(status) => return status,
    };
    let log = started.setup.log.clone();
    match serve::<S>(&mut started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fatal!(log, "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve<S: Service>(started: &mut Started) -> Result<(), String> {
    let setup = started.setup.clone();
    if S::SINGLE && !started.stand_alone && setup.limit != Some(1) {
        return Err(format!("service {} requires a process limit of 1", setup.service));
    }
    let service = Rc::new(S::open(&setup).map_err(|error| error.0)?);
    let signals = Signals::new(&[SIGTERM]).map_err(|error| format!("signalfd: {}", system_reason(&error)))?;
    started.confine(&service.folders()).map_err(|error| error.0)?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("runtime: {}", system_reason(&error)))?;
    let tasks = LocalSet::new();
    let ended = runtime.block_on(tasks.run_until(async {
        service.started(&setup);
        if started.stand_alone {
            stand_alone(service).await.map_err(|error| format!("standard input and output: {}", system_reason(&error)))
        } else {
            supervise(service, started, signals).await
        }
    }));
    // Unfinished clients are dropped with what they hold: an incomplete queue file is removed here.
    drop(tasks);
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// What all tasks share.
struct State<S> {
    service: Rc<S>,
    setup: crate::Setup,
    load: Arc<Load>,
    place: String,
    idle_since: Cell<Instant>,
    warned: Cell<Option<Instant>>,
}

/// A client until its task is dropped, be it at its end or by a panic.
struct Active<S> {
    state: Rc<State<S>>,
    _client: Client,
}

impl<S> Active<S> {
    fn new(state: &Rc<State<S>>) -> Active<S> {
        Active { state: Rc::clone(state), _client: Client::new(&state.load) }
    }
}

impl<S> Drop for Active<S> {
    fn drop(&mut self) {
        self.state.idle_since.set(Instant::now());
    }
}

async fn supervise<S: Service>(service: Rc<S>, started: &mut Started, signals: Signals) -> Result<(), String> {
    let os = |error: io::Error| system_reason(&error);
    let place = started.place();
    let mut listeners = Vec::new();
    for socket in started.sockets.drain(..).collect::<Vec<_>>() {
        listeners.push(Listener::new(&started.setup.kind, socket).map_err(|error| format!("listening socket: {}", os(error)))?);
    }
    let state = Rc::new(State {
        service: Rc::clone(&service),
        place,
        load: if S::LIMIT_CLIENTS { Arc::clone(&started.setup.load) } else { Arc::new(Load::new(None, false)) },
        setup: started.setup.clone(),
        idle_since: Cell::new(Instant::now()),
        warned: Cell::new(None),
    });
    let signals = watch_reading(signals).map_err(|error| format!("signalfd: {}", os(error)))?;
    tokio::task::spawn_local(watchdog(started.watchdog));

    tokio::select! {
        () = accept(&state, listeners) => {}
        () = idle(&state, started.max_idle) => return Ok(()),
        () = terminated(&signals) => return { service.terminated(); Ok(()) },
        () = let_go(started.status.take()) => {}
    }
    // The listening sockets are closed now.
    verbose!(state.setup.log, "draining: {} clients", state.load.clients());
    posthaste_log::leave_file();
    service.drain();
    let drained = async {
        while state.load.clients() > 0 {
            state.load.less().await;
        }
        Rc::clone(&service).drained().await;
    };
    tokio::select! {
        () = drained => {}
        () = terminated(&signals) => service.terminated(),
    }
    Ok(())
}

/// Takes clients for as long as it is polled.
async fn accept<S: Service>(state: &Rc<State<S>>, mut listeners: Vec<Listener>) {
    loop {
        if state.load.full() {
            at_limit(state);
            while state.load.full() {
                state.load.less().await;
            }
        }
        // Round robin over all sockets: one that is always ready may not keep the others waiting.
        let accepted = poll_fn(|context| {
            let ready = listeners.iter_mut().position(|listener| listener.poll(context).is_ready());
            match ready {
                Some(at) => {
                    listeners.rotate_left(at + 1);
                    Poll::Ready(listeners.last_mut().and_then(|listener| listener.ready.take()))
                }
                None => Poll::Pending,
            }
        });
        match accepted.await {
            Some(Ok(client)) => {
                let active = Active::new(state);
                tokio::task::spawn_local(async move {
                    let service = Rc::clone(&active.state.service);
                    service.serve(client).await;
                });
            }
            Some(Err(error)) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Some(Err(error)) => {
                warn!(state.setup.log, "accept connection: {}", system_reason(&error));
                sleep(PAUSE).await;
            }
            None => {}
        }
    }
}

/// The lines that Postfix's master writes; administrators and their tools know them.
fn at_limit<S>(state: &State<S>) {
    let limit = state.load.limit();
    // A service for one client at a time is not under stress by having one.
    if limit == 1 {
        return;
    }
    state.load.set_stressed();
    if state.warned.get().is_some_and(|at| at.elapsed() < WARN_INTERVAL) {
        return;
    }
    state.warned.set(Some(Instant::now()));
    let log = Logger::program(&state.setup.config, "master").unwrap_or_else(|_| state.setup.log.clone());
    warn!(log, "{} has reached its process limit \"{}\": new clients may experience noticeable delays", state.place, limit);
    warn!(log, "to avoid this condition, increase the process count in master.cf or reduce the service time per client");
    warn!(log, "see https://www.postfix.org/STRESS_README.html for examples of stress-adapting configuration settings");
}

/// Ends when there was nothing to do for so long.
async fn idle<S: Service>(state: &Rc<State<S>>, max_idle: Option<Duration>) {
    let Some(max_idle) = max_idle else { return pending().await };
    loop {
        sleep_until(state.idle_since.get() + max_idle).await;
        if state.load.clients() > 0 || !state.service.idle() {
            state.idle_since.set(Instant::now());
        } else if state.idle_since.get().elapsed() >= max_idle {
            return;
        }
    }
}

/// Ends when master has closed its end of the status socket.
async fn let_go(status: Option<StdUnixStream>) {
    let status = status.and_then(|status| {
        status.set_nonblocking(true).ok()?;
        UnixStream::from_std(status).ok()
    });
    let Some(mut status) = status else { return pending().await };
    let mut byte = [0];
    while !matches!(status.read(&mut byte).await, Ok(0) | Err(_)) {}
}

/// Ends on SIGTERM.
async fn terminated(signals: &AsyncFd<Signals>) {
    loop {
        let Ok(mut ready) = signals.readable().await else { return pending().await };
        match signals.get_ref().next() {
            Ok(Some(_)) => return,
            _ => ready.clear_ready(),
        }
    }
}

/// A process whose event loop stands still for `daemon_timeout` is killed by the kernel, and started again by master.
async fn watchdog(timeout: Duration) {
    let seconds = timeout.as_secs().clamp(3, u64::from(u32::MAX)) as u32;
    loop {
        process::alarm(seconds);
        sleep(Duration::from_secs(u64::from(seconds / 3))).await;
    }
}

/// A listening socket, and the client it has just given.
struct Listener {
    socket: Socket,
    ready: Option<io::Result<Connection>>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
    Fifo(AsyncFd<OwnedFd>),
}

impl Listener {
    fn new(kind: &str, socket: OwnedFd) -> io::Result<Listener> {
        let socket = match kind {
            "inet" => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                Socket::Tcp(TcpListener::from_std(listener)?)
            }
            "fifo" => Socket::Fifo(watch_reading(socket)?),
            _ => {
                let listener = std::os::unix::net::UnixListener::from(socket);
                listener.set_nonblocking(true)?;
                Socket::Unix(UnixListener::from_std(listener)?)
            }
        };
        Ok(Listener { socket, ready: None })
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let ready = match &self.socket {
            Socket::Tcp(listener) => listener.poll_accept(context).map(|accepted| accepted.map(|(client, _)| Connection::Tcp(client))),
            Socket::Unix(listener) => listener.poll_accept(context).map(|accepted| accepted.map(|(client, _)| Connection::Unix(client))),
            Socket::Fifo(pipe) => poll_fifo(pipe, context),
        };
        ready.map(|client| self.ready = Some(client))
    }
}

/// What was written to the named pipe becomes a client that says it and closes.
fn poll_fifo(pipe: &AsyncFd<OwnedFd>, context: &mut Context<'_>) -> Poll<io::Result<Connection>> {
    loop {
        let mut ready = match pipe.poll_read_ready(context) {
            Poll::Ready(ready) => ready?,
            Poll::Pending => return Poll::Pending,
        };
        let mut buffer = [0; 512];
        match rustix::io::read(pipe.get_ref(), &mut buffer) {
            Ok(n) if n > 0 => {
                let (mut near, far) = StdUnixStream::pair()?;
                near.write_all(&buffer[..n])?;
                far.set_nonblocking(true)?;
                return Poll::Ready(Ok(Connection::Unix(UnixStream::from_std(far)?)));
            }
            Err(rustix::io::Errno::AGAIN) | Ok(_) => ready.clear_ready(),
            Err(error) => return Poll::Ready(Err(error.into())),
        }
    }
}

/// `-S`: one client on standard input and output, which may be files or a terminal, so two threads carry the data.
async fn stand_alone<S: Service>(service: Rc<S>) -> io::Result<()> {
    let (near, far) = StdUnixStream::pair()?;
    let (mut from, mut to) = (near.try_clone()?, near);
    std::thread::spawn(move || {
        let _ = copy(io::stdin().lock(), &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let output = std::thread::spawn(move || copy(&mut from, io::stdout().lock()));
    far.set_nonblocking(true)?;
    service.serve(Connection::Unix(UnixStream::from_std(far)?)).await;
    // What was said last has to be out before the process ends.
    let _ = output.join();
    Ok(())
}

fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => {
                to.write_all(&buffer[..n])?;
                to.flush()?;
            }
        }
    }
}
