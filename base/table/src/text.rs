//! Tables without an indexed file: `texthash`, `inline`, `static`, `environ`, `fail`, `internal`, `nis`.

use crate::file::{Followed, open_database_error, reason};
use crate::lines::{self, EntryError};
use crate::open::{OpenFlags, content_of_files};
use crate::{Context, Table, TableError, fold, syntax};
use bstr::{BStr, BString, ByteSlice};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;
use std::path::Path;

type Entries = HashMap<BString, BString>;

fn each_entry(entries: &Entries, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) {
    for (key, value) in entries {
        if !visit(key.as_bstr(), value.as_bstr()) {
            return;
        }
    }
}

/// `texthash:/file`: the source file of a hash table, read into memory.
pub(crate) struct TextHash {
    name: String,
    file: Followed<Entries>,
}

impl TextHash {
    pub fn open(name: &str, path: &str, flags: OpenFlags, context: &Context) -> Result<TextHash, String> {
        let on_load = context.clone();
        let file = Followed::open(Path::new(path), context, open_database_error, move |mut file, path| {
            let mut source = Vec::new();
            file.read_to_end(&mut source).map_err(|e| format!("read {}: {}", path.display(), reason(&e)))?;
            Ok(parse(&source, path, flags, &on_load))
        })?;
        Ok(TextHash { name: name.to_owned(), file })
    }
}

fn parse(source: &[u8], path: &Path, flags: OpenFlags, context: &Context) -> Entries {
    let mut entries = Entries::new();
    let path = path.display();
    for line in lines::logical_lines(source) {
        let utf8 = context.settings.utf8 && !flags.raw_bytes;
        if utf8 && line.text.to_str().is_err() {
            context.warn(&format!("{path}, line {}: non-UTF-8 input \"{}\" -- ignoring this line", line.number, line.text));
            continue;
        }
        if line.text.first().is_some_and(|&c| lines::is_space(c)) {
            context.warn(&format!("{path}, line {}: logical line must not start with whitespace: \"{}\"", line.number, line.text));
            continue;
        }
        match lines::split_entry(&line.text) {
            Ok((key, value)) => {
                if key.ends_with(b":") {
                    context.warn(&format!("{path}, line {}: record is in \"key: value\" format; is this an alias file?", line.number));
                }
                let key = if flags.keep_case { key.to_owned() } else { fold::fold(key, utf8).into_owned() };
                let value = if flags.value_is_file { content_of_files(value) } else { Ok(value.to_owned()) };
                let value = match value {
                    Ok(value) => value,
                    Err(fault) => {
                        context.warn(&format!("{path}, line {}: {fault}: skipping this entry", line.number));
                        continue;
                    }
                };
                // The first entry counts, as with hash: tables.
                match entries.entry(key) {
                    Entry::Occupied(first) => {
                        context.warn(&format!("{path}, line {}: duplicate entry: \"{}\"", line.number, first.key()));
                    }
                    Entry::Vacant(place) => {
                        place.insert(value);
                    }
                }
            }
            Err(EntryError::NoValue) => {
                context.warn(&format!("{path}, line {}: expected format: key whitespace value -- ignoring this line", line.number));
            }
            Err(error) => context.warn(&format!("{path}, line {}: {error}", line.number)),
        }
    }
    entries
}

impl Table for TextHash {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let entries = self.file.get().map_err(|reason| TableError::new(&self.name, reason))?;
        Ok(entries.get(key).cloned())
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        Some(self.file.get().map(|entries| each_entry(&entries, visit)).map_err(|reason| TableError::new(&self.name, reason)))
    }
}

/// `inline:{ name=value, { name = value with spaces } }`.
pub(crate) struct Inline {
    name: String,
    entries: Entries,
}

impl Inline {
    pub fn open(name: &str, text: &str, flags: OpenFlags, context: &Context) -> Result<Inline, String> {
        const NEED: &str = "need \"inline:{name=value...}\"";
        let bad = || format!("bad syntax: \"{name}\"; {NEED}");
        let list = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(bad)?;
        let mut entries = Entries::new();
        // The whole text must be one pair of braces: not `{a=b} {c=d}`.
        syntax::inside_braces(text).map_err(|_| bad())?;
        for word in syntax::words(list) {
            let pair = if word.starts_with('{') {
                syntax::inside_braces(word).map_err(|error| format!("{error}: \"{name}\"; {NEED}"))?
            } else {
                word
            };
            let missing = || format!("missing '=' after attribute name: \"{name}\"; {NEED}");
            let (key, value) = pair.split_once('=').ok_or_else(missing)?;
            let (key, value) = (key.trim_end(), value.trim_start());
            if key.contains(|c: char| c.is_ascii_whitespace()) {
                return Err(missing());
            }
            let key = BStr::new(key);
            let key = if flags.keep_case { key.to_owned() } else { fold::fold(key, context.settings.utf8).into_owned() };
            let value = BString::from(value);
            let value = if flags.value_is_file {
                content_of_files(value.as_bstr()).map_err(|fault| format!("{fault}: \"{name}\"; {NEED}"))?
            } else {
                value
            };
            entries.insert(key, value);
        }
        if entries.is_empty() {
            return Err(bad());
        }
        Ok(Inline { name: name.to_owned(), entries })
    }
}

impl Table for Inline {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        Ok(self.entries.get(key).cloned())
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        each_entry(&self.entries, visit);
        Some(Ok(()))
    }
}

/// `static:value` and `static:{ value with spaces }`: the same answer for every key.
pub(crate) struct Static {
    name: String,
    value: BString,
}

