//! One queue file as text.

use bstr::ByteSlice;
use posthaste_queue::ReadError;
use posthaste_queue::disk::ReadAt;
use posthaste_queue::read::RecordReader;
use posthaste_queue::record::{RecordType as T, SizeRecord, attribute, pointer_target};
use std::io::{self, Write};

/// What to show, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Envelope records.
    pub envelope: bool,
    /// Message headers.
    pub header: bool,
    /// From the first line that is no header on.
    pub body: bool,
    /// The type of each record, as a decimal number.
    pub decimal: bool,
    /// The offset of each record.
    pub offsets: bool,
    /// Every record by its name.
    pub verbose: bool,
    /// With `verbose`: in the order of the file.
    pub raw: bool,
    /// Where to begin; no heading is printed then.
    pub skip: Option<u64>,
}

/// Why a file was not shown to its end.
#[derive(Debug)]
pub enum ShowError {
    /// A record that cannot be read; the text says why.
    Record(String),
    /// A pointer in verbose mode that leads nowhere; the text says why.
    Pointer(String),
    /// The file cannot be read.
    Input(io::Error),
    /// The output cannot be written.
    Output(io::Error),
}

impl std::fmt::Display for ShowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ShowError::Record(_) => f.write_str("record read error"),
            ShowError::Pointer(_) => f.write_str("bad pointer record, or input is not seekable"),
            ShowError::Input(error) => write!(f, "read error: {}", posthaste_config::system_reason(error)),
            ShowError::Output(error) => write!(f, "write error: {}", posthaste_config::system_reason(error)),
        }
    }
}

impl From<ReadError> for ShowError {
    fn from(error: ReadError) -> ShowError {
        match error {
            ReadError::Io(error) => ShowError::Input(error),
            other => ShowError::Record(other.to_string()),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Envelope,
    Header,
    Body,
    Extracted,
}

/// Prints the file to `out`; what is odd but no reason to stop goes to `warn`.
pub fn show(name: &str, file: &dyn ReadAt, options: &Options, out: &mut dyn Write, warn: &mut dyn FnMut(String)) -> Result<(), ShowError> {
    let skip = options.skip.unwrap_or(0);
    let mut reader = RecordReader::new(file, skip);
    let mut line = Lines { out, options, open: false };
    let mut part = Part::Envelope;
    let mut size = None;
    // Whether the last text record leaves its line open.
    let mut continues = false;
    while !reader.at_end()? {
        // Pointers are followed and padding is skipped silently (the offset shown is then where they stand), or all is shown as what it is.
        let at = reader.offset();
        if !options.verbose && at > 0 {
            skip_padding(&mut reader)?;
        }
        let record = if options.verbose || at == 0 { reader.next_raw() } else { reader.next_followed() };
        let record = match record {
            Ok(record) if at > 0 || (record.kind.in_envelope() && record.kind != T::POINTER) => record,
            Ok(_) | Err(ReadError::Corrupt(_)) if at == 0 => {
                warn(format!("{name}: input is not a valid queue file"));
                return Ok(());
            }
            other => other?,
        };
        let (kind, payload) = (record.kind, record.payload);
        if at == 0 && options.envelope {
            writeln!(line.out, "*** ENVELOPE RECORDS {name} ***").map_err(ShowError::Output)?;
        }
        let mut target = None;
        match kind {
            T::MESSAGE => {
                if options.envelope {
                    line.heading(at, kind, "MESSAGE CONTENTS", name)?;
                }
                part = Part::Header;
                let content = size.filter(|size: &SizeRecord| size.content_offset > 0 && !options.raw);
                if let Some(size) = content.filter(|_| !options.header && !options.body) {
                    target = Some(size.content_offset + size.content_length);
                }
            }
            T::EXTRACTED => {
                part = Part::Extracted;
                if !options.envelope {
                    break;
                }
                line.heading(at, kind, "HEADER EXTRACTED", name)?;
            }
            T::END => {
                if options.envelope {
                    line.heading(at, kind, "MESSAGE FILE END", name)?;
                }
                if !(options.raw && options.verbose) {
                    break;
                }
            }
            T::POINTER => {
                if options.shows(part) {
                    line.named(at, kind, "pointer_record", payload)?;
                }
                if !options.raw {
                    target = Some(
                        pointer_target(payload)
                            .ok_or_else(|| ShowError::Pointer(format!("malformed pointer record value: {}", payload.as_bstr())))?,
                    );
                    let target = target.take().unwrap_or(0);
                    reader.jump(at, target)?;
                }
                continue;
            }
            T::NORMAL | T::CONTINUED if matches!(part, Part::Header | Part::Body) => {
                if part == Part::Header && !continues && !is_header(payload) {
                    part = Part::Body;
                    if !options.body {
                        if !options.envelope {
                            break;
                        }
                        // On to what the envelope has after the content; this record is part of the body.
                        if let Some(size) = size.filter(|size| size.content_offset > 0 && !options.raw) {
                            reader.seek(size.content_offset + size.content_length);
                        }
                        continue;
                    }
                }
                continues = kind == T::CONTINUED;
                if options.shows(part) {
                    line.text(at, kind, payload)?;
                }
            }
            T::SIZE if part == Part::Envelope => {
                if options.envelope {
                    line.named(at, kind, "message_size", payload)?;
                }
                match SizeRecord::parse(payload) {
                    Ok(found) => size = Some(found),
                    Err(_) => warn(format!("invalid size record: {}", payload.as_bstr())),
                }
                if let Some(size) = size.filter(|size| !options.envelope && size.content_offset > 0) {
                    target = Some(size.content_offset);
                    part = Part::Header;
                }
            }
            _ if !options.shows(part) => (),
            T::TIME | T::WARN => line.named(at, kind, name_of(kind, part), time(payload).as_bytes())?,
            T::ATTRIBUTE => match attribute(payload) {
                Some((b"create_time", value)) => line.named(at, kind, "create_time", time(value).as_bytes())?,
                Some((key, value)) => line.named(at, kind, "named_attribute", &[key, b"=", value].concat())?,
                None => warn(format!("{name}: malformed attribute: missing '=' after attribute name: {}", payload.as_bstr())),
            },
            _ => line.named(at, kind, name_of(kind, part), payload)?,
        }
        if let Some(target) = target {
            reader.seek(target);
        }
    }
    Ok(())
}

fn skip_padding(reader: &mut RecordReader<&dyn ReadAt>) -> Result<(), ShowError> {
    loop {
        let at = reader.offset();
        if reader.at_end()? || reader.next_followed()?.kind != T::PADDING {
            reader.seek(at);
            return Ok(());
        }
    }
}

impl Options {
    fn shows(&self, part: Part) -> bool {
        match part {
            Part::Envelope | Part::Extracted => self.envelope,
            Part::Header => self.header,
            Part::Body => self.body,
        }
    }
}

/// Keeps the output in lines although a text record need not end one.
struct Lines<'a> {
    out: &'a mut dyn Write,
    options: &'a Options,
    open: bool,
}

impl Lines<'_> {
    fn prefix(&mut self, at: u64, kind: T) -> io::Result<()> {
        if self.options.offsets {
            write!(self.out, "{at:9} ")?;
        }
        if self.options.decimal {
            write!(self.out, "{:3} ", kind.0)?;
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.open) { self.out.write_all(b"\n") } else { Ok(()) }
    }

