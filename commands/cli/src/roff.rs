//! Manual pages in roff, from the same tables as `--help`.

use crate::Manual;
use posthaste_config::parameters::{FAMILIES, PARAMETERS, RELEASE_DATE};
use posthaste_config::table::{Kind, Parameter};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// One page: where it goes below the folder of manuals (`man1/postconf.1`), and its text.
#[derive(Debug)]
pub struct Page {
    /// Path below `usr/share/man`.
    pub path: String,
    /// Its source.
    pub text: String,
}

impl Page {
    /// The page of a program.
    pub fn of(manual: &Manual) -> Page {
        Page { path: path(manual.name, manual.section), text: program(manual) }
    }

    /// A page under another name for the same program: `mailq` for `sendmail`.
    pub fn alias(name: &str, manual: &Manual) -> Page {
        Page { path: path(name, manual.section), text: format!(".so {}\n", path(manual.name, manual.section)) }
    }
}

fn path(name: &str, section: u8) -> String {
    format!("man{section}/{name}.{section}")
}

/// Writes the pages below a folder, which is made if need be.
pub fn write_pages(folder: &Path, pages: &[Page]) -> io::Result<()> {
    for page in pages {
        let path = folder.join(&page.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, &page.text)?;
    }
    Ok(())
}

fn head(name: &str, section: u8, summary: &str) -> String {
    let (year, rest) = RELEASE_DATE.split_at(4);
    let (month, day) = rest.split_at(2);
    format!(
        // Ragged right and no hyphens: names of parameters are long, and must be copied as they are.
        ".TH {} {section} {year}-{month}-{day} Posthaste\n.ad l\n.nh\n.SH NAME\n{} \\- {}\n",
        name.to_uppercase(),
        escaped(name),
        escaped(summary)
    )
}

fn program(manual: &Manual) -> String {
    let mut out = head(manual.name, manual.section, manual.summary);
    out.push_str(".SH SYNOPSIS\n.nf\n");
    for form in manual.synopsis {
        let _ = writeln!(out, "{}", line(form));
    }
    let _ = writeln!(out, ".fi\n.SH DESCRIPTION\n{}", paragraphs(manual.description, ".PP"));
    if !manual.options.is_empty() {
        out.push_str(".SH OPTIONS\n");
    }
    for option in manual.options {
        let argument = if option.argument.is_empty() { String::new() } else { format!(" \\fI{}\\fR", escaped(option.argument)) };
        let _ = writeln!(out, ".TP\n\\fB{}\\fR{argument}\n{}", escaped(option.flag), paragraphs(option.text, ".IP"));
    }
    for (title, text) in manual.sections {
        let _ = writeln!(out, ".SH {}\n{}", quoted(title), paragraphs(text, ".PP"));
    }
    let read = read_by(manual.name);
    if !read.is_empty() {
        let _ = writeln!(out, ".SH \"PARAMETERS READ\"\n{}", wrapped(&format!("See postconf(5) for each: {}.", read.join(", "))));
    }
    out
}

/// Names of the parameters that the table says this program reads; without those that all programs do.
fn read_by(program: &str) -> Vec<&'static str> {
    let reads = |row: &&Parameter| !row.legacy && row.programs.split(' ').any(|name| name == program);
    PARAMETERS.iter().filter(reads).map(|row| row.name).collect()
}

/// postconf(5): all parameters.
pub fn parameters() -> Page {
    let mut out = head("postconf", 5, "Postfix configuration parameters");
    out.push_str(".SH SYNOPSIS\n.nf\n");
    for form in ["postconf parameter ...", "postconf \\-e \"parameter=value\" ..."] {
        let _ = writeln!(out, "{form}");
    }
    let _ = writeln!(out, ".fi\n.SH DESCRIPTION\n{}", paragraphs(GRAMMAR, ".PP"));
    for row in PARAMETERS.iter().filter(|row| !row.legacy) {
        let _ = writeln!(out, ".SH {}", quoted(&format!("{} (default: {})", row.name, shown_default(row.default))));
        let mut text = String::new();
        let words = words_of(row.kind, row.values);
        if !words.is_empty() {
            let _ = write!(text, "{words}. ");
        }
        let _ = write!(text, "{} ", readers(row.programs));
        if row.since != "1.0" {
            let _ = write!(text, "Since Postfix {}. ", row.since);
        }
        if let Some(instead) = row.instead {
            let _ = write!(text, "Deprecated: {instead}. ");
        }
        let _ = writeln!(out, "{}", wrapped(text.trim_end()));
    }
    out.push_str(".SH \"PARAMETERS OF A TRANSPORT\"\n");
    let intro = "Each delivery agent in master.cf has parameters of its own, whose names begin with the name of its entry, \
                 as in relay_destination_concurrency_limit. They need not be defined: the default is another parameter.";
    let _ = writeln!(out, "{}", wrapped(intro));
    for family in FAMILIES {
        let of = if family.spawned { "Of services that run pipe or spawn." } else { "Of delivery agents." };
        let words = words_of(family.kind, "");
        let term = format!("\\fIservice\\fR\\fB_{}\\fR (default: {})", escaped(family.suffix), escaped(shown_default(family.default)));
        let _ = writeln!(out, ".TP\n{term}\n{}", wrapped(&format!("{words}. {of} Since Postfix {}.", family.since)));
    }
    Page { path: path("postconf", 5), text: out }
}

