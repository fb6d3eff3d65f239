//! Templates for the text at the beginning of reports: bounce(5).
//!
//! A template file holds blocks `failure_template = <<EOF` … `EOF`. A block is a few headers, an empty line and text with `$name`
//! references. Kinds that the file does not hold keep their built-in template.

use bstr::ByteSlice;
use posthaste_address as address;
use posthaste_config::expand::{MacroError, expand};
use posthaste_config::lines::split_name_value;
use posthaste_config::{Config, ConfigError};
use std::fmt::Write as _;

/// Which report a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The message is delayed and will be tried again.
    Delay,
    /// The message could not be delivered.
    Failure,
    /// The sender asked to be told about successful delivery.
    Success,
    /// The answer to `sendmail -bv`.
    Verify,
}

impl Kind {
    /// In the order in which they are shown.
    pub const ALL: [Kind; 4] = [Kind::Failure, Kind::Delay, Kind::Success, Kind::Verify];

    /// The word in names and messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Delay => "delay",
            Kind::Failure => "failure",
            Kind::Success => "success",
            Kind::Verify => "verify",
        }
    }

    /// Whether the postmaster may get a copy with a subject of its own.
    fn has_postmaster_subject(self) -> bool {
        matches!(self, Kind::Delay | Kind::Failure)
    }
}

/// One template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What it is for.
    pub kind: Kind,
    /// MIME character set of the text.
    pub charset: String,
    /// Value of the `From:` header.
    pub from: String,
    /// Value of the `Subject:` header.
    pub subject: String,
    /// The subject of the copy for the postmaster; only for failure and delay.
    pub postmaster_subject: Option<String>,
    /// Lines with line ends, unexpanded.
    pub text: String,
    /// The file it came from, or `[built-in]`.
    pub origin: String,
}

/// All four templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    templates: [Template; 4],
    /// What is wrong with the file but only costs the template in question; whole texts, to be logged as warnings.
    pub warnings: Vec<String>,
}

/// A template file that cannot be used; `Display` is what Postfix logs after `fatal: `.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file's grammar.
    #[error("{file}, line {line}: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// `$name` is not followed by what the grammar wants.
    #[error("{origin}: bad $name syntax in {} template: {line}", kind.name())]
    Reference {
        /// The file or `[built-in]`.
        origin: String,
        /// Which template.
        kind: Kind,
        /// The line of text.
        line: String,
        /// What is wrong in it; Postfix logs this as a warning of its own.
        reason: MacroError,
    },
    /// Nothing defines a `$name`.
    #[error("{origin}: undefined $name in {} template: {line}", kind.name())]
    Undefined {
        /// The file or `[built-in]`.
        origin: String,
        /// Which template.
        kind: Kind,
        /// The line of text.
        line: String,
    },
    /// A parameter that cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Templates {
    /// The templates that come with the program. `header_from_format` decides the form of `From:`.
    pub fn builtin(config: &Config) -> Result<Templates, ConfigError> {
        let from = match config.text("header_from_format")?.as_str() {
            "obsolete" => "MAILER-DAEMON (Mail Delivery System)",
            _ => "Mail Delivery System <MAILER-DAEMON>",
        };
        let template = |kind| Template {
            kind,
            charset: "us-ascii".to_owned(),
            from: from.to_owned(),
            subject: subject(kind).to_owned(),
            postmaster_subject: match kind {
                Kind::Delay => Some("Postmaster Warning: Delayed Mail".to_owned()),
                Kind::Failure => Some("Postmaster Copy: Undelivered Mail".to_owned()),
                Kind::Success | Kind::Verify => None,
            },
            text: format!("{FIRST_LINE}\n\n{}\n{LAST_LINE}\n", notice(kind)),
            origin: "[built-in]".to_owned(),
        };
        Ok(Templates { templates: Kind::ALL.map(template), warnings: Vec::new() })
    }

    /// The built-in templates, and in their place those that the text of a template file holds.
    pub fn parse(text: &str, file: &str, config: &Config) -> Result<Templates, TemplateError> {
        let mut templates = Templates::builtin(config)?;
        for block in blocks(text, file, &mut templates.warnings)? {
            let kind = Kind::ALL.into_iter().find(|kind| block.name.strip_suffix("_template") == Some(kind.name()));
            let Some(kind) = kind else {
                let warning = format!("{file}, line {}: unknown template name: {} -- ignoring this template", block.line, block.name);
                templates.warnings.push(warning);
                continue;
            };
            let mut template = templates.get(kind).clone();
            template.origin = file.to_owned();
            match template.fill(&block.text) {
                Ok(()) => *templates.get_mut(kind) = template,
                Err(warnings) => templates.warnings.extend(warnings.into_iter().map(|warning| warning.replace("FILE", file))),
            }
        }
        Ok(templates)
    }

    /// The template of a kind.
    pub fn get(&self, kind: Kind) -> &Template {
        &self.templates[Kind::ALL.iter().position(|other| *other == kind).unwrap_or_default()]
    }

    fn get_mut(&mut self, kind: Kind) -> &mut Template {
        &mut self.templates[Kind::ALL.iter().position(|other| *other == kind).unwrap_or_default()]
    }

    /// All of them as a template file, unexpanded: `postconf -t`.
    pub fn display(&self) -> String {
        let blocks: Vec<String> = self.templates.iter().map(Template::display).collect();
        blocks.join("\n")
    }

    /// All texts, expanded: `postconf -b`.
    pub fn display_expanded(&self, config: &Config, warnings: &mut Vec<String>) -> Result<String, TemplateError> {
        let mut out = String::new();
        for template in &self.templates {
            let text = template.expand(config, warnings)?;
            let separator = if out.is_empty() { "" } else { "\n" };
            let _ = write!(out, "{separator}expanded_{}_text = <<EOF\n{text}EOF\n", template.kind.name());
        }
        Ok(out)
    }
}

