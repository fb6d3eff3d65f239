//! What is not in the parity scenarios. Expected texts were observed with postconf of Postfix 3.7.11, unless a comment says otherwise.

use super::*;
use std::fs;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(main: &str, master: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.cf"), main).unwrap();
        fs::write(folder.path().join("master.cf"), master).unwrap();
        Place { folder }
    }

    /// Status, output and errors; the folder's name is shown as DIR.
    fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let folder = self.folder.path().to_str().unwrap();
        let words = ["postconf", "-c", folder].iter().chain(arguments).map(OsString::from).collect();
        let (terminal, result) = execute(words);
        let text = |stream| terminal.text(stream).replace(folder, "DIR");
        (result.is_ok(), text(Stream::Output), text(Stream::Errors))
    }

    fn output(&self, arguments: &[&str]) -> String {
        let (ok, output, errors) = self.run(arguments);
        assert!(ok, "{arguments:?}: {errors}");
        output
    }

    fn fatal(&self, arguments: &[&str]) -> String {
        let (ok, _, errors) = self.run(arguments);
        assert!(!ok, "{arguments:?}");
        errors.trim_end().rsplit("fatal: ").next().unwrap_or_default().to_owned()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

const MASTER: &str = "# top\nsmtp inet n - n - - smtpd\n  -o a=b\nfoo unix - - n - - pipe flags=R\n# end\n";

// S-CONF-28, S-CONF-29
#[test]
fn shows_parameters() {
    let place = Place::new("relayhost = a\tb   c\nmyown = $relayhost\nmyorigin = $myown\nmydomain = example.com\n", "");
    assert_eq!(place.output(&["relayhost", "myown"]), "relayhost = a b c\nmyown = $relayhost\n");
    assert_eq!(place.output(&["-hx", "myorigin"]), "a b c\n");
    assert_eq!(
        place.output(&["-n"]),
        "config_directory = DIR\nmydomain = example.com\nmyorigin = $myown\nmyown = $relayhost\nrelayhost = a b c\n"
    );
    assert_eq!(
        place.output(&["-d", "relayhost", "mydestination"]),
        "relayhost =\nmydestination = $myhostname, localhost.$mydomain, localhost\n"
    );
    assert_eq!(place.output(&["-nC", "user"]), "myown = $relayhost\n");
    assert_eq!(place.output(&["-n", "-o", "relayhost=z", "relayhost", "myhostname"]), "relayhost = z\n");
    let (ok, output, errors) = place.run(&["nosuchparam"]);
    assert_eq!((ok, output.as_str(), errors.as_str()), (true, "", "postconf: warning: nosuchparam: unknown parameter\n"));
}

#[test]
fn folds_at_eighty_columns() {
    let place = Place::new(&format!("relayhost = {} b\nmyorigin = {} b\n", "a".repeat(66), "a".repeat(68)), "");
    assert_eq!(place.output(&["-f", "relayhost"]), format!("relayhost = {} b\n", "a".repeat(66)));
    assert_eq!(place.output(&["-f", "myorigin"]).lines().last(), Some("    b"));
}

// S-CONF-05, S-CONF-06, S-CONF-07; -q is from 3.9.
#[test]
fn warns_unless_told_not_to() {
    let place = Place::new("relayhost = $nodef\nfoo = bar\nsmtp_use_tls = yes\nmydomain = a\nmydomain = b\n", MASTER);
    let (_, _, errors) = place.run(&["-h", "mydomain"]);
    for line in [
        "DIR/main.cf, line 5: overriding earlier entry: mydomain=a",
        "DIR/main.cf: undefined parameter: nodef",
        "DIR/main.cf: unused parameter: foo=bar",
        "DIR/main.cf: support for parameter \"smtp_use_tls\" will be removed; instead, specify \"smtp_tls_security_level\"",
        "DIR/master.cf: unused parameter: a=b",
    ] {
        assert!(errors.contains(&format!("postconf: warning: {line}\n")), "{line}: {errors}");
    }
    let (_, output, errors) = place.run(&["-qh", "mydomain"]);
    assert_eq!((output.as_str(), errors.lines().count()), ("b\n", 1));
    let (_, _, errors) = place.run(&["-M"]);
    assert!(!errors.contains("foo=bar") && errors.contains("a=b"));
}

#[test]
fn options_that_do_not_go_together() {
    let place = Place::new("", MASTER);
    for (arguments, error) in [
        (&["-d", "-n"][..], "specify one of -d -n"),
        (&["-n", "a=d"], "specify one of -e -n"),
        (&["-X", "a=d"], "specify one of -e -X"),
        (&["-X#", "a"], "specify one of -X -#"),
        (&["-ed", "a=b"], "specify one of -d -e"),
        (&["-hH", "a"], "specify one of -h -H"),
        (&["-d", "-o", "a=b"], "specify one of -d -o"),
        (&["-l", "-m"], "specify one of -l -m"),
        (&["-M", "-n"], "with option -M, do not specify -n"),
        (&["-FX", "a/b/c"], "with option -F, do not specify -X"),
        (&["-x", "-l"], "with option -l, do not specify -x"),
        (&["-b", "-n"], "with option -b, do not specify -n"),
        (&["-C", "foo"], "unknown -C option value \"foo\" in \"foo\""),
        (&["-o", "=bad", "-n"], "invalid parameter override: =bad: missing attribute name"),
        (&["-b", "x", "y"], "options -b and -t require at most one template file"),
    ] {
        assert_eq!(place.fatal(arguments), error);
    }
}

// S-CONF-09, S-CONF-27
#[test]
fn files_that_cannot_be_used() {
    assert_eq!(
        Place::new("bad line here\n =x\n", "").fatal(&["-n"]),
        "DIR/main.cf, line 1: missing '=' after attribute name: \"bad line here =x\""
    );
    assert_eq!(Place::new("", "foo frob n - n - - smtpd").fatal(&["-M"]), "invalid type field \"frob\" in \"foo frob n - n - - smtpd\"");
    assert_eq!(Place::new("", "smtp inet n").fatal(&["-M"]), "file DIR/master.cf: line 1: bad field count");
    let place = Place::new("relayhost = ${x\n", "");
    assert_eq!(place.fatal(&["-x", "relayhost"]), "macro processing error");
    fs::remove_file(place.folder.path().join("master.cf")).unwrap();
    let (ok, output, errors) = place.run(&["-h", "mail_owner"]);
    assert!(ok && output == "postfix\n" && errors.contains("warning: open DIR/master.cf: No such file or directory"));
}

// S-CONF-30
#[test]
fn edits_main_cf() {
    let place = Place::new("a = b\n", "");
    place.output(&["-e", "  a =  d e   ", "b=1"]);
    assert_eq!(place.file("main.cf"), "a = d e\nb = 1\n");
    let (_, _, errors) = place.run(&["c=1", "c=2"]);
    assert_eq!(errors, "postconf: warning: ignoring earlier request: 'c = 1'\n");
    place.output(&["-#", "a"]);
    place.output(&["-X", "b", "c"]);
    assert_eq!(place.file("main.cf"), "#a = d e\n");
    for (arguments, error) in [
        (&["-e", "nosuch"][..], "missing '=' after attribute name: \"nosuch\""),
        (&["-e", "a = d\n e"], "-e, -X, or -# accepts no multi-line input"),
        (&["-e", "#a = d"], "-e, -X, or -# accepts no comment input"),
        (&["-X", ""], "-X or -# requires non-blank parameter names"),
        (&["a=d", "x"], "missing '=' after attribute name: \"x\""),
    ] {
        assert_eq!(place.fatal(arguments), error);
    }
    assert_eq!(place.file("main.cf"), "#a = d e\n");
}

// S-CONF-34
#[test]
fn edits_entries() {
    let end = "foo unix - - n - - pipe flags=R\n# end\n";
    let smtp = "smtp inet n - n - - smtpd\n  -o a=b\n";
    let edited = |arguments: &[&str]| {
        let place = Place::new("", MASTER);
        place.output(arguments);
        place.file("master.cf")
    };
    assert_eq!(
        edited(&["-Me", "new/unix = new unix n - y - - smtpd"]),
        format!("# top\n{smtp}{end}new        unix  n       -       y       -       -       smtpd\n")
    );
    let replaced = format!("# top\nsmtp       inet  n       -       y       -       -       smtpd\n{end}");
    assert_eq!(edited(&["-M", "smtp/inet = smtp inet n - y - - smtpd"]), replaced);
    assert_eq!(edited(&["-Me", "wrong/inet = smtp inet n - y - - smtpd"]), replaced);
    assert_eq!(edited(&["-MX", "smtp/inet"]), format!("# top\n{end}"));
    assert_eq!(edited(&["-M#", "*/inet"]), format!("# top\n#smtp inet n - n - - smtpd\n#  -o a=b\n{end}"));
    assert_eq!(edited(&["-MX", "no/unix"]), MASTER);
    let place = Place::new("", MASTER);
    for (arguments, error) in [
        (&["-M#", "foo"][..], "-Me, -MX or -M# requires service_name/type"),
        (&["-Me", "smtp/inet"], "missing '=' after attribute name: \"smtp/inet\""),
        (&["-Me", "smtp/inet = smtp inet n"], "bad field count: \"smtp/inet = smtp inet n\""),
        (&["-MX"], "missing service argument"),
        (&["-M", "/inet"], "-M option requires service_name[/type]"),
        (&["-M", "a/b/c"], "-M option requires service_name[/type]"),
    ] {
        assert_eq!(place.fatal(arguments), error);
    }
}

#[test]
fn edits_fields_and_parameters() {
    let edited = |arguments: &[&str]| {
        let place = Place::new("", MASTER);
        place.output(arguments);
        place.output(&["-qM"])
    };
    let smtp = |rest: &str| format!("smtp       inet  n       -       {rest}\n");
    let foo = "foo        unix  -       -       n       -       -       pipe flags=R\n";
    assert_eq!(
        edited(&["-F", "smtp/inet/chroot=-", "smtp/inet/service=smtp2"]).lines().next(),
        Some("smtp2      inet  n       -       -       -       -       smtpd -o a=b")
    );
    assert_eq!(edited(&["-F", "smtp/inet/command=a -o { b = c d } {e f}"]), smtp("n       -       -       a -o {b=c d} {e f}") + foo);
    assert_eq!(edited(&["-P", "smtp/inet/a=x", "smtp/inet/z=1"]), smtp("n       -       -       smtpd -o a=x -o z=1") + foo);
    assert_eq!(edited(&["-PX", "smtp/inet/a"]), smtp("n       -       -       smtpd") + foo);
    assert_eq!(
        edited(&["-P", "foo/unix/q=w"]),
        smtp("n       -       -       smtpd -o a=b") + "foo        unix  -       -       n       -       -       pipe -o q=w flags=R\n"
    );
    let place = Place::new("", MASTER);
    for (arguments, error) in [
        (&["-F", "smtp/inet/private=maybe"][..], "invalid private field \"maybe\" in \"maybe\""),
        (&["-F", "smtp/inet/wakeup=1 2"], "-Fe does not accept whitespace in non-command field"),
        (&["-F", "smtp/inet/nosuch=x"], "invalid service attribute name: \"nosuch\""),
        (&["-F", "smtp/chroot=y"], "-Fe or -FX requires service_name/type/field_name"),
        // Postfix writes an empty field, after which master.cf cannot be read.
        (&["-F", "smtp/inet/wakeup="], "invalid wakeup field \"\" in \"smtp/inet/wakeup=\""),
        (&["-P", "smtp/inet=y"], "-Pe or -PX requires service_name/type/parameter"),
        (&["-P", "smtp/inet/c=x y"], "-Pe does not accept whitespace in parameter value"),
    ] {
        assert_eq!(place.fatal(arguments), error);
    }
    let (_, _, errors) = place.run(&["-F", "no/inet/chroot=y"]);
    assert_eq!(errors, "postconf: warning: unmatched service_name/type: \"no/inet/chroot=y\"\n");
    assert_eq!(place.file("master.cf"), MASTER);
}

#[test]
fn shows_parameters_of_services() {
    let place = Place::new("mydomain = a.b\n", "x inet n - n - - smtpd -o foo=$mydomain -o relayhost=$foo argv=$mydomain\n");
    assert_eq!(place.output(&["-P"]), "x/inet/foo = $mydomain\nx/inet/relayhost = $foo\n");
    assert_eq!(place.output(&["-Px"]), "x/inet/foo = a.b\nx/inet/relayhost = a.b\n");
    assert!(place.output(&["-Mx"]).ends_with("smtpd -o foo=a.b -o relayhost=a.b argv=$mydomain\n"));
    // 3.11: everything that the service's program reads.
    assert_eq!(place.output(&["-PPx", "x/inet/relayhost"]), "x/inet/relayhost = a.b\n");
    let all = place.output(&["-PP"]);
    assert!(all.contains("x/inet/smtpd_timeout = ") && !all.contains("x/inet/qmgr_fudge_factor"));
}

#[test]
fn json() {
    let place = Place::new("mydomain = a \"b\"\n", MASTER);
    assert_eq!(place.output(&["-j", "mydomain"]), "{\"name\": \"mydomain\", \"value\": \"a \\\"b\\\"\"}\n");
    assert_eq!(
        place.output(&["-jM", "foo"]),
        "{\"service\": \"foo\", \"type\": \"unix\", \"private\": \"-\", \"unprivileged\": \"-\", \"chroot\": \"n\", \"wakeup\": \"-\", \
         \"process_limit\": \"-\", \"command\": \"pipe flags=R\"}\n"
    );
    assert_eq!(
        place.output(&["-jF", "smtp/inet/chroot"]),
        "{\"service\": \"smtp\", \"type\": \"inet\", \"field\": \"chroot\", \"value\": \"n\"}\n"
    );
    assert_eq!(place.output(&["-jP"]), "{\"service\": \"smtp\", \"type\": \"inet\", \"parameter\": \"a\", \"value\": \"b\"}\n");
}

// S-CONF-31, S-CONF-32, S-CONF-33
#[test]
fn lists() {
    let place = Place::new("", "");
    assert_eq!(place.output(&["-l"]), "flock\nfcntl\ndotlock\n");
    assert_eq!(place.output(&["-a"]), "cyrus\ndovecot\n");
    assert_eq!(place.output(&["-A"]), "cyrus\n");
    let tables = place.output(&["-m"]);
    assert!(tables.lines().is_sorted() && tables.lines().any(|name| name == "hash"));
    let (ok, _, errors) = place.run(&["-T", "foo"]);
    assert_eq!((ok, errors.as_str()), (false, "postconf: warning: unknown 'postconf -T' mode: foo\n"));
}

// S-CONF-35
#[test]
fn templates() {
    let place = Place::new("myhostname = mail.example.com\n", "");
    assert!(place.output(&["-b"]).starts_with("expanded_failure_text = <<EOF\nThis is the mail system at host mail.example.com.\n"));
    assert!(place.output(&["-t", ""]).contains("Subject: Undelivered Mail Returned to Sender\n"));
    let (_, _, errors) = place.run(&["-b", "/nosuch"]);
    assert_eq!(errors, "postfix/bounce: fatal: open /nosuch: No such file or directory\n");
}
