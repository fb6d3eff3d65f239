//! Makes the reports that one request asks for. Runs on a thread that may block for the disk.

use crate::settings::{Settings, Text};
use bstr::{BStr, ByteSlice};
use posthaste_address::Address;
use posthaste_cleanup_protocol::{Accepted, Flags, Message, Profile, Rejected};
use posthaste_delivery::verp;
use posthaste_dsn::report::{Letter, Original, Purpose, Report};
use posthaste_ipc::bounce::{Kind, Notice};
use posthaste_ipc::delivery::{TRACE_PROBE, TRACE_RECORD};
use posthaste_ipc::qmgr::NewMessage;
use posthaste_log::{Logger, info, warn};
use posthaste_queue::commit::Committer;
use posthaste_queue::log::{LogName, LogReader, LogRecord};
use posthaste_queue::{Notify, Queue, QueueId, QueueName, ReadError, RecordType, Text as Line};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// SMTPUTF8 was asked for the message (`sender_options`).
const SMTPUTF8: u32 = 1;

/// What all requests share.
pub struct Notifier {
    /// The queue.
    pub queue: Queue,
    /// How new messages are made.
    pub profile: Arc<Profile>,
    /// Parameters.
    pub settings: Settings,
    /// As `postfix/bounce`.
    pub log: Logger,
}

/// What a request comes to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was asked for is in the queue, or nothing was due.
    pub ok: bool,
    /// For the queue manager.
    pub new: Vec<NewMessage>,
}

/// One report to be made.
struct Job<'a> {
    notice: &'a Notice,
    purpose: Purpose,
    logs: &'a [LogName],
    /// The one recipient that the report is about; `None` for all that are due.
    only: Option<&'a LogRecord>,
    sender: &'a Address,
    to: &'a Address,
    text: &'a Text,
    copy: bool,
    /// Words of the log line: `sender non-delivery`.
    what: &'static str,
}

/// What all reports of a request have in common.
#[derive(Clone, Copy)]
struct About<'a> {
    notice: &'a Notice,
    purpose: Purpose,
    logs: &'a [LogName],
}

impl<'a> About<'a> {
    /// `envelope`: sender, recipient, and whether this is a copy for the postmaster.
    fn job(self, envelope: (&'a Address, &'a Address, bool), text: &'a Text, what: &'static str) -> Job<'a> {
        let About { notice, purpose, logs } = self;
        let (sender, to, copy) = envelope;
        Job { notice, purpose, logs, only: None, sender, to, text, copy, what }
    }
}

enum Failure {
    Rejected,
    Io(std::io::Error),
}

