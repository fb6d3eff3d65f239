//! Failures of the commands and files of a list with an `owner-` alias, and its loops: the owner hears of each at once, the author of the message
//! does not.

use crate::deliver::{Delivery, Target, for_member, relay};
use posthaste_config::system_reason;
use posthaste_delivery::records::records;
use posthaste_ipc::bounce::{Answer, Kind, Notice};
use posthaste_ipc::delivery::{Dsn, Outcome, Request};
use posthaste_ipc::wire::Wire;
use posthaste_log::warn;
use posthaste_queue::Recipient;
use posthaste_queue::log::{LogName, LogRecord};
use std::io;

impl Delivery<'_> {
    /// What `inner` stands for failed, as a part of `outer`.
    pub fn failed_below(&mut self, outer: &Target, inner: &Target, dsn: Dsn) {
        let for_now = dsn.status.starts_with('4');
        if !inner.owned || outer.owned || for_now || self.request.probe {
            return self.failed_with(outer, dsn);
        }
        self.expanded = true;
        let member = Recipient { offset: None, notify: for_member(outer.recipient.notify), ..outer.recipient.clone() };
        let part = Request { recipients: vec![member.clone()], sender: inner.sender.clone(), ..self.request.clone() };
        let report = self.local.reporter.bounced(&part, 0, relay(self.local), self.timing, dsn);
        if report.outcome != Outcome::Bounced {
            // `soft_bounce`, or a filter.
            return self.tell_part(member, report);
        }
        let due = records(part.trace_flags, &member, report, false).logs.into_iter().find(|(log, _)| *log == LogName::Bounce);
        if let Some((_, record)) = due
            && let Err(error) = self.tell_owner(&part, record)
        {
            warn!(self.local.log, "report to the owner by private/{}: {}", self.local.bounce_service, system_reason(&error));
            self.failed(outer, "4.3.0", "bounce failed");
        }
    }

    fn tell_owner(&self, part: &Request, record: LogRecord) -> io::Result<()> {
        let notice = Notice {
            kind: Kind::One,
            queue: part.queue,
            id: part.id.clone(),
            content_offset: part.content_offset,
            content_length: part.content_length,
            encoding: part.encoding.clone(),
            sender_options: part.sender_options,
            sender: part.sender.clone(),
            envelope_id: part.envelope_id.clone(),
            ret: part.ret,
            trace_flags: part.trace_flags,
            arrival: part.arrival,
            message_id: Default::default(),
            verp: Default::default(),
            expired: false,
            record: Some(record),
        };
        let mut reader = self.send_to(&self.local.bounce_service, Notice::FRAME, &notice)?;
        while let Some((kind, _, payload)) = reader.receive()? {
            if kind == Answer::FRAME {
                return match Answer::take(&mut payload.as_slice()).map_err(io::Error::other)? {
                    Answer { ok: true } => Ok(()),
                    Answer { ok: false } => Err(io::Error::other("the report could not be made")),
                };
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
