//! Talking to postdrop(1), which alone may write into `maildrop`: it gets records, and says at the end what became of them.
//!
//! Attributes are `name NUL value NUL`, a list ends with another NUL, as in Postfix.

use posthaste_queue::RecordType;
use posthaste_queue::record::put_record;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Size limit exceeded, in the status that postdrop gives.
pub const STATUS_SIZE: u32 = 4;

/// A submission under way.
pub struct PostDrop {
    child: Child,
    input: BufWriter<ChildStdin>,
    record: Vec<u8>,
    broken: bool,
}

/// What postdrop said at the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// 0: stored.
    pub status: u32,
    /// Its text, where there is one.
    pub reason: String,
    /// It went away before it had read everything.
    pub broken: bool,
}

impl PostDrop {
    /// Starts it.
    pub fn start(commands: &Path, config: &Path, verbose: u32) -> io::Result<PostDrop> {
        let mut command = Command::new(commands.join("postdrop"));
        command.arg("-r").args(vec!["-v"; verbose.saturating_sub(1) as usize]);
        let mut child = command.env("MAIL_CONFIG", config).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(PostDrop { child, input: BufWriter::with_capacity(64 * 1024, input), record: Vec::new(), broken: false })
    }

    /// Sends a record. That postdrop has gone is told at the end, with its reason.
    pub fn record(&mut self, kind: RecordType, payload: &[u8]) {
        if self.broken {
            return;
        }
        self.record.clear();
        put_record(&mut self.record, kind, payload);
        self.broken = self.input.write_all(&self.record).is_err();
    }

    /// Ends the records and waits for the verdict.
    pub fn finish(mut self) -> io::Result<Ended> {
        let broken = self.input.flush().is_err() || self.broken;
        // Whatever is still in the buffer has no reader.
        drop(self.input.into_parts());
        let mut output = Vec::new();
        if let Some(stdout) = &mut self.child.stdout {
            stdout.read_to_end(&mut output)?;
        }
        let exit = self.child.wait()?;
        let (status, reason) = verdict(&output).unwrap_or((u32::from(!exit.success()), String::new()));
        Ok(Ended { status, reason, broken })
    }
}

/// The second list of attributes: `status` and `reason`.
fn verdict(output: &[u8]) -> Option<(u32, String)> {
    let mut fields = output.split(|b| *b == 0);
    let mut status = None;
    let mut reason = String::new();
    while let Some(name) = fields.next() {
        if name.is_empty() {
            continue;
        }
        let value = String::from_utf8_lossy(fields.next()?).into_owned();
        match name {
            b"status" => status = value.parse().ok(),
            b"reason" => reason = value,
            _ => {}
        }
    }
    Some((status?, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let hello = b"protocol\0postdrop_protocol\0queue_id\0ABCDEF\0\0";
        assert_eq!(verdict(&[&hello[..], b"status\x000\0reason\0\0\0"].concat()), Some((0, String::new())));
        assert_eq!(verdict(&[&hello[..], b"status\x004\0reason\0too big\0\0"].concat()), Some((4, "too big".into())));
        assert_eq!(verdict(hello), None);
        assert_eq!(verdict(b""), None);
    }
}
