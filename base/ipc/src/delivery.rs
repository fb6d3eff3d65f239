//! Between the queue manager and a delivery agent (`private/TRANSPORT`): one connection, many deliveries, told apart by request number.
//!
//! The queue manager sends [`Request`]; the agent answers one [`Report`] per recipient, in any order, as each is finished, and one
//! [`Done`]. A recipient without a report when the connection breaks was not delivered as far as anyone knows: it is deferred.
//!
//! Who marks: the agent marks a *sent* recipient done in the queue file before it reports it, unless the message is a probe or traced or
//! a success report was asked ([`Request::report_success`]): then the queue manager writes the `trace` record first and marks. All else
//! (bounce and defer logs, and then the mark) is the queue manager's. `Report::marked` is `true` when nothing is left to do for the recipient;
//! an agent that passed NOTIFY=SUCCESS on to a next hop that takes it clears that bit in its own copy of the recipient first.

use crate::wire::{Wire, WireError};
use crate::wire_struct;
use bstr::BString;
use posthaste_address::Address;
use posthaste_queue::{Notify, Origin, QueueId, QueueName, Recipient};
use std::time::SystemTime;

/// One delivery: recipients of one message that go to one next hop over one transport. Frame kind [`Request::FRAME`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the queue file")]
pub struct Request {
    pub queue: QueueName,
    pub id: QueueId,
    /// The next hop of the transport (`[mx.example.com]:25`, a domain, a text for error).
    pub nexthop: BString,
    pub content_offset: u64,
    pub content_length: u64,
    /// As in `size=`.
    pub message_size: u64,
    pub encoding: BString,
    /// Envelope sender; already VERP-expanded where asked.
    pub sender: Address,
    pub sender_options: u32,
    pub envelope_id: BString,
    pub ret: u8,
    /// Probe only (`sendmail -bv`, address verification): say what would happen, deliver nothing.
    pub probe: bool,
    /// The log and trace flags of the message (`trace_flags`).
    pub trace_flags: u32,
    pub origin: Origin,
    pub arrival: SystemTime,
    pub created: SystemTime,
    /// When the message entered the active queue.
    pub active: SystemTime,
    /// Connection cache hints from the queue manager.
    pub cache_load: bool,
    pub cache_store: bool,
    pub recipients: Vec<Recipient>,
}

impl Request {
    /// The frame kind of a request.
    pub const FRAME: u8 = 1;

    /// Whether a `trace` record is due for a delivered recipient before it may be marked done: probe, `sendmail -v`, NOTIFY=SUCCESS, or
    /// (`confirm_delay_cleared`) the sender was told of a delay that is over now.
    pub fn report_success(&self, recipient: &Recipient) -> bool {
        let notify = recipient.notify.0;
        let cleared = self.trace_flags & TRACE_DELAY_CLEARED != 0 && (notify == 0 || notify & Notify::DELAY != 0);
        self.probe || self.trace_flags & TRACE_RECORD != 0 || notify & Notify::SUCCESS != 0 || cleared
    }
}

/// `trace_flags`: probe of the verify service, deliver nothing.
pub const TRACE_VERIFY: u32 = 256;
/// `trace_flags`: `sendmail -bv`, report what would happen, deliver nothing.
pub const TRACE_PROBE: u32 = 512;
/// `trace_flags`: `sendmail -v`, deliver and report.
pub const TRACE_RECORD: u32 = 1024;

/// `trace_flags` of a request, never of a queue file: the sender was told of a delay, and wants to know when it is over.
pub const TRACE_DELAY_CLEARED: u32 = 1 << 16;

/// What became of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Delivered, passed on, or expanded: done.
    Sent,
    /// To be tried again.
    Deferred,
    /// Never.
    Bounced,
}

/// DSN fields of one result (RFC 3464), with the human text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dsn {
    /// `X.Y.Z`.
    pub status: String,
    /// `delivered`, `relayed`, `expanded`, `failed`, `delayed`, `deliverable`, `undeliverable`.
    pub action: String,
    /// `smtp`, `x-unix`, `X-Postfix`, or empty.
    pub diag_type: String,
    /// The reply or text that tells why, for `Diagnostic-Code:`.
    pub diag_text: BString,
    /// `dns` or empty.
    pub mta_type: String,
    /// The other system, for `Remote-MTA:`.
    pub mta_name: BString,
    /// The text in parentheses of the log line.
    pub reason: BString,
}

