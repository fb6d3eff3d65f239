//! When deferred messages are due: an index of the soonest of them, so that a long queue costs nothing while none is due.
//!
//! The truth is in the files' time stamps; this is a copy of the soonest [`Deferred::LIMIT`] of them. When something later than what is kept
//! becomes due (`horizon`), the directory has to be scanned again.

use posthaste_queue::QueueId;
use std::collections::BTreeSet;
use std::time::SystemTime;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Deferred {
    due: BTreeSet<(SystemTime, QueueId)>,
    /// Some message that is not kept is due at this time.
    horizon: Option<SystemTime>,
}

impl Deferred {
    /// How many messages are kept: a few megabytes.
    pub const LIMIT: usize = 50_000;

    /// Remembers a message; one that is known under another time is known twice, which does no harm: it is found not to be due, or gone.
    pub fn insert(&mut self, at: SystemTime, id: QueueId) {
        self.due.insert((at, id));
        if self.due.len() > Self::LIMIT
            && let Some((at, _)) = self.due.pop_last()
        {
            self.horizon = Some(self.horizon.map_or(at, |horizon| horizon.min(at)));
        }
    }

    /// The next message that is due by `now`.
    pub fn pop(&mut self, now: SystemTime) -> Option<QueueId> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        self.due.pop_first().map(|(_, id)| id)
    }

    /// Whether the directory must be scanned to know what is due by `now`.
    pub fn needs_scan(&self, now: SystemTime) -> bool {
        self.due.first().is_none_or(|(at, _)| *at > now) && self.horizon.is_some_and(|horizon| horizon <= now)
    }

    /// A scan begins: what it does not find again is gone.
    pub fn clear(&mut self) {
        *self = Deferred::default();
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(n: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(n)
    }

    fn id(n: usize) -> QueueId {
        QueueId::parse(&format!("{n:06X}")).expect("legal")
    }

    /// S-QUEUE-08.
    #[test]
    fn soonest_first_and_none_before_its_time() {
        let mut deferred = Deferred::default();
        deferred.insert(at(300), id(3));
        deferred.insert(at(100), id(1));
        deferred.insert(at(200), id(2));
        assert_eq!(deferred.pop(at(99)), None);
        assert_eq!(deferred.pop(at(200)), Some(id(1)));
        assert_eq!(deferred.pop(at(200)), Some(id(2)));
        assert_eq!(deferred.pop(at(200)), None);
        assert!(!deferred.needs_scan(at(1000)));
    }

    #[test]
    fn what_does_not_fit_is_found_by_a_scan_in_time() {
        let mut deferred = Deferred::default();
        for n in 0..Deferred::LIMIT + 10 {
            deferred.insert(at(n as u64), id(n));
        }
        assert_eq!(deferred.len(), Deferred::LIMIT);
        let end = Deferred::LIMIT as u64;
        for _ in 0..Deferred::LIMIT {
            assert!(!deferred.needs_scan(at(end - 1)));
            assert!(deferred.pop(at(end - 1)).is_some());
        }
        assert!(deferred.needs_scan(at(end)));
    }
}
