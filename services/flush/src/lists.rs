//! The lists in `flush/`: one file for each destination, one queue id on a line (`docs/queue-file-format.md`, section 9).

use bstr::{BStr, BString, ByteSlice};
use posthaste_address::idn;
use posthaste_config::system_reason;
use posthaste_ipc::flush::Answer;
use posthaste_log::{Logger, warn};
use posthaste_queue::disk::{Access, Lock};
use posthaste_queue::{Queue, QueueId, QueueName};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Group `r`: the queue manager is to forget that the message's destinations are dead.
const REVIVE: u32 = 0o040;
/// Ids remembered while a list is read, so that one that is listed often is moved once.
const REMEMBERED: usize = 10_000;
const READ: usize = 16 << 10;

/// Which destinations have lists.
pub type IsEligible = Box<dyn Fn(&BStr) -> Result<bool, String> + Send + Sync>;

/// The lists of one queue. All calls block for files.
pub struct Lists {
    /// The queue.
    pub queue: Queue,
    /// `fast_flush_domains`.
    pub eligible: IsEligible,
    /// `fast_flush_refresh_time`.
    pub refresh_after: Duration,
    /// `fast_flush_purge_time`.
    pub purge_after: Duration,
    /// As `postfix/flush`.
    pub log: Logger,
}

impl Lists {
    /// Notes that mail for a destination is deferred. A destination that is not eligible is not noted.
    pub fn add(&self, site: &BStr, id: &QueueId) {
        let Some(path) = self.path(site) else { return };
        let result = self.queue.disk.open(&path, Access::Append).and_then(|file| {
            file.lock(Lock::Exclusive, true)?;
            file.write_at(format!("{id}\n").as_bytes(), file.stat()?.size)
        });
        if let Err(error) = result {
            warn!(self.log, "cannot write {}: {}", path.display(), system_reason(&error));
        }
    }

    /// Sends all mail for a destination to the queue manager. Whether any was sent, it must be told with a trigger.
    pub fn send_site(&self, site: &BStr) -> Answer {
        match (self.eligible)(site) {
            Ok(true) => (),
            Ok(false) => return Answer::Refused,
            Err(error) => {
                warn!(self.log, "{error}");
                return Answer::Failed;
            }
        }
        match self.path_of(site) {
            None => Answer::Refused,
            Some(path) => self.answer(self.send_list(&path), &path),
        }
    }

    /// Sends one deferred message to the queue manager. One that is not deferred is no error: it is being tried, or done.
    pub fn send_file(&self, id: &QueueId) -> Answer {
        match self.revive(id) {
            Ok(()) => Answer::Ok,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::Ok,
            Err(error) => {
                warn!(self.log, "cannot requeue {id}: {}", system_reason(&error));
                Answer::Failed
            }
        }
    }

    /// Goes through all lists: those with content that were not read for long (with `all`: all) are sent, empty ones that were not written
    /// for long are removed.
    pub fn refresh(&self, all: bool) -> Answer {
        let names = match self.queue.disk.list(Path::new(QueueName::Flush.as_str())) {
            Ok(names) => names,
            Err(error) => {
                warn!(self.log, "cannot read flush: {}", system_reason(&error));
                return Answer::Failed;
            }
        };
        let now = self.queue.clock.now();
        let mut answer = Answer::Ok;
        for name in names.flatten() {
            let path = Path::new(QueueName::Flush.as_str()).join(&name);
            let Ok(stat) = self.queue.disk.stat(&path) else { continue };
            if !stat.is_file {
                continue;
            }
            if stat.size == 0 {
                if now.duration_since(stat.modified).is_ok_and(|age| age > self.purge_after)
                    && let Err(error) = self.queue.disk.remove(&path)
                {
                    warn!(self.log, "cannot remove {}: {}", path.display(), system_reason(&error));
                }
                continue;
            }
            // Not the time it was written: mail that is deferred again and again writes it all the time.
            let read = std::fs::metadata(&path).and_then(|data| data.accessed()).unwrap_or(stat.modified);
            if all || now.duration_since(read).is_ok_and(|age| age > self.refresh_after) {
                let sent = self.send_list(&path);
                if self.answer(sent, &path) != Answer::Ok {
                    answer = Answer::Failed;
                }
            }
        }
        answer
    }

