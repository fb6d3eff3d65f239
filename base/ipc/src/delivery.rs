//! Between the queue manager and a delivery agent (`private/TRANSPORT`): one connection, many deliveries, told apart by request number.
//!
//! The queue manager sends [`Request`]; the agent answers one [`Report`] per recipient, in any order, as each is finished, and one
//! [`Done`]. A recipient without a report when the connection breaks was not delivered as far as anyone knows: it is deferred.
//!
//! Who marks: the agent marks a *sent* recipient done in the queue file before it reports it, unless a success report was asked
//! (`Request::report_success` for that recipient); all else (bounce, defer, trace logs, and then the mark) is the queue manager's.

use bstr::BString;
use posthaste_address::Address;
use posthaste_queue::{Origin, QueueId, QueueName, Recipient};
use std::time::SystemTime;

/// One delivery: recipients of one message that go to one next hop over one transport.
#[derive(Clone, Debug)]
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
    pub diag_text: BString,
    /// `dns` or empty.
    pub mta_type: String,
    pub mta_name: BString,
    /// The text in parentheses of the log line.
    pub reason: BString,
}

/// The result for one recipient.
#[derive(Clone, Debug)]
pub struct Report {
    /// Index into [`Request::recipients`].
    pub recipient: u32,
    pub outcome: Outcome,
    pub dsn: Dsn,
    /// The agent has already marked the recipient done in the queue file.
    pub marked: bool,
}

/// The end of one delivery.
#[derive(Clone, Debug)]
pub struct Done {
    /// The destination as a whole did not work (no connection, bad greeting, 421): the queue manager counts it against the destination's
    /// concurrency and may stop trying it for a while. Holds why.
    pub destination_failed: Option<Dsn>,
}
