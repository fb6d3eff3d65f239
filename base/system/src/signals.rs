//! Signals as a descriptor to poll (signalfd(2)), instead of handlers that interrupt anything at any moment.
#![allow(unsafe_code)]

use rustix::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Signal numbers, as libc has them.
pub use libc::{SIGABRT, SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGTERM};

/// Receives the signals it was made for; in the calling thread, and in threads started later, they do nothing else any more.
///
/// Programs started with `std::process::Command` get an empty signal mask, so they do not inherit this.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks these signals and opens a non-blocking descriptor that becomes readable when one comes.
    pub fn new(signals: &[i32]) -> io::Result<Signals> {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set before anything reads it; sigaddset refuses numbers that are no signals.
        let set = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for &signal in signals {
                if libc::sigaddset(set.as_mut_ptr(), signal) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            set.assume_init()
        };
        // SAFETY: the set is initialised; the old mask is not asked for.
        let status = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        if status != 0 {
            return Err(io::Error::from_raw_os_error(status));
        }
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(Signals { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The next signal that came, or `None` when there is none. Several of one kind may have become one.
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut buffer = [0u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.fd, &mut buffer) {
            // The signal number is the first member of signalfd_siginfo, 32 bits.
            Ok(_) => Ok(Some(u32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as i32)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_and_does_not_kill() {
        // In a thread of its own: the mask belongs to the thread, and tkill keeps the signal there.
        std::thread::spawn(|| {
            let signals = Signals::new(&[libc::SIGUSR1]).expect("signalfd");
            assert_eq!(signals.next().expect("read"), None);
            // SAFETY: sends a blocked signal to the calling thread.
            unsafe { libc::raise(libc::SIGUSR1) };
            assert_eq!(signals.next().expect("read"), Some(libc::SIGUSR1));
            assert_eq!(signals.next().expect("read"), None);
        })
        .join()
        .expect("thread");
    }
}
