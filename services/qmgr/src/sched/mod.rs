//! The scheduler: which batch of recipients goes to which delivery agent next. No I/O, no clock of its own (SCHEDULER_README).
//!
//! The structures are those of the README. A *transport* has *destinations* (the README's queues) and *jobs*; a job is one message on
//! one transport; a *peer* is one job at one destination; an *entry* is a batch of recipients of one peer: one delivery request.
//!
//! Selection: transports take turns; within a transport the first job in its order that has an entry for a destination with a free window
//! gives that entry; among such destinations of one job they take turns. The README walks lists and skips blocked jobs; here only
//! what can be selected is in `ready`, so that ten thousand jobs waiting for one slow destination cost nothing when they wait.
//!
//! Preemption: see [`preempt`].

pub mod feedback;
mod preempt;
#[cfg(test)]
mod tests;

use crate::slab::{Key, Slab};
use bstr::{BStr, BString};
use feedback::{Concurrency, Limits};
use posthaste_ipc::delivery::Dsn;
use posthaste_queue::Recipient;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What main.cf and master.cf say about a transport.
#[derive(Clone, Copy, Debug)]
pub struct TransportParams {
    /// `maxproc` of its entry: deliveries at one time; `None` is no limit.
    pub processes: Option<u32>,
    /// Concurrency of each destination.
    pub concurrency: Limits,
    /// `…_destination_recipient_limit`; 0 is no limit.
    pub recipients: u32,
    /// `…_destination_rate_delay`.
    pub rate_delay: Duration,
    /// `…_transport_rate_delay`.
    pub transport_rate_delay: Duration,
    /// `…_delivery_slot_cost`; 0 and 1 turn preemption off.
    pub slot_cost: u32,
    /// `…_delivery_slot_loan`.
    pub slot_loan: u32,
    /// `…_delivery_slot_discount`, percent.
    pub slot_discount: u32,
    /// `…_minimum_delivery_slots`.
    pub minimum_slots: u32,
    /// `…_recipient_limit`: recipients in memory.
    pub recipient_limit: u32,
    /// `…_extra_recipient_limit`.
    pub extra_recipient_limit: u32,
    /// `…_recipient_refill_limit`.
    pub refill_limit: u32,
    /// `…_recipient_refill_delay`.
    pub refill_delay: Duration,
}

impl Default for TransportParams {
    /// The defaults of main.cf.
    fn default() -> TransportParams {
        let feedback = feedback::Feedback::Constant(1.0);
        TransportParams {
            processes: Some(100),
            concurrency: Limits { initial: 5, limit: 20, positive: feedback, negative: feedback, cohorts: 1 },
            recipients: 50,
            rate_delay: Duration::ZERO,
            transport_rate_delay: Duration::ZERO,
            slot_cost: 5,
            slot_loan: 3,
            slot_discount: 50,
            minimum_slots: 3,
            recipient_limit: 20000,
            extra_recipient_limit: 1000,
            refill_limit: 100,
            refill_delay: Duration::from_secs(5),
        }
    }
}

/// A service of master.cf that delivers.
pub struct Transport {
    name: Rc<str>,
    params: TransportParams,
    destinations: HashMap<BString, Key<Destination>>,
    /// Jobs with entries not yet selected, in the order in which they are to be served.
    order: BTreeMap<u64, Key<Job>>,
    /// Destinations that may be served, by the order of their first job; the second number makes those of one job take turns.
    ready: BTreeMap<(u64, u64), Key<Destination>>,
    turn: u64,
    next_order: u64,
    current: Option<Key<Job>>,
    candidate: Option<preempt::Candidate>,
    busy: u32,
    recipients: u32,
    dead: Option<(Instant, Rc<Dsn>)>,
    not_before: Option<Instant>,
}

