//! The bytes of an indexed file: small files whole in memory; of large ones each page from when it is read first, so that further lookups in
//! it cost no system call.
//!
//! A memory map would do the same with less, but a file that is cut short by someone else would then kill the process; so only short-lived
//! commands map files, and only those that are replaced and never written in place. And Postfix's postmap
//! writes `.db` and `.lmdb` files in place: pages from before and after that must not be mixed. So each page is read under the lock that
//! postmap respects, and only if the file is still what it was when it was opened; else the store is [stale](Store::is_stale), and whoever
//! uses it opens the file again.

use crate::file::reason;
use posthaste_system::mapping::Mapping;
use rustix::fs::FlockOperation;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Files up to this size are read whole.
const SMALL: u64 = 4 << 20;

/// No more bytes than this are kept of one file. The pages that every lookup needs come first, and so are always among them.
const KEPT: usize = 128 << 20;

/// Which lock keeps writers away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// flock(2), as Postfix locks `.db` files.
    Flock,
    /// fcntl(2), as it locks `.lmdb` files.
    Fcntl,
    /// None: the file is only ever replaced.
    No,
}

impl Lock {
    /// Waits until no writer is at work. Where locks do not work (some network file systems) reading goes on without.
    pub fn shared<T>(self, file: &File, read: impl FnOnce() -> T) -> T {
        let set = |operation| match self {
            Lock::Flock => rustix::fs::flock(file, operation).is_ok(),
            Lock::Fcntl => rustix::fs::fcntl_lock(file, operation).is_ok(),
            Lock::No => false,
        };
        let locked = set(FlockOperation::LockShared);
        let result = read();
        if locked {
            set(FlockOperation::Unlock);
        }
        result
    }
}

/// Why bytes cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the file was changed while it was read")]
    Changed,
    #[error("the file is too short")]
    Outside,
    #[error("{0}")]
    Read(String),
}

/// See the module's text.
pub(crate) enum Store {
    Memory(Vec<u8>),
    Mapped(Mapping),
    Paged(Paged),
}

/// A file that is read page by page.
pub(crate) struct Paged {
    file: File,
    lock: Lock,
    state: State,
    page: usize,
    pages: Box<[OnceLock<Box<[u8]>>]>,
    kept: AtomicUsize,
    stale: AtomicBool,
    /// One reader of the file at a time: fcntl(2) locks belong to the process.
    reading: Mutex<()>,
}

/// What tells that a file was written to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    size: u64,
    modified: (i64, i64),
}

impl State {
    fn of(file: &File) -> std::io::Result<State> {
        let meta = file.metadata()?;
        Ok(State { size: meta.size(), modified: (meta.mtime(), meta.mtime_nsec()) })
    }
}

impl Store {
    /// `page`: the size of the file's pages.
    pub fn open(mut file: File, lock: Lock, page: usize) -> Result<Store, String> {
        let copy = file.try_clone().map_err(|error| reason(&error))?;
        lock.shared(&copy, || {
            let state = State::of(&file)?;
            if state.size <= SMALL {
                let mut bytes = Vec::with_capacity(state.size as usize + 1);
                file.read_to_end(&mut bytes)?;
                return Ok(Store::Memory(bytes));
            }
            Ok(Store::Paged(Paged::new(file, lock, state, page)))
        })
        .map_err(|error| reason(&error))
    }

    /// `len` bytes from `at`; borrowed if they lie on one page that is kept.
    pub fn read(&self, at: u64, len: usize) -> Result<Cow<'_, [u8]>, StoreError> {
        match self {
            Store::Memory(bytes) => slice(bytes, at, len),
            Store::Mapped(bytes) => slice(bytes, at, len),
            Store::Paged(paged) => paged.read(at, len),
        }
    }

    /// Whether the file was written to since it was opened, as far as reading has met with it.
    pub fn is_stale(&self) -> bool {
        matches!(self, Store::Paged(paged) if paged.stale.load(Ordering::Relaxed))
    }
}

fn slice(bytes: &[u8], at: u64, len: usize) -> Result<Cow<'_, [u8]>, StoreError> {
    let slice = usize::try_from(at).ok().and_then(|at| bytes.get(at..at.checked_add(len)?));
    slice.map(Cow::Borrowed).ok_or(StoreError::Outside)
}

