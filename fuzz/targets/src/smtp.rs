//! A whole session with the SMTP server's engine: commands, DATA, BDAT, XCLIENT, XFORWARD, the filter in front of the queue.

use bstr::{BStr, BString, ByteSlice};
use posthaste_smtp_protocol::server::{
    BareNewline, Check, Client, EarlyInput, Finished, Message, Recipient, Refusal, Rules, Session, Settings, Step, Verdict,
};
use std::cell::RefCell;
use std::rc::Rc;

/// What a message was told, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mail {
    recipients: Vec<BString>,
    lines: Vec<(BString, bool)>,
    queued: bool,
}

struct Sink {
    mail: Rc<RefCell<Mail>>,
    limit: usize,
}

impl Message for Sink {
    fn recipient(&mut self, recipient: &Recipient) {
        self.mail.borrow_mut().recipients.push(recipient.address.as_bytes().to_owned());
    }

    fn line(&mut self, text: &BStr, whole: bool) {
        assert!(!text.contains(&b'\n'), "a line of content has no line end in it: {text:?}");
        assert!(text.len() <= self.limit, "a piece of a line is bounded");
        self.mail.borrow_mut().lines.push((text.to_owned(), whole));
    }
}

/// What can be seen of a session from outside.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    output: BString,
    mails: Vec<Mail>,
    closed: bool,
}

/// The first two bytes choose settings, the third the size of the pieces in which the rest comes. However it is cut, the session must be the same.
pub fn smtp_server(data: &[u8]) {
    let Some((&[first, second, size], input)) = data.split_first_chunk::<3>() else { return };
    let whole = session(first, second, input, input.len().max(1));
    let pieces = session(first, second, input, usize::from(size) % 64 + 1);
    assert_eq!(whole, pieces, "the cuts that the network makes change nothing");
}

fn settings(first: u8, second: u8) -> Settings {
    let mut settings = Settings::example();
    settings.helo_required = first & 1 != 0;
    settings.strict_envelopes = first & 2 != 0;
    settings.delay_reject = first & 4 == 0;
    settings.delay_open = first & 8 != 0;
    settings.relay = first & 16 != 0;
    settings.smtputf8 = first & 32 == 0;
    settings.disable_vrfy = first & 64 != 0;
    settings.soft_bounce = first & 128 != 0;
    settings.bare_newline = [BareNewline::Allow, BareNewline::Normalize, BareNewline::Reject, BareNewline::Note][usize::from(second & 3)];
    settings.message_size_limit = if second & 4 != 0 { 100 } else { 0 };
    settings.line_length_limit = if second & 8 != 0 { 64 } else { 2048 };
    settings.recipient_limit = if second & 16 != 0 { 2 } else { 1000 };
    settings.history = (second & 32 != 0).then_some(10);
    // What came before the reply was sent depends on the cuts.
    settings.early_input = EarlyInput::Ignore;
    settings
}

