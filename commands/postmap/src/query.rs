//! Asking tables: `-q key`, `-q -`, `-s`; removing entries: `-d key`, `-d -`.

use crate::{Failed, Place, Program, message};
use bstr::{BStr, BString, ByteSlice, ByteVec};
use posthaste_log::warn;
use posthaste_table::build::{Build, BuildFlags};
use posthaste_table::{OpenFlags, TYPES, Table, TableError, decode_file, try_open};
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, StdinLock, StdoutLock, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// `-q`: the first table that has the key answers. Exit status 0 if one had it (of several keys: any).
pub fn query(place: &Place, key: &BStr) -> Result<ExitCode, Failed> {
    // Tables are opened as they are needed: one that is not there does no harm if the one before has the answer.
    let tables = Tables { place, open: Vec::new() };
    let out = BufWriter::with_capacity(BUFFER, std::io::stdout().lock());
    let mut answers = Answers { place, tables, out, line: Vec::new(), found: false };
    if key != "-" {
        answers.ask(key, Shape::Value)?;
    } else {
        let mut input = BufReader::with_capacity(BUFFER, std::io::stdin().lock());
        if place.options.headers || place.options.body {
            message::keys(place, &mut input, &mut |key| answers.ask(key, Shape::Pair))?;
        } else {
            each_line(place, &mut input, &mut |key, more| {
                answers.ask(key, Shape::Pair)?;
                // Nothing is kept back while the next key is waited for.
                if more { Ok(()) } else { answers.flush() }
            })?;
        }
    }
    answers.flush()?;
    Ok(if answers.found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of input and of output.
const BUFFER: usize = 1 << 16;

/// Standard input.
pub type Input<'a> = BufReader<StdinLock<'a>>;

/// Calls `visit` with each line of the input, without its end, and with whether more can be had without waiting.
pub fn each_line(place: &Place, input: &mut Input<'_>, visit: &mut dyn FnMut(&BStr, bool) -> Result<(), Failed>) -> Result<(), Failed> {
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(()),
            Ok(_) => visit(line.strip_suffix(b"\n").unwrap_or(&line).as_bstr(), !input.buffer().is_empty())?,
            Err(error) => return Err(place.fail(&format!("read standard input: {}", posthaste_config::system_reason(&error)))),
        }
    }
}

/// Answers on their way to standard output.
struct Answers<'a> {
    place: &'a Place,
    tables: Tables<'a>,
    out: BufWriter<StdoutLock<'a>>,
    line: Vec<u8>,
    found: bool,
}

impl Answers<'_> {
    fn ask(&mut self, key: &BStr, shape: Shape) -> Result<(), Failed> {
        let Some(value) = self.tables.find(key)? else { return Ok(()) };
        self.found = true;
        self.line.clear();
        answer(self.place, &mut self.line, key, value.as_bstr(), shape);
        let written = self.out.write_all(&self.line);
        self.check(written)
    }

    fn flush(&mut self) -> Result<(), Failed> {
        let written = self.out.flush();
        self.check(written)
    }

    /// That nobody reads the answers ends the work without a word.
    fn check(&self, written: std::io::Result<()>) -> Result<(), Failed> {
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failed,
            _ => self.place.fail(&format!("write output: {}", posthaste_config::system_reason(&error))),
        })
    }
}

struct Tables<'a> {
    place: &'a Place,
    open: Vec<Arc<dyn Table>>,
}

impl Tables<'_> {
    fn find(&mut self, key: &BStr) -> Result<Option<BString>, Failed> {
        let place = self.place;
        for nth in 0..place.options.tables.len() {
            if nth == self.open.len() {
                let spec = place.spec(&place.options.tables[nth])?;
                self.open.push(try_open(&spec, place.open_flags(), &place.context).map_err(|fault| place.fail(&fault))?);
            }
            let table = &self.open[nth];
            // Indexed files have no empty key, and some other tables cannot be asked for one; patterns can.
            let found = table.lookup(key).map_err(|error| failed(place, &**table, &error))?;
            let Some(value) = found else { continue };
            if value.is_empty() {
                let label = table.label();
                warn!(place.log, "table {label}: key {key}: empty string result is not allowed");
                warn!(place.log, "table {label} should return NO RESULT in case of NOT FOUND");
            }
            if !place.options.files {
                return Ok(Some(value));
            }
            let content = decode_file(&**table, key, value.as_bstr(), Some(&place.context));
            return Ok(Some(content.map_err(|error| failed(place, &**table, &error))?.into()));
        }
        Ok(None)
    }
}

