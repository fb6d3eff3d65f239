//! Reading what the queue manager needs of a queue file (`docs/queue-file-format.md`, sections 4 to 7).

use crate::disk::{DiskFile, Lock};
use crate::read::RecordReader;
use crate::record::{RecordType, SizeRecord, attribute, fields, number};
use crate::{Envelope, Notify, Origin, Queue, QueueId, QueueName, ReadError, Recipient};
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Hint that recipients are mixed with other records: these must be read before delivery begins.
const MIXED: u32 = 1;

type Reader = RecordReader<Box<dyn DiskFile>>;

/// What precedes a recipient and is about it alone.
#[derive(Default)]
struct Pending {
    original: Address,
    dsn_orcpt: BString,
    notify: u8,
}

/// What was found while reading that is not part of the result.
#[derive(Default)]
struct Found {
    arrival: Option<SystemTime>,
    created: Option<SystemTime>,
    sender: Option<Address>,
    /// Logging attributes as they were called before Postfix 2.3.
    old: Origin,
}

impl Queue {
    /// Reads size record, envelope and up to `limit` recipients, under an exclusive lock that is given back at the end.
    ///
    /// `more_at` is set when recipients beyond the limit remain (or may remain). Everything else in the file is known when this returns.
    pub fn read_envelope(&self, queue: QueueName, id: &QueueId, limit: usize) -> Result<Envelope, ReadError> {
        let mut reader = self.open_locked(queue, id)?;
        let first = reader.next_raw()?;
        if first.kind != RecordType::SIZE {
            return Err(ReadError::Corrupt("no size record at the beginning".into()));
        }
        let size = SizeRecord::parse(first.payload)?;
        let mut envelope = Envelope {
            arrival: UNIX_EPOCH,
            created: UNIX_EPOCH,
            sender: Address::empty(),
            full_name: BString::default(),
            content_offset: size.content_offset,
            content_length: size.content_length,
            message_size: size.message_size,
            recipient_count: size.recipients.unwrap_or(0),
            qmgr_hints: size.hints,
            sender_options: size.sender_options,
            encoding: BString::default(),
            envelope_id: BString::default(),
            ret: 0,
            trace_flags: 0,
            trace_flags_at: None,
            message_id: BString::default(),
            content_filter: BString::default(),
            redirect: None,
            verp: BString::default(),
            warn: None,
            warned: false,
            origin: Origin::default(),
            recipients: Vec::new(),
            more_at: None,
        };
        let mut found = Found::default();
        read_records(&mut reader, &mut envelope, limit, Some(&mut found))?;
        envelope.arrival = found.arrival.ok_or_else(|| ReadError::Corrupt("no arrival time record".into()))?;
        envelope.created = found.created.unwrap_or(envelope.arrival);
        envelope.sender = found.sender.ok_or_else(|| ReadError::Corrupt("no sender record".into()))?;
        let new = &mut envelope.origin;
        if new.log_client_name.is_empty()
            && new.log_client_address.is_empty()
            && new.log_protocol_name.is_empty()
            && new.log_helo_name.is_empty()
        {
            new.log_client_name = found.old.log_client_name;
            new.log_client_address = found.old.log_client_address;
            new.log_client_port = found.old.log_client_port;
            new.log_protocol_name = found.old.log_protocol_name;
            new.log_helo_name = found.old.log_helo_name;
        }
        if new.rewrite_context.is_empty() {
            new.rewrite_context = "local".into();
        }
        Ok(envelope)
    }

    /// Reads the next portion: appends up to `limit` recipients to `envelope.recipients` and moves `more_at`. Does nothing when all have been read.
    pub fn read_more_recipients(&self, queue: QueueName, id: &QueueId, envelope: &mut Envelope, limit: usize) -> Result<(), ReadError> {
        let Some(offset) = envelope.more_at else { return Ok(()) };
        let mut reader = self.open_locked(queue, id)?;
        reader.seek(offset);
        let limit = envelope.recipients.len().saturating_add(limit);
        read_records(&mut reader, envelope, limit, None)
    }

    fn open_locked(&self, queue: QueueName, id: &QueueId) -> Result<Reader, ReadError> {
        let file = self.disk.open(&self.path(queue, id), crate::disk::Access::Update)?;
        if !file.stat()?.is_complete() {
            return Err(ReadError::Incomplete);
        }
        if !file.lock(Lock::Exclusive, false)? {
            return Err(ReadError::Locked);
        }
        Ok(RecordReader::new(file, 0))
    }
}

