//! Group commit: files that end while others are being synced form the next group, and a group shares its syncs.
//!
//! A thread takes all files that wait, has the disk begin to write every one of them, and then syncs them one after the other: the first
//! sync waits, the others find their work done (a journal is written once for all). That is a fifth of the waits, and two thirds of the CPU, of a
//! thread for each file, and as fast with two or three threads as that is with twenty.

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
        file.sync_and_name()?;
        let synced = file.sync_directory(true);
        if synced.is_err() {
            file.withdraw();
        }
        synced
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

    fn process(&self, group: Vec<Job>) {
        if group.len() > 1 {
            group.iter().for_each(|job| job.file.begin_sync());
        }
        // By directory: with hashing there are several.
        let mut named: Vec<(PathBuf, Vec<Job>)> = Vec::new();
        for mut job in group {
            if let Err(error) = job.file.sync_and_name() {
                finish(job, Err(error));
                continue;
            }
            let directory = job.file.directory();
            match named.iter_mut().find(|(other, _)| *other == directory) {
                Some((_, jobs)) => jobs.push(job),
                None => named.push((directory, vec![job])),
            }
        }
        for (directory, jobs) in named {
            let known = self.lock().known.contains(&directory);
            let result = jobs[0].file.sync_directory(!known);
            if !known && result.is_ok() {
                self.lock().known.insert(directory);
            }
            for job in jobs {
                if result.is_err() {
                    job.file.withdraw();
                }
                finish(job, again(&result));
            }
        }
    }
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