impl Static {
    pub fn open(name: &str, text: &str, flags: OpenFlags) -> Result<Static, String> {
        let value = match text.strip_prefix('{') {
            Some(_) => syntax::inside_braces(text).map_err(|error| format!("bad static:name syntax: {error}"))?,
            None => text,
        };
        let value = if flags.value_is_file { content_of_files(value.into())? } else { value.into() };
        Ok(Static { name: name.to_owned(), value })
    }
}

impl Table for Static {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, _key: &BStr) -> Result<Option<BString>, TableError> {
        Ok(Some(self.value.clone()))
    }
}

/// `environ:any`: the environment of the process.
pub(crate) struct Environ(pub String);

impl Table for Environ {
    fn name(&self) -> &str {
        &self.0
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        // A name with `=` or NUL would make the standard library panic.
        if key.is_empty() || key.contains(&b'=') || key.contains(&0) {
            return Ok(None);
        }
        Ok(std::env::var_os(std::ffi::OsStr::from_bytes(key)).map(|value| BString::from(value.into_vec())))
    }
}

/// `fail:any`: every lookup fails, for tests of a configuration.
pub(crate) struct Fail(pub String);

impl Table for Fail {
    fn name(&self) -> &str {
        &self.0
    }

    fn lookup(&self, _key: &BStr) -> Result<Option<BString>, TableError> {
        Err(TableError::new(&self.0, "Application error"))
    }

    fn entries(&self, _visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        Some(Err(TableError::new(&self.0, "Application error")))
    }
}

/// A table without entries: `internal:any`, whose content never outlives a process, and `nis:any` on a system without NIS.
pub(crate) struct Empty(pub String);

impl Table for Empty {
    fn name(&self) -> &str {
        &self.0
    }

    fn lookup(&self, _key: &BStr) -> Result<Option<BString>, TableError> {
        Ok(None)
    }

    fn entries(&self, _visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        Some(Ok(()))
    }

    fn delete(&self, _key: &BStr) -> Result<bool, TableError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::collecting;
    use crate::open::open;

    fn ask(spec: &str, key: &str) -> Result<Option<String>, String> {
        let table = open(spec, OpenFlags::default(), &collecting().0)?;
        table.lookup(key.into()).map(|value| value.map(|v| v.to_string())).map_err(|error| error.reason)
    }

    fn some(text: &str) -> Result<Option<String>, String> {
        Ok(Some(text.into()))
    }

    // S-TABLE-12
    #[test]
    fn static_tables() {
        assert_eq!(ask("static:value", "a"), some("value"));
        assert_eq!(ask("static:{ some value }", "a"), some("some value"));
        assert_eq!(ask("static:{a,b}", "x"), some("a,b"));
        assert_eq!(ask("static:{a", "x"), Err("bad static:name syntax: missing '}' in \"{a\"".into()));
    }

    // S-TABLE-12
    #[test]
    fn inline_tables() {
        let spec = "inline:{{a=one two},{b = x}, { c=d }, e=}";
        for (key, value) in [("a", "one two"), ("A", "one two"), ("b", "x"), ("c", "d"), ("e", "")] {
            assert_eq!(ask(spec, key), some(value), "{key}");
        }
        assert_eq!(ask(spec, "d"), Ok(None));
        assert_eq!(ask("inline:{a=1,a=2}", "a"), some("2"));
        for (spec, error) in [
            ("inline:{a}", "missing '=' after attribute name: \"inline:{a}\"; need \"inline:{name=value...}\""),
            ("inline:{ a = b }", "missing '=' after attribute name: \"inline:{ a = b }\"; need \"inline:{name=value...}\""),
            ("inline:{}", "bad syntax: \"inline:{}\"; need \"inline:{name=value...}\""),
            ("inline:a=b", "bad syntax: \"inline:a=b\"; need \"inline:{name=value...}\""),
            ("inline:{ {a=b}x }", "syntax error after '}' in \"{a=b}x\": \"inline:{ {a=b}x }\"; need \"inline:{name=value...}\""),
        ] {
            assert_eq!(ask(spec, "a"), Err(error.into()));
        }
    }

    // S-TABLE-12
    #[test]
    fn texthash_with_faults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        std::fs::write(&path, "a  one\nB  two\na  three\nk\n\"x y\"  z\n").unwrap();
        let (context, lines) = collecting();
        let table = open(&format!("texthash:{}", path.display()), OpenFlags::default(), &context).unwrap();
        let get = |key: &str| table.lookup(key.into()).unwrap().map(|v| v.to_string());
        assert_eq!((get("A"), get("b"), get("\"x y\""), get("zz")), (Some("one".into()), Some("two".into()), Some("z".into()), None));
        let path = path.display();
        assert_eq!(
            *lines.lock().unwrap(),
            [
                format!("{path}, line 3: duplicate entry: \"a\""),
                format!("{path}, line 4: expected format: key whitespace value -- ignoring this line"),
            ]
        );
    }

    // S-TABLE-12
    #[test]
    fn fail_environ_internal() {
        assert_eq!(ask("fail:x", "a"), Err("Application error".into()));
        assert_eq!(ask("internal:x", "a"), Ok(None));
        // Keys are folded, so names of upper case are found with case kept only, as in Postfix.
        assert_eq!(ask("environ:x", "PATH"), Ok(None));
        let keep = OpenFlags { keep_case: true, ..OpenFlags::default() };
        let table = open("environ:x", keep, &collecting().0).unwrap();
        assert!(table.lookup("PATH".into()).unwrap().is_some());
        assert_eq!(table.lookup("A=B".into()).unwrap(), None);
    }
}
