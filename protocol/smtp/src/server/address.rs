//! The address of MAIL, RCPT and VRFY: RFC 5321 paths and, unless told to be strict, what RFC 822 allows in a header.

use bstr::ByteSlice;
use posthaste_address::Address;
use posthaste_address::list::AddressList;

/// Why the word is no address. The reply is `501 5.1.7` or `501 5.1.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

/// Takes the address out of the word that follows `FROM:` or `TO:`. A source route (`<@a,@b:c@d>`) is dropped, quotes and comments are
/// removed. With `strict` (`strict_rfc821_envelopes`) it must stand in `<>` without phrase or comment. `<>` gives the empty address.
///
/// Kept as lax as Postfix, which reads it as it reads a header: `<foo <a@b>>`, `a@b,` and the group `<g: a@b;>` are addresses, two of
/// them are not.
pub fn extract(word: &[u8], strict: bool) -> Result<Address, BadAddress> {
    let bracketed = word.strip_prefix(b"<").and_then(|word| word.strip_suffix(b">"));
    // A `<` must be closed, and nothing may be left to escape after that.
    let torn = word.starts_with(b"<") && (!word.contains(&b'>') || word.ends_with(b">\\"));
    if torn || strict && bracketed.is_none() {
        return Err(BadAddress);
    }
    let text = bracketed.unwrap_or(word);
    let text = match text.find_byte(b':') {
        Some(colon) if text.starts_with(b"@") => &text[colon + 1..],
        _ => text,
    };
    let list = AddressList::parse(text, usize::MAX);
    if strict && list.has_decoration() {
        return Err(BadAddress);
    }
    let mut addresses = list.addresses();
    match (addresses.next(), addresses.next()) {
        (None, _) => Ok(Address::empty()),
        (Some(address), None) if strict && address.starts_with(b"@") => Err(BadAddress),
        (Some(address), None) if strict && address.starts_with(b"\"\"@") => Err(BadAddress),
        (Some(address), None) => Ok(Address::from_words(address)),
        (Some(_), Some(_)) => Err(BadAddress),
    }
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
            ("<a]@b>", "a]@b"),
            ("<a)b@c>", "a)b@c"),
            ("<)>", ")"),
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
            "<a@b>\\",
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
