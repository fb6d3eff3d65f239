//! Files of the queue, on a disk in memory: what users, crashes or other programs may have put there.

use bstr::ByteSlice;
use posthaste_config::Config;
use posthaste_dsn::report::{Original, Purpose, Report, Settings as ReportSettings};
use posthaste_log::Logger;
use posthaste_queue::clock::{Clock, RealClock, mail_date};
use posthaste_queue::commit::Committer;
use posthaste_queue::disk::Access;
use posthaste_queue::log::LogName;
use posthaste_queue::sim::SimDisk;
use posthaste_queue::{Queue, QueueId, QueueName, Settings, Text};
use posthaste_svc_pickup::message::{Feeder, Outcome};
use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const FOLDERS: [&str; 8] = ["maildrop", "incoming", "active", "deferred", "hold", "bounce", "defer", "trace"];

fn queue() -> Queue {
    let settings = Settings {
        queue_directory: "/var/spool/postfix".into(),
        hash_queue_names: Vec::new(),
        hash_queue_depth: 1,
        enable_long_queue_ids: false,
        line_length_limit: 2048,
        owner: None,
        dont_remove: false,
    };
    let clock: Arc<dyn Clock> = Arc::new(RealClock);
    Queue { settings: Arc::new(settings), disk: Arc::new(SimDisk::new(&FOLDERS)), clock }
}

/// A queue with this file in it.
fn with_file(folder: QueueName, data: &[u8]) -> Option<(Queue, QueueId)> {
    let (queue, id) = (queue(), QueueId::parse("3A1B2C4D5E")?);
    let file = queue.disk.open(&queue.path(folder, &id), Access::Append).ok()?;
    file.write_at(data, 0).ok()?;
    file.set_mode(0o700).ok()?;
    Some((queue, id))
}

/// The envelope of a queue file, as the queue manager and the delivery agents read it. However small the portions in which its recipients are
/// read, they are the same.
pub fn queue_envelope(data: &[u8]) {
    let Some((queue, id)) = with_file(QueueName::Deferred, data) else { return };
    let all = queue.read_envelope(QueueName::Deferred, &id, usize::MAX);
    let mut parts = queue.read_envelope(QueueName::Deferred, &id, 1);
    if let Ok(envelope) = &all {
        // For log lines and reports.
        let _ = (mail_date(envelope.arrival), mail_date(envelope.created), envelope.sender.external());
        if let Ok(mut content) = queue.open_message(QueueName::Deferred, &id, envelope.content_offset) {
            let mut bytes = 0;
            while let Ok(Some(Text::Line(text) | Text::Piece(text))) = content.next() {
                bytes += text.len() + 1;
                // Pointers may lead back some thousand times, and what they lead to is read again.
                assert!(bytes <= 20_000 * (data.len() + 1), "the content of a file ends");
            }
        }
    }
    let (Ok(all), Ok(parts)) = (all, &mut parts) else { return };
    let mut turns = 0;
    while parts.more_at.is_some() && turns < 5 {
        turns += 1;
        if queue.read_more_recipients(QueueName::Deferred, &id, parts, 1).is_err() {
            return;
        }
    }
    if parts.more_at.is_none() {
        assert_eq!(format!("{:?}", parts.recipients), format!("{:?}", all.recipients), "recipients read one by one are those read at once");
    }
}

/// The log of a message's recipients, and the report that is made of it: no line of it is of the sender's, or another server's, choice.
pub fn recipient_log(data: &[u8]) {
    let Some((queue, id)) = with_file(QueueName::Bounce, data) else { return };
    let read =
        |queue: &Queue, log| -> Vec<_> { queue.read_log(log, &id).ok().flatten().map(|log| log.flatten().collect()).unwrap_or_default() };
    let records = read(&queue, LogName::Bounce);
    assert!(records.len() <= data.len() + 1);
    for compatible in [false, true] {
        let fresh = self::queue();
        fresh.append_log(LogName::Trace, &id, &records, compatible).expect("a disk in memory");
        // A paragraph of which nothing is left but its name says what the others say by default.
        let again = read(&fresh, LogName::Trace);
        assert_eq!(again.len(), records.len(), "each record is one paragraph");
        for (again, record) in again.iter().zip(&records) {
            assert_eq!(again.notify, record.notify);
            for (again, record) in [(again.status.as_bytes(), record.status.as_bytes()), (&again.reason, &record.reason)] {
                assert_eq!(again.trim_ascii_end(), flat(record).trim_ascii_end());
            }
        }
    }
    let settings = ReportSettings {
        myhostname: "mail.example.com".into(),
        mail_name: "Postfix".into(),
        maximal_queue_lifetime: Duration::from_secs(5 * 86_400),
        smtputf8_enable: true,
        enable_threaded_bounces: true,
    };
    let original = Original {
        id: id.clone(),
        sender: "sender@example.org".into(),
        envelope_id: "x".into(),
        message_id: "<y@example.org>".into(),
        arrival: UNIX_EPOCH,
        smtputf8: false,
        encoding: "8bit".into(),
    };
    for purpose in [Purpose::Failure, Purpose::Delay, Purpose::Trace] {
        let report = Report::new(&settings, purpose, &original, UNIX_EPOCH);
        for record in &records {
            let mut put = |line: &[u8]| -> Result<(), ()> {
                assert!(!line.contains(&b'\n'), "a line of a report is one line: {:?}", line.as_bstr());
                Ok(())
            };
            let _ = report.notice_recipient(record, &mut put);
            // A name may stand alone, with its long value in the next line.
            let mut named = true;
            let mut put = |line: &[u8]| -> Result<(), ()> {
                assert!(!line.contains(&b'\n'), "a line of a report is one line: {:?}", line.as_bstr());
                named &= line.is_empty() || line.starts_with(b"    ") || line.find(b": ").is_some_and(|at| at < 25) || line.ends_with(b":");
                Ok(())
            };
            let _ = report.status_recipient(record, &mut put);
            assert!(named, "fields have names: {record:?}");
        }
    }
}

