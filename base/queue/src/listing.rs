//! What the listing of the queue shows: `postqueue`, `mailq`, showq(8).

use crate::disk::{Access, Stat};
use crate::log::LogName;
use crate::read::RecordReader;
use crate::record::{RecordType, SizeRecord};
use crate::scan::Found;
use crate::{Queue, QueueId, QueueName, ReadError, envelope};
use bstr::BString;
use posthaste_address::Address;
use posthaste_config::system_reason;
use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// In this order.
const QUEUES: [QueueName; 5] = [QueueName::Maildrop, QueueName::Active, QueueName::Incoming, QueueName::Deferred, QueueName::Hold];
/// Mode bit of a force-expired message.
const EXPIRED: u32 = 0o010;

/// A message in the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it is, as Postfix would have it.
    pub queue: QueueName,
    /// Its id.
    pub id: QueueId,
    /// When it came.
    pub arrival: SystemTime,
    /// Header and body; in maildrop the size of the file.
    pub size: u64,
    /// `postsuper -e`.
    pub forced_expire: bool,
    /// Empty for `<>`.
    pub sender: Address,
}

/// A recipient in the listing that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRecipient {
    /// Where it goes to.
    pub address: Address,
    /// Before rewriting; empty when it was the same, or is not known.
    pub original: Address,
    /// Why it is still here, or empty.
    pub reason: BString,
    /// The reason is that of a failure, whose report is on its way.
    pub bounced: bool,
}

/// Takes a listing: each message, then its recipients. An error ends it.
pub trait Listing {
    /// The next message.
    fn message(&mut self, message: &Listed) -> io::Result<()>;
    /// A recipient of that message.
    fn recipient(&mut self, recipient: &ListedRecipient) -> io::Result<()>;
    /// Something is wrong with a file; the listing goes on.
    fn warning(&mut self, text: String);
}

impl Queue {
    /// Lists all complete messages. Messages come, go and move meanwhile: some may be missed or seen twice.
    ///
    /// `running`: the queue manager runs. It delivers from `incoming` and moves only what has to wait, so a message there is then shown
    /// as active, which is where Postfix would have it. `duplicates`: of so many recipients (0: of all) with a reason in the logs it is
    /// remembered that they have been shown.
    pub fn list_messages(&self, running: bool, duplicates: usize, out: &mut dyn Listing) -> io::Result<()> {
        for name in QUEUES {
            let scan = match self.scan(name) {
                Ok(scan) => scan,
                Err(error) => {
                    out.warning(format!("open directory {}: {}", name.as_str(), system_reason(&error)));
                    continue;
                }
            };
            for found in scan {
                match found {
                    Ok(Found::File { id, path }) => self.list_message(name, id, &path, running, duplicates, out)?,
                    Ok(Found::Temporary(_)) => (),
                    Ok(Found::Bogus(path)) => out.warning(format!("bogus file name: {}", path.display())),
                    Err(error) => out.warning(format!("read directory {}: {}", name.as_str(), system_reason(&error))),
                }
            }
        }
        Ok(())
    }

    fn list_message(
        &self,
        name: QueueName,
        id: QueueId,
        path: &Path,
        running: bool,
        duplicates: usize,
        out: &mut dyn Listing,
    ) -> io::Result<()> {
        let file = match self.disk.open(path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                out.warning(format!("open {}: {}", path.display(), system_reason(&error)));
                return Ok(());
            }
        };
        let stat = match file.stat() {
            Ok(stat) if stat.is_complete() => stat,
            _ => return Ok(()),
        };
        let due = stat.modified <= self.clock.now() + Duration::from_secs(1);
        let queue = if name == QueueName::Incoming && running && due { QueueName::Active } else { name };
        let mut message = Message { queue: self, shown: None, seen: HashSet::new(), duplicates };
        match message.read(&mut RecordReader::new(file, 0), queue, id, stat, out) {
            Ok(()) => Ok(()),
            Err(Stop::Output(error)) => Err(error),
            Err(Stop::Input(error)) => {
                out.warning(format!("{}: {error}", path.display()));
                Ok(())
            }
        }
    }
}

