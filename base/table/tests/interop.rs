//! Files that go between Postfix and us: 100,000 entries in each direction for each type, and each side changing the other's files.
//!
//! Needs an unpacked Postfix; its root is given by POSTFIX_REFERENCE (`tests/parity/parity reference` makes one and prints where it is). Without
//! it these tests say so and pass.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use bstr::{BString, ByteSlice};
use posthaste_table::build::{Build, BuildFlags};
use posthaste_table::{Context, OpenFlags, Settings, try_open};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

type Entries = BTreeMap<BString, BString>;

/// The other side.
struct Postfix {
    root: PathBuf,
    config: tempfile::TempDir,
}

impl Postfix {
    fn find() -> Option<Postfix> {
        let Some(root) = std::env::var_os("POSTFIX_REFERENCE").map(PathBuf::from) else {
            eprintln!("skipped: set POSTFIX_REFERENCE to the root of an unpacked Postfix");
            return None;
        };
        let config = tempfile::tempdir().unwrap();
        let folder = config.path().display();
        // Users and groups that every Debian has, since those of the package may not be there.
        let main = format!(
            "compatibility_level = 3.6\nmail_owner = daemon\nsetgid_group = games\nmyhostname = h.example\nmeta_directory = {folder}\n\
             shlib_directory = {}/usr/lib/postfix\nmaillog_file = /var/log/none\n",
            root.display()
        );
        std::fs::write(config.path().join("main.cf"), main).unwrap();
        std::fs::write(config.path().join("master.cf"), "").unwrap();
        let types = ["cdb", "lmdb"].map(|kind| format!("{kind}\tpostfix-{kind}.so\tdict_{kind}_open\tmkmap_{kind}_open\n")).concat();
        std::fs::write(config.path().join("dynamicmaps.cf"), types).unwrap();
        Some(Postfix { root, config })
    }

    /// Runs its postmap; gives what it prints.
    fn postmap(&self, arguments: &[&str], input: &str) -> BString {
        let mut child = Command::new(self.root.join("usr/sbin/postmap"))
            .args(arguments)
            .env("MAIL_CONFIG", self.config.path())
            .env("LD_LIBRARY_PATH", self.root.join("usr/lib/postfix"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "postmap {arguments:?}");
        output.stdout.into()
    }

    fn list(&self, spec: &str) -> Entries {
        pairs(&self.postmap(&["-s", spec], ""))
    }
}

fn pairs(text: &[u8]) -> Entries {
    text.lines().map(|line| line.split_once_str("\t").unwrap()).map(|(key, value)| (key.into(), value.into())).collect()
}

fn context() -> Context {
    Context::with_report(Settings::default(), |_, text| panic!("{text}"))
}

fn listed(spec: &str) -> Entries {
    let table = try_open(spec, OpenFlags::default(), &context()).unwrap();
    let mut all = Entries::new();
    table.entries(&mut |key, value| all.insert(key.to_owned(), value.to_owned()).is_none()).unwrap().unwrap();
    all
}

/// Short and long values, and some that do not fit on a page.
fn entries() -> Entries {
    let mut all = Entries::new();
    for i in 0..100_000_u32 {
        let value = format!("value{i} x{}", "x".repeat((i.wrapping_mul(2_654_435_761) >> 26) as usize));
        all.insert(format!("user{i}@example{}.com", i % 97).into(), value.into());
    }
    all.insert("big".into(), "y".repeat(5000).into());
    all.insert("k".repeat(400).into(), "z".repeat(2000).into());
    all.insert("w".repeat(505).into(), "q".repeat(20_000).into());
    all
}

fn source(entries: &Entries) -> String {
    entries.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key} {value}");
        text
    })
}

fn spec(kind: &str, folder: &Path) -> String {
    format!("{kind}:{}/{kind}", folder.display())
}

