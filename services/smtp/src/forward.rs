//! `best_mx_transport`: handing a request on to another delivery agent.

use posthaste_ipc::delivery::{Done, Report, Request};
use posthaste_ipc::frame::{self, Decoder};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Has the agent `transport` (or `transport:nexthop`) deliver to the recipients in `batch`. It logs and marks on its own; its reports are
/// given to `report` with the numbers of this request.
pub async fn pass_on(request: &Request, batch: &[u32], transport: &str, report: &mut dyn FnMut(Report)) -> io::Result<()> {
    let (service, nexthop) = transport.split_once(':').unwrap_or((transport, ""));
    let mut stream = UnixStream::connect(format!("private/{service}")).await?;
    let mut other = request.clone();
    other.recipients = batch.iter().filter_map(|i| request.recipients.get(*i as usize).cloned()).collect();
    if !nexthop.is_empty() {
        other.nexthop = nexthop.into();
    }
    let mut out = Vec::new();
    frame::put(&mut out, Request::FRAME, 1, &other).map_err(io::Error::other)?;
    stream.write_all(&out).await?;
    let mut decoder = Decoder::new();
    loop {
        while let Some(frame) = decoder.frame().map_err(io::Error::other)? {
            match frame.kind {
                Report::FRAME => {
                    let mut theirs: Report = frame.value().map_err(io::Error::other)?;
                    let Some(ours) = batch.get(theirs.recipient as usize) else { continue };
                    theirs.recipient = *ours;
                    report(theirs);
                }
                Done::FRAME => return Ok(()),
                _ => {}
            }
        }
        if stream.read_buf(decoder.buffer()).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
