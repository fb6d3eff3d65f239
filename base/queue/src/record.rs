//! Records: type byte, length, payload (`docs/queue-file-format.md`, section 4), and the records of fixed form.

use crate::ReadError;
use bstr::ByteSlice;

/// Length of a pointer record's payload.
pub const POINTER_WIDTH: usize = 15;

/// A record type, the letter of the file format. Constants for all of them are in this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordType(pub u8);

#[allow(missing_docs, reason = "the names are those of the file format")]
impl RecordType {
    pub const SIZE: RecordType = RecordType(b'C');
    pub const TIME: RecordType = RecordType(b'T');
    pub const FULLNAME: RecordType = RecordType(b'F');
    pub const INSPECTOR: RecordType = RecordType(b'I');
    pub const FILTER: RecordType = RecordType(b'L');
    pub const SENDER: RecordType = RecordType(b'S');
    pub const RECIPIENT: RecordType = RecordType(b'R');
    pub const DONE: RecordType = RecordType(b'D');
    pub const CANCELED: RecordType = RecordType(b'/');
    pub const ORIGINAL: RecordType = RecordType(b'O');
    pub const ATTRIBUTE: RecordType = RecordType(b'A');
    pub const VERP: RecordType = RecordType(b'V');
    pub const WARN: RecordType = RecordType(b'W');
    pub const KILLED: RecordType = RecordType(b'K');
    pub const REDIRECT: RecordType = RecordType(b'>');
    pub const POINTER: RecordType = RecordType(b'p');
    pub const PADDING: RecordType = RecordType(b'w');
    pub const MESSAGE: RecordType = RecordType(b'M');
    pub const NORMAL: RecordType = RecordType(b'N');
    pub const CONTINUED: RecordType = RecordType(b'L');
    pub const EXTRACTED: RecordType = RecordType(b'X');
    pub const RETURN_RECEIPT: RecordType = RecordType(b'r');
    pub const ERRORS_TO: RecordType = RecordType(b'e');
    pub const PRIORITY: RecordType = RecordType(b'P');
    pub const END: RecordType = RecordType(b'E');
    /// Pseudo types: they name an attribute, `postcat` shows them, a reader of the envelope accepts them.
    pub const CREATE_TIME: RecordType = RecordType(b'c');
    pub const DSN_RET: RecordType = RecordType(b'<');
    pub const DSN_ENVID: RecordType = RecordType(b'i');
    pub const DSN_ORCPT: RecordType = RecordType(b'o');
    pub const DSN_NOTIFY: RecordType = RecordType(b'n');

    /// Whether a reader may meet this in the envelope.
    pub fn in_envelope(self) -> bool {
        b"MCTcFILSDRO/WVA>K<ionp".contains(&self.0)
    }

    /// Whether a reader may meet this in the content.
    pub fn in_content(self) -> bool {
        b"XLNwp".contains(&self.0)
    }

    /// Whether a reader may meet this after the content.
    pub fn in_extracted(self) -> bool {
        b"EDRO/PreAFIL>Konp".contains(&self.0)
    }
}

/// Appends a record. A payload is at most 2^28 - 1 bytes; our own are far below (callers split text at `line_length_limit`).
pub fn put_record(out: &mut Vec<u8>, kind: RecordType, payload: &[u8]) {
    debug_assert!(payload.len() < 1 << 28);
    out.push(kind.0);
    let mut length = payload.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(payload);
}

/// Bytes that a record with this payload takes in the file.
pub fn record_size(payload: usize) -> usize {
    let mut size = payload + 2;
    let mut length = payload >> 7;
    while length > 0 {
        size += 1;
        length >>= 7;
    }
    size
}

/// Splits `name=value` of an attribute record; blanks around both are not part of them.
pub fn attribute(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = payload.find_byte(b'=')?;
    Some((payload[..at].trim_ascii(), payload[at + 1..].trim_ascii()))
}

/// The payload of a pointer record to `offset`; 0 is a dummy.
pub fn pointer(offset: u64) -> [u8; POINTER_WIDTH] {
    let mut out = [b' '; POINTER_WIDTH];
    right_align(&mut out, offset);
    out
}

/// Where a pointer record leads (0: nowhere, go on); `None` for a malformed one.
pub fn pointer_target(payload: &[u8]) -> Option<u64> {
    number(payload)
}

/// The payload of a warning time record (15 columns); `None` says that the warning was sent.
pub fn warn_time(seconds: Option<u64>) -> [u8; POINTER_WIDTH] {
    match seconds {
        Some(seconds) => pointer(seconds),
        None => *b"             -1",
    }
}

fn right_align(field: &mut [u8], mut value: u64) {
    for place in field.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
}

