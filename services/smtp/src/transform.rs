//! Changes to the content on its way: 8-bit parts for a server that takes only 7-bit ones, `smtp_header_checks` and its siblings,
//! `smtp_generic_maps` in headers.

use crate::generic::Generic;
use bstr::{BStr, BString, ByteSlice};
use posthaste_config::{Config, ConfigError};
use posthaste_log::{Logger, info, warn};
use posthaste_mime::checks::{Action, Checks, Verdict};
use posthaste_mime::{Block, Class, Fault, Handler, Header, HeadersEnd, Machine, Options};
use posthaste_queue::QueueId;
use posthaste_smtp_protocol::client::BodyWriter;

/// What may be changed; read once.
pub struct Rules {
    checks: Checks,
    /// `smtp_generic_maps`.
    pub generic: Option<Generic>,
    options: Options,
    /// `disable_mime_output_conversion`.
    never_downgrade: bool,
    prefix: &'static str,
}

impl Rules {
    /// From main.cf.
    pub fn open(config: &Config, lmtp: bool) -> Result<Rules, ConfigError> {
        let prefix = if lmtp { "lmtp_" } else { "smtp_" };
        let number = |name: &str| Ok::<_, ConfigError>(usize::try_from(config.int(name)?).unwrap_or(usize::MAX));
        Ok(Rules {
            checks: Checks::open(config, prefix)?,
            generic: Generic::open(config, if lmtp { "lmtp_generic_maps" } else { "smtp_generic_maps" })?,
            options: Options {
                header_size_limit: number("header_size_limit")?,
                boundary_length_limit: number("mime_boundary_length_limit")?,
                nesting_limit: number("mime_nesting_limit")?,
                ..Options::default()
            },
            never_downgrade: config.bool("disable_mime_output_conversion")?,
            prefix,
        })
    }

    /// Whether content may have to be converted for a server that takes no 8-bit content.
    pub fn downgrades(&self, seven_bit: bool) -> bool {
        seven_bit && !self.never_downgrade
    }

    /// Begins the transformation of one message; `None` when its content can go out as it is. `seven_bit`: the server does not
    /// take 8-bit content. Whatever part says that it has some is then converted, also where the message as a whole does not say so.
    pub fn begin<'a>(&'a self, seven_bit: bool, id: &'a QueueId, log: &'a Logger) -> Option<Transform<'a>> {
        let downgrade = self.downgrades(seven_bit);
        if !downgrade && self.checks.is_empty() && self.generic.is_none() {
            return None;
        }
        let options = Options { downgrade, ..self.options.clone() };
        Some(Transform { machine: Machine::new(options), rules: self, id, log, downgrade, fault: None })
    }
}

/// Why the transformation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A table that could not be asked: which.
    Table(&'static str),
    /// The structure of the message cannot be followed: what is wrong with it.
    Structure(&'static str),
}

/// One message being transformed.
pub struct Transform<'a> {
    machine: Machine,
    rules: &'a Rules,
    id: &'a QueueId,
    log: &'a Logger,
    downgrade: bool,
    fault: Option<Fault>,
}

impl Transform<'_> {
    /// Takes a line, or a piece of one that goes on; writes what comes of it.
    pub fn line(&mut self, text: &[u8], whole: bool, writer: &mut BodyWriter, out: &mut Vec<u8>) -> Result<(), Stop> {
        let (machine, mut sink) = self.parts(writer, out);
        machine.line(text, whole, &mut sink)?;
        self.check()
    }

    /// The end of the message.
    pub fn end(&mut self, writer: &mut BodyWriter, out: &mut Vec<u8>) -> Result<(), Stop> {
        let (machine, mut sink) = self.parts(writer, out);
        machine.end(&mut sink)?;
        self.check()
    }

    fn parts<'s>(&'s mut self, writer: &'s mut BodyWriter, out: &'s mut Vec<u8>) -> (&'s mut Machine, Sink<'s>) {
        (&mut self.machine, Sink { rules: self.rules, id: self.id, log: self.log, fault: &mut self.fault, writer, out })
    }

    /// A message whose structure cannot be followed cannot be converted; nothing else depends on it.
    fn check(&self) -> Result<(), Stop> {
        match self.fault {
            Some(fault) if self.downgrade => Err(Stop::Structure(fault.text())),
            _ => Ok(()),
        }
    }
}

struct Sink<'a> {
    rules: &'a Rules,
    id: &'a QueueId,
    log: &'a Logger,
    fault: &'a mut Option<Fault>,
    writer: &'a mut BodyWriter,
    out: &'a mut Vec<u8>,
}

