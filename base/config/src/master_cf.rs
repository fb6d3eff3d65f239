//! `master.cf` (master(5)): one service per logical line, eight fields separated by whitespace, the last one being a command with
//! its arguments. `{ }` keeps an argument with blanks together; `-o name=value` and `-o { name = value }` override main.cf.

use crate::lines::{LogicalLine, is_blank, logical_lines, split_name_value};
use crate::{Config, ConfigError, Level, braced, split_words};
use std::path::Path;
use std::time::Duration;

/// Names of the fields as `postconf -F` shows them.
pub const FIELDS: [&str; 8] = ["service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"];

/// How clients reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceKind {
    /// A named pipe; obsolete.
    Fifo,
    /// A TCP port.
    Inet,
    /// A Unix stream socket over which open connections are handed on.
    Pass,
    /// A Unix stream socket.
    Unix,
    /// A Unix datagram socket.
    UnixDatagram,
}

impl ServiceKind {
    /// The word in master.cf.
    pub fn name(self) -> &'static str {
        match self {
            ServiceKind::Fifo => "fifo",
            ServiceKind::Inet => "inet",
            ServiceKind::Pass => "pass",
            ServiceKind::Unix => "unix",
            ServiceKind::UnixDatagram => "unix-dgram",
        }
    }

    /// The type with this name.
    pub fn named(name: &str) -> Option<ServiceKind> {
        [ServiceKind::Fifo, ServiceKind::Inet, ServiceKind::Pass, ServiceKind::Unix, ServiceKind::UnixDatagram]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// When `master` wakes a service up on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakeup {
    /// Time between two wake-ups.
    pub every: Duration,
    /// A `?` after the number: not before the service has been used for the first time.
    pub only_if_used: bool,
}

/// One service, as `master` needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterEntry {
    /// First field: a name, or `host:port` for inet.
    pub service: String,
    /// How clients reach it.
    pub kind: ServiceKind,
    /// Its socket is under `private/`, not `public/`. Never true for inet.
    pub private: bool,
    /// It runs as `mail_owner`.
    pub unprivileged: bool,
    /// Its root is `queue_directory`.
    pub chroot: bool,
    /// The `chroot` field is `-`, and means `y` only because of a `compatibility_level` below 1 (to be logged at start).
    pub chroot_by_level: bool,
    /// `None` is never.
    pub wakeup: Option<Wakeup>,
    /// Clients or deliveries at one time; `None` is no limit.
    pub maxproc: Option<u32>,
    /// The column is `-`: `maxproc` is `default_process_limit`.
    pub maxproc_by_default: bool,
    /// Program, relative to `daemon_directory`.
    pub command: String,
    /// Its arguments in order, without braces; a long-form override stands as `-o` and `name=value`.
    pub arguments: Vec<String>,
    /// Number of its first line.
    pub line: usize,
}

impl MasterEntry {
    /// The `-o name=value` overrides among the arguments, in order. What is no `name=value` is left to the service to refuse.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, &str)> {
        Arguments::new(&self.arguments).overrides
    }

    /// Number of `-v` options.
    pub fn verbose(&self) -> u32 {
        Arguments::new(&self.arguments).verbose
    }

    /// Arguments that are no options: `flags=…` and `argv=…` of pipe and spawn.
    pub fn operands(&self) -> &[String] {
        Arguments::new(&self.arguments).operands
    }

    /// Path of its socket relative to the queue directory (`private/rewrite`); `None` for inet.
    pub fn socket(&self) -> Option<String> {
        let folder = if self.private { "private" } else { "public" };
        (self.kind != ServiceKind::Inet).then(|| format!("{folder}/{}", self.service))
    }
}

/// The options that every service understands, split off.
struct Arguments<'a> {
    overrides: std::vec::IntoIter<(&'a str, &'a str)>,
    verbose: u32,
    operands: &'a [String],
}

