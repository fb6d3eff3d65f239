//! Where lines go. One place per process, behind one lock, with one buffer that every line is built in.
//!
//! Processes that hold the right to open `maillog_file` append to it themselves: a line is then one `write`, which the kernel keeps whole
//! (`O_APPEND`), instead of a message to another process that has to wake up and write it. postlogd serves the others: unprivileged commands,
//! and old processes after a reload ([`leave_file`]), which must not hold on to a log file that `postfix logrotate` has just renamed.

use crate::Level;
use crate::format::{Printable, Stamp};
use jiff::Timestamp;
use posthaste_config::{Config, ConfigError};
use rustix::fd::{AsFd, BorrowedFd};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SYSLOG_SOCKET: &str = "/dev/log";
/// Text longer than this is cut: more than any message of ours has, less than what syslog daemons cut by themselves (8 KiB in rsyslog).
const LINE_LIMIT: usize = 2000;
/// `LOG_MAIL`.
const MAIL: u8 = 2;

/// What kind of program writes, which decides how it reaches `maillog_file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Started by master: appends to the file itself when it may, else through postlogd. `/dev/stdout` is its own standard output.
    Daemon,
    /// A command: through postlogd; never to its standard output. While postlogd does not run its lines are for standard error alone,
    /// where they go when `stderr` says so.
    Command,
    /// A command that works on a mail system that is down (postfix, postlog): appends itself when root, else as [`Kind::Command`].
    Control,
}

#[derive(Debug)]
enum Target {
    /// Nowhere (but standard error).
    Nowhere,
    /// To the syslog daemon; the socket is opened by the first line.
    Syslog,
    /// Appended to a file that is open here.
    File(File),
    /// Through postlogd's socket; the path is relative to the queue directory in daemons, so that it works after a chroot.
    Postlog { path: PathBuf, socket: Option<UnixDatagram> },
}

#[derive(Debug)]
struct Sink {
    target: Target,
    stderr: bool,
    facility: u8,
    utf8: bool,
    pid: u32,
    host: String,
    stamp: Option<Stamp>,
    syslog: Option<UnixDatagram>,
    /// Path of the postlog socket, for [`leave_file`].
    postlog: PathBuf,
    line: Vec<u8>,
    /// Not a daemon.
    command: bool,
}

static SINK: Mutex<Sink> = Mutex::new(Sink {
    target: Target::Nowhere,
    stderr: true,
    facility: MAIL,
    utf8: true,
    pid: 0,
    host: String::new(),
    stamp: None,
    syslog: None,
    postlog: PathBuf::new(),
    line: Vec::new(),
    command: false,
});

fn with<T>(f: impl FnOnce(&mut Sink) -> T) -> T {
    // A panic while a line is built leaves nothing worse than half a line in the buffer, which the next line clears.
    let mut sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
    if sink.pid == 0 {
        sink.pid = std::process::id();
    }
    f(&mut sink)
}

/// Where lines go before main.cf has been read: to syslog or not, to standard error or not.
pub fn early(syslog: bool, stderr: bool) {
    with(|sink| {
        sink.target = if syslog { Target::Syslog } else { Target::Nowhere };
        sink.stderr = stderr;
    });
}

/// Where lines go from now on, by main.cf: `maillog_file`, `syslog_facility`, `smtputf8_enable`. With `stderr` they go to standard error as well.
///
/// Opens what it needs (so call it before chroot and before dropping root), but never fails for want of a log: what cannot be opened is
/// replaced by the next best, syslog at last. Errors: a parameter that is wrong.
pub fn open(config: &Config, kind: Kind, stderr: bool) -> Result<(), ConfigError> {
    let facility = facility(&config.text("syslog_facility")?)?;
    let utf8 = config.bool("smtputf8_enable")?;
    let file = config.text("maillog_file")?;
    let service = config.text("postlog_service_name")?;
    let mode = u32::from_str_radix(&config.text("maillog_file_permissions")?, 8).unwrap_or(0o600);
    if !file.is_empty() {
        let prefixes = config.text("maillog_file_prefixes")?;
        if !prefixes.split([' ', '\t', ',', '\n']).any(|prefix| !prefix.is_empty() && file.starts_with(prefix)) {
            return Err(ConfigError::Bad(format!("maillog_file value '{file}' does not match maillog_file_prefixes value '{prefixes}'")));
        }
    }
    let postlog = match kind {
        Kind::Daemon => Path::new("public").join(service),
        Kind::Command | Kind::Control => config.queue_directory().join("public").join(service),
    };
    let target = target(&file, mode, kind, &postlog);
    with(|sink| {
        sink.command = kind != Kind::Daemon;
        sink.target = target;
        sink.stderr = stderr;
        sink.facility = facility;
        sink.utf8 = utf8;
        sink.postlog = postlog;
        sink.stamp.get_or_insert_with(Stamp::new);
        if sink.host.is_empty() {
            sink.host = short_host_name();
        }
        if matches!(sink.target, Target::Syslog) {
            sink.syslog = connect(Path::new(SYSLOG_SOCKET)).ok();
        }
    });
    Ok(())
}

