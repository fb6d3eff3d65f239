//! What each command does (RFC 5321 §4.1.1 and the extensions), up to the check that the caller makes and from its verdict on.

use super::address::{self, BadAddress};
use super::lines;
use super::session::{Level, Opening, Session, State};
use super::types::*;
use super::words::{Words, after_keyword, next_word, number, value_of};
use crate::xtext;
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use std::rc::Rc;

impl<M: Message> Session<M> {
    pub(super) fn execute(&mut self, arguments: &[u8]) {
        match self.verb {
            Verb::Helo => self.helo_command(arguments, false),
            Verb::Ehlo => self.helo_command(arguments, true),
            Verb::Mail => self.mail(arguments),
            Verb::Rcpt => self.rcpt(arguments),
            Verb::Data => self.data(arguments),
            Verb::Bdat => self.bdat(arguments),
            Verb::Rset => self.rset(arguments),
            Verb::Noop => {
                self.succeed("250 2.0.0 Ok");
                self.junk_command();
            }
            Verb::Vrfy => self.vrfy(arguments),
            Verb::Etrn => self.etrn(arguments),
            Verb::Quit => {
                self.succeed("221 2.0.0 Bye");
                self.state = State::Closing;
            }
            Verb::StartTls => self.fail("502 5.5.1 Error: command not implemented"),
            Verb::Auth => self.fail("503 5.5.1 Error: authentication not enabled"),
            Verb::XClient => self.xclient(arguments),
            Verb::XForward => self.xforward(arguments),
            Verb::Unknown => self.fail("500 5.5.2 Error: command not recognized"),
        }
    }

    /// The answer to [`Step::Check`].
    pub fn decide(&mut self, verdict: Verdict) {
        let State::Checking(check) = self.state else { return };
        match verdict {
            Verdict::Accept => self.accept(check),
            Verdict::Refuse(refusal) => {
                match check {
                    // The refusal takes the place of the greeting; RFC 5321 §3.1: the client may only QUIT.
                    Check::Connect => {
                        self.denied = true;
                        self.refuse(&refusal);
                    }
                    Check::EndOfMessage => {
                        self.refuse(&refusal);
                        self.end_of_transaction();
                    }
                    Check::Data if self.bdat.is_some() => self.refuse_chunk(refusal),
                    _ => self.refuse(&refusal),
                }
                // Only now: the log line tells what was refused.
                self.drop_refused(check);
            }
            Verdict::BadAddress => {
                let (command, reply) = match check {
                    Check::SenderAddress => ("MAIL", "501 5.1.7 Bad sender address syntax"),
                    Check::Verify => ("VRFY", "501 5.1.3 Bad recipient address syntax"),
                    _ => ("RCPT", "501 5.1.3 Bad recipient address syntax"),
                };
                let written = std::mem::take(&mut self.written);
                self.drop_refused(check);
                self.bad_address(command, &written, reply);
            }
            Verdict::Reply(reply) => {
                self.drop_refused(check);
                if reply.starts_with('2') {
                    self.succeed(&reply);
                } else {
                    // That there is nothing to send for a site is no fault.
                    self.fail_as(&reply, if check == Check::Etrn { 0 } else { notice::PROTOCOL });
                }
                if matches!(check, Check::Etrn | Check::Verify) {
                    self.junk_command();
                }
            }
            Verdict::HangUp => {
                // Nothing is sent any more, not even replies to commands that came together with this one.
                self.output.clear();
                self.state = State::Closing;
            }
        }
    }

    /// What a refused command leaves behind: nothing.
    fn drop_refused(&mut self, check: Check) {
        match check {
            Check::SenderAddress | Check::Mail => self.transaction = None,
            Check::Helo => self.helo = self.former_helo.take(),
            Check::RecipientAddress | Check::Recipient | Check::Verify => self.candidate = None,
            Check::Connect | Check::Data | Check::EndOfMessage | Check::Etrn => {}
        }
    }