impl<'a> Arguments<'a> {
    fn new(arguments: &'a [String]) -> Arguments<'a> {
        let mut overrides = Vec::new();
        let mut verbose = 0;
        let mut at = 0;
        while let Some(argument) = arguments.get(at).filter(|argument| argument.starts_with('-') && argument.len() > 1) {
            at += 1;
            if let Some(joined) = argument.strip_prefix("-o") {
                let text = if joined.is_empty() { arguments.get(at).map_or("", String::as_str) } else { joined };
                at += usize::from(joined.is_empty() && at < arguments.len());
                overrides.extend(split_name_value(text));
            } else if argument == "--" {
                break;
            } else {
                verbose += argument.bytes().skip(1).filter(|byte| *byte == b'v').count() as u32;
            }
        }
        Arguments { overrides: overrides.into_iter(), verbose, operands: &arguments[at..] }
    }
}

/// A line whose fields have been told apart and checked, but not interpreted: what `postconf -M` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterLine {
    /// Service, type, private, unprivileged, chroot, wakeup, process limit, as written.
    pub fields: [String; 7],
    /// The command and its arguments, without the braces around arguments; a long-form override is `-o` and `name=value`.
    pub command: Vec<String>,
    /// Number of the first physical line, from 1; 0 when it comes from no file.
    pub first: usize,
    /// Number of the last physical line.
    pub last: usize,
    /// Faults in the braces of arguments; `postconf` warns about them, `master` refuses the line.
    pub faults: Vec<String>,
}

/// What is wrong with a line. `Display` is what `master` says; see also [`MasterFault::postconf`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterError {
    /// Fewer than eight fields: the number of the first that is missing.
    #[error("missing \"{}\" field", MASTER_FIELDS[*.0])]
    Missing(usize),
    /// An unknown type.
    #[error("bad transport type: {0}")]
    Kind(String),
    /// A field, by number, that cannot be read, and what stands there.
    #[error("field \"{}\": bad value: \"{value}\"", MASTER_FIELDS[*field])]
    Field {
        /// Index into [`FIELDS`].
        field: usize,
        /// What stands there.
        value: String,
    },
    /// `private` is `y`, or `-`, for an inet service.
    #[error("inet service cannot be private")]
    PrivateInet,
    /// Braces that do not close, or text after them.
    #[error("{0}")]
    Braces(String),
}

/// The names of [`FIELDS`] as `master` writes them.
const MASTER_FIELDS: [&str; 8] = ["service", "transport", "private", "unprivileged", "chroot", "wakeup_time", "max_proc", "command"];

/// An error with its place. `Display` is what `master` says: `/etc/postfix/master.cf: line 2: bad transport type: frob`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: line {line}: {error}")]
pub struct MasterFault {
    /// Name of the file.
    pub file: String,
    /// Number of the line.
    pub line: usize,
    /// The whole logical line.
    pub text: String,
    /// What is wrong.
    pub error: MasterError,
}

impl MasterFault {
    /// The same in the words of `postconf`: `invalid type field "frob" in "foo frob n - n - - smtpd"`.
    pub fn postconf(&self) -> String {
        match &self.error {
            MasterError::Missing(_) => format!("file {}: line {}: bad field count", self.file, self.line),
            MasterError::Kind(value) => format!("invalid type field \"{value}\" in \"{}\"", self.text),
            MasterError::Field { field, value } => format!("invalid {} field \"{value}\" in \"{}\"", FIELDS[*field], self.text),
            MasterError::PrivateInet | MasterError::Braces(_) => self.to_string(),
        }
    }
}

/// `master.cf` as read.
#[derive(Clone, Debug, Default)]
pub struct MasterFile {
    /// Name of the file, for messages.
    pub file: String,
    /// All lines, in order, also those that a later one replaces.
    pub lines: Vec<MasterLine>,
    /// What is wrong but does not prevent its use; whole texts, to be logged as warnings.
    pub warnings: Vec<String>,
}

