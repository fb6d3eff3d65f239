//! When to begin a sync, so that those of one moment become one.
//!
//! A sync costs the disk the same for one file as for twenty, and where files come from many clients each sync frees some of them to send the next:
//! syncs that begin at once stay small and many. So one that follows another closely waits, and takes along what comes meanwhile. A client
//! that is alone has its last file on the disk before it sends the next, and never waits.

use std::time::{Duration, Instant};

/// What is known of the syncs of one disk by one process.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    begun: Option<Instant>,
    several: bool,
    under_way: usize,
}

impl Pace {
    /// Syncs that could be shared begin this far apart: a few times what the journal of a fast disk takes to commit.
    pub const fn new(interval: Duration) -> Pace {
        Pace { interval, begun: None, several: false, under_way: 0 }
    }

    /// How long the next sync should wait: not at all, unless the last one began less than the interval ago, and was for several files or is still under way.
    pub fn pause(&self, now: Instant) -> Duration {
        match self.begun {
            Some(begun) if self.several || self.under_way > 0 => (begun + self.interval).saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    /// A sync of `count` files begins.
    pub fn begin(&mut self, now: Instant, count: usize) {
        self.begun = Some(now);
        self.several = count > 1;
        self.under_way += 1;
    }

    /// One that [began](Pace::begin) has ended.
    pub fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn one_client_never_waits() {
        let mut pace = Pace::new(4 * MS);
        let now = Instant::now();
        for step in 0..3 {
            let now = now + step * MS;
            assert_eq!(pace.pause(now), Duration::ZERO);
            pace.begin(now, 1);
            pace.end();
        }
    }

    #[test]
    fn what_comes_during_a_sync_or_after_one_for_several_waits_for_the_rest_of_the_interval() {
        let mut pace = Pace::new(4 * MS);
        let now = Instant::now();
        pace.begin(now, 1);
        assert_eq!(pace.pause(now + MS), 3 * MS, "the first is under way");
        assert_eq!(pace.pause(now + 9 * MS), Duration::ZERO, "the disk is slow: waiting longer gains nothing");
        pace.end();
        assert_eq!(pace.pause(now + MS), Duration::ZERO);
        pace.begin(now + 2 * MS, 2);
        pace.end();
        assert_eq!(pace.pause(now + 3 * MS), 3 * MS, "there are several clients");
        assert_eq!(pace.pause(now + 6 * MS), Duration::ZERO);
        pace.begin(now + 6 * MS, 1);
        pace.end();
        assert_eq!(pace.pause(now + 7 * MS), Duration::ZERO, "one is left");
    }
}
