//! Against a server of a few lines; the real one is in the parity scenario `maps/ldap` and the system test `ldap`.

use super::ber::{ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, SET, Writer};
use super::*;
use posthaste_table::Settings;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

type Lines = Arc<Mutex<Vec<String>>>;

fn table(port: u16, settings: &str) -> (Box<dyn Table>, Lines) {
    let lines = Lines::default();
    let sink = Arc::clone(&lines);
    let context = Context::with_report(Settings::default(), move |_, text| sink.lock().unwrap().push(text.to_owned()));
    let text = format!("server_host = ldap://127.0.0.1:{port}\nsearch_base = dc=x\nquery_filter = mail=%s\n{settings}");
    (open("ldap:/t.cf", &Source::parse("/t.cf", &text).unwrap(), OpenFlags::default(), &context).unwrap(), lines)
}

fn message(id: i32, tag: u8, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::default();
    out.element(SEQUENCE, |out| {
        out.integer(INTEGER, id);
        out.element(tag, fill);
    });
    out.0
}

fn done(id: i32, tag: u8, code: i32) -> Vec<u8> {
    message(id, tag, |out| {
        out.integer(ENUMERATED, code);
        out.bytes(OCTETS, b"");
        out.bytes(OCTETS, b"");
    })
}

fn found(id: i32, name: &str, value: &str) -> Vec<u8> {
    message(id, 0x64, |out| {
        out.bytes(OCTETS, b"uid=x");
        out.element(SEQUENCE, |out| {
            out.element(SEQUENCE, |out| {
                out.bytes(OCTETS, name.as_bytes());
                out.element(SET, |out| out.bytes(OCTETS, value.as_bytes()));
            });
        });
    })
}

/// The next request: number, tag.
fn request(stream: &mut TcpStream) -> Option<(i32, u8)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).ok()?;
    let mut reader = Reader(&body);
    Some((reader.integer(INTEGER).ok()?, reader.element().ok()?.0))
}

/// A server on a port of its own that treats its connections one after the other with these functions.
fn server(connections: Vec<fn(&mut TcpStream)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for talk in connections {
            talk(&mut listener.accept().unwrap().0);
        }
    });
    port
}

/// Binds, and answers one search with one value.
fn one(stream: &mut TcpStream) {
    while let Some((id, tag)) = request(stream) {
        match tag {
            0x60 => stream.write_all(&done(id, 0x61, 0)).unwrap(),
            0x63 => {
                stream.write_all(&found(id, "MailDrop", "a@b")).unwrap();
                stream.write_all(&done(id, 0x65, 0)).unwrap();
                return;
            }
            _ => {}
        }
    }
}

fn silent(stream: &mut TcpStream) {
    while request(stream).is_some() {}
}

fn nonsense(stream: &mut TcpStream) {
    request(stream);
    let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
}

fn huge(stream: &mut TcpStream) {
    request(stream);
    let _ = stream.write_all(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]);
}

// S-DB-08, S-DB-09
#[test]
fn a_connection_that_the_server_closed_is_opened_again_without_a_word() {
    let port = server(vec![one, one]);
    let (table, lines) = table(port, "");
    for _ in 0..2 {
        assert_eq!(table.lookup("k".into()).unwrap(), Some("a@b".into()));
    }
    assert!(lines.lock().unwrap().is_empty());
}

#[test]
fn what_cannot_be_asked_is_failed_and_never_not_found() {
    let (table, lines) = table(server(vec![nonsense, huge, silent]), "timeout = 1\n");
    for code in ["-4 (Decoding error)", "-4 (Decoding error)", "-5 (Timed out)"] {
        assert!(table.lookup("k".into()).is_err());
        let line = lines.lock().unwrap().pop().unwrap();
        assert!(line.ends_with(code), "{line}");
    }
    // Nobody listens any more.
    assert!(table.lookup("k".into()).is_err());
    assert!(lines.lock().unwrap().pop().unwrap().ends_with("-1 (Can't contact LDAP server)"));
}

// S-DB-03
#[test]
fn the_next_server_is_asked_when_one_is_down() {
    let down = server(vec![]);
    let port = server(vec![one]);
    let (table, lines) = table(port, &format!("server_host = ldap://127.0.0.1:{down}, ldap://127.0.0.1:{port}\n"));
    assert_eq!(table.lookup("k".into()).unwrap(), Some("a@b".into()));
    assert!(lines.lock().unwrap().is_empty());
}

#[test]
fn tables_with_the_same_server_share_connections() {
    fn two(stream: &mut TcpStream) {
        one(stream);
        one(stream);
    }
    let port = server(vec![two]);
    let (first, _) = table(port, "");
    let (second, _) = table(port, "result_format = <%s>\n");
    assert_eq!(first.lookup("k".into()).unwrap(), Some("a@b".into()));
    assert_eq!(second.lookup("k".into()).unwrap(), Some("<a@b>".into()));
}

#[test]
fn attributes_are_compared_by_name_and_option() {
    assert!(same_attribute("Mail", "mail"));
    assert!(same_attribute("mail;lang-en", "mail"));
    assert!(same_attribute("mail", "mail;lang-en"));
    assert!(same_attribute("mail;lang-en", "MAIL;lang-en"));
    assert!(!same_attribute("mail;lang-en", "mail;lang-de"));
    assert!(!same_attribute("mail", "maildrop"));
}

#[test]
fn settings_are_checked() {
    let error = |settings: &str| {
        let context = Context::with_report(Settings::default(), |_, _| {});
        open("ldap:/t.cf", &Source::parse("/t.cf", settings).unwrap(), OpenFlags::default(), &context).err().unwrap()
    };
    assert_eq!(error("bind = perhaps\n"), "/t.cf: unsupported parameter value: bind = perhaps");
    assert_eq!(error("recursion_limit = 0\n"), "/t.cf: invalid recursion_limit parameter value 0 < 1");
    assert_eq!(error("start_tls = maybe\n"), "/t.cf: bad boolean configuration: start_tls = maybe");
    assert_eq!(
        error("start_tls = yes\nversion = 3\ntls_require_cert = yes\ntls_ca_cert_file = /nosuch\n"),
        "/t.cf: open /nosuch: No such file or directory"
    );
}
