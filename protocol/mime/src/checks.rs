//! header_checks(5) and body_checks(5): patterns looked up for each header and body line, and what their actions mean.

use crate::header::header_name_len;
use crate::machine::Class;
use bstr::{BStr, BString, ByteSlice};
use posthaste_config::{Config, ConfigError};
use posthaste_table::{Maps, OpenFlags, TableError};

/// The four sets of checks of one program.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    header: Maps,
    mime: Maps,
    nested: Maps,
    body: Maps,
    body_limit: u64,
}

/// What a check asks for. Text is empty where none was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `BCC`: an additional recipient.
    Bcc(BString),
    /// `DISCARD`.
    Discard(BString),
    /// `FILTER transport:destination`.
    Filter(BString),
    /// `HOLD`.
    Hold(BString),
    /// `IGNORE`: drop the line, quietly.
    Ignore,
    /// `INFO`.
    Info(BString),
    /// `PASS`: no more checks.
    Pass(BString),
    /// `PREPEND`: a line before this one.
    Prepend(BString),
    /// `REDIRECT user@domain`.
    Redirect(BString),
    /// `REJECT`: enhanced status code and text.
    Reject {
        /// `5.7.1` unless the text began with one.
        dsn: String,
        /// Not empty.
        text: BString,
    },
    /// `REPLACE`: this in place of the line.
    Replace(BString),
    /// `STRIP`: drop the line, and log it.
    Strip(BString),
    /// `WARN`.
    Warn(BString),
}

impl Action {
    /// The word of the log line, for actions that are logged.
    pub fn word(&self) -> Option<&'static str> {
        Some(match self {
            Action::Bcc(_) => "bcc",
            Action::Discard(_) => "discard",
            Action::Filter(_) => "filter",
            Action::Hold(_) => "hold",
            Action::Ignore => return None,
            Action::Info(_) => "info",
            Action::Pass(_) => "pass",
            Action::Prepend(_) => "prepend",
            Action::Redirect(_) => "redirect",
            Action::Reject { .. } => "reject",
            Action::Replace(_) => "replace",
            Action::Strip(_) => "strip",
            Action::Warn(_) => "warning",
        })
    }

    /// The text after the colon of the log line.
    pub fn text(&self) -> BString {
        match self {
            Action::Ignore => BString::default(),
            Action::Reject { dsn, text } => [dsn.as_bytes(), b" ", text.as_slice()].concat().into(),
            Action::Bcc(t) | Action::Discard(t) | Action::Filter(t) | Action::Hold(t) | Action::Info(t) | Action::Pass(t) => t.clone(),
            Action::Prepend(t) | Action::Redirect(t) | Action::Replace(t) | Action::Strip(t) | Action::Warn(t) => t.clone(),
        }
    }
}

/// What a lookup gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, or `DUNNO`.
    Dunno,
    /// An action.
    Act(Action),
    /// The table's entry is wrong: a warning to be logged, and the line passes.
    Bad(String),
}

impl Checks {
    /// The tables named by `PREFIXheader_checks`, …: prefix is empty for cleanup, `smtp_` and `lmtp_` for the clients.
    pub fn open(config: &Config, prefix: &str) -> Result<Checks, ConfigError> {
        let maps = |name: &str| {
            let name = format!("{prefix}{name}");
            Ok::<_, ConfigError>(Maps::open_flags(&name, &config.text(&name)?, OpenFlags::RAW, config))
        };
        Ok(Checks {
            header: maps("header_checks")?,
            mime: maps("mime_header_checks")?,
            nested: maps("nested_header_checks")?,
            body: maps("body_checks")?,
            body_limit: config.int("body_checks_size_limit")?.unsigned_abs(),
        })
    }

    /// Whether some table may block.
    pub fn may_block(&self) -> bool {
        [&self.header, &self.mime, &self.nested, &self.body].iter().any(|maps| maps.may_block())
    }

    /// Whether nothing is checked.
    pub fn is_empty(&self) -> bool {
        [&self.header, &self.mime, &self.nested, &self.body].iter().all(|maps| maps.is_empty())
    }