    fn accept(&mut self, check: Check) {
        match check {
            Check::Connect => {
                self.banner();
                self.state = State::Command;
            }
            Check::Helo => self.greet_back(),
            Check::SenderAddress => self.mail_with_parameters(),
            Check::RecipientAddress => self.rcpt_with_parameters(),
            Check::Mail => {
                if self.settings.delay_open {
                    self.succeed("250 2.1.0 Ok");
                } else {
                    self.state = State::Opening(Opening::Mail);
                }
            }
            Check::Recipient => {
                if self.transaction().is_some_and(|transaction| transaction.message.is_none()) {
                    self.state = State::Opening(Opening::Recipient);
                } else {
                    self.take_recipient();
                }
            }
            Check::Data if self.settings.relay => self.state = State::Relaying(check),
            Check::Data => self.start_content(),
            Check::EndOfMessage => self.state = State::Finishing,
            Check::Verify => {
                let written = std::mem::take(&mut self.written);
                self.candidate = None;
                self.succeed(&format!("252 2.0.0 {}", lines::printable(&written)));
                self.junk_command();
            }
            Check::Etrn => {
                self.succeed("250 Queuing started");
                self.junk_command();
            }
        }
    }

    fn helo_command(&mut self, arguments: &[u8], esmtp: bool) {
        if arguments.is_empty() {
            self.fail(if esmtp { "501 Syntax: EHLO hostname" } else { "501 Syntax: HELO hostname" });
            return;
        }
        self.pending_esmtp = esmtp;
        // The check of the name, and its refusal, still see it as it was given.
        self.former_helo = self.helo.replace(arguments.into());
        if self.settings.delay_reject {
            self.greet_back();
        } else {
            self.state = State::Checking(Check::Helo);
        }
    }