fn failed(place: &Place, table: &dyn Table, error: &TableError) -> Failed {
    match &error.detail {
        Some(detail) => place.fail(&format!("table {}: query error: {detail}", table.label())),
        None => place.fail(&format!("table {}: query error", table.label())),
    }
}

/// What is printed of an answer.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// The value alone.
    Value,
    /// Key and value.
    Pair,
}

fn answer(place: &Place, out: &mut Vec<u8>, key: &BStr, value: &BStr, shape: Shape) {
    if place.options.json {
        // One object on a line; JSON is UTF-8, so other bytes are replaced.
        let json = |text: &BStr| serde_json::Value::from(text.to_str_lossy()).to_string();
        let _ = write!(out, "{{{}: {}}}", json(key), json(value));
    } else {
        if shape == Shape::Pair {
            out.push_str(key);
            out.push_str(match place.program {
                Program::Postalias => ":\t",
                Program::Postmap => "\t",
            });
        }
        out.push_str(value);
    }
    out.push(b'\n');
}

/// `-s`: all entries of the first table.
pub fn list(place: &Place) -> Result<ExitCode, Failed> {
    let Some(operand) = place.options.tables.first() else { return Ok(ExitCode::FAILURE) };
    let spec = place.spec(operand)?;
    if spec.starts_with("proxy:") {
        return Err(place.fail("can't sequence maps via the proxy service"));
    }
    let table = try_open(&spec, place.open_flags(), &place.context).map_err(|fault| place.fail(&fault))?;
    let mut out = BufWriter::with_capacity(BUFFER, std::io::stdout().lock());
    let (mut line, mut broken) = (Vec::new(), None);
    let listed = table.entries(&mut |key, value| {
        if key.is_empty() {
            warn!(place.log, "table {}: empty lookup key value is not allowed", table.label());
        }
        line.clear();
        if place.options.files {
            match decode_file(&*table, key, value, Some(&place.context)) {
                Ok(content) => answer(place, &mut line, key, content.as_bstr(), Shape::Pair),
                // The warning has been given.
                Err(_) => return true,
            }
        } else {
            answer(place, &mut line, key, value, Shape::Pair);
        }
        broken = out.write_all(&line).err();
        broken.is_none()
    });
    match listed {
        None => return Err(place.fail(&format!("table {}: sequence operation is not supported", table.label()))),
        Some(Err(error)) => {
            let detail = error.detail.as_deref().unwrap_or(&error.reason);
            return Err(place.fail(&format!("table {}: sequence error: {detail}", table.label())));
        }
        Some(Ok(())) => {}
    }
    match broken.map_or_else(|| out.flush(), Err) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(place.fail(&format!("write output: {}", posthaste_config::system_reason(&error))))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// `-d`: removes one entry from each table. Exit status 0 if one had it.
pub fn delete(place: &Place, key: &BStr) -> Result<ExitCode, Failed> {
    let mut keys = Vec::new();
    if key == "-" {
        each_line(place, &mut BufReader::new(std::io::stdin().lock()), &mut |line, _| {
            keys.push(line.to_owned());
            Ok(())
        })?;
    } else {
        keys.push(key.to_owned());
    }
    let mut found = false;
    for operand in &place.options.tables {
        let spec = place.spec(operand)?;
        match spec.split_once(':').map_or("", |(kind, _)| kind) {
            "btree" | "cdb" | "hash" | "lmdb" => {}
            "environ" | "static" => return Err(place.fail(&format!("table {spec}: delete operation is not supported"))),
            "fail" => return Err(place.fail(&format!("table {spec}: delete error: Application error"))),
            // A table of this process alone, without entries.
            "internal" => continue,
            // What is written entry by entry.
            "memcache" | "proxy" => {
                let flags = OpenFlags { writable: true, ..place.open_flags() };
                let table = try_open(&spec, flags, &place.context).map_err(|fault| place.fail(&fault))?;
                for key in &keys {
                    let fail = |_| place.fail(&format!("table {spec}: delete error"));
                    found |= table.delete(key.as_bstr()).map_err(fail)?;
                }
                continue;
            }
            known if TYPES.contains(&known) => return Err(place.fail(&format!("{spec} map requires O_RDONLY access mode"))),
            _ => {}
        }
        let flags = BuildFlags { keep_case: place.options.keep_case, ..BuildFlags::default() };
        let mut build = Build::update(&spec, false, flags, &place.context).map_err(|fault| place.fail(&fault))?;
        let mut changed = false;
        for key in &keys {
            changed |= build.delete(key.as_bstr());
        }
        found |= changed;
        if changed {
            build.finish().map_err(|fault| place.fail(&fault))?;
        } else {
            build.discard();
        }
    }
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
