//! What became of recipients: log records, marks, feedback for the scheduler.

use super::{Action, Manager, Message, Resolver, Stage, Work};
use crate::sched::{Entry, Feedback, Suspended, Transport};
use crate::slab::Key;
use posthaste_config::system_reason;
use posthaste_delivery::records::{Records, records};
use posthaste_delivery::{Over, Timing};
use posthaste_ipc::delivery::{Done, Dsn, Outcome, Report, Request, TRACE_PROBE, TRACE_VERIFY};
use posthaste_log::{info, warn};
use posthaste_queue::log::{LogName, LogRecord};
use posthaste_queue::{QueueName, Recipient};
use std::io::ErrorKind;
use std::time::Instant;

impl<R: Resolver> Manager<R> {
    /// An agent finished one recipient of the request with this number.
    pub fn report(&mut self, number: u64, report: Report) {
        let Some(&entry) = self.sent.get(&number) else { return };
        let Some(e) = self.sched.entry_mut(entry) else { return };
        let message = Key::from_number(e.message);
        if let Some(part) = &report.part {
            if e.reported.get(report.recipient as usize) == Some(&false) {
                let part = part.clone();
                self.result(message, &part, report);
            }
            return;
        }
        // An agent that reports twice is believed the first time.
        let Some(slot) = e.reported.get_mut(report.recipient as usize) else { return };
        if std::mem::replace(slot, true) {
            return;
        }
        let Some(recipient) = e.recipients.get(report.recipient as usize) else { return };
        let quiet = report.marked && report.outcome == Outcome::Sent;
        if let (true, Some(m)) = (quiet, self.messages.get_mut(message))
            && m.envelope.trace_flags & TRACE_VERIFY == 0
        {
            // The usual case: nothing is left to do.
            m.open = m.open.saturating_sub(1);
            self.recipients = self.recipients.saturating_sub(1);
            return;
        }
        let recipient = recipient.clone();
        self.result(message, &recipient, report);
    }

    /// An agent finished the request with this number.
    pub fn delivered(&mut self, now: Instant, number: u64, done: Done) {
        let feedback = match done.destination_failed {
            None => Feedback::Good,
            Some(dsn) => Feedback::Failed(dsn),
        };
        self.finished(now, number, feedback, simple_lost());
    }

    /// The connection to an agent broke before it had finished this request.
    pub fn lost(&mut self, now: Instant, number: u64) {
        self.finished(now, number, Feedback::Unknown, simple_lost());
    }

    /// The request with this number could not be sent: its transport cannot be reached ([`Manager::transport_failed`]).
    pub fn unsent(&mut self, now: Instant, number: u64) {
        self.finished(now, number, Feedback::Unknown, super::assign::simple("4.3.0", "mail transport unavailable"));
    }

    /// The transport's service cannot be reached, or broke. The requests that were sent to it are given back with [`Manager::lost`].
    pub fn transport_failed(&mut self, now: Instant, transport: Key<Transport>) {
        self.sched.transport_failed(now, transport, super::assign::simple("4.3.0", "mail transport unavailable"));
    }

    fn finished(&mut self, now: Instant, number: u64, feedback: Feedback, silent: Dsn) {
        let Some(entry) = self.sent.remove(&number) else { return };
        let Some(Entry { message, recipients, reported, .. }) = self.sched.done(now, entry, feedback) else { return };
        for note in self.sched.notes() {
            info!(self.log, "{note}");
        }
        let key = Key::from_number(message);
        if let Some(message) = self.messages.get_mut(key) {
            message.busy -= 1;
        }
        // Whom the agent said nothing about was not delivered as far as anyone knows.
        for (recipient, _) in recipients.into_iter().zip(reported).filter(|(_, reported)| !reported) {
            self.refuse(key, recipient, Outcome::Deferred, silent.clone());
        }
        self.advance(now, key);
        if self.messages.get(key).is_some_and(|message| message.busy == 0 && message.open > 0) {
            self.may_wait(now, key);
        }
    }

    /// Entries whose destination was found dead while they waited.
    pub(super) fn suspended(&mut self, now: Instant, suspended: Suspended) {
        let key = Key::from_number(suspended.message);
        for recipient in suspended.recipients {
            self.refuse(key, recipient, Outcome::Deferred, (*suspended.dsn).clone());
        }
        self.advance(now, key);
    }

    /// Defers or bounces a recipient without asking an agent; logs as the error service does.
    pub(super) fn refuse(&mut self, key: Key<Message>, recipient: Recipient, outcome: Outcome, dsn: Dsn) {
        let now = self.queue.clock.now();
        let Some(request) = self.quiet_request(key, recipient) else { return };
        let timing = Timing { started: now, connected: None };
        let over: Over<'_> = self.error.over(1, None);
        let report = match outcome {
            Outcome::Bounced => over.bounced(&request, 0, b"none".into(), timing, dsn),
            _ => over.deferred(&request, 0, b"none".into(), timing, dsn),
        };
        if let Some(recipient) = request.recipients.first() {
            self.result(key, recipient, report);
        }
    }

    /// Mail for `double-bounce` ends here, or bounces of bounces would go round for ever (qmgr(8)).
    pub(super) fn discard(&mut self, key: Key<Message>, recipient: Recipient) {
        let now = self.queue.clock.now();
        let Some(request) = self.quiet_request(key, recipient) else { return };
        let timing = Timing { started: now, connected: None };
        let dsn = super::assign::simple("2.0.0", "undeliverable postmaster notification discarded");
        let report = self.own.sent(&request, 0, b"none".into(), timing, dsn);
        if let Some(recipient) = request.recipients.first() {
            self.result(key, recipient, report);
        }
    }

