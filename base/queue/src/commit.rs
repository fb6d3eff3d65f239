//! Group commit: many files that end at the same moment share their syncs.

use crate::Completed;
use std::io;

/// Syncs completed files and their directories on a small pool of threads of its own; each directory sync serves all files
/// that were completed before it began.
pub struct Committer {
    _private: (),
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl Committer {
    /// A pool of `threads` threads (4 to 16 is what disks like).
    pub fn new(threads: usize) -> Committer {
        todo!()
    }

    /// Queues a file; `done` is called on a pool thread once the file and its directory are on stable storage, or with the error, in which case
    /// the file has been removed.
    pub fn commit(&self, file: Completed, done: Box<dyn FnOnce(io::Result<()>) + Send>) {
        todo!()
    }

    /// Syncs in the calling thread (commands, thread-based services).
    pub fn commit_now(file: Completed) -> io::Result<()> {
        todo!()
    }
}
