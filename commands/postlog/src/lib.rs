//! postlog(1): writes to the mail log from scripts.
//!
//! Set-gid, so that it reaches postlogd's socket for any user. It opens no file but main.cf, and that only from a directory that the
//! administrator has allowed; what it logs has control characters replaced, as every line of the log.

use posthaste_cli::{Getopt, Manual, Opt};
use posthaste_log::{Level, Logger, fatal};
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "postlog",
    section: 1,
    summary: "write to the mail log",
    synopsis: &["postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]"],
    description: "Logs the text on the command line as one line, or without text each line of standard input. The line goes where the mail system logs to \
                  (syslog, or maillog_file), and also to standard error when that is a terminal.",
    options: &[
        Opt { flag: "-c", argument: "config_dir", text: "The directory of main.cf. Other than the default only as far as that allows it." },
        Opt { flag: "-i", argument: "", text: "Accepted for compatibility: the process id is always logged." },
        Opt {
            flag: "-p",
            argument: "priority",
            text: "info (the default), warn, error, fatal or panic. After the last two the command waits for a second.",
        },
        Opt { flag: "-t", argument: "tag", text: "The name at the beginning of the line; the default is $syslog_name/postlog." },
        Opt { flag: "-v", argument: "", text: "Accepted for compatibility." },
    ],
    sections: &[
        ("EXIT STATUS", "0, or 1 when the command line or main.cf is wrong; the reason is in the log."),
        ("ENVIRONMENT", "MAIL_CONFIG: as -c. MAIL_LOGTAG: takes the place of $syslog_name."),
        ("PARAMETERS", "maillog_file, postlog_service_name, syslog_facility, syslog_name"),
        ("SEE ALSO", "postlogd(8)"),
    ],
};

const USAGE: &str = "usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]";

/// The longest line taken from standard input; the rest of a longer one is dropped.
const LINE_LIMIT: usize = 64 * 1024;

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_log::early(true, posthaste_log::on_terminal());
    let mut log = Logger::new("postlog");
    match run(arguments, &mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            fatal!(log, "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>, log: &mut Logger) -> Result<(), String> {
    if arguments.iter().skip(1).any(|argument| argument == "--help") {
        let _ = io::stdout().write_all(MANUAL.help().as_bytes());
        return Ok(());
    }
    let (mut directory, mut tag, mut level) = (None, None, "info".to_owned());
    let mut getopt = Getopt::new(arguments, "c:ip:t:v");
    for option in getopt.by_ref() {
        match option {
            Ok((b'c', value)) => directory = value.map(PathBuf::from),
            Ok((b'p', value)) => level = value.unwrap_or_default().to_string_lossy().into_owned(),
            Ok((b't', value)) => tag = value.map(|value| value.to_string_lossy().into_owned()),
            Ok(_) => {}
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                return Err(USAGE.to_owned());
            }
        }
    }
    let level = parse_level(&level).ok_or_else(|| format!("bad severity: \"{level}\""))?;
    let caller_is_root = rustix::process::getuid().is_root();
    let (config, logger) =
        posthaste_cli::start_set_gid("postlog", directory.as_deref(), caller_is_root).map_err(|error| error.to_string())?;
    posthaste_log::open(&config, posthaste_log::Kind::Control, posthaste_log::on_terminal()).map_err(|error| error.to_string())?;
    *log = match (tag, std::env::var("MAIL_LOGTAG")) {
        (Some(tag), _) => Logger::with_whole_tag(&tag),
        (None, Ok(prefix)) => Logger::new(&format!("{prefix}/postlog")),
        (None, Err(_)) => logger,
    };
    let words: Vec<String> = getopt.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if words.is_empty() {
        each_line(io::stdin().lock(), |line| log.log(level, format_args!("{line}"))).map_err(|error| format!("read: {error}"))?;
    } else {
        log.log(level, format_args!("{}", words.join(" ")));
    }
    // A script that logs and dies at once, and is started again at once, must not fill the disk.
    if matches!(level, Level::Fatal | Level::Panic) {
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn parse_level(name: &str) -> Option<Level> {
    Some(match name.to_ascii_lowercase().as_str() {
        "error" => Level::Error,
        "fatal" => Level::Fatal,
        "info" => Level::Info,
        "panic" => Level::Panic,
        "warn" | "warning" => Level::Warning,
        _ => return None,
    })
}

/// Calls `write` with each line, without its end.
fn each_line(mut input: impl BufRead, mut write: impl FnMut(&str)) -> io::Result<()> {
    let mut line: Vec<u8> = Vec::new();
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            if !line.is_empty() {
                write(&String::from_utf8_lossy(&line));
            }
            return Ok(());
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let piece = &available[..end.unwrap_or(available.len())];
        line.extend_from_slice(&piece[..piece.len().min(LINE_LIMIT - line.len())]);
        let used = piece.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            write(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        each_line(io::BufReader::with_capacity(5, text), |line| found.push(line.to_owned())).unwrap();
        found
    }

    // S-CMD-15
    #[test]
    fn levels() {
        assert_eq!(parse_level("warn"), Some(Level::Warning));
        assert_eq!(parse_level("WARNING"), Some(Level::Warning));
        assert_eq!(parse_level("panic"), Some(Level::Panic));
        assert_eq!(parse_level("nonsense"), None);
    }

    #[test]
    fn lines_of_the_input() {
        assert_eq!(lines(b"a\nlonger than the buffer\n\nc"), ["a", "longer than the buffer", "", "c"]);
        assert_eq!(lines(b""), Vec::<String>::new());
        let long = vec![b'x'; LINE_LIMIT + 10];
        assert_eq!(lines(&[long.as_slice(), b"\nnext\n"].concat()).iter().map(String::len).collect::<Vec<_>>(), [LINE_LIMIT, 4]);
    }
}
