//! Connections between processes.
//!
//! A socket of Tokio's own is watched for both directions. On a Unix socket that means a wake-up of the sender each time the receiver has
//! read something: one context switch for each message on each hop, for nothing, since there is nearly always room. These connections are
//! watched for reading only; when there is no room to write, a second watch is set up until there is.

use crate::watch::{watch_for, watch_reading};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, shutdown, socket_with,
};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

/// A connection to another service's socket.
#[derive(Debug)]
pub struct LocalStream {
    socket: AsyncFd<OwnedFd>,
}

/// A socket whose backlog is full is tried this often, so many times.
const RETRY: (Duration, u32) = (Duration::from_millis(20), 100);
/// Room that a read offers.
const CHUNK: usize = 16 * 1024;

impl LocalStream {
    /// Connects to a socket by its path, which daemons give relative to the queue directory. Waits up to two seconds for a service whose backlog
    /// is full.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<LocalStream> {
        let address = SocketAddrUnix::new(path.as_ref())?;
        for _ in 0..RETRY.1 {
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
            match connect(&socket, &address) {
                Ok(()) => return Ok(LocalStream { socket: watch_reading(socket)? }),
                Err(rustix::io::Errno::AGAIN) => tokio::time::sleep(RETRY.0).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(rustix::io::Errno::AGAIN.into())
    }

    /// Takes over a client of this service.
    pub fn new(client: UnixStream) -> io::Result<LocalStream> {
        Ok(LocalStream { socket: watch_reading(client.into_std()?.into())? })
    }

    /// Waits for data and appends it to `buffer`, at most 16 KiB at a time; 0 is the end. Nothing is lost when the future is dropped.
    pub async fn read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            let mut ready = self.socket.readable().await?;
            buffer.reserve(CHUNK);
            let room = buffer.capacity() - buffer.len();
            match recv(self.socket.get_ref(), rustix::buffer::spare_capacity(buffer), RecvFlags::DONTWAIT) {
                Ok((n, _)) => {
                    // Less than there was room for: the socket is empty now, and epoll will say when it is not.
                    if n > 0 && n < room {
                        ready.clear_ready();
                    }
                    return Ok(n);
                }
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes as much as there is room for now; `WouldBlock` when there is none.
    pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        loop {
            match send(self.socket.get_ref(), data, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map_err(io::Error::from),
            }
        }
    }

    /// Tells the other side that nothing more will come from here.
    pub fn end_writing(&self) {
        let _ = shutdown(self.socket.get_ref(), Shutdown::Write);
    }

    /// Waits until there is room to write, or the connection is broken.
    pub async fn writable(&self) -> io::Result<()> {
        let copy = self.socket.get_ref().as_fd().try_clone_to_owned()?;
        let watched = watch_for(copy, Interest::WRITABLE)?;
        let _ = watched.writable().await?;
        Ok(())
    }

    /// Writes all of it.
    pub async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            match self.try_write(data) {
                Ok(n) => data = &data[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
    }

    /// More than the socket holds, in both directions, with a peer that is slow to read.
    #[test]
    fn a_full_socket_is_waited_for() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("bind");
        let peer = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("accept");
            std::thread::sleep(Duration::from_millis(50));
            let mut all = vec![0; 3_000_000];
            client.read_exact(&mut all).expect("read");
            client.write_all(&all).expect("write");
            all
        });
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let back = block_on(async {
            let stream = LocalStream::connect(&path).await.expect("connect");
            stream.write_all(&sent).await.expect("write");
            let mut back = Vec::new();
            while stream.read(&mut back).await.expect("read") > 0 {}
            back
        });
        assert!(peer.join().expect("peer") == sent && back == sent);
    }

    #[test]
    fn nobody_listens() {
        let error = block_on(LocalStream::connect("/nonexistent/socket")).expect_err("no such file");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_peer_that_goes_is_an_end_for_reading_and_an_error_for_writing() {
        let (near, far) = std::os::unix::net::UnixStream::pair().expect("pair");
        near.set_nonblocking(true).expect("non-blocking");
        block_on(async {
            let stream = LocalStream::new(UnixStream::from_std(near).expect("stream")).expect("stream");
            (&far).write_all(b"last words").expect("write");
            drop(far);
            let mut buffer = Vec::new();
            assert_eq!(stream.read(&mut buffer).await.expect("read"), 10);
            assert_eq!(stream.read(&mut buffer).await.expect("end"), 0);
            assert_eq!(stream.write_all(b"x").await.expect_err("gone").kind(), io::ErrorKind::BrokenPipe);
        });
    }
}
