//! The state machine.

use crate::content_type::{ContentType, Encoding};
use crate::header::{Header, header_name_len, is_mime_header};
use crate::quoted_printable::Encoder;
use bstr::{BString, ByteSlice};

/// What the machine does; the defaults are those of main.cf.
#[derive(Clone, Debug)]
pub struct Options {
    /// Look at MIME structure at all (`disable_mime_input_processing = no`). Without, only the first headers are headers.
    pub mime: bool,
    /// `header_size_limit`: what is longer is cut.
    pub header_size_limit: usize,
    /// `mime_boundary_length_limit`: longer boundaries are compared up to here.
    pub boundary_length_limit: usize,
    /// `mime_nesting_limit`.
    pub nesting_limit: usize,
    /// Report 8-bit headers ([`Fault::EightBitHeader`]).
    pub strict_7bit_headers: bool,
    /// Report 8-bit body text that is not declared ([`Fault::EightBitBody`]).
    pub strict_8bitmime_body: bool,
    /// Report encoded messages and multiparts ([`Fault::EncodingDomain`]).
    pub strict_encoding_domain: bool,
    /// Turn what is declared 8bit or binary into quoted-printable (RFC 1652 §3), and say so in the headers.
    pub downgrade: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mime: true,
            header_size_limit: 102_400,
            boundary_length_limit: 2048,
            nesting_limit: 100,
            strict_7bit_headers: false,
            strict_8bitmime_body: false,
            strict_encoding_domain: false,
            downgrade: false,
        }
    }
}

/// What is wrong with a message's structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too many multiparts within multiparts.
    Nesting,
    /// Only with [`Options::strict_7bit_headers`].
    EightBitHeader,
    /// Only with [`Options::strict_8bitmime_body`].
    EightBitBody,
    /// Only with [`Options::strict_encoding_domain`].
    EncodingDomain,
}

impl Fault {
    /// The text that Postfix logs and replies.
    pub fn text(self) -> &'static str {
        match self {
            Fault::Nesting => "MIME nesting exceeds safety limit",
            Fault::EightBitHeader => "improper use of 8-bit data in message header",
            Fault::EightBitBody => "improper use of 8-bit data in message body",
            Fault::EncodingDomain => "invalid message/* or multipart/* encoding domain",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A block of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// The message's own.
    Top,
    /// Those of a body part.
    Part,
    /// Those of an attached message.
    Nested,
}

/// How a block of headers ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadersEnd {
    /// At an empty line, which has been consumed.
    EmptyLine,
    /// At a line that is no header.
    NoHeader,
    /// With the message.
    Message,
}

/// Which checks look at a header: header_checks, mime_header_checks, nested_header_checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the parameters")]
pub enum Class {
    Primary,
    Mime,
    Nested,
}

/// Takes what the machine sees. An error stops the machine and comes back from [`Machine::line`].
pub trait Handler {
    /// What stops it.
    type Error;
    /// A whole logical header.
    fn header(&mut self, header: Header<'_>) -> Result<(), Self::Error>;
    /// A block of headers ended.
    fn headers_end(&mut self, block: Block, how: HeadersEnd) -> Result<(), Self::Error>;
    /// A body line, or a piece of one that goes on (`whole` is false). `at` counts the bytes of body text, with line ends, since the last
    /// header or boundary.
    fn body(&mut self, line: &[u8], whole: bool, at: u64) -> Result<(), Self::Error>;
    /// Something is wrong; each kind is told once. `context` is the header or line, or the encoding.
    fn fault(&mut self, fault: Fault, context: &[u8]) -> Result<(), Self::Error>;
}

/// Where in the message the machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Headers(Block),
    Body,
}

/// What the headers of the present part said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Leaf,
    Message,
    Global,
    MessagePart,
    Multipart,
}

/// An open multipart.
#[derive(Clone, Debug)]
struct Multipart {
    boundary: BString,
    digest: bool,
}

/// Takes a message apart, line by line. Memory is bounded by the limits in [`Options`].
#[derive(Debug)]
pub struct Machine {
    options: Options,
    state: State,
    /// The header that is being collected.
    header: Vec<u8>,
    name_len: usize,
    /// The last piece did not end its line.
    open: bool,
    kind: Kind,
    encoding: Encoding,
    /// `Content-Transfer-Encoding: 8bit` was taken out and is to be written anew.
    encoding_taken: bool,
    multiparts: Vec<Multipart>,
    faults: u8,
    at: u64,
    encoder: Encoder,
    /// The present body is being encoded.
    encoding_body: bool,
}

