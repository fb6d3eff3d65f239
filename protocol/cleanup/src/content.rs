//! Content as it goes by: headers rewritten and checked, body checked, everything written.

use crate::envelope::Pending;
use crate::mapping::{Classes, Failure};
use crate::missing::{self, Seen};
use crate::profile::EndOfHeaderAction;
use crate::{Flags, Profile, Rejected};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_address::list::AddressList;
use posthaste_address::token::{self, Form};
use posthaste_log::{Logger, info, warn};
use posthaste_mime::checks::{Action, Verdict};
use posthaste_mime::{Block, Fault, Handler, Header, HeadersEnd, header_name_len};
use posthaste_queue::clock::mail_date;
use posthaste_queue::log::LogRecord;
use posthaste_queue::record::SizeRecord;
use posthaste_queue::{Envelope, Origin, Queue, QueueId, QueueName, RecordType, Writer};
use posthaste_route::Context;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// All that is known of a message, but where in its structure the content is.
pub(crate) struct Content {
    pub profile: Arc<Profile>,
    pub queue: Queue,
    pub writer: Writer,
    pub flags: Flags,
    pub envelope: Envelope,
    /// `log_message_origin`.
    pub origin: BString,
    pub context: Context,
    // Envelope.
    pub pending: Pending,
    pub has_arrival: bool,
    pub has_sender: bool,
    pub recipients_begun: bool,
    pub warn_given: bool,
    pub attributes: usize,
    pub sender_bcc: Option<Address>,
    /// As written, for log lines.
    pub last_recipient: Address,
    /// Recipients written, as keys of the duplicate filter.
    pub known: HashSet<Vec<u8>>,
    /// Aliases with several recipients, for whom a report of success was asked.
    pub expanded: Vec<LogRecord>,
    /// A probe's recipient turned out to be several.
    pub aliased: bool,
    /// Recipients to be added after the content.
    pub bcc: Vec<BString>,
    // Content.
    seen: Seen,
    hops: usize,
    /// No more checks: `PASS`, or a refusal.
    unchecked: bool,
    /// `FILTER` and `REDIRECT` of checks; the last ones count.
    filter: Option<BString>,
    redirect: Option<BString>,
    /// The first fault of structure.
    fault: Option<Fault>,
    /// To be bounced, with status and text.
    pub bounced: Option<(String, BString)>,
    /// What is bounced goes back with its content.
    returned_whole: bool,
    rejected: Option<Rejected>,
    /// To be bounced for its hops, unless something worse turns up.
    too_many_hops: bool,
    pub oversize: Oversize,
}

/// Bytes that Postfix writes to a queue file at a time.
const BUFFER: u64 = 4096;

/// A queue file that may not be as large as it would be. Postfix cannot write the last of it when it is given up, and says so: so does this when
/// it is dropped.
pub(crate) struct Oversize {
    log: Logger,
    exceeded: bool,
}

impl Drop for Oversize {
    fn drop(&mut self) {
        if self.exceeded {
            warn!(self.log, "mail_stream_cleanup: close error");
        }
    }
}

impl Content {
    pub fn begin(profile: &Arc<Profile>, queue: &Queue, flags: Flags) -> io::Result<Content> {
        let mut writer = queue.create(QueueName::Incoming)?;
        writer.record(RecordType::SIZE, &SizeRecord::default().encode())?;
        // Whole seconds, as the attribute has them.
        let created = writer.created().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let created = UNIX_EPOCH + Duration::from_secs(created);
        Ok(Content {
            profile: Arc::clone(profile),
            queue: queue.clone(),
            writer,
            envelope: Envelope {
                arrival: UNIX_EPOCH,
                created,
                sender: Address::empty(),
                full_name: BString::default(),
                content_offset: 0,
                content_length: 0,
                message_size: 0,
                recipient_count: 0,
                qmgr_hints: 0,
                sender_options: u32::from(flags.smtputf8),
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
                origin: Origin { rewrite_context: "local".into(), ..Origin::default() },
                recipients: Vec::with_capacity(1),
                more_at: None,
            },
            flags,
            origin: BString::default(),
            context: Context::Local,
            pending: Pending::default(),
            has_arrival: false,
            has_sender: false,
            recipients_begun: false,
            warn_given: false,
            attributes: 0,
            sender_bcc: None,
            last_recipient: Address::empty(),
            known: HashSet::new(),
            expanded: Vec::new(),
            aliased: false,
            bcc: Vec::new(),
            seen: Seen::default(),
            hops: 0,
            unchecked: !flags.filter || profile.checks.is_empty(),
            filter: None,
            redirect: None,
            fault: None,
            bounced: None,
            returned_whole: false,
            rejected: None,
            too_many_hops: false,
            oversize: Oversize { log: profile.log.clone(), exceeded: false },
        })
    }

