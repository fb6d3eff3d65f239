//! `main.cf` and `master.cf`: one table of all parameters, the grammar of both files, expansion, and editing that keeps comments.
//!
//! A [`Config`] is an immutable value: the files as read, the `-o` overrides of one service on top, and the table of defaults below.
//! Nothing is global, so two configurations can live in one process (reload, service profiles, tests).
//!
//! Where to find what: [`parameters`] is the table and [`table`] explains its rows; [`lines`] reads logical lines; [`expand`] is the
//! `$name` language; [`list`] splits values; [`master_cf`] reads `master.cf`; [`network`] knows the host's name and addresses; [`check`] finds
//! unused and misspelt parameters; [`directory`] finds the configuration; [`edit`] changes the files.
//!
//! ```no_run
//! # use posthaste_config::{Config, ConfigError};
//! # fn main() -> Result<(), ConfigError> {
//! let config = Config::load("/etc/postfix".as_ref())?;
//! let limit: i64 = config.int("message_size_limit")?;
//! # Ok(()) }
//! ```

pub mod advice;
pub mod check;
pub mod directory;
pub mod edit;
pub mod expand;
mod host;
pub mod lines;
pub mod list;
pub mod master_cf;
pub mod network;
pub mod parameters;
pub mod ports;
mod profile;
pub mod table;

pub use expand::{Level, MacroError};
pub use list::{braced, split_list, split_words};
pub use master_cf::{MasterEntry, MasterFile, ServiceKind};

