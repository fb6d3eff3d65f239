//! The right-hand side of an alias, and the lines of `.forward` and `:include:` files (aliases(5)).

use bstr::{BString, ByteSlice};
use posthaste_address::Address;

/// One destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `|command`.
    Command(String),
    /// `/file/name`.
    File(String),
    /// `:include:/file/name`.
    Include(String),
    /// `\name`: the mailbox of that user, no alias and no `.forward`.
    User(Address),
    /// An address in internal form, as it stands there.
    Address(Address),
}

/// Parses a list of destinations. Comments in parentheses, and full names in front of `<address>`, are dropped. Two words side by side
/// are two destinations. A backslash at the start of a word stays: it makes the word a [`Destination::User`].
pub fn parse(text: &[u8]) -> Vec<Destination> {
    let mut found = Vec::new();
    let mut word = Vec::new();
    // Where the list stood after the last comma: what has come since may turn out to be a name in front of `<address>`.
    let mut since_comma = 0;
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        at += 1;
        match c {
            b',' | b';' => {
                finish(&mut word, &mut found);
                since_comma = found.len();
            }
            b'<' => {
                word.clear();
                found.truncate(since_comma);
            }
            b'>' => {
                finish(&mut word, &mut found);
                since_comma = found.len();
            }
            b'(' => at = after_comment(text, at),
            b'"' => at = quoted(text, at, &mut word),
            b'\\' if !word.is_empty() => {
                word.extend(text.get(at));
                at += 1;
            }
            c if c.is_ascii_whitespace() => {
                let next = text[at..].iter().find(|c| !c.is_ascii_whitespace());
                // `user @ domain` is one address, and `| "command"`, as postalias(1) stores `|"command"`, one command.
                if word != b"|" && !matches!(word.last(), Some(b'@' | b'.')) && !matches!(next, Some(b'@' | b'.')) {
                    finish(&mut word, &mut found);
                }
            }
            c => word.push(c),
        }
    }
    finish(&mut word, &mut found);
    found
}

/// The index behind the closing parenthesis of the comment that `at` is in.
fn after_comment(text: &[u8], mut at: usize) -> usize {
    let mut depth = 1;
    while depth > 0 {
        match text.get(at) {
            None => return at,
            Some(b'\\') => at += 1,
            Some(b'(') => depth += 1,
            Some(b')') => depth -= 1,
            Some(_) => {}
        }
        at += 1;
    }
    at
}

/// Appends the content of a quoted string; the index behind its closing quote.
fn quoted(text: &[u8], mut at: usize, word: &mut Vec<u8>) -> usize {
    while let Some(&c) = text.get(at) {
        at += 1;
        match c {
            b'"' => break,
            b'\\' => {
                word.extend(text.get(at));
                at += 1;
            }
            c => word.push(c),
        }
    }
    at
}

fn finish(word: &mut Vec<u8>, found: &mut Vec<Destination>) {
    if word.is_empty() {
        return;
    }
    let text = BString::from(std::mem::take(word));
    let string = || text.to_str_lossy().into_owned();
    found.push(match text[0] {
        b'|' => Destination::Command(string()[1..].to_owned()),
        b'/' => Destination::File(string()),
        b'\\' => Destination::User(Address::new(&text[1..])),
        _ if text.len() > 9 && text[..9].eq_ignore_ascii_case(b":include:") => Destination::Include(string()[9..].to_owned()),
        _ => Destination::Address(Address::new(text)),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(text: &str) -> Destination {
        Destination::Address(Address::new(text))
    }

    // S-LOCAL: the forms of aliases(5).
    #[test]
    fn forms() {
        assert_eq!(parse(b"alice, bob,carol"), [a("alice"), a("bob"), a("carol")]);
        assert_eq!(parse(b"\"|/bin/cat > /tmp/x; echo done\""), [Destination::Command("/bin/cat > /tmp/x; echo done".into())]);
        // S-LOCAL, S-LIST-06: seen from Postfix 3.7.11.
        for quoted in [&b"|\"cat >> /tmp/x\", bob"[..], b"| \"cat >> /tmp/x\" bob", b"|\"cat >> /tmp/x\";bob"] {
            assert_eq!(parse(quoted), [Destination::Command("cat >> /tmp/x".into()), a("bob")], "{}", quoted.as_bstr());
        }
        assert_eq!(parse(b"/var/tmp/filed"), [Destination::File("/var/tmp/filed".into())]);
        assert_eq!(parse(b":include:/etc/postfix/members"), [Destination::Include("/etc/postfix/members".into())]);
        assert_eq!(parse(b"bob, \"carol\"@example.com"), [a("bob"), a("carol@example.com")]);
        assert_eq!(parse(b"dave (Dave)"), [a("dave")]);
        assert_eq!(parse(b"\"odd name\""), [a("odd name")]);
        assert_eq!(parse(b"Full Name <x@example.com>, y"), [a("x@example.com"), a("y")]);
        assert_eq!(parse(b"\\alice, bob"), [Destination::User(Address::new("alice")), a("bob")]);
        assert_eq!(parse(b"user @ example.com"), [a("user@example.com")]);
        assert_eq!(parse(b"\"|echo \\\"x\\\"\""), [Destination::Command("echo \"x\"".into())]);
        for nothing in [&b""[..], b" , ,", b"(only a comment", b"\"\""] {
            assert_eq!(parse(nothing), [], "{}", nothing.as_bstr());
        }
    }

    // S-TRAP-03: what follows an address is not a comment.
    #[test]
    fn words_side_by_side_are_destinations() {
        assert_eq!(parse(b"addr # anything after"), [a("addr"), a("#"), a("anything"), a("after")]);
    }
}
