//! What all database types have in common between a key and its value: `%` in queries and results, the list of domains that are asked for at all,
//! the limit of results.

use crate::Source;
use bstr::{BStr, BString, ByteSlice};
use posthaste_table::{Context, StringList, TableError};

/// A query or a result format with `%s`, `%u`, `%d` and so on (mysql_table(5), ldap_table(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `%s`, `%u`, `%d`; of the key or, in a result format, of the value.
    Of(Piece),
    /// `%S`, `%U`, `%D`: always of the key.
    OfKey(Piece),
    /// `%1` to `%9`: a component of the key's domain, counted from the right.
    Component(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Whole,
    Local,
    Domain,
}

/// `user@domain`, parted at the last `@`.
fn parted(address: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = address.rfind_byte(b'@')?;
    Some((&address[..at], &address[at + 1..]))
}

impl Piece {
    /// `None`: the text has no such part, and the query or the result is left out.
    fn of(self, text: &[u8]) -> Option<&[u8]> {
        match self {
            Piece::Whole => Some(text),
            Piece::Local => match parted(text) {
                Some((local, _)) => Some(local).filter(|local| !local.is_empty()),
                None => Some(text),
            },
            Piece::Domain => parted(text).map(|(_, domain)| domain).filter(|domain| !domain.is_empty()),
        }
    }
}

/// Puts text into a query so that it can only be data there.
pub type Quote<'a> = &'a dyn Fn(&[u8], &mut Vec<u8>);

/// For results and for query languages in which nothing needs to be quoted.
pub fn unquoted(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(text);
}

impl Template {
    /// Reads a template. The error says what is wrong with it, without naming it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                literal.push(c);
                continue;
            }
            let part = match rest.next() {
                Some('%') => {
                    literal.push('%');
                    continue;
                }
                Some('s') => Part::Of(Piece::Whole),
                Some('u') => Part::Of(Piece::Local),
                Some('d') => Part::Of(Piece::Domain),
                Some('S') => Part::OfKey(Piece::Whole),
                Some('U') => Part::OfKey(Piece::Local),
                Some('D') => Part::OfKey(Piece::Domain),
                Some(digit @ '1'..='9') => Part::Component(digit as usize - '0' as usize),
                Some(other) => return Err(format!("unexpected %{other}; a literal % is written %%")),
                None => return Err("% at the end; a literal % is written %%".into()),
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template { parts })
    }

    /// Whether this stands somewhere in the literal text.
    pub fn contains(&self, what: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(what)))
    }

    /// The query for a key. `None`: the key lacks what the template needs, so there is nothing to be asked and nothing to be found.
    pub fn query(&self, key: &BStr, quote: Quote<'_>) -> Option<Vec<u8>> {
        self.fill(key, key, quote)
    }

    /// The result for a value that was found under the key. `None`: there is none.
    pub fn result(&self, key: &BStr, value: &BStr) -> Option<BString> {
        if value.is_empty() {
            return None;
        }
        self.fill(key, value, &unquoted).map(BString::from)
    }

    /// Whether the key has everything that the template takes from keys.
    fn suits(&self, key: &[u8]) -> bool {
        let labels = || parted(key).map_or(0, |(_, domain)| labels(domain).count());
        self.parts.iter().all(|part| match part {
            Part::Text(_) | Part::Of(_) => true,
            Part::OfKey(piece) => piece.of(key).is_some(),
            Part::Component(number) => labels() >= *number,
        })
    }

    fn fill(&self, key: &[u8], value: &[u8], quote: Quote<'_>) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(value.len() + 64);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Of(piece) => quote(piece.of(value)?, &mut out),
                Part::OfKey(piece) => quote(piece.of(key)?, &mut out),
                Part::Component(number) => quote(labels(parted(key)?.1).nth(number - 1)?, &mut out),
            }
        }
        Some(out)
    }
}

/// The components of a domain from the right: `com`, `example`, `mail`.
fn labels(domain: &[u8]) -> impl Iterator<Item = &[u8]> {
    domain.rsplit(|&c| c == b'.').filter(|label| !label.is_empty())
}

/// The settings `domain`, `result_format` and `expansion_limit` of a table.
pub struct Answers {
    /// `type:name`.
    table: String,
    /// The file of settings, for messages.
    source: String,
    domain: Option<StringList>,
    format: Template,
    limit: usize,
    context: Context,
}

impl Answers {
    /// Reads the settings.
    pub fn new(spec: &str, source: &Source, context: &Context) -> Result<Answers, String> {
        Answers::with_format(spec, source, "result_format", context)
    }

