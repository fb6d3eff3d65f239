//! Running the command that takes a message: local(8)'s `|command` and mailbox_command, and pipe(8).
//!
//! The command gets the message on standard input, an environment made from nothing, the ids of the recipient, a process group of its own
//! and a time limit. Its exit status is read as sysexits(3); its output goes into the report.

use crate::copy::{Copy, CopyError};
use bstr::{BString, ByteSlice};
use posthaste_config::{Config, ConfigError, system_reason as reason};
use posthaste_log::{Logger, fatal, warn};
use posthaste_queue::Content;
use posthaste_system::credentials::{Identity, as_user};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::ffi::OsString;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};
use std::time::{Duration, Instant};

/// How much of a command's output is kept.
const OUTPUT_LIMIT: usize = 4096;

/// What to run.
#[derive(Clone, Debug)]
pub enum What {
    /// A command line for `/bin/sh -c`, or for exec alone when no character in it needs a shell.
    Line(String),
    /// Program and arguments, as they are.
    Arguments(Vec<BString>),
}

/// A command and its surroundings.
#[derive(Clone, Debug)]
pub struct Command {
    /// What to run.
    pub what: What,
    /// `local_command_shell`: runs every command line, when set.
    pub shell: Option<String>,
    /// Its ids.
    pub identity: Identity,
    /// Its whole environment.
    pub environment: Vec<(BString, BString)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// `chroot=` of pipe(8).
    pub root: Option<PathBuf>,
    /// After this time its process group is killed.
    pub time_limit: Duration,
    /// The program that runs it (`local`, `pipe`), for messages.
    pub program: &'static str,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Exit status 0, with the output.
    Well(BString),
    /// It failed: the enhanced status (`4.…`: try again), the text for the log, and the output alone where there is some.
    Badly {
        /// Enhanced status code.
        status: String,
        /// The text in parentheses of the log line.
        text: BString,
        /// The command's output, for `Diagnostic-Code: x-unix;`; without output the text.
        diagnostic: BString,
    },
}

impl Command {
    /// Runs the command with the message. `Err` when the queue file cannot be read.
    ///
    /// Blocks until the command and all that hold its output have ended, or the time is up.
    pub fn run(&self, copy: &Copy, content: &mut Content, log: &Logger) -> Result<Ended, posthaste_queue::ReadError> {
        let (mut output, write_end) = match io::pipe() {
            Ok(pipe) => pipe,
            Err(e) => return Ok(temporary(format!("cannot create pipe: {}", reason(&e)))),
        };
        let mut command = match self.prepare() {
            Ok(command) => command,
            Err(text) => return Ok(temporary(text)),
        };
        let Ok(second) = write_end.try_clone() else { return Ok(temporary(String::from("cannot create pipe"))) };
        command.stdin(Stdio::piped()).stdout(write_end).stderr(second);
        let spawned = command.spawn();
        // The command holds write ends; ours would keep the reader from seeing the end.
        drop(command);
        let mut child = match spawned {
            Ok(child) => child,
            Err(e) => return Ok(self.not_started(&e, log)),
        };
        let pid = Pid::from_child(&child);
        let deadline = Instant::now() + self.time_limit;
        let stdin = child.stdin.take();
        let (fed, output, expired) = std::thread::scope(|scope| {
            let reader = scope.spawn(move || read_output(&mut output));
            let watch = scope.spawn(move || watch(pid, deadline));
            let fed = stdin.map_or(Ok(()), |stdin| feed(stdin, copy, content));
            // Joining can only fail when the thread panicked, and neither can.
            let expired = watch.join().unwrap_or(true);
            let output = reader.join().unwrap_or_default();
            (fed, output, expired)
        });
        let ended = child.wait();
        if let Err(CopyError::Read(error)) = fed {
            return Err(error);
        }
        if expired {
            warn!(log, "pipe_command_read: read time limit exceeded");
            let text = BString::from(format!("Command time limit exceeded: \"{}\"", self.shown()));
            return Ok(match with_output("5.3.0", text, &output) {
                // The text of EX_SOFTWARE in sysexits(3).
                Ended::Badly { status, text, diagnostic } if diagnostic == text => {
                    Ended::Badly { status, text, diagnostic: "internal software error".into() }
                }
                ended => ended,
            });
        }
        match ended {
            Ok(status) => Ok(self.judge(status, &output)),
            Err(e) => Ok(temporary(format!("cannot wait for command: {}", reason(&e)))),
        }
    }

    /// The command as log lines show it.
    fn shown(&self) -> BString {
        match &self.what {
            What::Line(line) => line.as_str().into(),
            // The arguments hold addresses, which are as long as strangers like.
            What::Arguments(arguments) => arguments.first().cloned().unwrap_or_default(),
        }
    }

