//! spawn(8): runs one external command for each client, with the connection as its standard input, output and error, as inetd does.
//!
//! The master.cf entry names user and command: `user=NAME[:GROUP] argv=COMMAND ARGUMENTS...`. The command is executed directly, without a shell.

#![forbid(unsafe_code)]

use bstr::BString;
use posthaste_config::system_reason;
use posthaste_delivery::command::environment;
use posthaste_log::{Logger, warn};
use posthaste_service::{Event, Fatal, Plain, Setup, Spec, run_plain};
use posthaste_system::credentials::{self, Identity};
use posthaste_system::users;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let spec = Spec { program: "spawn", privileged: true, connects: false, executes: true };
    run_plain(spec, arguments, Spawn::open, serve)
}

/// What to run, and as whom.
#[derive(Debug)]
struct Spawn {
    log: Logger,
    /// `None`: this process runs as that user already (without root).
    user: Option<Identity>,
    argv: Vec<String>,
    environment: Vec<(BString, BString)>,
    time_limit: Duration,
    limit: usize,
    running: AtomicUsize,
}

impl Spawn {
    fn open(setup: &Setup) -> Result<Arc<Spawn>, Fatal> {
        let config = &setup.config;
        let (user, argv) = arguments(&setup.arguments).map_err(|error| Fatal(format!("service {}: {error}", setup.service)))?;
        let owner = lookup(&config.text("mail_owner")?)?;
        let user = identity(user, owner.uid)?;
        let root = rustix::process::geteuid().is_root();
        if !root && user != Identity::effective() {
            return Err(Fatal(format!(
                "service {}: without root, commands can only be run as the user that runs the mail system",
                setup.service
            )));
        }
        Ok(Arc::new(Spawn {
            log: setup.log.clone(),
            user: root.then_some(user),
            argv,
            environment: environment(config)?,
            time_limit: config.service_time(&setup.service, "time_limit")?,
            limit: setup.limit.unwrap_or(usize::MAX),
            running: AtomicUsize::new(0),
        }))
    }

    fn start(&self, client: OwnedFd) -> std::io::Result<Child> {
        // A program that reads and writes its standard input and output does not expect them not to wait.
        let flags = rustix::fs::fcntl_getfl(&client)?;
        rustix::fs::fcntl_setfl(&client, flags - OFlags::NONBLOCK)?;
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (OsStr::from_bytes(name), OsStr::from_bytes(value))));
        command.stdin(Stdio::from(client.try_clone()?)).stdout(Stdio::from(client.try_clone()?)).stderr(Stdio::from(client));
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        // This process has SIGTERM blocked, and waits for it elsewhere; the command is to be ended by it.
        credentials::unblock_signals(&mut command);
        command.process_group(0).spawn()
    }

    /// Waits for a command, and kills it with all it has started when its time is up.
    fn watch(&self, mut child: Child) {
        let command = &self.argv[0];
        let pid = Pid::from_child(&child);
        let seconds = self.time_limit.as_secs().min(1 << 30) as i64;
        let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let in_time = pidfd_open(pid, PidfdFlags::empty())
            .and_then(|process| {
                loop {
                    match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)) {
                        Err(rustix::io::Errno::INTR) => {}
                        other => return other,
                    }
                }
            })
            .is_ok_and(|ready| ready > 0);
        if !in_time {
            warn!(self.log, "{command}: process id {}: command time limit exceeded", child.id());
            let _ = kill_process_group(pid, Signal::KILL);
        }
        match child.wait() {
            Ok(status) if status.success() || !in_time => {}
            Ok(status) => match status.signal() {
                Some(signal) => warn!(self.log, "command {command} killed by signal {signal}"),
                None => warn!(self.log, "command {command} exit status {}", status.code().unwrap_or_default()),
            },
            Err(error) => warn!(self.log, "wait for {command}: {}", system_reason(&error)),
        }
        self.running.fetch_sub(1, Ordering::AcqRel);
    }
}

fn serve(spawn: Arc<Spawn>, mut plain: Plain) -> Result<(), Fatal> {
    let mut draining = false;
    loop {
        let running = spawn.running.load(Ordering::Acquire);
        if draining && running == 0 {
            return Ok(());
        }
        let event = if draining || running >= spawn.limit {
            // No more clients for now; a command that ends does not wake us, so look again soon.
            let sockets = std::mem::take(&mut plain.sockets);
            let event = plain.wait(Some(Duration::from_millis(100)));
            plain.sockets = sockets;
            event
        } else {
            plain.wait(plain.max_idle)
        };
        match event {
            Event::Socket(at) => {
                if let Ok(client) = accept_with(&plain.sockets[at], SocketFlags::CLOEXEC) {
                    client_connected(&spawn, client);
                }
            }
            Event::Timeout if draining || running > 0 => {}
            Event::Timeout | Event::Terminate => return Ok(()),
            Event::Drain => {
                draining = true;
                plain.sockets.clear();
                posthaste_log::leave_file();
            }
        }
    }
}

