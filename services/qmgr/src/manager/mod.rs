//! The queue manager without sockets: events in, [`Action`]s out. Files are touched in place (but for what must be synced, which
//! is [`Work`] for another thread); time comes from the caller and from the queue's clock.
//!
//! The way of a message: [`intake`] takes it from `incoming` or `deferred`, [`assign`] resolves its recipients and gives them to the
//! scheduler, [`results`] takes what the delivery agents report, [`finish`] has reports sent and removes or defers the file.
//!
//! What a crash leaves behind, at any point, is what the files say: a recipient is marked done only after its delivery, or after the record of
//! its failure is on stable storage; a record is removed only after the notice made of it is; a message only after all of that.
//! So after a crash a message is found in `incoming` or `active` with the recipients that are still open and the records that are still unsent.

mod assign;
mod finish;
mod intake;
mod results;
#[cfg(test)]
mod tests;

use crate::deferred::Deferred;
use crate::sched::{Scheduler, Transport, TransportParams};
use crate::settings::Settings;
use crate::slab::{Key, Slab};
use bstr::BString;
use posthaste_address::Address;
use posthaste_delivery::Reporter;
use posthaste_ipc::bounce::Notice;
use posthaste_ipc::delivery::{Outcome, Request};
use posthaste_log::Logger;
use posthaste_queue::log::{LogName, LogRecord};
use posthaste_queue::scan::Scan;
use posthaste_queue::{Envelope, Queue, QueueId, QueueName, Recipient};
use posthaste_route::{Route, RouteError};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::{Instant, SystemTime};

pub use assign::Resolved;
pub use intake::Trigger;

/// Something for the outside to do.
#[derive(Debug)]
pub enum Action {
    /// Send this request to the transport's service; answered by [`Manager::report`] and [`Manager::delivered`] with this number.
    Deliver {
        /// To whom; its name is [`Scheduler::name`].
        transport: Key<Transport>,
        /// For the answers.
        number: u64,
        /// What.
        request: Box<Request>,
    },
    /// Have a report sent; answered by [`Manager::noticed`].
    Notice {
        /// `private/` this.
        service: String,
        /// For the answer.
        message: Key<Message>,
        /// What.
        notice: Box<Notice>,
    },
    /// Run [`Work::run`] on another thread; answered by [`Manager::written`].
    Write {
        /// For the answer.
        message: Key<Message>,
        /// What.
        work: Box<Work>,
    },
    /// Resolve recipients where waiting does no harm; answered by [`Manager::resolved`].
    Resolve {
        /// For the answer.
        message: Key<Message>,
        /// Sender of the message.
        sender: Address,
        /// With the transport parameters for address verification.
        verify: bool,
        /// Whom.
        recipients: Vec<Recipient>,
    },
    /// Tell the verify service what a probe found.
    Probed {
        /// The address that was probed.
        address: Address,
        /// What was found.
        outcome: Outcome,
        /// The text to remember.
        text: BString,
    },
    /// Tell the flush service that mail for this domain waits.
    Flushable {
        /// The recipient's domain.
        site: BString,
        /// The message.
        id: QueueId,
    },
}

/// Writes that must be on stable storage before the recipients they are about count as done.
#[derive(Debug)]
pub struct Work {
    id: QueueId,
    queue: QueueName,
    logs: Vec<(LogName, Vec<LogRecord>)>,
    marks: Vec<u64>,
    compatible: bool,
}

impl Work {
    /// Appends to the logs, syncs them, marks. Blocks for the disk. After an error nothing that was not logged is marked.
    pub fn run(&self, queue: &Queue) -> std::io::Result<()> {
        for (log, records) in &self.logs {
            queue.append_log(*log, &self.id, records, self.compatible)?;
        }
        for &offset in &self.marks {
            queue.mark_done_wherever(self.queue, &self.id, offset)?;
        }
        Ok(())
    }
}

/// Where mail goes; the seam for tests.
pub trait Resolver {
    /// Whether [`Resolver::resolve`] may wait for another process or host.
    fn may_block(&self) -> bool;
    /// Resolves one recipient; `verify`: with the parameters for address verification.
    fn resolve(&self, verify: bool, sender: &Address, recipient: &Address) -> Result<Route, RouteError>;
}