    pub fn id(&self) -> &QueueId {
        self.writer.id()
    }

    /// Why the message was refused, if it was.
    pub fn refusal(&self) -> Option<&Rejected> {
        self.rejected.as_ref()
    }

    /// Remembers a refusal.
    pub fn reject(&mut self, rejected: Rejected) -> Rejected {
        if self.rejected.is_none()
            && let Rejected::Write { reason, .. } = &rejected
        {
            warn!(self.profile.log, "{}: write queue file: {reason}", self.id());
        }
        self.rejected.get_or_insert(rejected).clone()
    }

    /// A refusal that the sender can be told of in a bounce, if the caller wants it so; the message then goes on.
    fn refuse(&mut self, rejected: Rejected, dsn: &str, text: &BStr) -> Result<(), Rejected> {
        self.unchecked = true;
        if !self.flags.bounce {
            return Err(rejected);
        }
        self.bounced.get_or_insert_with(|| (dsn.to_owned(), text.to_owned()));
        Ok(())
    }

    fn refuse_content(&mut self, dsn: &str, text: &BStr) -> Result<(), Rejected> {
        let rejected = Rejected::Content { dsn: dsn.to_owned(), text: text.to_str_lossy().into_owned(), smtp: None };
        self.refuse(rejected, dsn, text)
    }

    pub fn write(&mut self, kind: RecordType, payload: &BStr) -> Result<(), Rejected> {
        self.writer.record(kind, payload)?;
        Ok(())
    }

