//! The cleanup pipeline: envelope records and content lines in, a finished queue file out.
//!
//! It is a library: smtpd, pickup, bounce and local call it with the [`Profile`] that the master.cf entry named by
//! `cleanup_service_name` makes. Lines of the log are written as `postfix/cleanup`.
//!
//! Records come in the order of a queue file: envelope (`T`, attributes, `S`, recipients with `O`, `A notify_flags`, `A dsn_orig_rcpt` before each),
//! `M`, text records, `X`, extracted records (`R` from `-t`), `E`. The pipeline rewrites, checks, expands virtual aliases, adds missing headers, counts.

use bstr::BStr;
use posthaste_config::{Config, ConfigError};
use posthaste_queue::{Completed, Envelope, Queue, QueueId, RecordType};
use std::sync::Arc;

/// One cleanup service as configured: parameters read, tables open. Shared by all messages of a process.
pub struct Profile {
    _private: (),
}

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
    /// Hold it.
    pub hold: bool,
    /// Accept and throw away.
    pub discard: bool,
}

/// Why a message was not accepted; the caller makes its reply of it (smtpd: restrictions.md §9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The records make no sense: our own fault.
    BadRecords,
    /// Queue file could not be written (452 4.3.0 or 4.3.1 when the disk is full).
    Write { full: bool },
    /// Larger than `message_size_limit` (552 5.3.4).
    TooBig,
    /// header or body checks, with the text: (`550 5.7.1 text` or own code).
    Content { dsn: String, text: String, smtp: Option<String> },
    /// More Received: headers than `hopcount_limit` (554 5.4.6).
    TooManyHops,
    /// A table could not be asked (451 4.3.0).
    Lookup,
    /// No recipients (554 5.1.0? only for local mail).
    NoRecipients,
    /// Anything else: status and text ready for the reply.
    Other { dsn: String, text: String },
}

/// A message on its way through the pipeline. Dropping it removes the queue file.
pub struct Message {
    _private: (),
}

/// Accepted and written; to be committed.
pub struct Accepted {
    /// Still to be synced by a `Committer`. `None` when the message was discarded.
    pub file: Option<Completed>,
    /// For the queue manager; `None` when on hold, discarded, or with too many recipients to keep.
    pub envelope: Option<Envelope>,
    /// The file goes to `hold`: the queue manager is not told.
    pub held: bool,
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl Profile {
    /// From main.cf with the overrides of the cleanup entry.
    pub fn open(config: &Config) -> Result<Arc<Profile>, ConfigError> {
        todo!()
    }

    /// Whether some table may block: then feed the pipeline from a blocking thread.
    pub fn may_block(&self) -> bool {
        todo!()
    }
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl Message {
    /// Creates the queue file.
    pub fn begin(profile: &Arc<Profile>, queue: &Queue, flags: Flags) -> std::io::Result<Message> {
        todo!()
    }

    /// The queue id, for `client=` and the reply.
    pub fn id(&self) -> &QueueId {
        todo!()
    }

    /// Puts the message on hold after all: an access rule asked for it after [`Message::begin`].
    pub fn hold(&mut self) {
        todo!()
    }

    /// Throws the message away after all, though it is accepted.
    pub fn discard(&mut self) {
        todo!()
    }

    /// Takes one record. After an error the rest may still be sent; [`Message::finish`] tells it again.
    pub fn record(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        todo!()
    }

    /// After `E`: size record, mode, and the result.
    pub fn finish(self) -> Result<Accepted, Rejected> {
        todo!()
    }
}
