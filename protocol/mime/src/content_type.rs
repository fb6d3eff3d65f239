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
    /// base64, quoted-printable.
    Encoded,
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
    /// Unknown encodings count as 7bit, and so does a quoted one.
    pub fn parse(value: &[u8]) -> Encoding {
        if value.trim_ascii_start().starts_with(b"\"") {
            return Encoding::SevenBit;
        }
        let word = Words(value).next().unwrap_or_default();
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("8bit") {
            Encoding::EightBit
        } else if is("binary") {
            Encoding::Binary
        } else if is("base64") || is("quoted-printable") {
            Encoding::Encoded
        } else {
            Encoding::SevenBit
        }
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
        assert_eq!(Encoding::parse(b" 8BIT (really)"), Encoding::EightBit);
        assert_eq!(Encoding::parse(b"x-uuencode"), Encoding::SevenBit);
        assert_eq!(Encoding::parse(b"Base64"), Encoding::Encoded);
    }
}
