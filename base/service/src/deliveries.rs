//! The agent's side of delivery requests, for event-driven agents: smtp, error, discard.

use crate::{Connection, Fatal, LocalStream, Setup};
use posthaste_config::system_reason;
use posthaste_delivery::records::Alone;
use posthaste_ipc::delivery::{DRAINING, Done, Report, Request};
use posthaste_ipc::frame::{self, Decoder};
use posthaste_ipc::wire::{Wire, WireError};
use posthaste_log::{Logger, warn};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

/// Takes delivery requests from queue managers and runs each as a task; at most `maxproc` of them at one time, the others wait.
///
/// The service holds one value, calls [`Deliveries::serve`] from `Service::serve` and [`Deliveries::drain`] from `Service::drain`, and sets
/// `LIMIT_CLIENTS` to `false`.
pub struct Deliveries {
    log: Logger,
    limit: Arc<Semaphore>,
    draining: Cell<bool>,
    connections: RefCell<Vec<Weak<Outgoing>>>,
    alone: Rc<Alone>,
}

/// Sends the reports of one request.
pub struct Reports {
    outgoing: Rc<Outgoing>,
    number: u32,
    alone: Rc<Alone>,
}

impl Reports {
    /// Queues a report. It goes out, together with others of the same moment, when the task next waits for something. When the queue manager has
    /// gone, what it would have written down is written here; that waits for the disk.
    pub fn send(&self, request: &Request, report: &Report) {
        if self.outgoing.broken.get() {
            return self.alone.record(request, report);
        }
        self.outgoing.send(Report::FRAME, self.number, report);
    }
}

/// Frames on their way to one queue manager.
#[derive(Default)]
struct Outgoing {
    queued: RefCell<Vec<u8>>,
    /// Something was queued, or a delivery ended.
    changed: Notify,
    running: Cell<usize>,
    /// Nobody reads any more.
    broken: Cell<bool>,
}

impl Outgoing {
    fn send<T: Wire>(&self, kind: u8, request: u32, value: &T) {
        if self.broken.get() {
            return;
        }
        // A report of 16 MiB does not exist: its texts are limited where they are made.
        let _ = frame::put(&mut self.queued.borrow_mut(), kind, request, value);
        self.changed.notify_one();
    }
}

/// Ends a request when it is dropped: with what the agent said, or after a panic without a word, so that the queue manager defers what has no report.
struct Running {
    outgoing: Rc<Outgoing>,
    request: u32,
    done: Done,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.outgoing.running.set(self.outgoing.running.get() - 1);
        self.outgoing.send(Done::FRAME, self.request, &self.done);
        self.outgoing.changed.notify_one();
    }
}

impl Deliveries {
    /// With the limit of this service.
    pub fn new(setup: &Setup) -> Result<Deliveries, Fatal> {
        Ok(Deliveries {
            log: setup.log.clone(),
            limit: Arc::new(Semaphore::new(setup.limit.unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS))),
            draining: Cell::new(false),
            connections: RefCell::default(),
            alone: Rc::new(Alone::open(&setup.config, setup.log.clone())?),
        })
    }

    /// Serves one queue manager until it closes the connection and all its deliveries have ended.
    ///
    /// `deliver` makes the future of one request; it runs as a task of its own (`spawn_local`), gives results to [`Reports::send`], and its
    /// value ends the request.
    pub async fn serve<F, D>(&self, client: Connection, deliver: F)
    where
        F: Fn(Request, Reports) -> D,
        D: Future<Output = Done> + 'static,
    {
        let Connection::Unix(stream) = client else { return };
        let stream = match LocalStream::new(stream) {
            Ok(stream) => Rc::new(stream),
            Err(error) => return warn!(self.log, "queue manager: {}", system_reason(&error)),
        };
        let outgoing = Rc::new(Outgoing::default());
        self.connections.borrow_mut().push(Rc::downgrade(&outgoing));
        if self.draining.get() {
            outgoing.send(DRAINING, 0, &0u8);
        }
        let writing = tokio::task::spawn_local(write(Rc::clone(&outgoing), Rc::clone(&stream)));
        let mut decoder = Decoder::new();
        loop {
            if let Err(error) = self.take(&mut decoder, &outgoing, &deliver) {
                warn!(self.log, "queue manager: {error}");
                break;
            }
            match stream.read(decoder.buffer()).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        outgoing.broken.set(true);
        outgoing.changed.notify_one();
        // What is on its way to a mailbox or another host is finished whether or not somebody waits for the result.
        let _ = writing.await;
        self.connections.borrow_mut().retain(|other| other.strong_count() > 0);
    }

    fn take<F, D>(&self, decoder: &mut Decoder, outgoing: &Rc<Outgoing>, deliver: &F) -> Result<(), WireError>
    where
        F: Fn(Request, Reports) -> D,
        D: Future<Output = Done> + 'static,
    {
        while let Some(frame) = decoder.frame()? {
            if frame.kind != Request::FRAME {
                return Err(WireError("not a delivery request"));
            }
            let number = frame.request;
            let delivery = deliver(frame.value()?, Reports { outgoing: Rc::clone(outgoing), number, alone: Rc::clone(&self.alone) });
            outgoing.running.set(outgoing.running.get() + 1);
            let running = Running { outgoing: Rc::clone(outgoing), request: number, done: Done::default() };
            let limit = Arc::clone(&self.limit);
            tokio::task::spawn_local(async move {
                // The whole value belongs to the task: it ends the request when the task ends, however it ends.
                let mut running = running;
                let _permit = limit.acquire().await;
                if running.outgoing.broken.get() {
                    // Not begun, and the next queue manager will ask for it again.
                    return;
                }
                running.done = delivery.await;
                drop(running);
            });
        }
        Ok(())
    }

    /// Asks all queue managers to send nothing more on their connections and to close them when what they asked for is done.
    pub fn drain(&self) {
        self.draining.set(true);
        for outgoing in self.connections.borrow().iter().filter_map(Weak::upgrade) {
            outgoing.send(DRAINING, 0, &0u8);
        }
    }
}

/// Writes what is queued, all that there is with one system call; ends when nobody listens and no delivery runs.
async fn write(outgoing: Rc<Outgoing>, stream: Rc<LocalStream>) {
    let mut batch = Vec::new();
    loop {
        std::mem::swap(&mut batch, &mut outgoing.queued.borrow_mut());
        if !batch.is_empty() {
            if stream.write_all(&batch).await.is_err() {
                outgoing.broken.set(true);
            }
            batch.clear();
            continue;
        }
        if outgoing.broken.get() && outgoing.running.get() == 0 {
            return;
        }
        outgoing.changed.notified().await;
    }
}