/// Reads to the end record, or until `envelope` holds `limit` recipients. With `found`, everything but recipients is taken in too; without,
/// it has been before.
fn read_records(reader: &mut Reader, envelope: &mut Envelope, limit: usize, mut found: Option<&mut Found>) -> Result<(), ReadError> {
    let mut pending = Pending::default();
    // Set while reading on beyond the limit for the other records' sake.
    let mut full_at = None;
    // Where the information about the next recipient begins.
    let mut next_at = reader.offset();
    let mut extracted = false;
    let mixed = envelope.qmgr_hints & MIXED != 0 || envelope.content_offset == 0;
    loop {
        let record = reader.next_followed()?;
        let (kind, payload, offset) = (record.kind, record.payload, record.offset);
        match kind {
            RecordType::RECIPIENT | RecordType::DONE | RecordType::CANCELED => {
                if found.as_ref().is_some_and(|found| found.sender.is_none() || found.arrival.is_none()) {
                    return Err(ReadError::Corrupt(format!("recipient before sender or arrival time at offset {offset}")));
                }
                let Pending { original, dsn_orcpt, notify } = std::mem::take(&mut pending);
                if kind == RecordType::RECIPIENT && full_at.is_none() {
                    if envelope.recipients.len() < limit {
                        let address = Address::new(payload);
                        envelope.recipients.push(Recipient { offset: Some(offset), address, original, dsn_orcpt, notify: Notify(notify) });
                    } else {
                        full_at = Some(next_at);
                    }
                }
                next_at = reader.offset();
                if full_at.is_some() {
                    if found.is_none() || (extracted && !mixed) {
                        break;
                    }
                    if !mixed {
                        // Nothing but recipients up to the content; what the content said comes after it.
                        reader.seek(envelope.content_offset + envelope.content_length);
                    }
                }
            }
            RecordType::ORIGINAL => pending.original = Address::new(payload),
            RecordType::MESSAGE => {
                if envelope.content_offset == 0 {
                    envelope.content_offset = reader.offset();
                }
                reader.seek(envelope.content_offset + envelope.content_length);
                let next = reader.next_raw()?;
                if next.kind != RecordType::EXTRACTED {
                    let text = format!("no end of content at offset {}, where the size record says", next.offset);
                    return Err(ReadError::Corrupt(text));
                }
                next_at = reader.offset();
                extracted = true;
            }
            // After a jump from the recipients to the end of the content.
            RecordType::EXTRACTED => extracted = true,
            RecordType::END => break,
            RecordType::ATTRIBUTE => match attribute(payload) {
                Some((b"dsn_orig_rcpt", value)) => pending.dsn_orcpt = value.into(),
                Some((b"notify_flags", value)) => {
                    pending.notify = number::<u8>(value).filter(|n| n & !15 == 0).ok_or_else(|| bad(kind, payload, offset))?
                }
                Some((name, value)) => {
                    if let Some(found) = &mut found {
                        let value = value.to_owned();
                        take_attribute(envelope, found, name, &value, offset).ok_or_else(|| bad(kind, name, offset))?;
                    }
                }
                None => return Err(bad(kind, payload, offset)),
            },
            kind if kind.in_envelope() || kind.in_extracted() => {
                if let Some(found) = &mut found {
                    let payload = payload.to_owned();
                    take_record(envelope, found, kind, &payload, offset).ok_or_else(|| bad(kind, &payload, offset))?;
                }
            }
            RecordType(kind) => {
                return Err(ReadError::Corrupt(format!("unexpected record type {} at offset {offset}", kind.escape_ascii())));
            }
        }
    }
    envelope.more_at = full_at;
    Ok(())
}

fn bad(kind: RecordType, payload: &[u8], offset: u64) -> ReadError {
    ReadError::Corrupt(format!("invalid {} record \"{}\" at offset {offset}", kind.0.escape_ascii(), payload.as_bstr()))
}

/// The value of a `T` record: seconds and, but in old files, microseconds.
pub(crate) fn arrival(payload: &[u8]) -> Option<SystemTime> {
    let mut parts = fields(payload);
    let seconds = number::<u64>(parts.next()?)?;
    let micros = parts.next().map_or(Some(0), number::<u64>)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_micros(micros.min(999_999)))
}

/// A record that is neither a recipient nor an attribute. `None` when its value makes no sense.
fn take_record(envelope: &mut Envelope, found: &mut Found, kind: RecordType, payload: &[u8], offset: u64) -> Option<()> {
    match kind {
        RecordType::TIME if found.arrival.is_none() => {
            found.arrival = Some(arrival(payload)?);
        }
        RecordType::SENDER if found.sender.is_none() => found.sender = Some(Address::new(payload)),
        RecordType::FULLNAME => envelope.full_name = payload.into(),
        RecordType::FILTER => envelope.content_filter = payload.into(),
        RecordType::REDIRECT => envelope.redirect = Some(Address::new(payload)),
        RecordType::VERP => envelope.verp = payload.into(),
        RecordType::WARN => {
            let due = number::<i64>(payload)?;
            envelope.warned = due < 0;
            envelope.warn = u64::try_from(due).ok().map(|seconds| (UNIX_EPOCH + Duration::from_secs(seconds), offset));
        }
        _ => (),
    }
    Some(())
}

/// A named attribute that is not about one recipient. Unknown ones are ignored. `None` when its value makes no sense.
fn take_attribute(envelope: &mut Envelope, found: &mut Found, name: &[u8], value: &[u8], offset: u64) -> Option<()> {
    let text = BString::from(value);
    let origin = &mut envelope.origin;
    let old = &mut found.old;
    match name {
        b"create_time" => found.created = Some(UNIX_EPOCH.checked_add(Duration::from_secs(number(value)?))?),
        b"encoding" => envelope.encoding = text,
        b"envelope_id" => envelope.envelope_id = text,
        b"message_id" => envelope.message_id = text,
        b"ret_flags" => envelope.ret = number::<u8>(value).filter(|n| n & !3 == 0)?,
        b"trace_flags" => {
            envelope.trace_flags = number(value)?;
            envelope.trace_flags_at = Some(offset);
        }
        b"rewrite_context" => origin.rewrite_context = text,
        b"log_ident" => origin.log_ident = text,
        b"log_client_name" => origin.log_client_name = text,
        b"log_client_address" => origin.log_client_address = text,
        b"log_client_port" => origin.log_client_port = text,
        b"log_helo_name" => origin.log_helo_name = text,
        b"log_protocol_name" => origin.log_protocol_name = text,
        b"sasl_method" => origin.sasl_method = text,
        b"sasl_username" => origin.sasl_username = text,
        b"sasl_sender" => origin.sasl_sender = text,
        b"client_name" => old.log_client_name = text,
        b"client_address" => old.log_client_address = text,
        b"client_port" => old.log_client_port = text,
        b"helo_name" => old.log_helo_name = text,
        b"protocol_name" => old.log_protocol_name = text,
        _ => (),
    }
    Some(())
}
