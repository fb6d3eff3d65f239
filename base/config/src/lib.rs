//! `main.cf` and `master.cf`: one table of all parameters, the grammar of both files, expansion, and editing that keeps comments.
//!
//! A [`Config`] is an immutable value: the files as read, the `-o` overrides of one service on top, and the table of defaults below.
//! Nothing is global, so two configurations can live in one process (reload, service profiles, tests).
//!
//! ```no_run
//! # use posthaste_config::{Config, ConfigError};
//! # fn main() -> Result<(), ConfigError> {
//! let config = Config::load("/etc/postfix".as_ref())?;
//! let limit: i64 = config.int("message_size_limit")?;
//! # Ok(()) }
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is wrong with the configuration. `Display` is the text that Postfix logs after `fatal: `.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read: `open /etc/postfix/main.cf: No such file or directory`.
    #[error("open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A value that does not fit its parameter, or a line that does not fit the grammar; the text names file and line or parameter.
    #[error("{0}")]
    Bad(String),
}

/// An immutable configuration as one process (or one service profile) sees it.
///
/// The accessors expand `$name` and check type and range; asking for a name that is not in the table, or with the wrong type, is a
/// fault of the program (it panics, and a test over the sources finds it first). Names made from a transport or service
/// (`relay_destination_concurrency_limit`) go through [`Config::service_int`] and its siblings.
#[derive(Clone, Debug)]
pub struct Config {
    _private: (),
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl Config {
    /// Reads `main.cf` in `dir`. Warnings (unused, misspelt) are not given here but by `postconf` and `postfix check`.
    pub fn load(dir: &Path) -> Result<Config, ConfigError> {
        todo!()
    }

    /// From the text of a main.cf, for tests and for tools that make their own. `file` is the name used in error texts.
    pub fn parse(text: &str, file: &str) -> Result<Config, ConfigError> {
        todo!()
    }

    /// The same configuration with these parameters set (`-o name=value`), in order; later ones win.
    pub fn with_overrides<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Config, ConfigError> {
        todo!()
    }

    /// The folder of main.cf and master.cf (`config_directory`).
    pub fn directory(&self) -> &Path {
        todo!()
    }

    /// A text parameter, expanded. Parameters of type `raw` come unexpanded.
    pub fn text(&self, name: &str) -> Result<String, ConfigError> {
        todo!()
    }

    /// A number, within the range of its row.
    pub fn int(&self, name: &str) -> Result<i64, ConfigError> {
        todo!()
    }

    /// `yes` or `no`.
    pub fn bool(&self, name: &str) -> Result<bool, ConfigError> {
        todo!()
    }

    /// A time; the unit of a bare number is that of the parameter's row.
    pub fn time(&self, name: &str) -> Result<Duration, ConfigError> {
        todo!()
    }

    /// Any parameter by name, also user-defined ones, expanded; `None` when nothing defines it.
    pub fn lookup(&self, name: &str) -> Result<Option<String>, ConfigError> {
        todo!()
    }

    /// Expands `$name`, `${name?value}` and so on in a text that is not itself a parameter.
    pub fn expand(&self, text: &str) -> Result<String, ConfigError> {
        todo!()
    }

    /// `<service>_<suffix>` (for example `relay` and `destination_concurrency_limit`): its own value, else the family's default
    /// (`default_destination_concurrency_limit`).
    pub fn service_int(&self, service: &str, suffix: &str) -> Result<i64, ConfigError> {
        todo!()
    }

    /// Like [`Config::service_int`] for a time (`<service>_time_limit`, `<service>_destination_rate_delay`).
    pub fn service_time(&self, service: &str, suffix: &str) -> Result<Duration, ConfigError> {
        todo!()
    }

    /// Like [`Config::service_int`] for text.
    pub fn service_text(&self, service: &str, suffix: &str) -> Result<String, ConfigError> {
        todo!()
    }

    /// `queue_directory`.
    pub fn queue_directory(&self) -> PathBuf {
        todo!()
    }
}
