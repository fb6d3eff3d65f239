//! From the command line to a process that may serve: everything that event-driven services, agents on threads and others have in common.

use crate::arguments::{self, Arguments};
use crate::load::Load;
use crate::{Fatal, Setup, Spec, sandbox};
use posthaste_config::{Config, directory::config_directory, system_reason};
use posthaste_log::{Kind, Level, Logger, fatal, info, warn};
use posthaste_system::credentials::Identity;
use posthaste_system::{descriptors, process, users};
use rustix::fd::OwnedFd;
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many panics were caught in this process.
pub(crate) static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A process between its command line and its first client.
pub(crate) struct Started {
    pub(crate) setup: Setup,
    /// To master; `None` when the daemon was started by hand.
    pub(crate) status: Option<UnixStream>,
    pub(crate) sockets: Vec<OwnedFd>,
    /// `None` is never.
    pub(crate) max_idle: Option<Duration>,
    pub(crate) watchdog: Duration,
    pub(crate) stand_alone: bool,
    spec: Spec,
    unprivileged: bool,
    chroot: bool,
}

/// Reads arguments and configuration, opens the log and takes over the sockets. What goes wrong has been logged.
pub(crate) fn start(spec: Spec, arguments: Vec<OsString>) -> Result<Started, ExitCode> {
    // Until main.cf has been read, to syslog as Postfix does, or for a daemon on a terminal to that.
    posthaste_log::early(true, posthaste_log::on_terminal());
    let log = Logger::new(&format!("postfix/{}", spec.program));
    let failed = |log: &Logger, error: String| {
        fatal!(log, "{error}");
        ExitCode::FAILURE
    };
    let parsed = arguments::parse(arguments).map_err(|error| {
        // Where the administrator looks for it.
        let opened = Config::load(&config_directory(None)).ok().filter(|config| posthaste_log::open(config, Kind::Daemon, false).is_ok());
        let named = opened.and_then(|config| Logger::program(&config, spec.program).ok());
        failed(named.as_ref().unwrap_or(&log), error)
    })?;
    let (config, log) = configure(&spec, &parsed).map_err(|error| failed(&log, error.0))?;
    log_panics(log.clone());
    prepare(spec, parsed, config, &log).map_err(|error| failed(&log, error.0))
}

/// `-S`: configuration and log for a program that serves one client on standard input and output, with the rights of its caller, by itself.
/// What goes wrong has been logged.
pub fn stand_alone(spec: Spec, arguments: Vec<OsString>) -> Result<Setup, ExitCode> {
    start(spec, arguments).map(|started| started.setup)
}

fn configure(spec: &Spec, arguments: &Arguments) -> Result<(Config, Logger), Fatal> {
    let config = Config::load(&config_directory(None))?;
    let service = if arguments.service.is_empty() { spec.program } else { &arguments.service };
    let overrides = arguments.overrides.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let config = config.with_identity(spec.program, service).with_overrides(overrides)?;
    let log = Logger::program(&config, spec.program)?.with_verbose(arguments.verbose);
    for warning in config.warnings() {
        warn!(log, "{warning}");
    }
    // `sendmail -bs` runs this as its user, who may be anywhere and may not open the log file.
    let kind = if arguments.stand_alone { Kind::Command } else { Kind::Daemon };
    posthaste_log::open(&config, kind, arguments.stderr || arguments.stand_alone && posthaste_log::on_terminal())?;
    Ok((config, log))
}

fn prepare(spec: Spec, arguments: Arguments, config: Config, log: &Logger) -> Result<Started, Fatal> {
    config.check_host()?;
    config.check(spec.program, true)?;
    let mut taken = Vec::new();
    for number in &arguments.descriptors {
        let open = descriptors::adopt(*number).map_err(|error| Fatal(format!("descriptor {number}: {}", system_reason(&error))))?;
        taken.push(open);
    }
    let mut sockets = taken.into_iter();
    let status = sockets.next().map(UnixStream::from);
    if status.is_none() && !arguments.stand_alone {
        return Err(Fatal("this program must be started by master(8); see master.cf".into()));
    }
    let queue = config.queue_directory();
    if !arguments.stand_alone {
        std::env::set_current_dir(&queue).map_err(|error| Fatal(format!("chdir({}): {}", queue.display(), system_reason(&error))))?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    }
    if !spec.executes {
        raise_descriptor_limit();
    }
    if arguments.debug {
        debug(&config, spec.program)?;
    }
    if spec.privileged && arguments.unprivileged && rustix::process::geteuid().is_root() {
        return Err(Fatal(format!(
            "service {} requires privileged operation: the unpriv column of its master.cf entry must be n",
            arguments.service
        )));
    }
    let max_idle = match arguments.max_idle {
        Some(time) => time,
        None => config.time("max_idle")?,
    };
    let service = if arguments.service.is_empty() { spec.program.to_owned() } else { arguments.service };
    Ok(Started {
        status,
        sockets: sockets.collect(),
        max_idle: (!arguments.never_idle).then_some(max_idle),
        watchdog: config.time(match spec.program {
            "postlogd" => "postlogd_watchdog_timeout",
            "qmgr" => "qmgr_daemon_timeout",
            _ => "daemon_timeout",
        })?,
        stand_alone: arguments.stand_alone,
        spec,
        unprivileged: arguments.unprivileged,
        chroot: arguments.chroot,
        setup: Setup {
            config: Arc::new(config),
            service,
            kind: arguments.kind,
            arguments: arguments.rest,
            log: log.clone(),
            limit: arguments.limit,
            verbose: arguments.verbose,
            load: Arc::new(Load::new(arguments.limit, arguments.default_limit)),
        },
    })
}

