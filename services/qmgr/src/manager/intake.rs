//! Taking messages into the active queue: announcements, scans of `incoming`, the deferred ones that are due.

use super::finish::FORCE_EXPIRE;
use super::{Manager, Message, Resolver, Stage, Walk};
use crate::slab::Key;
use posthaste_config::system_reason;
use posthaste_delivery::ShownAddress;
use posthaste_ipc::delivery::TRACE_VERIFY;
use posthaste_ipc::qmgr::NewMessage;
use posthaste_log::{info, warn};
use posthaste_queue::log::LogName;
use posthaste_queue::scan::Found;
use posthaste_queue::{CORRUPT, Envelope, QueueId, QueueName, ReadError};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A byte on the trigger socket (qmgr(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// `A`: the next scan of `deferred`, and one of `incoming` that is asked for with it, ignore time stamps.
    All,
    /// `F`: forget dead transports and destinations.
    FlushDead,
    /// `D`: scan `deferred`.
    Deferred,
    /// `I` or `W`: scan `incoming`.
    Incoming,
}

impl Trigger {
    /// `None` for a byte without meaning, which is ignored.
    pub fn from_byte(byte: u8) -> Option<Trigger> {
        Some(match byte {
            b'A' => Trigger::All,
            b'D' => Trigger::Deferred,
            b'F' => Trigger::FlushDead,
            b'I' | b'W' => Trigger::Incoming,
            _ => return None,
        })
    }
}

/// Group `r`: somebody wants this message's destinations tried even if they are dead.
const REVIVE: u32 = 0o040;

/// What is due in the second that `wall` is in, is due: times of the queue are whole seconds, as Postfix's are.
fn due_by(wall: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(wall) + 1) - Duration::from_nanos(1)
}

