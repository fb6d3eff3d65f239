//! On queues in temporary directories. What Postfix 3.7.11 did in the same situations is the standard. S-CMD-25.

use super::*;
use posthaste_queue::clock::RealClock;
use posthaste_queue::disk::RealDisk;
use posthaste_queue::{QueueId, Settings};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

struct Spool {
    folder: tempfile::TempDir,
    queue: Queue,
}

impl Spool {
    fn new(hashed: &[&str], depth: u32, long: bool) -> Spool {
        let folder = tempfile::tempdir().unwrap();
        for name in QUEUES {
            fs::create_dir(folder.path().join(name.as_str())).unwrap();
        }
        let queue = open(folder.path(), hashed, depth, long);
        Spool { folder, queue }
    }

    fn settings(&mut self, hashed: &[&str], depth: u32, long: bool) {
        self.queue = open(self.folder.path(), hashed, depth, long);
    }

    /// A file whose name matches its inode.
    fn message(&self, queue: &str) -> String {
        let temporary = self.file(&format!("{queue}/new"), 0o700);
        let inode = fs::metadata(&temporary).unwrap().ino();
        let id = QueueId::parse(&format!("ABCDE{inode:X}")).unwrap();
        let name = QUEUES.into_iter().find(|name| name.as_str() == queue).unwrap();
        let path = self.folder.path().join(self.queue.path(name, &id));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(temporary, path).unwrap();
        id.as_str().to_owned()
    }

    fn file(&self, path: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// All files with their modes, and the directories below the queues.
    fn tree(&self) -> BTreeMap<String, u32> {
        let mut all = BTreeMap::new();
        let mut open: Vec<PathBuf> = QUEUES.iter().map(|name| self.folder.path().join(name.as_str())).collect();
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let name = entry.path().strip_prefix(self.folder.path()).unwrap().display().to_string();
                if entry.file_type().unwrap().is_dir() {
                    all.insert(name + "/", 0);
                    open.push(entry.path());
                } else {
                    all.insert(name, entry.metadata().unwrap().mode() & 0o777);
                }
            }
        }
        all
    }

    fn names(&self) -> Vec<String> {
        self.tree().into_keys().collect()
    }

    fn act(&self, action: Action, id: &str) -> Vec<String> {
        self.act_in(action, action.queues(), id)
    }

    fn act_in(&self, action: Action, queues: &[QueueName], id: &str) -> Vec<String> {
        let (mut counts, log) = (Counts::default(), Logger::new("postsuper"));
        counts.asked(action);
        match id {
            "ALL" => actions::all(&self.queue, action, queues, &mut counts, &log).unwrap(),
            id => actions::one(&self.queue, action, queues, id, &mut counts, &log).unwrap(),
        }
        counts.report().collect()
    }

    fn repair(&self, what: Structure) -> u64 {
        let (done, result) = what.run(&self.queue, &QUEUES, &Logger::new("postsuper"));
        result.unwrap();
        done.renamed
    }
}

fn open(folder: &Path, hashed: &[&str], depth: u32, long: bool) -> Queue {
    let settings = Settings {
        queue_directory: folder.to_owned(),
        hash_queue_names: hashed.iter().map(|name| (*name).to_owned()).collect(),
        hash_queue_depth: depth,
        enable_long_queue_ids: long,
        line_length_limit: 2048,
        dont_remove: false,
        owner: None,
    };
    Queue { settings: Arc::new(settings), disk: Arc::new(RealDisk::open(folder).unwrap()), clock: Arc::new(RealClock) }
}

const REPAIR: Structure = Structure { purge: false, repair: true, redundant: false };
const PURGE: Structure = Structure { purge: true, repair: false, redundant: false };

