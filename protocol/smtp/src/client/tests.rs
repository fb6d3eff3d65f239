//! Conversations as transcripts: `S` is what the server says, `C` what the client must have sent by then.

use super::*;

fn reply(text: &str) -> Reply {
    let mut reader = ReplyReader::new(2048);
    reader.feed(text.replace('|', "\r\n").as_bytes());
    reader.feed(b"\r\n");
    reader.next_reply().unwrap()
}

/// Feeds replies, returns what was sent after each (lines joined by `|`) and the last step.
fn hello(options: HelloOptions, replies: &[&str]) -> (Vec<String>, HelloStep) {
    let mut engine = Hello::new(HelloOptions { name: "me.example".into(), ..options });
    let (mut sent, mut last) = (Vec::new(), HelloStep::Wait);
    for text in replies {
        assert_eq!(last, HelloStep::Wait, "the conversation was over before {text:?}");
        let mut out = Vec::new();
        last = engine.reply(&reply(text), &mut out);
        sent.push(String::from_utf8(out).unwrap().trim_end().replace("\r\n", "|"));
    }
    (sent, last)
}

fn check_hello(options: HelloOptions, replies: &[&str], sent: &[&str], last: HelloStep) {
    let got = hello(options, replies);
    assert_eq!((got.0.iter().map(String::as_str).collect::<Vec<_>>(), got.1), (sent.to_vec(), last), "{replies:?}");
}

/// S-CLIENT-01, and what was observed of Postfix.
#[test]
fn greetings_and_hellos() {
    let o = HelloOptions::default;
    check_hello(o(), &["220 mx ESMTP", "250-mx|250 SIZE"], &["EHLO me.example", ""], HelloStep::Ready);
    check_hello(o(), &["220 mx", "502 what", "250 mx"], &["EHLO me.example", "HELO me.example", ""], HelloStep::Ready);
    check_hello(o(), &["220 mx", "450 no", "450 no"], &["EHLO me.example", "HELO me.example", ""], HelloStep::Refused);
    check_hello(o(), &["220 mx", "421 bye"], &["EHLO me.example", ""], HelloStep::Refused);
    check_hello(o(), &["554 go away"], &[""], HelloStep::Refused);
    check_hello(o(), &["354 strange"], &[""], HelloStep::Refused);
    let no_ehlo = || HelloOptions { always_ehlo: false, ..o() };
    check_hello(no_ehlo(), &["220 mx ready"], &["HELO me.example"], HelloStep::Wait);
    check_hello(no_ehlo(), &["220 mx esmtp"], &["EHLO me.example"], HelloStep::Wait);
    check_hello(HelloOptions { never_ehlo: true, ..o() }, &["220 mx ESMTP"], &["HELO me.example"], HelloStep::Wait);
    let masked = HelloOptions { masked_means_helo: true, ..o() };
    check_hello(masked, &["220 **********0****02**"], &["HELO me.example"], HelloStep::Wait);
}

/// S-LMTP-01: there is no way back from LHLO.
#[test]
fn lhlo() {
    let lmtp = || HelloOptions { lmtp: true, ..HelloOptions::default() };
    check_hello(lmtp(), &["220 x LMTP", "250 x"], &["LHLO me.example", ""], HelloStep::Ready);
    check_hello(lmtp(), &["220 x LMTP", "500 what"], &["LHLO me.example", ""], HelloStep::Refused);
}

/// S-DNS-09.
#[test]
fn a_server_with_our_name() {
    let me = || HelloOptions { own_name: Some("me.example".into()), ..HelloOptions::default() };
    check_hello(me(), &["220 x", "250-ME.example|250 SIZE"], &["EHLO me.example", ""], HelloStep::Myself);
    check_hello(me(), &["220 x", "500 x", "250 me.example"], &["EHLO me.example", "HELO me.example", ""], HelloStep::Myself);
    let mut engine = Hello::new(HelloOptions { name: "me.example".into(), ..me() });
    assert_eq!(engine.reply(&reply("220 me.example ESMTP"), &mut Vec::new()), HelloStep::Wait, "the greeting alone is only odd");
    assert!(engine.greeted_as_me());
}

