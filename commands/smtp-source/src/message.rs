//! What is sent as message.

use crate::options::Options;
use std::fs;

/// The payload: the same for all messages.
pub enum Payload {
    /// Header and body as in a file, ready for DATA.
    File(Vec<u8>),
    /// A body, ready for DATA; headers go in front.
    Body(Vec<u8>),
}

/// Lines of payload are so long, with their line end.
const LINE: usize = 80;

/// Reads the file, or makes up a body.
pub fn payload(options: &Options) -> Result<Payload, String> {
    if let Some(path) = &options.file {
        let text =
            fs::read(path).map_err(|error| format!("open {}: {}", path.to_string_lossy(), posthaste_config::system_reason(&error)))?;
        return Ok(Payload::File(from_file(&text)));
    }
    Ok(Payload::Body(match options.length {
        Some(length) => of_length(length),
        None => (1..=4).flat_map(|n| format!("La de da de da {n}.\r\n").into_bytes()).collect(),
    }))
}

/// Dots doubled, line ends as SMTP has them.
fn from_file(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|&c| c == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// So many bytes, in numbered lines.
fn of_length(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 4);
    for n in 1..=length / LINE {
        let number = n.to_string();
        out.extend_from_slice(number.as_bytes());
        out.resize(out.len() + (LINE - 2).saturating_sub(number.len()), b'X');
        out.extend_from_slice(b"\r\n");
    }
    if !length.is_multiple_of(LINE) {
        out.resize(out.len() + length % LINE, b'X');
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The headers in front of a body, with the empty line.
pub fn headers(options: &Options, date: &str, id: &str) -> String {
    let subject = options.subject.as_ref().map(|subject| format!("Subject: {subject}\r\n")).unwrap_or_default();
    let Options { from, to, hostname, .. } = options;
    format!("From: <{from}>\r\nTo: <{to}>\r\nDate: {date}\r\nMessage-Id: <{id}@{hostname}>\r\n{subject}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Postfix's program sends for `-l 200`: two full lines and the rest.
    #[test]
    fn lines_of_payload() {
        let text = String::from_utf8(of_length(200)).unwrap();
        let lines: Vec<_> = text.split_terminator("\r\n").map(|line| (line.len(), line.chars().next().unwrap())).collect();
        assert_eq!(lines, [(78, '1'), (78, '2'), (40, 'X')]);
        assert_eq!(of_length(160).len(), 160);
    }

    #[test]
    fn files_are_made_fit() {
        assert_eq!(from_file(b"From: x\n\n.dot\r\nlast"), b"From: x\r\n\r\n..dot\r\nlast\r\n");
    }
}
