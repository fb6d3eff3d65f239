//! Mail for addresses that go elsewhere is sent anew: one message for each sender, through the cleanup pipeline.

use crate::deliver::{Delivery, Target};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_cleanup_protocol::{Flags, Message, Profile, Rejected};
use posthaste_config::{Config, ConfigError, system_reason};
use posthaste_ipc::frame;
use posthaste_ipc::qmgr::NewMessage;
use posthaste_log::warn;
use posthaste_queue::commit::Committer;
use posthaste_queue::{Content, Notify, QueueId, QueueName, ReadError, Recipient, RecordType, Text};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is needed to make new messages.
pub(crate) struct Forwarder {
    profile: Arc<Profile>,
    queue_manager: PathBuf,
    flags: Flags,
}

impl Forwarder {
    pub fn open(config: &Config) -> Result<Forwarder, ConfigError> {
        Ok(Forwarder {
            profile: Profile::open(config)?,
            queue_manager: config.queue_directory().join("public").join(config.text("queue_service_name")?),
            flags: Flags { address_mappings: true, bcc: true, ..Flags::default() },
        })
    }
}

/// The new messages that a recipient's expansion asks for.
#[derive(Default)]
pub(crate) struct Forwards(Vec<Forward>);

struct Forward {
    sender: Address,
    /// What `Delivered-To:` of the new message says.
    delivered_to: Address,
    recipients: Vec<Recipient>,
}

impl Forwards {
    /// Adds an address, unless one of the messages goes to it already.
    pub fn add(&mut self, sender: &Address, target: &Target, address: &Address) {
        if self.0.iter().flat_map(|f| &f.recipients).any(|r| r.address == *address) {
            return;
        }
        let recipient = Recipient {
            offset: None,
            address: address.clone(),
            original: target.recipient.original.clone(),
            dsn_orcpt: target.recipient.dsn_orcpt.clone(),
            notify: crate::deliver::for_member(target.recipient.notify),
        };
        let forward = match self.0.iter_mut().find(|f| f.sender == *sender) {
            Some(forward) => forward,
            None => {
                self.0.push(Forward { sender: sender.clone(), delivered_to: target.delivered_to.clone(), recipients: Vec::new() });
                let last = self.0.len() - 1;
                &mut self.0[last]
            }
        };
        forward.recipients.push(recipient);
    }
}