impl Template {
    /// Takes headers and text from a block; what the block does not say stays. Errors are warnings with `FILE` for the file's name.
    fn fill(&mut self, block: &str) -> Result<(), Vec<String>> {
        let kind = self.kind.name();
        let mut rest = block;
        while let Some((line, after)) = rest.split_once('\n') {
            let Some((label, value)) = header(line) else { break };
            let value = value.trim();
            let ignoring = |what: String| Err(vec![format!("FILE: {what} in {kind} template -- ignoring this template")]);
            let place = match label.to_ascii_lowercase().as_str() {
                "charset" => &mut self.charset,
                "from" => &mut self.from,
                "subject" => &mut self.subject,
                "postmaster-subject" if self.kind.has_postmaster_subject() => self.postmaster_subject.get_or_insert_default(),
                "postmaster-subject" => return ignoring(format!("inapplicable \"{label}\" header label")),
                _ => return ignoring(format!("unknown \"{label}\" header label")),
            };
            if value.is_empty() {
                return ignoring(format!("empty \"{label}\" header value"));
            }
            if !value.is_ascii() || value.contains('\0') {
                return ignoring(format!("non-ASCII \"{label}\" header value"));
            }
            *place = value.to_owned();
            rest = after;
        }
        let text = rest.strip_prefix('\n').unwrap_or(rest);
        if text.is_empty() {
            return Err(vec![format!("FILE: missing message text in {kind} template -- ignoring this template")]);
        }
        if !text.is_ascii() && self.charset.eq_ignore_ascii_case("us-ascii") {
            return Err(vec![
                format!("FILE: 8-bit message text in {kind} template"),
                "please specify a charset value other than us-ascii".to_owned(),
                "-- ignoring this template for now".to_owned(),
            ]);
        }
        self.text = text.to_owned();
        Ok(())
    }

    /// The template as it would stand in a file.
    pub fn display(&self) -> String {
        let mut out =
            format!("{}_template = <<EOF\nCharset: {}\nFrom: {}\nSubject: {}\n", self.kind.name(), self.charset, self.from, self.subject);
        if let Some(subject) = &self.postmaster_subject {
            let _ = writeln!(out, "Postmaster-Subject: {subject}");
        }
        let _ = write!(out, "\n{}EOF\n", self.text);
        out
    }

    /// The text of the report, lines with line ends. Time parameters with a suffix (`$delay_warning_time_hours`) come in that unit, and
    /// with `smtputf8_enable` host and domain are shown in UTF-8. `warnings` gets those about units that do not fit.
    pub fn expand(&self, config: &Config, warnings: &mut Vec<String>) -> Result<String, TemplateError> {
        let utf8 = config.bool("smtputf8_enable")?;
        let mut out = String::with_capacity(self.text.len() + 100);
        for line in self.text.lines() {
            let mut lookup = |name: &str| -> Result<Option<Vec<u8>>, TemplateError> {
                if let Some(value) = self.time(name, config, warnings)? {
                    return Ok(Some(value.into_bytes()));
                }
                let value = config.lookup(name)?.ok_or_else(|| TemplateError::Undefined {
                    origin: self.origin.clone(),
                    kind: self.kind,
                    line: line.to_owned(),
                })?;
                let readable = (utf8 && matches!(name, "myhostname" | "mydomain"))
                    .then(|| address::idn::domain_to_utf8(value.as_bytes().as_bstr()))
                    .flatten();
                Ok(Some(readable.unwrap_or(value).into_bytes()))
            };
            let text = expand(line.as_bytes(), &mut lookup).map_err(|error| match error {
                TemplateError::Config(ConfigError::Macro { parameter, reason }) if parameter.is_empty() => {
                    TemplateError::Reference { origin: self.origin.clone(), kind: self.kind, line: line.to_owned(), reason }
                }
                error => error,
            })?;
            out.push_str(&String::from_utf8_lossy(&text));
            out.push('\n');
        }
        Ok(out)
    }

