//! virtual(8): delivers to mailboxes and Maildirs that are named by tables, for users who need no account.
//!
//! `virtual_mailbox_maps` gives the file below `virtual_mailbox_base` (a `/` at its end makes it a Maildir); `virtual_uid_maps` and
//! `virtual_gid_maps` say who writes it. The process holds root and becomes that user, in the delivering thread, for each delivery.

use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_config::Config;
use posthaste_delivery::copy::Copy;
use posthaste_delivery::delivered::Delivered;
use posthaste_delivery::mailbox::{Locking, Mailbox, MailboxError};
use posthaste_delivery::{Reporter, Timing, maildir};
use posthaste_ipc::delivery::{Done, Dsn, Report, Request};
use posthaste_log::{Logger, warn};
use posthaste_queue::{Content, Queue, Recipient};
use posthaste_service::{Agent, Fatal, Setup, Spec};
use posthaste_system::credentials::Identity;
use posthaste_table::{AddressSearch, LocalPart, Maps, OpenFlags, TableError};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    const SPEC: Spec = Spec { program: "virtual", privileged: true, connects: false, executes: false };
    posthaste_service::run_agent::<Virtual>(SPEC, arguments)
}

struct Virtual {
    log: Logger,
    queue: Queue,
    reporter: Reporter,
    relay: BString,
    host: String,
    base: PathBuf,
    mailboxes: Maps,
    uids: Maps,
    gids: Maps,
    minimum_uid: u32,
    limit: Option<u64>,
    /// `enable_original_recipient`.
    original_to: bool,
    strict_ownership: bool,
    locking: Locking,
    delimiters: String,
}

/// What to tell of one recipient.
enum Result {
    Sent(&'static str),
    Failed { status: String, text: String },
}

impl Agent for Virtual {
    fn open(setup: &Setup) -> std::result::Result<Virtual, Fatal> {
        let config: &Config = &setup.config;
        let base = config.text("virtual_mailbox_base")?;
        let limit = config.int("virtual_mailbox_limit")?;
        if limit > 0 && limit < config.int("message_size_limit")? {
            return Err(Fatal(String::from("configuration error: virtual_mailbox_limit is smaller than message_size_limit")));
        }
        let maps = |name: &str| Ok::<_, Fatal>(Maps::open_flags(name, &config.text(name)?, OpenFlags::SECURE, config));
        let queue = Queue::open(config)?;
        Ok(Virtual {
            log: setup.log.clone(),
            reporter: Reporter::new(config, queue.clone(), setup.log.clone())?,
            queue,
            relay: setup.service.as_str().into(),
            host: config.text("myhostname")?,
            base: base.into(),
            mailboxes: maps("virtual_mailbox_maps")?,
            uids: maps("virtual_uid_maps")?,
            gids: maps("virtual_gid_maps")?,
            minimum_uid: u32::try_from(config.int("virtual_minimum_uid")?).unwrap_or(u32::MAX),
            limit: u64::try_from(limit).ok().filter(|limit| *limit > 0),
            original_to: config.bool("enable_original_recipient")?,
            strict_ownership: config.bool("strict_mailbox_ownership")?,
            locking: Locking::from_config(config, "virtual_mailbox_lock")?,
            delimiters: config.text("recipient_delimiter")?,
        })
    }

