//! The text of a message: line ends, the final dot, `From ` lines in front, and the recipients in its headers.

use bstr::{BString, ByteSlice};
use posthaste_address::list::AddressList;
use std::io::{self, BufRead};

/// How line ends are made those of a queue file (`sendmail_fix_line_endings`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEndings {
    /// Take a CR off every line.
    Always,
    /// Leave them.
    Never,
    /// Take a CR off every line when the first has one.
    Strict,
}

/// A piece of the message.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The end of a line, or a whole one.
    Line(&'a [u8]),
    /// A part of a long line.
    Part(&'a [u8]),
}

/// Reads a message line by line.
pub struct Reader<R> {
    input: R,
    line: Vec<u8>,
    limit: usize,
    endings: LineEndings,
    stop_at_dot: bool,
    /// Before the first line that is the message's own: `From ` lines are skipped.
    before: bool,
    /// Strict: what the first line says.
    strip: Option<bool>,
    in_line: bool,
    /// The last line had a line end.
    newline: bool,
}

impl<R: BufRead> Reader<R> {
    /// `limit` is `line_length_limit`: longer lines come in parts.
    pub fn new(input: R, limit: usize, endings: LineEndings, stop_at_dot: bool) -> Reader<R> {
        let strip = match endings {
            LineEndings::Always => Some(true),
            LineEndings::Never => Some(false),
            LineEndings::Strict => None,
        };
        Reader { input, line: Vec::new(), limit: limit.max(1), endings, stop_at_dot, before: true, strip, in_line: false, newline: false }
    }

    /// The next piece; `None` at the end.
    pub fn piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            self.line.clear();
            let ended = self.fill()?;
            if self.line.is_empty() && !ended {
                return Ok(None);
            }
            let first = !std::mem::replace(&mut self.in_line, !ended);
            if ended {
                let cr = self.line.last() == Some(&b'\r');
                let strip = *self.strip.get_or_insert(cr && self.endings == LineEndings::Strict);
                // All of them; none of a last line that has no end.
                while strip && self.newline && self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
            }
            if first && ended && self.stop_at_dot && self.line == b"." {
                return Ok(None);
            }
            if first && self.before {
                if ended && (self.line.starts_with(b"From ") || self.line.starts_with(b">From ")) {
                    continue;
                }
                self.before = false;
            }
            break;
        }
        Ok(Some(if self.in_line { Piece::Part(&self.line) } else { Piece::Line(&self.line) }))
    }

    /// Reads up to the end of the line, which is taken off, or to the limit; says whether the line ended (also by the end of input).
    fn fill(&mut self) -> io::Result<bool> {
        while self.line.len() < self.limit {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if available.is_empty() {
                // A last line without its end is a line.
                self.newline = false;
                return Ok(!self.line.is_empty() || std::mem::take(&mut self.in_line));
            }
            let room = (self.limit - self.line.len()).min(available.len());
            if let Some(at) = available[..room].find_byte(b'\n') {
                self.line.extend_from_slice(&available[..at]);
                self.input.consume(at + 1);
                self.newline = true;
                return Ok(true);
            }
            self.line.extend_from_slice(&available[..room]);
            self.input.consume(room);
        }
        Ok(false)
    }
}

/// Collects the recipients of `-t`: `To:`, `Cc:` and `Bcc:`, or their `Resent-` forms where there are such.
#[derive(Debug, Default)]
pub struct HeaderRecipients {
    header: Vec<u8>,
    ended: bool,
    plain: Vec<BString>,
    resent: Vec<BString>,
    is_resent: bool,
}

/// More header text than this is not looked at.
const HEADER_LIMIT: usize = 1 << 20;