impl Machine {
    /// At the beginning of a message.
    pub fn new(options: Options) -> Machine {
        Machine {
            options,
            state: State::Headers(Block::Top),
            header: Vec::new(),
            name_len: 0,
            open: false,
            kind: Kind::Leaf,
            encoding: Encoding::SevenBit,
            encoding_taken: false,
            multiparts: Vec::new(),
            faults: 0,
            at: 0,
            encoder: Encoder::default(),
            encoding_body: false,
        }
    }

    /// Whether the message's own headers are still being read.
    pub fn in_top_headers(&self) -> bool {
        self.state == State::Headers(Block::Top)
    }

    /// Takes a line without its end, or a piece of one (`whole` is false) that the next call goes on with.
    pub fn line<H: Handler>(&mut self, text: &[u8], whole: bool, handler: &mut H) -> Result<(), H::Error> {
        let continued = std::mem::replace(&mut self.open, !whole);
        if let State::Headers(block) = self.state {
            if continued && !self.header.is_empty() {
                self.extend_header(text);
                return Ok(());
            }
            if !self.header.is_empty() && text.first().is_some_and(|c| matches!(c, b' ' | b'\t')) {
                self.extend_header(b"\n");
                self.extend_header(text);
                return Ok(());
            }
            self.end_header(block, handler)?;
            if let Some(len) = header_name_len(text) {
                self.name_len = len;
                self.extend_header(&text[..len]);
                // Blanks before the colon (RFC 5322 4.5) are left out, for the checks and for whoever gets the message.
                self.extend_header(text[len..].trim_start_with(|c| c == ' ' || c == '\t'));
                return Ok(());
            }
            let separated = text.is_empty() && whole;
            self.end_block(block, if separated { HeadersEnd::EmptyLine } else { HeadersEnd::NoHeader }, handler)?;
            if separated {
                return Ok(());
            }
        }
        self.body_line(text, whole, continued, handler)
    }

    /// Ends the message.
    pub fn end<H: Handler>(&mut self, handler: &mut H) -> Result<(), H::Error> {
        if let State::Headers(block) = self.state {
            self.end_header(block, handler)?;
            self.end_block(block, HeadersEnd::Message, handler)?;
            // An attached message may begin right at the end, and have headers of its own that are not there.
            if let State::Headers(block) = self.state {
                self.end_block(block, HeadersEnd::Message, handler)?;
            }
        }
        self.end_encoded_line(handler)
    }

    fn extend_header(&mut self, text: &[u8]) {
        let room = self.options.header_size_limit.saturating_sub(self.header.len());
        self.header.extend_from_slice(&text[..text.len().min(room)]);
    }

    fn fault<H: Handler>(&mut self, fault: Fault, context: &[u8], handler: &mut H) -> Result<(), H::Error> {
        if self.faults & fault.bit() != 0 {
            return Ok(());
        }
        self.faults |= fault.bit();
        handler.fault(fault, context)
    }

    fn end_header<H: Handler>(&mut self, block: Block, handler: &mut H) -> Result<(), H::Error> {
        if self.header.is_empty() {
            return Ok(());
        }
        let mut text = std::mem::take(&mut self.header);
        if text.ends_with(b"\n") {
            text.pop(); // It was cut there.
        }
        let name_len = self.name_len.min(text.len());
        let mime = is_mime_header(&text[..name_len]);
        let class = match block {
            _ if mime && self.options.mime => Class::Mime,
            Block::Top => Class::Primary,
            Block::Part => Class::Mime,
            Block::Nested => Class::Nested,
        };
        let header = Header { text: &text, name_len, block, class };
        let mut keep = true;
        if mime && self.options.mime {
            if header.is("content-type") {
                self.content_type(&header, handler)?;
            } else if header.is("content-transfer-encoding") {
                keep = self.transfer_encoding(&header);
            }
        }
        if self.options.strict_7bit_headers && self.options.mime && !text.is_ascii() {
            self.fault(Fault::EightBitHeader, &text, handler)?;
        }
        if keep {
            handler.header(Header { text: &text, name_len, block, class })?;
        }
        text.clear();
        self.header = text;
        Ok(())
    }

    fn content_type<H: Handler>(&mut self, header: &Header<'_>, handler: &mut H) -> Result<(), H::Error> {
        self.kind = match ContentType::parse(header.value()) {
            ContentType::Leaf => Kind::Leaf,
            ContentType::Message => Kind::Message,
            ContentType::Global => Kind::Global,
            ContentType::MessagePart => Kind::MessagePart,
            ContentType::Multipart { digest, boundary } => {
                if let Some(mut boundary) = boundary {
                    if self.multiparts.len() > self.options.nesting_limit + 1 {
                        return self.fault(Fault::Nesting, header.text, handler);
                    }
                    boundary.truncate(self.options.boundary_length_limit);
                    self.multiparts.push(Multipart { boundary, digest });
                }
                Kind::Multipart
            }
        };
        Ok(())
    }

