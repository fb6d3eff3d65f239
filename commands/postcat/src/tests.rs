//! Expected texts are what Postfix 3.7.11 printed for these files. S-CMD-10.

use super::*;
use posthaste_queue::record::{pointer, put_record};

fn all() -> Options {
    Options { envelope: true, header: true, body: true, ..Options::default() }
}

fn file(records: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, payload) in records {
        put_record(&mut out, T(*kind), payload);
    }
    out
}

/// Sender `a@x` and this content.
fn content(records: &[(u8, &[u8])]) -> Vec<u8> {
    let all: Vec<(u8, &[u8])> =
        [(b'S', &b"a@x"[..]), (b'M', b"")].iter().chain(records).chain(&[(b'X', &b""[..]), (b'E', b"")]).copied().collect();
    file(&all)
}

/// Output, warnings, and the fatal error if any.
fn run(bytes: &[u8], options: &Options) -> (String, Vec<String>, Option<String>) {
    let (mut out, mut warnings) = (Vec::new(), Vec::new());
    let result = show("/tmp/m", &bytes.to_vec(), options, &mut out, &mut |text| warnings.push(text));
    if let Err(ShowError::Record(text)) = &result {
        warnings.push(text.clone());
    }
    (String::from_utf8_lossy(&out).into_owned(), warnings, result.err().map(|error| error.to_string()))
}

fn envelope() -> Vec<u8> {
    let mut bytes = file(&[
        (b'C', b"             28             163               1               0              28               0"),
        (b'A', b"foo=bar"),
        (b'L', b"smtp:[x]"),
        (b'K', b"killed"),
        (b'R', b"r@x"),
        (b'D', b"d@x"),
        (b'/', b"c@x"),
        (b'w', b"  0"),
    ]);
    let place = bytes.len();
    put_record(&mut bytes, T::POINTER, &pointer(0));
    put_record(&mut bytes, T::MESSAGE, b"");
    assert_eq!(bytes.len(), 163);
    bytes.extend(file(&[(b'L', b"Subject: long"), (b'N', b"cont"), (b'N', b""), (b'L', b"xxx")]));
    bytes.extend(file(&[(b'X', b""), (b'L', b"filter:y"), (b'E', b"")]));
    let end = bytes.len();
    bytes.extend(file(&[(b'R', b"add@x"), (b'p', &pointer(place as u64 + 17))]));
    let mut jump = Vec::new();
    put_record(&mut jump, T::POINTER, &pointer(end as u64));
    bytes[place..place + 17].copy_from_slice(&jump);
    bytes
}

#[test]
fn offsets_and_types() {
    let (out, warnings, fatal) = run(&envelope(), &Options { offsets: true, decimal: true, ..all() });
    // The offset of a record behind padding and pointers is shown as theirs.
    let want = "*** ENVELOPE RECORDS /tmp/m ***
        0  67 message_size:              28             163               1               0              28               0
       97  65 named_attribute: foo=bar
      106  76 content_filter: smtp:[x]
      116  75 killed_record: killed
      124  82 recipient: r@x
      129  68 done_recipient: d@x
      134  47 canceled_recipient: c@x
      139  82 recipient: add@x
      212  77 *** MESSAGE CONTENTS /tmp/m ***
      163  76 Subject: long
      178  78 cont
      184  78 
      186  76 xxx
      191  88 *** HEADER EXTRACTED /tmp/m ***
      193  76 content_filter: filter:y
      203  69 *** MESSAGE FILE END /tmp/m ***
"
    .to_owned();
    assert_eq!((out, warnings.len(), fatal), (want, 0, None));
}

#[test]
fn lines_are_put_together() {
    let (out, ..) = run(&envelope(), &all());
    assert!(out.contains("\nSubject: longcont\n\nxxx\n*** HEADER EXTRACTED /tmp/m ***\n"), "{out}");
    let (out, ..) = run(&envelope(), &Options { decimal: true, ..all() });
    assert!(out.contains("\n 76 Subject: long 78 cont\n 78 \n 76 xxx\n 88 *** HEADER"), "{out}");
}

