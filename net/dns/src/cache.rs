//! Answers kept for their time to live, and questions that several ask at once put only once.

use crate::record::{Answer, Reason, Type};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// A question as the cache knows it: the name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub name: Box<str>,
    pub kind: Type,
    pub dnssec: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Records, or why not and whether that was validated.
    pub result: Result<Arc<Answer>, (Reason, bool)>,
    /// Until when it may be given out again.
    pub expires: Instant,
}

/// The answer to come, shared by all that ask for it. When the one that asks is dropped, the next in line asks.
pub type Pending = Arc<OnceCell<Outcome>>;

/// How long an answer is kept at most, whatever its TTL: who repairs a zone should not wait for long.
pub const POSITIVE_LIMIT: Duration = Duration::from_secs(600);
/// The same for "no such name" and "no such data".
pub const NEGATIVE_LIMIT: Duration = Duration::from_secs(60);

/// Bounded in entries.
#[derive(Debug)]
pub struct Cache {
    entries: Mutex<HashMap<Key, Pending>>,
    limit: usize,
}

impl Cache {
    /// At most `limit` answers.
    pub fn new(limit: usize) -> Cache {
        Cache { entries: Mutex::default(), limit }
    }

    /// The answer, or the place for it, to be filled by whoever comes first.
    pub fn entry(&self, key: &Key, now: Instant) -> Pending {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = entries.get(key)
            && pending.get().is_none_or(|outcome| outcome.expires > now)
        {
            return Arc::clone(pending);
        }
        if entries.len() >= self.limit {
            make_room(&mut entries, self.limit, now);
        }
        let pending = Pending::default();
        entries.insert(key.clone(), Arc::clone(&pending));
        pending
    }
}

/// Drops what has expired; if that is not enough, a quarter of the rest, soonest to expire first. What is being asked stays.
fn make_room(entries: &mut HashMap<Key, Pending>, limit: usize, now: Instant) {
    // A cell that nobody fills any more (its askers were dropped) goes too.
    entries.retain(|_, pending| match pending.get() {
        Some(outcome) => outcome.expires > now,
        None => Arc::strong_count(pending) > 1,
    });
    if entries.len() < limit / 4 * 3 {
        return;
    }
    let mut times: Vec<Instant> = entries.values().filter_map(|pending| Some(pending.get()?.expires)).collect();
    let quarter = limit / 4;
    if times.len() > quarter {
        let (_, &mut bound, _) = times.select_nth_unstable(quarter);
        entries.retain(|_, pending| pending.get().is_none_or(|outcome| outcome.expires > bound));
    } else {
        entries.retain(|_, pending| pending.get().is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: usize) -> Key {
        Key { name: format!("h{i}.example").into(), kind: Type::A, dnssec: false }
    }

    fn fill(cache: &Cache, i: usize, now: Instant, ttl: u64) -> Pending {
        let pending = cache.entry(&key(i), now);
        let _ = pending.set(Outcome { result: Err((Reason::NoName, false)), expires: now + Duration::from_secs(ttl) });
        pending
    }

    #[test]
    fn answers_are_kept_until_they_expire() {
        let (cache, now) = (Cache::new(10), Instant::now());
        let first = fill(&cache, 1, now, 5);
        assert!(Arc::ptr_eq(&first, &cache.entry(&key(1), now + Duration::from_secs(4))));
        assert!(!Arc::ptr_eq(&first, &cache.entry(&key(1), now + Duration::from_secs(5))));
    }

    #[test]
    fn the_cache_stays_within_its_limit() {
        let (cache, now) = (Cache::new(100), Instant::now());
        for i in 0..1000 {
            fill(&cache, i, now, 10 + i as u64);
            assert!(cache.entries.lock().unwrap().len() <= 100);
        }
        assert!(cache.entry(&key(999), now).get().is_some(), "the newest is kept");
    }
}