fn client_connected(spawn: &Arc<Spawn>, client: OwnedFd) {
    let child = match spawn.start(client) {
        Ok(child) => child,
        Err(error) => return warn!(spawn.log, "cannot run {}: {}", spawn.argv[0], system_reason(&error)),
    };
    spawn.running.fetch_add(1, Ordering::AcqRel);
    let watcher = Arc::clone(spawn);
    let thread = std::thread::Builder::new().name("command".into()).stack_size(128 * 1024);
    if let Err(error) = thread.spawn(move || watcher.watch(child)) {
        // The command goes on without a time limit, and is not counted.
        warn!(spawn.log, "cannot start a thread: {}", system_reason(&error));
        spawn.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Takes `user=` and `argv=` from the operands; all that follows `argv=` belongs to the command.
fn arguments(operands: &[String]) -> Result<(&str, Vec<String>), String> {
    let mut user = None;
    for (at, operand) in operands.iter().enumerate() {
        if let Some(name) = operand.strip_prefix("user=") {
            user = Some(name);
        } else if let Some(program) = operand.strip_prefix("argv=") {
            let rest = operands[at + 1..].iter().cloned();
            let argv: Vec<String> = Some(program.to_owned()).into_iter().filter(|program| !program.is_empty()).chain(rest).collect();
            if argv.is_empty() {
                return Err("missing command after argv=".into());
            }
            return Ok((user.ok_or("missing user= attribute")?, argv));
        } else {
            return Err(format!("unknown attribute name: {operand}"));
        }
    }
    Err("missing argv= attribute".into())
}

fn lookup(name: &str) -> Result<users::User, Fatal> {
    let user = users::by_name(name).map_err(|error| Fatal(format!("user lookup for {name}: {}", system_reason(&error))))?;
    user.ok_or_else(|| Fatal(format!("unknown username: {name}")))
}

/// The ids of `NAME` or `NAME:GROUP`. Root and the owner of the mail system are refused, as commands are to have no such rights.
fn identity(name: &str, owner: u32) -> Result<Identity, Fatal> {
    let (name, group) = name.split_once(':').map_or((name, None), |(name, group)| (name, Some(group)));
    let user = lookup(name)?;
    let gid = match group {
        None => user.gid,
        Some(group) => {
            let found =
                users::group_by_name(group).map_err(|error| Fatal(format!("group lookup for {group}: {}", system_reason(&error))))?;
            found.ok_or_else(|| Fatal(format!("unknown group: {group}")))?.gid
        }
    };
    if user.uid == 0 || gid == 0 {
        return Err(Fatal(format!("user= attribute: {name} has root privileges")));
    }
    if user.uid == owner && rustix::process::geteuid().is_root() {
        return Err(Fatal(format!("user= attribute: {name} is the mail system owner")));
    }
    Ok(Identity { uid: user.uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Result<(String, Vec<String>), String> {
        let operands: Vec<String> = text.split(' ').map(str::to_owned).collect();
        arguments(&operands).map(|(user, argv)| (user.to_owned(), argv))
    }

    /// S-DAEMON-24.
    #[test]
    fn user_and_command_are_taken_from_the_entry() {
        let (user, argv) = split("user=nobody argv=/usr/bin/perl /usr/lib/policy.pl -v user=x").expect("good");
        assert_eq!(user, "nobody");
        assert_eq!(argv, ["/usr/bin/perl", "/usr/lib/policy.pl", "-v", "user=x"]);
        assert_eq!(split("user=nobody argv= /bin/cat").expect("good").1, ["/bin/cat"]);
        for (text, error) in [
            ("argv=/bin/cat", "missing user= attribute"),
            ("user=nobody", "missing argv= attribute"),
            ("user=nobody argv=", "missing command after argv="),
            ("usr=nobody argv=/bin/cat", "unknown attribute name: usr=nobody"),
        ] {
            assert_eq!(split(text).expect_err(text), error);
        }
    }

    #[test]
    fn commands_do_not_run_as_root() {
        assert!(identity("root", 103).is_err());
        assert!(identity("no-such-user-here", 103).is_err());
    }
}
