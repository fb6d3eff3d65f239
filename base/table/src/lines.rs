//! Logical lines of table sources: comments and empty lines left out, continuation lines joined.

use bstr::{BStr, BString, ByteSlice};

/// One logical line, without its line breaks.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Number of its first physical line, from 1.
    pub number: usize,
    /// Where that line begins in the source, in bytes.
    pub offset: usize,
    /// The text; a continuation line is appended with its leading white space.
    pub text: BString,
}

/// Splits `source` into logical lines (postmap(1), INPUT FILE FORMAT). A logical line begins with a character that is not white
/// space; a comment or empty line does not end it. A first line that begins with white space is returned as it is: the caller decides.
pub fn logical_lines(source: &[u8]) -> impl Iterator<Item = Line> + '_ {
    Lines { len: source.len(), rest: source, number: 0 }
}

struct Lines<'a> {
    len: usize,
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn physical(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest);
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &self.rest[self.rest.len()..]),
        };
        self.rest = rest;
        self.number += 1;
        Some(line)
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let (offset, number, mut text) = loop {
            let offset = self.len - self.rest.len();
            let line = self.physical()?;
            if !skipped(line) {
                break (offset, self.number, BString::from(line));
            }
        };
        // Look ahead: skipped lines are consumed only together with a continuation that follows, which does no harm either way.
        loop {
            let (rest, at) = (self.rest, self.number);
            match self.physical() {
                Some(line) if skipped(line) => continue,
                Some(line) if is_space(line[0]) => text.extend_from_slice(line),
                Some(_) => {
                    (self.rest, self.number) = (rest, at);
                    break;
                }
                None => break,
            }
        }
        Some(Line { number, offset, text })
    }
}

/// Whether a line is empty or a comment.
pub fn skipped(line: &[u8]) -> bool {
    line.iter().find(|&&c| !is_space(c)).is_none_or(|&c| c == b'#')
}

/// White space as C's isspace() has it.
pub fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// `text` without white space at both ends.
pub fn trim(text: &[u8]) -> &BStr {
    let start = text.iter().position(|&c| !is_space(c)).unwrap_or(text.len());
    let end = text.iter().rposition(|&c| !is_space(c)).map_or(start, |at| at + 1);
    text[start..end].as_bstr()
}

/// Splits at the first run of white space: the word and the rest, trimmed on the left.
pub fn split_word(text: &[u8]) -> (&BStr, &BStr) {
    let end = text.iter().position(|&c| is_space(c)).unwrap_or(text.len());
    (text[..end].as_bstr(), trim(&text[end..]))
}

/// What a C program would see of a text: it ends at a NUL.
pub(crate) fn before_nul(mut text: BString) -> BString {
    let end = text.find_byte(0).unwrap_or(text.len());
    text.truncate(end);
    text
}

/// Why a `key whitespace value` line cannot be used; `Display` is Postfix's text after `file, line N: `.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A key without a value.
    #[error("expected format: key whitespace value")]
    NoValue,
    /// A `"` in the key that is not closed.
    #[error("unbalanced '\"' in '{0}' -- ignoring this line")]
    Unbalanced(BString),
}

/// Takes a `key whitespace value` line apart (postmap(1)). A key may hold white space within double quotes; the quotes stay in the key. The line
/// ends at a NUL, as for a C program.
pub fn split_entry(line: &[u8]) -> Result<(&BStr, &BStr), EntryError> {
    let line = trim(&line[..line.find_byte(0).unwrap_or(line.len())]);
    let (mut quoted, mut escaped, mut end) = (false, false, line.len());
    for (at, &c) in line.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if !quoted && is_space(c) => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(EntryError::Unbalanced(line.into()));
    }
    let value = trim(&line[end..]);
    if end == 0 || value.is_empty() {
        return Err(EntryError::NoValue);
    }
    Ok((line[..end].as_bstr(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, String)> {
        logical_lines(text.as_bytes()).map(|line| (line.number, line.text.to_string())).collect()
    }

    // S-TABLE-15
    #[test]
    fn comments_and_continuations() {
        assert_eq!(lines("# c\nk1 v1\n more\n\n# c\n more2\nk2 v2\n  \n"), [(2, "k1 v1 more more2".to_string()), (7, "k2 v2".to_string())]);
    }

    #[test]
    fn last_line_without_newline() {
        assert_eq!(lines("a b"), [(1, "a b".to_string())]);
    }

    #[test]
    fn entries_with_quotes() {
        let split = |line: &str| split_entry(line.as_bytes()).map(|(k, v)| (k.to_string(), v.to_string()));
        assert_eq!(split("key \t value  with space\r"), Ok(("key".into(), "value  with space".into())));
        assert_eq!(split("\"a b\"@c x"), Ok(("\"a b\"@c".into(), "x".into())));
        assert_eq!(split("\"k\\\"7\" v"), Ok(("\"k\\\"7\"".into(), "v".into())));
        assert_eq!(split("key"), Err(EntryError::NoValue));
        assert_eq!(split("\"k v"), Err(EntryError::Unbalanced("\"k v".into())));
    }
}
