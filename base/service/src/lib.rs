//! The harness: turns a master.cf line into a running service.
//!
//! Order at start, and why: arguments and `-o`; main.cf; log; the service opens its tables and files ([`Service::open`]) while it still has
//! the rights to; chroot and user; `no_new_privs`, Landlock, seccomp (they bind threads, so before any is started); then the runtime, and clients
//! ([`Service::serve`]). After `max_idle` without work the process ends; on a reload or when master dies it drains: no new work, what runs is finished.

use posthaste_config::Config;
use posthaste_log::Logger;
use std::future::Future;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

/// What a service may do; the harness makes the sandbox from it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Program name as in Postfix: `smtpd`.
    pub program: &'static str,
    /// Keeps root (local, virtual, pipe, spawn).
    pub privileged: bool,
    /// Opens TCP connections.
    pub connects: bool,
    /// Starts other programs.
    pub executes: bool,
}

/// What a service knows of its place.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// main.cf with this entry's `-o` overrides.
    pub config: Arc<Config>,
    /// The service's name in master.cf (`smtp`, `127.0.0.1:10025`, `relay`).
    pub service: String,
    /// Its type: `inet`, `unix`, `pass`, …
    pub kind: String,
    /// Arguments that are not options (pipe and spawn: `flags=…`, `argv=…`).
    pub arguments: Vec<String>,
    /// Writes as `syslog_name/program`.
    pub log: Logger,
    /// `maxproc`: clients or deliveries at one time; `None` is no limit.
    pub limit: Option<usize>,
    /// `-v` count.
    pub verbose: u32,
}

/// The environment is wrong; the process logs `fatal: …` and ends with status 1.
#[derive(Debug)]
pub struct Fatal(pub String);

impl From<posthaste_config::ConfigError> for Fatal {
    fn from(error: posthaste_config::ConfigError) -> Fatal {
        Fatal(error.to_string())
    }
}

/// A client connection.
#[derive(Debug)]
pub enum Connection {
    /// A client of an `inet` service.
    Tcp(tokio::net::TcpStream),
    /// A client of a `unix` service.
    Unix(tokio::net::UnixStream),
}

/// An event-driven service (Tokio, one thread per runtime, so its futures need not be `Send`).
pub trait Service: Sized + 'static {
    /// Opens tables and files, with the rights the process was started with.
    fn open(setup: &Setup) -> Result<Self, Fatal>;

    /// Called once on the running runtime, before the first client.
    fn started(self: &Rc<Self>, _setup: &Setup) {}

    /// Serves one client to its end. A panic ends this client only.
    fn serve(self: Rc<Self>, client: Connection) -> impl Future<Output = ()>;
}

/// Runs an event-driven service until it has nothing more to do; the body of a daemon's `main`.
#[allow(clippy::todo, unused_variables, reason = "interface first; the body follows")]
pub fn run<S: Service>(spec: Spec, arguments: Vec<std::ffi::OsString>) -> ExitCode {
    todo!()
}

/// A delivery agent on threads, without a runtime: local, virtual, pipe.
pub trait Agent: Send + Sync + Sized + 'static {
    /// As [`Service::open`].
    fn open(setup: &Setup) -> Result<Self, Fatal>;

    /// Delivers one request on a thread of its own, giving each recipient's result to `report` as soon as it is known.
    fn deliver(
        &self,
        request: &posthaste_ipc::delivery::Request,
        report: &mut dyn FnMut(posthaste_ipc::delivery::Report),
    ) -> posthaste_ipc::delivery::Done;
}

/// Runs a thread-based delivery agent.
#[allow(clippy::todo, unused_variables, reason = "interface first; the body follows")]
pub fn run_agent<A: Agent>(spec: Spec, arguments: Vec<std::ffi::OsString>) -> ExitCode {
    todo!()
}
