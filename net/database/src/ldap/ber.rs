//! The part of BER (X.690) that LDAP uses (RFC 4511 §5.1): definite lengths, tags of one byte.

/// Writes elements one after the other, each with its contents inside.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// An element whose contents `fill` writes.
    pub fn element(&mut self, tag: u8, fill: impl FnOnce(&mut Writer)) {
        let mut inner = Writer::default();
        fill(&mut inner);
        self.bytes(tag, &inner.0);
    }

    /// An element with these contents.
    pub fn bytes(&mut self, tag: u8, contents: &[u8]) {
        self.0.push(tag);
        let length = contents.len();
        if length < 0x80 {
            self.0.push(length as u8);
        } else {
            let bytes = length.to_be_bytes();
            let first = bytes.iter().position(|&b| b != 0).unwrap_or(bytes.len() - 1);
            self.0.push(0x80 | (bytes.len() - first) as u8);
            self.0.extend_from_slice(&bytes[first..]);
        }
        self.0.extend_from_slice(contents);
    }

    /// An INTEGER, or an ENUMERATED with tag 0x0a.
    pub fn integer(&mut self, tag: u8, value: i32) {
        let bytes = value.to_be_bytes();
        // As short as it can be and still have the right sign.
        let mut first = 0;
        while first < 3 && (bytes[first] == 0 && bytes[first + 1] < 0x80 || bytes[first] == 0xff && bytes[first + 1] >= 0x80) {
            first += 1;
        }
        self.bytes(tag, &bytes[first..]);
    }

    /// A BOOLEAN.
    pub fn boolean(&mut self, value: bool) {
        self.bytes(BOOLEAN, &[if value { 0xff } else { 0 }]);
    }
}

/// Universal tags.
pub const BOOLEAN: u8 = 0x01;
#[allow(missing_docs)]
pub const INTEGER: u8 = 0x02;
#[allow(missing_docs)]
pub const OCTETS: u8 = 0x04;
#[allow(missing_docs)]
pub const ENUMERATED: u8 = 0x0a;
#[allow(missing_docs)]
pub const SEQUENCE: u8 = 0x30;
#[allow(missing_docs)]
pub const SET: u8 = 0x31;

/// What came is not BER, or not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads elements.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

/// The length field: its value, and how many bytes it and the tag take. `None`: more bytes are needed.
pub fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some(&first) = bytes.get(1) else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((usize::from(first), 2)));
    }
    let count = usize::from(first & 0x7f);
    // An indefinite length, or one that nobody can mean.
    if count == 0 || count > 4 {
        return Err(Malformed);
    }
    let Some(field) = bytes.get(2..2 + count) else { return Ok(None) };
    Ok(Some((field.iter().fold(0, |value, &b| value << 8 | usize::from(b)), 2 + count)))
}

impl<'a> Reader<'a> {
    /// Whether there is nothing left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element: its tag and contents.
    pub fn element(&mut self) -> Result<(u8, Reader<'a>), Malformed> {
        let tag = *self.0.first().ok_or(Malformed)?;
        let (length, start) = header(self.0)?.ok_or(Malformed)?;
        let end = start.checked_add(length).ok_or(Malformed)?;
        let contents = self.0.get(start..end).ok_or(Malformed)?;
        self.0 = &self.0[end..];
        Ok((tag, Reader(contents)))
    }

    /// The contents of the next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Reader<'a>, Malformed> {
        match self.element()? {
            (found, contents) if found == tag => Ok(contents),
            _ => Err(Malformed),
        }
    }

    /// The next element as a number that fits.
    pub fn integer(&mut self, tag: u8) -> Result<i32, Malformed> {
        let contents = self.expect(tag)?.0;
        let (&first, rest) = contents.split_first().ok_or(Malformed)?;
        if rest.len() > 3 {
            return Err(Malformed);
        }
        Ok(rest.iter().fold(i32::from(first as i8), |value, &b| value << 8 | i32::from(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// X.690 §8.3 and the examples of RFC 4511's encodings: shortest form, two's complement.
    #[test]
    fn integers() {
        for (value, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[0, 128]), (-1, &[255]), (-129, &[255, 127]), (65536, &[1, 0, 0])] {
            let mut writer = Writer::default();
            writer.integer(INTEGER, value);
            assert_eq!(writer.0[2..], *bytes, "{value}");
        }
    }

    #[test]
    fn lengths() {
        for length in [0, 127, 128, 255, 256, 70000] {
            let mut writer = Writer::default();
            writer.bytes(OCTETS, &vec![7; length]);
            assert_eq!(header(&writer.0), Ok(Some((length, writer.0.len() - length))));
            assert_eq!(Reader(&writer.0).expect(OCTETS).unwrap().0.len(), length);
        }
        assert_eq!(header(&[0x30, 0x80]), Err(Malformed));
        assert_eq!(header(&[0x30, 0x85, 1, 1, 1, 1, 1]), Err(Malformed));
        assert_eq!(header(&[0x30, 0x82, 1]), Ok(None));
    }

    proptest! {
        #[test]
        fn numbers_round_trip(value: i32) {
            let mut writer = Writer::default();
            writer.integer(ENUMERATED, value);
            prop_assert_eq!(Reader(&writer.0).integer(ENUMERATED), Ok(value));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while let Ok((_, contents)) = reader.element() {
                prop_assert!(contents.0.len() < bytes.len());
            }
        }
    }
}
