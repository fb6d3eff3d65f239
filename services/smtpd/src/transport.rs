//! The connection to the client, and the buffers that sessions borrow.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Size of an input buffer.
const BUFFER: usize = 16 * 1024;
/// Buffers kept for the next session that needs one.
const KEPT: usize = 64;

/// Input buffers that nobody uses at the moment.
#[derive(Default)]
pub struct Buffers {
    free: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty buffer.
    pub fn take(&self) -> Vec<u8> {
        self.free.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(BUFFER))
    }

    /// Gives a buffer back.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let mut free = self.free.borrow_mut();
        if buffer.capacity() >= BUFFER && buffer.capacity() <= 4 * BUFFER && free.len() < KEPT {
            buffer.clear();
            free.push(buffer);
        }
    }
}

/// A connection to a server that smtpd asks (policy, filter).
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub async fn tcp(address: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(address).await?;
        // Requests are small and each waits for its answer.
        stream.set_nodelay(true)?;
        Ok(Stream::Tcp(stream))
    }

    pub async fn unix(path: &str) -> io::Result<Stream> {
        Ok(Stream::Unix(UnixStream::connect(path).await?))
    }

    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes).await,
            Stream::Unix(stream) => stream.write_all(bytes).await,
        }
    }

    /// Appends what has come; 0 at the end.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read_buf(buffer).await,
            Stream::Unix(stream) => stream.read_buf(buffer).await,
        }
    }

    /// Writes what can be written at once, for last words that nobody waits for.
    pub fn try_write(&self, bytes: &[u8]) {
        let _ = match self {
            Stream::Tcp(stream) => stream.try_write(bytes),
            Stream::Unix(stream) => stream.try_write(bytes),
        };
    }

    /// Whether the server has neither closed the connection nor sent anything that nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let read = match self {
            Stream::Tcp(stream) => stream.try_read(&mut byte),
            Stream::Unix(stream) => stream.try_read(&mut byte),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A client's connection.
pub enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Transport {
    /// Waits until there is something to read, without a buffer.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Transport::Tcp(stream) => stream.readable().await,
            Transport::Unix(stream) => stream.readable().await,
        }
    }

    /// Appends what has come to `buffer`, waiting for it if need be. 0 bytes: the client is gone.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.reserve(BUFFER / 4);
        match self {
            Transport::Tcp(stream) => stream.read_buf(buffer).await,
            Transport::Unix(stream) => stream.read_buf(buffer).await,
        }
    }

    /// Appends what is there already; `WouldBlock` when there is nothing.
    pub fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.reserve(BUFFER / 4);
        match self {
            Transport::Tcp(stream) => stream.try_read_buf(buffer),
            Transport::Unix(stream) => stream.try_read_buf(buffer),
        }
    }

    /// Writes all.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Transport::Tcp(stream) => stream.write_all(bytes).await,
            Transport::Unix(stream) => stream.write_all(bytes).await,
        }
    }

    /// Tells the client that no more comes.
    pub async fn close(&mut self) {
        let _ = match self {
            Transport::Tcp(stream) => stream.shutdown().await,
            Transport::Unix(stream) => stream.shutdown().await,
        };
    }
}