#[test]
fn hold_release_expire_delete() {
    let spool = Spool::new(&["deferred", "defer"], 1, false);
    let id = spool.message("deferred");
    spool.file(&format!("defer/A/{id}"), 0o600);
    assert_eq!(spool.act(Action::Hold, &id), ["Placed on hold: 1 message"]);
    assert_eq!(spool.act(Action::Hold, &id), ["Placed on hold: 0 messages"]);
    assert_eq!(spool.act(Action::Expire, &id), ["Force-expired: 1 message"]);
    assert_eq!(spool.tree()[&format!("hold/{id}")], 0o710);
    assert_eq!(spool.act(Action::ExpireAndRelease, &id), ["Force-expired: 0 messages", "Released from hold: 1 message"]);
    assert_eq!(spool.tree()[&format!("deferred/A/{id}")], 0o710);
    assert_eq!(spool.act_in(Action::Delete, &[QueueName::Hold], &id), ["Deleted: 0 messages"]);
    assert_eq!(spool.act(Action::Delete, "a/b"), ["Deleted: 0 messages"]);
    assert_eq!(spool.act(Action::Delete, &id), ["Deleted: 1 message"]);
    assert_eq!(spool.names(), ["defer/A/", "deferred/A/"]);
}

#[test]
fn all_of_a_queue() {
    let spool = Spool::new(&["deferred"], 1, false);
    let ids: Vec<String> = (0..3).map(|_| spool.message("deferred")).collect();
    spool.file("deferred/A/ABCDEF123456", 0o600);
    spool.file("maildrop/ABCDEF1", 0o744);
    assert_eq!(spool.act_in(Action::Hold, &[QueueName::Deferred], "ALL"), ["Placed on hold: 3 messages"]);
    assert_eq!(spool.act(Action::Release, "ALL"), ["Released from hold: 3 messages"]);
    assert_eq!(spool.act(Action::Requeue, "ALL"), ["Requeued: 3 messages"]);
    assert!(ids.iter().all(|id| spool.folder.path().join("maildrop").join(id).exists()));
    // What is in maildrop has not been looked at by cleanup: it can only be deleted.
    for action in [Action::Hold, Action::Requeue, Action::Expire] {
        assert!(spool.act_in(action, &[QueueName::Maildrop], "ALL")[0].ends_with(": 0 messages"));
    }
    assert_eq!(spool.act_in(Action::Delete, &[QueueName::Maildrop], "ALL"), ["Deleted: 4 messages"]);
    // An incomplete file is not a message.
    assert_eq!(spool.act(Action::Delete, "ALL"), ["Deleted: 0 messages"]);
}

#[test]
fn requeued_files_are_due_now() {
    let spool = Spool::new(&[], 1, false);
    let id = spool.message("deferred");
    let later = SystemTime::now() + Duration::from_secs(5000);
    spool.queue.set_time(QueueName::Deferred, &QueueId::parse(&id).unwrap(), later).unwrap();
    spool.act(Action::Requeue, &id);
    let stat = spool.queue.stat(QueueName::Maildrop, &QueueId::parse(&id).unwrap()).unwrap();
    assert!(stat.modified <= SystemTime::now());
}

// S-QUEUE-03
#[test]
fn files_move_when_hashing_changes() {
    let mut spool = Spool::new(&[], 1, false);
    let id = spool.message("deferred");
    spool.file(&format!("defer/{id}"), 0o600);
    spool.settings(&["deferred", "defer"], 2, false);
    assert_eq!(spool.repair(REPAIR), 0);
    assert_eq!(
        spool.names(),
        [
            "defer/A/".to_owned(),
            "defer/A/B/".to_owned(),
            format!("defer/A/B/{id}"),
            "deferred/A/".into(),
            "deferred/A/B/".into(),
            format!("deferred/A/B/{id}")
        ]
    );
    spool.settings(&["deferred"], 1, false);
    spool.repair(REPAIR);
    // Directories go when they are not needed; those that could be, stay.
    assert_eq!(spool.names(), [format!("defer/{id}"), "deferred/A/".into(), format!("deferred/A/{id}")]);
}

