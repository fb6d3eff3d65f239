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
mod content;
#[cfg(test)]
mod crash_tests;
pub mod disk;
mod envelope;
#[cfg(test)]
mod foreign_tests;
mod id;
pub mod listing;
pub mod log;
pub mod read;
mod real;
pub mod record;
pub mod scan;
pub mod sim;
#[cfg(test)]
mod tests;
mod writer;

pub use content::{CORRUPT, Content, Text};
pub use id::QueueId;
pub use record::RecordType;
pub use writer::{Completed, Writer};

use bstr::BString;
use posthaste_address::Address;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A folder of the queue that holds messages or recipient logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the directories")]
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
#[allow(missing_docs, reason = "the names are those of the queue file's records and attributes")]
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
    /// Offset of the `trace_flags` record, for [`Queue::kill_record`].
    pub trace_flags_at: Option<u64>,
    pub message_id: BString,
    /// `transport:nexthop` that takes all recipients.
    pub content_filter: BString,
    pub redirect: Option<Address>,
    /// VERP delimiters, or empty.
    pub verp: BString,
    /// When the delay warning is due, and the offset of its record; `None` when never or already sent.
    pub warn: Option<(SystemTime, u64)>,
    /// The delay warning was sent (`W` is negative).
    pub warned: bool,
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
    /// What is removed goes to `saved` instead: for who wants to see what became of a message.
    pub dont_remove: bool,
}

/// The queue of one instance.
#[derive(Clone)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Queue {
    pub settings: Arc<Settings>,
    pub disk: Arc<dyn disk::Disk>,
    pub clock: Arc<dyn clock::Clock>,
}

impl Queue {
    /// On the real disk and clock, with the settings of main.cf. Opens the queue directory, so it works the same after `chroot`.
    ///
    /// With root rights, new files belong to the owner of `incoming` (which is `mail_owner`).
    pub fn open(config: &posthaste_config::Config) -> Result<Queue, posthaste_config::ConfigError> {
        let queue_directory = config.queue_directory();
        let disk = disk::RealDisk::open(&queue_directory)
            .map_err(|source| posthaste_config::ConfigError::Open { path: queue_directory.clone(), source })?;
        let owner = if rustix::process::geteuid().is_root() {
            disk::Disk::stat(&disk, Path::new("incoming")).ok().map(|stat| (stat.uid, stat.gid)).filter(|&(uid, _)| uid != 0)
        } else {
            None
        };
        let settings = Settings {
            queue_directory,
            hash_queue_names: config
                .text("hash_queue_names")?
                .split([',', ' ', '\t', '\n'])
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            hash_queue_depth: u32::try_from(config.int("hash_queue_depth")?).unwrap_or(1),
            enable_long_queue_ids: config.bool("enable_long_queue_ids")?,
            line_length_limit: usize::try_from(config.int("line_length_limit")?).unwrap_or(2048),
            owner,
            dont_remove: config.int("dont_remove")? != 0,
        };
        Ok(Queue { settings: Arc::new(settings), disk: Arc::new(disk), clock: Arc::new(clock::RealClock) })
    }

    /// For a process that gives up root before it makes files: they need no other owner.
    #[must_use]
    pub fn without_root(mut self) -> Queue {
        Arc::make_mut(&mut self.settings).owner = None;
        self
    }

    /// Path of a message or log, relative to `queue_directory`, with its hash directories.
    pub fn path(&self, queue: QueueName, id: &QueueId) -> PathBuf {
        let mut path = String::with_capacity(48);
        path.push_str(queue.as_str());
        path.push('/');
        id.push_hash(&mut path, self.hash_depth(queue));
        path.push_str(id.as_str());
        PathBuf::from(path)
    }

    /// Levels of hash directories in this queue.
    pub fn hash_depth(&self, queue: QueueName) -> u32 {
        // pickup does not look into subdirectories of maildrop, and postdrop could not make them.
        let hashed = queue != QueueName::Maildrop && self.settings.hash_queue_names.iter().any(|name| name == queue.as_str());
        if hashed { self.settings.hash_queue_depth } else { 0 }
    }

    /// The inode of a message. [`io::ErrorKind::NotFound`] when it is not in that queue.
    pub fn stat(&self, queue: QueueName, id: &QueueId) -> io::Result<disk::Stat> {
        self.disk.stat(&self.path(queue, id))
    }

    /// Opens a message for delivery: shared lock taken, content readable. [`ReadError::Locked`] when the queue manager holds it.
    pub fn open_message(&self, queue: QueueName, id: &QueueId, content_offset: u64) -> Result<Content, ReadError> {
        let file = self.disk.open(&self.path(queue, id), disk::Access::Update)?;
        if !file.lock(disk::Lock::Shared, false)? {
            return Err(ReadError::Locked);
        }
        Ok(Content::new(file, content_offset))
    }

