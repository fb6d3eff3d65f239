//! JSON as it stands in `query_filter` and `projection` (RFC 8259), with the fields of a document in their order.

/// A value; `T` is what its strings are: text, or templates.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<T> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number without fraction and exponent that fits.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// A string.
    Text(T),
    /// `[…]`
    List(Vec<Json<T>>),
    /// `{…}`
    Document(Vec<(T, Json<T>)>),
}

/// How deep values may lie within each other: as deep as MongoDB takes them.
const DEPTH: usize = 100;

impl<T> Json<T> {
    /// The same with other strings; the first error of `change` ends it.
    pub fn map<U, E>(&self, change: &mut dyn FnMut(&T) -> Result<U, E>) -> Result<Json<U>, E> {
        Ok(match self {
            Json::Null => Json::Null,
            Json::Bool(value) => Json::Bool(*value),
            Json::Int(value) => Json::Int(*value),
            Json::Double(value) => Json::Double(*value),
            Json::Text(text) => Json::Text(change(text)?),
            Json::List(list) => Json::List(list.iter().map(|value| value.map(change)).collect::<Result<_, _>>()?),
            Json::Document(fields) => {
                Json::Document(fields.iter().map(|(name, value)| Ok((change(name)?, value.map(change)?))).collect::<Result<_, _>>()?)
            }
        })
    }
}

