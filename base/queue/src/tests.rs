//! Whole files on a real disk: written, committed, read back, marked, moved.

use super::*;
use crate::commit::Committer;
use crate::disk::RealDisk;
use crate::log::{LogName, LogRecord};
use crate::record::{SizeRecord, pointer};
use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

const NAMES: [&str; 7] = ["active", "bounce", "defer", "deferred", "hold", "incoming", "maildrop"];

fn real(hashed: &[&str]) -> (tempfile::TempDir, Queue) {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let settings = Settings {
        queue_directory: folder.path().to_owned(),
        hash_queue_names: hashed.iter().map(|name| (*name).to_owned()).collect(),
        hash_queue_depth: 1,
        enable_long_queue_ids: false,
        line_length_limit: 2048,
        dont_remove: false,
        owner: None,
    };
    let disk = Arc::new(RealDisk::open(folder.path()).unwrap());
    (folder, Queue { settings: Arc::new(settings), disk, clock: Arc::new(clock::RealClock) })
}

/// Writes a message as cleanup does: recipients in the envelope, `extracted` ones after the content.
pub(crate) fn write(queue: &Queue, recipients: &[&str], extracted: &[&str], body: &[u8], hints: u32) -> Writer {
    use RecordType as T;
    let mut file = queue.create(QueueName::Incoming).unwrap();
    let put = |file: &mut Writer, kind, payload: &[u8]| file.record(kind, payload).unwrap();
    put(&mut file, T::SIZE, &SizeRecord::default().encode());
    put(&mut file, T::TIME, b"1795241037 421083");
    put(&mut file, T::ATTRIBUTE, b"create_time=1795241038");
    put(&mut file, T::ATTRIBUTE, b"log_client_name=client.example");
    put(&mut file, T::ATTRIBUTE, b"client_name=other.example");
    put(&mut file, T::ATTRIBUTE, b"never_heard_of=it");
    put(&mut file, T::SENDER, b"sender@example.org");
    put(&mut file, T::ATTRIBUTE, b"trace_flags=1024");
    put(&mut file, T::WARN, b"     1795300000");
    let recipient = |file: &mut Writer, address: &str| {
        put(file, T::ATTRIBUTE, b"notify_flags=4");
        put(file, T::ATTRIBUTE, format!("dsn_orig_rcpt=rfc822;{address}").as_bytes());
        put(file, T::ORIGINAL, format!("o-{address}").as_bytes());
        put(file, T::RECIPIENT, address.as_bytes());
    };
    recipients.iter().for_each(|address| recipient(&mut file, address));
    put(&mut file, T::MESSAGE, b"");
    let content_offset = file.offset();
    for line in body.split(|&c| c == b'\n') {
        let mut line = line;
        while line.len() > 2048 {
            put(&mut file, T::CONTINUED, &line[..2048]);
            line = &line[2048..];
        }
        put(&mut file, T::NORMAL, line);
    }
    let content_length = file.offset() - content_offset;
    put(&mut file, T::EXTRACTED, b"");
    put(&mut file, T::ATTRIBUTE, b"encoding=8bit");
    extracted.iter().for_each(|address| recipient(&mut file, address));
    put(&mut file, T::END, b"");
    let size = SizeRecord {
        content_length,
        content_offset,
        recipients: Some((recipients.len() + extracted.len()) as u32),
        hints,
        message_size: content_length,
        sender_options: 0,
    };
    file.overwrite(0, T::SIZE, &size.encode()).unwrap();
    file
}

pub(crate) fn commit(file: Writer, to: QueueName) -> QueueId {
    let file = file.complete(to).unwrap();
    let id = file.id().clone();
    Committer::commit_now(file).unwrap();
    id
}

pub(crate) fn addresses(envelope: &Envelope) -> Vec<String> {
    envelope.recipients.iter().map(|r| r.address.to_string()).collect()
}