/// The result for one recipient. Frame kind [`Report::FRAME`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Index into [`Request::recipients`].
    pub recipient: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub dsn: Dsn,
    /// The agent has already marked the recipient done in the queue file.
    pub marked: bool,
    /// The text of `relay=`, where a `trace` record may be due ([`Request::report_success`]): reports say `delivery via RELAY: …`. Else empty.
    pub relay: BString,
    /// Set when this is the result for one address that the recipient was expanded to (alias, `.forward`): it goes into the recipient logs
    /// under this address, and does not finish the recipient. A last report without it does, with an empty `dsn.status` when all
    /// has been told by then.
    pub part: Option<Recipient>,
}

/// The end of one delivery. Frame kind [`Done::FRAME`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The destination as a whole did not work (no connection, bad greeting, 421): the queue manager counts it against the destination's
    /// concurrency and may stop trying it for a while. Holds why.
    pub destination_failed: Option<Dsn>,
}

/// Frame kind, from agent to queue manager, request number 0, one byte without meaning: the agent's process is about to go (reload, or long
/// idle). The queue manager sends no more requests on this connection, opens another for the next one, and closes this one when all
/// that it asked for on it is done. What is on its way when this is sent is still served.
pub const DRAINING: u8 = 4;

impl Report {
    /// The frame kind of a report.
    pub const FRAME: u8 = 2;
}

impl Done {
    /// The frame kind of the end.
    pub const FRAME: u8 = 3;
}

impl Wire for Outcome {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Outcome::Sent => 0,
            Outcome::Deferred => 1,
            Outcome::Bounced => 2,
        });
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            0 => Outcome::Sent,
            1 => Outcome::Deferred,
            2 => Outcome::Bounced,
            _ => return Err(WireError("not an outcome")),
        })
    }
}

wire_struct!(Request {
    queue,
    id,
    nexthop,
    content_offset,
    content_length,
    message_size,
    encoding,
    sender,
    sender_options,
    envelope_id,
    ret,
    probe,
    trace_flags,
    origin,
    arrival,
    created,
    active,
    cache_load,
    cache_store,
    recipients,
});
wire_struct!(Dsn { status, action, diag_type, diag_text, mta_type, mta_name, reason });
wire_struct!(Report { recipient, outcome, dsn, marked, relay, part });
wire_struct!(Done { destination_failed });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{envelope, id, round_trip};

    fn request() -> Request {
        let e = envelope();
        Request {
            queue: QueueName::Incoming,
            id: id(),
            nexthop: "[mx.example.com]:25".into(),
            content_offset: e.content_offset,
            content_length: e.content_length,
            message_size: e.message_size,
            encoding: e.encoding,
            sender: e.sender,
            sender_options: e.sender_options,
            envelope_id: e.envelope_id,
            ret: e.ret,
            probe: false,
            trace_flags: 0,
            origin: e.origin,
            arrival: e.arrival,
            created: e.created,
            active: e.arrival,
            cache_load: true,
            cache_store: false,
            recipients: e.recipients,
        }
    }

    fn dsn() -> Dsn {
        Dsn {
            status: "5.1.1".into(),
            action: "failed".into(),
            diag_type: "smtp".into(),
            diag_text: (&b"550 no \xff"[..]).into(),
            mta_type: "dns".into(),
            mta_name: "mx.example.com".into(),
            reason: "host said: 550 no".into(),
        }
    }

    #[test]
    fn round_trips() {
        assert_eq!(round_trip(&request()), request());
        for outcome in [Outcome::Sent, Outcome::Deferred, Outcome::Bounced] {
            let report = Report {
                recipient: 7,
                outcome,
                dsn: dsn(),
                marked: true,
                relay: "none".into(),
                part: Some(request().recipients[0].clone()),
            };
            assert_eq!(round_trip(&report), report);
        }
        assert_eq!(round_trip(&Done::default()), Done::default());
        let done = Done { destination_failed: Some(dsn()) };
        assert_eq!(round_trip(&done), done);
    }

    #[test]
    fn success_reports_are_due_for_probes_traces_and_notify() {
        let mut r = request();
        let quiet = Recipient { notify: Notify(0), ..r.recipients[0].clone() };
        let asked = Recipient { notify: Notify(Notify::SUCCESS | Notify::FAILURE), ..quiet.clone() };
        assert!(!r.report_success(&quiet));
        assert!(r.report_success(&asked));
        r.trace_flags = TRACE_RECORD;
        assert!(r.report_success(&quiet));
        r.trace_flags = TRACE_DELAY_CLEARED;
        assert!(r.report_success(&quiet));
        assert!(!r.report_success(&Recipient { notify: Notify(Notify::FAILURE), ..quiet.clone() }));
        r.trace_flags = 0;
        r.probe = true;
        assert!(r.report_success(&quiet));
    }
}
