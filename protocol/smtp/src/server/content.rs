//! Message content: DATA with its dots, BDAT with its counts, lines cut out of the input buffer.

use super::session::{Bdat, Level, Session, State};
use super::types::*;
use super::words::{number, verb};
use bstr::ByteSlice;
use std::rc::Rc;

impl<M: Message> Session<M> {
    /// DATA or the first BDAT was permitted.
    pub(super) fn start_content(&mut self) {
        self.after_crlf = true;
        self.mid_line = false;
        self.content_started = false;
        if self.bdat.is_some() {
            self.state = State::Bdat;
        } else {
            self.line("354 End data with <CR><LF>.<CR><LF>");
            self.state = State::Data;
        }
    }

    pub(super) fn content_so_far(&self) -> Option<u64> {
        // A client that sent a chunk and no command since is within its message.
        let receiving = matches!(self.state, State::Data)
            || self.place == "BDAT" && self.bdat.as_ref().is_some_and(|bdat| bdat.started && !bdat.failed);
        let size = self.transaction().map_or(0, |transaction| transaction.size);
        receiving.then_some(size + self.partial.len() as u64)
    }

    pub(super) fn content(&mut self) -> Option<Step> {
        if !self.content_started && self.bdat.as_ref().is_none_or(|bdat| bdat.refuse.is_none()) {
            self.content_started = true;
            return Some(Step::StartContent);
        }
        let step = self.with_input(|session, input| match session.state {
            State::Data => session.data_content(input),
            _ => session.bdat_content(input),
        });
        if let Some(transaction) = self.transaction()
            && transaction.spoiled == Some(Spoiled::TooBig)
            && !self.told_too_big
        {
            self.told_too_big = true;
            let line = format!("{}: queue file size limit exceeded", self.queue_id());
            self.log(Level::Warning, line);
        }
        step
    }

    /// Passes on the lines of DATA that are complete. Returns a step when the input is used up.
    fn data_content(&mut self, input: &[u8]) -> Option<Step> {
        let settings = Rc::clone(&self.settings);
        let strict = matches!(self.bare_newline(), BareNewline::Normalize | BareNewline::Reject);
        let reject = self.bare_newline() == BareNewline::Reject;
        let limit = settings.line_length_limit;
        let (mut after_crlf, mut mid_line, mut position) = (self.after_crlf, self.mid_line, self.position);
        let Some(transaction) = self.transaction.as_deref_mut() else {
            self.state = State::Command;
            return None;
        };
        let mut ended = false;
        loop {
            let rest = &input[position..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                // A piece of a line longer than the limit is passed on before its end is seen. Two bytes more than the piece, so that neither the
                // CR of a line end nor a lone dot is taken for text.
                let dot = usize::from(!mid_line && rest.first() == Some(&b'.'));
                if rest.len() > limit + dot + 1 {
                    transaction.piece(&rest[dot..limit + dot], false, &settings);
                    position += limit + dot;
                    mid_line = true;
                    continue;
                }
                break;
            };
            position += end + 1;
            let mut line = without_returns(&rest[..end], strict);
            let crlf = line.len() < end;
            let bare = reject && !crlf;
            if !mid_line && line.first() == Some(&b'.') {
                line = &line[1..];
                if line.is_empty() {
                    if bare {
                        transaction.spoil(Spoiled::BareNewline);
                    }
                    if !strict || (crlf && after_crlf) {
                        ended = true;
                        break;
                    }
                    // A lone dot that some other server would take for the end of the message is not passed on to it
                    // (SMTP smuggling, CVE-2023-51764).
                    after_crlf = crlf;
                    continue;
                }
            }
            // The text first, as where a long line comes in pieces: how the network cuts it must not change the answer.
            transaction.pieces(line, &settings);
            if bare {
                transaction.spoil(Spoiled::BareNewline);
            }
            mid_line = false;
            after_crlf = crlf;
        }
        self.after_crlf = after_crlf;
        self.mid_line = mid_line;
        self.position = position;
        if ended {
            self.state = State::EndOfMessage;
            return None;
        }
        Some(Step::Read)
    }

