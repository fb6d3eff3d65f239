//! The lock files that say a master runs.

use posthaste_config::system_reason as text;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;

/// Opens and locks a file. `Ok(None)`: somebody else has the lock.
pub(crate) fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))?);
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// As [`open`], with the text that goes after `fatal: ` when it fails.
pub(crate) fn hold(path: &Path) -> Result<File, String> {
    let fail = |why: &str| Err(format!("open lock file {}: {why}", path.display()));
    match open(path) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => fail(&format!("unable to set exclusive lock: {}", text(&rustix::io::Errno::AGAIN.into()))),
        Err(error) => fail(&text(&error)),
    }
}

/// Writes the process id, right-aligned in 32 columns, as the scripts that read `master.pid` know it.
pub(crate) fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{:>32}\n", std::process::id()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-CMD-05: `postfix status` tests this lock.
    #[test]
    fn one_at_a_time_and_the_pid_in_32_columns() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("master.pid");
        let mut first = hold(&path).expect("free");
        write_pid(&mut first).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("pid").len(), 33);
        let error = hold(&path).expect_err("held");
        assert!(error.ends_with("unable to set exclusive lock: Resource temporarily unavailable"), "{error}");
        drop(first);
        assert!(open(&path).expect("free again").is_some());
    }
}
