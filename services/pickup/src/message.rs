//! One file of maildrop on its way through cleanup.

use bstr::{BStr, ByteSlice};
use posthaste_address::Address;
use posthaste_cleanup_protocol::{Accepted, Flags, Message, Profile, Rejected};
use posthaste_config::{Config, ConfigError, system_reason};
use posthaste_log::{Logger, info, warn};
use posthaste_queue::clock::mail_date;
use posthaste_queue::disk::{DiskFile, Stat};
use posthaste_queue::read::RecordReader;
use posthaste_queue::record::attribute;
use posthaste_queue::{Queue, QueueId, ReadError, RecordType as T};
use std::path::Path;
use std::sync::Arc;

/// Attributes that a user may give a message.
const USER_ATTRIBUTES: [&[u8]; 7] =
    [b"dsn_orig_rcpt", b"encoding", b"envelope_id", b"notify_flags", b"ret_flags", b"rewrite_context", b"trace_flags"];
/// Of the attributes that cleanup found in the content, those that it cannot find again.
const KEPT_EXTRACTED: [&[u8]; 4] = [b"dsn_orig_rcpt", b"envelope_id", b"notify_flags", b"ret_flags"];

/// What became of a file.
pub enum Outcome {
    /// Its message is complete under this id, and has to be synced.
    Accepted(QueueId, Box<Accepted>),
    /// It can never become a message.
    Worthless,
    /// It may, at another time.
    Later,
    /// No queue file could be made.
    NoQueue,
}

/// Why a file was not fed to its end.
enum Stop {
    Read(ReadError),
    /// A record that has no place there; -1 for the end of the file, as Postfix numbers it.
    Record(i32),
    NoSender,
    Rejected(Rejected),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Stop {
        Stop::Read(error)
    }
}

impl From<Rejected> for Stop {
    fn from(rejected: Rejected) -> Stop {
        Stop::Rejected(rejected)
    }
}

/// Feeds files to cleanup.
pub struct Feeder {
    profile: Arc<Profile>,
    queue: Queue,
    content_filter: String,
    host: String,
    mail_name: String,
    /// From `receive_override_options`.
    flags: Flags,
    internal_addresses: bool,
    log: Logger,
}

impl Feeder {
    /// Reads parameters and opens cleanup's tables.
    pub fn open(config: &Config, queue: &Queue, log: Logger) -> Result<Feeder, ConfigError> {
        let profile = Profile::open(config)?;
        let flags = Flags { bounce: true, ..Flags::received(config, &profile, "sendmail")? };
        Ok(Feeder {
            profile,
            queue: queue.clone(),
            content_filter: config.text("content_filter")?,
            host: config.text("myhostname")?,
            mail_name: config.text("mail_name")?,
            flags,
            internal_addresses: config.text("info_log_address_format")? == "internal",
            log,
        })
    }

    /// Feeds one file. `requeued`: its former id, for one that `postsuper -r` put there.
    pub fn feed(&self, file: Box<dyn DiskFile>, stat: &Stat, path: &Path, requeued: Option<&QueueId>) -> Outcome {
        // Milters have seen it when it came, with the client's connection, which is gone.
        let flags = Flags { milter: self.flags.milter && requeued.is_none(), ..self.flags };
        let mut message = match Message::begin(&self.profile, &self.queue, flags) {
            Ok(message) => message,
            Err(error) => {
                warn!(self.log, "{}: create a queue file in incoming: {}", path.display(), system_reason(&error));
                return Outcome::NoQueue;
            }
        };
        let id = message.id().clone();
        let copied =
            Copy { feeder: self, stat, requeued, id: &id, message: &mut message, sender: false }.run(&mut RecordReader::new(file, 0));
        let stop = match copied {
            Ok(()) => match message.finish() {
                Ok(accepted) => return Outcome::Accepted(id, Box::new(accepted)),
                Err(rejected) => Stop::Rejected(rejected),
            },
            Err(stop) => stop,
        };
        match stop {
            Stop::Read(ReadError::Io(error)) => {
                warn!(self.log, "{}: read error: {}", path.display(), system_reason(&error));
                Outcome::Later
            }
            Stop::Read(error) => {
                warn!(self.log, "{}: {error}", path.display());
                warn!(self.log, "uid={}: unexpected or malformed record type -2", stat.uid);
                Outcome::Worthless
            }
            Stop::Record(kind) => {
                warn!(self.log, "uid={}: unexpected or malformed record type {kind}", stat.uid);
                Outcome::Worthless
            }
            Stop::NoSender => {
                warn!(self.log, "{id}: uid={}: no envelope sender", stat.uid);
                Outcome::Worthless
            }
            Stop::Rejected(rejected) => {
                let (text, later) = explain(&rejected);
                warn!(self.log, "{}: error writing {id}: {text}", path.display());
                if later { Outcome::Later } else { Outcome::Worthless }
            }
        }
    }
}

/// The words for it, and whether to try again.
fn explain(rejected: &Rejected) -> (&str, bool) {
    match rejected {
        Rejected::BadRecords => ("internal protocol error", false),
        Rejected::Write { .. } => ("queue file write error", true),
        Rejected::TooBig => ("message file too big", false),
        Rejected::Content { text, .. } => (text, false),
        Rejected::TooManyHops => ("too many hops", false),
        Rejected::Lookup => ("queue file write error", true),
        Rejected::NoRecipients => ("no recipients specified", false),
        Rejected::Other { dsn, text } => (text, dsn.starts_with('4')),
    }
}