fn target(file: &str, mode: u32, kind: Kind, postlog: &Path) -> Target {
    if file.is_empty() {
        return Target::Syslog;
    }
    let direct = match (file, kind) {
        ("/dev/stdout", Kind::Daemon) => io::stdout().as_fd().try_clone_to_owned().ok().map(File::from),
        ("/dev/stdout", _) | (_, Kind::Command) => None,
        (_, Kind::Control) if !rustix::process::geteuid().is_root() => None,
        _ => append(Path::new(file), mode).ok(),
    };
    match direct {
        Some(file) => Target::File(file),
        None => Target::Postlog { path: postlog.to_path_buf(), socket: None },
    }
}

/// Opens a log file for appending; a new one gets `mode` whatever the umask.
fn append(path: &Path, mode: u32) -> io::Result<File> {
    match File::options().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let file = File::options().append(true).create(true).mode(mode).open(path)?;
    rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(mode))?;
    Ok(file)
}

/// Lets go of `maillog_file`: later lines of this process go through postlogd, which has the current file open. For a process that drains.
pub fn leave_file() {
    with(|sink| {
        if let Target::File(file) = &sink.target
            && rustix::fs::fstat(file).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file())
        {
            sink.target = Target::Postlog { path: sink.postlog.clone(), socket: None };
        }
    });
}

/// Writes finished lines, each with its line end, to `maillog_file` as they are: postlogd's job. Without an open log file they are lost.
pub fn relay(lines: &[u8]) {
    with(|sink| {
        if let Target::File(file) = &sink.target {
            let _ = write_all(file.as_fd(), lines);
        }
    });
}

/// Says that this process has forked and goes on as the child: lines carry its own process id.
pub fn forked() {
    with(|sink| sink.pid = std::process::id());
}

/// `name`: for standard error.
pub(crate) fn write(tag: &str, name: &str, level: Level, text: fmt::Arguments<'_>) {
    with(|sink| sink.write(tag, name, level, text));
}

impl Sink {
    fn write(&mut self, tag: &str, name: &str, level: Level, text: fmt::Arguments<'_>) {
        use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let head = match &self.target {
            Target::Nowhere => 0,
            Target::Syslog => {
                let _ = io::Write::write_fmt(&mut line, format_args!("<{}>", self.facility << 3 | level.severity()));
                line.len()
            }
            _ => 0,
        };
        line.extend_from_slice(self.stamp.get_or_insert_with(Stamp::new).text(Timestamp::now()));
        if matches!(self.target, Target::File(_) | Target::Postlog { .. }) {
            line.push(b' ');
            line.extend_from_slice(self.host.as_bytes());
        }
        let _ = io::Write::write_fmt(&mut line, format_args!(" {tag}[{}]: ", self.pid));
        let body = line.len();
        line.extend_from_slice(level.prefix().as_bytes());
        let limit = line.len() + LINE_LIMIT;
        let _ = Printable { out: &mut line, limit, utf8: self.utf8 }.write_fmt(text);
        match &mut self.target {
            Target::Nowhere => {}
            Target::Syslog => self.syslog_line(&line),
            Target::File(file) => {
                line.push(b'\n');
                let _ = write_all(file.as_fd(), &line);
                line.pop();
            }
            Target::Postlog { path, socket } => {
                match send(path, socket, &line) {
                    // A user's command may not speak to postlogd, nobody's can while it is down: such lines are for standard error alone, as in Postfix.
                    Err(error) if self.command && matches!(error.kind(), PermissionDenied | NotFound | ConnectionRefused) => {}
                    Err(_) => self.without_postlogd(&line, head, level),
                    Ok(()) => {}
                }
            }
        }
        if self.stderr {
            // Written as a whole, so that lines of several processes on one terminal do not mix.
            let mut short = Vec::with_capacity(line.len());
            short.extend_from_slice(name.as_bytes());
            short.extend_from_slice(b": ");
            short.extend_from_slice(line.get(body..).unwrap_or_default());
            short.push(b'\n');
            let _ = write_all(io::stderr().as_fd(), &short);
        }
        self.line = line;
    }

