//! Per-message logs of recipients: `bounce/ID`, `defer/ID`, `trace/ID` (`docs/queue-file-format.md`, section 8).

use crate::disk::{Access, DiskFile, Lock};
use crate::record::number;
use crate::{Notify, Queue, QueueId, QueueName};
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use std::io;

/// Longest line kept while reading; the rest of a longer one is dropped.
const MAX_LINE: usize = 64 << 10;
const READ: usize = 16 << 10;

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogName {
    /// Failed recipients, for the non-delivery report. It is all that is left of them once they are marked done: synced.
    Bounce,
    /// Why recipients are delayed, for the delay warning and `postqueue`. Lost at no harm: not synced.
    Defer,
    /// Delivered recipients for whom a report was asked. Synced as `Bounce`.
    Trace,
}

impl LogName {
    /// The directory.
    pub fn queue(self) -> QueueName {
        match self {
            LogName::Bounce => QueueName::Bounce,
            LogName::Defer => QueueName::Defer,
            LogName::Trace => QueueName::Trace,
        }
    }
}

/// One recipient's paragraph. Empty fields are left out of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRecord {
    /// The recipient; empty for `<>`.
    pub recipient: Address,
    /// Before rewriting; empty when it was the same.
    pub original: Address,
    /// Offset of its record in the queue file.
    pub offset: Option<u64>,
    /// `type;address`.
    pub dsn_orcpt: BString,
    /// DSN NOTIFY.
    pub notify: Notify,
    /// `X.Y.Z`.
    pub status: String,
    /// `failed`, `delayed`, `delivered`, `relayed`, `expanded`, `deliverable`, `undeliverable`.
    pub action: String,
    /// Written only if both of the pair are there.
    pub diag_type: String,
    /// See `diag_type`.
    pub diag_text: BString,
    /// Written only if both of the pair are there.
    pub mta_type: String,
    /// See `mta_type`.
    pub mta_name: BString,
    /// Text for people.
    pub reason: BString,
}

impl LogRecord {
    /// Appends the paragraph; with `compatible` (`backwards_bounce_logfile_compatibility`) also the line for very old readers.
    fn put(&self, out: &mut Vec<u8>, compatible: bool) {
        let mut line = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            // A newline in a value would begin a field of the sender's choice.
            out.extend(value.iter().map(|&c| if c == b'\n' || c == b'\r' { b' ' } else { c }));
            out.push(b'\n');
        };
        let external = self.recipient.external();
        if compatible {
            line("\n<", &[&external[..], b">: ", &self.reason].concat());
        } else {
            line("", b"");
        }
        line("recipient=", if external.is_empty() { b"<>" } else { &external });
        if !self.original.is_empty() && !self.original.as_bytes().eq_ignore_ascii_case(self.recipient.as_bytes()) {
            line("original_recipient=", &self.original.external());
        }
        if let Some(offset) = self.offset.filter(|&offset| offset > 0) {
            line("offset=", offset.to_string().as_bytes());
        }
        if !self.dsn_orcpt.is_empty() {
            line("dsn_orig_rcpt=", &self.dsn_orcpt);
        }
        if self.notify.0 != 0 {
            line("notify_flags=", self.notify.0.to_string().as_bytes());
        }
        line("status=", self.status.as_bytes());
        line("action=", self.action.as_bytes());
        if !self.diag_type.is_empty() && !self.diag_text.is_empty() {
            line("diag_type=", self.diag_type.as_bytes());
            line("diag_text=", &self.diag_text);
        }
        if !self.mta_type.is_empty() && !self.mta_name.is_empty() {
            line("mta_type=", self.mta_type.as_bytes());
            line("mta_mname=", &self.mta_name);
        }
        line("reason=", &self.reason);
        out.push(b'\n');
    }

    /// Takes one line of a paragraph, without blanks at its end: a command's output has one where its line ended, and an address may have had one.
    /// `false` for a name that nobody knows.
    fn take(&mut self, line: &[u8]) -> bool {
        let line = line.trim_ascii_end();
        if line.starts_with(b"<") {
            // Once closed by `>: `; the fields that follow say the same better.
            if let Some(end) = line.find(b">: ") {
                self.recipient = Address::from_external(&line[1..end]);
                self.reason = line[end + 3..].into();
            }
            return true;
        }
        let Some(at) = line.find_byte(b'=') else { return false };
        let (name, value) = (&line[..at], &line[at + 1..]);
        match name {
            b"recipient" => self.recipient = if value == b"<>" { Address::empty() } else { Address::from_external(value) },
            b"original_recipient" => self.original = if value == b"<>" { Address::empty() } else { Address::from_external(value) },
            b"offset" => self.offset = number(value),
            b"dsn_orig_rcpt" => self.dsn_orcpt = value.into(),
            b"notify_flags" => self.notify = Notify(number(value).unwrap_or(0)),
            b"status" => self.status = value.to_str_lossy().into_owned(),
            b"action" => self.action = value.to_str_lossy().into_owned(),
            b"diag_type" => self.diag_type = value.to_str_lossy().into_owned(),
            b"diag_text" => self.diag_text = value.into(),
            b"mta_type" => self.mta_type = value.to_str_lossy().into_owned(),
            b"mta_mname" => self.mta_name = value.into(),
            b"reason" => self.reason = value.into(),
            _ => return false,
        }
        true
    }
}

