//! To the queue manager: a new message, with its envelope so that it need not be read back.

use posthaste_queue::{Envelope, QueueId, QueueName};

/// Sent to `public/qmgr` after the message is safe. No answer; when it is lost, the scan of `incoming` finds the file.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// `Incoming` (mail on hold is not announced).
    pub queue: QueueName,
    /// The message.
    pub id: QueueId,
    /// The envelope with all recipients; `None` when there are more than the sender of this cares to keep in memory: read the file.
    pub envelope: Option<Envelope>,
}
