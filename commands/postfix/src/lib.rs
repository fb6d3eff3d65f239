//! postfix(1): starts, stops and looks after the mail system.
//!
//! What Postfix does in shell scripts (postfix-script, post-install) is done here: `control` for the running system, `check` for
//! directories and owners, `install` for permissions and configuration upgrades. Lines are logged as `postfix/postfix-script`.

mod check;
mod control;
mod install;
pub mod manual;
mod tls;

use posthaste_cli::{Getopt, until_operand};
use posthaste_config::{Config, directory};
use posthaste_log::{Kind, Logger, error, fatal};
use posthaste_system::credentials::Identity;
use posthaste_system::users;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where and with what rights a command works.
struct Place {
    config: Config,
    directory: PathBuf,
    queue: PathBuf,
    daemons: PathBuf,
    commands: PathBuf,
    data: PathBuf,
    /// `shlib_directory`; `None` when it is `no`.
    libraries: Option<PathBuf>,
    /// The user who owns the queue.
    owner: Identity,
    /// The group of postdrop and postqueue.
    setgid_group: u32,
    /// Not root, and `mail_owner` is who runs this: owners are not looked at, since all is one user's.
    rootless: bool,
    verbose: bool,
    debug: bool,
    log: Logger,
}

/// All has been logged; exit status 1.
struct Failed;

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if arguments.iter().any(|a| a == "--help") {
        print(&manual::MANUAL.help());
        return ExitCode::SUCCESS;
    }
    posthaste_log::early(true, posthaste_log::on_terminal());
    let early = Logger::with_whole_tag("postfix");
    let (arguments, operands) = until_operand(arguments, &['c']);
    let mut options = Getopt::new(arguments, "c:Dv");
    let (mut directory, mut verbose, mut debug) = (None, false, false);
    for option in options.by_ref() {
        match option {
            Ok((b'c', value)) => directory = value.map(PathBuf::from),
            Ok((b'D', _)) => debug = true,
            Ok((b'v', _)) => verbose = true,
            Ok(_) => {}
            Err(bad) => {
                eprintln!("{bad}");
                fatal!(early, "usage: postfix [-c config_dir] [-Dv] command");
                return ExitCode::FAILURE;
            }
        }
    }
    let mut operands: Vec<String> = operands.into_iter().map(|o| o.to_string_lossy().into_owned()).collect();
    // With `-c`, also one that a parent was given, the command is for that instance alone.
    if directory.is_none()
        && std::env::var_os("MAIL_CONFIG").is_none()
        && let Some(status) = all_instances(&operands, &early)
    {
        return status;
    }
    let done = Place::open(directory.as_deref(), verbose, debug, &early).and_then(|mut place| {
        let installs = ["post-install", "set-permissions", "upgrade-configuration"];
        if operands.first().is_some_and(|command| installs.contains(&command.as_str())) && install::take_settings(&place, &mut operands)? {
            place = Place::open(directory.as_deref(), verbose, debug, &early)?;
        }
        run(&place, &operands)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed) => ExitCode::FAILURE,
    }
}

/// Where there are several instances, `multi_instance_wrapper` (postmulti(1)) runs the command for each. `None`: there is this one only, or what is
/// wrong with main.cf is told later.
fn all_instances(operands: &[String], early: &Logger) -> Option<ExitCode> {
    let config = Config::load(&directory::config_directory(None)).ok()?;
    config.text("multi_instance_directories").ok().filter(|directories| !directories.is_empty())?;
    let wrapper = config.text("multi_instance_wrapper").ok()?;
    let mut words = wrapper.split_ascii_whitespace();
    let Some(program) = words.next() else {
        fatal!(early, "multi-instance support is requested, but multi_instance_wrapper is empty");
        return Some(ExitCode::FAILURE);
    };
    let error = std::process::Command::new(program).args(words).args(operands).exec();
    fatal!(early, "{program}: {}", posthaste_config::system_reason(&error));
    Some(ExitCode::FAILURE)
}