    /// As [`Answers::new`], with another name for the setting `result_format` (`result_filter` of old LDAP tables).
    pub fn with_format(spec: &str, source: &Source, setting: &str, context: &Context) -> Result<Answers, String> {
        let format = source.text(setting, "%s")?;
        let format = Template::parse(&format).map_err(|fault| format!("{}: {setting} = {format}: {fault}", source.name()))?;
        let limit = source.int("expansion_limit", 0, i64::from(i32::MIN), i64::from(i32::MAX))?;
        let domain = source.text("domain", "")?;
        let domain = match domain.is_empty() {
            true => None,
            false => Some(StringList::open_with("domain", &domain, context).map_err(|error| error.reason)?),
        };
        Ok(Answers {
            table: spec.to_owned(),
            source: source.name().to_owned(),
            domain,
            format,
            // As in Postfix, a number below zero is no limit either.
            limit: usize::try_from(limit).unwrap_or(0),
            context: context.clone(),
        })
    }

    /// Whether the key may be asked for at all: it has everything that the result needs of it; and where there is a list of domains, it is an
    /// address in one of them.
    pub fn wanted(&self, key: &BStr) -> Result<bool, TableError> {
        if key.is_empty() {
            self.context.warn(&format!("table \"{}\": empty query string -- ignored", self.table));
            return Ok(false);
        }
        // Databases hold neither text that is not UTF-8 nor NUL.
        if key.contains(&0) || key.to_str().is_err() || !self.format.suits(key) {
            return Ok(false);
        }
        let Some(domains) = &self.domain else { return Ok(true) };
        match parted(key) {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
                domains.matches(domain.as_bstr()).map_err(|error| TableError { table: self.table.clone(), ..error })
            }
            _ => Ok(false),
        }
    }

    /// Begins the result of a lookup.
    pub fn result<'a>(&'a self, key: &'a BStr) -> Collected<'a> {
        Collected { answers: self, key, text: BString::default(), count: 0 }
    }
}

/// The values of one lookup, put together with commas.
pub struct Collected<'a> {
    answers: &'a Answers,
    key: &'a BStr,
    text: BString,
    count: usize,
}

impl Collected<'_> {
    /// Adds a value that the server gave. The error is that there are more of them than `expansion_limit` allows; it has been logged.
    pub fn add(&mut self, value: &BStr) -> Result<(), TableError> {
        if self.put(value) {
            return Ok(());
        }
        let answers = self.answers;
        let kind = answers.table.split(':').next().unwrap_or_default();
        let colon = if kind == "sqlite" { "" } else { ":" };
        answers.context.warn(&format!("dict_{kind}_lookup: {}: Expansion limit exceeded for key{colon} '{}'", answers.source, self.key));
        Err(TableError::without_detail(&answers.table, "expansion limit exceeded"))
    }

    /// As [`Collected::add`]; `false`: there are too many, and the caller has to log it.
    #[must_use]
    pub fn put(&mut self, value: &BStr) -> bool {
        let answers = self.answers;
        if value.is_empty() {
            answers.context.warn(&format!("table \"{}\": empty lookup result for: \"{}\" -- ignored", answers.table, self.key));
            return true;
        }
        let Some(result) = answers.format.result(self.key, value) else { return true };
        self.count += 1;
        if answers.limit > 0 && self.count > answers.limit {
            return false;
        }
        if self.count > 1 {
            self.text.push(b',');
        }
        self.text.extend_from_slice(&result);
        true
    }

    /// The whole; `None` when there was nothing.
    pub fn finish(self) -> Option<BString> {
        (self.count > 0).then_some(self.text)
    }
}