pub(crate) fn content(queue: &Queue, name: QueueName, id: &QueueId, offset: u64) -> Vec<u8> {
    let mut content = queue.open_message(name, id, offset).unwrap();
    let mut out = Vec::new();
    while let Some(text) = content.next().unwrap() {
        match text {
            Text::Line(line) => out.extend([line.as_ref(), &b"\n"[..]].concat()),
            Text::Piece(piece) => out.extend_from_slice(piece),
        }
    }
    assert_eq!(content.next().unwrap(), None);
    out
}

#[test]
fn a_message_is_invisible_until_committed_and_then_complete() {
    let (folder, queue) = real(&[]);
    let file = write(&queue, &["a@x", "b@x"], &[], b"Subject: x\n\nbody", 8);
    let listed = || {
        let names = std::fs::read_dir(folder.path().join("incoming")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| QueueId::parse(name.to_str().unwrap()).is_some()).count()
    };
    assert_eq!(listed(), 0);
    let file = file.complete(QueueName::Incoming).unwrap();
    assert_eq!(listed(), 0);
    let id = file.id().clone();
    Committer::commit_now(file).unwrap();
    let stat = queue.stat(QueueName::Incoming, &id).unwrap();
    assert_eq!((stat.mode, stat.links, Some(stat.inode)), (0o700, 1, id.inode()));

    let envelope = queue.read_envelope(QueueName::Incoming, &id, 100).unwrap();
    assert_eq!(addresses(&envelope), ["a@x", "b@x"]);
    let first = &envelope.recipients[0];
    assert_eq!((first.original.to_string(), first.dsn_orcpt.to_string(), first.notify.0), ("o-a@x".into(), "rfc822;a@x".into(), 4));
    assert_eq!(envelope.arrival, UNIX_EPOCH + Duration::new(1_795_241_037, 421_083_000));
    assert_eq!(envelope.created, UNIX_EPOCH + Duration::from_secs(1_795_241_038));
    assert_eq!(
        (envelope.sender.to_string(), envelope.encoding.to_string(), envelope.more_at),
        ("sender@example.org".into(), "8bit".into(), None)
    );
    assert_eq!(envelope.origin.log_client_name, "client.example");
    assert_eq!((envelope.recipient_count, envelope.qmgr_hints, envelope.trace_flags), (2, 8, 1024));
    assert_eq!(content(&queue, QueueName::Incoming, &id, envelope.content_offset), b"Subject: x\n\nbody\n");
}

#[test]
fn marks_are_seen_by_the_next_reader() {
    let (_folder, queue) = real(&[]);
    let id = commit(write(&queue, &["a@x", "b@x", "c@x"], &[], b"x", 8), QueueName::Incoming);
    let envelope = queue.read_envelope(QueueName::Incoming, &id, 100).unwrap();
    queue.mark_done(QueueName::Incoming, &id, envelope.recipients[0].offset.unwrap()).unwrap();
    let content = queue.open_message(QueueName::Incoming, &id, envelope.content_offset).unwrap();
    content.mark_done(envelope.recipients[1].offset.unwrap()).unwrap();
    // The agent still holds it: "skipped, still being delivered".
    assert!(matches!(queue.read_envelope(QueueName::Incoming, &id, 100), Err(ReadError::Locked)));
    drop(content);
    queue.mark_warned(QueueName::Incoming, &id, envelope.warn.unwrap().1).unwrap();
    queue.kill_record(QueueName::Incoming, &id, envelope.trace_flags_at.unwrap()).unwrap();
    let envelope = queue.read_envelope(QueueName::Incoming, &id, 100).unwrap();
    assert!(envelope.warned);
    assert_eq!((addresses(&envelope), envelope.warn, envelope.trace_flags), (vec!["c@x".to_owned()], None, 0));
}

