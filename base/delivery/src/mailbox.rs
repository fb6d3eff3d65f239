//! Appending a message to an mbox file or any file, with all the locks that mail readers know, as local(8) and virtual(8) do it.

use crate::copy::{Copy, CopyError};
use posthaste_config::{Config, ConfigError, system_reason as reason};
use posthaste_log::Logger;
use posthaste_queue::Content;
use posthaste_system::credentials::{Identity, as_user};
use posthaste_system::locks::try_fcntl_exclusive;
use rustix::fs::{FlockOperation, OFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Why a message did not get into a mailbox.
#[derive(Debug)]
pub struct MailboxError {
    /// Enhanced status, `4.…` when it may pass.
    pub status: &'static str,
    /// The text behind "cannot update mailbox … for user ….".
    pub text: String,
}

/// Which locks to take (`mailbox_delivery_lock`, `virtual_mailbox_lock`), and how hard to try.
#[derive(Clone, Debug)]
pub struct Locking {
    /// flock(2).
    pub flock: bool,
    /// fcntl(2).
    pub fcntl: bool,
    /// `file.lock`.
    pub dotlock: bool,
    attempts: i64,
    delay: Duration,
    stale: Duration,
}

impl Locking {
    /// `parameter` is the name of the list of methods.
    pub fn from_config(config: &Config, parameter: &str) -> Result<Locking, ConfigError> {
        let mut locking = Locking {
            flock: false,
            fcntl: false,
            dotlock: false,
            attempts: config.int("deliver_lock_attempts")?,
            delay: config.time("deliver_lock_delay")?,
            stale: config.time("stale_lock_time")?,
        };
        let value = config.text(parameter)?;
        for word in value.split([',', ' ', '\t', '\n']).filter(|w| !w.is_empty()) {
            match word {
                "flock" => locking.flock = true,
                "fcntl" => locking.fcntl = true,
                "dotlock" => locking.dotlock = true,
                _ => return Err(ConfigError::Bad(format!("unknown {parameter} value \"{word}\" in \"{value}\""))),
            }
        }
        Ok(locking)
    }
}

/// A file to append to.
#[derive(Debug)]
pub struct Mailbox<'a> {
    /// Absolute path.
    pub path: &'a Path,
    /// Whose rights open the file.
    pub open_as: Identity,
    /// Whose rights create file and lock file; a file made so is given to the second identity, if any.
    pub create_as: Identity,
    /// Owner of a new file where that is not `create_as`.
    pub give_to: Option<Identity>,
    /// The owner that an existing file must have (`strict_mailbox_ownership`).
    pub owner: Option<u32>,
    /// A lock file that cannot be made is an error (mailboxes), not just a warning (files named in aliases).
    pub lock_required: bool,
    /// Refuse files with an execute bit: their content may be run.
    pub refuse_executable: bool,
    /// Largest size of the file, in bytes.
    pub size_limit: Option<u64>,
    /// Locks to take.
    pub locking: &'a Locking,
}

