//! Base64 (RFC 4648 §4) for values that are the content of files (`postmap -F`).

use bstr::BString;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes, with padding.
pub fn encode(bytes: &[u8]) -> BString {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = u32::from(group[0]) << 16 | group.get(1).map_or(0, |&b| u32::from(b)) << 8 | group.get(2).map_or(0, |&b| u32::from(b));
        for nth in 0..4 {
            out.push(if nth <= group.len() { ALPHABET[(word >> (18 - 6 * nth)) as usize & 63] } else { b'=' });
        }
    }
    out.into()
}

/// Decodes; `None` for what is no complete base64 text.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let data = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in data.chunks(4) {
        let mut word = 0;
        for nth in 0..4 {
            let six = match group.get(nth) {
                Some(c) => ALPHABET.iter().position(|a| a == c)? as u32,
                None => 0,
            };
            word = word << 6 | six;
        }
        out.extend_from_slice(&word.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_section_10() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded.as_bytes()).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_base64() {
        for text in ["notbase64", "a", "ab=c", "====", "Zm9*"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
