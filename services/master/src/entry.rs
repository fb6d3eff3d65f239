//! master.cf as master understands it: what to listen on, and what to start for it.

use posthaste_config::{Config, ConfigError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The transport type, second column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Inet,
    Unix,
    UnixDgram,
    Fifo,
    Pass,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Inet => "inet",
            Kind::Unix => "unix",
            Kind::UnixDgram => "unix-dgram",
            Kind::Fifo => "fifo",
            Kind::Pass => "pass",
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) private: bool,
    pub(crate) unprivileged: bool,
    pub(crate) chroot: bool,
    /// Zero is never.
    pub(crate) wakeup: Duration,
    /// Only when the service is in use (`?`).
    pub(crate) wakeup_if_used: bool,
    /// Zero is no limit.
    pub(crate) limit: u32,
    /// The program's full path.
    pub(crate) path: PathBuf,
    /// Its name as in master.cf.
    pub(crate) command: String,
    pub(crate) arguments: Vec<String>,
    /// For messages.
    pub(crate) line: usize,
}

impl Entry {
    /// Where a service of a local type has its socket, below the queue directory.
    pub(crate) fn socket_path(&self) -> PathBuf {
        Path::new(if self.private { "private" } else { "public" }).join(&self.name)
    }

    /// How messages name it besides its name: the socket, or for `inet` the port.
    pub(crate) fn place(&self, port: Option<u16>) -> String {
        match (self.kind, port) {
            (Kind::Inet, Some(port)) => port.to_string(),
            (Kind::Inet, None) => self.name.clone(),
            _ => self.socket_path().display().to_string(),
        }
    }
}

/// What the columns' defaults come from.
pub(crate) struct Defaults {
    pub(crate) daemon_directory: PathBuf,
    pub(crate) process_limit: u32,
    /// `y` before compatibility level 1.
    pub(crate) chroot: bool,
}

impl Defaults {
    pub(crate) fn read(config: &Config) -> Result<Defaults, ConfigError> {
        let level = config.text("compatibility_level")?;
        Ok(Defaults {
            daemon_directory: config.text("daemon_directory")?.into(),
            process_limit: config.int("default_process_limit")?.try_into().unwrap_or(u32::MAX),
            chroot: level.split('.').next().unwrap_or_default().trim() == "0",
        })
    }
}

/// Reads master.cf. The error is the text after `fatal: `. Entries of one name and type: the last one counts; the lines that were
/// overridden come back as second value.
pub(crate) fn parse(text: &str, file: &Path, defaults: &Defaults) -> Result<(Vec<Entry>, Vec<Entry>), String> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut overridden = Vec::new();
    for (number, line) in logical_lines(text) {
        let entry = parse_line(&line, number, defaults).map_err(|error| format!("{}: line {number}: {error}", file.display()))?;
        match entries.iter_mut().find(|other| other.name == entry.name && other.kind == entry.kind) {
            Some(other) => overridden.push(std::mem::replace(other, entry)),
            None => entries.push(entry),
        }
    }
    Ok((entries, overridden))
}

fn parse_line(line: &str, number: usize, defaults: &Defaults) -> Result<Entry, String> {
    let mut words = words(line).into_iter();
    let mut field = |name: &str| words.next().ok_or_else(|| format!("missing \"{name}\" field"));
    let name = field("service name")?;
    let kind = field("transport type")?;
    let kind = match kind.as_str() {
        "inet" => Kind::Inet,
        "unix" => Kind::Unix,
        "unix-dgram" => Kind::UnixDgram,
        "fifo" => Kind::Fifo,
        "pass" => Kind::Pass,
        _ => return Err(format!("bad transport type: {kind}")),
    };
    let private = yes_or_no("private", &field("private")?, true)?;
    if kind == Kind::Inet && private {
        return Err("inet service cannot be private".into());
    }
    let unprivileged = yes_or_no("unprivileged", &field("unprivileged")?, true)?;
    let chroot = yes_or_no("chroot", &field("chroot")?, defaults.chroot)?;
    let (wakeup, wakeup_if_used) = wakeup(&field("wakeup_time")?)?;
    let limit = field("max_proc")?;
    let limit = match limit.as_str() {
        "-" => defaults.process_limit,
        _ => limit.parse().map_err(|_| bad("max_proc", &limit))?,
    };
    let command = field("command")?;
    let path = defaults.daemon_directory.join(&command);
    let arguments = words.map(|word| unbrace(&word)).collect::<Result<_, _>>()?;
    Ok(Entry { name, kind, private, unprivileged, chroot, wakeup, wakeup_if_used, limit, path, command, arguments, line: number })
}

fn bad(field: &str, value: &str) -> String {
    format!("field \"{field}\": bad value: \"{value}\"")
}

fn yes_or_no(field: &str, value: &str, default: bool) -> Result<bool, String> {
    match value {
        "y" => Ok(true),
        "n" => Ok(false),
        "-" => Ok(default),
        _ => Err(bad(field, value)),
    }
}

fn wakeup(value: &str) -> Result<(Duration, bool), String> {
    if value == "-" {
        return Ok((Duration::ZERO, false));
    }
    // Like Postfix, whatever follows the question mark is not looked at.
    let (digits, if_used) = value.split_once('?').map_or((value, false), |(digits, _)| (digits, true));
    let seconds: u32 = digits.parse().map_err(|_| bad("wakeup_time", value))?;
    Ok((Duration::from_secs(seconds.into()), if_used))
}

