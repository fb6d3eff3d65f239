//! From the command line to a running master.

use crate::{MANUAL, lock, server};
use lexopt::prelude::*;
use posthaste_cli::program_name;
use posthaste_config::{Config, directory::config_directory, system_reason as text};
use posthaste_log::{Kind, Logger, fatal, warn};
use posthaste_system::process::{self, Fork};
use posthaste_system::{credentials::Identity, users};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    config_directory: Option<PathBuf>,
    pub(crate) debug: bool,
    keep_terminal: bool,
    pub(crate) exit_time: Option<Duration>,
    pub(crate) init: bool,
    keep_stdout: bool,
    test: bool,
    pub(crate) verbose: u32,
    wait: bool,
}

const USAGE: &str =
    "[-c config_dir] [-D (debug)] [-d (don't detach from terminal)] [-e exit_time] [-t (test)] [-v] [-w (wait for initialization)]";

/// The body of [`crate::main`].
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let program = arguments.first().cloned().unwrap_or_else(|| "master".into());
    let log = Logger::new(&format!("postfix/{}", program_name(&program)));
    posthaste_log::early(true, posthaste_log::on_terminal());
    let options = match parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(()) => {
            fatal!(log, "usage: {} {USAGE}", program.to_string_lossy());
            return ExitCode::FAILURE;
        }
    };
    match start(options) {
        Ok(status) => status,
        Err(error) => {
            fatal!(log, "{error}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "--help is data on standard output")]
fn parse(arguments: Vec<OsString>) -> Result<Option<Options>, ()> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_iter(arguments);
    loop {
        match parser.next() {
            Ok(None) => return Ok(Some(options)),
            Ok(Some(Short('c'))) => options.config_directory = Some(parser.value().map_err(drop)?.into()),
            Ok(Some(Short('D'))) => options.debug = true,
            Ok(Some(Short('d'))) => options.keep_terminal = true,
            Ok(Some(Short('e'))) => options.exit_time = Some(Duration::from_secs(parser.value().and_then(|v| v.parse()).map_err(drop)?)),
            Ok(Some(Short('i'))) => options.init = true,
            Ok(Some(Short('s'))) => options.keep_stdout = true,
            Ok(Some(Short('t'))) => options.test = true,
            Ok(Some(Short('v'))) => options.verbose += 1,
            Ok(Some(Short('w'))) => options.wait = true,
            Ok(Some(Long("help"))) => {
                println!("{}", MANUAL.help());
                return Ok(None);
            }
            Ok(Some(Short(other))) => {
                eprintln!("master: invalid option -- '{other}'");
                return Err(());
            }
            _ => return Err(()),
        }
    }
}

fn start(options: Options) -> Result<ExitCode, String> {
    if options.init && std::process::id() != 1 {
        return Err("-i is allowed only for PID 1 process".into());
    }
    if options.wait && (options.init || options.keep_terminal) {
        return Err("the -w option cannot be used with -d or -i".into());
    }
    let directory = config_directory(options.config_directory.as_deref());
    let directory = std::path::absolute(&directory).unwrap_or(directory);
    let config =
        Config::open(&directory).and_then(|config| config.check("master", true).map(|()| config)).map_err(|error| error.to_string())?;
    let owner = owner(&config)?;
    let queue = config.queue_directory();
    std::env::set_current_dir(&queue).map_err(|error| format!("chdir({}): {}", queue.display(), text(&error)))?;
    if options.test {
        let free = lock::open(Path::new("pid/master.pid")).map_err(|error| format!("open lock file pid/master.pid: {}", text(&error)))?;
        return Ok(if free.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }

    let mut ready = None;
    if options.wait {
        let (ours, theirs) = UnixStream::pair().map_err(|error| format!("socketpair: {}", text(&error)))?;
        match process::fork().map_err(|error| format!("fork: {}", text(&error)))? {
            Fork::Parent { .. } => {
                drop(theirs);
                return wait_for(ours);
            }
            Fork::Child => {
                posthaste_log::forked();
                ready = Some(theirs);
            }
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    detach(&options).map_err(|error| format!("open /dev/null: {}", text(&error)))?;
    posthaste_log::open(&config, Kind::Daemon, options.keep_terminal).map_err(|error| error.to_string())?;
    let log = Logger::program(&config, "master").map_err(|error| error.to_string())?.with_verbose(options.verbose);

    let witness = log.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|place| format!(" ({}, line {})", place.file(), place.line())).unwrap_or_default();
        witness.log(posthaste_log::Level::Panic, format_args!("{}{place}", panic.payload_as_str().unwrap_or("no reason given")));
    }));
    match serve(options, config, directory, owner, &log, ready) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            fatal!(log, "{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn serve(
    options: Options,
    config: Config,
    directory: PathBuf,
    owner: Owner,
    log: &Logger,
    ready: Option<UnixStream>,
) -> Result<(), String> {
    let mut locks = vec![lock::hold(Path::new("pid/master.pid"))?];
    let data = Path::new(&config.text("data_directory").map_err(|error| error.to_string())?).join("master.lock");
    locks.push(owner.run(|| lock::hold(&data))?);
    let master = server::Master::new(options, config, directory, owner.sockets(), log.clone())?;
    for file in &mut locks {
        lock::write_pid(file).map_err(|error| format!("write lock file: {}", text(&error)))?;
    }
    if let Owner::Rootless(user) = &owner {
        warn!(
            log,
            "running without root: all services run as user {user}; ports below 1024, chroot, and deliveries as another user do not work"
        );
    }
    master.announce("daemon started");
    if let Some(mut parent) = ready {
        // The parent may be gone by now; the mail system is there all the same.
        let _ = parent.write_all(b"R");
    }
    master.run()
}

/// Waits in the foreground until the background process has started or failed.
fn wait_for(mut child: UnixStream) -> Result<ExitCode, String> {
    let _ = child.set_read_timeout(Some(Duration::from_secs(100)));
    let mut byte = [0];
    match child.read_exact(&mut byte) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(_) => {
            // What went wrong is in the log already.
            if posthaste_log::on_terminal() {
                eprintln!("master: fatal: daemon initialization failure -- see logs for details");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Leaves the terminal and the session of whoever started us.
fn detach(options: &Options) -> std::io::Result<()> {
    if options.keep_terminal {
        return Ok(());
    }
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    if !options.keep_stdout && !options.init {
        rustix::stdio::dup2_stdout(&null)?;
    }
    if !options.init {
        // Fails only when this process leads its session or group already, which is as good.
        let _ = rustix::process::setsid();
    }
    Ok(())
}

/// Who the mail system belongs to.
pub(crate) enum Owner {
    /// Started by root; `mail_owner` owns queue and sockets.
    Root(Identity),
    /// Started by `mail_owner` itself.
    Rootless(String),
}

impl Owner {
    fn sockets(&self) -> Option<Identity> {
        match self {
            Owner::Root(owner) => Some(*owner),
            Owner::Rootless(_) => None,
        }
    }

    fn run<T>(&self, action: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        match self {
            Owner::Root(owner) => posthaste_system::credentials::as_user(*owner, action).map_err(|error| text(&error))?,
            Owner::Rootless(_) => action(),
        }
    }
}

fn owner(config: &Config) -> Result<Owner, String> {
    let name = config.text("mail_owner").map_err(|error| error.to_string())?;
    let user = users::by_name(&name).map_err(|error| format!("mail_owner: {name}: {}", text(&error)))?;
    let user = user
        .ok_or_else(|| format!("file {}/main.cf: parameter mail_owner: unknown user name value: {name}", config.directory().display()))?;
    let me = rustix::process::geteuid();
    if me.as_raw() == user.uid && !me.is_root() {
        return Ok(Owner::Rootless(name));
    }
    if user.uid == 0 {
        return Err(format!("file {}/main.cf: parameter mail_owner: user {name} has privileged user ID", config.directory().display()));
    }
    if !me.is_root() {
        return Err("the master command is reserved for the superuser".into());
    }
    Ok(Owner::Root(Identity { uid: user.uid, gid: user.gid }))
}
