//! Telling the queue manager of new mail: one connection, batched writes, no answers awaited. What is lost, the scan of `incoming` finds.

use crate::LocalStream;
use posthaste_ipc::frame;
use posthaste_ipc::qmgr::NewMessage;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// More than this waiting means that the queue manager does not keep up, or is not there: the files are on disk, the rest need not be in memory.
const MAX_WAITING: usize = 4 << 20;
/// From here on senders are slowed down (`in_flow_delay`).
const SLOW: usize = 256 << 10;

/// The next batch is written no sooner than this after the last. Under load the queue manager, and the agents behind it, wake up once for many
/// messages; a message that comes alone goes at once.
const PAUSE: Duration = Duration::from_millis(4);

/// How often [`Notifier::finish`] looks: the queue manager may be gone too, and finds the files by itself when it starts.
const LAST_TRIES: u32 = 100;

/// The end of the connection to the queue manager: what services that bring mail into the queue tell it with.
pub struct Notifier {
    path: PathBuf,
    waiting: RefCell<Vec<u8>>,
    wake: Notify,
    number: Cell<u32>,
    /// A batch is being written.
    writing: Cell<bool>,
}

impl Notifier {
    /// To the socket `path`, relative to the queue directory.
    pub fn new(path: impl Into<PathBuf>) -> Notifier {
        Notifier { path: path.into(), waiting: RefCell::default(), wake: Notify::new(), number: Cell::new(0), writing: Cell::new(false) }
    }

    /// Starts the task that writes.
    pub fn start(self: &Rc<Self>) {
        let notifier = Rc::clone(self);
        tokio::task::spawn_local(async move { notifier.run().await });
    }

    /// Queues a message; it is written with all others of the same moment.
    pub fn send(&self, message: &NewMessage) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() > MAX_WAITING {
            return;
        }
        let number = self.number.get().wrapping_add(1);
        self.number.set(number);
        // A frame that is too large is left to the scan.
        let _ = frame::put(&mut waiting, NewMessage::FRAME, number, message);
        self.wake.notify_one();
    }

    /// Whether the queue manager has fallen behind.
    pub fn slow(&self) -> bool {
        self.waiting.borrow().len() > SLOW
    }

    /// Waits until all has been written: this process is about to end.
    pub async fn finish(&self) {
        for _ in 0..LAST_TRIES {
            if self.waiting.borrow().is_empty() && !self.writing.get() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn run(&self) {
        let mut connection: Option<LocalStream> = None;
        let mut buffer = Vec::new();
        loop {
            self.wake.notified().await;
            self.writing.set(true);
            loop {
                buffer.clear();
                std::mem::swap(&mut buffer, &mut *self.waiting.borrow_mut());
                if buffer.is_empty() {
                    break;
                }
                // A connection that the other side has closed is noticed only by the write; then one new one is tried.
                let mut tries = 0;
                while tries < 2 {
                    tries += 1;
                    let stream = match connection.as_ref() {
                        Some(stream) => stream,
                        None => match LocalStream::connect(&self.path).await {
                            Ok(stream) => &*connection.insert(stream),
                            Err(_) => {
                                // The queue manager is starting or stopping. Do not try for every message.
                                tokio::time::sleep(Duration::from_millis(100)).await;
                                break;
                            }
                        },
                    };
                    match stream.write_all(&buffer).await {
                        Ok(()) => break,
                        Err(_) => connection = None,
                    }
                }
            }
            if buffer.capacity() > SLOW {
                buffer = Vec::new();
            }
            self.writing.set(false);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
