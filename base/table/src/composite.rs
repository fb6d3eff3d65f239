//! Tables made of other tables: `pipemap`, `unionmap`, and `randmap`, `debug`.

use crate::open::{OpenFlags, try_open};
use crate::{Context, Table, TableError, syntax};
use bstr::{BStr, BString, ByteSlice, ByteVec};
use posthaste_log::Level;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The words between the braces of `name`; what is not in the error is what is needed there.
fn members<'a>(spec: &str, kind: &str, name: &'a str, what: &str) -> Result<Vec<&'a str>, String> {
    let bad = || format!("bad syntax: \"{spec}\"; need \"{kind}:{{{what}...}}\"");
    let inner = syntax::inside_braces(name).ok().filter(|_| name.ends_with('}')).ok_or_else(bad)?;
    let words: Vec<_> = syntax::words(inner).collect();
    if words.is_empty() { Err(bad()) } else { Ok(words) }
}

/// What is done with the answers of the members.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Each answer is the key for the next.
    Pipe,
    /// All answers together.
    Union,
}

/// `pipemap:{type:name, …}` and `unionmap:{type:name, …}`.
pub(crate) struct Combined {
    name: String,
    kind: Kind,
    tables: Vec<Arc<dyn Table>>,
}

impl Combined {
    pub fn pipe(spec: &str, name: &str, flags: OpenFlags, context: &Context) -> Result<Combined, String> {
        Combined::open(spec, "pipemap", name, Kind::Pipe, flags, context)
    }

    pub fn union(spec: &str, name: &str, flags: OpenFlags, context: &Context) -> Result<Combined, String> {
        Combined::open(spec, "unionmap", name, Kind::Union, flags, context)
    }

    fn open(spec: &str, word: &str, name: &str, kind: Kind, flags: OpenFlags, context: &Context) -> Result<Combined, String> {
        const NEED: &str = "type:name";
        let words = members(spec, word, name, NEED)?;
        if words.iter().any(|member| !member.contains(':')) {
            return Err(format!("bad syntax: \"{spec}\"; need \"{word}:{{{NEED}...}}\""));
        }
        let tables = words.iter().map(|member| try_open(member, flags, context)).collect::<Result<_, _>>()?;
        Ok(Combined { name: spec.to_owned(), kind, tables })
    }
}

impl Table for Combined {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        // The failure is that of this table: the member's name means nothing to whoever looks at the parameter.
        let fail = |error: TableError| TableError { table: self.name.clone(), ..error };
        match self.kind {
            Kind::Pipe => {
                let mut key = key.to_owned();
                for table in &self.tables {
                    match table.lookup(key.as_bstr()).map_err(fail)? {
                        Some(value) => key = value,
                        None => return Ok(None),
                    }
                }
                Ok(Some(key))
            }
            Kind::Union => {
                let mut all = BString::default();
                for table in &self.tables {
                    let Some(value) = table.lookup(key).map_err(fail)? else { continue };
                    if !all.is_empty() {
                        all.push_byte(b',');
                    }
                    all.push_str(&value);
                }
                // Empty values alone are as good as none.
                Ok((!all.is_empty()).then_some(all))
            }
        }
    }

    /// As soon as one member is so: a partial key must mean the same to all of them.
    fn whole_keys_only(&self) -> bool {
        self.tables.iter().any(|table| table.whole_keys_only())
    }

    fn may_block(&self) -> bool {
        self.tables.iter().any(|table| table.may_block())
    }
}

/// `randmap:{value, …}`: one of the values for each lookup, whatever the key.
pub(crate) struct Random {
    name: String,
    values: Vec<BString>,
    seed: RandomState,
    count: AtomicU64,
}

impl Random {
    pub fn open(spec: &str, name: &str, flags: OpenFlags) -> Result<Random, String> {
        let mut values = Vec::new();
        for word in members(spec, "randmap", name, "value")? {
            values.push(if flags.value_is_file { crate::content_of_files(word.into())? } else { word.into() });
        }
        Ok(Random { name: spec.to_owned(), values, seed: RandomState::new(), count: AtomicU64::new(0) })
    }
}

impl Table for Random {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, _key: &BStr) -> Result<Option<BString>, TableError> {
        // A keyed hash of a counter is as good as random here, and needs no generator.
        let draw = self.seed.hash_one(self.count.fetch_add(1, Ordering::Relaxed));
        Ok(self.values.get((draw % self.values.len() as u64) as usize).cloned())
    }

    fn whole_keys_only(&self) -> bool {
        true
    }
}

/// `debug:type:name`: the table, with each lookup in the log.
pub(crate) struct Debug {
    name: String,
    table: Arc<dyn Table>,
    context: Context,
}

impl Debug {
    pub fn open(spec: &str, inner: &str, flags: OpenFlags, context: &Context) -> Result<Debug, String> {
        Ok(Debug { name: spec.to_owned(), table: try_open(inner, flags, context)?, context: context.clone() })
    }
}

