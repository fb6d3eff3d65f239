//! The texts of warnings and errors were observed with `postconf -b` of Postfix 3.7.11.

use super::*;

fn config(text: &str) -> Config {
    Config::parse(&format!("myhostname = mail.example.com\ncompatibility_level = 3.6\n{text}"), "main.cf").unwrap()
}

fn parse(text: &str) -> Result<Templates, TemplateError> {
    Templates::parse(text, "/tpl", &config(""))
}

fn failure(text: &str) -> Template {
    parse(text).unwrap().get(Kind::Failure).clone()
}

fn expanded(text: &str, main: &str) -> (Result<String, String>, Vec<String>) {
    let mut warnings = Vec::new();
    let template = failure(&format!("failure_template = <<EOF\n\n{text}\nEOF\n"));
    let result = template.expand(&config(main), &mut warnings).map_err(|error| error.to_string());
    (result, warnings)
}

// S-CONF-35
#[test]
fn builtin_templates() {
    let templates = Templates::builtin(&config("")).unwrap();
    let shown = templates.display();
    assert!(shown.starts_with(
        "failure_template = <<EOF\nCharset: us-ascii\nFrom: Mail Delivery System <MAILER-DAEMON>\n\
         Subject: Undelivered Mail Returned to Sender\nPostmaster-Subject: Postmaster Copy: Undelivered Mail\n\n\
         This is the mail system at host $myhostname.\n\n"
    ));
    assert!(shown.ends_with("\n\n                   The mail system\nEOF\n"));
    assert_eq!(shown.matches("_template = <<EOF").count(), 4);
    let mut warnings = Vec::new();
    let text = templates.display_expanded(&config("delay_warning_time = 4h"), &mut warnings).unwrap();
    assert!(text.starts_with("expanded_failure_text = <<EOF\nThis is the mail system at host mail.example.com.\n\n"));
    assert!(text.contains("more than 4 hour(s)") && text.contains("5 day(s) old") && !text.contains('$'));
    assert_eq!(warnings, Vec::<String>::new());
    let obsolete = Templates::builtin(&config("header_from_format = obsolete")).unwrap();
    assert_eq!(obsolete.get(Kind::Failure).from, "MAILER-DAEMON (Mail Delivery System)");
}

#[test]
fn what_is_shown_can_be_read_back() {
    let templates = Templates::builtin(&config("")).unwrap();
    let again = parse(&templates.display()).unwrap();
    for kind in Kind::ALL {
        assert_eq!(again.get(kind), &Template { origin: "/tpl".to_owned(), ..templates.get(kind).clone() });
    }
}

#[test]
fn a_template_replaces_what_it_names() {
    let text = "# x\n\nfailure_template = <<EOF\nFROM: a@b (c)\nSubject :S\n\nHello\n  \\x\n#y\n\nEOF\n";
    let template = failure(text);
    assert_eq!((template.from.as_str(), template.subject.as_str(), template.charset.as_str()), ("a@b (c)", "S", "us-ascii"));
    assert_eq!(template.postmaster_subject.as_deref(), Some("Postmaster Copy: Undelivered Mail"));
    assert_eq!(template.text, "Hello\n  \\x\n#y\n\n");
    assert_eq!(failure("failure_template = <<X Y\nno header\nx\nX Y\n").text, "no header\nx\n");
    assert_eq!(failure("failure_template = <<EOF\nFrom: x\n y\n\nx\nEOF\n").text, " y\n\nx\n");
    assert_eq!(failure("failure_template =<<E\n\na\nE\nfailure_template = <<X\n\nb\nX\n").text, "b\n");
    assert_eq!(failure("failure_template = <<EOF\n\n  EOF\nEOF x\nEOF \nEOF\n").text, "  EOF\nEOF x\nEOF \n");
}

#[test]
fn a_bad_template_is_ignored() {
    let builtin = Templates::builtin(&config("")).unwrap();
    for (text, warning) in [
        ("Nope: x\n\nx\n", "/tpl: unknown \"Nope\" header label in failure template -- ignoring this template"),
        ("From: é\n\nx\n", "/tpl: non-ASCII \"From\" header value in failure template -- ignoring this template"),
        ("Subject:\n\nx\n", "/tpl: empty \"Subject\" header value in failure template -- ignoring this template"),
        ("Subject: x\n", "/tpl: missing message text in failure template -- ignoring this template"),
        ("", "/tpl: missing message text in failure template -- ignoring this template"),
        ("\né\n", "/tpl: 8-bit message text in failure template"),
    ] {
        let templates = parse(&format!("failure_template = <<EOF\n{text}EOF\n")).unwrap();
        assert_eq!(templates.warnings[0], warning);
        assert_eq!(templates.get(Kind::Failure), builtin.get(Kind::Failure));
    }
    let success = parse("success_template = <<EOF\nPostmaster-Subject: x\n\nx\nEOF\n").unwrap();
    assert_eq!(success.warnings, ["/tpl: inapplicable \"Postmaster-Subject\" header label in success template -- ignoring this template"]);
    let unknown = parse("\nfoo_template = <<EOF\n\nx\nEOF\n").unwrap();
    assert_eq!(unknown.warnings, ["/tpl, line 2: unknown template name: foo_template -- ignoring this template"]);
    let open = parse("failure_template = <<EOF\n\nx\n").unwrap();
    assert_eq!((open.warnings[0].as_str(), open.get(Kind::Failure).text.as_str()), ("/tpl, line 3: missing \"EOF\" end marker", "x\n"));
}

#[test]
fn a_bad_file_is_an_error() {
    for (text, error) in [
        ("failure_template = <<\nx\n", "/tpl, line 1: missing end marker after <<"),
        ("x = <<\"EOF\"\n", "/tpl, line 1: malformed end marker after <<"),
        ("\nfailure_template <<EOF\n", "/tpl, line 2: missing '=' after attribute name: \"failure_template <<EOF\""),
        ("= <<EOF", "/tpl, line 1: missing attribute name: \"= <<EOF\""),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), error);
    }
}

#[test]
fn references_in_the_text() {
    let (text, warnings) = expanded("$$ $mydomain ${own?{x}} $maximal_queue_lifetime_days|$delay_warning_time_hours", "own = z");
    assert_eq!((text.as_deref(), warnings.len()), (Ok("$ example.com x 5|0\n"), 0));
    let (text, _) = expanded("a $nosuch b", "");
    assert_eq!(text, Err("/tpl: undefined $name in failure template: a $nosuch b".to_owned()));
    let (text, _) = expanded("x ${", "");
    assert_eq!(text, Err("/tpl: bad $name syntax in failure template: x ${".to_owned()));
    let (text, _) = expanded("$myhostname", "myhostname = xn--bcher-kva.example");
    assert_eq!(text.as_deref(), Ok("bücher.example\n"));
}

#[test]
fn units_that_do_not_fit_are_reported() {
    let (text, warnings) = expanded("$maximal_queue_lifetime_weeks", "maximal_queue_lifetime = 36h");
    assert_eq!(text.as_deref(), Ok("0\n"));
    assert_eq!(
        warnings,
        [
            "/tpl: zero result in failure template conversion of parameter \"maximal_queue_lifetime_weeks\"",
            "please reduce time unit \"weeks\" of \"maximal_queue_lifetime_weeks\" in failure template",
            "for instructions see the bounce(5) manual"
        ]
    );
    let (_, warnings) = expanded("$maximal_queue_lifetime_minutes", "maximal_queue_lifetime = 36h");
    assert!(warnings[0].starts_with("/tpl: excessive result \"2160\" in failure template"));
}