    fn prepare(&self) -> Result<std::process::Command, String> {
        let by_shell = matches!(&self.what, What::Line(line) if self.shell.is_none() && needs_shell(line));
        let arguments: Vec<OsString> = match (&self.what, &self.shell) {
            (What::Arguments(arguments), _) => arguments.iter().map(|a| OsString::from_vec(a.to_vec())).collect(),
            (What::Line(line), Some(shell)) => shell.split_whitespace().map(OsString::from).chain([OsString::from(line)]).collect(),
            (What::Line(line), None) if by_shell => ["/bin/sh", "-c", line].map(OsString::from).to_vec(),
            (What::Line(line), None) => line.split_whitespace().map(OsString::from).collect(),
        };
        let (program, rest) = arguments.split_first().ok_or_else(|| String::from("empty command"))?;
        let mut command = std::process::Command::new(program);
        command.args(rest).env_clear().process_group(0);
        if by_shell {
            // The name that stands before the shell's own complaints.
            command.arg0("sh");
        }
        posthaste_system::credentials::unblock_signals(&mut command);
        for (name, value) in &self.environment {
            command.env(OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec()));
        }
        if let Some(root) = &self.root {
            posthaste_system::credentials::chroot_child(&mut command, root.clone(), self.directory.clone(), self.identity);
            return Ok(command);
        }
        command.current_dir(&self.directory);
        if Identity::effective() != self.identity {
            // As root the standard library drops all supplementary groups here.
            command.gid(self.identity.gid).uid(self.identity.uid);
        }
        Ok(command)
    }

    fn not_started(&self, error: &io::Error, log: &Logger) -> Ended {
        if self.root.is_none()
            && let Err(error) = self.enter_directory()
        {
            let (directory, Identity { uid, gid }) = (self.directory.display(), self.identity);
            fatal!(log, "cannot change directory to \"{directory}\" for uid={uid} gid={gid}: {}", reason(&error));
            return temporary(String::from("temporary failure"));
        }
        let program = match &self.what {
            What::Line(line) => line.split_whitespace().next().unwrap_or_default().into(),
            What::Arguments(arguments) => arguments.first().cloned().unwrap_or_default(),
        };
        let call = if self.program == "pipe" { "pipe_command: execvp" } else { "execvp" };
        let line = format!("{call} {program}: {}", reason(error));
        fatal!(log, "{line}");
        let text = BString::from(format!("{}: fatal: {line}\n", self.program));
        with_output("4.3.0", "temporary failure".into(), &text)
    }

    /// Whether the working directory is there for the command's user.
    fn enter_directory(&self) -> io::Result<()> {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        as_user(self.identity, || {
            // With a slash at its end only a directory is found.
            let mut path = self.directory.as_os_str().to_owned();
            path.push("/");
            accessat(CWD, &path, Access::EXEC_OK, AtFlags::EACCESS).map_err(io::Error::from)
        })?
    }

    fn judge(&self, status: std::process::ExitStatus, output: &[u8]) -> Ended {
        if status.success() {
            return Ended::Well(one_line(output));
        }
        if let Some(signal) = status.signal() {
            return with_output("4.3.0", format!("Command died with signal {signal}: \"{}\"", self.shown()).into(), output);
        }
        let code = status.code().unwrap_or(75);
        let Some((dsn, text)) = sysexits(code) else {
            return with_output("5.3.0", format!("Command died with status {code}: \"{}\"", self.shown()).into(), output);
        };
        // A command may give its own status code at the start of its output.
        match leading_status(output) {
            Some((own, rest)) => Ended::Badly { status: own, text: one_line(rest), diagnostic: one_line(rest.trim_ascii_end()) },
            None => with_output(dsn, text.into(), output),
        }
    }
}

fn temporary(text: String) -> Ended {
    Ended::Badly { status: String::from("4.3.0"), text: text.clone().into(), diagnostic: text.into() }
}

fn with_output(status: &str, text: BString, output: &[u8]) -> Ended {
    if output.is_empty() {
        return Ended::Badly { status: status.to_owned(), diagnostic: text.clone(), text };
    }
    let output = one_line(output);
    let mut long = text;
    long.extend_from_slice(b". Command output: ");
    long.extend_from_slice(&output);
    Ended::Badly { status: status.to_owned(), text: long, diagnostic: output.trim_ascii_end().into() }
}

/// Output as it stands in a log line and in a report: tabs and line ends are blanks, what cannot be printed is `_`.
fn one_line(output: &[u8]) -> BString {
    let mut line = String::with_capacity(output.len());
    for chunk in output.utf8_chunks() {
        line.extend(chunk.valid().chars().map(|c| match c {
            '\t' | '\n' => ' ',
            c if c.is_ascii_control() => '_',
            c => c,
        }));
        line.extend(chunk.invalid().iter().map(|_| '_'));
    }
    line.into()
}

/// The environment that every command gets: `export_environment` from ours (or the value it sets), and a safe search path.
pub fn environment(config: &Config) -> Result<Vec<(BString, BString)>, ConfigError> {
    let mut all = vec![(BString::from("PATH"), BString::from("/usr/bin:/bin"))];
    for item in posthaste_config::split_list(&config.text("export_environment")?) {
        let item = match posthaste_config::braced(item) {
            Some(inner) => inner.map_err(|e| ConfigError::Bad(format!("export_environment: {e}")))?,
            None => item,
        };
        match item.split_once('=') {
            Some((name, value)) => all.push((name.trim_end().into(), value.trim_start().into())),
            None => {
                if let Some(value) = std::env::var_os(item) {
                    all.push((item.into(), value.into_vec().into()));
                }
            }
        }
    }
    if !all.iter().any(|(name, _)| name == "MAIL_CONFIG") {
        all.push(("MAIL_CONFIG".into(), config.directory().as_os_str().as_encoded_bytes().into()));
    }
    Ok(all)
}

