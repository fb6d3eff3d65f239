//! Keys out of a message on standard input: its header lines (`-h`) and body lines (`-b`), as header_checks(5) and body_checks(5) see them.

use crate::query::{Input, each_line};
use crate::{Failed, Place};
use bstr::{BStr, ByteSlice};
use posthaste_mime::{Block, Fault, Handler, Header, HeadersEnd, Machine, Options};

/// What is done with a key.
type Ask<'a> = &'a mut dyn FnMut(&BStr) -> Result<(), Failed>;

/// Calls `ask` with each key.
pub fn keys(place: &Place, input: &mut Input<'_>, ask: Ask<'_>) -> Result<(), Failed> {
    let mut machine = Machine::new(Options { mime: place.options.mime, header_size_limit: usize::MAX, ..Options::default() });
    let mut handler = Keys { headers: place.options.headers, body: place.options.body, ask };
    each_line(place, input, &mut |line, _| machine.line(line, true, &mut handler))?;
    machine.end(&mut handler)
}

struct Keys<'a> {
    headers: bool,
    body: bool,
    ask: Ask<'a>,
}

impl Handler for Keys<'_> {
    type Error = Failed;

    fn header(&mut self, header: Header<'_>) -> Result<(), Failed> {
        if !self.headers {
            return Ok(());
        }
        // White space between name and colon is no part of the key.
        let name = header.name();
        let rest = header.text[name.len()..].trim_start_with(|c| c == ' ' || c == '\t');
        (self.ask)([name, rest].concat().as_bstr())
    }

    fn headers_end(&mut self, block: Block, end: HeadersEnd) -> Result<(), Failed> {
        // The empty line; after the message's own headers it is there for the reader even where it is missing.
        if self.body && (end == HeadersEnd::EmptyLine || (end == HeadersEnd::NoHeader && block == Block::Top)) {
            (self.ask)("".into())
        } else {
            Ok(())
        }
    }

    fn body(&mut self, line: &[u8], _whole: bool, _at: u64) -> Result<(), Failed> {
        if self.body { (self.ask)(line.as_bstr()) } else { Ok(()) }
    }

    fn fault(&mut self, _fault: Fault, _context: &[u8]) -> Result<(), Failed> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(message: &str, headers: bool, body: bool, mime: bool) -> Vec<String> {
        let mut seen = Vec::new();
        let mut ask = |key: &BStr| {
            seen.push(key.to_string());
            Ok(())
        };
        let mut machine = Machine::new(Options { mime, ..Options::default() });
        let mut handler = Keys { headers, body, ask: &mut ask };
        for line in message.lines() {
            assert!(machine.line(line.as_bytes(), true, &mut handler).is_ok());
        }
        assert!(machine.end(&mut handler).is_ok());
        seen
    }

    const MESSAGE: &str = "A : z\nContent-Type: multipart/mixed;\n boundary=\"b c\"\n\npre\n--b c\nX: part\n\nx\n--b c\nContent-Type: message/rfc822\n\n\
        Subject: inner\n\ninner body\n--b c--\nepi\n";

    // What Postfix's postmap prints for this message with a table that has every key.
    #[test]
    fn headers_and_body() {
        let type_line = "Content-Type: multipart/mixed;\n boundary=\"b c\"";
        assert_eq!(keys_of(MESSAGE, true, false, false), ["A: z", type_line]);
        assert_eq!(keys_of(MESSAGE, true, false, true), ["A: z", type_line, "X: part", "Content-Type: message/rfc822", "Subject: inner"]);
        assert_eq!(keys_of(MESSAGE, false, true, true), ["", "pre", "--b c", "", "x", "--b c", "", "", "inner body", "--b c--", "epi"]);
        assert_eq!(keys_of("Subject: x\nFoo\nBar: y\n", false, true, false), ["", "Foo", "Bar: y"]);
        let part = "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\nnot header\n--b\nZ: w\n--b--\n";
        assert_eq!(keys_of(part, false, true, true), ["", "--b", "not header", "--b", "--b--"]);
        assert_eq!(keys_of("\n\nbody\n", false, true, false), ["", "", "body"]);
    }
}
