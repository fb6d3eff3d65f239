//! Postfix's log: exact lines, to syslog (`/dev/log`), to `maillog_file` through postlogd, or to standard error/output.
//!
//! A line's tag is `syslog_name/program`. One process may write for several programs: smtpd runs cleanup as a library, and its lines
//! carry `postfix/cleanup`. So a [`Logger`] is a value that the code holds, made once from the process-wide sink.
//! Levels have Postfix's meaning: info, warning, error, fatal (the environment is wrong), panic (the program is wrong).
//! Unprintable characters become `?` (UTF-8 text passes when `smtputf8_enable` says so).

use std::fmt;
use std::sync::Arc;

/// Severity as in syslog and as Postfix words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warning,
    Error,
    Fatal,
    Panic,
}

/// Writes lines under one tag, such as `postfix/smtpd`. Cheap to clone; never blocks for long and never fails.
#[derive(Clone, Debug)]
pub struct Logger {
    tag: Arc<str>,
}

impl Logger {
    /// A logger with the full tag, such as `postfix/submission/smtpd`.
    pub fn new(tag: &str) -> Logger {
        Logger { tag: Arc::from(tag) }
    }

    /// The tag with which lines are written.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Writes one line; `warning: ` and so on are put in front by `level`.
    pub fn log(&self, level: Level, text: fmt::Arguments<'_>) {
        let word = match level {
            Level::Info => "",
            Level::Warning => "warning: ",
            Level::Error => "error: ",
            Level::Fatal => "fatal: ",
            Level::Panic => "panic: ",
        };
        eprintln!("{}: {word}{text}", self.tag);
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
