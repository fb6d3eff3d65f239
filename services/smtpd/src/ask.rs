//! Short questions to other services of the mail system: one connection, one request, one answer.

use posthaste_ipc::frame::{self, Decoder};
use posthaste_ipc::wire::Wire;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Asks the service whose socket is `path`, relative to the queue directory.
pub async fn ask<Q: Wire, A: Wire>(path: &Path, kind: u8, question: &Q, answer: u8, limit: Duration) -> io::Result<A> {
    let invalid = |error: posthaste_ipc::wire::WireError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let exchange = async {
        let mut stream = UnixStream::connect(path).await?;
        let mut out = Vec::new();
        frame::put(&mut out, kind, 1, question).map_err(invalid)?;
        stream.write_all(&out).await?;
        let mut decoder = Decoder::new();
        loop {
            if let Some(frame) = decoder.frame().map_err(invalid)? {
                if frame.kind == answer {
                    return frame.value().map_err(invalid);
                }
                continue;
            }
            if stream.read_buf(decoder.buffer()).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    };
    timeout(limit, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
