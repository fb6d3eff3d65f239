//! Quoting and extensions. The expected forms are those that Postfix 3.7 logs and writes for these addresses.

use super::*;
use proptest::prelude::*;

#[test]
fn quoting_as_postfix() {
    for (internal, external) in [
        ("a b@c.d", r#""a b"@c.d"#),
        ("a\"b@c.d", r#""a\"b"@c.d"#),
        ("a\\b@c.d", r#""a\\b"@c.d"#),
        ("a(b@c.d", r#""a(b"@c.d"#),
        ("a,b@c.d", r#""a,b"@c.d"#),
        ("a:b@c.d", r#""a:b"@c.d"#),
        ("a[b@c.d", r#""a[b"@c.d"#),
        (".a@c.d", r#"".a"@c.d"#),
        ("a.@c.d", r#""a."@c.d"#),
        ("a..b@c.d", r#""a..b"@c.d"#),
        ("@c.d", r#"""@c.d"#),
        ("a@b@c.d", r#""a@b"@c.d"#),
        ("a@", "a@"),
        ("@", r#"""@"#),
        ("@x:y@c.d", "@x:y@c.d"),
        ("@x.y:z", "@x.y:z"),
        ("@x:y z@c.d", r#"@x:"y z"@c.d"#),
        ("a@b c", "a@b c"),
        ("a@[1.2.3.4]", "a@[1.2.3.4]"),
        ("a", "a"),
        ("a b", r#""a b""#),
        ("-a@c.d", "-a@c.d"),
        ("é@c.d", "é@c.d"),
        ("ü ü@c.d", r#""ü ü"@c.d"#),
        ("a%b!c@c.d", "a%b!c@c.d"),
        ("a#$&*/=?^_`{|}~'b@c.d", "a#$&*/=?^_`{|}~'b@c.d"),
        ("\"a b\"", r#""\"a b\"""#),
        ("a\u{1}b@c.d", "\"a\u{1}b\"@c.d"),
        ("a\u{7f}b@c.d", "\"a\u{7f}b\"@c.d"),
        ("", ""),
    ] {
        let address = Address::new(internal);
        assert_eq!(address.external(), external, "{internal}");
        assert_eq!(*address.external_cow(), external, "{internal}");
        if !internal.starts_with('@') || internal.len() == 1 {
            assert_eq!(Address::from_external(external.as_bytes()), address, "{external}");
        }
    }
    assert_eq!(Address::from_external(br#""a\@b"@c"#).as_bytes(), "a@b@c");
    assert_eq!(Address::from_external(br#"a\ b@c"#).as_bytes(), "a b@c");
    assert_eq!(Address::from_external(br#""a@b""#).as_bytes(), "a@b");
}

/// S-REWRITE-15: what is an extension and what is not.
#[test]
fn extensions() {
    let split = |a: &str, d: &str| Address::new(a).split_extension(d, true).map(|(b, e)| (b.to_string(), e.to_string()));
    let some = |b: &str, e: &str| Some((b.to_owned(), e.to_owned()));
    assert_eq!(split("user+ext@d", "+"), some("user@d", "ext"));
    assert_eq!(split("user+a+b@d", "+"), some("user@d", "a+b"));
    assert_eq!(split("user-a+b@d", "+-"), some("user@d", "a+b"));
    assert_eq!(split("user+@d", "+"), some("user@d", ""));
    assert_eq!(split("user+ext", "+"), some("user", "ext"));
    assert_eq!(split("+user@d", "+"), None);
    assert_eq!(split("user@d+x", "+"), None);
    assert_eq!(split("user+ext@d", ""), None);
    assert_eq!(split("MAILER-DAEMON@d", "-"), None);
    assert_eq!(split("double-bounce@d", "-"), None);
    assert_eq!(split("owner-list@d", "-"), None);
    assert_eq!(split("list-request@d", "-"), None);
    assert_eq!(split("list-request+x@d", "+-"), some("list@d", "request+x"));
    assert_eq!(Address::new("owner-x@d").split_extension("-", false).map(|(b, _)| b.to_string()), Some("owner@d".into()));
    assert_eq!(split("list+request@d", "+"), some("list@d", "request"));
}

proptest! {
    /// Quoting is undone by unquoting, whatever the bytes; only a source route in front is not a local part.
    #[test]
    fn round_trip(internal in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assume!(!internal.starts_with(b"@"));
        // A domain with quotes or backslashes is not a domain.
        let address = Address::new(internal);
        prop_assume!(!address.domain().is_some_and(|d| d.iter().any(|c| matches!(c, b'"' | b'\\' | b'@'))));
        prop_assert_eq!(Address::from_external(&address.external()), address);
    }
}

/// Local parts as RFC 5321 §4.1.2 allows them, in internal form.
fn local_parts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~é-]{1,8}(\\.[a-zA-Z0-9+=é-]{1,6}){0,2}",
        // What needs quotes: blanks, specials, dots out of place, quotes and backslashes themselves.
        "[a-z .@,:;<>()\\[\\]\"\\\\]{1,12}",
    ]
}

fn domains() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9-]{1,8}(\\.[a-z0-9_-]{1,8}){0,3}",
        "\\[[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\]",
        "\\[IPv6:[0-9a-f:]{2,12}\\]",
        "[a-zé]{1,5}\\.example",
    ]
}

/// Ways to write an address in a header or command, `A` being the address. None of them changes it.
const FORMS: [&str; 9] = ["A", "<A>", " A ", "A (c \\) (d))", "Foo B. Ar <A>", "\"F, (o\" <A>", "group: A;", "(c) A,", "Foo (c)\n\t<A>"];

proptest! {
    /// S-REWRITE-01: parse, print, parse gives the same; one address in, one address out, whatever stands around it.
    #[test]
    fn parse_print_parse(local in local_parts(), domain in domains(), form in 0..FORMS.len()) {
        // With a colon anywhere after it, an `@` in front is a source route for Postfix, in quotes or not.
        prop_assume!(!local.starts_with('@'));
        let address = Address::new(format!("{local}@{domain}"));
        let written = FORMS[form].replace('A', &address.external().to_string());
        let parsed = list::AddressList::parse(written.as_bytes(), usize::MAX);
        let found: Vec<_> = parsed.addresses().map(|text| Address::from_words(text)).collect();
        prop_assert_eq!(&found, std::slice::from_ref(&address), "{}", written);
        let printed = parsed.header("To".into());
        let again = list::AddressList::parse(&printed[b"To:".len()..], usize::MAX);
        let found: Vec<_> = again.addresses().map(|text| Address::from_words(text)).collect();
        prop_assert_eq!(&found, &[address], "{}", printed);
        // What is printed is already in the form in which it is printed.
        prop_assert_eq!(again.header("To".into()), printed);
    }

    /// Whatever is parsed once prints as something that parses to the same address.
    #[test]
    fn settles_after_one_parse(text in "([ab]|\\.|@|\\(|\\)|<|>|\"|\\[|\\]|\\\\| |,|;|:|%|!|\t|é){0,14}") {
        for found in list::AddressList::parse(text.as_bytes(), usize::MAX).addresses() {
            let address = Address::from_words(found);
            // A source route, and a domain with quotes or other specials in it, have no other form to be printed in.
            let plain = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-') || !c.is_ascii();
            prop_assume!(!address.as_bytes().starts_with(b"@") && address.domain().is_none_or(|domain| domain.iter().all(plain)));
            let external = address.external();
            let again = list::AddressList::parse(&external, usize::MAX);
            let found: Vec<_> = again.addresses().map(|text| Address::from_words(text)).collect();
            let expected = if address.is_empty() { vec![] } else { vec![address] };
            prop_assert_eq!(found, expected, "{}", external);
        }
    }
}
