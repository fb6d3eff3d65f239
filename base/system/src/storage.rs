//! Hints to the disk.
#![allow(unsafe_code)]

use rustix::fd::{AsRawFd, BorrowedFd};

/// Has the kernel begin to write the dirty data of an open file, all of it. Does not wait for the disk (but may for a place in its queue), makes
/// nothing safe, and where the kernel cannot do it nothing happens: a sync has to follow, which then has less to wait for.
pub fn begin_writing(file: BorrowedFd<'_>) {
    // SAFETY: plain numbers, and a descriptor that the borrow keeps open. Length 0 means to the end.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}
