//! The state of a session and its main loop.

use super::lines;
use super::origin::{Forwarded, Login};
use super::types::*;
use super::words;
use bstr::{BStr, BString, ByteSlice};
use std::borrow::Cow;
use std::rc::Rc;

/// One SMTP session with one client.
pub struct Session<M> {
    pub(super) settings: Rc<Settings>,
    pub(super) client: Client,
    pub(super) rules: Rules,
    pub(super) state: State,
    /// What the client sent and what of it is dealt with.
    input: Vec<u8>,
    pub(super) position: usize,
    pub(super) output: Vec<u8>,
    pub(super) log: Vec<(Level, String)>,
    /// The name given with HELO or EHLO.
    pub(super) helo: Option<BString>,
    pub(super) esmtp: bool,
    pub(super) transaction: Option<Box<Transaction<M>>>,
    /// Size announced by a MAIL command that was refused; Postfix goes on holding it against the client until RSET or HELO.
    pub(super) announced_size: u64,
    pub(super) bdat: Option<Bdat>,
    /// Refused at connect: everything but QUIT is answered 503.
    pub(super) denied: bool,
    /// The command at work, for log lines.
    pub(super) place: &'static str,
    pub(super) verb: Verb,
    /// Line end of the last content line, and a content line of which pieces were already passed on.
    pub(super) after_crlf: bool,
    pub(super) mid_line: bool,
    /// The beginning of a command line that is too long, until its end is seen.
    overlong: Option<Vec<u8>>,
    pub(super) errors: u32,
    pub(super) junk: u32,
    pause: bool,
    /// Input that came too early was logged.
    noted_early: bool,
    pub(super) counts: [Count; 16],
    /// Trouble seen, as [`notice`] bits.
    pub(super) trouble: u8,
    pub(super) history: Vec<u8>,
    pub(super) history_lines: usize,
    /// The part of BDAT content that has no line end yet.
    pub(super) partial: Vec<u8>,
    /// The recipient of RCPT or VRFY while it is checked.
    pub(super) candidate: Option<Recipient>,
    /// SMTPUTF8 was declared for the address under consideration.
    pub(super) utf8: bool,
    /// The argument of the command as the client wrote it.
    pub(super) written: BString,
    /// What follows the address of MAIL or RCPT, until the address is known to be one.
    pub(super) unread_parameters: BString,
    /// The whole command, with [`Settings::relay`].
    pub(super) line: BString,
    /// What a refused HELO leaves in force.
    pub(super) former_helo: Option<BString>,
    pub(super) pending_esmtp: bool,
    /// [`Step::StartContent`] was given for this message.
    pub(super) content_started: bool,
    pub(super) told_too_big: bool,
    pub(super) aborted: Option<&'static str>,
    pub(super) login: Option<Login>,
    pub(super) forwarded: Option<Box<Forwarded>>,
    /// The client's label, where it is not what `client` says by now.
    pub(super) shown: Option<String>,
    /// A transcript that became too long to keep, with trouble in it.
    pub(super) flushed: Option<Transcript>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Greeting,
    Command,
    Checking(Check),
    Opening(Opening),
    Relaying(Check),
    Data,
    Bdat,
    EndOfMessage,
    Finishing,
    Reintroduced,
    Closing,
}

/// Why the message is being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Mail,
    Recipient,
}

/// A BDAT command whose content is on its way, or an earlier failure.
#[derive(Debug)]
pub(super) struct Bdat {
    pub remaining: u64,
    pub chunk: u64,
    pub last: bool,
    /// The chunk is thrown away, and this is the reply.
    pub refuse: Option<Refusal>,
    /// An earlier chunk of this sequence failed.
    pub failed: bool,
    /// Content of earlier chunks has been accepted.
    pub started: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub total: u32,
    pub good: u32,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Information.
    Info,
    /// The line begins with `warning: `.
    Warning,
}

