//! BSON (<https://bsonspec.org>, version 1.1): what is asked and what is answered.

use super::json::Json;
use bstr::{BString, ByteSlice};

/// Fields in their order.
pub type Document = Vec<(String, Bson)>;

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the specification")]
pub enum Bson {
    Double(f64),
    Text(BString),
    Document(Document),
    Array(Vec<Bson>),
    /// With subtype 0.
    Binary(Vec<u8>),
    ObjectId([u8; 12]),
    Bool(bool),
    /// Milliseconds since 1970.
    Date(i64),
    Null,
    /// Pattern and options.
    Regex(String, String),
    Int32(i32),
    Int64(i64),
    /// Another type, whose value is not needed here.
    Other(u8),
}

/// The deepest nesting that is read.
const DEPTH: usize = 100;

impl Bson {
    /// A whole number, of whatever type: servers are not strict about the types of what they tell of themselves.
    pub fn number(&self) -> Option<i64> {
        match self {
            Bson::Int32(value) => Some(i64::from(*value)),
            Bson::Int64(value) => Some(*value),
            Bson::Double(value) => Some(*value as i64),
            Bson::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Bson::Text(text) => text.to_str().ok(),
            _ => None,
        }
    }

    /// The type's name, for messages.
    pub fn kind(&self) -> String {
        match self {
            Bson::Double(_) => "double".into(),
            Bson::Text(_) => "string".into(),
            Bson::Document(_) => "object".into(),
            Bson::Array(_) => "array".into(),
            Bson::Binary(_) => "binData".into(),
            Bson::ObjectId(_) => "objectId".into(),
            Bson::Bool(_) => "bool".into(),
            Bson::Date(_) => "date".into(),
            Bson::Null => "null".into(),
            Bson::Regex(..) => "regex".into(),
            Bson::Int32(_) => "int".into(),
            Bson::Int64(_) => "long".into(),
            Bson::Other(kind) => format!("number {kind}"),
        }
    }

    fn code(&self) -> u8 {
        match self {
            Bson::Double(_) => 1,
            Bson::Text(_) => 2,
            Bson::Document(_) => 3,
            Bson::Array(_) => 4,
            Bson::Binary(_) => 5,
            Bson::ObjectId(_) => 7,
            Bson::Bool(_) => 8,
            Bson::Date(_) => 9,
            Bson::Null => 10,
            Bson::Regex(..) => 11,
            Bson::Int32(_) => 16,
            Bson::Int64(_) => 18,
            Bson::Other(kind) => *kind,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Bson::Double(value) => out.extend(value.to_le_bytes()),
            Bson::Text(text) => {
                length(out, text.len() + 1);
                out.extend_from_slice(text);
                out.push(0);
            }
            Bson::Document(fields) => encode(fields, out),
            Bson::Array(list) => {
                framed(out, |out| list.iter().enumerate().for_each(|(number, value)| field(out, &number.to_string(), value)));
            }
            Bson::Binary(bytes) => {
                length(out, bytes.len());
                out.push(0);
                out.extend_from_slice(bytes);
            }
            Bson::ObjectId(id) => out.extend_from_slice(id),
            Bson::Bool(value) => out.push(u8::from(*value)),
            Bson::Date(value) | Bson::Int64(value) => out.extend(value.to_le_bytes()),
            Bson::Null | Bson::Other(_) => {}
            Bson::Regex(pattern, options) => {
                out.extend_from_slice(pattern.as_bytes());
                out.push(0);
                out.extend_from_slice(options.as_bytes());
                out.push(0);
            }
            Bson::Int32(value) => out.extend(value.to_le_bytes()),
        }
    }

    /// The value that extended JSON (version 2, and the wrappers of version 1 that filters are written with) means. The error names what cannot be.
    pub fn from_json(json: &Json<String>) -> Result<Bson, String> {
        Ok(match json {
            Json::Null => Bson::Null,
            Json::Bool(value) => Bson::Bool(*value),
            Json::Int(value) => i32::try_from(*value).map_or(Bson::Int64(*value), Bson::Int32),
            Json::Double(value) => Bson::Double(*value),
            Json::Text(text) => Bson::Text(text.as_str().into()),
            Json::List(list) => Bson::Array(list.iter().map(Bson::from_json).collect::<Result<_, _>>()?),
            Json::Document(fields) => match fields.as_slice() {
                [(name, value)] if name.starts_with('$') => match extended(name, value)? {
                    Some(value) => value,
                    None => Bson::Document(document(fields)?),
                },
                _ => Bson::Document(document(fields)?),
            },
        })
    }
}