impl Mailbox<'_> {
    /// Appends the message and syncs it. When it fails half-way the file is cut back to its old length. Blocks for locks and for the sync.
    /// The result is where in the file the message begins, 0 in what is no regular file.
    pub fn append(&self, copy: &Copy, content: &mut Content, log: &Logger) -> Result<u64, MailboxError> {
        // Deliveries of this process to one file wait here instead of polling the lock file once a second.
        let turn = turn(self.path);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let dotlock = if self.locking.dotlock && !is_special(self.path) { self.dotlock(log)? } else { None };
        let result = self.append_locked(copy, content, log);
        if let Some(lock) = dotlock {
            lock.release();
        }
        result
    }

    /// Locks the file, which is made if it is not there, until the result is dropped. Blocks for the locks.
    pub fn lock(&self, log: &Logger) -> Result<MailboxLock, MailboxError> {
        let mut lock = MailboxLock { file: None, dotlock: None };
        if self.locking.dotlock && !is_special(self.path) {
            lock.dotlock = self.dotlock(log)?;
        }
        let (file, _) = self.open()?;
        if file.metadata().is_ok_and(|meta| meta.is_file()) {
            self.kernel_locks(&file)?;
        }
        lock.file = Some(file);
        Ok(lock)
    }

    fn append_locked(&self, copy: &Copy, content: &mut Content, log: &Logger) -> Result<u64, MailboxError> {
        let (file, new) = self.open()?;
        let meta = file.metadata().map_err(|e| failed("cannot open file", &e))?;
        if meta.is_file() {
            if meta.nlink() > 1 {
                return Err(MailboxError { status: "5.2.0", text: format!("file has {} hard links", meta.nlink()) });
            }
            if self.refuse_executable && meta.mode() & 0o111 != 0 {
                return Err(MailboxError { status: "5.7.1", text: String::from("file is executable") });
            }
            if self.owner.is_some_and(|uid| uid != meta.uid()) {
                posthaste_log::warn!(log, "specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch");
                return Err(MailboxError {
                    status: "4.2.0",
                    text: format!("destination {} is not owned by recipient", self.path.display()),
                });
            }
            self.kernel_locks(&file)?;
        }
        // Under the lock the length is the true one, and the place to cut back to.
        let start = if meta.is_file() { file.metadata().map_err(|e| failed("cannot open file", &e))?.len() } else { 0 };
        let limit = self.size_limit.filter(|_| meta.is_file());
        let mut out = BufWriter::with_capacity(64 * 1024, Limited { file: &file, room: limit.map(|limit| limit.saturating_sub(start)) });
        let written = copy.run(content, &mut out).and_then(|()| out.flush().map_err(CopyError::from));
        // Whatever is left in the buffer after an error must not be written by its Drop.
        let _ = out.into_parts();
        let written = written.and_then(|()| if meta.is_file() { file.sync_all().map_err(CopyError::from) } else { Ok(()) });
        if let Err(error) = written {
            if meta.is_file() {
                let _ = file.set_len(start);
            }
            return Err(match error {
                CopyError::Write(e) => failed("error writing message", &e),
                CopyError::Read(e) => MailboxError { status: "4.3.0", text: format!("error reading message: {e}") },
            });
        }
        if new && let Err(error) = sync_parent(self.path) {
            let _ = file.set_len(start);
            return Err(failed("error writing message", &error));
        }
        Ok(start)
    }

    /// Opens the file, or creates it; says whether it is new.
    fn open(&self) -> Result<(File, bool), MailboxError> {
        // Not blocking: opening a FIFO that nobody reads must fail, not hang.
        let mut options = File::options();
        options.append(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        let opened = as_user(self.open_as, || options.open(self.path)).unwrap_or_else(Err);
        match opened {
            Ok(file) => {
                self.refuse_foreign_link()?;
                return Ok((file, false));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed("cannot open file", &e)),
        }
        options.create_new(true).mode(0o600);
        let created = as_user(self.create_as, || options.open(self.path)).unwrap_or_else(Err);
        let file = match created {
            Ok(file) => file,
            // A dangling symbolic link: the name is there, the file is not.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(failed("cannot open file", &io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error())));
            }
            Err(e) => return Err(failed("cannot create file exclusively", &e)),
        };
        if let Some(owner) = self.give_to {
            fchown(&file, Some(owner.uid), Some(owner.gid)).map_err(|e| failed("cannot change ownership of file", &e))?;
        }
        Ok((file, true))
    }

    /// A symbolic link is followed only when root made it, in a folder where nobody else can make one: otherwise a user could have root append to any file.
    fn refuse_foreign_link(&self) -> Result<(), MailboxError> {
        let Ok(link) = std::fs::symlink_metadata(self.path) else { return Ok(()) };
        if !link.is_symlink() {
            return Ok(());
        }
        let parent = self.path.parent().and_then(|p| std::fs::metadata(p).ok());
        let safe = link.uid() == 0 && parent.is_some_and(|p| p.uid() == 0 && (p.mode() & 0o022 == 0 || p.mode() & 0o1000 != 0));
        if safe { Ok(()) } else { Err(MailboxError { status: "5.2.0", text: String::from("file is a symbolic link") }) }
    }

    fn kernel_locks(&self, file: &File) -> Result<(), MailboxError> {
        let busy = || MailboxError {
            status: "4.2.0",
            text: String::from("unable to lock for exclusive access: Resource temporarily unavailable"),
        };
        for attempt in 0.. {
            let fcntl = !self.locking.fcntl || try_fcntl_exclusive(file).map_err(|e| failed("unable to lock for exclusive access", &e))?;
            let flock = !self.locking.flock || rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if fcntl && flock {
                return Ok(());
            }
            if attempt + 1 >= self.locking.attempts {
                return Err(busy());
            }
            std::thread::sleep(self.locking.delay);
        }
        Err(busy())
    }

    fn dotlock(&self, log: &Logger) -> Result<Option<DotLock>, MailboxError> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for attempt in 0..self.locking.attempts.max(1) {
            if attempt > 0 {
                std::thread::sleep(self.locking.delay);
            }
            let made = as_user(self.create_as, || File::options().write(true).create_new(true).mode(0o400).open(&path)).unwrap_or_else(Err);
            match made {
                Ok(_) => return Ok(Some(DotLock { path, owner: self.create_as })),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    // std's text for this kind is the system's, as Postfix shows it.
                    last = io::Error::from_raw_os_error(rustix::io::Errno::EXIST.raw_os_error());
                    let age = std::fs::symlink_metadata(&path)
                        .and_then(|m| m.modified())
                        .ok()
                        .and_then(|t| SystemTime::now().duration_since(t).ok());
                    if age.is_some_and(|age| age > self.locking.stale) {
                        let _ = as_user(self.create_as, || std::fs::remove_file(&path));
                    }
                }
                Err(e) => {
                    last = e;
                    break;
                }
            }
        }
        let text = format!("unable to create lock file {}: {}", path.display(), reason(&last));
        if self.lock_required || last.kind() == io::ErrorKind::AlreadyExists {
            return Err(MailboxError { status: status_of(&last), text });
        }
        posthaste_log::warn!(log, "{text}");
        Ok(None)
    }
}