/// One next hop of one transport.
pub struct Destination {
    transport: Key<Transport>,
    name: BString,
    nexthop: BString,
    concurrency: Concurrency,
    peers: BTreeMap<u64, Key<Peer>>,
    busy: u32,
    ready: Option<(u64, u64)>,
    state: State,
    /// Entries waiting here.
    waiting: u32,
    /// The last delivery was asked to keep its connection.
    cached: bool,
}

enum State {
    Open,
    /// `…_destination_rate_delay` after a delivery.
    Resting,
    /// Not to be tried before the timer rings.
    Dead(Rc<Dsn>),
}

/// One message on one transport.
pub struct Job {
    message: u64,
    transport: Key<Transport>,
    order: u64,
    queued: Instant,
    peers: HashMap<Key<Destination>, Key<Peer>>,
    /// Entries not yet selected.
    waiting: u32,
    /// Entries selected so far.
    selected: u32,
    slots_used: u32,
    /// It was put before another job.
    passed: bool,
    /// At most so many more entries may come from recipients not yet read.
    unread: u32,
}

/// One job at one destination.
pub struct Peer {
    job: Key<Job>,
    destination: Key<Destination>,
    entries: VecDeque<Key<Entry>>,
}

/// A batch of recipients: one delivery request.
pub struct Entry {
    /// The number the caller gave its message.
    pub message: u64,
    /// Where it goes.
    pub destination: Key<Destination>,
    /// For whom.
    pub recipients: Vec<Recipient>,
    /// Which of them have been reported on.
    pub reported: Vec<bool>,
}

/// Recipients of one message for one destination.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The number the caller gave its message.
    pub message: u64,
    /// Over which transport.
    pub transport: Key<Transport>,
    /// Tells destinations apart: the next hop, or with a recipient limit of 1 the recipient.
    pub name: &'a BStr,
    /// Where the agent is to deliver.
    pub nexthop: &'a BStr,
    /// For whom.
    pub recipients: Vec<Recipient>,
    /// At most so many in one delivery; 0 is no limit.
    pub limit: usize,
    /// How many recipients of the message have not been read yet.
    pub unread: u32,
}

/// What [`Scheduler::next`] gives: send this entry now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The entry, until [`Scheduler::done`].
    pub entry: Key<Entry>,
    /// The number the caller gave its message.
    pub message: u64,
    /// More mail for this destination is waiting: keep the connection.
    pub cache_store: bool,
    /// An earlier delivery may have left a connection.
    pub cache_load: bool,
}

/// How a delivery went, for the destination as a whole.
#[derive(Clone, Debug)]
pub enum Feedback {
    /// The destination answered.
    Good,
    /// It did not: no connection, bad greeting.
    Failed(Dsn),
    /// Nothing is known (the agent died, nothing was tried).
    Unknown,
}

/// An entry that is not to be tried now.
#[derive(Clone, Debug)]
pub struct Suspended {
    /// Taken out of the scheduler: message and recipients.
    pub message: u64,
    /// For whom.
    pub recipients: Vec<Recipient>,
    /// Why.
    pub dsn: Rc<Dsn>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Destination(Key<Destination>),
    Transport(Key<Transport>),
}

/// See the module's text.
#[derive(Default)]
pub struct Scheduler {
    transports: Slab<Transport>,
    by_name: HashMap<Rc<str>, Key<Transport>>,
    round: VecDeque<Key<Transport>>,
    destinations: Slab<Destination>,
    jobs: Slab<Job>,
    peers: Slab<Peer>,
    entries: Slab<Entry>,
    job_of: HashMap<(u64, Key<Transport>), Key<Job>>,
    timers: BinaryHeap<(std::cmp::Reverse<Instant>, Timer)>,
    dead: usize,
    suspended: VecDeque<Suspended>,
    dead_time: Duration,
    transport_retry_time: Duration,
    dead_limit: usize,
    /// `destination_concurrency_feedback_debug`
    verbose: bool,
    notes: VecDeque<String>,
}

/// Room between two jobs in a transport's order, so that one can be put between; halved each time in the same place.
const GAP: u64 = 1 << 32;

