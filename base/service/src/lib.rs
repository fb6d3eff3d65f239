//! The harness: turns a master.cf line into a running service.
//!
//! Order at start, and why: arguments and `-o`; main.cf; log; the service opens its tables and files ([`Service::open`]) while it still has
//! the rights to; chroot and user; `no_new_privs`, Landlock, seccomp (they bind threads, so before any is started); then the runtime, and clients
//! ([`Service::serve`]). After `max_idle` without work the process ends; on a reload or when master dies it drains: no new work, what runs is finished.
//!
//! ```no_run
//! use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
//! use std::rc::Rc;
//! use tokio::io::AsyncWriteExt as _;
//!
//! struct Hello;
//! impl Service for Hello {
//!     fn open(_: &Setup) -> Result<Self, Fatal> {
//!         Ok(Hello)
//!     }
//!     async fn serve(self: Rc<Self>, client: Connection) {
//!         if let Connection::Tcp(mut client) = client {
//!             let _ = client.write_all(b"hello\r\n").await;
//!         }
//!     }
//! }
//! fn main() -> std::process::ExitCode {
//!     let spec = Spec { program: "hello", privileged: false, connects: false, executes: false };
//!     posthaste_service::run::<Hello>(spec, std::env::args_os().collect())
//! }
//! ```

mod agent;
mod arguments;
mod deliveries;
mod event;
mod load;
mod local;
mod notifier;
mod plain;
mod profile;
mod sandbox;
mod shared_cache;
mod start;
#[cfg(test)]
mod tests;
mod watch;

pub use agent::run_agent;
pub use deliveries::{Deliveries, Reports};
pub use event::run;
pub use load::Idle;
pub use local::LocalStream;
pub use notifier::Notifier;
pub use plain::{Event, Plain, run_plain};
pub use profile::run_profile;
pub use shared_cache::SharedCache;
pub use start::stand_alone;

use posthaste_config::Config;
use posthaste_log::Logger;
use std::future::Future;
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
    load: Arc<load::Load>,
}

impl Setup {
    /// Whether the service has as many clients as it may have. Postfix sets the parameter `stress` to `yes` then (STRESS_README): a service
    /// reads its parameters twice at start, the second time from [`Setup::stressed_config`], and picks one set for each new client.
    pub fn stressed(&self) -> bool {
        self.load.stressed()
    }

    /// Says that the client that is being served does nothing, for as long as the value lives: it holds no transaction, and it is its turn to
    /// speak. Unless maxproc was given as a number, such clients do not keep others from being served.
    pub fn idle(&self) -> Idle<'_> {
        Idle::new(&self.load)
    }

    /// The configuration with `stress = yes`.
    pub fn stressed_config(&self) -> Result<Config, posthaste_config::ConfigError> {
        self.config.with_overrides([("stress", "yes")])
    }
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
#[non_exhaustive]
pub enum Connection {
    /// A client of an `inet` service. TCP_NODELAY and SO_KEEPALIVE are on.
    Tcp(tokio::net::TcpStream),
    /// A client of a `unix` service, or of any service run with `-S` on standard input and output. What is written to a `fifo` comes as such
    /// a client too.
    Unix(tokio::net::UnixStream),
}

/// An event-driven service (Tokio, one thread per runtime, so its futures need not be `Send`).
pub trait Service: Sized + 'static {
    /// Whether `maxproc` bounds the number of clients. Not for delivery agents, where it bounds deliveries (see [`Deliveries`]) while their
    /// clients are queue managers.
    const LIMIT_CLIENTS: bool = true;

    /// Whether there may be only one process, so that `maxproc` must be 1 (qmgr, pickup). One process has any number of clients then.
    const SINGLE: bool = false;

    /// Opens tables and files, with the rights the process was started with. May not start threads: they would be outside of the sandbox.
    fn open(setup: &Setup) -> Result<Self, Fatal>;

    /// Called once on the running runtime, before the first client.
    fn started(self: &Rc<Self>, _setup: &Setup) {}

    /// Serves one client to its end. A panic ends this client only.
    fn serve(self: Rc<Self>, client: Connection) -> impl Future<Output = ()>;

    /// Folders, besides those that main.cf names, in which this service reads and writes: asked after [`Service::open`], for the sandbox.
    fn folders(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }

    /// Whether the process may end for want of clients: nothing is going on besides them. Asked when `max_idle` is over.
    fn idle(&self) -> bool {
        true
    }

    /// SIGTERM: the process ends as soon as this returns. For what would be lost in memory; may block.
    fn terminated(&self) {}

    /// Master wants this process to go (reload), or is dead: no new client will come. What runs should be finished; connections on which the
    /// next request may come at any time should be closed when it is safe.
    fn drain(self: &Rc<Self>) {}

    /// Ends when nothing is left to do after [`Service::drain`]; clients are waited for in any case.
    fn drained(self: Rc<Self>) -> impl Future<Output = ()> {
        async {}
    }
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
