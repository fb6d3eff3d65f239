//! Sends a probe: a message that is routed like any other and delivered to nobody.

use bstr::{BStr, ByteSlice};
use posthaste_address::Address;
use posthaste_cleanup_protocol::{Flags, Message, Profile, Rejected};
use posthaste_ipc::delivery::TRACE_VERIFY;
use posthaste_ipc::qmgr::NewMessage;
use posthaste_queue::clock::mail_date;
use posthaste_queue::commit::Committer;
use posthaste_queue::{Queue, QueueName, RecordType};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// What probes are made with.
pub struct Prober {
    /// The queue.
    pub queue: Queue,
    /// How new messages are made.
    pub profile: Arc<Profile>,
    /// `myhostname`.
    pub myhostname: String,
    /// `mail_name`.
    pub mail_name: String,
    /// `verify` is in `smtputf8_autodetect_classes`.
    pub smtputf8: bool,
}

/// A probe in the queue.
pub struct Sent {
    /// For the queue manager.
    pub new: Option<NewMessage>,
    /// The result is known: an alias with several recipients.
    pub aliased: bool,
}

impl Prober {
    /// Puts a probe into the queue. Blocks for the disk. The error is a text for the log.
    pub fn send(&self, sender: &Address, recipient: &Address) -> Result<Sent, String> {
        let smtputf8 = self.smtputf8 && !(recipient.as_bytes().is_ascii() && sender.as_bytes().is_ascii());
        let flags = Flags { address_mappings: true, smtputf8, ..Flags::default() };
        let mut message = Message::begin(&self.profile, &self.queue, flags).map_err(|error| error.to_string())?;
        let id = message.id().clone();
        self.write(&mut message, sender, recipient).map_err(|rejected| format!("{rejected:?}"))?;
        let accepted = message.finish().map_err(|rejected| format!("{rejected:?}"))?;
        let aliased = accepted.aliased;
        if let Some(file) = accepted.file {
            Committer::commit_now(file).map_err(|error| error.to_string())?;
        }
        let new = accepted.envelope.map(|envelope| NewMessage { queue: QueueName::Incoming, id, envelope: Some(envelope) });
        Ok(Sent { new, aliased })
    }

    fn write(&self, message: &mut Message, sender: &Address, recipient: &Address) -> Result<(), Rejected> {
        let now = self.queue.clock.now();
        let time = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let date = mail_date(now);
        let id = message.id().clone();
        let mut put = |kind: RecordType, payload: &[u8]| message.record(kind, payload.as_bstr());
        put(RecordType::TIME, format!("{} {}", time.as_secs(), time.subsec_micros()).as_bytes())?;
        put(RecordType::ATTRIBUTE, b"log_message_origin=local")?;
        put(RecordType::ATTRIBUTE, b"rewrite_context=local")?;
        put(RecordType::SENDER, sender.as_bytes())?;
        put(RecordType::ATTRIBUTE, format!("trace_flags={TRACE_VERIFY}").as_bytes())?;
        put(RecordType::RECIPIENT, recipient.as_bytes())?;
        put(RecordType::MESSAGE, b"")?;
        put(RecordType::NORMAL, format!("Received: by {} ({})", self.myhostname, self.mail_name).as_bytes())?;
        put(RecordType::NORMAL, format!("\tid {id}; {date}").as_bytes())?;
        put(RecordType::NORMAL, format!("Date: {date}").as_bytes())?;
        put(RecordType::NORMAL, b"Subject: probe")?;
        put(RecordType::NORMAL, &[b"To: ", &recipient.external()[..]].concat())?;
        put(RecordType::EXTRACTED, b"")?;
        message.record(RecordType::END, BStr::new(""))
    }
}
