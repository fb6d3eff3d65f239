//! Between the internal form (bytes as they are meant) and the external form (quoted as RFC 5321 and RFC 5322 want it).

use crate::token;
use bstr::{BStr, BString, ByteSlice};

/// Splits a source route (`@a,@b:`) from the front; empty if there is none.
fn route(address: &[u8]) -> (&[u8], &[u8]) {
    match address {
        [b'@', ..] => address.split_at(address.find_byte(b':').map_or(0, |n| n + 1)),
        _ => (&[], address),
    }
}

/// Whether the local part may stand without quotes: a dot-string of RFC 5321 §4.1.2; any 8-bit byte passes for a letter.
pub fn is_dot_string(local: &[u8]) -> bool {
    if local.is_empty() || local.starts_with(b".") || local.ends_with(b".") {
        return false;
    }
    let mut dot = false;
    local.iter().all(|&c| {
        let double = dot && c == b'.';
        dot = c == b'.';
        let special =
            c <= b' ' || c == 0x7f || matches!(c, b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'\\' | b'"' | b'[' | b']');
        !double && !special
    })
}

/// See [`crate::Address::external`].
pub(crate) fn quote(address: &BStr) -> BString {
    if address.is_empty() {
        return BString::default();
    }
    let (route, rest) = route(address);
    let (local, domain) = match rest.rfind_byte(b'@') {
        Some(at) => rest.split_at(at),
        None => (rest, &rest[rest.len()..]),
    };
    if is_dot_string(local) {
        return BString::from(address);
    }
    let mut out = BString::from(Vec::with_capacity(address.len() + 4));
    out.extend_from_slice(route);
    token::quote_into(&mut out, local);
    out.extend_from_slice(domain);
    out
}

/// See [`crate::Address::from_external`].
pub(crate) fn unquote(text: &[u8]) -> BString {
    if !text.iter().any(|&c| matches!(c, b'"' | b'\\')) {
        return BString::from(text);
    }
    // The domain begins at the last `@` outside quotes; it is taken as it is.
    let (mut quoted, mut escaped, mut at) = (false, false, text.len());
    for (n, &c) in text.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'@' if !quoted => at = n,
            _ => {}
        }
    }
    let mut out = BString::from(Vec::with_capacity(text.len()));
    let mut local = text[..at].iter();
    while let Some(&c) = local.next() {
        match c {
            b'"' => {}
            b'\\' => out.extend(local.next()),
            _ => out.push(c),
        }
    }
    out.extend_from_slice(&text[at..]);
    out
}
