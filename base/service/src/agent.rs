//! Delivery agents on threads: local, virtual, pipe. Their work blocks (mailbox locks, syncs, commands) and switches users, which is per thread.

use crate::plain::{Event, Plain, run_plain};
use crate::{Agent, Fatal, Setup, Spec};
use posthaste_delivery::records::Alone;
use posthaste_ipc::delivery::{DRAINING, Done, Report, Request};
use posthaste_ipc::frame::{Reader, Writer};
use posthaste_ipc::wire::Wire as _;
use posthaste_log::{Logger, warn};
use rustix::net::{SocketFlags, accept_with};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// A worker thread without work ends after this.
const WORKER_IDLE: Duration = Duration::from_secs(10);
/// After SIGTERM, deliveries have this long to finish, so that no mailbox is left with half a message.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// Runs a thread-based delivery agent.
pub fn run_agent<A: Agent>(spec: Spec, arguments: Vec<OsString>) -> ExitCode {
    run_plain(spec, arguments, |setup| Ok((A::open(setup)?, Alone::open(&setup.config, setup.log.clone())?)), serve)
}

fn serve<A: Agent>((agent, alone): (A, Alone), mut plain: Plain) -> Result<(), Fatal> {
    let pool = Pool::new(Arc::new(agent), alone, &plain.setup);
    let mut connections: Vec<Weak<Connection>> = Vec::new();
    let mut idle_since = Instant::now();
    loop {
        match plain.wait(plain.max_idle) {
            Event::Socket(at) => {
                while let Ok(socket) = accept_with(&plain.sockets[at], SocketFlags::CLOEXEC) {
                    connections.extend(Connection::start(socket.into(), &pool));
                }
                connections.retain(|connection| connection.strong_count() > 0);
            }
            Event::Timeout => {
                let used = pool.lock().last_used.max(Some(idle_since));
                if pool.is_quiet() && connections.iter().all(|connection| connection.strong_count() == 0) {
                    return Ok(());
                }
                // Queue managers keep their connections; ask them to let go when nothing came for long.
                if used.is_some_and(|at| Some(at.elapsed()) >= plain.max_idle) {
                    connections.iter().filter_map(Weak::upgrade).for_each(|connection| connection.drain());
                    idle_since = Instant::now();
                }
            }
            Event::Drain => {
                plain.sockets.clear();
                posthaste_log::leave_file();
                connections.iter().filter_map(Weak::upgrade).for_each(|connection| connection.drain());
                while !pool.is_quiet() || connections.iter().any(|connection| connection.strong_count() > 0) {
                    if plain.wait(Some(Duration::from_millis(100))) == Event::Terminate {
                        pool.wait_quiet(LAST_CHANCE);
                        break;
                    }
                }
                return Ok(());
            }
            Event::Terminate => {
                // Nothing new, but what was begun is finished.
                connections.iter().filter_map(Weak::upgrade).for_each(|connection| connection.stop());
                pool.lock().jobs.clear();
                pool.wait_quiet(LAST_CHANCE);
                return Ok(());
            }
        }
    }
}

struct Connection {
    socket: UnixStream,
    writer: Writer<UnixStream>,
    /// The queue manager has closed it.
    gone: AtomicBool,
}

impl Connection {
    /// Serves a queue manager, on a thread that only reads.
    fn start<A: Agent>(socket: UnixStream, pool: &Arc<Pool<A>>) -> Option<Weak<Connection>> {
        let copies = socket.try_clone().and_then(|reader| Ok((reader, socket.try_clone()?)));
        let (reader, writer) = copies.map_err(|error| warn!(pool.log, "queue manager: {error}")).ok()?;
        let connection = Arc::new(Connection { socket, writer: Writer::new(writer), gone: AtomicBool::new(false) });
        let weak = Arc::downgrade(&connection);
        let pool = Arc::clone(pool);
        let thread = std::thread::Builder::new().name("requests".into()).stack_size(256 * 1024);
        let log = pool.log.clone();
        let started = thread.spawn(move || {
            // A queue manager that ends while we are saying something to it resets the connection: that is no more than its end.
            let read = connection.read(reader, &pool);
            connection.gone.store(true, Ordering::Relaxed);
            if let Err(error) = read
                && error.kind() != std::io::ErrorKind::ConnectionReset
            {
                warn!(pool.log, "queue manager: {error}");
            }
        });
        started.map(|_| weak).map_err(|error| warn!(log, "cannot start a thread: {error}")).ok()
    }

