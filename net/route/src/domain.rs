//! What a domain in an address may look like: a host name or an address literal (RFC 5321 §4.1.2, §4.1.3).

use bstr::{BStr, ByteSlice};
use posthaste_address::idn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest host name and longest label (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// Whether mail can be sent to this domain: a host name (`_` allowed, not all numeric), or `[1.2.3.4]`, `[IPv6:…]`. A name outside ASCII
/// is looked at in its ASCII form, if `utf8` allows it (`smtputf8_enable`).
pub fn is_mail_domain(domain: &BStr, utf8: bool) -> bool {
    if domain.starts_with(b"[") {
        return literal(domain).is_some();
    }
    if domain.is_ascii() {
        return is_host_name(domain);
    }
    utf8 && idn::domain_to_ascii(domain).is_some_and(|ascii| is_host_name(ascii.as_bytes()))
}

/// The address in a literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
pub fn literal(domain: &BStr) -> Option<IpAddr> {
    let inner = domain.strip_prefix(b"[")?.strip_suffix(b"]")?;
    if inner.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case(b"ipv6:")) {
        return inner[5..].to_str().ok()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    ipv4(inner).map(IpAddr::V4)
}

fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    text.to_str().ok()?.parse().ok()
}

/// Whether this is a bare numeric address, for `resolve_numeric_domain`.
pub fn is_numeric(domain: &BStr) -> bool {
    ipv4(domain).is_some()
}

fn is_host_name(name: &[u8]) -> bool {
    let label = |label: &[u8]| {
        (1..=LABEL_MAX).contains(&label.len())
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
            && label.iter().all(|&c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    name.len() <= NAME_MAX
        && name.split(|&c| c == b'.').all(label)
        // A number at the end is a misspelt address.
        && name.iter().any(|c| !c.is_ascii_digit() && *c != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for good in ["a", "a.b", "a_b.c", "_a.b", "1a", "a.1", "[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:::1]", "bücher.example"] {
            assert!(is_mail_domain(good.into(), true), "{good}");
        }
        for bad in
            ["", ".", "a.", "a..b", "-a.b", "a-.b", "1.2.3.4", "1", "a b", "[x]", "[1.2.3]", "[1.2.3.4", "[]", "[::1]", "a*b", "\u{ad}"]
        {
            assert!(!is_mail_domain(bad.into(), true), "{bad}");
        }
        assert!(!is_mail_domain("a".repeat(64).as_str().into(), true));
        assert!(!is_mail_domain(b"\xff.example".as_bstr(), true));
    }
}
