//! What tables need to know of the configuration, and where they report.

use crate::{OpenFlags, Table};
use posthaste_config::{Config, ConfigError};
use posthaste_log::{Level, Logger};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The settings that tables depend on, read once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// `smtputf8_enable`: keys and values must be valid UTF-8, and keys are folded as UTF-8.
    pub utf8: bool,
    /// `lmdb_map_size` in bytes: the first limit of a new LMDB file.
    pub lmdb_map_size: u64,
    /// `socketmap_max_query_size` in bytes, without the netstring around it.
    pub socketmap_max_query_size: usize,
    /// `socketmap_max_reply_size` in bytes, without the netstring around it.
    pub socketmap_max_reply_size: usize,
    /// `parent_domain_matches_subdomains`, split into names.
    pub parents: Vec<String>,
    /// `daemon_table_open_error_is_fatal`: a service does not run without one of its tables.
    pub open_error_is_fatal: bool,
    /// The proxymap service's socket for read-only tables; `None` outside of a mail system.
    pub proxymap: Option<PathBuf>,
    /// A service that holds root asks a helper of its own in the place of the shared service: the proxymap program, and the folder of main.cf.
    pub helper: Option<(PathBuf, PathBuf)>,
    /// A command: what it has opened stays as it was, and files that are never written in place are mapped into memory, since it does not live long
    /// enough to see one cut short.
    pub command: bool,
    /// The socket of the proxymap service for tables that are written.
    pub proxywrite: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            utf8: true,
            lmdb_map_size: 16 << 20,
            socketmap_max_query_size: 10_000,
            socketmap_max_reply_size: 100_000,
            parents: Vec::new(),
            open_error_is_fatal: false,
            proxymap: None,
            helper: None,
            command: false,
            proxywrite: None,
        }
    }
}

type Sink = dyn Fn(Level, &str) + Send + Sync;

/// Opens tables of types that this crate does not know: `(spec, flags, context)`; `None` is a type that it does not know either.
type Opener = dyn Fn(&str, OpenFlags, &Context) -> Option<Result<Box<dyn Table>, String>> + Send + Sync;

/// Settings and a place for warnings; what every table is opened with. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The settings.
    pub settings: Arc<Settings>,
    report: Arc<Sink>,
    databases: Option<Arc<Opener>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Context {
    /// Reports to `log`.
    pub fn new(settings: Settings, log: Logger) -> Context {
        Context::with_report(settings, move |level, text| log.log(level, format_args!("{text}")))
    }

    /// Reports to a function: for commands, which write to standard error too, and for tests.
    pub fn with_report(settings: Settings, report: impl Fn(Level, &str) + Send + Sync + 'static) -> Context {
        Context { settings: Arc::new(settings), report: Arc::new(report), databases: None }
    }

    /// Has tables of database types ([`crate::DATABASE_TYPES`]) opened by a function, which the client library of the databases provides. Without
    /// one, as everywhere but in proxymap, postmap and postalias, such a table is asked through the proxymap service.
    #[must_use]
    pub fn with_databases(
        mut self,
        open: impl Fn(&str, OpenFlags, &Context) -> Option<Result<Box<dyn Table>, String>> + Send + Sync + 'static,
    ) -> Context {
        self.databases = Some(Arc::new(open));
        self
    }

    pub(crate) fn databases(&self) -> Option<&Opener> {
        self.databases.as_deref()
    }

    /// Reads the settings of `config`; reports to `log`.
    pub fn from_config(config: &Config, log: Logger) -> Result<Context, ConfigError> {
        Ok(Context::new(Settings::from_config(config)?, log))
    }

    /// For this process: reports as `syslog_name/process_name`.
    pub(crate) fn of(config: &Config) -> Context {
        let program = config.text("process_name").unwrap_or_default();
        let log = Logger::program(config, &program).unwrap_or_else(|_| Logger::new(&format!("postfix/{program}")));
        Context::from_config(config, log.clone()).unwrap_or_else(|error| {
            // The harness has read the whole configuration before this, so a bad value here is a fault that it has reported.
            log.log(Level::Warning, format_args!("{error}"));
            Context::new(Settings::default(), log)
        })
    }

    /// Writes one line.
    pub fn report(&self, level: Level, text: &str) {
        (self.report)(level, text);
    }

    /// Writes a warning.
    pub fn warn(&self, text: &str) {
        self.report(Level::Warning, text);
    }

    /// Whether `parent_domain_matches_subdomains` names this list or kind of table (`relay_domains`, `smtpd_access_maps`, …).
    pub fn parents(&self, title: &str) -> bool {
        self.settings.parents.iter().any(|name| name.eq_ignore_ascii_case(title))
    }
}

impl Settings {
    /// Reads them from the configuration.
    pub fn from_config(config: &Config) -> Result<Settings, ConfigError> {
        let positive = |name: &str| -> Result<u64, ConfigError> { Ok(config.int(name)?.unsigned_abs()) };
        let socket = |name: &str| -> Result<Option<PathBuf>, ConfigError> {
            let service = config.text(name)?;
            Ok(Some(config.queue_directory().join(Path::new("private")).join(service)))
        };
        Ok(Settings {
            utf8: config.bool("smtputf8_enable")?,
            lmdb_map_size: positive("lmdb_map_size")?,
            // A parameter only from 3.12 on.
            socketmap_max_query_size: Settings::default().socketmap_max_query_size,
            socketmap_max_reply_size: positive("socketmap_max_reply_size")? as usize,
            parents: config
                .text("parent_domain_matches_subdomains")?
                .split([',', ' ', '\t', '\r', '\n'])
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            open_error_is_fatal: config.bool("daemon_table_open_error_is_fatal")?,
            proxymap: socket("proxymap_service_name")?,
            command: false,
            helper: holds_root(config)?
                .then_some((Path::new(&config.text("daemon_directory")?).join("proxymap"), config.directory().to_owned())),
            proxywrite: socket("proxywrite_service_name")?,
        })
    }
}

/// Whether this process is a service that keeps root when it serves. Where all run as one user there is nobody to be protected from another.
fn holds_root(config: &Config) -> Result<bool, ConfigError> {
    let program = config.text("process_name")?;
    Ok(["local", "pipe", "spawn", "virtual"].contains(&program.as_str()) && rustix::process::geteuid().is_root())
}

/// Settings that collect their warnings, for tests.
#[cfg(test)]
pub(crate) fn collecting() -> (Context, Arc<std::sync::Mutex<Vec<String>>>) {
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let context = Context::with_report(Settings::default(), move |level, text| {
        let word = if level == Level::Error { "error: " } else { "" };
        sink.lock().unwrap_or_else(|e| e.into_inner()).push(format!("{word}{text}"));
    });
    (context, lines)
}
