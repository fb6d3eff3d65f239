//! The real disk.
//!
//! A new file has Postfix's temporary name `MICROSECONDS.PID`, which no reader takes for a message, until its contents are safe; then it is
//! renamed. The other way, a nameless file (`O_TMPFILE`) that is linked at the end, is not safe: its link count of 0 went to the disk with the
//! contents, and where there is no journal to carry the new count along (ext2, ext4 without one) the sync of the directory does not write it,
//! so that a power cut after that takes an accepted message away.

use crate::disk::{Access, Disk, DiskFile, Lock, Names, NewFile, ReadAt, Stat, parent};
use posthaste_system::storage;
use rustix::fs::{self, AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Open directories that are kept; with hashing there may be hundreds.
const KEPT_DIRECTORIES: usize = 128;

/// A queue directory on the machine's disk. It is held open, so that it works the same after `chroot`.
pub struct RealDisk {
    shared: Arc<Shared>,
}

struct Shared {
    root: OwnedFd,
    keeps_order: bool,
    directories: Mutex<HashMap<PathBuf, Arc<OwnedFd>>>,
}

struct RealFile {
    fd: OwnedFd,
}

struct RealNew {
    file: RealFile,
    shared: Arc<Shared>,
    mode: u32,
    /// The temporary name, until the file has its own.
    temporary: Option<PathBuf>,
}

impl RealDisk {
    /// Opens the queue directory.
    pub fn open(queue_directory: &Path) -> io::Result<RealDisk> {
        let root = fs::open(queue_directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let keeps_order = storage::keeps_order(root.as_fd());
        Ok(RealDisk { shared: Arc::new(Shared { root, keeps_order, directories: Mutex::default() }) })
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<OwnedFd>>> {
        // A thread that panicked between two map operations leaves the map whole.
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory(&self, path: &Path) -> io::Result<Arc<OwnedFd>> {
        if let Some(fd) = self.kept().get(path) {
            return Ok(fd.clone());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = Arc::new(fs::openat(&self.root, path, flags, Mode::empty())?);
        let mut kept = self.kept();
        if kept.len() >= KEPT_DIRECTORIES {
            kept.clear();
        }
        kept.insert(path.to_owned(), fd.clone());
        Ok(fd)
    }

    /// Runs `work` on the directory and name of `path`: in the kept directory, the one that will be synced, or in a fresh one when that has
    /// been removed meanwhile.
    fn in_directory(&self, path: &Path, work: impl Fn(&OwnedFd, &Path) -> rustix::io::Result<()>) -> io::Result<()> {
        let above = parent(path);
        let name = Path::new(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        match self.directory(&above) {
            Ok(dir) => match work(&dir, name) {
                Err(Errno::NOENT) => {
                    self.kept().remove(&above);
                    Ok(work(&*self.directory(&above)?, name)?)
                }
                other => Ok(other?),
            },
            // maildrop, for postdrop: it may write there but not read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(work(&self.root, path)?),
            Err(error) => Err(error),
        }
    }

    fn create_temporary(&self, dir: &Path) -> io::Result<(OwnedFd, PathBuf)> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        loop {
            let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_micros();
            let path = dir.join(format!("{micros}.{}", std::process::id()));
            match fs::openat(&self.root, &path, flags, Mode::RUSR | Mode::WUSR) {
                Ok(fd) => return Ok((fd, path)),
                Err(Errno::EXIST) => std::thread::sleep(Duration::from_micros(10)),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether files can be given away now: a queue is opened with the rights of the start, which most services drop.
fn has_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl ReadAt for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::pread(&self.fd, &mut *buffer, offset))?)
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, mut data: &[u8], mut offset: u64) -> io::Result<()> {
        while !data.is_empty() {
            match rustix::io::retry_on_intr(|| rustix::io::pwrite(&self.fd, data, offset))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => {
                    data = &data[n..];
                    offset += n as u64;
                }
            }
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        Ok(fs::ftruncate(&self.fd, length)?)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fs::fchmod(&self.fd, Mode::from_raw_mode(mode))?)
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat(&fs::fstat(&self.fd)?))
    }

    fn begin_sync(&self) {
        storage::begin_writing(self.fd.as_fd());
    }

    fn write_out(&self) -> io::Result<()> {
        storage::write_out(self.fd.as_fd())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.fd)?)
    }

    fn lock(&self, lock: Lock, wait: bool) -> io::Result<bool> {
        let operation = match (lock, wait) {
            (Lock::Shared, false) => FlockOperation::NonBlockingLockShared,
            (Lock::Shared, true) => FlockOperation::LockShared,
            (Lock::Exclusive, false) => FlockOperation::NonBlockingLockExclusive,
            (Lock::Exclusive, true) => FlockOperation::LockExclusive,
        };
        match rustix::io::retry_on_intr(|| fs::flock(&self.fd, operation)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl ReadAt for RealNew {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

impl DiskFile for RealNew {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(data, offset)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_mode(mode)
    }
    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }
    fn begin_sync(&self) {
        self.file.begin_sync();
    }
    fn write_out(&self) -> io::Result<()> {
        self.file.write_out()
    }
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn lock(&self, lock: Lock, wait: bool) -> io::Result<bool> {
        self.file.lock(lock, wait)
    }
}

impl NewFile for RealNew {
    fn seal(&mut self) -> io::Result<()> {
        Ok(fs::fchmod(&self.file.fd, Mode::from_raw_mode(self.mode))?)
    }

    fn name(&mut self, path: &Path) -> io::Result<()> {
        let shared = &self.shared;
        let temporary = self.temporary.as_ref().ok_or(io::ErrorKind::AlreadyExists)?;
        shared.in_directory(path, |dir, name| match fs::renameat_with(&shared.root, temporary, dir, name, RenameFlags::NOREPLACE) {
            // File systems such as NFS, which cannot refuse to replace.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::linkat(&shared.root, temporary, dir, name, AtFlags::empty())?;
                fs::unlinkat(&shared.root, temporary, AtFlags::empty())
            }
            other => other,
        })?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for RealNew {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary {
            let _ = fs::unlinkat(&self.shared.root, path, AtFlags::empty());
        }
    }
}

impl Disk for RealDisk {
    fn create(&self, dir: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<Box<dyn NewFile>> {
        let (fd, path) = self.shared.create_temporary(dir)?;
        let new = RealNew { file: RealFile { fd }, shared: self.shared.clone(), mode, temporary: Some(path) };
        if let Some((uid, gid)) = owner.filter(|_| has_root()) {
            fs::fchown(&new.file.fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(Box::new(new))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        // Without O_NONBLOCK a FIFO put here by somebody would stop us for ever.
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = flags
            | match access {
                Access::Read => OFlags::RDONLY,
                Access::Update => OFlags::RDWR,
                Access::Append => OFlags::RDWR | OFlags::CREATE,
            };
        let open = |flags| fs::openat(&self.shared.root, path, flags, Mode::RUSR | Mode::WUSR);
        // The time of the last access is of no use to anybody, and writing it may wait for a busy journal. Only the owner may do without.
        let fd = match open(flags | OFlags::NOATIME) {
            Err(Errno::PERM) => open(flags)?,
            other => other?,
        };
        Ok(Box::new(RealFile { fd }))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(stat(&fs::statat(&self.shared.root, path, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(fs::renameat(&self.shared.root, from, &self.shared.root, to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlinkat(&self.shared.root, path, AtFlags::empty())?)
    }

    fn make_dir(&self, path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
        let root = &self.shared.root;
        fs::mkdirat(root, path, Mode::RWXU)?;
        if let Some((uid, gid)) = owner.filter(|_| has_root()) {
            fs::chownat(root, path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlinkat(&self.shared.root, path, AtFlags::REMOVEDIR)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Ok(fs::fsync(&*self.shared.directory(path)?)?)
    }

    fn keeps_order(&self) -> bool {
        self.shared.keeps_order
    }

    fn sync_together(&self, files: &[&dyn DiskFile], directories: &[&Path]) -> Vec<io::Result<()>> {
        let open: Vec<_> = directories.iter().map(|directory| self.shared.directory(directory)).collect();
        let files = files.iter().filter_map(|file| file.descriptor());
        let all: Vec<_> = files.chain(open.iter().flatten().map(|directory| directory.as_fd())).collect();
        let mut results = storage::sync_all(&all);
        // In the places of the directories that could not be opened stands why.
        let first = all.len() - open.iter().flatten().count();
        for (at, failed) in open.into_iter().enumerate().filter_map(|(at, open)| Some((at, open.err()?))) {
            results.insert(first + at, Err(failed));
        }
        results
    }

    fn list(&self, path: &Path) -> io::Result<Names> {
        // Its own descriptor: a kept one has one reading position for all.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::openat(&self.shared.root, path, flags, Mode::empty())?;
        let dir = fs::Dir::new(fd)?;
        Ok(Box::new(dir.filter_map(|entry| match entry {
            Ok(entry) => {
                let name = entry.file_name().to_string_lossy();
                (name != "." && name != "..").then(|| Ok(name.into_owned()))
            }
            Err(error) => Some(Err(error.into())),
        })))
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        Ok(fs::chmodat(&self.shared.root, path, Mode::from_raw_mode(mode), AtFlags::empty())?)
    }

    fn set_times(&self, path: &Path, time: SystemTime) -> io::Result<()> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = Timespec { tv_sec: since.as_secs() as i64, tv_nsec: since.subsec_nanos() as _ };
        let times = Timestamps { last_access: time, last_modification: time };
        Ok(fs::utimensat(&self.shared.root, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn free_space(&self) -> io::Result<u64> {
        let space = fs::fstatvfs(self.shared.root.as_fd())?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

fn stat(stat: &fs::Stat) -> Stat {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let seconds = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    Stat {
        inode: stat.st_ino,
        is_file: kind == FileType::RegularFile,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: stat.st_nlink,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: UNIX_EPOCH + seconds + Duration::from_nanos(u64::from(stat.st_mtime_nsec as u32)),
    }
}