    /// postlogd cannot be reached, mostly because the mail system is down: syslog gets the line, in its own form.
    fn without_postlogd(&mut self, line: &[u8], head: usize, level: Level) {
        let mut other = Vec::with_capacity(line.len() + 4);
        let _ = io::Write::write_fmt(&mut other, format_args!("<{}>", self.facility << 3 | level.severity()));
        other.extend_from_slice(line.get(head..head + 15).unwrap_or_default());
        other.extend_from_slice(line.get(head + 15 + 1 + self.host.len()..).unwrap_or_default());
        self.syslog_line(&other);
    }

    fn syslog_line(&mut self, line: &[u8]) {
        // The syslog daemon may have been restarted since the last line: its socket is then a new one.
        let _ = send(Path::new(SYSLOG_SOCKET), &mut self.syslog, line);
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    // A syslog daemon that hangs may not stop the mail.
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    Ok(socket)
}

fn send(path: &Path, socket: &mut Option<UnixDatagram>, line: &[u8]) -> io::Result<()> {
    if let Some(open) = socket {
        match open.send(line) {
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return Err(error),
            Err(_) => *socket = None,
        }
    }
    let fresh = connect(path)?;
    fresh.send(line)?;
    *socket = Some(fresh);
    Ok(())
}

fn write_all(fd: BorrowedFd<'_>, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match rustix::io::write(fd, data) {
            Ok(n) => data = &data[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn short_host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// The facility's number in `<syslog.h>`.
fn facility(name: &str) -> Result<u8, ConfigError> {
    const NAMES: [&str; 12] = ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
    let lower = name.to_ascii_lowercase();
    if let Some(n) = NAMES.iter().position(|&known| known == lower) {
        return Ok(n as u8);
    }
    match lower.strip_prefix("local").map(str::as_bytes) {
        Some([digit @ b'0'..=b'7']) => Ok(16 + digit - b'0'),
        _ => Err(ConfigError::Bad(format!("unknown syslog facility name: \"{name}\""))),
    }
}

/// Whether standard error is a terminal: `postfix` and other commands for administrators then show what they log.
pub fn on_terminal() -> bool {
    io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn sink(target: Target) -> Sink {
        Sink {
            target,
            stderr: false,
            facility: MAIL,
            utf8: true,
            pid: 77,
            host: "mail".into(),
            stamp: Some(Stamp::new()),
            syslog: None,
            postlog: PathBuf::new(),
            line: Vec::new(),
            command: false,
        }
    }

    /// S-LOG-01, S-DAEMON-26: the form of a line in `maillog_file`.
    #[test]
    fn a_file_gets_host_tag_and_process_id() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("log");
        let file = append(&path, 0o640).expect("open");
        let mut sink = sink(Target::File(file));
        sink.write("postfix/smtpd", "smtpd", Level::Warning, format_args!("who\nis {}", 1));
        let text = std::fs::read_to_string(&path).expect("log");
        assert_eq!(&text[15..], " mail postfix/smtpd[77]: warning: who?is 1\n");
        assert_eq!(std::fs::metadata(&path).expect("log").permissions().mode() & 0o777, 0o640);
    }

    /// S-LOG-01: what syslog gets is RFC 3164's packet without a host name; mail.info is 22.
    #[test]
    fn syslog_gets_a_priority_and_no_host() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("log");
        let receiver = UnixDatagram::bind(&path).expect("bind");
        let mut sink = sink(Target::Syslog);
        sink.syslog = Some(connect(&path).expect("connect"));
        sink.write("postfix/qmgr", "qmgr", Level::Info, format_args!("ABC: removed"));
        let mut buffer = [0; 200];
        let n = receiver.recv(&mut buffer).expect("a line");
        let text = std::str::from_utf8(&buffer[..n]).expect("text");
        assert_eq!(&text[..4], "<22>");
        assert_eq!(&text[19..], " postfix/qmgr[77]: ABC: removed");
    }

    #[test]
    fn a_restarted_receiver_is_found_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("log");
        let mut socket = None;
        let first = UnixDatagram::bind(&path).expect("bind");
        send(&path, &mut socket, b"one").expect("first");
        drop(first);
        std::fs::remove_file(&path).expect("remove");
        assert!(send(&path, &mut socket, b"lost").is_err());
        let second = UnixDatagram::bind(&path).expect("bind");
        send(&path, &mut socket, b"two").expect("second");
        let mut buffer = [0; 9];
        assert_eq!(second.recv(&mut buffer).expect("a line"), 3);
    }

    #[test]
    fn facilities_have_their_numbers() {
        assert_eq!(facility("mail").ok(), Some(2));
        assert_eq!(facility("LOCAL7").ok(), Some(23));
        assert!(facility("local8").is_err());
        assert!(facility("post").is_err());
    }
}
