//! What the cache says of an address, and what follows from it. Times are seconds since 1970.

use bstr::{BStr, BString, ByteSlice};
use posthaste_ipc::delivery::Outcome;
use posthaste_ipc::verify::Status;
use std::time::Duration;

/// A probe that has had no result for so long is taken for lost.
const PROBE_TTL: u64 = 1000;
/// The text while the first probe is under way.
const IN_PROGRESS: &str = "Address verification in progress";

/// When results are renewed and forgotten (`address_verify_…`).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are those of main.cf without their common beginning")]
pub struct Times {
    pub positive_expire: Duration,
    pub positive_refresh: Duration,
    pub negative_expire: Duration,
    pub negative_refresh: Duration,
    /// `address_verify_negative_cache`.
    pub negative_cache: bool,
}

/// One entry. In the table it is `status:probed:updated:text`, as in Postfix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last result.
    pub status: Status,
    /// When a probe was sent that has had no result; 0: none.
    pub probed: u64,
    /// When the last result came; 0: never.
    pub updated: u64,
    /// Why.
    pub text: BString,
}

impl Entry {
    /// Nothing is known.
    pub fn unknown() -> Entry {
        Entry { status: Status::Unknown, probed: 0, updated: 0, text: IN_PROGRESS.into() }
    }

    /// From a value of the table; `None` for one that makes no sense.
    pub fn parse(value: &BStr) -> Option<Entry> {
        let mut parts = value.splitn(4, |&c| c == b':');
        let mut number = || parts.next().and_then(|part| part.to_str().ok()?.parse::<u64>().ok());
        let (status, probed, updated) = (number()?, number()?, number()?);
        let status = match status {
            0 => Status::Deliverable,
            1 => Status::Deferred,
            2 => Status::Undeliverable,
            3 => Status::Unknown,
            _ => return None,
        };
        Some(Entry { status, probed, updated, text: parts.next()?.into() })
    }

    /// The value for the table.
    pub fn value(&self) -> BString {
        let status = match self.status {
            Status::Deliverable => 0,
            Status::Deferred => 1,
            Status::Undeliverable => 2,
            Status::Unknown => 3,
        };
        let mut value = BString::from(format!("{status}:{}:{}:", self.probed, self.updated));
        value.extend_from_slice(&self.text);
        value
    }

    /// Whether the result is too old to be used. It is used for as long as a probe is under way that was sent to renew it.
    pub fn expired(&self, times: &Times, now: u64) -> bool {
        self.status == Status::Unknown || !self.probing(now) && self.outdated(times, now)
    }

    fn outdated(&self, times: &Times, now: u64) -> bool {
        match self.status {
            Status::Unknown => true,
            Status::Deliverable => self.updated + times.positive_expire.as_secs() < now,
            _ => self.updated + times.negative_expire.as_secs() < now,
        }
    }

    /// Whether the table may forget the entry.
    pub fn useless(&self, times: &Times, now: u64) -> bool {
        self.expired(times, now) && !self.probing(now)
    }

    /// Whether a probe is to be sent when the address is asked for.
    pub fn wants_probe(&self, times: &Times, now: u64) -> bool {
        let old = match self.status {
            Status::Unknown => true,
            Status::Deliverable => self.updated + times.positive_refresh.as_secs() < now,
            _ => self.updated + times.negative_refresh.as_secs() < now,
        };
        old && !self.probing(now)
    }

    fn probing(&self, now: u64) -> bool {
        self.probed + PROBE_TTL >= now
    }

    /// The entry after a probe's result; `None` when it is to be forgotten.
    pub fn after(self, outcome: Outcome, text: BString, times: &Times, now: u64) -> Option<Entry> {
        let good = outcome == Outcome::Sent;
        let outdated = self.outdated(times, now);
        // An address that is known to be good is not made bad by one failure (ADDRESS_VERIFICATION_README): the server may have a bad day.
        // That it was probed is not forgotten, or it would be probed whenever it is asked for.
        if !good && self.status == Status::Deliverable && !outdated {
            return Some(self);
        }
        // What is known to be bad stays so until it expires; nothing new is kept.
        if !good && !times.negative_cache {
            return (!outdated).then_some(self);
        }
        let status = match outcome {
            Outcome::Sent => Status::Deliverable,
            Outcome::Deferred => Status::Deferred,
            Outcome::Bounced => Status::Undeliverable,
        };
        Some(Entry { status, probed: 0, updated: now, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86400;

    fn times() -> Times {
        Times {
            positive_expire: Duration::from_secs(31 * DAY),
            positive_refresh: Duration::from_secs(7 * DAY),
            negative_expire: Duration::from_secs(3 * DAY),
            negative_refresh: Duration::from_secs(3 * 3600),
            negative_cache: true,
        }
    }

    fn entry(status: Status, updated: u64) -> Entry {
        Entry { status, probed: 0, updated, text: "host said: 250 ok".into() }
    }

    #[test]
    fn values_of_the_table() {
        let text = b"2:0:1795252736:host mx said: 550 5.1.1 no (in reply to RCPT TO command)".as_bstr();
        let entry = Entry::parse(text).unwrap();
        assert_eq!((entry.status, entry.updated), (Status::Undeliverable, 1795252736));
        assert_eq!(entry.value(), text);
        for bad in ["", "2", "2:0:1", "9:0:1:x", "x:0:1:x", "2:-1:1:x"] {
            assert_eq!(Entry::parse(bad.as_bytes().as_bstr()), None, "{bad}");
        }
    }

    #[test]
    fn refresh_and_expiry() {
        let now = 1_000 * DAY;
        let good = entry(Status::Deliverable, now);
        assert!(!good.wants_probe(&times(), now + 6 * DAY) && good.wants_probe(&times(), now + 8 * DAY));
        assert!(!good.expired(&times(), now + 30 * DAY) && good.expired(&times(), now + 32 * DAY));
        let bad = entry(Status::Undeliverable, now);
        assert!(!bad.wants_probe(&times(), now + 3600) && bad.wants_probe(&times(), now + 4 * 3600));
        assert!(!bad.expired(&times(), now + 2 * DAY) && bad.expired(&times(), now + 4 * DAY));
    }

    #[test]
    fn one_probe_at_a_time() {
        let now = 1_000 * DAY;
        assert!(Entry::unknown().wants_probe(&times(), now));
        let probing = Entry { probed: now, ..Entry::unknown() };
        assert!(!probing.wants_probe(&times(), now + 999) && probing.wants_probe(&times(), now + 1001));
        assert!(!probing.useless(&times(), now + 999) && probing.useless(&times(), now + 1001));
    }

    #[test]
    fn a_good_address_stays_good_until_it_expires() {
        let now = 1_000 * DAY;
        let good = Entry { probed: now, ..entry(Status::Deliverable, now - 8 * DAY) };
        let after = good.clone().after(Outcome::Bounced, "no".into(), &times(), now).unwrap();
        assert_eq!(after, good);
        assert!(!after.wants_probe(&times(), now + 999));
        let old = Entry { updated: now - 40 * DAY, ..good };
        assert_eq!(old.after(Outcome::Bounced, "no".into(), &times(), now).unwrap().status, Status::Undeliverable);
    }

    #[test]
    fn without_a_negative_cache_failures_are_forgotten() {
        let times = Times { negative_cache: false, ..times() };
        assert_eq!(Entry::unknown().after(Outcome::Deferred, "later".into(), &times, 5), None);
        assert_eq!(Entry::unknown().after(Outcome::Sent, "ok".into(), &times, 5).unwrap().status, Status::Deliverable);
    }
}