    /// `<time parameter>_<unit>`.
    fn time(&self, name: &str, config: &Config, warnings: &mut Vec<String>) -> Result<Option<String>, TemplateError> {
        let Some((parameter, unit)) = name.rsplit_once('_') else { return Ok(None) };
        let seconds = match unit {
            "seconds" => 1,
            "minutes" => 60,
            "hours" => 3600,
            "days" => 24 * 3600,
            "weeks" => 7 * 24 * 3600,
            _ => return Ok(None),
        };
        if !matches!(parameter, "delay_warning_time" | "maximal_queue_lifetime") {
            return Ok(None);
        }
        let time = config.time(parameter)?.as_secs();
        let result = time / seconds;
        let fault = match result {
            0 if time > 0 => Some(("zero result".to_owned(), "reduce")),
            0..=1000 => None,
            _ => Some((format!("excessive result \"{result}\""), "increase")),
        };
        if let Some((what, remedy)) = fault {
            let kind = self.kind.name();
            warnings.push(format!("{}: {what} in {kind} template conversion of parameter \"{name}\"", self.origin));
            warnings.push(format!("please {remedy} time unit \"{unit}\" of \"{name}\" in {kind} template"));
            warnings.push("for instructions see the bounce(5) manual".to_owned());
        }
        Ok(Some(result.to_string()))
    }
}

impl From<MacroError> for TemplateError {
    fn from(error: MacroError) -> TemplateError {
        TemplateError::Config(error.into())
    }
}

/// `Label: value`; a label is printable and has no blank within.
fn header(line: &str) -> Option<(&str, &str)> {
    let (label, value) = line.split_once(':')?;
    let label = label.trim_end_matches([' ', '\t']);
    (!label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic())).then_some((label, value))
}

struct Block<'a> {
    name: &'a str,
    line: usize,
    text: String,
}

/// Splits a file into `name = <<MARK` … `MARK`. Outside of blocks there are only comments and blank lines.
fn blocks<'a>(text: &'a str, file: &str, warnings: &mut Vec<String>) -> Result<Vec<Block<'a>>, TemplateError> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let line_number = at + 1;
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let fault = |reason: String| TemplateError::Syntax { file: file.to_owned(), line: line_number, reason };
        let (name, value) = split_name_value(line).map_err(|error| fault(format!("{error}: \"{}\"", line.trim())))?;
        let Some(mark) = value.strip_prefix("<<") else {
            return Err(fault(format!("missing << after \"{name} =\": \"{}\"", line.trim())));
        };
        let mark = mark.trim();
        if mark.is_empty() {
            return Err(fault("missing end marker after <<".to_owned()));
        }
        if mark.starts_with(|c: char| !c.is_ascii_alphanumeric()) {
            return Err(fault("malformed end marker after <<".to_owned()));
        }
        let mut body = String::new();
        let mut closed = false;
        for (_, line) in lines.by_ref() {
            if line == mark {
                closed = true;
                break;
            }
            body.push_str(line);
            body.push('\n');
        }
        if !closed {
            warnings.push(format!("{file}, line {}: missing \"{mark}\" end marker", text.lines().count()));
        }
        found.push(Block { name, line: line_number, text: body });
    }
    Ok(found)
}

fn subject(kind: Kind) -> &'static str {
    match kind {
        Kind::Delay => "Delayed Mail (still being retried)",
        Kind::Failure => "Undelivered Mail Returned to Sender",
        Kind::Success => "Successful Mail Delivery Report",
        Kind::Verify => "Mail Delivery Status Report",
    }
}

// Programs that read reports know the notice by its first and its last line.
const FIRST_LINE: &str = "This is the mail system at host $myhostname.";
const LAST_LINE: &str = "                   The mail system";

fn notice(kind: Kind) -> &'static str {
    match kind {
        Kind::Delay => DELAY,
        Kind::Failure => FAILURE,
        Kind::Success => SUCCESS,
        Kind::Verify => VERIFY,
    }
}

const FAILURE: &str = "\
Your message has not reached the recipients listed below, and no further
attempt will be made. What the receiving system said is given with each
recipient; the message itself is attached.

If you cannot tell from this what to do, write to postmaster and include
this report. You may leave out your own text from the attached message.
";

const DELAY: &str = "\
This is a warning only: your message is still on its way, and there is no
need to send it again.

It has been waiting for more than $delay_warning_time_hours hour(s), because the recipients
listed below cannot be reached at present. Further attempts will be made
until the message is $maximal_queue_lifetime_days day(s) old.

If you need help, write to postmaster and include this report. You may
leave out your own text from the attached message.
";

const SUCCESS: &str = "\
Your message has been delivered to the recipients listed below. When it
went to a mailbox on another system, that system may report again.
";

const VERIFY: &str = "\
This is the mail delivery status report that you asked for. No message
has been delivered.
";

#[cfg(test)]
mod tests;
