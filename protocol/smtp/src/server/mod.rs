//! The server's side of an SMTP session, without I/O.
//!
//! The caller owns the socket, the clock, the tables and the queue. It puts what the client sent into [`Session::input`], calls [`Session::step`]
//! and does what the [`Step`] says: read more, make an access check, open the queue file, commit it, wait, close. Replies collect in
//! [`Session::output`] and are sent when the step is [`Step::Read`] or [`Step::Close`], so that a pipelining client gets them in one piece.
//! Log lines collect in [`Session::take_log`].
//!
//! Content goes straight from the input buffer into the transaction's [`Message`], one slice per line, without a copy.
//!
//! ```
//! use bstr::BStr;
//! use posthaste_smtp_protocol::server::{Message, Recipient, Rules, Session, Settings, Step, Verdict};
//! use std::rc::Rc;
//!
//! struct Null;
//! impl Message for Null {
//!     fn recipient(&mut self, _: &Recipient) {}
//!     fn line(&mut self, _: &BStr, _: bool) {}
//! }
//! # let client = posthaste_smtp_protocol::server::Client::local();
//! let mut session: Session<Null> = Session::new(Rc::new(Settings::example()), client, Rules::default());
//! assert_eq!(session.step(), Step::Read);
//! assert_eq!(session.output(), b"220 mail.example.com ESMTP Posthaste\r\n");
//! ```

mod address;
mod commands;
mod content;
mod lines;
mod origin;
mod received;
mod session;
mod types;
mod words;

#[cfg(test)]
mod tests;

pub use address::{BadAddress, extract};
pub use lines::Lost;
pub use origin::{Forwarded, Login};
pub use received::received;
pub use session::{Level, Session};
pub use types::*;
pub use words::escape;
