//! Writing a new queue file.

use crate::disk::{Disk, DiskFile, NewFile, ReadAt, parent};
use crate::log::LogName;
use crate::record::{RecordType, put_record, record_size};
use crate::{Queue, QueueId, QueueName};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// A message up to this size goes to the disk with one write; more is written in pieces of this size.
const BUFFER: usize = 64 << 10;

/// Writes the records of one new queue file, buffered. Dropping it without [`Writer::complete`] removes the file.
pub struct Writer {
    queue: Queue,
    file: Box<dyn NewFile>,
    id: QueueId,
    created: SystemTime,
    /// What is not yet in the file.
    buffer: Vec<u8>,
    /// Bytes already in the file.
    written: u64,
}

/// A file with all its records and its final mode that is not yet known to be on stable storage, and has no name yet.
/// Dropping it removes it.
pub struct Completed {
    queue: Queue,
    file: Box<dyn NewFile>,
    id: QueueId,
    path: PathBuf,
}

impl Queue {
    /// Creates a new file (mode 0600 as far as anybody can see it) with a fresh id. Two system calls, and three more where ids are short.
    pub fn create(&self, queue: QueueName) -> io::Result<Writer> {
        // A file in maildrop belongs to who submits it.
        let (mode, owner) = if queue == QueueName::Maildrop { (0o744, None) } else { (0o700, self.settings.owner) };
        let file = self.disk.create(queue.as_str().as_ref(), mode, owner)?;
        let inode = file.stat()?.inode;
        let created = self.clock.now();
        let id = if self.settings.enable_long_queue_ids { QueueId::long(created, inode) } else { QueueId::short(created, inode) };
        if !id.is_long() && queue != QueueName::Maildrop {
            // Short ids come again: what an earlier message of that name left (a crash between the removal of its logs and its own, a
            // requeue) must not be taken for this one's.
            for log in [LogName::Bounce, LogName::Defer, LogName::Trace] {
                let _ = self.remove_log(log, &id);
            }
        }
        Ok(Writer { queue: self.clone(), file, id, created, buffer: Vec::with_capacity(8 << 10), written: 0 })
    }
}

impl Writer {
    /// The new file's id.
    pub fn id(&self) -> &QueueId {
        &self.id
    }

    /// The time in the id: when the file was made (`create_time`).
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// Appends a record; returns its offset. An error (the disk is full) leaves a file that can only be dropped.
    pub fn record(&mut self, kind: RecordType, payload: &[u8]) -> io::Result<u64> {
        let offset = self.offset();
        if !self.buffer.is_empty() && self.buffer.len() + record_size(payload.len()) > BUFFER {
            self.flush()?;
        }
        put_record(&mut self.buffer, kind, payload);
        Ok(offset)
    }

    /// Bytes so far: the offset of the next record.
    pub fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Overwrites a record in place (same length): the size record, a `p` place. In memory where the place is still there.
    pub fn overwrite(&mut self, offset: u64, kind: RecordType, payload: &[u8]) -> io::Result<()> {
        let mut record = Vec::with_capacity(record_size(payload.len()));
        put_record(&mut record, kind, payload);
        if offset + record.len() as u64 > self.offset() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "overwriting beyond the end of a queue file"));
        }
        match offset.checked_sub(self.written) {
            Some(at) => {
                let at = at as usize;
                self.buffer[at..at + record.len()].copy_from_slice(&record);
                Ok(())
            }
            // Records are flushed whole, so this one is in the file whole.
            None => self.file.write_at(&record, offset),
        }
    }

    /// Overwrites only the type of a record: `R` by `/` or `D`, `A` by `K`.
    pub fn overwrite_type(&mut self, offset: u64, kind: RecordType) -> io::Result<()> {
        match offset.checked_sub(self.written) {
            Some(at) => match self.buffer.get_mut(at as usize) {
                Some(place) => *place = kind.0,
                None => return Err(io::Error::new(io::ErrorKind::InvalidInput, "overwriting beyond the end of a queue file")),
            },
            None => self.file.write_at(&[kind.0], offset)?,
        }
        Ok(())
    }

    /// Flushes, sets the mode that marks a complete file. The commit puts it into queue `to`, under its id.
    pub fn complete(mut self, to: QueueName) -> io::Result<Completed> {
        self.flush()?;
        self.file.seal()?;
        let path = self.queue.path(to, &self.id);
        Ok(Completed { queue: self.queue, file: self.file, id: self.id, path })
    }

    /// Removes the file.
    pub fn cancel(self) {}

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_at(&self.buffer, self.written)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// What was written so far, for filters that read the message back before it is complete.
impl ReadAt for Writer {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match offset.checked_sub(self.written) {
            Some(at) => self.buffer.as_slice().read_at(buffer, at),
            None => {
                let n = buffer.len().min(usize::try_from(self.written - offset).unwrap_or(usize::MAX));
                self.file.read_at(&mut buffer[..n], offset)
            }
        }
    }
}

impl Completed {
    /// The message's id.
    pub fn id(&self) -> &QueueId {
        &self.id
    }

    #[cfg(test)]
    pub(crate) fn links(&self) -> io::Result<u64> {
        Ok(self.file.stat()?.links)
    }

    /// Its directory, whose sync ends the commit.
    pub(crate) fn directory(&self) -> PathBuf {
        parent(&self.path)
    }

    /// The file itself.
    pub(crate) fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    /// The disk that it is on.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.queue.disk
    }

    /// Gives the file its name. Its contents must be on stable storage, or written out where the disk keeps the order: nobody, also after a power
    /// failure, shall find a message without its contents.
    pub(crate) fn name(&mut self) -> io::Result<()> {
        match self.file.name(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.queue.make_hash_directories(&self.path)?;
                self.file.name(&self.path)
            }
            other => other,
        }
    }

    /// Syncs those of the directories above that of the file which may be new, and which each process must see to once.
    pub(crate) fn sync_above(&self) -> io::Result<()> {
        self.queue.sync_above(&self.path)
    }

    /// All of the commit, of this one file.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        if self.queue.disk.keeps_order() {
            self.file.write_out()?
        } else {
            self.file.sync()?
        }
        self.name()?;
        let synced = self.sync_named();
        if synced.is_err() {
            self.withdraw();
        }
        synced
    }

    fn sync_named(&self) -> io::Result<()> {
        match self.queue.disk.sync_dir(&self.directory()) {
            // postdrop may write to maildrop but not open it. A sync of the file takes its new name along on the file systems of Linux.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.file.sync(),
            Err(error) => Err(error),
            Ok(()) => self.sync_above(),
        }
    }

    /// Takes the name back after a sync has failed.
    pub(crate) fn withdraw(&self) {
        let _ = self.queue.disk.remove(&self.path);
    }
}
