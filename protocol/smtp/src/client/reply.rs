//! Replies of a server (RFC 5321 §4.2), as tolerant of odd ones as Postfix is.

use bstr::{BStr, BString, ByteSlice};
use std::fmt;

/// An enhanced status code `class.subject.detail` (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// 2, 4 or 5.
    pub class: u8,
    /// At most three digits.
    pub subject: u16,
    /// At most three digits.
    pub detail: u16,
}

impl Status {
    /// A status of three small numbers.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Status {
        Status { class, subject, detail }
    }

    /// Reads a status at the start of `text`, followed by a blank or the end.
    pub fn parse(text: &[u8]) -> Option<Status> {
        let word = text.split(|&c| c == b' ' || c == b'\t').next()?;
        let mut parts = word.split(|&c| c == b'.');
        let mut number = |limit: usize| {
            let part = parts.next()?;
            let ok = (1..=limit).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
            ok.then(|| part.iter().fold(0, |n, &c| n * 10 + u16::from(c - b'0')))
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        (parts.next().is_none() && matches!(class, 2 | 4 | 5)).then_some(Status { class: class as u8, subject, detail })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One reply, which may have had several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of the last line; 0 when that had none that counts (below 200 or above 599 are kept as they are).
    pub code: u16,
    /// Of the last line, if it agrees with the code.
    pub status: Option<Status>,
    /// All lines with their codes, joined by newlines, without CR LF; unprintable characters are still in it.
    pub text: BString,
}

impl Reply {
    /// First digit of the code.
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.class() == 2
    }

    /// The status to report: the enhanced one, or `X.0.0` of the code. A code that is no answer to what was asked counts as a protocol error:
    /// 5.5.0.
    pub fn status_or_default(&self) -> Status {
        match (self.status, self.class()) {
            (Some(status), _) => status,
            (None, class @ (2 | 4 | 5)) => Status::new(class as u8, 0, 0),
            (None, _) => Status::new(5, 5, 0),
        }
    }

    /// The lines of the text without codes, as an EHLO reply has them.
    pub fn lines(&self) -> impl Iterator<Item = &BStr> {
        self.text.split_str("\n").map(|line| line.get(4..).unwrap_or_default().as_bstr())
    }

    /// The text on one line, safe for log and report: what cannot be printed becomes `?`, line ends become blanks. UTF-8 stays.
    pub fn printable(&self) -> BString {
        printable(&self.text)
    }
}

/// As [`Reply::printable`], of any text.
pub fn printable(text: &[u8]) -> BString {
    let mut out = BString::from(Vec::with_capacity(text.len()));
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push(b' '),
                c if c.is_control() => out.push(b'?'),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend(chunk.invalid().iter().map(|_| b'?'));
    }
    out
}

/// Something odd that the server said, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A line longer than the limit; here is its start.
    TooLong(BString),
    /// A line without a reply code.
    NoCode(BString),
}

/// Collects bytes into replies.
#[derive(Debug)]
pub struct ReplyReader {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are done with.
    used: usize,
    /// Bytes of `buffer` known to hold no line end.
    searched: usize,
    text: Vec<u8>,
    limit: usize,
    skipping: bool,
    oddities: Vec<Oddity>,
}

/// A reply of more than this is cut off: no server needs it, and memory is bounded by it.
const REPLY_LIMIT: usize = 100_000;

impl ReplyReader {
    /// `limit` is the longest line taken whole; what is beyond it is dropped.
    pub fn new(limit: usize) -> ReplyReader {
        ReplyReader { buffer: Vec::new(), used: 0, searched: 0, text: Vec::new(), limit, skipping: false, oddities: Vec::new() }
    }