    /// Whether headers are checked, the message's own or others.
    pub fn has_header(&self) -> bool {
        [&self.header, &self.mime, &self.nested].iter().any(|maps| !maps.is_empty())
    }

    /// Whether body lines are checked at all.
    pub fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Looks up a whole logical header, line breaks included.
    pub fn header(&self, class: Class, text: &BStr) -> Result<Verdict, TableError> {
        let maps = match class {
            Class::Primary => &self.header,
            Class::Mime => &self.mime,
            Class::Nested => &self.nested,
        };
        match maps.is_empty() {
            true => Ok(Verdict::Dunno),
            false => Ok(maps.find(text)?.map_or(Verdict::Dunno, |value| parse(&value, maps.title(), true))),
        }
    }

    /// Looks up a body line that begins `at` bytes into its body segment (`body_checks_size_limit`). Empty lines are not looked up.
    pub fn body(&self, line: &BStr, at: u64) -> Result<Verdict, TableError> {
        if self.body.is_empty() || at >= self.body_limit || line.is_empty() {
            return Ok(Verdict::Dunno);
        }
        Ok(self.body.find(line)?.map_or(Verdict::Dunno, |value| parse(&value, self.body.title(), false)))
    }
}

/// Reads a table's answer. `title` names the parameter in warnings.
pub fn parse(value: &[u8], title: &str, header: bool) -> Verdict {
    let (command, text) = match value.find_byteset(b" \t") {
        Some(at) => (&value[..at], value[at..].trim_ascii_start()),
        None => (value, &value[value.len()..]),
    };
    let text = BString::from(text);
    let bad_line =
        |action: &str| Verdict::Bad(format!("bad {action} header text \"{text}\" in {title} map -- need \"headername: headervalue\""));
    let missing = |action: &str| Verdict::Bad(format!("{action} action without text in {title} map"));
    let is_address = || text.find_byte(b'@').is_some_and(|at| at > 0 && at + 1 < text.len());
    let action = match command.to_ascii_uppercase().as_slice() {
        b"DUNNO" | b"OK" => return Verdict::Dunno,
        b"REJECT" => reject(text),
        b"WARN" => Action::Warn(text),
        b"INFO" => Action::Info(text),
        b"IGNORE" => Action::Ignore,
        b"STRIP" => Action::Strip(text),
        b"DISCARD" => Action::Discard(text),
        b"HOLD" => Action::Hold(text),
        b"PASS" => Action::Pass(text),
        b"FILTER" if !text.contains(&b':') => {
            return Verdict::Bad(format!("bad FILTER command {text} in {title} -- need transport:destination"));
        }
        b"FILTER" => Action::Filter(text),
        b"REDIRECT" if !is_address() => {
            return Verdict::Bad(format!("bad REDIRECT target \"{text}\" in {title} map -- need user@domain"));
        }
        b"REDIRECT" => Action::Redirect(text),
        b"BCC" if !is_address() => return Verdict::Bad(format!("bad BCC address \"{text}\" in {title} map -- need user@domain")),
        b"BCC" => Action::Bcc(text),
        b"PREPEND" if text.is_empty() => return missing("PREPEND"),
        b"PREPEND" if header && header_name_len(&text).is_none() => return bad_line("PREPEND"),
        b"PREPEND" => Action::Prepend(text),
        b"REPLACE" if text.is_empty() => return missing("REPLACE"),
        b"REPLACE" if header && header_name_len(&text).is_none() => return bad_line("REPLACE"),
        b"REPLACE" => Action::Replace(text),
        _ => return Verdict::Bad(format!("unknown command in {title} map: {}", value.as_bstr())),
    };
    Verdict::Act(action)
}

fn reject(text: BString) -> Action {
    let (dsn, text) = match dsn_prefix(&text) {
        Some((dsn, rest)) => (dsn.to_owned(), BString::from(rest.trim_ascii_start())),
        None => ("5.7.1".to_owned(), text),
    };
    Action::Reject { dsn, text: if text.is_empty() { "message content rejected".into() } else { text } }
}

