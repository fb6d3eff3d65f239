//! Sessions from transcripts. What the server must answer was seen from Postfix 3.7.11.

use super::*;
use bstr::{BStr, BString, ByteSlice};
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// What the test's message received: recipients and content, kept beyond the message's life.
#[derive(Default)]
struct Store {
    recipients: Vec<String>,
    content: BString,
    dropped: u32,
}

struct Stored(Rc<RefCell<Store>>);

impl Message for Stored {
    fn recipient(&mut self, recipient: &Recipient) {
        self.0.borrow_mut().recipients.push(recipient.address.to_string());
    }
    fn line(&mut self, text: &BStr, whole: bool) {
        let content = &mut self.0.borrow_mut().content;
        content.extend_from_slice(text);
        content.push(if whole { b'\n' } else { b'\\' });
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped += 1;
    }
}

/// A session with a caller that refuses what contains `bad`, and stores messages as `QID`.
struct Run {
    session: Session<Stored>,
    store: Rc<RefCell<Store>>,
    log: Vec<String>,
    pauses: u32,
    closed: bool,
    /// Commands that were to be passed on, with what the filter says to those that contain `filter`.
    relayed: Vec<String>,
}

impl Run {
    fn new(change: impl FnOnce(&mut Settings)) -> Run {
        Run::with(Rules::default(), change)
    }

    fn with(rules: Rules, change: impl FnOnce(&mut Settings)) -> Run {
        let mut settings = Settings::example();
        change(&mut settings);
        let client = Client { name: "client.example.org".into(), address: "192.0.2.10".into(), ..Client::local() };
        let session = Session::new(Rc::new(settings), client, rules);
        let mut run = Run { session, store: Rc::default(), log: Vec::new(), pauses: 0, closed: false, relayed: Vec::new() };
        run.go();
        run
    }

    fn plain() -> Run {
        let mut run = Run::new(|_| {});
        run.replies();
        run
    }

    fn go(&mut self) {
        loop {
            let step = self.session.step();
            self.log.extend(self.session.take_log().into_iter().map(|(_, line)| line));
            match step {
                Step::Read => return,
                Step::Close => {
                    self.closed = true;
                    return;
                }
                Step::Pause(_) => self.pauses += 1,
                Step::Check(check) => {
                    let verdict = self.verdict(check);
                    self.session.decide(verdict);
                }
                Step::Open => self.session.opened(Ok((Stored(Rc::clone(&self.store)), "QID"))),
                Step::StartContent => {}
                Step::Relay => {
                    let command = self.session.relayed_command().to_string();
                    let refused =
                        command.contains("filter") || self.session.transaction().is_some_and(|t| t.command.contains_str("filter"));
                    self.relayed.push(command);
                    self.session.relayed(if refused { Err(Refusal::policy("550 5.7.1 filtered")) } else { Ok(()) });
                }
                // Only the client that connected is trusted.
                Step::Reintroduced => {
                    let trusted = self.session.client().address == "192.0.2.10";
                    self.session.set_rules(Rules { xclient: trusted, xforward: trusted, verp: trusted, ..Rules::default() });
                }
                Step::Finish => self.session.finished(Finished::Queued),
            }
        }
    }

    fn verdict(&self, check: Check) -> Verdict {
        let refuse = |reply: &str| Verdict::Refuse(Refusal::policy(reply));
        match check {
            Check::Recipient | Check::Verify => match self.session.candidate() {
                Some(recipient) if recipient.address.to_string().starts_with("bad") => refuse("550 5.1.1 unknown"),
                Some(recipient) if recipient.address.to_string().starts_with("gone") => refuse("521 5.7.1 go away"),
                Some(recipient) if recipient.address.to_string().ends_with('@') => Verdict::BadAddress,
                _ => Verdict::Accept,
            },
            Check::Helo if self.session.helo().is_some_and(|name| name == "bad") => refuse("501 5.5.2 bad name"),
            Check::Connect if self.session.client().name == "bad" => refuse("554 5.7.1 no"),
            Check::Data | Check::EndOfMessage | Check::Mail => {
                let sender = self.session.transaction().map(|transaction| transaction.sender.to_string()).unwrap_or_default();
                if sender == format!("bad{check:?}@x") { refuse("554 5.7.1 refused") } else { Verdict::Accept }
            }
            Check::Etrn => Verdict::Reply("459 <x>: service unavailable".into()),
            _ => Verdict::Accept,
        }
    }

    /// Sends bytes in one piece and returns the replies.
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.session.input().extend_from_slice(bytes.as_ref());
        self.go();
        self.replies()
    }

    fn replies(&mut self) -> String {
        String::from_utf8(self.session.take_output()).unwrap().replace("\r\n", "\n").trim_end().to_owned()
    }

    /// Sends commands one by one; `C` lines and the replies expected for each.
    fn talk(&mut self, dialogue: &[(&str, &str)]) {
        for (command, expected) in dialogue {
            assert_eq!(self.send(format!("{command}\r\n")), *expected, "to {command}");
        }
    }

    fn disconnect(&mut self) -> String {
        self.session.disconnect();
        self.session.take_log().pop().unwrap().1
    }

    fn content(&self) -> BString {
        self.store.borrow().content.clone()
    }
}

const EHLO: &str = "250-mail.example.com\n250-PIPELINING\n250-SIZE 10240000\n250-VRFY\n250-ETRN\n250-ENHANCEDSTATUSCODES\n250-8BITMIME\n\
    250-DSN\n250-SMTPUTF8\n250 CHUNKING";

/// S-SMTPD-01, S-SMTPD-02, S-SMTPD-15, S-EXT-05.
#[test]
fn a_plain_session() {
    let mut run = Run::new(|_| {});
    assert_eq!(run.replies(), "220 mail.example.com ESMTP Posthaste");
    run.talk(&[
        ("EHLO client.example.org", EHLO),
        ("MAIL FROM:<sender@example.org>", "250 2.1.0 Ok"),
        ("RCPT TO:<alice@example.com>", "250 2.1.5 Ok"),
        ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
        ("From: sender@example.org\r\n\r\nFirst line\r\n..dot\r\n.", "250 2.0.0 Ok: queued as QID"),
        ("QUIT", "221 2.0.0 Bye"),
    ]);
    assert!(run.closed);
    assert_eq!(run.content(), "From: sender@example.org\n\nFirst line\n.dot\n");
    assert_eq!(run.store.borrow().recipients, ["alice@example.com"]);
    assert_eq!(run.log, ["connect from client.example.org[192.0.2.10]"]);
    assert_eq!(run.disconnect(), "disconnect from client.example.org[192.0.2.10] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5");
}

