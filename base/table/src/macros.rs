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

    /// Takes the text apart. All wrong numbers are told, and what is wrong with the grammar, where reading ends.
    pub fn parse(text: &BStr) -> Result<Template, Vec<TemplateError>> {
        let mut faults = Vec::new();
        let mut template = Template { parts: Vec::new(), highest: 0 };
        let mut literal = BString::default();
        let mut rest = text;
        while let Some(at) = rest.find_byte(b'$') {
            literal.push_str(&rest[..at]);
            rest = rest[at + 1..].as_bstr();
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
                        faults.push(TemplateError::Grammar(format!("truncated macro reference: \"{text}\"")));
                        return Err(faults);
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
                faults.push(TemplateError::Grammar(format!("empty macro name: \"{text}\"")));
                return Err(faults);
            }
            if !name.iter().all(u8::is_ascii_digit) {
                faults.push(TemplateError::NotNumeric(name.to_owned()));
                continue;
            }
            let group = name.to_str().ok().and_then(|digits| digits.parse().ok()).filter(|group| *group > 0);
            let Some(group) = group else {
                faults.push(TemplateError::OutOfRange(name.to_owned()));
                continue;
            };
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
        if faults.is_empty() { Ok(template) } else { Err(faults) }
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

    fn expand(text: &str) -> Result<String, Vec<TemplateError>> {
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
        let (word, number) = (|name: &str| TemplateError::NotNumeric(name.into()), |name: &str| TemplateError::OutOfRange(name.into()));
        assert_eq!(expand("$1x"), Err(vec![word("1x")]));
        assert_eq!(expand("${1?x}"), Err(vec![word("1?x")]));
        assert_eq!(expand("$x $0 $1 $y"), Err(vec![word("x"), number("0"), word("y")]));
        assert_eq!(expand("$0 $"), Err(vec![number("0"), TemplateError::Grammar("empty macro name: \"$0 $\"".into())]));
        assert_eq!(expand("ab ${1"), Err(vec![TemplateError::Grammar("truncated macro reference: \"ab ${1\"".into())]));
    }
}
