//! The address of MAIL, RCPT and VRFY: RFC 5321 paths and, unless told to be strict, what RFC 822 allows in a header.

use bstr::ByteSlice;
use posthaste_address::Address;

/// Why the word is no address. The reply is `501 5.1.7` or `501 5.1.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

/// Takes the address out of the word that follows `FROM:` or `TO:`. Source routes (`<@a,@b:c@d>`) are dropped, quotes and comments are
/// removed. With `strict` (`strict_rfc821_envelopes`) it must stand in `<>` without phrase or comment. `<>` gives the empty address.
///
/// Kept as lax as Postfix: `<foo <a@b>>`, `a@b,` and the group `<g: a@b;>` are addresses, two of them are not.
pub fn extract(word: &[u8], strict: bool) -> Result<Address, BadAddress> {
    let bracketed = word.strip_prefix(b"<").and_then(|word| word.strip_suffix(b">"));
    if strict && bracketed.is_none() {
        return Err(BadAddress);
    }
    let text = bracketed.unwrap_or(word);
    if text.trim_ascii().is_empty() || word.starts_with(b"<>") {
        return Ok(Address::empty());
    }
    let tokens = tokens(text)?;
    if strict && tokens.iter().any(|token| matches!(token, Token::Comment | Token::Special(b'<' | b'>' | b';'))) {
        return Err(BadAddress);
    }
    // Nothing but comments is the null address.
    if tokens.iter().all(|token| *token == Token::Comment) {
        return Ok(Address::empty());
    }
    one_mailbox(&tokens)
}

#[derive(Debug, PartialEq)]
enum Token {
    /// Atom, quoted string (unquoted here) or domain literal.
    Word(Vec<u8>),
    /// One of `<>@,;:.`
    Special(u8),
    Comment,
}