struct Copy<'a> {
    feeder: &'a Feeder,
    stat: &'a Stat,
    requeued: Option<&'a QueueId>,
    id: &'a QueueId,
    message: &'a mut Message,
    sender: bool,
}

impl Copy<'_> {
    fn run(&mut self, reader: &mut RecordReader<Box<dyn DiskFile>>) -> Result<(), Stop> {
        let filter = &self.feeder.content_filter;
        if !filter.is_empty() {
            self.put(T::FILTER, filter.as_bytes())?;
        }
        self.envelope(reader)?;
        if !self.sender {
            return Err(Stop::NoSender);
        }
        self.put(T::MESSAGE, b"")?;
        self.received()?;
        self.content(reader)?;
        self.put(T::EXTRACTED, b"")?;
        self.extracted(reader)?;
        self.put(T::END, b"")?;
        Ok(())
    }

    /// The next record: type and payload.
    fn next<'r>(&self, reader: &'r mut RecordReader<Box<dyn DiskFile>>) -> Result<(T, &'r BStr), Stop> {
        if reader.at_end()? {
            return Err(Stop::Record(-1));
        }
        // A user has no business with pointers; an edited message of the queue is read as they say.
        let record = if self.requeued.is_some() { reader.next_followed()? } else { reader.next_raw()? };
        Ok((record.kind, record.payload.as_bstr()))
    }

    fn put(&mut self, kind: T, payload: &[u8]) -> Result<(), Stop> {
        Ok(self.message.record(kind, payload.as_bstr())?)
    }

    fn envelope(&mut self, reader: &mut RecordReader<Box<dyn DiskFile>>) -> Result<(), Stop> {
        loop {
            let (kind, payload) = self.next(reader)?;
            match kind {
                T::MESSAGE => return Ok(()),
                T::RECIPIENT if !self.sender => return Err(Stop::NoSender),
                T::SENDER => {
                    let payload = payload.to_owned();
                    self.announce(payload.as_bstr());
                    self.sender = true;
                    self.put(kind, &payload)?;
                }
                T::SIZE | T::TIME | T::FULLNAME | T::RECIPIENT | T::VERP | T::DSN_ENVID | T::DSN_NOTIFY => {
                    self.message.record(kind, payload)?
                }
                T::ATTRIBUTE => {
                    let keep = match (attribute(payload), self.requeued) {
                        // The new file has its own time; cleanup writes it.
                        (Some((name, _)), Some(_)) => name != b"create_time",
                        (Some((name, _)), None) => USER_ATTRIBUTES.contains(&name),
                        (None, _) => false,
                    };
                    if keep {
                        self.message.record(kind, payload)?;
                    }
                }
                _ if self.requeued.is_none() || !kind.in_envelope() => return Err(Stop::Record(kind.0.into())),
                // As of main.cf now, and not as it was.
                T::FILTER | T::REDIRECT | T::INSPECTOR | T::KILLED => (),
                _ => self.message.record(kind, payload)?,
            }
        }
    }

    /// The line by which the administrator knows whose message it is.
    fn announce(&self, sender: &BStr) {
        let sender = if self.feeder.internal_addresses { sender.to_owned() } else { Address::new(sender).external() };
        let (log, id, uid) = (&self.feeder.log, self.id, self.stat.uid);
        match self.requeued {
            Some(old) => info!(log, "{id}: uid={uid} from=<{sender}> orig_id={old}"),
            None => info!(log, "{id}: uid={uid} from=<{sender}>"),
        }
    }

    /// The message came by a program, not by a protocol. Its time is that of the file: when it was submitted.
    fn received(&mut self) -> Result<(), Stop> {
        let Feeder { host, mail_name, .. } = self.feeder;
        let first = format!("Received: by {host} ({mail_name}, from userid {})", self.stat.uid);
        self.put(T::NORMAL, first.as_bytes())?;
        self.put(T::NORMAL, format!("\tid {}; {}", self.id, mail_date(self.stat.modified)).as_bytes())
    }

    fn content(&mut self, reader: &mut RecordReader<Box<dyn DiskFile>>) -> Result<(), Stop> {
        let mut first = true;
        loop {
            let (kind, payload) = self.next(reader)?;
            match kind {
                T::EXTRACTED => return Ok(()),
                T::NORMAL | T::CONTINUED => {
                    if std::mem::take(&mut first) && matches!(payload.first(), Some(b' ' | b'\t')) {
                        // It would become part of our header; so the message has no headers.
                        self.message.record(T::NORMAL, BStr::new(b""))?;
                    }
                    self.message.record(kind, payload)?;
                }
                T::PADDING if self.requeued.is_some() => (),
                _ => return Err(Stop::Record(kind.0.into())),
            }
        }
    }

    fn extracted(&mut self, reader: &mut RecordReader<Box<dyn DiskFile>>) -> Result<(), Stop> {
        loop {
            let (kind, payload) = self.next(reader)?;
            match kind {
                T::END => return Ok(()),
                T::RECIPIENT => self.message.record(kind, payload)?,
                T::ATTRIBUTE => {
                    let kept = attribute(payload).is_some_and(|(name, _)| KEPT_EXTRACTED.contains(&name));
                    if kept {
                        self.message.record(kind, payload)?;
                    }
                }
                T::ORIGINAL | T::DONE | T::CANCELED if self.requeued.is_some() => self.message.record(kind, payload)?,
                // What cleanup made of the content, it makes again.
                _ if self.requeued.is_some() && kind.in_extracted() => (),
                _ => return Err(Stop::Record(kind.0.into())),
            }
        }
    }
}