/// The parameters of a transport, by its name.
pub type ParamsOf = Box<dyn Fn(&str) -> TransportParams>;

/// Whether the flush service keeps a list for a domain (`fast_flush_domains`).
pub type IsFlushable = Box<dyn Fn(&[u8]) -> bool>;

/// What is to be reported at the end of an attempt, and how far that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Recipients are being delivered.
    Delivering,
    /// Waiting for the non-delivery report.
    Bouncing,
    /// Waiting for the delivery report.
    Tracing,
    /// Waiting for the report about expired mail.
    Expiring,
    /// Waiting for the delay warning.
    Warning,
}

/// A message in the active queue.
pub struct Message {
    id: QueueId,
    /// `Incoming` at the first try when nothing makes it wait, else `Active`.
    queue: QueueName,
    /// Without its recipients: these are in the scheduler.
    envelope: Envelope,
    began: SystemTime,
    transports: Vec<Key<Transport>>,
    /// Recipients read from the file so far.
    read: u32,
    /// Recipients in the scheduler or at the agents.
    open: u32,
    /// Entries at the agents.
    busy: u32,
    last_read: Instant,
    resolving: bool,
    writing: bool,
    logs: Vec<(LogName, LogRecord)>,
    marks: Vec<u64>,
    stage: Stage,
    /// Some recipient is to be tried again.
    deferred: bool,
    /// There is (or may be) a file in `bounce`, `trace`, `defer`.
    bounce_log: bool,
    trace_log: bool,
    defer_log: bool,
    /// A flush was asked: `defer_transports` does not hold it up, dead destinations are tried.
    flush: bool,
    revive: bool,
    /// Bounced by cleanup: nothing but the report is to be done, and the log says nothing of it.
    settled: bool,
}

impl Message {
    fn probe(&self) -> bool {
        use posthaste_ipc::delivery::{TRACE_PROBE, TRACE_VERIFY};
        self.envelope.trace_flags & (TRACE_VERIFY | TRACE_PROBE) != 0
    }

    /// The trace flags of its requests.
    fn request_flags(&self, settings: &Settings) -> u32 {
        let cleared = self.envelope.warned && settings.confirm_delay_cleared;
        self.envelope.trace_flags | if cleared { posthaste_ipc::delivery::TRACE_DELAY_CLEARED } else { 0 }
    }
}

/// See the module's text.
pub struct Manager<R> {
    queue: Queue,
    settings: Settings,
    resolver: R,
    params: ParamsOf,
    flushable: IsFlushable,
    log: Logger,
    /// Writes the lines of the error service for mail that is not even tried.
    error: Reporter,
    /// Writes delivery lines of our own.
    own: Reporter,
    sched: Scheduler,
    messages: Slab<Message>,
    by_id: HashMap<QueueId, Key<Message>>,
    /// Entries at the agents, by number.
    sent: HashMap<u64, Key<crate::sched::Entry>>,
    recipients: usize,
    probes: usize,
    actions: VecDeque<Action>,
    /// Admitted in `incoming`, oldest first, with the time when they are moved to `active` if they are still waiting.
    fresh: VecDeque<(Instant, Key<Message>)>,
    /// Want more recipients read.
    hungry: VecDeque<Key<Message>>,
    deferred: Deferred,
    incoming: intake::Incoming,
    scan: intake::DeferredScan,
    /// Deferred while a flush was going through `deferred`, so that it does not meet them again.
    deferred_in_scan: HashSet<QueueId>,
    /// Finished after a scan of `incoming` found them: their announcement may still come.
    recent: intake::Recent,
    /// Could not be moved to `deferred`; to be tried again at that time.
    stuck: Vec<(QueueName, QueueId, SystemTime)>,
    stuck_at: Option<Instant>,
    turn: bool,
    draining: bool,
    /// When to look again for a destination that clogs the active queue.
    clog_next: Option<Instant>,
}

