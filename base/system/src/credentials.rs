//! Acting as another user for the length of a call, in the calling thread only.
//!
//! glibc's `setresuid` and friends change every thread of the process, which would switch deliveries that run beside this one. The
//! kernel's own calls are per thread, so these are used; the real and saved ids stay root's, and the thread can come back.
#![allow(unsafe_code)]

use std::io;

/// A user's ids, for file access and for commands. No supplementary groups, as Postfix gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// The only group.
    pub gid: u32,
}

impl Identity {
    /// Who this process (or thread) is now.
    pub fn effective() -> Identity {
        Identity { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }
}

/// Calls `action` with the effective ids of `who`, in this thread, and comes back to the ids of before.
///
/// Without root this works only when `who` is already the user (rootless mode); otherwise it fails with `EPERM` and `action` is not called.
/// If the way back fails the process aborts: going on with the wrong rights would be worse.
pub fn as_user<T>(who: Identity, action: impl FnOnce() -> T) -> io::Result<T> {
    let before = Identity::effective();
    if before == who {
        return Ok(action());
    }
    let groups: Vec<u32> = rustix::process::getgroups()?.iter().map(|g| g.as_raw()).collect();
    switch(who, &[who.gid]).inspect_err(|_| back(before, &groups))?;
    // A panic in the action must not leave the thread with the wrong ids: the guard's Drop runs in any case.
    let guard = Back { before, groups };
    let result = action();
    drop(guard);
    Ok(result)
}

/// Makes the child of `command` change its root, then its directory (below the new root), and only then become `who`.
///
/// The standard library switches users before any such step, and chroot(2) needs root: so do not give `uid` and `gid` to `command` as well.
pub fn chroot_child(command: &mut std::process::Command, root: std::path::PathBuf, directory: std::path::PathBuf, who: Identity) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only system calls are made, on values that were allocated before the fork. The child has one thread, so the
    // calls for a thread are calls for the process.
    unsafe {
        command.pre_exec(move || {
            rustix::process::chroot(root.as_path())?;
            rustix::process::chdir(directory.as_path())?;
            let (uid, gid) = (libc::c_long::from(who.uid), libc::c_long::from(who.gid));
            set_groups(&[])?;
            check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
            check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))
        });
    }
}

/// Makes the child of `command` start with no signal blocked. A service takes its signals as a descriptor and blocks them for that, and
/// the standard library passes the mask on: the command could not be ended by SIGTERM.
pub fn unblock_signals(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only two async-signal-safe calls are made, on a set in the closure's own frame.
    unsafe {
        command.pre_exec(|| {
            let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            match libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) {
                0 => Ok(()),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        });
    }
}

struct Back {
    before: Identity,
    groups: Vec<u32>,
}

impl Drop for Back {
    fn drop(&mut self) {
        back(self.before, &self.groups);
    }
}

fn back(before: Identity, groups: &[u32]) {
    // Effective root first: only it may set groups.
    let done = set_effective_uid(before.uid).and_then(|()| set_effective_gid(before.gid)).and_then(|()| set_groups(groups));
    if done.is_err() {
        std::process::abort();
    }
}

fn switch(who: Identity, groups: &[u32]) -> io::Result<()> {
    set_groups(groups)?;
    set_effective_gid(who.gid)?;
    set_effective_uid(who.uid)
}

fn check(status: libc::c_long) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// "Leave this id as it is", for the kernel.
const KEEP: libc::c_long = -1;

fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and the length describe a live slice of gid_t, which is u32 on Linux.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

fn set_effective_gid(gid: u32) -> io::Result<()> {
    // SAFETY: plain numbers; the call touches no memory.
    check(unsafe { libc::syscall(libc::SYS_setresgid, KEEP, libc::c_long::from(gid), KEEP) })
}

fn set_effective_uid(uid: u32) -> io::Result<()> {
    // SAFETY: plain numbers; the call touches no memory.
    check(unsafe { libc::syscall(libc::SYS_setresuid, KEEP, libc::c_long::from(uid), KEEP) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    const NOBODY: Identity = Identity { uid: 65534, gid: 65534 };

    #[test]
    fn oneself_needs_no_rights() {
        let me = Identity::effective();
        assert_eq!(as_user(me, Identity::effective).unwrap(), me);
    }

    // S-SEC: privileged agents write as the recipient, and only in the thread that does so.
    #[test]
    fn files_belong_to_the_user_and_other_threads_stay_root() {
        let me = Identity::effective();
        if me.uid != 0 {
            assert_eq!(as_user(NOBODY, || ()).unwrap_err().raw_os_error(), Some(libc::EPERM));
            return;
        }
        let path = std::env::temp_dir().join(format!("posthaste-as-user-{}", std::process::id()));
        let other = as_user(NOBODY, || {
            std::fs::write(&path, "x").unwrap();
            std::thread::scope(|s| s.spawn(|| ()).join()).unwrap();
            Identity::effective()
        });
        assert_eq!(other.unwrap(), NOBODY);
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), NOBODY.uid);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Identity::effective(), me);
    }

    #[test]
    fn a_panic_comes_back_too() {
        let me = Identity::effective();
        if me.uid != 0 {
            return;
        }
        let caught = std::panic::catch_unwind(|| as_user(NOBODY, || panic!("on purpose")));
        assert!(caught.is_err());
        assert_eq!(Identity::effective(), me);
    }
}
