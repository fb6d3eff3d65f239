//! The command line: which letters go together, and what they ask for.

use crate::{Failed, Terminal};
use posthaste_cli::Getopt;
use posthaste_config::directory::config_directory;
use posthaste_config::lines::split_name_value;
use posthaste_config::split_list;
use std::ffi::OsString;
use std::path::PathBuf;

/// What to show or edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `-PP`: all parameters of a service.
    AllParameters,
    /// `-A`.
    ClientSasl,
    /// `-M`.
    Entries,
    /// `-b`.
    ExpandedTemplates,
    /// `-F`.
    Fields,
    /// `-l`.
    Locks,
    /// None of the others.
    Main,
    /// `-P`.
    Parameters,
    /// `-a`.
    ServerSasl,
    /// `-m`.
    Tables,
    /// `-t`.
    Templates,
    /// `-T`.
    Tls,
}

/// How to edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// `-#`.
    CommentOut,
    /// `-X`.
    Remove,
    /// `-e`, or a `name=value` without it.
    Set,
}

/// Which parameters to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Those of the table.
    pub builtin: bool,
    /// Those named after a service.
    pub service: bool,
    /// Those that users made up.
    pub user: bool,
}

/// The command line, understood.
#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    pub edit: Option<Edit>,
    pub directory: PathBuf,
    pub classes: Classes,
    pub defaults: bool,
    pub set_only: bool,
    pub expand: bool,
    pub fold: bool,
    pub names_only: bool,
    pub values_only: bool,
    pub json: bool,
    pub quiet: bool,
    pub overrides: Vec<(String, String)>,
    pub tls_mode: String,
    pub operands: Vec<String>,
}

const LETTERS: &str = "aAbc:C:deEfFhHjlmMno:pPqtT:vxX#";

pub const USAGE: &str = "usage: postconf [-a (server SASL types)] [-A (client SASL types)] [-b (bounce templates)] [-c config_dir] \
    [-C param_class] [-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] [-F (master.cf fields)] [-h (no names)] \
    [-H (no values)] [-j (JSON output)] [-l (lock types)] [-m (map types)] [-M (master.cf)] [-n (non-default parameters)] \
    [-o name=value (override parameter value)] [-p (main.cf, default)] [-P (master.cf parameters)] [-PP (all parameters of a service)] \
    [-q (no warnings)] [-t (bounce templates)] [-T compile-version|run-version|public-key-algorithms] [-v (verbose)] \
    [-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]";

/// Letters of which only one may be given, in the order in which two of them are named in the error.
const EXCLUSIVE: [&str; 7] = ["aAbFlmMpPtT", "denX#", "hH", "do", "ej", "hj", "Hj"];

/// What goes with a letter that chooses a target; `v`, `c` and `q` go with all.
const ALLOWED: [(char, &str); 11] = [
    ('a', ""),
    ('A', ""),
    ('b', "o"),
    ('F', "efhHjox"),
    ('l', ""),
    ('m', ""),
    ('M', "efjoxX#C"),
    ('p', "defhHjnoxX#C"),
    ('P', "efhHjoxX"),
    ('t', "o"),
    ('T', ""),
];

