//! postqueue(1): lists and flushes the queue. Set-gid, so that anybody may reach the services that do it.

mod flush;
mod list;
mod print;
mod trace;

use posthaste_cli::{Getopt, Manual, Opt};
use posthaste_config::Config;
use posthaste_log::{Logger, fatal};
use posthaste_queue::QueueId;
use posthaste_table::StringList;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "postqueue",
    section: 1,
    summary: "Postfix queue control",
    synopsis: &[
        "postqueue [-v] [-c config_dir] -f",
        "postqueue [-v] [-c config_dir] -i queue_id",
        "postqueue [-v] [-c config_dir] -s site",
        "postqueue [-v] [-c config_dir] -j",
        "postqueue [-v] [-c config_dir] -p",
    ],
    description: "The user interface for queue management: what does not change messages. See postsuper(1) for what does.",
    options: &[
        Opt { flag: "-c", argument: "config_dir", text: "The directory of main.cf. Other than the default only as far as that allows it." },
        Opt {
            flag: "-f",
            argument: "",
            text: "Flush the queue: try to deliver all mail now. Done often for mail that cannot be delivered, this slows all other mail down.",
        },
        Opt { flag: "-i", argument: "queue_id", text: "Try to deliver the deferred message with this id now." },
        Opt { flag: "-j", argument: "", text: "List the queue, one JSON object a line for each message." },
        Opt {
            flag: "-p",
            argument: "",
            text: "List the queue for people: id, size, arrival time, sender, and the recipients that are not done, each after the reason, if known, why \
                   delivery failed. After the id, * is a message in the active queue, ! one on hold, # one that is forced to expire.",
        },
        Opt {
            flag: "-s",
            argument: "site",
            text: "Try to deliver all mail for this destination now. It must be listed in fast_flush_domains; an address is written in [].",
        },
        Opt { flag: "-v", argument: "", text: "Verbose logging, for the superuser only: also what showq(8) says, item by item." },
    ],
    sections: &[
        (
            "JSON OBJECT FORMAT",
            "queue_name: the queue where the message was found.\n\nqueue_id: its name, which may be used again unless enable_long_queue_ids=yes.\n\n\
             arrival_time: seconds since 1970, a number.\n\nmessage_size: bytes of header and body, a number.\n\nforced_expire: a boolean.\n\n\
             sender: the envelope sender, MAILER-DAEMON for the empty one.\n\n\
             recipients: an array of objects with address, with orig_address where rewriting changed it, and with delay_reason or bounce_reason where there \
             is one.",
        ),
        ("EXIT STATUS", "0, or 69 after an error."),
        ("ENVIRONMENT", "MAIL_CONFIG: as -c."),
        (
            "PARAMETERS",
            "authorized_flush_users, authorized_mailq_users, empty_address_recipient, enable_long_queue_ids, fast_flush_domains, trigger_timeout, \
             alternate_config_directories, queue_directory, showq_service_name, flush_service_name, queue_service_name",
        ),
        ("SEE ALSO", "sendmail(1), postsuper(1), postcat(1), showq(8), flush(8), qmgr(8)"),
    ],
};

const USAGE: &str = "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";
/// EX_UNAVAILABLE, for every error.
const UNAVAILABLE: u8 = 69;

enum Mode {
    List { json: bool },
    Flush,
    File(String),
    Site(String),
}

/// Who calls.
struct Caller {
    uid: u32,
    name: String,
}

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let mut log = posthaste_cli::early("postqueue");
    match run(arguments, &mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            fatal!(log, "{text}");
            ExitCode::from(UNAVAILABLE)
        }
    }
}

fn run(arguments: Vec<OsString>, log: &mut Logger) -> Result<(), String> {
    if arguments.iter().skip(1).any(|argument| argument == "--help") {
        let _ = io::stdout().write_all(MANUAL.help().as_bytes());
        return Ok(());
    }
    let uid = rustix::process::getuid();
    let (mut mode, mut directory, mut verbose) = (None, None, 0);
    let mut getopt = Getopt::new(arguments, "c:fi:jps:v");
    for option in getopt.by_ref() {
        let (letter, value) = option.map_err(|error| {
            let _ = writeln!(io::stderr(), "{error}");
            USAGE.to_owned()
        })?;
        let value = value.unwrap_or_default();
        let text = || value.to_string_lossy().into_owned();
        let wanted = match letter {
            b'c' => {
                directory = Some(PathBuf::from(value));
                continue;
            }
            b'v' => {
                verbose += u32::from(uid.is_root());
                continue;
            }
            b'f' => Mode::Flush,
            b'i' => Mode::File(text()),
            b's' => Mode::Site(text()),
            letter => Mode::List { json: letter == b'j' },
        };
        if mode.replace(wanted).is_some() {
            return Err(USAGE.into());
        }
    }
    if !getopt.operands().is_empty() {
        return Err(USAGE.into());
    }
    let (config, logger) =
        posthaste_cli::start_set_gid("postqueue", directory.as_deref(), uid.is_root()).map_err(|error| error.to_string())?;
    *log = logger.with_verbose(verbose);
    config.check("postqueue", false).map_err(|error| error.to_string())?;
    let mode = mode.ok_or(USAGE)?;
    posthaste_cli::show_interfaces(log);
    let user = posthaste_system::users::by_uid(uid.as_raw()).ok().flatten();
    let caller = Caller { uid: uid.as_raw(), name: user.map_or_else(|| "unknown".into(), |user| user.name) };
    match mode {
        Mode::List { json } => {
            authorize(&config, &caller, "authorized_mailq_users", "view the mail queue")?;
            list::list(&config, json, &caller, log)
        }
        Mode::Flush => {
            authorize(&config, &caller, "authorized_flush_users", "flush the mail queue")?;
            flush::all(&config)
        }
        Mode::File(id) => {
            authorize(&config, &caller, "authorized_flush_users", "flush the mail queue")?;
            let id = QueueId::parse(&id).ok_or_else(|| format!("Cannot flush queue ID - invalid name: \"{id}\""))?;
            flush::file(&config, id, log)
        }
        Mode::Site(site) => {
            authorize(&config, &caller, "authorized_flush_users", "flush the mail queue")?;
            flush::site(&config, &site, log)
        }
    }
}

fn authorize(config: &Config, caller: &Caller, parameter: &str, what: &str) -> Result<(), String> {
    let value = config.text(parameter).map_err(|error| error.to_string())?;
    // The default needs no table, and root needs no permission.
    if value == "static:anyone" || caller.uid == 0 {
        return Ok(());
    }
    match StringList::ask(parameter, &value, caller.name.as_str().into(), config) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("User {}({}) is not allowed to {what}", caller.name, caller.uid)),
        Err(fault) => Err(fault.text()),
    }
}
