//! Source files of tables: `key value` lines (postmap) and `name: value` lines (aliases(5)).

use crate::{Place, Program};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::token::{self, Form};
use posthaste_log::warn;
use posthaste_table::content_of_files;
use posthaste_table::lines::{self, EntryError};

/// What becomes of one logical line.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// A key and its value.
    Pair(BString, BString),
    /// A line that is not used: what to say after `name, line N: `.
    Skip(String),
    /// As [`Entry::Pair`], with something to say.
    Dubious(BString, BString, String),
}

/// Calls `put` with each entry of `source`; warns of lines that cannot be used. `name` is the file's name for warnings. `progress` is called
/// with the number of bytes done so far, now and then.
pub fn each<E>(
    place: &Place,
    name: &str,
    source: &[u8],
    mut progress: impl FnMut(usize),
    mut put: impl FnMut(&BStr, &BStr) -> Result<(), E>,
) -> Result<(), E> {
    let utf8 = place.context.settings.utf8;
    for (count, line) in lines::logical_lines(source).enumerate() {
        let number = line.number;
        if count % 4096 == 0 {
            progress(line.offset);
        }
        if utf8 && line.text.to_str().is_err() {
            warn!(place.log, "{name}, line {number}: non-UTF-8 input \"{}\" -- ignoring this line", line.text);
            continue;
        }
        if line.text.first().is_some_and(|&c| lines::is_space(c)) {
            warn!(place.log, "{name}: logical line must not start with whitespace: \"{:.30}\"", line.text);
            continue;
        }
        let entry = match place.program {
            Program::Postmap => pair(&line.text, place.options.files),
            Program::Postalias => alias(&line.text),
        };
        match entry {
            Entry::Pair(key, value) => put(key.as_bstr(), value.as_bstr())?,
            Entry::Skip(why) => warn!(place.log, "{name}, line {number}: {why}"),
            Entry::Dubious(key, value, why) => {
                warn!(place.log, "{name}, line {number}: {why}");
                put(key.as_bstr(), value.as_bstr())?;
            }
        }
    }
    Ok(())
}

/// `key value`. `files`: the value names files, whose content is stored.
pub fn pair(line: &[u8], files: bool) -> Entry {
    let (key, value) = match lines::split_entry(line) {
        Ok((key, value)) => (key.to_owned(), value.to_owned()),
        Err(error @ (EntryError::NoValue | EntryError::Unbalanced(_))) => return Entry::Skip(error.to_string()),
    };
    let value = match files {
        true => match content_of_files(value.as_bstr()) {
            Ok(content) => content,
            Err(fault) => return Entry::Skip(format!("{fault}: skipping this entry")),
        },
        false => value,
    };
    if key.ends_with(b":") {
        return Entry::Dubious(key, value, "record is in \"key: value\" format; is this an alias file?".into());
    }
    Entry::Pair(key, value)
}

/// `name: value, value` (aliases(5)). Name and value are written anew from their tokens: one blank after a comma, and so on. The name is stored
/// without its quotes.
pub fn alias(line: &[u8]) -> Entry {
    let tokens = token::scan(line, usize::MAX);
    let Some(colon) = tokens.iter().position(|token| token.is(b':')) else { return Entry::Skip(NEED_PAIR.into()) };
    let (name, value) = (&tokens[..colon], &tokens[colon + 1..]);
    if name.is_empty() || value.is_empty() {
        return Entry::Skip(NEED_PAIR.into());
    }
    if name.iter().any(|token| token.is(b'@')) {
        return Entry::Skip("name must be local".into());
    }
    Entry::Pair(token::join(name, Form::Internal), token::join(value, Form::External))
}

const NEED_PAIR: &str = "need name:value pair";

#[cfg(test)]
mod tests {
    use super::*;

    fn made(key: &str, value: &str) -> Entry {
        Entry::Pair(key.into(), value.into())
    }

    // S-TABLE-15
    #[test]
    fn pairs() {
        assert_eq!(pair(b"key \t tabs   and  spaces\t", false), made("key", "tabs   and  spaces"));
        assert_eq!(pair(b"key3", false), Entry::Skip("expected format: key whitespace value".into()));
        assert!(matches!(pair(b"k: v", false), Entry::Dubious(..)));
        assert_eq!(pair(b"k /nosuch", true), Entry::Skip("open /nosuch: No such file or directory: skipping this entry".into()));
    }

    // What Postfix's postalias -s shows for these lines.
    // S-TABLE-16
    #[test]
    fn aliases() {
        for (line, key, value) in [
            ("a1: x,y", "a1", "x, y"),
            ("a2: x , y", "a2", "x, y"),
            ("a4: x,,y", "a4", "x, , y"),
            ("a5: \"x y\", z", "a5", "\"x y\", z"),
            ("a6: foo (comment) bar", "a6", "foo (comment) bar"),
            ("a8: Joe Blow <a@b>", "a8", "Joe Blow <a@b>"),
            ("b1: \"|/usr/bin/cmd arg, 'x'\"", "b1", "\"|/usr/bin/cmd arg, 'x'\""),
            ("b2: |/usr/bin/cmd arg", "b2", "|/usr/bin/cmd arg"),
            ("b3: /var/mail/x, /dir/", "b3", "/var/mail/x, /dir/"),
            ("b4: :include:/etc/list", "b4", ":include:/etc/list"),
            ("b5: a@[1.2.3.4]", "b5", "a@[1.2.3.4]"),
            ("b6: a; b", "b6", "a;b"),
            ("b8: \\root", "b8", "root"),
            ("c1: \"a\\\"b\"@c", "c1", "\"a\\\"b\"@c"),
            ("c2: x # y", "c2", "x # y"),
            ("c3 : z", "c3", "z"),
            ("\"c 4\" : z", "c 4", "z"),
            ("c9 d: z", "c9 d", "z"),
            ("d3:z", "d3", "z"),
            ("d6: \"\"", "d6", "\"\""),
            ("d8: \"x\"y", "d8", "\"x\" y"),
            ("e1: @a:b@c", "e1", "@a:b@c"),
            ("e2: a . b @ c", "e2", "a.b@c"),
            ("\"e4\\\"x\": z", "e4\"x", "z"),
            ("e8: [x] y", "e8", "[x] y"),
            ("f1: a%b!c", "f1", "a%b!c"),
            ("f2: a , b ,", "f2", "a, b, "),
            ("\"@\": x", "@", "x"),
        ] {
            assert_eq!(alias(line.as_bytes()), made(key, value), "{line}");
        }
        for line in ["no value", ":", ":d4: z", "d5:"] {
            assert_eq!(alias(line.as_bytes()), Entry::Skip("need name:value pair".into()), "{line}");
        }
        assert_eq!(alias(b"d1@e: z"), Entry::Skip("name must be local".into()));
    }
}
