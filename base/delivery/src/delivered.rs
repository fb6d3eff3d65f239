//! `Delivered-To:` headers: how local(8), virtual(8) and pipe(8) see that a message has been here before.

use bstr::BString;
use posthaste_address::Address;
use posthaste_queue::{Content, ReadError, Text};

/// The addresses in the `Delivered-To:` headers of a message, in lower case.
#[derive(Clone, Debug, Default)]
pub struct Delivered(Vec<BString>);

impl Delivered {
    /// Reads the message's headers, and goes back to its first line.
    pub fn read(content: &mut Content) -> Result<Delivered, ReadError> {
        const NAME: &[u8] = b"delivered-to:";
        let mut found = Vec::new();
        let mut line_start = true;
        while let Some(text) = content.next()? {
            let (line, ends) = match text {
                Text::Line(line) => (line, true),
                Text::Piece(line) => (line, false),
            };
            if line_start {
                if line.is_empty() {
                    break;
                }
                if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
                    found.push(line[NAME.len()..].trim_ascii().to_ascii_lowercase().into());
                }
            }
            line_start = ends;
        }
        content.rewind()?;
        Ok(Delivered(found))
    }

    /// Whether the message has been delivered to this address; case is ignored. What a header says is taken as it was written, so that one that
    /// is quoted otherwise than we would stops nothing, as in Postfix.
    pub fn contains(&self, address: &Address) -> bool {
        !self.0.is_empty() && self.0.contains(&BString::from(address.external().to_ascii_lowercase()))
    }
}
