//! Lists of names and networks, as in `mydestination`, `relay_domains`, `mynetworks`: `name`, `!name`, `/file`, `type:table`.

use crate::file::{Followed, reason};
use crate::maps::name_and_parents;
use crate::net::Net;
use crate::open::{OpenFlags, open_or_unavailable};
use crate::{Context, Table, TableError, fold, lines, syntax};
use bstr::{BStr, BString, ByteSlice, ByteVec};
use posthaste_config::Config;
use posthaste_log::Level;
use std::borrow::Cow;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What one word of a list stands for.
enum Pattern {
    /// `type:table`.
    Table(Arc<dyn Table>),
    /// `/file`: the words in it.
    File(Followed<Vec<Rule>>, String),
    /// Anything else, folded; for lists of addresses, what it means as a network (the reason, if it looks like one but is none).
    Word(BString, Option<Result<Net, String>>),
}

struct Rule {
    pattern: Pattern,
    negated: bool,
}

/// What the three kinds of list have in common.
#[derive(Clone)]
struct List {
    title: Arc<str>,
    rules: Arc<Vec<Rule>>,
    context: Context,
}

/// Network patterns are looked for only in lists of addresses.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Names,
    Addresses,
}

impl List {
    fn open(title: &str, value: &str, kind: Kind, context: &Context) -> Result<List, TableError> {
        let rules = parse(title, value, kind, context).map_err(|reason| TableError::new(title, reason))?;
        Ok(List { title: title.into(), rules: Arc::new(rules), context: context.clone() })
    }

    fn may_block(&self) -> bool {
        any_may_block(&self.rules)
    }

    /// The first rule that says yes decides: yes, or no if it is negated.
    fn first(&self, test: &dyn Fn(&Pattern) -> Result<bool, TableError>) -> Result<bool, TableError> {
        Ok(self.first_of(&self.rules, test)?.unwrap_or(false))
    }

    fn first_of(&self, rules: &[Rule], test: &dyn Fn(&Pattern) -> Result<bool, TableError>) -> Result<Option<bool>, TableError> {
        for rule in rules {
            match &rule.pattern {
                Pattern::File(file, name) => {
                    let rules = file.get().map_err(|reason| self.no_file(name, reason))?;
                    if let Some(answer) = self.first_of(&rules, test)? {
                        return Ok(Some(answer != rule.negated));
                    }
                }
                pattern => {
                    if test(pattern)? {
                        return Ok(Some(!rule.negated));
                    }
                }
            }
        }
        Ok(None)
    }

    fn no_file(&self, name: &str, reason: String) -> TableError {
        let table = format!("non-existent:{name}");
        self.context.warn(&format!("{table} is unavailable. {reason}"));
        self.problem(&table);
        TableError::new(&table, reason)
    }

    fn problem(&self, table: &str) {
        self.context.warn(&format!("{}: {table}: table lookup problem", self.title));
    }

    /// The value does not count, not even when it is empty.
    fn in_table(&self, table: &dyn Table, key: &BStr) -> Result<bool, TableError> {
        table.lookup(key).map(|found| found.is_some()).inspect_err(|_| self.problem(table.name()))
    }

    /// Whether a name is what the pattern says, or (`subdomains`) a name below it.
    fn is_name(&self, pattern: &Pattern, name: &BStr, parents: bool) -> Result<bool, TableError> {
        match pattern {
            Pattern::Table(table) => {
                for (nth, key) in name_and_parents(name, !parents).enumerate() {
                    if (nth == 0 || !table.whole_keys_only()) && self.in_table(&**table, key)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Pattern::Word(word, _) => Ok(*word == name
                || (parents && is_below(name, word.as_bstr()))
                || (!parents && word.starts_with(b".") && name.len() > word.len() && name.ends_with(word))),
            _ => Ok(false),
        }
    }
}

/// Tables in a `/file` count as it is now; a network table that is written into it later is asked in place.
fn any_may_block(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| match &rule.pattern {
        Pattern::Table(table) => table.may_block(),
        Pattern::File(file, _) => file.get().is_ok_and(|rules| any_may_block(&rules)),
        Pattern::Word(..) => false,
    })
}

fn is_below(name: &BStr, parent: &BStr) -> bool {
    name.len() > parent.len() && name.ends_with(parent) && name[name.len() - parent.len() - 1] == b'.'
}

fn parse(title: &str, text: &str, kind: Kind, context: &Context) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for word in syntax::words(text) {
        let (mut word, mut negated) = (word, false);
        while let Some(rest) = word.strip_prefix('!') {
            (word, negated) = (rest, !negated);
        }
        if word.is_empty() {
            return Err(format!("{title}: no pattern after '!'"));
        }
        let pattern = if word.starts_with('/') {
            file(title, word, kind, context)?
        } else if word.contains(':') && !(kind == Kind::Addresses && word.starts_with('[')) && is_table(word)? {
            Pattern::Table(open_or_unavailable(word, OpenFlags::default(), context))
        } else {
            let net = (kind == Kind::Addresses)
                .then(|| Net::parse(&without_brackets(word)))
                .filter(|net| net.is_ok() || word.starts_with('[') || is_like_net(word));
            Pattern::Word(fold::fold(word.into(), context.settings.utf8).into_owned(), net)
        };
        rules.push(Rule { pattern, negated });
    }
    Ok(rules)
}