impl Started {
    /// Gives up rights, enters the sandbox, and tells master that this process is ready. Call it when all files are open and before any
    /// thread is started. `folders` may be used besides those that main.cf names.
    pub(crate) fn confine(&self, folders: &[PathBuf]) -> Result<(), Fatal> {
        // With -u as well it is a helper, started by a service that holds root.
        if self.stand_alone && !self.unprivileged {
            return Ok(());
        }
        let os = |what: &str, error: std::io::Error| Fatal(format!("{what}: {}", system_reason(&error)));
        let threads = process::threads();
        if threads > 1 {
            warn!(self.setup.log, "{} threads were started before the sandbox and are outside of it", threads - 1);
        }
        let owner = self.setup.config.text("mail_owner")?;
        let root = rustix::process::geteuid().is_root();
        // Read before the chroot, where there may be no such files.
        let user = users::by_name(&owner).map_err(|error| os("mail_owner", error))?;
        let user = user.ok_or_else(|| Fatal(format!("mail_owner: unknown user name: {owner}")))?;
        let connects = self.spec.connects || sandbox::asks_over_tcp(&self.setup.config);
        if self.chroot && root {
            // The working directory is the queue directory already.
            rustix::process::chroot(".").map_err(|error| os("chroot", error.into()))?;
            std::env::set_current_dir("/").map_err(|error| os("chdir(/)", error))?;
        }
        // A program that is not made for it never holds root, whatever the unpriv column says.
        let unprivileged = self.unprivileged || !self.spec.privileged;
        if unprivileged && root {
            process::become_user(Identity { uid: user.uid, gid: user.gid }).map_err(|error| os("set user", error))?;
        }
        sandbox::enter(&self.spec, &self.setup, unprivileged || !root, self.chroot && root, connects, folders);
        self.ready();
        Ok(())
    }

    fn ready(&self) {
        if let Some(status) = &self.status {
            // When master is gone this fails, and the process finds out on its own.
            let _ = std::io::Write::write(&mut &*status, b"R");
        }
    }

    /// `service "smtp" (25)`: how the lines about its limit name the service.
    pub(crate) fn place(&self) -> String {
        use rustix::net::{SocketAddrAny, SocketAddrUnix, getsockname};
        let address = self.sockets.first().and_then(|socket| getsockname(socket).ok());
        let place = address.and_then(|address: SocketAddrAny| {
            if let Ok(inet) = std::net::SocketAddr::try_from(address.clone()) {
                return Some(inet.port().to_string());
            }
            let unix = SocketAddrUnix::try_from(address).ok()?;
            Some(String::from_utf8_lossy(unix.path_bytes()?).into_owned())
        });
        format!("service \"{}\" ({})", self.setup.service, place.as_deref().unwrap_or("no address"))
    }
}

/// One process serves many clients here: as many descriptors as the system allows. Not where programs are started, which may not expect
/// numbers above 1023.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// A panic is logged as a fault of ours. In a client's task or a delivery's thread it ends only that.
fn log_panics(log: Logger) {
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let text = panic.payload_as_str().unwrap_or("no reason given");
        match panic.location() {
            Some(place) => log.log(Level::Panic, format_args!("{text} ({}, line {})", place.file(), place.line())),
            None => log.log(Level::Panic, format_args!("{text}")),
        }
    }));
}

/// `-D`: runs `debugger_command` in a shell, with `$daemon_directory`, `$process_name` and `$process_id` expanded.
fn debug(config: &Config, program: &str) -> Result<(), Fatal> {
    let command = config.text("debugger_command")?;
    if command.is_empty() {
        return Ok(());
    }
    let log = Logger::program(config, program)?;
    info!(log, "running: {command}");
    let variables = [("process_name", program.to_owned()), ("process_id", std::process::id().to_string())];
    if let Err(error) = Command::new("/bin/sh").arg("-c").arg(&command).envs(variables).status() {
        warn!(log, "debugger_command: {}", system_reason(&error));
    }
    Ok(())
}