    /// Adds what came from the server.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.compact();
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer to read into, for shells that spare a copy: bytes are appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.compact();
        &mut self.buffer
    }

    fn compact(&mut self) {
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.searched -= self.used;
            self.used = 0;
        }
    }

    /// Whether bytes are left that no reply has used: the server talks without being asked.
    pub fn has_leftovers(&self) -> bool {
        self.used < self.buffer.len() || !self.text.is_empty()
    }

    /// The next whole reply; `None` when more bytes are needed.
    pub fn next_reply(&mut self) -> Option<Reply> {
        self.next_filtered(|_| None)
    }

    /// As [`ReplyReader::next_reply`]; each line, without its end, may be replaced by `filter` (`smtp_reply_filter`).
    pub fn next_filtered(&mut self, mut filter: impl FnMut(&[u8]) -> Option<BString>) -> Option<Reply> {
        while let Some(line) = self.line() {
            let start = self.text.len();
            let replaced = filter(&self.buffer[line.clone()]);
            let text = match &replaced {
                Some(text) => text.as_slice(),
                None => &self.buffer[line],
            };
            if start > 0 && start < REPLY_LIMIT {
                self.text.push(b'\n');
            }
            if start < REPLY_LIMIT {
                self.text.extend_from_slice(text);
            }
            match line_kind(text) {
                Kind::Last(code) => {
                    let status = text.get(4..).and_then(Status::parse).filter(|status| u16::from(status.class) == code / 100);
                    return Some(Reply { code, status, text: std::mem::take(&mut self.text).into() });
                }
                Kind::More => {}
                Kind::Garbage => {
                    let text = printable(text);
                    self.oddities.push(Oddity::NoCode(text));
                }
            }
        }
        None
    }

    /// What was odd since the last call.
    pub fn take_oddities(&mut self) -> Vec<Oddity> {
        std::mem::take(&mut self.oddities)
    }

    /// The next line without its end, as a range of the buffer.
    fn line(&mut self) -> Option<std::ops::Range<usize>> {
        let Some(end) = memchr::memchr(b'\n', &self.buffer[self.searched..]).map(|at| self.searched + at) else {
            self.searched = self.buffer.len();
            // An endless line: keep its start, drop the rest as it comes.
            if self.searched - self.used > self.limit + 2 {
                self.buffer.truncate(self.used + self.limit + 2);
                self.searched = self.buffer.len();
                self.skipping = true;
            }
            return None;
        };
        let start = self.used;
        let without_returns = |line: &[u8]| line.trim_end_with(|c| c == '\r').len();
        // Of what is much too long the end may be gone, whatever it was: only the start decides.
        let endless = std::mem::take(&mut self.skipping) || end - start > self.limit + 2;
        let mut stop = if endless { start + self.limit } else { start + without_returns(&self.buffer[start..end]) };
        self.used = end + 1;
        self.searched = self.used;
        if endless || stop - start > self.limit {
            stop = start + without_returns(&self.buffer[start..start + self.limit]);
            let shown = self.buffer[start..stop.min(start + 30)].to_vec();
            self.oddities.push(Oddity::TooLong(printable(&shown)));
        }
        Some(start..stop)
    }
}

enum Kind {
    Last(u16),
    More,
    Garbage,
}