/// A word with a colon is a table; `::1` is a mistake (IPv6 addresses stand in brackets) that must not go unnoticed.
fn is_table(word: &str) -> Result<bool, String> {
    match word.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(true),
        _ => Err(format!("open dictionary: expecting \"type:name\" form instead of \"{word}\"")),
    }
}

/// Whether a word with a `/` is meant as a network and not as a name.
fn is_like_net(word: &str) -> bool {
    word.contains('/') && word.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'/'))
}

/// `[::1]/128` and `[::1/128]` as `::1/128`, in whose words faults are told.
fn without_brackets(word: &str) -> Cow<'_, str> {
    match word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, after)) => Cow::Owned(format!("{inner}{after}")),
        None => Cow::Borrowed(word),
    }
}

fn file(title: &str, name: &str, kind: Kind, context: &Context) -> Result<Pattern, String> {
    if Path::new(name).is_dir() {
        return Err(format!("match_list_parse: read file {name}: Is a directory"));
    }
    let (on_load, list) = (context.clone(), title.to_owned());
    let describe = |path: &Path, error: &std::io::Error| format!("open file {}: {}", path.display(), reason(error));
    let list_file = Followed::open_or_wait(Path::new(name), context, describe, move |mut file, path| {
        let mut source = Vec::new();
        file.read_to_end(&mut source).map_err(|e| format!("read file {}: {}", path.display(), reason(&e)))?;
        let mut text = BString::default();
        for line in source.lines().filter(|line| !lines::skipped(line)) {
            let mut line = line.as_bstr();
            // A comment begins a line; within a line it is a mistake, and the rest of the line is not used.
            if let Some(at) = line.find(" #").or_else(|| line.find("\t#")) {
                // The line's end is part of it, and not printable.
                on_load.warn(&format!("{list}: comment at end of line is not supported: {}?", &line[at + 1..].as_bstr()));
                line = line[..at].as_bstr();
            }
            text.push_str(line);
            text.push_byte(b'\n');
        }
        parse(&list, &text.to_str_lossy(), kind, &on_load)
    });
    if let Err(reason) = list_file.get() {
        context.report(Level::Error, &reason);
    }
    Ok(Pattern::File(list_file, name.to_owned()))
}

/// Why a command that asks a list cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// Something in the list cannot be opened, or the list is malformed.
    Open(String),
    /// A table could not be asked.
    Lookup(String),
}

impl ListFault {
    /// The whole text.
    pub fn text(self) -> String {
        match self {
            ListFault::Open(text) | ListFault::Lookup(text) => text,
        }
    }
}

/// Opens a list and asks it once, for a command: where a service would report faults and go on, the first one is all there is to say.
fn ask<T>(
    config: &Config,
    open: impl FnOnce(&Context) -> Result<T, TableError>,
    matches: impl FnOnce(&T) -> Result<bool, TableError>,
) -> Result<bool, ListFault> {
    let console = Context::of(config);
    let lines = Arc::new(Mutex::new(Vec::<(Level, String)>::new()));
    let sink = Arc::clone(&lines);
    let context = Context::with_report((*console.settings).clone(), move |level, text| {
        sink.lock().unwrap_or_else(PoisonError::into_inner).push((level, text.to_owned()));
    });
    let take = || std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
    let list = open(&context).map_err(|error| ListFault::Open(error.reason))?;
    for (level, text) in take() {
        match level {
            Level::Error => return Err(ListFault::Open(text)),
            level => console.report(level, &text),
        }
    }
    matches(&list).map_err(|error| ListFault::Lookup(take().pop().map_or(error.reason, |(_, text)| text)))
}

/// A list of domains or host names whose patterns may stand for subdomains too, as in `relay_domains`.
#[derive(Clone)]
pub struct DomainList {
    list: List,
    parents: bool,
}

impl DomainList {
    /// Whether some table in the list may block.
    pub fn may_block(&self) -> bool {
        self.list.may_block()
    }