use lines::{logical_lines, split_name_value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use table::{Family, Kind, family, parameter};

/// What is wrong with the configuration. `Display` is the text that Postfix logs after `fatal: `.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read: `open /etc/postfix/main.cf: No such file or directory`.
    #[error("open {}: {}", path.display(), system_reason(source))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A value that does not fit its parameter, or a line that does not fit the grammar; the text names file and line or parameter.
    #[error("{0}")]
    Bad(String),
    /// A line of main.cf that does not fit the grammar.
    #[error("{text}")]
    Line {
        /// Names file, line and what is wrong.
        text: String,
        /// What was to be warned of in the lines before it; Postfix warns while it reads, and then fails.
        warnings: Vec<String>,
    },
    /// A line of master.cf that does not fit the grammar.
    #[error(transparent)]
    Master(#[from] master_cf::MasterFault),
    /// A value whose `$name` references cannot be expanded.
    #[error("parameter {parameter}: {reason}")]
    Macro {
        /// The parameter whose value it is; empty for a text that is no parameter.
        parameter: String,
        /// What is wrong.
        reason: MacroError,
    },
}

impl From<MacroError> for ConfigError {
    fn from(reason: MacroError) -> ConfigError {
        ConfigError::Macro { parameter: String::new(), reason }
    }
}

/// A system error as C's `strerror` words it: without the number that Rust adds.
pub fn system_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// An immutable configuration as one process (or one service profile) sees it. Cloning is cheap.
///
/// The accessors expand `$name` and check type and range; asking for a name that is not in the table, or with the wrong type, is a
/// fault of the program (it panics, and a test over the sources finds it first). Names made from a transport or service
/// (`relay_destination_concurrency_limit`) go through [`Config::service_int`] and its siblings; names that users make up
/// (restriction classes) through [`Config::lookup`].
///
/// An accessor costs microseconds and allocates: read parameters once, at start, into a struct.
#[derive(Clone, Debug)]
pub struct Config {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    directory: PathBuf,
    file: String,
    /// From main.cf; the last of several assignments.
    settings: BTreeMap<String, String>,
    overrides: BTreeMap<String, String>,
    process: String,
    service: String,
    warnings: Vec<String>,
    /// The file that `myorigin` names, and what was found in it.
    origin: Option<(String, Result<String, String>)>,
}

/// Deeper than any sane configuration, so that a parameter that refers to itself is noticed.
const NESTING_LIMIT: u32 = 100;

impl Config {
    /// Reads `main.cf` in `dir`. Warnings (unused, misspelt) are not given here but by `postconf` and `postfix check`.
    pub fn load(dir: &Path) -> Result<Config, ConfigError> {
        let path = dir.join("main.cf");
        let bytes = std::fs::read(&path).map_err(|source| ConfigError::Open { path: path.clone(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let mut config = Config::parse(&text, &path.to_string_lossy())?;
        let inner = Arc::make_mut(&mut config.inner);
        inner.directory = dir.to_owned();
        if let Ok(file) = config.text("myorigin")
            && file.starts_with('/')
        {
            let name = host::origin_file(&file);
            Arc::make_mut(&mut config.inner).origin = Some((file, name));
        }
        let inner = Arc::make_mut(&mut config.inner);
        // Comments may be in any character set; values are shown to clients and must be UTF-8.
        if matches!(text, Cow::Owned(_)) && inner.settings.values().any(|value| value.contains(char::REPLACEMENT_CHARACTER)) {
            inner.warnings.push(format!("{}: a value is not UTF-8; write the file in that character set", path.display()));
        }
        Ok(config)
    }

    /// From the text of a main.cf, for tests and for tools that make their own. `file` is the name used in error texts.
    pub fn parse(text: &str, file: &str) -> Result<Config, ConfigError> {
        let mut settings = BTreeMap::new();
        let mut warnings = Vec::new();
        for line in logical_lines(text) {
            if line.is_misplaced() {
                warnings.push(format!("{file}: logical line must not start with whitespace: \"{}\"", line.text));
                continue;
            }
            let (name, value) = match split_name_value(&line.text) {
                Ok(pair) => pair,
                Err(error) => {
                    let text = format!("{file}, line {}: {error}: \"{}\"", line.first, line.text);
                    return Err(ConfigError::Line { text, warnings });
                }
            };
            if let Some(earlier) = settings.insert(name.to_owned(), value.to_owned()).filter(|earlier| earlier != value) {
                warnings.push(format!("{file}, line {}: overriding earlier entry: {name}={earlier}", line.first));
            }
        }
        let process = std::env::args_os().next().unwrap_or_default();
        let process = Path::new(&process).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let config = Config {
            inner: Arc::new(Inner {
                directory: directory::DEFAULT_DIRECTORY.into(),
                file: file.to_owned(),
                settings,
                overrides: BTreeMap::new(),
                process,
                service: String::new(),
                warnings,
                origin: None,
            }),
        };
        config.level()?;
        Ok(config)
    }

    /// The configuration of an empty main.cf in `dir`, without reading anything: the defaults.
    pub fn defaults(dir: &Path) -> Result<Config, ConfigError> {
        let mut config = Config::parse("", &dir.join("main.cf").to_string_lossy())?;
        Arc::make_mut(&mut config.inner).directory = dir.to_owned();
        Ok(config)
    }

    /// The same configuration as if main.cf held these parameters as well, in order; later ones win. For tools that show what would be;
    /// a service's overrides are [`Config::with_overrides`].
    pub fn with_settings<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Config, ConfigError> {
        let mut config = self.clone();
        let inner = Arc::make_mut(&mut config.inner);
        for (name, value) in pairs {
            inner.settings.insert(name.to_owned(), value.to_owned());
        }
        config.level()?;
        Ok(config)
    }

    /// The same configuration with these parameters set (`-o name=value`), in order; later ones win.
    pub fn with_overrides<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Config, ConfigError> {
        let mut config = self.clone();
        let inner = Arc::make_mut(&mut config.inner);
        for (name, value) in pairs {
            inner.overrides.insert(name.to_owned(), value.to_owned());
        }
        config.level()?;
        Ok(config)
    }

    /// The same configuration as the program `process` (`process_name`: `smtpd`) sees it that runs as `service` of master.cf
    /// (`service_name`: `submission`). A command has no service: give an empty text.
    pub fn with_identity(&self, process: &str, service: &str) -> Config {
        let mut config = self.clone();
        let inner = Arc::make_mut(&mut config.inner);
        inner.process = process.to_owned();
        inner.service = service.to_owned();
        config
    }

    /// The folder of main.cf and master.cf (`config_directory`).
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Name of the file that was read, for messages.
    pub fn file(&self) -> &str {
        &self.inner.file
    }

    /// What Postfix warns about when it reads main.cf: entries that override earlier ones, misplaced lines. Whole texts, to be logged.
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// The settings of main.cf, sorted by name, unexpanded.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inner.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether main.cf or an override sets this parameter.
    pub fn is_set(&self, name: &str) -> bool {
        self.explicit(name).is_some()
    }

    /// `compatibility_level`.
    pub fn level(&self) -> Result<Level, ConfigError> {
        let text = self.text("compatibility_level")?;
        Level::parse(&text).map_err(|error| ConfigError::Bad(error.to_string()))
    }

    /// A text parameter, expanded. Parameters of type `raw` come unexpanded, save that a value that only names another raw parameter
    /// (`postscreen_reject_footer = $smtpd_reject_footer`) is that parameter's value.
    pub fn text(&self, name: &str) -> Result<String, ConfigError> {
        let (min, max) = match row(name).kind {
            Kind::Text { min, max } => (min, max),
            Kind::Raw { min } => {
                let value = self.raw(name)?.unwrap_or_default();
                if let Some(other) = value.strip_prefix('$')
                    && other != name
                    && matches!(parameter(other), Some(row) if matches!(row.kind, Kind::Raw { .. }))
                {
                    return self.text(other);
                }
                // Postfix words it a little differently for what it does not expand.
                if value.len() < min {
                    return Err(ConfigError::Bad(format!("bad string length ({} < {min}): {name} = {value}", value.len())));
                }
                return Ok(value.into_owned());
            }
            kind => wrong_type(name, kind),
        };
        let value = self.value(name)?;
        table::check_text(name, &value, min, max)?;
        Ok(value)
    }

    /// A number, within the range of its row.
    pub fn int(&self, name: &str) -> Result<i64, ConfigError> {
        self.int_of(name, row(name).kind, &self.value(name)?)
    }

    /// `yes` or `no`.
    pub fn bool(&self, name: &str) -> Result<bool, ConfigError> {
        match row(name).kind {
            Kind::Bool => table::parse_bool(name, &self.value(name)?),
            kind => wrong_type(name, kind),
        }
    }

    /// A time; the unit of a bare number is that of the parameter's row.
    pub fn time(&self, name: &str) -> Result<Duration, ConfigError> {
        self.time_of(name, row(name).kind, &self.value(name)?)
    }

    /// Any parameter by name, also user-defined ones, expanded; `None` when nothing defines it.
    pub fn lookup(&self, name: &str) -> Result<Option<String>, ConfigError> {
        self.lookup_at(name, 0)
    }

    /// Expands `$name`, `${name?value}` and so on in a text that is not itself a parameter.
    pub fn expand(&self, text: &str) -> Result<String, ConfigError> {
        self.expand_at(text, 0)
    }

    /// Any parameter's value as it is written, unexpanded: an override, else main.cf, else the default; `None` when nothing defines it.
    pub fn raw(&self, name: &str) -> Result<Option<Cow<'_, str>>, ConfigError> {
        self.raw_at(name, 0)
    }

    /// The default of a parameter, unexpanded, whatever main.cf says; computed where it has to be.
    pub fn default_of(&self, name: &str) -> Result<Option<Cow<'_, str>>, ConfigError> {
        self.default_at(name, 0)
    }

    /// `<service>_<suffix>` (for example `relay` and `destination_concurrency_limit`): its own value, else the family's default
    /// (`default_destination_concurrency_limit`).
    pub fn service_int(&self, service: &str, suffix: &str) -> Result<i64, ConfigError> {
        let (name, family) = service_name(service, suffix);
        self.int_of(&name, family.kind, &self.value(&name)?)
    }

    /// Like [`Config::service_int`] for a time (`<service>_time_limit`, `<service>_destination_rate_delay`).
    pub fn service_time(&self, service: &str, suffix: &str) -> Result<Duration, ConfigError> {
        let (name, family) = service_name(service, suffix);
        self.time_of(&name, family.kind, &self.value(&name)?)
    }

    /// Like [`Config::service_int`] for text.
    pub fn service_text(&self, service: &str, suffix: &str) -> Result<String, ConfigError> {
        let (name, family) = service_name(service, suffix);
        let value = self.value(&name)?;
        if let Kind::Text { min, max } = family.kind {
            table::check_text(&name, &value, min, max)?;
        }
        Ok(value)
    }

    /// `queue_directory`.
    pub fn queue_directory(&self) -> PathBuf {
        // The row demands text; a value that cannot be expanded has been refused by `check` before anything uses the queue.
        self.text("queue_directory").unwrap_or_else(|_| row("queue_directory").default.to_owned()).into()
    }

    fn value(&self, name: &str) -> Result<String, ConfigError> {
        Ok(self.lookup(name)?.unwrap_or_default())
    }

    fn int_of(&self, name: &str, kind: Kind, value: &str) -> Result<i64, ConfigError> {
        match kind {
            Kind::Int { min, max } => table::parse_int(name, value, min, max, false),
            Kind::Long { min, max } => table::parse_int(name, value, min, max, true),
            kind => wrong_type(name, kind),
        }
    }

    fn time_of(&self, name: &str, kind: Kind, value: &str) -> Result<Duration, ConfigError> {
        match kind {
            Kind::Time { unit, min, max } => table::parse_time(name, value, unit, min, max),
            kind => wrong_type(name, kind),
        }
    }

    fn explicit(&self, name: &str) -> Option<&str> {
        let inner = &*self.inner;
        inner.overrides.get(name).or_else(|| inner.settings.get(name)).map(String::as_str)
    }

    fn lookup_at(&self, name: &str, depth: u32) -> Result<Option<String>, ConfigError> {
        if depth > NESTING_LIMIT {
            return Err(MacroError::Nesting(name.to_owned()).into());
        }
        let Some(raw) = self.raw_at(name, depth)? else { return Ok(None) };
        if !raw.contains('$') {
            return Ok(Some(raw.into_owned()));
        }
        match self.expand_at(&raw, depth + 1) {
            Ok(value) => Ok(Some(value)),
            // The parameter nearest to the fault is the one to look at.
            Err(ConfigError::Macro { parameter, reason }) if parameter.is_empty() => {
                Err(ConfigError::Macro { parameter: name.to_owned(), reason })
            }
            Err(error) => Err(error),
        }
    }

    fn expand_at(&self, text: &str, depth: u32) -> Result<String, ConfigError> {
        let mut lookup = |name: &str| Ok::<_, ConfigError>(self.lookup_at(name, depth)?.map(String::into_bytes));
        let bytes = expand::expand(text.as_bytes(), &mut lookup)?;
        // Made of UTF-8 texts only.
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn raw_at(&self, name: &str, depth: u32) -> Result<Option<Cow<'_, str>>, ConfigError> {
        match name {
            // Facts, not settings: what main.cf says about them has no effect.
            "config_directory" | "process_id" | "process_name" => self.default_at(name, depth),
            "service_name" if !self.inner.service.is_empty() => self.default_at(name, depth),
            _ => match self.explicit(name) {
                Some(value) => Ok(Some(value.into())),
                None => self.default_at(name, depth),
            },
        }
    }

    fn default_at(&self, name: &str, depth: u32) -> Result<Option<Cow<'_, str>>, ConfigError> {
        let inner = &*self.inner;
        Ok(Some(match name {
            "config_directory" => inner.directory.to_string_lossy(),
            "process_id" => std::process::id().to_string().into(),
            "process_name" => inner.process.as_str().into(),
            "service_name" => inner.service.as_str().into(),
            "myhostname" => {
                let domain = match self.explicit("mydomain") {
                    Some(_) => self.lookup_at("mydomain", depth + 1)?,
                    None => None,
                };
                self.default_hostname(domain).into()
            }
            "mydomain" => network::domain_of(&self.lookup_at("myhostname", depth + 1)?.unwrap_or_default()).into(),
            "mynetworks" => self.default_networks()?.into(),
            _ => match parameter(name) {
                Some(row) => row.default.into(),
                None => return Ok(family(name).map(|(_, family)| family.default.into())),
            },
        }))
    }
}

fn row(name: &str) -> &'static table::Parameter {
    parameter(name).unwrap_or_else(|| panic!("{name} is not in the table of parameters"))
}

fn wrong_type(name: &str, kind: Kind) -> ! {
    panic!("parameter {name} is of type {kind:?}")
}

fn service_name(service: &str, suffix: &str) -> (String, &'static Family) {
    let name = format!("{service}_{suffix}");
    match parameters::FAMILIES.iter().find(|family| family.suffix == suffix) {
        Some(family) => (name, family),
        None => panic!("no family of parameters ends in _{suffix}"),
    }
}

#[cfg(test)]
mod tests;