    fn answer(&self, sent: io::Result<()>, path: &Path) -> Answer {
        match sent {
            Ok(()) => Answer::Ok,
            Err(error) => {
                warn!(self.log, "cannot read {}: {}", path.display(), system_reason(&error));
                Answer::Failed
            }
        }
    }

    /// Moves all messages of a list, then empties it. What is deferred again is listed again.
    fn send_list(&self, path: &Path) -> io::Result<()> {
        let file = match self.queue.disk.open(path, Access::Update) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        file.lock(Lock::Exclusive, true)?;
        let mut seen = HashSet::new();
        let mut buffer = vec![0; READ];
        let (mut offset, mut rest) = (0, BString::default());
        loop {
            let n = file.read_at(&mut buffer, offset)?;
            offset += n as u64;
            rest.extend_from_slice(&buffer[..n]);
            let mut lines: Vec<&[u8]> = rest.split(|&c| c == b'\n').collect();
            let unfinished = if n > 0 { lines.pop().unwrap_or_default().to_vec() } else { Vec::new() };
            for line in lines.into_iter().filter(|line| !line.is_empty()) {
                let Some(id) = line.to_str().ok().and_then(QueueId::parse) else {
                    warn!(self.log, "bad queue id \"{}\" in {}", line[..line.len().min(100)].as_bstr(), path.display());
                    continue;
                };
                if seen.contains(&id) {
                    continue;
                }
                self.send_file(&id);
                if seen.len() < REMEMBERED {
                    seen.insert(id);
                }
            }
            if n == 0 {
                break;
            }
            // No id is longer than this; a longer line is no id, however it ends.
            rest = if unfinished.len() > 1000 { BString::default() } else { unfinished.into() };
        }
        file.truncate(0)
    }

    /// `deferred` to `incoming`, due now, and with the bit that asks for its dead destinations.
    fn revive(&self, id: &QueueId) -> io::Result<()> {
        let stat = self.queue.stat(QueueName::Deferred, id)?;
        if !stat.is_complete() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.queue.set_time(QueueName::Deferred, id, self.queue.clock.now())?;
        self.queue.set_mode(QueueName::Deferred, id, stat.mode & 0o777 | REVIVE)?;
        self.queue.rename(id, QueueName::Deferred, QueueName::Incoming)
    }

    /// The list of a destination that is eligible.
    fn path(&self, site: &BStr) -> Option<PathBuf> {
        match (self.eligible)(site) {
            Ok(true) => self.path_of(site),
            Ok(false) => None,
            Err(error) => {
                warn!(self.log, "{error}");
                None
            }
        }
    }