    pub fn write_attribute(&mut self, name: &str, value: &[u8]) -> Result<(), Rejected> {
        let mut text = Vec::with_capacity(name.len() + 1 + value.len());
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value);
        self.write(RecordType::ATTRIBUTE, text.as_bstr())
    }

    /// Writes a line of text, or a piece of one, in records of at most `line_length_limit` bytes.
    fn put_line(&mut self, mut text: &[u8], whole: bool) -> Result<(), Rejected> {
        let limit = self.profile.line_length_limit;
        while text.len() > limit || (whole && text.len() == limit) {
            let (piece, rest) = text.split_at(limit);
            self.writer.record(RecordType::CONTINUED, piece)?;
            text = rest;
        }
        self.writer.record(if whole { RecordType::NORMAL } else { RecordType::CONTINUED }, text)?;
        self.check_size(!self.flags.bounce)
    }

    /// Refuses a message whose file is larger than `message_size_limit`. As long as more is to come (`block`), Postfix finds out when a block of
    /// its buffer is written; a sender that counts itself, like smtpd, may give up before that, with another line in the log.
    pub fn check_size(&mut self, block: bool) -> Result<(), Rejected> {
        let limit = self.profile.message_size_limit;
        let size = self.writer.offset();
        if limit == 0 || size <= limit || self.bounced.is_some() {
            return Ok(());
        }
        self.oversize.exceeded = !self.flags.bounce;
        if block && size / BUFFER * BUFFER <= limit {
            return Ok(());
        }
        warn!(self.profile.log, "{}: queue file size limit exceeded", self.id());
        self.refuse(Rejected::TooBig, "5.3.4", "message file too big".into())
    }

    fn put_lines(&mut self, text: &[u8]) -> Result<(), Rejected> {
        text.split_str(b"\n").try_for_each(|line| self.put_line(line, true))
    }

    /// Takes out or refuses characters that are not wanted. `None` when the text may stay as it is.
    pub fn clean(&mut self, text: &BStr) -> Result<Option<Vec<u8>>, Rejected> {
        let profile = Arc::clone(&self.profile);
        let mut clean = None;
        if let Some(strip) = &profile.strip_characters
            && text.iter().any(|&c| strip[usize::from(c)])
        {
            clean = Some(text.iter().copied().filter(|&c| !strip[usize::from(c)]).collect::<Vec<u8>>());
        }
        if let Some(unwanted) = &profile.reject_characters
            && !self.unchecked_characters()
            && text.iter().any(|&c| unwanted[usize::from(c)])
        {
            // As Postfix logs it, up to a NUL.
            let shown = text.split(|&c| c == 0).next().unwrap_or_default();
            self.log_action("reject", "content", shown, "5.7.1 disallowed character".into());
            self.refuse_content("5.7.1", "disallowed character".into())?;
        }
        if profile.replace_stray_cr_lf && memchr::memchr2(b'\r', b'\n', clean.as_deref().unwrap_or(text)).is_some() {
            let mut new = clean.unwrap_or_else(|| text.to_vec());
            new.iter_mut().filter(|c| matches!(c, b'\r' | b'\n')).for_each(|c| *c = b' ');
            clean = Some(new);
        }
        Ok(clean)
    }

    fn unchecked_characters(&self) -> bool {
        self.bounced.is_some()
    }

    /// After the last line: what the content said of itself.
    pub fn end_content(&mut self) -> Result<(), Rejected> {
        if let Some(fault) = self.fault {
            self.refuse_content("5.6.0", fault.text().into())?;
        }
        if self.too_many_hops && self.bounced.is_none() {
            self.returned_whole = true;
            self.bounced = Some(("5.4.0".to_owned(), "too many hops".into()));
        }
        let end = self.writer.offset();
        self.envelope.content_length = end - self.envelope.content_offset;
        self.envelope.message_size = self.envelope.content_length;
        self.write(RecordType::EXTRACTED, BStr::new(b""))?;
        if let Some(filter) = self.filter.take() {
            self.write(RecordType::FILTER, filter.as_bstr())?;
            self.envelope.content_filter = filter;
        }
        if let Some(address) = self.redirect.take() {
            self.write(RecordType::REDIRECT, address.as_bstr())?;
            self.envelope.redirect = Some(Address::new(address));
        }
        if self.bounced.is_some() && !self.returned_whole {
            // What was refused for its content goes back without it.
            self.envelope.ret = 2;
            self.write_attribute("ret_flags", b"2")?;
        }
        if !self.envelope.message_id.is_empty() {
            let id = self.envelope.message_id.clone();
            self.write_attribute("message_id", &id)?;
        }
        if !self.envelope.encoding.is_empty() {
            let encoding = self.envelope.encoding.clone();
            self.write_attribute("encoding", &encoding)?;
        }
        Ok(())
    }

    /// The pipeline's work is done.
    pub fn close(self) -> Result<Content, Rejected> {
        match self.rejected {
            Some(rejected) => Err(rejected),
            None => Ok(self),
        }
    }

    /// Carries out what a check asks for. Returns the line to go on with: `None` to drop it.
    fn act<'a>(&mut self, verdict: Verdict, what: &str, line: &'a [u8]) -> Result<Option<std::borrow::Cow<'a, [u8]>>, Rejected> {
        let action = match verdict {
            Verdict::Dunno => return Ok(Some(line.into())),
            Verdict::Bad(warning) => {
                warn!(self.profile.log, "{warning}");
                return Ok(Some(line.into()));
            }
            Verdict::Act(action) => action,
        };
        // A message is held once, whatever else would hold it.
        let held = self.flags.hold && matches!(action, Action::Hold(_));
        if let Some(word) = action.word().filter(|_| !held) {
            self.log_action(word, what, line, action.text().as_bstr());
        }
        match action {
            Action::Ignore | Action::Strip(_) => return Ok(None),
            Action::Replace(text) => return Ok(Some(Vec::from(text).into())),
            Action::Prepend(text) => self.put_lines(&text)?,
            Action::Reject { dsn, text } => self.refuse_content(&dsn, text.as_bstr())?,
            Action::Discard(_) => self.flags.discard = true,
            Action::Hold(_) => self.flags.hold = true,
            Action::Pass(_) => self.unchecked = true,
            Action::Filter(target) => self.filter = Some(target),
            Action::Redirect(address) => self.redirect = Some(address),
            Action::Bcc(address) => self.bcc.push(address),
            Action::Info(_) | Action::Warn(_) => {}
        }
        Ok(Some(line.into()))
    }

    /// One of the message's own headers: notes what is there, drops what is not wanted, rewrites addresses.
    fn top_header(&mut self, header: Header<'_>) -> Result<(), Rejected> {
        let profile = Arc::clone(&self.profile);
        let name = header.name();
        if profile.drop_headers.iter().any(|drop| name.eq_ignore_ascii_case(drop.as_bytes())) {
            self.seen.resent |= Known::of(name) == Some(Known::ResentRecipient);
            return Ok(());
        }
        self.note_eight_bit(&header);
        let Some(kind) = Known::of(name) else { return self.put_lines(header.text) };
        self.note(kind, &header)?;
        let class = match kind {
            Known::From | Known::SenderAddress | Known::ResentFrom | Known::ResentSender => Classes::HEADER_SENDER,
            Known::Destination | Known::RecipientAddress | Known::ResentRecipient => Classes::HEADER_RECIPIENT,
            _ => return self.put_lines(header.text),
        };
        if !profile.rewriter.rewrites_headers(self.context) {
            return self.put_lines(header.text);
        }
        let value = &header.text[header.text.find_byte(b':').map_or(0, |colon| colon + 1)..];
        let mut list = AddressList::parse(value, profile.header_address_token_limit);
        let changed = list.replace(|address| self.header_address(class, address))?;
        match changed {
            true => {
                let header = list.header(name);
                self.put_lines(&header[..header.len().min(profile.mime.header_size_limit)])
            }
            false => self.put_lines(header.text),
        }
    }

    /// Remembers a header, and logs message ids.
    fn note(&mut self, kind: Known, header: &Header<'_>) -> Result<(), Rejected> {
        let seen = &mut self.seen;
        match kind {
            Known::Date => seen.date = true,
            Known::From => seen.from = true,
            Known::Destination => seen.destination = true,
            Known::Received => self.hop()?,
            Known::MessageId => {
                seen.message_id = true;
                info!(self.profile.log, "{}: message-id={}", self.id(), header.value());
                let value = header.value().lines().map(<[u8]>::trim_ascii).collect::<Vec<_>>().join(&b' ');
                self.envelope.message_id = value.into();
            }
            Known::ResentMessageId => {
                (seen.resent, seen.resent_message_id) = (true, true);
                info!(self.profile.log, "{}: resent-message-id={}", self.id(), header.value());
            }
            Known::ResentDate => (seen.resent, seen.resent_date) = (true, true),
            Known::ResentFrom => (seen.resent, seen.resent_from) = (true, true),
            Known::ResentRecipient => (seen.resent, seen.destination) = (true, true),
            Known::ResentSender => seen.resent = true,
            Known::TlsRequired => {
                if self.profile.tls_required && header.value().trim_ascii_end().eq_ignore_ascii_case(b"no") {
                    self.envelope.sender_options |= 16;
                }
            }
            Known::SenderAddress | Known::RecipientAddress => {}
        }
        Ok(())
    }

    /// Counts a `Received:` header. With one too many the message is refused, and nothing more is looked for in it; one that would be bounced is
    /// looked at to its end, since what else is wrong with it is the better reason.
    fn hop(&mut self) -> Result<(), Rejected> {
        self.hops += 1;
        if self.hops < self.profile.hopcount_limit || self.too_many_hops {
            return Ok(());
        }
        self.too_many_hops = true;
        warn!(self.profile.log, "{}: message rejected: hopcount exceeded", self.id());
        self.unchecked |= !self.flags.bounce;
        if self.flags.quiet_after_hops { Err(Rejected::TooManyHops) } else { Ok(()) }
    }

    /// What a header of the message, or of a part, or of an attached message, says of 8-bit text.
    fn note_eight_bit(&mut self, header: &Header<'_>) {
        if !header.text.is_ascii() {
            self.envelope.sender_options |= 2 | u32::from(self.flags.smtputf8_autodetect);
        }
        if self.profile.detect_8bit_encoding_header
            && header.is("content-transfer-encoding")
            && ["8bit", "binary"].iter().any(|known| header.value().eq_ignore_ascii_case(known.as_bytes()))
        {
            self.envelope.encoding = "8bit".into();
        }
    }

    /// The new form of an address in a header; `None` when it stays.
    fn header_address(&self, class: Classes, address: &BStr) -> Result<Option<BString>, Failure> {
        let profile = &self.profile;
        let rewritten = profile.rewriter.rewrite_external(self.context, address).map(tidy);
        let mapped = self.flags.address_mappings && !profile.leaves_alone(class);
        if !mapped {
            return Ok(rewritten);
        }
        let old = Address::from_external(rewritten.as_ref().map_or(address, |text| text.as_bstr()));
        let new = profile.map_address(self.id(), class, old.clone())?;
        if new == old {
            return Ok(rewritten);
        }
        let external = new.external();
        Ok(Some(if external.is_empty() { "\"\"".into() } else { external }))
    }

    /// At the end of the message's headers: adds what is missing.
    fn end_top_headers(&mut self, how: HeadersEnd) -> Result<(), Rejected> {
        if self.too_many_hops && !self.flags.bounce {
            return Err(Rejected::TooManyHops);
        }
        let profile = Arc::clone(&self.profile);
        let seen = self.seen;
        if profile.rewriter.rewrites_headers(self.context) || profile.always_add_missing_headers {
            let prefix = if seen.resent { "Resent-" } else { "" };
            let (id, date, from) = match seen.resent {
                true => (seen.resent_message_id, seen.resent_date, seen.resent_from),
                false => (seen.message_id, seen.date, seen.from),
            };
            if !id {
                let value = missing::message_id(&profile, self.id(), self.envelope.created);
                self.put_lines(format!("{prefix}Message-Id: {value}").as_bytes())?;
                let word = if seen.resent { "resent-message-id" } else { "message-id" };
                info!(profile.log, "{}: {word}={value}", self.id());
                if !seen.resent {
                    self.seen.message_id = true;
                    self.envelope.message_id = value.into();
                }
            }
            if !date {
                let value = mail_date(self.envelope.created);
                self.put_lines(format!("{prefix}Date: {value}").as_bytes())?;
            }
            if !from {
                let value = missing::from_header(&profile, self.envelope.full_name.as_bstr(), &self.envelope.sender);
                self.put_lines(&[prefix.as_bytes(), b"From: ", &value].concat())?;
            }
            if !seen.destination && !profile.undisclosed_recipients_header.is_empty() {
                self.put_lines(profile.undisclosed_recipients_header.as_bytes())?;
            }
        }
        if !self.seen.message_id {
            info!(profile.log, "{}: message-id=<>", self.id());
        }
        if how == HeadersEnd::NoHeader {
            match profile.end_of_header_action {
                EndOfHeaderAction::FixQuietly => {}
                EndOfHeaderAction::AddHeader => {
                    self.put_lines(b"MIME-Error: message header was not terminated by empty line")?;
                }
                EndOfHeaderAction::Reject => {
                    self.log_fault("message header was not terminated by empty line", b"");
                    self.refuse_content("5.6.0", "message header was not terminated by empty line".into())?;
                }
            }
        }
        match how {
            HeadersEnd::Message => Ok(()),
            _ => self.put_line(b"", true),
        }
    }
}

