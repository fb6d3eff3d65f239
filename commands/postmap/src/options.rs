//! The command line.

use crate::{Failed, Program, manual};
use bstr::BString;
use posthaste_cli::Getopt;
use posthaste_log::{Logger, fatal, warn};
use posthaste_table::build::OnDuplicate;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// A new table from its source file.
    Create,
    /// `-i`: entries from standard input into a table.
    Insert,
    /// `-d key`.
    Delete(BString),
    /// `-s`.
    List,
    /// `-q key`.
    Query(BString),
}

/// The options, and the tables.
#[derive(Debug)]
pub struct Options {
    pub action: Action,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `-h`: keys are header lines of a message.
    pub headers: bool,
    /// `-b`: keys are body lines of a message.
    pub body: bool,
    /// `-m`: with the structure of the message (RFC 2045).
    pub mime: bool,
    /// `-f`.
    pub keep_case: bool,
    /// `-F`.
    pub files: bool,
    /// `-j`.
    pub json: bool,
    /// `-n` and `-N`.
    pub nulls: Option<bool>,
    /// `-o`.
    pub keep_root: bool,
    /// `-p`.
    pub default_mode: bool,
    /// `-r`, `-w`.
    pub on_duplicate: OnDuplicate,
    /// `-u`.
    pub no_utf8: bool,
    /// `-U`.
    pub force_utf8: bool,
    /// `[type:]name`, at least one.
    pub tables: Vec<String>,
}

impl Options {
    pub fn parse(program: Program, arguments: Vec<OsString>, log: &Logger) -> Result<Options, Failed> {
        let letters = match program {
            Program::Postalias => "Nc:d:fijnopq:rsuvw",
            Program::Postmap => "Nbc:d:fFhijmnopq:rsuUvw",
        };
        let mut options = Options {
            action: Action::Create,
            config: None,
            headers: false,
            body: false,
            mime: false,
            keep_case: false,
            files: false,
            json: false,
            nulls: None,
            keep_root: false,
            default_mode: false,
            on_duplicate: OnDuplicate::Warn,
            no_utf8: false,
            force_utf8: false,
            tables: Vec::new(),
        };
        let fail = |text: &str| {
            fatal!(log, "{text}");
            Failed
        };
        let (mut insert, mut list, mut query, mut delete) = (false, false, None, None);
        let mut getopt = Getopt::new(arguments, letters);
        for option in getopt.by_ref() {
            let (letter, value) = match option {
                Ok(option) => option,
                Err(bad) => {
                    use std::io::Write;
                    let _ = writeln!(std::io::stderr(), "{bad}");
                    return Err(fail(&usage(program)));
                }
            };
            let key = || BString::from(value.clone().unwrap_or_default().into_vec());
            match letter {
                b'N' => options.nulls = Some(true),
                b'b' => options.body = true,
                b'c' => options.config = value.map(PathBuf::from),
                b'd' if list || query.is_some() || delete.is_some() => return Err(fail(ONE_OF)),
                b'd' => delete = Some(key()),
                b'f' => options.keep_case = true,
                b'F' => options.files = true,
                b'h' => options.headers = true,
                b'i' => insert = true,
                b'j' => options.json = true,
                b'm' => options.mime = true,
                b'n' => options.nulls = Some(options.nulls.unwrap_or(false)),
                b'o' => options.keep_root = true,
                b'p' => options.default_mode = true,
                b'q' if list || query.is_some() || delete.is_some() => return Err(fail(ONE_OF)),
                b'q' => query = Some(key()),
                b'r' => options.on_duplicate = OnDuplicate::Replace,
                b's' if query.is_some() || delete.is_some() => return Err(fail(ONE_OF)),
                b's' => list = true,
                b'u' => options.no_utf8 = true,
                b'U' => options.force_utf8 = true,
                b'w' => options.on_duplicate = OnDuplicate::Ignore,
                // -v shows Postfix's inner workings, which are not ours.
                _ => {}
            }
        }
        if (options.body || options.headers || options.mime) && query.as_ref().is_none_or(|key| key != "-") {
            return Err(fail("specify -b -h or -m only with \"-q -\""));
        }
        if options.mime && !(options.body || options.headers) {
            warn!(log, "ignoring -m option without -b or -h");
        }
        if options.json && !(list || query.is_some()) {
            return Err(fail("specify -j only with -q or -s"));
        }
        for operand in getopt.operands() {
            let operand = operand.into_string().map_err(|bad| fail(&format!("bad table name: {}", bad.to_string_lossy())))?;
            options.tables.push(operand);
        }
        options.action = match (delete, query) {
            (Some(key), _) => Action::Delete(key),
            (None, Some(key)) => Action::Query(key),
            (None, None) if list => Action::List,
            (None, None) if insert => Action::Insert,
            (None, None) => Action::Create,
        };
        Ok(options)
    }
}

const ONE_OF: &str = "specify only one of -s -q or -d";

/// What to say when the command line makes no sense.
pub fn usage(program: Program) -> String {
    let form = manual::of(program).synopsis.first().copied().unwrap_or_default();
    format!("usage: {form}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(program: Program, words: &[&str]) -> Option<Options> {
        let arguments = std::iter::once("postmap").chain(words.iter().copied()).map(OsString::from).collect();
        Options::parse(program, arguments, &Logger::new("postfix/postmap")).ok()
    }

    #[test]
    fn actions() {
        let action = |words: &[&str]| parse(Program::Postmap, words).map(|options| options.action);
        assert_eq!(action(&["x"]), Some(Action::Create));
        assert_eq!(action(&["-i", "x"]), Some(Action::Insert));
        assert_eq!(action(&["-fq", "k", "x"]), Some(Action::Query("k".into())));
        assert_eq!(action(&["x", "-d", "k"]), Some(Action::Delete("k".into())));
        assert_eq!(action(&["-s", "x"]), Some(Action::List));
        // As in Postfix, -i makes no difference to the others.
        assert_eq!(action(&["-i", "-q", "k", "x"]), Some(Action::Query("k".into())));
        assert_eq!(action(&["-hmq", "-", "x"]), Some(Action::Query("-".into())));
        for refused in [&["-z", "x"][..], &["-s", "-q", "k", "x"], &["-d", "a", "-q", "b", "x"], &["-b", "-q", "k", "x"]] {
            assert_eq!(action(refused), None, "{refused:?}");
        }
        assert!(parse(Program::Postalias, &["-h", "x"]).is_none());
    }

    #[test]
    fn both_kinds_of_end_mean_with_null() {
        let nulls = |words: &[&str]| parse(Program::Postmap, words).and_then(|options| options.nulls);
        assert_eq!(nulls(&["x"]), None);
        assert_eq!(nulls(&["-n", "x"]), Some(false));
        assert_eq!(nulls(&["-nN", "x"]), Some(true));
        assert_eq!(nulls(&["-Nn", "x"]), Some(true));
    }
}