    pub(super) fn bdat(&mut self, arguments: &[u8]) {
        if self.rules.discard & keyword::CHUNKING != 0 {
            self.fail("521 5.5.1 Error: command not implemented");
            self.state = State::Closing;
            return;
        }
        let (count, rest) = verb(arguments);
        let last = rest.eq_ignore_ascii_case(b"LAST");
        let chunk = match number(count) {
            // More than this cannot be meant; the sum below must not overflow.
            Some(chunk) if (rest.is_empty() || last) && chunk <= i64::MAX as u64 => chunk,
            _ => {
                // The client's next bytes may be content or a command, there is no way to tell.
                let mut line = b"BDAT ".to_vec();
                line.extend_from_slice(arguments);
                let text = format!(
                    "{}: malformed BDAT command syntax from {}: {}",
                    self.queue_id(),
                    self.label(),
                    super::lines::printable(line.trim_ascii())
                );
                self.log(Level::Warning, text);
                self.fail("521 5.5.4 Syntax: BDAT count [LAST]");
                self.state = State::Closing;
                return;
            }
        };
        let (started, failed) = self.bdat.as_ref().map_or((false, false), |former| (former.started, former.failed));
        let no_recipients = self.transaction.as_ref().is_none_or(|transaction| transaction.recipients == 0);
        let refuse = if chunk == 0 && !last {
            // A chunk without content only costs time; what belongs to it is thrown away, as in Postfix.
            let text = format!("{}: null BDAT request from {}", self.queue_id(), self.label());
            self.log(Level::Warning, text);
            Some("551 5.7.1 Null BDAT request".to_owned())
        } else if failed {
            Some(format!("551 5.0.0 Discarded {chunk} bytes after earlier error"))
        } else {
            no_recipients.then(|| self.no_recipients_reply().to_owned())
        };
        let refuse = refuse.map(|reply| Refusal { reply, class: notice::PROTOCOL, log: false });
        self.state = if started || refuse.is_some() { State::Bdat } else { State::Checking(Check::Data) };
        self.bdat = Some(Bdat { remaining: chunk, chunk, last, failed: refuse.is_some(), refuse, started });
    }

    /// DATA restrictions refused the first chunk: it is swallowed, then the refusal is sent.
    pub(super) fn refuse_chunk(&mut self, mut refusal: Refusal) {
        if refusal.log {
            refusal.reply = self.softened(&refusal.reply);
            refusal.log = false;
            let line = self.describe("reject", self.place, &refusal.reply);
            self.log(Level::Info, line);
        }
        if let Some(bdat) = self.bdat.as_mut() {
            bdat.failed = true;
            bdat.refuse = Some(refusal);
        }
        self.state = State::Bdat;
    }

    fn bdat_content(&mut self, input: &[u8]) -> Option<Step> {
        let Some(mut bdat) = self.bdat.take() else {
            self.state = State::Command;
            return None;
        };
        let limit = self.settings.message_size_limit;
        let before = self.transaction().map_or(0, |transaction| transaction.size);
        if bdat.refuse.is_none() && bdat.remaining == bdat.chunk && limit > 0 && before.saturating_add(bdat.chunk) > limit {
            // Known before it comes. What waits for the end of its line is not counted.
            let text = format!("{}: BDAT request from {} exceeds message size limit", self.queue_id(), self.label());
            self.log(Level::Warning, text);
            let reply = "552 5.3.4 Chunk exceeds message size limit".into();
            bdat.failed = true;
            bdat.refuse = Some(Refusal { reply, class: notice::POLICY, log: false });
        }
        let available = (input.len() - self.position) as u64;
        let take = bdat.remaining.min(available) as usize;
        let chunk = &input[self.position..self.position + take];
        self.position += take;
        bdat.remaining -= take as u64;
        if bdat.refuse.is_none() {
            bdat.started = true;
            self.chunk(chunk, bdat.last && bdat.remaining == 0);
        }
        let done = bdat.remaining == 0;
        self.bdat = Some(bdat);
        if !done {
            return Some(Step::Read);
        }
        self.end_of_chunk();
        None
    }