impl Scheduler {
    /// `dead_time`: `minimal_backoff_time`, how long a destination stays dead; `transport_retry_time`; `dead_limit`: most dead destinations to
    /// remember (`qmgr_message_recipient_limit`).
    pub fn new(dead_time: Duration, transport_retry_time: Duration, dead_limit: usize) -> Scheduler {
        Scheduler { dead_time, transport_retry_time, dead_limit, ..Scheduler::default() }
    }

    /// Has [`Scheduler::notes`] taken down.
    pub fn set_verbose(&mut self, verbose: bool) {
        self.verbose = verbose;
    }

    /// The transport of that name; `params` is called when it is new.
    pub fn transport(&mut self, name: &str, params: impl FnOnce() -> TransportParams) -> Key<Transport> {
        if let Some(&key) = self.by_name.get(name) {
            return key;
        }
        let name: Rc<str> = Rc::from(name);
        let key = self.transports.insert(Transport {
            name: name.clone(),
            params: params(),
            destinations: HashMap::new(),
            order: BTreeMap::new(),
            ready: BTreeMap::new(),
            turn: 0,
            next_order: GAP,
            current: None,
            candidate: None,
            busy: 0,
            recipients: 0,
            dead: None,
            not_before: None,
        });
        self.by_name.insert(name, key);
        self.round.push_back(key);
        key
    }

    /// A transport's name.
    pub fn name(&self, transport: Key<Transport>) -> &Rc<str> {
        &self.transports[transport].name
    }

    /// A transport's parameters.
    pub fn params(&self, transport: Key<Transport>) -> &TransportParams {
        &self.transports[transport].params
    }

    /// How many more recipients of a message a transport may have in memory; negative when there are too many. A message that passed another
    /// one may use what is kept for such messages.
    pub fn recipients_left(&self, transport: Key<Transport>, message: u64) -> i64 {
        let t = &self.transports[transport];
        let passed = self.job_of.get(&(message, transport)).is_some_and(|&job| self.jobs[job].passed);
        let extra = if passed { t.params.extra_recipient_limit } else { 0 };
        i64::from(t.params.recipient_limit) + i64::from(extra) - i64::from(t.recipients)
    }

    /// Whether the transport is out of order, and why.
    pub fn dead_transport(&self, transport: Key<Transport>) -> Option<Rc<Dsn>> {
        self.transports[transport].dead.as_ref().map(|(_, dsn)| dsn.clone())
    }

    /// Whether a destination counts as dead, and why.
    pub fn dead_destination(&self, transport: Key<Transport>, name: &BStr) -> Option<Rc<Dsn>> {
        let key = self.transports[transport].destinations.get(name)?;
        match &self.destinations[*key].state {
            State::Dead(dsn) => Some(dsn.clone()),
            _ => None,
        }
    }

