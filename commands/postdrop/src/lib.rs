//! postdrop(1): puts a message into maildrop. Set-gid, so everything it reads is hostile.
//!
//! What it says on standard output, in Postfix's form of `name NUL value NUL` with an empty name at the end of a list: first
//! `protocol`=`postdrop_protocol` and `queue_id`; when the end record has come and the message is safe, or has been refused, `status` (0 stored,
//! 1 no sender or recipient, 2 not written, 4 too large, 512 sender not allowed) and `reason`. End of input before the end record cancels the
//! submission. Whatever goes wrong, no file stays behind.

mod filter;
mod input;
mod sender;

use filter::{Filter, Verdict};
use input::{Input, InputError};
use posthaste_cli::{Getopt, Manual, Opt};
use posthaste_config::{Config, system_reason};
use posthaste_log::{Logger, fatal, warn};
use posthaste_queue::commit::Committer;
use posthaste_queue::{Queue, QueueName, RecordType, Writer};
use posthaste_table::StringList;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "postdrop",
    section: 1,
    summary: "Postfix mail posting utility",
    synopsis: &["postdrop [-rv] [-c config_dir]"],
    description: "Creates a file in the maildrop directory and copies its standard input to it, record by record. It is what sendmail(1) uses to submit \
                  mail, and runs with the rights of the group setgid_group.",
    options: &[
        Opt { flag: "-c", argument: "config_dir", text: "The directory of main.cf. Other than the default only as far as that allows it." },
        Opt { flag: "-r", argument: "", text: "Read records and report the result on standard output. The only way that is supported." },
        Opt { flag: "-v", argument: "", text: "Verbose logging, for the superuser only." },
    ],
    sections: &[
        (
            "DIAGNOSTICS",
            "Malformed input is a fatal error. When the input is incomplete, or on a HUP, INT, QUIT or TERM signal, nothing is stored.",
        ),
        (
            "EXIT STATUS",
            "0, also for a submission that was cancelled; 1 after a fatal error; otherwise the low eight bits of the status on standard output.",
        ),
        ("ENVIRONMENT", "MAIL_CONFIG: as -c."),
        (
            "PARAMETERS",
            "authorized_submit_users, local_login_sender_maps, empty_address_local_login_sender_maps_lookup_key, message_size_limit, line_length_limit, \
             recipient_delimiter, pickup_service_name, trigger_timeout; alternate_config_directories, queue_directory",
        ),
        ("SEE ALSO", "sendmail(1), pickup(8)"),
    ],
};

const USAGE: &str = "usage: postdrop [-c config_dir] [-v]";
const STORED: u32 = 0;
const BAD: u32 = 1;
const NOT_WRITTEN: u32 = 2;
const TOO_LARGE: u32 = 4;
const REFUSED: u32 = 512;

/// How a submission ends, where it does not end with a stored message.
enum End {
    /// No answer is wanted any more.
    Cancelled,
    /// A status and a reason for the caller.
    Status(u32, String),
    /// The caller breaks the rules, or the environment is wrong.
    Fatal(String),
}

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let mut log = posthaste_cli::early("postdrop");
    match run(arguments, &mut log) {
        // Its low bits, as ever; callers read it from standard output.
        Ok(status) => ExitCode::from(status as u8),
        Err(text) => {
            fatal!(log, "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>, log: &mut Logger) -> Result<u32, String> {
    if arguments.iter().skip(1).any(|argument| argument == "--help") {
        let _ = io::stdout().write_all(MANUAL.help().as_bytes());
        return Ok(STORED);
    }
    let (mut directory, mut verbose) = (None, 0);
    let uid = rustix::process::getuid();
    let mut getopt = Getopt::new(arguments, "c:rv");
    for option in getopt.by_ref() {
        match option {
            Ok((b'c', value)) => directory = value.map(PathBuf::from),
            Ok((b'v', _)) if uid.is_root() => verbose += 1,
            Ok(_) => (),
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                return Err(USAGE.into());
            }
        }
    }
    let (config, logger) =
        posthaste_cli::start_set_gid("postdrop", directory.as_deref(), uid.is_root()).map_err(|error| error.to_string())?;
    *log = logger.with_verbose(verbose);
    let uid = uid.as_raw();
    let user = posthaste_system::users::by_uid(uid).ok().flatten().map(|user| user.name);
    authorize(&config, uid, user.as_deref())?;
    // Before any file exists: from here on these signals are read, not obeyed.
    let mut input = Input::new().map_err(|error| format!("signals: {}", system_reason(&error)))?;
    let queue = Queue::open(&config).map_err(|error| error.to_string())?;
    let rules = Rules::new(&config, user.unwrap_or_else(|| format!("uid:{uid}"))).map_err(|error| error.to_string())?;
    let mut file = queue
        .create(QueueName::Maildrop)
        .map_err(|error| format!("create a file in {}/maildrop: {}", queue.settings.queue_directory.display(), system_reason(&error)))?;
    let reply = |list: &[(&str, &str)]| {
        let mut text: Vec<u8> = list.iter().flat_map(|(name, value)| [name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat()).collect();
        text.push(0);
        // A caller who does not listen gets no message stored: it could not tell.
        io::stdout()
            .write_all(&text)
            .and_then(|()| io::stdout().flush())
            .map_err(|error| format!("uid={uid}: write: {}", system_reason(&error)))
    };
    reply(&[("protocol", "postdrop_protocol"), ("queue_id", file.id().as_str())])?;
    let (status, reason) = match copy(&mut input, &mut file, &rules, uid, log).and_then(|()| store(file, uid, log)) {
        Ok(()) => (STORED, String::new()),
        Err(End::Cancelled) => return Ok(STORED),
        Err(End::Fatal(text)) => return Err(text),
        Err(End::Status(status, reason)) => {
            // The caller reads the reason when it has written everything.
            input.drain();
            (status, reason)
        }
    };
    reply(&[("status", &status.to_string()), ("reason", &reason)])?;
    if status == STORED {
        wake_pickup(&config, log);
    }
    Ok(status)
}

fn authorize(config: &Config, uid: u32, user: Option<&str>) -> Result<(), String> {
    let name = "authorized_submit_users";
    let value = config.text(name).map_err(|error| error.to_string())?;
    // The default needs no table.
    if value == "static:anyone" {
        return Ok(());
    }
    let user = user.unwrap_or("unknown");
    match StringList::ask(name, &value, user.into(), config) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("User {user}({uid}) is not allowed to submit mail")),
        Err(fault) => Err(fault.text()),
    }
}