impl Table for Debug {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let result = self.table.lookup(key);
        let shown = match &result {
            Ok(Some(value)) => value.as_bstr(),
            Ok(None) => "not_found".into(),
            Err(_) => "error".into(),
        };
        self.context.report(Level::Info, &format!("{} lookup: \"{key}\" = \"{shown}\"", self.table.name()));
        result
    }

    fn whole_keys_only(&self) -> bool {
        self.table.whole_keys_only()
    }

    fn may_block(&self) -> bool {
        self.table.may_block()
    }

    fn entries(&self, visit: &mut dyn FnMut(&BStr, &BStr) -> bool) -> Option<Result<(), TableError>> {
        self.table.entries(visit)
    }
}

#[cfg(test)]
mod tests {
    use crate::context::collecting;
    use crate::open::{OpenFlags, open};

    fn ask(spec: &str, key: &str) -> Result<Option<String>, String> {
        let table = open(spec, OpenFlags::default(), &collecting().0)?;
        table.lookup(key.into()).map(|value| value.map(|v| v.to_string())).map_err(|error| format!("{}: {}", error.table, error.reason))
    }

    fn some(text: &str) -> Result<Option<String>, String> {
        Ok(Some(text.into()))
    }

    // Answers of parity scenario maps/composite, and by postmap -q.
    // S-TABLE-12
    #[test]
    fn unionmap() {
        assert_eq!(ask("unionmap:{inline:{a=1},inline:{a=2},static:x}", "a"), some("1,2,x"));
        assert_eq!(ask("unionmap:{inline:{a=1},inline:{b=2}}", "b"), some("2"));
        assert_eq!(ask("unionmap:{inline:{a=1}}", "q"), Ok(None));
        assert_eq!(ask("unionmap:{inline:{a=},static:x,inline:{a=}}", "a"), some("x,"));
        assert_eq!(ask("unionmap:{inline:{a=}}", "a"), Ok(None));
        assert_eq!(ask("unionmap:{static:b,fail:a}", "a"), Err("unionmap:{static:b,fail:a}: Application error".into()));
        assert_eq!(ask("unionmap:{}", "q"), Err("bad syntax: \"unionmap:{}\"; need \"unionmap:{type:name...}\"".into()));
        assert_eq!(ask("unionmap:static:a", "q"), Err("bad syntax: \"unionmap:static:a\"; need \"unionmap:{type:name...}\"".into()));
        assert_eq!(ask("unionmap:{static:x,nosuch:y}", "q"), Err("unsupported dictionary type: nosuch".into()));
        assert_eq!(ask("unionmap:{{static:a}}", "q"), Err("unsupported dictionary type: {static".into()));
    }

    // S-TABLE-12
    #[test]
    fn pipemap() {
        assert_eq!(ask("pipemap:{inline:{a=B},inline:{b=c}}", "A"), some("c"));
        assert_eq!(ask("pipemap:{inline:{a=b},inline:{b=c}}", "b"), Ok(None));
        assert_eq!(ask("pipemap:{inline:{b=c},fail:a}", "a"), Ok(None));
        assert_eq!(ask("pipemap:{static:{a b}}", "a"), some("a b"));
        assert_eq!(ask("pipemap:{foo}", "a"), Err("bad syntax: \"pipemap:{foo}\"; need \"pipemap:{type:name...}\"".into()));
        assert_eq!(ask("pipemap:{static:a}x", "a"), Err("bad syntax: \"pipemap:{static:a}x\"; need \"pipemap:{type:name...}\"".into()));
        let table = open("pipemap:{inline:{a=b}, regexp:{{/b/ c}}}", OpenFlags::default(), &collecting().0).unwrap();
        assert!(table.whole_keys_only());
    }

    // S-TABLE-12
    #[test]
    fn randmap() {
        assert_eq!(ask("randmap:{only}", "a"), some("only"));
        assert_eq!(ask("randmap:{{a b}}", "a"), some("{a b}"));
        assert_eq!(ask("randmap:only", "a"), Err("bad syntax: \"randmap:only\"; need \"randmap:{value...}\"".into()));
        let table = open("randmap:{a, b, c}", OpenFlags::default(), &collecting().0).unwrap();
        let mut seen: Vec<_> = (0..200).map(|_| table.lookup("k".into()).unwrap().unwrap()).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["a", "b", "c"]);
    }

    #[test]
    fn debug_logs_each_lookup() {
        let (context, lines) = collecting();
        let table = open("debug:inline:{a=1}", OpenFlags::default(), &context).unwrap();
        assert_eq!(table.lookup("A".into()).unwrap(), Some("1".into()));
        assert_eq!(table.lookup("b".into()).unwrap(), None);
        assert_eq!(*lines.lock().unwrap(), ["inline:{a=1} lookup: \"a\" = \"1\"", "inline:{a=1} lookup: \"b\" = \"not_found\""]);
    }
}
