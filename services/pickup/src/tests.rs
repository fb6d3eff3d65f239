//! Files in a temporary maildrop, through the real cleanup, into a queue on the real disk. What becomes of them is what became of the like under Postfix.

use crate::scan::Scanner;
use posthaste_config::Config;
use posthaste_log::Logger;
use posthaste_queue::read::RecordReader;
use posthaste_queue::record::{RecordType as T, pointer, put_record};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

struct Spool {
    folder: tempfile::TempDir,
    scanner: Scanner,
}

impl Spool {
    fn new(parameters: &str) -> Spool {
        let folder = tempfile::tempdir().unwrap();
        for name in ["maildrop", "incoming", "hold", "bounce", "defer", "trace"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let text = format!(
            "queue_directory = {}\nmyhostname = mail.example.com\nmydomain = example.com\nmail_name = Postfix\nalias_maps =\n{parameters}\n",
            folder.path().display()
        );
        let config = Config::parse(&text, "main.cf").unwrap();
        let scanner = Scanner::open(&config, Logger::new("pickup")).unwrap();
        Spool { folder, scanner }
    }

    fn drop(&self, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        let path = self.folder.path().join("maildrop").join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn names(&self, queue: &str) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.folder.path().join(queue)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The records of the only message in `incoming`, without those about times.
    fn taken(&self) -> Vec<String> {
        let names = self.names("incoming");
        assert_eq!(names.len(), 1, "{names:?}");
        let bytes = fs::read(self.folder.path().join("incoming").join(&names[0])).unwrap();
        let mut reader = RecordReader::new(bytes, 0);
        let mut lines = Vec::new();
        loop {
            let record = reader.next_followed().unwrap();
            let text = String::from_utf8_lossy(record.payload).replace(&names[0], "QID");
            match record.kind {
                T::SIZE | T::TIME => continue,
                T::ATTRIBUTE if text.starts_with("create_time=") => continue,
                _ => lines.push(format!("{} {text}", char::from(record.kind.0))),
            }
            if record.kind == T::END {
                return lines;
            }
        }
    }
}

fn file(records: &[(u8, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, payload) in records {
        put_record(&mut out, T(*kind), payload.as_bytes());
    }
    out
}

const FRESH: u32 = 0o744;
const REQUEUED: u32 = 0o700;

/// A submission with these envelope records and this content.
fn submission(envelope: &[(u8, &str)], content: &[(u8, &str)]) -> Vec<u8> {
    let all = [
        &[(b'T', "1795241037 1"), (b'A', "rewrite_context=local"), (b'S', "a@b.example")],
        envelope,
        &[(b'M', "")],
        content,
        &[(b'X', ""), (b'E', "")],
    ];
    file(&all.concat())
}

// S-DAEMON-03
#[test]
fn a_submission_becomes_a_message() {
    let mut spool = Spool::new("");
    let bytes = submission(
        &[(b'A', "notify_flags=4"), (b'A', "log_client_name=forged"), (b'R', "c@d.example")],
        &[(b'N', "Subject: x"), (b'N', ""), (b'N', "body")],
    );
    let path = spool.drop("ABCDE1", &bytes, FRESH);
    let submitted = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_241_037);
    fs::File::open(&path).unwrap().set_modified(submitted).unwrap();
    spool.scanner.scan();
    assert!(spool.names("maildrop").is_empty());
    let taken = spool.taken();
    for line in ["S a@b.example", "A rewrite_context=local", "A notify_flags=4", "R c@d.example", "N Subject: x", "N body"] {
        assert!(taken.iter().any(|taken| taken == line), "{line} in {taken:#?}");
    }
    // The client of a message is what the network says, not what its sender says.
    assert!(!taken.iter().any(|line| line.contains("forged")), "{taken:#?}");
    let at = taken.iter().position(|line| line.starts_with("N Received:")).unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(taken[at], format!("N Received: by mail.example.com (Postfix, from userid {uid})"));
    assert_eq!(taken[at + 1], format!("N \tid QID; {}", posthaste_queue::clock::mail_date(submitted)));
}

#[test]
fn a_first_line_that_would_join_our_header() {
    let mut spool = Spool::new("");
    spool.drop("ABCDE1", &submission(&[(b'R', "c@d.example")], &[(b'N', " leading"), (b'N', "Subject: x")]), FRESH);
    spool.scanner.scan();
    let taken = spool.taken();
    let at = taken.iter().position(|line| line == "N  leading").unwrap();
    assert_eq!(taken[at - 1], "N ");
}

#[test]
fn recipients_from_the_headers() {
    let mut spool = Spool::new("content_filter = smtp:[127.0.0.1]:10025");
    let bytes = file(&[
        (b'T', "1795241037 1"),
        (b'S', "a@b.example"),
        (b'M', ""),
        (b'N', "x"),
        (b'X', ""),
        (b'A', "notify_flags=2"),
        (b'R', "c@d.example"),
        (b'E', ""),
    ]);
    spool.drop("ABCDE1", &bytes, FRESH);
    spool.scanner.scan();
    let taken = spool.taken();
    let content = taken.iter().position(|line| line == "X ").unwrap();
    assert!(taken[content..].contains(&"R c@d.example".to_owned()), "{taken:#?}");
    assert!(taken[content..].contains(&"A notify_flags=2".to_owned()), "{taken:#?}");
    assert!(taken[..content].contains(&"L smtp:[127.0.0.1]:10025".to_owned()), "{taken:#?}");
}

#[test]
fn what_can_never_be_a_message_goes() {
    let mut spool = Spool::new("");
    let recipient: &[(u8, &str)] = &[(b'R', "c@d.example")];
    for (name, bytes) in [
        ("ABCDE1", b"garbage\n".to_vec()),
        ("ABCDE2", Vec::new()),
        ("ABCDE3", file(&[(b'T', "17"), (b'R', "c@d.example"), (b'M', ""), (b'X', ""), (b'E', "")])),
        ("ABCDE4", submission(&[], &[(b'N', "no recipients")])),
        ("ABCDE5", submission(recipient, &[(b'N', "no end")])[..60].to_vec()),
        ("ABCDE6", submission(&[(b'R', "c@d.example"), (b'p', "0")], &[])),
        ("ABCDE7", submission(&[(b'O', "c@d.example"), (b'D', "c@d.example")], &[])),
        ("ABCDE8", submission(recipient, &[(b'K', "")])),
    ] {
        spool.drop(name, &bytes, FRESH);
    }
    spool.scanner.scan();
    assert!(spool.names("maildrop").is_empty() && spool.names("incoming").is_empty());
}

#[test]
fn what_is_not_ours_to_take_stays() {
    let mut spool = Spool::new("");
    let good = submission(&[(b'R', "c@d.example")], &[]);
    spool.drop("ABCDE1", &good, 0o600);
    spool.drop("bad-name", &good, FRESH);
    spool.drop("123.456", &good, FRESH);
    let folder = spool.folder.path().join("maildrop");
    fs::create_dir(folder.join("ABCDE2")).unwrap();
    std::os::unix::fs::symlink("bad-name", folder.join("ABCDE3")).unwrap();
    // Somebody may be on the way from one name to another.
    spool.drop("ABCDE4", &good, FRESH);
    fs::hard_link(folder.join("ABCDE4"), folder.join("ABCDE5")).unwrap();
    let before = spool.names("maildrop");
    spool.scanner.scan();
    assert_eq!(spool.names("maildrop"), before);
    fs::remove_file(folder.join("ABCDE5")).unwrap();
    spool.scanner.scan();
    assert_eq!(spool.names("incoming").len(), 1);
}

// S-QUEUE-16
#[test]
fn requeued_messages() {
    let mut spool = Spool::new("");
    let mut bytes = file(&[
        (b'C', "              2             400               2               0               2               0"),
        (b'T', "1795241037 421083"),
        (b'A', "create_time=1795241037"),
        (b'L', "smtp:[old-filter]"),
        (b'S', "a@b.example"),
        (b'A', "log_client_name=client.example"),
        (b'K', "trace_flags=1024"),
        (b'O', "done@d.example"),
        (b'D', "done@d.example"),
        (b'O', "c@d.example"),
        (b'R', "c@d.example"),
        (b'>', "redirect@d.example"),
    ]);
    let place = bytes.len();
    put_record(&mut bytes, T::POINTER, &pointer(0));
    let back = bytes.len() as u64;
    bytes.extend(file(&[
        (b'M', ""),
        (b'N', "Subject: x"),
        (b'w', "  0"),
        (b'X', ""),
        (b'L', "smtp:[old]"),
        (b'A', "encoding=8bit"),
        (b'r', "x"),
        (b'E', ""),
    ]));
    let added = bytes.len() as u64;
    bytes.extend(file(&[(b'O', "more@d.example"), (b'R', "more@d.example")]));
    put_record(&mut bytes, T::POINTER, &pointer(back));
    let mut jump = Vec::new();
    put_record(&mut jump, T::POINTER, &pointer(added));
    bytes[place..place + jump.len()].copy_from_slice(&jump);

    spool.drop("ABCDE1", &bytes, REQUEUED);
    spool.scanner.scan();
    let taken = spool.taken();
    for line in ["S a@b.example", "R c@d.example", "R more@d.example", "N Subject: x", "A log_client_name=client.example"] {
        assert!(taken.iter().any(|taken| taken == line), "{line} in {taken:#?}");
    }
    for gone in ["old", "redirect", "done@", "8bit", "trace_flags"] {
        assert!(!taken.iter().any(|line| line.contains(gone)), "{gone} in {taken:#?}");
    }
    // The same from a user is an attempt at something.
    let mut spool = Spool::new("");
    spool.drop("ABCDE1", &bytes, FRESH);
    spool.scanner.scan();
    assert!(spool.names("maildrop").is_empty() && spool.names("incoming").is_empty());
}

#[test]
fn many_at_once() {
    let mut spool = Spool::new("");
    for i in 0..150 {
        spool.drop(&format!("ABCDE{i:03}"), &submission(&[(b'R', "c@d.example")], &[]), FRESH);
    }
    spool.scanner.scan();
    assert!(spool.names("maildrop").is_empty());
    assert_eq!(spool.names("incoming").len(), 150);
}

// A full queue keeps submissions where they are.
#[test]
fn nothing_is_removed_that_is_not_safe() {
    let mut spool = Spool::new("");
    spool.drop("ABCDE1", &submission(&[(b'R', "c@d.example")], &[]), FRESH);
    fs::remove_dir(spool.folder.path().join("incoming")).unwrap();
    spool.scanner.scan();
    assert_eq!(spool.names("maildrop"), ["ABCDE1"]);
}