    /// Returns whether the header stays. One that nobody knows changes nothing.
    fn transfer_encoding(&mut self, header: &Header<'_>) -> bool {
        if let Some(encoding) = Encoding::parse(header.value()) {
            self.encoding = encoding;
        }
        let take = self.options.downgrade && self.encoding.is_eight_bit();
        self.encoding_taken |= take;
        !take
    }

    fn end_block<H: Handler>(&mut self, block: Block, how: HeadersEnd, handler: &mut H) -> Result<(), H::Error> {
        // Of several encodings the last one counts.
        let downgraded = std::mem::take(&mut self.encoding_taken) && self.encoding.is_eight_bit();
        if downgraded {
            let text: &[u8] = match self.kind {
                Kind::Leaf | Kind::Global => b"Content-Transfer-Encoding: quoted-printable",
                _ => b"Content-Transfer-Encoding: 7bit",
            };
            handler.header(Header { text, name_len: 25, block, class: Class::Mime })?;
            self.encoding_body = matches!(self.kind, Kind::Leaf | Kind::Global | Kind::MessagePart);
        }
        if self.options.strict_encoding_domain && self.encoding.is_encoded() && matches!(self.kind, Kind::Message | Kind::Multipart) {
            self.fault(Fault::EncodingDomain, self.encoding.name().as_bytes(), handler)?;
        }
        self.at = 0;
        self.state = match self.kind {
            // The line is no header of the attached message either.
            _ if how == HeadersEnd::NoHeader => State::Body,
            Kind::Message if self.options.mime => State::Headers(Block::Nested),
            // One that is being encoded is text from its first header on.
            Kind::Global if self.options.mime && !self.encoding_body => State::Headers(Block::Nested),
            _ => State::Body,
        };
        if self.state != State::Body {
            self.begin_part(false);
        } else if downgraded && how == HeadersEnd::NoHeader {
            // What no empty line sets off is text, whatever the headers say.
            self.encoding_body = true;
        }
        if self.kind == Kind::Multipart {
            // Its encoding says what its parts may hold; the text around them is 7bit.
            self.encoding = Encoding::SevenBit;
        }
        handler.headers_end(block, how)
    }

    /// Forgets the part before.
    fn begin_part(&mut self, digest: bool) {
        self.kind = if digest { Kind::Message } else { Kind::Leaf };
        self.encoding = Encoding::SevenBit;
        self.encoding_taken = false;
        self.encoding_body = false;
    }

    fn body_line<H: Handler>(&mut self, text: &[u8], whole: bool, continued: bool, handler: &mut H) -> Result<(), H::Error> {
        if !continued && !self.multiparts.is_empty() && text.starts_with(b"--") && self.at_boundary(text, handler)? {
            return self.put_body(text, whole, handler);
        }
        if self.options.strict_8bitmime_body && self.options.mime && self.encoding == Encoding::SevenBit && !text.is_ascii() {
            self.fault(Fault::EightBitBody, text, handler)?;
        }
        if self.encoding_body {
            let at = &mut self.at;
            return self.encoder.text(text, whole, |line| {
                handler.body(line, true, *at)?;
                *at += line.len() as u64 + 1;
                Ok(())
            });
        }
        self.put_body(text, whole, handler)
    }

    fn put_body<H: Handler>(&mut self, text: &[u8], whole: bool, handler: &mut H) -> Result<(), H::Error> {
        handler.body(text, whole, self.at)?;
        self.at += text.len() as u64 + u64::from(whole);
        Ok(())
    }

    /// If the line is a boundary, moves to what follows it. The innermost multipart that it fits is meant; those within it end.
    fn at_boundary<H: Handler>(&mut self, line: &[u8], handler: &mut H) -> Result<bool, H::Error> {
        // Only the beginning is compared: what follows should be white space, but is let pass as Postfix does.
        let Some(index) = self.multiparts.iter().rposition(|m| line[2..].starts_with(&m.boundary)) else { return Ok(false) };
        self.end_encoded_line(handler)?;
        self.at = 0;
        self.multiparts.truncate(index + 1);
        let multipart = &self.multiparts[index];
        if line[2 + multipart.boundary.len()..].starts_with(b"--") {
            self.multiparts.pop();
            self.begin_part(false);
            self.state = State::Body;
        } else {
            let digest = multipart.digest;
            self.begin_part(digest);
            self.state = State::Headers(Block::Part);
        }
        Ok(true)
    }

    fn end_encoded_line<H: Handler>(&mut self, handler: &mut H) -> Result<(), H::Error> {
        if !self.encoder.is_open() {
            return Ok(());
        }
        let at = self.at;
        self.encoder.flush(|line| handler.body(line, true, at))
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