#[test]
fn the_place_of_starttls() {
    let tls = |starttls| HelloOptions { starttls, ..HelloOptions::default() };
    let offered = "250-x|250 STARTTLS";
    check_hello(tls(StartTls::Never), &["220 x", offered], &["EHLO me.example", ""], HelloStep::Ready);
    check_hello(tls(StartTls::May), &["220 x", "250 x"], &["EHLO me.example", ""], HelloStep::Ready);
    check_hello(tls(StartTls::Must), &["220 x", "250 x"], &["EHLO me.example", ""], HelloStep::TlsNotOffered);
    check_hello(tls(StartTls::May), &["220 x", offered, "454 no"], &["EHLO me.example", "STARTTLS", ""], HelloStep::Ready);
    check_hello(tls(StartTls::Must), &["220 x", offered, "454 no"], &["EHLO me.example", "STARTTLS", ""], HelloStep::Refused);
    let mut engine = Hello::new(HelloOptions { name: "me.example".into(), ..tls(StartTls::Must) });
    let mut out = Vec::new();
    for (text, step) in [("220 x", HelloStep::Wait), ("250-x|250-DSN|250 STARTTLS", HelloStep::Wait), ("220 go", HelloStep::Handshake)] {
        assert_eq!(engine.reply(&reply(text), &mut out), step);
    }
    out.clear();
    assert_eq!(engine.secured(&mut out), HelloStep::Wait);
    assert_eq!(out, b"EHLO me.example\r\n");
    assert_eq!(engine.reply(&reply("250 x"), &mut out), HelloStep::Ready);
    assert!(!engine.features().dsn, "what was said in the clear does not count");
}

struct Mail {
    features: Features,
    lmtp: bool,
    target: Target,
    ending: Ending,
    reused: bool,
    xforward: bool,
}

fn piped() -> Mail {
    Mail {
        features: Features { esmtp: true, pipelining: true, ..Features::default() },
        lmtp: false,
        target: Target::Deliver,
        ending: Ending::Quit,
        reused: false,
        xforward: false,
    }
}

fn plain() -> Mail {
    Mail { features: Features::default(), ..piped() }
}

/// Plays replies; the log has what was sent (`C …`) and what happened.
fn play(mail: Mail, replies: &[&str]) -> (String, Transaction) {
    let mut commands = Commands::default();
    if mail.xforward {
        commands.xforward(b"XFORWARD NAME=a\r\n");
        commands.xforward(b"XFORWARD HELO=b\r\n");
    }
    commands.mail(b"s", &MailParameters::default(), &mail.features);
    for recipient in ["a", "b"] {
        commands.rcpt(recipient.as_bytes(), &RcptParameters::default(), &mail.features);
    }
    let mut out = Vec::new();
    let mut tx = Transaction::new(commands, &mail.features, mail.lmtp, mail.target, mail.ending, mail.reused, &mut out);
    let mut log = String::new();
    let flush = |out: &mut Vec<u8>, log: &mut String| {
        if !out.is_empty() {
            log.push_str(&format!("C {}\n", String::from_utf8(std::mem::take(out)).unwrap().trim_end().replace("\r\n", "|")));
        }
    };
    flush(&mut out, &mut log);
    for text in replies {
        assert!(tx.stage().is_some(), "over before {text:?}:\n{log}");
        match tx.reply(reply(text), &mut out) {
            Event::Progress => {}
            Event::SendContent => tx.content_sent(&mut out),
            Event::Stale => log.push_str("stale\n"),
            Event::XforwardRefused(stage, reply) => log.push_str(&format!("{}: {}\n", stage.command(), reply.text)),
            Event::Refused(stage, reply) => log.push_str(&format!("all refused at {}: {}\n", stage.command(), reply.text)),
            Event::RecipientRefused(i, stage, reply) => log.push_str(&format!("{i} refused at {}: {}\n", stage.command(), reply.text)),
            Event::Welcome(i, reply) => log.push_str(&format!("{i} welcome: {}\n", reply.text)),
            Event::Accepted(reply) => {
                let open: Vec<_> = tx.open_recipients().collect();
                log.push_str(&format!("{open:?} accepted: {}\n", reply.text));
            }
            Event::RecipientAccepted(i, reply) => log.push_str(&format!("{i} accepted: {}\n", reply.text)),
        }
        flush(&mut out, &mut log);
    }
    log.push_str(&format!("then {}", tx.stage().map_or("over", Stage::doing)));
    (log, tx)
}

