//! postsuper(1): maintenance of the queue.

mod actions;
mod repair;
#[cfg(test)]
mod tests;

use actions::{Action, Counts};
use posthaste_cli::{Getopt, Manual, Opt};
use posthaste_log::{Logger, fatal, info, warn};
use posthaste_queue::{Queue, QueueName};
use posthaste_system::credentials::Identity;
use repair::Structure;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "postsuper",
    section: 1,
    summary: "Postfix superintendent",
    synopsis: &[
        "postsuper [-psSv] [-c config_dir] [-d queue_id] [-e queue_id] [-f queue_id] [-h queue_id] [-H queue_id] [-r queue_id] [queue...]",
    ],
    description: "Maintains the queue. Only the superuser may use it; see postqueue(1) for what everybody may do.\n\n\
                  Without an option for an operation it does those of -s and -p on all queues: incoming, active, deferred and hold with \
                  messages, maildrop with submissions, bounce, defer, trace and flush with logs.\n\n\
                  A queue_id may be - to read ids from standard input, one a line, or ALL (in upper case) for all messages of the queues. \
                  Options with a queue_id may be given several times.\n\n\
                  Queue ids are reused, always with enable_long_queue_ids=no: a message that is deleted by its id while mail is being \
                  delivered can, with a very small probability, be a newer one.",
    options: &[
        Opt { flag: "-c", argument: "config_dir", text: "The directory of main.cf." },
        Opt {
            flag: "-d",
            argument: "queue_id",
            text: "Delete a message from the named queues (default: hold, incoming, active and deferred), its logs first.",
        },
        Opt {
            flag: "-e",
            argument: "queue_id",
            text: "Force-expire a message in the named queues (default: hold, incoming, active and deferred): at its next delivery attempt it is \
                   returned to the sender. A message on hold stays there.",
        },
        Opt { flag: "-f", argument: "queue_id", text: "As -e, and release the message if it is on hold." },
        Opt {
            flag: "-h",
            argument: "queue_id",
            text: "Put a message on hold: move it from the named queues (default: incoming, active and deferred) to the hold queue, where no \
                   attempt is made to deliver it, and where it does not expire.",
        },
        Opt { flag: "-H", argument: "queue_id", text: "Release a message from hold: move it to the deferred queue." },
        Opt { flag: "-p", argument: "", text: "Purge temporary files of more than seven days that a crash has left." },
        Opt {
            flag: "-r",
            argument: "queue_id",
            text: "Requeue a message from the named queues (default: hold, incoming, active and deferred): move it to maildrop, from where it goes \
                   through address rewriting and content_filter again and gets a new queue id. Milters do not see it again.",
        },
        Opt {
            flag: "-s",
            argument: "",
            text: "Check and repair the structure: rename files whose name does not match their inode number (after a restore), move files \
                   that are in the wrong place (after a change of hash_queue_names or hash_queue_depth), remove directories that are no longer \
                   needed, turn long queue ids into short ones with enable_long_queue_ids=no. To be done once before each start. \
                   -p, -s and -S are done before everything else.",
        },
        Opt { flag: "-S", argument: "", text: "As -s, but long names too must match the inode number." },
        Opt { flag: "-v", argument: "", text: "Verbose logging." },
    ],
    sections: &[
        ("EXIT STATUS", "0, or 1 after an error. An id that is not there is no error; the counts tell."),
        ("ENVIRONMENT", "MAIL_CONFIG: the directory of main.cf."),
        ("SEE ALSO", "postqueue(1), sendmail(1), postcat(1)"),
    ],
};

const USAGE: &str = "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] [-f queue_id (expire and/or un-hold)] \
                     [-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] \
                     [-S (redundant structure fix)][-v (verbose)] [queue...]";

/// All queues, logs before the messages they belong to.
const QUEUES: [QueueName; 9] = [
    QueueName::Defer,
    QueueName::Bounce,
    QueueName::Trace,
    QueueName::Maildrop,
    QueueName::Incoming,
    QueueName::Active,
    QueueName::Deferred,
    QueueName::Hold,
    QueueName::Flush,
];

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let mut log = posthaste_cli::early("postsuper");
    let mut incomplete = false;
    match run(arguments, &mut log, &mut incomplete) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            fatal!(log, "{text}");
            if incomplete {
                warn!(log, "OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST");
            }
            ExitCode::FAILURE
        }
    }
}