impl MasterFile {
    /// Reads `master.cf` in `dir`. The error names file and line.
    pub fn load(dir: &Path) -> Result<MasterFile, ConfigError> {
        let path = dir.join("master.cf");
        let bytes = std::fs::read(&path).map_err(|source| ConfigError::Open { path: path.clone(), source })?;
        MasterFile::parse(&String::from_utf8_lossy(&bytes), &path.to_string_lossy())
    }

    /// From a text; `file` is the name used in messages.
    pub fn parse(text: &str, file: &str) -> Result<MasterFile, ConfigError> {
        let mut master = MasterFile { file: file.to_owned(), ..MasterFile::default() };
        for line in logical_lines(text) {
            if line.is_misplaced() {
                master.warnings.push(format!("{file}: logical line must not start with whitespace: \"{}\"", line.text));
                continue;
            }
            let parsed = MasterLine::parse(&line).map_err(|error| {
                let text = line.text.trim_end_matches(is_blank).to_owned();
                ConfigError::Master(MasterFault { file: file.to_owned(), line: line.first, text, error })
            })?;
            master.warnings.extend(parsed.faults.iter().map(|fault| format!("master.cf: {fault}")));
            master.lines.push(parsed);
        }
        Ok(master)
    }

    /// The services, in order of their first appearance; when several lines name the same service and type the last one counts, with a
    /// warning. `config` gives the defaults of `-` fields and hides the services in `master_service_disable`.
    pub fn entries(&self, config: &Config, warnings: &mut Vec<String>) -> Result<Vec<MasterEntry>, ConfigError> {
        let disabled = config.text("master_service_disable")?;
        let mut entries: Vec<MasterEntry> = Vec::new();
        for line in &self.lines {
            if is_disabled(&disabled, line) {
                continue;
            }
            let entry = self.entry(line, config)?;
            match entries.iter_mut().find(|earlier| earlier.service == entry.service && earlier.kind == entry.kind) {
                Some(earlier) => {
                    let place = entry.socket().unwrap_or_else(|| entry.service.clone());
                    warnings.push(format!("duplicate master.cf entry for service \"{}\" ({place}) -- using the last entry", entry.service));
                    *earlier = entry;
                }
                None => entries.push(entry),
            }
        }
        Ok(entries)
    }

    /// The typed entry of one of the lines.
    fn entry(&self, line: &MasterLine, config: &Config) -> Result<MasterEntry, ConfigError> {
        let old_chroot = config.level()? < Level::parse("1")?;
        let process_limit = config.int("default_process_limit")?;
        line.entry(old_chroot, process_limit).map_err(|error| {
            let text = format!("{} {}", line.fields.join(" "), line.command.join(" "));
            ConfigError::Master(MasterFault { file: self.file.clone(), line: line.first, text, error })
        })
    }
}

/// `master_service_disable`: a list of `type`, `service/type` or `service`, the first match decides, `!` turns it round.
fn is_disabled(list: &str, line: &MasterLine) -> bool {
    let [service, kind, ..] = &line.fields;
    for pattern in crate::split_list(list) {
        let (wanted, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (false, pattern),
            None => (true, pattern),
        };
        let matches = match pattern.rsplit_once(['/', '.']) {
            Some((name, pattern_kind)) if ServiceKind::named(pattern_kind).is_some() => {
                pattern_kind == kind && (name == "*" || name == service)
            }
            _ => pattern == kind || pattern == service || pattern == "*",
        };
        if matches {
            return wanted;
        }
    }
    false
}

impl MasterLine {
    /// Splits a logical line and checks its fields.
    pub fn parse(line: &LogicalLine) -> Result<MasterLine, MasterError> {
        let mut rest = line.text.as_str();
        let mut fields: [String; 7] = Default::default();
        let mut count = 0;
        for field in &mut fields {
            rest = rest.trim_start_matches(is_blank);
            let end = rest.find(is_blank).unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
            count += usize::from(end > 0);
        }
        let mut words = split_words(rest);
        let Some(program) = words.next() else { return Err(MasterError::Missing(count)) };
        check_fields(&fields)?;
        let mut command = vec![program.to_owned()];
        let mut faults = Vec::new();
        for word in words {
            let after_o = command.len() > 1 && command.last().is_some_and(|last| last == "-o");
            command.push(argument(word, after_o, &mut faults));
        }
        Ok(MasterLine { fields, command, first: line.first, last: line.last, faults })
    }