fn check(mail: Mail, replies: &[&str], expected: &[&str]) {
    let (log, _) = play(mail, replies);
    assert_eq!(log.lines().collect::<Vec<_>>(), expected, "{replies:?}");
}

const ENVELOPE: &str = "C MAIL FROM:<s>|RCPT TO:<a>|RCPT TO:<b>|DATA";

/// S-CLIENT-06: results of recipients are their own. The bytes are those observed on the wire.
#[test]
fn pipelined() {
    check(piped(), &["250 m", "250 a", "250 b", "354 go", "250 ok"], &[ENVELOPE, "C .|QUIT", "[0, 1] accepted: 250 ok", "then over"]);
    check(
        piped(),
        &["250 m", "250 a", "550 b", "354 go", "250 ok"],
        &[ENVELOPE, "1 refused at RCPT TO: 550 b", "C .|QUIT", "[0] accepted: 250 ok", "then over"],
    );
    check(
        piped(),
        &["250 m", "550 a", "550 b", "554 none", "250 r"],
        &[ENVELOPE, "0 refused at RCPT TO: 550 a", "1 refused at RCPT TO: 550 b", "C RSET|QUIT", "then over"],
    );
    check(
        piped(),
        &["550 m", "250 a", "250 b", "354 go", "250 empty"],
        &[ENVELOPE, "all refused at MAIL FROM: 550 m", "C .|QUIT", "then over"],
    );
    check(piped(), &["250 m", "250 a", "250 b", "550 no", "250 r"], &[ENVELOPE, "all refused at DATA: 550 no", "C RSET|QUIT", "then over"]);
    check(
        piped(),
        &["250 m", "250 a", "250 b", "354 go", "552 full"],
        &[ENVELOPE, "C .|QUIT", "all refused at end of DATA: 552 full", "then over"],
    );
}

#[test]
fn waiting_for_quit() {
    let mail = Mail { ending: Ending::QuitAndWait, ..piped() };
    check(
        mail,
        &["250 m", "250 a", "250 b", "354 go", "250 ok"],
        &[ENVELOPE, "C .|QUIT", "[0, 1] accepted: 250 ok", "then sending QUIT command"],
    );
}

#[test]
fn one_by_one() {
    check(
        plain(),
        &["250 m", "250 a", "550 b", "354 go", "250 ok"],
        &[
            "C MAIL FROM:<s>",
            "C RCPT TO:<a>",
            "C RCPT TO:<b>",
            "1 refused at RCPT TO: 550 b",
            "C DATA",
            "C .",
            "[0] accepted: 250 ok",
            "C QUIT",
            "then over",
        ],
    );
    check(
        plain(),
        &["250 m", "550 a", "550 b", "250 r"],
        &[
            "C MAIL FROM:<s>",
            "C RCPT TO:<a>",
            "0 refused at RCPT TO: 550 a",
            "C RCPT TO:<b>",
            "1 refused at RCPT TO: 550 b",
            "C RSET",
            "C QUIT",
            "then over",
        ],
    );
    check(plain(), &["550 m", "250 r"], &["C MAIL FROM:<s>", "all refused at MAIL FROM: 550 m", "C RSET", "C QUIT", "then over"]);
}