impl Paged {
    fn new(file: File, lock: Lock, state: State, page: usize) -> Paged {
        let count = state.size.div_ceil(page as u64) as usize;
        Paged {
            file,
            lock,
            state,
            page,
            pages: std::iter::repeat_with(OnceLock::new).take(count).collect(),
            kept: AtomicUsize::new(0),
            stale: AtomicBool::new(false),
            reading: Mutex::new(()),
        }
    }

    fn read(&self, at: u64, len: usize) -> Result<Cow<'_, [u8]>, StoreError> {
        if at.checked_add(len as u64).is_none_or(|end| end > self.state.size) {
            return Err(StoreError::Outside);
        }
        let (number, start) = ((at / self.page as u64) as usize, (at % self.page as u64) as usize);
        if start + len <= self.page {
            return Ok(match self.page(number)? {
                Cow::Borrowed(page) => Cow::Borrowed(page.get(start..start + len).ok_or(StoreError::Outside)?),
                Cow::Owned(page) => Cow::Owned(page.get(start..start + len).ok_or(StoreError::Outside)?.to_vec()),
            });
        }
        let mut out = Vec::with_capacity(len);
        let (mut number, mut start) = (number, start);
        while out.len() < len {
            let page = self.page(number)?;
            let end = page.len().min(start + len - out.len());
            out.extend_from_slice(page.get(start..end).filter(|part| !part.is_empty()).ok_or(StoreError::Outside)?);
            (number, start) = (number + 1, 0);
        }
        Ok(Cow::Owned(out))
    }

    /// A whole page; the last one of the file may be shorter.
    fn page(&self, number: usize) -> Result<Cow<'_, [u8]>, StoreError> {
        let place = self.pages.get(number).ok_or(StoreError::Outside)?;
        if let Some(page) = place.get() {
            return Ok(Cow::Borrowed(page));
        }
        let at = number as u64 * self.page as u64;
        let mut bytes = vec![0; (self.state.size - at).min(self.page as u64) as usize];
        let one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.lock.shared(&self.file, || {
            if State::of(&self.file)? == self.state { self.file.read_exact_at(&mut bytes, at).map(|()| true) } else { Ok(false) }
        });
        drop(one_at_a_time);
        match read {
            Ok(true) => {}
            Ok(false) => {
                self.stale.store(true, Ordering::Relaxed);
                return Err(StoreError::Changed);
            }
            Err(error) => return Err(StoreError::Read(reason(&error))),
        }
        if self.kept.fetch_add(bytes.len(), Ordering::Relaxed) > KEPT {
            return Ok(Cow::Owned(bytes));
        }
        Ok(Cow::Borrowed(place.get_or_init(|| bytes.into_boxed_slice())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::Path;

    fn paged(path: &Path, lock: Lock) -> Store {
        let file = File::open(path).unwrap();
        let state = State::of(&file).unwrap();
        Store::Paged(Paged::new(file, lock, state, 4096))
    }

    #[test]
    fn bytes_across_pages_and_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(folder.path().join("f"), &bytes).unwrap();
        for lock in [Lock::Flock, Lock::Fcntl, Lock::No] {
            let store = paged(&folder.path().join("f"), lock);
            for _ in 0..2 {
                for (at, len) in [(0, 10), (4090, 6), (4090, 12), (100, 9000), (9990, 10), (10_000, 0)] {
                    assert_eq!(*store.read(at as u64, len).unwrap(), bytes[at..at + len], "{at} {len}");
                }
                for (at, len) in [(9990, 11), (10_001, 0), (u64::MAX, 2)] {
                    assert!(matches!(store.read(at, len), Err(StoreError::Outside)), "{at} {len}");
                }
            }
            assert!(matches!(store.read(5, 10), Ok(Cow::Borrowed(_))));
        }
    }

    // S-TABLE-04: pages from before and after a change in place are not mixed.
    #[test]
    fn a_changed_file_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, [1; 10_000]).unwrap();
        let store = paged(&path, Lock::Flock);
        assert_eq!(store.read(0, 1).unwrap()[0], 1);
        File::options().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        assert_eq!(store.read(1, 1).unwrap()[0], 1);
        assert!(!store.is_stale());
        assert!(matches!(store.read(5000, 1), Err(StoreError::Changed)));
        assert!(store.is_stale());
    }
}
