//! Search filters: their text form (RFC 4515) to that of the protocol (RFC 4511 §4.5.1), and the quoting of keys in them and in names.

use super::ber::{OCTETS, Writer};
use bstr::ByteSlice;

/// A text that is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFilter;

/// How deep filters may be nested: the text may come from an entry of the directory.
const DEPTH: usize = 50;

/// Quotes a key for use as a value in a filter (RFC 4515 §3).
pub fn quote(text: &[u8], out: &mut Vec<u8>) {
    for &c in text {
        match c {
            b'*' | b'(' | b')' | b'\\' | 0 => out.extend_from_slice(format!("\\{c:02x}").as_bytes()),
            _ => out.push(c),
        }
    }
}

/// Quotes a key for use as a value in a distinguished name (RFC 2253 §2.4, RFC 4514).
pub fn quote_name(text: &[u8], out: &mut Vec<u8>) {
    let last = text.len().wrapping_sub(1);
    for (at, &c) in text.iter().enumerate() {
        match c {
            0 => out.extend_from_slice(b"\\00"),
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' | b'=' => out.extend_from_slice(&[b'\\', c]),
            b'#' if at == 0 => out.extend_from_slice(b"\\#"),
            b' ' if at == 0 || at == last => out.extend_from_slice(b"\\ "),
            _ => out.push(c),
        }
    }
}

/// Writes the filter `text`. One without the outer parentheses is taken too, as all LDAP programs do: `mail=%s`.
pub fn write(text: &[u8], out: &mut Writer) -> Result<(), BadFilter> {
    let text = text.trim_ascii();
    if !text.starts_with(b"(") {
        return item(text, out);
    }
    let mut parser = Parser { rest: text };
    parser.filter(out, 0)?;
    if parser.rest.trim_ascii_start().is_empty() { Ok(()) } else { Err(BadFilter) }
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn filter(&mut self, out: &mut Writer, depth: usize) -> Result<(), BadFilter> {
        self.rest = self.rest.trim_ascii_start();
        self.skip(b'(')?;
        if depth > DEPTH {
            return Err(BadFilter);
        }
        self.rest = self.rest.trim_ascii_start();
        let mut inner = Writer::default();
        match self.rest.first() {
            Some(&c @ (b'&' | b'|')) => {
                self.rest = &self.rest[1..];
                loop {
                    self.rest = self.rest.trim_ascii_start();
                    if self.rest.first() != Some(&b'(') {
                        break;
                    }
                    self.filter(&mut inner, depth + 1)?;
                }
                out.bytes(if c == b'&' { 0xa0 } else { 0xa1 }, &inner.0);
            }
            Some(b'!') => {
                self.rest = &self.rest[1..];
                self.filter(&mut inner, depth + 1)?;
                out.bytes(0xa2, &inner.0);
                self.rest = self.rest.trim_ascii_start();
            }
            _ => {
                // Parentheses within values are quoted.
                let end = self.rest.iter().position(|&c| c == b')' || c == b'(').ok_or(BadFilter)?;
                let text;
                (text, self.rest) = self.rest.split_at(end);
                item(text, out)?;
            }
        }
        self.skip(b')')
    }

    fn skip(&mut self, c: u8) -> Result<(), BadFilter> {
        self.rest = self.rest.strip_prefix(&[c]).ok_or(BadFilter)?;
        Ok(())
    }
}

