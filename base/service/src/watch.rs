//! Descriptors of other kinds than sockets, watched by the runtime: signals and named pipes; and sockets that are
//! watched for one direction only.
#![allow(unsafe_code)]

use posthaste_system::signals::Signals;
use rustix::fd::OwnedFd;
use std::io;
use std::os::fd::AsRawFd;
use tokio::io::Interest;
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

/// Registers a descriptor with the current runtime, for reading.
pub(crate) fn watch_reading<T: Stable>(fd: T) -> io::Result<AsyncFd<T>> {
    watch_for(fd, Interest::READABLE)
}

/// Registers a descriptor for what is wanted of it.
pub(crate) fn watch_for<T: Stable>(fd: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: this is what the trait promises.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}