    /// Adds a batch; an entry of the same message that still waits for the same destination is filled first. The caller has made sure that neither
    /// transport nor destination is dead, and that the batch is within the recipient limit.
    pub fn add(&mut self, now: Instant, batch: Batch<'_>) -> Key<Entry> {
        let Batch { message, transport, name, nexthop, mut recipients, limit, unread } = batch;
        if let Some(filled) = self.fill(message, transport, name, &mut recipients, limit)
            && recipients.is_empty()
        {
            return filled;
        }
        let t = &mut self.transports[transport];
        t.recipients += recipients.len() as u32;
        let destination = match t.destinations.get(name) {
            Some(&key) => key,
            None => {
                let key = self.destinations.insert(Destination {
                    transport,
                    name: name.into(),
                    nexthop: nexthop.into(),
                    concurrency: Concurrency::new(&t.params.concurrency),
                    peers: BTreeMap::new(),
                    busy: 0,
                    ready: None,
                    state: State::Open,
                    waiting: 0,
                    cached: false,
                });
                t.destinations.insert(name.into(), key);
                key
            }
        };
        let job = match self.job_of.get(&(message, transport)) {
            Some(&key) => key,
            None => {
                let key = self.jobs.insert(Job {
                    message,
                    transport,
                    order: 0,
                    queued: now,
                    peers: HashMap::new(),
                    waiting: 0,
                    selected: 0,
                    slots_used: 0,
                    passed: false,
                    unread,
                });
                self.job_of.insert((message, transport), key);
                key
            }
        };
        let j = &mut self.jobs[job];
        j.unread = unread;
        if j.waiting == 0 {
            j.order = t.next_order;
            t.next_order += GAP;
            t.order.insert(j.order, job);
        }
        j.waiting += 1;
        let order = j.order;
        let entry = self.entries.insert(Entry { message, destination, reported: vec![false; recipients.len()], recipients });
        let peers = &mut self.peers;
        let peer = *j.peers.entry(destination).or_insert_with(|| peers.insert(Peer { job, destination, entries: VecDeque::new() }));
        let p = &mut self.peers[peer];
        p.entries.push_back(entry);
        let d = &mut self.destinations[destination];
        d.waiting += 1;
        d.peers.insert(order, peer);
        self.refresh(destination);
        entry
    }

    /// Moves recipients into the last entry of the message that waits for this destination, as far as there is room in it.
    fn fill(
        &mut self,
        message: u64,
        transport: Key<Transport>,
        name: &BStr,
        recipients: &mut Vec<Recipient>,
        limit: usize,
    ) -> Option<Key<Entry>> {
        let job = &self.jobs[*self.job_of.get(&(message, transport))?];
        let t = &mut self.transports[transport];
        let peer = job.peers.get(t.destinations.get(name)?)?;
        let last = *self.peers[*peer].entries.back()?;
        let entry = &mut self.entries[last];
        let room = if limit == 0 { recipients.len() } else { limit.saturating_sub(entry.recipients.len()).min(recipients.len()) };
        entry.recipients.extend(recipients.drain(..room));
        entry.reported.resize(entry.recipients.len(), false);
        t.recipients += room as u32;
        Some(last)
    }

    /// Puts a destination where it belongs in its transport's list of those that may be served, or takes it out.
    fn refresh(&mut self, key: Key<Destination>) {
        let d = &mut self.destinations[key];
        let t = &mut self.transports[d.transport];
        let first = match d.state {
            State::Open if d.busy < window(d, &t.params) => d.peers.first_key_value().map(|(&order, _)| order),
            _ => None,
        };
        if d.ready.map(|(order, _)| order) == first {
            return;
        }
        if let Some(old) = d.ready.take() {
            t.ready.remove(&old);
        }
        if let Some(order) = first {
            t.turn += 1;
            d.ready = Some((order, t.turn));
            t.ready.insert((order, t.turn), key);
        }
    }

    /// The next entry to deliver, if there is one that may be delivered now.
    pub fn next(&mut self, now: Instant) -> Option<Dispatch> {
        for _ in 0..self.round.len() {
            let key = *self.round.front()?;
            self.round.rotate_left(1);
            let t = &self.transports[key];
            let full = t.params.processes.is_some_and(|limit| t.busy >= limit);
            if full || t.dead.is_some() || t.ready.is_empty() || t.not_before.is_some_and(|at| at > now) {
                continue;
            }
            return self.select(now, key);
        }
        None
    }

