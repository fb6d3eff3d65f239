//! One table per command: from it come `--help` and the man page.
//!
//! ```
//! use posthaste_cli::{Manual, Opt};
//! const MANUAL: Manual = Manual {
//!     name: "postkick",
//!     section: 1,
//!     summary: "kick a Postfix service",
//!     synopsis: &["postkick [-c config_dir] [-v] class service request"],
//!     description: "Sends request to the named service over a local transport channel.",
//!     options: &[Opt { flag: "-v", argument: "", text: "Verbose logging." }],
//!     sections: &[],
//! };
//! assert!(MANUAL.help().contains("postkick"));
//! ```

mod getopt;
pub mod roff;
mod start;

pub use getopt::{BadOption, Getopt, until_operand};
pub use start::{early, show_interfaces, start, start_set_gid};

use std::fmt::Write as _;

/// The manual of one command.
#[derive(Debug)]
pub struct Manual {
    /// Name of the command.
    pub name: &'static str,
    /// Manual section, 1 or 8.
    pub section: u8,
    /// One line, without the name.
    pub summary: &'static str,
    /// One entry for each form of the command line.
    pub synopsis: &'static [&'static str],
    /// Paragraphs, separated by empty lines.
    pub description: &'static str,
    /// In the order in which they are shown.
    pub options: &'static [Opt],
    /// Further sections: title and paragraphs (`EXIT STATUS`, `FILES`, …).
    pub sections: &'static [(&'static str, &'static str)],
}

/// One option.
#[derive(Debug)]
pub struct Opt {
    /// `-q`.
    pub flag: &'static str,
    /// Its argument's name, or empty.
    pub argument: &'static str,
    /// What it does.
    pub text: &'static str,
}

impl Manual {
    /// The text of `--help`.
    pub fn help(&self) -> String {
        let mut out = format!("{} - {}\n\n", self.name, self.summary);
        for (i, form) in self.synopsis.iter().enumerate() {
            let _ = writeln!(out, "{}{form}", if i == 0 { "Usage: " } else { "       " });
        }
        let _ = writeln!(out, "\n{}", wrap(self.description, 0));
        if !self.options.is_empty() {
            out.push_str("\nOptions:\n");
        }
        for option in self.options {
            let _ = writeln!(out, "  {}", [option.flag, option.argument].join(" ").trim_end());
            let _ = writeln!(out, "{}", wrap(option.text, 6));
        }
        for (title, text) in self.sections {
            let _ = writeln!(out, "\n{title}:\n{}", wrap(text, 2));
        }
        out
    }
}

/// `--man FOLDER`: writes manual pages, for who installs the programs.
pub fn write_manuals(arguments: &[std::ffi::OsString], pages: &[roff::Page]) -> std::process::ExitCode {
    let [_, _, folder] = arguments else {
        eprintln!("usage: --man directory");
        return std::process::ExitCode::FAILURE;
    };
    match roff::write_pages(std::path::Path::new(folder), pages) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fatal: cannot write manual pages below {}: {error}", folder.display());
            std::process::ExitCode::FAILURE
        }
    }
}

/// The name a program was called by, without its folder.
pub fn program_name(argument: &std::ffi::OsStr) -> String {
    std::path::Path::new(argument).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn wrap(text: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let mut lines = Vec::new();
    for paragraph in text.split("\n\n") {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let mut line = pad.clone();
        for word in paragraph.split_whitespace() {
            if line.len() > indent && line.len() + 1 + word.chars().count() > 78 {
                lines.push(std::mem::replace(&mut line, pad.clone()));
            }
            if line.len() > indent {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: Manual = Manual {
        name: "postx",
        section: 1,
        summary: "does x",
        synopsis: &["postx [-v] file"],
        description: "First paragraph.\n\nSecond paragraph.",
        options: &[Opt { flag: "-v", argument: "", text: "Verbose." }],
        sections: &[("EXIT STATUS", "0 when all went well.")],
    };

    #[test]
    fn help_shows_usage_options_and_sections() {
        let help = MANUAL.help();
        for part in ["Usage: postx [-v] file", "  -v\n      Verbose.", "EXIT STATUS:\n  0 when"] {
            assert!(help.contains(part), "{help}");
        }
    }
}
