//! From the queue manager, or an agent, to the bounce service (`bounce_service_name`, `defer_service_name`, `trace_service_name`): send a report.
//!
//! The queue manager itself appends to the recipient logs in `bounce/`, `defer/` and `trace/`; the service reads the log, puts a notice
//! into the queue and removes the log where it is used up. It answers one [`Answer`]. Only after `ok` may the queue manager forget the recipients.

use crate::wire::{Wire, WireError};
use crate::wire_struct;
use bstr::BString;
use posthaste_address::Address;
use posthaste_queue::log::LogRecord;
use posthaste_queue::{QueueId, QueueName};
use std::time::SystemTime;

/// Which report is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Undeliverable recipients, from `bounce/ID` (for expired mail: from `defer/ID` as well). Removes `bounce/ID`.
    Failure,
    /// As `Failure`, with the sender of [`Notice::recipient`] expanded by the delimiters of [`Notice::verp`].
    Verp,
    /// Still being tried, from `defer/ID`, which stays.
    Delay,
    /// Success, expansion and probes, from `trace/ID`, which is removed.
    Trace,
    /// One undeliverable recipient, that of [`Notice::record`]: for the owner of a list, at once. There is no log.
    One,
}

/// A request for a report about one message. Frame kind [`Notice::FRAME`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the queue file")]
pub struct Notice {
    pub kind: Kind,
    /// Where the message's file is now.
    pub queue: QueueName,
    pub id: QueueId,
    pub content_offset: u64,
    pub content_length: u64,
    pub encoding: BString,
    pub sender_options: u32,
    pub sender: Address,
    pub envelope_id: BString,
    pub ret: u8,
    pub trace_flags: u32,
    pub arrival: SystemTime,
    /// With angle brackets; for `enable_threaded_bounces`.
    pub message_id: BString,
    /// Delimiters for `Kind::Verp`, else empty.
    pub verp: BString,
    /// The log of deferred recipients counts as undeliverable too: the message expired.
    pub expired: bool,
    /// For `Kind::One`.
    pub record: Option<LogRecord>,
}

impl Notice {
    /// The frame kind of the request.
    pub const FRAME: u8 = 10;
}

/// What became of a [`Notice`]. Frame kind [`Answer::FRAME`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The report is in the queue, or none is due.
    pub ok: bool,
}

impl Answer {
    /// The frame kind of the answer.
    pub const FRAME: u8 = 11;
}

impl Wire for Kind {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Kind::Failure => 0,
            Kind::Verp => 1,
            Kind::Delay => 2,
            Kind::Trace => 3,
            Kind::One => 4,
        });
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            0 => Kind::Failure,
            1 => Kind::Verp,
            2 => Kind::Delay,
            3 => Kind::Trace,
            4 => Kind::One,
            _ => return Err(WireError("not a kind of report")),
        })
    }
}

wire_struct!(Notice {
    kind,
    queue,
    id,
    content_offset,
    content_length,
    encoding,
    sender_options,
    sender,
    envelope_id,
    ret,
    trace_flags,
    arrival,
    message_id,
    verp,
    expired,
    record,
});
wire_struct!(LogRecord {
    recipient,
    original,
    offset,
    dsn_orcpt,
    notify,
    status,
    action,
    diag_type,
    diag_text,
    mta_type,
    mta_name,
    reason,
});
wire_struct!(Answer { ok });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{envelope, id, round_trip};

    #[test]
    fn notice_round_trip() {
        let e = envelope();
        for kind in [Kind::Failure, Kind::Verp, Kind::Delay, Kind::Trace, Kind::One] {
            let notice = Notice {
                kind,
                queue: QueueName::Active,
                id: id(),
                content_offset: 500,
                content_length: 12,
                encoding: "8bit".into(),
                sender_options: 1,
                sender: e.sender.clone(),
                envelope_id: "x".into(),
                ret: 2,
                trace_flags: 0,
                arrival: e.arrival,
                message_id: "<a@b>".into(),
                verp: "+=".into(),
                expired: true,
                record: Some(LogRecord { reason: "why".into(), offset: Some(7), ..LogRecord::default() }),
            };
            assert_eq!(round_trip(&notice), notice);
        }
        assert_eq!(round_trip(&Answer { ok: false }), Answer { ok: false });
        assert!(Kind::take(&mut &[5u8][..]).is_err());
    }
}