    /// Overwrites the record type at `offset` (`R` by `D`). One write; not synced. Who has the [`Content`] open uses [`Content::mark_done`].
    pub fn mark_done(&self, queue: QueueName, id: &QueueId, offset: u64) -> io::Result<()> {
        self.overwrite(queue, id, offset, &[RecordType::DONE.0])
    }

    /// As [`Queue::mark_done`], for a message that may be moved at the same time: put on hold by the administrator, or taken over by the next queue
    /// manager while an agent still delivers. A delivery that is not marked would be repeated. `queue`: where it was last.
    pub fn mark_done_wherever(&self, queue: QueueName, id: &QueueId, offset: u64) -> io::Result<()> {
        use QueueName::{Active, Deferred, Hold, Incoming};
        let places = [queue, Active, Incoming, Deferred, Hold];
        // Twice, because it may move on while it is looked for.
        for place in places.into_iter().chain(places) {
            match self.mark_done(place, id, offset) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => (),
                other => return other,
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Overwrites the record type at `offset` by `K`: the record is to be ignored from now on (`trace_flags` after the report).
    pub fn kill_record(&self, queue: QueueName, id: &QueueId, offset: u64) -> io::Result<()> {
        self.overwrite(queue, id, offset, &[RecordType::KILLED.0])
    }

    /// Says in the `W` record at `offset` that the delay warning was sent.
    pub fn mark_warned(&self, queue: QueueName, id: &QueueId, offset: u64) -> io::Result<()> {
        let mut record = Vec::with_capacity(17);
        record::put_record(&mut record, RecordType::WARN, &record::warn_time(None));
        self.overwrite(queue, id, offset, &record)
    }

    /// Renames a message between queues (hash directories made as needed). Not synced.
    pub fn rename(&self, id: &QueueId, from: QueueName, to: QueueName) -> io::Result<()> {
        self.rename_path(&self.path(from, id), &self.path(to, id))
    }

    /// Renames by path, relative to the queue directory; missing directories of the target are made.
    pub fn rename_path(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.disk.rename(from, to) {
            // The target's directory or the source may be what is missing; a second rename tells.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.disk.stat(from).is_ok() => {
                self.make_hash_directories(to)?;
                self.disk.rename(from, to)
            }
            other => other,
        }
    }

    /// Moves a message from `active` to `deferred`, not to be tried before `until`.
    pub fn defer(&self, id: &QueueId, until: SystemTime) -> io::Result<()> {
        self.set_time(QueueName::Active, id, until)?;
        self.rename(id, QueueName::Active, QueueName::Deferred)
    }

    /// Sets the modification time: the earliest time of the next try.
    pub fn set_time(&self, queue: QueueName, id: &QueueId, time: SystemTime) -> io::Result<()> {
        self.disk.set_times(&self.path(queue, id), time)
    }

    /// Sets the permission bits (sections 3 of the format: complete, unreadable, flush, force-expire).
    pub fn set_mode(&self, queue: QueueName, id: &QueueId, mode: u32) -> io::Result<()> {
        self.disk.set_mode(&self.path(queue, id), mode)
    }

    /// Removes a message (not its logs: remove these first, so that none is left over for the next message with this id).
    pub fn remove(&self, queue: QueueName, id: &QueueId) -> io::Result<()> {
        self.remove_path(&self.path(queue, id))
    }

    /// Removes a file of the queue, a message or a log; with `dont_remove` it goes to `saved`, under its name and as many `+` as make that new.
    pub fn remove_path(&self, path: &Path) -> io::Result<()> {
        if !self.settings.dont_remove {
            return self.disk.remove(path);
        }
        let mut saved = Path::new(QueueName::Saved.as_str()).join(path.file_name().unwrap_or_default()).into_os_string();
        while self.disk.stat(Path::new(&saved)).is_ok() {
            saved.push("+");
        }
        self.rename_path(path, Path::new(&saved))
    }

    fn overwrite(&self, queue: QueueName, id: &QueueId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.open(&self.path(queue, id), disk::Access::Update)?.write_at(bytes, offset)
    }

    /// Makes the hash directories above `path` and puts their names on stable storage, so that no renamed file is lost with its directory.
    fn make_hash_directories(&self, path: &Path) -> io::Result<()> {
        let mut above: Vec<&Path> = hash_directories(path).collect();
        above.reverse();
        for dir in above {
            match self.disk.make_dir(dir, self.settings.owner) {
                Ok(()) => self.disk.sync_dir(&disk::parent(dir))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts the names of the hash directories above `path` on stable storage. Whoever promises that a new file is safe must do so,
    /// not only who made a directory: between its making and its sync another thread or process may already use it.
    fn sync_above(&self, path: &Path) -> io::Result<()> {
        hash_directories(path).try_for_each(|dir| self.disk.sync_dir(&disk::parent(dir)))
    }
}

/// The hash directories above a file, innermost first.
fn hash_directories(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().skip(1).filter(|dir| dir.components().count() > 1)
}

/// Why a queue file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is gone, or never was.
    #[error("{}", posthaste_config::system_reason(.0))]
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
