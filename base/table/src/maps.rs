//! Lists of tables, and the search for an address in them.

use crate::open::{OpenFlags, open_or_unavailable};
use crate::{Context, Table, TableError, syntax};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_config::Config;
use std::borrow::Cow;
use std::sync::Arc;

/// A list of tables searched in order, as in `virtual_alias_maps`; the first answer wins, a failure stops the search.
#[derive(Clone, Default)]
pub struct Maps {
    title: String,
    tables: Vec<Arc<dyn Table>>,
    context: Option<Context>,
}

impl std::fmt::Debug for Maps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Maps({}: ", self.title)?;
        f.debug_list().entries(self.tables.iter().map(|table| table.name())).finish()?;
        f.write_str(")")
    }
}

/// How an address is looked up by [`Maps::find_address`]: which of Postfix's forms are tried (ADDRESS_REWRITING_README, access(5),
/// transport(5)). They come in this order: `user+ext@domain`, `user@domain`; `user+ext`, `user`; `@domain`; `domain` and its parents;
/// `user+ext@`, `user@`. Forms with a local part that needs quotes are tried with quotes first, then without
/// (`unquoted`).
#[derive(Clone, Debug)]
pub struct AddressSearch<'a> {
    /// `recipient_delimiter`; empty for none.
    pub delimiters: &'a str,
    /// `owner_request_special`: `owner-x` and `x-request` have no extension.
    pub owner_request_special: bool,
    /// Tried: `user+ext@domain`, `user@domain` always; then as set here.
    pub local_part_for: LocalPart<'a>,
    /// Try `@domain` after the full and local forms.
    pub at_domain: bool,
    /// Try `domain`, and its parents as `.domain`.
    pub domain: bool,
    /// Try parents as `.parent` (true) or as `parent` (`parent_domain_matches_subdomains`).
    pub dot_parents: bool,
    /// Try `user@` last (access(5)).
    pub user_at: bool,
    /// Try forms whose local part needs quotes without them, too.
    pub unquoted: bool,
}

impl Default for AddressSearch<'_> {
    /// Only the full address.
    fn default() -> Self {
        AddressSearch {
            delimiters: "",
            owner_request_special: true,
            local_part_for: LocalPart::Never,
            at_domain: false,
            domain: false,
            dot_parents: true,
            user_at: false,
            unquoted: true,
        }
    }
}

impl<'a> AddressSearch<'a> {
    /// canonical(5), virtual(5), generic(5), relocated(5), bcc and recipient tables: full, local part, `@domain`.
    pub fn rewriting(delimiters: &'a str, local_part_for: LocalPart<'a>) -> AddressSearch<'a> {
        AddressSearch { delimiters, local_part_for, at_domain: true, ..AddressSearch::default() }
    }

    /// access(5): full, domain and parents, `user@`. `parents`: `parent_domain_matches_subdomains` names `smtpd_access_maps`.
    pub fn access(delimiters: &'a str, parents: bool) -> AddressSearch<'a> {
        AddressSearch { delimiters, domain: true, dot_parents: !parents, user_at: true, ..AddressSearch::default() }
    }

    /// transport(5): full, domain and parents. `parents`: `parent_domain_matches_subdomains` names `transport_maps`.
    pub fn transport(delimiters: &'a str, parents: bool) -> AddressSearch<'a> {
        AddressSearch { delimiters, domain: true, dot_parents: !parents, ..AddressSearch::default() }
    }
}

/// For which domains the bare local part (`user`) is tried.
#[derive(Clone, Copy)]
pub enum LocalPart<'a> {
    /// Never.
    Never,
    /// Always.
    Always,
    /// When the predicate (such as "is in mydestination, inet_interfaces, or equals myorigin") holds. Addresses without a domain count
    /// as local.
    When(&'a (dyn Fn(&BStr) -> bool + Sync)),
}

impl std::fmt::Debug for LocalPart<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LocalPart::Never => "Never",
            LocalPart::Always => "Always",
            LocalPart::When(_) => "When",
        })
    }
}

