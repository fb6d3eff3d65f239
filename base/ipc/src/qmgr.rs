//! To the queue manager: a new message, with its envelope so that it need not be read back.

use crate::wire_struct;
use posthaste_queue::{Envelope, QueueId, QueueName};

/// Sent to `public/qmgr` after the message is safe. No answer; when it is lost, the scan of `incoming` finds the file. Frame kind [`NewMessage::FRAME`].
#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    /// `Incoming` (mail on hold is not announced).
    pub queue: QueueName,
    /// The message.
    pub id: QueueId,
    /// The envelope with all recipients; `None` when there are more than the sender of this cares to keep in memory: read the file.
    pub envelope: Option<Envelope>,
}

impl NewMessage {
    /// The frame kind.
    pub const FRAME: u8 = 20;
}

wire_struct!(NewMessage { queue, id, envelope });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{envelope, id, round_trip};

    #[test]
    fn round_trips() {
        for envelope in [None, Some(envelope())] {
            let message = NewMessage { queue: QueueName::Incoming, id: id(), envelope };
            assert_eq!(round_trip(&message), message);
        }
    }
}