    fn heading(&mut self, at: u64, kind: T, what: &str, name: &str) -> Result<(), ShowError> {
        self.close()
            .and_then(|()| self.prefix(at, kind))
            .and_then(|()| writeln!(self.out, "*** {what} {name} ***"))
            .map_err(ShowError::Output)
    }

    fn named(&mut self, at: u64, kind: T, name: &str, value: &[u8]) -> Result<(), ShowError> {
        let mut write = || {
            self.close()?;
            self.prefix(at, kind)?;
            write!(self.out, "{name}: ")?;
            self.out.write_all(value)?;
            self.out.write_all(b"\n")
        };
        write().map_err(ShowError::Output)
    }

    fn text(&mut self, at: u64, kind: T, text: &[u8]) -> Result<(), ShowError> {
        if self.options.verbose {
            return self.named(at, kind, if kind == T::NORMAL { "regular_text" } else { "unterminated_text" }, text);
        }
        let mut write = || {
            self.prefix(at, kind)?;
            self.out.write_all(text)?;
            self.open = kind == T::CONTINUED;
            if kind == T::NORMAL || self.options.offsets {
                self.open = false;
                self.out.write_all(b"\n")?;
            }
            Ok(())
        };
        write().map_err(ShowError::Output)
    }
}

fn name_of(kind: T, part: Part) -> &'static str {
    match kind {
        T::SIZE => "message_size",
        T::TIME => "message_arrival_time",
        T::CREATE_TIME => "queue_file_create_time",
        T::FULLNAME => "sender_fullname",
        T::INSPECTOR => "content_inspector",
        T::FILTER if part != Part::Body && part != Part::Header => "content_filter",
        T::CONTINUED => "unterminated_text",
        T::SENDER => "sender",
        T::RECIPIENT => "recipient",
        T::DONE => "done_recipient",
        T::CANCELED => "canceled_recipient",
        T::ORIGINAL => "original_recipient",
        T::ATTRIBUTE => "named_attribute",
        T::VERP => "verp_delimiters",
        T::WARN => "warning_message_time",
        T::KILLED => "killed_record",
        T::REDIRECT => "redirect_to",
        T::POINTER => "pointer_record",
        T::PADDING => "padding",
        T::NORMAL => "regular_text",
        T::RETURN_RECEIPT => "return_receipt",
        T::ERRORS_TO => "errors_to",
        T::PRIORITY => "priority",
        T::DSN_RET => "dsn_return_flags",
        T::DSN_ENVID => "dsn_envelope_id",
        T::DSN_ORCPT => "dsn_original_recipient",
        T::DSN_NOTIFY => "dsn_notify_flags",
        _ => "unknown_record_type",
    }
}

/// Seconds since 1970 as `Sat Nov 21 06:03:57 2026`, in local time; text that is no number as the beginning of 1970.
fn time(payload: &[u8]) -> String {
    let first = payload.trim_ascii_start();
    let end = first.iter().position(|c| !c.is_ascii_digit() && *c != b'-').unwrap_or(first.len());
    let seconds = first[..end].to_str().ok().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    match jiff::Timestamp::from_second(seconds) {
        Ok(stamp) => stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => seconds.to_string(),
    }
}

/// A header line or the continuation of one (RFC 5322 §2.2): printable characters without colon or blank, then a colon.
fn is_header(line: &[u8]) -> bool {
    if line.first().is_some_and(|c| matches!(c, b' ' | b'\t')) {
        return true;
    }
    let Some(colon) = line.find_byte(b':') else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
