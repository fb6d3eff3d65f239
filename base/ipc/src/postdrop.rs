//! Talking to postdrop(1), which alone may write into `maildrop`: it gets records, and says at the end what became of them.
//!
//! Attributes are `name NUL value NUL`, a list ends with another NUL, as in Postfix.

use posthaste_queue::RecordType;
use posthaste_queue::record::put_record;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// The statuses that postdrop gives, as Postfix numbers them.
#[allow(missing_docs, reason = "the names say it")]
pub mod status {
    pub const STORED: u32 = 0;
    pub const BAD: u32 = 1;
    pub const NOT_WRITTEN: u32 = 2;
    pub const TOO_LARGE: u32 = 4;
    pub const REFUSED: u32 = 512;
}

/// A submission under way. Dropped before [`PostDrop::finish`], it is cancelled: without an end record postdrop stores nothing.
pub struct PostDrop {
    child: Child,
    /// `None` once all has been said.
    input: Option<BufWriter<ChildStdin>>,
    output: Vec<u8>,
    record: Vec<u8>,
    broken: bool,
}

/// What postdrop said at the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// One of [`status`].
    pub status: u32,
    /// Its text, where there is one.
    pub reason: String,
    /// It went away before it had read everything.
    pub broken: bool,
}

impl PostDrop {
    /// Starts the postdrop of `commands` with the configuration directory `config`.
    pub fn start(commands: &Path, config: &Path, verbose: u32) -> io::Result<PostDrop> {
        let mut command = Command::new(commands.join("postdrop"));
        command.arg("-r").args(vec!["-v"; verbose.saturating_sub(1) as usize]);
        let mut child = command.env("MAIL_CONFIG", config).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let input = Some(BufWriter::with_capacity(64 * 1024, input));
        Ok(PostDrop { child, input, output: Vec::new(), record: Vec::new(), broken: false })
    }

    /// The queue id that the message will have in maildrop. Waits for it; fails when postdrop refuses to begin.
    pub fn id(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.output.windows(2).position(|pair| pair == b"\0\0") {
                let id = attributes(&self.output[..=end]).find(|(name, _)| name == b"queue_id");
                let id = id.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
                return id.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no queue id"));
            }
            let stdout = self.child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            let mut buffer = [0; 512];
            match stdout.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => self.output.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// Sends a record. That postdrop has gone is told at the end, with its reason.
    pub fn record(&mut self, kind: RecordType, payload: &[u8]) {
        if self.broken {
            return;
        }
        self.record.clear();
        put_record(&mut self.record, kind, payload);
        self.broken = self.input.as_mut().is_none_or(|input| input.write_all(&self.record).is_err());
    }

    /// Sends a named attribute.
    pub fn attribute(&mut self, name: &str, value: &[u8]) {
        self.record(RecordType::ATTRIBUTE, &[name.as_bytes(), b"=", value].concat());
    }

    /// Ends the records and waits for the verdict.
    pub fn finish(mut self) -> io::Result<Ended> {
        if let Some(mut input) = self.input.take() {
            self.broken |= input.flush().is_err();
            // Whatever is still in the buffer has no reader.
            drop(input.into_parts());
        }
        if let Some(stdout) = &mut self.child.stdout {
            stdout.read_to_end(&mut self.output)?;
        }
        let exit = self.child.wait()?;
        let (status, reason) = verdict(&self.output).unwrap_or((u32::from(!exit.success()), String::new()));
        Ok(Ended { status, reason, broken: self.broken })
    }
}

impl Drop for PostDrop {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            // Not flushed: nothing of it is wanted any more.
            drop(input.into_parts());
            let _ = self.child.wait();
        }
    }
}

/// Pairs of name and value; empty names (the ends of lists) are passed over.
fn attributes(output: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut fields = output.split(|b| *b == 0);
    std::iter::from_fn(move || {
        let name = fields.by_ref().find(|name| !name.is_empty())?;
        Some((name, fields.next()?))
    })
}

/// The second list of attributes: `status` and `reason`.
fn verdict(output: &[u8]) -> Option<(u32, String)> {
    let (mut status, mut reason) = (None, String::new());
    for (name, value) in attributes(output) {
        let value = String::from_utf8_lossy(value);
        match name {
            b"status" => status = value.parse().ok(),
            b"reason" => reason = value.into_owned(),
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

    /// A stand-in that says what postdrop says, and stores its input only when that ends with an end record.
    fn stand_in(directory: &Path) -> PostDrop {
        use std::os::unix::fs::PermissionsExt;
        let script = "#!/bin/sh\nprintf 'queue_id\\0ABC\\0\\0'\ncat > \"$MAIL_CONFIG/got\"\nprintf 'status\\0000\\0reason\\0fine\\0\\0'\n";
        let path = directory.join("postdrop");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        PostDrop::start(directory, directory, 0).unwrap()
    }

    /// S-CMD-27: the id is known before the first record, and a cancelled submission ends before the end record.
    #[test]
    fn id_records_and_verdict() {
        let directory = tempfile::tempdir().unwrap();
        let mut drop = stand_in(directory.path());
        assert_eq!(drop.id().unwrap(), "ABC");
        assert_eq!(drop.id().unwrap(), "ABC");
        drop.attribute("encoding", b"8bit");
        drop.record(RecordType::END, b"");
        assert_eq!(drop.finish().unwrap(), Ended { status: 0, reason: "fine".into(), broken: false });
        assert_eq!(std::fs::read(directory.path().join("got")).unwrap(), b"A\x0dencoding=8bitE\0");

        let mut cancelled = stand_in(directory.path());
        cancelled.record(RecordType::SENDER, b"a@b");
        std::mem::drop(cancelled);
        assert_eq!(std::fs::read(directory.path().join("got")).unwrap(), b"");
    }
}