/// S-FILTER-13: RCPT and DATA are answered by the filter, and are passed on without anything that could be a line end.
#[test]
fn a_filter_before_the_queue() {
    let mut run = Run::new(|settings| settings.relay = true);
    run.replies();
    run.talk(&[
        ("EHLO a", EHLO),
        ("MAIL FROM:<s@x> SIZE=5", "250 2.1.0 Ok"),
        ("RCPT TO:<filter@x>", "550 5.7.1 filtered"),
        ("DATA", "554 5.5.1 Error: no valid recipients"),
        ("RCPT TO:<a@x>\rRCPT TO:<b@x>\x01", "501 5.1.3 Bad recipient address syntax"),
        ("rcpt  TO:<\"a\rb\"@x>", "250 2.1.5 Ok"),
        ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
        ("a: b\r\n.", "250 2.0.0 Ok: queued as QID"),
        ("MAIL FROM:<filter@x>", "250 2.1.0 Ok"),
        ("RCPT TO:<a@x>", "550 5.7.1 filtered"),
        ("RSET", "250 2.0.0 Ok"),
    ]);
    assert_eq!(run.relayed, ["RCPT TO:<filter@x>", "rcpt  TO:<\"a?b\"@x>", "DATA", "RCPT TO:<a@x>"]);
    assert!(!run.log.iter().any(|line| line.contains("pipelining")));
}

