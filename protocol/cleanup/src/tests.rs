//! Whole messages through the pipeline, compared with the queue files that Postfix 3.7 wrote for the same input.

use crate::{Accepted, Flags, Message, Profile, Rejected};
use bstr::{BString, ByteSlice};
use posthaste_config::Config;
use posthaste_queue::commit::Committer;
use posthaste_queue::{Queue, QueueName, RecordType};
use std::sync::Arc;

const BASE: &str = "compatibility_level = 3.6\nmyhostname = mail.example.com\nmydomain = example.com\nmyorigin = $mydomain\n\
    mydestination = $myhostname, $mydomain, localhost.$mydomain, localhost\nappend_dot_mydomain = no\nrecipient_delimiter = +\n\
    inet_interfaces = 127.0.0.1\nmail_name = Postfix\n";

struct World {
    directory: tempfile::TempDir,
    queue: Queue,
    profile: Arc<Profile>,
}

fn world(settings: &str) -> World {
    let directory = tempfile::tempdir().expect("temporary directory");
    for name in ["incoming", "hold", "bounce", "trace"] {
        std::fs::create_dir(directory.path().join(name)).expect("directory");
    }
    let settings: String = settings.lines().map(|line| format!("{}\n", line.trim_start())).collect();
    let text = format!("{BASE}queue_directory = {}\n{settings}", directory.path().display());
    let config = Config::parse(&text, "main.cf").expect("good");
    let queue = Queue::open(&config).expect("opens");
    let profile = Profile::open(&config).expect("opens");
    World { directory, queue, profile }
}

const LOCAL: Flags = Flags {
    filter: true,
    milter: false,
    address_mappings: true,
    bcc: true,
    bounce: false,
    smtputf8: false,
    smtputf8_autodetect: false,
    hold: false,
    discard: false,
    quiet_after_hops: false,
};

/// What became of a message: each record as `T payload`, without those that differ from run to run.
struct Result {
    records: Vec<String>,
    accepted: std::result::Result<Accepted, Rejected>,
    id: String,
}

impl World {
    /// `envelope` and `extracted` are records as in [`Result`], one a line.
    fn send(&self, flags: Flags, envelope: &str, content: &str, extracted: &str) -> Result {
        let mut message = Message::begin(&self.profile, &self.queue, flags).expect("creates");
        let id = message.id().to_string();
        let mut put = |kind: u8, payload: &str| drop(message.record(RecordType(kind), payload.as_bytes().as_bstr()));
        put(b'T', "1795254292 5");
        for line in envelope.lines().map(str::trim_start).filter(|l| !l.is_empty()) {
            put(line.as_bytes()[0], &line[2..]);
        }
        put(b'M', "");
        content.lines().for_each(|line| put(b'N', line));
        put(b'X', "");
        for line in extracted.lines().map(str::trim_start).filter(|l| !l.is_empty()) {
            put(line.as_bytes()[0], &line[2..]);
        }
        put(b'E', "");
        let mut accepted = message.finish();
        let mut records = Vec::new();
        if let Ok(Accepted { file: file @ Some(_), held, .. }) = &mut accepted {
            let completed = file.take().expect("is there");
            let path = self.queue.path(if *held { QueueName::Hold } else { QueueName::Incoming }, completed.id());
            Committer::commit_now(completed).expect("commits");
            records = dump(&std::fs::read(self.directory.path().join(path)).expect("reads"), &id);
        }
        Result { records, accepted, id }
    }

    /// A message from a local user to one recipient; returns its content.
    fn local(&self, content: &str) -> Vec<String> {
        let result = self.send(LOCAL, "A rewrite_context=local\nF Alice Example\nS alice\nR bob", content, "");
        result.content()
    }

    /// The recipients that these addresses become.
    fn recipients(&self, addresses: &str) -> std::result::Result<Vec<String>, Rejected> {
        let envelope = format!("S s@example.org\n{}", addresses.split(' ').map(|a| format!("R {a}\n")).collect::<String>());
        let result = self.send(LOCAL, &envelope, "X: y\n\n", "");
        result.accepted?;
        Ok(result.records.iter().filter_map(|r| r.strip_prefix("R ")).map(str::to_owned).collect())
    }
}

impl Result {
    fn content(&self) -> Vec<String> {
        let start = self.records.iter().position(|r| r == "M").expect("content");
        let end = self.records.iter().position(|r| r == "X").expect("end of content");
        self.records[start + 1..end].iter().map(|r| r.get(2..).unwrap_or_default().to_owned()).collect()
    }
}

/// The records of a file. Times and the id are replaced by words.
fn dump(mut file: &[u8], id: &str) -> Vec<String> {
    let mut records = Vec::new();
    while let Some((&kind, mut rest)) = file.split_first() {
        let (mut len, mut shift) = (0usize, 0);
        while let Some((&byte, tail)) = rest.split_first() {
            len |= usize::from(byte & 127) << shift;
            (rest, shift) = (tail, shift + 7);
            if byte < 128 {
                break;
            }
        }
        let payload = rest[..len].to_str_lossy().replace(id, "QID");
        file = &rest[len..];
        let mut text = format!("{} {payload}", char::from(kind));
        if text.starts_with("A create_time=") {
            text = "A create_time=NOW".into();
        }
        for header in ["N Date: ", "N Resent-Date: "] {
            if text.starts_with(header) && text.contains(':') && text.contains('(') {
                text = format!("{header}NOW");
            }
        }
        if let Some(at) = text.find("Message-Id: <").filter(|_| text.contains(".QID@")) {
            text = format!("{}<NOW.QID@mail.example.com>", &text[..at + 12]);
        }
        records.push(text.trim_end().to_owned());
    }
    records
}

