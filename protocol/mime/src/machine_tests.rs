//! What is a header and what is a boundary: as Postfix 3.7 applied its checks to these messages.

use super::*;
use bstr::ByteSlice;
use proptest::prelude::*;

/// Writes down what it is told: `P/M/N name` for headers, `--` for the end of a block, `| text` for body lines.
#[derive(Default)]
struct Script(Vec<String>);

impl Handler for Script {
    type Error = ();
    fn header(&mut self, header: Header<'_>) -> Result<(), ()> {
        let class = match header.class {
            Class::Primary => 'P',
            Class::Mime => 'M',
            Class::Nested => 'N',
        };
        self.0.push(format!("{class} {}", header.text.as_bstr()));
        Ok(())
    }
    fn headers_end(&mut self, _: Block, how: HeadersEnd) -> Result<(), ()> {
        self.0.push(if how == HeadersEnd::EmptyLine { "--" } else { "-!" }.into());
        Ok(())
    }
    fn body(&mut self, line: &[u8], whole: bool, _: u64) -> Result<(), ()> {
        self.0.push(format!("{} {}", if whole { '|' } else { '+' }, line.as_bstr()));
        Ok(())
    }
    fn fault(&mut self, fault: Fault, context: &[u8]) -> Result<(), ()> {
        self.0.push(format!("! {}: {}", fault.text(), context.as_bstr()));
        Ok(())
    }
}

fn run_with(options: Options, text: &str) -> Vec<String> {
    let mut machine = Machine::new(options);
    let mut script = Script::default();
    for line in text.lines() {
        machine.line(line.as_bytes(), true, &mut script).expect("never fails");
    }
    machine.end(&mut script).expect("never fails");
    script.0
}

fn headers(text: &str) -> Vec<String> {
    let script = run_with(Options::default(), text);
    script.into_iter().filter(|l| l.starts_with(['P', 'M', 'N'])).map(|l| l.replace("Content-Type", "CT")).collect()
}

/// S-CHECK-02
#[test]
fn folded_headers_are_one() {
    assert_eq!(run_with(Options::default(), "A: 1\n 2\n\t3\nB: 4\n\n x"), ["P A: 1\n 2\n\t3", "P B: 4", "--", "|  x"]);
    assert_eq!(run_with(Options::default(), "no header\nB: 4"), ["-!", "| no header", "| B: 4"]);
    assert_eq!(run_with(Options::default(), " leading\nB: 4"), ["-!", "|  leading", "| B: 4"]);
    assert_eq!(run_with(Options::default(), "A: 1\nX Y: z\nB: 4"), ["P A: 1", "-!", "| X Y: z", "| B: 4"]);
    assert_eq!(run_with(Options::default(), ""), ["-!"]);
    assert_eq!(run_with(Options::default(), "\nx"), ["--", "| x"]);
}

/// S-CHECK-01
#[test]
fn classes() {
    let part = "MIME-Version: x\nContent-Type: text/plain\nContent-Length: x\nX: y\n\n";
    assert_eq!(headers(part), ["M MIME-Version: x", "M CT: text/plain", "P Content-Length: x", "P X: y"]);
    let text = format!("Content-Type: multipart/mixed; boundary=b\n\nX: not\n--b\n{part}--b\nContent-Type: message/rfc822\nX: y\n\n{part}");
    let m = ["M CT: multipart/mixed; boundary=b", "M MIME-Version: x", "M CT: text/plain", "M Content-Length: x", "M X: y"];
    let n = ["M CT: message/rfc822", "M X: y", "M MIME-Version: x", "M CT: text/plain", "N Content-Length: x", "N X: y"];
    assert_eq!(headers(&text), [&m[..], &n[..]].concat());
}

#[test]
fn boundaries() {
    let multipart =
        |boundary: &str, rest: &str| headers(&format!("Content-Type: multipart/mixed; boundary={boundary}\n\n{rest}"))[1..].to_vec();
    let parts = "--bbfoo\nX: 1\n\n--bb \nX: 2\n\n --bb\nX: 3\n\n--bb--foo\nX: 4\n\n--bb\nX: 5\n\n";
    assert_eq!(multipart("bb", parts), ["M X: 1", "M X: 2"]);
    assert_eq!(multipart("\"a b\"", "--a b\nX: 1\n\n"), ["M X: 1"]);
    assert_eq!(multipart("\"a b \"", "--a b\nX: 1\n\n--a b \nX: 2\n\n"), ["M X: 2"]);
    assert_eq!(multipart("b", "--b\nX: 1\n--b\nX: 2\n cont\n--b--\nX: 3\n"), ["M X: 1", "M X: 2\n cont"]);
    // A multipart that was not closed ends with the one around it.
    let inner = "--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nX: 1\n\n--a\nX: 2\n\n--b\nX: 3\n\n--a--\n--b\nX: 4\n";
    assert_eq!(multipart("a", inner), ["M CT: multipart/mixed; boundary=b", "M X: 1", "M X: 2"]);
    let short = Options { boundary_length_limit: 5, ..Options::default() };
    let text = "Content-Type: multipart/mixed; boundary=abcdefgh\n\n--abcdeZZ\nX: 1\n\n--abcd\nX: 2\n\n";
    assert!(run_with(short, text).contains(&"M X: 1".into()));
    assert_eq!(multipart("abcdefgh", "--abcdeZZ\nX: 1\n\n--abcd\nX: 2\n\n"), [""; 0]);
    // The boundary counts although the last header says something else.
    let twice = "Content-Type: multipart/mixed; boundary=b\nContent-Type: text/plain\n\n--b\nX: 1\n\n";
    assert_eq!(headers(twice)[2..], ["M X: 1"]);
}

