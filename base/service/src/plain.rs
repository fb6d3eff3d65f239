//! Services that need neither a runtime nor delivery requests: they get their sockets and do the rest themselves.

use crate::start::start;
use crate::{Fatal, Setup, Spec};
use posthaste_log::fatal;
use posthaste_system::process;
use posthaste_system::signals::{SIGTERM, Signals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

/// A confined process with its sockets.
pub struct Plain {
    /// What the service knows of its place.
    pub setup: Setup,
    /// The listening (or datagram) sockets, non-blocking.
    pub sockets: Vec<OwnedFd>,
    /// How long it may have nothing to do; `None` is for ever.
    pub max_idle: Option<Duration>,
    status: Option<UnixStream>,
    signals: Signals,
    /// The kernel ends a process that takes longer than this for one thing; master starts it again.
    watchdog: u32,
}

/// Why [`Plain::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The socket of this number is readable.
    Socket(usize),
    /// The time is over.
    Timeout,
    /// Master wants this process to go, when what runs is finished.
    Drain,
    /// SIGTERM: go now.
    Terminate,
}

impl Plain {
    /// Waits for something to do; `timeout` `None` is for ever.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Event {
        process::alarm(0);
        let event = self.next(timeout);
        process::alarm(self.watchdog);
        event
    }

    fn next(&mut self, timeout: Option<Duration>) -> Event {
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(&self.signals, PollFlags::IN)];
        let status = self.status.as_ref().map(|status| status.as_fd());
        fds.extend(status.map(|status: BorrowedFd<'_>| PollFd::from_borrowed_fd(status, PollFlags::IN)));
        let first = fds.len();
        fds.extend(self.sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)));
        let timeout = timeout.map(|time| Timespec { tv_sec: time.as_secs().min(1 << 30) as i64, tv_nsec: i64::from(time.subsec_nanos()) });
        loop {
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Event::Timeout,
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                // Out of memory in the kernel: nothing sensible can be waited for.
                Err(_) => return Event::Terminate,
            }
            if !fds[0].revents().is_empty() {
                return Event::Terminate;
            }
            if let Some(at) = fds[first..].iter().position(|fd| !fd.revents().is_empty()) {
                return Event::Socket(at);
            }
            if first > 1 && !fds[1].revents().is_empty() {
                self.status = None;
                return Event::Drain;
            }
        }
    }
}

/// Runs a service that does its own waiting. `open` runs with the rights the process was started with, `serve` in the sandbox.
pub fn run_plain<T>(
    spec: Spec,
    arguments: Vec<OsString>,
    open: impl FnOnce(&Setup) -> Result<T, Fatal>,
    serve: impl FnOnce(T, Plain) -> Result<(), Fatal>,
) -> ExitCode {
    let mut started = match start(spec, arguments) {
        Ok(started) => started,
        Err(status) => return status,
    };
    let log = started.setup.log.clone();
    let signals = Signals::new(&[SIGTERM]).map_err(|error| Fatal(format!("signalfd: {error}")));
    let done = open(&started.setup).and_then(|service| {
        let signals = signals?;
        started.confine(&[])?;
        let plain = Plain {
            setup: started.setup.clone(),
            sockets: std::mem::take(&mut started.sockets),
            max_idle: started.max_idle,
            status: started.status.take(),
            signals,
            watchdog: u32::try_from(started.watchdog.as_secs()).unwrap_or(u32::MAX),
        };
        serve(service, plain)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fatal(error)) => {
            fatal!(log, "{error}");
            ExitCode::FAILURE
        }
    }
}