    /// The typed entry.
    fn entry(&self, old_chroot: bool, process_limit: i64) -> Result<MasterEntry, MasterError> {
        if let Some(fault) = self.faults.first() {
            return Err(MasterError::Braces(fault.clone()));
        }
        let [service, kind, private, unprivileged, chroot, wakeup, limit] = &self.fields;
        let bad = |field: usize| MasterError::Field { field, value: self.fields[field].clone() };
        let kind = ServiceKind::named(kind).ok_or_else(|| MasterError::Kind(kind.clone()))?;
        let private = flag(private, true).ok_or_else(|| bad(2))?;
        if private && kind == ServiceKind::Inet {
            return Err(MasterError::PrivateInet);
        }
        let maxproc = match limit.as_str() {
            "-" => u32::try_from(process_limit).unwrap_or(u32::MAX),
            number => number.parse().ok().filter(|number| *number <= i32::MAX as u32).ok_or_else(|| bad(6))?,
        };
        Ok(MasterEntry {
            service: service.clone(),
            kind,
            private,
            unprivileged: flag(unprivileged, true).ok_or_else(|| bad(3))?,
            chroot: flag(chroot, old_chroot).ok_or_else(|| bad(4))?,
            chroot_by_level: chroot == "-" && old_chroot,
            wakeup: wakeup_of(wakeup).ok_or_else(|| bad(5))?,
            maxproc: (maxproc > 0).then_some(maxproc),
            maxproc_by_default: limit == "-",
            command: self.command[0].clone(),
            arguments: self.command[1..].to_vec(),
            line: self.first,
        })
    }
}

fn flag(text: &str, default: bool) -> Option<bool> {
    match text {
        "y" => Some(true),
        "n" => Some(false),
        "-" => Some(default),
        _ => None,
    }
}

fn wakeup_of(text: &str) -> Option<Option<Wakeup>> {
    if text == "-" {
        return Some(None);
    }
    let (number, only_if_used) = match text.strip_suffix('?') {
        Some(number) => (number, true),
        None => (text, false),
    };
    let seconds: u32 = number.parse().ok()?;
    Some((seconds > 0).then_some(Wakeup { every: Duration::from_secs(seconds.into()), only_if_used }))
}

/// Checks what does not depend on defaults; the order of the checks is Postfix's.
pub fn check_fields(fields: &[String; 7]) -> Result<(), MasterError> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    for (field, value) in fields.iter().enumerate() {
        let valid = match field {
            1 if ServiceKind::named(value).is_none() => return Err(MasterError::Kind(value.clone())),
            2..=4 => flag(value, true).is_some(),
            5 => value == "-" || (!value.is_empty() && digits(value.strip_suffix('?').unwrap_or(value))),
            6 => value == "-" || (!value.is_empty() && digits(value)),
            _ => true,
        };
        if !valid {
            return Err(MasterError::Field { field, value: value.clone() });
        }
    }
    Ok(())
}

/// An argument without its braces. After `-o`, `{ name = value }` becomes `name=value`.
fn argument(word: &str, after_o: bool, faults: &mut Vec<String>) -> String {
    let Some(inside) = braced(word) else { return word.to_owned() };
    let inside = inside.unwrap_or_else(|fault| {
        faults.push(fault);
        unbraced(word)
    });
    if !after_o {
        return inside.to_owned();
    }
    match split_name_value(inside) {
        Ok((name, value)) => format!("{name}={value}"),
        Err(error) => {
            faults.push(format!("{error}: \"{inside}\""));
            inside.to_owned()
        }
    }
}

