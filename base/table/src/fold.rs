//! Case folding of lookup keys.
//!
//! Tables built by Postfix hold keys folded by ICU's full case folding when `smtputf8_enable = yes`, and by ASCII lower-casing
//! otherwise (or when the key is not valid UTF-8). Lookups must fold in the same way or a non-ASCII key is never found again.

use bstr::{BStr, BString, ByteSlice, ByteVec};
use std::borrow::Cow;

/// Folds `text` for comparison: ASCII always; the rest of Unicode when `utf8` is set and the text is valid UTF-8.
pub fn fold(text: &BStr, utf8: bool) -> Cow<'_, BStr> {
    if text.is_ascii() || !utf8 {
        if text.iter().any(u8::is_ascii_uppercase) {
            return Cow::Owned(BString::from(text.to_ascii_lowercase()));
        }
        return Cow::Borrowed(text);
    }
    match text.to_str() {
        Ok(valid) => {
            let mut out = BString::from(Vec::with_capacity(text.len() + 4));
            for c in valid.chars() {
                fold_char(c, &mut out);
            }
            Cow::Owned(out)
        }
        Err(_) => Cow::Owned(BString::from(text.to_ascii_lowercase())),
    }
}

/// Full case folding (status C and F of CaseFolding.txt). The standard library has no folding, but lower(upper(lower(c))) is the
/// same for all characters save those named here; the test below compares with the Unicode table's own exceptions.
fn fold_char(c: char, out: &mut BString) {
    match c {
        // Upper-casing would turn the dotless i into I; folding leaves it alone.
        'ı' => out.push_char('ı'),
        // Cherokee folds to upper case, since its lower case came late to Unicode.
        '\u{13f8}'..='\u{13fd}' | '\u{ab70}'..='\u{abbf}' => c.to_uppercase().for_each(|u| out.push_char(u)),
        '\u{13a0}'..='\u{13f5}' => out.push_char(c),
        _ => {
            for lower in c.to_lowercase() {
                for upper in lower.to_uppercase() {
                    upper.to_lowercase().for_each(|l| out.push_char(l));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        fold(text.into(), true).to_string()
    }

    #[test]
    fn ascii_is_lowered_and_plain_text_not_copied() {
        assert!(matches!(fold("user@example.com".into(), true), Cow::Borrowed(_)));
        assert_eq!(folded("User@EXAMPLE.com"), "user@example.com");
    }

    #[test]
    fn full_folding_as_icu_does_it() {
        // Rows of CaseFolding.txt, status C and F.
        for (from, to) in [
            ("Ö", "ö"),
            ("ß", "ss"),
            ("ẞ", "ss"),
            ("ς", "σ"),
            ("İ", "i\u{307}"),
            ("ı", "ı"),
            ("K", "k"),
            ("ŉ", "ʼn"),
            ("ﬃ", "ffi"),
            ("Ꭰ", "Ꭰ"),
            ("ꭰ", "Ꭰ"),
            ("ᾳ", "αι"),
        ] {
            assert_eq!(folded(from), to, "{from}");
        }
    }

    #[test]
    fn without_utf8_only_ascii_is_lowered() {
        assert_eq!(fold("BÖSE".into(), false), BStr::new("bÖse"));
        assert_eq!(fold(b"BAD\xff".as_slice().into(), true), BStr::new(b"bad\xff"));
    }
}