#[test]
fn attached_messages() {
    assert_eq!(headers("Content-Type: message/rfc822\n\nY: 2\n\nZ: 1\n")[1..], ["N Y: 2"]);
    assert_eq!(headers("Content-Type: message/global\n\nY: 2\n\nZ: 1\n")[1..], ["N Y: 2"]);
    for other in ["message/partial; id=x", "message/external-body", "message/delivery-status", "text/rfc822-headers"] {
        assert_eq!(headers(&format!("Content-Type: {other}\n\nY: 2\n\nZ: 1\n")).len(), 1, "{other}");
    }
    let digest = "Content-Type: multipart/digest; boundary=b\n\n--b\nX: 1\n\nY: 2\n\n--b\nContent-Type: text/plain\n\nZ: 1\n";
    assert_eq!(headers(digest)[1..], ["M X: 1", "N Y: 2", "M CT: text/plain"]);
}

#[test]
fn structure_is_left_alone_when_told_so() {
    let options = Options { mime: false, ..Options::default() };
    let script = run_with(options, "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: 1\n");
    assert_eq!(script, ["P Content-Type: multipart/mixed; boundary=b", "--", "| --b", "| X: 1"]);
}

fn faults(options: Options, text: &str) -> Vec<String> {
    run_with(options, text).into_iter().filter_map(|l| l.strip_prefix("! ").map(str::to_owned)).collect()
}

#[test]
fn nesting_limit() {
    let text = |depth: usize| {
        let part = |n: usize| {
            format!("{}Content-Type: multipart/mixed; boundary=b{n}\n\n", if n == 1 { String::new() } else { format!("--b{}\n", n - 1) })
        };
        (1..=depth).map(part).collect::<String>()
    };
    let options = Options { nesting_limit: 3, ..Options::default() };
    assert_eq!(faults(options.clone(), &text(5)), [""; 0]);
    let fault = "MIME nesting exceeds safety limit: Content-Type: multipart/mixed; boundary=b6";
    assert_eq!(faults(options.clone(), &text(7)), [fault]);
    // Attached messages do not count.
    assert_eq!(faults(options, &"Content-Type: message/rfc822\n\n".repeat(9)), [""; 0]);
}

#[test]
fn strict() {
    let strict = Options { strict_7bit_headers: true, strict_8bitmime_body: true, strict_encoding_domain: true, ..Options::default() };
    let header = "improper use of 8-bit data in message header: ";
    let body = "improper use of 8-bit data in message body: é";
    let f = |text: &str| faults(strict.clone(), text);
    assert_eq!(f("Subject: é\nX: é\n\né\n"), [format!("{header}Subject: é"), body.into()]);
    assert_eq!(f("A: x\n\né\né2\n"), [body]);
    assert_eq!(f("Content-Transfer-Encoding: 8bit\n\né\n"), [""; 0]);
    assert_eq!(f("Content-Transfer-Encoding: binary\n\né\n"), [""; 0]);
    assert_eq!(f("Content-Transfer-Encoding: base64\n\né\n"), [""; 0]);
    assert_eq!(f("Content-Transfer-Encoding: 7bit\n\né\n"), [body]);
    assert_eq!(f("Content-Transfer-Encoding: foo\n\né\n"), [body]);
    assert_eq!(f("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\n\né\n"), [body]);
    let domain = "invalid message/* or multipart/* encoding domain: base64";
    assert_eq!(f("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n"), [domain]);
    assert_eq!(f("Content-Type: message/partial\nContent-Transfer-Encoding: base64\n\n"), [""; 0]);
}

