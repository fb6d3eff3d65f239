//! The listing: from showq(8), or, when the mail system is down, by the superuser from the disk.

use crate::Caller;
use crate::print::{Json, Table};
use crate::trace::Trace;
use posthaste_config::{Config, system_reason};
use posthaste_ipc::frame;
use posthaste_ipc::showq::{END, MESSAGE, RECIPIENTS, Recipients};
use posthaste_log::{Logger, verbose, warn};
use posthaste_queue::Queue;
use posthaste_queue::listing::{Listed, ListedRecipient, Listing};
use posthaste_system::credentials::Identity;
use std::io::{self, BufWriter, Read};
use std::os::unix::net::UnixStream;

/// A listing that has an end.
pub trait Printer: Listing {
    /// Before the first message: the listing has begun.
    fn begin(&mut self) {}
    /// After the last message.
    fn finish(&mut self) -> io::Result<()>;
}

/// `-p` and `-j`
pub fn list(config: &Config, json: bool, caller: &Caller, log: &Logger) -> Result<(), String> {
    let bad = |error: posthaste_config::ConfigError| error.to_string();
    let empty = config.text("empty_address_recipient").map_err(bad)?;
    let socket = format!("public/{}", config.text("showq_service_name").map_err(bad)?);
    let out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let mut printer: Box<dyn Printer + '_> = if json {
        Box::new(Json::new(out, empty, log))
    } else {
        Box::new(Table::new(out, empty, config.bool("enable_long_queue_ids").map_err(bad)?, log))
    };
    if log.verbose() > 0 {
        printer = Box::new(Trace::new(printer, &socket, log));
    }
    verbose!(log, "connect to subsystem {socket}");
    let path = config.queue_directory().join(&socket);
    let listed = match UnixStream::connect(path) {
        Ok(stream) => {
            let timeout = config.time("ipc_timeout").map_err(bad)?;
            let stream = stream.set_read_timeout(Some(timeout).filter(|time| !time.is_zero())).map(|()| stream);
            stream.and_then(|stream| copy(stream, &mut *printer))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            let why = format!("(Connect to the Postfix showq service: {})", system_reason(&error));
            if caller.uid != 0 {
                return Err(format!("Queue report unavailable - mail system is down {why}"));
            }
            warn!(log, "Mail system is down -- accessing queue directly {why}");
            directly(config, &mut *printer)?
        }
        Err(error) => return Err(format!("Connect to the Postfix showq service: {}", system_reason(&error))),
    };
    match listed.and_then(|()| printer.finish()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err("malformed showq server response".into()),
        Err(error) => Err(format!("queue listing: {}", system_reason(&error))),
        Ok(()) => Ok(()),
    }
}

/// Prints what showq sends.
fn copy(stream: impl Read, printer: &mut dyn Printer) -> io::Result<()> {
    let malformed = |_| io::Error::from(io::ErrorKind::InvalidData);
    let mut reader = frame::Reader::new(stream);
    let mut begun = false;
    while let Some((kind, request, payload)) = reader.receive()? {
        if !begun {
            printer.begin();
            begun = true;
        }
        let frame = frame::Frame { kind, request, payload: &payload };
        match kind {
            MESSAGE => printer.message(&frame.value::<Listed>().map_err(malformed)?)?,
            RECIPIENTS => {
                for recipient in frame.value::<Recipients>().map_err(malformed)?.0 {
                    printer.recipient(&recipient)?;
                }
            }
            END => return Ok(()),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    // Cut off: what was printed is not all there is.
    Err(io::ErrorKind::InvalidData.into())
}

/// Reads the queue itself; as its owner, since the files hold what strangers sent.
fn directly(config: &Config, printer: &mut dyn Printer) -> Result<io::Result<()>, String> {
    let owner = config.text("mail_owner").map_err(|error| error.to_string())?;
    let user = posthaste_system::users::by_name(&owner)
        .map_err(|error| format!("mail_owner {owner}: {}", system_reason(&error)))?
        .ok_or_else(|| format!("mail_owner {owner}: no such user"))?;
    posthaste_system::process::become_user(Identity { uid: user.uid, gid: user.gid })
        .map_err(|error| format!("become {owner}: {}", system_reason(&error)))?;
    let queue = Queue::open(config).map_err(|error| error.to_string())?;
    let duplicates = config.int("duplicate_filter_limit").map_err(|error| error.to_string())?;
    Ok(queue.list_messages(false, usize::try_from(duplicates).unwrap_or(0), &mut Through(printer)))
}

/// A printer as a listing.
struct Through<'a>(&'a mut dyn Printer);

impl Listing for Through<'_> {
    fn message(&mut self, message: &Listed) -> io::Result<()> {
        self.0.message(message)
    }
    fn recipient(&mut self, recipient: &ListedRecipient) -> io::Result<()> {
        self.0.recipient(recipient)
    }
    fn warning(&mut self, text: String) {
        self.0.warning(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_no_listing() {
        let log = Logger::new("postqueue");
        let mut printer = Json::new(Vec::new(), "MAILER-DAEMON".into(), &log);
        assert_eq!(copy(&b""[..], &mut printer).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut wire = Vec::new();
        frame::put(&mut wire, END, 0, &posthaste_ipc::showq::End).unwrap();
        copy(&wire[..], &mut printer).unwrap();
        let mut wire = Vec::new();
        frame::put(&mut wire, MESSAGE, 0, &posthaste_ipc::showq::End).unwrap();
        assert_eq!(copy(&wire[..], &mut printer).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
