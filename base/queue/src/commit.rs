//! Group commit: files that end while others are being synced form the next group, and a group shares its syncs.
//!
//! A thread takes all files that wait, has the disk begin to write every one of them, and syncs them together, for which the journal is written
//! once. Then come the names, and one sync of their directory. On a disk that [keeps the order](crate::disk::Disk::keeps_order) contents and names go
//! together: when the contents have been written out a name given after that cannot be there without them, so one sync is enough for both.

use crate::Completed;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Files in one group. More would make the first ones wait longer than sharing gains.
const GROUP: usize = 32;

/// Told when a file is safe, or why it is not.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Syncs completed files and their directories, in groups, on a small pool of threads of its own.
///
/// Threads are started when there is work for them. Dropping the committer first finishes what is queued.
pub struct Committer {
    shared: Arc<Shared>,
    limit: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    files: VecDeque<Job>,
    /// Directories whose own names are known to be on stable storage.
    known: HashSet<PathBuf>,
    idle: usize,
    closed: bool,
}

struct Job {
    file: Completed,
    done: Done,
}

impl Committer {
    /// A pool of at most `threads` threads (2 to 4: while some wait for the disk, the next group gathers). All files must be of one queue.
    pub fn new(threads: usize) -> Committer {
        Committer { shared: Arc::default(), limit: threads.max(1), threads: Mutex::default() }
    }

    /// Queues a file; `done` is called on a pool thread once the file and its directory are on stable storage, or with the error, in which case
    /// the file has been removed. Does not block.
    pub fn commit(&self, file: Completed, done: Done) {
        let mut state = self.shared.lock();
        state.files.push_back(Job { file, done });
        let idle = state.idle;
        drop(state);
        if idle > 0 {
            self.shared.work.notify_one();
        } else if !self.start_thread() {
            // Not even one thread to be had: better slow than never.
            let job = self.shared.lock().files.pop_front();
            self.shared.process(job.into_iter().collect());
        }
    }

    /// Syncs in the calling thread (commands, thread-based services).
    pub fn commit_now(mut file: Completed) -> io::Result<()> {
        file.commit()
    }

    /// One more thread, up to the limit. Whether there is any to do the work; a busy one looks for more before it rests.
    fn start_thread(&self) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() < self.limit {
            let shared = self.shared.clone();
            if let Ok(thread) = thread::Builder::new().name("commit".into()).spawn(move || shared.run()) {
                threads.push(thread);
            }
        }
        !threads.is_empty()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            if !state.files.is_empty() {
                let waiting = state.files.len().min(GROUP);
                let group = state.files.drain(..waiting).collect();
                drop(state);
                self.process(group);
                state = self.lock();
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    fn process(&self, mut group: Vec<Job>) {
        let Some(disk) = group.first().map(|job| Arc::clone(job.file.disk())) else { return };
        if group.len() > 1 {
            group.iter().for_each(|job| job.file.file().begin_sync());
        }
        let ordered = disk.keeps_order();
        if ordered {
            group = succeeding(group, |file| file.file().write_out());
        } else {
            let files: Vec<_> = group.iter().map(|job| job.file.file()).collect();
            let mut results = disk.sync_together(&files, &[]).into_iter();
            group = succeeding(group, |_| results.next().unwrap_or(Ok(())));
        }
        group = succeeding(group, Completed::name);

        // With hashing there are several.
        let mut directories: Vec<PathBuf> = Vec::new();
        for job in &group {
            let directory = job.file.directory();
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        let files: Vec<_> = group.iter().filter(|_| ordered).map(|job| job.file.file()).collect();
        let paths: Vec<_> = directories.iter().map(PathBuf::as_path).collect();
        let mut results = disk.sync_together(&files, &paths);
        let of_directories = results.split_off(files.len());
        let of_directories: Vec<_> = directories.into_iter().zip(of_directories).collect();
        let mut results = results.into_iter();
        for job in group {
            let directory = job.file.directory();
            let named = of_directories.iter().find(|(other, _)| *other == directory).map_or(Ok(()), |(_, result)| again(result));
            let result = results.next().unwrap_or(Ok(())).and(named).and_then(|()| self.sync_above(&job.file, directory));
            if result.is_err() {
                job.file.withdraw();
            }
            finish(job, result);
        }
    }

    /// Syncs what is above a directory, once.
    fn sync_above(&self, file: &Completed, directory: PathBuf) -> io::Result<()> {
        if !self.lock().known.contains(&directory) {
            file.sync_above()?;
            self.lock().known.insert(directory);
        }
        Ok(())
    }
}

/// Does one step for all; those for which it fails are told so, and are gone.
fn succeeding(group: Vec<Job>, mut step: impl FnMut(&mut Completed) -> io::Result<()>) -> Vec<Job> {
    let mut left = Vec::with_capacity(group.len());
    for mut job in group {
        match step(&mut job.file) {
            Ok(()) => left.push(job),
            Err(error) => finish(job, Err(error)),
        }
    }
    left
}

/// Calls back; a panic there costs that one message's session, not the pool.
fn finish(job: Job, result: io::Result<()>) {
    let Job { file, done } = job;
    drop(file);
    let _ = catch_unwind(AssertUnwindSafe(move || done(result)));
}

/// One result for many.
fn again(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)),
    }
}
