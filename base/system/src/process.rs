//! The process as a whole: forking into the background, and giving up root for good.
#![allow(unsafe_code)]

use crate::credentials::Identity;
use std::io;

/// Which side of [`fork`] this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The process that called.
    Parent {
        /// Process id of the new one.
        child: i32,
    },
    /// The new process.
    Child,
}

/// Forks. Refuses when the process has more than one thread, since the others would be missing in the child, perhaps with locks held.
pub fn fork() -> io::Result<Fork> {
    if threads() > 1 {
        return Err(io::Error::other("fork with more than one thread"));
    }
    // SAFETY: this is the only thread, so the child is a complete copy in which everything may be called.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent { child }),
    }
}

/// How many threads this process has; 1 when `/proc` cannot tell.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count())
}

/// Becomes another user for good, in all threads: real, effective and saved ids, with no other group than its own.
pub fn become_user(who: Identity) -> io::Result<()> {
    // Rootless mode: nothing to give up, and no right to call setgroups(2).
    if who.uid != 0 && Identity::effective() == who && rustix::process::getuid().as_raw() == who.uid {
        return Ok(());
    }
    // SAFETY: one live group id, and plain numbers. These are the C library's calls, which bind every thread of the process.
    unsafe {
        check(libc::setgroups(1, &who.gid))?;
        check(libc::setresgid(who.gid, who.gid, who.gid))?;
        check(libc::setresuid(who.uid, who.uid, who.uid))
    }
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to a process, or with a negative number to a process group.
pub fn kill(process: i32, signal: i32) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::kill(process, signal) })
}

/// Whether this process leads its process group, so that a signal to the group reaches its children and nobody else.
///
/// A group from outside of our PID namespace (a container's first process) shows as 0, which rustix's `getpgrp` cannot hold.
pub fn leads_group() -> bool {
    // SAFETY: neither call takes anything or can fail.
    unsafe { libc::getpgrp() == libc::getpid() }
}

/// Has the kernel end this process by SIGALRM after so many seconds, unless the next call comes before. Zero calls it off.
pub fn alarm(seconds: u32) {
    // SAFETY: a plain number.
    unsafe { libc::alarm(seconds) };
}

/// Ends the process at once with this status: no destructors, no flushing. For the child of [`fork`] and for a watchdog.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory of ours.
    unsafe { libc::_exit(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fork_is_refused_beside_other_threads() {
        // The test runner itself has at least two threads.
        assert!(threads() > 1);
        assert!(fork().is_err());
    }

    #[test]
    fn an_unknown_process_cannot_be_signalled() {
        assert_eq!(kill(0x3fff_ffff, 0).map_err(|e| e.raw_os_error()), Err(Some(libc::ESRCH)));
    }
}