impl Json<String> {
    /// Reads a text that is one document. The error says what is wrong and where.
    pub fn document(text: &str) -> Result<Json<String>, String> {
        let mut reader = Reader { text, at: 0 };
        reader.blank();
        if !text[reader.at..].starts_with('{') {
            return Err(reader.wrong("expected {"));
        }
        let value = reader.value(DEPTH)?;
        reader.blank();
        match reader.at == text.len() {
            true => Ok(value),
            false => Err(reader.wrong("expected the end")),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> String {
        let rest: String = self.text[self.at..].chars().take(20).collect();
        match rest.is_empty() {
            true => format!("{what} at the end"),
            false => format!("{what} at \"{rest}\""),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Takes this character, after blanks.
    fn take(&mut self, c: u8) -> bool {
        self.blank();
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, c: u8) -> Result<(), String> {
        if self.take(c) { Ok(()) } else { Err(self.wrong(&format!("expected {}", char::from(c)))) }
    }

    fn value(&mut self, depth: usize) -> Result<Json<String>, String> {
        if depth == 0 {
            return Err(self.wrong("too deep"));
        }
        self.blank();
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let mut fields = Vec::new();
                if self.take(b'}') {
                    return Ok(Json::Document(fields));
                }
                loop {
                    self.blank();
                    let name = self.string()?;
                    self.expect(b':')?;
                    fields.push((name, self.value(depth - 1)?));
                    if !self.take(b',') {
                        self.expect(b'}')?;
                        return Ok(Json::Document(fields));
                    }
                }
            }
            Some(b'[') => {
                self.at += 1;
                let mut list = Vec::new();
                if self.take(b']') {
                    return Ok(Json::List(list));
                }
                loop {
                    list.push(self.value(depth - 1)?);
                    if !self.take(b',') {
                        self.expect(b']')?;
                        return Ok(Json::List(list));
                    }
                }
            }
            Some(b'"') => self.string().map(Json::Text),
            _ => self.word(),
        }
    }

    /// A number, or one of the three names.
    fn word(&mut self) -> Result<Json<String>, String> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        let word = &rest[..length];
        let number = || {
            // What Rust reads as numbers besides: +1, .5, 1., 01, inf, NaN.
            let digits = word.strip_prefix('-').unwrap_or(word);
            let plain = digits.as_bytes();
            let leading =
                plain.first().is_some_and(u8::is_ascii_digit) && !(plain[0] == b'0' && plain.get(1).is_some_and(u8::is_ascii_digit));
            if !leading || digits.contains(".e") || digits.contains(".E") || digits.ends_with('.') {
                return None;
            }
            match word.parse() {
                Ok(value) => Some(Json::Int(value)),
                Err(_) => word.parse().ok().filter(|value: &f64| value.is_finite()).map(Json::Double),
            }
        };
        let value = match word {
            "null" => Some(Json::Null),
            "true" => Some(Json::Bool(true)),
            "false" => Some(Json::Bool(false)),
            _ => number(),
        };
        let value = value.ok_or_else(|| self.wrong("expected a value, with text in quotes,"))?;
        self.at += length;
        Ok(value)
    }

    fn string(&mut self) -> Result<String, String> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("expected \""));
        }
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(c) = rest.chars().next() else {
                self.at = start;
                return Err(self.wrong("no closing quote"));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                c if u32::from(c) < 0x20 => return Err(self.wrong("control character in a string")),
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let c = self.peek().ok_or_else(|| self.wrong("no closing quote"))?;
        let plain = match c {
            b'"' | b'\\' | b'/' => char::from(c),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.wrong("unknown escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, String> {
        let first = self.four()?;
        let code = match first {
            0xd800..0xdc00 if self.text[self.at..].starts_with("\\u") => {
                self.at += 2;
                let second = self.four()?;
                let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or_else(|| self.wrong("half a surrogate pair"))?;
                0x10000 + ((first - 0xd800) << 10) + low
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| self.wrong("half a surrogate pair"))
    }

    fn four(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
        let value =
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(|| self.wrong("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Json<String> {
        Json::Text(text.into())
    }

    #[test]
    fn documents() {
        let read = |text: &str| Json::document(text).unwrap();
        let field = |name: &str, value| (name.to_owned(), value);
        assert_eq!(read(" {} "), Json::Document(vec![]));
        assert_eq!(
            read(r#"{"$or": [{"username":"%s"}, {"alias.address": "%s"}], "active": 1}"#),
            Json::Document(vec![
                field(
                    "$or",
                    Json::List(vec![
                        Json::Document(vec![field("username", text("%s"))]),
                        Json::Document(vec![field("alias.address", text("%s"))])
                    ])
                ),
                field("active", Json::Int(1)),
            ])
        );
        assert_eq!(
            read(r#"{"b":[],"a":[null,true,false,-1,1.5,1e2,9223372036854775807,9223372036854775808]}"#),
            Json::Document(vec![
                field("b", Json::List(vec![])),
                field(
                    "a",
                    Json::List(vec![
                        Json::Null,
                        Json::Bool(true),
                        Json::Bool(false),
                        Json::Int(-1),
                        Json::Double(1.5),
                        Json::Double(100.0),
                        Json::Int(i64::MAX),
                        Json::Double(9_223_372_036_854_775_808.0)
                    ])
                )
            ])
        );
        assert_eq!(
            read(r#"{"x":"\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00é"}"#),
            Json::Document(vec![field("x", text("\"\\/\x08\x0c\n\r\tAé😀é"))])
        );
    }

    #[test]
    fn what_is_no_document() {
        for bad in [
            "",
            "[]",
            "1",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":%s}",
            "{\"a\":1}x",
            "{\"a\":\"x}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":inf}",
            "{\"a\":NaN}",
            "{\"a\":1e999}",
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\ud800A"}"#,
            r#"{"a":"\udc00"}"#,
            "{\"a\":\"\n\"}",
            "{\"a\":[1 2]}",
        ] {
            assert!(Json::document(bad).is_err(), "{bad}");
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
        assert!(Json::document(&deep).unwrap_err().starts_with("too deep at"));
        assert_eq!(Json::document("{\"a\": %s}").unwrap_err(), "expected a value, with text in quotes, at \"%s}\"");
    }

    proptest! {
        // Whatever is in a string, its quoted form is read as the same.
        #[test]
        fn strings_come_back(value in ".*") {
            let quoted: String = value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(Json::document(&format!("{{\"k\":\"{quoted}\"}}")).unwrap(), Json::Document(vec![("k".into(), text(&value))]));
        }

        #[test]
        fn nothing_makes_it_panic(value in ".*") {
            let _ = Json::document(&value);
            let _ = Json::document(&format!("{{\"a\":{value}"));
        }
    }
}
