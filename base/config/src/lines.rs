//! Logical lines of `main.cf`, `master.cf` and the text files of lookup tables.
//!
//! Empty lines and lines whose first non-blank character is `#` are ignored. A line that starts with whitespace continues the line
//! before it, also across ignored lines (S-CONF-02). A carriage return at the end of a line is dropped (S-CONF-19).

/// A logical line: the physical lines put together, without their line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalLine {
    /// The text; the whitespace before each continuation is kept.
    pub text: String,
    /// Number of its first physical line, counted from 1.
    pub first: usize,
    /// Number of its last physical line.
    pub last: usize,
}

impl LogicalLine {
    /// Whether the file or the part before began with a continuation that continues nothing: such a line is reported and ignored
    /// (`logical line must not start with whitespace`).
    pub fn is_misplaced(&self) -> bool {
        self.text.starts_with(is_blank)
    }
}

/// Splits a text into logical lines.
pub fn logical_lines(text: &str) -> Vec<LogicalLine> {
    let mut lines: Vec<LogicalLine> = Vec::new();
    for (at, physical) in text.split('\n').enumerate() {
        let physical = physical.strip_suffix('\r').unwrap_or(physical);
        let content = physical.trim_start_matches(is_blank);
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some(line) if content.len() < physical.len() => {
                line.text.push_str(physical);
                line.last = at + 1;
            }
            _ => lines.push(LogicalLine { text: physical.to_owned(), first: at + 1, last: at + 1 }),
        }
    }
    lines
}

/// Why a text is no `name = value`; `Display` is Postfix's phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameValueError {
    /// Nothing before the `=`.
    #[error("missing attribute name")]
    NoName,
    /// A name without `=` after it.
    #[error("missing '=' after attribute name")]
    NoEquals,
}

/// Splits `name = value`: whitespace around both is dropped.
pub fn split_name_value(text: &str) -> Result<(&str, &str), NameValueError> {
    let text = text.trim_start_matches(is_blank);
    let end = text.find(|c| c == '=' || is_blank(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err(NameValueError::NoName);
    }
    let value = rest.trim_start_matches(is_blank).strip_prefix('=').ok_or(NameValueError::NoEquals)?;
    Ok((name, value.trim_matches(is_blank)))
}

/// Whitespace as Postfix's files know it (C's `isspace`).
pub fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, usize, usize)> {
        logical_lines(text).into_iter().map(|line| (line.text, line.first, line.last)).collect()
    }

    // S-CONF-02
    #[test]
    fn continuation_goes_on_across_comments_and_blank_lines() {
        assert_eq!(
            texts("relay_domains = a\n   b\n# comment\n\tc\n  \n d\n  # e\nx=1"),
            [("relay_domains = a   b\tc d".to_owned(), 1, 6), ("x=1".to_owned(), 8, 8)]
        );
    }

    #[test]
    fn a_first_line_with_whitespace_is_misplaced() {
        let lines = logical_lines("\n# x\n  relayhost = c\n d\nx = y\n");
        assert_eq!(lines.len(), 2);
        assert!(lines[0].is_misplaced());
        assert!(!lines[1].is_misplaced());
    }

    // S-CONF-19
    #[test]
    fn carriage_returns_are_dropped() {
        assert_eq!(texts("a = b\r\n\r\n c\r\n"), [("a = b c".to_owned(), 1, 3)]);
    }

    #[test]
    fn name_and_value() {
        assert_eq!(split_name_value("myorigin=$mydomain"), Ok(("myorigin", "$mydomain")));
        assert_eq!(split_name_value(" a \t= b = c \r"), Ok(("a", "b = c")));
        assert_eq!(split_name_value("a="), Ok(("a", "")));
        assert_eq!(split_name_value("bad line = x"), Err(NameValueError::NoEquals));
        assert_eq!(split_name_value("ab"), Err(NameValueError::NoEquals));
        assert_eq!(split_name_value("=x"), Err(NameValueError::NoName));
        assert_eq!(split_name_value(""), Err(NameValueError::NoName));
    }
}
