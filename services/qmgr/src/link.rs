//! A connection to another service: opened when there is something to send, shared by all requests, closed when it has been idle for a while.

use posthaste_config::system_reason;
use posthaste_ipc::delivery::DRAINING;
use posthaste_ipc::frame::{self, Decoder, Frame};
use posthaste_ipc::wire::{Wire, WireError};
use posthaste_service::LocalStream;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// What happens on a link; all at once for one read.
pub trait Events {
    /// A frame came that answers the request to which the caller gave `number`. The link itself knows only that the
    /// request is over when this returns `true`.
    fn frame(&self, link: &Link, number: u64, frame: Frame<'_>) -> Result<bool, WireError>;
    /// The frames of one read have been handed over.
    fn batch(&self);
    /// The link is of no more use. `reason`: the service could not be reached, or the connection broke. These requests have no end.
    fn closed(&self, link: &Link, reason: Option<Lost>, open: Vec<u64>);
}

/// Why a link ended before its requests.
#[derive(Debug)]
pub enum Lost {
    /// connect(2) failed.
    Unreachable(String),
    /// The other side went away.
    Closed,
    /// It spoke nonsense, or the connection failed.
    Broken(String),
}

/// See the module's text.
pub struct Link {
    /// Relative to the queue directory: `private/smtp`.
    path: String,
    out: RefCell<Vec<u8>>,
    stream: RefCell<Option<Rc<LocalStream>>>,
    open: RefCell<HashMap<u32, u64>>,
    next: Cell<u32>,
    /// More is to be written than the socket took, or the link is to be closed.
    changed: Notify,
    /// Nothing new may be sent: the other side wants to go, or the connection is gone.
    closing: Cell<bool>,
}

impl Link {
    /// Begins to connect in a task of its own; `idle`: closed after so long without requests.
    pub fn start<E: Events + 'static>(path: &str, idle: Duration, events: Rc<E>) -> Rc<Link> {
        let link = Rc::new(Link {
            path: path.to_owned(),
            out: RefCell::default(),
            stream: RefCell::default(),
            open: RefCell::default(),
            next: Cell::new(1),
            changed: Notify::new(),
            closing: Cell::new(false),
        });
        let this = Rc::clone(&link);
        tokio::task::spawn_local(async move {
            let reason = this.run(idle, &*events).await.err();
            this.closing.set(true);
            this.stream.borrow_mut().take();
            let mut open: Vec<_> = this.open.borrow_mut().drain().map(|(_, number)| number).collect();
            open.sort_unstable();
            events.closed(&this, reason, open);
        });
        link
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it takes new requests.
    pub fn usable(&self) -> bool {
        !self.closing.get()
    }

    /// Tells an agent that nobody will wait for what is still open: from now on it writes results down itself.
    pub fn abandon(&self) {
        self.closing.set(true);
        if let Some(stream) = self.stream.borrow().as_ref() {
            stream.end_writing();
        }
    }

    /// Puts a request into the buffer; `number` comes back with its answers. `answered`: whether any will come. Sent by [`Link::flush`].
    pub fn send<T: Wire>(&self, kind: u8, number: u64, value: &T, answered: bool) -> Result<(), WireError> {
        let request = self.next.get();
        frame::put(&mut self.out.borrow_mut(), kind, request, value)?;
        self.next.set(request.wrapping_add(1).max(1));
        if answered {
            self.open.borrow_mut().insert(request, number);
        }
        Ok(())
    }

    /// Sends what is in the buffer, as far as the socket takes it now; the rest follows.
    pub fn flush(&self) {
        let mut out = self.out.borrow_mut();
        let stream = self.stream.borrow();
        let Some(stream) = stream.as_ref() else { return };
        while !out.is_empty() {
            match stream.try_write(&out) {
                Ok(n) => drop(out.drain(..n)),
                Err(_) => {
                    // The task waits for the socket; a broken one is noticed there.
                    self.changed.notify_one();
                    return;
                }
            }
        }
    }

    async fn run<E: Events>(&self, idle: Duration, events: &E) -> Result<(), Lost> {
        let stream = LocalStream::connect(&self.path).await.map_err(|error| Lost::Unreachable(system_reason(&error)))?;
        let stream = Rc::new(stream);
        self.stream.replace(Some(Rc::clone(&stream)));
        self.flush();
        let mut decoder = Decoder::new();
        loop {
            let done = self.open.borrow().is_empty() && self.out.borrow().is_empty();
            if done && self.closing.get() {
                return Ok(());
            }
            let wait = if done { idle } else { Duration::from_secs(86400) };
            tokio::select! {
                read = stream.read(decoder.buffer()) => {
                    if read.map_err(|error| Lost::Broken(system_reason(&error)))? == 0 {
                        // Between two requests a service may end.
                        if self.open.borrow().is_empty() && self.out.borrow().is_empty() {
                            return Ok(());
                        }
                        return Err(Lost::Closed);
                    }
                    self.take(&mut decoder, events).map_err(|error| Lost::Broken(error.to_string()))?;
                    events.batch();
                }
                result = timeout(wait, self.changed.notified()) => match result {
                    Ok(()) => self.drain().await?,
                    Err(_) if self.open.borrow().is_empty() && self.out.borrow().is_empty() => return Ok(()),
                    Err(_) => (),
                },
            }
        }
    }

    /// Waits for the socket to take what is left in the buffer. The other side may be waiting for us to read at the same time, so this takes
    /// but one step.
    async fn drain(&self) -> Result<(), Lost> {
        let Some(stream) = self.stream.borrow().clone() else { return Ok(()) };
        let ready = timeout(Duration::from_millis(10), stream.writable()).await;
        match ready {
            Ok(Err(error)) => Err(Lost::Broken(system_reason(&error))),
            _ => {
                self.flush();
                Ok(())
            }
        }
    }

    fn take<E: Events>(&self, decoder: &mut Decoder, events: &E) -> Result<(), WireError> {
        while let Some(frame) = decoder.frame()? {
            if frame.kind == DRAINING {
                self.closing.set(true);
                continue;
            }
            let Some(number) = self.open.borrow().get(&frame.request).copied() else { continue };
            if events.frame(self, number, frame)? {
                self.open.borrow_mut().remove(&frame.request);
            }
        }
        Ok(())
    }
}