/// What Postfix goes on with after a fault in the braces: the text up to the closing brace, or all of it.
fn unbraced(word: &str) -> &str {
    let inner = &word[1..];
    let mut depth = 1_usize;
    let end = inner.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    });
    inner[..end.unwrap_or(inner.len())].trim_matches(is_blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> MasterFile {
        MasterFile::parse(text, "/etc/postfix/master.cf").unwrap()
    }

    fn entry(text: &str, main: &str) -> MasterEntry {
        let config = Config::parse(main, "main.cf").unwrap();
        parse(text).entries(&config, &mut Vec::new()).unwrap().remove(0)
    }

    // S-MASTER-02
    #[test]
    fn dashes_take_defaults() {
        let modern = entry("foo unix - - - - - smtp", "compatibility_level = 3.6\n");
        assert!(modern.private && modern.unprivileged && !modern.chroot);
        assert_eq!((modern.wakeup, modern.maxproc), (None, Some(100)));
        assert_eq!(modern.socket().as_deref(), Some("private/foo"));
        let old = entry("foo unix - - - - - smtp", "default_process_limit = 7\n");
        assert!(old.chroot && old.chroot_by_level);
        assert_eq!(old.maxproc, Some(7));
    }

    // S-MASTER-03, S-MASTER-14
    #[test]
    fn continuation_and_overrides() {
        let text =
            "# x\nsubmission inet n - n - 0 smtpd\n  -o syslog_name=postfix/submission\n# y\n\n  -o { smtpd_banner = two  words } -v\n";
        let entry = entry(text, "");
        assert_eq!(entry.overrides().collect::<Vec<_>>(), [("syslog_name", "postfix/submission"), ("smtpd_banner", "two  words")]);
        assert_eq!((entry.verbose(), entry.maxproc, entry.line), (1, None, 2));
        assert_eq!(entry.socket(), None);
    }

    // S-MASTER-12, S-MASTER-06 to 08
    #[test]
    fn kinds_and_wakeup() {
        let flush = entry("flush unix n - n 1000? 0 flush", "");
        assert_eq!(flush.wakeup, Some(Wakeup { every: Duration::from_secs(1000), only_if_used: true }));
        assert_eq!(flush.socket().as_deref(), Some("public/flush"));
        assert_eq!(entry("x unix - - n 0 - x", "").wakeup, None);
        for (word, kind) in [("fifo", ServiceKind::Fifo), ("pass", ServiceKind::Pass), ("unix-dgram", ServiceKind::UnixDatagram)] {
            assert_eq!(entry(&format!("x {word} n - n - 1 x"), "").kind, kind);
        }
    }

    #[test]
    fn arguments_of_pipe() {
        let entry = entry("p unix - n n - - pipe -o a=b flags=R user=vmail argv=/bin/cat -v ${sender} { quoted arg }", "");
        assert_eq!(entry.command, "pipe");
        assert_eq!(entry.operands(), ["flags=R", "user=vmail", "argv=/bin/cat", "-v", "${sender}", "quoted arg"]);
    }

    // S-MASTER-01, S-MASTER-09; both texts observed with master and postconf of 3.7.11.
    #[test]
    fn faults_name_file_line_and_field() {
        let config = Config::parse("", "main.cf").unwrap();
        let fault = |text: &str| {
            let result = MasterFile::parse(text, "/etc/postfix/master.cf");
            match result.and_then(|file| file.entries(&config, &mut Vec::new())) {
                Err(ConfigError::Master(fault)) => fault,
                other => panic!("{text}: {other:?}"),
            }
        };
        let short = fault("\nsmtp inet n\n");
        assert_eq!(short.to_string(), "/etc/postfix/master.cf: line 2: missing \"unprivileged\" field");
        assert_eq!(short.postconf(), "file /etc/postfix/master.cf: line 2: bad field count");
        for (line, master, postconf) in [
            ("foo frob n - n - - smtpd", "bad transport type: frob", "type field \"frob\""),
            ("foo unix z - n - - smtpd", "field \"private\": bad value: \"z\"", "private field \"z\""),
            ("foo unix Y - n - - smtpd", "field \"private\": bad value: \"Y\"", "private field \"Y\""),
            ("foo unix - z n - - smtpd", "field \"unprivileged\": bad value: \"z\"", "unprivileged field \"z\""),
            ("foo unix - - z - - smtpd", "field \"chroot\": bad value: \"z\"", "chroot field \"z\""),
            ("foo unix - - - -1 - smtpd", "field \"wakeup_time\": bad value: \"-1\"", "wakeup field \"-1\""),
            ("foo unix - - - 1?? - smtpd", "field \"wakeup_time\": bad value: \"1??\"", "wakeup field \"1??\""),
            ("foo unix - - - ? - smtpd", "field \"wakeup_time\": bad value: \"?\"", "wakeup field \"?\""),
            ("foo unix - - - - -1 smtpd", "field \"max_proc\": bad value: \"-1\"", "process_limit field \"-1\""),
            ("foo unix - - - - 999999999999 x", "field \"max_proc\": bad value: \"999999999999\"", "process_limit field \"999999999999\""),
        ] {
            assert_eq!(fault(line).to_string(), format!("/etc/postfix/master.cf: line 1: {master}"));
            assert_eq!(fault(line).postconf(), format!("invalid {postconf} in \"{line}\""));
        }
        for line in ["foo inet y - n - - smtpd", "foo inet - - n - - smtpd"] {
            assert_eq!(fault(line).error, MasterError::PrivateInet);
        }
        assert_eq!(fault("a unix - - n - 0 smtpd -o { e").to_string(), "/etc/postfix/master.cf: line 1: missing '}' in \"{ e\"");
    }

    #[test]
    fn faults_in_braces_are_warnings() {
        let master = parse("foo unix - - - - 0 smtpd -o { a = b } -o {c=d}x -o { e");
        assert_eq!(master.lines[0].command, ["smtpd", "-o", "a=b", "-o", "c=d", "-o", "e"]);
        assert_eq!(
            master.warnings,
            [
                "master.cf: syntax error after '}' in \"{c=d}x\"",
                "master.cf: missing '}' in \"{ e\"",
                "master.cf: missing '=' after attribute name: \"e\""
            ]
        );
    }

    #[test]
    fn the_last_of_duplicates_counts() {
        let config = Config::parse("compatibility_level = 3.6", "main.cf").unwrap();
        let mut warnings = Vec::new();
        let entries = parse("foo unix - - n - 0 smtpd\nfoo inet n - n - 0 smtpd\nfoo unix - - n - 1 smtp\n");
        let entries = entries.entries(&config, &mut warnings).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.command.as_str()).collect::<Vec<_>>(), ["smtp", "smtpd"]);
        assert_eq!(warnings, ["duplicate master.cf entry for service \"foo\" (private/foo) -- using the last entry"]);
    }

    // postconf(5), master_service_disable
    #[test]
    fn disabled_services_are_hidden() {
        let text = "smtp inet n - n - - smtpd\n628 inet n - n - - qmqpd\nsmtp unix - - n - - smtp\n";
        let names = |disable: &str| {
            let config = Config::parse(&format!("master_service_disable = {disable}"), "main.cf").unwrap();
            let entries = parse(text).entries(&config, &mut Vec::new()).unwrap();
            entries.into_iter().map(|entry| entry.command).collect::<Vec<_>>()
        };
        assert_eq!(names(""), ["smtpd", "qmqpd", "smtp"]);
        assert_eq!(names("inet"), ["smtp"]);
        assert_eq!(names("!smtp/inet, inet"), ["smtpd", "smtp"]);
        assert_eq!(names("smtp/inet"), ["qmqpd", "smtp"]);
    }
}
