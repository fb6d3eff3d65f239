//! The promise, on a disk that forgets: power is cut after every operation, and every way is tried in which the disk may come up again.

use crate::commit::Committer;
use crate::disk::Disk;
use crate::log::{LogName, LogRecord};
use crate::scan::Found;
use crate::sim::{SimDisk, Survives};
use crate::tests::{addresses, content, write};
use crate::{Address, Queue, QueueId, QueueName, ReadError, RecordType, Settings, Text, clock};
use std::collections::BTreeSet;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

const DIRECTORIES: [&str; 7] = ["incoming", "active", "deferred", "hold", "bounce", "defer", "trace"];
const BODY: &[u8] = b"Subject: important\n\nall of this, or nothing";

fn outcomes() -> impl Iterator<Item = Survives> {
    [Survives::Nothing, Survives::Everything].into_iter().chain((0..20).map(Survives::Some))
}

fn queue_on(disk: &SimDisk, hashed: &[&str]) -> Queue {
    let settings = Settings {
        queue_directory: "/".into(),
        hash_queue_names: hashed.iter().map(|name| (*name).to_owned()).collect(),
        hash_queue_depth: 2,
        enable_long_queue_ids: false,
        line_length_limit: 2048,
        dont_remove: false,
        owner: None,
    };
    Queue { settings: Arc::new(settings), disk: Arc::new(disk.clone()), clock: Arc::new(clock::RealClock) }
}

