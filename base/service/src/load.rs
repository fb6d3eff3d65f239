//! How busy a service is: its clients, counted against `maxproc`.
//!
//! Where master.cf gives the maxproc column as a number, that many clients are served at one time and the others wait for their turn, as with
//! Postfix. Where it is `-`, clients that do nothing (see [`crate::Setup::idle`]) are not counted: they cost some kilobytes, not a process as
//! in Postfix, and a thousand sleeping sessions need not keep the next client waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// With a default limit, so many times as many clients may be connected in all.
const IDLE_FACTOR: usize = 20;

#[derive(Debug)]
pub(crate) struct Load {
    limit: usize,
    /// The limit is the default of `maxproc`.
    by_default: bool,
    clients: AtomicUsize,
    idle: AtomicUsize,
    stress: AtomicBool,
    /// There may be room for a client again.
    room: Notify,
}

impl Load {
    pub(crate) fn new(limit: Option<usize>, by_default: bool) -> Load {
        Load {
            limit: limit.unwrap_or(usize::MAX),
            by_default,
            clients: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            stress: AtomicBool::new(false),
            room: Notify::new(),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    fn busy(&self) -> usize {
        if self.by_default { self.clients().saturating_sub(self.idle.load(Ordering::Relaxed)) } else { self.clients() }
    }

    /// Whether the next client has to wait.
    pub(crate) fn full(&self) -> bool {
        self.busy() >= self.limit || (self.by_default && self.clients() >= self.limit.saturating_mul(IDLE_FACTOR))
    }

    pub(crate) fn stressed(&self) -> bool {
        self.stress.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stressed(&self) {
        self.stress.store(true, Ordering::Relaxed);
    }

    /// Waits until something has become less.
    pub(crate) async fn less(&self) {
        self.room.notified().await;
    }

    fn became_less(&self) {
        // Not at the first place that is free, so that a service at its limit does not change its mind with each client.
        if self.stressed() && self.busy() < self.limit - self.limit / 4 {
            self.stress.store(false, Ordering::Relaxed);
        }
        self.room.notify_waiters();
    }
}

/// A client, for as long as it is served.
pub(crate) struct Client(Arc<Load>);

impl Client {
    pub(crate) fn new(load: &Arc<Load>) -> Client {
        load.clients.fetch_add(1, Ordering::Relaxed);
        Client(Arc::clone(load))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
        self.0.became_less();
    }
}

/// A client does nothing, for as long as this value lives.
#[derive(Debug)]
#[must_use]
pub struct Idle<'a>(&'a Load);

impl Idle<'_> {
    pub(crate) fn new(load: &Load) -> Idle<'_> {
        load.idle.fetch_add(1, Ordering::Relaxed);
        if load.by_default {
            load.became_less();
        }
        Idle(load)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.idle.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-MASTER-13.
    #[test]
    fn a_given_limit_counts_all_clients() {
        let load = Arc::new(Load::new(Some(2), false));
        let one = Client::new(&load);
        assert!(!load.full());
        let _two = Client::new(&load);
        let _idle = Idle::new(&load);
        assert!(load.full());
        drop(one);
        assert!(!load.full());
    }

    #[test]
    fn the_default_limit_counts_those_that_do_something() {
        let load = Arc::new(Load::new(Some(2), true));
        let mut clients: Vec<Client> = (0..2).map(|_| Client::new(&load)).collect();
        assert!(load.full());
        let idle: Vec<Idle<'_>> = (0..2).map(|_| Idle::new(&load)).collect();
        assert!(!load.full());
        let more: Vec<Idle<'_>> = (0..38)
            .map(|_| {
                clients.push(Client::new(&load));
                Idle::new(&load)
            })
            .collect();
        assert!(load.full(), "idle clients are limited too");
        drop((idle, more));
        assert!(load.full());
    }

    #[test]
    fn stress_ends_well_below_the_limit() {
        let load = Arc::new(Load::new(Some(8), false));
        let mut clients: Vec<Client> = (0..8).map(|_| Client::new(&load)).collect();
        load.set_stressed();
        clients.truncate(6);
        assert!(load.stressed());
        clients.truncate(5);
        assert!(!load.stressed());
    }
}
