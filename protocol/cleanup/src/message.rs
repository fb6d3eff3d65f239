//! One message on its way through the pipeline.

use crate::content::Content;
use crate::mapping::Failure;
use crate::{Accepted, Flags, Profile, Rejected};
use bstr::BStr;
use posthaste_config::system_reason;
use posthaste_log::warn;
use posthaste_mime::Machine;
use posthaste_queue::record::SizeRecord;
use posthaste_queue::{Envelope, Queue, QueueId, QueueName, RecordType};
use std::io;
use std::sync::Arc;

/// A message on its way through the pipeline. Dropping it removes the queue file.
pub struct Message {
    machine: Machine,
    content: Content,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Envelope,
    Content,
    Extracted,
    Ended,
}

impl Message {
    /// Creates the queue file.
    pub fn begin(profile: &Arc<Profile>, queue: &Queue, flags: Flags) -> io::Result<Message> {
        let content = Content::begin(profile, queue, flags)?;
        Ok(Message { machine: Machine::new(profile.mime.clone()), content, stage: Stage::Envelope })
    }

    /// The queue id, for `client=` and the reply.
    pub fn id(&self) -> &QueueId {
        self.content.id()
    }

    /// Puts the message on hold after all: an access rule asked for it after [`Message::begin`].
    pub fn hold(&mut self) {
        self.content.flags.hold = true;
    }

    /// Throws the message away after all, though it is accepted.
    pub fn discard(&mut self) {
        self.content.flags.discard = true;
    }

    /// Adds a recipient that no one shall hear of: an access rule's `BCC`. It is written after the content.
    pub fn bcc(&mut self, address: &BStr) {
        self.content.bcc.push(address.to_owned());
    }

    /// Takes one record. After an error the rest may still be sent; [`Message::finish`] tells it again.
    pub fn record(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        if self.content.flags.discard {
            return Ok(());
        }
        if let Some(rejected) = self.content.refusal() {
            return Err(rejected.clone());
        }
        let result = match self.stage {
            Stage::Envelope => self.envelope_record(kind, payload),
            Stage::Content => self.content_record(kind, payload),
            Stage::Extracted => self.extracted_record(kind, payload),
            Stage::Ended => Err(Rejected::BadRecords),
        };
        result.map_err(|rejected| self.content.reject(rejected))
    }

    fn envelope_record(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        if kind == RecordType::MESSAGE {
            self.content.end_envelope()?;
            self.stage = Stage::Content;
            return Ok(());
        }
        self.content.envelope_record(kind, payload)
    }

    fn content_record(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        match kind {
            RecordType::NORMAL => self.text(payload, true),
            RecordType::CONTINUED => self.text(payload, false),
            RecordType::EXTRACTED => {
                self.machine.end(&mut self.content)?;
                self.content.end_content()?;
                self.stage = Stage::Extracted;
                Ok(())
            }
            RecordType::PADDING => Ok(()),
            _ => Err(Rejected::BadRecords),
        }
    }

    fn text(&mut self, payload: &BStr, whole: bool) -> Result<(), Rejected> {
        let content = &mut self.content;
        match content.clean(payload)? {
            Some(clean) => self.machine.line(&clean, whole, content),
            None => self.machine.line(payload, whole, content),
        }
    }

    fn extracted_record(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        if kind == RecordType::END {
            self.content.end_extracted()?;
            self.stage = Stage::Ended;
            return Ok(());
        }
        self.content.extracted_record(kind, payload)
    }

    /// After `E`: size record, mode, and the result.
    pub fn finish(mut self) -> Result<Accepted, Rejected> {
        if self.content.flags.discard {
            return Ok(Accepted { file: None, envelope: None, held: false, bounced: false, aliased: false });
        }
        if let Some(rejected) = self.content.refusal() {
            return Err(rejected.clone());
        }
        if self.stage != Stage::Ended {
            warn!(self.content.profile.log, "{}: message ended before its end record", self.content.id());
            return Err(Rejected::BadRecords);
        }
        if let Err(rejected) = self.content.check_size(false) {
            return Err(self.content.reject(rejected));
        }
        let id = self.id().clone();
        let log = self.content.profile.log.clone();
        self.close().inspect_err(|rejected| {
            if let Rejected::Write { reason, .. } = rejected {
                warn!(log, "{id}: write queue file: {reason}");
            }
        })
    }

    fn close(mut self) -> Result<Accepted, Rejected> {
        let bounced = self.content.bounce()?;
        let held = self.content.flags.hold && !bounced;
        let reported = self.content.report_expanded()? || bounced;
        let aliased = self.content.aliased;
        let Content { mut writer, mut envelope, oversize: _, .. } = self.content.close()?;
        envelope.recipients.shrink_to_fit();
        let complete = envelope.recipients.len() == envelope.recipient_count as usize;
        let to = if held { QueueName::Hold } else { QueueName::Incoming };
        writer.overwrite(0, RecordType::SIZE, &size_record(&envelope))?;
        let file = writer.complete(to)?;
        let envelope = (complete && !held && !reported).then_some(envelope);
        Ok(Accepted { file: Some(file), envelope, held, bounced, aliased })
    }
}

fn size_record(envelope: &Envelope) -> [u8; SizeRecord::WIDTH] {
    SizeRecord {
        content_length: envelope.content_length,
        content_offset: envelope.content_offset,
        recipients: Some(envelope.recipient_count),
        hints: envelope.qmgr_hints,
        message_size: envelope.message_size,
        sender_options: envelope.sender_options,
    }
    .encode()
}

impl From<io::Error> for Rejected {
    /// The queue file could not be written.
    fn from(error: io::Error) -> Rejected {
        Rejected::Write {
            full: matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge),
            reason: system_reason(&error),
        }
    }
}

impl From<Failure> for Rejected {
    fn from(failure: Failure) -> Rejected {
        match failure {
            Failure::Lookup => Rejected::Lookup,
            Failure::Alias => Rejected::Other { dsn: "4.6.0".into(), text: "Alias expansion error".into() },
        }
    }
}