    fn read<A: Agent>(self: &Arc<Self>, reader: UnixStream, pool: &Arc<Pool<A>>) -> std::io::Result<()> {
        let mut reader = Reader::new(reader);
        while let Some((kind, number, payload)) = reader.receive()? {
            let mut rest = &payload[..];
            let request = (kind == Request::FRAME).then(|| Request::take(&mut rest).ok()).flatten();
            let request = request.filter(|_| rest.is_empty()).ok_or_else(|| std::io::Error::other("malformed delivery request"))?;
            pool.add(Job { connection: Arc::clone(self), number, request });
        }
        Ok(())
    }

    fn drain(&self) {
        let _ = self.writer.send(DRAINING, 0, &0u8);
    }

    fn stop(&self) {
        let _ = self.socket.shutdown(Shutdown::Read);
    }
}

struct Job {
    connection: Arc<Connection>,
    number: u32,
    request: Request,
}

/// Threads that deliver: as many as there is work for, up to the limit.
struct Pool<A> {
    agent: Arc<A>,
    alone: Alone,
    log: Logger,
    limit: usize,
    state: Mutex<State>,
    work: Condvar,
    quiet: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    waiting: usize,
    busy: usize,
    last_used: Option<Instant>,
}

impl<A: Agent> Pool<A> {
    fn new(agent: Arc<A>, alone: Alone, setup: &Setup) -> Arc<Pool<A>> {
        Arc::new(Pool {
            agent,
            alone,
            log: setup.log.clone(),
            limit: setup.limit.unwrap_or(usize::MAX),
            state: Mutex::default(),
            work: Condvar::new(),
            quiet: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_quiet(&self) -> bool {
        let state = self.lock();
        state.busy == 0 && state.jobs.is_empty()
    }

    fn wait_quiet(&self, time: Duration) {
        let state = self.lock();
        let _ = self.quiet.wait_timeout_while(state, time, |state| state.busy > 0);
    }

    fn add(self: &Arc<Self>, job: Job) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        state.last_used = Some(Instant::now());
        if state.waiting >= state.jobs.len() {
            drop(state);
            self.work.notify_one();
            return;
        }
        if state.threads < self.limit {
            let pool = Arc::clone(self);
            match std::thread::Builder::new().name("delivery".into()).spawn(move || pool.work()) {
                Ok(_) => state.threads += 1,
                // A thread that is there already will come to it; with none at all the queue manager has to try later.
                Err(error) => {
                    warn!(self.log, "cannot start a thread: {error}");
                    if state.threads == 0 {
                        let jobs = std::mem::take(&mut state.jobs);
                        drop(state);
                        jobs.iter().for_each(|job| drop(job.connection.writer.send(Done::FRAME, job.number, &Done::default())));
                    }
                }
            }
        }
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.busy += 1;
                drop(state);
                self.deliver(job);
                state = self.lock();
                state.busy -= 1;
                state.last_used = Some(Instant::now());
                if state.busy == 0 {
                    self.quiet.notify_all();
                }
                continue;
            }
            state.waiting += 1;
            let (again, timeout) = self.work.wait_timeout(state, WORKER_IDLE).unwrap_or_else(PoisonError::into_inner);
            state = again;
            state.waiting -= 1;
            if timeout.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn deliver(&self, job: Job) {
        let Job { connection, number, request } = job;
        if connection.gone.load(Ordering::Relaxed) {
            // Not begun, and the next queue manager will ask for it again.
            return;
        }
        let last = request.recipients.len().saturating_sub(1);
        let gone = || connection.gone.load(Ordering::Relaxed);
        let mut kept = None;
        let mut report = |report: Report| {
            if gone() {
                return self.alone.record(&request, &report);
            }
            // The last word on the last recipient goes out with the end of the request, in one write.
            let now = if usize::try_from(report.recipient) == Ok(last) { kept.replace(report) } else { Some(report) };
            if let Some(report) = now
                && connection.writer.send(Report::FRAME, number, &report).is_err()
            {
                self.alone.record(&request, &report);
            }
        };
        // A panic ends this delivery only. It has been logged; recipients without a report are deferred.
        let done = catch_unwind(AssertUnwindSafe(|| self.agent.deliver(&request, &mut report))).unwrap_or_default();
        let queued = kept.as_ref().map_or(Ok(()), |report| connection.writer.queue(Report::FRAME, number, report));
        let told = queued.and_then(|()| connection.writer.send(Done::FRAME, number, &done));
        if let Some(report) = kept
            && (told.is_err() || gone())
        {
            self.alone.record(&request, &report);
        }
    }
}

/// For tests: an agent that serves one queue manager.
#[cfg(test)]
pub(crate) fn test_agent<A: Agent>(agent: A, setup: &Setup, client: UnixStream) -> Arc<A> {
    let agent = Arc::new(agent);
    let alone = Alone::open(&setup.config, setup.log.clone()).expect("queue");
    let pool = Pool::new(Arc::clone(&agent), alone, setup);
    assert!(Connection::start(client, &pool).is_some());
    agent
}