fn run(place: &Place, operands: &[String]) -> Result<(), Failed> {
    let command = operands.first().map_or("", String::as_str);
    // How often Postfix asks postconf, which warns each time (see `check`).
    let asked = match command {
        "abort" | "flush" | "reload" | "status" | "stop" => 1,
        "logrotate" => 4,
        "set-permissions" => 17,
        "upgrade-configuration" => 19,
        _ => 0,
    };
    if asked > 0 {
        // A configuration that is wrong is told by those who need it.
        let _ = check::tell_names(place, asked);
    }
    match command {
        "abort" => control::abort(place),
        "check" => check::check(place),
        "flush" => control::flush(place),
        "logrotate" => control::logrotate(place),
        "post-install" => install::post_install(place, &operands[1..]),
        "reload" => control::reload(place),
        "set-permissions" => install::set_permissions(place, install::Files::All),
        "start" => control::start(place),
        "start-fg" => control::start_in_foreground(place),
        "status" => control::status(place),
        "stop" => control::stop(place),
        "tls" => tls::run(place, &operands[1..]),
        "upgrade-configuration" => install::upgrade_configuration(place),
        other => {
            fatal!(
                place.log,
                "unknown command: '{other}'. Usage: postfix start (or stop, reload, abort, flush, check, status, set-permissions, \
                 upgrade-configuration, logrotate)"
            );
            Err(Failed)
        }
    }
}

impl Place {
    fn owner_name(&self) -> String {
        self.config.text("mail_owner").unwrap_or_default()
    }

    fn group_name(&self) -> String {
        self.config.text("setgid_group").unwrap_or_default()
    }

    /// A directory of the queue; `.` is the queue directory itself.
    fn in_queue(&self, name: &str) -> PathBuf {
        if name == "." { self.queue.clone() } else { self.queue.join(name) }
    }

    fn open(option: Option<&Path>, verbose: bool, debug: bool, early: &Logger) -> Result<Place, Failed> {
        let fail = |text: String| {
            fatal!(early, "{text}");
            Failed
        };
        let directory = directory::config_directory(option);
        // The programs that are started find the same configuration.
        let directory = directory.canonicalize().unwrap_or(directory);
        let config = Config::load(&directory).map_err(|e| fail(e.to_string()))?;
        let text = |name: &str| config.text(name).map_err(|e| fail(e.to_string()));
        let owner_name = text("mail_owner")?;
        let me = Identity::effective();
        let owner = users::by_name(&owner_name)
            .map_err(|e| fail(format!("user lookup for {owner_name}: {e}")))?
            .ok_or_else(|| fail(format!("file {}: parameter mail_owner: unknown user name value: {owner_name}", config.file())))?;
        let rootless = me.uid != 0 && owner.uid == me.uid;
        if owner.uid == 0 {
            return Err(fail(format!("file {}: parameter mail_owner: user {owner_name} has privileged user ID", config.file())));
        }
        if me.uid != 0 && !rootless {
            error!(early, "to submit mail, use the Postfix sendmail command");
            return Err(fail(String::from("the postfix command is reserved for the superuser")));
        }
        let group_name = text("setgid_group")?;
        let group = users::group_by_name(&group_name).map_err(|e| fail(format!("group lookup for {group_name}: {e}")))?;
        let setgid_group = match group {
            Some(group) => group.gid,
            None if rootless => me.gid,
            None => return Err(fail(format!("file {}: parameter setgid_group: unknown group name: {group_name}", config.file()))),
        };
        if !rootless && setgid_group == owner.gid {
            return Err(fail(format!(
                "file {}: parameters mail_owner and setgid_group: user {owner_name} and group {group_name} have the same group ID: {setgid_group}",
                config.file()
            )));
        }
        config.check_host().map_err(|e| fail(e.to_string()))?;
        config.own_addresses().map_err(|e| fail(e.to_string()))?;
        posthaste_cli::show_interfaces(&early.with_verbose(u32::from(verbose)));
        posthaste_log::open(&config, Kind::Control, posthaste_log::on_terminal()).map_err(|e| fail(e.to_string()))?;
        let log = Logger::program(&config, "postfix-script").map_err(|e| fail(e.to_string()))?;
        Ok(Place {
            queue: config.queue_directory(),
            daemons: text("daemon_directory")?.into(),
            commands: text("command_directory")?.into(),
            data: text("data_directory")?.into(),
            libraries: Some(text("shlib_directory")?).filter(|name| name != "no").map(PathBuf::from),
            owner: Identity { uid: owner.uid, gid: owner.gid },
            setgid_group,
            rootless,
            verbose,
            debug,
            log,
            directory,
            config,
        })
    }
}

fn print(text: &str) {
    use std::io::Write;
    // A reader that went away is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