impl From<Rejected> for Failure {
    fn from(_: Rejected) -> Failure {
        Failure::Rejected
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl Notifier {
    /// Makes the reports; on success what they were made of is removed, so that it is reported once. Blocks for the disk.
    pub fn run(&self, notice: &Notice) -> Outcome {
        let mut outcome = Outcome { ok: true, new: Vec::new() };
        let (purpose, logs): (_, &[LogName]) = match notice.kind {
            Kind::Failure | Kind::Verp if notice.expired => (Purpose::Failure, &[LogName::Bounce, LogName::Defer]),
            Kind::Failure | Kind::Verp => (Purpose::Failure, &[LogName::Bounce]),
            Kind::Delay => (Purpose::Delay, &[LogName::Defer]),
            Kind::Trace => (Purpose::Trace, &[LogName::Trace]),
            Kind::One => (Purpose::Failure, &[]),
        };
        self.reports(notice, purpose, logs, &mut outcome);
        if outcome.ok {
            for &log in logs {
                // The queue manager goes on writing the log of deferred recipients, and removes it.
                if log != LogName::Defer
                    && let Err(error) = self.queue.remove_log(log, &notice.id)
                {
                    warn!(self.log, "{}: cannot remove its {} log: {error}", notice.id, log.queue().as_str());
                }
            }
        }
        outcome
    }

    fn reports(&self, notice: &Notice, purpose: Purpose, logs: &[LogName], outcome: &mut Outcome) {
        let settings = &self.settings;
        // A log that is lost is no reason to keep silent about a failure (bounce(8)).
        let lost = notice.record.is_none() && !logs.iter().any(|&log| matches!(self.queue.read_log(log, &notice.id), Ok(Some(_))));
        if lost && purpose != Purpose::Failure && !(purpose == Purpose::Trace && notice.sender.is_empty()) {
            return;
        }
        // A copy for the postmaster is about all recipients, whatever the sender wants to know (as in Postfix).
        let any_due = lost || self.records(notice, purpose, logs, false).next().is_some();
        let any = lost || any_due || self.records(notice, purpose, logs, true).next().is_some();
        if notice.sender.as_bytes().eq_ignore_ascii_case(settings.double_bounce.as_bytes()) {
            match purpose {
                Purpose::Failure => warn!(self.log, "{}: undeliverable postmaster notification discarded", notice.id),
                Purpose::Trace => info!(self.log, "{}: not sending trace/success notification for double-bounce message", notice.id),
                Purpose::Delay => (),
            }
            return;
        }
        let null = Address::empty();
        let mut make = |job: Job<'_>, needed: bool| match self.make(&job) {
            Ok(None) => (),
            Ok(Some(new)) => outcome.new.push(new),
            Err(failure) => {
                // What cleanup refuses it has logged itself.
                if let Failure::Io(error) = failure {
                    warn!(self.log, "{}: {} notification failed: {error}", notice.id, job.what);
                }
                outcome.ok &= !needed;
            }
        };
        let about = About { notice, purpose, logs };
        let copy = |to| (&settings.double_bounce, to, true);
        match purpose {
            Purpose::Trace if notice.sender.is_empty() => {
                info!(self.log, "{}: not sending trace/success notification for single-bounce message", notice.id);
            }
            _ if !any => (),
            Purpose::Failure if notice.sender.is_empty() => {
                if let Some(to) = &settings.double_bounce_notice_recipient {
                    make(about.job(copy(to), &settings.failure, "postmaster non-delivery"), true);
                }
            }
            Purpose::Failure if notice.kind == Kind::Verp => {
                for record in self.records(notice, purpose, logs, true).flatten() {
                    let whom = if record.original.is_empty() { &record.recipient } else { &record.original };
                    let to = verp::expand(&notice.sender, whom, &notice.verp);
                    if due(&record, purpose) {
                        make(Job { only: Some(&record), ..about.job((&null, &to, false), &settings.failure, "sender non-delivery") }, true);
                    }
                    if let Some(to) = &settings.bounce_notice_recipient {
                        make(Job { only: Some(&record), ..about.job(copy(to), &settings.failure, "postmaster non-delivery") }, false);
                    }
                }
            }
            Purpose::Failure => {
                let job = about.job((&null, &notice.sender, false), &settings.failure, "sender non-delivery");
                if any_due {
                    make(job, true);
                } else {
                    // Nothing is lost if this fails.
                    let _ = self.write(&job, true, false);
                }
                if let Some(to) = &settings.bounce_notice_recipient {
                    make(about.job(copy(to), &settings.failure, "postmaster non-delivery"), false);
                }
            }
            _ if notice.sender.is_empty() => (),
            Purpose::Delay => {
                if any_due {
                    make(about.job((&null, &notice.sender, false), &settings.delay, "sender delay"), true);
                }
                if let Some(to) = &settings.delay_notice_recipient {
                    make(about.job(copy(to), &settings.delay, "postmaster delay"), false);
                }
            }
            Purpose::Trace => {
                let asked = notice.trace_flags & (TRACE_PROBE | TRACE_RECORD) != 0;
                let text = if asked { &settings.verify } else { &settings.success };
                make(about.job((&null, &notice.sender, false), text, "sender delivery status"), true);
            }
        }
    }

    /// The recipients that are due (with `all`: all there are), from all logs. What cannot be read is left out, with a warning.
    fn records<'a>(
        &'a self,
        notice: &'a Notice,
        purpose: Purpose,
        logs: &'a [LogName],
        all: bool,
    ) -> impl Iterator<Item = Result<LogRecord, std::io::Error>> + 'a {
        let given = notice.record.iter().cloned().map(Ok);
        let open = move |&log: &LogName| -> Option<LogReader> {
            self.queue.read_log(log, &notice.id).unwrap_or_else(|error| {
                warn!(self.log, "{}: cannot read its {} log: {error}", notice.id, log.queue().as_str());
                None
            })
        };
        given
            .chain(logs.iter().filter_map(open).flatten())
            .filter(move |record| record.as_ref().is_ok_and(|record| all || due(record, purpose)))
    }

    /// Makes one report and puts it into the queue, safely.
    fn make(&self, job: &Job<'_>) -> Result<Option<NewMessage>, Failure> {
        let notice = job.notice;
        // RFC 3461 §6.2: only failures return the content, and only if the sender did not decline. What the postmaster gets instead of an
        // unknown sender is whole.
        let copy = job.copy && !notice.sender.is_empty();
        let whole = job.purpose == Purpose::Failure && !copy && notice.ret != 2;
        let headers = !whole || notice.content_length > self.settings.bounce_size_limit;
        let Some((id, accepted)) = self.write(job, headers, true)? else { return Ok(None) };
        job.text.warn(&self.log);
        if let Some(file) = accepted.file {
            Committer::commit_now(file)?;
        }
        info!(self.log, "{}: {} notification: {id}", notice.id, job.what);
        // On hold, or discarded by a rule of the administrator's: nothing to announce.
        Ok(accepted.envelope.map(|envelope| NewMessage { queue: QueueName::Incoming, id, envelope: Some(envelope) }))
    }

    /// Writes the report, as far as anyone wants it: Postfix begins one before it finds out that the sender wants none, and gives it up; what
    /// remains is the line that cleanup logs about its message id.
    fn write(&self, job: &Job<'_>, headers: bool, wanted: bool) -> Result<Option<(QueueId, Accepted)>, Failure> {
        let notice = job.notice;
        let smtputf8 = notice.sender_options & SMTPUTF8 != 0;
        let flags =
            Flags { filter: self.settings.filter, milter: self.settings.filter, address_mappings: true, smtputf8, ..Flags::default() };
        let mut message = Message::begin(&self.profile, &self.queue, flags)?;
        let id = message.id().clone();
        let now = self.queue.clock.now();
        let original = Original {
            id: notice.id.clone(),
            sender: notice.sender.clone(),
            envelope_id: notice.envelope_id.clone(),
            message_id: notice.message_id.clone(),
            arrival: notice.arrival,
            smtputf8,
            encoding: notice.encoding.clone(),
        };
        let report = Report::new(&self.settings.report, job.purpose, &original, now);
        envelope(&mut message, job, now)?;
        let mut put = |line: &[u8]| message.record(RecordType::NORMAL, line.as_bstr());
        let letter = Letter {
            id: &id,
            now,
            from: &job.text.template.from,
            subject: match &job.text.template.postmaster_subject {
                Some(subject) if job.copy => subject,
                _ => &job.text.template.subject,
            },
            to: job.to,
            copy: job.copy,
            charset: &job.text.template.charset,
            text: if job.copy { "" } else { &job.text.text },
        };
        report.begin(&letter, &mut put)?;
        if !wanted {
            return Ok(None);
        }
        let mut any = false;
        self.each(job, &mut |record| {
            any = true;
            report.notice_recipient(record, &mut put)
        })?;
        if !any {
            report.notice_missing(&mut put)?;
        }
        report.status(&mut put)?;
        self.each(job, &mut |record| report.status_recipient(record, &mut put))?;
        report.message(headers, &mut put)?;
        if let Err(error) = self.copy(notice, headers, &mut message)? {
            warn!(self.log, "{}: cannot read the message: {error}", notice.id);
            report.message_missing(&mut |line| message.record(RecordType::NORMAL, line.as_bstr()))?;
        }
        report.end(&mut |line| message.record(RecordType::NORMAL, line.as_bstr()))?;
        message.record(RecordType::EXTRACTED, BStr::new(""))?;
        message.record(RecordType::END, BStr::new(""))?;
        Ok(Some((id, message.finish()?)))
    }

    fn each(&self, job: &Job<'_>, tell: &mut dyn FnMut(&LogRecord) -> Result<(), Rejected>) -> Result<(), Failure> {
        if let Some(record) = job.only {
            return Ok(tell(record)?);
        }
        for record in self.records(job.notice, job.purpose, job.logs, job.copy).flatten() {
            tell(&record)?;
        }
        Ok(())
    }

    /// Copies the message, or its headers; what was copied before an error stays.
    fn copy(&self, notice: &Notice, headers: bool, message: &mut Message) -> Result<Result<(), ReadError>, Failure> {
        let mut content = match self.queue.open_message(notice.queue, &notice.id, notice.content_offset) {
            Ok(content) => content,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let (kind, line) = match content.next() {
                Ok(None) => return Ok(Ok(())),
                Ok(Some(Line::Line(line))) if headers && line.is_empty() => return Ok(Ok(())),
                Ok(Some(Line::Line(line))) => (RecordType::NORMAL, line),
                Ok(Some(Line::Piece(piece))) => (RecordType::CONTINUED, piece),
                Err(error) => return Ok(Err(error)),
            };
            message.record(kind, line)?;
        }
    }
}