impl Handler for Content {
    type Error = Rejected;

    fn header(&mut self, header: Header<'_>) -> Result<(), Rejected> {
        if self.flags.discard {
            return Ok(());
        }
        let mut header = header;
        let text;
        if !self.unchecked {
            let verdict = self.profile.checks.header(header.class, header.text.as_bstr()).map_err(|_| Rejected::Lookup)?;
            match self.act(verdict, "header", header.text)? {
                _ if self.flags.discard => return Ok(()),
                None => return Ok(()),
                Some(new) => {
                    text = new;
                    header.text = &text;
                    header.name_len = header_name_len(&text).unwrap_or(0);
                }
            }
        }
        match header.block {
            Block::Top => self.top_header(header),
            Block::Part | Block::Nested => {
                self.note_eight_bit(&header);
                self.put_lines(header.text)
            }
        }
    }

    fn headers_end(&mut self, block: Block, how: HeadersEnd) -> Result<(), Rejected> {
        if self.flags.discard {
            return Ok(());
        }
        match block {
            Block::Top => self.end_top_headers(how),
            _ if how == HeadersEnd::EmptyLine => self.put_line(b"", true),
            _ => Ok(()),
        }
    }

    fn body(&mut self, line: &[u8], whole: bool, at: u64) -> Result<(), Rejected> {
        if self.flags.discard {
            return Ok(());
        }
        if self.unchecked || !self.profile.checks.has_body() {
            return self.put_line(line, whole);
        }
        let verdict = self.profile.checks.body(line.as_bstr(), at).map_err(|_| Rejected::Lookup)?;
        match self.act(verdict, "body", line)? {
            _ if self.flags.discard => Ok(()),
            None => Ok(()),
            Some(text) => self.put_line(&text, whole),
        }
    }

