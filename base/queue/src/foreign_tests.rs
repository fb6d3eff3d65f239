//! Files that others made: Postfix 3.7.11, and damage. S-QUEUE-27

use crate::disk::{Access, Disk, RealDisk};
use crate::log::{LogName, LogRecord};
use crate::scan::Found;
use crate::sim::SimDisk;
use crate::tests::{addresses, commit, content, write};
use crate::{Queue, QueueId, QueueName, ReadError, Settings, clock};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A deferred message and its log as Postfix wrote them.
const ID: &str = "5D50824D";
const MESSAGE: &[u8] = include_bytes!("fixtures/5D50824D");
const LOG: &[u8] = include_bytes!("fixtures/5D50824D.defer");

fn queue(disk: Arc<dyn Disk>) -> Queue {
    let settings = Settings {
        queue_directory: "/".into(),
        hash_queue_names: vec!["deferred".into(), "defer".into()],
        hash_queue_depth: 1,
        enable_long_queue_ids: false,
        line_length_limit: 2048,
        dont_remove: false,
        owner: None,
    };
    Queue { settings: Arc::new(settings), disk, clock: Arc::new(clock::RealClock) }
}

fn put(disk: &SimDisk, path: &str, bytes: &[u8], mode: u32) {
    disk.open(path.as_ref(), Access::Append).unwrap().write_at(bytes, 0).unwrap();
    disk.set_mode(path.as_ref(), mode).unwrap();
}

fn spool(message: &[u8], log: &[u8]) -> (Queue, QueueId) {
    let disk = SimDisk::new(&["deferred", "deferred/5", "defer", "defer/5", "maildrop", "active", "incoming", "hold", "bounce"]);
    put(&disk, &format!("deferred/5/{ID}"), message, 0o700);
    put(&disk, &format!("defer/5/{ID}"), log, 0o600);
    (queue(Arc::new(disk)), QueueId::parse(ID).unwrap())
}

#[test]
fn a_message_of_postfix() {
    let (queue, id) = spool(MESSAGE, LOG);
    let envelope = queue.read_envelope(QueueName::Deferred, &id, 10).unwrap();
    assert_eq!(addresses(&envelope), ["a@example.org", "b@example.org", "archive@example.org"]);
    let offsets: Vec<_> = envelope.recipients.iter().map(|r| (r.offset, r.notify.0)).collect();
    assert_eq!(offsets, [(Some(768), 12), (Some(851), 12), (Some(8226), 1)]);
    assert_eq!(envelope.recipients[0].dsn_orcpt, "rfc822;o@example.org");
    assert_eq!(envelope.arrival, UNIX_EPOCH + Duration::from_micros(1_795_257_564_371_562));
    assert_eq!(envelope.warn, Some((UNIX_EPOCH + Duration::from_secs(1_795_271_964), 683)));
    assert_eq!((envelope.recipient_count, envelope.qmgr_hints, envelope.message_size), (3, 24, 7304));
    assert_eq!((&envelope.envelope_id[..], envelope.ret, &envelope.encoding[..]), (&b"e id"[..], 2, &b"8bit"[..]));
    let origin = &envelope.origin;
    assert_eq!((&origin.log_client_name[..], &origin.log_client_port[..]), (&b"client.example.org"[..], &b"34681"[..]));
    assert_eq!((&origin.log_ident[..], &origin.rewrite_context[..]), (ID.as_bytes(), &b"remote"[..]));

    let text = content(&queue, QueueName::Deferred, &id, envelope.content_offset);
    let body = [&[b'x'; 2048][..], b"\n", &[b'y'; 5000], "\nä\n.dot\n".as_bytes()].concat();
    assert!(text.starts_with(b"Received: from client.example.org") && text.ends_with(&body));
}

