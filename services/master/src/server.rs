//! The running master: one loop over sockets, signals and timers.

use crate::listen::{self, Endpoint, Settings};
use crate::start::Options;
use posthaste_config::master_cf::MasterFile;
use posthaste_config::{Config, MasterEntry, braced, split_list, system_reason as text};
use posthaste_log::{Logger, error, fatal, info, verbose, warn};
use posthaste_system::credentials::Identity;
use posthaste_system::process;
use posthaste_system::signals::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, Signals};
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{WaitOptions, WaitStatus};
use std::collections::HashMap;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The signals' place in epoll; listening sockets count from 1.
const SIGNALS: u64 = 0;
/// A process that ends badly sooner than this after it was ready is started again only after a pause, not at once.
const SHORT_LIFE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);
/// The kernel ends a master whose loop stands still for this long; the services finish what they do then, and whoever watches the mail system
/// starts it again.
const WATCHDOG: Duration = Duration::from_secs(1000);
/// How long services have to end after SIGTERM.
const LAST_CHANCE: Duration = Duration::from_secs(4);

struct Listener {
    endpoint: Endpoint,
    socket: OwnedFd,
    id: u64,
}

struct Running {
    pid: i32,
    /// Our end: says whether the process was ready, and tells it to drain by being closed.
    status: UnixStream,
    since: Instant,
}

struct Service {
    entry: MasterEntry,
    /// The program's full path.
    path: PathBuf,
    listeners: Vec<Listener>,
    running: Option<Running>,
    /// Not to be started before.
    held_until: Option<Instant>,
    wake_at: Option<Instant>,
    /// Whether the listeners are in epoll.
    watched: bool,
}

/// Everything master holds.
pub(crate) struct Master {
    options: Options,
    directory: PathBuf,
    owner: Option<Identity>,
    log: Logger,
    version: String,
    throttle: Duration,
    environment: Vec<(String, String)>,
    services: Vec<Service>,
    /// Of the configuration in use.
    settings: Option<Settings>,
    /// Processes that drain, or whose service is gone, with their program for the log.
    leaving: HashMap<i32, PathBuf>,
    epoll: OwnedFd,
    signals: Signals,
    next_id: u64,
    end_at: Option<Instant>,
}

