//! The grammar of `regexp:` and `pcre:` tables: `/pattern/flags result`, `!/pattern/…`, `if /pattern/ … endif`.

use crate::file::{Followed, open_error, reason};
use crate::macros::{Template, TemplateError};
use crate::open::{OpenFlags, content_of_files};
use crate::rules::{Builder, Rules, inline_source, keyword};
use crate::{Context, Table, TableError, lines};
use bstr::{BStr, BString, ByteSlice};
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// One kind of regular expression.
pub(crate) trait Engine: Sized + Send + Sync + 'static {
    /// `regexp` or `pcre`: the table type.
    const KIND: &'static str;
    /// What happens to a rule without closing delimiter, in Postfix's words.
    const UNCLOSED: &'static str;
    /// `out-of-range` or `out of range`: the two types spell it differently for `$0`.
    const OUT_OF_RANGE: &'static str;
    /// Whether a second pattern may follow the first one: `/this/!/not that/`. No manual tells of it, but old tables have it.
    const SECOND_PATTERN: bool;
    /// What the letters after a pattern toggle.
    type Flags: Copy + Default;

    /// Toggles one flag; `None` for a letter that means nothing; `Some(false)` for one that meant something once.
    fn toggle(flags: &mut Self::Flags, letter: u8) -> Option<bool>;
    /// Compiles a pattern. `groups`: whether the places of groups will be asked for.
    fn compile(pattern: &BStr, flags: Self::Flags, groups: bool) -> Result<Self, String>;
    /// The number of groups in the pattern.
    fn groups(&self) -> usize;
    /// Matches `key`. `spans[0]` is set to the whole match and the others to groups, as far as there is room.
    fn matches(&self, key: &[u8], spans: &mut Vec<Option<Range<usize>>>, wanted: usize) -> Result<bool, String>;
}

/// A pattern, perhaps negated.
struct Test<E> {
    engine: E,
    negated: bool,
    /// A second pattern that has to hold too, or with `true` must not.
    also: Option<(E, bool)>,
    /// Groups that the result uses.
    wanted: usize,
    /// Where it stands in the table, for warnings.
    line: usize,
}

type PatternRules<E> = Rules<Test<E>, Template>;

enum Source<E> {
    File(Box<Followed<PatternRules<E>>>),
    Inline(Arc<PatternRules<E>>),
}

/// A table of patterns.
pub(crate) struct Patterns<E: Engine> {
    name: String,
    source: Source<E>,
    context: Context,
}

impl<E: Engine> Patterns<E> {
    pub fn open(spec: &str, name: &str, flags: OpenFlags, context: &Context) -> Result<Patterns<E>, String> {
        let source = match inline_source(E::KIND, name)? {
            Some(text) => Source::Inline(Arc::new(parse(text.as_bytes(), name, flags, context))),
            None => {
                let on_load = context.clone();
                Source::File(Box::new(Followed::open(Path::new(name), context, open_error, move |mut file, path| {
                    let mut text = Vec::new();
                    file.read_to_end(&mut text).map_err(|e| format!("{} map {}: read error: {}", E::KIND, path.display(), reason(&e)))?;
                    Ok(parse(&text, &path.display().to_string(), flags, &on_load))
                })?))
            }
        };
        Ok(Patterns { name: spec.to_owned(), source, context: context.clone() })
    }
}

fn parse<E: Engine>(source: &[u8], name: &str, flags: OpenFlags, context: &Context) -> PatternRules<E> {
    let mut builder = Builder::new();
    for line in lines::logical_lines(source) {
        let place = Place { kind: E::KIND, name, line: line.number, context };
        add::<E>(&mut builder, lines::trim(&line.text), flags, &place);
    }
    let (rules, open) = builder.finish();
    for line in open {
        Place { kind: E::KIND, name, line, context }.warn("IF has no matching ENDIF");
    }
    rules
}

struct Place<'a> {
    kind: &'static str,
    name: &'a str,
    line: usize,
    context: &'a Context,
}

impl Place<'_> {
    fn warn(&self, text: &str) {
        self.context.warn(&format!("{} map {}, line {}: {text}", self.kind, self.name, self.line));
    }
}