    /// `parents`: a domain matches its subdomains too (`parent_domain_matches_subdomains` names this list), else only as `.domain`.
    /// The error is a fault of the list itself (Postfix ends the process); tables and files that cannot be opened make lookups fail.
    pub fn open(title: &str, value: &str, parents: bool, config: &Config) -> Result<DomainList, TableError> {
        DomainList::open_with(title, value, parents, &Context::of(config))
    }

    /// As [`DomainList::open`], with settings read before.
    pub fn open_with(title: &str, value: &str, parents: bool, context: &Context) -> Result<DomainList, TableError> {
        Ok(DomainList { list: List::open(title, value, Kind::Names, context)?, parents })
    }

    /// For a command, which asks once: opens the list and asks for the name.
    pub fn ask(title: &str, value: &str, parents: bool, name: &BStr, config: &Config) -> Result<bool, ListFault> {
        ask(config, |context| DomainList::open_with(title, value, parents, context), |list| list.matches(name))
    }

    /// Case is ignored. A table in the list is asked for the name and for its parents.
    pub fn matches(&self, name: &BStr) -> Result<bool, TableError> {
        let name = fold::fold(name, self.list.context.settings.utf8);
        self.list.first(&|pattern| self.list.is_name(pattern, &name, self.parents))
    }
}

/// A list of names that stand for themselves only, as in `mydestination`, `virtual_alias_domains`, `masquerade_exceptions`.
#[derive(Clone)]
pub struct StringList {
    list: List,
}

impl StringList {
    /// Whether some table in the list may block.
    pub fn may_block(&self) -> bool {
        self.list.may_block()
    }

    /// See [`DomainList::open`].
    pub fn open(title: &str, value: &str, config: &Config) -> Result<StringList, TableError> {
        StringList::open_with(title, value, &Context::of(config))
    }

    /// As [`StringList::open`], with settings read before.
    pub fn open_with(title: &str, value: &str, context: &Context) -> Result<StringList, TableError> {
        Ok(StringList { list: List::open(title, value, Kind::Names, context)? })
    }

    /// For a command, which asks once: opens the list and asks for the name.
    pub fn ask(title: &str, value: &str, name: &BStr, config: &Config) -> Result<bool, ListFault> {
        ask(config, |context| StringList::open_with(title, value, context), |list| list.matches(name))
    }

    /// Case is ignored. A table in the list is asked for the name only.
    pub fn matches(&self, name: &BStr) -> Result<bool, TableError> {
        let name = fold::fold(name, self.list.context.settings.utf8);
        self.list.first(&|pattern| match pattern {
            Pattern::Table(table) => self.list.in_table(&**table, &name),
            Pattern::Word(word, _) => Ok(*word == *name),
            _ => Ok(false),
        })
    }
}

/// A list of hosts and networks, as in `mynetworks`: `10.0.0.0/8`, `[::1]/128`, `!x`, names, `/file`, `type:table`.
#[derive(Clone)]
pub struct AddressList {
    list: List,
    parents: bool,
}

impl AddressList {
    /// Whether some table in the list may block.
    pub fn may_block(&self) -> bool {
        self.list.may_block()
    }

    /// See [`DomainList::open`].
    pub fn open(title: &str, value: &str, parents: bool, config: &Config) -> Result<AddressList, TableError> {
        AddressList::open_with(title, value, parents, &Context::of(config))
    }

    /// As [`AddressList::open`], with settings read before.
    pub fn open_with(title: &str, value: &str, parents: bool, context: &Context) -> Result<AddressList, TableError> {
        Ok(AddressList { list: List::open(title, value, Kind::Addresses, context)?, parents })
    }