impl Master {
    /// Reads master.cf and opens all sockets; starts nothing yet. The error is the text after `fatal: `.
    pub(crate) fn new(
        options: Options,
        config: Config,
        directory: PathBuf,
        owner: Option<Identity>,
        log: Logger,
    ) -> Result<Master, String> {
        let os = |what: &str, error: io::Error| format!("{what}: {}", text(&error));
        let signals = Signals::new(&[SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM]).map_err(|error| os("signalfd", error))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| os("epoll", error.into()))?;
        epoll::add(&epoll, &signals, epoll::EventData::new_u64(SIGNALS), epoll::EventFlags::IN)
            .map_err(|error| os("epoll", error.into()))?;
        let end_at = options.exit_time.map(|after| Instant::now() + after);
        let mut master = Master {
            options,
            directory,
            owner,
            log,
            version: String::new(),
            throttle: Duration::from_secs(60),
            environment: Vec::new(),
            services: Vec::new(),
            settings: None,
            leaving: HashMap::new(),
            epoll,
            signals,
            next_id: SIGNALS + 1,
            end_at,
        };
        master.configure(&config)?;
        if master.options.debug {
            run_debugger(&config);
        }
        Ok(master)
    }

    /// Logs the line that says which version and configuration runs.
    pub(crate) fn announce(&self, what: &str) {
        info!(self.log, "{what} -- version {}, configuration {}", self.version, self.directory.display());
    }

    /// Takes a configuration into use: opens what is new, keeps what stays, closes what is gone. On an error nothing has changed.
    fn configure(&mut self, config: &Config) -> Result<(), String> {
        let bad = |error: posthaste_config::ConfigError| error.to_string();
        let version = config.text("mail_version").map_err(bad)?;
        let throttle = config.time("service_throttle_time").map_err(bad)?;
        let environment = environment(&config.text("import_environment").map_err(bad)?, &self.directory);
        let programs = PathBuf::from(config.text("daemon_directory").map_err(bad)?);
        let mut settings = Settings::read(config, self.owner)?;
        let moved = self.settings.as_ref().is_some_and(|now| settings.keep_interfaces(now));
        let file = self.directory.join("master.cf");
        let master_cf = MasterFile::load(&self.directory).map_err(bad)?;
        let mut warnings = config.warnings().to_vec();
        warnings.extend_from_slice(&master_cf.warnings);
        let entries = master_cf.entries(config, &mut warnings).map_err(bad)?;

        for entry in entries.iter().filter(|entry| entry.chroot_by_level) {
            info!(self.log, "{}: line {}: using backwards-compatible default setting chroot=y", file.display(), entry.line);
        }
        // First everything that can fail.
        let mut planned = Vec::new();
        for entry in entries {
            let endpoints = listen::endpoints(&entry, &settings, &file)?;
            let mut fresh = Vec::new();
            for endpoint in &endpoints {
                // A socket that somebody has removed from its directory is made anew.
                let have = endpoint.path().is_none_or(|path| path.symlink_metadata().is_ok())
                    && self.services.iter().flat_map(|service| &service.listeners).any(|listener| listener.endpoint == *endpoint);
                if !have {
                    fresh.push((endpoint.clone(), listen::open(endpoint, &settings)?));
                }
            }
            planned.push((entry, endpoints, fresh));
        }

        // From here on nothing fails.
        for warning in warnings {
            warn!(self.log, "{warning}");
        }
        if moved {
            for entry in self.services.iter().map(|service| &service.entry).filter(|entry| listen::follows_interfaces(entry)) {
                warn!(self.log, "service {}: ignoring inet_interfaces change", entry.service);
            }
            warn!(self.log, "to change inet_interfaces, stop and start Postfix");
        }
        self.settings = Some(settings);
        let mut old = std::mem::take(&mut self.services);
        for service in &mut old {
            self.unwatch(service);
        }
        for (entry, endpoints, fresh) in planned {
            let before = old.iter_mut().find(|service| service.entry.service == entry.service && service.entry.kind == entry.kind);
            if let Some(service) = before
                && let Some(running) = service.running.take()
            {
                // Closing our end of the status pair makes it drain.
                self.leaving.insert(running.pid, service.path.clone());
            }
            let mut listeners: Vec<Listener> = fresh.into_iter().map(|(endpoint, socket)| self.listener(endpoint, socket)).collect();
            for service in &mut old {
                service.listeners.retain(|old| !listeners.iter().any(|fresh| fresh.endpoint == old.endpoint));
                let (keep, rest) =
                    std::mem::take(&mut service.listeners).into_iter().partition(|listener| endpoints.contains(&listener.endpoint));
                service.listeners = rest;
                listeners.extend::<Vec<_>>(keep);
            }
            listeners.sort_by_key(|listener| endpoints.iter().position(|endpoint| *endpoint == listener.endpoint));
            let wake_at = entry.wakeup.map(|_| Instant::now());
            let path = programs.join(&entry.command);
            self.services.push(Service { entry, path, listeners, running: None, held_until: None, wake_at, watched: false });
        }
        // What is left of the old services is in master.cf no more.
        for service in old {
            for path in service.listeners.iter().filter_map(|listener| listener.endpoint.path()) {
                let _ = std::fs::remove_file(path);
            }
            if let Some(running) = service.running {
                let _ = process::kill(running.pid, SIGTERM);
                self.leaving.insert(running.pid, service.path);
            }
        }
        self.version = version;
        self.throttle = throttle;
        self.environment = environment;
        for at in 0..self.services.len() {
            self.watch(at);
        }
        Ok(())
    }

    fn listener(&mut self, endpoint: Endpoint, socket: OwnedFd) -> Listener {
        let id = self.next_id;
        self.next_id += 1;
        Listener { endpoint, socket, id }
    }

    /// Serves until told to end.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(64);
        process::alarm(WATCHDOG.as_secs() as u32);
        let mut watched = Instant::now();
        loop {
            let now = Instant::now();
            if self.end_at.is_some_and(|end| end <= now) {
                return Ok(());
            }
            self.timers(now);
            if watched.elapsed() > WATCHDOG / 4 {
                process::alarm(WATCHDOG.as_secs() as u32);
                watched = now;
            }
            let timeout =
                self.next_deadline().into_iter().chain([now + WATCHDOG / 3]).min().map(|at| timespec(at.saturating_duration_since(now)));
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(format!("epoll: {}", text(&error.into()))),
            }
            for event in &events {
                let data = event.data;
                match data.u64() {
                    SIGNALS => {
                        if let Some(signal) = self.handle_signals() {
                            self.terminate(signal);
                            return Ok(());
                        }
                    }
                    id => self.activity(id),
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let services = self.services.iter().flat_map(|service| [service.held_until, service.wake_at]).flatten();
        services.chain(self.end_at).min()
    }

    fn timers(&mut self, now: Instant) {
        for at in 0..self.services.len() {
            let service = &mut self.services[at];
            if service.held_until.is_some_and(|until| until <= now) {
                service.held_until = None;
                self.watch(at);
            }
            let service = &mut self.services[at];
            let Some(wakeup) = service.entry.wakeup.filter(|_| service.wake_at.is_some_and(|due| due <= now)) else { continue };
            service.wake_at = Some(now + wakeup.every);
            let wanted = service.held_until.is_none() && (service.running.is_some() || !wakeup.only_if_used);
            if wanted
                && let Some(listener) = service.listeners.first()
                && let Err(error) = listen::wake(&listener.endpoint)
                && error.kind() != io::ErrorKind::WouldBlock
            {
                let name = &service.entry.service;
                warn!(self.log, "wakeup of service {name}({}): {}", service.entry.socket().as_ref().unwrap_or(name), text(&error));
            }
        }
    }

    /// Handles the signals that came; gives the one that ends master.
    fn handle_signals(&mut self) -> Option<i32> {
        let mut reload = false;
        while let Ok(Some(signal)) = self.signals.next() {
            match signal {
                SIGCHLD => self.reap(),
                SIGHUP => reload = true,
                other => return Some(other),
            }
        }
        if reload {
            self.reload();
        }
        None
    }

    fn reload(&mut self) {
        self.announce("reload");
        let checked = Config::open(&self.directory).and_then(|config| config.check("master", true).map(|()| config));
        let done = checked.map_err(|error| error.to_string()).and_then(|config| {
            self.configure(&config)?;
            // A log file that was renamed is let go.
            posthaste_log::open(&config, posthaste_log::Kind::Daemon, false).map_err(|error| error.to_string())?;
            let name = Logger::program(&config, "master").map_err(|error| error.to_string())?;
            self.log = name.with_verbose(self.log.verbose());
            Ok(())
        });
        if let Err(why) = done {
            error!(self.log, "{why}");
            error!(self.log, "the new configuration is not usable; the mail system goes on with the old one");
        }
    }

    fn watch(&mut self, at: usize) {
        let service = &mut self.services[at];
        if service.watched || service.running.is_some() || service.held_until.is_some() {
            return;
        }
        for listener in &service.listeners {
            if let Err(error) = epoll::add(&self.epoll, &listener.socket, epoll::EventData::new_u64(listener.id), epoll::EventFlags::IN) {
                fatal!(self.log, "epoll: {}", text(&error.into()));
            }
        }
        service.watched = true;
    }

    fn unwatch(&self, service: &mut Service) {
        if std::mem::take(&mut service.watched) {
            for listener in &service.listeners {
                let _ = epoll::delete(&self.epoll, &listener.socket);
            }
        }
    }

    /// A socket has work and its service does not run.
    fn activity(&mut self, id: u64) {
        let Some(at) = self.services.iter().position(|service| service.listeners.iter().any(|listener| listener.id == id)) else { return };
        if !self.services[at].watched {
            return;
        }
        let started = self.spawn(at);
        let mut service = self.services.swap_remove(at);
        self.unwatch(&mut service);
        match started {
            Ok(running) => service.running = Some(running),
            Err(error) => {
                let path = service.path.display();
                // The line is Postfix's, whose child process says it.
                fatal!(self.log, "master_spawn: exec {path}: {}", text(&error));
                warn!(self.log, "{path}: bad command startup -- throttling");
                service.held_until = Some(Instant::now() + self.throttle);
            }
        }
        self.services.push(service);
    }

    fn spawn(&self, at: usize) -> io::Result<Running> {
        let service = &self.services[at];
        let entry = &service.entry;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let mut sockets = vec![theirs.as_fd()];
        sockets.extend(service.listeners.iter().map(|listener| listener.socket.as_fd()));

        let mut command = Command::new(&service.path);
        command.arg0(&entry.command).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(["-n", &entry.service, "-t", entry.kind.name()]);
        if entry.unprivileged {
            command.arg("-u");
        }
        if entry.chroot {
            command.arg("-c");
        }
        command.arg(if entry.maxproc_by_default { "-P" } else { "-p" }).arg(entry.maxproc.unwrap_or(0).to_string());
        let numbers: Vec<_> = sockets.iter().map(|socket| socket.as_raw_fd().to_string()).collect();
        command.arg("-f").arg(numbers.join(","));
        command.args((0..self.options.verbose).map(|_| "-v"));
        if self.options.debug {
            command.arg("-D");
        }
        command.args(&entry.arguments);
        command.stdin(Stdio::null());

        verbose!(self.log, "starting {} for service {}", service.path.display(), entry.service);
        // Only this child may inherit them; master has one thread, so nothing else is started in between.
        inherit(&sockets, true)?;
        let child = command.spawn();
        inherit(&sockets, false)?;
        Ok(Running { pid: child?.id() as i32, status: ours, since: Instant::now() })
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::waitpid(None, WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            if let Some(path) = self.leaving.remove(&pid) {
                self.report(&path, pid, status);
                continue;
            }
            let Some(at) = self.services.iter().position(|service| service.running.as_ref().is_some_and(|running| running.pid == pid))
            else {
                continue;
            };
            let path = self.services[at].path.clone();
            let bad = self.report(&path, pid, status);
            let Some(mut running) = self.services[at].running.take() else { continue };
            let mut byte = [0];
            let was_ready = matches!(running.status.read(&mut byte), Ok(1));
            if bad && !was_ready {
                warn!(self.log, "{}: bad command startup -- throttling", path.display());
                self.services[at].held_until = Some(Instant::now() + self.throttle);
            } else if bad && running.since.elapsed() < SHORT_LIFE {
                self.services[at].held_until = Some(Instant::now() + PAUSE);
            }
            let service = &mut self.services[at];
            // Nobody may ask for a service that works by itself, such as the queue manager, before its next wakeup: that is minutes away.
            if bad && service.entry.wakeup.is_some_and(|wakeup| !wakeup.only_if_used) {
                service.wake_at = Some(service.held_until.unwrap_or_else(Instant::now));
            }
            self.watch(at);
        }
    }

    /// Logs how a process ended, if it did not end well.
    fn report(&self, path: &Path, pid: i32, status: WaitStatus) -> bool {
        if let Some(signal) = status.terminating_signal() {
            if signal == SIGALRM {
                // The kernel ends a process that hangs (daemon_timeout), which could not say it itself.
                let prefix = self.log.tag().rsplit_once('/').map_or("", |(prefix, _)| prefix);
                let program = path.file_name().unwrap_or_default().display();
                fatal!(Logger::new(&format!("{prefix}/{program}")), "watchdog timeout");
                warn!(self.log, "process {} pid {pid} exit status 1", path.display());
                return true;
            }
            let path = path.display();
            warn!(self.log, "process {path} pid {pid} killed by signal {signal}");
            true
        } else if let Some(code) = status.exit_status().filter(|&code| code != 0) {
            let path = path.display();
            warn!(self.log, "process {path} pid {pid} exit status {code}");
            true
        } else {
            false
        }
    }

    /// Ends all services, and waits for them a little so that who restarts the mail system finds nobody in the way.
    fn terminate(&mut self, signal: i32) {
        info!(self.log, "terminating on signal {signal}");
        let mut children: Vec<i32> =
            self.services.iter().filter_map(|service| service.running.as_ref()).map(|running| running.pid).collect();
        children.extend(self.leaving.keys());
        if process::leads_group() {
            // Commands that services have started are in the group too. Our own SIGTERM is blocked.
            let _ = process::kill(0, SIGTERM);
        } else {
            for &child in &children {
                let _ = process::kill(child, SIGTERM);
            }
        }
        let end = Instant::now() + LAST_CHANCE;
        let mut killed = false;
        loop {
            while let Ok(Some((pid, _))) = rustix::process::waitpid(None, WaitOptions::NOHANG) {
                children.retain(|&child| child != pid.as_raw_nonzero().get());
            }
            if children.is_empty() {
                return;
            }
            if Instant::now() >= end {
                if killed {
                    return;
                }
                for &child in &children {
                    let _ = process::kill(child, SIGKILL);
                }
                killed = true;
            }
            let pause = if killed { Duration::from_millis(200) } else { end.saturating_duration_since(Instant::now()) };
            let mut fds = [rustix::event::PollFd::new(&self.signals, rustix::event::PollFlags::IN)];
            let _ = rustix::event::poll(&mut fds, Some(&timespec(pause)));
            while let Ok(Some(_)) = self.signals.next() {}
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    // Rounded up, so that a wait does not end a moment too early and spin.
    Timespec { tv_sec: time.as_secs().min(1 << 30) as i64, tv_nsec: i64::from(time.subsec_nanos()) }
}

fn inherit(sockets: &[BorrowedFd<'_>], yes: bool) -> io::Result<()> {
    for socket in sockets {
        fcntl_setfd(socket, if yes { FdFlags::empty() } else { FdFlags::CLOEXEC })?;
    }
    Ok(())
}

/// What services get of our environment: `import_environment`, and where the configuration is.
fn environment(import: &str, directory: &Path) -> Vec<(String, String)> {
    let mut environment = vec![("PATH".to_owned(), "/usr/bin:/bin:/usr/sbin:/sbin".to_owned())];
    for item in split_list(import) {
        // `{ name = value }` where the value has blanks.
        let item = braced(item).and_then(Result::ok).unwrap_or(item);
        match item.split_once('=') {
            Some((name, value)) => environment.push((name.trim_end().to_owned(), value.trim_start().to_owned())),
            None => environment.extend(std::env::var(item).ok().map(|value| (item.to_owned(), value))),
        }
    }
    environment.retain(|(name, _)| name != "MAIL_CONFIG");
    environment.push(("MAIL_CONFIG".to_owned(), directory.display().to_string()));
    environment
}

fn run_debugger(config: &Config) {
    if let Ok(command) = config.text("debugger_command")
        && !command.is_empty()
    {
        let name = [("process_name", "master".to_owned()), ("process_id", std::process::id().to_string())];
        let _ = Command::new("/bin/sh").args(["-c", &command]).envs(name).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_get_only_the_imported_environment() {
        let environment = environment("TZ=UTC, { WORDS = a  b }, NO_SUCH_VARIABLE_HERE MAIL_CONFIG=/elsewhere", Path::new("/etc/postfix"));
        let names: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(names, ["PATH=/usr/bin:/bin:/usr/sbin:/sbin", "TZ=UTC", "WORDS=a  b", "MAIL_CONFIG=/etc/postfix"]);
    }
}