/// The size record checked against the file itself, and the envelope against what the file says.
fn agrees(world: &World, result: &Result) {
    let accepted = result.accepted.as_ref().expect("accepted");
    let id = posthaste_queue::QueueId::parse(&result.id).expect("an id");
    let read = world.queue.read_envelope(QueueName::Incoming, &id, usize::MAX).expect("reads");
    assert_eq!(accepted.envelope.as_ref(), Some(&read));
    let mut content = world.queue.open_message(QueueName::Incoming, &id, read.content_offset).expect("opens");
    let mut lines = 0;
    while content.next().expect("reads").is_some() {
        lines += 1;
    }
    assert_eq!(lines, result.content().len());
}

#[test]
fn messages_may_change_threads() {
    fn is_send<T: Send>() {}
    is_send::<Message>();
    is_send::<Arc<Profile>>();
}

/// S-QUEUE: the order of records is that of Postfix, but for the sender's bcc recipient, who stands with the others here.
#[test]
fn smtp_envelope() {
    let world = world(
        "always_bcc = dave+always@example.com
        sender_bcc_maps = inline:{ {s@example.org=alice+sentby@example.com} }
        recipient_bcc_maps = inline:{ {bob@example.com=carol@example.com} }
        virtual_alias_maps = inline:{ {all@example.com=alice@example.com,bob@example.com,\"x y\"@b.c},{v@example.com=w} {loop@example.com=loop@example.com, bob} }
        canonical_maps = inline:{ {canon@example.com=canoned@example.com} }
        delay_warning_time = 4h\n",
    );
    let result = world.send(
        LOCAL,
        "A log_ident=x\nA rewrite_context=remote\nA envelope_id=abc\nA ret_flags=2\nS s@example.org\nA encoding=8bit\nA log_client_name=client.example.org
        A notify_flags=10\nA dsn_orig_rcpt=rfc822;orig@x@y.z\nR bob@example.com\nR all@example.com\nA notify_flags=1\nR canon@example.com
        R x@example.org\nR X@example.org\nR v@example.com",
        "Received: x\nSubject: a\n\nb\n",
        "",
    );
    agrees(&world, &result);
    assert_eq!(
        result.records[1..],
        [
            "T 1795254292 5",
            "A create_time=NOW",
            "A log_ident=x",
            "A rewrite_context=remote",
            "A envelope_id=abc",
            "A ret_flags=2",
            "S s@example.org",
            "A encoding=8bit",
            "A log_client_name=client.example.org",
            "W      1795268692",
            "A notify_flags=1",
            "O alice+sentby@example.com",
            "R alice+sentby@example.com",
            "A notify_flags=10",
            "A dsn_orig_rcpt=rfc822;orig@x@y.z",
            "O bob@example.com",
            "R bob@example.com",
            "A notify_flags=1",
            "O carol@example.com",
            "R carol@example.com",
            "A dsn_orig_rcpt=rfc822;all@example.com",
            "O all@example.com",
            "R alice@example.com",
            "A dsn_orig_rcpt=rfc822;all@example.com",
            "O all@example.com",
            "R bob@example.com",
            "A dsn_orig_rcpt=rfc822;all@example.com",
            "O all@example.com",
            "R x y@b.c",
            "A notify_flags=1",
            "A dsn_orig_rcpt=rfc822;canoned@example.com",
            "O canon@example.com",
            "R canoned@example.com",
            "A dsn_orig_rcpt=rfc822;x@example.org",
            "O x@example.org",
            "R x@example.org",
            "A dsn_orig_rcpt=rfc822;v@example.com",
            "O v@example.com",
            "R w@example.com",
            "M",
            "N Received: x",
            "N Subject: a",
            "N",
            "N b",
            "X",
            "A encoding=8bit",
            "A notify_flags=1",
            "O dave+always@example.com",
            "R dave+always@example.com",
            "E"
        ]
    );
    // 2 + 4 + 16: some recipient has NOTIFY=NEVER, SUCCESS, DELAY; ten recipients.
    assert!(
        result.records[0].ends_with("22              23               0") || result.records[0].contains("             10              22")
    );
}

/// `sendmail -t`: recipients after the content, and the report of an expanded alias.
#[test]
fn extracted_recipients() {
    let world = world("virtual_alias_maps = inline:{ {all@example.com=alice@example.com,bob@example.com} }\n");
    let result = world.send(
        LOCAL,
        "A rewrite_context=local\nF Alice Example\nS alice",
        "Received: x\nTo: bob\nCc: all@example.com\nBcc: dave\nSubject: x\n\nlast",
        "A notify_flags=2\nR bob\nA notify_flags=2\nR all@example.com",
    );
    assert_eq!(
        result.records[5..],
        [
            "S alice@example.com",
            "M",
            "N Received: x",
            "N To: bob@example.com",
            "N Cc: all@example.com",
            "N Subject: x",
            "N Message-Id: <NOW.QID@mail.example.com>",
            "N Date: NOW",
            "N From: Alice Example <alice@example.com>",
            "N",
            "N last",
            "X",
            &result.records[17],
            "A notify_flags=2",
            "A dsn_orig_rcpt=rfc822;bob@example.com",
            "O bob",
            "R bob@example.com",
            "A notify_flags=1",
            "A dsn_orig_rcpt=rfc822;all@example.com",
            "O all@example.com",
            "R alice@example.com",
            "A notify_flags=1",
            "A dsn_orig_rcpt=rfc822;all@example.com",
            "O all@example.com",
            "R bob@example.com",
            "E"
        ]
    );
    // Since Postfix 3.10 the message id stands in the extracted segment.
    assert!(result.records[17].starts_with("A message_id=<") && result.records[17].ends_with("@mail.example.com>"));
    // The queue manager has to look for the record of the expansion, so it gets no envelope.
    assert!(result.accepted.expect("accepted").envelope.is_none());
    let trace = std::fs::read_to_string(world.directory.path().join("trace").join(result.id)).expect("a trace file");
    assert!(trace.contains("action=expanded\n") && trace.contains("recipient=all@example.com\n"), "{trace}");
}

/// S-REWRITE-04: which headers are added to local mail, and which to resent mail.
#[test]
fn missing_headers() {
    let world = world("");
    let id = "Message-Id: <NOW.QID@mail.example.com>";
    assert_eq!(world.local("X: y\n\nb"), ["X: y", id, "Date: NOW", "From: Alice Example <alice@example.com>", "", "b"]);
    assert_eq!(world.local("X: y\nnot a header\nZ: q")[4..], ["", "not a header", "Z: q"]);
    assert_eq!(world.local("Message-Id:\nDate:\n\nb"), ["Message-Id:", "Date:", "From: Alice Example <alice@example.com>", "", "b"]);
    assert_eq!(
        world.local("Message-Id: one\nMessage-Id: two\nFrom:\n\n"),
        ["Message-Id: one", "Message-Id: two", "From:", "Date: NOW", ""]
    );
    let resent = "Resent-Message-Id: <NOW.QID@mail.example.com>";
    assert_eq!(
        world.local("Resent-Sender: x\n\nb"),
        ["Resent-Sender: x@example.com", resent, "Resent-Date: NOW", "Resent-From: Alice Example <alice@example.com>", "", "b"]
    );
    let given = "Resent-Message-Id: <r1>\nMessage-Id: <m1>\n\n";
    assert_eq!(world.local(given)[2..], ["Resent-Date: NOW", "Resent-From: Alice Example <alice@example.com>", ""]);
}

fn remote(world: &World, content: &str) -> Vec<String> {
    world.send(LOCAL, "A rewrite_context=remote\nS s@example.org\nR bob@example.com", content, "").content()
}

/// S-REWRITE-03, and `always_add_missing_headers`, `undisclosed_recipients_header`.
#[test]
fn mail_from_strangers() {
    let plain = world("");
    assert_eq!(remote(&plain, "From: incomplete\nTo: carol,\n bob@sub\n\n"), ["From: incomplete", "To: carol,", " bob@sub", ""]);
    let marked = world(
        "append_dot_mydomain = yes\nremote_header_rewrite_domain = dom.invalid\nalways_add_missing_headers = yes\nundisclosed_recipients_header = To: undisclosed-recipients:;\n",
    );
    assert_eq!(
        remote(&marked, "From: incomplete\nTo: carol, bob@sub\n\n"),
        [
            "From: incomplete@dom.invalid",
            "To: carol@dom.invalid, bob@sub.dom.invalid",
            "Message-Id: <NOW.QID@mail.example.com>",
            "Date: NOW",
            ""
        ]
    );
    assert_eq!(
        remote(&marked, "X: y\n\n")[1..],
        ["Message-Id: <NOW.QID@mail.example.com>", "Date: NOW", "From: s@example.org", "To: undisclosed-recipients:;", ""]
    );
}

/// S-REWRITE-01: the headers of the parity scenario `rewrite/address_forms`.
#[test]
fn header_addresses() {
    let world = world("append_dot_mydomain = yes\n");
    let content = "To: bob, carol@sub, dave%mail.example.com@example.com, mail.example.com!alice
Cc: \"quoted one\"@example.com, <@route.example:x@example.org>, (comment) bob (another),
\tBob <bob>, bob@, undisclosed-recipients:;
Bcc: carol
TO:bob
to : bob
Reply-To: x@y.z
Return-Path: x
Content-Length: 5
Subject:nospace

b";
    assert_eq!(
        world.local(content)[..9],
        [
            "To: bob@example.com, carol@sub.example.com,",
            "\tdave%mail.example.com@example.com, alice@mail.example.com",
            "Cc: \"quoted one\"@example.com, <x@example.org>,",
            "\tbob@example.com (comment) (another), Bob <bob@example.com>, bob@,",
            "\tundisclosed-recipients: ;",
            "TO: bob@example.com",
            "to: bob@example.com",
            "Reply-To: x@y.z",
            "Subject:nospace"
        ]
    );
}

/// S-REWRITE-05, S-REWRITE-06: which tables a header's addresses are looked up in.
#[test]
fn header_classes() {
    let world = world(
        "sender_canonical_maps = inline:{ {who@example.com=SENDER@example.com} }
        recipient_canonical_maps = inline:{ {who@example.com=RCPT@example.com} }\n",
    );
    for header in [
        "From",
        "Sender",
        "Reply-To",
        "Errors-To",
        "Return-Receipt-To",
        "Resent-From",
        "Resent-Sender",
        "Disposition-Notification-To",
        "Mail-Followup-To",
    ] {
        assert_eq!(world.local(&format!("{header}: who\n\n"))[0], format!("{header}: SENDER@example.com"));
    }
    for header in ["To", "Cc", "Resent-To", "Resent-Cc", "Resent-Reply-To", "Apparently-To"] {
        assert_eq!(world.local(&format!("{header}: who\n\n"))[0], format!("{header}: RCPT@example.com"));
    }
    for header in ["Delivered-To", "X-To", "Mail-From", "Followup-To", "Subject", "In-Reply-To"] {
        assert_eq!(world.local(&format!("{header}: who\n\n"))[0], format!("{header}: who"));
    }
}

/// S-REWRITE-05: forms of canonical entries, in headers.
#[test]
fn canonical_forms() {
    let world = world(
        "canonical_maps = inline:{ {a1@example.com=a2@example.com}, {a2@example.com=a3@example.com}, {l1@example.com=l2@example.com}, {l2@example.com=l1@example.com},{bare@example.com=bareuser},{multi@example.com=m1@x.org m2@x.org},{ext@example.com=extd@x.org},{@dom.example=@dom2.example},{@dom3.example=zz},{emp@example.com=<>},{quo@example.com=\"a b\"@x.org},{loc=loc@x.org},{name@example.com=Foo <foo@x.org>},{big@example.com=Ü@x.org}}
        recipient_canonical_maps = inline:{ {r1@example.com=a1@example.com} }\n",
    );
    for (address, result) in [
        ("a1", "a3@example.com"),
        ("a1+x", "a3+x@example.com"),
        ("l1", "l1@example.com"),
        ("bare+x", "bareuser+x@example.com"),
        ("multi", "m1@x.org"),
        ("ext+foo", "extd+foo@x.org"),
        ("u+x@dom.example", "u+x@dom2.example"),
        ("u@dom3.example", "zz@example.com"),
        ("emp", "\"\""),
        ("quo+z", "\"a b+z\"@x.org"),
        ("loc+x", "loc+x@x.org"),
        ("loc@other.org", "loc@other.org"),
        ("name", "foo@x.org"),
        ("r1", "a3@example.com"),
        ("big+b", "Ü+b@x.org"),
    ] {
        assert_eq!(world.local(&format!("To: {address}\n\n"))[0], format!("To: {result}"));
    }
    assert_eq!(
        world.recipients("a1+x l1@example.com bare multi"),
        Ok(vec!["a3+x@example.com".into(), "l1@example.com".into(), "bareuser@example.com".into(), "m1@x.org".into()])
    );
}

/// S-REWRITE-07: `canonical_classes` and its siblings.
#[test]
fn canonical_classes() {
    let world =
        world("canonical_maps = inline:{ {al@example.com=A@example.com} }\ncanonical_classes = envelope_sender, header_recipient\n");
    let result = world.send(LOCAL, "S al\nR al", "From: al\nTo: al\n\n", "");
    assert!(result.records.contains(&"S A@example.com".into()) && result.records.contains(&"R al@example.com".into()));
    assert_eq!(result.content()[..2], ["From: al@example.com", "To: A@example.com"]);
}

/// S-REWRITE-08
#[test]
fn masquerading() {
    let world = world("masquerade_domains = foo.example.com !keep.example.com example.com\nmasquerade_exceptions = root, mailer-daemon\n");
    let header = |address: &str| world.local(&format!("Cc: {address}\n\n"))[0].clone();
    assert_eq!(header("bob@deep.host.example.com"), "Cc: bob@example.com");
    assert_eq!(header("ROOT@host.example.com"), "Cc: ROOT@host.example.com");
    assert_eq!(header("u@keep.example.com, v@a.keep.example.com"), "Cc: u@keep.example.com, v@a.keep.example.com");
    assert_eq!(header("u@any.thing.foo.example.com"), "Cc: u@foo.example.com");
    assert_eq!(header("u@foo.example.com"), "Cc: u@foo.example.com");
    assert_eq!(header("u@notexample.com"), "Cc: u@notexample.com");
    assert_eq!(header("U@Host.Example.COM"), "Cc: U@example.com");
    let result = world.send(LOCAL, "S alice@host.example.com\nR bob@host.example.com", "X: y\n\n", "");
    assert!(result.records.contains(&"S alice@example.com".into()) && result.records.contains(&"R bob@host.example.com".into()));
}

/// S-REWRITE-12, S-LIST-11: one to many, recursion, catch-all, and an alias that names itself.
#[test]
fn virtual_aliases() {
    let world = world(
        "virtual_alias_domains = hosted.example, catch.example, swap.example
        virtual_alias_maps = inline:{ {info@hosted.example=alice, bob@example.com}, {nested@hosted.example=info@hosted.example carol}, {self@hosted.example=self@hosted.example, alice}, {loop1@hosted.example=loop2@hosted.example}, {loop2@hosted.example=loop1@hosted.example}, {ext@hosted.example=alice}, {@catch.example=bob}, {exact@catch.example=carol@example.com}, {@swap.example=@example.com}, {carol=dave}, {two@example.com=two@example.com},{empty@example.com=<>},{cmd@example.com=\"|/bin/x\"},{grp@example.com=g: alice, bob;},{ph@example.com=Foo Bar <alice>},{noloop@example.com=bob, noloop} }\n",
    );
    let all = |text: &str| Ok(text.split(' ').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(world.recipients("info@hosted.example"), all("alice@example.com bob@example.com"));
    assert_eq!(world.recipients("nested@hosted.example"), all("alice@example.com dave@example.com bob@example.com"));
    assert_eq!(world.recipients("self@hosted.example"), all("self@hosted.example alice@example.com"));
    assert_eq!(world.recipients("ext+tag@hosted.example"), all("alice+tag@example.com"));
    assert_eq!(world.recipients("any.one@catch.example exact+tag@catch.example"), all("bob@example.com dave+tag@example.com"));
    assert_eq!(world.recipients("alice+x@swap.example"), all("alice+x@example.com"));
    assert_eq!(
        world.recipients("two@example.com grp noloop"),
        all("two@example.com alice@example.com bob@example.com bob@example.com noloop@example.com")
    );
    assert_eq!(world.recipients("cmd ph"), all("|/bin/x@example.com alice@example.com"));
    let empty = world.send(LOCAL, "S s@example.org\nR empty", "X: y\n\n", "");
    assert!(empty.records.contains(&"R".into()));
    assert_eq!(world.recipients("loop1@hosted.example"), Err(alias_error()));
}

fn alias_error() -> Rejected {
    Rejected::Other { dsn: "4.6.0".into(), text: "Alias expansion error".into() }
}

#[test]
fn virtual_alias_limits() {
    let world = world(
        "virtual_alias_maps = inline:{ {big@example.com=a1,a2,a3,a4,a5,a6},{fits@example.com=a1,a2,a3,a4,a5},{deep1@example.com=deep2},{deep2@example.com=deep3},{deep3@example.com=alice},{grow@example.com=xgrow+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx} }
        virtual_alias_recursion_limit = 3\nvirtual_alias_expansion_limit = 5\nvirtual_alias_address_length_limit = 40\n",
    );
    assert_eq!(world.recipients("deep2"), Ok(vec!["alice@example.com".into()]));
    assert_eq!(world.recipients("deep1"), Err(alias_error()));
    assert_eq!(world.recipients("fits").map(|r| r.len()), Ok(5));
    assert_eq!(world.recipients("big"), Err(alias_error()));
    assert_eq!(world.recipients("grow"), Err(alias_error()));
}

/// `receive_override_options = no_address_mappings`: only completion is left.
#[test]
fn without_mappings() {
    let world = world("virtual_alias_maps = inline:{ {bob@example.com=carol} }\ncanonical_maps = inline:{ {s@x=t@x} }\nalways_bcc = q\n");
    let flags = Flags { address_mappings: false, ..LOCAL };
    let result = world.send(flags, "S s@x\nR bob", "From: s@x, y\n\n", "");
    let wanted = ["S s@x", "R bob@example.com", "N From: s@x, y@example.com"];
    assert!(wanted.iter().all(|w| result.records.iter().any(|r| r == w)), "{:?}", result.records);
    assert_eq!(result.records.iter().filter(|r| r.starts_with("R ")).count(), 1);
}

/// S-LIST-11: `duplicate_filter_limit`, `enable_original_recipient`.
#[test]
fn duplicates() {
    assert_eq!(world("").recipients("bob BOB bob@example.com").map(|r| r.len()), Ok(2));
    assert_eq!(world("enable_original_recipient = no\n").recipients("bob BOB bob@example.com").map(|r| r.len()), Ok(1));
    assert_eq!(world("duplicate_filter_limit = 1\n").recipients("a b b a").map(|r| r.len()), Ok(3));
}

/// S-REWRITE-13, S-REWRITE-14
#[test]
fn bcc_tables() {
    let world =
        world("recipient_bcc_maps = inline:{ {@good.test=arch@good.test}, {list@b.test=a1@good.test, a2@good.test}, {alice=carol} }\n");
    let all = |text: &[&str]| Ok(text.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
    assert_eq!(world.recipients("x@good.test y@good.test"), all(&["x@good.test", "arch@good.test", "y@good.test"]));
    assert_eq!(world.recipients("list@b.test"), all(&["list@b.test", "a1@good.test, a2@good.test"]));
    assert_eq!(world.recipients("alice+tag"), all(&["alice+tag@example.com", "carol@example.com"]));
    let result = world.send(Flags { bcc: false, ..LOCAL }, "S a\nR alice", "X: y\n\n", "");
    assert_eq!(result.records.iter().filter(|r| r.starts_with("R ")).count(), 1);
}

fn checks(settings: &str, content: &str) -> Result {
    world(settings).send(LOCAL, "A rewrite_context=remote\nS s@example.org\nR bob@example.com", content, "")
}

/// S-CHECK-05, S-CHECK-06, S-CHECK-07: what each action does to the message.
#[test]
fn check_actions() {
    let table = "header_checks = regexp:{ {/^Subject: (.*)/ REJECT foo $$1}, {/^X-Hold/ HOLD}, {/^X-Prep/ PREPEND X-Before: a}, {/^X-Disc/ DISCARD}, {/^X-Filt/ FILTER smtp:foo}, {/^X-Redir/ REDIRECT foo@x.org}, {/^X-Bcc: (.*)/ BCC $$1}, {/^X-Pass/ PASS it}, {/^X-Warn/ WARN}, {/^X-Rep/ REPLACE To: nobody}, {/^X-Bad/ REPLACE nohdr}, {/^X-Dsn/ REJECT 5.9.9 custom}, {/^X-D4/ REJECT 4.9.9 custom}, {/^X-Ignore/ IGNORE}, {/^X-Strip/ STRIP} }
        body_checks = regexp:{ {/^rej/ REJECT}, {/^rep/ REPLACE new}, {/^ign/ IGNORE}, {/^pre/ PREPEND before} }\n";
    let run = |content: &str| checks(table, content);
    let rejected = |content: &str| run(content).accepted.err();
    let refusal = |dsn: &str, text: &str| Some(Rejected::Content { dsn: dsn.into(), text: text.into(), smtp: None });
    assert_eq!(rejected("Subject: rej\n\n"), refusal("5.7.1", "foo rej"));
    assert_eq!(rejected("X-Dsn: 1\n two\n\n"), refusal("5.9.9", "custom"));
    assert_eq!(rejected("X-D4: 1\n\n"), refusal("4.9.9", "custom"));
    assert_eq!(rejected("A: 1\n\nrej\n"), refusal("5.7.1", "message content rejected"));
    assert_eq!(
        run("X-Prep: 1\n 2\nX-Warn: 1\nX-Ignore: x\nX-Strip: x\nX-Bad: 1\n\n").content(),
        ["X-Before: a", "X-Prep: 1", " 2", "X-Warn: 1", "X-Bad: 1", ""]
    );
    assert_eq!(run("X-Rep: 1\n\nrep\nign\npre\nx\n").content(), ["To: nobody", "", "new", "before", "pre", "x"]);
    let held = run("X-Hold: 1\n\n").accepted.expect("accepted");
    assert!(held.held && held.envelope.is_none());
    let gone = run("X-Disc: 1\n\nSubject: x\n").accepted.expect("accepted");
    assert!(gone.file.is_none() && gone.envelope.is_none() && !gone.held);
    let extracted = |content: &str| {
        let records = run(content).records;
        let end = records.iter().position(|r| r == "X").expect("end of content");
        records[end + 1..].to_vec()
    };
    assert_eq!(extracted("X-Filt: 1\nX-Redir: 1\n\n"), ["L smtp:foo", "> foo@x.org", "E"]);
    assert_eq!(
        extracted("X-Bcc: foo\nX-Bcc: foo@x.org\nX-Bcc: bob@example.com\n\n"),
        ["A notify_flags=1", "O foo@x.org", "R foo@x.org", "A notify_flags=1", "O bob@example.com", "R bob@example.com", "E"]
    );
    assert!(run("X-Pass: 1\nSubject: x\n\nrej\n").accepted.is_ok());
    // What was replaced is rewritten as if it had come so.
    let local = world(table).send(LOCAL, "S s\nR bob", "X-Rep: 1\n\n", "");
    assert_eq!(local.content()[0], "To: nobody@example.com");
    assert!(world(table).send(Flags { filter: false, ..LOCAL }, "S s\nR bob", "Subject: x\n\nrej\n", "").accepted.is_ok());
}

/// S-CHECK-09: the limit counts from the beginning of each part.
#[test]
fn body_checks_size_limit() {
    let table = "body_checks = regexp:{ {/^LIMIT/ REJECT} }\nbody_checks_size_limit = 100\n";
    let filler = "filler line of forty characters, no more\n".repeat(3);
    assert!(checks(table, &format!("A: 1\n\n{filler}LIMIT\n")).accepted.is_ok());
    assert!(checks(table, "A: 1\n\nfiller\nLIMIT\n").accepted.is_err());
    let parts = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{filler}--b\n\nLIMIT\n");
    assert!(checks(table, &parts).accepted.is_err());
}

/// S-CHECK-08: local mail is bounced; the recipients stand in the log and are marked done.
#[test]
fn refused_local_mail_bounces() {
    let world = world("header_checks = regexp:{ {/^Subject: reject/ REJECT no such subject} }\n");
    let result = world.send(Flags { bounce: true, ..LOCAL }, "S alice\nR bob\nA notify_flags=1\nR carol", "Subject: reject\n\nbody", "");
    let accepted = result.accepted.expect("accepted");
    assert!(accepted.bounced && accepted.envelope.is_none());
    assert_eq!(result.records.iter().filter(|r| r.starts_with("D ")).count(), 2);
    assert!(result.records.contains(&"A ret_flags=2".into()));
    assert_eq!(result.records.iter().filter(|r| r.starts_with("R ")).count(), 0);
    let log = std::fs::read_to_string(world.directory.path().join("bounce").join(&result.id)).expect("a bounce file");
    for line in ["recipient=bob@example.com", "original_recipient=bob", "status=5.7.1", "action=failed", "reason=no such subject"] {
        assert!(log.lines().any(|l| l == line), "{line} in {log}");
    }
    // NOTIFY=NEVER
    assert!(!log.contains("carol"));
}

#[test]
fn hop_count() {
    let world = world("hopcount_limit = 3\n");
    let hops = |n: usize| world.send(LOCAL, "S a\nR b", &format!("{}X: y\n\n", "Received: x\n".repeat(n)), "").accepted.err();
    assert_eq!(hops(2), None);
    assert_eq!(hops(3), Some(Rejected::TooManyHops));
}

#[test]
fn sizes_and_characters() {
    let world1 = world("message_size_limit = 3000\n");
    let body = |n: usize| format!("X: y\n\n{}", "y".repeat(70).add_newline().repeat(n));
    assert!(world1.send(LOCAL, "S a\nR b", &body(30), "").accepted.is_ok());
    assert_eq!(world1.send(LOCAL, "S a\nR b", &body(50), "").accepted.err(), Some(Rejected::TooBig));
    let world2 = world("message_reject_characters = \\a\nmessage_strip_characters = \\b\n");
    assert_eq!(remote(&world2, "X: a\x08b\n\nc\x08d"), ["X: ab", "", "cd"]);
    let refused = Some(Rejected::Content { dsn: "5.7.1".into(), text: "disallowed character".into(), smtp: None });
    assert_eq!(world2.send(LOCAL, "S a\nR b", "X: y\n\nc\x07", "").accepted.err(), refused);
    assert_eq!(remote(&world(""), "X: y\n\na\rb"), ["X: y", "", "a b"]);
    assert_eq!(remote(&world("cleanup_replace_stray_cr_lf = no\n"), "X: y\n\na\rb"), ["X: y", "", "a\rb"]);
}

trait AddNewline {
    fn add_newline(self) -> String;
}

impl AddNewline for String {
    fn add_newline(mut self) -> String {
        self.push('\n');
        self
    }
}

/// Long lines are series of records; a line of exactly the limit ends with an empty one.
#[test]
fn line_length_limit() {
    let world = world("line_length_limit = 512\n");
    let result = world.send(LOCAL, "A rewrite_context=remote\nS a\nR b", &format!("X: y\n\n{}\n{}", "a".repeat(512), "b".repeat(1030)), "");
    let start = result.records.iter().position(|r| r == "N").expect("empty line");
    let shapes: Vec<(char, usize)> =
        result.records[start + 1..].iter().take(6).map(|r| (r.chars().next().unwrap_or(' '), r.len().saturating_sub(2))).collect();
    assert_eq!(shapes, [('L', 512), ('N', 0), ('L', 512), ('L', 512), ('N', 6), ('X', 0)]);
}

/// Sender options of the size record, and what the content says of its encoding.
#[test]
fn eight_bits() {
    let options = |flags: Flags, sender: &str, content: &str| {
        let result = world("").send(flags, &format!("A rewrite_context=remote\nS {sender}\nR u@example.org"), content, "");
        result.accepted.expect("accepted").envelope.expect("envelope").sender_options
    };
    assert_eq!(options(LOCAL, "e@example.org", "Subject: é\n\né"), 2);
    assert_eq!(options(Flags { smtputf8: true, ..LOCAL }, "é@example.org", "Subject: é\n\né"), 7);
    assert_eq!(options(LOCAL, "e@example.org", "Subject: e\n\né"), 0);
    assert_eq!(options(Flags { smtputf8_autodetect: true, ..LOCAL }, "e@example.org", "Subject: é\n\n"), 3);
    assert_eq!(options(LOCAL, "e@example.org", "TLS-Required: no\n\n"), 16);
    let encoding = |content: &str| {
        let result = world("").send(LOCAL, "A rewrite_context=remote\nS e\nR u", content, "");
        result.accepted.expect("accepted").envelope.expect("envelope").encoding
    };
    assert_eq!(encoding("Content-Transfer-Encoding: 8BIT\n\n"), "8bit");
    assert_eq!(encoding("X: y\n\né"), BString::default());
}

/// force_mime_input_conversion (since Postfix 3.9)
#[test]
fn input_conversion() {
    let world = world("force_mime_input_conversion = yes\n");
    assert_eq!(
        remote(&world, "Content-Transfer-Encoding: 8bit\n\né = \n"),
        ["Content-Transfer-Encoding: quoted-printable", "", "=C3=A9 =3D=20"]
    );
}

/// non_empty_end_of_header_action (since Postfix 3.11)
#[test]
fn headers_without_an_end() {
    assert_eq!(remote(&world(""), "X: y\nno header"), ["X: y", "", "no header"]);
    let added = remote(&world("non_empty_end_of_header_action = add_header\n"), "X: y\nno header");
    assert!(added.len() == 4 && added[1].starts_with("MIME-Error: ") && added[2].is_empty(), "{added:?}");
    let rejected = world("non_empty_end_of_header_action = reject\n").send(LOCAL, "S a\nR b", "X: y\nno header", "").accepted;
    assert!(matches!(rejected, Err(Rejected::Content { .. })));
    // A message that is all header is none of these.
    assert!(world("non_empty_end_of_header_action = reject\n").send(LOCAL, "S a\nR b", "X: y", "").accepted.is_ok());
}

/// A table that cannot be asked is a temporary error, never "not found".
#[test]
fn broken_tables() {
    for setting in ["virtual_alias_maps", "canonical_maps", "recipient_bcc_maps", "header_checks", "sender_bcc_maps"] {
        let world = world(&format!("{setting} = texthash:/nonexistent/table\n"));
        assert_eq!(world.recipients("bob").err(), Some(Rejected::Lookup), "{setting}");
    }
}

/// Records that make no sense are our own fault, and cost no more than the message.
#[test]
fn bad_records() {
    let world = world("");
    for envelope in ["R bob", "S a\nS b\nR c", "S a\nA noequals\nR b", "S a\nQ x\nR b", "A ret_flags=x\nS a\nR b", ""] {
        assert_eq!(world.send(LOCAL, envelope, "X: y\n\n", "").accepted.err(), Some(Rejected::BadRecords), "{envelope}");
    }
    assert_eq!(world.send(LOCAL, "S a", "X: y\n\n", "").accepted.err(), Some(Rejected::NoRecipients));
    assert_eq!(std::fs::read_dir(world.directory.path().join("incoming")).expect("reads").count(), 0, "nothing is left behind");
}

/// `postsuper -r`: recipients that are done stay out, the arrival time stays, the old size record is forgotten.
#[test]
fn queued_anew() {
    let world = world("delay_warning_time = 4h\n");
    let envelope = "C  -1 -1 -1 -1 -1 39\nA create_time=5\nT 99 1\nS a@x.org\nW      1795000000\nO q@x.org\nD q@x.org\nA dsn_orig_rcpt=rfc822;z\nO orig@x.org\nR r@x.org";
    let result = world.send(Flags { address_mappings: false, ..LOCAL }, envelope, "Received: y\n\n", "");
    // What was asked for stays (1 and 32), what was found in the message is found anew.
    assert!(result.records[0].ends_with("             33"), "{}", result.records[0]);
    assert_eq!(
        result.records[1..9],
        [
            "T 1795254292 5",
            "A create_time=NOW",
            "S a@x.org",
            "W      1795000000",
            "A dsn_orig_rcpt=rfc822;z",
            "O orig@x.org",
            "R r@x.org",
            "M"
        ]
    );
}

/// S-REWRITE-09: login names go out as Firstname.Lastname, and mail to that reaches the login.
#[test]
fn full_names_out_and_back() {
    let world = world(
        "sender_canonical_maps = inline:{ {kdent=Kyle.Dent@example.com} }
        virtual_alias_maps = inline:{ {Kyle.Dent@example.com=kdent} }\n",
    );
    let result = world.send(LOCAL, "S kdent\nR Kyle.Dent@example.com", "From: kdent\n\n", "");
    assert!(result.records.contains(&"S Kyle.Dent@example.com".into()) && result.records.contains(&"R kdent@example.com".into()));
    assert_eq!(result.content()[0], "From: Kyle.Dent@example.com");
}

/// S-REWRITE-15, S-LIST-04: `user+foo` is looked up before `user`; with delimiter `-` the addresses of list owners stay whole.
#[test]
fn extensions_in_tables() {
    let table =
        "virtual_alias_maps = inline:{ {sales@example.com=bob@example.com}, {sales+vip@example.com=carol}, {team@example.com=dave} }\n";
    let world1 = world(table);
    let one = |text: &str| Ok(vec![text.to_owned()]);
    assert_eq!(world1.recipients("sales+vip"), one("carol@example.com"));
    assert_eq!(world1.recipients("sales+x"), one("bob+x@example.com"));
    assert_eq!(world(&format!("{table}propagate_unmatched_extensions = canonical\n")).recipients("sales+x"), one("bob@example.com"));
    let minus = world(&format!("{table}recipient_delimiter = -\n"));
    assert_eq!(minus.recipients("team-x"), one("dave-x@example.com"));
    assert_eq!(minus.recipients("team-request owner-team"), Ok(vec!["team-request@example.com".into(), "owner-team@example.com".into()]));
    let split = world(&format!("{table}recipient_delimiter = -\nowner_request_special = no\n"));
    assert_eq!(split.recipients("team-request"), one("dave-request@example.com"));
}

/// S-REWRITE-18: tokens beyond the limit are lost.
#[test]
fn header_address_token_limit() {
    let world = world("header_address_token_limit = 3\n");
    assert_eq!(world.local("To: a, b, c, d\n\n")[0], "To: a@example.com, b@example.com");
}

/// S-CHECK-03, S-CHECK-04, S-CHECK-11, S-CHECK-12: text is matched as it was sent, in either case.
#[test]
fn checks_see_text_as_sent() {
    let table = "header_checks = regexp:{ {/badword/ REJECT}, {/name=.*\\.(exe|pif|scr)/ REJECT exe} }\nbody_checks = regexp:{ {/badword/ REJECT} }\n";
    let refused = |content: &str| checks(table, content).accepted.is_err();
    assert!(refused("Subject: has BadWord here\n\n"));
    assert!(!refused("Subject: =?utf-8?B?YmFkd29yZA==?=\n\n"));
    assert!(refused("X: y\n\na BADWORD\n"));
    assert!(!refused("Content-Transfer-Encoding: base64\n\nYmFkd29yZA==\n"));
    assert!(!refused("X: y\n\nbad\nword\n"));
    let part = |name: &str| {
        format!("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/octet-stream; name={name}\n\nAAAA\n--b--\n")
    };
    assert!(refused(&part("a.exe")) && !refused(&part("a.txt")));
}

/// S-CHECK-10: a report about refused mail passes when what it quotes is encoded.
#[test]
fn encoded_reports_pass_body_checks() {
    let table = "body_checks = regexp:{ {/badword/ REJECT} }\n";
    let report =
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSummary\n--b\nContent-Transfer-Encoding: base64\n\nYmFkd29yZA==\n--b--\n";
    assert!(checks(table, report).accepted.is_ok());
}

/// S-CHECK-13: a restriction class is no action.
#[test]
fn restriction_classes_are_no_actions() {
    assert!(checks("header_checks = regexp:{ {/^X/ my_class} }\nsmtpd_restriction_classes = my_class\n", "X: y\n\n").accepted.is_ok());
}

/// S-CHECK-14: `receive_override_options = no_header_body_checks`
#[test]
fn checks_can_be_skipped() {
    let world = world("header_checks = regexp:{ {/^X/ REJECT} }\nbody_checks = regexp:{ {/./ REJECT} }\n");
    assert!(world.send(Flags { filter: false, ..LOCAL }, "S a\nR b", "X: y\n\nz", "").accepted.is_ok());
    assert!(world.send(LOCAL, "S a\nR b", "X: y\n\nz", "").accepted.is_err());
}
