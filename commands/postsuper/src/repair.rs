//! The structure of the queue: names that match inodes, files in their places, no directories and files without use.

use posthaste_config::system_reason;
use posthaste_log::{Logger, verbose, warn};
use posthaste_queue::log::LogName;
use posthaste_queue::{Queue, QueueId, QueueName};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An incomplete file that has not changed for so long is left over from a crash.
const TEMPORARY_AGE: Duration = Duration::from_secs(7 * 86_400);
/// Marks a file on its way to a new name: not a legal name, so nobody takes it. The new name may still be another file's, which must be renamed too.
const MARK: &str = "#FIX";

/// What to check and repair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Structure {
    /// `-p`
    pub purge: bool,
    /// `-s`
    pub repair: bool,
    /// `-S`
    pub redundant: bool,
}

/// What a run has done, also one that ended with an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Messages that got a new name.
    pub renamed: u64,
    /// Whether there was anything to repair.
    pub changed: bool,
}

struct Pass<'a> {
    what: Structure,
    queue: &'a Queue,
    log: &'a Logger,
    done: Done,
    /// Files that wear the mark and have to be looked at again.
    marked: bool,
    /// The pass that takes the mark off.
    last: bool,
}

impl Structure {
    /// Goes through `queues`; returns what was done, also after an error.
    pub fn run(self, queue: &Queue, queues: &[QueueName], log: &Logger) -> (Done, Result<(), String>) {
        let mut pass = Pass { what: self, queue, log, done: Done::default(), marked: false, last: false };
        let result = pass.run(queues);
        (pass.done, result)
    }
}

impl Pass<'_> {
    fn run(&mut self, queues: &[QueueName]) -> Result<(), String> {
        for &name in queues {
            verbose!(self.log, "queue: {}", name.as_str());
            self.directory(name, Path::new(name.as_str()), 0)?;
        }
        if self.marked {
            self.last = true;
            let logs = [QueueName::Defer, QueueName::Bounce, QueueName::Trace];
            for &name in logs.iter().chain(queues.iter().filter(|name| !logs.contains(name))) {
                self.directory(name, Path::new(name.as_str()), 0)?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, name: QueueName, directory: &Path, depth: u32) -> Result<(), String> {
        let failed = |what: &str, path: &Path, error: &io::Error| format!("{what} {}: {}", path.display(), system_reason(error));
        let entries = match self.queue.disk.list(directory) {
            Ok(entries) => entries,
            // An old installation may have no trace or flush directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("scan_dir_push: open directory", directory, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed("read directory", directory, &error))?;
            let path = directory.join(&entry);
            if entry.len() != 1 {
                self.file(name, &path, &entry)?;
                continue;
            }
            if self.queue.disk.stat(&path).is_ok_and(|stat| stat.is_file) {
                warn!(self.log, "bogus file name: {}", path.display());
                continue;
            }
            self.directory(name, &path, depth + 1)?;
            // Deeper than the present settings go: of use only as long as something is in it.
            if depth >= self.queue.hash_depth(name) {
                match self.queue.disk.remove_dir(&path) {
                    Err(error) if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
                        return Err(failed("remove directory", &path, &error));
                    }
                    _ => (),
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, name: QueueName, path: &Path, entry: &str) -> Result<(), String> {
        let messages =
            matches!(name, QueueName::Maildrop | QueueName::Incoming | QueueName::Active | QueueName::Deferred | QueueName::Hold);
        let Ok(stat) = self.queue.disk.stat(path) else { return Ok(()) };
        let old = || self.queue.clock.now().duration_since(stat.modified).is_ok_and(|age| age > TEMPORARY_AGE);
        if self.what.purge && messages && stat.is_file && stat.mode & 0o700 != 0o700 && old() {
            return match self.queue.disk.remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(format!("remove file {}: {}", path.display(), system_reason(&error)))
                }
                _ => Ok(()),
            };
        }
        if let Some(id) = entry.strip_suffix(MARK).and_then(QueueId::parse) {
            return if self.what.repair { self.unmark(name, path, &id) } else { Ok(()) };
        }
        let bogus = || warn!(self.log, "bogus file name: {}", path.display());
        let Some(id) = QueueId::parse(entry) else {
            bogus();
            return Ok(());
        };
        if !self.what.repair {
            return Ok(());
        }
        if messages && stat.is_file {
            let Some(inode) = id.inode() else {
                bogus();
                return Ok(());
            };
            let keep_long = self.queue.settings.enable_long_queue_ids;
            let wrong = if id.is_long() { !keep_long || (self.what.redundant && inode != stat.inode) } else { inode != stat.inode };
            if wrong && let Some(new) = id.with_inode(stat.inode, keep_long) {
                return self.mark(name, path, &id, &new);
            }
        }
        let place = self.queue.path(name, &id);
        if place != path { self.rename(path, &place) } else { Ok(()) }
    }

    /// First step to a new name: the logs, then the message, so that after a crash the second run finds the logs by the message's name.
    fn mark(&mut self, name: QueueName, path: &Path, id: &QueueId, new: &QueueId) -> Result<(), String> {
        self.marked = true;
        for log in [LogName::Bounce, LogName::Defer, LogName::Trace] {
            let from = self.queue.path(log.queue(), id);
            if self.queue.disk.stat(&from).is_ok() {
                self.rename(&from, &with_mark(&self.queue.path(log.queue(), new)))?;
            }
        }
        self.rename(path, &with_mark(&self.queue.path(name, new)))?;
        self.done.renamed += 1;
        Ok(())
    }

    /// Second step.
    fn unmark(&mut self, name: QueueName, path: &Path, id: &QueueId) -> Result<(), String> {
        self.marked = true;
        if !self.last {
            return Ok(());
        }
        let place = self.queue.path(name, id);
        if self.queue.disk.stat(&place).is_ok() {
            // Only a hard link, or a log of a message that is gone, can be there.
            warn!(self.log, "cannot rename file {} as {}: that name is taken", path.display(), place.display());
            return Ok(());
        }
        self.rename(path, &place)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), String> {
        self.done.changed = true;
        match self.queue.rename_path(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("rename file {} as {}: {}", from.display(), to.display(), system_reason(&error)))
            }
            _ => Ok(()),
        }
    }
}

fn with_mark(path: &Path) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(MARK);
    PathBuf::from(text)
}
