//! Envelope and extracted records: attributes, sender, recipients, and their mapping.

use crate::content::Content;
use crate::mapping::Classes;
use crate::{ALIASED, Profile, Rejected};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_delivery::{Delay, ShownAddress};
use posthaste_ipc::delivery::TRACE_VERIFY;
use posthaste_log::{info, warn};
use posthaste_queue::log::{LogName, LogRecord};
use posthaste_queue::record::warn_time;
use posthaste_queue::{Notify, Recipient, RecordType};
use posthaste_route::Context;
use posthaste_table::fold;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Recipients beyond this number are not kept in memory: the queue manager reads them from the file, in portions.
const KEPT: usize = 1000;

/// Sender options that were asked for, not found in the message: SMTPUTF8 and REQUIRETLS.
const ASKED: u32 = 1 | 32;

/// The name under which mail systems write.
const DAEMON: &str = "MAILER-DAEMON";

/// What precedes a recipient and is about it alone.
#[derive(Default)]
pub(crate) struct Pending {
    original: Option<Address>,
    dsn_orcpt: BString,
    notify: u8,
}

/// A recipient as asked for.
struct Asked {
    address: Address,
    original: Address,
    dsn_orcpt: BString,
    notify: u8,
    /// Added by us: no further bcc, no report.
    bcc: bool,
}