/// Whole seconds since 1970.
fn seconds(wall: SystemTime) -> u64 {
    wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
/// How often to look for a destination that clogs the active queue.
const CLOG_LOOK: Duration = Duration::from_secs(1);
/// A message that an agent of an earlier queue manager still delivers is looked at again after this time.
const BUSY_RETRY: Duration = Duration::from_secs(60);

/// The scan of `incoming`.
#[derive(Default)]
pub(super) struct Incoming {
    walk: Walk,
    again: bool,
    /// The scan going on, and the next one, ignore time stamps.
    flush: bool,
    flush_next: bool,
    /// A file that was met is not to be taken before this time.
    later: Option<Instant>,
}

impl Incoming {
    /// When a scan is due that nobody asked for.
    pub(super) fn at(&self) -> Option<Instant> {
        if self.walk.is_some() { None } else { self.later }
    }
}

/// The scan of `deferred`.
#[derive(Default)]
pub(super) struct DeferredScan {
    walk: Walk,
    /// The scan going on ignores time stamps; what it finds is tried at once.
    flush: bool,
    again: bool,
    /// The next scan ignores time stamps.
    flush_next: bool,
    /// The next queue run, in whole seconds since 1970: every `queue_run_delay`, what is due by then is taken.
    run: Option<u64>,
    /// When to look at the clock for it.
    at: Option<Instant>,
    /// What the run, or a scan, found to be due.
    due: VecDeque<QueueId>,
    /// Due for the scan going on.
    until: Option<SystemTime>,
    /// As they were when the last scan began.
    seen: HashMap<std::path::PathBuf, SystemTime>,
}

impl DeferredScan {
    /// Whether there is nothing left to try or to look at.
    pub(super) fn is_idle(&self) -> bool {
        self.due.is_empty() && self.walk.is_none()
    }

    /// When the next queue run is due.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }
}

impl DeferredScan {
    fn is_due(&self, at: SystemTime) -> bool {
        self.due.len() < crate::deferred::Deferred::LIMIT && self.until.is_some_and(|until| at <= until)
    }
}

/// The last few message ids that left the active queue after a scan had found them.
#[derive(Default)]
pub(super) struct Recent {
    order: VecDeque<QueueId>,
    ids: HashSet<QueueId>,
}

impl Recent {
    const LIMIT: usize = 1000;

    fn insert(&mut self, id: QueueId) {
        if self.ids.insert(id.clone()) {
            self.order.push_back(id);
        }
        if self.order.len() > Recent::LIMIT
            && let Some(old) = self.order.pop_front()
        {
            self.ids.remove(&old);
        }
    }
}

impl<R: Resolver> Manager<R> {
    /// At the start: what an earlier queue manager had in `active` goes back to `incoming`, to be taken in first.
    pub fn start(&mut self, now: Instant) {
        let wall = self.queue.clock.now();
        match self.queue.scan(QueueName::Active) {
            Err(error) => warn!(self.log, "cannot scan the active queue: {}", system_reason(&error)),
            Ok(scan) => {
                for found in scan {
                    let Ok(Found::File { id, path }) = found else { continue };
                    let to = self.queue.path(QueueName::Incoming, &id);
                    let moved = self.queue.disk.set_times(&path, wall).and_then(|()| self.queue.rename_path(&path, &to));
                    if let Err(error) = moved {
                        warn!(self.log, "cannot move {id} from active to incoming: {}", system_reason(&error));
                        self.stuck.push((QueueName::Active, id, wall));
                    }
                }
            }
        }
        self.trigger(now, &[Trigger::Incoming, Trigger::Deferred]);
    }

    /// What came on the trigger socket in one read; order and repetition do not matter (qmgr(8), TRIGGERS).
    pub fn trigger(&mut self, now: Instant, triggers: &[Trigger]) {
        let has = |trigger| triggers.contains(&trigger);
        if has(Trigger::All) {
            self.scan.flush_next = true;
            self.incoming.flush_next |= has(Trigger::Incoming);
        }
        if has(Trigger::FlushDead) {
            self.sched.flush();
        }
        if has(Trigger::Deferred) {
            match self.scan.walk {
                Some(_) => self.scan.again = true,
                None => self.begin_deferred_scan(now),
            }
        }
        if has(Trigger::Incoming) {
            match self.incoming.walk {
                Some(_) => self.incoming.again = true,
                None => self.begin_incoming_scan(),
            }
        }
    }

    fn begin_incoming_scan(&mut self) {
        self.incoming.again = false;
        self.incoming.flush = std::mem::take(&mut self.incoming.flush_next);
        self.incoming.later = None;
        match self.queue.scan(QueueName::Incoming) {
            Ok(scan) => self.incoming.walk = Some(scan),
            Err(error) => warn!(self.log, "cannot scan the incoming queue: {}", system_reason(&error)),
        }
    }

    fn begin_deferred_scan(&mut self, now: Instant) {
        let wall = self.queue.clock.now();
        self.set_run(now, seconds(wall) + self.settings.queue_run_delay.as_secs());
        let scan = &mut self.scan;
        scan.again = false;
        scan.flush = std::mem::take(&mut scan.flush_next);
        scan.until = Some(due_by(wall));
        self.deferred_in_scan.clear();
        self.scan.seen = self.deferred_directories();
        match self.queue.scan(QueueName::Deferred) {
            Ok(walk) => {
                if !self.scan.flush {
                    self.deferred.clear();
                }
                self.scan.walk = Some(walk);
            }
            Err(error) => warn!(self.log, "cannot scan the deferred queue: {}", system_reason(&error)),
        }
    }

    /// The directories below `deferred` with their times of change.
    fn deferred_directories(&self) -> HashMap<std::path::PathBuf, SystemTime> {
        let mut seen = HashMap::new();
        let mut todo = vec![std::path::PathBuf::from(QueueName::Deferred.as_str())];
        while let Some(directory) = todo.pop() {
            let Ok(stat) = self.queue.disk.stat(&directory) else { continue };
            if let Ok(names) = self.queue.disk.list(&directory) {
                // Files come after at most 36 subdirectories, if there are any; a flat directory is not read to its end.
                todo.extend(names.take(64).filter_map(|name| name.ok().filter(|name| name.len() == 1)).map(|name| directory.join(name)));
            }
            seen.insert(directory, stat.modified);
        }
        seen
    }

    /// A message was announced. When there is no room for it, a scan will find it.
    pub fn new_message(&mut self, now: Instant, new: NewMessage) {
        if self.draining || self.by_id.contains_key(&new.id) || self.recent.ids.contains(&new.id) {
            return;
        }
        match new.envelope {
            // One with more recipients than may be in memory is read from its file, in portions.
            Some(envelope) if self.has_room() && new.queue == QueueName::Incoming && envelope.recipients.len() <= self.first_portion() => {
                self.admit(now, new.id, QueueName::Incoming, envelope, false);
            }
            _ => self.trigger(now, &[Trigger::Incoming]),
        }
    }

    /// Takes in some messages. Returns whether there are more to take in now.
    pub(super) fn take_in(&mut self, now: Instant) -> bool {
        self.look_at_the_clock(now);
        if self.incoming.at().is_some_and(|at| at <= now) {
            self.begin_incoming_scan();
        }
        // The non-flush scan only fills the index, which takes no room.
        let mut more = self.index_some(now);
        for _ in 0..20 {
            self.warn_clog(now);
            if !self.has_room() {
                return more;
            }
            self.turn = !self.turn;
            // Turns, so that neither a backlog nor a flood of new mail holds up the other (qmgr(8), "fairness").
            let took = self.turn && self.take_incoming(now) || self.take_deferred(now) || !self.turn && self.take_incoming(now);
            if !took {
                return more;
            }
            more = true;
        }
        more
    }

    /// Starts the queue run when it is time. As in Postfix, time has whole seconds and is looked at whenever something happens, or when as
    /// many seconds have passed since then as were missing: with short delays an administrator sees the retries at the same moments.
    fn look_at_the_clock(&mut self, now: Instant) {
        let wall = seconds(self.queue.clock.now());
        let next = wall + self.settings.queue_run_delay.as_secs();
        // A clock that was set back must not put off the run.
        let run = self.scan.run.unwrap_or(next).min(next);
        if run > wall {
            self.set_run(now, run);
        } else {
            self.set_run(now, next);
            self.run_queue(now);
        }
    }

    /// The next queue run is at `run`, in whole seconds since 1970.
    fn set_run(&mut self, now: Instant, run: u64) {
        let missing = run.saturating_sub(seconds(self.queue.clock.now()));
        self.scan.run = Some(run);
        self.scan.at = Some(now + Duration::from_secs(missing));
    }

    /// What is due goes on the list of what is to be tried. The directories are scanned only if somebody changed them since the last time, or
    /// when the index does not reach far enough.
    fn run_queue(&mut self, now: Instant) {
        if self.scan.walk.is_some() {
            return;
        }
        let until = due_by(self.queue.clock.now());
        if self.deferred.needs_scan(until) || self.deferred_directories() != self.scan.seen {
            self.begin_deferred_scan(now);
            return;
        }
        while let Some(id) = self.deferred.pop(until) {
            self.scan.due.push_back(id);
        }
    }

    /// One file of `incoming`; `false` when there is none.
    fn take_incoming(&mut self, now: Instant) -> bool {
        loop {
            let Some(walk) = &mut self.incoming.walk else { return false };
            match walk.next() {
                None => {
                    self.incoming.walk = None;
                    if self.incoming.again {
                        self.begin_incoming_scan();
                    }
                }
                Some(Err(error)) => warn!(self.log, "cannot scan the incoming queue: {}", system_reason(&error)),
                Some(Ok(Found::Temporary(_))) => (),
                Some(Ok(Found::Bogus(path))) => warn!(self.log, "bogus file name: {}", path.display()),
                Some(Ok(Found::File { id, .. })) => {
                    if !self.by_id.contains_key(&id) && self.activate(now, id, QueueName::Incoming, self.incoming.flush) {
                        return true;
                    }
                }
            }
        }
    }

    /// One message that is due, or that a flush found; `false` when there is none.
    fn take_deferred(&mut self, now: Instant) -> bool {
        if self.scan.flush && self.scan.walk.is_some() {
            return self.take_flushed(now);
        }
        while let Some(id) = self.scan.due.pop_front() {
            if !self.by_id.contains_key(&id) && self.activate(now, id, QueueName::Deferred, false) {
                return true;
            }
        }
        false
    }

    fn take_flushed(&mut self, now: Instant) -> bool {
        loop {
            let Some(walk) = &mut self.scan.walk else { return false };
            match walk.next() {
                None => {
                    self.end_deferred_scan(now);
                    return false;
                }
                Some(Ok(Found::File { id, .. })) => {
                    let met = self.by_id.contains_key(&id) || self.deferred_in_scan.contains(&id);
                    if !met && self.activate(now, id, QueueName::Deferred, true) {
                        return true;
                    }
                }
                Some(Ok(_)) => (),
                Some(Err(error)) => warn!(self.log, "cannot scan the deferred queue: {}", system_reason(&error)),
            }
        }
    }

    fn end_deferred_scan(&mut self, now: Instant) {
        self.scan.walk = None;
        self.deferred_in_scan.clear();
        if self.scan.again {
            self.begin_deferred_scan(now);
        }
    }

    /// Fills the index from the scan going on.
    fn index_some(&mut self, now: Instant) -> bool {
        if self.scan.flush {
            return false;
        }
        for _ in 0..200 {
            let Some(walk) = &mut self.scan.walk else { return false };
            match walk.next() {
                None => {
                    self.end_deferred_scan(now);
                    return self.scan.walk.is_some();
                }
                Some(Ok(Found::File { id, path })) => match self.queue.disk.stat(&path) {
                    // More than the index holds is not taken at once, either; the next run finds the rest.
                    Ok(stat) if stat.is_complete() && self.scan.is_due(stat.modified) => self.scan.due.push_back(id),
                    Ok(stat) if stat.is_complete() => self.deferred.insert(stat.modified, id),
                    Ok(stat) if stat.mode & 0o777 == CORRUPT => self.set_aside(&id, QueueName::Deferred),
                    _ => (),
                },
                Some(Ok(Found::Bogus(path))) => warn!(self.log, "bogus file name: {}", path.display()),
                Some(Ok(Found::Temporary(_))) => (),
                Some(Err(error)) => warn!(self.log, "cannot scan the deferred queue: {}", system_reason(&error)),
            }
        }
        true
    }

    /// Moves a file to `active` and reads it. `false`: it is not to be taken now, or cannot.
    fn activate(&mut self, now: Instant, id: QueueId, from: QueueName, flush: bool) -> bool {
        let Ok(stat) = self.queue.stat(from, &id) else { return false };
        if stat.is_file && stat.mode & 0o777 == CORRUPT {
            self.set_aside(&id, from);
            return false;
        }
        if !stat.is_complete() {
            return false;
        }
        let wall = self.queue.clock.now();
        if !flush && stat.modified > due_by(wall) {
            if from == QueueName::Deferred {
                self.deferred.insert(stat.modified, id);
            } else {
                self.look_at_incoming(now + stat.modified.duration_since(wall).unwrap_or_default());
            }
            return false;
        }
        if let Err(error) = self.queue.rename(&id, from, QueueName::Active) {
            if error.kind() != ErrorKind::NotFound {
                warn!(self.log, "cannot move {id} from {} to active: {}", from.as_str(), system_reason(&error));
                // It is looked at again, for somebody will mend the disk.
                if from == QueueName::Deferred {
                    self.deferred.insert(wall + self.settings.minimal_backoff_time, id);
                } else {
                    self.look_at_incoming(now + self.settings.transport_retry_time);
                }
            }
            return false;
        }
        let limit = self.first_portion();
        let envelope = match self.queue.read_envelope(QueueName::Active, &id, limit) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.unreadable(&id, error);
                return false;
            }
        };
        // Records of failures or successes that were not reported before a crash.
        let has_log = |log| self.queue.disk.stat(&self.queue.path(log, &id)).is_ok();
        let (bounce_log, trace_log) = (has_log(QueueName::Bounce), has_log(QueueName::Trace));
        // `postsuper -e`: not even tried again. The reasons of the attempt before go into the report, if they are all there.
        if stat.mode & FORCE_EXPIRE != 0 && self.is_logged(&id, &envelope) {
            let key = self.admit(now, id, QueueName::Active, Envelope { recipients: Vec::new(), ..envelope }, false);
            if let Some(message) = self.messages.get_mut(key) {
                (message.deferred, message.defer_log) = (true, true);
                (message.bounce_log, message.trace_log) = (bounce_log, trace_log);
            }
            self.advance(now, key);
            return true;
        }
        // Of the attempt before; the reasons of this one will be others.
        if let Err(error) = self.queue.remove_log(LogName::Defer, &id) {
            warn!(self.log, "{id}: cannot remove its defer log: {}", system_reason(&error));
        }
        let revive = stat.mode & REVIVE != 0;
        if revive && let Err(error) = self.queue.set_mode(QueueName::Active, &id, stat.mode & 0o777 & !REVIVE) {
            warn!(self.log, "{id}: cannot change its mode: {}", system_reason(&error));
        }
        if from == QueueName::Incoming {
            self.recent.insert(id.clone());
        }
        // Cleanup bounced it: all that is to be done is the report.
        let settled = bounce_log && from == QueueName::Incoming && envelope.recipients.is_empty() && envelope.more_at.is_none();
        let key = self.admit(now, id, QueueName::Active, envelope, settled);
        if let Some(message) = self.messages.get_mut(key) {
            message.bounce_log |= bounce_log;
            message.trace_log |= trace_log;
            message.flush |= flush || revive;
            message.revive = revive;
        }
        self.open(now, key);
        true
    }

    /// The next scan of `incoming` is no later than `at`.
    fn look_at_incoming(&mut self, at: Instant) {
        self.incoming.later = Some(self.incoming.later.map_or(at, |later| later.min(at)));
    }

    /// Whether the log of deferred recipients has all that are still open.
    fn is_logged(&self, id: &QueueId, envelope: &Envelope) -> bool {
        let Ok(Some(log)) = self.queue.read_log(LogName::Defer, id) else { return false };
        let logged: HashSet<u64> = log.flatten().filter_map(|record| record.offset).collect();
        envelope.more_at.is_none() && envelope.recipients.iter().all(|r| r.offset.is_some_and(|offset| logged.contains(&offset)))
    }

    /// How many recipients to read at first (SCHEDULER_README, "Dealing with memory resource limits").
    fn first_portion(&self) -> usize {
        self.settings.qmgr_message_recipient_limit.saturating_sub(self.recipients).max(self.settings.qmgr_message_recipient_minimum)
    }

    /// Registers a message. For one that is in `incoming` also begins its delivery. One that is `settled` has no recipients left and was
    /// never seen here before: the log says nothing of it.
    fn admit(&mut self, now: Instant, id: QueueId, queue: QueueName, envelope: Envelope, settled: bool) -> Key<Message> {
        let wall = self.queue.clock.now();
        if !settled {
            info!(
                self.log,
                "{id}: from=<{}>, size={}, nrcpt={} (queue active)",
                ShownAddress::new(&envelope.sender, self.settings.style),
                envelope.message_size,
                envelope.recipient_count
            );
        }
        if envelope.trace_flags & TRACE_VERIFY != 0 {
            self.probes += 1;
        }
        let message = Message {
            id: id.clone(),
            queue,
            read: 0,
            began: wall,
            transports: Vec::new(),
            open: 0,
            busy: 0,
            last_read: now,
            resolving: false,
            writing: false,
            logs: Vec::new(),
            marks: Vec::new(),
            stage: Stage::Delivering,
            deferred: false,
            bounce_log: false,
            // Asked for a report of success, with nobody to send it to: the bounce service says so, as in Postfix.
            trace_log: envelope.sender.is_empty() && envelope.qmgr_hints & u32::from(2 * posthaste_queue::Notify::SUCCESS) != 0,
            defer_log: false,
            flush: false,
            settled,
            revive: false,
            envelope,
        };
        let key = self.messages.insert(message);
        self.by_id.insert(id, key);
        if queue == QueueName::Incoming {
            self.open(now, key);
            self.may_wait(now, key);
        }
        key
    }

    /// A file in `active` cannot be read.
    fn unreadable(&mut self, id: &QueueId, error: ReadError) {
        match error {
            ReadError::Locked => {
                info!(self.log, "{id}: skipped, still being delivered");
                self.put_off(id, QueueName::Active, self.queue.clock.now() + BUSY_RETRY);
            }
            ReadError::Corrupt(reason) => {
                warn!(self.log, "{id}: message rejected: {reason}");
                self.set_aside(id, QueueName::Active);
            }
            ReadError::Io(error) if error.kind() == ErrorKind::NotFound => (),
            ReadError::Io(error) => {
                warn!(self.log, "{id}: cannot read the queue file: {error}");
                self.put_off(id, QueueName::Active, self.queue.clock.now() + self.settings.minimal_backoff_time);
            }
            ReadError::Incomplete => warn!(self.log, "{id}: the queue file is not complete"),
        }
    }

    /// To `corrupt`, for people to look at.
    pub(super) fn set_aside(&mut self, id: &QueueId, from: QueueName) {
        warn!(self.log, "saving corrupt file \"{id}\" from queue \"{}\" to queue \"corrupt\"", from.as_str());
        if let Err(error) = self.queue.rename(id, from, QueueName::Corrupt) {
            warn!(self.log, "cannot save corrupt file {id}: {}", system_reason(&error));
        }
    }

    /// To `deferred`, not to be looked at before `until`. A file that is gone was removed or held by an administrator.
    pub(super) fn put_off(&mut self, id: &QueueId, from: QueueName, until: SystemTime) {
        // Whole seconds, as in Postfix; so the index agrees with what a scan would find.
        let until = UNIX_EPOCH + Duration::from_secs(until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        let moved = self.queue.set_time(from, id, until).and_then(|()| self.queue.rename(id, from, QueueName::Deferred));
        match moved {
            Ok(()) => {
                if self.scan.walk.is_some() {
                    self.deferred_in_scan.insert(id.clone());
                }
                self.deferred.insert(until, id.clone());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            Err(error) => {
                // A full disk has no room for a directory entry, either. It may not stay in `active`, where nobody would look for it.
                warn!(self.log, "cannot move {id} from {} to deferred: {}", from.as_str(), system_reason(&error));
                self.stuck.push((from, id.clone(), until));
            }
        }
    }

    /// Tries again to move what could not be moved to `deferred`.
    pub(super) fn move_stuck(&mut self, now: Instant) {
        if self.stuck_at.is_some_and(|at| at > now) {
            return;
        }
        for (from, id, until) in std::mem::take(&mut self.stuck) {
            self.put_off(&id, from, until);
        }
        self.stuck_at = if self.stuck.is_empty() { None } else { Some(now + self.settings.transport_retry_time) };
    }

    /// `qmgr_clog_warn_time`: one destination has more than a fifth of what the active queue may hold.
    fn warn_clog(&mut self, now: Instant) {
        let (every, limit) = (self.settings.qmgr_clog_warn_time, self.settings.qmgr_message_active_limit);
        let much = |number: usize| number.saturating_mul(5) > limit;
        if !much(self.messages.len()) || every.is_zero() || self.clog_next.is_some_and(|next| now < next) {
            return;
        }
        self.clog_next = Some(now + CLOG_LOOK.min(every));
        let Some((transport, nexthop, waiting)) = self.sched.most_waiting() else { return };
        if !much(waiting as usize) {
            return;
        }
        self.clog_next = Some(now + every);
        warn!(self.log, "mail for {nexthop} is using up {waiting} of {} active queue entries", self.messages.len());
        warn!(self.log, "mail for {nexthop} goes by transport {transport}: consider a separate master.cf entry for it in transport_maps");
        warn!(
            self.log,
            "please avoid flushing the whole queue when much mail is deferred; to turn off these warnings specify: qmgr_clog_warn_time = 0"
        );
    }
}