/// S-REWRITE-18: the text is cut at the limit, newlines counted.
#[test]
fn header_size_limit() {
    let options = Options { header_size_limit: 100, ..Options::default() };
    let text =
        format!("X-A: {}\nX-B: b\n {}\n {}\n d\nX-C: c\n{}X-D: y\n\nb", "a".repeat(200), "b".repeat(50), "c".repeat(50), " c\n".repeat(60));
    let script = run_with(options, &text);
    assert_eq!(script[0], format!("P X-A: {}", "a".repeat(95)));
    assert_eq!(script[1], format!("P X-B: b\n {}\n {}", "b".repeat(50), "c".repeat(40)));
    assert_eq!(script[2], format!("P X-C: c{}", "\n c".repeat(31)));
    assert_eq!(script[3], "P X-D: y");
}

#[test]
fn pieces_of_long_lines() {
    let mut machine = Machine::new(Options::default());
    let mut script = Script::default();
    for (text, whole) in [("X: aa", false), ("bb", false), ("", true), (" cc", true), ("", true), ("--b", false), ("--b", true)] {
        machine.line(text.as_bytes(), whole, &mut script).expect("never fails");
    }
    assert_eq!(script.0, ["P X: aabb\n cc", "--", "+ --b", "| --b"]);
}

/// RFC 1652 §3; as Postfix sends to a server without 8BITMIME.
#[test]
fn downgrade() {
    let run = |text: &str| run_with(Options { downgrade: true, ..Options::default() }, text);
    let c = "Content-Transfer-Encoding:";
    assert_eq!(run(&format!("A: 1\n{c} 8bit\nZ: 1\n\né")), ["P A: 1", "P Z: 1", &format!("M {c} quoted-printable"), "--", "| =C3=A9"]);
    assert_eq!(run(&format!("{c} base64\n\né")), [&format!("M {c} base64"), "--", "| é"]);
    assert_eq!(run("A: 1\n\né"), ["P A: 1", "--", "| é"]);
    let text = format!(
        "Content-Type: multipart/mixed; boundary=b\n{c} 8bit\n\né\n--b\n{c} 8bit\n\né\n--b\n\né\n--b\nContent-Type: message/rfc822\n{c} 8bit\n\nSubject: é\n{c} 8bit\n\né\n--b--\né\n"
    );
    let seven = format!("M {c} 7bit");
    let quoted = format!("M {c} quoted-printable");
    assert_eq!(
        run(&text),
        [
            "M Content-Type: multipart/mixed; boundary=b",
            &seven,
            "--",
            "| é",
            "| --b",
            &quoted,
            "--",
            "| =C3=A9",
            "| --b",
            "--",
            "| é",
            "| --b",
            "M Content-Type: message/rfc822",
            &seven,
            "--",
            "N Subject: é",
            &quoted,
            "--",
            "| =C3=A9",
            "| --b--",
            "| é"
        ]
    );
}

/// Where body_checks_size_limit counts from.
#[test]
fn body_offsets() {
    struct Offsets(Vec<u64>);
    impl Handler for Offsets {
        type Error = ();
        fn header(&mut self, _: Header<'_>) -> Result<(), ()> {
            Ok(())
        }
        fn headers_end(&mut self, _: Block, _: HeadersEnd) -> Result<(), ()> {
            Ok(())
        }
        fn body(&mut self, _: &[u8], _: bool, at: u64) -> Result<(), ()> {
            self.0.push(at);
            Ok(())
        }
        fn fault(&mut self, _: Fault, _: &[u8]) -> Result<(), ()> {
            Ok(())
        }
    }
    let mut machine = Machine::new(Options::default());
    let mut offsets = Offsets(Vec::new());
    for line in "Content-Type: multipart/mixed; boundary=b\n\nab\ncd\n--b\n\nef\ngh".lines() {
        machine.line(line.as_bytes(), true, &mut offsets).expect("never fails");
    }
    assert_eq!(offsets.0, [0, 3, 0, 0, 3]);
}

proptest! {
    /// Nothing is lost and nothing is added: what is told makes up the message again.
    #[test]
    fn complete(text in "(Content-Type: multipart/mixed; boundary=b\n)?((Content-Type: message/rfc822|X: y|--b|--b--| z|é|)\n){0,12}") {
        let again: String = run_with(Options::default(), &text)
            .iter()
            .map(|l| match l.as_str() {
                "--" => "\n".into(),
                "-!" => String::new(),
                l => format!("{}\n", &l[2..]),
            })
            .collect();
        prop_assert_eq!(again, text);
    }

    #[test]
    fn takes_anything(lines in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..30), any::<bool>()), 0..20)) {
        let strict = Options { strict_7bit_headers: true, strict_8bitmime_body: true, downgrade: true, nesting_limit: 1, ..Options::default() };
        let mut machine = Machine::new(strict);
        let mut script = Script::default();
        for (text, whole) in lines {
            machine.line(&text, whole, &mut script).expect("never fails");
        }
        machine.end(&mut script).expect("never fails");
    }
}