/// A refused DATA leaves the transaction; with BDAT the chunk is swallowed first. Replies of several lines go through whole.
#[test]
fn a_filter_that_refuses_late() {
    let mut run = Run::new(|settings| settings.relay = true);
    run.replies();
    run.send("EHLO a\r\n");
    run.send("MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\n");
    run.session.transaction_mut().unwrap().command = "MAIL FROM:<filter@x>".into();
    assert_eq!(run.send("DATA\r\n"), "550 5.7.1 filtered");
    assert_eq!(run.send("BDAT 6\r\nNOOP\r\n"), "550 5.7.1 filtered");
    assert_eq!(run.send("BDAT 3 LAST\r\nabc"), "551 5.0.0 Discarded 3 bytes after earlier error");
    for (reply, closed) in
        [("250-2.0.0 a\r\n250 2.0.0 b", false), ("354 odd", false), ("554-5.7.0 a\r\n554 5.7.0 b", false), ("421 4.3.2 bye", true)]
    {
        run.send("MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
        run.session.input().extend_from_slice(b"x\r\n.\r\n");
        while run.session.step() != Step::Finish {
            run.session.decide(Verdict::Accept);
        }
        run.session.finished(Finished::Reply(reply.into()));
        run.go();
        assert_eq!(run.replies(), reply.replace("\r\n", "\n"));
        assert_eq!(run.closed, closed);
    }
}

/// S-EXT-01: replies to a pipelined group come in one piece, in order.
#[test]
fn pipelining() {
    let mut run = Run::plain();
    run.send("EHLO a\r\n");
    let replies = run.send("MAIL FROM:<s@example.org>\r\nRCPT TO:<alice@x>\r\nRCPT TO:<bad@x>\r\nRCPT TO:<bob@x>\r\nDATA\r\n");
    assert_eq!(replies, "250 2.1.0 Ok\n250 2.1.5 Ok\n550 5.1.1 unknown\n250 2.1.5 Ok\n354 End data with <CR><LF>.<CR><LF>");
    assert_eq!(
        run.send("x\r\n.\r\nRSET\r\nMAIL FROM:<s@x>\r\nQUIT\r\n"),
        "250 2.0.0 Ok: queued as QID\n250 2.0.0 Ok\n250 2.1.0 Ok\n221 2.0.0 Bye"
    );
}

/// The parity scenario smtpd/pipelining, and each verb as observed.
#[test]
fn improper_pipelining() {
    let refused = "554 5.5.0 Error: SMTP protocol synchronization";
    for (hello, command, may) in [
        ("EHLO a\r\n", "EHLO a", false),
        ("EHLO a\r\n", "HELO a", false),
        ("EHLO a\r\n", "DATA", false),
        ("EHLO a\r\n", "NOOP", false),
        ("EHLO a\r\n", "VRFY alice", false),
        ("EHLO a\r\n", "MAIL FROM:<a@b>", true),
        ("EHLO a\r\n", "RSET", true),
        ("EHLO a\r\n", "ETRN x", true),
        ("EHLO a\r\n", "FOO", true),
        ("EHLO a\r\n", "STARTTLS", true),
        ("EHLO a\r\n", "QUIT", true),
        ("HELO a\r\n", "MAIL FROM:<a@b>", false),
        ("HELO a\r\n", "RSET", false),
        ("HELO a\r\n", "QUIT", false),
        ("HELO a\r\n", "ETRN x", false),
        ("HELO a\r\n", "STARTTLS", false),
        ("HELO a\r\n", "BDAT 0", false),
        ("HELO a\r\n", "FOO", true),
    ] {
        let mut run = Run::plain();
        run.send(hello);
        let replies = run.send(format!("{command}\r\nQUIT\r\n"));
        assert_eq!(replies != refused, may, "{hello}{command}: {replies}");
        if !may {
            assert!(run.closed);
            let verb = command.split(' ').next().unwrap();
            assert_eq!(run.log[1], format!("improper command pipelining after {verb} from client.example.org[192.0.2.10]: QUIT\\r\\n"));
        }
    }
}

/// S-SMTPD-03, -04, -06, -07, -10: the parity scenario smtpd/sequence.
#[test]
fn order_of_commands() {
    let mut run = Run::new(|settings| {
        settings.helo_required = true;
        settings.hard_error_limit = 100;
        settings.soft_error_limit = 100;
    });
    run.replies();
    run.talk(&[
        ("NOOP", "250 2.0.0 Ok"),
        ("MAIL FROM:<a@example.org>", "503 5.5.1 Error: send HELO/EHLO first"),
        ("RCPT TO:<alice@example.com>", "503 5.5.1 Error: need MAIL command"),
        ("DATA", "503 5.5.1 Error: need RCPT command"),
        ("FROBNICATE", "500 5.5.2 Error: command not recognized"),
        ("helo client.example.org", "250 mail.example.com"),
        ("mail from:<a@example.org>", "250 2.1.0 Ok"),
        ("MAIL FROM:<b@example.org>", "503 5.5.1 Error: nested MAIL command"),
        ("DATA", "554 5.5.1 Error: no valid recipients"),
        ("rcpt to:<alice@example.com>", "250 2.1.5 Ok"),
        ("HELO again.example.org", "250 mail.example.com"),
        ("DATA", "503 5.5.1 Error: need RCPT command"),
        ("RSET", "250 2.0.0 Ok"),
        ("RSET extra", "501 5.5.4 Syntax: RSET"),
        ("NOOP whatever you like", "250 2.0.0 Ok"),
        ("HELP", "500 5.5.2 Error: command not recognized"),
        ("VRFY", "501 5.5.4 Syntax: VRFY address [SMTPUTF8]"),
        ("VRFY alice", "252 2.0.0 alice"),
        ("VRFY <alice@example.com>", "252 2.0.0 <alice@example.com>"),
        ("VRFY bad@example.com", "550 5.1.1 unknown"),
        ("VRFY alice bob", "501 5.1.3 Bad recipient address syntax"),
        ("ETRN", "500 Syntax: ETRN domain"),
        ("ETRN a b", "500 Syntax: ETRN domain"),
        ("ETRN foo_bar..baz", "501 Error: invalid parameter syntax"),
        ("ETRN @x", "459 <x>: service unavailable"),
        ("STARTTLS", "502 5.5.1 Error: command not implemented"),
        ("AUTH PLAIN", "503 5.5.1 Error: authentication not enabled"),
        ("XCLIENT NAME=a", "550 5.7.0 Error: insufficient authorization"),
        ("MAIL FROM:<a@b>", "250 2.1.0 Ok"),
        ("ETRN x", "503 Error: MAIL transaction in progress"),
        ("HELO", "501 Syntax: HELO hostname"),
        ("EHLO", "501 Syntax: EHLO hostname"),
        ("QUIT now", "221 2.0.0 Bye"),
    ]);
    assert_eq!(
        run.disconnect(),
        "disconnect from client.example.org[192.0.2.10] helo=2/3 ehlo=0/1 xclient=0/1 starttls=0/1 auth=0/1 mail=2/4 rcpt=1/2 data=0/3 \
         rset=1/2 noop=2 vrfy=2/5 etrn=0/5 quit=1 unknown=0/2 commands=11/33"
    );
}

/// S-SMTPD-08, -11, -12: the parity scenarios smtpd/syntax and smtpd/esmtp_parameters.
#[test]
fn syntax_and_parameters() {
    let mut run = Run::new(|settings| {
        settings.message_size_limit = 5000;
        settings.hard_error_limit = 1000;
        settings.soft_error_limit = 1000;
    });
    run.send("EHLO a\r\n");
    for (arguments, expected) in [
        ("", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        (" FROM", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        (" FROM:", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        (" FROM :<a@b>", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        (" FOO:<a@b>", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        (" FROM:<a@example.org", "501 5.1.7 Bad sender address syntax"),
        (" FROM:a@example.org", "250 2.1.0 Ok"),
        (" FROM: <a@example.org>", "250 2.1.0 Ok"),
        (" FROM:<>", "250 2.1.0 Ok"),
        (" FROM:<a@example.org> FOO=BAR", "555 5.5.4 Unsupported option: FOO=BAR"),
        (" FROM:<a@example.org> SIZE", "555 5.5.4 Unsupported option: SIZE"),
        (" FROM:<a@example.org> BODY=BINARYMIME", "555 5.5.4 Unsupported option: BODY=BINARYMIME"),
        (" FROM: foo bar <x@y>", "555 5.5.4 Unsupported option: bar"),
        (" FROM:<a b@example.org>", "501 5.1.7 Bad sender address syntax"),
        (" FROM:<a@b> body=8bitmime size=1000", "250 2.1.0 Ok"),
        (" FROM:<a@b> SIZE=5001", "552 5.3.4 Message size exceeds fixed limit"),
        (" FROM:<a@b> SIZE=abc", "501 5.5.4 Bad message size syntax"),
        (" FROM:<a@b> SIZE=-1", "501 5.5.4 Bad message size syntax"),
        (" FROM:<a@b> BODY=7BIT RET=FULL ENVID=abc+2Bdef", "250 2.1.0 Ok"),
        (" FROM:<a@b> RET=SOME", "501 5.5.4 Bad RET parameter syntax"),
        (" FROM:<a@b> RET=HDRS RET=FULL", "501 5.5.4 Bad RET parameter syntax"),
        (" FROM:<a@b> ENVID=a+b", "501 5.5.4 Bad ENVID parameter syntax"),
        (" FROM:<a@b> ENVID=", "501 5.5.4 Bad ENVID parameter syntax"),
        (" FROM:<a@b> AUTH=<>", "250 2.1.0 Ok"),
        (" FROM:<a@b> SMTPUTF8", "250 2.1.0 Ok"),
        (" FROM:<a@b> SMTPUTF8=1", "555 5.5.4 Unsupported option: SMTPUTF8=1"),
    ] {
        assert_eq!(run.send(format!("MAIL{arguments}\r\n")), expected, "{arguments}");
        run.send("RSET\r\n");
    }
    run.send("MAIL FROM:<s@example.org>\r\n");
    for (arguments, expected) in [
        ("", "501 5.5.4 Syntax: RCPT TO:<address>"),
        (" TO:<>", "501 5.1.3 Bad recipient address syntax"),
        (" TO:<\"\">", "501 5.1.3 Bad recipient address syntax"),
        (" TO:<alice@>", "501 5.1.3 Bad recipient address syntax"),
        (" TO:alice", "250 2.1.5 Ok"),
        (" TO:<a@b> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;alice@example.com", "250 2.1.5 Ok"),
        (" TO:<a@b> NOTIFY=NEVER,SUCCESS", "501 5.5.4 Error: Bad NOTIFY parameter syntax"),
        (" TO:<a@b> NOTIFY=SOMETIMES", "501 5.5.4 Error: Bad NOTIFY parameter syntax"),
        (" TO:<a@b> NOTIFY=SUCCESS NOTIFY=FAILURE", "501 5.5.4 Error: Bad NOTIFY parameter syntax"),
        (" TO:<a@b> ORCPT=alice@example.com", "501 5.5.4 Error: Bad ORCPT parameter syntax"),
        (" TO:<a@b> FOO", "555 5.5.4 Unsupported option: FOO"),
        (" TO:<a@b> SIZE=1", "555 5.5.4 Unsupported option: SIZE=1"),
    ] {
        assert_eq!(run.send(format!("RCPT{arguments}\r\n")), expected, "{arguments}");
    }
    let illegal: Vec<_> = run.log.iter().filter(|line| line.starts_with("Illegal")).collect();
    assert_eq!(illegal[0], "Illegal address syntax from client.example.org[192.0.2.10] in MAIL command: <a b@example.org>");
    assert_eq!(illegal.len(), 4);
    assert!(run.log.contains(&"unknown DSN NOTIFY command value \"SOMETIMES\" in \"SOMETIMES\"".to_owned()));
}

/// S-EXT-02 and its quirk: a refused SIZE is held against later MAIL commands until RSET.
#[test]
fn a_refused_size_sticks() {
    let mut run = Run::new(|settings| settings.message_size_limit = 5000);
    run.send("EHLO a\r\n");
    run.talk(&[
        ("MAIL FROM:<a@b> SIZE=5001", "552 5.3.4 Message size exceeds fixed limit"),
        ("MAIL FROM:<a@b>", "552 5.3.4 Message size exceeds fixed limit"),
        ("RCPT TO:<a@b>", "503 5.5.1 Error: need MAIL command"),
        ("RSET", "250 2.0.0 Ok"),
        ("MAIL FROM:<a@b>", "250 2.1.0 Ok"),
    ]);
    assert_eq!(
        run.log[1],
        "NOQUEUE: reject: MAIL from client.example.org[192.0.2.10]: 552 5.3.4 Message size exceeds fixed limit; from=<a@b> proto=ESMTP helo=<a>"
    );
}

/// S-LIMIT-02: content over the limit is swallowed, and its file is gone before the end.
#[test]
fn too_big() {
    let mut run = Run::new(|settings| settings.message_size_limit = 100);
    run.send("EHLO a\r\n");
    run.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    assert_eq!(run.send(format!("{}\r\n", "x".repeat(200))), "");
    assert_eq!(run.store.borrow().dropped, 1);
    assert_eq!(run.send("more\r\n.\r\n"), "552 5.3.4 Error: message file too big");
    assert_eq!(run.content(), "");
    assert!(run.log.contains(&"QID: queue file size limit exceeded".to_owned()));
    assert_eq!(run.send("MAIL FROM:<a@b>\r\n"), "250 2.1.0 Ok");
}

/// S-LIMIT-01, S-LIMIT-04: the parity scenario smtpd/error_limits.
#[test]
fn limits() {
    let small = |settings: &mut Settings| {
        settings.soft_error_limit = 2;
        settings.hard_error_limit = 4;
        settings.junk_command_limit = 3;
        settings.recipient_limit = 3;
        settings.recipient_overshoot_limit = 2;
    };
    let mut run = Run::new(small);
    run.send("EHLO a\r\n");
    for _ in 0..3 {
        assert_eq!(run.send("BOGUS\r\n"), "500 5.5.2 Error: command not recognized");
    }
    assert_eq!(run.pauses, 1, "the third error is beyond the soft limit");
    assert_eq!(run.send("BOGUS\r\n"), "500 5.5.2 Error: command not recognized\n421 4.7.0 mail.example.com Error: too many errors");
    assert!(run.closed);
    assert_eq!(run.log[1], "NOQUEUE: too many errors after UNKNOWN from client.example.org[192.0.2.10]");
    assert_eq!(run.disconnect(), "disconnect from client.example.org[192.0.2.10] ehlo=1 unknown=0/4 commands=1/5");

    let mut run = Run::new(small);
    run.send("EHLO a\r\n");
    for _ in 0..6 {
        assert_eq!(run.send("NOOP\r\n"), "250 2.0.0 Ok");
    }
    assert_eq!(run.send("NOOP\r\n"), "250 2.0.0 Ok\n421 4.7.0 mail.example.com Error: too many errors");
    assert_eq!(run.disconnect(), "disconnect from client.example.org[192.0.2.10] ehlo=1 noop=7 commands=8");

    let mut run = Run::new(small);
    run.send("EHLO a\r\n");
    run.send("MAIL FROM:<a@b>\r\n");
    for expected in ["250 2.1.5 Ok"; 3].into_iter().chain(["452 4.5.3 Error: too many recipients"; 3]) {
        assert_eq!(run.send("RCPT TO:<alice@x>\r\n"), expected);
    }
    run.send("DATA\r\n");
    assert_eq!(run.send(".\r\n"), "250 2.0.0 Ok: queued as QID");
    assert_eq!(run.disconnect(), "disconnect from client.example.org[192.0.2.10] ehlo=1 mail=1 rcpt=5/6 data=1 commands=8/9");
}

/// S-EXT-06, S-EXT-07, S-EXT-09: the parity scenario smtpd/bdat and what was seen besides.
#[test]
fn bdat() {
    let mut run = Run::new(|settings| settings.soft_error_limit = 100);
    run.send("EHLO a\r\n");
    assert_eq!(run.send("BDAT 5\r\nhello"), "503 5.5.1 Error: need RCPT command");
    run.talk(&[("RCPT TO:<a@b>", "503 5.5.1 Error: need MAIL command"), ("DATA", "503 5.5.1 Error: DATA after BDAT")]);
    assert_eq!(run.send("BDAT 3\r\nabc"), "551 5.0.0 Discarded 3 bytes after earlier error");
    run.talk(&[("MAIL FROM:<s@x>", "503 5.5.1 Error: MAIL after BDAT"), ("RSET", "250 2.0.0 Ok"), ("MAIL FROM:<s@x>", "250 2.1.0 Ok")]);
    assert_eq!(run.send("BDAT 3 LAST\r\nabc"), "554 5.5.1 Error: no valid recipients");
    run.send("MAIL FROM:<s@x>\r\nRCPT TO:<bob@x>\r\n");
    assert_eq!(run.send("BDAT 20\r\nSubject: two chunks\n"), "250 2.0.0 Ok: 20 bytes");
    run.talk(&[("DATA", "503 5.5.1 Error: DATA after BDAT"), ("RCPT TO:<c@x>", "503 5.5.1 Error: RCPT after BDAT")]);
    assert_eq!(run.send("BDAT 10\r\n\r\nline one"), "250 2.0.0 Ok: 10 bytes");
    assert_eq!(run.send("bdat 0 last\r\n"), "250 2.0.0 Ok: 33 bytes queued as QID");
    assert_eq!(run.content(), "Subject: two chunks\n\nline one\n");
    run.send("MAIL FROM:<badData@x>\r\nRCPT TO:<bob@x>\r\n");
    assert_eq!(run.send("BDAT 4 LAST\r\nQUIT"), "554 5.7.1 refused");
    assert_eq!(run.send("BDAT x\r\n"), "521 5.5.4 Syntax: BDAT count [LAST]");
    assert!(run.closed);
    assert_eq!(run.log.last().unwrap(), "NOQUEUE: malformed BDAT command syntax from client.example.org[192.0.2.10]: BDAT x");
}

/// A dot alone, a CR at the border of two chunks, a long line: BDAT content is lines but has no dots to undo.
#[test]
fn bdat_lines() {
    let mut run = Run::new(|settings| settings.line_length_limit = 512);
    run.send("EHLO a\r\n");
    run.send("MAIL FROM:<s@x>\r\nRCPT TO:<bob@x>\r\n");
    run.send("BDAT 7\r\n.\r\n..\r\r");
    run.send("BDAT 4\r\n\nab\n");
    let long = "y".repeat(1100);
    run.send(format!("BDAT 1100\r\n{long}"));
    assert!(run.session.partial.len() <= 513, "no more is kept than a piece");
    // Postfix counts two bytes for the end of each piece of a long line.
    assert_eq!(run.send("BDAT 1 LAST\r\nz"), format!("250 2.0.0 Ok: {} bytes queued as QID", 3 + 5 + 4 + (1101 + 3 * 2)));
    let (a, b) = ("y".repeat(512), "y".repeat(76));
    assert_eq!(run.content(), format!(".\n..\r\nab\n{a}\\{a}\\{b}z\n"));
}

/// The parity scenario smtpd/data_transparency: SMTP smuggling.
#[test]
fn bare_newlines() {
    let body = "Subject: x\r\n\r\none\r\n.\nRSET\r\n\n.\r\ntwo\n.\n\r\n.\r\n";
    let open = "MAIL FROM:<s@x>\r\nRCPT TO:<dave@x>\r\nDATA\r\n";
    let mut run = Run::plain();
    run.send("EHLO a\r\n");
    run.send(open);
    assert_eq!(run.send(body), "250 2.0.0 Ok: queued as QID");
    assert_eq!(run.content(), "Subject: x\n\none\nRSET\n\ntwo\n\n");

    let mut run = Run::new(|settings| settings.bare_newline = BareNewline::Reject);
    run.send("EHLO a\r\n");
    run.send(open);
    assert_eq!(run.send(body), "550 5.5.2 mail.example.com Error: bare <LF> received");
    assert_eq!(
        run.log.last().unwrap(),
        "QID: reject: END-OF-MESSAGE from client.example.org[192.0.2.10]: bare <LF> received; from=<s@x> to=<dave@x> proto=ESMTP helo=<a>"
    );
    assert_eq!(run.store.borrow().dropped, 1);
    assert_eq!(run.send("NOOP\n"), "550 5.5.2 mail.example.com Error: bare <LF> received");
    assert!(run.closed);

    let mut run = Run::new(|settings| settings.bare_newline = BareNewline::Allow);
    run.send("EHLO a\r\n");
    run.send(open);
    assert_eq!(run.send("one\r\n.\n"), "250 2.0.0 Ok: queued as QID");
}

/// S-LIMIT-03: long lines come in pieces; a line of exactly the limit is a piece and an empty end.
#[test]
fn long_lines() {
    let mut run = Run::new(|settings| settings.line_length_limit = 512);
    run.send("EHLO a\r\n");
    run.send("MAIL FROM:<s@x>\r\nRCPT TO:<dave@x>\r\nDATA\r\n");
    let a = "a".repeat(512);
    run.send(format!("{a}\r\n.{a}b\r\n..{a}{a}"));
    run.send("c\r");
    run.send("\nd\r\n.\r\n");
    assert_eq!(run.content(), format!("{a}\\\n{a}\\b\n.{}\\{a}\\ac\nd\n", &a[1..]));
}

/// The end of data is found however the bytes are cut.
#[test]
fn every_cut() {
    let whole = b"MAIL FROM:<s@x>\r\nRCPT TO:<dave@x>\r\nDATA\r\n";
    let body = b".a\r\n..\r\n.\r\nQUIT\r\n";
    for cut in 0..body.len() {
        let mut run = Run::plain();
        run.send("EHLO a\r\n");
        run.send(whole);
        let mut replies = run.send(&body[..cut]);
        replies += "\n";
        replies += &run.send(&body[cut..]);
        assert_eq!(replies.split_whitespace().collect::<Vec<_>>().join(" "), "250 2.0.0 Ok: queued as QID 221 2.0.0 Bye", "cut at {cut}");
        assert_eq!(run.content(), "a\n.\n");
    }
}

/// S-UBE-02: without smtpd_delay_reject each check has its place, and a client refused at connect may only quit.
#[test]
fn early_checks() {
    let mut run = Run::new(|settings| settings.delay_reject = false);
    run.replies();
    run.talk(&[
        ("EHLO bad", "501 5.5.2 bad name"),
        ("MAIL FROM:<badMail@x>", "554 5.7.1 refused"),
        ("MAIL FROM:<a@x>", "250 2.1.0 Ok"),
        ("EHLO good", EHLO),
        ("MAIL FROM:<badEndOfMessage@x>", "250 2.1.0 Ok"),
        ("RCPT TO:<a@x>", "250 2.1.5 Ok"),
        ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
        (".", "554 5.7.1 refused"),
        ("RCPT TO:<a@x>", "503 5.5.1 Error: need MAIL command"),
    ]);
    assert!(run.log[1].starts_with("NOQUEUE: reject: EHLO from client.example.org[192.0.2.10]: 501 5.5.2 bad name; proto=SMTP helo=<bad>"));
    assert_eq!(run.store.borrow().dropped, 1);

    let settings = Settings { delay_reject: false, ..Settings::example() };
    let client = Client { name: "bad".into(), ..Client::local() };
    let session = Session::new(Rc::new(settings), client, Rules::default());
    let mut run = Run { session, store: Rc::default(), log: Vec::new(), pauses: 0, closed: false, relayed: Vec::new() };
    run.go();
    assert_eq!(run.replies(), "554 5.7.1 no");
    run.talk(&[("EHLO a", "503 5.7.0 Error: access denied for bad[127.0.0.1]"), ("QUIT", "221 2.0.0 Bye")]);
    assert_eq!(run.log[1], "NOQUEUE: reject: CONNECT from bad[127.0.0.1]: 554 5.7.1 no; proto=SMTP");
}

/// RFC 7504: 521 and 421 replies close the connection.
#[test]
fn refusals_that_close() {
    let mut run = Run::plain();
    run.send("EHLO a\r\n");
    run.send("MAIL FROM:<a@x>\r\n");
    assert_eq!(run.send("RCPT TO:<gone@x>\r\n"), "521 5.7.1 go away");
    assert!(run.closed);
}

/// S-SMTPD-14.
#[test]
fn talk_that_is_not_smtp() {
    for line in ["Subject: x", "Subject:x", ":x", "foo.bar: x"] {
        let mut run = Run::plain();
        assert_eq!(run.send(format!("{line}\r\n")), "221 2.7.0 Error: I can break rules, too. Goodbye.", "{line}");
        assert!(run.closed);
        assert_eq!(run.log[1], format!("non-SMTP command from client.example.org[192.0.2.10]: {line}"));
    }
    let mut run = Run::new(|settings| settings.forbidden_command = Some(Box::new(|word| word.eq_ignore_ascii_case(b"GET"))));
    assert!(run.send("get / HTTP/1.0\r\n").ends_with("Goodbye."));
    let mut run = Run::new(|settings| settings.noop_command = Some(Box::new(|word| word == "ZAP")));
    run.replies();
    run.talk(&[
        ("ZAP it", "250 2.0.0 Ok"),
        ("", "500 5.5.2 Error: bad syntax"),
        ("   ", "500 5.5.2 Error: bad syntax"),
        ("  NOOP", "250 2.0.0 Ok"),
        ("NO\0OP", "500 5.5.2 Error: command not recognized"),
    ]);
    assert_eq!(run.send(b"EHLO a\xe9\r\n"), "500 5.5.2 Error: bad UTF-8 syntax");
    assert_eq!(run.disconnect(), "disconnect from client.example.org[192.0.2.10] noop=1 unknown=0/1 commands=1/2");
}

/// S-SMTPD-16, S-LIMIT-07: the parity scenario smtpd/lost_connection, with the prefix of 3.10.
#[test]
fn lost_connections() {
    let lost = |input: &[&str], how: Lost| {
        let mut run = Run::plain();
        for bytes in input {
            run.send(bytes);
        }
        run.session.lost(how);
        let log = run.session.take_log().pop().unwrap().1;
        (log, run.replies(), run.disconnect())
    };
    let from = "from client.example.org[192.0.2.10]";
    let (log, _, disconnect) = lost(&[], Lost::Connection);
    assert_eq!(log, format!("NOQUEUE: lost connection after CONNECT {from}"));
    assert_eq!(disconnect, "disconnect from client.example.org[192.0.2.10] commands=0/0");
    let start = ["EHLO a\r\n", "MAIL FROM:<a@x>\r\n", "RCPT TO:<alice@x>\r\n", "DATA\r\n"];
    assert_eq!(lost(&start[..3], Lost::Connection).0, format!("QID: lost connection after RCPT {from}"));
    let data = [&start[..], &["Subject: foo\r\n\r\nhallo\n..x\r\npart"]].concat();
    assert_eq!(lost(&data, Lost::Connection).0, format!("QID: lost connection after DATA (27 bytes) {from}"));
    let (log, reply, disconnect) = lost(&data, Lost::Timeout);
    assert_eq!(log, format!("QID: timeout after DATA (27 bytes) {from}"));
    assert_eq!(reply, "421 4.4.2 mail.example.com Error: timeout exceeded");
    assert!(disconnect.ends_with("rcpt=1 data=0/1 commands=3/4"));
    let bdat = [&start[..3], &["BDAT 5\r\nab"]].concat();
    assert_eq!(lost(&bdat, Lost::Connection).0, format!("QID: lost connection after BDAT (2 bytes) {from}"));
}

/// Whatever ends a transaction drops its message: nothing of it is left for the next.
#[test]
fn every_end_drops_the_message() {
    for end in ["RSET\r\n", "HELO b\r\n", "EHLO b\r\n", "DATA\r\n.\r\n", "QUIT\r\n"] {
        let mut run = Run::plain();
        run.send("HELO a\r\n");
        run.send("MAIL FROM:<a@x>\r\n");
        run.send("RCPT TO:<alice@x>\r\n");
        for part in end.split_inclusive("\r\n") {
            run.send(part);
        }
        run.session.disconnect();
        assert_eq!(run.store.borrow().dropped, 1, "{end}");
        assert!(run.session.transaction().is_none());
    }
}

/// Commands longer than line_length_limit are cut, and logged so.
#[test]
fn long_commands() {
    let mut run = Run::new(|settings| settings.line_length_limit = 512);
    run.replies();
    let long = format!("MAIL FROM:<{}@b>\r\n", "a".repeat(600));
    assert_eq!(run.send(&long), "501 5.1.7 Bad sender address syntax");
    assert_eq!(run.send(&long[..550]), "");
    assert_eq!(run.send(&long[550..580]), "");
    assert_eq!(run.send(&long[580..]), "501 5.1.7 Bad sender address syntax");
    let line = "client.example.org[192.0.2.10]: request longer than 512: MAIL FROM:<aaaaaaaaaaaaaaaaaaa...";
    assert_eq!(run.log[1..], [line, line]);
    assert_eq!(run.send("NOOP\r\n"), "250 2.0.0 Ok");
}

#[test]
fn discarded_keywords() {
    let mut run = Run::plain();
    for name in ["dsn", "Chunking", "smtputf8", "8BITMIME", "pipelining", "size", "vrfy", "etrn"] {
        run.session.rules.discard |= keyword::bit(name).unwrap();
    }
    run.talk(&[
        ("EHLO a", "250-mail.example.com\n250 ENHANCEDSTATUSCODES"),
        ("MAIL FROM:<a@x> RET=FULL", "501 5.7.1 DSN support is disabled"),
        ("MAIL FROM:<a@x> SMTPUTF8", "555 5.5.4 Unsupported option: SMTPUTF8"),
        ("VRFY alice", "252 2.0.0 alice"),
        ("MAIL FROM:<a@x> SIZE=100", "250 2.1.0 Ok"),
        ("BDAT 3", "521 5.5.1 Error: command not implemented"),
    ]);
    assert!(run.closed);
}

/// smtpd_reject_footer and friends see a refusal of the restriction lists after soft_bounce, other replies before it (the parity scenario
/// smtpd/reject_footer_table).
#[test]
fn edited_refusals() {
    let mut run = Run::new(|settings| {
        settings.soft_bounce = true;
        settings.edit_refusal = Some(Box::new(|context, text| {
            assert_eq!(context.helo.unwrap(), "a");
            assert_eq!(context.sender.unwrap().to_string(), "a@x");
            let recipient = context.recipient.map_or_else(String::new, |first| format!(" {first}"));
            Some(format!("{text}\r\n{} see {}{recipient}", &text[..3], context.client.address))
        }));
    });
    run.send("HELO a\r\n");
    run.send("MAIL FROM:<a@x>\r\n");
    assert_eq!(run.send("RCPT TO:<bad@x>\r\n"), "450 4.1.1 unknown\n450 see 192.0.2.10");
    // As in Postfix, the recipient is the first one that was accepted.
    run.send("RCPT TO:<good@x>\r\n");
    assert_eq!(run.send("RCPT TO:<bad@x>\r\n"), "450 4.1.1 unknown\n450 see 192.0.2.10 good@x");
    let mut run = Run::new(|settings| {
        settings.soft_bounce = true;
        settings.edit_refusal = Some(Box::new(|_, text| Some(format!("{text}, not {}\r\n{} x", &text[..9], &text[..3]))));
    });
    run.send("HELO a\r\n");
    assert_eq!(run.send("FOO\r\n"), "400 4.5.2 Error: command not recognized, not 500 5.5.2\n400 x");
}

/// The transcript for the postmaster, and that a long one without trouble is forgotten.
#[test]
fn transcripts() {
    let mut run = Run::new(|settings| settings.history = Some(5));
    run.send("HELO a\r\n");
    run.send("FOO\r\n");
    for _ in 0..4 {
        run.send("RSET\r\n");
    }
    let flushed = run.session.take_flushed().unwrap();
    assert_eq!(flushed.trouble, notice::PROTOCOL);
    assert!(flushed.lines.starts_with(b"Out: 220 mail.example.com ESMTP Posthaste\nIn:  HELO a\nOut: 250 mail.example.com\nIn:  FOO\n"));
    assert_eq!(run.session.transcript(), None);
    run.session.lost(Lost::Connection);
    // That alone is no trouble (the parity scenario smtpd/notice_sessions).
    assert_eq!(run.session.transcript(), None);
    let mut run = Run::plain();
    run.send("BAR\r\n");
    run.session.lost(Lost::Connection);
    assert_eq!(run.session.transcript().unwrap().aborted, Some("lost connection"));
}

/// S-SMTPD-13.
#[test]
fn received_header() {
    let mut run = Run::plain();
    run.send("EHLO c.example\r\n");
    run.send("MAIL FROM:<a@x>\r\nRCPT TO:<\"a b\"@x>\r\n");
    let join = |run: &Run, extra: &[String]| received(&run.session, extra, "DATE").iter().map(|line| line.to_string()).collect::<Vec<_>>();
    assert_eq!(
        join(&run, &[]),
        [
            "Received: from c.example (client.example.org [192.0.2.10])",
            "\tby mail.example.com (Posthaste) with ESMTP id QID",
            "\tfor <\"a b\"@x>; DATE"
        ]
    );
    run.send("RCPT TO:<b@x>\r\n");
    let tls = ["(using TLS)".to_owned()];
    assert_eq!(join(&run, &tls)[1..], ["\t(using TLS)", "\tby mail.example.com (Posthaste) with ESMTP id QID;", "\tDATE"]);
    run.send("HELO c\r\n");
    run.send("MAIL FROM:<a@x>\r\n");
    run.session.client.ip = Some("2001:db8::77".parse().unwrap());
    run.session.client.address = "2001:db8::77".into();
    assert_eq!(join(&run, &[])[0], "Received: from c (client.example.org [IPv6:2001:db8::77])");
}

fn trusted() -> Run {
    let mut run = Run::with(Rules { xclient: true, xforward: true, verp: true, ..Rules::default() }, |_| {});
    run.replies();
    run
}

/// S-EXT-13, S-EXT-14: who may not, and what is not understood.
#[test]
fn xclient_and_xforward_are_for_the_trusted() {
    let mut run = Run::plain();
    run.talk(&[
        ("XCLIENT NAME=a", "550 5.7.0 Error: insufficient authorization"),
        ("XFORWARD NAME=a", "550 5.7.0 Error: insufficient authorization"),
    ]);
    let mut run = trusted();
    let ehlo = run.send("EHLO x\r\n");
    let words = [
        "250-XVERP",
        "250-XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT",
        "250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT",
        "250-ENHANCEDSTATUSCODES",
    ];
    assert!(ehlo.contains(&words.join("\n")), "{ehlo}");
    run.talk(&[
        ("XCLIENT", "501 5.5.4 Syntax: XCLIENT attribute=value..."),
        ("XCLIENT NAME", "501 5.5.4 Error: attribute=value expected"),
        ("XCLIENT NAME=", "501 5.5.4 Error: attribute=value expected"),
        ("XCLIENT FOO=bar", "501 5.5.4 Bad XCLIENT attribute name: FOO"),
        ("XCLIENT ADDR=notanaddress", "501 5.5.4 Bad ADDR syntax: notanaddress"),
        ("XCLIENT ADDR=::1", "501 5.5.4 Bad ADDR syntax: ::1"),
        ("XCLIENT PORT=12x", "501 5.5.4 Bad PORT syntax: 12x"),
        ("XFORWARD NAME=a+20b", "501 5.5.4 Bad NAME syntax: a?b"),
        ("XFORWARD SOURCE=MARS", "501 5.5.4 Bad SOURCE syntax: MARS"),
    ]);
    assert_eq!(run.session.client().name, "client.example.org");
    assert_eq!(run.session.helo().unwrap(), "x");
}

/// S-EXT-13, S-UBE-40.
#[test]
fn xclient_makes_another_client() {
    let mut run = trusted();
    run.send("EHLO x\r\n");
    let command = "XCLIENT NAME=other.example ADDR=198.51.100.7 PORT=99 PROTO=ESMTP HELO=sp+69ke LOGIN=joe\r\n";
    assert_eq!(run.send(command), "220 mail.example.com ESMTP Posthaste");
    assert_eq!(run.session.helo().unwrap(), "spike");
    assert_eq!(run.session.protocol(), "ESMTP");
    run.talk(&[
        ("MAIL FROM:<s@example.org>", "250 2.1.0 Ok"),
        ("XFORWARD NAME=a", "503 5.5.1 Error: MAIL transaction in progress"),
        ("XCLIENT NAME=a", "503 5.5.1 Error: MAIL transaction in progress"),
        ("RSET", "250 2.0.0 Ok"),
        ("XCLIENT NAME=a", "550 5.7.0 Error: insufficient authorization"),
        // Settled when the client connected.
        ("XFORWARD NAME=a", "250 2.0.0 Ok"),
    ]);
    let login = ", sasl_method=XCLIENT, sasl_username=joe";
    assert_eq!(run.session.client_line(), format!("client=other.example[198.51.100.7]{login}, orig_client=a"));
    let line = run.disconnect();
    assert!(line.contains("from other.example[198.51.100.7] ehlo=1 xclient=0/3 xforward=1/2 mail=1 rset=1 commands=4/8"), "{line}");
}

/// S-EXT-13: a second XCLIENT keeps what it does not speak of, but for HELO, protocol and login.
#[test]
fn xclient_again() {
    let mut run = trusted();
    run.send("XCLIENT NAME=one.example HELO=spike PROTO=ESMTP LOGIN=joe\r\n");
    run.send("XCLIENT NAME=[TEMPUNAVAIL] DESTPORT=587\r\n");
    let client = run.session.client();
    assert_eq!((client.name.to_string(), client.name_status), ("unknown".to_owned(), NameStatus::Failed));
    assert_eq!((client.address.to_string(), client.server_port.to_string()), ("192.0.2.10".to_owned(), "587".to_owned()));
    assert_eq!((run.session.helo(), run.session.protocol()), (None, "SMTP"));
    assert!(run.session.login().is_none());
    run.send("XCLIENT NAME=[UNAVAILABLE] LOGIN=[UNAVAILABLE] ADDR=IPV6:2001:db8::77\r\n");
    assert!(run.session.login().is_none());
    assert_eq!(run.session.client().rfc_address(), "IPv6:2001:db8::77");
    assert_eq!(run.session.client().name_status, NameStatus::Missing);
}

/// S-EXT-14: told in pieces, and for one message only.
#[test]
fn xforward_for_one_message() {
    let mut run = trusted();
    run.talk(&[
        ("EHLO x", &trusted().send("EHLO x\r\n")),
        ("XFORWARD NAME=spike.example ADDR=IPv6:2001:db8::5 PORT=9", "250 2.0.0 Ok"),
        ("XFORWARD SOURCE=LOCAL IDENT=abc HELO=[UNAVAILABLE]", "250 2.0.0 Ok"),
    ]);
    let told = run.session.forwarded().unwrap();
    assert_eq!((told.name.to_string(), told.address.to_string()), ("spike.example".to_owned(), "2001:db8::5".to_owned()));
    assert_eq!(told.rfc_address, "IPv6:2001:db8::5");
    assert_eq!((told.protocol.to_string(), told.helo.as_deref(), told.local), ("unknown".to_owned(), None, Some(true)));
    assert!(run.session.client_line().ends_with(", orig_queue_id=abc, orig_client=spike.example[2001:db8::5]"));
    run.talk(&[("MAIL FROM:<s@example.org>", "250 2.1.0 Ok"), ("RSET", "250 2.0.0 Ok")]);
    assert!(run.session.forwarded().is_none());
}

/// S-EXT-15, S-LIST-10.
#[test]
fn xverp_names_delimiters() {
    let mut run = trusted();
    run.send("EHLO x\r\n");
    run.talk(&[
        ("MAIL FROM:<> XVERP", "503 5.5.4 Error: XVERP requires non-null sender"),
        ("MAIL FROM:<a@x> XVERP=+", "501 5.5.4 Error: XVERP needs two characters from -=+"),
        ("MAIL FROM:<a@x> XVERP=ab", "501 5.5.4 Error: XVERP needs two characters from -=+"),
        ("MAIL FROM:<a@x> XVERP=-=", "250 2.1.0 Ok"),
    ]);
    assert_eq!(run.session.transaction().unwrap().parameters.verp, "-=");
    run.talk(&[("RSET", "250 2.0.0 Ok"), ("MAIL FROM:<a@x> XVERP", "250 2.1.0 Ok")]);
    assert_eq!(run.session.transaction().unwrap().parameters.verp, "+=");
}

proptest! {
    /// No input makes the engine panic, loop, or give content to a transaction that has none.
    #[test]
    fn any_input(pieces in proptest::collection::vec(prop_oneof![
        Just(b"EHLO a\r\n".to_vec()), Just(b"MAIL FROM:<a@b>\r\n".to_vec()), Just(b"RCPT TO:<a@b>\r\n".to_vec()), Just(b"DATA\r\n".to_vec()),
        Just(b".\r\n".to_vec()), Just(b"BDAT 5\r\n".to_vec()), Just(b"BDAT 3 LAST\r\n".to_vec()), Just(b"RSET\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ], 0..20)) {
        let mut run = Run::new(|settings| { settings.hard_error_limit = 1000; settings.soft_error_limit = 1000; settings.early_input = EarlyInput::Ignore; });
        for piece in pieces {
            if run.closed { break; }
            run.send(piece);
        }
        run.session.disconnect();
    }
}