impl HeaderRecipients {
    /// Takes a line of the message.
    pub fn line(&mut self, line: &[u8]) {
        if self.ended {
            return;
        }
        if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) && !self.header.is_empty() {
            if self.header.len() < HEADER_LIMIT {
                self.header.push(b'\n');
                self.header.extend_from_slice(line);
            }
            return;
        }
        self.take();
        let name_end = line.iter().position(|b| !(33..127).contains(b) || *b == b':').unwrap_or(line.len());
        let colon = line[name_end..].trim_ascii_start().first() == Some(&b':');
        if name_end == 0 || !colon {
            self.ended = true;
            return;
        }
        self.header.extend_from_slice(line);
    }

    fn take(&mut self) {
        let header = std::mem::take(&mut self.header);
        let Some(colon) = header.find_byte(b':') else { return };
        let name = header[..colon].trim_ascii_end().to_ascii_lowercase();
        let resent = name.starts_with(b"resent-");
        let list = match name.strip_prefix(b"resent-".as_slice()).unwrap_or(&name) {
            b"to" | b"cc" | b"bcc" => AddressList::parse(&header[colon + 1..], 100_000),
            // Also `Resent-From:` and its like: only recipients make the others void.
            _ => return,
        };
        self.is_resent |= resent;
        let into = if resent { &mut self.resent } else { &mut self.plain };
        into.extend(list.addresses().map(BString::from));
    }

    /// All recipients, in external form.
    pub fn finish(mut self) -> Vec<BString> {
        self.take();
        if self.is_resent { self.resent } else { self.plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], limit: usize, endings: LineEndings, dot: bool) -> Vec<String> {
        let mut reader = Reader::new(text, limit, endings, dot);
        let mut all = Vec::new();
        while let Some(piece) = reader.piece().unwrap() {
            all.push(match piece {
                Piece::Line(l) => format!("N{}", l.as_bstr()),
                Piece::Part(l) => format!("L{}", l.as_bstr()),
            });
        }
        all
    }

    #[test]
    fn lines_dots_and_parts() {
        use LineEndings::{Always, Never, Strict};
        assert_eq!(read(b"a\n.\nb\n", 9, Always, true), ["Na"]);
        assert_eq!(read(b"a\n.\nb\n", 9, Always, false), ["Na", "N.", "Nb"]);
        assert_eq!(read(b"a\r\nb\r\n", 9, Always, true), ["Na", "Nb"]);
        assert_eq!(read(b"a\r\nb\r\n", 9, Never, true), ["Na\r", "Nb\r"]);
        assert_eq!(read(b"a\nb\r\n", 9, Strict, true), ["Na", "Nb\r"]);
        // As observed: all carriage returns before a line end go, those elsewhere stay.
        assert_eq!(read(b"a\r\r\nb\rc\nd\r", 9, Always, true), ["Na", "Nb\rc", "Nd\r"]);
        assert_eq!(read(b"a\r\r\nb\r\r\n", 9, Strict, true), ["Na", "Nb"]);
        assert_eq!(read(b"a\r\r\nb\n", 9, Never, true), ["Na\r\r", "Nb"]);
        assert_eq!(read(b"abcdef\nno end", 4, Always, true), ["Labcd", "Nef", "Lno e", "Nnd"]);
        // A line of exactly the limit: a part, and an empty rest (queue file format, section 5).
        assert_eq!(read(b"abcd\nx\n", 4, Always, true), ["Labcd", "N", "Nx"]);
        assert_eq!(read(b"From me now\n>From you\nSubject: x\n\nFrom here\n", 99, Always, true), ["NSubject: x", "N", "NFrom here"]);
        assert_eq!(read(b"", 9, Always, true), Vec::<String>::new());
        assert_eq!(read(b".", 9, Always, true), Vec::<String>::new());
    }

    fn recipients(text: &str) -> Vec<BString> {
        let mut headers = HeaderRecipients::default();
        text.split('\n').for_each(|l| headers.line(l.as_bytes()));
        headers.finish()
    }

    // S-CMD: sendmail -t.
    #[test]
    fn recipients_of_headers() {
        assert_eq!(recipients("To: alice, Bob <bob@x>\nCc: c\n d\nBcc: e\n\nTo: body"), ["alice", "bob@x", "c", "d", "e"]);
        assert_eq!(recipients("To: alice\nResent-To: r@x\nSubject: y"), ["r@x"]);
        assert_eq!(recipients("no header\nTo: x"), Vec::<BString>::new());
    }
}
