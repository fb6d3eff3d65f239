//! What counts as a host name or an address literal (RFC 1123, RFC 952), as Postfix checks it before it trusts a name.

use std::fmt;

/// Longest name, and longest label.
pub const HOSTNAME_LIMIT: usize = 255;
const LABEL_LIMIT: usize = 63;

/// Why a name is no host name. `Display` is the text that Postfix logs after `warning: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostnameError(String);

impl fmt::Display for HostnameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostnameError {}

fn bad(text: String) -> Result<(), HostnameError> {
    Err(HostnameError(text))
}

/// Checks a host name: letters, digits, `-`, `_`, dots in between, length limits, and not all numeric.
///
/// Underscores are allowed since the world has them. A name in UTF-8 is checked in its ASCII form by the caller.
pub fn valid_hostname(name: &str) -> Result<(), HostnameError> {
    check(name, false)
}

/// As [`valid_hostname`], but `*` is allowed too: names that come out of the DNS may be wildcards.
pub fn valid_dns_name(name: &str) -> Result<(), HostnameError> {
    check(name, true)
}

fn check(name: &str, wildcard: bool) -> Result<(), HostnameError> {
    if name.is_empty() {
        return bad("valid_hostname: empty hostname".into());
    }
    let bytes = name.as_bytes();
    let (mut label, mut non_numeric) = (0, false);
    for (i, &c) in bytes.iter().enumerate() {
        match c {
            b'.' => {
                if label == 0 || i + 1 == bytes.len() {
                    return bad(format!("valid_hostname: misplaced delimiter: {}", shown(name)));
                }
                label = 0;
                continue;
            }
            b'-' => {
                non_numeric = true;
                if label == 0 || i + 1 == bytes.len() || bytes[i + 1] == b'.' {
                    return bad(format!("valid_hostname: misplaced hyphen: {}", shown(name)));
                }
            }
            b'0'..=b'9' => {}
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => non_numeric = true,
            b'*' if wildcard => non_numeric = true,
            _ => return bad(format!("valid_hostname: invalid character {c}(decimal): {}", shown(name))),
        }
        label += 1;
        if label > LABEL_LIMIT {
            return bad(format!("valid_hostname: hostname label too long: {}", shown(name)));
        }
    }
    if !non_numeric {
        return bad(format!("valid_hostname: numeric hostname: {}", shown(name)));
    }
    if name.len() > HOSTNAME_LIMIT {
        return bad(format!("valid_hostname: bad length {} for {}...", name.len(), shown(name)));
    }
    Ok(())
}

/// At most 100 characters of a name that may be hostile.
fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in ["example.com", "a", "x_y.example", "3com.com", "xn--bcher-kva.example", "1.2.3.4.in-addr.arpa", "a-b.c"] {
            assert_eq!(valid_hostname(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_is_no_hostname_says_why() {
        for (name, why) in [
            ("", "empty hostname"),
            (".example.com", "misplaced delimiter"),
            ("a..b", "misplaced delimiter"),
            ("example.com.", "misplaced delimiter"),
            ("-a.example", "misplaced hyphen"),
            ("a-.example", "misplaced hyphen"),
            ("a-", "misplaced hyphen"),
            ("1.2.3.4", "numeric hostname"),
            ("a b", "invalid character 32(decimal)"),
            ("*.example", "invalid character 42(decimal)"),
            ("b\u{fc}cher.example", "invalid character 195(decimal)"),
        ] {
            let error = valid_hostname(name).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
        assert!(valid_hostname(&"a".repeat(64)).unwrap_err().to_string().contains("label too long"));
        assert!(valid_hostname(&vec!["a".repeat(60); 5].join(".")).unwrap_err().to_string().contains("bad length"));
        assert_eq!(valid_dns_name("*.example"), Ok(()));
    }
}
