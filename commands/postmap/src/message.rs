//! Keys out of a message on standard input: its header lines (`-h`) and body lines (`-b`).

use crate::query::each_line;
use crate::{Failed, Place};
use bstr::{BStr, BString, ByteSlice};
use std::io::BufRead;

/// Calls `ask` with each key, as header_checks(5) and body_checks(5) would.
pub fn keys(place: &Place, input: &mut dyn BufRead, ask: &mut dyn FnMut(&BStr) -> Result<(), Failed>) -> Result<(), Failed> {
    let mut header: Option<BString> = None;
    let mut in_headers = true;
    let (headers, body) = (place.options.headers, place.options.body);
    let flush = |header: &mut Option<BString>, ask: &mut dyn FnMut(&BStr) -> Result<(), Failed>| match header.take() {
        Some(line) if headers => ask(line.as_bstr()),
        _ => Ok(()),
    };
    each_line(place, input, &mut |line| {
        if in_headers {
            if let Some(open) = &mut header
                && line.first().is_some_and(|c| matches!(c, b' ' | b'\t'))
            {
                open.push(b'\n');
                open.extend_from_slice(line);
                return Ok(());
            }
            flush(&mut header, ask)?;
            if let Some(normal) = header_line(line) {
                header = Some(normal);
                return Ok(());
            }
            in_headers = false;
            if body {
                // A body that begins without an empty line gets one.
                if !line.is_empty() {
                    ask(b"".as_bstr())?;
                }
                ask(line)?;
            }
            return Ok(());
        }
        if body { ask(line) } else { Ok(()) }
    })?;
    flush(&mut header, ask)
}

/// A line that begins with a header's name: the same without white space before the colon.
fn header_line(line: &BStr) -> Option<BString> {
    let colon = line.find_byte(b':')?;
    let name = line[..colon].trim_end_with(|c| c == ' ' || c == '\t');
    if name.is_empty() || !name.iter().all(|c| (33..127).contains(c)) {
        return None;
    }
    Some([name, &line[colon..]].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines() {
        assert_eq!(header_line("Subject : z".into()), Some("Subject: z".into()));
        assert_eq!(header_line("A b: c".into()), None);
        assert_eq!(header_line(":x".into()), None);
        assert_eq!(header_line("no colon".into()), None);
    }
}
