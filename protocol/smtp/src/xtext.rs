//! xtext (RFC 3461 §4): the encoding of values in SMTP commands, and its UTF-8 variants (RFC 6533 §3).

use bstr::BString;

/// Appends `text` as xtext: printable ASCII but `+` and `=` as it is, all else as `+XX`.
pub fn encode_into(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &c in text {
        if (b'!'..=b'~').contains(&c) && c != b'+' && c != b'=' {
            out.push(c);
        } else {
            out.extend_from_slice(&[b'+', HEX[usize::from(c >> 4)], HEX[usize::from(c & 15)]]);
        }
    }
}

/// As [`encode_into`], into a new string.
pub fn encode(text: &[u8]) -> BString {
    let mut out = Vec::with_capacity(text.len());
    encode_into(&mut out, text);
    BString::from(out)
}

/// Decodes xtext. `None` when a `+` is not followed by two hexadecimal digits; other bytes are taken as they are, since what
/// may stand in a value is for the caller to say.
pub fn decode(text: &[u8]) -> Option<BString> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&c, tail)) = rest.split_first() {
        rest = tail;
        if c != b'+' {
            out.push(c);
            continue;
        }
        let (&[high, low], tail) = rest.split_first_chunk::<2>()?;
        out.push(hex(high)? << 4 | hex(low)?);
        rest = tail;
    }
    Some(BString::from(out))
}

fn hex(c: u8) -> Option<u8> {
    char::from(c).to_digit(16).map(|d| d as u8)
}

/// Decodes utf-8-addr-xtext and utf-8-addr-unitext (RFC 6533 §3): `\x{20AC}` is a character; xtext's `+XX` is accepted too, as
/// senders mix them. `None` when an escape is broken or the result is not UTF-8.
pub fn decode_utf8(text: &[u8]) -> Option<BString> {
    let plain = decode(text)?;
    let mut out = Vec::with_capacity(plain.len());
    let mut rest = &plain[..];
    while let Some((&c, tail)) = rest.split_first() {
        if let Some(escape) = rest.strip_prefix(b"\\x{") {
            let end = escape.iter().position(|&c| c == b'}')?;
            let digits = std::str::from_utf8(&escape[..end]).ok()?;
            if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &escape[end + 1..];
        } else {
            out.push(c);
            rest = tail;
        }
    }
    std::str::from_utf8(&out).is_ok().then(|| BString::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_what_rfc_3461_shows() {
        assert_eq!(decode(b"+2D+2DCarol+20Smith").unwrap(), "--Carol Smith");
        assert_eq!(encode(b"a+b=c d"), "a+2Bb+3Dc+20d");
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in [&b"a+b"[..], b"a+", b"a+2", b"+XY", b"++"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    #[test]
    fn utf8_escapes() {
        assert_eq!(decode_utf8(b"pel\\x{E9}@example.org").unwrap(), "pelé@example.org");
        assert_eq!(decode_utf8(b"pel+C3+A9").unwrap(), "pelé");
        for text in [&b"\\x{}"[..], b"\\x{D800}", b"\\x{1234567}", b"\\x{12", b"+C3"] {
            assert_eq!(decode_utf8(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(text: Vec<u8>) {
            let encoded = encode(&text);
            prop_assert!(encoded.iter().all(|c| (b'!'..=b'~').contains(c)));
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }

        #[test]
        fn any_input_is_decoded_or_refused(text: Vec<u8>) {
            let _ = decode(&text);
            let _ = decode_utf8(&text);
        }
    }
}