/// What [`Maps::find_address`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFound {
    /// The right-hand side.
    pub value: BString,
    /// The extension (with its delimiter) that the search left out, to be propagated if the parameter says so. Empty when the form that
    /// was found has the extension, and when it has no local part.
    pub extension: BString,
}

impl Maps {
    /// Opens the tables of a parameter's value (`hash:/etc/postfix/virtual, $other`), in order. `title` is the parameter's name, used
    /// in messages. Relative file names of tables are as Postfix treats them. A table that cannot be opened is not an
    /// error here: its lookups fail, with a warning that names it.
    pub fn open(title: &str, value: &str, config: &Config) -> Maps {
        Maps::open_with(title, value, OpenFlags::default(), &Context::of(config))
    }

    /// As [`Maps::open`], with [`OpenFlags::SECURE`] and the like.
    pub fn open_flags(title: &str, value: &str, flags: OpenFlags, config: &Config) -> Maps {
        Maps::open_with(title, value, flags, &Context::of(config))
    }

    /// As [`Maps::open_flags`], with settings read before.
    pub fn open_with(title: &str, value: &str, flags: OpenFlags, context: &Context) -> Maps {
        let tables = syntax::words(value).map(|spec| open_or_unavailable(spec, flags, context)).collect();
        Maps { title: title.to_owned(), tables, context: Some(context.clone()) }
    }

    /// The parameter's name.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether no table is configured.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Whether some table may block.
    pub fn may_block(&self) -> bool {
        self.tables.iter().any(|table| table.may_block())
    }

    /// The first table's answer for the key as given.
    pub fn find(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        self.search(key, false)
    }

