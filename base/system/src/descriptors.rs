//! Descriptors that a process was started with.
#![allow(unsafe_code)]

use rustix::fd::{FromRawFd, OwnedFd};
use std::io;

/// Takes over a descriptor that the parent process left open, by its number, and keeps it from programs started later.
///
/// Fails when it is not open, or is one of standard input, output and error. Call it once for each number, before anything else is opened: a number
/// that this process gave to a file of its own must not be taken over.
pub fn adopt(number: i32) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: plain numbers; a number that is not open gives EBADF.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and by this function's contract belongs to nobody else in this process.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_open_is_not_adopted() {
        assert!(adopt(1).is_err());
        assert_eq!(adopt(1_000_000).map(drop).map_err(|error| error.raw_os_error()), Err(Some(libc::EBADF)));
    }
}
