//! `Content-Type:` and `Content-Transfer-Encoding:` (RFC 2045 §5.1, §6.1), read leniently.

use bstr::{BString, ByteSlice};

/// What matters of a content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    /// `message/rfc822`: a message of its own follows.
    Message,
    /// `message/global` (RFC 6532): the same, but it may be encoded as a whole.
    Global,
    /// Other `message/…`.
    MessagePart,
    Multipart {
        /// `multipart/digest`: its parts are messages unless they say otherwise.
        digest: bool,
        boundary: Option<BString>,
    },
    /// Everything else.
    Leaf,
}

/// A declared encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    SevenBit,
    EightBit,
    Binary,
    Base64,
    QuotedPrintable,
}

impl ContentType {
    pub fn parse(value: &[u8]) -> ContentType {
        let mut words = Words(value);
        let main = words.next();
        if words.next().as_deref() != Some(b"/") {
            return ContentType::Leaf;
        }
        let sub = words.next().unwrap_or_default();
        match main {
            Some(main) if main.eq_ignore_ascii_case(b"message") => {
                if sub.eq_ignore_ascii_case(b"rfc822") {
                    ContentType::Message
                } else if sub.eq_ignore_ascii_case(b"global") {
                    ContentType::Global
                } else {
                    ContentType::MessagePart
                }
            }
            Some(main) if main.eq_ignore_ascii_case(b"multipart") => {
                ContentType::Multipart { digest: sub.eq_ignore_ascii_case(b"digest"), boundary: boundary(words) }
            }
            _ => ContentType::Leaf,
        }
    }
}

fn boundary(mut words: Words<'_>) -> Option<BString> {
    while let Some(word) = words.next() {
        if word != b";" {
            continue;
        }
        let name = words.next()?;
        if name.eq_ignore_ascii_case(b"boundary") && words.next().as_deref() == Some(b"=") {
            return words.next().map(BString::from);
        }
    }
    None
}

impl Encoding {
    /// `None` for one that nobody knows, and for a quoted one. Words end at the specials of RFC 822 here, not at those of MIME.
    pub fn parse(value: &[u8]) -> Option<Encoding> {
        let mut words = Words(value);
        words.skip_blanks_and_comments();
        let end = words.0.find_byteset(b"()<>@,;:\\\".[] \t\r\n").unwrap_or(words.0.len());
        let word = words.0[..end].to_ascii_lowercase();
        [Encoding::SevenBit, Encoding::EightBit, Encoding::Binary, Encoding::Base64, Encoding::QuotedPrintable]
            .into_iter()
            .find(|known| known.name().as_bytes() == word)
    }

    /// As the header names it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::SevenBit => "7bit",
            Encoding::EightBit => "8bit",
            Encoding::Binary => "binary",
            Encoding::Base64 => "base64",
            Encoding::QuotedPrintable => "quoted-printable",
        }
    }

    /// Whether text in it may have 8-bit characters.
    pub fn is_eight_bit(self) -> bool {
        matches!(self, Encoding::EightBit | Encoding::Binary)
    }

    /// Whether it changes the text.
    pub fn is_encoded(self) -> bool {
        matches!(self, Encoding::Base64 | Encoding::QuotedPrintable)
    }
}

/// Tokens, quoted strings without their quotes, and the characters `/ ; =`; comments are left out.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            self.0 = self.0.trim_ascii_start();
            match *self.0.first()? {
                b'(' => self.skip_comment(),
                b'"' => return Some(self.quoted()),
                c @ (b'/' | b';' | b'=') => {
                    self.0 = &self.0[1..];
                    return Some(vec![c]);
                }
                _ => {
                    let len = self.0.find_byteset(b"/;=(\" \t\r\n").unwrap_or(self.0.len()).max(1);
                    let (word, rest) = self.0.split_at(len);
                    self.0 = rest;
                    return Some(word.to_vec());
                }
            }
        }
    }

    fn skip_blanks_and_comments(&mut self) {
        self.0 = self.0.trim_ascii_start();
        while self.0.first() == Some(&b'(') {
            self.skip_comment();
            self.0 = self.0.trim_ascii_start();
        }
    }

    fn skip_comment(&mut self) {
        let mut depth = 0;
        let mut at = 0;
        while at < self.0.len() {
            match self.0[at] {
                b'\\' => at += 1,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        self.0 = &self.0[at.min(self.0.len())..];
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut at = 1;
        while at < self.0.len() && self.0[at] != b'"' {
            if self.0[at] == b'\\' {
                at += 1;
            }
            text.extend(self.0.get(at));
            at += 1;
        }
        self.0 = &self.0[(at + 1).min(self.0.len())..];
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2046 §5.1.1: the parameter needs quotes where it has characters that end a word.
    #[test]
    fn boundaries() {
        let boundary = |value: &str| match ContentType::parse(value.as_bytes()) {
            ContentType::Multipart { boundary, .. } => boundary.map(|b| b.to_string()),
            other => panic!("{value}: {other:?}"),
        };
        assert_eq!(boundary("multipart/mixed; boundary=gc0p4Jq0M2Yt08j34c0p").as_deref(), Some("gc0p4Jq0M2Yt08j34c0p"));
        assert_eq!(boundary("multipart/mixed; boundary=\"gc0pJq0M:08jU534c0p\"").as_deref(), Some("gc0pJq0M:08jU534c0p"));
        assert_eq!(boundary("MULTIPART / Mixed (c); Boundary=b").as_deref(), Some("b"));
        assert_eq!(boundary("multipart/mixed;\n\tboundary (c) = \"x\\z\"; foo=bar").as_deref(), Some("xz"));
        assert_eq!(boundary("multipart/mixed; x=\"boundary=no\"; boundary='ab'").as_deref(), Some("'ab'"));
        assert_eq!(boundary("multipart/mixed"), None);
        assert_eq!(boundary("multipart/mixed; boundary"), None);
        assert_eq!(boundary("multipart/mixed; boundary=\"unclosed").as_deref(), Some("unclosed"));
    }

    #[test]
    fn types() {
        assert_eq!(ContentType::parse(b"message/rfc822"), ContentType::Message);
        assert_eq!(ContentType::parse(b"(x) Message/Global"), ContentType::Global);
        assert_eq!(ContentType::parse(b"message/partial; id=1"), ContentType::MessagePart);
        assert_eq!(ContentType::parse(b"text"), ContentType::Leaf);
        assert_eq!(ContentType::parse(b""), ContentType::Leaf);
        assert_eq!(ContentType::parse(b"((("), ContentType::Leaf);
        assert!(matches!(ContentType::parse(b"multipart/DIGEST; boundary=a"), ContentType::Multipart { digest: true, .. }));
        assert_eq!(Encoding::parse(b" 8BIT (really)"), Some(Encoding::EightBit));
        assert_eq!(Encoding::parse(b"Base64"), Some(Encoding::Base64));
        for known in ["(c) 7bit", "7bit;x", "7bit,x", "7bit x", "7bit:x", "7bit[x", "7bit<x>", "7bit@x", "7bit\"x\""] {
            assert_eq!(Encoding::parse(known.as_bytes()), Some(Encoding::SevenBit), "{known}");
        }
        for unknown in ["x-uuencode", "\"8bit\"", "8bit/x", "8bit=x", "8bit?x", "; 8bit", "/8bit", "=8bit", "\\8bit", "", "(8bit"] {
            assert_eq!(Encoding::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }
}
