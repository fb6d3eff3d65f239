//! The commands as they are called, on files of their own.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use posthaste_cmd_postmap::main;
use posthaste_table::{Context, OpenFlags, Settings, try_open};
use std::ffi::OsString;
use std::path::Path;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(main_cf: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        // Users that every host has.
        let main_cf = format!("mail_owner = daemon\nsetgid_group = games\n{main_cf}");
        std::fs::write(folder.path().join("main.cf"), main_cf).unwrap();
        Place { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Whether the command succeeds.
    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let folder = self.folder.path();
        let words = [program, "-c"].into_iter().map(OsString::from).chain([folder.into()]).chain(arguments.iter().map(OsString::from));
        // An exit code shows its value only so.
        format!("{:?}", main(words.collect())) == format!("{:?}", std::process::ExitCode::SUCCESS)
    }

    fn find(&self, spec: &str, key: &str) -> Option<String> {
        let flags = OpenFlags { keep_case: true, ..OpenFlags::default() };
        let context = Context::with_report(Settings::default(), |_, _| {});
        let table = try_open(spec, flags, &context).unwrap();
        table.lookup(key.into()).unwrap().map(|value| value.to_string())
    }
}

// S-TABLE-14
#[test]
fn the_default_type_is_that_of_main_cf() {
    let place = Place::new("default_database_type = btree\n");
    place.write("t", "a b\n");
    assert!(place.run("postmap", &[&place.path("t")]));
    assert_eq!(place.find(&format!("btree:{}", place.path("t")), "a").as_deref(), Some("b"));
}

// S-TABLE-18, S-TABLE-15
#[test]
fn lines_that_cannot_be_used_are_left_out() {
    let place = Place::new("");
    place.write("t", "# c\nKey1  value one\n continued\nkey2\n\"a b\" c\nkey1 again\n");
    let spec = format!("hash:{}", place.path("t"));
    assert!(place.run("postmap", &[&spec]));
    assert_eq!(place.find(&spec, "key1").as_deref(), Some("value one continued"));
    assert_eq!(place.find(&spec, "key2"), None);
    assert_eq!(place.find(&spec, "\"a b\"").as_deref(), Some("c"));
    assert!(place.run("postmap", &["-q", "KEY1", &spec]));
    assert!(!place.run("postmap", &["-q", "key2", &spec]));
    assert!(place.run("postmap", &["-d", "key1", &spec]));
    assert!(!place.run("postmap", &["-d", "key1", &spec]));
}

// S-TABLE-06
#[test]
fn pattern_files_can_be_indexed_to_no_use() {
    let place = Place::new("default_database_type = hash\n");
    place.write("body_checks", "/^x$/ REJECT\n");
    assert!(place.run("postmap", &[&place.path("body_checks")]));
    assert!(Path::new(&place.path("body_checks.db")).exists());
    assert!(!place.run("postmap", &[&format!("regexp:{}", place.path("body_checks"))]));
}

// S-TABLE-16, S-MAP-01
#[test]
fn alias_tables_hold_the_marks_of_nis() {
    let place = Place::new("myhostname = mx.example.com\n");
    place.write("aliases", "# c\nRoot: alice,bob\n\"quoted user\": kdent\nlist: :include:/etc/list,\n  \"|cmd arg\"\n");
    let spec = format!("lmdb:{}", place.path("aliases"));
    assert!(place.run("postalias", &[&spec]));
    for (key, value) in [
        ("root", "alice, bob"),
        ("quoted user", "kdent"),
        ("list", ":include:/etc/list, \"|cmd arg\""),
        ("@", "@"),
        ("YP_MASTER_NAME", "mx.example.com"),
    ] {
        assert_eq!(place.find(&spec, key).as_deref(), Some(value), "{key}");
    }
    assert!(place.find(&spec, "YP_LAST_MODIFIED").is_some());
}

#[test]
fn values_may_be_files() {
    let place = Place::new("");
    place.write("one", "hello\n");
    place.write("two", "there\n");
    place.write("t", &format!("k {},{}\nbad /nosuch\n", place.path("one"), place.path("two")));
    let spec = format!("cdb:{}", place.path("t"));
    assert!(place.run("postmap", &["-F", &spec]));
    assert_eq!(place.find(&spec, "k").as_deref(), Some("aGVsbG8KCnRoZXJlCg=="));
    assert_eq!(place.find(&spec, "bad"), None);
    assert!(place.run("postmap", &["-Fq", "k", &spec]));
}