const GRAMMAR: &str = "The file main.cf holds parameters, one \"name = value\" a line. Lines that begin with # and empty lines are ignored; a line \
    that begins with white space continues the line before it. The last of several lines with one name counts.\n\n\
    $name, ${name} and $(name) in a value stand for the value of that parameter; ${name?text} for text when that value is not empty, ${name:text} \
    when it is, ${name?{text}:{other}} for one or the other. ${{a} == {b} ? {text} : {other}} compares; besides == there are !=, <, <=, >= and >, \
    and for compatibility_level ==level, <level and so on. $$ is one $.\n\n\
    Lists are separated by comma or white space; an item with white space stands in { and }. Where a list may name a file (/file/name) or a table \
    (type:name), that file's content or a hit in that table counts; ! before an item excludes what it matches.\n\n\
    Times are a number and a unit: s seconds, m minutes, h hours, d days, w weeks.\n\n\
    After a change, run \"postfix reload\".";

fn shown_default(default: &str) -> &str {
    if default.is_empty() { "empty" } else { default }
}

/// Type, unit and range in words.
fn words_of(kind: Kind, values: &str) -> String {
    let range = |min: Option<i64>, max: Option<i64>| match (min, max) {
        (Some(min), Some(max)) => format!(", {min} to {max}"),
        (Some(min), None) => format!(", at least {min}"),
        (None, Some(max)) => format!(", at most {max}"),
        (None, None) => String::new(),
    };
    let kind = match kind {
        Kind::Bool => "yes or no".to_owned(),
        Kind::Int { min, max } | Kind::Long { min, max } => format!("A number{}", range(min, max)),
        Kind::Raw { .. } => "Text, expanded when it is used".to_owned(),
        Kind::Text { min, max: Some(max) } => format!("Text of {min} to {max} characters"),
        Kind::Text { min: 1.., max: None } => "Text, not empty".to_owned(),
        Kind::Text { .. } => String::new(),
        Kind::Time { unit, min, max } => {
            let unit = match unit {
                'm' => "minutes",
                'h' => "hours",
                'd' => "days",
                'w' => "weeks",
                _ => "seconds",
            };
            let range = range(min, max);
            let seconds = if range.is_empty() { "" } else { " seconds" };
            format!("A time, in {unit} without a unit{range}{seconds}")
        }
    };
    let values = values.replace('|', " | ");
    match (kind.is_empty(), values.is_empty()) {
        (_, true) => kind,
        (true, false) => format!("Values: {values}"),
        (false, false) => format!("{kind}: {values}"),
    }
}

fn readers(programs: &str) -> String {
    match programs {
        "" => String::new(),
        "all" => "Read by all programs.".into(),
        "daemons" => "Read by all daemons.".into(),
        some => format!("Read by {}.", some.replace(' ', ", ")),
    }
}

fn paragraphs(text: &str, between: &str) -> String {
    text.split("\n\n").map(wrapped).collect::<Vec<_>>().join(&format!("\n{between}\n"))
}

/// Filled text, in source lines of a moderate length.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + word.chars().count() < 78 => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|text| line(text)).collect::<Vec<_>>().join("\n")
}

/// A line of text that may begin with anything.
fn line(text: &str) -> String {
    let text = escaped(text);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// An argument of a request.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('"', "\\(dq"))
}

/// Longer words may not fit on a line: they may be broken after punctuation, or else anywhere.
const LONG: usize = 40;

fn escaped(text: &str) -> String {
    let long = text.split(' ').any(|word| word.len() > LONG);
    let mut since_break = 0;
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '\'' => out.push_str("\\(aq"),
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "\\[u{:04X}]", u32::from(c));
            }
        }
        since_break = if c == ' ' { 0 } else { since_break + 1 };
        if long && (":,/|}".contains(c) || since_break == LONG) {
            out.push_str("\\:");
            since_break = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Opt;

    const MANUAL: Manual = Manual {
        name: "postx",
        section: 1,
        summary: "does x",
        synopsis: &["postx [-v] file"],
        description: "First paragraph.\n\n.forward and 'quotes' \\ é.",
        options: &[Opt { flag: "-v", argument: "", text: "Verbose." }],
        sections: &[("EXIT STATUS", "0 when all went well.")],
    };

    #[test]
    fn text_cannot_be_taken_for_requests() {
        let page = Page::of(&MANUAL);
        assert_eq!(page.path, "man1/postx.1");
        for part in [".TP\n\\fB\\-v\\fR\nVerbose.", ".PP\n\\&.forward and \\(aqquotes\\(aq \\e \\[u00E9].", "postx [\\-v] file"] {
            assert!(page.text.contains(part), "{}", page.text);
        }
        assert_eq!(Page::alias("posty", &MANUAL).text, ".so man1/postx.1\n");
    }

    #[test]
    fn every_parameter_has_its_place() {
        let text = parameters().text.replace("\\:", "");
        for row in PARAMETERS.iter().filter(|row| !row.legacy) {
            assert!(text.contains(&format!("\n.SH \"{} (default: ", row.name)), "{}", row.name);
        }
        assert!(text.contains("at least 512"), "line_length_limit has its range");
    }

    #[test]
    fn a_program_lists_what_it_reads() {
        let names = read_by("bounce");
        assert!(names.contains(&"bounce_size_limit") && !names.contains(&"biff"), "{names:?}");
    }
}
