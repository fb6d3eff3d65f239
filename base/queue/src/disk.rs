//! The disk as a parameter: the real one ([`RealDisk`]), and a simulated one that loses what was not synced ([`crate::sim::SimDisk`]).
//!
//! All paths are relative to the queue directory. All calls block; none but the `sync` ones waits for stable storage.

use rustix::fd::BorrowedFd;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use crate::real::RealDisk;

/// What the queue asks of a file's inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Inode number; part of the queue id.
    pub inode: u64,
    /// A regular file; nothing else is ever a message.
    pub is_file: bool,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links.
    pub links: u64,
    /// Length in bytes.
    pub size: u64,
    /// In `incoming` and `deferred`: not before this time.
    pub modified: SystemTime,
}

impl Stat {
    /// User `rwx`: the mark of a complete file.
    pub fn is_complete(&self) -> bool {
        self.is_file && self.mode & 0o700 == 0o700
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    Read,
    /// For reading and overwriting in place.
    Update,
    /// For reading and appending; created (mode 0600) when it is not there.
    Append,
}

/// An advisory lock (`flock`) on an open file; it ends when the file is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// By delivery agents, on what they read.
    Shared,
    /// By the queue manager, on what it opens; by writers of logs.
    Exclusive,
}

/// Bytes by offset.
pub trait ReadAt {
    /// Reads at `offset`; 0 bytes only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// An open file.
pub trait DiskFile: ReadAt + Send + Sync {
    /// Writes all of `data` at `offset`.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Sets the permissions.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// The inode.
    fn stat(&self) -> io::Result<Stat>;
    /// Has the disk begin to write the data, for a sync that comes soon. Waits for nothing and promises nothing.
    fn begin_sync(&self) {}
    /// Has the disk write the data and waits for it. They are safe only after a sync, but see [`Disk::keeps_order`].
    fn write_out(&self) -> io::Result<()>;
    /// Puts data and inode on stable storage. Not the name: that is in the directory.
    fn sync(&self) -> io::Result<()>;
    /// The open file, where it is one of the machine's.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Takes a lock; `false` when another holds it and `wait` is not set.
    fn lock(&self, lock: Lock, wait: bool) -> io::Result<bool>;
}

/// A new file that has no name yet that anybody would take for a message's. Dropped without a name, it is gone.
pub trait NewFile: DiskFile {
    /// Gives it the permissions with which it was ordered.
    fn seal(&mut self) -> io::Result<()>;
    /// Gives it its name; fails with `AlreadyExists` rather than replace another, and with `NotFound` where the directory is missing.
    fn name(&mut self, path: &Path) -> io::Result<()>;
}

/// The names in a directory, read as they are asked for.
pub type Names = Box<dyn Iterator<Item = io::Result<String>> + Send>;

/// The file operations that the queue needs.
pub trait Disk: Send + Sync {
    /// A new file with these permissions, owned by `owner` where given, in the file system of directory `dir`.
    fn create(&self, dir: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<Box<dyn NewFile>>;
    /// Opens an existing file (or, with [`Access::Append`], a new one).
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// The inode behind a path; symbolic links are not followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Renames, atomically replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory with mode 0700 whose parent exists.
    fn make_dir(&self, path: &Path, owner: Option<(u32, u32)>) -> io::Result<()>;
    /// Removes a directory; fails when it is not empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Puts the names in a directory on stable storage.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Whether a new name is never on stable storage before what the file had in it when it was [written out](DiskFile::write_out) before.
    fn keeps_order(&self) -> bool {
        false
    }
    /// Syncs files and directories, all at one time where that is possible; the results in this order.
    fn sync_together(&self, files: &[&dyn DiskFile], directories: &[&Path]) -> Vec<io::Result<()>> {
        let files = files.iter().map(|file| file.sync());
        files.chain(directories.iter().map(|directory| self.sync_dir(directory))).collect()
    }
    /// The names in a directory, in no order, without `.` and `..`; read as they are asked for.
    fn list(&self, path: &Path) -> io::Result<Names>;
    /// Sets the permissions of a file.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Sets access and modification time.
    fn set_times(&self, path: &Path, time: SystemTime) -> io::Result<()>;
    /// Free bytes for unprivileged processes.
    fn free_space(&self) -> io::Result<u64>;
}

/// The directory that holds `path`.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