/// `attribute=value` and its relatives.
fn item(text: &[u8], out: &mut Writer) -> Result<(), BadFilter> {
    let equals = text.find_byte(b'=').ok_or(BadFilter)?;
    let (left, value) = (&text[..equals], &text[equals + 1..]);
    let (left, tag) = match left.last() {
        Some(b'~') => (&left[..left.len() - 1], 0xa8),
        Some(b'>') => (&left[..left.len() - 1], 0xa5),
        Some(b'<') => (&left[..left.len() - 1], 0xa6),
        Some(b':') => return extensible(&left[..left.len() - 1], value, out),
        _ => (left, 0xa3),
    };
    let attribute = left.trim_ascii();
    if attribute.is_empty() || !attribute.iter().all(|&c| c.is_ascii_alphanumeric() || b"-_.;".contains(&c)) {
        return Err(BadFilter);
    }
    if tag == 0xa3 && value == b"*" {
        out.bytes(0x87, attribute);
        return Ok(());
    }
    if tag == 0xa3 && value.contains(&b'*') {
        let parts: Vec<&[u8]> = value.split(|&c| c == b'*').collect();
        let mut pieces = Writer::default();
        for (at, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
            let kind = if at == 0 {
                0x80
            } else if at == parts.len() - 1 {
                0x82
            } else {
                0x81
            };
            pieces.bytes(kind, &unquote(part)?);
        }
        if pieces.0.is_empty() {
            return Err(BadFilter);
        }
        out.element(0xa4, |out| {
            out.bytes(OCTETS, attribute);
            out.bytes(super::ber::SEQUENCE, &pieces.0);
        });
        return Ok(());
    }
    let value = unquote(value)?;
    out.element(tag, |out| {
        out.bytes(OCTETS, attribute);
        out.bytes(OCTETS, &value);
    });
    Ok(())
}

/// `attribute:dn:rule:=value`.
fn extensible(left: &[u8], value: &[u8], out: &mut Writer) -> Result<(), BadFilter> {
    let mut parts = left.split(|&c| c == b':');
    let attribute = parts.next().unwrap_or_default();
    let mut dn = false;
    let mut rule: &[u8] = b"";
    for part in parts {
        if !dn && rule.is_empty() && part.eq_ignore_ascii_case(b"dn") {
            dn = true;
        } else if rule.is_empty() && !part.is_empty() {
            rule = part;
        } else {
            return Err(BadFilter);
        }
    }
    if attribute.is_empty() && rule.is_empty() {
        return Err(BadFilter);
    }
    let value = unquote(value)?;
    out.element(0xa9, |out| {
        for (tag, text) in [(0x81, rule), (0x82, attribute), (0x83, &value)] {
            if tag == 0x83 || !text.is_empty() {
                out.bytes(tag, text);
            }
        }
        if dn {
            out.bytes(0x84, &[0xff]);
        }
    });
    Ok(())
}