/// What a [`Manager`] is made of.
pub struct Parts<R> {
    /// The queue.
    pub queue: Queue,
    /// Parameters.
    pub settings: Settings,
    /// Where mail goes.
    pub resolver: R,
    /// Parameters of a transport by its name.
    pub params: ParamsOf,
    /// Whether a domain is in `fast_flush_domains`.
    pub flushable: IsFlushable,
    /// As `postfix/qmgr`.
    pub log: Logger,
    /// As `postfix/error`.
    pub error: Reporter,
    /// As `postfix/qmgr`.
    pub own: Reporter,
}

impl<R: Resolver> Manager<R> {
    /// An empty queue manager.
    pub fn new(parts: Parts<R>) -> Manager<R> {
        let Parts { queue, settings, resolver, params, flushable, log, error, own } = parts;
        let mut sched = Scheduler::new(settings.minimal_backoff_time, settings.transport_retry_time, settings.qmgr_message_recipient_limit);
        sched.set_verbose(settings.destination_concurrency_feedback_debug);
        Manager {
            queue,
            settings,
            resolver,
            params,
            flushable,
            log,
            error,
            own,
            sched,
            messages: Slab::default(),
            by_id: HashMap::new(),
            sent: HashMap::new(),
            recipients: 0,
            probes: 0,
            actions: VecDeque::new(),
            fresh: VecDeque::new(),
            hungry: VecDeque::new(),
            deferred: Deferred::default(),
            incoming: intake::Incoming::default(),
            scan: intake::DeferredScan::default(),
            deferred_in_scan: HashSet::new(),
            recent: intake::Recent::default(),
            stuck: Vec::new(),
            stuck_at: None,
            turn: false,
            draining: false,
            clog_next: None,
        }
    }

    /// The next thing to do for the outside.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The name of a transport, which is that of its socket.
    pub fn transport_name(&self, transport: Key<Transport>) -> Rc<str> {
        self.sched.name(transport).clone()
    }

    /// Does a bounded amount of what can be done now. `true`: there is more; call again (after looking at other events).
    pub fn step(&mut self, now: Instant) -> bool {
        const SOME: usize = 100;
        self.sched.tick(now);
        for _ in 0..SOME {
            let Some(suspended) = self.sched.suspended() else { break };
            self.suspended(now, suspended);
        }
        if !self.stuck.is_empty() {
            self.move_stuck(now);
        }
        let mut more = false;
        if !self.draining {
            // Before anything is sent, so that deliveries are as large as they may be.
            more |= self.feed_some(now);
            for _ in 0..SOME {
                if !self.dispatch(now) {
                    break;
                }
            }
            more |= self.take_in(now);
            more |= self.feed_some(now);
            while self.dispatch(now) {}
            self.settle_fresh(now);
        }
        more || self.sched.has_suspended()
    }

    /// When [`Manager::step`] is to be called next if nothing happens before.
    pub fn next_wake(&self) -> Option<Instant> {
        [self.sched.next_timer(), self.scan.at(), self.incoming.at(), self.stuck_at, self.fresh.front().map(|(at, _)| *at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes in nothing more and sends nothing more; what is at the agents is finished. True when nothing is left to wait for.
    pub fn drain(&mut self) -> bool {
        self.draining = true;
        self.sent.is_empty() && self.messages.iter().all(|(_, m)| !m.writing && m.stage == Stage::Delivering)
    }

    /// Has written what is known of deliveries that are still going on, because their end will not be waited for.
    pub fn write_results(&mut self) {
        let keys: Vec<_> = self.messages.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.write(key));
    }

    /// Whether results are being written.
    pub fn is_writing(&self) -> bool {
        self.messages.iter().any(|(_, message)| message.writing)
    }

    /// How many messages are active.
    pub fn active(&self) -> usize {
        self.messages.len()
    }

    fn has_room(&self) -> bool {
        self.messages.len() < self.settings.qmgr_message_active_limit
    }

    /// Whether the process may end without losing anything that it would have to build up again at some cost.
    pub fn idle(&self) -> bool {
        self.messages.is_empty() && self.deferred.is_empty() && self.scan.is_idle()
    }
}

/// An iterator over a queue directory.
type Walk = Option<Scan>;