/// Equal, or else the first difference and not all of it.
fn same(got: &Entries, expected: &Entries, kind: &str) {
    let different = got.iter().zip(expected).find(|(a, b)| a != b);
    assert!(different.is_none() && got.len() == expected.len(), "{kind}: {} for {}, {different:?}", got.len(), expected.len());
}

const KINDS: [&str; 4] = ["hash", "btree", "lmdb", "cdb"];

// S-TABLE-01, S-TABLE-03, S-TABLE-04, S-DB-14
#[test]
fn postfix_reads_ours() {
    let Some(postfix) = Postfix::find() else { return };
    let (entries, folder) = (entries(), tempfile::tempdir().unwrap());
    let keys: String = entries.keys().map(|key| format!("{key}\n")).collect();
    for kind in KINDS {
        let spec = spec(kind, folder.path());
        let mut build = Build::create(&spec, BuildFlags::default(), &context()).unwrap();
        entries.iter().for_each(|(key, value)| build.put(key.as_bstr(), value.as_bstr()).unwrap());
        build.finish().unwrap();
        same(&pairs(&postfix.postmap(&["-q", "-", &spec], &keys)), &entries, kind);
        // Postfix 3.7 cannot list cdb.
        if kind != "cdb" {
            same(&postfix.list(&spec), &entries, kind);
        }
    }
}

// S-TABLE-01, S-TABLE-03, S-TABLE-04
#[test]
fn we_read_those_of_postfix() {
    let Some(postfix) = Postfix::find() else { return };
    let (entries, folder) = (entries(), tempfile::tempdir().unwrap());
    for kind in KINDS {
        let spec = spec(kind, folder.path());
        std::fs::write(folder.path().join(kind), source(&entries)).unwrap();
        postfix.postmap(&[&spec], "");
        same(&listed(&spec), &entries, kind);
        let table = try_open(&spec, OpenFlags::default(), &context()).unwrap();
        for (key, value) in &entries {
            assert_eq!(table.lookup(key.as_bstr()).unwrap().as_ref(), Some(value), "{kind} {key}");
        }
        for i in 0..10_000 {
            assert_eq!(table.lookup(format!("nosuch{i}@example.com").as_str().into()).unwrap(), None, "{kind}");
        }
    }
}

// S-TABLE-01, S-TABLE-04
#[test]
fn each_side_changes_the_files_of_the_other() {
    let Some(postfix) = Postfix::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    for kind in ["hash", "btree", "lmdb"] {
        let mut expected: Entries = entries().into_iter().take(20_000).collect();
        let spec = spec(kind, folder.path());
        let mut build = Build::create(&spec, BuildFlags::default(), &context()).unwrap();
        expected.iter().for_each(|(key, value)| build.put(key.as_bstr(), value.as_bstr()).unwrap());
        build.finish().unwrap();

        let new: Entries = (0..3000).map(|i| (format!("new{i}@x").into(), format!("v{i} e{}", "e".repeat(i % 300)).into())).collect();
        postfix.postmap(&["-i", &spec], &source(&new));
        let gone: Vec<BString> = expected.keys().step_by(3).cloned().collect();
        postfix.postmap(&["-d", "-", &spec], &gone.iter().map(|key| format!("{key}\n")).collect::<String>());
        expected.extend(new);
        gone.iter().for_each(|key| drop(expected.remove(key)));
        same(&listed(&spec), &expected, kind);

        let mut build = Build::update(&spec, false, BuildFlags::default(), &context()).unwrap();
        let gone: Vec<BString> = expected.keys().step_by(5).cloned().collect();
        assert!(gone.iter().all(|key| build.delete(key.as_bstr())));
        build.put("zz@y".into(), "last".into()).unwrap();
        build.finish().unwrap();
        gone.iter().for_each(|key| drop(expected.remove(key)));
        expected.insert("zz@y".into(), "last".into());
        same(&postfix.list(&spec), &expected, kind);
    }
}
