//! What the postmaster is told of servers that break the protocol (`notify_classes = protocol`): the transcript of the session.

use crate::problem::Peer;
use bstr::{BStr, BString, ByteSlice};
use posthaste_cleanup_protocol::{Flags, Message, Profile, Rejected};
use posthaste_config::{Config, ConfigError, split_list};
use posthaste_ipc::frame;
use posthaste_ipc::qmgr::NewMessage;
use posthaste_log::{Logger, warn};
use posthaste_queue::clock::mail_date;
use posthaste_queue::commit::Committer;
use posthaste_queue::{Queue, QueueName, RecordType};
use posthaste_smtp_protocol::client::Reply;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The lines of a session, for as long as somebody wants to know.
#[derive(Debug, Default)]
pub struct Transcript {
    lines: Vec<BString>,
    trouble: bool,
}

/// More lines than these are not kept: a session may serve many messages.
const LINES: usize = 1000;

impl Transcript {
    /// Commands that are sent.
    pub fn sent(&mut self, bytes: &[u8]) {
        bytes.lines().for_each(|line| self.add(b" Out: ", line));
    }

    /// A reply, and whether it is one that no server should give: no reply code of the class that was asked for, or a complaint about syntax.
    pub fn received(&mut self, reply: &Reply) {
        reply.text.lines().for_each(|line| self.add(b" In:  ", line));
    }

    /// A reply that refused something.
    pub fn refused(&mut self, reply: &Reply) {
        self.trouble |= is_protocol_error(reply.code);
    }

    /// A reply without a code.
    pub fn garbage(&mut self) {
        self.trouble = true;
    }

    fn add(&mut self, tag: &[u8], line: &[u8]) {
        if self.lines.len() < LINES {
            self.lines.push([tag, line].concat().into());
        }
    }
}

/// Refusals that are the server's mistake, or complain about ours, as Postfix tells them from those that concern the mail.
fn is_protocol_error(code: u16) -> bool {
    !(400..=599).contains(&code) || (500..510).contains(&code) || code == 555
}

/// Sends notices.
pub struct Notices {
    queue: Queue,
    profile: Arc<Profile>,
    log: Logger,
    myhostname: String,
    mail_name: String,
    recipient: String,
    sender: String,
    queue_manager: PathBuf,
    protocol: &'static str,
}

impl Notices {
    /// `None` when the postmaster does not want to hear of such things.
    pub fn open(config: &Config, queue: &Queue, log: &Logger, lmtp: bool) -> Result<Option<Arc<Notices>>, ConfigError> {
        if !split_list(&config.text("notify_classes")?).any(|class| class.eq_ignore_ascii_case("protocol")) {
            return Ok(None);
        }
        let myhostname = config.text("myhostname")?;
        Ok(Some(Arc::new(Notices {
            queue: queue.clone(),
            profile: Profile::open(config)?,
            log: log.clone(),
            mail_name: config.text("mail_name")?,
            recipient: config.text("error_notice_recipient")?,
            sender: format!("{}@{myhostname}", config.text("double_bounce_sender")?),
            myhostname,
            queue_manager: config.queue_directory().join("public").join(config.text("queue_service_name")?),
            protocol: if lmtp { "LMTP" } else { "SMTP" },
        })))
    }

    /// Sends the transcript if there was trouble. In the background: no delivery waits for it.
    pub fn send(self: &Arc<Self>, peer: &Peer, transcript: &mut Transcript) {
        if !std::mem::take(&mut transcript.trouble) {
            return;
        }
        let (this, server, lines) = (Arc::clone(self), peer.name_and_port(), std::mem::take(&mut transcript.lines));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = this.post(&server, &lines) {
                warn!(this.log, "postmaster notify: {error}");
            }
        });
    }

    fn post(&self, server: &str, lines: &[BString]) -> Result<(), String> {
        let flags = Flags { address_mappings: true, ..Flags::default() };
        let mut message = Message::begin(&self.profile, &self.queue, flags).map_err(|error| error.to_string())?;
        self.fill(&mut message, server, lines).map_err(|rejected| format!("{rejected:?}"))?;
        let accepted = message.finish().map_err(|rejected| format!("{rejected:?}"))?;
        let Some(file) = accepted.file else { return Ok(()) };
        let id = file.id().clone();
        Committer::commit_now(file).map_err(|error| error.to_string())?;
        // Should this get lost, the scan of the queue finds the message.
        let mut bytes = Vec::new();
        if !accepted.held
            && frame::put(&mut bytes, NewMessage::FRAME, 0, &NewMessage { queue: QueueName::Incoming, id, envelope: accepted.envelope })
                .is_ok()
            && let Ok(mut stream) = UnixStream::connect(&self.queue_manager)
        {
            let _ = stream.write_all(&bytes);
        }
        Ok(())
    }

    fn fill(&self, message: &mut Message, server: &str, lines: &[BString]) -> Result<(), Rejected> {
        let (id, now) = (message.id().clone(), SystemTime::now());
        let date = mail_date(now);
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut put = |kind, text: &[u8]| message.record(kind, text.as_bstr());
        put(RecordType::TIME, format!("{} {}", since.as_secs(), since.subsec_micros()).as_bytes())?;
        put(RecordType::ATTRIBUTE, b"log_message_origin=local")?;
        put(RecordType::ATTRIBUTE, b"rewrite_context=local")?;
        put(RecordType::SENDER, self.sender.as_bytes())?;
        put(RecordType::RECIPIENT, self.recipient.as_bytes())?;
        put(RecordType::MESSAGE, b"")?;
        let mut line = |text: &[u8]| put(RecordType::NORMAL, text);
        for text in [
            format!("Received: by {} ({})", self.myhostname, self.mail_name),
            format!("\tid {id}; {date}"),
            format!("Date: {date}"),
            format!("From: Mail Delivery System <MAILER-DAEMON@{}>", self.myhostname),
            format!("To: Postmaster <{}>", self.recipient),
            format!("Subject: {} {} client: errors from {server}", self.mail_name, self.protocol),
            String::new(),
            format!("Unexpected response from {server}."),
            String::new(),
            "Transcript of session follows.".into(),
            String::new(),
        ] {
            line(text.as_bytes())?;
        }
        lines.iter().try_for_each(|text| line(text))?;
        line(b"")?;
        line(b"For other details, see the local mail logfile")?;
        put(RecordType::EXTRACTED, b"")?;
        message.record(RecordType::END, BStr::new(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-BOUNCE-05: the replies for which a real Postfix sent a notice, and those for which it did not.
    #[test]
    fn what_counts_as_protocol_error() {
        for code in [500, 503, 504, 555, 354, 650, 250] {
            assert!(is_protocol_error(code), "{code}");
        }
        for code in [550, 554, 450, 421, 510] {
            assert!(!is_protocol_error(code), "{code}");
        }
    }
}