impl Queue {
    /// Appends paragraphs to a message's log, under an exclusive lock, and (but for [`LogName::Defer`]) waits until they are on stable storage.
    /// All or nothing: after an error the log is as it was.
    pub fn append_log(&self, log: LogName, id: &QueueId, records: &[LogRecord], compatible: bool) -> io::Result<()> {
        let path = self.path(log.queue(), id);
        let mut text = Vec::with_capacity(512 * records.len());
        records.iter().for_each(|record| record.put(&mut text, compatible));
        let file = match self.disk.open(&path, Access::Append) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_hash_directories(&path)?;
                self.disk.open(&path, Access::Append)?
            }
            other => other?,
        };
        file.lock(Lock::Exclusive, true)?;
        let size = file.stat()?.size;
        let written = file.write_at(&text, size).and_then(|()| if log == LogName::Defer { Ok(()) } else { file.sync() });
        if let Err(error) = written {
            let _ = file.truncate(size);
            return Err(error);
        }
        if size == 0 && log != LogName::Defer {
            self.disk.sync_dir(&crate::disk::parent(&path))?;
            self.sync_above(&path)?;
        }
        Ok(())
    }

    /// Reads a message's log; `None` when it has none.
    pub fn read_log(&self, log: LogName, id: &QueueId) -> io::Result<Option<LogReader>> {
        let file = match self.disk.open(&self.path(log.queue(), id), Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(Some(LogReader { file, log, buffer: Vec::new(), at: 0, offset: 0, unknown: Vec::new(), failed: false }))
    }

    /// Removes a message's log; one that is not there is no error.
    pub fn remove_log(&self, log: LogName, id: &QueueId) -> io::Result<()> {
        let path = self.path(log.queue(), id);
        match self.remove_path(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Nothing of ours: where it is empty, it need not be in the way of a log.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => self.disk.remove_dir(&path),
            other => other,
        }
    }
}

/// Reads a log paragraph by paragraph. After an error there is nothing more: a disk that fails goes on failing, and who skips errors must come to
/// an end.
pub struct LogReader {
    file: Box<dyn DiskFile>,
    log: LogName,
    buffer: Vec<u8>,
    at: usize,
    offset: u64,
    unknown: Vec<String>,
    failed: bool,
}

impl LogReader {
    /// Lines met so far that nobody understands, for a warning; they were skipped.
    pub fn take_unknown(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unknown)
    }

    /// The next line without its newline; `None` at the end.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let unread = &self.buffer[self.at..];
            let end = unread.find_byte(b'\n');
            let piece = &unread[..end.unwrap_or(unread.len())];
            line.extend_from_slice(&piece[..piece.len().min(MAX_LINE - line.len())]);
            if let Some(end) = end {
                self.at += end + 1;
                return Ok(Some(line));
            }
            self.buffer.resize(READ, 0);
            self.at = 0;
            let read = self.file.read_at(&mut self.buffer, self.offset);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            let n = read?;
            self.offset += n as u64;
            if n == 0 {
                return Ok((!line.is_empty()).then_some(line));
            }
        }
    }
}

impl Iterator for LogReader {
    type Item = io::Result<LogRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record: Option<LogRecord> = None;
        let mut understood = false;
        if self.failed {
            return None;
        }
        loop {
            let line = match self.line() {
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
                // A record without its empty line was being written when the machine stopped: its recipient is not done.
                Ok(None) => return None,
                Ok(Some(line)) => line,
            };
            if line.is_empty() {
                match record.take() {
                    Some(record) if understood => return Some(Ok(record)),
                    // Nothing of it is a record's.
                    _ => continue,
                }
            }
            // What paragraphs in the old form mean, which have but their first line.
            let (status, action) = if self.log == LogName::Defer { ("4.0.0", "delayed") } else { ("5.0.0", "failed") };
            let record = record.get_or_insert_with(|| LogRecord { status: status.into(), action: action.into(), ..LogRecord::default() });
            if record.take(&line) {
                understood = true;
            } else if self.unknown.len() < 100 {
                self.unknown.push(line.to_str_lossy().into_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraph() {
        let record = LogRecord {
            recipient: Address::new("rcpt@remote.example"),
            original: Address::new("RCPT@remote.example"),
            offset: Some(750),
            dsn_orcpt: "rfc822;rcpt@remote.example".into(),
            notify: Notify(6),
            status: "4.4.1".into(),
            action: "delayed".into(),
            diag_type: "smtp".into(),
            mta_type: "dns".into(),
            mta_name: "mx.remote.example".into(),
            reason: "refused\nrecipient=evil".into(),
            ..LogRecord::default()
        };
        let mut out = Vec::new();
        record.put(&mut out, true);
        assert_eq!(
            out.as_bstr(),
            "\n<rcpt@remote.example>: refused recipient=evil\nrecipient=rcpt@remote.example\noffset=750\n\
             dsn_orig_rcpt=rfc822;rcpt@remote.example\nnotify_flags=6\nstatus=4.4.1\naction=delayed\nmta_type=dns\n\
             mta_mname=mx.remote.example\nreason=refused recipient=evil\n\n"
        );
    }
}
