//! Preemption: small mail slips past big mail without slowing it by more than a fixed factor (SCHEDULER_README, "How the preemption works").
//!
//! For every `slot_cost` entries of a job that were selected, the job has one delivery slot to give away. A job that needs no more slots
//! than the current job has may be put before it; which one is chosen by age divided by need, among all that the current job
//! could ever pay for. A job pays at once for all that the other may need, so nested preemption adds no cost that was not counted.

use super::{GAP, Job, Scheduler, Transport};
use crate::slab::Key;
use std::time::{Duration, Instant};

/// The result of a search, good until the next change of the clock's second: a search looks at every job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    current: Key<Job>,
    best: Option<Key<Job>>,
    at: Instant,
}

impl Scheduler {
    /// `current` is the first job that could be served. Returns the job that preempts it, already put before it.
    pub(super) fn preempt(&mut self, now: Instant, transport: Key<Transport>, current: Key<Job>) -> Option<Key<Job>> {
        let params = self.transports[transport].params;
        if params.slot_cost < 2 {
            return None;
        }
        let j = &self.jobs[current];
        let earned = i64::from(j.selected) - i64::from(j.slots_used) * i64::from(params.slot_cost);
        // A job that was not served yet, or has not earned again what was lent to it, lends nothing.
        if earned <= 0 {
            return None;
        }
        // What it has given away already counts for the least number of slots, not for what it can still pay.
        let ever = (j.selected + j.waiting + j.unread) / params.slot_cost;
        let possible = ever.saturating_sub(j.slots_used);
        if possible == 0 || ever < params.minimum_slots {
            return None;
        }
        let candidate = self.candidate(now, transport, current, possible)?;
        let need = need(&self.jobs[candidate]);
        // Slots are earned whole; of those needed, the discount may leave a part.
        let available = earned / i64::from(params.slot_cost) + i64::from(params.slot_loan);
        if available * 100 < i64::from(need) * i64::from(100 - params.slot_discount.min(100)) {
            return None;
        }
        if !self.put_before(transport, candidate, current) {
            return None;
        }
        self.jobs[current].slots_used += need;
        self.jobs[candidate].passed = true;
        self.transports[transport].candidate = None;
        Some(candidate)
    }

    fn candidate(&mut self, now: Instant, transport: Key<Transport>, current: Key<Job>, possible: u32) -> Option<Key<Job>> {
        if let Some(found) = self.transports[transport].candidate
            && found.current == current
            && now.saturating_duration_since(found.at) < Duration::from_secs(1)
            && found.best.is_none_or(|best| self.may_preempt(best, current, possible))
        {
            return found.best;
        }
        let t = &self.transports[transport];
        let score = |job: &Job| now.saturating_duration_since(job.queued).as_secs_f64().max(1e-6) / f64::from(need(job));
        let best = t
            .order
            .values()
            .filter(|&&key| self.may_preempt(key, current, possible))
            .max_by(|&&a, &&b| {
                // Of equals the older one.
                let (a, b) = (&self.jobs[a], &self.jobs[b]);
                score(a).total_cmp(&score(b)).then(b.order.cmp(&a.order))
            })
            .copied();
        self.transports[transport].candidate = Some(Candidate { current, best, at: now });
        best
    }

    /// Not blocked, later in the order, and within what the current job can pay.
    fn may_preempt(&self, key: Key<Job>, current: Key<Job>, possible: u32) -> bool {
        let Some(job) = self.jobs.get(key) else { return false };
        key != current
            && job.waiting > 0
            && need(job) <= possible
            && job.order > self.jobs[current].order
            && job.peers.keys().any(|&destination| self.destinations[destination].ready.is_some())
    }

    /// Moves a job in the order. `false` when there is no room between the numbers, which takes dozens of preemptions in one place.
    fn put_before(&mut self, transport: Key<Transport>, job: Key<Job>, other: Key<Job>) -> bool {
        let before = self.jobs[other].order;
        let t = &mut self.transports[transport];
        let above = t.order.range(..before).next_back().map_or(before.saturating_sub(2 * GAP), |(&order, _)| order);
        let order = above + (before - above) / 2;
        if order == above || order == before {
            return false;
        }
        let old = self.jobs[job].order;
        t.order.remove(&old);
        t.order.insert(order, job);
        self.jobs[job].order = order;
        let destinations: Vec<_> = self.jobs[job].peers.keys().copied().collect();
        for destination in destinations {
            let d = &mut self.destinations[destination];
            if let Some(peer) = d.peers.remove(&old) {
                d.peers.insert(order, peer);
            }
            self.refresh(destination);
        }
        true
    }
}

/// Delivery slots that a job may need at most.
fn need(job: &Job) -> u32 {
    (job.waiting + job.unread).max(1)
}
