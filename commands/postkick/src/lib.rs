//! postkick(1): wakes a service from a script.

use posthaste_cli::{Getopt, Manual, Opt};
use posthaste_config::{Config, directory, system_reason};
use posthaste_ipc::trigger;
use posthaste_log::{Logger, fatal, warn};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "postkick",
    section: 1,
    summary: "wake a service of the mail system",
    synopsis: &["postkick [-c config_dir] [-v] class service request"],
    description: "Sends a request to a service. The class is public or private, the service a name in master.cf; which requests there are depends on \
                  the service. pickup and qmgr understand W (look at the queue), qmgr also D (deferred mail), F (forget dead destinations) and A \
                  (ignore the time of the next try).",
    options: &[
        Opt { flag: "-c", argument: "config_dir", text: "The directory of main.cf." },
        Opt { flag: "-v", argument: "", text: "Accepted for compatibility." },
    ],
    sections: &[
        ("EXIT STATUS", "0 when the request was sent, else 1, with the reason on standard error."),
        ("ENVIRONMENT", "MAIL_CONFIG: as -c."),
        ("FILES", "$queue_directory/private, $queue_directory/public"),
        ("PARAMETERS", "application_event_drain_time, queue_directory"),
        ("SEE ALSO", "qmgr(8), pickup(8)"),
    ],
};

const USAGE: &str = "usage: postkick [-c config_dir] [-v] class service request";

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if arguments.iter().skip(1).any(|argument| argument == "--help") {
        let _ = io::stdout().write_all(MANUAL.help().as_bytes());
        return ExitCode::SUCCESS;
    }
    posthaste_log::early(false, true);
    let log = Logger::new("postkick");
    match run(arguments, &log) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            fatal!(log, "{text}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the service was reached.
fn run(arguments: Vec<OsString>, log: &Logger) -> Result<bool, String> {
    let mut directory = None;
    let mut getopt = Getopt::new(arguments, "c:v");
    for option in getopt.by_ref() {
        match option {
            Ok((b'c', value)) => directory = value.map(PathBuf::from),
            Ok(_) => {}
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                return Err(USAGE.to_owned());
            }
        }
    }
    let [class, service, request] = &getopt.operands()[..] else { return Err(USAGE.to_owned()) };
    let config = Config::open(&directory::config_directory(directory.as_deref())).map_err(|error| error.to_string())?;
    let timeout = config.time("application_event_drain_time").map_err(|error| error.to_string())?;
    let name = PathBuf::from(class).join(service);
    let path = config.queue_directory().join(&name);
    let result = std::fs::metadata(&path)
        .map_err(|error| format!("unable to look up {}: {}", name.display(), system_reason(&error)))
        .and_then(|_| {
            let sent = trigger::send(&path, request.as_bytes(), timeout);
            sent.map_err(|error| format!("connect to {}: {}", name.display(), system_reason(&error)))
        });
    let Err(reason) = result else { return Ok(true) };
    warn!(log, "{reason}");
    let (class, service) = (class.to_string_lossy(), service.to_string_lossy());
    warn!(log, "Cannot contact class {class} service {service} - perhaps the mail system is down");
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    fn kick(folder: &std::path::Path, words: &[&str]) -> Result<bool, String> {
        let start = ["postkick", "-c", folder.to_str().unwrap()];
        run(start.iter().chain(words).map(OsString::from).collect(), &Logger::new("postkick"))
    }

    // S-CMD-13
    #[test]
    fn the_request_reaches_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("main.cf"),
            format!("mail_owner = daemon\nsetgid_group = games\nqueue_directory = {}\n", folder.path().display()),
        )
        .unwrap();
        std::fs::create_dir(folder.path().join("public")).unwrap();
        let listener = UnixListener::bind(folder.path().join("public/pickup")).unwrap();
        assert_eq!(kick(folder.path(), &["public", "pickup", "W"]), Ok(true));
        let mut got = String::new();
        listener.accept().unwrap().0.read_to_string(&mut got).unwrap();
        assert_eq!(got, "W");
        assert_eq!(kick(folder.path(), &["public", "nosuch", "W"]), Ok(false));
        assert_eq!(kick(folder.path(), &["public", "pickup"]), Err(USAGE.to_owned()));
        drop(listener);
        assert_eq!(kick(folder.path(), &["public", "pickup", "W"]), Ok(false));
    }
}