/// A mailbox that is locked as long as this lives.
#[derive(Debug)]
pub struct MailboxLock {
    file: Option<File>,
    dotlock: Option<DotLock>,
}

impl Drop for MailboxLock {
    fn drop(&mut self) {
        // As when it was locked, the other way round.
        self.file = None;
        if let Some(lock) = self.dotlock.take() {
            lock.release();
        }
    }
}

#[derive(Debug)]
struct DotLock {
    path: PathBuf,
    owner: Identity,
}

impl DotLock {
    fn release(self) {
        let _ = as_user(self.owner, || std::fs::remove_file(&self.path));
    }
}

/// Fails with EFBIG, and writes nothing, once the file would grow beyond its limit.
struct Limited<'a> {
    file: &'a File,
    room: Option<u64>,
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(room) = &mut self.room {
            *room =
                room.checked_sub(bytes.len() as u64).ok_or_else(|| io::Error::from_raw_os_error(rustix::io::Errno::FBIG.raw_os_error()))?;
            self.file.write_all(bytes).map(|()| bytes.len())
        } else {
            self.file.write(bytes)
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn turn(path: &Path) -> Arc<Mutex<()>> {
    static TURNS: Mutex<Option<HashMap<PathBuf, Arc<Mutex<()>>>>> = Mutex::new(None);
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let turns = turns.get_or_insert_default();
    if turns.len() > 1000 {
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
    }
    Arc::clone(turns.entry(path.to_owned()).or_default())
}

fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// A new name is safe only when its folder is on disk too. A folder that may be written but not read, and one on a file system that has no
/// sync for folders, are let pass: there it cannot be known.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    sync_in(path, None)
}

/// [`sync_parent`], and the file as well, both at one time.
pub(crate) fn sync_in(path: &Path, file: Option<&File>) -> io::Result<()> {
    let folder = path.parent().and_then(|p| File::open(p).ok());
    let both: Vec<_> = file.into_iter().chain(&folder).map(File::as_fd).collect();
    let mut results = posthaste_system::storage::sync_all(&both).into_iter();
    if file.is_some() {
        results.next().unwrap_or(Ok(()))?;
    }
    match results.next() {
        Some(Err(error)) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
        _ => Ok(()),
    }
}

pub(crate) fn status_of(error: &io::Error) -> &'static str {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::STALE | Errno::EXIST | Errno::INTR | Errno::NFILE | Errno::MFILE | Errno::NOMEM | Errno::IO) => "4.2.0",
        Some(Errno::NOSPC) => "4.3.0",
        Some(Errno::FBIG | Errno::DQUOT) => "5.2.2",
        _ => "5.2.0",
    }
}

fn failed(what: &str, error: &io::Error) -> MailboxError {
    MailboxError { status: status_of(error), text: format!("{what}: {}", reason(error)) }
}