/// `{ name = value }` is one argument, without its braces.
fn unbrace(word: &str) -> Result<String, String> {
    let Some(inner) = word.strip_prefix('{') else { return Ok(word.to_owned()) };
    let Some(inner) = inner.strip_suffix('}') else { return Err(format!("missing '}}' in \"{word}\"")) };
    Ok(inner.trim().to_owned())
}

/// Whether `master_service_disable` names this entry: `type` or `name/type`, `!` excepts; the first that matches decides.
pub(crate) fn disabled(entry: &Entry, list: &str) -> bool {
    let full = format!("{}/{}", entry.name, entry.kind.as_str());
    for item in list.split([',', ' ', '\t', '\n', '\r']).filter(|item| !item.is_empty()) {
        let (item, answer) = item.strip_prefix('!').map_or((item, true), |item| (item, false));
        if item == entry.kind.as_str() || item == full {
            return answer;
        }
    }
    false
}

fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, physical) in text.lines().enumerate() {
        let content = physical.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, line)) if content.len() < physical.len() => line.push_str(physical),
            _ => lines.push((at + 1, physical.to_owned())),
        }
    }
    lines
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut depth = 0usize;
        let end = rest
            .char_indices()
            .find(|&(_, c)| {
                match c {
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth == 0 && c.is_ascii_whitespace()
            })
            .map_or(rest.len(), |(at, _)| at);
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Entry>, String> {
        let defaults = Defaults { daemon_directory: "/usr/lib/postfix/sbin".into(), process_limit: 100, chroot: false };
        super::parse(text, Path::new("/etc/postfix/master.cf"), &defaults).map(|(entries, _)| entries)
    }

    /// S-MASTER-01, S-MASTER-02, S-MASTER-03, S-MASTER-14.
    #[test]
    fn columns_defaults_and_continuation() {
        let entries = parse(
            "# comment\nrelay     unix  -       -       n       -       -       smtp\n        -o syslog_name=postfix/$service_name\n\
             # -o off=yes\n  -o { smtp_helo_name = a b }\n\npickup unix n - - 60 1 pickup\ntlsmgr unix - - n 1000? 1 tlsmgr\n",
        )
        .expect("good");
        assert_eq!(
            entries[0],
            Entry {
                name: "relay".into(),
                kind: Kind::Unix,
                private: true,
                unprivileged: true,
                chroot: false,
                wakeup: Duration::ZERO,
                wakeup_if_used: false,
                limit: 100,
                path: "/usr/lib/postfix/sbin/smtp".into(),
                command: "smtp".into(),
                arguments: ["-o", "syslog_name=postfix/$service_name", "-o", "smtp_helo_name = a b"].map(str::to_owned).to_vec(),
                line: 2,
            }
        );
        assert_eq!((entries[1].socket_path(), entries[1].wakeup, entries[1].limit), ("public/pickup".into(), Duration::from_secs(60), 1));
        assert_eq!((entries[2].wakeup, entries[2].wakeup_if_used), (Duration::from_secs(1000), true));
    }

    /// S-MASTER-01, S-MASTER-09: the texts that Postfix 3.7.11 logs.
    #[test]
    fn errors_name_line_and_field() {
        for (line, error) in [
            ("foo unix n", "missing \"unprivileged\" field"),
            ("foo frob n - n - - smtpd", "bad transport type: frob"),
            ("foo unix x - n - - smtpd", "field \"private\": bad value: \"x\""),
            ("foo inet y - n - - smtpd", "inet service cannot be private"),
            ("2525 inet - - n - - smtpd", "inet service cannot be private"),
            ("foo inet n z - - - smtpd", "field \"unprivileged\": bad value: \"z\""),
            ("foo unix - - q - - smtpd", "field \"chroot\": bad value: \"q\""),
            ("foo unix - - n abc - smtpd", "field \"wakeup_time\": bad value: \"abc\""),
            ("foo unix - - n - abc smtpd", "field \"max_proc\": bad value: \"abc\""),
            ("foo unix - - n - -1 smtpd", "field \"max_proc\": bad value: \"-1\""),
            ("foo unix - - n - - smtpd -o { myhostname = x", "missing '}' in \"{ myhostname = x\""),
        ] {
            assert_eq!(parse(&format!("\n{line}\n")).expect_err(line), format!("/etc/postfix/master.cf: line 2: {error}"));
        }
        assert!(parse("foo unix - - n 10?x - smtpd").is_ok(), "Postfix lets this pass");
    }

    #[test]
    fn the_last_of_two_entries_counts() {
        let entries = parse("a unix - - n - 1 x\nb unix - - n - 1 x\na unix - - n - 2 x\na inet n - n - 3 x\n").expect("good");
        let limits: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.limit)).collect();
        assert_eq!(limits, [("a", 2), ("b", 1), ("a", 3)]);
    }

    #[test]
    fn services_can_be_disabled() {
        let entries = parse("smtp inet n - n - - smtpd\nsmtp unix - - n - - smtp\n").expect("good");
        let off = |list| entries.iter().map(|entry| disabled(entry, list)).collect::<Vec<_>>();
        assert_eq!(off(""), [false, false]);
        assert_eq!(off("inet"), [true, false]);
        assert_eq!(off("!smtp/inet, inet smtp/unix"), [false, true]);
    }
}
