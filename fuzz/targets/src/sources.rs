//! What administrators, name servers, policy servers and other programs' databases say.

use bstr::{BStr, ByteSlice};
use posthaste_config::edit::{EntryAction, edit_main, edit_master};
use posthaste_config::table::Kind;
use posthaste_config::{Config, MasterFile, parameters::PARAMETERS};
use posthaste_dns::wire::{Question, Reply, name_from_text};
use posthaste_dns::{Data, RECORD_LIMIT, Type};
use posthaste_dns::{Hosts, ResolvConf, valid_dns_name};
use posthaste_mime::checks;
use posthaste_svc_local::tokens::{self, Destination};
use posthaste_svc_smtpd::fuzzing;
use posthaste_table::{Context, OpenFlags, Settings, Table, try_open};
use std::cell::OnceCell;
use std::sync::Arc;

/// main.cf and master.cf: whatever the text is, each parameter has a value or an error, and a change that changes nothing keeps each byte.
pub fn configuration(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let string = String::from_utf8_lossy(text);
    if choice & 1 == 0 {
        let (same, _) = edit_main(text, "main.cf", &[]);
        let ended = text.is_empty() || text.ends_with(b"\n");
        assert!(!ended || same == text, "what is not changed stays: {:?}", same.as_bstr());
        let Ok(config) = Config::parse(&string, "main.cf") else { return };
        for row in PARAMETERS {
            if matches!(row.kind, Kind::Text { .. } | Kind::Raw { .. }) && config.is_set(row.name) {
                let _ = config.text(row.name);
            }
        }
        for (name, _) in config.settings() {
            let _ = (config.lookup(name), config.default_of(name));
        }
        let _ = config.expand(&string);
        return;
    }
    let same = edit_master(text, &mut |_| EntryAction::Keep);
    let ended = text.is_empty() || text.ends_with(b"\n");
    assert!(!ended || same == text, "what is not changed stays: {:?}", same.as_bstr());
    let Ok(master) = MasterFile::parse(&string, "master.cf") else { return };
    let config = Config::parse("", "main.cf").expect("the defaults");
    let Ok(entries) = master.entries(&config, &mut Vec::new()) else { return };
    assert!(entries.len() <= master.lines.len());
    for entry in entries {
        let _ = (entry.overrides().count(), entry.verbose(), entry.operands().len(), entry.socket());
    }
}

/// A name server's answer; the first byte chooses the question. Nothing in it that is no host name is believed to be one.
pub fn dns_reply(data: &[u8]) {
    let Some((&choice, reply)) = data.split_first() else { return };
    const KINDS: [Type; 9] = [Type::A, Type::Aaaa, Type::Cname, Type::Mx, Type::Ns, Type::Ptr, Type::Srv, Type::Tlsa, Type::Txt];
    let kind = KINDS[usize::from(choice) % KINDS.len()];
    let name = name_from_text("a.example").expect("a name");
    let question = Question { name, kind, edns: true, dnssec: true, want_ad: true };
    // The same id and question as in the query, so that the rest is looked at.
    let mut whole = question.encode(7).expect("a query");
    whole.truncate(12 + 11 + 4);
    whole[2] |= 0x80;
    if let Some((counts, rest)) = reply.split_first_chunk::<7>() {
        whole[2] |= counts[0] & 0x7f;
        whole[3] = counts[1];
        (whole[7], whole[8], whole[9], whole[10], whole[11]) = (counts[2], counts[3] & 1, counts[4], counts[5] & 1, counts[6]);
        whole.extend_from_slice(rest);
    }
    for message in [&whole[..], reply] {
        let Reply::Found(found) = question.decode(7, message) else { continue };
        assert!(found.records.len() <= RECORD_LIMIT);
        for record in &found.records {
            assert!(record.name.len() <= 4 * 255);
            let host = match &record.data {
                Data::Mx { host, .. } | Data::Srv { host, .. } => Some(host),
                Data::Cname(host) | Data::Ns(host) | Data::Ptr(host) => Some(host),
                _ => None,
            };
            if let Some(host) = host.filter(|host| !host.is_empty()) {
                assert!(valid_dns_name(host).is_ok() || host.parse::<std::net::Ipv4Addr>().is_ok(), "{host:?}");
            }
        }
    }
    let text = String::from_utf8_lossy(data);
    let _ = (ResolvConf::parse(&text), Hosts::parse(&text));
}