    /// Passes on lines of BDAT content; what has no line end stays for the next chunk.
    fn chunk(&mut self, mut chunk: &[u8], last: bool) {
        let settings = Rc::clone(&self.settings);
        let strict = matches!(self.bare_newline(), BareNewline::Normalize | BareNewline::Reject);
        let reject = self.bare_newline() == BareNewline::Reject;
        let mut partial = std::mem::take(&mut self.partial);
        let Some(transaction) = self.transaction.as_deref_mut() else { return };
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let piece = &chunk[..end];
            chunk = &chunk[end + 1..];
            let whole = if partial.is_empty() {
                piece
            } else {
                partial.extend_from_slice(piece);
                &partial[..]
            };
            let line = without_returns(whole, strict);
            let bare = reject && line.len() == whole.len();
            transaction.pieces(line, &settings);
            if bare {
                transaction.spoil(Spoiled::BareNewline);
            }
            partial.clear();
        }
        partial.extend_from_slice(chunk);
        let limit = settings.line_length_limit;
        let mut start = 0;
        while partial.len() - start > limit + 1 {
            transaction.piece(&partial[start..start + limit], false, &settings);
            start += limit;
        }
        partial.drain(..start);
        if last && (!partial.is_empty() || start > 0) {
            transaction.pieces(&partial, &settings);
            partial.clear();
        }
        if !partial.is_empty() {
            self.partial = partial;
        }
    }

    fn end_of_chunk(&mut self) {
        let too_big = self.transaction().is_some_and(|transaction| transaction.spoiled == Some(Spoiled::TooBig));
        let Some(bdat) = self.bdat.as_mut() else { return };
        let (chunk, last) = (bdat.chunk, bdat.last);
        if too_big && !last && !bdat.failed {
            bdat.failed = true;
            bdat.refuse = Some(too_big_refusal());
        }
        if let Some(refusal) = bdat.refuse.take() {
            self.refuse(&refusal);
            if last {
                self.end_transaction();
            }
        } else if last {
            self.state = State::EndOfMessage;
        } else {
            self.succeed(&format!("250 2.0.0 Ok: {chunk} bytes"));
        }
    }

    /// All content is there.
    pub(super) fn end_of_message(&mut self) -> Option<Step> {
        self.place = "END-OF-MESSAGE";
        self.told_too_big = false;
        match self.transaction().and_then(|transaction| transaction.spoiled) {
            Some(Spoiled::TooBig) => {
                self.refuse(&too_big_refusal());
                self.end_of_transaction();
            }
            Some(Spoiled::BareNewline) => {
                self.refuse_bare_newline();
                self.errors += 1;
                self.state = State::Command;
                self.end_of_transaction();
            }
            None => self.state = State::Checking(Check::EndOfMessage),
        }
        None
    }

    /// The answer to [`Step::Finish`].
    pub fn finished(&mut self, result: Finished) {
        if self.state != State::Finishing {
            return;
        }
        match result {
            Finished::Queued => {
                // What went wrong before is forgiven, also for the postmaster's notices.
                self.errors = 0;
                self.junk = 0;
                self.trouble = 0;
                let reply = match self.bdat {
                    Some(_) => {
                        let size = self.transaction().map_or(0, |transaction| transaction.size);
                        format!("250 2.0.0 Ok: {size} bytes queued as {}", self.queue_id())
                    }
                    None => format!("250 2.0.0 Ok: queued as {}", self.queue_id()),
                };
                self.succeed(&reply);
            }
            Finished::Refused(refusal) => self.refuse(&refusal),
            Finished::Reply(reply) => self.pass_on(&reply),
        }
        self.end_of_transaction();
    }

    pub(super) fn end_of_transaction(&mut self) {
        self.end_transaction();
        self.trim_history();
    }
}

fn too_big_refusal() -> Refusal {
    Refusal { reply: "552 5.3.4 Error: message file too big".into(), class: notice::POLICY, log: false }
}

/// A line without the CR at its end, or, as in Postfix where bare newlines are allowed, without all of them.
fn without_returns(line: &[u8], strict: bool) -> &[u8] {
    match line.strip_suffix(b"\r") {
        Some(line) if strict => line,
        Some(line) => &line[..line.iter().rposition(|c| *c != b'\r').map_or(0, |last| last + 1)],
        None => line,
    }
}

impl<M: Message> Transaction<M> {
    /// Passes on one line, in pieces if it is long.
    fn pieces(&mut self, mut line: &[u8], settings: &Settings) {
        let limit = settings.line_length_limit;
        while line.len() >= limit {
            self.piece(&line[..limit], false, settings);
            line = &line[limit..];
        }
        self.piece(line, true, settings);
    }

    fn piece(&mut self, text: &[u8], whole: bool, settings: &Settings) {
        // As Postfix counts: each piece of a long line as if it were one.
        self.size += text.len() as u64 + 2;
        if self.spoiled.is_some() {
            return;
        }
        if settings.message_size_limit > 0 && self.size > settings.message_size_limit {
            self.spoil(Spoiled::TooBig);
            return;
        }
        if let Some(message) = self.message.as_mut() {
            message.line(text.as_bstr(), whole);
        }
    }

    /// The message will be refused: its file is removed now, the rest of the content is only swallowed.
    fn spoil(&mut self, why: Spoiled) {
        if self.spoiled.is_none() {
            self.spoiled = Some(why);
            self.message = None;
        }
    }
}