/// Splits an enhanced status code (RFC 3463) of class 4 or 5 from the front of a text.
fn dsn_prefix(text: &[u8]) -> Option<(&str, &[u8])> {
    let len = text.iter().position(|c| !c.is_ascii_digit() && *c != b'.').unwrap_or(text.len());
    let (code, rest) = text.split_at(len);
    let code = code.to_str().ok()?;
    let mut parts = code.split('.');
    let class = parts.next()?;
    let fits = |part: Option<&str>| part.is_some_and(|part| (1..=3).contains(&part.len()));
    let sound = matches!(class, "4" | "5") && fits(parts.next()) && fits(parts.next()) && parts.next().is_none();
    (sound && rest.first().is_none_or(|c| c.is_ascii_whitespace())).then_some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> Verdict {
        parse(value.as_bytes(), "header_checks", true)
    }

    /// S-CHECK-05, S-CHECK-06: every action, with and without its text.
    #[test]
    fn actions() {
        let act = Verdict::Act;
        let reject = |dsn: &str, text: &str| act(Action::Reject { dsn: dsn.into(), text: text.into() });
        assert_eq!(header("REJECT no such subject"), reject("5.7.1", "no such subject"));
        assert_eq!(header("reject"), reject("5.7.1", "message content rejected"));
        assert_eq!(header("REJECT 5.9.9 custom"), reject("5.9.9", "custom"));
        assert_eq!(header("REJECT 4.9.9 custom"), reject("4.9.9", "custom"));
        assert_eq!(header("REJECT 2.9.9 custom"), reject("5.7.1", "2.9.9 custom"));
        assert_eq!(header("REJECT 5.9 custom"), reject("5.7.1", "5.9 custom"));
        assert_eq!(header("DUNNO"), Verdict::Dunno);
        assert_eq!(header("OK foo"), Verdict::Dunno);
        assert_eq!(header("IGNORE foo"), act(Action::Ignore));
        assert_eq!(header("filter smtp:foo"), act(Action::Filter("smtp:foo".into())));
        assert_eq!(header("BCC a@b"), act(Action::Bcc("a@b".into())));
        assert_eq!(header("REDIRECT a@b"), act(Action::Redirect("a@b".into())));
        assert_eq!(header("PREPEND X-Before: yes"), act(Action::Prepend("X-Before: yes".into())));
        assert_eq!(header("REPLACE X: y"), act(Action::Replace("X: y".into())));
        assert_eq!(parse(b"REPLACE any text", "body_checks", false), act(Action::Replace("any text".into())));
        for (value, word) in [
            ("WARN x", "warning"),
            ("INFO x", "info"),
            ("HOLD x", "hold"),
            ("DISCARD x", "discard"),
            ("PASS x", "pass"),
            ("STRIP x", "strip"),
        ] {
            let Verdict::Act(action) = header(value) else { panic!("{value}") };
            assert_eq!(action.word(), Some(word));
            assert_eq!(action.text(), "x");
        }
    }

    /// S-CHECK-07: the warnings are Postfix's.
    #[test]
    fn mistakes() {
        for (value, warning) in [
            ("NONSENSE action", "unknown command in header_checks map: NONSENSE action"),
            ("450 4.7.9 try some other time", "unknown command in header_checks map: 450 4.7.9 try some other time"),
            ("FILTER smtp", "bad FILTER command smtp in header_checks -- need transport:destination"),
            ("REDIRECT foo", "bad REDIRECT target \"foo\" in header_checks map -- need user@domain"),
            ("BCC foo", "bad BCC address \"foo\" in header_checks map -- need user@domain"),
            ("REPLACE", "REPLACE action without text in header_checks map"),
            ("REPLACE nohdr", "bad REPLACE header text \"nohdr\" in header_checks map -- need \"headername: headervalue\""),
            ("PREPEND nohdr", "bad PREPEND header text \"nohdr\" in header_checks map -- need \"headername: headervalue\""),
        ] {
            assert_eq!(header(value), Verdict::Bad(warning.into()), "{value}");
        }
    }
}