    fn greet_back(&mut self) {
        self.helo = self.helo.take().map(|name| lines::neuter(&name, self.settings.smtputf8));
        // Only now: a HELO that is refused leaves a transaction as it was.
        self.end_transaction();
        self.former_helo = None;
        // As in Postfix, HELO does not take back what EHLO gave: the session goes on as ESMTP, in the log and in Received:.
        self.esmtp |= self.pending_esmtp;
        if self.pending_esmtp {
            self.trim_history();
        }
        let settings = Rc::clone(&self.settings);
        if !self.pending_esmtp {
            self.succeed(&format!("250 {}", settings.hostname));
            return;
        }
        let size = if settings.message_size_limit > 0 { format!("SIZE {}", settings.message_size_limit) } else { "SIZE".to_owned() };
        let offers = [
            (true, 0, settings.hostname.as_str()),
            (true, keyword::PIPELINING, "PIPELINING"),
            (true, keyword::SIZE, &size),
            (!settings.disable_vrfy, keyword::VRFY, "VRFY"),
            (true, keyword::ETRN, "ETRN"),
            (self.rules.verp, keyword::VERP, "XVERP"),
            (self.rules.xclient, keyword::XCLIENT, "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT"),
            (self.rules.xforward, keyword::XFORWARD, "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT"),
            (true, keyword::ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES"),
            (true, keyword::EIGHTBITMIME, "8BITMIME"),
            (true, keyword::DSN, "DSN"),
            (settings.smtputf8, keyword::SMTPUTF8, "SMTPUTF8"),
            (true, keyword::CHUNKING, "CHUNKING"),
        ];
        let discard = self.rules.discard;
        if let Some(words) = keyword::words(discard) {
            self.log(Level::Info, format!("discarding EHLO keywords: {words}"));
        }
        if self.rules.unknown != 0 {
            return self.announce_nothing();
        }
        let mut words = offers.iter().filter(|(on, bit, _)| *on && discard & bit == 0).map(|(_, _, word)| *word).peekable();
        while let Some(word) = words.next() {
            // The first line is the host name, so there always is a last one.
            if words.peek().is_some() {
                self.line(&format!("250-{word}"));
            } else {
                self.succeed(&format!("250 {word}"));
            }
        }
    }

    /// A client that may get other features the next time must not go on with fewer.
    fn announce_nothing(&mut self) {
        let word = [(keyword::ANY, ""), (keyword::VERP, "XVERP"), (keyword::XCLIENT, "XCLIENT"), (keyword::XFORWARD, "XFORWARD")];
        let line = match word.iter().find(|(bit, _)| self.rules.unknown & bit != 0) {
            Some((keyword::ANY, _)) | None => format!("don't know what EHLO features to announce to {}", self.label()),
            Some((_, word)) => format!("don't know if EHLO feature {word} should be announced to {}", self.label()),
        };
        self.log(Level::Warning, line);
        self.local_data_error();
    }

    /// What the client may do cannot be found out for now; the session ends.
    pub(super) fn local_data_error(&mut self) {
        let reply = format!("421 4.3.0 {} Server local data error", self.settings.hostname);
        let line = format!("{}: reject: {} from {}: {reply}", self.queue_id(), self.place, self.label());
        self.log(Level::Info, line);
        self.refuse(&Refusal { reply, class: notice::DATA, log: false });
    }

    fn mail(&mut self, arguments: &[u8]) {
        if self.settings.helo_required && self.helo.is_none() {
            return self.fail_as("503 5.5.1 Error: send HELO/EHLO first", notice::POLICY);
        }
        if let Some(transaction) = self.transaction.as_deref_mut() {
            // As with Postfix the refused command takes these back, the other parameters stay.
            let MailParameters { eight_bit, smtputf8, ret, .. } = &mut transaction.parameters;
            (*eight_bit, *smtputf8, *ret) = (None, false, 0);
            return self.fail("503 5.5.1 Error: nested MAIL command");
        }
        if self.bdat.is_some() {
            return self.fail("503 5.5.1 Error: MAIL after BDAT");
        }
        let Some(mut rest) = after_keyword(arguments, "FROM:") else {
            return self.fail("501 5.5.4 Syntax: MAIL FROM:<address>");
        };
        let Some(Ok(written)) = next_word(&mut rest) else {
            return self.fail("501 5.1.7 Bad sender address syntax");
        };
        self.utf8 = self.offers_utf8() && Words(rest).any(|word| word.is_ok_and(|word| word.eq_ignore_ascii_case(b"SMTPUTF8")));
        let sender = match address::extract(written, self.settings.strict_envelopes) {
            Ok(sender) => sender,
            Err(BadAddress) => return self.bad_address("MAIL", written, "501 5.1.7 Bad sender address syntax"),
        };
        self.written = BString::from(written);
        self.unread_parameters = BString::from(rest);
        self.transaction = Some(Box::new(Transaction {
            sender,
            command: self.line.clone(),
            parameters: MailParameters::default(),
            first_recipient: None,
            recipients: 0,
            overshoot: 0,
            message: None,
            queue_id: None,
            size: 0,
            actions: Vec::new(),
            spoiled: None,
        }));
        self.state = State::Checking(Check::SenderAddress);
    }

    /// The rest of MAIL, once the address is known to be one.
    fn mail_with_parameters(&mut self) {
        let rest = std::mem::take(&mut self.unread_parameters);
        let parsed = self.mail_parameters(&rest);
        let strict_smtputf8 = self.settings.strict_smtputf8;
        let Some(transaction) = self.transaction.as_deref_mut() else { return };
        let sender = &transaction.sender;
        let failed = match parsed {
            Err(reply) => Some(reply),
            Ok(parameters) if !parameters.verp.is_empty() && sender.is_empty() => {
                Some("503 5.5.4 Error: XVERP requires non-null sender".into())
            }
            Ok(parameters) if strict_smtputf8 && !parameters.smtputf8 && !sender.as_bytes().is_ascii() => {
                Some("553 5.6.7 Must declare SMTPUTF8 to send unicode address".into())
            }
            Ok(parameters) => {
                transaction.parameters = parameters;
                None
            }
        };
        if let Some(reply) = failed {
            self.transaction = None;
            return self.fail(&reply);
        }
        let limit = self.settings.message_size_limit;
        if limit > 0 && self.announced_size > limit {
            let refusal = Refusal { reply: "552 5.3.4 Message size exceeds fixed limit".into(), class: notice::POLICY, log: true };
            self.refuse(&refusal);
            self.transaction = None;
            return;
        }
        if let (Some(login), Some(transaction)) = (&mut self.login, &self.transaction) {
            login.sender.clone_from(&transaction.parameters.auth_sender);
        }
        self.state = State::Checking(Check::Mail);
    }

    fn mail_parameters(&mut self, mut rest: &[u8]) -> Result<MailParameters, String> {
        let mut parameters = MailParameters::default();
        let discard = self.rules.discard;
        let offers = |bit: u32| discard & bit == 0;
        while let Some(word) = next_word(&mut rest) {
            let Ok(word) = word else {
                return Err(format!("555 5.5.4 Unsupported option: {}", lines::printable(rest)));
            };
            if let Some(value) = value_of(word, "SIZE") {
                parameters.size = number(value).ok_or("501 5.5.4 Bad message size syntax")?;
                if parameters.size > i64::MAX as u64 {
                    self.trouble |= notice::POLICY;
                    return Err("552 5.3.4 Message size exceeds file system imposed limit".into());
                }
                // Kept beyond this command, see `announced_size`.
                self.announced_size = parameters.size;
            } else if let Some(value) = value_of(word, "BODY") {
                // Understood even where EHLO does not offer it, as Postfix does.
                parameters.eight_bit = if value.eq_ignore_ascii_case(b"8BITMIME") {
                    Some(true)
                } else if value.eq_ignore_ascii_case(b"7BIT") {
                    Some(false)
                } else {
                    return Err(unsupported(word));
                };
            } else if word.eq_ignore_ascii_case(b"SMTPUTF8") && self.settings.smtputf8 && offers(keyword::SMTPUTF8) {
                parameters.smtputf8 = true;
            } else if let Some(value) = value_of(word, "RET") {
                if !offers(keyword::DSN) {
                    return Err("501 5.7.1 DSN support is disabled".into());
                }
                let ret = if value.eq_ignore_ascii_case(b"FULL") {
                    1
                } else if value.eq_ignore_ascii_case(b"HDRS") {
                    2
                } else {
                    0
                };
                if ret == 0 || parameters.ret != 0 {
                    return Err("501 5.5.4 Bad RET parameter syntax".into());
                }
                parameters.ret = ret;
            } else if let Some(value) = value_of(word, "ENVID") {
                if !offers(keyword::DSN) {
                    return Err("501 5.7.1 DSN support is disabled".into());
                }
                // RFC 3461 §4.4: printable when decoded. Its limit of 100 characters is not Postfix's.
                let decoded = xtext::decode(value).filter(|id| !id.is_empty() && id.iter().all(|c| (b' '..=b'~').contains(c)));
                match decoded {
                    Some(id) if parameters.envelope_id.is_empty() => parameters.envelope_id = id,
                    _ => return Err("501 5.5.4 Bad ENVID parameter syntax".into()),
                }
            } else if self.rules.verp && word.eq_ignore_ascii_case(b"XVERP") {
                parameters.verp = BString::from(self.settings.verp_delimiters.as_str());
            } else if let Some(value) = value_of(word, "XVERP").filter(|_| self.rules.verp) {
                let filter = self.settings.verp_filter.as_bytes();
                if value.len() != 2 || !value.iter().all(|c| filter.contains(c)) {
                    return Err(format!("501 5.5.4 Error: XVERP needs two characters from {}", self.settings.verp_filter));
                }
                parameters.verp = value.to_owned();
            } else if let Some(value) = value_of(word, "AUTH") {
                // Without AUTH the parameter has no effect (RFC 4954 §5).
                parameters.auth_sender = if value == "<>" { BString::default() } else { BString::from(value) };
            } else {
                return Err(unsupported(word));
            }
        }
        Ok(parameters)
    }

    fn offers_utf8(&self) -> bool {
        self.settings.smtputf8 && self.rules.discard & keyword::SMTPUTF8 == 0
    }

    fn bad_address(&mut self, command: &str, written: &[u8], reply: &str) {
        let text = format!("Illegal address syntax from {} in {command} command: {}", self.label(), lines::printable(written));
        self.log(Level::Warning, text);
        self.fail(reply);
    }

    fn rcpt(&mut self, arguments: &[u8]) {
        if self.transaction.is_none() {
            return self.fail("503 5.5.1 Error: need MAIL command");
        }
        if self.bdat.is_some() {
            return self.fail("503 5.5.1 Error: RCPT after BDAT");
        }
        let Some(mut rest) = after_keyword(arguments, "TO:") else {
            return self.fail("501 5.5.4 Syntax: RCPT TO:<address>");
        };
        let Some(Ok(written)) = next_word(&mut rest) else {
            return self.fail("501 5.1.3 Bad recipient address syntax");
        };
        self.utf8 = self.transaction().is_some_and(|transaction| transaction.parameters.smtputf8);
        let address = match address::extract(written, self.settings.strict_envelopes) {
            Ok(address) if !address.is_empty() => address,
            _ => return self.bad_address("RCPT", written, "501 5.1.3 Bad recipient address syntax"),
        };
        self.written = BString::from(written);
        self.unread_parameters = BString::from(rest);
        self.candidate = Some(Recipient { address, ..Recipient::default() });
        self.state = State::Checking(Check::RecipientAddress);
    }

    /// The rest of RCPT, once the address is known to be one.
    fn rcpt_with_parameters(&mut self) {
        let rest = std::mem::take(&mut self.unread_parameters);
        let written = std::mem::take(&mut self.written);
        let Some(Recipient { address, .. }) = self.candidate.take() else { return };
        let mut recipient = match self.recipient_parameters(address, &rest) {
            Ok(recipient) => recipient,
            Err(reply) => return self.fail(&reply),
        };
        let settings = Rc::clone(&self.settings);
        let Some(transaction) = self.transaction.as_deref_mut() else { return };
        if settings.strict_smtputf8 && !transaction.parameters.smtputf8 && !recipient.address.as_bytes().is_ascii() {
            return self.fail("553 5.6.7 Must declare SMTPUTF8 to send unicode address");
        }
        if transaction.recipients >= settings.recipient_limit {
            transaction.overshoot += 1;
            let beyond = transaction.overshoot > settings.recipient_overshoot_limit;
            self.trouble |= notice::POLICY;
            // RFC 5321 §4.5.3.1.10: a client may send more than we take and try again with the rest; only excess beyond reason is an error.
            if beyond {
                self.fail("452 4.5.3 Error: too many recipients");
            } else {
                self.succeed("452 4.5.3 Error: too many recipients");
            }
            return;
        }
        if recipient.orcpt.is_empty() {
            recipient.orcpt = b"rfc822;".into();
            recipient.orcpt.extend_from_slice(written.strip_prefix(b"<").and_then(|inner| inner.strip_suffix(b">")).unwrap_or(&written));
        }
        self.candidate = Some(recipient);
        self.state = State::Checking(Check::Recipient);
    }

    fn recipient_parameters(&mut self, address: Address, mut rest: &[u8]) -> Result<Recipient, String> {
        let mut recipient = Recipient { address, notify: 0, orcpt: BString::default() };
        let dsn = self.rules.discard & keyword::DSN == 0;
        while let Some(word) = next_word(&mut rest) {
            let Ok(word) = word else {
                return Err(format!("555 5.5.4 Unsupported option: {}", lines::printable(rest)));
            };
            if let Some(value) = value_of(word, "NOTIFY") {
                if !dsn {
                    return Err("501 5.7.1 DSN support is disabled".into());
                }
                if recipient.notify != 0 {
                    return Err("501 5.5.4 Error: Bad NOTIFY parameter syntax".into());
                }
                match notify_flags(value) {
                    Ok(flags) => recipient.notify = flags,
                    Err(unknown) => {
                        if let Some(unknown) = unknown {
                            let text = format!(
                                "unknown DSN NOTIFY command value \"{}\" in \"{}\"",
                                lines::printable(unknown),
                                lines::printable(value)
                            );
                            self.log(Level::Warning, text);
                        }
                        return Err("501 5.5.4 Error: Bad NOTIFY parameter syntax".into());
                    }
                }
            } else if let Some(value) = value_of(word, "ORCPT") {
                if !dsn {
                    return Err("501 5.7.1 DSN support is disabled".into());
                }
                match original_recipient(value) {
                    Some(orcpt) if recipient.orcpt.is_empty() => recipient.orcpt = orcpt,
                    _ => return Err("501 5.5.4 Error: Bad ORCPT parameter syntax".into()),
                }
            } else {
                return Err(unsupported(word));
            }
        }
        Ok(recipient)
    }

    /// The answer to [`Step::Open`]: the message and its queue id (empty when it has none), or the refusal for the client.
    pub fn opened(&mut self, result: Result<(M, &str), Refusal>) {
        let State::Opening(why) = self.state else { return };
        let (message, id) = match result {
            Ok(opened) => opened,
            Err(refusal) => {
                self.candidate = None;
                if why == Opening::Mail {
                    self.transaction = None;
                }
                self.refuse(&refusal);
                return;
            }
        };
        if let Some(transaction) = self.transaction.as_deref_mut() {
            transaction.message = Some(message);
            transaction.queue_id = (!id.is_empty()).then(|| id.into());
        }
        match why {
            Opening::Mail => self.succeed("250 2.1.0 Ok"),
            Opening::Recipient => self.take_recipient(),
        }
    }

    fn take_recipient(&mut self) {
        if self.settings.relay {
            self.state = State::Relaying(Check::Recipient);
        } else {
            self.add_recipient();
        }
    }

    /// The answer to [`Step::Relay`].
    pub fn relayed(&mut self, result: Result<(), Refusal>) {
        let State::Relaying(check) = self.state else { return };
        match (check, result) {
            (Check::Recipient, Ok(())) => self.add_recipient(),
            (Check::Recipient, Err(refusal)) => {
                self.refuse(&refusal);
                self.candidate = None;
            }
            (_, Ok(())) => self.start_content(),
            (_, Err(refusal)) if self.bdat.is_some() => self.refuse_chunk(refusal),
            (_, Err(refusal)) => self.refuse(&refusal),
        }
    }

    /// The command that [`Step::Relay`] speaks of, fit to be sent on: it holds no line end, bare or not, that a lax server could take for one.
    pub fn relayed_command(&self) -> &BStr {
        self.line.as_bstr()
    }

    fn add_recipient(&mut self) {
        let candidate = self.candidate.take();
        if let (Some(transaction), Some(recipient)) = (self.transaction.as_deref_mut(), candidate) {
            if let Some(message) = transaction.message.as_mut() {
                message.recipient(&recipient);
            }
            if transaction.recipients == 0 {
                transaction.first_recipient = Some(recipient.address);
            }
            transaction.recipients += 1;
        }
        self.succeed("250 2.1.5 Ok");
    }

    fn data(&mut self, arguments: &[u8]) {
        if self.bdat.is_some() {
            return self.fail("503 5.5.1 Error: DATA after BDAT");
        }
        if self.transaction.as_ref().is_none_or(|transaction| transaction.recipients == 0) {
            return self.no_recipients();
        }
        if !arguments.is_empty() {
            return self.fail("501 5.5.4 Syntax: DATA");
        }
        self.state = State::Checking(Check::Data);
    }

    fn no_recipients(&mut self) {
        let reply = self.no_recipients_reply();
        let trouble = self.trouble;
        self.fail(reply);
        // Recipients that were all refused are no fault in the protocol.
        if self.transaction.is_some() {
            self.trouble = trouble;
        }
    }

    pub(super) fn no_recipients_reply(&self) -> &'static str {
        if self.transaction.is_none() { "503 5.5.1 Error: need RCPT command" } else { "554 5.5.1 Error: no valid recipients" }
    }

