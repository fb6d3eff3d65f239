//! postconf(1): shows and edits main.cf and master.cf, and tells what this mail system can do.
//!
//! Data goes to standard output, warnings to standard error with the name that the command was called by. Nothing is printed before
//! all of it is known, save for warnings, so that an error leaves no half of an answer.

mod change;
mod main_cf;
mod manual;
mod master_cf;
mod options;
mod other;

pub use manual::MANUAL;
use options::{Edit, Options, Target};
use posthaste_config::{Config, ConfigError, MacroError};
use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::process::ExitCode;

/// All has been reported; exit status 1.
#[derive(Debug)]
struct Failed;

/// What every part of the command needs: where text goes. It is written when all is known, in order; after a fatal error only what belongs on
/// standard error.
#[derive(Debug)]
struct Terminal {
    program: String,
    pieces: RefCell<Vec<(Stream, String)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Errors,
    Output,
}

impl Terminal {
    fn new(program: String) -> Terminal {
        Terminal { program, pieces: RefCell::default() }
    }

    fn put(&self, stream: Stream, text: impl Display) {
        let mut pieces = self.pieces.borrow_mut();
        match pieces.last_mut() {
            Some((last, piece)) if *last == stream => {
                let _ = writeln!(piece, "{text}");
            }
            _ => pieces.push((stream, format!("{text}\n"))),
        }
    }

    fn warn(&self, text: impl Display) {
        self.warn_as(&self.program, text);
    }

    /// In the name of another program.
    fn warn_as(&self, program: &str, text: impl Display) {
        self.put(Stream::Errors, format_args!("{program}: warning: {text}"));
    }

    fn fatal(&self, text: impl Display) -> Failed {
        self.fatal_as(&self.program, text)
    }

    fn fatal_as(&self, program: &str, text: impl Display) -> Failed {
        self.put(Stream::Errors, format_args!("{program}: fatal: {text}"));
        Failed
    }

    fn config_error(&self, error: ConfigError) -> Failed {
        match error {
            ConfigError::Macro { reason, .. } => self.macro_error(reason),
            ConfigError::Master(fault) => self.fatal(fault.postconf()),
            ConfigError::Line { text, warnings } => {
                for warning in warnings {
                    self.warn(warning);
                }
                self.fatal(text)
            }
            error => self.fatal(error),
        }
    }

    fn macro_error(&self, reason: MacroError) -> Failed {
        self.warn(reason);
        self.fatal("macro processing error")
    }

    fn line(&self, text: impl Display) {
        self.put(Stream::Output, text);
    }

    /// One JSON object on a line of its own.
    fn json<'a>(&self, members: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let members: Vec<String> = members
            .into_iter()
            .map(|(name, value)| format!("{}: {}", serde_json::Value::from(name), serde_json::Value::from(value)))
            .collect();
        self.line(format_args!("{{{}}}", members.join(", ")));
    }

    #[cfg(test)]
    fn text(&self, wanted: Stream) -> String {
        self.pieces.borrow().iter().filter(|(stream, _)| *stream == wanted).map(|(_, piece)| piece.as_str()).collect()
    }

    /// A reader that went away is no fault of ours.
    fn flush(self, output: bool) {
        for (stream, piece) in self.pieces.into_inner() {
            let _ = match stream {
                Stream::Errors => std::io::stderr().write_all(piece.as_bytes()),
                Stream::Output if output => std::io::stdout().write_all(piece.as_bytes()),
                Stream::Output => Ok(()),
            };
        }
    }
}

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let (terminal, result) = execute(arguments);
    terminal.flush(result.is_ok());
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn execute(arguments: Vec<OsString>) -> (Terminal, Result<(), Failed>) {
    let program = arguments.first().map_or_else(|| "postconf".into(), |name| name.to_string_lossy().into_owned());
    let terminal = Terminal::new(program);
    if arguments.iter().any(|argument| argument == "--help") {
        terminal.line(MANUAL.help().trim_end());
        return (terminal, Ok(()));
    }
    let result = Options::parse(arguments, &terminal).and_then(|options| run(&options, &terminal));
    (terminal, result)
}

fn run(options: &Options, terminal: &Terminal) -> Result<(), Failed> {
    match (options.target, options.edit) {
        (Target::Main, None) => main_cf::show(options, terminal),
        (Target::Main, Some(edit)) => change::main_cf(options, edit, terminal),
        (Target::Entries | Target::Fields | Target::Parameters | Target::AllParameters, None) => master_cf::show(options, terminal),
        (Target::Entries, Some(edit)) => change::entries(options, edit, terminal),
        (Target::Fields, Some(_)) => change::fields(options, terminal),
        (Target::Parameters | Target::AllParameters, Some(Edit::Remove)) => change::parameters(options, true, terminal),
        (Target::Parameters | Target::AllParameters, Some(_)) => change::parameters(options, false, terminal),
        (target, _) => other::show(target, options, terminal),
    }
}

/// main.cf with the `-o` options on top; its warnings are printed.
fn load(options: &Options, terminal: &Terminal) -> Result<Config, Failed> {
    let config = Config::load(&options.directory).map_err(|error| terminal.config_error(error))?;
    for warning in config.warnings() {
        terminal.warn(warning);
    }
    let config = config.with_identity("postconf", "");
    let pairs = options.overrides.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    config.with_settings(pairs).map_err(|error| terminal.config_error(error))
}

/// Values are shown with one blank between words, whatever main.cf has there.
fn words(value: &str) -> String {
    let words: Vec<&str> = value.split(posthaste_config::lines::is_blank).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Lines are at most this long when folded.
const WIDTH: usize = 80;

/// `name = value`, the name or the value, as the options want it.
fn assignment(name: &str, value: &str, options: &Options) -> String {
    if options.names_only {
        return name.to_owned();
    }
    let value = words(value);
    let text = match (options.values_only, value.is_empty()) {
        (true, _) => value,
        (false, true) => format!("{name} ="),
        (false, false) => format!("{name} = {value}"),
    };
    if options.fold { fold(&text) } else { text }
}

fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if out.is_empty() {
            width = length;
        } else if width + 1 + length > WIDTH {
            out.push_str("\n    ");
            width = 4 + length;
        } else {
            out.push(' ');
            width += 1 + length;
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests;
