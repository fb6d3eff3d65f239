//! Editing main.cf and master.cf.

use crate::master_cf::{Pattern, field_number};
use crate::options::{Edit, Options};
use crate::{Failed, Terminal};
use posthaste_config::edit::{Change, EntryAction, append, edit_main, edit_master, replace};
use posthaste_config::lines::{is_blank, logical_lines, split_name_value};
use posthaste_config::master_cf::{FIELDS, MasterError, MasterFault, MasterLine};

/// `postconf -e|-X|-# …`.
pub fn main_cf(options: &Options, edit: Edit, terminal: &Terminal) -> Result<(), Failed> {
    let mut changes: Vec<Change> = Vec::new();
    for operand in &options.operands {
        let change = match edit {
            Edit::Set => {
                let (name, value) = assignment(operand, terminal)?;
                if let Some(at) = changes.iter().position(|change| matches!(change, Change::Set(other, _) if other == name)) {
                    terminal.warn(format_args!("ignoring earlier request: '{}'", shown(&changes.remove(at))));
                }
                Change::Set(name.to_owned(), value.to_owned())
            }
            Edit::CommentOut => Change::CommentOut(plain_name(operand, terminal)?),
            Edit::Remove => Change::Remove(plain_name(operand, terminal)?),
        };
        changes.push(change);
    }
    if changes.is_empty() {
        return Ok(());
    }
    let path = options.directory.join("main.cf");
    rewrite(&path, terminal, |text| {
        let (text, warnings) = edit_main(text, &path.to_string_lossy(), &changes);
        for warning in warnings {
            terminal.warn(warning);
        }
        Ok(text)
    })
}

/// `postconf -M -e|-X|-# …`.
pub fn entries(options: &Options, edit: Edit, terminal: &Terminal) -> Result<(), Failed> {
    let mut requests: Vec<(Pattern, Option<MasterLine>)> = Vec::new();
    for operand in &options.operands {
        let (pattern, line) = match edit {
            Edit::Set => {
                let (name, value) = assignment(operand, terminal)?;
                (name, Some(value))
            }
            _ => (operand.as_str(), None),
        };
        let pattern = Pattern::parse(pattern, 2)
            .filter(|pattern| pattern.len() == 2)
            .ok_or_else(|| terminal.fatal("-Me, -MX or -M# requires service_name/type"))?;
        let line = line.map(|line| entry(line, operand, terminal)).transpose()?;
        requests.push((pattern, line));
    }
    rewrite_master(options, terminal, |text| {
        let mut used = vec![false; requests.len()];
        let mut out = edit_master(text, &mut |entry| {
            let Some(at) = requests.iter().position(|(pattern, _)| pattern.matches(entry)) else { return EntryAction::Keep };
            used[at] = true;
            match (edit, &requests[at].1) {
                (Edit::Set, Some(line)) => EntryAction::Replace(line.clone()),
                (Edit::CommentOut, _) => EntryAction::CommentOut,
                _ => EntryAction::Remove,
            }
        });
        for (at, (_, line)) in requests.iter().enumerate() {
            let Some(line) = line.as_ref().filter(|_| !used[at]) else { continue };
            // Under another name it may be there already: master would take the last, so there must not be two.
            let same = |entry: &MasterLine| entry.fields[..2] == line.fields[..2];
            let mut replaced = false;
            out = edit_master(&out, &mut |entry| {
                if !same(entry) {
                    return EntryAction::Keep;
                }
                replaced = true;
                EntryAction::Replace(line.clone())
            });
            if !replaced {
                append(&mut out, &line.display(true));
            }
        }
        Ok(out)
    })
}

/// `postconf -F service/type/field=value …`.
pub fn fields(options: &Options, terminal: &Terminal) -> Result<(), Failed> {
    let mut requests = Vec::new();
    for operand in &options.operands {
        let (name, value) = assignment(operand, terminal)?;
        let pattern = three_parts(name).ok_or_else(|| terminal.fatal("-Fe or -FX requires service_name/type/field_name"))?;
        let field = field_number(pattern.name().unwrap_or("*"), terminal)?;
        if field < FIELDS.len() - 1 && value.contains(is_blank) {
            return Err(terminal.fatal("-Fe does not accept whitespace in non-command field"));
        }
        if value.is_empty() {
            return Err(terminal.fatal(format_args!("invalid {} field \"\" in \"{operand}\"", FIELDS[field])));
        }
        // A line with this one field changed shows whether the value is right.
        let mut sample = ["x", "unix", "-", "-", "-", "-", "-", "x"];
        sample[field] = value;
        let sample = entry(&sample.join(" "), value, terminal)?;
        requests.push((pattern, operand, field, sample));
    }
    update(options, terminal, &requests, |entry, (_, _, field, sample)| match entry.fields.get_mut(*field) {
        Some(place) => place.clone_from(&sample.fields[*field]),
        None => entry.command.clone_from(&sample.command),
    })
}

/// `postconf -P service/type/parameter=value …` and `postconf -PX service/type/parameter …`.
pub fn parameters(options: &Options, remove: bool, terminal: &Terminal) -> Result<(), Failed> {
    let mut requests = Vec::new();
    for operand in &options.operands {
        let (name, value) = if remove { (operand.as_str(), "") } else { assignment(operand, terminal)? };
        let pattern = three_parts(name).ok_or_else(|| terminal.fatal("-Pe or -PX requires service_name/type/parameter"))?;
        let parameter = pattern.name().unwrap_or("*").to_owned();
        if value.contains(is_blank) {
            return Err(terminal.fatal("-Pe does not accept whitespace in parameter value"));
        }
        requests.push((pattern, operand, parameter, value));
    }
    update(options, terminal, &requests, |entry, (_, _, parameter, value)| {
        set_parameter(&mut entry.command, parameter, (!remove).then_some(value));
    })
}