impl Delivery<'_> {
    /// Sends all new messages; each is told as one result of the recipient.
    pub fn send_forwards(&mut self, target: &Target) {
        for forward in std::mem::take(&mut self.forwards).0 {
            self.expanded = true;
            if self.request.probe {
                let list = bstr::join(", ", forward.recipients.iter().map(|r| r.address.as_bytes()));
                // As Postfix tells it: under the address that the message would go to.
                let mut member = target.clone();
                if let Some(first) = forward.recipients.first() {
                    member.recipient.address = first.address.clone();
                }
                self.sent(&member, "deliverable", format!("forwards to {}", list.as_bstr()));
                continue;
            }
            match self.send_forward(&forward) {
                Ok(id) => self.sent(target, "relayed", format!("forwarded as {id}")),
                Err(why) => {
                    warn!(self.local.log, "{}: cannot forward: {why}", self.request.id);
                    self.failed(target, "4.3.0", "unable to forward message");
                }
            }
        }
    }

    fn send_forward(&mut self, forward: &Forward) -> Result<QueueId, String> {
        let local = self.local;
        self.content.rewind().map_err(|e| e.to_string())?;
        let mut message = Message::begin(&local.forwarder.profile, &local.queue, local.forwarder.flags)
            .map_err(|e| format!("create a queue file in incoming: {}", system_reason(&e)))?;
        let id = message.id().clone();
        self.write(&mut message, forward).map_err(|e| match e {
            WriteError::Rejected(r) => r.to_string(),
            WriteError::Read(e) => e.to_string(),
        })?;
        let accepted = message.finish().map_err(|r| r.to_string())?;
        let Some(file) = accepted.file else { return Ok(id) };
        Committer::commit_now(file).map_err(|e| format!("{id}: commit queue file: {}", system_reason(&e)))?;
        if accepted.envelope.is_some() {
            let notice = NewMessage { queue: QueueName::Incoming, id: id.clone(), envelope: accepted.envelope };
            // The queue manager finds the file by itself when this does not reach it.
            let _ = announce(&local.forwarder.queue_manager, &notice);
        }
        Ok(id)
    }

    fn write(&mut self, message: &mut Message, forward: &Forward) -> Result<(), WriteError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut put = |kind: RecordType, payload: &[u8]| message.record(kind, payload.as_bstr()).map_err(WriteError::Rejected);
        put(RecordType::TIME, format!("{} {}", now.as_secs(), now.subsec_micros()).as_bytes())?;
        let attribute = |name: &str, value: &BStr| -> BString { [name.as_bytes(), b"=", value.as_bytes()].concat().into() };
        put(RecordType::ATTRIBUTE, &attribute("log_message_origin", BStr::new("local")))?;
        put(RecordType::ATTRIBUTE, &attribute("rewrite_context", self.request.origin.rewrite_context.as_bstr()))?;
        if !self.request.encoding.is_empty() {
            put(RecordType::ATTRIBUTE, &attribute("encoding", self.request.encoding.as_bstr()))?;
        }
        if !self.request.envelope_id.is_empty() {
            put(RecordType::ATTRIBUTE, &attribute("envelope_id", self.request.envelope_id.as_bstr()))?;
        }
        if self.request.ret != 0 {
            put(RecordType::ATTRIBUTE, &attribute("ret_flags", BStr::new(&self.request.ret.to_string())))?;
        }
        put(RecordType::SENDER, forward.sender.as_bytes())?;
        for recipient in &forward.recipients {
            if recipient.notify != Notify::default() {
                put(RecordType::ATTRIBUTE, &attribute("notify_flags", BStr::new(&recipient.notify.0.to_string())))?;
            }
            if !recipient.dsn_orcpt.is_empty() {
                put(RecordType::ATTRIBUTE, &attribute("dsn_orig_rcpt", recipient.dsn_orcpt.as_bstr()))?;
            }
            if !recipient.original.is_empty() {
                put(RecordType::ORIGINAL, recipient.original.as_bytes())?;
            }
            put(RecordType::RECIPIENT, recipient.address.as_bytes())?;
        }
        put(RecordType::MESSAGE, b"")?;
        self.write_content(message, forward)?;
        for kind in [RecordType::EXTRACTED, RecordType::END] {
            message.record(kind, BStr::new("")).map_err(WriteError::Rejected)?;
        }
        Ok(())
    }

    fn write_content(&mut self, message: &mut Message, forward: &Forward) -> Result<(), WriteError> {
        let local = self.local;
        let id = message.id().clone();
        let mut line = |text: &[u8]| message.record(RecordType::NORMAL, text.as_bstr()).map_err(WriteError::Rejected);
        line(format!("Received: by {} ({})", local.host, local.mail_name).as_bytes())?;
        line(format!("\tid {id}; {}", posthaste_queue::clock::mail_date(SystemTime::now())).as_bytes())?;
        if local.parameters.prepend_delivered_header.forward {
            line(&[b"Delivered-To: ", forward.delivered_to.external().to_ascii_lowercase().as_slice()].concat())?;
        }
        copy_content(self.content, message)
    }
}

enum WriteError {
    Rejected(Rejected),
    Read(ReadError),
}

fn copy_content(content: &mut Content, message: &mut Message) -> Result<(), WriteError> {
    while let Some(text) = content.next().map_err(WriteError::Read)? {
        let (kind, bytes) = match text {
            Text::Line(bytes) => (RecordType::NORMAL, bytes),
            Text::Piece(bytes) => (RecordType::CONTINUED, bytes),
        };
        message.record(kind, bytes).map_err(WriteError::Rejected)?;
    }
    Ok(())
}

fn announce(socket: &std::path::Path, notice: &NewMessage) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame::put(&mut bytes, NewMessage::FRAME, 0, notice).map_err(io::Error::other)?;
    UnixStream::connect(socket)?.write_all(&bytes)
}