/// Rootless mode: `mail_owner` is who runs this, and the queue is that user's own.
fn owns_the_queue(directory: Option<&Path>) -> bool {
    let config = posthaste_config::Config::load(&posthaste_config::directory::config_directory(directory));
    let owner = config.and_then(|config| config.text("mail_owner")).ok();
    let user = owner.and_then(|name| posthaste_system::users::by_name(&name).ok().flatten());
    user.is_some_and(|user| user.uid == rustix::process::getuid().as_raw())
}

/// `incomplete`: whether an error came between changes to the structure of the queue that belong together.
fn run(arguments: Vec<OsString>, log: &mut Logger, incomplete: &mut bool) -> Result<(), String> {
    if arguments.iter().skip(1).any(|argument| argument == "--help") {
        let _ = io::stdout().write_all(MANUAL.help().as_bytes());
        return Ok(());
    }
    let mut structure = Structure::default();
    let mut wanted: Vec<(Action, String)> = Vec::new();
    let (mut directory, mut verbose) = (None, 0);
    let mut getopt = Getopt::new(arguments, "c:d:e:f:h:H:pr:sSv");
    for option in getopt.by_ref() {
        let (letter, value) = option.map_err(|error| {
            let _ = writeln!(io::stderr(), "{error}");
            USAGE.to_owned()
        })?;
        let value = value.unwrap_or_default();
        match letter {
            b'c' => directory = Some(PathBuf::from(value)),
            b'p' => structure.purge = true,
            b's' => structure.repair = true,
            b'S' => (structure.repair, structure.redundant) = (true, true),
            b'v' => verbose += 1,
            letter => wanted.extend(Action::of(letter).map(|action| (action, value.to_string_lossy().into_owned()))),
        }
    }
    if !rustix::process::getuid().is_root() && !owns_the_queue(directory.as_deref()) {
        return Err("use of this command is reserved for the superuser".into());
    }
    let (config, logger) = posthaste_cli::start("postsuper", directory.as_deref()).map_err(|error| error.to_string())?;
    *log = logger.with_verbose(verbose);
    let operands = getopt.operands();
    let named: Vec<QueueName> = operands
        .iter()
        .map(|name| {
            let known = QUEUES.into_iter().find(|queue| name == queue.as_str());
            known.ok_or_else(|| format!("invalid directory name: {}", name.to_string_lossy()))
        })
        .collect::<Result<_, _>>()?;
    // The files are mail_owner's, and so must be what is made here.
    let owner = config.text("mail_owner").map_err(|error| error.to_string())?;
    let user = posthaste_system::users::by_name(&owner)
        .map_err(|error| format!("mail_owner {owner}: {}", posthaste_config::system_reason(&error)))?
        .ok_or_else(|| format!("mail_owner {owner}: no such user"))?;
    posthaste_system::process::become_user(Identity { uid: user.uid, gid: user.gid })
        .map_err(|error| format!("become {owner}: {}", posthaste_config::system_reason(&error)))?;
    let queue = Queue::open(&config).map_err(|error| error.to_string())?;

    if wanted.is_empty() && !structure.purge && !structure.repair {
        (structure.purge, structure.repair) = (true, true);
    }
    if structure.purge || structure.repair {
        repair_all(&queue, &structure, if named.is_empty() { &QUEUES } else { &named }, log, incomplete)?;
    }
    let mut counts = Counts::default();
    for (action, ids) in &wanted {
        let queues = if named.is_empty() { action.queues() } else { &named };
        counts.asked(*action);
        match ids.as_str() {
            "ALL" => actions::all(&queue, *action, queues, &mut counts, log)?,
            "-" => {
                for line in io::stdin().lock().lines() {
                    let line = line.map_err(|error| format!("read standard input: {}", posthaste_config::system_reason(&error)))?;
                    actions::one(&queue, *action, queues, &line, &mut counts, log)?;
                }
            }
            id => actions::one(&queue, *action, queues, id, &mut counts, log)?,
        }
    }
    for line in counts.report() {
        info!(log, "{line}");
    }
    Ok(())
}

fn repair_all(queue: &Queue, structure: &Structure, queues: &[QueueName], log: &Logger, incomplete: &mut bool) -> Result<(), String> {
    let (done, result) = structure.run(queue, queues, log);
    let renamed = done.renamed;
    if renamed > 0 {
        info!(log, "Renamed to match inode number: {renamed} message{}", if renamed == 1 { "" } else { "s" });
    }
    if renamed > 0 && result.is_ok() {
        warn!(log, "QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
    }
    *incomplete = result.is_err() && done.changed;
    result
}