#[test]
fn recipients_come_in_portions_from_both_segments() {
    let (_folder, queue) = real(&[]);
    for hints in [8, 9] {
        let id = commit(write(&queue, &["a", "b", "c", "d"], &["e", "f", "g"], b"x", hints), QueueName::Incoming);
        for limit in 1..9 {
            let mut envelope = queue.read_envelope(QueueName::Incoming, &id, limit).unwrap();
            // What stands behind the content is known at once, however few recipients are asked for.
            assert_eq!(envelope.encoding, "8bit");
            let mut all = Vec::new();
            loop {
                assert!(envelope.recipients.len() <= limit);
                all.extend(envelope.recipients.drain(..).map(|r| (r.address.to_string(), r.original.to_string(), r.notify.0)));
                if envelope.more_at.is_none() {
                    break;
                }
                queue.read_more_recipients(QueueName::Incoming, &id, &mut envelope, limit).unwrap();
            }
            let want: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].iter().map(|a| ((*a).to_owned(), format!("o-{a}"), 4)).collect();
            assert_eq!(all, want, "limit {limit}");
        }
    }
}

// A recipient added by a filter: its records stand behind the end record, pointers lead there and back.
#[test]
fn pointers_lead_to_added_recipients_and_text() {
    use RecordType as T;
    let (_folder, queue) = real(&[]);
    let mut file = queue.create(QueueName::Incoming).unwrap();
    file.record(T::SIZE, &SizeRecord::default().encode()).unwrap();
    file.record(T::TIME, b"1795241037 421083").unwrap();
    file.record(T::SENDER, b"s@x").unwrap();
    file.record(T::POINTER, b"          0").unwrap();
    file.record(T::RECIPIENT, b"a@x").unwrap();
    let place = file.record(T::POINTER, &pointer(0)).unwrap();
    let back = file.record(T::MESSAGE, b"").unwrap();
    let content_offset = file.offset();
    file.record(T::NORMAL, b"Subject: x").unwrap();
    let body = file.record(T::POINTER, &pointer(0)).unwrap();
    let text_back = file.record(T::NORMAL, b"").unwrap();
    file.record(T::PADDING, b"    0").unwrap();
    let extracted = file.record(T::EXTRACTED, b"").unwrap();
    file.record(T::END, b"").unwrap();
    let added = file.record(T::ORIGINAL, b"b@x").unwrap();
    file.record(T::RECIPIENT, b"b@x").unwrap();
    file.record(T::POINTER, &pointer(back)).unwrap();
    let header = file.record(T::NORMAL, b"X-Added: yes").unwrap();
    file.record(T::POINTER, &pointer(text_back)).unwrap();
    file.overwrite(place, T::POINTER, &pointer(added)).unwrap();
    file.overwrite(body, T::POINTER, &pointer(header)).unwrap();
    let size = SizeRecord { content_length: extracted - content_offset, content_offset, recipients: Some(2), ..SizeRecord::default() };
    file.overwrite(0, T::SIZE, &size.encode()).unwrap();
    let id = commit(file, QueueName::Hold);
    for limit in [1, 2] {
        let mut envelope = queue.read_envelope(QueueName::Hold, &id, limit).unwrap();
        queue.read_more_recipients(QueueName::Hold, &id, &mut envelope, 10).unwrap();
        assert_eq!(addresses(&envelope), ["a@x", "b@x"]);
        assert_eq!(content(&queue, QueueName::Hold, &id, envelope.content_offset), b"Subject: x\nX-Added: yes\n\n");
    }
}

#[test]
fn large_messages_stream() {
    let (_folder, queue) = real(&[]);
    let body: Vec<u8> = (0..3_000_000u32).map(|i| if i % 5000 == 4999 { b'\n' } else { b'a' + (i % 23) as u8 }).collect();
    let file = write(&queue, &["a@x"], &["b@x"], &body, 8);
    let mut tail = vec![0; 10];
    let n = crate::disk::ReadAt::read_at(&file, &mut tail, file.offset() - 2).unwrap();
    assert_eq!(tail[..n], *b"E\0");
    let id = commit(file, QueueName::Incoming);
    let envelope = queue.read_envelope(QueueName::Incoming, &id, 9).unwrap();
    assert_eq!(addresses(&envelope), ["a@x", "b@x"]);
    assert_eq!(content(&queue, QueueName::Incoming, &id, envelope.content_offset), [&body[..], b"\n"].concat());
}

