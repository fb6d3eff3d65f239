//! Showing master.cf: entries (`-M`), fields (`-F`), parameters set by `-o` (`-P`) and all parameters of a service (`-PP`).

use crate::options::{Options, Target};
use crate::{Failed, Terminal, assignment, load, words};
use posthaste_config::check::{Names, master_warnings, overrides};
use posthaste_config::master_cf::{FIELDS, MasterLine};
use posthaste_config::parameters::PARAMETERS;
use posthaste_config::table::{Kind, parameter};
use posthaste_config::{Config, MasterFile};
use std::collections::BTreeMap;

/// `service[/type[/name]]`, where what is left out or is `*` means any.
#[derive(Clone, Debug)]
pub struct Pattern {
    parts: Vec<String>,
}

impl Pattern {
    /// Splits `text`; `None` when it has empty parts or more than `most`.
    pub fn parse(text: &str, most: usize) -> Option<Pattern> {
        let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
        (parts.len() <= most && parts.iter().all(|part| !part.is_empty())).then_some(Pattern { parts })
    }

    /// How many parts are given.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    fn part(&self, at: usize) -> &str {
        self.parts.get(at).map_or("*", String::as_str)
    }

    /// The last of three parts, if it is not a wildcard.
    pub fn name(&self) -> Option<&str> {
        Some(self.part(2)).filter(|part| *part != "*")
    }

    /// Whether an entry is meant.
    pub fn matches(&self, entry: &MasterLine) -> bool {
        (0..2).all(|at| self.part(at) == "*" || self.part(at) == entry.fields[at])
    }
}

/// The number of a field of master.cf.
pub fn field_number(name: &str, terminal: &Terminal) -> Result<usize, Failed> {
    FIELDS.iter().position(|field| *field == name).ok_or_else(|| terminal.fatal(format_args!("invalid service attribute name: \"{name}\"")))
}

/// `postconf -M|-F|-P|-PP [pattern …]`.
pub fn show(options: &Options, terminal: &Terminal) -> Result<(), Failed> {
    let config = load(options, terminal)?;
    let master = MasterFile::load(&options.directory).map_err(|error| terminal.config_error(error))?;
    for warning in &master.warnings {
        terminal.warn(warning);
    }
    let names = Names::collect(&config, &master);
    if !options.quiet {
        let prefix = format!("{}: ", master.file);
        for text in names.undefined.iter().filter(|text| text.starts_with(&prefix)) {
            terminal.warn(text);
        }
    }
    let shower = Shower { config: &config, names: &names, options };
    let (most, form) = match options.target {
        Target::Entries => (2, "-M option requires service_name[/type]"),
        Target::Fields => (3, "-F option requires service_name[/type[/field]]"),
        _ => (3, "-P option requires service_name[/type[/parameter]]"),
    };
    if options.operands.is_empty() {
        let any = Pattern { parts: Vec::new() };
        for entry in &master.lines {
            shower.entry(entry, &any, terminal)?;
        }
    }
    for operand in &options.operands {
        let pattern = Pattern::parse(operand, most).ok_or_else(|| terminal.fatal(form))?;
        let mut found = false;
        for entry in master.lines.iter().filter(|entry| pattern.matches(entry)) {
            found |= shower.entry(entry, &pattern, terminal)?;
        }
        if !found {
            terminal.warn(format_args!("unmatched request: \"{operand}\""));
        }
    }
    if !options.quiet {
        for text in master_warnings(&master, &names) {
            terminal.warn(text);
        }
    }
    Ok(())
}

struct Shower<'a> {
    config: &'a Config,
    names: &'a Names,
    options: &'a Options,
}

