//! Reading records by offset, with bounded memory.

use crate::ReadError;
use crate::disk::ReadAt;
use crate::record::{RecordType, number};
use bstr::ByteSlice;

/// A record that must be in memory whole (anything but text) may not be larger; real ones have a few hundred bytes.
const MAX_WHOLE: usize = 1 << 20;
/// First read: most messages fit.
const FIRST_READ: usize = 8 << 10;
/// Later reads.
const NEXT_READ: usize = 64 << 10;
/// Backward jumps that pointer records may make in one file, so that a loop ends.
const MAX_BACKWARD_JUMPS: u32 = 10_000;

/// One record in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its type.
    pub kind: RecordType,
    /// Its payload.
    pub payload: &'a [u8],
    /// Where it begins in the file.
    pub offset: u64,
}

/// The header of a record whose payload is still to be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub kind: RecordType,
    pub length: usize,
    pub offset: u64,
}

/// Reads records one after the other.
pub struct RecordReader<S> {
    source: S,
    buffer: Vec<u8>,
    /// File offset of `buffer[0]`.
    base: u64,
    /// The next unread byte in `buffer`.
    at: usize,
    jumps: u32,
    /// Times the source was read: the first read is small.
    reads: u32,
}

impl<S: ReadAt> RecordReader<S> {
    /// Starts at `offset`.
    pub fn new(source: S, offset: u64) -> RecordReader<S> {
        RecordReader { source, buffer: Vec::new(), base: offset, at: 0, jumps: 0, reads: 0 }
    }

    /// The file behind it.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Offset of the next record.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Goes on at `offset`.
    pub fn seek(&mut self, offset: u64) {
        match offset.checked_sub(self.base) {
            Some(at) if at <= self.buffer.len() as u64 => self.at = at as usize,
            _ => {
                self.buffer.clear();
                self.base = offset;
                self.at = 0;
            }
        }
    }