fn flat(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&c| if c == b'\n' || c == b'\r' { b' ' } else { c }).collect()
}

thread_local! {
    static FEEDER: OnceCell<Vec<(Queue, Feeder)>> = const { OnceCell::new() };
}

const CLEANUP: &str = "compatibility_level = 3.6\nmyhostname = mail.example.com\nmydomain = example.com\nmyorigin = example.com\nmynetworks = 127.0.0.0/8\n\
    inet_interfaces = 127.0.0.1\nalias_maps =\nrecipient_delimiter = +\n";
const BUSY: &str = "canonical_maps = inline:{ {@old.example=@new.example}, {alice=bob@example.org} }\n\
    virtual_alias_maps = inline:{ {list@example.com=a@example.org b@example.org list@example.com}, {loop@example.com=loop2@example.com}, {loop2@example.com=loop@example.com} }\n\
    masquerade_domains = example.com\nalways_bcc = archive\nrecipient_bcc_maps = static:copy\nsender_bcc_maps = static:sent\nheader_size_limit = 200\n\
    header_address_token_limit = 20\nmime_nesting_limit = 2\nline_length_limit = 512\nalways_add_missing_headers = yes\nmessage_strip_characters = \\0\n\
    virtual_alias_expansion_limit = 10\nvirtual_alias_recursion_limit = 5\nduplicate_filter_limit = 2\nstrict_8bitmime = yes\nstrict_mime_encoding_domain = yes\n\
    non_empty_end_of_header_action = add_header\nenable_long_queue_ids = yes\nmessage_size_limit = 20000\n";

fn feeders() -> Vec<(Queue, Feeder)> {
    let log = Logger::new("postfix/pickup");
    ["", BUSY]
        .into_iter()
        .map(|more| {
            let config = Config::parse(&format!("{CLEANUP}{more}"), "main.cf").expect("good");
            let queue = queue();
            let feeder = Feeder::open(&config, &queue, log.clone()).expect("opens");
            (queue, feeder)
        })
        .collect()
}

/// A file that a user put into maildrop, through cleanup, into a queue file; what the queue manager is told of it is what it says. The first byte
/// chooses the configuration, and whether the file is one that `postsuper -r` put there.
pub fn maildrop(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let Some((drop, old)) = with_file(QueueName::Maildrop, data) else { return };
    let path = drop.path(QueueName::Maildrop, &old);
    FEEDER.with(|feeders| {
        let (queue, feeder) = &feeders.get_or_init(self::feeders)[usize::from(choice & 1)];
        let (Ok(file), Ok(stat)) = (drop.disk.open(&path, Access::Read), drop.stat(QueueName::Maildrop, &old)) else { return };
        let Outcome::Accepted(id, accepted) = feeder.feed(file, &stat, Path::new("maildrop/x"), (choice & 2 != 0).then_some(&old)) else {
            return;
        };
        let Some(file) = accepted.file else { return };
        Committer::commit_now(file).expect("a disk in memory");
        let place = if accepted.held { QueueName::Hold } else { QueueName::Incoming };
        let read = queue.read_envelope(place, &id, usize::MAX).expect("our own queue file");
        if let Some(told) = &accepted.envelope {
            assert_eq!(format!("{:?}", told.recipients), format!("{:?}", read.recipients), "what the queue manager is told is in the file");
            assert_eq!((&told.sender, told.content_offset, &told.envelope_id), (&read.sender, read.content_offset, &read.envelope_id));
        }
        let mut content = queue.open_message(place, &id, read.content_offset).expect("our own queue file");
        while content.next().expect("our own queue file").is_some() {}
        queue.remove(place, &id).expect("was there");
        let _ = queue.remove_log(LogName::Bounce, &id);
        let _ = queue.remove_log(LogName::Trace, &id);
    });
}
