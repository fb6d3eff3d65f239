//! The cleanup pipeline: envelope records and content lines in, a finished queue file out.
//!
//! It is a library: smtpd, pickup, bounce and local call it with the [`Profile`] that the master.cf entry named by
//! `cleanup_service_name` makes. Lines of the log are written as `postfix/cleanup`.
//!
//! Records come in the order of a queue file: envelope (`T`, attributes, `S`, recipients with `O`, `A notify_flags`, `A dsn_orig_rcpt` before each),
//! `M`, text records, `X`, extracted records (`R` from `-t`), `E`. The pipeline rewrites, checks, expands virtual aliases, adds missing headers, counts.
//! Content goes through once and is written as it comes; memory does not grow with it.

mod content;
mod envelope;
mod log;
mod mapping;
mod message;
mod missing;
mod profile;

pub use message::Message;
pub use profile::Profile;

use posthaste_queue::{Completed, Envelope};
use std::fmt;

/// What the caller asks of the pipeline for one message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// Apply header_checks, body_checks (`filter`): off for bounces and forwarded mail unless `internal_mail_filter_classes` says so.
    pub filter: bool,
    /// Apply milters.
    pub milter: bool,
    /// Apply canonical and virtual maps, masquerading, bcc (off with `receive_override_options=no_address_mappings`).
    pub address_mappings: bool,
    /// Always-bcc and friends.
    pub bcc: bool,
    /// Report problems by bouncing to the sender instead of telling the caller (pickup).
    pub bounce: bool,
    /// The message uses SMTPUTF8.
    pub smtputf8: bool,
    /// Find out whether the message needs SMTPUTF8 ([`Profile::autodetects_smtputf8`]).
    pub smtputf8_autodetect: bool,
    /// Hold it.
    pub hold: bool,
    /// Accept and throw away.
    pub discard: bool,
    /// After too many hops nothing is logged of the headers that follow: so in Postfix for mail by SMTP, not by QMQP or sendmail(1).
    pub quiet_after_hops: bool,
}

/// Why a message was not accepted; the caller makes its reply of it (smtpd: restrictions.md §9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The records make no sense: our own fault.
    BadRecords,
    /// Queue file could not be written (452 4.3.0 or 4.3.1 when the disk is full).
    Write {
        /// There is no space left.
        full: bool,
        /// What the system says.
        reason: String,
    },
    /// Larger than `message_size_limit` (552 5.3.4).
    TooBig,
    /// header or body checks, with the text: (`550 5.7.1 text` or own code).
    Content {
        /// Enhanced status code, of class 4 or 5.
        dsn: String,
        /// For people.
        text: String,
        /// A whole reply, where something gave one.
        smtp: Option<String>,
    },
    /// More Received: headers than `hopcount_limit` (554 5.4.0).
    TooManyHops,
    /// A table could not be asked (451 4.3.0).
    Lookup,
    /// No recipients (554 5.1.0? only for local mail).
    NoRecipients,
    /// Anything else: status and text ready for the reply.
    Other {
        /// Enhanced status code, of class 4 or 5.
        dsn: String,
        /// For people.
        text: String,
    },
}

impl fmt::Display for Rejected {
    /// For the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejected::BadRecords => f.write_str("internal protocol error"),
            Rejected::Write { reason, .. } => write!(f, "queue file write error: {reason}"),
            Rejected::TooBig => f.write_str("message file too big"),
            Rejected::TooManyHops => f.write_str("too many hops"),
            Rejected::Lookup => f.write_str("a table cannot be asked"),
            Rejected::NoRecipients => f.write_str("no recipients specified"),
            Rejected::Content { dsn, text, .. } | Rejected::Other { dsn, text } => write!(f, "{dsn} {text}"),
        }
    }
}

/// Accepted and written; to be committed.
pub struct Accepted {
    /// Still to be synced by a `Committer`. `None` when the message was discarded.
    pub file: Option<Completed>,
    /// For the queue manager; `None` when on hold, discarded, with too many recipients to keep, or with records in `bounce/` or
    /// `trace/` that the queue manager finds when it opens the file itself.
    pub envelope: Option<Envelope>,
    /// The file goes to `hold`: the queue manager is not told.
    pub held: bool,
    /// The message was refused and [`Flags::bounce`] was set: all recipients are marked done and stand in `bounce/ID`, so that the queue
    /// manager has nothing to do but to have the report sent.
    pub bounced: bool,
    /// A probe of the verify service (its `trace_flags` say so) for an alias with several recipients: it has none, and the answer is [`ALIASED`].
    pub aliased: bool,
}

/// What a probe finds out about an alias with several recipients, none of which is asked for.
pub const ALIASED: &str = "aliased to multiple recipients";

#[cfg(test)]
mod tests;