enum Stop {
    Output(io::Error),
    Input(ReadError),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Stop {
        Stop::Input(error)
    }
}

struct Message<'a> {
    queue: &'a Queue,
    shown: Option<Listed>,
    /// Recipients shown from the logs.
    seen: HashSet<Address>,
    duplicates: usize,
}

impl Message<'_> {
    fn read<S: crate::disk::ReadAt>(
        &mut self,
        reader: &mut RecordReader<S>,
        queue: QueueName,
        id: QueueId,
        stat: Stat,
        out: &mut dyn Listing,
    ) -> Result<(), Stop> {
        let (mut size, mut arrival) = (None, None);
        let mut original = Address::empty();
        let mut content = false;
        loop {
            let record = reader.next_followed()?;
            let (kind, payload) = (record.kind, record.payload);
            match kind {
                RecordType::MESSAGE => match size {
                    Some(SizeRecord { content_offset, content_length, .. }) if content_offset > 0 => {
                        reader.seek(content_offset + content_length)
                    }
                    _ => content = true,
                },
                RecordType::EXTRACTED => content = false,
                RecordType::END => return Ok(()),
                _ if content => (),
                RecordType::SIZE => size = SizeRecord::parse(payload).ok(),
                RecordType::TIME => arrival = arrival.or_else(|| envelope::arrival(payload)),
                RecordType::SENDER if self.shown.is_none() => {
                    let message = Listed {
                        queue,
                        id: id.clone(),
                        arrival: arrival.unwrap_or(stat.modified),
                        size: size.map_or(stat.size, |size| size.message_size),
                        forced_expire: stat.mode & EXPIRED != 0,
                        sender: Address::new(payload),
                    };
                    out.message(&message).map_err(Stop::Output)?;
                    self.shown = Some(message);
                    self.logs(&id, out).map_err(Stop::Output)?;
                }
                RecordType::ORIGINAL => original = Address::new(payload),
                RecordType::RECIPIENT | RecordType::DONE | RecordType::CANCELED => {
                    let original = std::mem::take(&mut original);
                    let address = Address::new(payload);
                    if kind == RecordType::RECIPIENT && self.shown.is_some() && !self.seen.contains(&address) {
                        let original = if original == address { Address::empty() } else { original };
                        let recipient = ListedRecipient { address, original, reason: BString::default(), bounced: false };
                        out.recipient(&recipient).map_err(Stop::Output)?;
                    }
                }
                kind if kind.in_envelope() || kind.in_extracted() => (),
                RecordType(other) => {
                    return Err(Stop::Input(ReadError::Corrupt(format!("unexpected record type {}", other.escape_ascii()))));
                }
            }
        }
    }

    /// Shows recipients with reasons.
    fn logs(&mut self, id: &QueueId, out: &mut dyn Listing) -> io::Result<()> {
        for log in [LogName::Defer, LogName::Bounce] {
            // A log that cannot be read hides no recipient: those without a reason are shown afterwards: the queue file has them all.
            let warn = |what: &str, error: &io::Error| format!("{what} {} {id}: {}", log.queue().as_str(), system_reason(error));
            let records = match self.queue.read_log(log, id) {
                Ok(Some(records)) => records,
                Ok(None) => continue,
                Err(error) => {
                    out.warning(warn("open", &error));
                    continue;
                }
            };
            for record in records {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => {
                        out.warning(warn("close", &error));
                        break;
                    }
                };
                if self.duplicates == 0 || self.seen.len() < self.duplicates {
                    self.seen.insert(record.recipient.clone());
                }
                let bounced = log == LogName::Bounce;
                let recipient = ListedRecipient { address: record.recipient, original: record.original, reason: record.reason, bounced };
                out.recipient(&recipient)?;
            }
        }
        Ok(())
    }
}

impl Listed {
    /// Seconds since 1970.
    pub fn arrival_seconds(&self) -> u64 {
        self.arrival.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}
