//! Address extensions: `user+extension@domain` (`recipient_delimiter`).

/// Where the delimiter stands in the local part, if it has an extension.
pub(crate) fn position(local: &[u8], delimiters: &str, owner_request_special: bool) -> Option<usize> {
    if delimiters.is_empty() {
        return None;
    }
    let at = local.iter().position(|c| delimiters.as_bytes().contains(c))?;
    if at == 0 {
        return None; // `+x` has no user to deliver to.
    }
    if ["mailer-daemon", "double-bounce", "postmaster"].iter().any(|name| local.eq_ignore_ascii_case(name.as_bytes())) {
        return None;
    }
    if owner_request_special && local[at] == b'-' {
        let starts = local.len() > 6 && local[..6].eq_ignore_ascii_case(b"owner-");
        let ends = local.len() > 8 && local[local.len() - 8..].eq_ignore_ascii_case(b"-request");
        if starts || ends {
            return None;
        }
    }
    Some(at)
}
