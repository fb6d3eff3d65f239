//! `$1`, `${1}`, `$(1)` and `$$` in the results of patterns.

use bstr::{BStr, BString, ByteSlice, ByteVec};

/// A result text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    /// The highest group that is used; 0 for none.
    pub highest: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(BString),
    Group(usize),
}

/// Why a text cannot be used: a whole warning, or what the table says after `TYPE map FILE, line N: `.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// The grammar of `$` itself: the warning stands alone.
    Grammar(String),
    /// A name that is no number.
    NotNumeric(BString),
    /// A number that is no group of any pattern.
    OutOfRange(BString),
}

impl Template {
    /// Without any `$`.
    pub fn literal(text: BString) -> Template {
        Template { parts: vec![Part::Text(text)], highest: 0 }
    }

    pub fn parse(text: &BStr) -> Result<Template, TemplateError> {
        let mut template = Template { parts: Vec::new(), highest: 0 };
        let mut literal = BString::default();
        let mut rest = text;
        while let Some(at) = rest.find_byte(b'$') {
            literal.push_str(&rest[..at]);
            let macro_text = rest[at..].as_bstr();
            rest = macro_text[1..].as_bstr();
            if rest.first() == Some(&b'$') {
                literal.push_byte(b'$');
                rest = rest[1..].as_bstr();
                continue;
            }
            let close = match rest.first() {
                Some(b'{') => Some(b'}'),
                Some(b'(') => Some(b')'),
                _ => None,
            };
            let name = match close {
                Some(close) => {
                    let open = rest[0];
                    let mut depth = 0usize;
                    let end = rest.iter().position(|&c| {
                        depth = if c == open {
                            depth + 1
                        } else if c == close {
                            depth - 1
                        } else {
                            depth
                        };
                        depth == 0
                    });
                    let Some(end) = end else {
                        return Err(TemplateError::Grammar(format!("truncated macro reference: \"{macro_text}\"")));
                    };
                    let name = rest[1..end].as_bstr();
                    rest = rest[end + 1..].as_bstr();
                    name
                }
                None => {
                    let end = rest.iter().position(|c| !c.is_ascii_alphanumeric() && *c != b'_').unwrap_or(rest.len());
                    let name = rest[..end].as_bstr();
                    rest = rest[end..].as_bstr();
                    name
                }
            };
            if name.is_empty() {
                return Err(TemplateError::Grammar(format!("empty macro name: \"{macro_text}\"")));
            }
            if !name.iter().all(u8::is_ascii_digit) {
                return Err(TemplateError::NotNumeric(name.to_owned()));
            }
            let group = name.to_str().ok().and_then(|digits| digits.parse().ok()).filter(|group| *group > 0);
            let Some(group) = group else { return Err(TemplateError::OutOfRange(name.to_owned())) };
            if !literal.is_empty() {
                template.parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            template.parts.push(Part::Group(group));
            template.highest = template.highest.max(group);
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            template.parts.push(Part::Text(literal));
        }
        Ok(template)
    }

    /// Puts the groups in; a group that took no part in the match is empty.
    pub fn expand<'a>(&self, group: impl Fn(usize) -> Option<&'a [u8]>) -> BString {
        let mut out = BString::default();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(number) => out.push_str(group(*number).unwrap_or_default()),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, TemplateError> {
        let groups: [&[u8]; 3] = [b"all", b"one", b"two"];
        Template::parse(text.into()).map(|template| template.expand(|n| groups.get(n).copied()).to_string())
    }

    // S-TABLE-05
    #[test]
    fn substitution() {
        assert_eq!(expand("$2 has $1, ${1}! $(2)x $$").unwrap(), "two has one, one! twox $");
        assert_eq!(expand("a$$b$1").unwrap(), "a$bone");
        assert_eq!(expand("[$1][$3]").unwrap(), "[one][]");
        assert_eq!(expand("plain").unwrap(), "plain");
    }

    // S-TABLE-05
    #[test]
    fn faults() {
        assert_eq!(expand("$1x"), Err(TemplateError::NotNumeric("1x".into())));
        assert_eq!(expand("${1?x}"), Err(TemplateError::NotNumeric("1?x".into())));
        assert_eq!(expand("$0"), Err(TemplateError::OutOfRange("0".into())));
        assert_eq!(expand("x $"), Err(TemplateError::Grammar("empty macro name: \"$\"".into())));
        assert_eq!(expand("${1"), Err(TemplateError::Grammar("truncated macro reference: \"${1\"".into())));
    }
}