    /// Matches a client by host name (or `unknown`) and address (printed form without brackets). Each pattern is compared with the name,
    /// then with the address; a table is asked for the name, its parents, and the address as a whole. A pattern that looks like a network
    /// but is none is an error when it is met, with a warning.
    pub fn matches(&self, name: &BStr, address: &BStr) -> Result<bool, TableError> {
        let list = &self.list;
        let name = fold::fold(name, list.context.settings.utf8);
        let ip = address.to_str().ok().and_then(|text| text.parse::<IpAddr>().ok());
        list.first(&|pattern| {
            if list.is_name(pattern, &name, self.parents)? {
                return Ok(true);
            }
            match pattern {
                Pattern::Table(table) => list.in_table(&**table, address),
                Pattern::Word(_, Some(Ok(net))) => Ok(ip.is_some_and(|ip| net.contains(ip))),
                // Only an address of the same family is compared.
                Pattern::Word(word, Some(Err(_))) if word.contains(&b':') != address.contains(&b':') => Ok(false),
                Pattern::Word(_, Some(Err(fault))) => {
                    list.context.warn(&format!("{}: {fault}", list.title));
                    Err(TableError::new(&list.title, fault.clone()))
                }
                _ => Ok(false),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::collecting;

    fn domain(value: &str, parents: bool, name: &str) -> bool {
        DomainList::open_with("list", value, parents, &collecting().0).unwrap().matches(name.into()).unwrap()
    }

    // S-TABLE-20
    #[test]
    fn parents() {
        assert!(domain("example.com", true, "a.b.Example.COM"));
        assert!(!domain("example.com", true, "notexample.com"));
        assert!(!domain("example.com", false, "a.example.com"));
        assert!(domain(".example.com", false, "a.b.example.com"));
        assert!(!domain(".example.com", false, "example.com"));
    }

    #[test]
    fn first_match_decides_also_when_negated() {
        assert!(!domain("!secret.example.com, example.com", true, "x.secret.example.com"));
        assert!(domain("!secret.example.com, example.com", true, "other.example.com"));
        assert!(domain("example.com, !example.com", true, "example.com"));
    }

    #[test]
    fn tables_are_asked_for_parents() {
        let table = "inline:{example.com=x, .dotted.example=y}";
        assert!(domain(table, true, "a.b.example.com"));
        assert!(!domain(table, false, "a.example.com"));
        assert!(domain(table, false, "a.b.dotted.example"));
        let strings = StringList::open_with("list", table, &collecting().0).unwrap();
        assert!(strings.matches("EXAMPLE.com".into()).unwrap());
        assert!(!strings.matches("a.dotted.example".into()).unwrap());
    }

    #[test]
    fn files_in_lists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nets");
        std::fs::write(&path, "# c\n192.0.2.77, 192.0.2.78 # comment\n  192.0.2.79\n!192.0.2.1\n").unwrap();
        let (context, lines) = collecting();
        let list = AddressList::open_with("mynetworks", &format!("!{}, 192.0.2.0/24", path.display()), true, &context).unwrap();
        let has = |address: &str| list.matches("unknown".into(), address.into()).unwrap();
        assert_eq!(
            (has("192.0.2.77"), has("192.0.2.79"), has("192.0.2.1"), has("192.0.2.5"), has("10.1.1.1")),
            (false, false, true, true, false)
        );
        assert_eq!(*lines.lock().unwrap(), ["mynetworks: comment at end of line is not supported: # comment?"]);
    }

    // S-TABLE-21
    #[test]
    fn what_cannot_be_read_is_an_error_when_met() {
        let (context, lines) = collecting();
        let list = DomainList::open_with("mydestination", "a.example /nosuchfile", false, &context).unwrap();
        assert!(list.matches("a.example".into()).unwrap());
        assert!(list.matches("b.example".into()).is_err());
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "error: open file /nosuchfile: No such file or directory",
                "non-existent:/nosuchfile is unavailable. open file /nosuchfile: No such file or directory",
                "mydestination: non-existent:/nosuchfile: table lookup problem",
            ]
        );
        let (context, lines) = collecting();
        let list = AddressList::open_with("mynetworks", "fail:x", false, &context).unwrap();
        assert!(list.matches("b.example".into(), "1.2.3.4".into()).is_err());
        assert_eq!(*lines.lock().unwrap(), ["mynetworks: fail:x: table lookup problem"]);
    }

    // S-MAP-13
    #[test]
    fn networks() {
        let (context, lines) = collecting();
        let list =
            AddressList::open_with("mynetworks", "127.0.0.0/8 [::1]/128 hash.example inline:{192.0.2.1=x}, 10.0.0.1/8", true, &context)
                .unwrap();
        let has = |name: &str, address: &str| list.matches(name.into(), address.into());
        assert!(has("x", "127.1.2.3").unwrap());
        assert!(has("x", "::1").unwrap());
        assert!(has("a.hash.example", "1.1.1.1").unwrap());
        assert!(has("x", "192.0.2.1").unwrap());
        assert!(has("x", "1.1.1.1").is_err());
        assert_eq!(
            *lines.lock().unwrap(),
            ["mynetworks: non-null host address bits in \"10.0.0.1/8\", perhaps you should use \"10.0.0.0/8\" instead"]
        );
        let fault = AddressList::open_with("mynetworks", "::1/128", true, &context).map(|_| ()).unwrap_err();
        assert_eq!(fault.reason, "open dictionary: expecting \"type:name\" form instead of \"::1/128\"");
    }
}