impl<M: Message> Session<M> {
    /// A new connection. Nothing has been read or written.
    pub fn new(settings: Rc<Settings>, client: Client, rules: Rules) -> Session<M> {
        Session {
            settings,
            client,
            rules,
            state: State::Greeting,
            input: Vec::new(),
            position: 0,
            output: Vec::new(),
            log: Vec::new(),
            helo: None,
            esmtp: false,
            transaction: None,
            announced_size: 0,
            bdat: None,
            denied: false,
            place: "CONNECT",
            verb: Verb::Unknown,
            after_crlf: true,
            mid_line: false,
            overlong: None,
            errors: 0,
            junk: 0,
            pause: false,
            noted_early: false,
            counts: [Count::default(); 16],
            trouble: 0,
            history: Vec::new(),
            history_lines: 0,
            partial: Vec::new(),
            candidate: None,
            utf8: false,
            written: BString::default(),
            unread_parameters: BString::default(),
            line: BString::default(),
            former_helo: None,
            pending_esmtp: false,
            content_started: false,
            told_too_big: false,
            aborted: None,
            login: None,
            forwarded: None,
            shown: None,
            flushed: None,
        }
    }

    /// Where input is to be appended. It may be replaced by another buffer when it is empty.
    pub fn input(&mut self) -> &mut Vec<u8> {
        if self.position > 0 {
            if self.position == self.input.len() {
                self.input.clear();
            } else {
                self.input.drain(..self.position);
            }
            self.position = 0;
        }
        &mut self.input
    }

    /// Whether input is waiting that has not been dealt with.
    pub fn has_input(&self) -> bool {
        self.position < self.input.len()
    }

    /// Replies to be sent; the caller clears it.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Takes the replies.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Log lines since the last call, oldest first.
    pub fn take_log(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.log)
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name given with HELO or EHLO, made harmless.
    pub fn helo(&self) -> Option<&BStr> {
        self.helo.as_ref().map(|name| name.as_bstr())
    }

