//! The queue on disk: Postfix's directories, files, ids, records and recipient logs, and the order of writes and syncs that keeps mail safe.
//!
//! Everything goes through a [`disk::Disk`] and a [`clock::Clock`], so tests can run it on a disk that forgets what was not synced and
//! on a clock that jumps. The format is that of `docs/queue-file-format.md`; Postfix reads our files and we read its.
//!
//! The way of a file: [`Queue::create`] makes `incoming/ID` (mode 0600); records are appended through a [`Writer`]; [`Writer::complete`]
//! writes the size record, sets mode 0700 and gives a [`Completed`], which is *not yet safe*; a [`commit::Committer`] syncs file and directory,
//! many at a time, and only then may anybody say 250.

pub mod clock;
pub mod commit;
pub mod disk;

use bstr::{BStr, BString};
use posthaste_address::Address;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// A queue id, short (`66CDB9940C5`) or long (`4jWhXR3gX9z1ShPk`). Legal characters only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(Box<str>);

impl QueueId {
    /// `None` for a name that cannot be a queue file (1–255 characters, alphanumerics and `_`).
    pub fn parse(name: &str) -> Option<QueueId> {
        let ok = (1..=255).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        ok.then(|| QueueId(name.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for QueueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A folder of the queue that holds messages or recipient logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueName {
    Active,
    Bounce,
    Corrupt,
    Defer,
    Deferred,
    Flush,
    Hold,
    Incoming,
    Maildrop,
    Saved,
    Trace,
}

impl QueueName {
    /// The directory's name.
    pub fn as_str(self) -> &'static str {
        match self {
            QueueName::Active => "active",
            QueueName::Bounce => "bounce",
            QueueName::Corrupt => "corrupt",
            QueueName::Defer => "defer",
            QueueName::Deferred => "deferred",
            QueueName::Flush => "flush",
            QueueName::Hold => "hold",
            QueueName::Incoming => "incoming",
            QueueName::Maildrop => "maildrop",
            QueueName::Saved => "saved",
            QueueName::Trace => "trace",
        }
    }
}

/// A record type, the letter of the file format. Constants for all of them are in this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordType(pub u8);

#[allow(missing_docs, reason = "the names are those of the file format")]
impl RecordType {
    pub const SIZE: RecordType = RecordType(b'C');
    pub const TIME: RecordType = RecordType(b'T');
    pub const FULLNAME: RecordType = RecordType(b'F');
    pub const INSPECTOR: RecordType = RecordType(b'I');
    pub const FILTER: RecordType = RecordType(b'L');
    pub const SENDER: RecordType = RecordType(b'S');
    pub const RECIPIENT: RecordType = RecordType(b'R');
    pub const DONE: RecordType = RecordType(b'D');
    pub const CANCELED: RecordType = RecordType(b'/');
    pub const ORIGINAL: RecordType = RecordType(b'O');
    pub const ATTRIBUTE: RecordType = RecordType(b'A');
    pub const VERP: RecordType = RecordType(b'V');
    pub const WARN: RecordType = RecordType(b'W');
    pub const KILLED: RecordType = RecordType(b'K');
    pub const REDIRECT: RecordType = RecordType(b'>');
    pub const POINTER: RecordType = RecordType(b'p');
    pub const PADDING: RecordType = RecordType(b'w');
    pub const MESSAGE: RecordType = RecordType(b'M');
    pub const NORMAL: RecordType = RecordType(b'N');
    pub const CONTINUED: RecordType = RecordType(b'L');
    pub const EXTRACTED: RecordType = RecordType(b'X');
    pub const RETURN_RECEIPT: RecordType = RecordType(b'r');
    pub const ERRORS_TO: RecordType = RecordType(b'e');
    pub const PRIORITY: RecordType = RecordType(b'P');
    pub const END: RecordType = RecordType(b'E');
}

/// DSN NOTIFY flags of a recipient (`notify_flags`), 0 when none was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify(pub u8);

#[allow(missing_docs, reason = "the names are those of RFC 3461")]
impl Notify {
    pub const NEVER: u8 = 1;
    pub const SUCCESS: u8 = 2;
    pub const FAILURE: u8 = 4;
    pub const DELAY: u8 = 8;
}

/// One recipient of a queue file that is still to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Offset of its record in the queue file; marking it done overwrites the byte there. `None`: do not mark.
    pub offset: Option<u64>,
    /// Where it is to be delivered.
    pub address: Address,
    /// Before rewriting, for `orig_to=` and `X-Original-To:`.
    pub original: Address,
    /// `type;address`, or empty.
    pub dsn_orcpt: BString,
    /// DSN NOTIFY.
    pub notify: Notify,
}

/// The client and login that brought a message, as logged and passed on (XFORWARD, policy, delivery commands). Empty where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the queue file's attributes")]
pub struct Origin {
    pub log_client_name: BString,
    pub log_client_address: BString,
    pub log_client_port: BString,
    pub log_helo_name: BString,
    pub log_protocol_name: BString,
    pub log_ident: BString,
    pub sasl_method: BString,
    pub sasl_username: BString,
    pub sasl_sender: BString,
    pub rewrite_context: BString,
}

/// What the queue manager needs of a queue file: all but the content.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Arrival (`T`), with microseconds.
    pub arrival: SystemTime,
    /// `create_time`: base of expiry and back-off.
    pub created: SystemTime,
    pub sender: Address,
    pub full_name: BString,
    /// Offset of the first content record (size record, field 2).
    pub content_offset: u64,
    /// Field 1 of the size record.
    pub content_length: u64,
    /// Field 5 (or 1): `size=` in the log.
    pub message_size: u64,
    /// Field 3.
    pub recipient_count: u32,
    /// Field 4.
    pub qmgr_hints: u32,
    /// Field 6: SMTPUTF8 and so on.
    pub sender_options: u32,
    /// `7bit`, `8bit` or empty.
    pub encoding: BString,
    pub envelope_id: BString,
    /// DSN RET: 0, 1 = FULL, 2 = HDRS.
    pub ret: u8,
    pub trace_flags: u32,
    pub message_id: BString,
    /// `transport:nexthop` that takes all recipients.
    pub content_filter: BString,
    pub redirect: Option<Address>,
    /// VERP delimiters, or empty.
    pub verp: BString,
    /// When the delay warning is due, and the offset of its record; `None` when never or already sent.
    pub warn: Option<(SystemTime, u64)>,
    pub origin: Origin,
    /// Recipients read so far that are not done.
    pub recipients: Vec<Recipient>,
    /// Where to go on reading recipients; `None` when all have been read.
    pub more_at: Option<u64>,
}

/// How the queue is laid out; from main.cf.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of main.cf")]
pub struct Settings {
    pub queue_directory: PathBuf,
    pub hash_queue_names: Vec<String>,
    pub hash_queue_depth: u32,
    pub enable_long_queue_ids: bool,
    pub line_length_limit: usize,
    /// Owner for new files when the process holds root (`mail_owner`); `None` leaves them to the process' user.
    pub owner: Option<(u32, u32)>,
}

/// The queue of one instance.
#[derive(Clone)]
pub struct Queue {
    pub settings: Arc<Settings>,
    pub disk: Arc<dyn disk::Disk>,
    pub clock: Arc<dyn clock::Clock>,
}

/// Writes the records of one new queue file, buffered. Dropping it without [`Writer::complete`] removes the file.
pub struct Writer {
    _private: (),
}

/// A file with all its records and its final mode that is not yet known to be on stable storage.
pub struct Completed {
    _private: (),
}

#[allow(clippy::todo, unused_variables, missing_docs, reason = "interface first; each body follows")]
impl Queue {
    /// On the real disk and clock, with the settings of main.cf.
    pub fn open(config: &posthaste_config::Config) -> Result<Queue, posthaste_config::ConfigError> {
        todo!()
    }