/// A policy server's reply, and what stands in access tables and in those of header_checks.
pub fn policy_and_actions(data: &[u8]) {
    if let Some((action, end)) = fuzzing::policy_action(data) {
        assert!(end <= data.len() && data[..end].ends_with(b"\n\n") | data[..end].starts_with(b"\n"), "a reply ends with an empty line");
        assert!(!action.contains(&b'\n') && !action.contains(&0), "an action is one line: {action:?}");
        assert_eq!(fuzzing::policy_action(&data[..end]), Some((action.clone(), end)), "what comes later changes nothing");
        let _ = fuzzing::restrictions(&action.to_str_lossy());
    }
    let _ = fuzzing::restrictions(&data.to_str_lossy());
    for header in [false, true] {
        let _ = checks::parse(data, "header_checks", header);
    }
}

/// The right-hand side of an alias, `.forward` and `:include:` files.
pub fn alias_lines(data: &[u8]) {
    let found = tokens::parse(data);
    assert!(found.len() <= data.len());
    let total: usize = found
        .iter()
        .map(|one| match one {
            Destination::Command(text) | Destination::File(text) | Destination::Include(text) => text.len(),
            Destination::User(address) | Destination::Address(address) => address.as_bytes().len(),
        })
        .sum();
    // What is not UTF-8 grows when it is shown as text.
    assert!(total <= 3 * data.len(), "nothing is made up");
}

const TYPES: [(&str, &str); 9] = [
    ("cdb", ".cdb"),
    ("hash", ".db"),
    ("btree", ".db"),
    ("lmdb", ".lmdb"),
    ("cidr", ""),
    ("regexp", ""),
    ("pcre", ""),
    ("texthash", ""),
    ("inline", ""),
];

struct Folder {
    path: tempfile::TempDir,
    context: Context,
}

thread_local! {
    static FOLDER: OnceCell<Folder> = const { OnceCell::new() };
}

/// The file of a lookup table that another program wrote, or that was cut or overwritten; the first byte chooses its type. What is found and what is
/// listed is the same from one time to the next.
pub fn table_file(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let (kind, suffix) = TYPES[usize::from(choice) % TYPES.len()];
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let context = Context::with_report(Settings::default(), |_, _| {});
            Folder { path: tempfile::tempdir().expect("a temporary folder"), context }
        });
        let path = folder.path.path().join(kind);
        let spec = if kind == "inline" {
            format!("inline:{{{}}}", text.to_str_lossy())
        } else {
            std::fs::write(format!("{}{suffix}", path.display()), text).expect("a temporary file");
            format!("{kind}:{}", path.display())
        };
        let flags = OpenFlags { raw_bytes: choice & 128 != 0, keep_case: choice & 64 != 0, ..OpenFlags::default() };
        let Ok(table) = try_open(&spec, flags, &folder.context) else { return };
        search(&table, text);
    });
}

fn search(table: &Arc<dyn Table>, text: &[u8]) {
    let middle = &text[text.len() / 2..];
    let keys: [&[u8]; 6] = [b"a", b"alice@example.com", b"192.0.2.1", b"", &text[..text.len().min(10)], &middle[..middle.len().min(5)]];
    for key in keys {
        let found = table.lookup(BStr::new(key));
        if let Ok(Some(value)) = &found {
            assert!(value.len() <= 100 * (text.len() + 100), "a value is bounded by its file");
        }
        assert_eq!(table.lookup(BStr::new(key)).ok(), found.ok());
    }
    let (mut bytes, mut keys) = (0_usize, Vec::new());
    table.entries(&mut |key, value| {
        bytes += key.len() + value.len() + 1;
        if keys.len() < 20 {
            keys.push(key.to_owned());
        }
        // Damaged pages may lead to the same entries again, but not without end.
        assert!(bytes <= 1000 * (text.len() + 1), "the listing ends");
        true
    });
    for key in keys {
        let _ = table.lookup(key.as_bstr());
    }
}
