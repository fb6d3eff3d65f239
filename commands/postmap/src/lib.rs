//! postmap(1) and postalias(1): make, change and ask lookup tables. The name by which the program is called tells which of the two it is.
//!
//! - `options`: the command line; `manual`: the manuals.
//! - `build`: new tables and changed ones; `source`: their source files.
//! - `query`: `-q`, `-s`, `-d`; `message`: keys out of a message (`-h`, `-b`, `-m`).

mod build;
pub mod manual;
mod message;
mod options;
mod query;
mod source;

use bstr::ByteSlice;
use options::{Action, Options};
use posthaste_config::{Config, directory};
use posthaste_log::{Kind, Logger, fatal};
use posthaste_table::{Context, OpenFlags, Settings};
use std::ffi::OsString;
use std::process::ExitCode;

/// What is fatal has been logged; exit status 1.
struct Failed;

/// Which of the two programs this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Postalias,
    Postmap,
}

/// What every action needs.
struct Place {
    program: Program,
    config: Config,
    context: Context,
    log: Logger,
    options: Options,
}

impl Place {
    fn fail(&self, text: &str) -> Failed {
        fatal!(self.log, "{text}");
        Failed
    }

    /// `type:name` as given, or with `default_database_type` in front.
    fn spec(&self, operand: &str) -> Result<String, Failed> {
        if operand.contains(':') {
            return Ok(operand.to_owned());
        }
        let kind = self.config.text("default_database_type").map_err(|e| self.fail(&e.to_string()))?;
        Ok(format!("{kind}:{operand}"))
    }

    fn open_flags(&self) -> OpenFlags {
        let options = &self.options;
        // Lines of a message may hold anything, so they are not checked unless asked for.
        let message = options.headers || options.body;
        OpenFlags {
            keep_case: options.keep_case,
            raw_bytes: options.no_utf8 || (message && !options.force_utf8),
            value_is_file: options.files,
            ..OpenFlags::default()
        }
    }
}

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let name = arguments.first().map(|name| posthaste_cli::program_name(name)).unwrap_or_default();
    let program = if name == "postalias" { Program::Postalias } else { Program::Postmap };
    if arguments.iter().any(|argument| argument == "--help") {
        use std::io::Write;
        let _ = std::io::stdout().write_all(manual::of(program).help().as_bytes());
        return ExitCode::SUCCESS;
    }
    match run(program, arguments) {
        Ok(code) => code,
        Err(Failed) => ExitCode::FAILURE,
    }
}

fn run(program: Program, arguments: Vec<OsString>) -> Result<ExitCode, Failed> {
    posthaste_log::early(false, true);
    let name = match program {
        Program::Postalias => "postalias",
        Program::Postmap => "postmap",
    };
    let early = Logger::new(&format!("postfix/{name}"));
    let options = Options::parse(program, arguments, &early)?;
    let fail = |text: String| {
        fatal!(early, "{text}");
        Failed
    };
    let directory = directory::config_directory(options.config.as_deref());
    let config = Config::open(&directory).map_err(|e| fail(e.to_string()))?.with_identity(name, "");
    posthaste_log::open(&config, Kind::Command, true).map_err(|e| fail(e.to_string()))?;
    let log = Logger::program(&config, name).map_err(|e| fail(e.to_string()))?;
    if options.tables.is_empty() {
        return Err(fail(options::usage(program)));
    }
    let mut settings = Settings::from_config(&config).map_err(|e| fail(e.to_string()))?;
    settings.utf8 &= !options.no_utf8;
    settings.command = true;
    let context = posthaste_database::with_databases(Context::new(settings, log.clone()), &config);
    let place = Place { program, config, context, log, options };
    match &place.options.action {
        Action::Create | Action::Insert => build::build(&place),
        Action::Delete(key) => query::delete(&place, key.as_bstr()),
        Action::List => query::list(&place),
        Action::Query(key) => query::query(&place, key.as_bstr()),
    }
}