fn line_kind(line: &[u8]) -> Kind {
    match line {
        [a, b, c, rest @ ..] if [a, b, c].iter().all(|d| d.is_ascii_digit()) => {
            let code = [a, b, c].iter().fold(0, |n, &&d| n * 10 + u16::from(d - b'0'));
            match rest {
                [] | [b' ', ..] => Kind::Last(code),
                [b'-', ..] => Kind::More,
                _ => Kind::Garbage,
            }
        }
        _ => Kind::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8]) -> (Vec<Reply>, Vec<Oddity>) {
        let mut reader = ReplyReader::new(2048);
        reader.feed(input);
        let replies = std::iter::from_fn(|| reader.next_reply()).collect();
        (replies, reader.take_oddities())
    }

    /// What is kept of a line that is too long does not depend on how it comes, carriage returns and all.
    #[test]
    fn cuts_of_long_lines() {
        let lines = [1900, 2040, 2044, 2045, 2046, 2047, 2048, 2049, 2060]
            .map(|n| [b"250 ".to_vec(), b"x".repeat(n), b"\r".repeat(60), b"\n".to_vec()].concat());
        for line in lines {
            let (whole, odd) = all(&line);
            let mut reader = ReplyReader::new(2048);
            let mut pieces = Vec::new();
            for piece in line.chunks(3) {
                reader.feed(piece);
                pieces.extend(reader.next_reply());
            }
            assert_eq!(whole, pieces);
            assert_eq!(odd, reader.take_oddities());
            assert!(whole[0].text.len() <= 2048 && whole[0].text.ends_with(b"x"));
        }
    }

    fn one(input: &str) -> Reply {
        let (mut replies, _) = all(input.as_bytes());
        assert_eq!(replies.len(), 1, "{input:?}");
        replies.remove(0)
    }

    /// S-CLIENT-02. Which enhanced code counts: as observed with Postfix.
    #[test]
    fn codes_and_enhanced_codes() {
        for (input, code, status) in [
            ("250 2.0.0 Ok\r\n", 250, "2.0.0"),
            ("250\r\n", 250, "2.0.0"),
            ("553 no enhanced code\r\n", 553, "5.0.0"),
            ("550 4.1.1 code mismatch\r\n", 550, "5.0.0"),
            ("550 5.1.1000 x\r\n", 550, "5.0.0"),
            ("550-5.1.2 a\r\n550 b\r\n", 550, "5.0.0"),
            ("250-4.1.1 a\r\n550 5.0.1 no\r\n", 550, "5.0.1"),
            ("451\n", 451, "4.0.0"),
            ("354 strange\r\n", 354, "5.5.0"),
            ("650 hi\r\n", 650, "5.5.0"),
        ] {
            let reply = one(input);
            assert_eq!((reply.code, reply.status_or_default().to_string().as_str()), (code, status), "{input:?}");
        }
    }

    #[test]
    fn lines_are_joined_and_made_printable() {
        let reply = one("550-5.1.1 first line\r\n550 5.1.1 second line\r\n");
        assert_eq!(reply.printable(), "550-5.1.1 first line 550 5.1.1 second line");
        assert_eq!(one("550 5.1.1 gr\u{fc}\u{df} \x01\x7f\ttab\\n\r\n").printable(), "550 5.1.1 gr\u{fc}\u{df} ???tab\\n");
        let (replies, _) = all(b"550 \xff\r\n");
        assert_eq!(replies[0].printable(), "550 ?");
    }

    /// What has no reply code is taken along until a line has one.
    #[test]
    fn garbage_between() {
        let (replies, odd) = all(b"hello\r\n25 hi\r\n550x5.1.1 no\r\n250 2.0.0 ok\r\n");
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0].printable(), "hello 25 hi 550x5.1.1 no 250 2.0.0 ok");
        assert_eq!(odd.len(), 3);
    }

    #[test]
    fn byte_by_byte_and_pipelined() {
        let input = b"250-mx\r\n250-SIZE 10\r\n250 DSN\r\n250 2.1.0 Ok\r\n354 go\r\n";
        let (expected, _) = all(input);
        let mut reader = ReplyReader::new(2048);
        let mut got = Vec::new();
        for byte in input {
            reader.feed(&[*byte]);
            got.extend(reader.next_reply());
        }
        assert_eq!(got, expected);
        assert_eq!(got.len(), 3);
        assert!(!reader.has_leftovers());
    }

    #[test]
    fn endless_lines_cost_no_memory() {
        let mut reader = ReplyReader::new(2048);
        reader.feed(b"550 5.1.1 ");
        for _ in 0..1000 {
            reader.feed(&[b'x'; 1000]);
            assert!(reader.next_reply().is_none());
            assert!(reader.buffer.len() < 4000);
        }
        reader.feed(b"\r\n250 ok\r\n");
        let reply = reader.next_reply().unwrap();
        assert_eq!((reply.code, reply.text.len()), (550, 2048));
        assert_eq!(reader.take_oddities(), [Oddity::TooLong("550 5.1.1 xxxxxxxxxxxxxxxxxxxx".into())]);
        assert_eq!(reader.next_reply().unwrap().code, 250);
    }

    #[test]
    fn endless_replies_cost_no_memory() {
        let mut reader = ReplyReader::new(2048);
        for _ in 0..10_000 {
            reader.feed(b"250-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
            assert!(reader.next_reply().is_none());
        }
        assert!(reader.text.len() < REPLY_LIMIT + 100);
    }

    #[test]
    fn filter_replaces_lines() {
        let mut reader = ReplyReader::new(2048);
        reader.feed(b"garbage\r\n250 ok\r\n");
        let reply = reader.next_filtered(|line| (line == b"garbage").then(|| "250-filler".into())).unwrap();
        assert_eq!(reply.printable(), "250-filler 250 ok");
        assert!(reader.take_oddities().is_empty());
    }

    proptest::proptest! {
        /// How the bytes are cut into packets makes no difference.
        #[test]
        fn packets_do_not_matter(input in "([2-5][0-9][0-9][ -][a-z]{0,5}|[a-z]{1,6})?(\r\n|\n)([2-5][0-9][0-9][ -]x\r\n){0,4}", cut in 0usize..40) {
            let (whole, _) = all(input.as_bytes());
            let (head, tail) = input.as_bytes().split_at(cut.min(input.len()));
            let mut reader = ReplyReader::new(2048);
            let mut got = Vec::new();
            for part in [head, tail] {
                reader.feed(part);
                got.extend(std::iter::from_fn(|| reader.next_reply()));
            }
            proptest::prop_assert_eq!(got, whole);
        }
    }
}
