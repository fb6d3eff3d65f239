//! The end of an attempt: reports are sent, then the message is removed or deferred.

use super::{Action, Manager, Message, Resolver, Stage};
use crate::slab::Key;
use posthaste_config::system_reason;
use posthaste_delivery::ShownAddress;
use posthaste_ipc::bounce::{Kind, Notice};
use posthaste_ipc::delivery::{TRACE_RECORD, TRACE_VERIFY};
use posthaste_log::{info, warn};
use posthaste_queue::CORRUPT;
use posthaste_queue::log::LogName;
use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

/// Group `x`: return this message to its sender if it cannot be delivered now (`postsuper -e`).
pub(super) const FORCE_EXPIRE: u32 = 0o010;

/// A delay warning that is due within this time is sent now, as in Postfix: its time has whole seconds.
const WARN_SLACK: Duration = Duration::from_secs(1);

impl<R: Resolver> Manager<R> {
    /// Goes on with a message after something of it has changed.
    pub(super) fn advance(&mut self, now: Instant, key: Key<Message>) {
        self.write(key);
        if !self.draining && self.wants_more(now, key) && !self.hungry.contains(&key) {
            self.hungry.push_back(key);
        }
        if self.messages.get(key).is_some_and(|message| !Self::unfinished(message)) {
            self.conclude(now, key);
        }
    }

    /// Asks for the next report that is due, or ends the attempt.
    fn conclude(&mut self, now: Instant, key: Key<Message>) {
        let Some(message) = self.messages.get_mut(key) else { return };
        let failure = if message.envelope.verp.is_empty() || self.settings.disable_verp_bounces { Kind::Failure } else { Kind::Verp };
        if message.bounce_log {
            message.stage = Stage::Bouncing;
            return self.notice(key, failure, false);
        }
        if message.trace_log {
            message.stage = Stage::Tracing;
            return self.notice(key, Kind::Trace, false);
        }
        if !message.deferred {
            return self.remove(now, key);
        }
        let wall = self.queue.clock.now();
        let age = wall.duration_since(message.envelope.created).unwrap_or_default();
        let lifetime =
            if message.envelope.sender.is_empty() { self.settings.bounce_queue_lifetime } else { self.settings.maximal_queue_lifetime };
        let mode = self.queue.stat(message.queue, &message.id).map_or(0, |stat| stat.mode & 0o777);
        if mode == CORRUPT {
            // An agent could not read it to its end.
            let (id, queue) = (message.id.clone(), message.queue);
            self.set_aside(&id, queue);
            return self.forget(now, key);
        }
        let forced = mode & FORCE_EXPIRE != 0;
        if forced || age >= lifetime {
            message.stage = Stage::Expiring;
            info!(
                self.log,
                "{}: from=<{}>, status={}, returned to sender",
                message.id,
                ShownAddress::new(&message.envelope.sender, self.settings.style),
                if forced { "force-expired" } else { "expired" }
            );
            return self.notice(key, failure, true);
        }
        if message.envelope.warn.is_some_and(|(at, _)| at <= wall + WARN_SLACK) && !message.envelope.sender.is_empty() {
            message.stage = Stage::Warning;
            return self.notice(key, Kind::Delay, false);
        }
        self.defer(now, key);
    }

    fn notice(&mut self, key: Key<Message>, kind: Kind, expired: bool) {
        let Some(message) = self.messages.get(key) else { return };
        let envelope = &message.envelope;
        let notice = Notice {
            kind,
            queue: message.queue,
            id: message.id.clone(),
            content_offset: envelope.content_offset,
            content_length: envelope.content_length,
            encoding: envelope.encoding.clone(),
            sender_options: envelope.sender_options,
            sender: envelope.sender.clone(),
            envelope_id: envelope.envelope_id.clone(),
            ret: envelope.ret,
            trace_flags: envelope.trace_flags,
            arrival: envelope.arrival,
            message_id: envelope.message_id.clone(),
            verp: if kind == Kind::Verp { envelope.verp.clone() } else { Default::default() },
            expired,
            record: None,
        };
        let service = match kind {
            Kind::Failure | Kind::Verp | Kind::One => &self.settings.bounce_service_name,
            Kind::Delay => &self.settings.defer_service_name,
            Kind::Trace => &self.settings.trace_service_name,
        };
        self.actions.push_back(Action::Notice { service: service.clone(), message: key, notice: Box::new(notice) });
    }