fn session(first: u8, second: u8, mut input: &[u8], size: usize) -> Seen {
    let settings = settings(first, second);
    let (line_limit, junk_limit) = (settings.line_length_limit, 1 << 16);
    let rules = Rules { xclient: second & 64 != 0, xforward: second & 64 != 0, verp: second & 64 != 0, ..Rules::default() };
    let mut session: Session<Sink> = Session::new(Rc::new(settings), Client::local(), rules);
    let mut seen = Seen::default();
    let mut mail: Option<Rc<RefCell<Mail>>> = None;
    // Each byte may end a command, and each command takes a few steps.
    let mut steps = 20 * (input.len() as u64 + 10);
    loop {
        steps = steps.checked_sub(1).expect("a session ends when its input does");
        let step = session.step();
        let output = session.take_output();
        check_output(&output);
        seen.output.extend_from_slice(&output);
        for (_, line) in session.take_log() {
            assert!(!line.chars().any(char::is_control), "log lines are one line, and fit for a terminal: {line:?}");
        }
        match step {
            Step::Read => {
                let waiting = session.input().len();
                assert!(waiting <= line_limit.max(2048) + junk_limit, "what waits is bounded: {waiting}");
                if session.take_flushed().is_some() {
                    continue;
                }
                let (piece, rest) = input.split_at(size.min(input.len()));
                if piece.is_empty() {
                    break;
                }
                session.input().extend_from_slice(piece);
                input = rest;
            }
            Step::Close => {
                seen.closed = true;
                break;
            }
            Step::Pause(_) => {}
            Step::Check(check) => {
                let verdict = verdict(check, &session);
                session.decide(verdict);
            }
            Step::Open => {
                let new = Rc::new(RefCell::new(Mail::default()));
                mail = Some(Rc::clone(&new));
                if session.transaction().is_some_and(|transaction| transaction.sender.as_bytes().starts_with(b"full")) {
                    session.opened(Err(Refusal::policy("452 4.3.1 full")));
                } else {
                    session.opened(Ok((Sink { mail: new, limit: line_limit }, "QID")));
                }
            }
            Step::Relay => {
                let command = session.relayed_command().to_owned();
                assert!(
                    !command.iter().any(|c| c.is_ascii_control()),
                    "a filter gets one command, without control characters: {command:?}"
                );
                let refused = command.contains_str("filter");
                session.relayed(if refused { Err(Refusal::policy("550 5.7.1 filtered")) } else { Ok(()) });
            }
            Step::StartContent => assert!(session.transaction().is_some_and(|transaction| transaction.message.is_some())),
            Step::Reintroduced => session.set_rules(rules),
            Step::Finish => {
                let mail = mail.take().expect("a message that ends was opened");
                assert!(!mail.borrow().recipients.is_empty() || first & 16 != 0, "a message has recipients");
                mail.borrow_mut().queued = true;
                seen.mails.push(mail.borrow().clone());
                session.finished(Finished::Queued);
            }
        }
    }
    session.disconnect();
    seen
}

fn check_output(output: &[u8]) {
    assert!(output.is_empty() || output.ends_with(b"\r\n"), "replies are whole lines: {:?}", output.as_bstr());
    for line in output.lines_with_terminator() {
        let line = line.strip_suffix(b"\r\n").expect("replies end in CR LF");
        let code = line.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit));
        assert!(code && matches!(line.get(3), None | Some(b' ' | b'-')), "a reply line: {:?}", line.as_bstr());
        assert!(!line.iter().any(|c| c.is_ascii_control()), "no control characters in a reply: {:?}", line.as_bstr());
        assert!(line.len() <= 6000, "a reply is bounded");
    }
}

/// Refuses what the input asks to be refused.
fn verdict(check: Check, session: &Session<Sink>) -> Verdict {
    let asks = |text: &BStr| {
        if text.starts_with(b"bad") {
            Verdict::Refuse(Refusal::policy("550 5.7.1 refused"))
        } else if text.starts_with(b"gone") {
            Verdict::Refuse(Refusal::policy("521 5.7.1 go away"))
        } else if text.starts_with(b"none") {
            Verdict::BadAddress
        } else if text.starts_with(b"hang") {
            Verdict::HangUp
        } else {
            Verdict::Accept
        }
    };
    match check {
        Check::Helo | Check::Connect => session.helo().map_or(Verdict::Accept, asks),
        Check::Mail | Check::SenderAddress => {
            session.transaction().map_or(Verdict::Accept, |transaction| asks(transaction.sender.as_bytes()))
        }
        Check::Recipient | Check::RecipientAddress | Check::Verify => {
            session.candidate().map_or(Verdict::Accept, |candidate| asks(candidate.address.as_bytes()))
        }
        Check::Data | Check::EndOfMessage => session.transaction().map_or(Verdict::Accept, |transaction| {
            if transaction.sender.as_bytes().contains_str("data") {
                Verdict::Refuse(Refusal::policy("554 5.7.1 no"))
            } else {
                Verdict::Accept
            }
        }),
        Check::Etrn => Verdict::Reply("250 Queuing started".into()),
    }
}
