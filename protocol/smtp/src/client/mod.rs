//! The client's side of SMTP (RFC 5321) and LMTP (RFC 2033), without I/O.
//!
//! Three pieces, used one after the other on a connection:
//! * [`ReplyReader`] turns bytes into [`Reply`] values;
//! * [`Hello`] leads from the greeting to a session that is ready for mail ([`Features`]);
//! * [`Transaction`] sends one message to many recipients, pipelined (RFC 2920) where the server allows it.
//!
//! Each engine appends what is to be sent to a buffer and says at which [`Stage`] it waits: the shell around it writes the buffer, waits for
//! a reply as long as the stage's time limit allows, and feeds the reply back.
//!
//! ```
//! use posthaste_smtp_protocol::client::{Hello, HelloOptions, HelloStep, ReplyReader};
//! let mut replies = ReplyReader::new(2048);
//! let mut hello = Hello::new(HelloOptions { name: "client.example".into(), ..HelloOptions::default() });
//! let mut out = Vec::new();
//! replies.feed(b"220 mx.example ESMTP\r\n");
//! let greeting = replies.next_reply().unwrap();
//! assert!(matches!(hello.reply(&greeting, &mut out), HelloStep::Wait));
//! assert_eq!(out, b"EHLO client.example\r\n");
//! replies.feed(b"250-mx.example\r\n250 PIPELINING\r\n");
//! let reply = replies.next_reply().unwrap();
//! assert!(matches!(hello.reply(&reply, &mut out), HelloStep::Ready));
//! assert!(hello.features().pipelining);
//! ```

mod body;
mod command;
mod features;
mod hello;
mod reply;
mod transaction;

pub use body::BodyWriter;
pub use command::{Client, Commands, MailParameters, RcptParameters, xforward};
pub use features::{Discard, Features, Xforward};
pub use hello::{Hello, HelloOptions, HelloStep, StartTls, is_masked};
pub use reply::{Oddity, Reply, ReplyReader, Status, printable};
pub use transaction::{Ending, Event, Target, Transaction};

/// Where a conversation stands: what the client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The server's first words.
    Greeting,
    /// Reply to EHLO.
    Ehlo,
    /// Reply to HELO.
    Helo,
    /// Reply to LHLO.
    Lhlo,
    /// Reply to STARTTLS, or the handshake itself.
    StartTls,
    /// Replies of the authentication exchange.
    Auth,
    /// Reply to `XFORWARD NAME ADDR PORT`.
    XforwardNameAddr,
    /// Reply to `XFORWARD PROTO HELO IDENT SOURCE`.
    XforwardProtoHelo,
    /// Reply to MAIL FROM.
    Mail,
    /// Reply to a RCPT TO.
    Rcpt,
    /// Reply to DATA.
    Data,
    /// The message is being sent.
    Body,
    /// Reply to the end of data.
    Dot,
    /// Reply to RSET after a refused message.
    RsetAbort,
    /// Reply to RSET that tells whether a kept connection is still good.
    RsetProbe,
    /// Reply to QUIT.
    Quit,
}

impl Stage {
    /// What was going on, as it stands after `lost connection with … while` and `timed out while`.
    pub fn doing(self) -> &'static str {
        match self {
            Stage::Greeting => "receiving the initial server greeting",
            Stage::Ehlo => "performing the EHLO handshake",
            Stage::Helo => "performing the HELO handshake",
            Stage::Lhlo => "performing the LHLO handshake",
            Stage::StartTls => "performing the STARTTLS handshake",
            Stage::Auth => "performing SASL authentication",
            Stage::XforwardNameAddr => "sending XFORWARD name/address",
            Stage::XforwardProtoHelo => "sending XFORWARD helo/protocol",
            Stage::Mail => "sending MAIL FROM",
            Stage::Rcpt => "sending RCPT TO",
            Stage::Data => "sending DATA command",
            Stage::Body => "sending message body",
            Stage::Dot => "sending end of data -- message may be sent more than once",
            Stage::RsetAbort => "sending final RSET",
            Stage::RsetProbe => "sending RSET probe",
            Stage::Quit => "sending QUIT command",
        }
    }

    /// The command as it stands in `(in reply to … command)`.
    pub fn command(self) -> &'static str {
        match self {
            Stage::Greeting => "initial greeting",
            Stage::Ehlo => "EHLO",
            Stage::Helo => "HELO",
            Stage::Lhlo => "LHLO",
            Stage::StartTls => "STARTTLS",
            Stage::Auth => "AUTH",
            Stage::XforwardNameAddr => "XFORWARD name/address",
            Stage::XforwardProtoHelo => "XFORWARD helo/protocol",
            Stage::Mail => "MAIL FROM",
            Stage::Rcpt => "RCPT TO",
            Stage::Data => "DATA",
            Stage::Body | Stage::Dot => "end of DATA",
            Stage::RsetAbort | Stage::RsetProbe => "RSET",
            Stage::Quit => "QUIT",
        }
    }
}

#[cfg(test)]
mod tests;