    /// The next record as it stands, pointers not followed. At the end of the file, or for a record that reaches beyond it, [`ReadError::Corrupt`].
    pub fn next_raw(&mut self) -> Result<Record<'_>, ReadError> {
        let head = self.head()?;
        self.payload(head)
    }

    /// The next record that is no pointer; pointers are followed.
    pub fn next_followed(&mut self) -> Result<Record<'_>, ReadError> {
        loop {
            let head = self.head()?;
            if head.kind != RecordType::POINTER {
                return self.payload(head);
            }
            self.follow(head)?;
        }
    }

    /// Takes the payload of a pointer record and goes where it says; a dummy leads to the next record.
    pub(crate) fn follow(&mut self, head: Head) -> Result<(), ReadError> {
        let payload = self.payload(head)?.payload;
        let Some(target) = number::<u64>(payload) else {
            return Err(ReadError::Corrupt(format!("malformed pointer record value: {}", payload.as_bstr())));
        };
        self.jump(head.offset, target)
    }

    /// Goes on at `target` (0: right here), as a pointer record at `from` says.
    pub fn jump(&mut self, from: u64, target: u64) -> Result<(), ReadError> {
        if target == 0 {
            return Ok(());
        }
        if target <= from {
            self.jumps += 1;
            if self.jumps > MAX_BACKWARD_JUMPS {
                return Err(ReadError::Corrupt("too many reverse jump records".into()));
            }
        }
        self.seek(target);
        Ok(())
    }

    /// Whether the file ends here, before another record.
    pub fn at_end(&mut self) -> Result<bool, ReadError> {
        Ok(!self.fill(1)?)
    }

    /// The header of the next record.
    pub(crate) fn head(&mut self) -> Result<Head, ReadError> {
        let offset = self.offset();
        if !self.fill(1)? {
            return Err(ReadError::Corrupt(format!("unexpected EOF at offset {offset}, no end record")));
        }
        let kind = RecordType(self.buffer[self.at]);
        self.at += 1;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            if shift >= 28 {
                return Err(ReadError::Corrupt(format!("illegal length, record type {} at offset {offset}", kind.0)));
            }
            if !self.fill(1)? {
                return Err(ReadError::Corrupt(format!("unexpected EOF in length, record type {}", kind.0)));
            }
            let byte = self.buffer[self.at];
            self.at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Ok(Head { kind, length, offset });
            }
        }
    }

    /// The whole payload after `head`.
    pub(crate) fn payload(&mut self, head: Head) -> Result<Record<'_>, ReadError> {
        let Head { kind, length, offset } = head;
        if length > MAX_WHOLE {
            return Err(ReadError::Corrupt(format!("unreasonable length {length}, record type {} at offset {offset}", kind.0)));
        }
        if !self.fill(length)? {
            return Err(truncated(kind, length));
        }
        let start = self.at;
        self.at += length;
        Ok(Record { kind, payload: &self.buffer[start..self.at], offset })
    }

    /// Sees to it that [`RecordReader::chunk`] has something to give.
    pub(crate) fn need(&mut self, want: usize) -> Result<(), ReadError> {
        if self.fill(1)? { Ok(()) } else { Err(truncated(RecordType::NORMAL, want)) }
    }

    /// Up to `want` bytes of the payload of a text record; at least one.
    pub(crate) fn chunk(&mut self, want: usize) -> Result<&[u8], ReadError> {
        self.need(want)?;
        let start = self.at;
        self.at = self.buffer.len().min(start + want);
        Ok(&self.buffer[start..self.at])
    }

    /// Makes `want` unread bytes available; `false` when the file ends before.
    fn fill(&mut self, want: usize) -> Result<bool, ReadError> {
        while self.buffer.len() - self.at < want {
            self.buffer.drain(..self.at);
            self.base += self.at as u64;
            self.at = 0;
            let had = self.buffer.len();
            let block = if self.reads == 0 { FIRST_READ } else { NEXT_READ };
            self.reads += 1;
            self.buffer.resize(had + block.max(want - had), 0);
            let read = self.source.read_at(&mut self.buffer[had..], self.base + had as u64);
            self.buffer.truncate(had + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn truncated(kind: RecordType, length: usize) -> ReadError {
    ReadError::Corrupt(format!("unexpected EOF in data, record type {} length {length}", kind.0))
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        (**self).read_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Box<T> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        (**self).read_at(buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let from = self.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let n = from.len().min(buffer.len());
        buffer[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.as_slice().read_at(buffer, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{pointer, put_record};
    use proptest::prelude::*;

    fn corrupt(bytes: &[u8]) -> String {
        let mut reader = RecordReader::new(bytes, 0);
        loop {
            match reader.next_followed() {
                Ok(_) => (),
                Err(error) => return error.to_string(),
            }
        }
    }

    #[test]
    fn bad_input() {
        assert_eq!(corrupt(b""), "unexpected EOF at offset 0, no end record");
        assert_eq!(corrupt(b"N"), "unexpected EOF in length, record type 78");
        // As Postfix words it for the text "garbage".
        assert_eq!(corrupt(b"garbage"), "unexpected EOF in data, record type 103 length 97");
        assert_eq!(corrupt(b"N\x02abN\x05ab"), "unexpected EOF in data, record type 78 length 5");
        assert_eq!(corrupt(b"N\x80\x80\x80\x80\x01"), "illegal length, record type 78 at offset 0");
        assert_eq!(corrupt(b"N\xff\xff\xff\x7f"), "unreasonable length 268435455, record type 78 at offset 0");
        assert_eq!(corrupt(b"p\x01x"), "malformed pointer record value: x");
    }

    // A pointer to itself, and two that point at each other, end.
    #[test]
    fn loops_end() {
        let mut file = b"N\0".to_vec();
        put_record(&mut file, RecordType::POINTER, &pointer(2));
        assert!(corrupt(&file).starts_with("too many reverse jump records"));
    }

    #[test]
    fn pointers_are_followed() {
        let mut file = Vec::new();
        put_record(&mut file, RecordType::POINTER, &pointer(0));
        put_record(&mut file, RecordType::POINTER, &pointer(40));
        put_record(&mut file, RecordType::END, b"");
        file.resize(40, b'?');
        put_record(&mut file, RecordType::NORMAL, b"far");
        put_record(&mut file, RecordType::POINTER, &pointer(34));
        let mut reader = RecordReader::new(file, 0);
        assert_eq!(reader.next_followed().unwrap(), Record { kind: RecordType::NORMAL, payload: b"far", offset: 40 });
        assert_eq!(reader.next_followed().unwrap().kind, RecordType::END);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..9000)), 0..30)) {
            let mut file = Vec::new();
            for (kind, payload) in &records {
                put_record(&mut file, RecordType(*kind), payload);
            }
            let mut reader = RecordReader::new(file, 0);
            for (kind, payload) in &records {
                let record = reader.next_raw().unwrap();
                prop_assert_eq!((record.kind.0, record.payload), (*kind, &payload[..]));
            }
            prop_assert!(reader.next_raw().is_err());
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            corrupt(&noise);
        }
    }
}
