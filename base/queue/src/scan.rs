//! Walking through a queue's directories.

use crate::disk::Names;
use crate::{Queue, QueueId, QueueName};
use std::io;
use std::path::{Path, PathBuf};

/// What a scan meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file with a legal name, at any depth.
    File {
        /// Its name.
        id: QueueId,
        /// Where it is, relative to the queue directory. Not always where the present settings would look for it.
        path: PathBuf,
    },
    /// A file under a temporary name (`MICROSECONDS.PID`): being written, or left over by a crash.
    Temporary(PathBuf),
    /// A name that no message can have; worth a warning (`bogus file name`).
    Bogus(PathBuf),
}

/// Iterates over one queue; directories are read as it goes, so a queue of any length takes little memory.
pub struct Scan {
    queue: Queue,
    /// The directory being read, and those above it.
    open: Vec<(PathBuf, Names)>,
}

impl Queue {
    /// Everything in a queue, in no order. A directory whose name is one character is entered; anything else is a file.
    pub fn scan(&self, queue: QueueName) -> io::Result<Scan> {
        let path = PathBuf::from(queue.as_str());
        let entries = self.disk.list(&path)?;
        Ok(Scan { queue: self.clone(), open: vec![(path, entries)] })
    }
}

impl Iterator for Scan {
    /// An error is about one directory; the scan goes on with the next.
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((directory, entries)) = self.open.last_mut() {
            let name = match entries.next() {
                None => {
                    self.open.pop();
                    continue;
                }
                Some(Err(error)) => {
                    self.open.pop();
                    return Some(Err(error));
                }
                Some(Ok(name)) => name,
            };
            let path = directory.join(&name);
            if name.len() == 1 {
                match self.queue.disk.list(&path) {
                    Ok(entries) => self.open.push((path, entries)),
                    Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Some(Ok(Found::Bogus(path))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => (),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            }
            return Some(Ok(match QueueId::parse(&name) {
                Some(id) => Found::File { id, path },
                None if is_temporary(&name) => Found::Temporary(path),
                None => Found::Bogus(path),
            }));
        }
        None
    }
}

/// `MICROSECONDS.PID`.
fn is_temporary(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    name.split_once('.').is_some_and(|(micros, pid)| digits(micros) && digits(pid))
}

/// The id of a message file at `path`.
pub fn id_of(path: &Path) -> Option<QueueId> {
    QueueId::parse(path.file_name()?.to_str()?)
}