    fn deliver(&self, request: &Request, report: &mut dyn FnMut(Report)) -> Done {
        let timing = Timing { started: SystemTime::now(), connected: None };
        let mut message = self.queue.open_message(request.queue, &request.id, request.content_offset).and_then(|mut content| {
            let delivered = Delivered::read(&mut content).map_err(|e| std::io::Error::other(e.to_string()))?;
            Ok((content, delivered))
        });
        for (index, recipient) in request.recipients.iter().enumerate() {
            let result = match &mut message {
                Ok((content, delivered)) => self.deliver_one(request, recipient, content, delivered),
                Err(e) => Result::Failed { status: "4.3.0".into(), text: format!("cannot open queue file: {e}") },
            };
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let relay: &BStr = self.relay.as_bstr();
            let mut reporter = self.reporter.over(1, None);
            if let Ok((content, _)) = &message {
                reporter = reporter.marking(content);
            }
            report(match result {
                Result::Sent(text) => {
                    let dsn = Dsn { status: "2.0.0".into(), action: "delivered".into(), reason: text.into(), ..Dsn::default() };
                    reporter.sent(request, index, relay, timing, dsn)
                }
                Result::Failed { status, text } => {
                    let for_now = status.starts_with('4');
                    let dsn = Dsn { status, reason: text.into(), ..Dsn::default() };
                    if for_now {
                        reporter.deferred(request, index, relay, timing, dsn)
                    } else {
                        reporter.bounced(request, index, relay, timing, dsn)
                    }
                }
            });
        }
        Done::default()
    }
}

impl Virtual {
    fn deliver_one(&self, request: &Request, recipient: &Recipient, content: &mut Content, delivered: &Delivered) -> Result {
        let address = &recipient.address;
        if delivered.contains(address) {
            return Result::Failed { status: "5.4.6".into(), text: format!("mail forwarding loop for {address}") };
        }
        let (path, owner) = match self.find(address) {
            Ok(Some(found)) => found,
            Ok(None) => return Result::Failed { status: "5.1.1".into(), text: format!("unknown user: \"{address}\"") },
            Err(Trouble::Table) => return Result::Failed { status: "4.3.0".into(), text: "mail system configuration error".into() },
            Err(Trouble::Settings) => return Result::Failed { status: "4.3.5".into(), text: "mail system configuration error".into() },
        };
        let to_maildir = path.as_os_str().as_bytes().ends_with(b"/");
        if request.probe {
            return Result::Sent(if to_maildir { "delivers to maildir" } else { "delivers to mailbox" });
        }
        if let Err(e) = content.rewind() {
            return Result::Failed { status: "4.3.0".into(), text: format!("cannot read queue file: {e}") };
        }
        let original = self.original_to.then_some(&recipient.original);
        if to_maildir {
            let copy = Copy::maildir(&request.sender, original, Some(address.clone()));
            return match maildir::deliver(&path, owner, &self.host, self.limit, &copy, content, &self.log) {
                Ok(()) => Result::Sent("delivered to maildir"),
                Err(e) => failed("maildir delivery failed", e),
            };
        }
        let copy = Copy::mailbox(&request.sender, original, Some(address.clone()));
        let mailbox = Mailbox {
            path: &path,
            open_as: owner,
            create_as: owner,
            give_to: None,
            owner: self.strict_ownership.then_some(owner.uid),
            lock_required: true,
            refuse_executable: false,
            size_limit: self.limit,
            locking: &self.locking,
        };
        match mailbox.append(&copy, content, &self.log) {
            Ok(_) => Result::Sent("delivered to mailbox"),
            Err(e) => failed(&format!("delivery failed to mailbox {}", path.display()), e),
        }
    }

    /// The mailbox and its owner; `None` for an unknown user.
    fn find(&self, address: &Address) -> std::result::Result<Option<(PathBuf, Identity)>, Trouble> {
        let search = AddressSearch::rewriting(&self.delimiters, LocalPart::Never);
        let Some(name) = self.mailboxes.find_address(address, &search).map_err(|e| self.table_trouble(&e))? else { return Ok(None) };
        let number = |maps: &Maps, title: &str, what: &str, least: u32| {
            let found = maps.find_address(address, &search).map_err(|e| self.table_trouble(&e))?;
            let Some(found) = found else {
                warn!(self.log, "recipient {address}: not found in {title}");
                return Err(Trouble::Settings);
            };
            match found.value.to_str().ok().and_then(|text| text.parse::<u32>().ok()) {
                Some(id) if id >= least => Ok(id),
                _ => {
                    warn!(self.log, "recipient {address}: bad {what} {} in {title}", found.value);
                    Err(Trouble::Settings)
                }
            }
        };
        let uid = number(&self.uids, "virtual_uid_maps", "uid", self.minimum_uid)?;
        let gid = number(&self.gids, "virtual_gid_maps", "gid", 1)?;
        // Plain concatenation, as Postfix does it: a leading "/" in the table must not leave the base folder.
        let mut path = self.base.as_os_str().as_bytes().to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&name.value);
        Ok(Some((PathBuf::from(OsStr::from_bytes(&path)), Identity { uid, gid })))
    }

    fn table_trouble(&self, error: &TableError) -> Trouble {
        warn!(self.log, "{error}");
        Trouble::Table
    }
}

enum Trouble {
    /// A table could not be asked.
    Table,
    /// A table says what cannot be.
    Settings,
}

/// Postfix's virtual(8) tries again whatever went wrong with a mailbox, save where it is full.
fn failed(what: &str, error: MailboxError) -> Result {
    let status = if error.status.starts_with("5.2.2") {
        error.status
    } else if error.status.starts_with('5') {
        "4.2.0"
    } else {
        error.status
    };
    Result::Failed { status: status.into(), text: format!("{what}: {}", error.text) }
}