// S-QUEUE-03
#[test]
fn hash_directories_are_made_when_needed() {
    let (folder, queue) = real(&["incoming", "deferred", "bounce"]);
    let id = commit(write(&queue, &["a@x"], &[], b"x", 8), QueueName::Incoming);
    let first = &id.as_str()[..1];
    assert!(folder.path().join(format!("incoming/{first}/{id}")).is_file());
    queue.rename(&id, QueueName::Incoming, QueueName::Active).unwrap();
    assert!(folder.path().join(format!("active/{id}")).is_file());
    let until = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    queue.defer(&id, until).unwrap();
    assert_eq!(queue.stat(QueueName::Deferred, &id).unwrap().modified, until);
    assert!(folder.path().join(format!("deferred/{first}/{id}")).is_file());
    // A directory that was removed behind our back is made again, although it was held open.
    queue.rename(&id, QueueName::Deferred, QueueName::Active).unwrap();
    std::fs::remove_dir(folder.path().join(format!("incoming/{first}"))).unwrap();
    let id = commit(write(&queue, &["a@x"], &[], b"x", 8), QueueName::Incoming);
    assert!(queue.stat(QueueName::Incoming, &id).is_ok());
    let error = queue.rename(&QueueId::parse("ABCDEF123").unwrap(), QueueName::Active, QueueName::Deferred).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_name_that_is_taken_is_not_replaced() {
    let (folder, queue) = real(&[]);
    let file = write(&queue, &["a@x"], &[], b"x", 8).complete(QueueName::Incoming).unwrap();
    let path = folder.path().join(format!("incoming/{}", file.id()));
    std::fs::write(&path, "other").unwrap();
    assert_eq!(Committer::commit_now(file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"other");
}

// Short ids come again. Inode numbers do too: here the next file gets that of the last one, on most file systems.
#[test]
fn logs_of_an_earlier_message_are_not_inherited() {
    let (_folder, queue) = real(&["defer"]);
    // The clock stands still, so that the id depends on the inode number alone.
    let queue = Queue { clock: Arc::new(Stopped), ..queue };
    let mut ids = Vec::new();
    for _ in 0..50 {
        let id = commit(write(&queue, &["a@x"], &[], b"x", 8), QueueName::Incoming);
        for log in [LogName::Bounce, LogName::Defer] {
            assert!(queue.read_log(log, &id).unwrap().is_none(), "{id} was used before: {}", ids.contains(&id));
            queue.append_log(log, &id, &[LogRecord::default()], true).unwrap();
        }
        queue.remove(QueueName::Incoming, &id).unwrap();
        ids.push(id);
    }
}

struct Stopped;

impl clock::Clock for Stopped {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_241_037)
    }
}

#[test]
fn many_commits_at_once() {
    let (_folder, queue) = real(&["incoming"]);
    let committer = Committer::new(8);
    let (send, receive) = mpsc::channel();
    let mut ids = Vec::new();
    for _ in 0..200 {
        let file = write(&queue, &["a@x"], &[], b"x", 8).complete(QueueName::Incoming).unwrap();
        let (id, send) = (file.id().clone(), send.clone());
        ids.push(id.clone());
        // A callback that panics harms no other.
        let bad = ids.len() == 7;
        committer.commit(
            file,
            Box::new(move |result| {
                send.send((id, result.is_ok())).unwrap();
                assert!(!bad, "a session's fault");
            }),
        );
    }
    drop(send);
    drop(committer);
    let mut done: Vec<_> = receive.into_iter().map(|(id, ok)| ok.then_some(id).unwrap()).collect();
    done.sort();
    ids.sort();
    assert_eq!(done, ids);
    assert!(ids.iter().all(|id| queue.read_envelope(QueueName::Incoming, id, 9).is_ok()));
}

