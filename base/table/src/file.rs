//! Table files that may change under a running service.
//!
//! Postfix's daemons end and start again when a table file has changed; here the table is read again in place. The file is looked at
//! no more often than every millisecond, so that under load the check costs about a system call for each message. What makes tables does not end
//! before the new file is older than that ([`Replaced`]): whoever runs postmap and then asks never meets the old answer. A command goes on with what
//! it has opened.
//! The folder is opened before the service changes its root, so that the file can still be found by name afterwards.

use crate::Context;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How old an answer about a file's state may be.
const FRESH: Duration = Duration::from_millis(1);

/// The longest step of a file system's clock on Linux (CONFIG_HZ = 100), with a little more.
const STEP_NS: i128 = 15_000_000;

/// How far the clock is put back at most by those who keep it right (adjtimex(2) corrects half a second at a time).
const BACK_NS: i128 = 1_000_000_000;

/// A file that was put in the place of another just now, under readers.
pub(crate) struct Replaced(Instant);

impl Replaced {
    /// The new file is in its place.
    pub fn now() -> Replaced {
        Replaced(Instant::now())
    }

    /// Waits until no reader goes by what it saw before: those that ask from now on get the new file's answer. On a disk that is synced this time is over
    /// already.
    pub fn until_seen(&self) {
        std::thread::sleep((2 * FRESH).saturating_sub(self.0.elapsed()));
    }
}

/// Where a file lives, independent of later changes of root and working directory.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    folder: Option<OwnedFd>,
    base: OsString,
}