#[test]
fn a_log_of_postfix_byte_for_byte() {
    let (queue, id) = spool(MESSAGE, LOG);
    let records: Vec<LogRecord> = queue.read_log(LogName::Defer, &id).unwrap().unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len(), 3);
    assert_eq!((records[1].recipient.to_string(), records[1].offset, records[1].notify.0), ("archive@example.org".into(), Some(8226), 1));
    let ours = QueueId::parse("5AAAAAAA").unwrap();
    queue.append_log(LogName::Defer, &ours, &records[..1], true).unwrap();
    queue.append_log(LogName::Defer, &ours, &records[1..], true).unwrap();
    let mut bytes = vec![0; 2 * LOG.len()];
    let n = queue.disk.open(&queue.path(QueueName::Defer, &ours), Access::Read).unwrap().read_at(&mut bytes, 0).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes[..n]), String::from_utf8_lossy(LOG));
}

// Postfix's way, with a temporary name that nobody takes for a message's. S-QUEUE.
#[test]
fn a_new_file_has_a_temporary_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("incoming")).unwrap();
    let disk = RealDisk::open(folder.path()).unwrap();
    let queue = queue(Arc::new(disk));
    let found = |queue: &Queue| queue.scan(QueueName::Incoming).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let (kept, dropped) = (write(&queue, &["a@x"], &[], b"x", 8), write(&queue, &["a@x"], &[], b"x", 8));
    assert!(matches!(found(&queue)[..], [Found::Temporary(_), Found::Temporary(_)]));
    drop(dropped);
    let completed = kept.complete(QueueName::Incoming).unwrap();
    // The link count goes to the disk with the contents: no later sync need carry it.
    assert_eq!(completed.links().unwrap(), 1);
    assert!(matches!(found(&queue)[..], [Found::Temporary(_)]));
    let id = completed.id().clone();
    crate::commit::Committer::commit_now(completed).unwrap();
    assert_eq!(found(&queue), [Found::File { id: id.clone(), path: queue.path(QueueName::Incoming, &id) }]);
    let stat = queue.stat(QueueName::Incoming, &id).unwrap();
    assert_eq!((stat.mode, stat.links, Some(stat.inode)), (0o700, 1, id.inode()));
    queue.read_envelope(QueueName::Incoming, &id, 1).unwrap();
    // A name that is taken is not replaced here either.
    let file = write(&queue, &["a@x"], &[], b"x", 8).complete(QueueName::Incoming).unwrap();
    std::fs::write(folder.path().join(queue.path(QueueName::Incoming, file.id())), "other").unwrap();
    assert!(crate::commit::Committer::commit_now(file).is_err());
    assert_eq!(found(&queue).len(), 2);
    commit(write(&queue, &["a@x"], &[], b"x", 8), QueueName::Incoming);
    assert_eq!(found(&queue).len(), 3);
}

struct Count(usize);

impl crate::listing::Listing for Count {
    fn message(&mut self, _: &crate::listing::Listed) -> std::io::Result<()> {
        Ok(())
    }
    fn recipient(&mut self, _: &crate::listing::ListedRecipient) -> std::io::Result<()> {
        self.0 += 1;
        Ok(())
    }
    fn warning(&mut self, _: String) {}
}

proptest! {
    // Whatever a disk or a hostile user makes of a file, its readers end, in bounded memory, with an answer.
    #[test]
    fn damage(changes in proptest::collection::vec((0..MESSAGE.len(), any::<u8>()), 0..8), cut in 0..MESSAGE.len() + 1, log in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = MESSAGE.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        let (queue, id) = spool(&bytes, &log);
        match queue.read_envelope(QueueName::Deferred, &id, 2) {
            Ok(mut envelope) => {
                for _ in 0..10 {
                    if queue.read_more_recipients(QueueName::Deferred, &id, &mut envelope, 1).is_err() {
                        break;
                    }
                }
                let mut content = queue.open_message(QueueName::Deferred, &id, envelope.content_offset).unwrap();
                while let Ok(Some(_)) = content.next() {}
            }
            Err(ReadError::Corrupt(_)) => (),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        let mut count = Count(0);
        queue.list_messages(true, 10, &mut count).unwrap();
        prop_assert!(count.0 <= 210);
    }
}
