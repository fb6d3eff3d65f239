//! `-v`: what showq says, item by item, in the words in which Postfix's programs tell of each other's attributes.

use crate::list::Printer;
use posthaste_log::{Logger, verbose};
use posthaste_queue::listing::{Listed, ListedRecipient, Listing};
use std::io;
use std::time::UNIX_EPOCH;

/// Logs what passes through it to another printer.
pub struct Trace<'a> {
    inner: Box<dyn Printer + 'a>,
    socket: &'a str,
    log: &'a Logger,
    in_message: bool,
}

impl<'a> Trace<'a> {
    /// `socket` is the name of the service, as `public/showq`.
    pub fn new(inner: Box<dyn Printer + 'a>, socket: &'a str, log: &'a Logger) -> Trace<'a> {
        Trace { inner, socket, log, in_message: false }
    }

    fn item(&self, name: &str, value: &dyn std::fmt::Display) {
        verbose!(self.log, "{} socket: wanted attribute: {name}", self.socket);
        verbose!(self.log, "input attribute name: {name}");
        verbose!(self.log, "input attribute value: {value}");
    }

    fn more(&self, first: char) {
        verbose!(self.log, "{} socket: non-terminator '{first}' (lookahead)", self.socket);
    }

    fn end_of_list(&mut self) {
        verbose!(self.log, "{} socket: terminator (consumed)", self.socket);
        self.in_message = false;
    }
}

impl Listing for Trace<'_> {
    fn message(&mut self, message: &Listed) -> io::Result<()> {
        if self.in_message {
            self.end_of_list();
        }
        self.more('q');
        self.item("queue_name", &message.queue.as_str());
        self.item("queue_id", &message.id);
        self.item("time", &message.arrival.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        self.item("size", &message.size);
        self.item("forced_expire", &u8::from(message.forced_expire));
        self.item("sender", &message.sender);
        self.in_message = true;
        self.inner.message(message)
    }

    fn recipient(&mut self, recipient: &ListedRecipient) -> io::Result<()> {
        self.more('r');
        self.item("recipient", &recipient.address);
        self.item("reason", &recipient.reason);
        self.inner.recipient(recipient)
    }

    fn warning(&mut self, text: String) {
        self.inner.warning(text);
    }
}

impl Printer for Trace<'_> {
    fn begin(&mut self) {
        self.item("protocol", &"mail_queue_list_protocol");
        verbose!(self.log, "{} socket: wanted attribute: (list terminator)", self.socket);
        verbose!(self.log, "input attribute name: (end)");
        self.inner.begin();
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.in_message {
            self.end_of_list();
        }
        self.end_of_list();
        self.inner.finish()
    }
}