    fn rset(&mut self, arguments: &[u8]) {
        if !arguments.is_empty() {
            return self.fail("501 5.5.4 Syntax: RSET");
        }
        self.end_transaction();
        self.trim_history();
        self.succeed("250 2.0.0 Ok");
        self.junk_command();
    }

    fn vrfy(&mut self, arguments: &[u8]) {
        // The words of the command, with one blank between them.
        let arguments = &bstr::join(" ", arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()));
        if self.settings.disable_vrfy {
            return self.fail("502 5.5.1 VRFY command is disabled");
        }
        let mut written: &[u8] = arguments;
        if self.offers_utf8()
            && let Some(start) = arguments.len().checked_sub(9)
            && arguments[start..].eq_ignore_ascii_case(b" SMTPUTF8")
        {
            written = arguments[..start].trim_ascii_end();
        }
        self.utf8 = written.len() < arguments.len();
        if written.is_empty() {
            let option = if self.settings.smtputf8 { " [SMTPUTF8]" } else { "" };
            return self.fail(&format!("501 5.5.4 Syntax: VRFY address{option}"));
        }
        let address = match address::extract(written, false) {
            Ok(address) if !address.is_empty() => address,
            // Without its closing bracket it is a name like any other.
            Err(BadAddress) if written.len() > 1 && written[0] == b'<' && !written.contains(&b'>') && !written[1..].contains(&b'<') => {
                Address::new(written)
            }
            _ => return self.bad_address("VRFY", written, "501 5.1.3 Bad recipient address syntax"),
        };
        self.written = BString::from(written);
        self.candidate = Some(Recipient { address, ..Recipient::default() });
        self.state = State::Checking(Check::Verify);
    }

    fn etrn(&mut self, arguments: &[u8]) {
        if self.settings.helo_required && self.helo.is_none() {
            return self.fail_as("503 Error: send HELO/EHLO first", notice::POLICY);
        }
        if self.transaction.is_some() {
            return self.fail("503 Error: MAIL transaction in progress");
        }
        if arguments.is_empty() || arguments.contains(&b' ') {
            return self.fail("500 Syntax: ETRN domain");
        }
        // RFC 1985 §5.3: `@domain` means the domain and its subdomains, `#name` a queue; Postfix takes both as the domain.
        let domain = arguments.strip_prefix(b"@").or_else(|| arguments.strip_prefix(b"#")).unwrap_or(arguments);
        if !lines::looks_like_host(domain) {
            return self.fail("501 Error: invalid parameter syntax");
        }
        self.written = BString::from(domain);
        self.state = State::Checking(Check::Etrn);
    }

    /// Whether the command under consideration, MAIL, RCPT or VRFY, may name a domain in UTF-8.
    pub fn allows_utf8(&self) -> bool {
        self.utf8
    }

    /// The recipient under consideration.
    pub fn candidate(&self) -> Option<&Recipient> {
        self.candidate.as_ref()
    }

    /// The recipient that checks speak of: the one of RCPT or VRFY, in later stages the only one.
    pub fn recipient(&self) -> Option<&Address> {
        if let Some(candidate) = &self.candidate {
            return Some(&candidate.address);
        }
        self.transaction().filter(|transaction| transaction.recipients == 1).and_then(|transaction| transaction.first_recipient.as_ref())
    }

    /// The argument as the client wrote it: the domain of ETRN.
    pub fn written(&self) -> &BStr {
        self.written.as_bstr()
    }
}