    /// Path of a message or log, relative to `queue_directory`, with its hash directories.
    pub fn path(&self, queue: QueueName, id: &QueueId) -> PathBuf {
        todo!()
    }

    /// Creates a new file (mode 0600) with a fresh id.
    pub fn create(&self, queue: QueueName) -> io::Result<Writer> {
        todo!()
    }

    /// Opens a message for delivery: shared lock taken, content readable.
    pub fn open_message(&self, queue: QueueName, id: &QueueId, envelope_content_offset: u64) -> io::Result<Content> {
        todo!()
    }

    /// Reads size record, envelope and up to `limit` recipients.
    pub fn read_envelope(&self, queue: QueueName, id: &QueueId, limit: usize) -> Result<Envelope, ReadError> {
        todo!()
    }

    /// Reads the next portion of recipients.
    pub fn read_more_recipients(&self, queue: QueueName, id: &QueueId, envelope: &mut Envelope, limit: usize) -> Result<(), ReadError> {
        todo!()
    }

    /// Overwrites the record type at `offset` (`R` by `D`). One write; not synced.
    pub fn mark_done(&self, queue: QueueName, id: &QueueId, offset: u64) -> io::Result<()> {
        todo!()
    }

    /// Renames a message between queues (hash directories made as needed).
    pub fn rename(&self, id: &QueueId, from: QueueName, to: QueueName) -> io::Result<()> {
        todo!()
    }

