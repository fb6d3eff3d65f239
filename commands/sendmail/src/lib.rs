//! sendmail(1), mailq(1), newaliases(1): the interface that other programs expect of a mail system.
//!
//! - `options`: the command line; `manual`: its manual.
//! - `submit`: reads a message and hands it to postdrop(1); `message` makes the records.
//! - `run`: all else is done by another program: postqueue, postalias, smtpd, postfix.

pub mod manual;
mod message;
mod options;
mod run;
mod submit;

use options::{Mode, Options};
use posthaste_config::{Config, directory};
use posthaste_log::{Kind, Logger};
use posthaste_system::users::{self, User};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Every fatal error ends with EX_TEMPFAIL: Postfix's clean-up leaves with it before another status takes effect, and callers know it so.
const TEMPFAIL: u8 = 75;

/// All has been said; exit status 75.
struct Failed;

/// What every mode needs.
struct Place {
    config: Config,
    log: Logger,
    user: User,
}

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if arguments.iter().any(|a| a == "--help") {
        use std::io::Write;
        let _ = std::io::stdout().write_all(manual::MANUAL.help().as_bytes());
        return ExitCode::SUCCESS;
    }
    match begin(arguments) {
        Ok(code) => code,
        Err(Failed) => ExitCode::from(TEMPFAIL),
    }
}

fn begin(arguments: Vec<OsString>) -> Result<ExitCode, Failed> {
    posthaste_log::early(true, true);
    let name = arguments.first().map(|a| posthaste_cli::program_name(a)).unwrap_or_default();
    let early = Logger::with_whole_tag("sendmail").shown_as(&name);
    // Once for the configuration, once for everything else: faults are logged as the configuration says.
    let place = Place::open(options::config_option(arguments.clone()).as_deref(), &name, &early)?;
    let options = Options::parse(&name, arguments, &place.log)?;
    match options.mode {
        Mode::Submit | Mode::Verify => submit::submit(&place, &options),
        Mode::Daemon => run::daemon(&place),
        Mode::Ignored => Ok(ExitCode::SUCCESS),
        Mode::NewAliases => run::new_aliases(&place, &options),
        Mode::Queue | Mode::Flush | Mode::FlushId(_) | Mode::FlushSite(_) => run::queue(&place, &options),
        Mode::StandAlone => run::stand_alone(&place, &options),
    }
}

impl Place {
    fn open(given: Option<&Path>, name: &str, early: &Logger) -> Result<Place, Failed> {
        let fail = |text: String| {
            posthaste_log::fatal!(early, "{text}");
            Failed
        };
        let directory = given.map(folder_of);
        if let Some(directory) = &directory
            && directory != Path::new(directory::DEFAULT_DIRECTORY)
            && !rustix::process::geteuid().is_root()
            && directory::authorize(directory).is_err()
        {
            let (bad, default) = (directory.display(), Path::new(directory::DEFAULT_DIRECTORY).join("main.cf"));
            posthaste_log::error!(early, "unauthorized configuration directory name: {bad}");
            let default = default.display();
            return Err(fail(format!(
                "specify \"alternate_config_directories = {bad}\" or \"multi_instance_directories = {bad}\" in {default}"
            )));
        }
        let directory = directory::config_directory(directory.as_deref());
        let config = Config::open(&directory).map_err(|e| fail(e.to_string()))?;
        posthaste_log::open(&config, Kind::Command, true).map_err(|e| fail(e.to_string()))?;
        let log = Logger::program(&config, "sendmail").map_err(|e| fail(e.to_string()))?.shown_as(name);
        if let Err(error) = config.check("sendmail", false) {
            posthaste_log::fatal!(log, "{error}");
            return Err(Failed);
        }
        let uid = rustix::process::getuid().as_raw();
        let user = users::by_uid(uid).map_err(|e| fail(format!("user lookup for uid {uid}: {e}")))?;
        // A user whom nobody knows may send mail all the same, under the number.
        let user = user.unwrap_or_else(|| User {
            name: format!("unknown{uid}"),
            uid,
            gid: rustix::process::getgid().as_raw(),
            gecos: String::new(),
            password: String::new(),
            home: PathBuf::new(),
            shell: PathBuf::new(),
        });
        Ok(Place { config, log, user })
    }

    fn fail(&self, text: &str) -> Failed {
        posthaste_log::fatal!(self.log, "{text}");
        Failed
    }

    /// A text parameter.
    fn text(&self, name: &str) -> Result<String, Failed> {
        self.config.text(name).map_err(|e| self.fail(&e.to_string()))
    }
}

/// `-C` takes main.cf or its folder.
fn folder_of(given: &Path) -> PathBuf {
    match given.file_name() {
        Some(name) if name == "main.cf" || name == "sendmail.cf" => given.parent().unwrap_or(Path::new("/")).to_owned(),
        _ => given.to_owned(),
    }
}