    /// The list of a destination: in lower case and ASCII, with `_` for all that is not alphanumeric.
    fn path_of(&self, site: &BStr) -> Option<PathBuf> {
        let site = if site.is_ascii() { site.to_str().ok()?.to_owned() } else { idn::domain_to_ascii(site)? };
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let name: String = site.chars().map(plain).collect();
        (1..=255).contains(&name.len()).then(|| Path::new(QueueName::Flush.as_str()).join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_queue::Settings;
    use posthaste_queue::clock::Clock;
    use posthaste_queue::sim::SimDisk;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};

    struct Now(AtomicU64);
    impl Clock for Now {
        fn now(&self) -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    fn lists() -> (Lists, Arc<Now>) {
        let settings = Settings {
            queue_directory: "/nowhere".into(),
            hash_queue_names: vec!["deferred".into()],
            hash_queue_depth: 1,
            enable_long_queue_ids: false,
            line_length_limit: 2048,
            dont_remove: false,
            owner: None,
        };
        let clock = Arc::new(Now(AtomicU64::new(1000)));
        let disk = SimDisk::new(&["deferred", "incoming", "flush"]);
        let queue = Queue { settings: Arc::new(settings), disk: Arc::new(disk), clock: clock.clone() };
        let lists = Lists {
            queue,
            eligible: Box::new(|site| Ok(site.ends_with(b"example.org"))),
            refresh_after: Duration::from_secs(100),
            purge_after: Duration::from_secs(1000),
            log: Logger::new("postfix/flush"),
        };
        (lists, clock)
    }

    fn deferred(lists: &Lists) -> QueueId {
        let file = lists.queue.create(QueueName::Incoming).unwrap().complete(QueueName::Incoming).unwrap();
        let id = file.id().clone();
        posthaste_queue::commit::Committer::commit_now(file).unwrap();
        lists.queue.set_time(QueueName::Incoming, &id, UNIX_EPOCH + Duration::from_secs(5000)).unwrap();
        lists.queue.rename(&id, QueueName::Incoming, QueueName::Deferred).unwrap();
        id
    }

    /// ETRN_README: mail for a destination is listed, and sent on request with the marks that the queue manager looks for.
    #[test]
    fn a_destination_is_sent() {
        let (lists, _) = lists();
        let id = deferred(&lists);
        lists.add(b"Example.org".as_bstr(), &id);
        lists.add(b"example.org".as_bstr(), &id);
        assert_eq!(lists.queue.disk.list(Path::new("flush")).unwrap().flatten().collect::<Vec<_>>(), ["example_org"]);
        assert_eq!(lists.send_site(b"example.org".as_bstr()), Answer::Ok);
        let stat = lists.queue.stat(QueueName::Incoming, &id).unwrap();
        assert_eq!((stat.mode & 0o777, stat.modified), (0o740, UNIX_EPOCH + Duration::from_secs(1000)));
        assert_eq!(lists.queue.disk.stat(Path::new("flush/example_org")).unwrap().size, 0);
        assert_eq!(lists.send_site(b"example.org".as_bstr()), Answer::Ok, "nothing left is no error");
    }

    #[test]
    fn only_eligible_destinations() {
        let (lists, _) = lists();
        let id = deferred(&lists);
        lists.add(b"example.net".as_bstr(), &id);
        assert_eq!(lists.queue.disk.list(Path::new("flush")).unwrap().count(), 0);
        assert_eq!(lists.send_site(b"example.net".as_bstr()), Answer::Refused);
    }

    #[test]
    fn one_message() {
        let (lists, _) = lists();
        let id = deferred(&lists);
        assert_eq!(lists.send_file(&id), Answer::Ok);
        assert!(lists.queue.stat(QueueName::Incoming, &id).is_ok());
        assert_eq!(lists.send_file(&id), Answer::Ok, "it is on its way already");
    }

    #[test]
    fn a_list_with_rubbish_and_a_cut_line() {
        let (lists, _) = lists();
        let id = deferred(&lists);
        let file = lists.queue.disk.open(Path::new("flush/example_org"), Access::Append).unwrap();
        let text = [b"../../etc/passwd\n", &b"x".repeat(40_000)[..], b"\n\n", id.as_str().as_bytes()].concat();
        file.write_at(&text, 0).unwrap();
        assert_eq!(lists.send_site(b"example.org".as_bstr()), Answer::Ok);
        assert!(lists.queue.stat(QueueName::Incoming, &id).is_ok());
    }

    #[test]
    fn purge_sends_all_and_refresh_removes_old_empty_lists() {
        let (lists, clock) = lists();
        let (a, b) = (deferred(&lists), deferred(&lists));
        lists.add(b"a.example.org".as_bstr(), &a);
        lists.add(b"b.example.org".as_bstr(), &b);
        assert_eq!(lists.refresh(true), Answer::Ok);
        assert!([a, b].iter().all(|id| lists.queue.stat(QueueName::Incoming, id).is_ok()));
        clock.0.store(1_000_000, Ordering::Relaxed);
        assert_eq!(lists.refresh(false), Answer::Ok);
        assert_eq!(lists.queue.disk.list(Path::new("flush")).unwrap().count(), 0);
    }

    #[test]
    fn names_of_lists() {
        let (lists, _) = lists();
        let name = |site: &str| lists.path_of(site.as_bytes().as_bstr()).map(|path| path.display().to_string());
        assert_eq!(name("[192.0.2.1]").as_deref(), Some("flush/_192_0_2_1_"));
        assert_eq!(name("Remote.Example").as_deref(), Some("flush/remote_example"));
        assert_eq!(name("../x").as_deref(), Some("flush/___x"));
        assert_eq!(name(""), None);
        assert!(name("bücher.example").is_some_and(|name| name.starts_with("flush/xn__")));
    }
}