/// S-CLIENT-07.
#[test]
fn kept_connections() {
    let keep = || Mail { ending: Ending::Keep, ..piped() };
    let (log, tx) = play(keep(), &["250 m", "250 a", "250 b", "354 go", "250 ok"]);
    assert!(log.ends_with("C .\n[0, 1] accepted: 250 ok\nthen over"), "{log}");
    assert!(tx.may_be_kept());
    let (log, tx) = play(keep(), &["250 m", "550 a", "550 b", "554 none", "250 r"]);
    assert!(log.ends_with("C RSET\nthen over"), "{log}");
    assert!(tx.may_be_kept());
    let (log, tx) = play(keep(), &["250 m", "250 a", "421 b", "354 go", "250 ok"]);
    assert!(log.ends_with("C QUIT\nthen over"), "{log}");
    assert!(!tx.may_be_kept());
    let again = Mail { reused: true, ..keep() };
    let (log, _) = play(again, &["250 r", "250 m", "250 a", "250 b", "354 go", "250 ok"]);
    assert!(log.starts_with("C RSET|MAIL FROM:<s>|RCPT TO:<a>|RCPT TO:<b>|DATA\nC .\n"), "{log}");
    let (log, tx) = play(Mail { reused: true, ..keep() }, &["500 what"]);
    assert!(log.contains("stale"), "{log}");
    assert!(!tx.may_be_kept());
    check(
        Mail { reused: true, ending: Ending::Keep, ..plain() },
        &["250 r", "250 m"],
        &["C RSET", "C MAIL FROM:<s>", "C RCPT TO:<a>", "then sending RCPT TO"],
    );
}

/// S-LMTP-01: one reply for each recipient that was accepted.
#[test]
fn lmtp_replies() {
    let lmtp = Mail { lmtp: true, ..piped() };
    check(
        lmtp,
        &["250 m", "250 a", "250 b", "354 go", "250 a ok", "550 b full"],
        &[ENVELOPE, "C .|QUIT", "0 accepted: 250 a ok", "1 refused at end of DATA: 550 b full", "then over"],
    );
    let lmtp = Mail { lmtp: true, ..piped() };
    check(
        lmtp,
        &["250 m", "550 a", "250 b", "354 go", "250 b ok"],
        &[ENVELOPE, "0 refused at RCPT TO: 550 a", "C .|QUIT", "1 accepted: 250 b ok", "then over"],
    );
}

/// Address verification.
#[test]
fn probes() {
    check(
        Mail { target: Target::ProbeRecipients, ..piped() },
        &["250 m", "250 a", "550 b", "250 r"],
        &["C MAIL FROM:<s>|RCPT TO:<a>|RCPT TO:<b>|RSET|QUIT", "0 welcome: 250 a", "1 refused at RCPT TO: 550 b", "then over"],
    );
    let (log, tx) = play(Mail { target: Target::ProbeData, ending: Ending::Keep, ..piped() }, &["250 m", "250 a", "550 b", "354 go"]);
    assert_eq!(log, format!("{ENVELOPE}\n1 refused at RCPT TO: 550 b\n[0] accepted: 354 go\nthen over"));
    assert!(!tx.may_be_kept());
}

/// S-CLIENT-13.
#[test]
fn xforward_comes_first_and_may_fail() {
    check(
        Mail { xforward: true, ..piped() },
        &["250 x", "501 bad", "250 m"],
        &[
            "C XFORWARD NAME=a|XFORWARD HELO=b|MAIL FROM:<s>|RCPT TO:<a>|RCPT TO:<b>|DATA",
            "XFORWARD helo/protocol: 501 bad",
            "then sending RCPT TO",
        ],
    );
}

fn lines(fill: impl FnOnce(&mut Commands)) -> String {
    let mut commands = Commands::default();
    fill(&mut commands);
    String::from_utf8(commands.all().to_vec()).unwrap().replace("\r\n", "|")
}