/// The envelope records of a report.
fn envelope(message: &mut Message, job: &Job<'_>, now: SystemTime) -> Result<(), Rejected> {
    let time = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut put = |kind: RecordType, payload: &[u8]| message.record(kind, payload.as_bstr());
    put(RecordType::TIME, format!("{} {}", time.as_secs(), time.subsec_micros()).as_bytes())?;
    put(RecordType::ATTRIBUTE, b"log_message_origin=local")?;
    put(RecordType::ATTRIBUTE, b"rewrite_context=local")?;
    // The message's; what the report's own header says is found there, or not (`detect_8bit_encoding_header`).
    if !job.notice.encoding.is_empty() {
        put(RecordType::ATTRIBUTE, &[b"encoding=", job.notice.encoding.as_slice()].concat())?;
    }
    put(RecordType::SENDER, job.sender.as_bytes())?;
    put(RecordType::RECIPIENT, job.to.as_bytes())?;
    put(RecordType::MESSAGE, b"")
}

/// RFC 3461 §4.1: whether the sender wants to know.
fn due(record: &LogRecord, purpose: Purpose) -> bool {
    let notify = record.notify.0;
    match purpose {
        Purpose::Failure => notify == 0 || notify & Notify::FAILURE != 0,
        Purpose::Delay => notify == 0 || notify & Notify::DELAY != 0,
        Purpose::Trace => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_selects_recipients() {
        let with = |notify| LogRecord { notify: Notify(notify), ..LogRecord::default() };
        assert!(due(&with(0), Purpose::Failure) && due(&with(0), Purpose::Delay));
        assert!(!due(&with(Notify::NEVER), Purpose::Failure) && !due(&with(Notify::NEVER), Purpose::Delay));
        assert!(due(&with(Notify::FAILURE), Purpose::Failure) && !due(&with(Notify::FAILURE), Purpose::Delay));
        assert!(due(&with(Notify::DELAY), Purpose::Delay) && !due(&with(Notify::DELAY), Purpose::Failure));
        assert!(due(&with(Notify::SUCCESS), Purpose::Trace));
    }
}