    fn select(&mut self, now: Instant, transport: Key<Transport>) -> Option<Dispatch> {
        let (&(order, _), &first) = self.transports[transport].ready.first_key_value()?;
        let job = *self.transports[transport].order.get(&order)?;
        let (destination, job) = match self.preempt(now, transport, job) {
            Some(other) => {
                let (_, &destination) = self.transports[transport].ready.first_key_value()?;
                (destination, other)
            }
            None => (first, job),
        };
        let order = self.jobs[job].order;
        let d = &mut self.destinations[destination];
        let peer = *d.peers.get(&order)?;
        let p = &mut self.peers[peer];
        let entry = p.entries.pop_front()?;
        if p.entries.is_empty() {
            d.peers.remove(&order);
            self.peers.remove(peer);
            self.jobs[job].peers.remove(&destination);
        }
        d.busy += 1;
        d.waiting -= 1;
        let cache_load = d.cached;
        d.cached = d.waiting > 0;
        let cache_store = d.cached;
        let t = &mut self.transports[transport];
        t.busy += 1;
        t.current = Some(job);
        if !t.params.transport_rate_delay.is_zero() {
            let at = now + t.params.transport_rate_delay;
            t.not_before = Some(at);
            self.timers.push((std::cmp::Reverse(at), Timer::Transport(transport)));
        }
        let j = &mut self.jobs[job];
        j.selected += 1;
        j.waiting -= 1;
        if j.waiting == 0 {
            t.order.remove(&j.order);
            if j.unread == 0 {
                self.forget_job(job);
            }
        }
        // Its turn is over, even if it is first again: others of the same job come before it.
        if let Some(old) = self.destinations[destination].ready.take() {
            self.transports[transport].ready.remove(&old);
        }
        self.refresh(destination);
        Some(Dispatch { entry, message: self.entries[entry].message, cache_store, cache_load })
    }

    fn forget_job(&mut self, key: Key<Job>) {
        if let Some(job) = self.jobs.remove(key) {
            self.job_of.remove(&(job.message, job.transport));
        }
    }

    /// All recipients of the message have been read, or `unread` are still to be: what its jobs may yet need is known better.
    pub fn set_unread(&mut self, message: u64, transports: &[Key<Transport>], unread: u32) {
        for &transport in transports {
            let Some(&key) = self.job_of.get(&(message, transport)) else { continue };
            let job = &mut self.jobs[key];
            job.unread = unread;
            if unread == 0 && job.waiting == 0 {
                self.forget_job(key);
            }
        }
    }

    /// An entry, to make its request of it.
    pub fn entry(&self, entry: Key<Entry>) -> Option<&Entry> {
        self.entries.get(entry)
    }

    /// An entry, to take down what is reported of it.
    pub fn entry_mut(&mut self, entry: Key<Entry>) -> Option<&mut Entry> {
        self.entries.get_mut(entry)
    }

    /// The transport and next hop of a destination.
    pub fn destination(&self, destination: Key<Destination>) -> (Key<Transport>, &BStr) {
        let d = &self.destinations[destination];
        (d.transport, d.nexthop.as_ref())
    }

    /// A delivery ended: gives the entry back, and counts for the destination. Entries that now must wait come from [`Scheduler::suspended`].
    pub fn done(&mut self, now: Instant, entry: Key<Entry>, feedback: Feedback) -> Option<Entry> {
        let entry = self.entries.remove(entry)?;
        let key = entry.destination;
        let d = &mut self.destinations[key];
        let transport = d.transport;
        let t = &mut self.transports[transport];
        let busy = d.busy;
        d.busy -= 1;
        t.busy -= 1;
        t.recipients -= entry.recipients.len() as u32;
        let dead = matches!(d.state, State::Dead(_));
        match feedback {
            _ if dead => (),
            Feedback::Good => {
                let amount = d.concurrency.succeeded(&t.params.concurrency, busy);
                self.note("unthrottle", key, amount);
            }
            Feedback::Failed(dsn) => {
                let amount = d.concurrency.failed(&t.params.concurrency);
                self.note("throttle", key, amount);
                if amount.is_none() {
                    self.kill_destination(now, key, suspension(dsn));
                }
            }
            Feedback::Unknown => (),
        }
        let d = &mut self.destinations[key];
        if matches!(d.state, State::Open) && !self.transports[transport].params.rate_delay.is_zero() {
            d.state = State::Resting;
            let at = now + self.transports[transport].params.rate_delay;
            self.timers.push((std::cmp::Reverse(at), Timer::Destination(key)));
        }
        self.refresh(key);
        self.forget_if_idle(key);
        Some(entry)
    }

