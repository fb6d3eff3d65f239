//! Log lines, and texts made fit for them.

use super::session::{Level, Session};
use super::types::*;
use bstr::{BString, ByteSlice};
use posthaste_address::Address;

/// How a session ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The client closed the connection or it broke.
    Connection,
    /// The client was silent for `smtpd_timeout`.
    Timeout,
}

impl<M: Message> Session<M> {
    /// `QUEUEID: action: PLACE from CLIENT: text; from=<…> to=<…> proto=… helo=<…>`, the line of every reject, hold, warn and so on.
    pub fn describe(&self, action: &str, place: &str, text: &str) -> String {
        let recipient = match (self.candidate(), self.transaction()) {
            (Some(candidate), _) => Some(&candidate.address),
            (None, Some(transaction)) if transaction.recipients == 1 => transaction.first_recipient.as_ref(),
            _ => None,
        };
        let line = format!("{}: {action}: {place} from {}: {text};", self.queue_id(), self.label());
        self.with_circumstances(line, self.transaction(), recipient)
    }

    /// As [`Session::describe`], of a MAIL command whose sender does not count yet.
    pub fn describe_bare(&self, action: &str, place: &str, text: &str) -> String {
        let line = format!("{}: {action}: {place} from {}: {text};", self.queue_id(), self.label());
        self.with_circumstances(line, None, None)
    }

    /// `action: PLACE: text; from=<…> …`: the lines about what a filter in front of the queue said.
    pub fn describe_outcome(&self, action: &str, text: &str) -> String {
        let recipient = self.transaction().and_then(|transaction| transaction.first_recipient.as_ref());
        self.with_circumstances(format!("{action}: {}: {};", self.place, printable(text.as_bytes())), self.transaction(), recipient)
    }

    fn with_circumstances(&self, mut line: String, transaction: Option<&Transaction<M>>, recipient: Option<&Address>) -> String {
        if let Some(transaction) = transaction {
            line.push_str(" from=<");
            line.push_str(&self.shown(&transaction.sender));
            line.push('>');
        }
        if let Some(recipient) = recipient {
            line.push_str(" to=<");
            line.push_str(&self.shown(recipient));
            line.push('>');
        }
        line.push_str(" proto=");
        line.push_str(self.protocol());
        if let Some(helo) = &self.helo {
            line.push_str(" helo=<");
            line.push_str(&printable(helo));
            line.push('>');
        }
        if let Some(login) = self.login() {
            line.push_str(" sasl_method=");
            line.push_str(&login.method);
            line.push_str(" sasl_username=");
            line.push_str(&printable(&login.username));
            if !login.sender.is_empty() {
                line.push_str(" sasl_sender=");
                line.push_str(&printable(&login.sender));
            }
        }
        line
    }

    fn shown(&self, address: &Address) -> String {
        if self.settings.log_external { printable(&address.external()) } else { printable(address.as_bytes()) }
    }

    /// The client went away or fell silent: the log line, and for a silent one the last reply. The session is over.
    pub fn lost(&mut self, how: Lost) {
        let bytes = match self.content_so_far() {
            Some(bytes) => format!(" ({bytes} bytes)"),
            None => String::new(),
        };
        let word = match how {
            Lost::Connection => "lost connection",
            Lost::Timeout => "timeout",
        };
        // A client that leaves without QUIT when its message is in has done no harm.
        if how == Lost::Timeout || self.place != "END-OF-MESSAGE" {
            let line = format!("{}: {word} after {}{bytes} from {}", self.queue_id(), self.place, self.label());
            self.log(Level::Info, line);
        }
        self.aborted = Some(word);
        if how == Lost::Timeout {
            let hostname = self.settings.hostname.clone();
            self.reply(&format!("421 4.4.2 {hostname} Error: timeout exceeded"));
        }
    }

    /// The `disconnect from` line, with the commands counted. The transaction in progress is dropped.
    pub fn disconnect(&mut self) {
        self.end_transaction();
        let mut line = format!("disconnect from {}", self.label());
        let (mut total, mut good) = (0, 0);
        for (verb, name) in Verb::ALL {
            let count = self.counts[verb as usize];
            if count.total > 0 {
                line.push(' ');
                line.extend(name.chars().map(|c| c.to_ascii_lowercase()));
                push_count(&mut line, count.good, count.total);
            }
            total += count.total;
            good += count.good;
        }
        line.push_str(" commands");
        push_count(&mut line, good, total);
        self.log(Level::Info, line);
    }

