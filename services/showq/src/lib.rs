//! showq(8): lists the queue, for `postqueue`.
//!
//! It takes nothing from its client but the connection. The form of the answer is that of [`posthaste_ipc::showq`]. A listing reads many files, so
//! each runs on a thread of its own; `maxproc` bounds how many there are.

use posthaste_ipc::frame;
use posthaste_ipc::showq::{BATCH, END, End, MESSAGE, RECIPIENTS, Recipients};
use posthaste_ipc::wire::Wire;
use posthaste_log::{Logger, warn};
use posthaste_queue::Queue;
use posthaste_queue::listing::{Listed, ListedRecipient, Listing};
use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// Written to the client at one time.
const CHUNK: usize = 32 << 10;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run::<ShowQ>(Spec { program: "showq", privileged: false, connects: false, executes: false }, arguments)
}

struct ShowQ {
    queue: Queue,
    duplicates: usize,
    timeout: Duration,
    log: Logger,
}

impl Service for ShowQ {
    fn open(setup: &Setup) -> Result<Self, Fatal> {
        Ok(ShowQ {
            queue: Queue::open(&setup.config)?,
            duplicates: usize::try_from(setup.config.int("duplicate_filter_limit")?).unwrap_or(0),
            timeout: setup.config.time("ipc_timeout")?,
            log: setup.log.clone(),
        })
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        let Connection::Unix(client) = client else { return };
        let Ok(client) = client.into_std() else { return };
        let (queue, duplicates, timeout, log) = (self.queue.clone(), self.duplicates, self.timeout, self.log.clone());
        let listing = tokio::task::spawn_blocking(move || {
            client.set_nonblocking(false)?;
            client.set_write_timeout(Some(timeout).filter(|time| !time.is_zero()))?;
            list(&queue, duplicates, client, &log)
        });
        // A client that has seen enough is no fault.
        if let Ok(Err(error)) = listing.await
            && !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        {
            warn!(self.log, "cannot send the queue listing: {error}");
        }
    }
}

/// Sends the whole listing.
fn list(queue: &Queue, duplicates: usize, client: impl Write, log: &Logger) -> io::Result<()> {
    let mut sender = Sender { client, buffer: Vec::with_capacity(CHUNK), recipients: Recipients::default(), log };
    queue.list_messages(true, duplicates, &mut sender)?;
    sender.put_recipients()?;
    sender.put(END, &End)?;
    sender.flush()
}

struct Sender<'a, W> {
    client: W,
    buffer: Vec<u8>,
    /// Not yet in the buffer.
    recipients: Recipients,
    log: &'a Logger,
}

impl<W: Write> Sender<'_, W> {
    fn put<T: Wire>(&mut self, kind: u8, value: &T) -> io::Result<()> {
        frame::put(&mut self.buffer, kind, 0, value).map_err(io::Error::other)?;
        if self.buffer.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn put_recipients(&mut self) -> io::Result<()> {
        if self.recipients.0.is_empty() {
            return Ok(());
        }
        let recipients = std::mem::take(&mut self.recipients);
        self.put(RECIPIENTS, &recipients)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.client.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Listing for Sender<'_, W> {
    fn message(&mut self, message: &Listed) -> io::Result<()> {
        self.put_recipients()?;
        self.put(MESSAGE, message)
    }

    fn recipient(&mut self, recipient: &ListedRecipient) -> io::Result<()> {
        self.recipients.0.push(recipient.clone());
        if self.recipients.0.len() >= BATCH { self.put_recipients() } else { Ok(()) }
    }

    fn warning(&mut self, text: String) {
        warn!(self.log, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_address::Address;
    use posthaste_ipc::frame::Decoder;
    use posthaste_queue::clock::RealClock;
    use posthaste_queue::disk::RealDisk;
    use posthaste_queue::{QueueName, Settings};
    use std::fmt::Write as _;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    // S-DAEMON-18
    #[test]
    fn a_listing_in_portions() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["maildrop", "active", "incoming", "deferred", "hold", "defer", "bounce"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut text = String::from("T\u{4}1234S\u{0}");
        for i in 0..2 * BATCH + 7 {
            write!(text, "R\u{5}r{i:04}").unwrap();
        }
        text.push_str("M\u{0}X\u{0}E\u{0}");
        let path = folder.path().join("hold/ABCDEF1");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let settings = Settings {
            queue_directory: folder.path().to_owned(),
            hash_queue_names: Vec::new(),
            hash_queue_depth: 1,
            enable_long_queue_ids: false,
            line_length_limit: 2048,
            dont_remove: false,
            owner: None,
        };
        let disk = Arc::new(RealDisk::open(folder.path()).unwrap());
        let queue = Queue { settings: Arc::new(settings), disk, clock: Arc::new(RealClock) };

        let mut wire = Vec::new();
        list(&queue, 1000, &mut wire, &Logger::new("showq")).unwrap();
        let mut decoder = Decoder::new();
        decoder.feed(&wire);
        let mut seen = Vec::new();
        let mut kinds = Vec::new();
        while let Some(frame) = decoder.frame().unwrap() {
            kinds.push(frame.kind);
            match frame.kind {
                MESSAGE => {
                    let message: Listed = frame.value().unwrap();
                    assert_eq!((message.queue, message.arrival_seconds(), message.sender), (QueueName::Hold, 1234, Address::empty()));
                }
                RECIPIENTS => seen.extend(frame.value::<Recipients>().unwrap().0.into_iter().map(|r| r.address.to_string())),
                _ => assert_eq!(frame.value::<End>().unwrap(), End),
            }
        }
        assert_eq!(kinds, [MESSAGE, RECIPIENTS, RECIPIENTS, RECIPIENTS, END]);
        assert_eq!(seen, (0..2 * BATCH + 7).map(|i| format!("r{i:04}")).collect::<Vec<_>>());
    }
}