    fn forget_if_idle(&mut self, key: Key<Destination>) {
        let d = &self.destinations[key];
        if d.busy == 0 && d.waiting == 0 && matches!(d.state, State::Open) {
            self.transports[d.transport].destinations.remove(&d.name);
            self.destinations.remove(key);
        }
    }

    /// Takes the waiting entries of a destination out and remembers that it is dead.
    fn kill_destination(&mut self, now: Instant, key: Key<Destination>, dsn: Dsn) {
        let dsn = Rc::new(dsn);
        self.suspend(key, &dsn);
        let d = &mut self.destinations[key];
        d.concurrency.kill();
        if self.dead < self.dead_limit {
            self.dead += 1;
            d.state = State::Dead(dsn);
            self.timers.push((std::cmp::Reverse(now + self.dead_time), Timer::Destination(key)));
        } else {
            let params = &self.transports[d.transport].params;
            d.concurrency = Concurrency::new(&params.concurrency);
        }
        self.refresh(key);
    }

    fn suspend(&mut self, key: Key<Destination>, dsn: &Rc<Dsn>) {
        let d = &mut self.destinations[key];
        d.waiting = 0;
        let peers = std::mem::take(&mut d.peers);
        let transport = d.transport;
        for (_, peer) in peers {
            let Some(peer) = self.peers.remove(peer) else { continue };
            let job = &mut self.jobs[peer.job];
            job.peers.remove(&peer.destination);
            job.waiting -= peer.entries.len() as u32;
            if job.waiting == 0 {
                self.transports[transport].order.remove(&job.order);
                if job.unread == 0 {
                    self.forget_job(peer.job);
                }
            }
            for entry in peer.entries {
                if let Some(entry) = self.entries.remove(entry) {
                    self.transports[transport].recipients -= entry.recipients.len() as u32;
                    self.suspended.push_back(Suspended { message: entry.message, recipients: entry.recipients, dsn: dsn.clone() });
                }
            }
        }
        self.refresh(key);
    }

    /// The transport cannot be reached or broke: all that waits for it is suspended, and nothing is sent to it for `transport_retry_time`.
    pub fn transport_failed(&mut self, now: Instant, transport: Key<Transport>, dsn: Dsn) {
        let dsn = Rc::new(dsn);
        let keys: Vec<_> = self.transports[transport].destinations.values().copied().collect();
        for key in keys {
            self.suspend(key, &dsn);
            self.forget_if_idle(key);
        }
        let at = now + self.transport_retry_time;
        self.transports[transport].dead = Some((at, dsn));
        self.timers.push((std::cmp::Reverse(at), Timer::Transport(transport)));
    }

    /// Entries that were taken out because their destination or transport is dead, oldest first.
    pub fn suspended(&mut self) -> Option<Suspended> {
        self.suspended.pop_front()
    }

    /// Whether [`Scheduler::suspended`] has something to give.
    pub fn has_suspended(&self) -> bool {
        !self.suspended.is_empty()
    }

    /// Takes all waiting entries of a message out; those at the agents stay until they are done.
    pub fn withdraw(&mut self, message: u64, transports: &[Key<Transport>]) {
        for &transport in transports {
            let Some(&key) = self.job_of.get(&(message, transport)) else { continue };
            let job = &mut self.jobs[key];
            let (order, peers) = (job.order, std::mem::take(&mut job.peers));
            if job.waiting > 0 {
                self.transports[transport].order.remove(&order);
            }
            for (destination, peer) in peers {
                let Some(peer) = self.peers.remove(peer) else { continue };
                let d = &mut self.destinations[destination];
                d.peers.remove(&order);
                d.waiting -= peer.entries.len() as u32;
                for entry in peer.entries {
                    if let Some(entry) = self.entries.remove(entry) {
                        self.transports[transport].recipients -= entry.recipients.len() as u32;
                    }
                }
                self.refresh(destination);
                self.forget_if_idle(destination);
            }
            self.forget_job(key);
        }
    }

