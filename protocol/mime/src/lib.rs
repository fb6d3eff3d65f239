//! Message structure as a state machine: header lines (folded), MIME structure, body, nested messages, 8-bit conversion. No I/O.
//!
//! [`Machine`] takes a message line by line, as it stands in a queue file, and tells a [`Handler`] what it sees: whole logical headers, the
//! end of each block of headers, body lines. Body lines are handed through without a copy. RFC 5322, RFC 2045, RFC 2046.
//!
//! ```
//! use posthaste_mime::{Block, Fault, Handler, Header, HeadersEnd, Machine, Options};
//! struct Subjects(Vec<String>);
//! impl Handler for Subjects {
//!     type Error = std::convert::Infallible;
//!     fn header(&mut self, header: Header<'_>) -> Result<(), Self::Error> {
//!         if header.is("subject") {
//!             self.0.push(header.value().to_string());
//!         }
//!         Ok(())
//!     }
//!     fn headers_end(&mut self, _: Block, _: HeadersEnd) -> Result<(), Self::Error> { Ok(()) }
//!     fn body(&mut self, _: &[u8], _: bool, _: u64) -> Result<(), Self::Error> { Ok(()) }
//!     fn fault(&mut self, _: Fault, _: &[u8]) -> Result<(), Self::Error> { Ok(()) }
//! }
//! let mut machine = Machine::new(Options::default());
//! let mut subjects = Subjects(Vec::new());
//! for line in ["Subject: folded", " header", "", "Subject: not a header"] {
//!     machine.line(line.as_bytes(), true, &mut subjects)?;
//! }
//! machine.end(&mut subjects)?;
//! assert_eq!(subjects.0, ["folded\n header"]);
//! # Ok::<(), std::convert::Infallible>(())
//! ```

pub mod checks;
mod content_type;
mod header;
mod machine;
mod quoted_printable;

pub use header::{Header, header_name_len};
pub use machine::{Block, Class, Fault, Handler, HeadersEnd, Machine, Options};
