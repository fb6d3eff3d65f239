//! POSIX patterns with back references (`\1`) in PCRE2's syntax.
//!
//! The C library's matcher may be busy for hours with such a pattern, and knows no limit; PCRE2 has one. Without back references the C
//! library matches in a time that grows with the text, and these patterns stay with it.

/// The pattern for PCRE2, with DOTALL and DOLLAR_ENDONLY; `None` if it has no back reference. `extended`: the syntax of egrep(1), else that of
/// grep(1), as regex(7) has them, with the C library's additions (`\<`, `\w`, `\+`). The C library must have accepted the pattern.
pub(crate) fn translate(pattern: &[u8], extended: bool) -> Option<Vec<u8>> {
    let mut to = Translation { rest: pattern, extended, out: Vec::new(), groups: Vec::new(), atom: None, repeated: false, found: false };
    while !to.rest.is_empty() {
        to.step();
    }
    to.found.then_some(to.out)
}

struct Translation<'a> {
    rest: &'a [u8],
    extended: bool,
    out: Vec<u8>,
    /// Where the open groups begin.
    groups: Vec<usize>,
    /// Where that begins which a repetition would repeat; `None` where there is nothing, and `*` stands for itself.
    atom: Option<usize>,
    /// It has been repeated already: `a*?` and `a*+` mean something else in Perl.
    repeated: bool,
    found: bool,
}

