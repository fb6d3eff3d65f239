//! The small grammar of table names and lists: words apart from each other by comma or white space, with `{ }` around words that hold those.

/// Splits at commas and white space outside of braces; the braces stay.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    split_outside_braces(text, |c| c == ',' || c.is_ascii_whitespace())
}

fn split_outside_braces(text: &str, separator: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(&separator);
        if rest.is_empty() {
            return None;
        }
        let mut depth = 0usize;
        let end = rest
            .char_indices()
            .find(|&(_, c)| {
                match c {
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth == 0 && separator(c)
            })
            .map_or(rest.len(), |(at, _)| at);
        let word;
        (word, rest) = rest.split_at(end);
        Some(word)
    })
}

/// The text between the braces of `{ text }`, trimmed. The error is what Postfix says of text that is no such thing.
pub fn inside_braces(text: &str) -> Result<&str, String> {
    let Some(rest) = text.strip_prefix('{') else {
        return Err(format!("no '{{' at start of text in \"{text}\""));
    };
    let mut depth = 1usize;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            if rest[at + 1..].trim().is_empty() {
                return Ok(rest[..at].trim());
            }
            return Err(format!("syntax error after '}}' in \"{text}\""));
        }
    }
    Err(format!("missing '}}' in \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_braces_together() {
        let of = |text| words(text).collect::<Vec<_>>();
        assert_eq!(of("hash:/a, regexp:/b\n  c"), ["hash:/a", "regexp:/b", "c"]);
        assert_eq!(of("inline:{ a=b, {c = d e} }, x"), ["inline:{ a=b, {c = d e} }", "x"]);
        assert_eq!(of(" , "), [""; 0]);
    }

    #[test]
    fn braces_must_match() {
        assert_eq!(inside_braces("{ a b }"), Ok("a b"));
        assert_eq!(inside_braces("{a"), Err("missing '}' in \"{a\"".into()));
        assert_eq!(inside_braces("{a}b"), Err("syntax error after '}' in \"{a}b\"".into()));
        assert_eq!(inside_braces("/a/"), Err("no '{' at start of text in \"/a/\"".into()));
    }
}
