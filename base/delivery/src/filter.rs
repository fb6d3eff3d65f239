//! `default_delivery_status_filter` and its siblings: a table that replaces status code and text of a result (postconf(5)).

use bstr::{BStr, BString, ByteSlice};
use posthaste_ipc::delivery::Dsn;
use posthaste_log::{Logger, warn};
use posthaste_table::Maps;

/// Splits `X.Y.Z text`; `None` for anything else. RFC 3463: the class is 2, 4 or 5, the others have up to three digits.
pub fn split_status(text: &BStr) -> Option<(&str, &BStr)> {
    let end = text.find_byteset(b" \t").unwrap_or(text.len());
    let status = std::str::from_utf8(&text[..end]).ok()?;
    let mut parts = status.split('.');
    let class = parts.next()?;
    let detail = |part: Option<&str>| part.is_some_and(|p| (1..=3).contains(&p.len()) && p.bytes().all(|c| c.is_ascii_digit()));
    let ok = matches!(class, "2" | "4" | "5") && detail(parts.next()) && detail(parts.next()) && parts.next().is_none();
    ok.then(|| (status, text[end..].trim_ascii_start().as_bstr()))
}

/// Applies the filter to `dsn`. What the table may not say is logged and leaves the result as it was; so does a failed lookup.
pub fn apply(maps: &Maps, log: &Logger, dsn: &mut Dsn) {
    let query = BString::from([dsn.status.as_bytes(), b" ", &dsn.reason].concat());
    let answer = match maps.find(query.as_bstr()) {
        Ok(Some(answer)) => answer,
        Ok(None) => return,
        // The table has warned.
        Err(_) => return,
    };
    match split_status(answer.as_bstr()) {
        Some((_, text)) if text.is_empty() => warn!(log, "{}: missing text: {answer}", maps.title()),
        // Success may not become failure, nor failure success: mail would be lost or sent twice.
        Some((status, _)) if status.starts_with('2') != dsn.status.starts_with('2') => {
            warn!(log, "{}: bad status code: {answer}", maps.title());
        }
        None => warn!(log, "{}: bad status code: {answer}", maps.title()),
        Some((status, text)) => {
            dsn.status = status.to_string();
            dsn.reason = text.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_text() {
        assert_eq!(split_status(b"5.1.1  no such user".as_bstr()), Some(("5.1.1", b"no such user".as_bstr())));
        assert_eq!(split_status(b"4.7.500\tx".as_bstr()), Some(("4.7.500", b"x".as_bstr())));
        assert_eq!(split_status(b"2.0.0".as_bstr()), Some(("2.0.0", b"".as_bstr())));
        for bad in ["", "nonsense", "5.1 x", "3.0.0 x", "5.1.1.1 x", "5..1 x", "5.1.1000 x", "5.a.1 x"] {
            assert_eq!(split_status(bad.as_bytes().as_bstr()), None, "{bad}");
        }
    }
}
