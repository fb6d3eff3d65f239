//! Group commit: files that end while others are being synced form the next group, and a group shares its syncs.
//!
//! A thread takes all files that wait, has the disk begin to write every one of them, and syncs them together, for which the journal is written
//! once. Then come the names, and one sync of their directory. On a disk that [keeps the order](crate::disk::Disk::keeps_order) contents that have been
//! written out need no sync of their own: a name given after that cannot be there without them. Groups keep a [`Pace`].

use crate::Completed;
use posthaste_system::pace::Pace;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How far apart groups begin while several clients send. Clients wait for it; the threads of delivery agents have more time.
const INTERVAL: Duration = Duration::from_millis(2);

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

struct State {
    files: VecDeque<Job>,
    /// Directories whose own names are known to be on stable storage.
    known: HashSet<PathBuf>,
    idle: usize,
    pace: Pace,
    /// A thread waits for more, and takes all files then.
    gathering: bool,
    closed: bool,
}

impl Default for State {
    fn default() -> State {
        let files = VecDeque::new();
        State { files, known: HashSet::new(), idle: 0, pace: Pace::new(INTERVAL), gathering: false, closed: false }
    }
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
        let (idle, gathering) = (state.idle, state.gathering);
        drop(state);
        if gathering {
            return;
        }
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
            if !state.files.is_empty() && !state.gathering {
                state = self.gather(state);
                let waiting = state.files.len().min(GROUP);
                let group = state.files.drain(..waiting).collect();
                state.pace.begin(Instant::now(), waiting);
                if state.idle > 0 && !state.files.is_empty() {
                    self.work.notify_one();
                }
                drop(state);
                self.process(group);
                state = self.lock();
                state.pace.end();
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    /// Waits for more files when it is better to.
    fn gather<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let pause = state.pace.pause(Instant::now());
        if pause.is_zero() || state.files.len() >= GROUP || state.closed {
            return state;
        }
        state.gathering = true;
        drop(state);
        thread::sleep(pause);
        state = self.lock();
        state.gathering = false;
        state
    }

    fn process(&self, mut group: Vec<Job>) {
        let Some(disk) = group.first().map(|job| Arc::clone(job.file.disk())) else { return };
        if group.len() > 1 {
            group.iter().for_each(|job| job.file.file().begin_sync());
        }
        if disk.keeps_order() {
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
        let paths: Vec<_> = directories.iter().map(PathBuf::as_path).collect();
        let synced = disk.sync_together(&[], &paths);
        let synced: Vec<_> = directories.into_iter().zip(synced).collect();
        for job in group {
            let directory = job.file.directory();
            let named = synced.iter().find(|(other, _)| *other == directory).map_or(Ok(()), |(_, result)| again(result));
            let result = named.and_then(|()| self.sync_above(&job.file, directory));
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