/// Limits and permissions of this submission.
struct Rules {
    line_length: usize,
    size: Option<u64>,
    senders: sender::Allowed,
}

impl Rules {
    fn new(config: &Config, user: String) -> Result<Rules, posthaste_config::ConfigError> {
        Ok(Rules {
            line_length: usize::try_from(config.int("line_length_limit")?).unwrap_or(2048),
            size: u64::try_from(config.int("message_size_limit")?).ok().filter(|&limit| limit > 0),
            senders: sender::Allowed::new(config, user)?,
        })
    }
}

/// Copies records up to the end record.
fn copy(input: &mut Input, file: &mut Writer, rules: &Rules, uid: u32, log: &Logger) -> Result<(), End> {
    let created = file.created().duration_since(UNIX_EPOCH).unwrap_or_default();
    let failed = |error: &io::Error| {
        warn!(log, "uid={uid}: {}", system_reason(error));
        End::Status(NOT_WRITTEN, String::new())
    };
    file.record(RecordType::TIME, format!("{} {}", created.as_secs(), created.subsec_micros()).as_bytes())
        .map_err(|error| failed(&error))?;
    let mut filter = Filter::default();
    let mut payload = Vec::new();
    loop {
        let kind = match input.record(&mut payload, rules.line_length) {
            Ok(Some(kind)) => kind,
            Ok(None) | Err(InputError::Signal) => return Err(End::Cancelled),
            Err(InputError::Malformed(text)) => {
                warn!(log, "stdin: {text}");
                return Err(End::Fatal(format!("uid={uid}: malformed input")));
            }
            Err(InputError::Io(error)) => return Err(End::Fatal(format!("uid={uid}: read: {}", system_reason(&error)))),
        };
        match filter.judge(kind, &payload) {
            Verdict::Copy => (),
            Verdict::Skip(reason) => {
                warn!(log, "uid={uid}: {reason}");
                continue;
            }
            Verdict::Refuse(reason) => return Err(End::Fatal(format!("uid={uid}: {reason}"))),
        }
        if kind == RecordType::SENDER
            && !rules.senders.contains(&payload).map_err(|error| {
                warn!(log, "{error}");
                End::Status(NOT_WRITTEN, "sender authorization is temporarily not possible".into())
            })?
        {
            return Err(End::Status(REFUSED, format!("not authorized to use sender='{}'", String::from_utf8_lossy(&payload))));
        }
        file.record(kind, &payload).map_err(|error| failed(&error))?;
        if rules.size.is_some_and(|limit| file.offset() > limit) {
            warn!(log, "uid={uid}: File too large");
            return Err(End::Status(TOO_LARGE, String::new()));
        }
        if kind == RecordType::END {
            return if filter.is_complete() { Ok(()) } else { Err(End::Status(BAD, String::new())) };
        }
    }
}

/// Returns when the message is on stable storage.
fn store(file: Writer, uid: u32, log: &Logger) -> Result<(), End> {
    file.complete(QueueName::Maildrop).and_then(Committer::commit_now).map_err(|error| {
        warn!(log, "uid={uid}: {}", system_reason(&error));
        End::Status(NOT_WRITTEN, String::new())
    })
}

/// pickup looks into maildrop once a minute in any case, so a failure here delays the message and no more.
fn wake_pickup(config: &Config, log: &Logger) {
    let (Ok(service), Ok(timeout)) = (config.text("pickup_service_name"), config.time("trigger_timeout")) else { return };
    let path = config.queue_directory().join("public").join(service);
    match posthaste_ipc::trigger::send(&path, b"W", timeout) {
        // The mail system is not running; it will find the message when it does.
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused) => (),
        Err(error) => {
            warn!(log, "unable to look up public/{}: {}", path.file_name().unwrap_or_default().to_string_lossy(), system_reason(&error))
        }
        Ok(()) => (),
    }
}
