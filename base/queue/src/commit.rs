//! Group commit: many files that end at the same moment share their syncs.

use crate::Completed;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Told when a file is safe, or why it is not.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Syncs completed files and their directories on a small pool of threads of its own; each directory sync serves all files
/// that were completed before it began.
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
    /// Files whose contents are safe and that have their names, by directory; an entry exists while a thread syncs that directory.
    groups: HashMap<PathBuf, Vec<Job>>,
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
    /// A pool of at most `threads` threads (4 to 16 is what disks like). All files must be of one queue.
    pub fn new(threads: usize) -> Committer {
        Committer { shared: Arc::default(), limit: threads.max(1), threads: Mutex::default() }
    }

    /// Queues a file; `done` is called on a pool thread once the file and its directory are on stable storage, or with the error, in which case
    /// the file has been removed. Does not block.
    pub fn commit(&self, file: Completed, done: Done) {
        let mut state = self.shared.lock();
        state.files.push_back(Job { file, done });
        let (waiting, idle) = (state.files.len(), state.idle);
        drop(state);
        if idle > 0 {
            self.shared.work.notify_one();
        }
        if waiting > idle && !self.start_thread() {
            // Not even one thread to be had: better slow than never.
            let job = self.shared.lock().files.pop_front();
            if let Some(job) = job {
                self.shared.process(job);
            }
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
            if let Some(job) = state.files.pop_front() {
                drop(state);
                self.process(job);
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

    fn process(&self, mut job: Job) {
        if let Err(error) = job.file.sync_and_name() {
            return finish(job, Err(error));
        }
        let directory = job.file.directory();
        // The thread that is already syncing this directory takes the file into its next round.
        let mut state = self.lock();
        if let Some(group) = state.groups.get_mut(&directory) {
            group.push(job);
            return;
        }
        state.groups.insert(directory.clone(), Vec::new());
        let mut known = state.known.contains(&directory);
        drop(state);
        let mut round = vec![job];
        while !round.is_empty() {
            let result = round[0].file.sync_directory(!known);
            known |= result.is_ok();
            for job in round {
                if result.is_err() {
                    job.file.withdraw();
                }
                finish(job, again(&result));
            }
            let mut state = self.lock();
            round = state.groups.get_mut(&directory).map(std::mem::take).unwrap_or_default();
            if round.is_empty() {
                state.groups.remove(&directory);
                if known && !state.known.contains(&directory) {
                    state.known.insert(directory.clone());
                }
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
