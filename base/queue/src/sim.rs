//! A disk in memory that forgets, for tests of the promise that no accepted message is lost.
//!
//! It keeps what was synced apart from what was not: data and permissions of each file, and its name, which is in a directory. Power can be cut
//! after any operation ([`SimDisk::cut_power_after`]), and [`SimDisk::reboot`] gives one of the states in which POSIX allows a disk to come up again:
//! of what was not synced, each file may have lost any part of its data, down to single sectors, and any number of its last changes of name.
//! With a journal ([`SimDisk::keep_order`]) a name that is there has with it what was written out before it was given.
//! A rename is atomic, as on every journaling file system, and the changes of one file's name do not overtake each other.
//!
//! The number of a file's names (its link count) is in the inode, which only the sync of the file writes for certain: without a journal the sync of
//! a directory does not. A file that had no name when it was synced last ([`SimDisk::nameless_files`]) may come up again with a count of 0:
//! then the check of the file system takes it for removed, whatever the directory says.

use crate::disk::{Access, Disk, DiskFile, Lock, Names, NewFile, ReadAt, Stat, parent};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a disk writes at one time.
const SECTOR: usize = 512;

/// A simulated disk with the given directories.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// How much of what was not synced is there after a reboot.
#[derive(Clone, Copy, Debug)]
pub enum Survives {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// Some of it, decided by this seed.
    Some(u64),
}

#[derive(Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    /// Present directories; whether their own name is on stable storage.
    directories: BTreeMap<PathBuf, bool>,
    next_inode: u64,
    operations: u64,
    power_ends_at: Option<u64>,
    /// Bytes for file contents.
    capacity: Option<u64>,
    seconds: u64,
    /// New files have no name at first, as with `O_TMPFILE`.
    nameless: bool,
    /// What is asked whether names keep their place behind contents says so.
    called_ordered: bool,
    /// And they do.
    ordered: bool,
}

#[derive(Default)]
struct Inode {
    now: Contents,
    stable: Contents,
    /// Changes since the last sync, in order.
    pending: Vec<Change>,
    /// All names it has had; the last is the present one.
    names: Vec<Option<PathBuf>>,
    /// Index into `names`: this change and those before it are on stable storage.
    durable: usize,
    /// How many of the changes and names there were when the data were last written out.
    written_out: (usize, usize),
    /// It had no name when it was last synced: the link count on stable storage is 0.
    synced_nameless: bool,
    readers: u32,
    writer: bool,
}

#[derive(Clone, Default)]
struct Contents {
    data: Vec<u8>,
    mode: u32,
    modified: u64,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
    Mode(u32),
    Time(u64),
}

impl Contents {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(offset, data) => {
                let end = *offset as usize + data.len();
                if self.data.len() < end {
                    self.data.resize(end, 0);
                }
                self.data[*offset as usize..end].copy_from_slice(data);
            }
            Change::Truncate(length) => self.data.resize(*length as usize, 0),
            Change::Mode(mode) => self.mode = *mode,
            Change::Time(time) => self.modified = *time,
        }
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        self.now.apply(&change);
        self.pending.push(change);
    }

    fn name(&self) -> Option<&Path> {
        self.names.last()?.as_deref()
    }
}

impl SimDisk {
    /// An empty disk with these directories, which are on stable storage.
    pub fn new(directories: &[&str]) -> SimDisk {
        let directories = directories.iter().map(|name| (PathBuf::from(name), true)).collect();
        SimDisk { state: Arc::new(Mutex::new(State { directories, next_inode: 0x1000, ..State::default() })) }
    }

    /// After `operations` more changing operations, each further operation fails.
    pub fn cut_power_after(&self, operations: u64) {
        let mut state = self.lock();
        state.power_ends_at = Some(state.operations + operations);
    }