/// `\2a` to `*`; also `\*`, as in RFC 1960.
fn unquote(text: &[u8]) -> Result<Vec<u8>, BadFilter> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        if c != b'\\' {
            out.push(c);
            continue;
        }
        let hex = after.get(..2).and_then(|two| two.to_str().ok()).filter(|two| two.bytes().all(|c| c.is_ascii_hexdigit()));
        if let Some(byte) = hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            out.push(byte);
            rest = &after[2..];
        } else if let Some(&c @ (b'*' | b'(' | b')' | b'\\')) = after.first() {
            out.push(c);
            rest = &after[1..];
        } else {
            return Err(BadFilter);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<Vec<u8>, BadFilter> {
        let mut out = Writer::default();
        write(text.as_bytes(), &mut out).map(|()| out.0)
    }

    /// The examples of RFC 4515 §4 are filters, and the quoted value of each is what it says it is.
    #[test]
    fn examples_of_rfc_4515() {
        for text in [
            "(cn=Babs Jensen)",
            "(!(cn=Tim Howes))",
            "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
            "(o=univ*of*mich*)",
            "(seeAlso=)",
            "(cn:caseExactMatch:=Fred Flintstone)",
            "(cn:=Betty Rubble)",
            "(sn:dn:2.4.6.8.10:=Barney Rubble)",
            "(o:dn:=Ace Industry)",
            "(:1.2.3:=Wilma Flintstone)",
            "(:DN:2.4.6.8.10:=Dino)",
        ] {
            assert!(of(text).is_ok(), "{text}");
        }
        let value = |text: &str| {
            let bytes = of(text).unwrap();
            let (_, mut inner) = super::super::ber::Reader(&bytes).element().unwrap();
            inner.element().unwrap();
            inner.element().unwrap().1.0.to_vec()
        };
        assert_eq!(value(r"(o=Parens R Us \28for all your parenthetical needs\29)"), b"Parens R Us (for all your parenthetical needs)");
        assert_eq!(value(r"(filename=C:\5cMyFile)"), br"C:\MyFile");
        assert_eq!(value(r"(bin=\00\00\00\04)"), [0, 0, 0, 4]);
        assert_eq!(value(r"(sn=Lu\c4\8di\c4\87)"), "Lučić".as_bytes());
        // `(cn=*\2A*)`: any, "*", any.
        assert_eq!(of(r"(cn=*\2A*)").unwrap(), b"\xa4\x09\x04\x02cn\x30\x03\x81\x01*");
    }

    /// RFC 4511 §4.5.1: the choices of Filter with their tags.
    #[test]
    fn the_bytes_of_a_filter() {
        assert_eq!(of("mail=a@b").unwrap(), b"\xa3\x0b\x04\x04mail\x04\x03a@b");
        assert_eq!(of("(a=*)").unwrap(), b"\x87\x01a");
        assert_eq!(of("(&(a=1)(!(b=2)))").unwrap(), b"\xa0\x12\xa3\x06\x04\x01a\x04\x011\xa2\x08\xa3\x06\x04\x01b\x04\x012");
        assert_eq!(of("(a=i*m*f)").unwrap(), b"\xa4\x0e\x04\x01a\x30\x09\x80\x01i\x81\x01m\x82\x01f");
        assert_eq!(of("(a>=1)").unwrap()[0], 0xa5);
        assert_eq!(of("(a<=1)").unwrap()[0], 0xa6);
        assert_eq!(of("(a~=1)").unwrap()[0], 0xa8);
        assert_eq!(of(" ( & (a=1) (b=2) ) ").unwrap()[0], 0xa0);
    }

    #[test]
    fn what_is_no_filter() {
        for text in
            ["", "(", "()", "(&(mail=x)", "(mail=x))", "mail", "(=x)", "(a b=x)", r"(a=\zz)", r"(a=\2)", "(a=x)(b=y)", "(a=(b)", "(:=x)"]
        {
            assert_eq!(of(text), Err(BadFilter), "{text}");
        }
        assert_eq!(of(&format!("{}(a=1){}", "(!".repeat(100), ")".repeat(100))), Err(BadFilter));
    }

    proptest! {
        /// A key cannot become anything but a value.
        #[test]
        fn quoted_keys_stay_values(key in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut text = b"(&(mail=".to_vec();
            quote(&key, &mut text);
            text.extend_from_slice(b")(x=y))");
            let mut out = Writer::default();
            prop_assert_eq!(write(&text, &mut out), Ok(()));
            let mut expected = Writer::default();
            expected.element(0xa0, |out| {
                out.element(0xa3, |out| { out.bytes(OCTETS, b"mail"); out.bytes(OCTETS, &key); });
                out.element(0xa3, |out| { out.bytes(OCTETS, b"x"); out.bytes(OCTETS, b"y"); });
            });
            prop_assert_eq!(out.0, expected.0);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[(&|!)a=*\\\\:~<> 2]{0,40}") {
            let _ = of(&text);
        }
    }

    /// RFC 2253 §2.4.
    #[test]
    fn names() {
        let quoted = |text: &str| {
            let mut out = Vec::new();
            quote_name(text.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(quoted("Sue, Grabbit and Runn"), r"Sue\, Grabbit and Runn");
        assert_eq!(quoted(" a#b "), r"\ a#b\ ");
        assert_eq!(quoted("#x=y"), r"\#x\=y");
        assert_eq!(quoted("x,dc=com"), r"x\,dc\=com");
    }
}