impl Place {
    fn new(path: &Path) -> Place {
        let base = path.file_name().unwrap_or_default().to_owned();
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = rustix::fs::openat(CWD, parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok();
        Place { path: path.to_owned(), folder, base }
    }

    fn stat(&self) -> Result<Stamp, rustix::io::Errno> {
        match &self.folder {
            Some(folder) => rustix::fs::statat(folder, &self.base, AtFlags::empty()),
            None => rustix::fs::stat(&self.path),
        }
        .map(|stat| Stamp::of(&stat))
    }

    fn open(&self) -> std::io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(File::from(match &self.folder {
            Some(folder) => rustix::fs::openat(folder, &self.base, flags, Mode::empty())?,
            None => rustix::fs::openat(CWD, &self.path, flags, Mode::empty())?,
        }))
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    dev: u64,
    ino: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of no file.
    const NONE: Stamp = Stamp { dev: 0, ino: 0, size: -1, modified: (0, 0), changed: (0, 0) };

    /// Of a file that was opened. Times advance in steps of some milliseconds: a file that was changed just now, or a moment ahead of a clock that was put
    /// back, may be changed again without a trace, so such a stamp equals none and the file is read once more.
    fn settled(stat: &Stat) -> Stamp {
        let stamp = Stamp::of(stat);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos() as i128;
        let age = now - (i128::from(stamp.changed.0) * 1_000_000_000 + i128::from(stamp.changed.1));
        if (-BACK_NS..STEP_NS).contains(&age) { Stamp { size: -1, ..stamp } } else { stamp }
    }

    fn of(stat: &Stat) -> Stamp {
        Stamp {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }
}

/// The file that was read last (none: there was no file), and what came of it.
type State<T> = (Option<Stamp>, Result<Arc<T>, String>);

type Load<T> = dyn Fn(File, &Path) -> Result<T, String> + Send + Sync;

/// The content of a file as it is now: read again when the file was changed or replaced.
pub(crate) struct Followed<T> {
    place: Place,
    load: Box<Load<T>>,
    now: RwLock<State<T>>,
    /// When the file's state was asked for last, in microseconds: set when the answer is there, to the time before it.
    checked: AtomicU64,
    /// One reader looks at a time: the others wait for what it finds, and none puts an older file in the place of a newer one.
    looking: Mutex<()>,
    context: Context,
}

impl<T> Followed<T> {
    /// Opens and loads the file; `load`'s error text is complete (it names the file).
    pub fn open(
        path: &Path,
        context: &Context,
        describe: fn(&Path, &std::io::Error) -> String,
        load: impl Fn(File, &Path) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Followed<T>, String> {
        let place = Place::new(path);
        let before = microseconds();
        let file = place.open().map_err(|error| describe(path, &error))?;
        let stamp = rustix::fs::fstat(&file).ok().map(|stat| Stamp::settled(&stat));
        let content = Arc::new(load(file, path)?);
        Ok(Followed {
            place,
            load: Box::new(load),
            now: RwLock::new((stamp, Ok(content))),
            checked: AtomicU64::new(before),
            looking: Mutex::new(()),
            context: context.clone(),
        })
    }

    /// As [`Followed::open`], but a file that cannot be read now may be there later.
    pub fn open_or_wait(
        path: &Path,
        context: &Context,
        describe: fn(&Path, &std::io::Error) -> String,
        load: impl Fn(File, &Path) -> Result<T, String> + Send + Sync + 'static,
    ) -> Followed<T> {
        let place = Place::new(path);
        let before = microseconds();
        let (stamp, content) = match place.open() {
            Ok(file) => (rustix::fs::fstat(&file).ok().map(|stat| Stamp::settled(&stat)), load(file, path).map(Arc::new)),
            Err(error) => (None, Err(describe(path, &error))),
        };
        Followed {
            place,
            load: Box::new(load),
            now: RwLock::new((stamp, content)),
            checked: AtomicU64::new(before),
            looking: Mutex::new(()),
            context: context.clone(),
        }
    }

    /// The current content, or why there is none.
    pub fn get(&self) -> Result<Arc<T>, String> {
        let now = microseconds();
        if self.is_old(now) {
            let _one_at_a_time = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
            if self.is_old(now) {
                let before = microseconds();
                self.refresh();
                self.checked.store(before, Ordering::Release);
            }
        }
        self.now.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Whether what is known of the file at this time is too old to be used.
    fn is_old(&self, now: u64) -> bool {
        match self.checked.load(Ordering::Acquire) {
            EXPIRED => true,
            checked => !self.context.settings.command && now.saturating_sub(checked) >= FRESH.as_micros() as u64,
        }
    }

    /// Reads the file again at the next [`Followed::get`], for a reader that has found it changed.
    pub fn expire(&self) {
        self.now.write().unwrap_or_else(PoisonError::into_inner).0 = Some(Stamp::NONE);
        self.checked.store(EXPIRED, Ordering::Release);
    }

    fn refresh(&self) {
        let found = self.place.stat();
        let known = self.now.read().unwrap_or_else(PoisonError::into_inner).0;
        let (stamp, content) = match found {
            Ok(stamp) if Some(stamp) == known => return,
            Ok(stamp) => match self.place.open() {
                Ok(file) => {
                    // The stamp of the file that is read, which may already be another than the one just seen.
                    let stamp = rustix::fs::fstat(&file).map_or(stamp, |stat| Stamp::settled(&stat));
                    (Some(stamp), (self.load)(file, &self.place.path).map(Arc::new))
                }
                // The service gave up the right to read this file when it started: it keeps what it has read.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    self.context.warn(&format!(
                        "{} has changed, but this process may no longer read it: the old content stays in use until \"postfix reload\"",
                        self.place.path.display()
                    ));
                    let mut state = self.now.write().unwrap_or_else(PoisonError::into_inner);
                    state.0 = Some(stamp);
                    return;
                }
                Err(error) => (None, Err(open_error(&self.place.path, &error))),
            },
            Err(rustix::io::Errno::NOENT) if known.is_none() => return,
            Err(rustix::io::Errno::NOENT) => (None, Err(open_error(&self.place.path, &rustix::io::Errno::NOENT.into()))),
            // Not to be seen from here (rights given up): what was read stays valid.
            Err(_) => return,
        };
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = (stamp, content);
    }
}

/// `open PATH: reason`.
pub(crate) fn open_error(path: &Path, error: &std::io::Error) -> String {
    format!("open {}: {}", path.display(), reason(error))
}

/// `open database PATH: reason`.
pub(crate) fn open_database_error(path: &Path, error: &std::io::Error) -> String {
    format!("open database {}: {}", path.display(), reason(error))
}

pub(crate) use posthaste_config::system_reason as reason;

/// In [`Followed::checked`]: what is known must not be used. No time of [`microseconds`].
const EXPIRED: u64 = 0;

/// A clock. It begins late enough that 0 is no time.
fn microseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    (START.get_or_init(Instant::now).elapsed() + FRESH).as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::collecting;
    use std::io::Read;

    fn text(path: &Path) -> Followed<String> {
        Followed::open(path, &collecting().0, open_error, |mut file, _| {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(|e| e.to_string())?;
            Ok(text)
        })
        .unwrap()
    }

    fn pause() {
        std::thread::sleep(2 * FRESH);
    }

    // S-TABLE-04
    #[test]
    fn changes_are_seen_without_reload() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        std::fs::write(&path, "one").unwrap();
        let file = text(&path);
        assert_eq!(*file.get().unwrap(), "one");
        std::fs::write(folder.path().join("new"), "two").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        pause();
        assert_eq!(*file.get().unwrap(), "two");
    }

    // S-TABLE-21
    #[test]
    fn a_removed_file_is_an_error_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        std::fs::write(&path, "one").unwrap();
        let file = text(&path);
        std::fs::remove_file(&path).unwrap();
        pause();
        assert_eq!(file.get().unwrap_err(), format!("open {}: No such file or directory", path.display()));
        std::fs::write(&path, "back").unwrap();
        pause();
        assert_eq!(*file.get().unwrap(), "back");
    }
}