    /// The message is looked at to its end all the same: there may be more to log.
    fn fault(&mut self, fault: Fault, context: &[u8]) -> Result<(), Rejected> {
        if !self.flags.filter || (fault == Fault::Nesting && !self.profile.refuses_nesting()) || (self.too_many_hops && !self.flags.bounce)
        {
            return Ok(());
        }
        self.log_fault(fault.text(), context);
        self.fault.get_or_insert(fault);
        Ok(())
    }
}

/// A rewritten address as a header shows it: nothing but one blank between words.
fn tidy(address: BString) -> BString {
    match address.iter().any(|c| matches!(c, b' ' | b'"' | b'\\' | b'[' | b'(')) {
        true => match Address::new(token::join(&token::scan(&address, usize::MAX), Form::Internal)).external() {
            empty if empty.is_empty() => "\"\"".into(),
            text => text,
        },
        false => address,
    }
}

/// Headers that mean something to cleanup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Date,
    Destination,
    From,
    MessageId,
    Received,
    RecipientAddress,
    ResentDate,
    ResentFrom,
    ResentMessageId,
    ResentRecipient,
    ResentSender,
    SenderAddress,
    TlsRequired,
}

impl Known {
    fn of(name: &BStr) -> Option<Known> {
        const NAMES: &[(&str, Known)] = &[
            ("to", Known::Destination),
            ("cc", Known::Destination),
            ("bcc", Known::RecipientAddress),
            ("date", Known::Date),
            ("from", Known::From),
            ("sender", Known::SenderAddress),
            ("received", Known::Received),
            ("reply-to", Known::SenderAddress),
            ("errors-to", Known::SenderAddress),
            ("resent-to", Known::ResentRecipient),
            ("resent-cc", Known::ResentRecipient),
            ("return-path", Known::SenderAddress),
            ("message-id", Known::MessageId),
            ("resent-bcc", Known::ResentRecipient),
            ("resent-date", Known::ResentDate),
            ("resent-from", Known::ResentFrom),
            ("tls-required", Known::TlsRequired),
            ("apparently-to", Known::RecipientAddress),
            ("resent-sender", Known::ResentSender),
            ("resent-reply-to", Known::ResentRecipient),
            ("mail-followup-to", Known::SenderAddress),
            ("return-receipt-to", Known::SenderAddress),
            ("resent-message-id", Known::ResentMessageId),
            ("disposition-notification-to", Known::SenderAddress),
        ];
        NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, kind)| *kind)
    }
}