#[test]
fn names_follow_inodes() {
    let spool = Spool::new(&["deferred"], 1, false);
    // Two files with each other's name, as after a restore: no order of direct renames would do.
    let (a, b) = (spool.message("deferred"), spool.message("deferred"));
    let path = |id: &str| spool.folder.path().join("deferred/A").join(id);
    fs::write(path(&a), "was b").unwrap();
    fs::rename(path(&a), path("swap")).unwrap();
    fs::rename(path(&b), path(&a)).unwrap();
    fs::rename(path("swap"), path(&b)).unwrap();
    spool.file(&format!("defer/{b}"), 0o600);
    assert_eq!(spool.repair(REPAIR), 2);
    assert_eq!(fs::read(path(&a)).unwrap(), b"was b");
    assert_eq!(
        spool.names(),
        [
            format!("defer/{a}"),
            "deferred/A/".to_owned(),
            format!("deferred/A/{}", a.clone().min(b.clone())),
            format!("deferred/A/{}", a.clone().max(b.clone()))
        ]
    );
    assert_eq!(spool.repair(REPAIR), 0);
}

#[test]
fn an_interrupted_repair_is_finished() {
    let spool = Spool::new(&["deferred"], 1, false);
    let id = spool.message("deferred");
    let path = spool.folder.path().join("deferred/A").join(&id);
    fs::rename(&path, path.with_file_name(format!("{id}#FIX"))).unwrap();
    spool.file(&format!("bounce/{id}#FIX"), 0o600);
    assert_eq!(spool.repair(REPAIR), 0);
    assert_eq!(spool.names(), [format!("bounce/{id}"), "deferred/A/".into(), format!("deferred/A/{id}")]);
}

#[test]
fn long_names() {
    let mut spool = Spool::new(&[], 1, true);
    let path = spool.file("hold/4jWnL55SfBzCX", 0o700);
    let inode = fs::metadata(&path).unwrap().ino();
    // A long name need not match, unless that is asked for.
    assert_eq!(spool.repair(REPAIR), 0);
    assert_eq!(spool.repair(Structure { redundant: true, ..REPAIR }), 1);
    let long = QueueId::parse("4jWnL55SfBzCX").unwrap().with_inode(inode, true).unwrap();
    assert_eq!(spool.names(), [format!("hold/{long}")]);
    spool.settings(&[], 1, false);
    assert_eq!(spool.repair(REPAIR), 1);
    // The microseconds of `5SfB` as Postfix printed them in hexadecimal.
    assert_eq!(spool.names(), [format!("hold/BBEB2{inode:X}")]);
}

#[test]
fn old_incomplete_files_are_purged() {
    let spool = Spool::new(&[], 1, false);
    let week = Duration::from_secs(7 * 86_400);
    let aged = |path: &str, mode: u32, age: Duration| {
        let file = fs::File::open(spool.file(path, mode)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    };
    let minute = Duration::from_secs(60);
    aged("incoming/ABCDE1", 0o600, week + minute);
    aged("incoming/123.456", 0o600, week + minute);
    aged("incoming/ABCDE2", 0o700, week + minute);
    aged("incoming/ABCDE3", 0o600, week - minute);
    aged("maildrop/ABCDE4", 0o600, week + minute);
    aged("bounce/ABCDE5", 0o600, week + minute);
    fs::create_dir_all(spool.folder.path().join("active/1/2")).unwrap();
    spool.repair(PURGE);
    assert_eq!(spool.names(), ["bounce/ABCDE5", "incoming/ABCDE2", "incoming/ABCDE3"]);
}

#[test]
fn strange_names_stay() {
    let spool = Spool::new(&[], 1, false);
    for name in ["hold/zz", "hold/bad-name", "hold/x", "incoming/123.456", "flush/remote_example"] {
        spool.file(name, 0o700);
    }
    let before = spool.names();
    assert_eq!(spool.repair(REPAIR), 0);
    assert_eq!(spool.names(), before);
}
