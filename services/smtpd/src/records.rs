//! The records of a message that do not depend on where it goes: into the queue, or to postdrop(1).

use bstr::BStr;
use posthaste_address::Address;
use posthaste_queue::RecordType;
use posthaste_smtp_protocol::server::{MailParameters, Recipient};

/// Where records go. What goes wrong is told when the message is finished.
pub trait Records {
    fn record(&mut self, kind: RecordType, payload: &BStr);
    /// A record with `name=value`.
    fn attribute(&mut self, name: &str, value: &[u8]);
}

/// The sender and the body's encoding.
pub fn sender(to: &mut impl Records, address: &Address, parameters: &MailParameters) {
    to.record(RecordType::SENDER, address.as_bytes());
    match parameters.eight_bit {
        Some(true) => to.attribute("encoding", b"8bit"),
        Some(false) => to.attribute("encoding", b"7bit"),
        None => {}
    }
}

/// A recipient and what came with it.
pub fn recipient(to: &mut impl Records, recipient: &Recipient) {
    if recipient.notify != 0 {
        to.attribute("notify_flags", recipient.notify.to_string().as_bytes());
    }
    to.attribute("dsn_orig_rcpt", &recipient.orcpt);
    to.record(RecordType::RECIPIENT, recipient.address.as_bytes());
}

/// A line of content, or a piece of one. `first`: nothing but our own headers precedes it.
pub fn line(to: &mut impl Records, text: &BStr, whole: bool, first: bool) {
    if first && text.first().is_some_and(|c| matches!(c, b' ' | b'\t')) {
        // It would continue our Received: header.
        to.record(RecordType::NORMAL, BStr::new(b""));
    }
    to.record(if whole { RecordType::NORMAL } else { RecordType::CONTINUED }, text);
}