#[test]
fn scan_enters_hash_directories_and_tells_bogus_names() {
    let (folder, queue) = real(&["deferred"]);
    let deep = folder.path().join("deferred/A/B");
    std::fs::create_dir_all(&deep).unwrap();
    for name in ["A/B/AB123456", "A/AB1234567", "ABCDEF12", "123456.789", "bad-name", "x"] {
        std::fs::write(folder.path().join("deferred").join(name), "").unwrap();
    }
    let mut found: Vec<_> = queue.scan(QueueName::Deferred).unwrap().map(|found| format!("{:?}", found.unwrap())).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "Bogus(\"deferred/bad-name\")",
            "Bogus(\"deferred/x\")",
            "File { id: QueueId(\"AB123456\"), path: \"deferred/A/B/AB123456\" }",
            "File { id: QueueId(\"AB1234567\"), path: \"deferred/A/AB1234567\" }",
            "File { id: QueueId(\"ABCDEF12\"), path: \"deferred/ABCDEF12\" }",
            "Temporary(\"deferred/123456.789\")",
        ]
    );
}

// S-QUEUE-14: what is no queue file is told apart from what is not ours to touch.
#[test]
fn bad_files() {
    let (folder, queue) = real(&[]);
    let id = QueueId::parse("ABCDEF12").unwrap();
    let read = |bytes: &[u8], mode: u32| {
        let path = Path::new("incoming/ABCDEF12");
        std::fs::write(folder.path().join(path), bytes).unwrap();
        queue.disk.set_mode(path, mode).unwrap();
        queue.read_envelope(QueueName::Incoming, &id, 10).unwrap_err()
    };
    assert!(matches!(read(b"", 0o600), ReadError::Incomplete));
    assert!(matches!(read(b"garbage", 0o700), ReadError::Corrupt(_)));
    let mut file = Vec::new();
    let size = SizeRecord { content_length: 5, content_offset: 200, recipients: Some(1), ..SizeRecord::default() };
    record::put_record(&mut file, RecordType::SIZE, &size.encode());
    for (more, text) in [
        (&b"N\x00"[..], "unexpected record type N at offset 97"),
        (b"\x00\x00", "unexpected record type \\x00 at offset 97"),
        (b"T\x03abc", "invalid T record \"abc\" at offset 97"),
        (b"R\x03a@x", "recipient before sender or arrival time at offset 97"),
        (b"S\x03a@xE\x00", "no arrival time record"),
        (b"T\x0217E\x00", "no sender record"),
        (b"T\x0217S\x00M\x00", "unexpected EOF at offset 205, no end record"),
        (b"A\x0fnotify_flags=16", "invalid A record \"notify_flags=16\" at offset 97"),
    ] {
        assert_eq!(read(&[&file[..], more].concat(), 0o700).to_string(), text);
    }
    let gone = queue.read_envelope(QueueName::Incoming, &QueueId::parse("AAAAAAAA").unwrap(), 10);
    assert!(matches!(gone, Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound));
}

#[test]
fn text_other_than_content_ends_delivery_as_corrupt() {
    let (folder, queue) = real(&[]);
    std::fs::write(folder.path().join("active/ABCDEF12"), b"N\x02abL\x02cdR\x01x").unwrap();
    let id = QueueId::parse("ABCDEF12").unwrap();
    let mut content = queue.open_message(QueueName::Active, &id, 0).unwrap();
    assert_eq!(content.next().unwrap(), Some(Text::Line("ab".into())));
    content.rewind().unwrap();
    assert_eq!(content.next().unwrap(), Some(Text::Line("ab".into())));
    assert_eq!(content.next().unwrap(), Some(Text::Piece("cd".into())));
    assert_eq!(content.next().unwrap_err().to_string(), "unexpected record type R at offset 8");
}

