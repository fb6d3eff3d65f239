//! To the verify service (`address_verify_service_name`): what probes found, and questions about addresses.

use crate::delivery::Outcome;
use crate::wire::{Wire, WireError};
use crate::wire_struct;
use bstr::BString;
use posthaste_address::Address;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From the queue manager: the result of a probe. No answer. Frame kind [`Probed::FRAME`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The address that was probed.
    pub address: Address,
    /// What a delivery to it would come to.
    pub outcome: Outcome,
    /// Why, as in the log.
    pub text: BString,
}

impl Probed {
    /// The frame kind.
    pub const FRAME: u8 = 30;
}

/// From the SMTP server: is this address deliverable? Answered at once by [`Known`], from what is in the cache; a probe is sent when it has nothing
/// or something old. Frame kind [`Query::FRAME`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The address as the client gave it (without quotes).
    pub address: Address,
}

impl Query {
    /// The frame kind.
    pub const FRAME: u8 = 31;
}

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The last probe was accepted.
    Deliverable,
    /// The last probe was put off.
    Deferred,
    /// The last probe was refused.
    Undeliverable,
    /// A probe is under way: ask again.
    Unknown,
}

/// The answer to [`Query`]. Frame kind [`Known::FRAME`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What is known.
    pub status: Status,
    /// Why.
    pub text: BString,
}

impl Known {
    /// The frame kind.
    pub const FRAME: u8 = 32;
}

/// The sender of probes (`address_verify_sender`, `address_verify_sender_ttl`). The verify service sends with it, and the SMTP server lets mail
/// for it pass, so that a site that verifies our probes' sender finds it to exist.
#[derive(Clone, Debug)]
pub struct ProbeSender {
    address: Address,
    ttl: Duration,
}

impl ProbeSender {
    /// `address`: the parameter's value, complete (`double-bounce@example.com`); empty for `<>`. `ttl` zero: the sender never changes.
    pub fn new(address: Address, ttl: Duration) -> ProbeSender {
        ProbeSender { address, ttl }
    }

    /// The sender to use at this time.
    pub fn at(&self, now: SystemTime) -> Address {
        self.of_period(self.period(now))
    }

    /// Whether an address is the sender of a probe of now or of the periods before and after.
    pub fn matches(&self, address: &Address, now: SystemTime) -> bool {
        let local = self.address.local();
        if self.address.is_empty() || !address.local().get(..local.len()).is_some_and(|start| start.eq_ignore_ascii_case(local)) {
            return false;
        }
        let period = self.period(now);
        (period.saturating_sub(1)..=period + 1).any(|period| self.of_period(period).as_bytes().eq_ignore_ascii_case(address.as_bytes()))
    }

    fn period(&self, now: SystemTime) -> u64 {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        seconds.checked_div(self.ttl.as_secs()).unwrap_or(0)
    }

    /// The local part grows by something that those who collected old ones cannot use: letters and digits that change with the period.
    fn of_period(&self, period: u64) -> Address {
        if self.address.is_empty() || self.ttl.as_secs() == 0 {
            return self.address.clone();
        }
        let mut text = BString::from(self.address.local());
        let mut rest = period.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for _ in 0..13 {
            text.push(b"0123456789abcdefghjkmnpqrstvwxyz"[(rest & 31) as usize]);
            rest >>= 5;
        }
        if let Some(domain) = self.address.domain() {
            text.push(b'@');
            text.extend_from_slice(domain);
        }
        Address::new(text)
    }
}

impl Wire for Status {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Status::Deliverable => 0,
            Status::Deferred => 1,
            Status::Undeliverable => 2,
            Status::Unknown => 3,
        });
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            0 => Status::Deliverable,
            1 => Status::Deferred,
            2 => Status::Undeliverable,
            3 => Status::Unknown,
            _ => return Err(WireError("not an address status")),
        })
    }
}

wire_struct!(Probed { address, outcome, text });
wire_struct!(Query { address });
wire_struct!(Known { status, text });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::round_trip;

    #[test]
    fn the_sender_of_probes_changes_with_time() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let day = Duration::from_secs(86400);
        let fixed = ProbeSender::new(Address::new("double-bounce@x"), Duration::ZERO);
        assert_eq!(fixed.at(now), Address::new("double-bounce@x"));
        let sender = ProbeSender::new(Address::new("double-bounce@x"), day);
        let today = sender.at(now);
        assert!(today.as_bytes().starts_with(b"double-bounce") && today.as_bytes().ends_with(b"@x"));
        assert_ne!(today, sender.at(now + day));
        assert!(sender.matches(&today, now + day) && sender.matches(&today, now - day) && !sender.matches(&today, now + 2 * day));
        assert!(ProbeSender::new(Address::empty(), day).at(now).is_empty());
    }

    #[test]
    fn round_trips() {
        let probed = Probed { address: Address::new("u@x"), outcome: Outcome::Deferred, text: "later".into() };
        assert_eq!(round_trip(&probed), probed);
        assert_eq!(round_trip(&Query { address: Address::new("u@x") }), Query { address: Address::new("u@x") });
        for status in [Status::Deliverable, Status::Deferred, Status::Undeliverable, Status::Unknown] {
            let known = Known { status, text: "why".into() };
            assert_eq!(round_trip(&known), known);
        }
        assert!(Status::take(&mut &[4u8][..]).is_err());
    }
}
