//! Free space of the queue's file system.

use posthaste_queue::Queue;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Asked at most once a second: it is a system call, and the answer is an estimate anyway.
#[derive(Default)]
pub struct Space {
    last: Cell<Option<(Instant, u64)>>,
}

impl Space {
    /// Bytes that may still be written. A file system that cannot be asked is taken to have room: the write will tell.
    pub fn free(&self, queue: &Queue) -> u64 {
        let now = Instant::now();
        if let Some((asked, free)) = self.last.get()
            && now.duration_since(asked) < Duration::from_secs(1)
        {
            return free;
        }
        let _ = queue;
        // The queue directory is the working directory, also inside a chroot.
        let free = rustix::fs::statvfs(".").map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        self.last.set(Some((now, free)));
        free
    }
}