impl Shower<'_> {
    /// Shows what the pattern wants of one entry; whether there was anything.
    fn entry(&self, entry: &MasterLine, pattern: &Pattern, terminal: &Terminal) -> Result<bool, Failed> {
        match self.options.target {
            Target::Entries => self.whole(entry, terminal).map(|()| true),
            Target::Fields => self.fields(entry, pattern, terminal).map(|()| true),
            Target::AllParameters => self.all_parameters(entry, pattern, terminal),
            _ => self.parameters(entry, pattern, terminal),
        }
    }

    fn whole(&self, entry: &MasterLine, terminal: &Terminal) -> Result<(), Failed> {
        let entry = self.expanded(entry, terminal)?;
        if self.options.json {
            let command = entry.display_command();
            let values = entry.fields.iter().map(String::as_str).chain([command.as_str()]);
            terminal.json(FIELDS.into_iter().zip(values));
        } else {
            terminal.line(entry.display(self.options.fold));
        }
        Ok(())
    }

    fn fields(&self, entry: &MasterLine, pattern: &Pattern, terminal: &Terminal) -> Result<(), Failed> {
        let wanted = pattern.name().map(|name| field_number(name, terminal)).transpose()?;
        let shown = self.expanded(entry, terminal)?;
        for (number, field) in FIELDS.into_iter().enumerate().filter(|(number, _)| wanted.is_none_or(|wanted| wanted == *number)) {
            let command = number == FIELDS.len() - 1;
            let value = if command { shown.display_command() } else { entry.fields[number].clone() };
            let name = format!("{}/{}/{field}", entry.fields[0], entry.fields[1]);
            if self.options.json {
                self.member(entry, "field", field, &value, terminal);
            } else if command && !self.options.names_only {
                // The blanks within an argument mean something; only folding may change them, and it does so between arguments.
                let start = if self.options.values_only { String::new() } else { format!("{name} = ") };
                terminal.line(shown.with_command(start, self.options.fold));
            } else {
                terminal.line(assignment(&name, &value, self.options));
            }
        }
        Ok(())
    }

    fn parameters(&self, entry: &MasterLine, pattern: &Pattern, terminal: &Terminal) -> Result<bool, Failed> {
        let local = self.local(entry, terminal)?;
        let set: BTreeMap<&str, &str> = overrides(&entry.command).into_iter().collect();
        let mut found = false;
        for (name, value) in set.into_iter().filter(|(name, _)| pattern.name().is_none_or(|wanted| wanted == *name)) {
            self.parameter(entry, name, value, &local, terminal)?;
            found = true;
        }
        Ok(found)
    }

    /// The parameters that the program of an entry reads, with the values that it sees, and those that the entry sets.
    fn all_parameters(&self, entry: &MasterLine, pattern: &Pattern, terminal: &Terminal) -> Result<bool, Failed> {
        let local = self.local(entry, terminal)?;
        let program = entry.command.first().map_or("", String::as_str);
        let reads = |readers: &str| readers.split(' ').any(|reader| reader == "all" || reader == "daemons" || reader == program);
        let mut shown: BTreeMap<&str, String> = BTreeMap::new();
        for row in PARAMETERS.iter().filter(|row| !row.legacy && reads(row.programs)) {
            shown.insert(row.name, String::new());
        }
        for name in self.names.service.keys().filter(|name| name.starts_with(&format!("{}_", entry.fields[0]))) {
            shown.insert(name, String::new());
        }
        let set = overrides(&entry.command);
        shown.extend(set.iter().map(|(name, _)| (*name, String::new())));
        let mut found = false;
        for (name, value) in &mut shown {
            if pattern.name().is_some_and(|wanted| wanted != *name) {
                continue;
            }
            let raw = local.raw(name).map_err(|error| terminal.config_error(error))?;
            *value = raw.map_or_else(|| self.names.service.get(*name).cloned().unwrap_or_default(), |raw| raw.into_owned());
            self.parameter(entry, name, value, &local, terminal)?;
            found = true;
        }
        Ok(found)
    }

    fn parameter(&self, entry: &MasterLine, name: &str, value: &str, local: &Config, terminal: &Terminal) -> Result<(), Failed> {
        let value = self.expand(name, value, local, terminal)?;
        if self.options.json {
            self.member(entry, "parameter", name, &words(&value), terminal);
        } else {
            terminal.line(assignment(&format!("{}/{}/{name}", entry.fields[0], entry.fields[1]), &value, self.options));
        }
        Ok(())
    }

    fn member(&self, entry: &MasterLine, what: &str, name: &str, value: &str, terminal: &Terminal) {
        terminal.json([("service", entry.fields[0].as_str()), ("type", entry.fields[1].as_str()), (what, name), ("value", value)]);
    }

    /// The configuration as this entry sees it.
    fn local(&self, entry: &MasterLine, terminal: &Terminal) -> Result<Config, Failed> {
        let program = entry.command.first().map_or("", String::as_str);
        let config = self.config.with_overrides(overrides(&entry.command)).map_err(|error| terminal.config_error(error))?;
        Ok(config.with_identity(program, &entry.fields[0]))
    }

    fn expand(&self, name: &str, value: &str, local: &Config, terminal: &Terminal) -> Result<String, Failed> {
        let template = matches!(parameter(name), Some(row) if matches!(row.kind, Kind::Raw { .. }));
        if !self.options.expand || template {
            return Ok(value.to_owned());
        }
        local.expand(value).map_err(|error| terminal.config_error(error))
    }

    /// The entry with the values of its `-o` options expanded, when that is wanted. Other arguments have names of their own after `$`.
    fn expanded(&self, entry: &MasterLine, terminal: &Terminal) -> Result<MasterLine, Failed> {
        let mut entry = entry.clone();
        if !self.options.expand {
            return Ok(entry);
        }
        let local = self.local(&entry, terminal)?;
        let set: Vec<(String, String)> =
            overrides(&entry.command).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (name, value) in set {
            let (plain, expanded) = (format!("{name}={value}"), format!("{name}={}", self.expand(&name, &value, &local, terminal)?));
            for word in entry.command.iter_mut().skip(1) {
                if *word == plain {
                    word.clone_from(&expanded);
                } else if word.strip_prefix("-o") == Some(&plain) {
                    *word = format!("-o{expanded}");
                }
            }
        }
        Ok(entry)
    }
}