#[test]
fn logs_grow_are_read_and_go() {
    let (_folder, queue) = real(&["bounce"]);
    let id = QueueId::parse("ABCDEF12").unwrap();
    assert!(queue.read_log(LogName::Bounce, &id).unwrap().is_none());
    let record = |n: u32| LogRecord {
        recipient: Address::new(if n == 0 { String::new() } else { format!("u{n}@x") }),
        status: "5.1.1".into(),
        action: "failed".into(),
        reason: format!("reason {n}").into(),
        ..LogRecord::default()
    };
    let records: Vec<_> = (0..500).map(record).collect();
    queue.append_log(LogName::Bounce, &id, &records[..1], true).unwrap();
    queue.append_log(LogName::Bounce, &id, &records[1..400], false).unwrap();
    queue.append_log(LogName::Bounce, &id, &records[400..], true).unwrap();
    let read: Vec<_> = queue.read_log(LogName::Bounce, &id).unwrap().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(read, records);
    queue.remove_log(LogName::Bounce, &id).unwrap();
    queue.remove_log(LogName::Bounce, &id).unwrap();
    assert!(queue.read_log(LogName::Bounce, &id).unwrap().is_none());
}

/// What a power cut leaves of a record, and what is no record at all, says nothing of a recipient.
#[test]
fn records_that_are_not_whole_are_left_out() {
    let (folder, queue) = real(&[]);
    let text = "===\n\nrecipient=a@x\nreason=one\n\n\0 garbage\n\nrecipient=b@x\nreason=cut o";
    std::fs::write(folder.path().join("defer/ABCDEF12"), text).unwrap();
    let log = queue.read_log(LogName::Defer, &QueueId::parse("ABCDEF12").unwrap()).unwrap().unwrap();
    let read: Vec<_> = log.map(|record| record.unwrap().recipient.to_string()).collect();
    assert_eq!(read, ["a@x"]);
}

/// Skipping what cannot be read comes to an end, and a folder in the place of a log goes like a log, if nothing is in it.
#[test]
fn a_folder_in_the_place_of_a_log() {
    let (folder, queue) = real(&[]);
    let id = QueueId::parse("ABCDEF12").unwrap();
    let path = folder.path().join("defer/ABCDEF12");
    std::fs::create_dir(&path).unwrap();
    let read: Vec<_> = queue.read_log(LogName::Defer, &id).unwrap().unwrap().take(5).map(|record| record.is_ok()).collect();
    assert_eq!(read, [false]);
    std::fs::write(path.join("x"), "").unwrap();
    assert!(queue.remove_log(LogName::Defer, &id).is_err());
    std::fs::remove_file(path.join("x")).unwrap();
    queue.remove_log(LogName::Defer, &id).unwrap();
    assert!(!path.exists());
}

#[test]
fn old_and_strange_logs() {
    let (folder, queue) = real(&[]);
    std::fs::write(folder.path().join("defer/ABCDEF12"), "<a@x>: try <b>: later\n\n\nrecipient=<>\nwhat=ever\nreason=x\n\n").unwrap();
    let mut log = queue.read_log(LogName::Defer, &QueueId::parse("ABCDEF12").unwrap()).unwrap().unwrap();
    let old = log.next().unwrap().unwrap();
    assert_eq!((old.recipient.to_string(), old.reason.to_string()), ("a@x".into(), "try <b>: later".into()));
    assert_eq!((&*old.status, &*old.action), ("4.0.0", "delayed"));
    assert!(log.next().unwrap().unwrap().recipient.is_empty());
    assert!(log.next().is_none());
    assert_eq!(log.take_unknown(), ["what=ever"]);
}

#[derive(Default)]
struct Shown(Vec<String>);