/// All messages that a queue manager would find, with where they are.
fn messages(queue: &Queue) -> Vec<(QueueName, QueueId)> {
    let mut all = Vec::new();
    for name in [QueueName::Incoming, QueueName::Active, QueueName::Deferred, QueueName::Hold] {
        for found in queue.scan(name).unwrap() {
            match found.unwrap() {
                Found::File { id, .. } => all.push((name, id)),
                // Left over by the crash, under a name that is no message's.
                Found::Temporary(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    all
}

/// A long message, so that it takes several writes; or a short one.
fn accept(queue: &Queue, long: bool, to: QueueName) -> std::io::Result<QueueId> {
    let body = if long { [BODY, &[b'x'; 100_000]].concat() } else { BODY.to_vec() };
    let file = try_write(queue, &body)?;
    let file = file.complete(to)?;
    let id = file.id().clone();
    Committer::commit_now(file)?;
    Ok(id)
}

fn try_write(queue: &Queue, body: &[u8]) -> std::io::Result<crate::Writer> {
    use RecordType as T;
    let mut file = queue.create(QueueName::Incoming)?;
    file.record(T::SIZE, &crate::record::SizeRecord::default().encode())?;
    file.record(T::TIME, b"1795241037 421083")?;
    file.record(T::SENDER, b"s@x")?;
    file.record(T::RECIPIENT, b"a@x")?;
    file.record(T::MESSAGE, b"")?;
    let content_offset = file.offset();
    for piece in body.chunks(2000) {
        file.record(T::CONTINUED, piece)?;
    }
    let content_length = file.offset() - content_offset;
    file.record(T::EXTRACTED, b"")?;
    file.record(T::END, b"")?;
    let size = crate::record::SizeRecord { content_length, content_offset, recipients: Some(1), ..Default::default() };
    file.overwrite(0, T::SIZE, &size.encode())?;
    Ok(file)
}

// Nothing acknowledged is lost, nothing unacknowledged is half visible.
#[test]
fn acceptance() {
    acceptance_on(|_| ());
}

#[test]
fn acceptance_with_a_journal() {
    acceptance_on(SimDisk::keep_order);
}

fn acceptance_on(prepare: fn(&SimDisk)) {
    for (long, hashed, to) in [
        (false, &[][..], QueueName::Incoming),
        (true, &[], QueueName::Incoming),
        (false, &["incoming"], QueueName::Incoming),
        (true, &["hold"], QueueName::Hold),
    ] {
        let mut cut = 0;
        loop {
            let disk = SimDisk::new(&DIRECTORIES);
            prepare(&disk);
            disk.cut_power_after(cut);
            let accepted = accept(&queue_on(&disk, hashed), long, to);
            for survives in outcomes() {
                let queue = queue_on(&disk.reboot(survives), hashed);
                let found = messages(&queue);
                for (name, id) in &found {
                    let envelope = queue.read_envelope(*name, id, 10).unwrap();
                    assert_eq!(addresses(&envelope), ["a@x"]);
                    let text = content(&queue, *name, id, envelope.content_offset);
                    assert_eq!((text.starts_with(BODY), text.len() > BODY.len()), (true, long), "{survives:?}");
                }
                if let Ok(id) = &accepted {
                    assert_eq!(found, [(to, id.clone())], "power cut after {cut}, {survives:?}");
                }
            }
            cut += 1;
            if accepted.is_ok() {
                break;
            }
        }
        assert!(cut >= 5, "the test must have cut the power between the steps");
    }
}

// Only a journal keeps a name from being there before the contents: that is why the disk is asked.
#[test]
fn without_a_journal_one_sync_is_not_enough() {
    fn length(queue: &Queue, name: QueueName, id: &QueueId) -> Result<usize, ReadError> {
        let mut content = queue.open_message(name, id, queue.read_envelope(name, id, 10)?.content_offset)?;
        let mut length = 0;
        while let Some(text) = content.next()? {
            length += match text {
                Text::Line(line) => line.len(),
                Text::Piece(piece) => piece.len(),
            };
        }
        Ok(length)
    }
    let mut broken = 0;
    for cut in 0..12 {
        let disk = SimDisk::new(&DIRECTORIES);
        disk.pretend_order();
        disk.cut_power_after(cut);
        let accepted = accept(&queue_on(&disk, &[]), true, QueueName::Incoming);
        for survives in outcomes() {
            let queue = queue_on(&disk.reboot(survives), &[]);
            let found = messages(&queue);
            let whole = found.iter().filter(|(name, id)| length(&queue, *name, id).is_ok_and(|length| length > 100_000));
            broken += found.len() - whole.count();
            assert!(accepted.is_err() || found.len() == 1);
        }
    }
    assert!(broken > 0);
}

// A file must have a name when it is synced. One that has none (O_TMPFILE) and is linked afterwards is on the disk with a link count of 0, and
// without a journal the sync of the directory does not mend that: mail that was accepted would be gone.
#[test]
fn a_file_that_is_synced_without_a_name_is_lost() {
    let survivors = |nameless: bool| {
        let disk = SimDisk::new(&DIRECTORIES);
        if nameless {
            disk.nameless_files();
        }
        accept(&queue_on(&disk, &[]), false, QueueName::Incoming).unwrap();
        outcomes().filter(|&survives| !messages(&queue_on(&disk.reboot(survives), &[])).is_empty()).count()
    };
    assert_eq!(survivors(false), outcomes().count());
    assert!(survivors(true) < outcomes().count());
}

// The same through the pool, where files share the syncs of their directories.
#[test]
fn acceptance_in_groups() {
    groups_on(|_| ());
}

#[test]
fn acceptance_in_groups_with_a_journal() {
    groups_on(SimDisk::keep_order);
}

fn groups_on(prepare: fn(&SimDisk)) {
    const NEVER: u64 = 100_000;
    for cut in (0..400).step_by(5).chain([NEVER]) {
        let disk = SimDisk::new(&DIRECTORIES);
        prepare(&disk);
        let queue = queue_on(&disk, &["incoming"]);
        let accepted: Arc<Mutex<BTreeSet<QueueId>>> = Arc::default();
        let committer = Committer::new(4);
        disk.cut_power_after(cut);
        for _ in 0..20 {
            let Ok(file) = try_write(&queue, BODY).and_then(|file| file.complete(QueueName::Incoming)) else { break };
            let (id, accepted) = (file.id().clone(), accepted.clone());
            committer.commit(
                file,
                Box::new(move |result| {
                    if result.is_ok() {
                        accepted.lock().unwrap().insert(id);
                    }
                }),
            );
        }
        drop(committer);
        for survives in outcomes() {
            let queue = queue_on(&disk.reboot(survives), &["incoming"]);
            let found: BTreeSet<_> = messages(&queue).into_iter().map(|(_, id)| id).collect();
            assert!(accepted.lock().unwrap().is_subset(&found), "power cut after {cut}, {survives:?}");
            assert!(found.iter().all(|id| queue.read_envelope(QueueName::Incoming, id, 10).is_ok()));
        }
        if cut == NEVER {
            assert_eq!(accepted.lock().unwrap().len(), 20);
        }
    }
}

// A message being delivered is never lost before its last recipient is done, and is never in pieces.
#[test]
fn delivery() {
    let mut cut = 0;
    loop {
        let disk = SimDisk::new(&DIRECTORIES);
        let queue = queue_on(&disk, &["deferred", "bounce"]);
        let file = write(&queue, &["sent@x", "bounced@x", "later@x"], &[], BODY, 8).complete(QueueName::Incoming).unwrap();
        let id = file.id().clone();
        Committer::commit_now(file).unwrap();
        disk.cut_power_after(cut);
        let mut finished: BTreeSet<&str> = BTreeSet::new();
        let mut removing = false;
        let result = deliver(&queue, &id, &mut finished, &mut removing);
        for survives in outcomes() {
            let queue = queue_on(&disk.reboot(survives), &["deferred", "bounce"]);
            let found = messages(&queue);
            if found.is_empty() {
                assert!(removing, "lost: power cut after {cut}, {survives:?}");
                continue;
            }
            assert_eq!(found.len(), 1, "{found:?}");
            let (name, _) = &found[0];
            let envelope = queue.read_envelope(*name, &id, 10).unwrap();
            assert_eq!(content(&queue, *name, &id, envelope.content_offset), [BODY, b"\n"].concat());
            let left = addresses(&envelope);
            for address in ["sent@x", "bounced@x", "later@x"] {
                let open = left.iter().any(|a| a == address);
                assert!(open || finished.contains(address), "{address} marked too early: power cut after {cut}, {survives:?}");
            }
            // Marked because it bounced: then the reason is there, until the report has been sent.
            if !removing && !left.iter().any(|a| a == "bounced@x") {
                let log: Vec<_> = queue.read_log(LogName::Bounce, &id).unwrap().unwrap().collect();
                assert_eq!(log[0].as_ref().unwrap().recipient.to_string(), "bounced@x");
            }
        }
        cut += 1;
        if result.is_ok() {
            break;
        }
    }
    assert!(cut > 12);
}

fn deliver(queue: &Queue, id: &QueueId, finished: &mut BTreeSet<&str>, removing: &mut bool) -> std::io::Result<()> {
    queue.rename(id, QueueName::Incoming, QueueName::Active)?;
    let envelope = queue.read_envelope(QueueName::Active, id, 10).map_err(std::io::Error::other)?;
    let offsets: Vec<u64> = envelope.recipients.iter().map(|r| r.offset.unwrap()).collect();
    finished.insert("sent@x");
    queue.mark_done(QueueName::Active, id, offsets[0])?;
    let record = LogRecord { recipient: Address::new("bounced@x"), ..LogRecord::default() };
    queue.append_log(LogName::Bounce, id, &[record], true)?;
    finished.insert("bounced@x");
    queue.mark_done(QueueName::Active, id, offsets[1])?;
    queue.defer(id, SystemTime::now() + Duration::from_secs(1000))?;
    queue.rename(id, QueueName::Deferred, QueueName::Active)?;
    finished.insert("later@x");
    queue.mark_done(QueueName::Active, id, offsets[2])?;
    *removing = true;
    queue.remove_log(LogName::Bounce, id)?;
    queue.remove(QueueName::Active, id)
}

// A full disk leaves nothing half accepted.
#[test]
fn full_disk() {
    for long in [false, true] {
        let mut accepted_at = None;
        for capacity in (0..120_000).step_by(if long { 997 } else { 13 }) {
            let disk = SimDisk::new(&DIRECTORIES);
            disk.set_capacity(capacity);
            let queue = queue_on(&disk, &[]);
            match accept(&queue, long, QueueName::Incoming) {
                Ok(_) => {
                    accepted_at = Some(capacity);
                    break;
                }
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
                    assert!(messages(&queue).is_empty());
                    assert!(disk.list("incoming".as_ref()).unwrap().next().is_none());
                }
            }
        }
        assert!(accepted_at.is_some_and(|capacity| capacity > BODY.len() as u64));
    }
}