    pub fn remove(&self, queue: QueueName, id: &QueueId) -> io::Result<()> {
        todo!()
    }
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl Writer {
    /// The new file's id.
    pub fn id(&self) -> &QueueId {
        todo!()
    }

    /// Appends a record; returns its offset.
    pub fn record(&mut self, kind: RecordType, payload: &[u8]) -> io::Result<u64> {
        todo!()
    }

    /// Bytes so far: the offset of the next record.
    pub fn offset(&self) -> u64 {
        todo!()
    }

    /// Overwrites a record in place (same length): the size record, a `p` place.
    pub fn overwrite(&mut self, offset: u64, kind: RecordType, payload: &[u8]) -> io::Result<()> {
        todo!()
    }

    /// Flushes, sets the mode that marks a complete file. `to` may be another queue (hold): the file is renamed before it is visible.
    pub fn complete(self, to: QueueName) -> io::Result<Completed> {
        todo!()
    }

    /// Removes the file.
    pub fn cancel(self) {
        todo!()
    }
}

#[allow(clippy::todo, reason = "interface first; each body follows")]
impl Completed {
    /// The message's id.
    pub fn id(&self) -> &QueueId {
        todo!()
    }
}

/// A message's content, read record by record (pointers followed) for delivery. Streams; memory does not grow with the message.
pub struct Content {
    _private: (),
}

/// One piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// A whole line, or the last piece of one, without its newline.
    Line(&'a BStr),
    /// A piece of a long line; the line goes on.
    Piece(&'a BStr),
}

#[allow(clippy::todo, clippy::should_implement_trait, reason = "interface first; each body follows")]
impl Content {
    /// The next piece, `None` at the end of the content (`X`). Any other record is [`ReadError::Corrupt`].
    pub fn next(&mut self) -> Result<Option<Text<'_>>, ReadError> {
        todo!()
    }

    /// Back to the first line.
    pub fn rewind(&mut self) -> io::Result<()> {
        todo!()
    }
}

/// Why a queue file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is gone, or never was.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Another process holds it.
    #[error("locked")]
    Locked,
    /// It is not complete (mode): not ours to touch.
    #[error("incomplete")]
    Incomplete,
    /// It violates the format; move it to `corrupt/`.
    #[error("{0}")]
    Corrupt(String),
}
