//! pickup(8): takes what `postdrop` (and `postsuper -r`) put into maildrop through cleanup into the queue.
//!
//! It waits for hints on its socket (a byte from `postdrop`, master's wake-up once a minute) and does not look at what they say. Then it goes through
//! maildrop until nothing is left that it can take. A file is removed when its message is on stable storage; ill-formatted ones are
//! removed without telling anybody. Files come from users who may be hostile: `message` says what is believed.
//!
//! Reading, address mapping and syncing block, so the work is done on one thread of its own; syncs are shared by many messages.

pub mod message;
mod scan;
#[cfg(test)]
mod tests;

use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
use scan::Scanner;
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run::<Pickup>(Spec { program: "pickup", privileged: false, connects: false, executes: false }, arguments)
}

struct Pickup {
    /// Not here while its thread is at work.
    scanner: RefCell<Option<Scanner>>,
    /// A hint has come since the last scan began.
    hint: Cell<bool>,
    finished: Notify,
}

impl Service for Pickup {
    const SINGLE: bool = true;

    fn open(setup: &Setup) -> Result<Self, Fatal> {
        let scanner = Scanner::open(&setup.config, setup.log.clone())?;
        Ok(Pickup { scanner: RefCell::new(Some(scanner)), hint: Cell::new(false), finished: Notify::new() })
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        if let Connection::Unix(mut client) = client {
            // Whatever it says: that it called is the hint. It need not wait for us.
            let mut byte = [0; 16];
            let _ = client.read(&mut byte).await;
        }
        self.scan();
    }

    fn idle(&self) -> bool {
        self.scanner.borrow().is_some()
    }

    async fn drained(self: Rc<Self>) {
        while !self.idle() {
            self.finished.notified().await;
        }
    }
}

impl Pickup {
    /// Scans now, or once more when a scan is going on.
    fn scan(self: &Rc<Self>) {
        self.hint.set(true);
        let Some(mut scanner) = self.scanner.take() else { return };
        let pickup = Rc::clone(self);
        tokio::task::spawn_local(async move {
            while pickup.hint.replace(false) {
                let work = tokio::task::spawn_blocking(move || {
                    scanner.scan();
                    scanner
                });
                match work.await {
                    Ok(back) => scanner = back,
                    // A panic has been logged by the harness; what was at work went with it. Master starts a new process.
                    Err(_) => std::process::exit(1),
                }
            }
            pickup.scanner.replace(Some(scanner));
            pickup.finished.notify_waiters();
        });
    }
}