/// RFC 822 §3.3 lexical tokens. Dots are operators here, so that `a . b` is `a.b`.
fn tokens(text: &[u8]) -> Result<Vec<Token>, BadAddress> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        at += 1;
        match c {
            b' ' | b'\t' => {}
            b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.' => tokens.push(Token::Special(c)),
            b'(' => {
                at = comment_end(text, at);
                tokens.push(Token::Comment);
            }
            b')' | b']' => return Err(BadAddress),
            b'"' => {
                let mut word = Vec::new();
                loop {
                    match *text.get(at).ok_or(BadAddress)? {
                        b'"' => break,
                        b'\\' => {
                            at += 1;
                            word.push(*text.get(at).ok_or(BadAddress)?);
                        }
                        c => word.push(c),
                    }
                    at += 1;
                }
                at += 1;
                tokens.push(Token::Word(word));
            }
            b'[' => {
                // A literal that is not closed is closed, as Postfix does.
                let end = text[at..].find_byte(b']').map_or(text.len(), |length| at + length);
                let mut word = text[at - 1..end].to_vec();
                word.push(b']');
                tokens.push(Token::Word(word));
                at = end + 1;
            }
            _ => {
                let mut word = Vec::new();
                at -= 1;
                while let Some(&c) = text.get(at) {
                    match c {
                        b'\\' => {
                            at += 1;
                            word.push(*text.get(at).ok_or(BadAddress)?);
                        }
                        b' ' | b'\t' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.' | b'(' | b')' | b'"' | b'[' | b']' => break,
                        _ => word.push(c),
                    }
                    at += 1;
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// Where the comment ends; one that is not closed goes on to the end.
fn comment_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 1;
    while depth > 0 {
        match text.get(at) {
            None => return at,
            Some(b'(') => depth += 1,
            Some(b')') => depth -= 1,
            Some(b'\\') => at += 1,
            Some(_) => {}
        }
        at += 1;
    }
    at
}

/// Exactly one mailbox: an addr-spec, or a phrase with a route-addr, or either inside a group.
fn one_mailbox(tokens: &[Token]) -> Result<Address, BadAddress> {
    let tokens: Vec<&Token> = tokens.iter().filter(|token| **token != Token::Comment).collect();
    let mut list = &tokens[..];
    // A group's name and its colon, if its `;` is there, too; else a colon is a character like others.
    if let Some(end) = list.iter().position(|token| **token == Token::Special(b';'))
        && let Some(colon) = list[..end].iter().rposition(|token| **token == Token::Special(b':'))
        && !list[..colon].iter().any(|token| matches!(token, Token::Special(b'@' | b'<')))
    {
        list = &list[colon + 1..];
        if list.iter().all(|token| **token == Token::Special(b';')) {
            return Ok(Address::empty());
        }
    }
    let mut found = None;
    for part in list.split(|token| matches!(token, Token::Special(b',' | b';'))) {
        if part.is_empty() {
            continue;
        }
        // `@a,@b:c@d` is one address although it has a comma: its first hops are dropped with the route.
        if part.first().is_some_and(|token| **token == Token::Special(b'@')) && list.iter().any(|t| **t == Token::Special(b':')) {
            if let Some(colon) = part.iter().position(|token| **token == Token::Special(b':')) {
                set(&mut found, mailbox(&part[colon + 1..])?)?;
            }
            continue;
        }
        set(&mut found, mailbox(part)?)?;
    }
    found.ok_or(BadAddress)
}

fn set(found: &mut Option<Address>, address: Address) -> Result<(), BadAddress> {
    if found.replace(address).is_some() { Err(BadAddress) } else { Ok(()) }
}

fn mailbox(tokens: &[&Token]) -> Result<Address, BadAddress> {
    let Some(open) = tokens.iter().position(|token| **token == Token::Special(b'<')) else {
        return addr_spec(tokens);
    };
    let close = tokens.iter().rposition(|token| **token == Token::Special(b'>')).ok_or(BadAddress)?;
    if close + 1 != tokens.len() || tokens[..open].iter().any(|token| matches!(token, Token::Special(b'@' | b':'))) {
        return Err(BadAddress);
    }
    let inner = &tokens[open + 1..close];
    let routed = inner.first().is_some_and(|token| **token == Token::Special(b'@'));
    let inner = match inner.iter().rposition(|token| **token == Token::Special(b':')) {
        Some(colon) if routed => &inner[colon + 1..],
        _ => inner,
    };
    mailbox(inner)
}

/// Words joined by `.`, `@` and, as Postfix takes it, `:`. Two words side by side are a phrase without an address.
fn addr_spec(tokens: &[&Token]) -> Result<Address, BadAddress> {
    let mut out = Vec::new();
    let mut after_word = false;
    for token in tokens {
        match token {
            Token::Word(_) if after_word => return Err(BadAddress),
            Token::Word(word) => {
                out.extend_from_slice(word);
                after_word = true;
            }
            Token::Special(c @ (b'.' | b'@' | b':')) => {
                out.push(*c);
                after_word = false;
            }
            _ => return Err(BadAddress),
        }
    }
    Ok(Address::new(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lax(word: &str) -> Option<String> {
        extract(word.as_bytes(), false).ok().map(|address| address.to_string())
    }

    /// S-SMTPD-08: what 3.7.11 was seen to accept, and as what.
    #[test]
    fn lenient_syntax() {
        for (word, address) in [
            ("<a@example.org>", "a@example.org"),
            ("a@example.org", "a@example.org"),
            ("<>", ""),
            ("< >", ""),
            ("<\"quoted local\"@example.org>", "quoted local@example.org"),
            ("\"a b\"@y", "a b@y"),
            ("<\"x@example.org\"@example.com>", "x@example.org@example.com"),
            ("<@relay.example.net:a@example.org>", "a@example.org"),
            ("<@y,@z:a@b>", "a@b"),
            ("<foo <a@y>>", "a@y"),
            ("<Bob Smith <a@good.test>>", "a@good.test"),
            ("<<x@y>>", "x@y"),
            ("<g: a@y;>", "a@y"),
            ("<a(b)@y>", "a@y"),
            ("<a\\@b@y>", "a@b@y"),
            ("<@example.com>", "@example.com"),
            ("<\"\"@example.com>", "@example.com"),
            ("<\"\">", ""),
            ("<x@y.>", "x@y."),
            ("<.x@y>", ".x@y"),
            ("<x@[192.0.2.1]>", "x@[192.0.2.1]"),
            ("<x@[IPv6:::1]>", "x@[IPv6:::1]"),
            ("<a@y>,", "a@y"),
            ("<alice@>", "alice@"),
            ("<søren@example.org>", "søren@example.org"),
            ("<x@[127.0.0.1>", "x@[127.0.0.1]"),
            ("<x(comment@y>", "x"),
            ("<(c>", ""),
            ("<g:a@b>", "g:a@b"),
            ("<g: a@b>", "g:a@b"),
            ("<a:b@c;>", "b@c"),
            ("<a:>", "a:"),
            ("<a:;>", ""),
            ("<:a@b>", ":a@b"),
            ("<a@b:c@d>", "a@b:c@d"),
            ("<a:b:c@d;>", "c@d"),
            ("<x:<a@b>;>", "a@b"),
        ] {
            assert_eq!(lax(word).as_deref(), Some(address), "{word}");
        }
        for word in [
            "<a b@y>",
            "alice bob",
            "<x@y>foo",
            "<x@y><z@y>",
            "<alice+ext'q;x@example.com>",
            "<a\\",
            "<a]@b>",
            "<a b:c@d>",
            "<x:<a@b>>",
            "<g:a@b,c@d;>",
        ] {
            assert_eq!(lax(word), None, "{word}");
        }
    }

    /// S-SMTPD-09.
    #[test]
    fn strict_syntax() {
        assert_eq!(extract(b"<a@b>", true).unwrap().to_string(), "a@b");
        assert_eq!(extract(b"<>", true).unwrap().to_string(), "");
        for word in ["a@b", "<foo <a@b>>", "<a(x)@b>", "<g: a@b;>"] {
            assert_eq!(extract(word.as_bytes(), true), Err(BadAddress), "{word}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(word: Vec<u8>, strict: bool) {
            let _ = extract(&word, strict);
        }

        #[test]
        fn plain_addresses_pass_unchanged(local in "[a-z0-9+_-]{1,20}", domain in "[a-z0-9-]{1,10}(\\.[a-z]{2,5}){0,3}") {
            let address = format!("{local}@{domain}");
            let expected = Address::new(address.clone());
            prop_assert_eq!(extract(format!("<{address}>").as_bytes(), true).unwrap(), expected);
        }
    }
}
