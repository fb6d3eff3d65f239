//! Descriptors of other kinds than sockets, watched by the runtime: signals and named pipes.
#![allow(unsafe_code)]

use posthaste_system::signals::Signals;
use rustix::fd::OwnedFd;
use std::io;
use std::os::fd::AsRawFd;
use tokio::io::unix::AsyncFd;

/// Owns exactly one descriptor, which stays open and the same for the value's life.
///
/// # Safety
/// `as_raw_fd` must give the same open descriptor each time until the value is dropped.
pub(crate) unsafe trait Stable: AsRawFd {}

// SAFETY: an OwnedFd is its descriptor; it is closed by being dropped.
unsafe impl Stable for OwnedFd {}
// SAFETY: Signals holds one OwnedFd that nothing replaces.
unsafe impl Stable for Signals {}

/// Registers a descriptor with the current runtime.
pub(crate) fn watch<T: Stable>(fd: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: this is what the trait promises.
    unsafe { AsyncFd::register(fd) }.map_err(io::Error::from)
}