fn document(fields: &[(String, Json<String>)]) -> Result<Document, String> {
    let name = |name: &String| match name.contains('\0') {
        true => Err("a field name contains a null byte".to_owned()),
        false => Ok(name.clone()),
    };
    fields.iter().map(|(key, value)| Ok((name(key)?, Bson::from_json(value)?))).collect()
}

/// A document with one field that stands for a value of a type that JSON has not. `None`: it does not, such as `{"$gt": 1}`.
fn extended(name: &str, value: &Json<String>) -> Result<Option<Bson>, String> {
    let wrong = || format!("bad value of {name}");
    let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
    Ok(Some(match (name, value) {
        ("$oid", Json::Text(text)) => {
            let digit = |i: usize| {
                text.get(i..i + 2)
                    .filter(|pair| pair.bytes().all(|c| c.is_ascii_hexdigit()))
                    .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            };
            let mut id = [0; 12];
            for (i, byte) in id.iter_mut().enumerate() {
                *byte = digit(2 * i).filter(|_| text.len() == 24).ok_or_else(wrong)?;
            }
            Bson::ObjectId(id)
        }
        ("$numberInt", Json::Text(text)) => Bson::Int32(text.parse().map_err(|_| wrong())?),
        ("$numberLong", Json::Text(text)) => Bson::Int64(number(text)?),
        ("$numberLong", Json::Int(value)) => Bson::Int64(*value),
        ("$numberDouble", Json::Text(text)) => Bson::Double(text.parse().map_err(|_| wrong())?),
        ("$date", Json::Int(value)) => Bson::Date(*value),
        ("$date", Json::Text(text)) => Bson::Date(milliseconds(text).ok_or_else(wrong)?),
        ("$date", Json::Document(fields)) => match fields.as_slice() {
            [(inner, Json::Text(text))] if inner == "$numberLong" => Bson::Date(number(text)?),
            _ => return Err(wrong()),
        },
        ("$regularExpression", Json::Document(fields)) => {
            let part = |wanted: &str| {
                fields.iter().find_map(|(name, value)| match value {
                    Json::Text(text) if name == wanted && !text.contains('\0') => Some(text.clone()),
                    _ => None,
                })
            };
            Bson::Regex(part("pattern").ok_or_else(wrong)?, part("options").unwrap_or_default())
        }
        ("$oid" | "$numberInt" | "$numberLong" | "$numberDouble" | "$date" | "$regularExpression", _) => return Err(wrong()),
        (
            "$numberDecimal" | "$binary" | "$uuid" | "$timestamp" | "$minKey" | "$maxKey" | "$undefined" | "$symbol" | "$code"
            | "$dbPointer",
            _,
        ) => {
            return Err(format!("{name} is not supported"));
        }
        _ => return Ok(None),
    }))
}

/// `2026-11-22T03:10:00Z`, also with a fraction of a second and with an offset (RFC 3339).
fn milliseconds(text: &str) -> Option<i64> {
    let number =
        |range: std::ops::Range<usize>| text.get(range).filter(|part| part.bytes().all(|c| c.is_ascii_digit()))?.parse::<i64>().ok();
    let marks = text.as_bytes();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if [4, 7, 10, 13, 16].map(|i| marks[i]) != *b"--T::"
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut rest = &text[19..];
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix('.') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        fraction = format!("{:0<3}", &after[..digits.min(3)]).parse().ok().filter(|_| digits > 0)?;
        rest = &after[digits..];
    }
    let offset = match rest.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let digits: Vec<i64> =
                zone.iter().filter(|c| **c != b':').map(|c| char::from(*c).to_digit(10).map(i64::from)).collect::<Option<_>>()?;
            let [a, b, c, d] = digits.try_into().ok()?;
            (if *sign == b'-' { -1 } else { 1 }) * ((a * 10 + b) * 60 + c * 10 + d)
        }
        _ => return None,
    };
    // Days of the proleptic Gregorian calendar, in years that begin with March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + fraction)
}

/// Lengths never come near 2 GB: keys and settings are short.
fn length(out: &mut Vec<u8>, length: usize) {
    out.extend((length as u32).to_le_bytes());
}

fn field(out: &mut Vec<u8>, name: &str, value: &Bson) {
    out.push(value.code());
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    value.write(out);
}

fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    body(out);
    out.push(0);
    let size = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&size.to_le_bytes());
}

/// Appends a document.
pub fn encode(fields: &Document, out: &mut Vec<u8>) {
    framed(out, |out| fields.iter().for_each(|(name, value)| field(out, name, value)));
}

/// Reads a document that is all of `bytes`. `None`: it is none.
pub fn decode(bytes: &[u8]) -> Option<Document> {
    let mut rest = bytes;
    let fields = fields(&mut rest, DEPTH)?;
    rest.is_empty().then_some(fields)
}