impl Translation<'_> {
    fn step(&mut self) {
        let first = self.rest[0];
        let escaped = (first == b'\\').then(|| self.rest.get(1).copied()).flatten();
        self.rest = &self.rest[if escaped.is_some() { 2 } else { 1 }..];
        // What is special: with a backslash in one syntax, without it in the other.
        let special = match (escaped, self.extended) {
            (None, true) => Some(first),
            (Some(c), false) if b"(){}|+?".contains(&c) => Some(c),
            (None, false) if !b"(){}|+?".contains(&first) => Some(first),
            _ => None,
        };
        match (special, escaped) {
            (Some(b'('), _) => {
                self.groups.push(self.out.len());
                self.out.push(b'(');
                self.atom = None;
            }
            (Some(b')'), _) if !self.groups.is_empty() => {
                self.out.push(b')');
                self.atom = self.groups.pop();
                self.repeated = false;
            }
            (Some(b'|'), _) => {
                self.out.push(b'|');
                self.atom = None;
            }
            (Some(c @ (b'*' | b'+' | b'?')), _) if self.atom.is_some() => self.repeat(&[c]),
            (Some(b'{'), _) if self.atom.is_some() && self.interval().is_some() => {
                let (interval, length) = self.interval().unwrap_or_default();
                self.rest = &self.rest[length..];
                self.repeat(&interval);
            }
            (Some(b'['), _) => self.bracket(),
            (Some(b'.'), _) => self.item(b"."),
            (Some(b'^'), _) if self.extended || self.atom.is_none() => self.out.push(b'^'),
            (Some(b'$'), _) if self.extended || self.rest.is_empty() || self.rest.starts_with(b"\\)") || self.rest.starts_with(b"\\|") => {
                self.out.push(b'$');
            }
            (None, Some(c @ b'1'..=b'9')) => {
                self.found = true;
                // Braces, since a digit may follow.
                self.item(&[b'\\', b'g', b'{', c, b'}']);
            }
            (None, Some(c @ (b'w' | b'W' | b's' | b'S'))) => self.item(&[b'\\', c]),
            (None, Some(c @ (b'b' | b'B'))) => self.out.extend([b'\\', c]),
            (None, Some(b'<')) => self.out.extend(b"\\b(?=\\w)"),
            (None, Some(b'>')) => self.out.extend(b"\\b(?<=\\w)"),
            (None, Some(b'`')) => self.out.extend(b"\\A"),
            (None, Some(b'\'')) => self.out.extend(b"\\z"),
            (_, other) => self.literal(other.unwrap_or(first)),
        }
    }

    fn item(&mut self, text: &[u8]) {
        self.atom = Some(self.out.len());
        self.repeated = false;
        self.out.extend_from_slice(text);
    }

    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            self.item(&[byte]);
        } else {
            self.item(format!("\\x{byte:02x}").as_bytes());
        }
    }

    fn repeat(&mut self, how: &[u8]) {
        if let Some(at) = self.atom.filter(|_| self.repeated) {
            self.out.splice(at..at, *b"(?:");
            self.out.push(b')');
        }
        self.out.extend_from_slice(how);
        self.repeated = true;
    }

    /// `1}`, `1,}`, `,2}` or `1,2}`, or these with `\}`: for PCRE2, and how long it is here.
    fn interval(&self) -> Option<(Vec<u8>, usize)> {
        let end = self.rest.iter().position(|c| !c.is_ascii_digit() && *c != b',')?;
        let close: &[u8] = if self.extended { b"}" } else { b"\\}" };
        let inner = &self.rest[..end];
        let comma = inner.iter().position(|c| *c == b',');
        if !self.rest[end..].starts_with(close) || inner.is_empty() || inner == b"," || inner.iter().filter(|c| **c == b',').count() > 1 {
            return None;
        }
        let from = if comma == Some(0) { &b"0"[..] } else { b"" };
        Some(([b"{", from, inner, b"}"].concat(), end + close.len()))
    }

    /// `[…]`: the backslash is nothing special here.
    fn bracket(&mut self) {
        let mut text = b"[".to_vec();
        if let Some(rest) = self.rest.strip_prefix(b"^") {
            text.push(b'^');
            self.rest = rest;
        }
        let mut first = true;
        while let Some((&c, rest)) = self.rest.split_first() {
            self.rest = rest;
            match c {
                b']' if !first => break,
                b'[' if matches!(rest.first(), Some(b':' | b'.' | b'=')) => {
                    let mark = rest[0];
                    let Some(end) = rest[1..].windows(2).position(|two| two == [mark, b']']) else { break };
                    let name = &rest[1..=end];
                    if mark == b':' {
                        text.extend([b"[:", name, b":]"].concat());
                    } else {
                        name.iter().for_each(|byte| text.extend(format!("\\x{byte:02x}").bytes()));
                    }
                    self.rest = &rest[end + 3..];
                }
                // A range, unless it stands at an end.
                b'-' if !first && !rest.starts_with(b"]") => text.push(b'-'),
                c if c.is_ascii_alphanumeric() || c >= 0x80 => text.push(c),
                c => text.extend(format!("\\x{c:02x}").bytes()),
            }
            first = false;
        }
        text.push(b']');
        self.item(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::collecting;
    use crate::open::{OpenFlags, open};
    use crate::pattern::Engine;
    use crate::regexp::{Flags, Posix};
    use proptest::prelude::*;

    fn perl(pattern: &str, extended: bool) -> String {
        String::from_utf8(translate(pattern.as_bytes(), extended).unwrap()).unwrap()
    }

    #[test]
    fn both_syntaxes() {
        assert_eq!(translate(b"^(a|b)+$", true), None);
        assert_eq!(translate(b"\\(a\\)[\\1]", false), None);
        assert_eq!(perl("(a)\\1", true), "(a)\\g{1}");
        assert_eq!(perl("\\(a\\)\\1*x+(", false), "(a)\\g{1}*x\\x2b\\x28");
        assert_eq!(perl("(*a)\\12", true), "(\\x2aa)\\g{1}2");
        assert_eq!(perl("(.)\\1*?{,2}", true), "(.)(?:(?:\\g{1}*)?){0,2}");
        assert_eq!(perl("([]\\[:digit:]^-]?)\\1", true), "([\\x5d\\x5c[:digit:]\\x5e\\x2d]?)\\g{1}");
    }

    /// What strangers send cannot keep a service busy with a pattern that was meant well.
    #[test]
    fn patterns_that_explode_are_stopped() {
        let (context, lines) = collecting();
        let table =
            open(r"regexp:{{/^(.*)(.*)(.*)(.*)\1\2\3\4[bc]$/ yes}, {/^(.)(.)\2\1$/ $2$1}}", OpenFlags::default(), &context).unwrap();
        let start = std::time::Instant::now();
        assert_eq!(table.lookup("a".repeat(400).as_str().into()).unwrap(), None);
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
        assert!(lines.lock().unwrap()[0].contains("match limit exceeded"), "{lines:?}");
        assert_eq!(table.lookup("XyYx".into()).unwrap(), Some("yX".into()));
    }

    proptest! {
        /// What matches is the same as in the C library, here for patterns that both can do: without the reference, which says nothing new.
        #[test]
        fn the_c_library_agrees(pattern in "(a|b|[.]|[ab]|[^a]|\\(a\\)|(a|b)|(a*b)|[*+?]|[{]1,2[}]|\\^|\\$|\\||\\\\<|\\\\w|\\[\\[:alpha:\\]-\\]|-){1,6}", text in "[ab*+?{}1,2^$|<w-]{0,6}", extended: bool) {
            let pattern = format!("{}{pattern}", if extended { "(x)\\1" } else { "\\(x\\)\\1" });
            let mut flags = Flags::default();
            if !extended {
                Posix::toggle(&mut flags, b'x');
            }
            let text = format!("xx{text}");
            if let Ok(library) = Posix::library(pattern.as_bytes(), flags, false) {
                let limited = Posix::compile(pattern.as_str().into(), flags, false).unwrap();
                let mut spans = Vec::new();
                prop_assert_eq!(
                    limited.matches(text.as_bytes(), &mut spans, 0), library.matches(text.as_bytes(), &mut spans, 0),
                    "{} {}", pattern, perl(&pattern, extended)
                );
            }
        }
    }
}
