//! Triggers: single bytes that wake a service (`public/pickup`, `public/qmgr`), as in Postfix. There is no answer.

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

/// Sends `bytes` to the service at `path`, a socket or (master.cf type `fifo`) a named pipe. Waits at most `timeout` (`trigger_timeout`)
/// for a service that does not take its clients. `NotFound` and `ConnectionRefused` mean that the mail system is not running.
pub fn send(path: &Path, bytes: &[u8], timeout: Duration) -> io::Result<()> {
    if std::fs::metadata(path)?.file_type().is_fifo() {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            // Nobody reads.
            rustix::io::Errno::NXIO => io::ErrorKind::ConnectionRefused.into(),
            other => io::Error::from(other),
        })?;
        rustix::io::write(&pipe, bytes)?;
        return Ok(());
    }
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Bounds the wait for a place in the queue of clients as well as that for the bytes.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(timeout))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::send(&socket, bytes, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn to_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qmgr");
        assert_eq!(send(&path, b"W", SECOND).unwrap_err().kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        send(&path, b"WD", SECOND).unwrap();
        let mut got = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"WD");
        drop(listener);
        assert_eq!(send(&path, b"W", SECOND).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    // S-MASTER-06
    #[test]
    fn to_a_fifo() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pickup");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(send(&path, b"W", SECOND).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let flags = OFlags::RDWR | OFlags::NONBLOCK;
        let pipe = rustix::fs::open(&path, flags, Mode::empty()).unwrap();
        send(&path, b"W", SECOND).unwrap();
        let mut byte = [0];
        assert_eq!(rustix::io::read(&pipe, &mut byte).unwrap(), 1);
    }
}