#[test]
fn parts() {
    let (out, ..) = run(&envelope(), &Options { header: true, ..Options::default() });
    assert_eq!(out, "Subject: longcont\n");
    let (out, ..) = run(&envelope(), &Options { body: true, ..Options::default() });
    assert_eq!(out, "\nxxx");
    let (out, ..) = run(&envelope(), &Options { envelope: true, ..Options::default() });
    assert!(
        out.ends_with(
            "*** MESSAGE CONTENTS /tmp/m ***\n*** HEADER EXTRACTED /tmp/m ***\ncontent_filter: filter:y\n*** MESSAGE FILE END /tmp/m ***\n"
        ),
        "{out}"
    );
    let (out, ..) = run(&envelope(), &Options { envelope: true, header: true, ..Options::default() });
    assert!(out.contains("CONTENTS /tmp/m ***\nSubject: longcont\n*** HEADER EXTRACTED"), "{out}");
}

#[test]
fn all_records_and_file_order() {
    let (out, ..) = run(&envelope(), &Options { verbose: true, raw: true, ..all() });
    let tail = out.split_once("canceled_recipient: c@x\n").unwrap().1;
    assert_eq!(
        tail,
        "padding:   0
pointer_record:             205
*** MESSAGE CONTENTS /tmp/m ***
unterminated_text: Subject: long
regular_text: cont
regular_text: 
unterminated_text: xxx
*** HEADER EXTRACTED /tmp/m ***
content_filter: filter:y
*** MESSAGE FILE END /tmp/m ***
recipient: add@x
pointer_record:             161
"
    );
    let (out, ..) = run(&envelope(), &Options { verbose: true, ..all() });
    assert!(
        out.contains("pointer_record:             205\nrecipient: add@x\npointer_record:             161\n*** MESSAGE CONTENTS"),
        "{out}"
    );
}

#[test]
fn first_lines_that_are_no_header() {
    let bytes = content(&[(b'N', b" leading"), (b'N', b"not a header"), (b'N', b"Sub: x")]);
    assert_eq!(run(&bytes, &Options { header: true, ..Options::default() }).0, " leading\n");
    assert_eq!(run(&bytes, &Options { body: true, ..Options::default() }).0, "not a header\nSub: x\n");
    let bytes = content(&[(b'N', b">From x y"), (b'N', b"H: x")]);
    assert_eq!(run(&bytes, &Options { header: true, ..Options::default() }).0, "");
}

#[test]
fn damaged_files() {
    let not_a_file = vec!["/tmp/m: input is not a valid queue file".to_owned()];
    assert_eq!(run(b"garbage\n", &all()), (String::new(), not_a_file.clone(), None));
    assert_eq!(run(b"Z\x01x", &all()), (String::new(), not_a_file.clone(), None));
    assert_eq!(run(b"p\x010", &Options { verbose: true, ..all() }), (String::new(), not_a_file, None));
    assert_eq!(run(b"", &all()), (String::new(), vec![], None));
    let (out, warnings, fatal) = run(b"S\x01aA\x04junkR\x05x", &all());
    assert_eq!(out, "*** ENVELOPE RECORDS /tmp/m ***\nsender: a\n");
    assert_eq!(
        warnings,
        ["/tmp/m: malformed attribute: missing '=' after attribute name: junk", "unexpected EOF in data, record type 82 length 5"]
    );
    assert_eq!(fatal, Some("record read error".into()));
    let (_, _, fatal) = run(b"S\x01ap\x04junk", &Options { verbose: true, ..all() });
    assert_eq!(fatal, Some("bad pointer record, or input is not seekable".into()));
    // A loop ends.
    let mut bytes = file(&[(b'S', b"a@x"), (b'p', &pointer(0))]);
    put_record(&mut bytes, T::POINTER, &pointer(5));
    assert_eq!(run(&bytes, &all()).2, Some("record read error".into()));
}

#[test]
fn beginning_elsewhere() {
    let bytes = file(&[(b'S', b"a@x"), (b'R', b"b@x"), (b'T', b"0 1"), (b'W', b"             -1"), (b'E', b"")]);
    let (out, ..) = run(&bytes, &Options { skip: Some(5), offsets: true, ..all() });
    let first = out.lines().next().unwrap();
    assert_eq!(first, "        5 recipient: b@x");
    assert!(out.contains("message_arrival_time: ") && out.contains(" 1970\n"), "{out}");
    assert_eq!(run(&bytes, &Options { skip: Some(9999), ..all() }).0, "");
}