/// The query of an SQL table: `query`, or what the settings of Postfix 2.1 make up.
pub fn sql_query(source: &Source) -> Result<Template, String> {
    let text = match source.text("query", "")? {
        query if !query.is_empty() => query,
        _ => {
            if let Some(function) = source.get("select_function")? {
                format!("SELECT {function}('%s')")
            } else {
                // What is in them is not a template.
                let literal = |text: String| text.replace('%', "%%");
                let table = literal(source.required("table")?);
                let select = literal(source.required("select_field")?);
                let field = literal(source.required("where_field")?);
                let more = literal(source.text("additional_conditions", "")?);
                format!("SELECT {select} FROM {table} WHERE {field} = '%s' {more}")
            }
        }
    };
    Template::parse(&text).map_err(|fault| format!("{}: query = {text}: {fault}", source.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_table::Settings;
    use std::sync::{Arc, Mutex};

    fn query(template: &str, key: &str) -> Option<String> {
        let quoted = Template::parse(template).unwrap().query(key.into(), &|text, out| {
            out.extend(text.iter().flat_map(|&c| if c == b'\'' { vec![c, c] } else { vec![c] }));
        });
        quoted.map(|text| String::from_utf8(text).unwrap())
    }

    // What Postfix's sqlite client asks for (the scenario maps/sqlite); S-DB-05.
    #[test]
    fn queries() {
        const ALL: &str = "%s:%u:%d:%1:%2:%S:%U:%D";
        assert_eq!(query(ALL, "u@b.c.example").unwrap(), "u@b.c.example:u:b.c.example:example:c:u@b.c.example:u:b.c.example");
        assert_eq!(query(ALL, "a@b@c.d").unwrap(), "a@b@c.d:a@b:c.d:d:c:a@b@c.d:a@b:c.d");
        assert_eq!(query(ALL, "u@.c.d").unwrap(), "u@.c.d:u:.c.d:d:c:u@.c.d:u:.c.d");
        assert_eq!(query(ALL, "u@c.d.").unwrap(), "u@c.d.:u:c.d.:d:c:u@c.d.:u:c.d.");
        assert_eq!(query(ALL, "u@[1.2.3.4]").unwrap(), "u@[1.2.3.4]:u:[1.2.3.4]:4]:3:u@[1.2.3.4]:u:[1.2.3.4]");
        for key in ["x@c", "plain", "@dom.example", "u@"] {
            assert_eq!(query(ALL, key), None, "{key}");
        }
        assert_eq!(query("'%s:%1'", "@b.c").unwrap(), "'@b.c:c'");
        assert_eq!(query("%s:%u", "u@").unwrap(), "u@:u");
        assert_eq!(query("%s:%u", "@"), None);
        assert_eq!(query("k = '%s' 100%%", "o'b@x").unwrap(), "k = 'o''b@x' 100%");
    }

    #[test]
    fn bad_templates() {
        assert!(Template::parse("x%").is_err());
        assert!(Template::parse("%q").is_err());
        assert!(Template::parse("%0").is_err());
    }

    fn answers(settings: &str) -> (Answers, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let context = Context::with_report(Settings::default(), move |_, text| sink.lock().unwrap().push(text.to_owned()));
        (Answers::new("sqlite:/t.cf", &Source::parse("/t.cf", settings).unwrap(), &context).unwrap(), lines)
    }

    fn collect(settings: &str, key: &str, values: &[&str]) -> Result<Option<String>, TableError> {
        let (answers, _) = answers(settings);
        if !answers.wanted(key.into())? {
            return Ok(None);
        }
        let mut result = answers.result(key.into());
        for value in values {
            result.add((*value).into())?;
        }
        Ok(result.finish().map(|text| text.to_string()))
    }

    // As the scenario maps/sqlite shows it of Postfix.
    #[test]
    fn results() {
        let ok = |settings: &str, key: &str, values: &[&str]| collect(settings, key, values).unwrap();
        assert_eq!(ok("", "a", &["one", "two"]).unwrap(), "one,two");
        assert_eq!(ok("", "a", &[]), None);
        assert_eq!(ok("", "a", &["", "x"]).unwrap(), "x");
        assert_eq!(ok("result_format = const", "a", &["one", "two"]).unwrap(), "const,const");
        assert_eq!(ok("result_format = %u", "a", &["x@dom.example,y", "@foo"]).unwrap(), "x");
        assert_eq!(ok("result_format = %d", "a", &["x@dom.example,y", "@foo", "bar"]).unwrap(), "dom.example,y,foo");
        let format = "result_format = <%s|%u|%d|%S|%U|%D|%1|%%>";
        assert_eq!(
            ok(format, "u@b.c.example", &["res@r.example"]).unwrap(),
            "<res@r.example|res|r.example|u@b.c.example|u|b.c.example|example|%>"
        );
        assert_eq!(ok(format, "a", &["res@r.example"]), None);
        assert_eq!(ok("domain = b.c.example", "u@b.c.example", &["x"]).unwrap(), "x");
        for key in ["a", "@b.c.example", "u@x.b.c.example", "b.c.example"] {
            assert_eq!(ok("domain = b.c.example", key, &["x"]), None, "{key}");
        }
        assert_eq!(ok("domain = !b.c.example, static:all", "u@b.c.example", &["x"]), None);
        assert_eq!(ok("expansion_limit = 2", "a", &["one", "two"]).unwrap(), "one,two");
        assert_eq!(ok("expansion_limit = -1", "a", &["one", "two"]).unwrap(), "one,two");
    }

    #[test]
    fn too_many_results_are_a_failure() {
        let (answers, lines) = answers("expansion_limit = 1");
        let mut result = answers.result("a".into());
        result.add("one".into()).unwrap();
        assert!(result.add("two".into()).is_err());
        assert_eq!(*lines.lock().unwrap(), ["dict_sqlite_lookup: /t.cf: Expansion limit exceeded for key 'a'"]);
    }

    // S-DB-02
    #[test]
    fn queries_of_postfix_2_1() {
        let made = |settings: &str| sql_query(&Source::parse("/t.cf", settings).unwrap());
        let same = |text: &str| Template::parse(text);
        assert_eq!(made("query = q %s\ntable = t"), same("q %s"));
        let old = "select_field = v\ntable = t\nwhere_field = k\n";
        assert_eq!(made(&format!("{old}additional_conditions = AND v LIKE 'a%'")), same("SELECT v FROM t WHERE k = '%s' AND v LIKE 'a%%'"));
        assert_eq!(made(&format!("{old}select_function = f")), same("SELECT f('%s')"));
        assert_eq!(made("select_field = v").unwrap_err(), "/t.cf: bad string length 0 < 1: table = ");
    }
}
