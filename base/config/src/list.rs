//! Lists as Postfix parameters write them: items separated by commas and whitespace, `{ }` around what must stay together.

use crate::lines::is_blank;

/// The items of a list such as `mydestination` or `smtpd_recipient_restrictions` (S-CONF-10). What stands between `{` and its `}` belongs
/// to one item, commas and blanks included: `inline:{ a=b, c=d }` is one. The braces stay; see [`braced`]. An opening brace that
/// is never closed takes the rest of the text.
pub fn split_list(text: &str) -> impl Iterator<Item = &str> + Clone {
    split(text, |c| c == ',' || is_blank(c))
}

/// Like [`split_list`], but only whitespace separates: command lines in `master.cf`, fields of a table line.
pub fn split_words(text: &str) -> impl Iterator<Item = &str> + Clone {
    split(text, is_blank)
}

/// Like [`split_list`] with other separators.
pub fn split(text: &str, separator: impl Fn(char) -> bool + Clone) -> impl Iterator<Item = &str> + Clone {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(separator.clone());
        if rest.is_empty() {
            return None;
        }
        let mut depth = 0_usize;
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                c if depth == 0 && separator(c) => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let (item, after) = rest.split_at(end);
        rest = after;
        Some(item)
    })
}

/// The inside of an item in braces, without the whitespace at both ends; `None` when it does not begin with a brace. The errors are
/// Postfix's: `missing '}' in "{a"` and `syntax error after '}' in "{a}b"`.
pub fn braced(item: &str) -> Option<Result<&str, String>> {
    let inner = item.strip_prefix('{')?;
    let mut depth = 1_usize;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let rest = inner[at + 1..].trim_end_matches(is_blank);
            return Some(if rest.is_empty() {
                Ok(inner[..at].trim_matches(is_blank))
            } else {
                Err(format!("syntax error after '}}' in \"{item}\""))
            });
        }
    }
    Some(Err(format!("missing '}}' in \"{item}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> Vec<&str> {
        split_list(text).collect()
    }

    // S-CONF-10
    #[test]
    fn commas_and_whitespace_separate() {
        assert_eq!(list("a.test,b.test c.test"), ["a.test", "b.test", "c.test"]);
        assert_eq!(list(" , a ,, b\n\tc, "), ["a", "b", "c"]);
        assert_eq!(list(""), Vec::<&str>::new());
    }

    #[test]
    fn braces_keep_together() {
        assert_eq!(list("inline:{ a=b, {c = d, e} }, x"), ["inline:{ a=b, {c = d, e} }", "x"]);
        assert_eq!(list("{ check_x y, z } w"), ["{ check_x y, z }", "w"]);
        assert_eq!(list("a} b, {c d"), ["a}", "b", "{c d"]);
        assert_eq!(split_words("pipe a,b { c d }").collect::<Vec<_>>(), ["pipe", "a,b", "{ c d }"]);
    }

    #[test]
    fn inside_of_braces() {
        assert_eq!(braced("{ a b }"), Some(Ok("a b")));
        assert_eq!(braced("{{a}}"), Some(Ok("{a}")));
        assert_eq!(braced("a"), None);
        assert_eq!(braced("{a"), Some(Err("missing '}' in \"{a\"".to_owned())));
        assert_eq!(braced("{a}b"), Some(Err("syntax error after '}' in \"{a}b\"".to_owned())));
    }

    proptest! {
        #[test]
        fn splitting_loses_nothing_but_separators(text in "[a-c{}, é]{0,30}") {
            let joined: String = split_list(&text).collect();
            let strip = |s: &str| s.replace([' ', ','], "");
            prop_assert_eq!(strip(&joined), strip(&text));
            for item in split_list(&text) {
                prop_assert!(!item.is_empty() && !item.starts_with([' ', ',']));
            }
        }
    }
}