fn unsupported(word: &BStr) -> String {
    format!("555 5.5.4 Unsupported option: {}", lines::printable(word))
}

/// NOTIFY (RFC 3461 §4.1). The error holds the value that is not known, if that is the trouble. As in Postfix, commas may stand where they are not needed.
fn notify_flags(value: &BStr) -> Result<u8, Option<&BStr>> {
    let mut flags = 0;
    for word in value.split_str(",").filter(|word| !word.is_empty()) {
        let bit = match () {
            () if word.eq_ignore_ascii_case(b"NEVER") => 1,
            () if word.eq_ignore_ascii_case(b"SUCCESS") => 2,
            () if word.eq_ignore_ascii_case(b"FAILURE") => 4,
            () if word.eq_ignore_ascii_case(b"DELAY") => 8,
            () => return Err(Some(word.as_bstr())),
        };
        flags |= bit;
    }
    // NEVER stands alone.
    if flags == 0 || flags & 1 != 0 && flags != 1 { Err(None) } else { Ok(flags) }
}

/// ORCPT (RFC 3461 §4.2, RFC 6533 §3): `type;xtext`, decoded.
fn original_recipient(value: &BStr) -> Option<BString> {
    let (kind, address) = value.split_once_str(";")?;
    if kind.is_empty() || !kind.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-') {
        return None;
    }
    let address = if kind.eq_ignore_ascii_case(b"utf-8") { xtext::decode_utf8(address)? } else { xtext::decode(address)? };
    if address.iter().any(|c| c.is_ascii_control()) {
        return None;
    }
    let mut out = BString::from(kind);
    out.push(b';');
    out.extend_from_slice(&address);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_values() {
        assert_eq!(notify_flags("SUCCESS,failure,DELAY".into()), Ok(14));
        assert_eq!(notify_flags("NEVER".into()), Ok(1));
        assert_eq!(notify_flags("NEVER,SUCCESS".into()), Err(None));
        assert_eq!(notify_flags(",SUCCESS,,DELAY,".into()), Ok(10));
        assert_eq!(notify_flags("".into()), Err(None));
        assert_eq!(notify_flags(",".into()), Err(None));
        assert_eq!(notify_flags("SOMETIMES".into()), Err(Some("SOMETIMES".into())));
    }

    #[test]
    fn orcpt_values() {
        assert_eq!(original_recipient("rfc822;a+2Bb@example.com".into()).unwrap(), "rfc822;a+b@example.com");
        assert_eq!(original_recipient("utf-8;pel\\x{E9}@x".into()).unwrap(), "utf-8;pelé@x");
        assert_eq!(original_recipient("rfc822;".into()).unwrap(), "rfc822;");
        for value in ["alice@example.com", "", ";a", "rfc822;a+b", "rfc822;a+0Ab"] {
            assert_eq!(original_recipient(value.into()), None, "{value}");
        }
    }
}
