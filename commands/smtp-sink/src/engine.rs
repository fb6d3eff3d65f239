//! What the sink answers, without I/O.

use crate::options::{Command, Options};

/// What to do after a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this, go on.
    Reply(String),
    /// Send this (if not empty), hang up.
    Close(String),
    /// (`-A`) Send this, wait, send the second, hang up.
    Abort(String, String),
    /// The message ended; send this.
    Message(String),
    /// A line of the message; it is in the dump.
    Data,
}

/// One transaction, for the dump.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mail {
    pub mail: String,
    pub recipients: Vec<String>,
    pub text: Vec<u8>,
}

/// One client.
pub struct Engine<'a> {
    options: &'a Options,
    /// Arguments of HELO, EHLO or LHLO.
    pub helo: Option<String>,
    /// `SMTP`, `ESMTP` or `LMTP`.
    pub protocol: &'static str,
    mail: Option<Mail>,
    data: bool,
    /// Whether anybody wants the text.
    keep: bool,
}

impl<'a> Engine<'a> {
    pub fn new(options: &'a Options, keep: bool) -> Engine<'a> {
        let protocol = if options.lmtp { "LMTP" } else { "SMTP" };
        Engine { options, helo: None, protocol, mail: None, data: false, keep }
    }

    /// The greeting.
    pub fn greet(&self) -> Step {
        let o = self.options;
        let text = match () {
            () if o.pix => "220 ********".into(),
            () if !o.esmtp => format!("220 {}", o.hostname),
            () => format!("220 {} ESMTP", o.hostname),
        };
        self.answer(Command::Connect, text)
    }

    /// Whether lines are message text now.
    pub fn in_data(&self) -> bool {
        self.data
    }

    /// The command of a line, for delays and log.
    pub fn command_of(&self, line: &[u8]) -> Option<Command> {
        if self.data {
            return (line == b".").then_some(Command::Dot);
        }
        let word = line.split(|&c| c == b' ' || c == b'\t').next().unwrap_or_default();
        let command = Command::parse(word).filter(|c| *c != Command::Dot && *c != Command::Connect)?;
        let o = self.options;
        let known = match command {
            Command::Helo => !o.lmtp,
            Command::Ehlo => o.esmtp && !o.lmtp,
            Command::Lhlo => o.lmtp,
            Command::Xclient => o.xclient,
            Command::Xforward => o.xforward,
            Command::Auth => o.auth,
            _ => true,
        };
        known.then_some(command)
    }

    /// Takes a line without its end.
    pub fn line(&mut self, line: &[u8]) -> Step {
        if self.data {
            return self.text(line);
        }
        let Some(command) = self.command_of(line) else { return Step::Reply("500 5.5.1 Error: unknown command".into()) };
        let rest = line.splitn(2, |&c| c == b' ' || c == b'\t').nth(1).unwrap_or_default();
        let rest = String::from_utf8_lossy(rest.trim_ascii()).into_owned();
        if let Some(step) = self.refusal(command) {
            return step;
        }
        let text = match command {
            Command::Helo => {
                self.hello(rest, "SMTP");
                format!("250 {}", self.options.hostname)
            }
            Command::Ehlo => {
                self.hello(rest, "ESMTP");
                self.features()
            }
            Command::Lhlo => {
                self.hello(rest, "LMTP");
                self.features()
            }
            Command::Mail if self.mail.is_some() => "503 5.5.1 Error: nested MAIL command".into(),
            Command::Mail => {
                self.mail = Some(Mail { mail: argument(&rest, "FROM:"), ..Mail::default() });
                "250 2.1.0 Ok".into()
            }
            Command::Rcpt => match &mut self.mail {
                None => "503 5.5.1 Error: need MAIL command".into(),
                Some(mail) => {
                    mail.recipients.push(argument(&rest, "TO:"));
                    "250 2.1.5 Ok".into()
                }
            },
            Command::Data => return self.begin_data(),
            Command::Rset => {
                self.mail = None;
                "250 2.1.0 Ok".into()
            }
            Command::Quit => return Step::Close("221 Bye".into()),
            _ => "250 2.0.0 Ok".into(),
        };
        Step::Reply(text)
    }

    fn hello(&mut self, arguments: String, protocol: &'static str) {
        self.helo = Some(arguments);
        self.protocol = protocol;
        self.mail = None;
    }

    fn features(&self) -> String {
        let o = self.options;
        let mut text = format!("250-{}\r\n", o.hostname);
        for (offered, line) in [
            (o.pipelining, "PIPELINING"),
            (o.eight_bit_mime, "8BITMIME"),
            (o.auth, "AUTH PLAIN LOGIN"),
            (o.xclient, "XCLIENT NAME HELO"),
            (o.xforward, "XFORWARD NAME ADDR PROTO HELO"),
            (o.enhanced, "ENHANCEDSTATUSCODES"),
            (o.dsn, "DSN"),
        ] {
            if offered {
                text.push_str("250-");
                text.push_str(line);
                text.push_str("\r\n");
            }
        }
        text + "250 "
    }

    fn begin_data(&mut self) -> Step {
        if self.mail.as_ref().is_none_or(|mail| mail.recipients.is_empty()) {
            return Step::Reply("503 5.5.1 Error: need RCPT command".into());
        }
        let go = "354 End data with <CR><LF>.<CR><LF>".to_owned();
        if self.options.abort.is_some() {
            return Step::Abort(go, "550 5.3.0 Error: delivery aborted".into());
        }
        self.data = true;
        Step::Reply(go)
    }

    fn text(&mut self, line: &[u8]) -> Step {
        if line != b"." {
            if self.keep
                && let Some(mail) = &mut self.mail
            {
                mail.text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
                mail.text.push(b'\n');
            }
            return Step::Data;
        }
        self.data = false;
        if let Some(step) = self.refusal(Command::Dot) {
            return step;
        }
        let replies = if self.options.lmtp { self.mail.as_ref().map_or(1, |mail| mail.recipients.len()) } else { 1 };
        let reply = if self.options.lmtp { "250 2.2.0 Ok" } else { "250 2.0.0 Ok" };
        Step::Message(vec![reply; replies].join("\r\n"))
    }

    /// The finished transaction.
    pub fn take_mail(&mut self) -> Option<Mail> {
        self.mail.take()
    }

    fn refusal(&mut self, command: Command) -> Option<Step> {
        let step = self.scripted(command)?;
        if command == Command::Dot {
            self.mail = None;
        }
        Some(step)
    }

    fn scripted(&self, command: Command) -> Option<Step> {
        let o = self.options;
        Some(match () {
            () if o.hang_up.has(command) => Step::Close(String::new()),
            () if o.hang_up_421.has(command) => Step::Close("421 4.0.0 Server closing connection".into()),
            () if o.hard.has(command) => Step::Reply(o.hard_reply.clone()),
            () if o.soft.has(command) => Step::Reply(o.soft_reply.clone()),
            () => return None,
        })
    }

    fn answer(&self, command: Command, text: String) -> Step {
        self.scripted(command).unwrap_or(Step::Reply(text))
    }
}

/// What follows `FROM:` or `TO:`.
fn argument(rest: &str, prefix: &str) -> String {
    match rest.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => rest[prefix.len()..].trim_start().to_owned(),
        _ => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays lines; replies with `|` between their lines, messages after `=`.
    fn play(arguments: &str, lines: &[&str]) -> Vec<String> {
        let words = std::iter::once("smtp-sink").chain(arguments.split(' ').filter(|w| !w.is_empty())).chain([":25", "1"]);
        let options = Options::parse(words.map(Into::into).collect()).unwrap();
        let mut engine = Engine::new(&options, true);
        let mut out = Vec::new();
        let mut put = |step: Step| {
            let text = match step {
                Step::Reply(text) | Step::Message(text) => text,
                Step::Close(text) => format!("{text} (close)"),
                Step::Abort(text, last) => format!("{text} .. {last}"),
                Step::Data => return,
            };
            out.push(text.replace("\r\n", "|"));
        };
        put(engine.greet());
        for line in lines {
            let step = engine.line(line.as_bytes());
            let ended = matches!(step, Step::Message(_));
            put(step);
            if ended {
                engine.take_mail();
            }
        }
        out
    }

    /// As Postfix's program answers.
    #[test]
    fn conversation() {
        assert_eq!(
            play(
                "",
                &[
                    "EHLO c",
                    "HELO c",
                    "MAIL FROM:<a@b> SIZE=10",
                    "MAIL FROM:<x@y>",
                    "rcpt to:<c@d>",
                    "DATA",
                    "x",
                    "..",
                    ".",
                    "DATA",
                    "RCPT TO:<c>",
                    "FOO",
                    "RSET",
                    "NOOP",
                    "LHLO x",
                    "QUIT x",
                ]
            ),
            [
                "220 smtp-sink ESMTP",
                "250-smtp-sink|250-PIPELINING|250-8BITMIME|250-AUTH PLAIN LOGIN|250-XCLIENT NAME HELO|250-XFORWARD NAME ADDR PROTO HELO|\
                 250-ENHANCEDSTATUSCODES|250-DSN|250 ",
                "250 smtp-sink",
                "250 2.1.0 Ok",
                "503 5.5.1 Error: nested MAIL command",
                "250 2.1.5 Ok",
                "354 End data with <CR><LF>.<CR><LF>",
                "250 2.0.0 Ok",
                "503 5.5.1 Error: need RCPT command",
                "503 5.5.1 Error: need MAIL command",
                "500 5.5.1 Error: unknown command",
                "250 2.1.0 Ok",
                "250 2.0.0 Ok",
                "500 5.5.1 Error: unknown command",
                "221 Bye (close)",
            ]
        );
    }

    #[test]
    fn lmtp_answers_for_each_recipient() {
        let got = play("-L -h myname", &["LHLO c", "HELO c", "MAIL FROM:<a>", "RCPT TO:<b>", "RCPT TO:<c>", "DATA", "."]);
        assert_eq!(got[0], "220 myname ESMTP");
        assert_eq!(got[2], "500 5.5.1 Error: unknown command");
        assert_eq!(got.last().unwrap(), "250 2.2.0 Ok|250 2.2.0 Ok");
    }

    #[test]
    fn refusals() {
        assert_eq!(play("-f connect", &[]), ["500 5.3.0 Error: command failed"]);
        assert_eq!(play("-q connect", &[]), [" (close)"]);
        assert_eq!(play("-Q rcpt", &["MAIL FROM:<a>", "RCPT TO:<b>"])[2], "421 4.0.0 Server closing connection (close)");
        assert_eq!(
            play("-f rcpt", &["MAIL FROM:<a>", "RCPT TO:<b>", "DATA"])[2..],
            ["500 5.3.0 Error: command failed", "503 5.5.1 Error: need RCPT command"]
        );
        assert_eq!(play("-r .", &["MAIL FROM:<a>", "RCPT TO:<b>", "DATA", "x", "."])[4], "450 4.3.0 Error: command failed");
        assert_eq!(play("-e", &["EHLO c"]), ["220 smtp-sink", "500 5.5.1 Error: unknown command"]);
        assert_eq!(play("-P", &[])[0], "220 ********");
        assert_eq!(play("-8 -a -C -E -F -N -p", &["EHLO c"])[1], "250-smtp-sink|250 ");
    }
}