/// Changes the entries that the requests name, all in one go.
fn update<A, B>(
    options: &Options,
    terminal: &Terminal,
    requests: &[(Pattern, &String, A, B)],
    change: impl Fn(&mut MasterLine, &(Pattern, &String, A, B)),
) -> Result<(), Failed> {
    rewrite_master(options, terminal, |text| {
        let mut used = vec![false; requests.len()];
        let out = edit_master(text, &mut |entry| {
            let mut changed = entry.clone();
            let mut touched = false;
            for (at, request) in requests.iter().enumerate() {
                // By the entry as it was, so that a service can be renamed and changed at once.
                if request.0.matches(entry) {
                    change(&mut changed, request);
                    used[at] = true;
                    touched = true;
                }
            }
            if touched { EntryAction::Update(changed) } else { EntryAction::Keep }
        });
        for (request, _) in requests.iter().zip(&used).filter(|(_, used)| !**used) {
            terminal.warn(format_args!("unmatched service_name/type: \"{}\"", request.1));
        }
        Ok(out)
    })
}

/// Sets, adds (after the options that are there) or removes `-o name=…` in a command line.
fn set_parameter(command: &mut Vec<String>, name: &str, value: Option<&str>) {
    let mut at = 1;
    let mut done = false;
    while at < command.len() && command[at].starts_with('-') {
        let joined = command[at].strip_prefix("-o").filter(|text| !text.is_empty()).map(str::to_owned);
        let width = if command[at] == "-o" { 2 } else { 1 };
        let text = joined.or_else(|| (width == 2).then(|| command.get(at + 1).cloned()).flatten());
        let is_it = text.as_deref().and_then(|text| split_name_value(text).ok()).is_some_and(|(other, _)| other == name);
        if is_it {
            let end = (at + width).min(command.len());
            match value {
                Some(value) => {
                    command.splice(at..end, ["-o".to_owned(), format!("{name}={value}")]);
                    done = true;
                    at += 2;
                }
                None => drop(command.drain(at..end)),
            }
        } else {
            at += width;
        }
    }
    if let Some(value) = value.filter(|_| !done) {
        let at = at.min(command.len());
        command.splice(at..at, ["-o".to_owned(), format!("{name}={value}")]);
    }
}

fn three_parts(text: &str) -> Option<Pattern> {
    Pattern::parse(text, 3).filter(|pattern| pattern.len() == 3)
}

/// `name = value` from the command line.
fn assignment<'a>(operand: &'a str, terminal: &Terminal) -> Result<(&'a str, &'a str), Failed> {
    check_operand(operand, terminal)?;
    split_name_value(operand).map_err(|error| terminal.fatal(format_args!("{error}: \"{operand}\"")))
}

fn plain_name(operand: &str, terminal: &Terminal) -> Result<String, Failed> {
    check_operand(operand, terminal)?;
    let name = operand.trim_matches(is_blank);
    if name.is_empty() || name.contains(is_blank) {
        return Err(terminal.fatal("-X or -# requires non-blank parameter names"));
    }
    Ok(name.to_owned())
}

fn check_operand(operand: &str, terminal: &Terminal) -> Result<(), Failed> {
    if operand.contains(['\n', '\r']) {
        return Err(terminal.fatal("-e, -X, or -# accepts no multi-line input"));
    }
    if operand.trim_start_matches(is_blank).starts_with('#') {
        return Err(terminal.fatal("-e, -X, or -# accepts no comment input"));
    }
    Ok(())
}

fn shown(change: &Change) -> String {
    match change {
        Change::CommentOut(name) | Change::Remove(name) => name.clone(),
        Change::Set(name, value) => format!("{name} = {value}"),
    }
}

/// A line of master.cf from the command line; `operand` is shown in errors.
fn entry(text: &str, operand: &str, terminal: &Terminal) -> Result<MasterLine, Failed> {
    let lines = logical_lines(text.trim_matches(is_blank));
    let result = match lines.as_slice() {
        [line] => MasterLine::parse(line),
        _ => Err(MasterError::Missing(0)),
    };
    let line = result.map_err(|error| match error {
        MasterError::Missing(_) => terminal.fatal(format_args!("bad field count: \"{operand}\"")),
        error => terminal.fatal(MasterFault { file: String::new(), line: 0, text: operand.to_owned(), error }.postconf()),
    })?;
    match line.faults.first() {
        Some(fault) => Err(terminal.fatal(format_args!("master.cf: {fault}"))),
        None => Ok(line),
    }
}

fn rewrite_master(options: &Options, terminal: &Terminal, edit: impl FnOnce(&[u8]) -> Result<Vec<u8>, Failed>) -> Result<(), Failed> {
    if options.operands.is_empty() {
        return Err(terminal.fatal("missing service argument"));
    }
    rewrite(&options.directory.join("master.cf"), terminal, edit)
}

/// Replaces a file by what `edit` makes of it; one editor at a time.
fn rewrite(path: &std::path::Path, terminal: &Terminal, edit: impl FnOnce(&[u8]) -> Result<Vec<u8>, Failed>) -> Result<(), Failed> {
    let replacement = replace(path).map_err(|error| terminal.config_error(error))?;
    let current = replacement.current().map_err(|error| terminal.config_error(error))?;
    match edit(&current) {
        Ok(text) => replacement.commit(&text).map_err(|error| terminal.config_error(error)),
        Err(failed) => {
            replacement.abandon();
            Err(failed)
        }
    }
}