    /// `SMTP` or `ESMTP`, as in `proto=`.
    pub fn protocol(&self) -> &'static str {
        if self.esmtp { "ESMTP" } else { "SMTP" }
    }

    /// The command at work, as in log lines: `RCPT`, `END-OF-MESSAGE`.
    pub fn place(&self) -> &'static str {
        self.place
    }

    /// The transaction, from MAIL to its end.
    pub fn transaction(&self) -> Option<&Transaction<M>> {
        self.transaction.as_deref()
    }

    /// The transaction, to be changed.
    pub fn transaction_mut(&mut self) -> Option<&mut Transaction<M>> {
        self.transaction.as_deref_mut()
    }

    /// The queue id, or `NOQUEUE`.
    pub fn queue_id(&self) -> &str {
        self.transaction().and_then(|transaction| transaction.queue_id.as_deref()).unwrap_or("NOQUEUE")
    }

    /// A refusal as it will be sent: made temporary if `soft_bounce` wants it.
    pub fn softened(&self, reply: &str) -> String {
        lines::soften(reply, self.settings.soft_bounce)
    }

    /// A refusal that was only warned of: the postmaster may want to know of it all the same.
    pub fn note(&mut self, class: u8) {
        self.trouble |= class;
    }

    /// Input that follows the present command, for `reject_unauth_pipelining`.
    pub fn pending_input(&self) -> &BStr {
        self.input[self.position..].as_bstr()
    }

    /// Whether the client said EHLO.
    pub fn esmtp(&self) -> bool {
        self.esmtp
    }

    /// Goes on until the caller has something to do.
    pub fn step(&mut self) -> Step {
        loop {
            if self.pause {
                self.pause = false;
                return Step::Pause(self.settings.error_sleep);
            }
            let step = match self.state {
                State::Greeting => self.greet(),
                State::Command => self.command(),
                State::Checking(check) => Some(Step::Check(check)),
                State::Opening(_) => Some(Step::Open),
                State::Relaying(_) => Some(Step::Relay),
                State::Data | State::Bdat => self.content(),
                State::EndOfMessage => self.end_of_message(),
                State::Finishing => Some(Step::Finish),
                State::Reintroduced => {
                    self.introduce();
                    Some(Step::Reintroduced)
                }
                State::Closing => Some(Step::Close),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// The client may not even begin: one reply in place of the greeting, and the end.
    pub fn turn_away(&mut self, reply: &str) {
        self.log(Level::Info, format!("connect from {}", self.label()));
        self.reply(reply);
        self.state = State::Closing;
    }

    /// Whether message content is on its way, and not a command.
    pub fn receiving_content(&self) -> bool {
        matches!(self.state, State::Data | State::Bdat)
    }

    fn greet(&mut self) -> Option<Step> {
        self.log(Level::Info, format!("connect from {}", self.label()));
        self.introduce();
        None
    }

    /// The greeting, at connect and after XCLIENT.
    fn introduce(&mut self) {
        self.denied = false;
        if self.settings.delay_reject {
            self.banner();
            self.state = State::Command;
        } else {
            self.state = State::Checking(Check::Connect);
        }
    }

    pub(super) fn banner(&mut self) {
        self.reply(&format!("220 {}", Rc::clone(&self.settings).banner));
    }

    /// Reads a command line and begins to carry it out.
    fn command(&mut self) -> Option<Step> {
        if self.errors >= self.settings.hard_error_limit {
            self.reply(&format!("421 4.7.0 {} Error: too many errors", self.settings.hostname));
            let line = format!("{}: too many errors after {} from {}", self.queue_id(), self.place, self.label());
            self.log(Level::Info, line);
            self.trouble |= notice::PROTOCOL;
            self.aborted = Some("too many errors");
            self.state = State::Closing;
            return None;
        }
        // The line is borrowed from the buffer while the command changes the session, so the buffer is taken out for that time.
        let input = std::mem::take(&mut self.input);
        let step = self.command_line(&input);
        self.input = input;
        step
    }

    fn command_line(&mut self, input: &[u8]) -> Option<Step> {
        let limit = self.settings.line_length_limit;
        let rest = &input[self.position..];
        let Some(end) = memchr::memchr(b'\n', rest) else {
            // Too long: the beginning is taken for the command, the rest of the line is thrown away as it comes.
            if self.overlong.is_none() && rest.len() > limit + 1 {
                self.overlong = Some(rest[..limit].to_vec());
            }
            if self.overlong.is_some() {
                // A CR may belong to the line's end.
                self.position = input.len() - usize::from(input.last() == Some(&b'\r'));
            }
            return Some(Step::Read);
        };
        self.position += end + 1;
        let overlong = self.overlong.take();
        let (line, crlf) = match rest[..end].strip_suffix(b"\r") {
            Some(line) => (line, true),
            None => (&rest[..end], false),
        };
        let line = match &overlong {
            Some(start) => start,
            None if line.len() > limit => &line[..limit],
            None => line,
        };
        if overlong.is_some() || end > limit + 1 {
            let shown = lines::printable(&line[..line.len().min(30)]);
            self.log(Level::Warning, format!("{}: request longer than {limit}: {shown}...", self.label()));
        }
        if !crlf && self.bare_newline() == BareNewline::Reject {
            self.refuse_bare_newline();
            self.state = State::Closing;
            return None;
        }
        self.dispatch(line, &input[self.position..]);
        None
    }

    pub(super) fn bare_newline(&self) -> BareNewline {
        if self.rules.bare_newline_excluded { BareNewline::Allow } else { self.settings.bare_newline }
    }

    pub(super) fn refuse_bare_newline(&mut self) {
        self.trouble |= notice::PROTOCOL;
        let line = self.describe("reject", self.place, "bare <LF> received");
        self.log(Level::Info, line);
        self.reply(&format!("{} 5.5.2 {} Error: bare <LF> received", self.settings.bare_newline_code, self.settings.hostname));
    }

    /// Looks at one command line. `following` is input that came with it.
    fn dispatch(&mut self, line: &[u8], following: &[u8]) {
        let settings = Rc::clone(&self.settings);
        // What is no UTF-8 is refused as it came.
        let filter = settings.command_filter.as_ref().filter(|_| !settings.smtputf8 || line.is_utf8());
        let filtered = filter.and_then(|filter| filter(line.as_bstr()));
        if let Some(filtered) = &filtered {
            let (line, filtered) = (lines::printable(line), lines::printable(filtered));
            self.log(Level::Info, format!("{}: replacing command \"{line}\" with \"{filtered}\"", self.label()));
        }
        let line = filtered.as_ref().map_or(line, |filtered| filtered.as_slice());
        self.record("In:  ", line);
        if self.rules.debug {
            self.log(Level::Info, format!("< {}: {}", self.label(), lines::printable(line)));
        }
        // A NUL ends the line, as in Postfix, where lines are C strings.
        let line = line.find_byte(0).map_or(line, |end| &line[..end]);
        if settings.smtputf8 && std::str::from_utf8(line).is_err() {
            self.fail("500 5.5.2 Error: bad UTF-8 syntax");
            return;
        }
        let (word, arguments) = words::verb(line);
        if word.is_empty() {
            self.fail("500 5.5.2 Error: bad syntax");
            return;
        }
        if settings.noop_command.as_ref().is_some_and(|matches| matches(word)) {
            self.reply("250 2.0.0 Ok");
            self.junk_command();
            return;
        }
        if settings.relay {
            self.line = line.iter().map(|&c| if c.is_ascii_control() { b'?' } else { c }).collect::<Vec<u8>>().into();
        }
        self.verb = Verb::parse(word);
        self.counts[self.verb as usize].total += 1;
        if self.verb == Verb::Unknown {
            self.place = self.verb.as_str();
            let header = line.find_byte(b':').is_some_and(|colon| !line[..colon].contains(&b' '));
            if header || settings.forbidden_command.as_ref().is_some_and(|matches| matches(word)) {
                let shown = words::escape(&line[..line.len().min(100)]);
                self.log(Level::Warning, format!("non-SMTP command from {}: {}", self.label(), &shown[..shown.len().min(100)]));
                self.reply("221 2.7.0 Error: I can break rules, too. Goodbye.");
                self.state = State::Closing;
                return;
            }
        }
        // A client that may not speak does not get further in the log either, and what it sends ahead (the content of BDAT) is read as commands.
        if self.denied && self.verb != Verb::Quit {
            self.fail(&format!("503 5.7.0 Error: access denied for {}", self.label()));
            return;
        }
        self.place = self.verb.as_str();
        let early = settings.early_input != EarlyInput::Ignore && !following.is_empty() && !self.verb.may_be_pipelined(self.esmtp);
        if early && !self.noted_early {
            self.noted_early = true;
            let shown = words::escape(&following[..following.len().min(100)]);
            self.log(Level::Info, format!("improper command pipelining after {} from {}: {shown}", self.place, self.label()));
        }
        if early && settings.early_input == EarlyInput::Forbid {
            // Of this the postmaster is told by the log only, as in Postfix.
            self.reply("554 5.5.0 Error: SMTP protocol synchronization");
            self.state = State::Closing;
            return;
        }
        self.execute(arguments);
    }

    /// The command is done and was good: counted in the `disconnect` line.
    pub(super) fn succeed(&mut self, reply: &str) {
        self.counts[self.verb as usize].good += 1;
        self.reply(reply);
        self.state = State::Command;
    }

    /// The command was bad: an error of the client.
    pub(super) fn fail(&mut self, reply: &str) {
        self.fail_as(reply, notice::PROTOCOL);
    }

    /// As [`Session::fail`], of another class of [`notice`]; 0 for what the postmaster need not know.
    pub(super) fn fail_as(&mut self, reply: &str, class: u8) {
        self.reply(reply);
        self.errors += 1;
        self.trouble |= class;
        self.state = State::Command;
    }

    /// The command was refused. 421 and 521 end the session (RFC 5321 §3.8, RFC 7504).
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        if refusal.log {
            let reply = self.softened(&refusal.reply);
            let line = self.describe("reject", self.place, &reply);
            self.log(Level::Info, line);
            self.reply(&reply);
        } else {
            self.reply(&refusal.reply);
        }
        self.errors += 1;
        self.trouble |= refusal.class;
        self.state = if refusal.reply.starts_with("421") || refusal.reply.starts_with("521") { State::Closing } else { State::Command };
    }

    /// Commands that do nothing useful become errors when there are too many of them without mail.
    pub(super) fn junk_command(&mut self) {
        self.junk += 1;
        if self.junk > self.settings.junk_command_limit {
            self.errors += 1;
        }
    }

    /// Queues a reply of one line. A client with too many errors waits for it.
    pub(super) fn reply(&mut self, text: &str) {
        if self.errors >= self.settings.soft_error_limit && !self.settings.error_sleep.is_zero() {
            self.pause = true;
        }
        let bytes = text.as_bytes();
        if !matches!(bytes.first(), Some(b'4' | b'5')) {
            self.line(text);
            return;
        }
        let settings = Rc::clone(&self.settings);
        let mut text = Cow::Borrowed(text);
        if let Some(editor) = &settings.edit_refusal {
            let context = RefusalContext {
                client: &self.client,
                label: self.label(),
                helo: self.helo(),
                sender: self.transaction().map(|transaction| &transaction.sender),
                recipient: self.transaction().and_then(|transaction| transaction.first_recipient.as_ref()),
            };
            // As in Postfix it sees the refusals of restriction lists as `soft_bounce` made them, all others as they are without it.
            if let Some(edited) = editor(&context, &text) {
                text = Cow::Owned(edited);
            }
        }
        for part in text.split("\r\n") {
            self.line(&self.softened(part));
        }
    }

    /// Answers the end of a message with what a filter said, whatever that is.
    pub(super) fn pass_on(&mut self, reply: &str) {
        if reply.starts_with('2') {
            self.counts[self.verb as usize].good += 1;
            self.errors = 0;
            self.junk = 0;
        } else {
            self.errors += 1;
            self.trouble |= notice::POLICY;
        }
        self.state = if reply.starts_with("421") || reply.starts_with("521") { State::Closing } else { State::Command };
        if reply.starts_with(['4', '5']) {
            return self.reply(reply);
        }
        for line in reply.split("\r\n") {
            self.output.extend_from_slice(line.as_bytes());
            self.output.extend_from_slice(b"\r\n");
            self.record("Out: ", line.as_bytes());
        }
    }

    /// Queues one line of a reply.
    pub(super) fn line(&mut self, text: &str) {
        // RFC 5321 §4.5.3.1.5: 512 octets with CRLF.
        let mut end = text.len().min(510);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.output.extend_from_slice(&text.as_bytes()[..end]);
        self.output.extend_from_slice(b"\r\n");
        self.record("Out: ", &text.as_bytes()[..end]);
        if self.rules.debug {
            self.log(Level::Info, format!("> {}: {}", self.label(), &text[..end]));
        }
    }

    fn record(&mut self, tag: &str, text: &[u8]) {
        if self.settings.history.is_some() {
            self.history.extend_from_slice(tag.as_bytes());
            self.history.extend_from_slice(text);
            self.history.push(b'\n');
            self.history_lines += 1;
        }
    }

    /// At EHLO, RSET and the end of a message a transcript that has become long is closed; without trouble it is forgotten.
    pub(super) fn trim_history(&mut self) {
        if self.settings.history.is_some_and(|limit| self.history_lines > limit) {
            self.flushed = self.transcript().or(self.flushed.take());
            self.history = Vec::new();
            self.history_lines = 0;
        }
    }

    pub(super) fn log(&mut self, level: Level, text: String) {
        self.log.push((level, text));
    }

    /// `name[address]`, as in log lines.
    pub fn label(&self) -> String {
        self.shown.clone().unwrap_or_else(|| self.client.label(self.settings.log_port))
    }

    pub(super) fn with_input<R>(&mut self, work: impl FnOnce(&mut Self, &[u8]) -> R) -> R {
        let input = std::mem::take(&mut self.input);
        let result = work(self, &input);
        self.input = input;
        result
    }

    /// Ends the transaction, if any, with all that belongs to it.
    pub(super) fn end_transaction(&mut self) {
        self.transaction = None;
        self.bdat = None;
        self.partial = Vec::new();
        self.announced_size = 0;
        self.forwarded = None;
        if let Some(login) = self.login.as_mut() {
            login.sender.clear();
        }
    }
}
