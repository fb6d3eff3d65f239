//! To the verify service (`address_verify_service_name`): what probes found, and questions about addresses.

use crate::delivery::Outcome;
use crate::wire::{Wire, WireError};
use crate::wire_struct;
use bstr::BString;
use posthaste_address::Address;

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
    /// The address, rewritten.
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