/// Reads one rule; one that cannot be used is left out, with a warning.
fn add<E: Engine>(builder: &mut Builder<Test<E>, Template>, line: &BStr, flags: OpenFlags, place: &Place<'_>) {
    if keyword(line, "ENDIF") {
        if !lines::trim(&line[5..]).is_empty() {
            place.warn("ignoring extra text after ENDIF");
        }
        if !builder.end() {
            place.warn("ignoring ENDIF without matching IF");
        }
    } else if keyword(line, "IF") {
        let Some((source, rest)) = pattern::<E>(lines::trim(&line[2..]), place) else { return };
        if !rest.is_empty() {
            place.warn(&format!("ignoring extra text after IF statement: \"{rest}\""));
            place.warn("do not prepend whitespace to statements between IF and ENDIF");
        }
        match E::compile(source.text, source.flags, false) {
            Ok(engine) => builder.begin(Test { engine, negated: source.negated, also: None, wanted: 0, line: place.line }, place.line),
            Err(error) => place.warn(&error),
        }
    } else if line.first().is_some_and(u8::is_ascii_alphanumeric) {
        place.warn("ignoring unrecognized request");
    } else {
        let Some((source, mut text)) = pattern::<E>(line, place) else { return };
        let mut second = None;
        if E::SECOND_PATTERN && text.starts_with(b"!") && !line[..line.len() - text.len()].last().is_some_and(|&c| lines::is_space(c)) {
            let Some((more, rest)) = pattern::<E>(text, place) else { return };
            (second, text) = (Some(more), rest);
        }
        if text.is_empty() {
            place.warn("no replacement text: using empty string");
        }
        let template = if flags.value_is_file {
            match content_of_files(text) {
                Ok(content) => Some(Template::literal(content)),
                Err(fault) => return place.warn(&format!("{fault}: skipping this rule")),
            }
        } else {
            template::<E>(text, place)
        };
        let Some(template) = template else { return };
        let wanted = template.highest;
        if wanted > 0 && source.negated {
            return place.warn("$number found in negative match replacement text: skipping this rule");
        }
        if wanted > 0 && flags.no_substitution {
            return place.warn("regular expression substitution is not allowed: skipping this rule");
        }
        let also =
            match second.map(|second| E::compile(second.text, second.flags, false).map(|engine| (engine, second.negated))).transpose() {
                Ok(also) => also,
                Err(error) => return place.warn(&error),
            };
        match E::compile(source.text, source.flags, wanted > 0) {
            Ok(engine) if wanted > engine.groups() => {
                place.warn(&format!("out of range replacement index \"{wanted}\": skipping this rule"));
            }
            Ok(engine) => builder.rule(Test { engine, negated: source.negated, also, wanted, line: place.line }, template),
            Err(error) => place.warn(&error),
        }
    }
}

fn template<E: Engine>(text: &BStr, place: &Place<'_>) -> Option<Template> {
    let faults = match Template::parse(text) {
        Ok(template) => return Some(template),
        Err(faults) => faults,
    };
    for fault in faults {
        match fault {
            TemplateError::Grammar(warning) => place.context.warn(&warning),
            TemplateError::NotNumeric(name) => place.warn(&format!("non-numeric replacement index \"{name}\"")),
            TemplateError::OutOfRange(name) => place.warn(&format!("{} replacement index \"{name}\"", E::OUT_OF_RANGE)),
        }
    }
    place.warn("bad replacement syntax: skipping this rule");
    None
}

struct PatternSource<'a, E: Engine> {
    text: &'a BStr,
    flags: E::Flags,
    negated: bool,
}

/// Takes `!/pattern/flags rest` apart.
fn pattern<'a, E: Engine>(line: &'a BStr, place: &Place<'_>) -> Option<(PatternSource<'a, E>, &'a BStr)> {
    let (mut rest, mut negated) = (line, false);
    while let Some(after) = rest.strip_prefix(b"!") {
        negated = !negated;
        rest = lines::trim(after);
    }
    let Some((&delimiter, body)) = rest.split_first() else {
        place.warn("no regexp: skipping this rule");
        return None;
    };
    let mut end = 0;
    while body.get(end).is_some_and(|&c| c != delimiter) {
        // A backslash takes the next character along, also the delimiter; both stay in the pattern.
        end += if body[end] == b'\\' && end + 1 < body.len() { 2 } else { 1 };
    }
    if end >= body.len() {
        place.warn(&format!("no closing regexp delimiter \"{}\": {}", delimiter as char, E::UNCLOSED));
        return None;
    }
    let after = body[end + 1..].as_bstr();
    let (letters, rest) = match after.iter().position(|&c| c == b'!' || lines::is_space(c)) {
        Some(at) if E::SECOND_PATTERN && after[at] == b'!' => (after[..at].as_bstr(), after[at..].as_bstr()),
        _ => lines::split_word(after),
    };
    let mut flags = E::Flags::default();
    for &letter in letters.iter() {
        match E::toggle(&mut flags, letter) {
            Some(true) => {}
            Some(false) => place.warn(&format!("ignoring obsolete regexp option \"{}\"", letter as char)),
            None => {
                place.warn(&format!("unknown regexp option \"{}\": skipping this rule", letter as char));
                return None;
            }
        }
    }
    Some((PatternSource { text: body[..end].as_bstr(), flags, negated }, rest))
}

impl<E: Engine> Table for Patterns<E> {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let rules = match &self.source {
            Source::File(file) => file.get().map_err(|reason| TableError::new(&self.name, reason))?,
            Source::Inline(rules) => Arc::clone(rules),
        };
        // `if` tests come between a match and its answer only in the order of trying, so one buffer serves all.
        let spans = std::cell::RefCell::new(Vec::new());
        let holds = |engine: &E, negated: bool, wanted: usize, line: usize| match engine.matches(key, &mut spans.borrow_mut(), wanted) {
            Ok(matched) => matched != negated,
            // What takes too long matches nothing, not even when negated.
            Err(fault) => {
                let name = self.name.split_once(':').map_or("", |(_, name)| name);
                self.context.warn(&format!("{} map {name}, line {line}: {fault}", E::KIND));
                false
            }
        };
        rules.first(
            |test| {
                // The first pattern last: its groups are wanted.
                let also = test.also.as_ref().is_none_or(|(engine, negated)| holds(engine, *negated, 0, test.line));
                Ok((also && holds(&test.engine, test.negated, test.wanted, test.line)).then_some(()))
            },
            |template, ()| {
                let spans = spans.borrow();
                template.expand(|group| spans.get(group).cloned().flatten().and_then(|span| key.get(span)))
            },
        )
    }

    fn whole_keys_only(&self) -> bool {
        true
    }
}