    /// The answer to [`Action::Notice`]: the report is in the queue (or none was due), or it could not be made.
    pub fn noticed(&mut self, now: Instant, key: Key<Message>, ok: bool) {
        let Some(message) = self.messages.get_mut(key) else { return };
        let stage = std::mem::replace(&mut message.stage, Stage::Delivering);
        match (stage, ok) {
            (Stage::Delivering, _) => return,
            (Stage::Bouncing, true) => message.bounce_log = false,
            (Stage::Tracing, true) => {
                message.trace_log = false;
                // `sendmail -v` reports once; later attempts are as those of other mail.
                if message.envelope.trace_flags == TRACE_RECORD
                    && let Some(offset) = message.envelope.trace_flags_at
                    && let Err(error) = self.queue.kill_record(message.queue, &message.id, offset)
                {
                    warn!(self.log, "{}: cannot say that its delivery was reported: {}", message.id, system_reason(&error));
                }
            }
            (Stage::Expiring, true) => return self.remove(now, key),
            (Stage::Warning, ok) => {
                if ok
                    && let Some((_, offset)) = message.envelope.warn
                    && let Err(error) = self.queue.mark_warned(message.queue, &message.id, offset)
                {
                    warn!(self.log, "{}: cannot say that the delay warning was sent: {}", message.id, system_reason(&error));
                }
                return self.defer(now, key);
            }
            // The records stay; the next attempt finds them and asks again.
            (Stage::Bouncing | Stage::Tracing | Stage::Expiring, false) => {
                let what = if stage == Stage::Tracing { "trace" } else { "bounce" };
                info!(self.log, "{}: status=deferred ({what} failed)", message.id);
                return self.defer(now, key);
            }
        }
        self.conclude(now, key);
    }

    /// All is done: logs first, so that none is left over, then the file.
    fn remove(&mut self, now: Instant, key: Key<Message>) {
        let Some(message) = self.messages.get(key) else { return };
        if message.defer_log
            && let Err(error) = self.queue.remove_log(LogName::Defer, &message.id)
        {
            warn!(self.log, "{}: cannot remove its defer log: {}", message.id, system_reason(&error));
        }
        match self.queue.remove(message.queue, &message.id) {
            Ok(()) if message.settled => (),
            Ok(()) => info!(self.log, "{}: removed", message.id),
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            Err(error) => {
                warn!(self.log, "{}: cannot remove: {}", message.id, system_reason(&error));
                // Nobody is left to deliver to; it is removed when it comes up again.
                self.stuck.push((message.queue, message.id.clone(), self.queue.clock.now()));
            }
        }
        self.forget(now, key);
    }

    /// To `deferred`, for a time as long as the message is old, within the limits.
    fn defer(&mut self, now: Instant, key: Key<Message>) {
        let Some(message) = self.messages.get(key) else { return };
        let wall = self.queue.clock.now();
        let until = retry_time(wall, message.envelope.created, self.settings.minimal_backoff_time, self.settings.maximal_backoff_time);
        let (id, queue) = (message.id.clone(), message.queue);
        self.put_off(&id, queue, until);
        self.forget(now, key);
    }

    /// Takes a message out of memory. What the scheduler still has of it (its file was removed by somebody else) goes too.
    pub(super) fn forget(&mut self, _now: Instant, key: Key<Message>) {
        let Some(message) = self.messages.remove(key) else { return };
        self.by_id.remove(&message.id);
        if message.envelope.trace_flags & TRACE_VERIFY != 0 {
            self.probes -= 1;
        }
        self.recipients = self.recipients.saturating_sub(message.open as usize);
        self.sched.withdraw(key.number(), &message.transports);
    }
}

/// `now` plus the age, clamped.
fn retry_time(now: SystemTime, created: SystemTime, minimum: Duration, maximum: Duration) -> SystemTime {
    now + now.duration_since(created).unwrap_or_default().clamp(minimum, maximum)
}
