//! Command lines: words, and the ESMTP parameters of MAIL and RCPT.

use bstr::{BStr, ByteSlice};

/// Splits off the next word. Blanks inside quotes and angle brackets do not end it, so that `<"a b"@c>` is one word.
/// `None` at the end of the line; `Err` when a quote or bracket is left open.
pub fn next_word<'a>(rest: &mut &'a [u8]) -> Option<Result<&'a BStr, Unbalanced>> {
    let line = rest.trim_ascii_start();
    if line.is_empty() {
        *rest = line;
        return None;
    }
    let (mut quoted, mut escaped, mut depth) = (false, false, 0u32);
    let mut end = line.len();
    for (at, &c) in line.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => depth += 1,
            b'>' if !quoted => depth = depth.saturating_sub(1),
            b' ' | b'\t' if !quoted && depth == 0 => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let (word, tail) = line.split_at(end);
    *rest = tail;
    Some(if quoted || depth > 0 { Err(Unbalanced) } else { Ok(word.as_bstr()) })
}

/// The words of a line, see [`next_word`].
pub struct Words<'a>(pub &'a [u8]);

impl<'a> Iterator for Words<'a> {
    type Item = Result<&'a BStr, Unbalanced>;

    fn next(&mut self) -> Option<Self::Item> {
        next_word(&mut self.0)
    }
}

/// A quote or bracket was opened and not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbalanced;

/// The first word of a command line and what follows it, without surrounding blanks.
pub fn verb(line: &[u8]) -> (&BStr, &[u8]) {
    let line = line.trim_ascii();
    let end = line.iter().position(|c| c.is_ascii_whitespace()).unwrap_or(line.len());
    (line[..end].as_bstr(), line[end..].trim_ascii())
}

/// `MAIL FROM:<…> …` and `RCPT TO:<…> …`: what follows the keyword (`FROM:`), which may be followed by blanks.
pub fn after_keyword<'a>(arguments: &'a [u8], keyword: &str) -> Option<&'a [u8]> {
    let (head, tail) = arguments.split_at_checked(keyword.len())?;
    let tail = tail.trim_ascii_start();
    (head.eq_ignore_ascii_case(keyword.as_bytes()) && !tail.is_empty()).then_some(tail)
}

/// The value of a parameter `NAME=value`; the name's case does not matter.
pub fn value_of<'a>(word: &'a BStr, name: &str) -> Option<&'a BStr> {
    let (head, tail) = word.split_at_checked(name.len())?;
    let value = tail.strip_prefix(b"=")?;
    head.eq_ignore_ascii_case(name.as_bytes()).then_some(value.as_bstr())
}

/// A non-negative decimal number and nothing else. Too large a number is the largest one.
pub fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0u64, |n, c| n.saturating_mul(10).saturating_add(u64::from(c - b'0'))))
}

/// Bytes as they may stand in a log line: C escapes for what is not printable.
pub fn escape(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for &c in text {
        match c {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            0x0b => out.push_str("\\v"),
            0x0c => out.push_str("\\f"),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(c)),
            _ => out.push_str(&format!("\\{c:03o}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Result<String, Unbalanced>> {
        let mut rest = line.as_bytes();
        std::iter::from_fn(|| next_word(&mut rest)).map(|word| word.map(|word| word.to_string())).collect()
    }

    fn plain(line: &str) -> Vec<String> {
        words(line).into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn words_keep_quotes_and_brackets_together() {
        assert_eq!(plain(" <\"a b\"@c>  SIZE=1\tX "), ["<\"a b\"@c>", "SIZE=1", "X"]);
        assert_eq!(plain("<foo <a@y>> RET=FULL"), ["<foo <a@y>>", "RET=FULL"]);
        assert_eq!(plain("<a@y>, <b@y>"), ["<a@y>,", "<b@y>"]);
        assert_eq!(plain("<a\\ b@y> x"), ["<a\\ b@y>", "x"]);
        assert_eq!(words("<a@example.org"), [Err(Unbalanced)]);
        assert_eq!(words("\"a\\\\\"b\"@y>"), [Err(Unbalanced)]);
    }

    #[test]
    fn keyword_is_one_word_with_its_colon() {
        assert_eq!(after_keyword(b"FROM:<a>", "FROM:"), Some(&b"<a>"[..]));
        assert_eq!(after_keyword(b"from:  a", "FROM:"), Some(&b"a"[..]));
        for line in ["FROM :<a>", "FROM:", "FROM: ", "FOO:<a>", "FROM", ""] {
            assert_eq!(after_keyword(line.as_bytes(), "FROM:"), None, "{line}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"100"), Some(100));
        assert_eq!(number(b"99999999999999999999999"), Some(u64::MAX));
        for text in ["", "-1", "abc", "1a"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn escapes_as_in_the_pipelining_line() {
        assert_eq!(escape(b"\x01\tfoo%bar\\\r\n\xe9"), "\\001\\tfoo%bar\\\\\\r\\n\\351");
    }
}
