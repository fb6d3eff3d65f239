//! Postfix's log: exact lines, to syslog (`/dev/log`), to `maillog_file` through postlogd, or to standard error/output.
//!
//! A line's tag is `syslog_name/program`. One process may write for several programs: smtpd runs cleanup as a library, and its lines
//! carry `postfix/cleanup`. So a [`Logger`] is a value that the code holds; where lines go is a property of the process, set with
//! [`early`] before main.cf is read and with [`open`] after. Until then lines go to standard error, as suits a test.
//! Levels have Postfix's meaning: info, warning, error, fatal (the environment is wrong), panic (the program is wrong).
//! Unprintable characters become `?` (UTF-8 text passes when `smtputf8_enable` says so).
//!
//! ```
//! use posthaste_log::{Logger, info, warn};
//! let log = Logger::new("postfix/smtpd");
//! info!(log, "connect from {}", "localhost[127.0.0.1]");
//! warn!(log, "timeout on cleanup socket");
//! ```

mod format;
mod sink;

pub use format::zone;
pub use sink::{Kind, early, forked, leave_file, on_terminal, open, relay};

use posthaste_config::{Config, ConfigError};
use std::fmt;
use std::sync::Arc;

/// Severity as in syslog and as Postfix words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What happens in the normal course of things.
    Info,
    /// Something is wrong that this program can live with.
    Warning,
    /// Something failed that an administrator has to mend.
    Error,
    /// The environment is wrong and the process ends.
    Fatal,
    /// The program is wrong.
    Panic,
}

impl Level {
    /// The word before the text, with its colon and blank; empty for [`Level::Info`].
    pub fn prefix(self) -> &'static str {
        match self {
            Level::Info => "",
            Level::Warning => "warning: ",
            Level::Error => "error: ",
            Level::Fatal => "fatal: ",
            Level::Panic => "panic: ",
        }
    }

    /// The severity of RFC 3164 §4.1.1 that Postfix uses for it: fatal and panic are both "critical".
    fn severity(self) -> u8 {
        match self {
            Level::Info => 6,
            Level::Warning => 4,
            Level::Error => 3,
            Level::Fatal | Level::Panic => 2,
        }
    }
}

/// Writes lines under one tag, such as `postfix/smtpd`. Cheap to clone; never blocks for long and never fails.
#[derive(Clone, Debug)]
pub struct Logger {
    tag: Arc<str>,
    /// Where the name used on standard error begins within the tag.
    name: usize,
    /// Another name for standard error.
    shown: Option<Arc<str>>,
    verbose: u32,
}

impl Logger {
    /// A logger with the full tag, such as `postfix/submission/smtpd`. On standard error only the last part is shown.
    pub fn new(tag: &str) -> Logger {
        Logger { tag: Arc::from(tag), name: tag.rfind('/').map_or(0, |slash| slash + 1), shown: None, verbose: 0 }
    }

    /// As [`Logger::new`], but standard error shows the whole tag, as `postlog -t` and the administration scripts do.
    pub fn with_whole_tag(tag: &str) -> Logger {
        Logger { name: 0, ..Logger::new(tag) }
    }

    /// `syslog_name/program` of this configuration.
    pub fn program(config: &Config, program: &str) -> Result<Logger, ConfigError> {
        let name = config.text("syslog_name")?;
        // As Postfix: postfix(1) with its default name is not `postfix/postfix`.
        if name == program {
            return Ok(Logger::new(program));
        }
        Ok(Logger::new(&format!("{name}/{program}")))
    }

    /// The same logger, but standard error shows `name`: a command that was called by another of its names, such as `mailq`.
    #[must_use]
    pub fn shown_as(&self, name: &str) -> Logger {
        Logger { shown: Some(Arc::from(name)), ..self.clone() }
    }

    /// The same logger with another verbosity: 0 is silent; `-v` and `debug_peer_level` raise it.
    #[must_use]
    pub fn with_verbose(&self, verbose: u32) -> Logger {
        Logger { verbose, ..self.clone() }
    }

    /// How many times `-v` was given (or the level that `debug_peer_list` added); see [`verbose!`].
    pub fn verbose(&self) -> u32 {
        self.verbose
    }

    /// The tag with which lines are written.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Writes one line; `warning: ` and so on are put in front by `level`.
    ///
    /// At most one system call for each place the line goes to. Blocks when the receiver of log lines is slow, at most a second.
    pub fn log(&self, level: Level, text: fmt::Arguments<'_>) {
        sink::write(&self.tag, self.shown.as_deref().unwrap_or(&self.tag[self.name..]), level, text);
    }
}

/// `info!(logger, "{id}: removed")`
#[macro_export]
macro_rules! info { ($logger:expr, $($arg:tt)*) => { $logger.log($crate::Level::Info, format_args!($($arg)*)) } }
/// `warn!(logger, "…")`: the line begins with `warning: `.
#[macro_export]
macro_rules! warn { ($logger:expr, $($arg:tt)*) => { $logger.log($crate::Level::Warning, format_args!($($arg)*)) } }
/// `error!(logger, "…")`: the line begins with `error: `.
#[macro_export]
macro_rules! error { ($logger:expr, $($arg:tt)*) => { $logger.log($crate::Level::Error, format_args!($($arg)*)) } }
/// `fatal!(logger, "…")`: the line begins with `fatal: `. It only logs; the caller ends the process.
#[macro_export]
macro_rules! fatal { ($logger:expr, $($arg:tt)*) => { $logger.log($crate::Level::Fatal, format_args!($($arg)*)) } }
/// `verbose!(logger, "…")`: an info line that is written only when the logger's verbosity is above 0 (`-v`, `debug_peer_list`).
#[macro_export]
macro_rules! verbose {
    ($logger:expr, $($arg:tt)*) => { if $logger.verbose() > 0 { $logger.log($crate::Level::Info, format_args!($($arg)*)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_error_shows_the_last_part_of_the_tag() {
        let logger = Logger::new("postfix/submission/smtpd");
        assert_eq!(&logger.tag()[logger.name..], "smtpd");
        let logger = Logger::with_whole_tag("postfix/postfix-script");
        assert_eq!(&logger.tag()[logger.name..], "postfix/postfix-script");
    }

    #[test]
    fn verbosity_belongs_to_the_logger() {
        let logger = Logger::new("postfix/smtpd");
        assert_eq!(logger.with_verbose(2).verbose(), 2);
        assert_eq!(logger.verbose(), 0);
    }
}
