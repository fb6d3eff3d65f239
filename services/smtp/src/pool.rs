//! Connections that wait a moment for the next message (CONNECTION_CACHE_README), by destination and by server.

use crate::session::Session;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The idle sessions of this process. One value, shared by all deliveries.
#[derive(Default)]
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
    sweeping: Cell<bool>,
}

struct Idle {
    session: Session,
    destination: String,
    server: String,
    until: Instant,
}

impl Pool {
    /// A session to the destination (the next hop as given), the one used last. Its age was looked at when it was put here, as in Postfix.
    pub fn for_destination(&self, destination: &str) -> Option<Session> {
        self.take(|idle| idle.destination == destination)
    }

    /// A session to a server (`address:port`, or the path of a socket).
    pub fn for_server(&self, server: &str) -> Option<Session> {
        self.take(|idle| idle.server == server)
    }

    fn take(&self, is_it: impl Fn(&Idle) -> bool) -> Option<Session> {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().rposition(|idle| idle.until > now && is_it(idle))?;
        let mut session = idle.remove(at).session;
        session.uses += 1;
        Some(session)
    }

    /// Keeps a session for at most `time`; then it is closed without a word, as Postfix does.
    pub fn keep(self: &Rc<Self>, session: Session, destination: &str, server: String, time: Duration) {
        let until = Instant::now() + time;
        self.idle.borrow_mut().push(Idle { session, destination: destination.to_owned(), server, until });
        if !self.sweeping.replace(true) {
            let pool = Rc::clone(self);
            tokio::task::spawn_local(async move { pool.sweep().await });
        }
    }

    /// Closes what has waited too long; one task for all, and none while nothing waits.
    async fn sweep(&self) {
        loop {
            let next = self.idle.borrow().iter().map(|idle| idle.until).min();
            let Some(next) = next else {
                self.sweeping.set(false);
                return;
            };
            sleep_until(next).await;
            let now = Instant::now();
            self.idle.borrow_mut().retain(|idle| idle.until > now);
        }
    }

    /// Closes all: the process is about to end.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }
}
