//! From the listing service (`public/showq`, `showq_service_name`) to `postqueue`: messages, each followed by its recipients, then [`End`].
//! The client sends nothing.

use crate::wire::{Wire, WireError};
use crate::wire_struct;
use posthaste_queue::listing::{Listed, ListedRecipient};

/// A message. Recipients follow in any number of [`Recipients`].
pub const MESSAGE: u8 = 50;
/// Recipients of the last message: a list of [`ListedRecipient`].
pub const RECIPIENTS: u8 = 51;
/// The whole queue has been listed. A connection that ends without it was cut.
pub const END: u8 = 52;

/// So many recipients at most are in one frame, so that neither end needs memory for all.
pub const BATCH: usize = 50;

/// Recipients of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients(pub Vec<ListedRecipient>);

/// Payload of the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End;

wire_struct!(Listed { queue, id, arrival, size, forced_expire, sender });
wire_struct!(ListedRecipient { address, original, reason, bounced });

impl Wire for Recipients {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(Recipients(Vec::take(input)?))
    }
}

impl Wire for End {
    fn put(&self, _: &mut Vec<u8>) {}
    fn take(_: &mut &[u8]) -> Result<Self, WireError> {
        Ok(End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{id, round_trip};
    use posthaste_address::Address;
    use posthaste_queue::QueueName;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn round_trips() {
        let message = Listed {
            queue: QueueName::Hold,
            id: id(),
            arrival: UNIX_EPOCH + Duration::from_micros(1_795_241_037_421_083),
            size: 351,
            forced_expire: true,
            sender: Address::empty(),
        };
        assert_eq!(round_trip(&message), message);
        let recipient =
            ListedRecipient { address: Address::new("a b@c"), original: Address::empty(), reason: "\"x\"\n\u{1}".into(), bounced: false };
        let recipients = Recipients(vec![recipient; 3]);
        assert_eq!(round_trip(&recipients), recipients);
        assert_eq!(round_trip(&End), End);
    }
}