/// `X.Y.Z text` at the start of the output (pipe(8), local(8)).
fn leading_status(output: &[u8]) -> Option<(String, &[u8])> {
    let end = output.find_byteset(b" \t\n").unwrap_or(output.len());
    let code = std::str::from_utf8(&output[..end]).ok()?;
    let parts: Vec<&str> = code.split('.').collect();
    let digits = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let valid = parts.len() == 3 && matches!(parts[0], "4" | "5") && digits(parts[1]) && digits(parts[2]);
    valid.then(|| (code.to_owned(), output[end..].trim_ascii_start()))
}

/// sysexits(3): enhanced status and text. Observed on Postfix: 71 and 75 may pass.
fn sysexits(code: i32) -> Option<(&'static str, &'static str)> {
    Some(match code {
        64 => ("5.3.0", "command line usage error"),
        65 => ("5.6.0", "data format error"),
        66 => ("5.3.0", "cannot open input"),
        67 => ("5.1.1", "user unknown"),
        68 => ("5.1.2", "host name unknown"),
        69 => ("5.3.0", "service unavailable"),
        70 => ("5.3.0", "internal software error"),
        71 => ("4.3.0", "system resource problem"),
        72 => ("5.3.0", "critical OS file missing"),
        73 => ("5.2.0", "can't create user output file"),
        74 => ("5.3.0", "input/output error"),
        75 => ("4.3.0", "temporary failure"),
        76 => ("5.5.0", "remote error in protocol"),
        77 => ("5.7.0", "permission denied"),
        78 => ("5.3.5", "local configuration error"),
        _ => return None,
    })
}

/// Whether a line holds something that only a shell understands: special characters, or a builtin as its first word.
fn needs_shell(line: &str) -> bool {
    const PLAIN: &str = "+-./:=@_%^,";
    const BUILTINS: &[&str] = &[
        ".", ":", "alias", "bg", "break", "case", "cd", "continue", "do", "done", "elif", "else", "esac", "eval", "exec", "exit", "export",
        "false", "fc", "fg", "fi", "for", "getopts", "hash", "if", "in", "jobs", "kill", "let", "local", "printf", "pwd", "read",
        "readonly", "return", "set", "shift", "test", "then", "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset",
        "until", "wait", "while",
    ];
    let special = line.chars().any(|c| !(c.is_ascii_alphanumeric() || c == ' ' || c == '\t' || PLAIN.contains(c)));
    let first = line.split_whitespace().next().unwrap_or_default();
    special || BUILTINS.contains(&first) || first.contains('=')
}

fn feed(stdin: ChildStdin, copy: &Copy, content: &mut Content) -> Result<(), CopyError> {
    let mut out = BufWriter::with_capacity(64 * 1024, stdin);
    let result = copy.run(content, &mut out).and_then(|()| out.flush().map_err(CopyError::Write));
    let _ = out.into_parts();
    match result {
        // A command that has seen enough may close its input: its exit status says what it made of the message.
        Err(CopyError::Write(_)) => Ok(()),
        other => other,
    }
}

/// Reads all output so that the command does not block, keeps the beginning.
fn read_output(pipe: &mut impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut buffer) {
        let room = OUTPUT_LIMIT - kept.len();
        kept.extend_from_slice(&buffer[..n.min(room)]);
    }
    kept
}

/// Waits for the process to end; after the deadline kills its group. Says whether it had to.
fn watch(pid: Pid, deadline: Instant) -> bool {
    let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty()).is_ok_and(|pidfd| wait_until(&pidfd, deadline));
    // Also after a normal end: what the command left behind must not hold our pipe for ever.
    if !ended {
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
    !ended
}

fn wait_until(pidfd: &OwnedFd, deadline: Instant) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S-LOCAL: a leading status code in the output of a command.
    #[test]
    fn own_status_codes() {
        assert_eq!(leading_status(b"4.2.2 come again\n"), Some(("4.2.2".into(), &b"come again\n"[..])));
        for wrong in [&b"2.0.0 fine"[..], b"5.1 x", b"5.1.1.1 x", b"5.1234.1 x", b"", b"hello"] {
            assert_eq!(leading_status(wrong), None, "{}", wrong.as_bstr());
        }
    }

    #[test]
    fn a_shell_is_used_when_something_needs_it() {
        for line in ["exit 1", "cat > /tmp/x", "a; b", "echo 'x'", "X=1 y", "echo $HOME", "ls *"] {
            assert!(needs_shell(line), "{line}");
        }
        for line in ["/usr/bin/procmail -t -a x@y", "/bin/cat"] {
            assert!(!needs_shell(line), "{line}");
        }
    }
}