/// The first field of this name.
pub fn get<'a>(fields: &'a Document, name: &str) -> Option<&'a Bson> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (part, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

fn four(rest: &mut &[u8]) -> Option<i32> {
    Some(i32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
}

fn eight(rest: &mut &[u8]) -> Option<[u8; 8]> {
    take(rest, 8)?.try_into().ok()
}

fn name(rest: &mut &[u8]) -> Option<String> {
    let end = rest.find_byte(0)?;
    let text = take(rest, end + 1)?;
    Some(text[..end].to_str_lossy().into_owned())
}

/// Length, bytes, zero.
fn string(rest: &mut &[u8]) -> Option<BString> {
    let length = usize::try_from(four(rest)?).ok()?;
    let (last, text) = take(rest, length)?.split_last()?;
    (*last == 0).then(|| text.into())
}

fn fields(rest: &mut &[u8], depth: usize) -> Option<Document> {
    let size = usize::try_from(i32::from_le_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
    let mut inner = take(rest, size)?.get(4..)?;
    let mut fields = Vec::new();
    loop {
        let kind = take(&mut inner, 1)?[0];
        if kind == 0 {
            return inner.is_empty().then_some(fields);
        }
        let name = name(&mut inner)?;
        fields.push((name, value(kind, &mut inner, depth)?));
    }
}

fn value(kind: u8, rest: &mut &[u8], depth: usize) -> Option<Bson> {
    let deeper = depth.checked_sub(1)?;
    Some(match kind {
        1 => Bson::Double(f64::from_le_bytes(eight(rest)?)),
        2 => Bson::Text(string(rest)?),
        3 => Bson::Document(fields(rest, deeper)?),
        4 => Bson::Array(fields(rest, deeper)?.into_iter().map(|(_, value)| value).collect()),
        5 => {
            let length = usize::try_from(four(rest)?).ok()?;
            let subtype = take(rest, 1)?[0];
            let bytes = take(rest, length)?.to_vec();
            if subtype == 0 { Bson::Binary(bytes) } else { Bson::Other(5) }
        }
        7 => Bson::ObjectId(take(rest, 12)?.try_into().ok()?),
        8 => Bson::Bool(take(rest, 1)?[0] != 0),
        9 => Bson::Date(i64::from_le_bytes(eight(rest)?)),
        10 => Bson::Null,
        11 => Bson::Regex(name(rest)?, name(rest)?),
        16 => Bson::Int32(four(rest)?),
        18 => Bson::Int64(i64::from_le_bytes(eight(rest)?)),
        // Those with no value; pointer; code and symbol; code with scope; time stamp; decimal.
        6 | 0x7f | 0xff => Bson::Other(kind),
        12 => {
            string(rest)?;
            take(rest, 12)?;
            Bson::Other(kind)
        }
        13 | 14 => {
            string(rest)?;
            Bson::Other(kind)
        }
        15 => {
            let length = usize::try_from(four(rest)?).ok()?;
            take(rest, length.checked_sub(4)?)?;
            Bson::Other(kind)
        }
        17 => {
            take(rest, 8)?;
            Bson::Other(kind)
        }
        19 => {
            take(rest, 16)?;
            Bson::Other(kind)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(fields: &Document) -> Vec<u8> {
        let mut out = Vec::new();
        encode(fields, &mut out);
        out
    }

    // The examples of https://bsonspec.org/faq.html.
    #[test]
    fn examples_of_the_specification() {
        let hello = vec![("hello".to_owned(), Bson::Text("world".into()))];
        let wire = b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0";
        assert_eq!(bytes(&hello), wire);
        assert_eq!(decode(wire), Some(hello));
        let list = vec![("BSON".to_owned(), Bson::Array(vec![Bson::Text("awesome".into()), Bson::Double(5.05), Bson::Int32(1986)]))];
        let wire =
            b"\x31\0\0\0\x04BSON\0\x26\0\0\0\x020\0\x08\0\0\0awesome\0\x011\0\x33\x33\x33\x33\x33\x33\x14\x40\x102\0\xc2\x07\0\0\0\0";
        assert_eq!(bytes(&list), wire);
        assert_eq!(decode(wire), Some(list));
    }

    #[test]
    fn types_that_are_passed_over() {
        let wire = [
            &b"\x06a\0\x0cb\0\x02\0\0\0x\x000123456789ab\x0dc\0\x01\0\0\0\0\x0fd\0\x0e\0\0\0\x01\0\0\0\0\x05\0\0\0\0"[..],
            b"\x11e\x0012345678\x13f\x000123456789abcdef\xffg\0\x7fh\0\x05i\0\x01\0\0\0\x04x\x10j\0\x07\0\0\0\0",
        ]
        .concat();
        let wire = [&(wire.len() as u32 + 4).to_le_bytes()[..], &wire].concat();
        let found = decode(&wire).unwrap();
        let names: String = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, "abcdefghij");
        assert!(found[..9].iter().all(|(_, value)| matches!(value, Bson::Other(_))));
        assert_eq!(found[9].1, Bson::Int32(7));
    }

    fn json(text: &str) -> Result<Bson, String> {
        Bson::from_json(&Json::document(text).unwrap()).map(|value| match value {
            Bson::Document(fields) => fields.into_iter().next().unwrap().1,
            other => other,
        })
    }

    // https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
    #[test]
    fn extended_json() {
        assert_eq!(json(r#"{"a": 2147483647}"#), Ok(Bson::Int32(i32::MAX)));
        assert_eq!(json(r#"{"a": 2147483648}"#), Ok(Bson::Int64(2_147_483_648)));
        assert_eq!(json(r#"{"a": {"$numberLong": "7"}}"#), Ok(Bson::Int64(7)));
        assert_eq!(json(r#"{"a": {"$numberInt": "7"}}"#), Ok(Bson::Int32(7)));
        assert_eq!(json(r#"{"a": {"$numberDouble": "7.5"}}"#), Ok(Bson::Double(7.5)));
        assert_eq!(
            json(r#"{"a": {"$oid": "5d505646cf6d4fe581014ab2"}}"#),
            Ok(Bson::ObjectId(*b"\x5d\x50\x56\x46\xcf\x6d\x4f\xe5\x81\x01\x4a\xb2"))
        );
        assert_eq!(json(r#"{"a": {"$date": {"$numberLong": "1565546054692"}}}"#), Ok(Bson::Date(1_565_546_054_692)));
        assert_eq!(json(r#"{"a": {"$date": "2019-08-11T17:54:14.692Z"}}"#), Ok(Bson::Date(1_565_546_054_692)));
        assert_eq!(json(r#"{"a": {"$date": "1970-01-01T00:00:00Z"}}"#), Ok(Bson::Date(0)));
        assert_eq!(json(r#"{"a": {"$date": "2000-02-29T13:30:00+01:30"}}"#), Ok(Bson::Date(951_825_600_000)));
        assert_eq!(json(r#"{"a": {"$regularExpression": {"pattern": "^x", "options": "i"}}}"#), Ok(Bson::Regex("^x".into(), "i".into())));
        assert_eq!(json(r#"{"a": {"$gt": 1}}"#), Ok(Bson::Document(vec![("$gt".into(), Bson::Int32(1))])));
        for bad in [
            r#"{"a": {"$oid": "5d"}}"#,
            r#"{"a": {"$oid": "+d505646cf6d4fe581014ab2"}}"#,
            r#"{"a": {"$date": "yesterday"}}"#,
            r#"{"a": {"$date": "2019-13-11T17:54:14Z"}}"#,
            r#"{"a": {"$date": "2019-08-11T17:54:14"}}"#,
            r#"{"a": {"$numberLong": "x"}}"#,
            r#"{"a": {"$binary": "x"}}"#,
            "{\"a\\u0000\": 1}",
        ] {
            assert!(json(bad).is_err(), "{bad}");
        }
    }

    fn any_value() -> impl Strategy<Value = Bson> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(Bson::Int32),
            any::<i64>().prop_map(Bson::Int64),
            any::<i64>().prop_map(Bson::Date),
            any::<bool>().prop_map(Bson::Bool),
            (-1e9..1e9).prop_map(Bson::Double),
            any::<Vec<u8>>().prop_map(Bson::Binary),
            any::<[u8; 12]>().prop_map(Bson::ObjectId),
            ".*".prop_map(|text| Bson::Text(text.into())),
            ("[^\0]*", "[a-z]*").prop_map(|(pattern, options)| Bson::Regex(pattern, options)),
            Just(Bson::Null),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Bson::Array),
                prop::collection::vec(("[^\0]*", inner), 0..5).prop_map(Bson::Document),
            ]
        })
    }

    proptest! {
        #[test]
        fn documents_come_back(value in any_value()) {
            let fields = vec![("field".to_owned(), value)];
            prop_assert_eq!(decode(&bytes(&fields)), Some(fields));
        }

        #[test]
        fn damage_is_no_panic(value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut wire = bytes(&vec![("field".to_owned(), value)]);
            let at = at.index(wire.len());
            wire[at] = byte;
            let _ = decode(&wire);
            let end = cut.index(wire.len());
            prop_assert_eq!(decode(&wire[..end]), None);
        }
    }
}