    /// Room for this many bytes of file contents in all; what does not fit fails with `StorageFull`.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = Some(bytes);
    }

    /// From now on new files have no name until they get their own (`O_TMPFILE` and a link), not a temporary one.
    pub fn nameless_files(&self) {
        self.lock().nameless = true;
    }

    /// A disk with a journal that keeps the order of contents that were written out and names, and says so.
    pub fn keep_order(&self) {
        let mut state = self.lock();
        (state.called_ordered, state.ordered) = (true, true);
    }

    /// A disk that says it keeps the order, and does not.
    pub fn pretend_order(&self) {
        self.lock().called_ordered = true;
    }

    /// Changing operations so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The disk after a power failure now. The old one stays as it is, so that several outcomes can be looked at.
    pub fn reboot(&self, survives: Survives) -> SimDisk {
        let old = self.lock();
        let mut dice = Dice(match survives {
            Survives::Some(seed) => seed,
            _ => 0,
        });
        let keep = |dice: &mut Dice| match survives {
            Survives::Nothing => false,
            Survives::Everything => true,
            Survives::Some(_) => dice.roll(2) == 0,
        };
        let mut new = State { next_inode: old.next_inode, seconds: old.seconds, ..State::default() };
        for (path, durable) in &old.directories {
            let above = parent(path);
            if (*durable || keep(&mut dice)) && (above == Path::new(".") || new.directories.contains_key(&above)) {
                new.directories.insert(path.clone(), true);
            }
        }
        let mut taken: HashMap<PathBuf, u64> = HashMap::new();
        for (&number, inode) in &old.inodes {
            let first = inode.durable;
            let at = match survives {
                Survives::Nothing => first,
                Survives::Everything => inode.names.len() - 1,
                Survives::Some(_) => first + dice.roll((inode.names.len() - first) as u64) as usize,
            };
            let mut contents = inode.stable.clone();
            let (changes, names) = inode.written_out;
            // With this name comes what was written out before it was given.
            let certain = if old.ordered && names > 0 && at >= names { changes } else { 0 };
            inode.pending[..certain].iter().for_each(|change| contents.apply(change));
            for change in &inode.pending[certain..] {
                match change {
                    Change::Write(offset, data) => {
                        // The length of the file may be recorded although the data are not.
                        if keep(&mut dice) && contents.data.len() < *offset as usize + data.len() {
                            contents.data.resize(*offset as usize + data.len(), 0);
                        }
                        for (i, sector) in data.chunks(SECTOR).enumerate() {
                            if keep(&mut dice) {
                                contents.apply(&Change::Write(offset + (i * SECTOR) as u64, sector.to_vec()));
                            }
                        }
                    }
                    other if keep(&mut dice) => contents.apply(other),
                    _ => (),
                }
            }
            let Some(path) = &inode.names[at] else { continue };
            if !new.directories.contains_key(&parent(path)) || (inode.synced_nameless && !keep(&mut dice)) {
                continue;
            }
            // Of two files that claim one name the later one has it.
            if let Some(earlier) = taken.insert(path.clone(), number) {
                new.inodes.remove(&earlier);
            }
            let inode = Inode { now: contents.clone(), stable: contents, names: vec![Some(path.clone())], ..Inode::default() };
            new.inodes.insert(number, inode);
        }
        SimDisk { state: Arc::new(Mutex::new(new)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a changing operation.
    fn operation(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        state.power()?;
        state.operations += 1;
        state.seconds += 1;
        Ok(state)
    }
}

impl State {
    fn power(&self) -> io::Result<()> {
        match self.power_ends_at {
            Some(end) if self.operations >= end => Err(io::Error::other("no power")),
            _ => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let found = self.inodes.iter().find(|(_, inode)| inode.name() == Some(path));
        found.map(|(&number, _)| number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode(&mut self, number: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn add(&mut self, mode: u32, name: Option<PathBuf>) -> u64 {
        self.next_inode += 1;
        let contents = Contents { mode, modified: self.seconds, ..Contents::default() };
        let names = if name.is_some() { vec![None, name] } else { vec![None] };
        // A new inode's permissions reach the disk together with it; its length then is 0.
        let inode = Inode { now: contents.clone(), stable: contents, names, ..Inode::default() };
        self.inodes.insert(self.next_inode, inode);
        self.next_inode
    }

    fn in_directory(&self, path: &Path) -> io::Result<()> {
        if self.directories.contains_key(&parent(path)) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn stat(&self, number: u64) -> io::Result<Stat> {
        let inode = self.inodes.get(&number).ok_or(io::ErrorKind::NotFound)?;
        Ok(Stat {
            inode: number,
            is_file: true,
            mode: inode.now.mode,
            uid: 0,
            gid: 0,
            links: u64::from(inode.name().is_some()),
            size: inode.now.data.len() as u64,
            modified: UNIX_EPOCH + Duration::from_secs(inode.now.modified),
        })
    }
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
    held: Mutex<Option<Lock>>,
}

impl SimFile {
    fn new(disk: &SimDisk, inode: u64) -> SimFile {
        SimFile { disk: disk.clone(), inode, held: Mutex::new(None) }
    }
}

impl ReadAt for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.power()?;
        state.inode(self.inode)?.now.data.read_at(buffer, offset)
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.operation()?;
        let used: u64 = state.inodes.values().map(|inode| inode.now.data.len() as u64).sum();
        let capacity = state.capacity;
        let inode = state.inode(self.inode)?;
        let grows = (offset + data.len() as u64).saturating_sub(inode.now.data.len() as u64);
        if let Some(short) = capacity.and_then(|capacity| (used + grows).checked_sub(capacity)).filter(|&short| short > 0) {
            // What fits is written, as a disk does.
            let fits = data.len().saturating_sub(usize::try_from(short).unwrap_or(usize::MAX));
            inode.change(Change::Write(offset, data[..fits].to_vec()));
            return Err(io::ErrorKind::StorageFull.into());
        }
        inode.change(Change::Write(offset, data.to_vec()));
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.operation()?.inode(self.inode)?.change(Change::Truncate(length));
        Ok(())
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.disk.operation()?.inode(self.inode)?.change(Change::Mode(mode));
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        let state = self.disk.lock();
        state.power()?;
        state.stat(self.inode)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.operation()?;
        let inode = state.inode(self.inode)?;
        inode.stable = inode.now.clone();
        inode.pending.clear();
        inode.written_out = (0, 0);
        inode.synced_nameless = inode.name().is_none();
        Ok(())
    }

    fn write_out(&self) -> io::Result<()> {
        let mut state = self.disk.operation()?;
        let inode = state.inode(self.inode)?;
        inode.written_out = (inode.pending.len(), inode.names.len());
        Ok(())
    }

    fn lock(&self, lock: Lock, wait: bool) -> io::Result<bool> {
        loop {
            let mut state = self.disk.lock();
            state.power()?;
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let inode = state.inode(self.inode)?;
            let free = !inode.writer && (lock == Lock::Shared || inode.readers == 0);
            if held.is_some() || free {
                if held.is_none() {
                    match lock {
                        Lock::Shared => inode.readers += 1,
                        Lock::Exclusive => inode.writer = true,
                    }
                    *held = Some(lock);
                }
                return Ok(true);
            }
            if !wait {
                return Ok(false);
            }
            drop((held, state));
            std::thread::yield_now();
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            match self.held.get_mut().unwrap_or_else(PoisonError::into_inner) {
                Some(Lock::Shared) => inode.readers -= 1,
                Some(Lock::Exclusive) => inode.writer = false,
                None => (),
            }
        }
    }
}

struct SimNew {
    file: SimFile,
    mode: u32,
    /// It has its own name.
    named: bool,
}

impl Drop for SimNew {
    fn drop(&mut self) {
        if !self.named
            && let Ok(mut state) = self.file.disk.operation()
            && let Ok(inode) = state.inode(self.file.inode)
            && inode.name().is_some()
        {
            inode.names.push(None);
        }
    }
}

impl ReadAt for SimNew {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

impl DiskFile for SimNew {
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
    fn write_out(&self) -> io::Result<()> {
        self.file.write_out()
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn lock(&self, lock: Lock, wait: bool) -> io::Result<bool> {
        self.file.lock(lock, wait)
    }
}

impl NewFile for SimNew {
    fn seal(&mut self) -> io::Result<()> {
        self.file.disk.operation()?.inode(self.file.inode)?.change(Change::Mode(self.mode));
        Ok(())
    }

    fn name(&mut self, path: &Path) -> io::Result<()> {
        let mut state = self.file.disk.operation()?;
        state.in_directory(path)?;
        if state.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.inode(self.file.inode)?.names.push(Some(path.to_owned()));
        self.named = true;
        Ok(())
    }
}

impl Disk for SimDisk {
    fn create(&self, dir: &Path, mode: u32, _owner: Option<(u32, u32)>) -> io::Result<Box<dyn NewFile>> {
        let mut state = self.operation()?;
        state.in_directory(&dir.join("x"))?;
        let temporary = dir.join(format!("{}.1", state.next_inode));
        let name = (!state.nameless).then_some(temporary);
        let inode = state.add(0o600, name);
        drop(state);
        Ok(Box::new(SimNew { file: SimFile::new(self, inode), mode, named: false }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let state = self.lock();
        state.power()?;
        let inode = match state.find(path) {
            Err(_) if access == Access::Append => {
                drop(state);
                let mut state = self.operation()?;
                state.in_directory(path)?;
                match state.find(path) {
                    Ok(inode) => inode,
                    Err(_) => state.add(0o600, Some(path.to_owned())),
                }
            }
            found => found?,
        };
        Ok(Box::new(SimFile::new(self, inode)))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = self.lock();
        state.power()?;
        state.stat(state.find(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        let inode = state.find(from)?;
        state.in_directory(to)?;
        if let Ok(replaced) = state.find(to) {
            state.inode(replaced)?.names.push(None);
        }
        state.inode(inode)?.names.push(Some(to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        let inode = state.find(path)?;
        state.inode(inode)?.names.push(None);
        Ok(())
    }

    fn make_dir(&self, path: &Path, _owner: Option<(u32, u32)>) -> io::Result<()> {
        let mut state = self.operation()?;
        if parent(path) != Path::new(".") {
            state.in_directory(path)?;
        }
        if state.directories.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.directories.insert(path.to_owned(), false);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        let inside = |entry: &Path| parent(entry) == path;
        if state.inodes.values().filter_map(Inode::name).any(inside) || state.directories.keys().any(|entry| inside(entry)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.directories.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        for (directory, durable) in &mut state.directories {
            *durable |= parent(directory) == path;
        }
        for inode in state.inodes.values_mut() {
            let touches = |name: &Option<PathBuf>| name.as_deref().is_some_and(|name| parent(name) == path);
            for i in (inode.durable + 1..inode.names.len()).rev() {
                if touches(&inode.names[i]) || touches(&inode.names[i - 1]) {
                    inode.durable = i;
                    break;
                }
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Names> {
        let state = self.lock();
        state.power()?;
        if !state.directories.contains_key(path) {
            let kind = if state.find(path).is_ok() { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound };
            return Err(kind.into());
        }
        let files = state.inodes.values().filter_map(Inode::name);
        let entries = files.chain(state.directories.keys().map(PathBuf::as_path)).filter(|entry| parent(entry) == path);
        let names: Vec<_> = entries.filter_map(|entry| Some(Ok(entry.file_name()?.to_string_lossy().into_owned()))).collect();
        Ok(Box::new(names.into_iter()))
    }

    fn keeps_order(&self) -> bool {
        self.lock().called_ordered
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        let mut state = self.operation()?;
        let inode = state.find(path)?;
        state.inode(inode)?.change(Change::Mode(mode));
        Ok(())
    }

    fn set_times(&self, path: &Path, time: SystemTime) -> io::Result<()> {
        let mut state = self.operation()?;
        let inode = state.find(path)?;
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        state.inode(inode)?.change(Change::Time(seconds));
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        let state = self.lock();
        let used: u64 = state.inodes.values().map(|inode| inode.now.data.len() as u64).sum();
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used)))
    }
}

/// Repeatable chance (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides.max(1)
    }
}
