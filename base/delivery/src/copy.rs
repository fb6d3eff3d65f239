//! A message's content as it goes into a mailbox or a command: header lines in front, `From ` quoting, line ends.

use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_queue::{Content, ReadError, Text};
use std::io::{self, Write};
use std::time::SystemTime;

/// How a message is copied (the flags of pipe(8) use the same words).
#[derive(Clone, Debug)]
pub struct Copy {
    /// Begin with `From sender date`, mbox style (pipe flag `F`).
    pub from_line: bool,
    /// `Return-Path: <sender>` (pipe flag `R`).
    pub return_path: bool,
    /// `X-Original-To:` (pipe flag `O`).
    pub original_to: Option<Address>,
    /// `Delivered-To:` (pipe flag `D`).
    pub delivered_to: Option<Address>,
    /// The envelope sender.
    pub sender: Address,
    /// Put `>` before lines that begin with `From `.
    pub quote_from: bool,
    /// Put `.` before lines that begin with `.` (pipe flag `.`).
    pub quote_dot: bool,
    /// An empty line at the end (pipe flag `B`; mbox).
    pub blank_end: bool,
    /// Line end, `\n` but for pipe's `eol=`.
    pub end_of_line: BString,
}

/// What failed while copying.
#[derive(Debug)]
pub enum CopyError {
    /// The queue file.
    Read(ReadError),
    /// The destination.
    Write(io::Error),
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> CopyError {
        CopyError::Write(error)
    }
}

impl From<ReadError> for CopyError {
    fn from(error: ReadError) -> CopyError {
        CopyError::Read(error)
    }
}

impl Copy {
    /// For mbox files: `From ` line, quoting, blank line. `original` is `None` with `enable_original_recipient = no`.
    pub fn mailbox(sender: &Address, original: Option<&Address>, delivered_to: Option<Address>) -> Copy {
        Copy { from_line: true, quote_from: true, blank_end: true, ..Copy::maildir(sender, original, delivered_to) }
    }

    /// For Maildir files.
    pub fn maildir(sender: &Address, original: Option<&Address>, delivered_to: Option<Address>) -> Copy {
        Copy {
            from_line: false,
            return_path: true,
            original_to: original.filter(|original| !original.is_empty()).cloned(),
            delivered_to,
            sender: sender.clone(),
            quote_from: false,
            quote_dot: false,
            blank_end: false,
            end_of_line: "\n".into(),
        }
    }

    /// Writes the whole message. The writer should be buffered; it is not flushed.
    pub fn run(&self, content: &mut Content, out: &mut impl Write) -> Result<(), CopyError> {
        self.headers(out)?;
        let mut line_start = true;
        while let Some(text) = content.next()? {
            let (bytes, ends) = match text {
                Text::Line(bytes) => (bytes, true),
                Text::Piece(bytes) => (bytes, false),
            };
            if line_start {
                if self.quote_from && bytes.starts_with(b"From ") {
                    out.write_all(b">")?;
                }
                if self.quote_dot && bytes.starts_with(b".") {
                    out.write_all(b".")?;
                }
            }
            out.write_all(bytes)?;
            if ends {
                out.write_all(&self.end_of_line)?;
            }
            line_start = ends;
        }
        if !line_start {
            out.write_all(&self.end_of_line)?;
        }
        if self.blank_end {
            out.write_all(&self.end_of_line)?;
        }
        Ok(())
    }

    fn headers(&self, out: &mut impl Write) -> io::Result<()> {
        let sender = self.sender.external();
        if self.from_line {
            let name = if sender.is_empty() { BStr::new("MAILER-DAEMON") } else { sender.as_bstr() };
            write!(out, "From {name}  {}", mailbox_date(SystemTime::now()))?;
            out.write_all(&self.end_of_line)?;
        }
        if self.return_path {
            self.header(out, "Return-Path", &sender, true)?;
        }
        if let Some(address) = &self.original_to {
            self.header(out, "X-Original-To", &address.external(), false)?;
        }
        if let Some(address) = &self.delivered_to {
            self.header(out, "Delivered-To", &address.external(), false)?;
        }
        Ok(())
    }

    fn header(&self, out: &mut impl Write, name: &str, value: &BString, brackets: bool) -> io::Result<()> {
        out.write_all(name.as_bytes())?;
        out.write_all(if brackets { b": <" } else { b": " })?;
        // An address may hold a line break in quotes; in a header it must not end the line.
        for byte in value.iter() {
            out.write_all(if *byte == b'\n' || *byte == b'\r' { b"?" } else { std::slice::from_ref(byte) })?;
        }
        if brackets {
            out.write_all(b">")?;
        }
        out.write_all(&self.end_of_line)
    }
}

/// The date of an mbox `From ` line, as asctime(3) prints it, in local time: `Sat Nov 21 06:03:57 2026`.
fn mailbox_date(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(stamp) => stamp.to_zoned(posthaste_log::zone().clone()).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => String::from("Thu Jan  1 00:00:00 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn date_is_asctime() {
        let text = mailbox_date(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        // 9 September 2001, whatever the zone makes of the hour.
        assert!(text.starts_with("Sun Sep  9 ") || text.starts_with("Sat Sep  8 "), "{text}");
        assert!(text.ends_with(" 2001") && text.len() == 24, "{text}");
    }

    #[test]
    fn headers_come_in_postfix_order_and_cannot_be_split() {
        let copy =
            Copy::mailbox(&Address::new("s@example.org"), Some(&Address::new("o@example.com")), Some(Address::new("d\n@example.com")));
        let mut out = Vec::new();
        copy.headers(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let names: Vec<&str> = text.lines().map(|l| l.split([' ', ':']).next().unwrap_or("")).collect();
        assert_eq!(names, ["From", "Return-Path", "X-Original-To", "Delivered-To"]);
        assert!(text.contains("Return-Path: <s@example.org>\n"), "{text}");
    }
}
