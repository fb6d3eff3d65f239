//! `cidr:` tables (cidr_table(5)).

use crate::file::{Followed, open_error, reason};
use crate::net::Net;
use crate::open::{OpenFlags, content_of_files};
use crate::rules::{Builder, Rules, inline_source, keyword};
use crate::{Context, Table, TableError, lines};
use bstr::{BStr, BString, ByteSlice};
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// A network, or everything outside of it.
struct Test {
    net: Net,
    negated: bool,
}

type NetRules = Rules<Test, BString>;

enum Source {
    File(Box<Followed<NetRules>>),
    Inline(Arc<NetRules>),
}

pub(crate) struct Cidr {
    name: String,
    source: Source,
}

impl Cidr {
    pub fn open(spec: &str, name: &str, flags: OpenFlags, context: &Context) -> Result<Cidr, String> {
        let source = match inline_source("cidr", name)? {
            Some(text) => Source::Inline(Arc::new(parse(text.as_bytes(), name, flags, context))),
            None => {
                let on_load = context.clone();
                Source::File(Box::new(Followed::open(Path::new(name), context, open_error, move |mut file, path| {
                    let mut text = Vec::new();
                    file.read_to_end(&mut text).map_err(|e| format!("cidr map {}: read error: {}", path.display(), reason(&e)))?;
                    Ok(parse(&text, &path.display().to_string(), flags, &on_load))
                })?))
            }
        };
        Ok(Cidr { name: spec.to_owned(), source })
    }
}

fn parse(source: &[u8], name: &str, flags: OpenFlags, context: &Context) -> NetRules {
    let mut builder = Builder::new();
    for line in lines::logical_lines(source) {
        if let Err(fault) = add(&mut builder, lines::trim(&line.text), line.number, flags) {
            context.warn(&format!("cidr map {name}, line {}: {fault}: skipping this rule", line.number));
        }
    }
    let (rules, open) = builder.finish();
    for line in open {
        context.warn(&format!("cidr map {name}, line {line}: IF has no matching ENDIF"));
    }
    rules
}

fn add(builder: &mut Builder<Test, BString>, line: &BStr, number: usize, flags: OpenFlags) -> Result<(), String> {
    if keyword(line, "ENDIF") {
        return match line.len() {
            _ if !lines::trim(&line[5..]).is_empty() => Err("garbage after ENDIF".into()),
            _ if builder.end() => Ok(()),
            _ => Err("ENDIF without IF".into()),
        };
    }
    let begins = keyword(line, "IF");
    let mut rest = if begins { lines::trim(&line[2..]) } else { line };
    let mut negated = false;
    while let Some(after) = rest.strip_prefix(b"!") {
        negated = !negated;
        rest = lines::trim(after);
    }
    // After IF the pattern is the whole line.
    let (pattern, text) = if begins { (rest, BStr::new("")) } else { lines::split_word(rest) };
    if pattern.is_empty() {
        return Err("no address pattern".into());
    }
    if !begins && text.is_empty() {
        return Err("no lookup result".into());
    }
    let test = Test { net: Net::parse(&pattern.to_str_lossy())?, negated };
    if begins {
        builder.begin(test, number);
    } else {
        builder.rule(test, if flags.value_is_file { content_of_files(text)? } else { text.to_owned() });
    }
    Ok(())
}

impl Table for Cidr {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &BStr) -> Result<Option<BString>, TableError> {
        let rules = match &self.source {
            Source::File(file) => file.get().map_err(|reason| TableError::new(&self.name, reason))?,
            Source::Inline(rules) => Arc::clone(rules),
        };
        // A key that is no address matches nothing, not even negated patterns.
        let Some(address) = key.to_str().ok().and_then(|text| text.parse::<IpAddr>().ok()) else { return Ok(None) };
        // An address of the other family is neither within a network nor outside of it.
        let holds = |test: &Test| test.net.same_family(address) && test.net.contains(address) != test.negated;
        rules.first(|test| Ok(holds(test).then_some(())), |text, ()| text.clone())
    }

    fn whole_keys_only(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::context::collecting;
    use crate::open::{OpenFlags, open};

    // The table and the answers of parity scenario maps/patterns, without the rule that hides all others there.
    const TABLE: &str = "10.0.0.0/8 ten
192.168.1.1         host
192.168.1.0/24      net
if 172.16.0.0/12
172.16.1.0/24       inner
!172.16.0.0/16      not sixteen
endif
2001:db8::/32       six
::ffff:1.2.3.4      mapped
10.0.0.1/8          host bits
[2001:db8:1::]/48   brackets
1.2.3.0/24
else x
endif
if 12.0.0.0/8
! 12.1.0.0/16        open
";

    // S-TABLE-07
    #[test]
    fn rules_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cidr");
        std::fs::write(&path, TABLE).unwrap();
        let (context, lines) = collecting();
        let table = open(&format!("cidr:{}", path.display()), OpenFlags::default(), &context).unwrap();
        for (key, answer) in [
            ("10.2.3.4", Some("ten")),
            ("192.168.1.1", Some("host")),
            ("192.168.1.2", Some("net")),
            ("172.16.1.9", Some("inner")),
            ("172.17.0.1", Some("not sixteen")),
            ("172.16.2.1", None),
            ("2001:DB8::1", Some("six")),
            ("2001:db9::1", None),
            ("::ffff:1.2.3.4", Some("mapped")),
            ("1.2.3.4", None),
            ("notanaddress", None),
            ("[::1]", None),
            ("12.1.1.1", None),
            ("12.2.1.1", Some("open")),
            ("2001:db9::2", None),
        ] {
            assert_eq!(table.lookup(key.into()).unwrap().as_deref().map(|v| v.as_slice()), answer.map(str::as_bytes), "{key}");
        }
        let start = format!("cidr map {}, line", path.display());
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "10: non-null host address bits in \"10.0.0.1/8\", perhaps you should use \"10.0.0.0/8\" instead: skipping this rule",
                "12: no lookup result: skipping this rule",
                "13: bad address pattern: \"else\": skipping this rule",
                "14: ENDIF without IF: skipping this rule",
                "15: IF has no matching ENDIF",
            ]
            .map(|text| format!("{start} {text}"))
        );
    }

    // S-TABLE-07
    #[test]
    fn negation_stays_in_its_family() {
        let table = open("cidr:{{!10.0.0.0/8 outside}, {::/0 six}}", OpenFlags::default(), &collecting().0).unwrap();
        let ask = |key: &str| table.lookup(key.into()).unwrap().map(|value| value.to_string());
        assert_eq!((ask("11.1.1.1"), ask("10.1.1.1"), ask("::1")), (Some("outside".into()), None, Some("six".into())));
    }

    // S-TABLE-07
    #[test]
    fn inline() {
        let table = open("cidr:{{1.2.3.0/24 x}, {::/0 six}}", OpenFlags::default(), &collecting().0).unwrap();
        assert_eq!(table.lookup("1.2.3.4".into()).unwrap(), Some("x".into()));
        assert_eq!(table.lookup("::1".into()).unwrap(), Some("six".into()));
    }
}