    /// A transcript that became too long while the session goes on. Asked for before each read.
    pub fn take_flushed(&mut self) -> Option<Transcript> {
        self.flushed.take()
    }

    /// What the postmaster may want to know at the end of the session. `None` when all went well.
    pub fn transcript(&mut self) -> Option<Transcript> {
        if self.trouble == 0 || self.history.is_empty() {
            return None;
        }
        Some(Transcript { trouble: std::mem::take(&mut self.trouble), lines: std::mem::take(&mut self.history), aborted: self.aborted })
    }
}

fn push_count(line: &mut String, good: u32, total: u32) {
    use std::fmt::Write;
    // `0/0` when the client said nothing at all: the total is left out only when it equals a count above zero.
    let _ = if good == total && total > 0 { write!(line, "={good}") } else { write!(line, "={good}/{total}") };
}

/// `soft_bounce`: 5xx becomes 4xx, in the code and in the enhanced code. Also makes the first digit of the enhanced code fit.
pub(super) fn soften(text: &str, soft_bounce: bool) -> String {
    let mut bytes = text.as_bytes().to_vec();
    if soft_bounce && bytes.first() == Some(&b'5') {
        bytes[0] = b'4';
        if bytes.get(4) == Some(&b'5') && bytes.get(5) == Some(&b'.') {
            bytes[4] = b'4';
        }
    }
    // Only ASCII digits were exchanged.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Control characters and broken UTF-8 become `?`.
pub(super) fn printable(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.extend(chunk.valid().chars().map(|c| if c.is_control() { '?' } else { c }));
        out.extend(chunk.invalid().iter().map(|_| '?'));
    }
    out
}

/// A HELO name as it may appear in headers and log lines: what has a meaning there becomes `?`, and without `utf8` (`smtputf8_enable`) what is
/// no ASCII.
pub(super) fn neuter(name: &[u8], utf8: bool) -> BString {
    let bad = |c: u8| c.is_ascii_control() || b" <>()\\\";@".contains(&c) || !utf8 && !c.is_ascii();
    name.iter().map(|&c| if bad(c) { b'?' } else { c }).collect::<Vec<u8>>().into()
}

/// A host name or address literal as ETRN takes it.
pub(super) fn looks_like_host(name: &[u8]) -> bool {
    if let Some(literal) = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")) {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        return match literal.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case(b"IPv6:") => text(&literal[5..]).parse::<std::net::Ipv6Addr>().is_ok(),
            _ => text(literal).parse::<std::net::Ipv4Addr>().is_ok(),
        };
    }
    name.len() <= 255
        && name.is_ascii()
        // Without brackets an address is no name.
        && !name.iter().all(|c| c.is_ascii_digit() || *c == b'.')
        && name.split_str(".").all(|label| {
            (1..=63).contains(&label.len())
                && label.iter().all(|&c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_' || !c.is_ascii())
                && !label.starts_with(b"-")
                && !label.ends_with(b"-")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helo_names_are_made_harmless() {
        assert_eq!(neuter(b"foo bar", true), "foo?bar");
        assert_eq!(neuter(b"a<b>\"c(d)@;\\z", true), "a?b??c?d????z");
        assert_eq!(neuter("é".as_bytes(), true), "é");
        assert_eq!(neuter("é".as_bytes(), false), "??");
    }

    #[test]
    fn soft_bounce_changes_both_codes() {
        assert_eq!(soften("550 5.1.1 no", true), "450 4.1.1 no");
        assert_eq!(soften("500 Syntax", true), "400 Syntax");
        assert_eq!(soften("550 5.1.1 no", false), "550 5.1.1 no");
        assert_eq!(soften("450 4.1.1 no", true), "450 4.1.1 no");
    }

    #[test]
    fn hosts() {
        for name in ["example.com", "foo", "a_b.c", "[192.0.2.20]", "[IPv6:::1]", "a.1"] {
            assert!(looks_like_host(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "foo_bar..baz",
            "-a.b",
            "a-.b",
            "a b",
            "[x]",
            ".",
            "x.",
            "1.2.3",
            "192.0.2.1",
            "[::1]",
            "[IPv6:192.0.2.1]",
            "bücher.example",
        ] {
            assert!(!looks_like_host(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn unprintable_characters_become_question_marks() {
        assert_eq!(printable(b"a\x01b\xffc\xc3\xa9"), "a?b?c\u{e9}");
    }
}
