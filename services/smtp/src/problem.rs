//! Why recipients did not get their mail, as log and report show it.

use crate::session::Broken;
use bstr::BString;
use posthaste_ipc::delivery::Dsn;
use posthaste_smtp_protocol::client::{Reply, Stage, Status};

/// A failure, with what the log says in `relay=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Status, text, and who said it.
    pub dsn: Dsn,
    /// `none`, or the server that was talked to.
    pub relay: BString,
    /// The destination cannot be reached or does not talk to us, whatever the message: it counts against the destination.
    pub destination: bool,
}

impl Problem {
    /// One that this host found, without a server.
    pub fn local(status: &str, reason: impl Into<BString>) -> Problem {
        Problem {
            dsn: Dsn { status: status.to_owned(), reason: reason.into(), ..Dsn::default() },
            relay: "none".into(),
            destination: false,
        }
    }

    /// Whether to try again.
    pub fn is_soft(&self) -> bool {
        self.dsn.status.starts_with('4')
    }

    /// Makes it a temporary one.
    pub fn soften(&mut self) {
        if self.dsn.status.starts_with('5') {
            self.dsn.status.replace_range(..1, "4");
        }
    }

    /// It concerns the destination as a whole.
    pub fn of_destination(mut self) -> Problem {
        self.destination = true;
        self
    }
}

/// A server as it is named in texts and reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Host name (or address).
    pub host: String,
    /// Address, or path of a socket.
    pub address: String,
    /// TCP port; `None` for a socket.
    pub port: Option<u16>,
}

impl Peer {
    /// `host[address]`.
    pub fn name(&self) -> String {
        format!("{}[{}]", self.host, self.address)
    }

    /// `host[address]:port`, as in `relay=`.
    pub fn name_and_port(&self) -> String {
        match self.port {
            Some(port) => format!("{}[{}]:{port}", self.host, self.address),
            None => self.name(),
        }
    }

    fn problem(&self, status: String, reason: BString, destination: bool) -> Problem {
        Problem { dsn: Dsn { status, reason, ..Dsn::default() }, relay: self.name_and_port().into(), destination }
    }

    /// `lost connection with …` or `conversation with … timed out`.
    pub fn broken(&self, stage: Stage, broken: Broken, handshake: bool) -> Problem {
        let (name, doing) = (self.name(), stage.doing());
        let reason = match broken {
            Broken::TimedOut => format!("conversation with {name} timed out while {doing}"),
            Broken::Lost => format!("lost connection with {name} while {doing}"),
            Broken::LocalData => return self.local_data_error(),
        };
        self.problem("4.4.2".into(), reason.into(), handshake)
    }

    /// A table of ours failed while we talked to the server.
    pub fn local_data_error(&self) -> Problem {
        self.problem("4.3.0".into(), format!("local data error while talking to {}", self.name()).into(), false)
    }

    /// The message cannot be converted to what the server takes.
    pub fn local_content_error(&self, why: &str) -> Problem {
        self.problem("5.6.0".into(), why.into(), false)
    }

    /// `host … said: … (in reply to … command)`.
    pub fn said(&self, reply: &Reply, stage: Stage) -> Problem {
        let text = reply.printable();
        let mut reason = BString::from(format!("host {} said: ", self.name()));
        reason.extend_from_slice(&text);
        reason.extend_from_slice(format!(" (in reply to {} command)", stage.command()).as_bytes());
        let mut problem = self.problem(reply.status_or_default().to_string(), reason, false);
        self.fill(&mut problem.dsn, text);
        problem
    }

    /// `host … refused to talk to me: …`. `skip` makes a permanent refusal a temporary one.
    pub fn refused(&self, reply: &Reply, skip: bool) -> Problem {
        let text = reply.printable();
        let mut reason = BString::from(format!("host {} refused to talk to me: ", self.name()));
        reason.extend_from_slice(&text);
        let mut status = reply.status_or_default();
        if skip && reply.class() == 5 {
            status.class = 4;
        }
        let mut problem = self.problem(status.to_string(), reason, true);
        self.fill(&mut problem.dsn, text);
        problem
    }

    /// Something that this host objects to in the session.
    pub fn unfit(&self, status: &str, reason: String, destination: bool) -> Problem {
        self.problem(status.to_owned(), reason.into(), destination)
    }

    /// The result of a delivery.
    pub fn accepted(&self, reply: &Reply) -> Dsn {
        let text = reply.printable();
        let status = match reply.status {
            Some(status) if status.class == 2 => status,
            _ => Status::new(2, 0, 0),
        };
        let mut dsn = Dsn { status: status.to_string(), reason: text.clone(), ..Dsn::default() };
        self.fill(&mut dsn, text);
        dsn
    }

    fn fill(&self, dsn: &mut Dsn, text: BString) {
        dsn.diag_type = "smtp".into();
        dsn.diag_text = text;
        dsn.mta_type = "dns".into();
        dsn.mta_name = self.host.as_str().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_smtp_protocol::client::ReplyReader;

    fn peer() -> Peer {
        Peer { host: "mx.example".into(), address: "192.0.2.1".into(), port: Some(25) }
    }

    fn reply(text: &str) -> Reply {
        let mut reader = ReplyReader::new(2048);
        reader.feed(format!("{text}\r\n").as_bytes());
        reader.next_reply().unwrap()
    }

    /// S-CLIENT-02, S-CLIENT-03, and the other texts of the delivery log.
    #[test]
    fn texts() {
        let said = peer().said(&reply("550-5.1.1 first line\r\n550 5.1.1 second line"), Stage::Rcpt);
        assert_eq!(
            said.dsn.reason,
            "host mx.example[192.0.2.1] said: 550-5.1.1 first line 550 5.1.1 second line (in reply to RCPT TO command)"
        );
        assert_eq!((said.dsn.status.as_str(), said.relay), ("5.1.1", "mx.example[192.0.2.1]:25".into()));
        let refused = peer().refused(&reply("554 5.3.2 go away"), true);
        assert_eq!(
            (refused.dsn.status.as_str(), refused.dsn.reason),
            ("4.3.2", "host mx.example[192.0.2.1] refused to talk to me: 554 5.3.2 go away".into())
        );
        assert_eq!(peer().refused(&reply("554 go"), false).dsn.status, "5.0.0");
        assert_eq!(peer().refused(&reply("354 strange"), true).dsn.status, "5.5.0");
        let lost = peer().broken(Stage::Dot, Broken::Lost, false);
        assert_eq!(
            lost.dsn.reason,
            "lost connection with mx.example[192.0.2.1] while sending end of data -- message may be sent more than once"
        );
        let late = peer().broken(Stage::Greeting, Broken::TimedOut, true);
        assert_eq!(late.dsn.reason, "conversation with mx.example[192.0.2.1] timed out while receiving the initial server greeting");
        assert_eq!((late.dsn.status.as_str(), late.destination), ("4.4.2", true));
    }
}