    /// Like [`Maps::find`], for callers that warn of an error in their own words.
    pub fn find_quietly(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        for table in &self.tables {
            if let Some(value) = table.lookup(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Like [`Maps::find`] but skips tables that are for whole keys only: for partial keys.
    pub fn find_partial(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        self.search(key, true)
    }

    /// Like [`Maps::find`] for tables whose values are the content of files: opened with [`OpenFlags::value_is_file`].
    pub fn find_file(&self, key: &BStr) -> Result<Option<Vec<u8>>, TableError> {
        match self.search_tables(key, false)? {
            Some((value, table)) => decode_file(table, key, value.as_bstr(), self.context.as_ref()).map(Some),
            None => Ok(None),
        }
    }

    fn search(&self, key: &BStr, partial: bool) -> Result<Option<BString>, TableError> {
        Ok(self.search_tables(key, partial)?.map(|(value, _)| value))
    }

    /// The first answer, and whose it is.
    fn search_tables(&self, key: &BStr, partial: bool) -> Result<Option<(BString, &dyn Table)>, TableError> {
        let warn = |text: String| {
            if let Some(context) = &self.context {
                context.warn(&text);
            }
        };
        // Some types of table cannot be asked for the empty key, and no form of a table has one.
        if key.is_empty() {
            return Ok(None);
        }
        for table in &self.tables {
            if partial && table.whole_keys_only() {
                continue;
            }
            match table.lookup(key) {
                Ok(None) => {}
                Ok(Some(value)) if value.is_empty() => {
                    warn(format!("table \"{}\": empty lookup result for: \"{key}\" -- ignored", table.name()));
                }
                Ok(Some(value)) => return Ok(Some((value, &**table))),
                Err(error) => {
                    warn(format!("{} lookup error for \"{key}\"", table.name()));
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Looks an address up by its forms: full, without extension, local part, `@domain`, domain.
    pub fn find_address(&self, address: &Address, search: &AddressSearch<'_>) -> Result<Option<AddressFound>, TableError> {
        if self.tables.is_empty() || address.is_empty() {
            return Ok(None);
        }
        let bare = match search.delimiters {
            "" => None,
            delimiters => address.split_extension(delimiters, search.owner_request_special),
        };
        let form = |address: &Address| Form::of(address, search.unquoted);
        let full = form(address);
        let bare = bare.map(|(bare, _)| {
            // Extensions are given back with their delimiter: what the full local part has more than the bare one.
            let extension = BString::from(address.local().get(bare.local().len()..).unwrap_or_default());
            (form(&bare), extension)
        });
        let found = |value: BString, extension: &BStr| Ok(Some(AddressFound { value, extension: extension.to_owned() }));
        let none = BStr::new(b"");

        if let Some(value) = self.find_form(&full.address, full.internal(), false)? {
            return found(value, none);
        }
        if let Some((bare, extension)) = &bare
            && let Some(value) = self.find_form(&bare.address, bare.internal(), true)?
        {
            return found(value, extension.as_bstr());
        }

        let domain = address.domain();
        let local = match search.local_part_for {
            LocalPart::Never => false,
            LocalPart::Always => true,
            LocalPart::When(is_local) => domain.is_none_or(is_local),
        };
        // Without a domain the forms above were the local part already.
        if local && domain.is_some() {
            if let Some(value) = self.find_form(full.local(), full.internal_local(), true)? {
                return found(value, none);
            }
            if let Some((bare, extension)) = &bare
                && let Some(value) = self.find_form(bare.local(), bare.internal_local(), true)?
            {
                return found(value, extension.as_bstr());
            }
        }
        let Some(domain) = domain.filter(|domain| !domain.is_empty()) else { return Ok(None) };
        if search.at_domain {
            let key = BString::from([b"@".as_slice(), domain].concat());
            if let Some(value) = self.find_partial(key.as_bstr())? {
                return found(value, none);
            }
        }
        if search.domain
            && let Some(value) = self.find_domain(domain, search.dot_parents)?
        {
            return found(value, none);
        }
        if search.user_at {
            if let Some(value) = self.find_form(full.local_at(), full.internal_local_at(), true)? {
                return found(value, none);
            }
            if let Some((bare, extension)) = &bare
                && let Some(value) = self.find_form(bare.local_at(), bare.internal_local_at(), true)?
            {
                return found(value, extension.as_bstr());
            }
        }
        Ok(None)
    }

    /// Looks up a domain or host name, then its parents: as `.parent` (`dot_parents`) or as `parent`. Partial keys all.
    pub fn find_domain(&self, name: &BStr, dot_parents: bool) -> Result<Option<BString>, TableError> {
        for key in name_and_parents(name, dot_parents) {
            if let Some(value) = self.find_partial(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The quoted form, then the internal one where that is another.
    fn find_form(&self, external: &BStr, internal: Option<&BStr>, partial: bool) -> Result<Option<BString>, TableError> {
        match self.search(external, partial)? {
            None => match internal {
                Some(internal) => self.search(internal, partial),
                None => Ok(None),
            },
            found => Ok(found),
        }
    }
}

/// Decodes a value that is the content of files, with a warning if it is no such thing.
pub fn decode_file(table: &dyn Table, key: &BStr, value: &BStr, context: Option<&Context>) -> Result<Vec<u8>, TableError> {
    crate::base64::decode(value).ok_or_else(|| {
        if let Some(context) = context {
            context.warn(&format!("table {}: key {key}: malformed BASE64 value: {value:.100}", table.label()));
        }
        TableError::without_detail(table.name(), "malformed BASE64 value")
    })
}

/// `a.b.c`, then `.b.c` and `.c` (`dots`), or `b.c` and `c`.
pub(crate) fn name_and_parents(name: &BStr, dots: bool) -> impl Iterator<Item = &BStr> {
    std::iter::successors(Some(name), move |key| {
        // The next dot that is not the first character: `.net` of `.example.net`.
        let dot = 1 + key.get(1..)?.find_byte(b'.')?;
        let parent = key[if dots { dot } else { dot + 1 }..].as_bstr();
        (!parent.is_empty()).then_some(parent)
    })
}

/// An address as it is looked up: quoted where RFC 5322 wants it, and as it is where that differs.
struct Form<'a> {
    address: Cow<'a, BStr>,
    internal: Option<BString>,
}

impl<'a> Form<'a> {
    fn of(address: &Address, unquoted: bool) -> Form<'a> {
        let internal = address.as_bytes();
        // Most local parts need no quotes, and are seen to need none without a copy.
        if plain(address.local()) {
            return Form { address: Cow::Owned(internal.to_owned()), internal: None };
        }
        let external = address.external();
        let internal = (unquoted && external != internal).then(|| internal.to_owned());
        Form { address: Cow::Owned(external), internal }
    }

    fn internal(&self) -> Option<&BStr> {
        self.internal.as_ref().map(|address| address.as_bstr())
    }

    fn local(&self) -> &BStr {
        cut(&self.address, 0)
    }

    fn local_at(&self) -> &BStr {
        cut(&self.address, 1)
    }

    fn internal_local(&self) -> Option<&BStr> {
        self.internal.as_deref().map(|address| cut(address, 0))
    }

    fn internal_local_at(&self) -> Option<&BStr> {
        self.internal.as_deref().map(|address| cut(address, 1))
    }
}

/// Up to the last `@`, and `more` bytes.
fn cut(address: &[u8], more: usize) -> &BStr {
    match address.rfind_byte(b'@') {
        Some(at) => address[..at + more].as_bstr(),
        None => address.as_bstr(),
    }
}

/// RFC 5321 §4.1.2 Dot-string, for which the external form is the internal one.
fn plain(local: &BStr) -> bool {
    !local.is_empty()
        && !local.starts_with(b".")
        && !local.ends_with(b".")
        && !local.contains_str("..")
        && local.iter().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::context::collecting;
    use std::sync::Mutex;

    /// A table without entries that writes down what it is asked.
    struct Spy(Mutex<Vec<String>>, bool);

    impl Table for Spy {
        fn name(&self) -> &str {
            "spy:x"
        }
        fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
            self.0.lock().unwrap().push(key.to_string());
            Ok(None)
        }
        fn whole_keys_only(&self) -> bool {
            self.1
        }
    }

    fn asked(address: &str, search: &AddressSearch<'_>, whole: bool) -> Vec<String> {
        let spy = Arc::new(Spy(Mutex::default(), whole));
        let maps = Maps { title: "maps".into(), tables: vec![spy.clone()], context: None };
        assert_eq!(maps.find_address(&Address::new(address), search).unwrap(), None);
        let asked = spy.0.lock().unwrap();
        asked.clone()
    }

    // The orders below are those that a verbose Postfix logs for the same addresses.
    // S-TABLE-19
    #[test]
    fn rewriting_order() {
        let local = |domain: &BStr| domain == "example.com";
        let search = AddressSearch::rewriting("+", LocalPart::When(&local));
        assert_eq!(
            asked("alice+Foo@example.com", &search, false),
            ["alice+Foo@example.com", "alice@example.com", "alice+Foo", "alice", "@example.com"]
        );
        assert_eq!(
            asked("a.b+Ext@sub.example.net", &search, false),
            ["a.b+Ext@sub.example.net", "a.b@sub.example.net", "@sub.example.net"]
        );
        assert_eq!(asked("alice+Foo@example.com", &search, true), ["alice+Foo@example.com"]);
        assert_eq!(asked("alice+Foo", &search, false), ["alice+Foo", "alice"]);
    }

    // S-TABLE-19
    #[test]
    fn quoted_form_first() {
        let search = AddressSearch::rewriting("+", LocalPart::Always);
        assert_eq!(
            asked("q;u+x@example.com", &search, false),
            [
                "\"q;u+x\"@example.com",
                "q;u+x@example.com",
                "\"q;u\"@example.com",
                "q;u@example.com",
                "\"q;u+x\"",
                "q;u+x",
                "\"q;u\"",
                "q;u",
                "@example.com"
            ]
        );
    }

    // S-TABLE-20
    #[test]
    fn access_and_transport_order() {
        assert_eq!(
            asked("a.b+ext@sub.example.net", &AddressSearch::access("+", true), false),
            ["a.b+ext@sub.example.net", "a.b@sub.example.net", "sub.example.net", "example.net", "net", "a.b+ext@", "a.b@"]
        );
        assert_eq!(
            asked("a.b+Ext@sub.example.net", &AddressSearch::transport("+", false), false),
            ["a.b+Ext@sub.example.net", "a.b@sub.example.net", "sub.example.net", ".example.net", ".net"]
        );
    }

    // S-TABLE-19
    #[test]
    fn extension_goes_with_forms_that_have_a_local_part() {
        let (context, _) = collecting();
        let find = |table: &str| {
            let maps = Maps::open_with("maps", table, OpenFlags::default(), &context);
            maps.find_address(&Address::new("u+foo@b.example"), &AddressSearch::rewriting("+", LocalPart::Always)).unwrap().unwrap()
        };
        let found = |value: &str, extension: &str| AddressFound { value: value.into(), extension: extension.into() };
        assert_eq!(find("inline:{u+foo@b.example=x, u@b.example=y}"), found("x", ""));
        assert_eq!(find("inline:{u@b.example=y}"), found("y", "+foo"));
        assert_eq!(find("inline:{u=y}"), found("y", "+foo"));
        assert_eq!(find("inline:{@b.example=z}"), found("z", ""));
    }

    // S-TABLE-17
    #[test]
    fn first_answer_wins_and_a_failure_stops() {
        let (context, lines) = collecting();
        let maps = |value: &str| Maps::open_with("maps", value, OpenFlags::default(), &context);
        assert_eq!(maps("inline:{a=1}, inline:{a=2}").find("a".into()).unwrap(), Some("1".into()));
        assert_eq!(maps("inline:{a=}, inline:{a=2}").find("a".into()).unwrap(), Some("2".into()));
        assert!(maps("fail:x, static:y").find("a".into()).is_err());
        assert!(maps("static:y, fail:x").find("a".into()).is_ok());
        assert_eq!(maps("static:y").find("".into()).unwrap(), None);
        assert_eq!(
            *lines.lock().unwrap(),
            ["table \"inline:{a=}\": empty lookup result for: \"a\" -- ignored", "fail:x lookup error for \"a\""]
        );
    }

    // S-TABLE-21
    #[test]
    fn unavailable() {
        let (context, lines) = collecting();
        let maps = Maps::open_with("virtual_alias_maps", "hash:/nosuch/vv nosuch:x", OpenFlags::default(), &context);
        assert!(maps.find("a".into()).is_err());
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "error: open database /nosuch/vv.db: No such file or directory",
                "error: unsupported dictionary type: nosuch",
                "hash:/nosuch/vv is unavailable. open database /nosuch/vv.db: No such file or directory",
                "hash:/nosuch/vv lookup error for \"a\"",
            ]
        );
    }

    #[test]
    fn keys_that_are_not_utf8_are_not_found() {
        let (context, lines) = collecting();
        let key = BStr::new(b"bad\xff");
        let find = |context: &Context| Maps::open_with("m", "static:x", OpenFlags::default(), context).find(key).unwrap();
        assert_eq!(find(&context), None);
        assert_eq!(lines.lock().unwrap().len(), 1);
        let raw = Context::with_report(Settings { utf8: false, ..Settings::default() }, |_, _| {});
        assert_eq!(find(&raw), Some("x".into()));
    }
}
