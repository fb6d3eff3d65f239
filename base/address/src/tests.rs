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