impl Options {
    pub fn parse(arguments: Vec<OsString>, terminal: &Terminal) -> Result<Options, Failed> {
        let mut options = Options {
            target: Target::Main,
            edit: None,
            directory: PathBuf::new(),
            classes: Classes { builtin: true, service: true, user: true },
            defaults: false,
            set_only: false,
            expand: false,
            fold: false,
            names_only: false,
            values_only: false,
            json: false,
            quiet: false,
            overrides: Vec::new(),
            tls_mode: String::new(),
            operands: Vec::new(),
        };
        let mut given = String::new();
        let mut directory: Option<PathBuf> = None;
        let mut getopt = Getopt::new(arguments, LETTERS);
        for option in getopt.by_ref() {
            let (letter, value) = match option {
                Ok((letter, value)) => (char::from(letter), value.unwrap_or_default()),
                Err(bad) => {
                    terminal.put(crate::Stream::Errors, bad);
                    return Err(terminal.fatal(USAGE));
                }
            };
            let text = value.to_string_lossy();
            match letter {
                'c' => directory = Some(value.into()),
                'C' => options.classes = classes(&text, terminal)?,
                'o' => {
                    let (name, value) = split_name_value(&text)
                        .map_err(|error| terminal.fatal(format_args!("invalid parameter override: {text}: {error}")))?;
                    options.overrides.push((name.to_owned(), value.to_owned()));
                }
                'T' => options.tls_mode = text.into_owned(),
                // `-E` means the same; scripts of old have it.
                'E' => given.push('e'),
                'q' => options.quiet = true,
                _ => {}
            }
            if letter == 'P' && given.contains('P') {
                options.target = Target::AllParameters;
            } else {
                given.push(letter);
            }
        }
        options.directory = config_directory(directory.as_deref());
        options.operands = getopt.operands().into_iter().map(|operand| operand.to_string_lossy().into_owned()).collect();
        options.letters(&mut given, terminal)?;
        Ok(options)
    }

    fn letters(&mut self, given: &mut String, terminal: &Terminal) -> Result<(), Failed> {
        let master = given.contains(['M', 'F', 'P']);
        let other = given.contains(['a', 'A', 'b', 'l', 'm', 't', 'T']);
        // A value to set says that this is an edit.
        if !other && !given.contains('e') && self.operands.first().is_some_and(|operand| operand.contains('=')) {
            given.push('e');
        }
        for group in EXCLUSIVE {
            let found: Vec<char> = group.chars().filter(|letter| given.contains(*letter)).collect();
            if let [first, second, ..] = found[..] {
                return Err(terminal.fatal(format_args!("specify one of -{first} -{second}")));
            }
        }
        for (target, allowed) in ALLOWED.iter().filter(|(target, _)| given.contains(*target)) {
            let wrong = given.chars().find(|letter| letter != target && !"vcqCE".contains(*letter) && !allowed.contains(*letter));
            if let Some(wrong) = wrong {
                return Err(terminal.fatal(format_args!("with option -{target}, do not specify -{wrong}")));
            }
        }
        for letter in given.chars() {
            match letter {
                'a' => self.target = Target::ServerSasl,
                'A' => self.target = Target::ClientSasl,
                'b' => self.target = Target::ExpandedTemplates,
                'd' => self.defaults = true,
                'e' => self.edit = Some(Edit::Set),
                'f' => self.fold = true,
                'F' => self.target = Target::Fields,
                'h' => self.values_only = true,
                'H' => self.names_only = true,
                'j' => self.json = true,
                'l' => self.target = Target::Locks,
                'm' => self.target = Target::Tables,
                'M' => self.target = Target::Entries,
                'n' => self.set_only = true,
                'P' if self.target != Target::AllParameters => self.target = Target::Parameters,
                't' => self.target = Target::Templates,
                'T' => self.target = Target::Tls,
                'x' => self.expand = true,
                'X' => self.edit = Some(Edit::Remove),
                '#' => self.edit = Some(Edit::CommentOut),
                _ => {}
            }
        }
        if !master && !other {
            self.target = Target::Main;
        }
        Ok(())
    }
}

fn classes(text: &str, terminal: &Terminal) -> Result<Classes, Failed> {
    let mut classes = Classes { builtin: false, service: false, user: false };
    for word in split_list(text) {
        match word {
            "all" => classes = Classes { builtin: true, service: true, user: true },
            "builtin" => classes.builtin = true,
            "service" => classes.service = true,
            "user" => classes.user = true,
            _ => return Err(terminal.fatal(format_args!("unknown -C option value \"{word}\" in \"{text}\""))),
        }
    }
    Ok(classes)
}