impl crate::listing::Listing for Shown {
    fn message(&mut self, m: &crate::listing::Listed) -> io::Result<()> {
        let mark = if m.forced_expire { " expired" } else { "" };
        self.0.push(format!("{} {} from <{}>{mark}", m.queue.as_str(), m.size, m.sender));
        Ok(())
    }
    fn recipient(&mut self, r: &crate::listing::ListedRecipient) -> io::Result<()> {
        let reason = if r.bounced { format!("bounced: {}", r.reason) } else { r.reason.to_string() };
        self.0.push(format!("  <{}> <{}> {reason}", r.address, r.original));
        Ok(())
    }
    fn warning(&mut self, text: String) {
        self.0.push(format!("warning: {text}"));
    }
}

fn listing(queue: &Queue, running: bool, duplicates: usize) -> Vec<String> {
    let mut shown = Shown::default();
    queue.list_messages(running, duplicates, &mut shown).unwrap();
    shown.0
}

// S-QUEUE-07
#[test]
fn listings() {
    let (folder, queue) = real(&["deferred", "defer"]);
    let id = commit(write(&queue, &["done@x", "a@x", "b@x"], &["c@x"], b"x", 8), QueueName::Deferred);
    let envelope = queue.read_envelope(QueueName::Deferred, &id, 1).unwrap();
    queue.mark_done(QueueName::Deferred, &id, envelope.recipients[0].offset.unwrap()).unwrap();
    queue.set_mode(QueueName::Deferred, &id, 0o710).unwrap();
    let record = |address: &str| LogRecord { recipient: Address::new(address), reason: "try later".into(), ..LogRecord::default() };
    queue.append_log(LogName::Defer, &id, &[record("a@x"), record("b@x")], true).unwrap();
    queue.append_log(LogName::Bounce, &id, &[record("c@x")], true).unwrap();
    let size = envelope.message_size;
    let head = format!("deferred {size} from <sender@example.org> expired");
    let logged = ["  <a@x> <> try later", "  <b@x> <> try later", "  <c@x> <> bounced: try later"];
    assert_eq!(listing(&queue, true, 0), [&[&*head], &logged[..]].concat());
    // Only two are remembered.
    assert_eq!(listing(&queue, true, 2), [&[&*head], &logged[..], &["  <c@x> <o-c@x> "]].concat());
    queue.rename(&id, QueueName::Deferred, QueueName::Incoming).unwrap();
    assert!(listing(&queue, true, 0)[0].starts_with("active "));
    assert!(listing(&queue, false, 0)[0].starts_with("incoming "));
    queue.remove(QueueName::Incoming, &id).unwrap();

    // A submission has no size record; its recipients may come after the content.
    std::fs::write(folder.path().join("maildrop/ABCDEF1"), b"T\x0217S\x00M\x00N\x01RL\x02xyX\x00R\x03r@xE\x00").unwrap();
    std::fs::write(folder.path().join("hold/ABCDEF2"), b"garbage").unwrap();
    std::fs::write(folder.path().join("hold/bad-name"), b"").unwrap();
    std::fs::write(folder.path().join("hold/ABCDEF3"), b"S\x01aR\x01bR\x09b").unwrap();
    for (name, mode) in [("maildrop/ABCDEF1", 0o744), ("hold/ABCDEF2", 0o700), ("hold/ABCDEF3", 0o700)] {
        queue.disk.set_mode(Path::new(name), mode).unwrap();
    }
    let mut lines = listing(&queue, true, 0);
    lines.sort();
    assert_eq!(
        lines,
        [
            "  <b> <> ",
            "  <r@x> <> ",
            "hold 9 from <a>",
            "maildrop 24 from <>",
            "warning: bogus file name: hold/bad-name",
            "warning: hold/ABCDEF2: unexpected EOF in data, record type 103 length 97",
            "warning: hold/ABCDEF3: unexpected EOF in data, record type 82 length 9",
        ]
    );
}