impl Content {
    /// A record before the content.
    pub fn envelope_record(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        match kind {
            // Of a file that is queued anew, or of sendmail: of the options only what was asked for still holds, the rest is found anew.
            RecordType::SIZE => {
                let options = payload.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).nth(5);
                let options = options.and_then(|text| text.to_str().ok()?.parse::<u32>().ok()).unwrap_or(0);
                self.envelope.sender_options |= options & ASKED;
                Ok(())
            }
            RecordType::TIME => self.arrival(payload),
            RecordType::ATTRIBUTE => self.attribute(payload),
            RecordType::SENDER => self.sender(payload),
            RecordType::FULLNAME => {
                self.envelope.full_name = payload.to_owned();
                self.write(kind, payload)
            }
            RecordType::FILTER => {
                self.envelope.content_filter = payload.to_owned();
                self.write(kind, payload)
            }
            RecordType::REDIRECT => {
                self.envelope.redirect = Some(Address::new(payload));
                self.write(kind, payload)
            }
            RecordType::VERP => {
                self.envelope.verp = payload.to_owned();
                self.write(kind, payload)
            }
            RecordType::WARN => {
                let due = payload.trim_ascii().to_str().ok().and_then(|text| text.parse::<i64>().ok()).ok_or(Rejected::BadRecords)?;
                let offset = self.writer.record(kind, payload)?;
                self.envelope.warned = due < 0;
                self.envelope.warn = u64::try_from(due).ok().map(|due| (UNIX_EPOCH + Duration::from_secs(due), offset));
                self.warn_given = true;
                Ok(())
            }
            RecordType::ORIGINAL | RecordType::RECIPIENT | RecordType::DONE | RecordType::CANCELED => self.recipient_record(kind, payload),
            RecordType::KILLED | RecordType::INSPECTOR | RecordType::POINTER => Ok(()),
            _ => {
                warn!(self.profile.log, "{}: unexpected record type {} in envelope", self.id(), kind.0.escape_ascii());
                Err(Rejected::BadRecords)
            }
        }
    }

    /// A record after the content.
    pub fn extracted_record(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        match kind {
            RecordType::ATTRIBUTE => self.attribute(payload),
            RecordType::ORIGINAL | RecordType::RECIPIENT | RecordType::DONE | RecordType::CANCELED => self.recipient_record(kind, payload),
            RecordType::FILTER => self.envelope_record(kind, payload),
            RecordType::REDIRECT => self.envelope_record(kind, payload),
            RecordType::RETURN_RECEIPT | RecordType::ERRORS_TO | RecordType::PRIORITY | RecordType::KILLED | RecordType::INSPECTOR => {
                Ok(())
            }
            _ => {
                warn!(self.profile.log, "{}: unexpected record type {} in extracted segment", self.id(), kind.0.escape_ascii());
                Err(Rejected::BadRecords)
            }
        }
    }

    /// `T`: only the first counts. `create_time` follows it.
    fn arrival(&mut self, payload: &BStr) -> Result<(), Rejected> {
        if self.has_arrival {
            return Ok(());
        }
        let mut fields = payload.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let number = |field: &[u8]| field.to_str().ok().and_then(|text| text.parse::<u64>().ok()).ok_or(Rejected::BadRecords);
        let seconds = number(fields.next().unwrap_or_default())?;
        let micros = fields.next().map_or(Ok(0), number)?.min(999_999);
        self.envelope.arrival = UNIX_EPOCH + Duration::from_secs(seconds.min(i64::MAX as u64)) + Duration::from_micros(micros);
        self.has_arrival = true;
        self.write(RecordType::TIME, payload)?;
        let created = self.envelope.created.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.write_attribute("create_time", created.to_string().as_bytes())
    }

    fn attribute(&mut self, payload: &BStr) -> Result<(), Rejected> {
        let Some((name, value)) = payload.split_once_str("=") else { return Err(Rejected::BadRecords) };
        let number = || value.to_str().ok().and_then(|text| text.parse::<u32>().ok()).ok_or(Rejected::BadRecords);
        match name {
            // About the next recipient: written with it.
            b"notify_flags" => {
                self.pending.notify = (number()? & 15) as u8;
                return Ok(());
            }
            b"dsn_orig_rcpt" => {
                self.pending.dsn_orcpt = value.into();
                return Ok(());
            }
            // A message that is queued anew gets a new one.
            b"create_time" => return Ok(()),
            _ => {}
        }
        self.attributes += 1;
        if self.attributes > self.profile.attribute_limit {
            warn!(self.profile.log, "{}: too many attributes in queue file", self.id());
            return Err(Rejected::BadRecords);
        }
        let offset = self.writer.record(RecordType::ATTRIBUTE, payload)?;
        let envelope = &mut self.envelope;
        let origin = &mut envelope.origin;
        let text = || BString::from(value);
        match name {
            b"encoding" => envelope.encoding = text(),
            b"envelope_id" => envelope.envelope_id = text(),
            b"ret_flags" => envelope.ret = (number()? & 3) as u8,
            b"trace_flags" => {
                envelope.trace_flags = number()?;
                envelope.trace_flags_at = Some(offset);
            }
            b"rewrite_context" => {
                self.context = if value == b"remote" { Context::Remote } else { Context::Local };
                origin.rewrite_context = text();
            }
            b"log_ident" => origin.log_ident = text(),
            b"log_client_name" => origin.log_client_name = text(),
            b"log_client_address" => origin.log_client_address = text(),
            b"log_client_port" => origin.log_client_port = text(),
            b"log_helo_name" => origin.log_helo_name = text(),
            b"log_protocol_name" => origin.log_protocol_name = text(),
            b"log_message_origin" => self.origin = text(),
            b"sasl_method" => origin.sasl_method = text(),
            b"sasl_username" => origin.sasl_username = text(),
            b"sasl_sender" => origin.sasl_sender = text(),
            _ => {}
        }
        Ok(())
    }

    fn sender(&mut self, payload: &BStr) -> Result<(), Rejected> {
        if self.has_sender || !self.has_arrival {
            warn!(self.profile.log, "{}: sender record before arrival time, or twice", self.id());
            return Err(Rejected::BadRecords);
        }
        let profile = Arc::clone(&self.profile);
        let mut sender = Address::new(payload);
        if !sender.is_empty() {
            sender = profile.rewriter.rewrite(Context::Local, &sender);
            // Some write so for "nobody": a report to it would come back.
            if sender.as_bytes().get(..DAEMON.len()).is_some_and(|start| start.eq_ignore_ascii_case(DAEMON.as_bytes())) {
                let daemon = profile.rewriter.rewrite(Context::Local, &Address::new(DAEMON));
                if sender.as_bytes().eq_ignore_ascii_case(daemon.as_bytes()) {
                    sender = Address::empty();
                }
            }
        }
        if self.flags.address_mappings {
            sender = profile.map_address(self.id(), Classes::ENVELOPE_SENDER, sender)?;
        }
        self.note_utf8(&sender);
        self.has_sender = true;
        self.write(RecordType::SENDER, sender.as_bytes())?;
        if self.flags.bcc && self.flags.address_mappings && !sender.is_empty() {
            self.sender_bcc = profile.find_bcc(self.id(), &profile.sender_bcc_maps, &sender)?;
        }
        self.envelope.sender = sender;
        Ok(())
    }

    /// Sender options of the size record: 4 = the sender is not ASCII; 1 = it asks for SMTPUTF8.
    fn note_utf8(&mut self, address: &Address) {
        if !address.as_bytes().is_ascii() {
            if !self.has_sender {
                self.envelope.sender_options |= 4;
            }
            if self.flags.smtputf8_autodetect {
                self.envelope.sender_options |= 1;
            }
        }
    }

    /// Before the content: the last word of the envelope.
    pub fn end_envelope(&mut self) -> Result<(), Rejected> {
        if !self.has_sender {
            warn!(self.profile.log, "{}: no sender record", self.id());
            return Err(Rejected::BadRecords);
        }
        self.begin_recipients()?;
        self.write(RecordType::MESSAGE, BStr::new(b""))?;
        self.envelope.content_offset = self.writer.offset();
        Ok(())
    }

    /// What goes before the recipients: the time of the delay warning, and the sender's bcc recipient.
    fn begin_recipients(&mut self) -> Result<(), Rejected> {
        if std::mem::replace(&mut self.recipients_begun, true) {
            return Ok(());
        }
        if !self.warn_given && !self.profile.delay_warning_time.is_zero() && !self.envelope.sender.is_empty() {
            let due = self.envelope.arrival + self.profile.delay_warning_time;
            let seconds = due.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let offset = self.writer.record(RecordType::WARN, &warn_time(Some(seconds)))?;
            self.envelope.warn = Some((UNIX_EPOCH + Duration::from_secs(seconds), offset));
        }
        if let Some(address) = self.sender_bcc.take() {
            self.add_bcc(address)?;
        }
        Ok(())
    }

    fn recipient_record(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        if !self.has_sender {
            warn!(self.profile.log, "{}: recipient before sender", self.id());
            return Err(Rejected::BadRecords);
        }
        if kind == RecordType::ORIGINAL {
            self.pending.original = Some(Address::new(payload));
            return Ok(());
        }
        let Pending { original, dsn_orcpt, notify } = std::mem::take(&mut self.pending);
        if kind != RecordType::RECIPIENT {
            return Ok(()); // Of a message that is queued anew: it has been dealt with.
        }
        self.begin_recipients()?;
        // What was asked for, whatever aliases leave of it; bcc recipients do not count.
        self.envelope.qmgr_hints |= u32::from(notify) << 1;
        let address = Address::new(payload);
        let original = original.unwrap_or_else(|| address.clone());
        self.add_recipient(Asked { address, original, dsn_orcpt, notify, bcc: false })
    }

    /// Adds a recipient that gets a copy and no one hears of. As in Postfix, what main.cf and tables say is taken as it is: quotes too.
    pub fn add_bcc(&mut self, address: Address) -> Result<(), Rejected> {
        let address = self.profile.rewriter.rewrite(Context::Local, &address);
        let original = address.clone();
        self.add_recipient(Asked { address, original, dsn_orcpt: BString::default(), notify: Notify::NEVER, bcc: true })
    }

    fn add_recipient(&mut self, asked: Asked) -> Result<(), Rejected> {
        let profile = Arc::clone(&self.profile);
        let Asked { address, original, mut dsn_orcpt, notify, bcc } = asked;
        let address = match address.is_empty() {
            true => Address::new(profile.empty_address_recipient.as_str()),
            false => address,
        };
        let mut address = profile.rewriter.rewrite(Context::Local, &address);
        self.note_utf8(&address);
        if self.flags.address_mappings {
            address = profile.map_address(self.id(), Classes::ENVELOPE_RECIPIENT, address)?;
        }
        // What a bcc recipient was before these maps is nobody's business.
        let original = if bcc { address.clone() } else { original };
        // Of a message that did not say what its recipient was at first, it is what canonical maps and masquerading made of it.
        if dsn_orcpt.is_empty() && !bcc {
            let kind: &[u8] = if address.as_bytes().is_ascii() { b"rfc822;" } else { b"utf-8;" };
            // As it is inside, without quotes: Postfix writes it so.
            dsn_orcpt = [kind, address.as_bytes()].concat().into();
        }
        if !bcc {
            self.last_recipient = address.clone();
        }
        if !self.flags.address_mappings {
            return self.put_recipient(address, original, dsn_orcpt, notify);
        }
        let copy = match self.flags.bcc && !bcc {
            true => profile.find_bcc(self.id(), &profile.recipient_bcc_maps, &address)?,
            false => None,
        };
        if profile.virtual_alias_maps.is_empty() {
            self.put_recipient(address, original, dsn_orcpt, notify)?;
        } else {
            let recipients = profile.expand(self.id(), &address)?;
            if self.envelope.trace_flags & TRACE_VERIFY != 0 && recipients.len() > 1 {
                self.log_result(&address, &original, "2.0.0", "deliverable", BStr::new(ALIASED));
                self.aliased = true;
                return Ok(());
            }
            let mut notify = notify;
            let expanded = !matches!(recipients.as_slice(), [only] if *only == address);
            if expanded && notify & Notify::SUCCESS != 0 {
                // RFC 3461 §5.2.7.3: an alias is where a report of success ends. As in Postfix, so is one with a single recipient.
                self.expanded.push(LogRecord {
                    recipient: address,
                    original: original.clone(),
                    dsn_orcpt: dsn_orcpt.clone(),
                    notify: Notify(notify),
                    status: "2.0.0".into(),
                    action: "expanded".into(),
                    diag_type: "X-Postfix".into(),
                    diag_text: "alias expanded".into(),
                    reason: "alias expanded".into(),
                    ..LogRecord::default()
                });
                notify &= !Notify::SUCCESS;
                if notify == 0 {
                    notify = Notify::NEVER;
                }
            }
            for recipient in recipients {
                self.put_recipient(recipient, original.clone(), dsn_orcpt.clone(), notify)?;
            }
        }
        match copy {
            Some(copy) => self.add_bcc(copy),
            None => Ok(()),
        }
    }

    /// Writes the records of one recipient, unless it is there already.
    fn put_recipient(&mut self, address: Address, original: Address, dsn_orcpt: BString, notify: u8) -> Result<(), Rejected> {
        if !self.is_new(&address, &original, dsn_orcpt.as_bstr(), notify) {
            return Ok(());
        }
        if notify != 0 {
            self.write_attribute("notify_flags", notify.to_string().as_bytes())?;
        }
        if !dsn_orcpt.is_empty() {
            self.write_attribute("dsn_orig_rcpt", &dsn_orcpt)?;
        }
        self.write(RecordType::ORIGINAL, original.as_bytes())?;
        let offset = self.writer.record(RecordType::RECIPIENT, address.as_bytes())?;
        let envelope = &mut self.envelope;
        envelope.recipient_count = envelope.recipient_count.saturating_add(1);
        // With the bounce flag all are kept, since each may have to be told of.
        if envelope.recipients.len() < KEPT || self.flags.bounce {
            envelope.recipients.push(Recipient { offset: Some(offset), address, original, dsn_orcpt, notify: Notify(notify) });
        }
        Ok(())
    }

    /// Whether no such recipient was written before, as far as the filter remembers (`duplicate_filter_limit`).
    fn is_new(&mut self, address: &Address, original: &Address, dsn_orcpt: &BStr, notify: u8) -> bool {
        let mut key = Vec::with_capacity(address.as_bytes().len() + original.as_bytes().len() + dsn_orcpt.len() + 3);
        key.push(if self.profile.enable_original_recipient { notify } else { 0 });
        key.extend_from_slice(address.as_bytes());
        key.push(0);
        if self.profile.enable_original_recipient {
            key.extend_from_slice(original.as_bytes());
        }
        key.push(0);
        if self.profile.enable_original_recipient {
            key.extend_from_slice(dsn_orcpt);
        }
        let key = match key.is_ascii() {
            true => {
                key.make_ascii_lowercase();
                key
            }
            false => fold::fold(key.as_bstr(), self.profile.utf8).into_owned().into(),
        };
        if self.known.contains(&key) {
            return false;
        }
        let limit = self.profile.duplicate_filter_limit;
        if limit == 0 || self.known.len() < limit {
            self.known.insert(key);
        }
        true
    }

    /// After the content: what it asked for, and copies for everybody's mail.
    pub fn end_extracted(&mut self) -> Result<(), Rejected> {
        if self.flags.bcc && self.flags.address_mappings && !self.profile.always_bcc.is_empty() && self.envelope.recipient_count > 0 {
            self.add_bcc(Address::new(self.profile.always_bcc.as_str()))?;
        }
        for address in std::mem::take(&mut self.bcc) {
            self.add_bcc(Address::new(address))?;
        }
        if self.envelope.recipient_count == 0 && !self.aliased {
            return Err(Rejected::NoRecipients);
        }
        self.write(RecordType::END, BStr::new(b""))
    }

    /// Puts the expansions of aliases for which a report was asked into `trace/ID`. Returns whether there were any.
    pub fn report_expanded(&mut self) -> Result<bool, Rejected> {
        if self.expanded.is_empty() {
            return Ok(false);
        }
        self.queue.append_log(LogName::Trace, self.id(), &self.expanded, self.profile.bounce_log_compatible)?;
        Ok(true)
    }

    /// If the message was refused and is to be bounced: tells each recipient to the log and to `bounce/ID`, and marks it done.
    pub fn bounce(&mut self) -> Result<bool, Rejected> {
        let Some((dsn, text)) = self.bounced.take() else { return Ok(false) };
        let recipients = std::mem::take(&mut self.envelope.recipients);
        let records: Vec<LogRecord> = recipients.iter().map(|recipient| failed(recipient, &dsn, text.as_bstr())).collect();
        for recipient in &recipients {
            self.log_result(&recipient.address, &recipient.original, &dsn, "bounced", text.as_bstr());
            if let Some(offset) = recipient.offset {
                self.writer.overwrite_type(offset, RecordType::DONE)?;
            }
        }
        // Failures are reported only to those who did not ask to be spared.
        let told: Vec<_> = records.into_iter().filter(|r| r.notify.0 == 0 || r.notify.0 & Notify::FAILURE != 0).collect();
        self.queue.append_log(LogName::Bounce, self.id(), &told, self.profile.bounce_log_compatible)?;
        Ok(true)
    }

    fn log_result(&self, address: &Address, original: &Address, dsn: &str, status: &str, text: &BStr) {
        let Profile { log, style, .. } = &*self.profile;
        let delay = Delay::between(self.envelope.arrival, self.queue.clock.now(), style.digits);
        let id = self.id();
        let to = ShownAddress::new(address, *style);
        let orig_to = match original.as_bytes().eq_ignore_ascii_case(address.as_bytes()) || original.is_empty() {
            true => String::new(),
            false => format!("orig_to=<{}>, ", ShownAddress::new(original, *style)),
        };
        info!(log, "{id}: to=<{to}>, {orig_to}relay=none, delay={delay}, delays={delay}/0/0/0, dsn={dsn}, status={status} ({text})");
    }
}

fn failed(recipient: &Recipient, dsn: &str, text: &BStr) -> LogRecord {
    LogRecord {
        recipient: recipient.address.clone(),
        original: recipient.original.clone(),
        offset: recipient.offset,
        dsn_orcpt: recipient.dsn_orcpt.clone(),
        notify: recipient.notify,
        status: dsn.into(),
        action: "failed".into(),
        diag_type: "X-Postfix".into(),
        diag_text: text.to_owned(),
        reason: text.to_owned(),
        ..LogRecord::default()
    }
}
