//! What is done to messages: by id, or to all.

use posthaste_config::system_reason;
use posthaste_log::{Logger, info, warn};
use posthaste_queue::disk::Stat;
use posthaste_queue::log::LogName;
use posthaste_queue::scan::Found;
use posthaste_queue::{Queue, QueueId, QueueName};
use std::io;
use std::path::Path;

/// Mode bit of a force-expired message.
const EXPIRED: u32 = 0o010;

/// An operation on one message, by the option that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `-d`
    Delete,
    /// `-e`
    Expire,
    /// `-f`
    ExpireAndRelease,
    /// `-h`
    Hold,
    /// `-H`
    Release,
    /// `-r`
    Requeue,
}

impl Action {
    pub fn of(letter: u8) -> Option<Action> {
        Some(match letter {
            b'd' => Action::Delete,
            b'e' => Action::Expire,
            b'f' => Action::ExpireAndRelease,
            b'h' => Action::Hold,
            b'H' => Action::Release,
            b'r' => Action::Requeue,
            _ => return None,
        })
    }

    /// Where it looks when no queue is named.
    pub fn queues(self) -> &'static [QueueName] {
        match self {
            Action::Hold => &[QueueName::Incoming, QueueName::Active, QueueName::Deferred],
            Action::Release => &[QueueName::Hold],
            _ => &[QueueName::Hold, QueueName::Incoming, QueueName::Active, QueueName::Deferred],
        }
    }

    /// Whether it makes sense there. Mail in maildrop is not yet ours to trust: it can only be deleted.
    fn applies(self, queue: QueueName) -> bool {
        match queue {
            QueueName::Maildrop => self == Action::Delete,
            QueueName::Hold => self != Action::Hold,
            QueueName::Incoming | QueueName::Active | QueueName::Deferred => self != Action::Release,
            _ => false,
        }
    }
}

/// How many messages were changed, for each kind of change that was asked for.
#[derive(Default)]
pub struct Counts {
    requeued: Option<u64>,
    deleted: Option<u64>,
    expired: Option<u64>,
    held: Option<u64>,
    released: Option<u64>,
}

impl Counts {
    /// From now on the report has a line for this.
    pub fn asked(&mut self, action: Action) {
        match action {
            Action::Delete => self.deleted.get_or_insert(0),
            Action::Expire => self.expired.get_or_insert(0),
            Action::Hold => self.held.get_or_insert(0),
            Action::Release => self.released.get_or_insert(0),
            Action::Requeue => self.requeued.get_or_insert(0),
            Action::ExpireAndRelease => {
                self.expired.get_or_insert(0);
                self.released.get_or_insert(0)
            }
        };
    }

    pub fn report(&self) -> impl Iterator<Item = String> {
        [
            ("Requeued", self.requeued),
            ("Deleted", self.deleted),
            ("Force-expired", self.expired),
            ("Placed on hold", self.held),
            ("Released from hold", self.released),
        ]
        .into_iter()
        .filter_map(|(what, count)| count.map(|n| format!("{what}: {n} message{}", if n == 1 { "" } else { "s" })))
    }
}

/// Does it to the message with this id, wherever among `queues` it is; to none is no error.
pub fn one(queue: &Queue, action: Action, queues: &[QueueName], id: &str, counts: &mut Counts, log: &Logger) -> Result<(), String> {
    let Some(id) = QueueId::parse(id) else {
        warn!(log, "invalid mail queue id: {id}");
        return Ok(());
    };
    // A second round, since the queue manager may move the message to a queue that was looked at before.
    for _ in 0..2 {
        for &name in queues {
            let path = queue.path(name, &id);
            let stat = match queue.disk.stat(&path) {
                Ok(stat) if stat.is_complete() => stat,
                _ => continue,
            };
            if action.applies(name) && apply(queue, action, name, &id, &path, stat, counts, |text| info!(log, "{id}: {text}"))? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Does it to all messages in `queues`. Without a line in the log for each.
pub fn all(queue: &Queue, action: Action, queues: &[QueueName], counts: &mut Counts, log: &Logger) -> Result<(), String> {
    for &name in queues.iter().filter(|&&name| action.applies(name)) {
        let scan = queue.scan(name).map_err(|error| format!("open directory {}: {}", name.as_str(), system_reason(&error)))?;
        for found in scan {
            match found.map_err(|error| format!("read directory {}: {}", name.as_str(), system_reason(&error)))? {
                Found::File { id, path } => match queue.disk.stat(&path) {
                    Ok(stat) if stat.is_complete() => {
                        apply(queue, action, name, &id, &path, stat, counts, |_| ())?;
                    }
                    _ => (),
                },
                Found::Temporary(path) | Found::Bogus(path) => warn!(log, "bogus file name: {}", path.display()),
            }
        }
    }
    Ok(())
}

/// Whether the message was still there. `done` is told each change.
#[allow(clippy::too_many_arguments, reason = "one message, one action, and where to tell of it")]
fn apply(
    queue: &Queue,
    action: Action,
    name: QueueName,
    id: &QueueId,
    path: &Path,
    stat: Stat,
    counts: &mut Counts,
    done: impl Fn(&str),
) -> Result<bool, String> {
    let moved = |to: QueueName| {
        let to = queue.path(to, id);
        there(queue.rename_path(path, &to), || format!("rename file {} as {}", path.display(), to.display()))
    };
    match action {
        Action::Delete => {
            // Logs first: one without a message would be taken for that of a later message with the same id.
            for log in [LogName::Bounce, LogName::Defer, LogName::Trace] {
                let path = queue.path(log.queue(), id);
                queue.remove_log(log, id).map_err(|error| format!("remove file {}: {}", path.display(), system_reason(&error)))?;
            }
            if !there(queue.disk.remove(path), || format!("remove file {}", path.display()))? {
                return Ok(false);
            }
            *counts.deleted.get_or_insert(0) += 1;
            done("removed");
        }
        Action::Expire | Action::ExpireAndRelease => {
            let release = action == Action::ExpireAndRelease && name == QueueName::Hold;
            if stat.mode & EXPIRED == 0 {
                if !there(queue.disk.set_mode(path, stat.mode | EXPIRED), || format!("expire file {}", path.display()))? {
                    return Ok(false);
                }
                *counts.expired.get_or_insert(0) += 1;
                done("expired");
            }
            if release && moved(QueueName::Deferred)? {
                *counts.released.get_or_insert(0) += 1;
                done("released from hold");
            }
        }
        Action::Hold => {
            if !moved(QueueName::Hold)? {
                return Ok(false);
            }
            *counts.held.get_or_insert(0) += 1;
            done("placed on hold");
        }
        Action::Release => {
            if !moved(QueueName::Deferred)? {
                return Ok(false);
            }
            *counts.released.get_or_insert(0) += 1;
            done("released from hold");
        }
        Action::Requeue => {
            // pickup takes no file whose time has not come.
            let now = queue.clock.now();
            if !there(queue.disk.set_times(path, now), || format!("set time of {}", path.display()))? || !moved(QueueName::Maildrop)? {
                return Ok(false);
            }
            *counts.requeued.get_or_insert(0) += 1;
            done("requeued");
        }
    }
    Ok(true)
}

/// `false` when the file has gone meanwhile.
fn there(result: io::Result<()>, what: impl Fn() -> String) -> Result<bool, String> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("{}: {}", what(), system_reason(&error))),
    }
}
