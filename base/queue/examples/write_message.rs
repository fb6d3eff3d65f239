//! Puts one message into the queue directory given as argument, safe on disk, and prints where it is.
//!
//!     cargo run -p posthaste-queue --example write_message -- /tmp/spool && postcat /tmp/spool/incoming/*

#![allow(clippy::print_stdout, reason = "an example")]

use posthaste_queue::clock::RealClock;
use posthaste_queue::commit::Committer;
use posthaste_queue::disk::RealDisk;
use posthaste_queue::record::SizeRecord;
use posthaste_queue::{Queue, QueueName, RecordType as T, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: write_message queue_directory")?);
    std::fs::create_dir_all(folder.join("incoming"))?;
    let settings = Settings {
        queue_directory: folder.clone(),
        hash_queue_names: Vec::new(),
        hash_queue_depth: 1,
        enable_long_queue_ids: false,
        line_length_limit: 2048,
        dont_remove: false,
        owner: None,
    };
    let queue = Queue { settings: Arc::new(settings), disk: Arc::new(RealDisk::open(&folder)?), clock: Arc::new(RealClock) };

    let mut file = queue.create(QueueName::Incoming)?;
    let id = file.id().clone();
    let created = file.created().duration_since(UNIX_EPOCH)?;
    file.record(T::SIZE, &SizeRecord::default().encode())?;
    file.record(T::TIME, format!("{} {}", created.as_secs(), created.subsec_micros()).as_bytes())?;
    file.record(T::ATTRIBUTE, format!("create_time={}", created.as_secs()).as_bytes())?;
    file.record(T::SENDER, b"sender@example.org")?;
    file.record(T::ORIGINAL, b"rcpt@example.com")?;
    file.record(T::RECIPIENT, b"rcpt@example.com")?;
    file.record(T::MESSAGE, b"")?;
    let content_offset = file.offset();
    for line in ["Subject: hello", "", "A body."] {
        file.record(T::NORMAL, line.as_bytes())?;
    }
    let content_length = file.offset() - content_offset;
    file.record(T::EXTRACTED, b"")?;
    file.record(T::END, b"")?;
    let size = SizeRecord { content_length, content_offset, recipients: Some(1), message_size: content_length, ..SizeRecord::default() };
    file.overwrite(0, T::SIZE, &size.encode())?;

    // Until the commit returns, nobody may be told that the message was accepted.
    Committer::commit_now(file.complete(QueueName::Incoming)?)?;
    println!("{}", folder.join(queue.path(QueueName::Incoming, &id)).display());
    Ok(())
}
