//! Internationalized domain names (UTS 46, as SMTPUTF8 of RFC 6531 needs them).

use bstr::{BStr, ByteSlice};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// The ASCII form (`xn--…`) of a domain, for DNS; unchanged when it is ASCII already. `None` when it is not valid.
pub fn domain_to_ascii(domain: &BStr) -> Option<String> {
    if domain.is_ascii() {
        return domain.to_str().ok().map(str::to_owned);
    }
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Check, DnsLength::Ignore).ok()?;
    Some(ascii.into_owned())
}

/// The UTF-8 form of a domain with `xn--` labels; unchanged when it has none. `None` when it is not valid.
pub fn domain_to_utf8(domain: &BStr) -> Option<String> {
    if !domain.to_ascii_lowercase().contains_str("xn--") {
        return domain.to_str().ok().map(str::to_owned);
    }
    let (unicode, result) = Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Check);
    result.ok()?;
    Some(unicode.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions() {
        assert_eq!(domain_to_ascii("bücher.example".into()).as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(domain_to_ascii("BÜCHER.example".into()).as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(domain_to_ascii("Plain_name.example".into()).as_deref(), Some("Plain_name.example"));
        assert_eq!(domain_to_ascii(b"\xff.example".as_bstr()), None);
        assert_eq!(domain_to_utf8("xn--bcher-kva.example".into()).as_deref(), Some("bücher.example"));
        assert_eq!(domain_to_utf8("XN--BCHER-KVA.example".into()).as_deref(), Some("bücher.example"));
        assert_eq!(domain_to_utf8("plain.example".into()).as_deref(), Some("plain.example"));
    }
}
