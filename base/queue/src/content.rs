//! Reading a message's content for delivery.

use crate::ReadError;
use crate::disk::DiskFile;
use crate::read::{Head, RecordReader};
use crate::record::RecordType;
use bstr::{BStr, ByteSlice};
use std::io;

/// The mode of a file that an agent found to be damaged, so that the queue manager sets it aside.
pub const CORRUPT: u32 = 0o400;

/// A message's content, read record by record (pointers followed) for delivery. Streams; memory does not grow with the message.
/// While it lives, the shared lock is held.
pub struct Content {
    reader: RecordReader<Box<dyn DiskFile>>,
    start: u64,
    /// The text record that is being handed out in pieces: whether a line ends with it, and how much is left.
    open: Option<(bool, usize)>,
    ended: bool,
}

/// One piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// A whole line, or the last piece of one, without its newline.
    Line(&'a BStr),
    /// A piece of a long line; the line goes on.
    Piece(&'a BStr),
}

impl Content {
    pub(crate) fn new(file: Box<dyn DiskFile>, start: u64) -> Content {
        Content { reader: RecordReader::new(file, start), start, open: None, ended: false }
    }

    /// The next piece, `None` at the end of the content (`X`). Any other record is [`ReadError::Corrupt`], and the file gets the mode [`CORRUPT`].
    ///
    /// A [`Text::Piece`] as the last one means that the message does not end with a newline.
    #[allow(clippy::should_implement_trait, reason = "it lends from its buffer, which an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Text<'_>>, ReadError> {
        let (line, left) = match self.next_part() {
            Ok(Some(part)) => part,
            Ok(None) => return Ok(None),
            Err(error) => {
                if let ReadError::Corrupt(_) = error {
                    // What Postfix's agents do as well. Where the mode cannot be changed, the message is tried again, and found out again.
                    let _ = self.reader.source().set_mode(CORRUPT);
                }
                return Err(error);
            }
        };
        let bytes = if left == 0 { &[] } else { self.reader.chunk(left)? };
        Ok(Some(if bytes.len() < left {
            self.open = Some((line, left - bytes.len()));
            Text::Piece(bytes.as_bstr())
        } else if line {
            Text::Line(bytes.as_bstr())
        } else {
            Text::Piece(bytes.as_bstr())
        }))
    }

    /// Back to the first line.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.reader.seek(self.start);
        self.open = None;
        self.ended = false;
        Ok(())
    }

    /// Overwrites the record type at `offset` (`R` by `D`) through the descriptor that is already open. One write; not synced.
    pub fn mark_done(&self, offset: u64) -> io::Result<()> {
        self.reader.source().write_at(&[RecordType::DONE.0], offset)
    }

    /// The text record that is next, or what is left of it; some of it has been read.
    fn next_part(&mut self) -> Result<Option<(bool, usize)>, ReadError> {
        let part = match self.open.take() {
            Some(open) => open,
            None => match self.next_text()? {
                Some(head) => (head.kind == RecordType::NORMAL, head.length),
                None => return Ok(None),
            },
        };
        if part.1 > 0 {
            self.reader.need(part.1)?;
        }
        Ok(Some(part))
    }

    fn next_text(&mut self) -> Result<Option<Head>, ReadError> {
        while !self.ended {
            let head = self.reader.head()?;
            match head.kind {
                RecordType::NORMAL | RecordType::CONTINUED => return Ok(Some(head)),
                RecordType::PADDING => drop(self.reader.payload(head)?),
                RecordType::POINTER => self.reader.follow(head)?,
                RecordType::EXTRACTED => self.ended = true,
                RecordType(kind) => {
                    let text = format!("unexpected record type {} at offset {}", kind.escape_ascii(), head.offset);
                    return Err(ReadError::Corrupt(text));
                }
            }
        }
        Ok(None)
    }
}
