//! What is wrong with an address literal, as Postfix words it in its log.

use bstr::{BStr, ByteSlice};
use std::net::Ipv6Addr;

/// `None` when the domain is no address literal, or a good one.
pub(crate) fn fault(domain: &BStr) -> Option<String> {
    let inner = domain.strip_prefix(b"[")?.strip_suffix(b"]")?;
    match inner.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case(b"IPv6:") => {
            ipv6(inner[5..].as_bstr()).map(|fault| format!("valid_ipv6_hostaddr: {fault}"))
        }
        _ => ipv4(inner.as_bstr()).map(|fault| format!("valid_ipv4_hostaddr: {fault}")),
    }
}

fn ipv4(text: &BStr) -> Option<String> {
    let (mut octets, mut value, mut in_octet) = (0, 0_u32, false);
    for (at, &c) in text.iter().enumerate() {
        match c {
            b'0'..=b'9' => {
                if !in_octet {
                    in_octet = true;
                    octets += 1;
                    value = 0;
                }
                value = value.saturating_mul(10).saturating_add(u32::from(c - b'0'));
                if value > 255 {
                    return Some(format!("invalid octet value: {text}"));
                }
            }
            b'.' if !in_octet || at + 1 == text.len() => return Some(format!("misplaced dot: {text}")),
            b'.' => in_octet = false,
            _ => return Some(format!("invalid character {c}(decimal): {text}")),
        }
    }
    (octets != 4).then(|| format!("invalid octet count: {text}"))
}

fn ipv6(text: &BStr) -> Option<String> {
    if text.to_str().is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()) {
        return None;
    }
    let fault = |what: &str| Some(format!("{what} IPv6 address: {text}"));
    if let Some(c) = text.iter().find(|c| !c.is_ascii_hexdigit() && **c != b':' && **c != b'.') {
        return Some(format!("invalid character {c}(decimal) in IPv6 address: {text}"));
    }
    if text.contains(&b'.') {
        return Some(format!("malformed IPv4-in-IPv6 address: {text}"));
    }
    if text.find_iter("::").count() > 1 {
        return fault("too many `::' in");
    }
    match text.iter().filter(|c| **c == b':').count() {
        0 | 1 => fault("too few `:' in"),
        8.. => fault("too many `:' in"),
        _ => fault("malformed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 3.7.11 wrote.
    #[test]
    fn faults() {
        for (domain, text) in [
            ("[1.2.3]", "valid_ipv4_hostaddr: invalid octet count: 1.2.3"),
            ("[]", "valid_ipv4_hostaddr: invalid octet count: "),
            ("[1.2.3.4.5]", "valid_ipv4_hostaddr: invalid octet count: 1.2.3.4.5"),
            ("[1..2.3]", "valid_ipv4_hostaddr: misplaced dot: 1..2.3"),
            ("[1.2.3.]", "valid_ipv4_hostaddr: misplaced dot: 1.2.3."),
            ("[.1.2.3]", "valid_ipv4_hostaddr: misplaced dot: .1.2.3"),
            ("[192.0.2.999]", "valid_ipv4_hostaddr: invalid octet value: 192.0.2.999"),
            ("[foo]", "valid_ipv4_hostaddr: invalid character 102(decimal): foo"),
            ("[::1]", "valid_ipv4_hostaddr: invalid character 58(decimal): ::1"),
            ("[2001:db8::1]", "valid_ipv4_hostaddr: invalid octet value: 2001:db8::1"),
            ("[ipv6:foo]", "valid_ipv6_hostaddr: invalid character 111(decimal) in IPv6 address: foo"),
            ("[IPv6:1::2::3]", "valid_ipv6_hostaddr: too many `::' in IPv6 address: 1::2::3"),
            ("[ipv6:]", "valid_ipv6_hostaddr: too few `:' in IPv6 address: "),
            ("[ipv6:1:2:3:4:5:6:7:8:9]", "valid_ipv6_hostaddr: too many `:' in IPv6 address: 1:2:3:4:5:6:7:8:9"),
            ("[ipv6:12345::1]", "valid_ipv6_hostaddr: malformed IPv6 address: 12345::1"),
            ("[ipv6:1.2.3.4]", "valid_ipv6_hostaddr: malformed IPv4-in-IPv6 address: 1.2.3.4"),
        ] {
            assert_eq!(fault(domain.into()).as_deref(), Some(text));
        }
        for domain in ["[0.0.0.0]", "[IPv6:::1]", "[ipv6:::1.2.3.4]", "example.com", "1.2.3.4"] {
            assert_eq!(fault(domain.into()), None, "{domain}");
        }
    }
}
