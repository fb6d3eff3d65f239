//! The parts of a line: time stamp and printable text.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt;
use std::sync::OnceLock;

static ZONE: OnceLock<TimeZone> = OnceLock::new();

/// The local time zone, as it was when this process opened its log (or first asked).
///
/// Read once: in a chroot, or after a while in one, the zone's file may not be found, and dates would silently change to UTC.
pub fn zone() -> &'static TimeZone {
    ZONE.get_or_init(TimeZone::system)
}

/// `Mmm dd hh:mm:ss` in local time, made anew only when the second changes.
#[derive(Debug)]
pub(crate) struct Stamp {
    second: i64,
    text: [u8; 15],
}

impl Stamp {
    /// Reads the time zone, which must therefore happen before a chroot.
    pub(crate) fn new() -> Stamp {
        zone();
        Stamp { second: i64::MIN, text: [b' '; 15] }
    }

    pub(crate) fn text(&mut self, now: Timestamp) -> &[u8] {
        if now.as_second() != self.second {
            self.second = now.as_second();
            self.text = stamp(now, zone());
        }
        &self.text
    }
}

fn stamp(now: Timestamp, zone: &TimeZone) -> [u8; 15] {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let local = zone.to_datetime(now);
    let mut out = *b"Mmm dd hh:mm:ss";
    let month = 3 * (local.month() as usize - 1);
    out[..3].copy_from_slice(&MONTHS[month..month + 3]);
    for (at, value) in [(4, local.day()), (7, local.hour()), (10, local.minute()), (13, local.second())] {
        out[at] = b'0' + (value as u8) / 10;
        out[at + 1] = b'0' + (value as u8) % 10;
    }
    // RFC 3164 §4.1.2: the day of the month is padded with a blank.
    if out[4] == b'0' {
        out[4] = b' ';
    }
    out
}

/// Appends text with unprintable characters replaced by `?`, up to a limit.
pub(crate) struct Printable<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) limit: usize,
    pub(crate) utf8: bool,
}

impl fmt::Write for Printable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.limit.saturating_sub(self.out.len());
        if text.len() <= room && text.bytes().all(|c| matches!(c, b' '..=b'~')) {
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for c in text.chars() {
            if self.out.len() + c.len_utf8() > self.limit {
                break;
            }
            match c {
                ' '..='~' => self.out.push(c as u8),
                // U+FFFD stands where bytes were no UTF-8; Postfix shows those as question marks.
                '\u{fffd}' | '\0'..='\u{9f}' => self.out.push(b'?'),
                _ if self.utf8 => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => self.out.extend(std::iter::repeat_n(b'?', c.len_utf8())),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn clean(text: &str, utf8: bool, limit: usize) -> String {
        let mut out = Vec::new();
        let _ = write!(Printable { out: &mut out, limit, utf8 }, "{text}");
        String::from_utf8(out).expect("printable text is UTF-8")
    }

    /// S-LOG-02: log parsers see one line, whatever a client sent.
    #[test]
    fn control_characters_become_question_marks() {
        assert_eq!(clean("a\r\nb\tc\x7f\0", true, 99), "a??b?c??");
        assert_eq!(clean("\u{85}", true, 99), "?");
    }

    #[test]
    fn utf8_passes_only_when_enabled() {
        assert_eq!(clean("p\u{f6}st", true, 99), "p\u{f6}st");
        assert_eq!(clean("p\u{f6}st", false, 99), "p??st");
        assert_eq!(clean("x\u{fffd}y", true, 99), "x?y");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(clean("abcdef", true, 4), "abcd");
        assert_eq!(clean("abc\u{f6}", true, 4), "abc");
    }

    #[test]
    fn days_are_padded_with_a_blank() {
        let at =
            |second| String::from_utf8(stamp(Timestamp::from_second(second).expect("in range"), &TimeZone::UTC).to_vec()).expect("ASCII");
        // 2001-09-09 01:46:40 UTC and 2009-02-13 23:31:30 UTC.
        assert_eq!(at(1_000_000_000), "Sep  9 01:46:40");
        assert_eq!(at(1_234_567_890), "Feb 13 23:31:30");
    }
}