impl Sink<'_> {
    fn lines(&mut self, text: &[u8]) {
        for line in text.split(|&c| c == b'\n') {
            self.writer.line(line, self.out);
        }
    }

    /// What a check asks for: `Some` is written in place of the line, which is otherwise written as it is.
    fn act(&mut self, what: &str, table: &str, line: &[u8], verdict: Verdict) -> Option<Vec<BString>> {
        let action = match verdict {
            Verdict::Dunno => return None,
            Verdict::Bad(text) => {
                warn!(self.log, "{}", text.replacen("unknown command", "unsupported command", 1));
                return None;
            }
            Verdict::Act(action) => action,
        };
        let unsupported = |word: &str, text: &BStr| {
            let text = [word.as_bytes(), b" ", text].concat();
            warn!(self.log, "unsupported command in {table} map: {}", text.trim_ascii().as_bstr());
        };
        match &action {
            Action::Ignore => return Some(Vec::new()),
            Action::Info(_) | Action::Warn(_) | Action::Strip(_) | Action::Replace(_) | Action::Prepend(_) => {}
            Action::Reject { text, .. } => {
                // That is what stands for no text.
                let text = if text == "message content rejected" { BStr::new("") } else { text.as_bstr() };
                unsupported("REJECT", text);
                return None;
            }
            Action::Bcc(text)
            | Action::Discard(text)
            | Action::Filter(text)
            | Action::Hold(text)
            | Action::Pass(text)
            | Action::Redirect(text) => {
                unsupported(&action.word().unwrap_or_default().to_ascii_uppercase(), text.as_bstr());
                return None;
            }
        }
        let shown: BString = line.iter().take(200).map(|&c| if c.is_ascii_control() { b'?' } else { c }).collect::<Vec<_>>().into();
        let (word, text) = (action.word().unwrap_or_default(), action.text());
        let colon = if text.is_empty() { "" } else { ": " };
        info!(self.log, "{}: {word}: {what} {shown}{colon}{text}", self.id);
        match action {
            Action::Strip(_) => Some(Vec::new()),
            Action::Replace(text) => Some(vec![text]),
            Action::Prepend(text) => Some(vec![text, line.into()]),
            _ => None,
        }
    }
}

impl Handler for Sink<'_> {
    type Error = Stop;

    fn header(&mut self, header: Header<'_>) -> Result<(), Stop> {
        let mut text = std::borrow::Cow::Borrowed(header.text);
        if !self.rules.checks.is_empty() {
            let verdict = self.rules.checks.header(header.class, text.as_bstr()).map_err(|_| Stop::Table("smtp header checks"))?;
            let table = match header.class {
                Class::Primary => "header_checks",
                Class::Mime => "mime_header_checks",
                Class::Nested => "nested_header_checks",
            };
            let table = format!("{}{table}", self.rules.prefix);
            if let Some(lines) = self.act("header", &table, header.text, verdict) {
                lines.iter().for_each(|line| self.lines(line));
                return Ok(());
            }
        }
        if header.block == Block::Top
            && let Some(generic) = &self.rules.generic
            && let Some(changed) = generic.header(&header).map_err(|_| Stop::Table("smtp_generic_maps"))?
        {
            text = std::borrow::Cow::Owned(changed.into());
        }
        self.lines(&text);
        Ok(())
    }

    fn headers_end(&mut self, _: Block, how: HeadersEnd) -> Result<(), Stop> {
        if how == HeadersEnd::EmptyLine {
            self.writer.line(b"", self.out);
        }
        Ok(())
    }

    fn body(&mut self, line: &[u8], whole: bool, _: u64) -> Result<(), Stop> {
        if self.rules.checks.has_body() {
            // body_checks_size_limit is cleanup's.
            let verdict = self.rules.checks.body(line.as_bstr(), 0).map_err(|_| Stop::Table("smtp body checks"))?;
            let table = format!("{}body_checks", self.rules.prefix);
            if let Some(lines) = self.act("body", &table, line, verdict) {
                lines.iter().for_each(|line| self.writer.line(line, self.out));
                return Ok(());
            }
        }
        if whole {
            self.writer.line(line, self.out);
        } else {
            self.writer.piece(line, self.out);
        }
        Ok(())
    }

    fn fault(&mut self, fault: Fault, _: &[u8]) -> Result<(), Stop> {
        self.fault.get_or_insert(fault);
        Ok(())
    }
}
