//! The disk: writing early, many syncs at one time, and whether the file system keeps the order of what is done to it.
//!
//! # Why many syncs at one time
//!
//! A journaling file system writes one commit for all that wait for it, but a sync that begins when the commit is already there has to have the
//! disk empty its cache once more. Twenty new files that are synced one after the other cost one commit and nineteen of these; begun together they
//! cost the commit. The kernel's asynchronous I/O (io_submit(2)) does that without a thread of ours for each.
#![allow(unsafe_code)]

use rustix::fd::{AsRawFd, BorrowedFd};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Syncs that one call begins at one time; more are done in turns.
const AT_ONCE: usize = 64;

/// Has the kernel begin to write the dirty data of an open file, all of it. Does not wait for the disk (but may for a place in its queue), makes
/// nothing safe, and where the kernel cannot do it nothing happens: a sync has to follow, which then has less to wait for.
pub fn begin_writing(file: BorrowedFd<'_>) {
    // SAFETY: plain numbers, and a descriptor that the borrow keeps open. Length 0 means to the end.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Writes the dirty data of an open file and waits until the disk has them, though maybe only in its cache. Nothing is safe yet: see [`keeps_order`].
pub fn write_out(file: BorrowedFd<'_>) -> io::Result<()> {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: plain numbers, and a descriptor that the borrow keeps open. Length 0 means to the end.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a change of names in this file system never reaches stable storage before the changes that were made earlier, contents included that were
/// [written out](write_out): a power cut leaves a state that once was. So it is on ext3 and ext4 with a journal inside, unless mounted with
/// `data=writeback`.
///
/// `false` where it is not known, as on other file systems, or without `/sys` and `/proc` (after `chroot`).
pub fn keeps_order(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| keeps_order_on(stat.st_dev))
}

/// [`keeps_order`] of the file system with this `device` number. The machine is asked once for each.
pub fn keeps_order_on(device: u64) -> bool {
    static KNOWN: Mutex<BTreeMap<u64, bool>> = Mutex::new(BTreeMap::new());
    // A panic between two operations of a map leaves the map whole.
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner).entry(device).or_insert_with(|| journal_keeps_order(device))
}

fn journal_keeps_order(device: u64) -> bool {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let Ok(device) = std::fs::read_link(format!("/sys/dev/block/{major}:{minor}")) else { return false };
    let Some(name) = device.file_name() else { return false };
    // Without a journal there is no line about data at all. With one on another disk, to commit it does not empty the cache of this one.
    let inside = Path::new("/proc/fs/jbd2").join(format!("{}-8", name.display())).exists();
    let options = std::fs::read_to_string(Path::new("/proc/fs/ext4").join(name).join("options"));
    inside && options.is_ok_and(|options| options.lines().any(|line| matches!(line, "data=ordered" | "data=journal")))
}

/// Syncs files and directories, all at one time; the results in the same order. Blocks until the last is done.
///
/// Where the kernel has no asynchronous I/O (a container may refuse it, a limit be reached), they are synced one after the other.
pub fn sync_all(files: &[BorrowedFd<'_>]) -> Vec<io::Result<()>> {
    thread_local! {
        static CONTEXT: OnceCell<Option<Context>> = const { OnceCell::new() };
    }
    let one = |file: &BorrowedFd<'_>| Ok(rustix::fs::fsync(file)?);
    if let [file] = files {
        return vec![one(file)];
    }
    CONTEXT.with(|context| match context.get_or_init(Context::new) {
        Some(context) => files.chunks(AT_ONCE).flat_map(|some| context.sync(some)).collect(),
        None => files.iter().map(one).collect(),
    })
}

/// A place for asynchronous I/O of one thread, of which nothing is under way between two calls.
struct Context(libc::c_ulong);

/// `struct iocb` of linux/aio_abi.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Control {
    data: u64,
    // The order of these two depends on the byte order of the machine; both are 0 here.
    key: u32,
    rw_flags: u32,
    opcode: u16,
    priority: i16,
    descriptor: u32,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    event_descriptor: u32,
}

/// `struct io_event` of linux/aio_abi.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Event {
    data: u64,
    object: u64,
    result: i64,
    result2: i64,
}

const IOCB_CMD_FSYNC: u16 = 2;

impl Context {
    fn new() -> Option<Context> {
        let mut id: libc::c_ulong = 0;
        // SAFETY: the kernel writes a context's number to `id`, which must be 0 before.
        let made = unsafe { libc::syscall(libc::SYS_io_setup, AT_ONCE as libc::c_uint, &raw mut id) };
        (made == 0).then_some(Context(id))
    }