#[test]
fn parameters_follow_what_is_offered() {
    let all = Features {
        esmtp: true,
        size: true,
        size_limit: 1000,
        eight_bit_mime: true,
        dsn: true,
        smtputf8: true,
        requiretls: true,
        ..Features::default()
    };
    let mail = MailParameters {
        size: 42,
        eight_bit: Some(true),
        smtputf8: true,
        envelope_id: b"QQ+1",
        ret: 2,
        requiretls: true,
        dummy_auth: false,
    };
    // RFC 3461 §10, RFC 1870, RFC 6152, RFC 6531; the order is Postfix's.
    let line = lines(|c| c.mail(b"a@b.example", &mail, &all));
    assert_eq!(line, "MAIL FROM:<a@b.example> SIZE=42 BODY=8BITMIME ENVID=QQ+2B1 RET=HDRS SMTPUTF8 REQUIRETLS|");
    assert_eq!(lines(|c| c.mail(b"a@b.example", &mail, &Features::default())), "MAIL FROM:<a@b.example>|");
    let no_limit = Features { size: true, ..Features::default() };
    assert_eq!(lines(|c| c.mail(b"", &mail, &no_limit)), "MAIL FROM:<> SIZE=42|");
    // What may yet be converted has no size.
    assert_eq!(lines(|c| c.mail(b"", &MailParameters { size: 0, ..mail }, &no_limit)), "MAIL FROM:<>|");
    let rcpt = RcptParameters { orcpt: b"rfc822;x+ext@b.example", notify: 2 | 4 };
    assert_eq!(
        lines(|c| c.rcpt(b"x@b.example", &rcpt, &all)),
        "RCPT TO:<x@b.example> ORCPT=rfc822;x+2Bext@b.example NOTIFY=SUCCESS,FAILURE|"
    );
    assert_eq!(lines(|c| c.rcpt(b"x@b.example", &rcpt, &Features::default())), "RCPT TO:<x@b.example>|");
    let never = RcptParameters { orcpt: b"", notify: 1 };
    assert_eq!(lines(|c| c.rcpt(b"x", &never, &all)), "RCPT TO:<x> NOTIFY=NEVER|");
    let utf8 = RcptParameters { orcpt: "utf-8;\u{fc}@b".as_bytes(), notify: 0 };
    assert_eq!(lines(|c| c.rcpt(b"x", &utf8, &all)), "RCPT TO:<x> ORCPT=utf-8;\\x{FC}@b|");
}

#[test]
fn no_command_can_be_smuggled_in_an_address() {
    let line = lines(|c| c.rcpt(b"a>\r\nDATA\r\n\0<b", &RcptParameters::default(), &Features::default()));
    assert_eq!(line, "RCPT TO:<a>DATA<b>|");
}

/// XFORWARD_README: only what the server takes; values are xtext.
#[test]
fn xforward_commands() {
    let client =
        Client { name: b"c.example", addr: b"192.0.2.10", port: b"25", proto: b"ESMTP", helo: b"a b", ident: b"", source: b"REMOTE" };
    let all = Xforward { name: true, addr: true, port: true, proto: true, helo: true, ident: true, source: true };
    let commands: Vec<_> = xforward(&client, all).into_iter().map(|c| String::from_utf8(c).unwrap()).collect();
    assert_eq!(commands, ["XFORWARD NAME=c.example ADDR=192.0.2.10 PORT=25\r\n", "XFORWARD PROTO=ESMTP HELO=a+20b SOURCE=REMOTE\r\n"]);
    let local = Client { source: b"LOCAL", ..Client::default() };
    let commands = xforward(&local, all);
    assert_eq!(commands, [b"XFORWARD SOURCE=LOCAL\r\n".to_vec()]);
    assert!(xforward(&client, Xforward::default()).is_empty());
    // What the server of the client did not find out is left out.
    let nameless = Client { name: b"unknown", addr: b"192.0.2.11", port: b"unknown", ..Client::default() };
    assert_eq!(xforward(&nameless, all), [b"XFORWARD ADDR=192.0.2.11\r\n".to_vec()]);
}
