//! One logical header.

use crate::machine::{Block, Class};
use bstr::{BStr, ByteSlice};

/// A header as it was received: its lines joined by newlines, without one at the end.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Name, colon, value.
    pub text: &'a [u8],
    /// Length of the name.
    pub name_len: usize,
    /// Which block of headers it stands in.
    pub block: Block,
    /// Which checks apply to it.
    pub class: Class,
}

impl<'a> Header<'a> {
    /// The name as written.
    pub fn name(&self) -> &'a BStr {
        self.text[..self.name_len].as_bstr()
    }

    /// Whether the name is this one, case ignored.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// What follows the colon and white space. White space at the end stays: `8bit ` is no `8bit` to Postfix.
    pub fn value(&self) -> &'a BStr {
        let colon = self.text[self.name_len..].find_byte(b':').map_or(self.text.len(), |n| self.name_len + n + 1);
        self.text[colon..].trim_start_with(|c| c.is_ascii_whitespace() || c == '\x0b').as_bstr()
    }
}

/// The length of the header name that this line begins with; `None` when it is no header (RFC 5322 §2.2: printable characters but `:`).
/// Blanks between name and colon are let pass.
pub fn header_name_len(line: &[u8]) -> Option<usize> {
    let len = line.iter().position(|&c| !(0x21..=0x7e).contains(&c) || c == b':')?;
    let after = line[len..].iter().find(|&&c| c != b' ' && c != b'\t')?;
    (len > 0 && *after == b':').then_some(len)
}

/// Headers that mime_header_checks is for, wherever they stand.
pub(crate) fn is_mime_header(name: &[u8]) -> bool {
    if name.len() < 10 || !matches!(name[0], b'c' | b'C' | b'm' | b'M') {
        return false;
    }
    ["mime-version", "content-type", "content-transfer-encoding", "content-description", "content-id", "content-disposition"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(header_name_len(b"Subject: x"), Some(7));
        assert_eq!(header_name_len(b"Subject:x"), Some(7));
        assert_eq!(header_name_len(b"Subject \t: x"), Some(7));
        assert_eq!(header_name_len(b"=?x?=:"), Some(5));
        for bad in ["", ":", ": x", "no header", "X Y: z", " Subject: x", "\u{dc}: y", "X\u{1}Y: z", "name", "name "] {
            assert_eq!(header_name_len(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn values() {
        let header = Header { text: b"To :\n bob \n", name_len: 2, block: Block::Top, class: Class::Primary };
        assert_eq!(header.value(), "bob \n");
        assert!(header.is("TO"));
    }

    #[test]
    fn mime_headers() {
        assert!(is_mime_header(b"content-ID"));
        assert!(is_mime_header(b"Mime-Version"));
        assert!(!is_mime_header(b"Content-Length"));
        assert!(!is_mime_header(b"Content"));
    }
}
