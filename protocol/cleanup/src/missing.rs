//! Headers that every message must have, made where they are missing (RFC 5322 §3.6).

use crate::Profile;
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_queue::QueueId;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which headers were there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub date: bool,
    pub from: bool,
    pub message_id: bool,
    pub destination: bool,
    /// Any `Resent-…`: then the missing ones of that kind are added instead (RFC 5322 §3.6.6).
    pub resent: bool,
    pub resent_date: bool,
    pub resent_from: bool,
    pub resent_message_id: bool,
}

/// `<20261121060357.66CDB9940C5@mail.example.com>`, or with long ids `<4jWhXR3gX9z1ShPk@mail.example.com>`.
pub(crate) fn message_id(profile: &Profile, id: &QueueId, created: SystemTime) -> String {
    if profile.long_queue_ids {
        return format!("<{id}@{}>", profile.myhostname);
    }
    let seconds = created.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("<{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}.{id}@{}>", profile.myhostname)
}

/// Year, month and day of a number of days since 1970 (proleptic Gregorian calendar).
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 1 March of year 0, so that leap days come last in their year.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The value of a `From:` header: full name and address.
pub(crate) fn from_header(profile: &Profile, full_name: &BStr, sender: &Address) -> BString {
    if sender.is_empty() {
        return "MAILER-DAEMON".into();
    }
    let address = sender.external();
    if full_name.is_empty() {
        return address;
    }
    let name = encode_words(full_name, &profile.full_name_charset);
    match profile.obsolete_from {
        true => [address.as_slice(), b" (", &name, b")"].concat().into(),
        false => {
            let special = |c: &u8| {
                matches!(c, b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'\\' | b'"' | b'.' | b'[' | b']' | 0..=0x1f | 0x7f)
            };
            let name = match name.iter().any(special) {
                true => quoted(&name),
                false => name,
            };
            [name.as_slice(), b" <", &address, b">"].concat().into()
        }
    }
}

fn quoted(text: &[u8]) -> BString {
    let mut out = BString::from("\"");
    for &c in text {
        if matches!(c, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(c);
    }
    out.push(b'"');
    out
}

/// RFC 2047 encoded words, where the name is not ASCII (`full_name_encoding_charset`, since Postfix 3.10).
fn encode_words(name: &BStr, charset: &str) -> BString {
    if name.is_ascii() {
        return name.to_owned();
    }
    let mut out = BString::default();
    let mut word = String::new();
    // RFC 2047 §2: at most 75 characters in a word, whole characters only.
    let room = 75 - charset.len().min(40) - "=?".len() - "?Q?".len() - "?=".len();
    let mut flush = |word: &mut String| {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(format!("=?{charset}?Q?{word}?=").as_bytes());
        word.clear();
    };
    for (start, end, _) in name.char_indices() {
        let mut piece = String::new();
        for &c in name[start..end].as_bytes() {
            match c {
                b' ' => piece.push('_'),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => piece.push(char::from(c)),
                _ => piece += &format!("={c:02X}"),
            }
        }
        if word.len() + piece.len() > room {
            flush(&mut word);
        }
        word += &piece;
    }
    flush(&mut word);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_config::Config;

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_778), (2026, 11, 21));
    }

    /// S-REWRITE-04: as Postfix 3.7 wrote these names; with other than ASCII characters as RFC 2047 wants it.
    #[test]
    fn from_headers() {
        let profile = |more: &str| {
            let text = format!("myhostname = mail.example.com\nmydomain = example.com\ninet_interfaces = 127.0.0.1\n{more}");
            Profile::open(&Config::parse(&text, "main.cf").expect("good")).expect("good")
        };
        let standard = profile("");
        let from = |name: &str| from_header(&standard, name.into(), &Address::new("alice@com")).to_string();
        assert_eq!(from("Foo Bar"), "Foo Bar <alice@com>");
        assert_eq!(from("Foo. Bar"), "\"Foo. Bar\" <alice@com>");
        assert_eq!(from("Foo (bar) \"baz\" \\"), "\"Foo (bar) \\\"baz\\\" \\\\\" <alice@com>");
        assert_eq!(from("a,b"), "\"a,b\" <alice@com>");
        assert_eq!(from(""), "alice@com");
        assert_eq!(from("é x"), "=?utf-8?Q?=C3=A9_x?= <alice@com>");
        assert_eq!(from_header(&standard, "x".into(), &Address::empty()), "MAILER-DAEMON");
        let obsolete = profile("header_from_format = obsolete");
        assert_eq!(from_header(&obsolete, "Foo".into(), &Address::new("a@b")), "a@b (Foo)");
        for word in from(&"é".repeat(60)).split(' ').filter(|w| w.starts_with("=?")) {
            assert!(word.len() <= 75 && word.ends_with("?="), "{word}");
        }
    }
}
