//! postlock(1): runs a command while a mailbox is locked, with the locks that local(8) uses.

use posthaste_cli::{Getopt, Manual, Opt, until_operand};
use posthaste_config::{Config, directory, system_reason};
use posthaste_delivery::mailbox::{Locking, Mailbox};
use posthaste_log::{Logger, fatal};
use posthaste_system::credentials::Identity;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "postlock",
    section: 1,
    summary: "lock a mailbox and run a command",
    synopsis: &["postlock [-c config_dir] [-l lock_style] [-v] file command..."],
    description: "Locks the file for exclusive access, in the ways that local(8) does, runs the command (without a shell), and unlocks the file. A file \
                  that is not there is made.",
    options: &[
        Opt { flag: "-c", argument: "config_dir", text: "The directory of main.cf." },
        Opt { flag: "-l", argument: "lock_style", text: "A list of flock, fcntl and dotlock instead of mailbox_delivery_lock." },
        Opt { flag: "-v", argument: "", text: "Accepted for compatibility." },
    ],
    sections: &[
        (
            "EXIT STATUS",
            "That of the command; 1 when it cannot be started or was killed; 75 (EX_TEMPFAIL) when the file cannot be locked or something else is wrong.",
        ),
        ("ENVIRONMENT", "MAIL_CONFIG: as -c."),
        ("PARAMETERS", "deliver_lock_attempts, deliver_lock_delay, mailbox_delivery_lock, stale_lock_time"),
        ("SEE ALSO", "local(8), postconf(1) (-l)"),
    ],
};

const USAGE: &str = "usage: postlock [-c config_dir] [-l lock_style] [-v] folder command...";
/// EX_TEMPFAIL of `<sysexits.h>`.
const TEMPORARY_FAILURE: u8 = 75;

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if arguments.get(1).is_some_and(|argument| argument == "--help") {
        let _ = io::stdout().write_all(MANUAL.help().as_bytes());
        return ExitCode::SUCCESS;
    }
    posthaste_log::early(false, true);
    let log = Logger::new("postlock");
    match run(arguments, &log) {
        Ok(status) => status.into(),
        Err(text) => {
            fatal!(log, "{text}");
            TEMPORARY_FAILURE.into()
        }
    }
}

fn run(arguments: Vec<OsString>, log: &Logger) -> Result<u8, String> {
    let (mut directory, mut style) = (None, None);
    let (options, operands) = until_operand(arguments, &['c', 'l']);
    for option in Getopt::new(options, OPTIONS) {
        match option {
            Ok((b'c', value)) => directory = value.map(PathBuf::from),
            Ok((b'l', value)) => style = value.map(|value| value.to_string_lossy().into_owned()),
            Ok(_) => {}
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                return Err(USAGE.to_owned());
            }
        }
    }
    let [file, program, arguments @ ..] = &operands[..] else { return Err(USAGE.to_owned()) };
    let config = Config::open(&directory::config_directory(directory.as_deref())).map_err(|error| error.to_string())?;
    let locking = locking(&config, style.as_deref())?;
    let me = Identity::effective();
    let mailbox = Mailbox {
        path: Path::new(file),
        open_as: me,
        create_as: me,
        give_to: None,
        owner: None,
        lock_required: true,
        refuse_executable: false,
        size_limit: None,
        locking: &locking,
    };
    let lock = mailbox.lock(log).map_err(|error| format!("open file {}: {}", Path::new(file).display(), error.text))?;
    let status = Command::new(program).args(arguments).status();
    drop(lock);
    match status {
        Ok(status) => Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            fatal!(log, "execvp {}: {}", Path::new(program).display(), system_reason(&error));
            Ok(1)
        }
    }
}

const OPTIONS: &str = "c:l:v";

fn locking(config: &Config, style: Option<&str>) -> Result<Locking, String> {
    let text = |error: posthaste_config::ConfigError| error.to_string();
    match style {
        None => Locking::from_config(config, "mailbox_delivery_lock").map_err(text),
        Some("") => {
            let mut locking = Locking::from_config(config, "mailbox_delivery_lock").map_err(text)?;
            (locking.flock, locking.fcntl, locking.dotlock) = (false, false, false);
            Ok(locking)
        }
        Some(style) => {
            let config = config.with_overrides([("mailbox_delivery_lock", style)]).map_err(text)?;
            Locking::from_config(&config, "mailbox_delivery_lock").map_err(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(folder: &Path, words: &[&str]) -> Result<u8, String> {
        let start = ["postlock", "-c", folder.to_str().unwrap()];
        run(start.iter().chain(words).map(OsString::from).collect(), &Logger::new("postlock"))
    }

    // S-CMD-14; the texts are those of Postfix 3.7.11.
    #[test]
    fn the_command_runs_under_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let main = "mail_owner = daemon\nsetgid_group = games\ndeliver_lock_attempts = 1\ndeliver_lock_delay = 1s\n";
        std::fs::write(folder.path().join("main.cf"), main).unwrap();
        let file = folder.path().join("box");
        let name = file.to_str().unwrap();
        let lock_name = format!("{name}.lock");
        assert_eq!(lock(folder.path(), &[name, "test", "-f", &lock_name]), Ok(0));
        assert_eq!(lock(folder.path(), &["-l", "fcntl", name, "test", "-f", &lock_name]), Ok(1));
        assert_eq!(lock(folder.path(), &[name, "sh", "-c", "exit 7"]), Ok(7));
        assert_eq!(lock(folder.path(), &[name, "sh", "-c", "kill -9 $$"]), Ok(1));
        assert_eq!(lock(folder.path(), &[name, "/nosuch/command"]), Ok(1));
        assert!(file.exists() && !Path::new(&lock_name).exists());
        assert_eq!(
            lock(folder.path(), &[name, "true", "-x"]).and_then(|_| lock(folder.path(), &["/nosuch/x", "true"])),
            Err("open file /nosuch/x: unable to create lock file /nosuch/x.lock: No such file or directory".to_owned())
        );
        // Nested, the second cannot have it.
        std::fs::write(&lock_name, "").unwrap();
        assert_eq!(
            lock(folder.path(), &[name, "true"]),
            Err(format!("open file {name}: unable to create lock file {lock_name}: File exists"))
        );
        assert_eq!(lock(folder.path(), &["-lfoo", name, "true"]), Err("unknown mailbox_delivery_lock value \"foo\" in \"foo\"".to_owned()));
        assert_eq!(lock(folder.path(), &[name]), Err(USAGE.to_owned()));
    }
}