    /// A request that goes nowhere, for the log line of a recipient.
    fn quiet_request(&self, key: Key<Message>, recipient: Recipient) -> Option<Request> {
        let message = self.messages.get(key)?;
        let envelope = &message.envelope;
        Some(Request {
            queue: message.queue,
            id: message.id.clone(),
            nexthop: Default::default(),
            content_offset: 0,
            content_length: 0,
            message_size: 0,
            encoding: Default::default(),
            sender: envelope.sender.clone(),
            sender_options: 0,
            envelope_id: Default::default(),
            ret: 0,
            probe: message.probe(),
            trace_flags: message.request_flags(&self.settings),
            origin: Default::default(),
            arrival: envelope.arrival,
            created: envelope.created,
            active: message.began,
            cache_load: false,
            cache_store: false,
            recipients: vec![recipient],
        })
    }

    /// Takes the result of one recipient: what is to be logged is kept until the next write.
    fn result(&mut self, key: Key<Message>, recipient: &Recipient, report: Report) {
        let Some(message) = self.messages.get_mut(key) else { return };
        // An address that a recipient was expanded to is logged, and changes nothing for the recipient.
        let (outcome, whole) = (report.outcome, report.part.is_none());
        if whole {
            message.open = message.open.saturating_sub(1);
            self.recipients = self.recipients.saturating_sub(1);
        }
        let flags = message.request_flags(&self.settings);
        if flags & TRACE_VERIFY != 0 {
            if whole && report.dsn.reason.is_empty() {
                return; // All has been told in parts.
            }
            // What was asked for, and what rewriting made of it.
            let address = report.part.as_ref().map_or(&recipient.address, |part| &part.address);
            let original = Some(&recipient.original).filter(|original| !original.is_empty() && *original != address);
            for address in original.into_iter().chain([address]) {
                self.actions.push_back(Action::Probed { address: address.clone(), outcome, text: report.dsn.reason.clone() });
            }
            return;
        }
        if outcome == Outcome::Deferred && flags & TRACE_PROBE == 0 {
            message.deferred |= whole;
            if let Some(domain) = recipient.address.domain()
                && (self.flushable)(domain)
            {
                self.actions.push_back(Action::Flushable { site: domain.into(), id: message.id.clone() });
            }
        }
        let Records { logs, mark } = records(flags, recipient, report, self.settings.postmaster_copies);
        message.marks.extend(mark);
        for (log, record) in logs {
            match log {
                LogName::Bounce => message.bounce_log = true,
                LogName::Defer => message.defer_log = true,
                LogName::Trace => message.trace_log = true,
            }
            message.logs.push((log, record));
        }
    }

    /// Writes what results have left to write. Logs of deferred recipients need no sync and are written here; else it is work for another thread.
    pub(super) fn write(&mut self, key: Key<Message>) {
        let Some(message) = self.messages.get_mut(key) else { return };
        if message.writing || (message.logs.is_empty() && message.marks.is_empty()) {
            return;
        }
        let mut logs: Vec<(LogName, Vec<LogRecord>)> = Vec::new();
        for (log, record) in message.logs.drain(..) {
            match logs.iter_mut().find(|(name, _)| *name == log) {
                Some((_, records)) => records.push(record),
                None => logs.push((log, vec![record])),
            }
        }
        let work = Work {
            id: message.id.clone(),
            queue: message.queue,
            marks: std::mem::take(&mut message.marks),
            compatible: self.settings.backwards_bounce_logfile_compatibility,
            logs,
        };
        if work.logs.iter().all(|(log, _)| *log == LogName::Defer) {
            // A file that is gone was removed by the administrator; the end of the attempt finds out.
            if let Err(error) = work.run(&self.queue)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                warn!(self.log, "{}: cannot write its defer log: {}", work.id, system_reason(&error));
            }
            return;
        }
        message.writing = true;
        self.actions.push_back(Action::Write { message: key, work: Box::new(work) });
    }

    /// The answer to [`Action::Write`].
    pub fn written(&mut self, now: Instant, key: Key<Message>, result: std::io::Result<()>) {
        let Some(message) = self.messages.get_mut(key) else { return };
        message.writing = false;
        if let Err(error) = result {
            if error.kind() == ErrorKind::NotFound && self.queue.stat(message.queue, &message.id).is_err() {
                // Removed or put on hold by the administrator while it was being delivered; its id must not be left with a log.
                let id = message.id.clone();
                if self.queue.stat(QueueName::Hold, &id).is_err() {
                    for log in [LogName::Bounce, LogName::Trace, LogName::Defer] {
                        if let Err(error) = self.queue.remove_log(log, &id) {
                            warn!(self.log, "{id}: cannot remove its {} log: {}", log.queue().as_str(), system_reason(&error));
                        }
                    }
                }
                return self.forget(now, key);
            }
            // The recipients are not marked: they are tried again and will fail again, which loses nothing. There may be no record of them to
            // report.
            let has_log = |log| self.queue.stat(log, &message.id).is_ok();
            (message.bounce_log, message.trace_log) = (has_log(QueueName::Bounce), has_log(QueueName::Trace));
            warn!(self.log, "{}: cannot record the results of its delivery: {}", message.id, system_reason(&error));
            message.deferred = true;
        }
        self.advance(now, key);
    }

    /// Whether anything of the message is still going on.
    pub(super) fn unfinished(message: &Message) -> bool {
        let going_on = message.open > 0 || message.busy > 0 || message.resolving || message.writing;
        going_on || message.envelope.more_at.is_some() || message.stage != Stage::Delivering
    }
}

/// The agent died, or spoke nonsense, before it had a result.
fn simple_lost() -> Dsn {
    super::assign::simple("4.3.0", "unknown mail transport error")
}