    /// When [`Scheduler::tick`] is to be called next.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|(at, _)| at.0)
    }

    /// Lets time pass: dead destinations and transports come back, rests end.
    pub fn tick(&mut self, now: Instant) {
        while self.timers.peek().is_some_and(|(at, _)| at.0 <= now) {
            let Some((_, timer)) = self.timers.pop() else { return };
            match timer {
                Timer::Destination(key) if self.destinations.get(key).is_some() => self.reopen(key),
                Timer::Transport(key) => {
                    let t = &mut self.transports[key];
                    if t.dead.as_ref().is_some_and(|(at, _)| *at <= now) {
                        t.dead = None;
                    }
                }
                Timer::Destination(_) => (),
            }
        }
    }

    fn reopen(&mut self, key: Key<Destination>) {
        let d = &mut self.destinations[key];
        if matches!(d.state, State::Dead(_)) {
            self.dead -= 1;
            d.concurrency = Concurrency::new(&self.transports[d.transport].params.concurrency);
        }
        d.state = State::Open;
        self.refresh(key);
        self.forget_if_idle(key);
    }

    /// Forgets all dead transports and destinations (the trigger `F`).
    pub fn flush(&mut self) {
        let dead: Vec<_> = self.destinations.iter().filter(|(_, d)| matches!(d.state, State::Dead(_))).map(|(key, _)| key).collect();
        dead.into_iter().for_each(|key| self.reopen(key));
        let transports: Vec<_> = self.round.iter().copied().collect();
        for key in transports {
            self.transports[key].dead = None;
        }
    }

    /// Forgets that this destination, or its transport, is dead (a message was flushed by name).
    pub fn flush_one(&mut self, transport: Key<Transport>, name: &BStr) {
        self.transports[transport].dead = None;
        if let Some(&key) = self.transports[transport].destinations.get(name)
            && matches!(self.destinations[key].state, State::Dead(_))
        {
            self.reopen(key);
        }
    }

    /// How many deliveries are running.
    pub fn busy(&self) -> u32 {
        self.round.iter().map(|&key| self.transports[key].busy).sum()
    }

    fn note(&mut self, what: &str, key: Key<Destination>, amount: Option<f64>) {
        if !self.verbose {
            return;
        }
        let d = &self.destinations[key];
        let limit = self.transports[d.transport].params.concurrency.limit;
        self.notes.extend(amount.map(|amount| format!("qmgr_queue_{what}: feedback {}", feedback::general(amount))));
        self.notes.push_back(format!("qmgr_queue_{what}: queue {}: limit {limit} {}", d.name, d.concurrency));
    }

    /// What `destination_concurrency_feedback_debug` wants in the log, oldest first.
    pub fn notes(&mut self) -> impl Iterator<Item = String> {
        self.notes.drain(..)
    }

    /// The destination with the most entries waiting: transport, next hop, number (for the clog warning).
    pub fn most_waiting(&self) -> Option<(&str, &BStr, u32)> {
        self.destinations
            .iter()
            .map(|(_, d)| d)
            .max_by_key(|d| d.waiting)
            .map(|d| (&*self.transports[d.transport].name, d.nexthop.as_ref(), d.waiting))
    }
}

/// Deliveries that may run at a time. With a rate delay there is but one.
fn window(d: &Destination, params: &TransportParams) -> u32 {
    if params.rate_delay.is_zero() { d.concurrency.window() } else { d.concurrency.window().min(1) }
}

/// What recipients are told whose destination others found dead.
fn suspension(mut dsn: Dsn) -> Dsn {
    dsn.reason = [b"delivery temporarily suspended: ", &dsn.reason[..]].concat().into();
    dsn
}