/// A decimal number, blanks around it allowed. `None` for anything else.
pub(crate) fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    text.trim_ascii().to_str().ok()?.parse().ok()
}

/// What stands between white space.
pub(crate) fn fields(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

/// The first record, `C`: what the queue manager must know before it reads on (section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeRecord {
    /// Bytes from the first content record to the `X` record.
    pub content_length: u64,
    /// Offset of the first content record. 0 in very old files, which do not say.
    pub content_offset: u64,
    /// All recipient records, also done and cancelled ones. `None` in very old files.
    pub recipients: Option<u32>,
    /// Sum of 1 = recipients are mixed with other records, 2, 4, 8, 16 = some recipient has NOTIFY=NEVER, SUCCESS, FAILURE, DELAY.
    pub hints: u32,
    /// `size=` of the log.
    pub message_size: u64,
    /// SMTPUTF8 and so on.
    pub sender_options: u32,
}

impl SizeRecord {
    /// Length of the payload.
    pub const WIDTH: usize = 95;

    /// The payload: six fields of 15 columns.
    pub fn encode(&self) -> [u8; Self::WIDTH] {
        let mut out = [b' '; Self::WIDTH];
        let fields = [
            self.content_length,
            self.content_offset,
            u64::from(self.recipients.unwrap_or(0)),
            u64::from(self.hints),
            self.message_size,
            u64::from(self.sender_options),
        ];
        for (field, value) in out.chunks_mut(16).zip(fields) {
            let width = field.len().min(15);
            right_align(&mut field[..width], value);
        }
        out
    }

    /// Reads what any version of Postfix wrote: 1, 3, 4, 5 or 6 fields.
    pub fn parse(payload: &[u8]) -> Result<SizeRecord, ReadError> {
        let bad = || ReadError::Corrupt(format!("invalid size record: {}", payload.as_bstr()));
        let mut fields = fields(payload).map(|field| number::<u64>(field).ok_or_else(bad));
        let mut next = || fields.next().transpose();
        let content_length = next()?.filter(|&n| n > 0).ok_or_else(bad)?;
        let content_offset = next()?;
        let recipients = next()?;
        if content_offset == Some(0) || content_offset.is_some() != recipients.is_some() {
            return Err(bad());
        }
        let hints = next()?.unwrap_or(0);
        if hints & !31 != 0 {
            return Err(bad());
        }
        let message_size = next()?.filter(|&n| n > 0).unwrap_or(content_length);
        let sender_options = next()?.unwrap_or(0);
        Ok(SizeRecord {
            content_length,
            content_offset: content_offset.unwrap_or(0),
            recipients: recipients.map(|n| u32::try_from(n).map_err(|_| bad())).transpose()?,
            hints: hints as u32,
            message_size,
            // Bits of later versions are dropped.
            sender_options: (sender_options & 63) as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing() {
        for (length, header) in [(0, vec![b'N', 0]), (127, vec![b'N', 127]), (128, vec![b'N', 0x80, 1]), (2048, vec![b'N', 0x80, 0x10])] {
            let mut out = Vec::new();
            put_record(&mut out, RecordType::NORMAL, &vec![b'x'; length]);
            assert_eq!(out[..header.len()], header[..]);
            assert_eq!((out.len(), record_size(length)), (header.len() + length, header.len() + length));
        }
    }

    #[test]
    fn fixed_forms() {
        assert_eq!(&pointer(0), b"              0");
        assert_eq!(&pointer(123_456), b"         123456");
        assert_eq!(&warn_time(None), b"             -1");
        assert_eq!(attribute(b"a = b=c "), Some((&b"a"[..], &b"b=c"[..])));
        assert_eq!(attribute(b"abc"), None);
    }

    #[test]
    fn size_record() {
        let size =
            SizeRecord { content_length: 351, content_offset: 800, recipients: Some(3), hints: 9, message_size: 340, sender_options: 1 };
        let payload = size.encode();
        assert_eq!(payload.as_bstr(), "            351             800               3               9             340               1");
        assert_eq!(SizeRecord::parse(&payload).unwrap(), size);
        let old = SizeRecord::parse(b"            351             800               3").unwrap();
        assert_eq!((old.hints, old.message_size, old.sender_options), (0, 351, 0));
        assert_eq!(SizeRecord::parse(b"            351").unwrap().content_offset, 0);
        for bad in [&b""[..], b"x", b"0 800 3", b"351 0 3", b"351 800", b"351 800 3 32", b"-1 800 3", b"351 800 99999999999"] {
            assert!(SizeRecord::parse(bad).is_err(), "{}", bad.as_bstr());
        }
        // Later sender options are not ours to know.
        assert_eq!(SizeRecord::parse(b"351 800 3 0 351 64").unwrap().sender_options, 0);
    }
}
