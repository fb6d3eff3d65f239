//! The lookup helper of a service that holds root: a proxymap of its own.
//!
//! local, virtual, pipe and spawn take file names, commands and users from tables and act on them as root. Whoever has taken over the shared
//! proxymap service could so make root do anything; so these services do not believe it. They start one for themselves, before they begin to
//! serve: the same program with the same code, with the rights of `mail_owner` and in its sandbox, which talks to nobody but its parent, over a
//! socket pair.

use crate::file::reason;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

pub(crate) struct Helper {
    program: PathBuf,
    directory: PathBuf,
    /// One lookup at a time.
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    stream: UnixStream,
}

impl Helper {
    /// The helper of this process. `program` is the proxymap program, `directory` that of main.cf. It is started when it is asked for the
    /// first time: when the first table is opened.
    pub fn of_process(program: &Path, directory: &Path) -> Arc<Helper> {
        static HELPER: OnceLock<Arc<Helper>> = OnceLock::new();
        let new = || Helper { program: program.to_owned(), directory: directory.to_owned(), running: Mutex::default() };
        Arc::clone(HELPER.get_or_init(|| Arc::new(new())))
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Asks once. A helper that has ended is started again; a process that may no longer start programs ends in good order, so that master
    /// starts a new one with a helper.
    pub fn ask<T>(&self, limit: Duration, exchange: impl Fn(&mut UnixStream) -> io::Result<T>) -> Result<io::Result<T>, String> {
        let mut running = self.running.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(helper) = running.as_mut()
            && let Ok(answer) = exchange(&mut helper.stream)
        {
            return Ok(Ok(answer));
        }
        let ended = running.take();
        let had_one = ended.is_some();
        if let Some(mut ended) = ended {
            // It goes when its connection does; a process that hangs is not waited for.
            drop(ended.stream);
            let _ = ended.child.kill();
            let _ = ended.child.wait();
        }
        let mut helper = self.start(limit).map_err(|error| {
            if had_one {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
            }
            reason(&error)
        })?;
        let answer = exchange(&mut helper.stream);
        *running = Some(helper);
        Ok(answer)
    }

    fn start(&self, limit: Duration) -> io::Result<Running> {
        let (stream, far) = UnixStream::pair()?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let far = OwnedFd::from(far);
        let child = Command::new(&self.program)
            .args(["-n", "proxymap", "-t", "unix", "-S", "-u"])
            .env("MAIL_CONFIG", &self.directory)
            .stdin(far.try_clone()?)
            .stdout(far)
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Running { child, stream })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn helper(folder: &Path, script: &str) -> Helper {
        use std::os::unix::fs::PermissionsExt;
        let program = folder.join("proxymap");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Helper { program, directory: folder.to_owned(), running: Mutex::default() }
    }

    fn echo(helper: &Helper) -> Result<io::Result<u8>, String> {
        helper.ask(Duration::from_secs(10), |stream| {
            stream.write_all(b"x")?;
            let mut byte = [0];
            stream.read_exact(&mut byte).map(|()| byte[0])
        })
    }

    #[test]
    fn one_that_ended_is_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let helper = helper(folder.path(), "echo $$ >> \"$MAIL_CONFIG/started\"; head -c 1");
        for _ in 0..3 {
            assert_eq!(echo(&helper).unwrap().unwrap(), b'x');
        }
        let started = std::fs::read_to_string(folder.path().join("started")).unwrap();
        assert_eq!(started.lines().count(), 3, "{started}");
    }

    #[test]
    fn one_that_cannot_be_started_is_an_error() {
        let helper = Helper { program: "/nosuch/proxymap".into(), directory: "/".into(), running: Mutex::default() };
        assert_eq!(echo(&helper).unwrap_err(), "No such file or directory");
    }
}