    /// Syncs at most [`AT_ONCE`] files, the last of them in this thread.
    fn sync(&self, files: &[BorrowedFd<'_>]) -> Vec<io::Result<()>> {
        let Some((last, files)) = files.split_last() else { return Vec::new() };
        let control = |(at, file): (usize, &BorrowedFd<'_>)| Control {
            data: at as u64,
            opcode: IOCB_CMD_FSYNC,
            // Never negative.
            descriptor: file.as_raw_fd().unsigned_abs(),
            ..Control::default()
        };
        let mut controls: Vec<Control> = files.iter().enumerate().map(control).collect();
        let pointers: Vec<*mut Control> = controls.iter_mut().map(|control| &raw mut *control).collect();
        let mut results: Vec<Option<io::Result<()>>> = files.iter().map(|_| None).collect();
        let mut begun = 0;
        while begun < pointers.len() {
            let rest = &pointers[begun..];
            // SAFETY: a context of ours, and as many pointers as we say to control blocks that outlive the call: the kernel copies them.
            let count = unsafe { libc::syscall(libc::SYS_io_submit, self.0, rest.len() as libc::c_long, rest.as_ptr()) };
            match usize::try_from(count) {
                Ok(count) if count > 0 => begun += count,
                // What cannot be begun is done below.
                _ => break,
            }
        }
        let of_last = rustix::fs::fsync(last);
        let mut events = [Event::default(); AT_ONCE];
        let mut left = begun;
        while left > 0 {
            // SAFETY: a context of ours, room for as many events as we ask for, no time limit. The results of all that was begun are awaited, so
            // nothing is under way when the borrowed descriptors may be closed.
            let count = unsafe {
                let none = std::ptr::null_mut::<libc::timespec>();
                libc::syscall(libc::SYS_io_getevents, self.0, left as libc::c_long, left as libc::c_long, events.as_mut_ptr(), none)
            };
            match usize::try_from(count) {
                Ok(count) => {
                    for event in &events[..count] {
                        let result = i32::try_from(-event.result).unwrap_or(libc::EIO);
                        let result = if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) };
                        if let Some(place) = usize::try_from(event.data).ok().and_then(|at| results.get_mut(at)) {
                            *place = Some(result);
                        }
                    }
                    left -= count;
                }
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                // Not to be: the arguments are right.
                Err(_) => break,
            }
        }
        let finished = |(at, result): (usize, Option<io::Result<()>>)| match result {
            Some(result) => result,
            // An error is told once: a second sync would hide it.
            None if at < begun => Err(io::Error::from_raw_os_error(libc::EIO)),
            None => Ok(rustix::fs::fsync(files[at])?),
        };
        results.into_iter().enumerate().map(finished).chain([of_last.map_err(io::Error::from)]).collect()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: a context of ours, used by nobody any more.
        let _ = unsafe { libc::syscall(libc::SYS_io_destroy, self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    fn temporary(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("storage-{}-{name}", std::process::id()))
    }

    #[test]
    fn files_and_directories_are_synced_together() {
        let path = temporary("many");
        std::fs::create_dir(&path).unwrap();
        let mut files: Vec<File> = (0..AT_ONCE + 9).map(|i| File::create(path.join(i.to_string())).unwrap()).collect();
        files.iter_mut().for_each(|file| file.write_all(b"x").unwrap());
        files.push(File::open(&path).unwrap());
        let all: Vec<_> = files.iter().map(File::as_fd).collect();
        let results = sync_all(&all);
        assert_eq!(results.len(), AT_ONCE + 10);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        std::fs::remove_dir_all(&path).unwrap();
    }

    // Each result belongs to its file, be it begun, refused at the start or done one by one.
    #[test]
    fn what_cannot_be_synced_fails_alone() {
        let path = temporary("pipe");
        let file = File::create(&path).unwrap();
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let results = sync_all(&[file.as_fd(), reader.as_fd(), file.as_fd()]);
        std::fs::remove_file(&path).unwrap();
        let failed: Vec<_> = results.iter().map(|result| result.as_ref().err().and_then(io::Error::raw_os_error)).collect();
        assert_eq!(failed, [None, Some(libc::EINVAL), None]);
        assert!(sync_all(&[]).is_empty());
    }

    #[test]
    fn data_are_written_out() {
        let path = temporary("out");
        let mut file = File::create(&path).unwrap();
        file.write_all(&[b'x'; 10_000]).unwrap();
        begin_writing(file.as_fd());
        write_out(file.as_fd()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(write_out(rustix::pipe::pipe().unwrap().0.as_fd()).is_err());
    }

    // No block device, no journal.
    #[test]
    fn proc_keeps_no_order() {
        assert!(!keeps_order(File::open("/proc/self/status").unwrap().as_fd()));
    }
}
