//! Record locks that belong to the open file, not to the process.
//!
//! Mail readers lock mailboxes with fcntl(2) locks. The classic kind belongs to the process: two threads that deliver to one mailbox would not
//! see each other, and closing any descriptor of the file would drop the lock. "Open file description" locks conflict with the classic kind of
//! other programs and have neither fault.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Tries to take an exclusive lock on the whole file; `Ok(false)` when somebody else holds one. Never blocks. The lock ends with the
/// last descriptor of this open file.
pub fn try_fcntl_exclusive(file: &File) -> io::Result<bool> {
    let lock =
        libc::flock { l_type: libc::F_WRLCK as libc::c_short, l_whence: libc::SEEK_SET as libc::c_short, l_start: 0, l_len: 0, l_pid: 0 };
    // SAFETY: the descriptor is open for the length of the call, and the pointer is to a live struct flock.
    let status = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) };
    if status == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_openings_of_one_file_exclude_each_other_even_in_one_process() {
        let path = std::env::temp_dir().join(format!("posthaste-lock-{}", std::process::id()));
        let (one, two) = (File::create(&path).unwrap(), File::options().write(true).open(&path).unwrap());
        assert!(try_fcntl_exclusive(&one).unwrap());
        assert!(!try_fcntl_exclusive(&two).unwrap());
        drop(one);
        assert!(try_fcntl_exclusive(&two).unwrap());
        std::fs::remove_file(path).unwrap();
    }
}
