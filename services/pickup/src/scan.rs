//! Going through maildrop.

use crate::message::{Feeder, Outcome};
use posthaste_cleanup_protocol::Accepted;
use posthaste_config::{Config, ConfigError, system_reason};
use posthaste_ipc::frame;
use posthaste_ipc::qmgr::NewMessage;
use posthaste_log::{Logger, warn};
use posthaste_queue::commit::Committer;
use posthaste_queue::disk::{Access, Stat};
use posthaste_queue::scan::Found;
use posthaste_queue::{Envelope, Queue, QueueId, QueueName};
use std::collections::HashSet;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Syncs at one time.
const THREADS: usize = 4;
/// Messages between cleanup and stable storage.
const MAX_PENDING: usize = 64;
/// A file with several names is a warning only if that lasts: somebody may be making a link on the way to another name.
const LINK_AGE: Duration = Duration::from_secs(60);

/// What happened to a file of maildrop in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// It is gone, or will be once its message is safe.
    Yes,
    /// It stays.
    No,
    /// It stays, and so will the others: the queue cannot be written.
    Stop,
}

/// All that a scan needs.
pub struct Scanner {
    queue: Queue,
    feeder: Feeder,
    committer: Committer,
    manager: Manager,
    owner: u32,
    log: Logger,
}

/// A message on its way to stable storage.
struct Pending {
    path: PathBuf,
    id: QueueId,
    held: bool,
    envelope: Option<Envelope>,
}

type Done = (Pending, io::Result<()>);

impl Scanner {
    /// Opens tables and the queue.
    pub fn open(config: &Config, log: Logger) -> Result<Scanner, ConfigError> {
        let queue = Queue::open(config)?;
        // What the process will be once the harness has given up root.
        let owner = queue.settings.owner.map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
        let manager = Manager {
            path: Path::new("public").join(config.text("queue_service_name")?),
            timeout: config.time("trigger_timeout")?,
            stream: None,
        };
        Ok(Scanner { feeder: Feeder::open(config, &queue, log.clone())?, queue, committer: Committer::new(THREADS), manager, owner, log })
    }

    /// Takes everything there is.
    pub fn scan(&mut self) {
        while self.pass() {}
    }

    /// One pass; whether another one may find more.
    fn pass(&mut self) -> bool {
        let entries = match self.queue.scan(QueueName::Maildrop) {
            Ok(entries) => entries,
            Err(error) => {
                warn!(self.log, "open directory maildrop: {}", system_reason(&error));
                return false;
            }
        };
        let (done, results) = channel();
        let (mut pending, mut progress) = (0, false);
        let mut under_way = HashSet::new();
        for entry in entries {
            let (id, path) = match entry {
                Ok(Found::File { id, path }) => (id, path),
                // Somebody else's business.
                Ok(Found::Temporary(_) | Found::Bogus(_)) => continue,
                Err(error) => {
                    warn!(self.log, "read directory maildrop: {}", system_reason(&error));
                    break;
                }
            };
            // A directory that changes while it is read may show a file twice.
            if !under_way.insert(id.clone()) {
                continue;
            }
            match self.file(&id, &path, &done, &mut pending) {
                Taken::Yes => progress = true,
                Taken::No => (),
                Taken::Stop => {
                    progress = false;
                    break;
                }
            }
            self.settle(&results, &mut pending, MAX_PENDING);
        }
        self.settle(&results, &mut pending, 0);
        progress
    }

    /// Finishes messages that have reached stable storage, until no more than `limit` are on their way.
    fn settle(&mut self, results: &Receiver<Done>, pending: &mut usize, limit: usize) {
        while *pending > 0 {
            let next = if *pending > limit { results.recv().ok() } else { results.try_recv().ok() };
            let Some((Pending { path, id, held, envelope }, result)) = next else { return };
            *pending -= 1;
            match result {
                Ok(()) => {
                    self.remove(&path);
                    if !held {
                        self.manager.announce(&NewMessage { queue: QueueName::Incoming, id, envelope });
                    }
                }
                Err(error) => warn!(self.log, "{}: error writing {id}: {}", path.display(), system_reason(&error)),
            }
        }
    }

    fn file(&mut self, id: &QueueId, path: &Path, done: &Sender<Done>, pending: &mut usize) -> Taken {
        let Ok(stat) = self.queue.disk.stat(path) else { return Taken::No };
        if !stat.is_file {
            warn!(self.log, "{}: uid {}: not a regular file", path.display(), stat.uid);
            return Taken::No;
        }
        if !stat.is_complete() {
            return Taken::No;
        }
        let file = match self.queue.disk.open(path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Taken::No,
            Err(error) => {
                warn!(self.log, "open input file {}: cannot open file: {}", path.display(), system_reason(&error));
                return Taken::No;
            }
        };
        // Of the file that is open, whatever has been put in its place since.
        let stat = match file.stat() {
            Ok(stat) if stat.is_complete() => stat,
            _ => return Taken::No,
        };
        if stat.links > 1 {
            if self.queue.clock.now().duration_since(stat.modified).is_ok_and(|age| age > LINK_AGE) {
                warn!(self.log, "open input file {}: file has {} hard links", path.display(), stat.links);
            }
            return Taken::No;
        }
        let requeued = self.is_requeued(&stat);
        match self.feeder.feed(file, &stat, path, requeued.then_some(id)) {
            Outcome::Accepted(new, accepted) => {
                let Accepted { file, envelope, held, .. } = *accepted;
                match file {
                    Some(file) => {
                        *pending += 1;
                        let (message, done) = (Pending { path: path.to_owned(), id: new, held, envelope }, done.clone());
                        self.committer.commit(file, Box::new(move |result| drop(done.send((message, result)))));
                    }
                    // Thrown away by a rule of the administrator's.
                    None => self.remove(path),
                }
                Taken::Yes
            }
            Outcome::Worthless => {
                self.remove(path);
                Taken::Yes
            }
            Outcome::Later => Taken::No,
            Outcome::NoQueue => Taken::Stop,
        }
    }

    /// A message of the queue that `postsuper -r` has put here, and no user could have.
    fn is_requeued(&self, stat: &Stat) -> bool {
        stat.uid == self.owner && stat.mode & 0o004 == 0
    }

    fn remove(&self, path: &Path) {
        if let Err(error) = self.queue.remove_path(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            // It will be taken again: a duplicate, but no loss.
            warn!(self.log, "remove {}: {}", path.display(), system_reason(&error));
        }
    }
}

/// The connection to the queue manager. What is lost here, its scan of `incoming` finds.
struct Manager {
    path: PathBuf,
    timeout: Duration,
    stream: Option<UnixStream>,
}

impl Manager {
    fn announce(&mut self, message: &NewMessage) {
        let mut bytes = Vec::new();
        if frame::put(&mut bytes, NewMessage::FRAME, 0, message).is_err() {
            // Too many recipients for a frame.
            bytes = b"I".to_vec();
            self.stream = None;
        }
        // A connection of a queue manager that has gone shows that only when it is written to.
        for _ in 0..2 {
            if self.stream.is_none() {
                self.stream = UnixStream::connect(&self.path).ok();
                if let Some(stream) = &self.stream {
                    let _ = stream.set_write_timeout(Some(self.timeout).filter(|time| !time.is_zero()));
                }
            }
            let Some(stream) = &mut self.stream else { return };
            if stream.write_all(&bytes).is_ok() {
                return;
            }
            self.stream = None;
        }
    }
}
