//! What the real server of tests/system/mongodb.py cannot be made to do: sets of several members, servers that change their role, that answer slowly
//! or nonsense. Servers here say what they are told to.

use super::bson::{decode, encode, get};
use super::*;
use posthaste_table::Settings;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

type Log = Arc<Mutex<Vec<String>>>;

fn doc(json: &str) -> Document {
    match Bson::from_json(&Json::document(json).unwrap()).unwrap() {
        Bson::Document(fields) => fields,
        other => panic!("{other:?}"),
    }
}

fn message(number: [u8; 4], body: &Document) -> Vec<u8> {
    let mut out = vec![0; 21];
    out[8..12].copy_from_slice(&number);
    out[12..16].copy_from_slice(&2013_i32.to_le_bytes());
    encode(body, &mut out);
    let length = out.len() as u32;
    out[..4].copy_from_slice(&length.to_le_bytes());
    out
}

/// Answers each connection with these replies; one that is no JSON is sent as it is. Notes the first field and the read preference of each command.
fn serve(listener: TcpListener, connections: Vec<Vec<String>>) -> Log {
    let log = Log::default();
    let seen = Arc::clone(&log);
    std::thread::spawn(move || {
        for replies in connections {
            let mut stream = listener.accept().unwrap().0;
            for reply in replies {
                let Some((number, command)) = request(&mut stream) else { break };
                let preference = match get(&command, "$readPreference") {
                    Some(Bson::Document(fields)) => format!(" {}", get(fields, "mode").and_then(Bson::text).unwrap_or_default()),
                    _ => String::new(),
                };
                seen.lock().unwrap().push(format!("{}{preference}", command[0].0));
                let bytes = if reply.starts_with('{') { message(number, &doc(&reply)) } else { reply.into_bytes() };
                stream.write_all(&bytes).unwrap();
            }
        }
    });
    log
}

fn request(stream: &mut TcpStream) -> Option<([u8; 4], Document)> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).ok()?;
    let mut body = vec![0; u32::from_le_bytes(head[..4].try_into().unwrap()) as usize - 16];
    stream.read_exact(&mut body).unwrap();
    Some((head[4..8].try_into().unwrap(), decode(&body[5..]).unwrap()))
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn server(connections: Vec<Vec<String>>) -> (u16, Log) {
    let (listener, port) = listen();
    (port, serve(listener, connections))
}

fn hello(role: &str, members: &[u16]) -> String {
    let hosts: Vec<String> = members.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let set = if members.is_empty() { String::new() } else { format!("\"setName\": \"rs\", \"hosts\": [{}],", hosts.join(",")) };
    format!("{{{set} \"isWritablePrimary\": {}, \"secondary\": {}, \"ok\": 1}}", role != "secondary", role == "secondary")
}

fn found(value: &str) -> String {
    format!("{{\"cursor\": {{\"id\": 0, \"firstBatch\": [{{\"v\": \"{value}\"}}]}}, \"ok\": 1.0}}")
}

fn try_table(settings: &str) -> (Result<Box<dyn Table>, String>, Log) {
    let lines = Log::default();
    let sink = Arc::clone(&lines);
    let context = Context::with_report(Settings::default(), move |_, text| sink.lock().unwrap().push(text.to_owned()));
    let text = format!("dbname = d\ncollection = c\nquery_filter = {{\"k\": \"%s\"}}\n{settings}");
    (open("mongodb:/m.cf", &Source::parse("/m.cf", &text).unwrap(), OpenFlags::default(), &context), lines)
}

fn table(uri: &str) -> (Box<dyn Table>, Log) {
    let (table, lines) = try_table(&format!("uri = {uri}\n"));
    (table.unwrap(), lines)
}

fn ask(table: &dyn Table) -> Result<Option<String>, TableError> {
    Ok(table.lookup("k".into())?.map(|value| value.to_string()))
}

// S-DB-12
#[test]
fn the_member_that_the_preference_wants() {
    for (preference, expected) in
        [("primary", "p"), ("primaryPreferred", "p"), ("secondary", "s"), ("secondaryPreferred", "s"), ("nearest", "s")]
    {
        let ((one, secondary), (two, primary)) = (listen(), listen());
        let members = [secondary, primary];
        let secondaries = serve(one, vec![vec![hello("secondary", &members), found("s")]]);
        let primaries = serve(two, vec![vec![hello("primary", &members), found("p")]]);
        let (table, lines) = table(&format!("mongodb://127.0.0.1:{secondary}/?replicaSet=rs&readPreference={preference}"));
        assert_eq!(ask(&*table), Ok(Some(expected.into())), "{preference}");
        assert!(lines.lock().unwrap().is_empty(), "{preference}");
        let (asked, told) = if expected == "s" { (secondaries, preference) } else { (primaries, preference) };
        let find = if told == "primary" { "find".to_owned() } else { format!("find {told}") };
        assert_eq!(asked.lock().unwrap()[..], ["hello".to_owned(), find], "{preference}");
    }
}

#[test]
fn a_secondary_that_is_asked_directly_answers() {
    let (listener, port) = listen();
    let log = serve(listener, vec![vec![hello("secondary", &[port]), found("s")]]);
    let (table, _) = table(&format!("mongodb://127.0.0.1:{port}/"));
    assert_eq!(ask(&*table), Ok(Some("s".into())));
    assert_eq!(log.lock().unwrap()[1], "find primaryPreferred");
}

// S-DB-03
#[test]
fn a_primary_that_steps_down_is_left() {
    let ((one, old), (two, new)) = (listen(), listen());
    let not_primary = "{\"ok\": 0, \"code\": 10107, \"errmsg\": \"not primary\"}".to_owned();
    let members = [old, new];
    let _old = serve(one, vec![vec![hello("primary", &members), found("old"), not_primary], vec![hello("secondary", &members)]]);
    let _new = serve(two, vec![vec![hello("primary", &members), found("new")]]);
    let (table, lines) = table(&format!("mongodb://127.0.0.1:{old}/?replicaSet=rs"));
    assert_eq!(ask(&*table), Ok(Some("old".into())));
    assert_eq!(ask(&*table), Ok(Some("new".into())));
    assert!(lines.lock().unwrap().is_empty());
}

#[test]
fn without_a_primary_it_has_failed() {
    let (listener, port) = listen();
    let _log = serve(listener, vec![vec![hello("secondary", &[port])]]);
    let (table, lines) = table(&format!("mongodb://127.0.0.1:{port}/?replicaSet=rs"));
    assert!(ask(&*table).is_err());
    assert_eq!(lines.lock().unwrap()[..], ["/m.cf: no mongodb server is primary"]);
}

#[test]
fn a_lost_connection_is_tried_again_once() {
    let (port, _log) = server(vec![
        vec![hello("alone", &[]), found("1")],
        vec![hello("alone", &[]), found("2")],
        vec![hello("alone", &[])],
        vec![hello("alone", &[])],
    ]);
    let (table, lines) = table(&format!("mongodb://127.0.0.1:{port}/"));
    assert_eq!(ask(&*table), Ok(Some("1".into())));
    // The server has closed the connection of before.
    assert_eq!(ask(&*table), Ok(Some("2".into())));
    assert!(lines.lock().unwrap().is_empty());
    assert!(ask(&*table).is_err());
    assert_eq!(lines.lock().unwrap().pop().unwrap(), format!("/m.cf: mongodb server 127.0.0.1:{port}: lost connection"));
}

#[test]
fn servers_of_before_5() {
    let unknown = "{\"ok\": 0, \"code\": 59, \"errmsg\": \"no such command: 'hello'\"}".to_owned();
    let (port, log) = server(vec![vec![unknown, "{\"ismaster\": true, \"ok\": 1}".into(), found("v")]]);
    let (table, _) = table(&format!("mongodb://127.0.0.1:{port}/"));
    assert_eq!(ask(&*table), Ok(Some("v".into())));
    assert_eq!(log.lock().unwrap()[..], ["hello", "isMaster", "find"]);
}

#[test]
fn what_is_no_answer_is_a_failure() {
    let raw = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for (reply, shown) in [
        (
            "{\"ok\": 0, \"code\": 13, \"errmsg\": \"command find requires authentication\"}".to_owned(),
            "command find requires authentication",
        ),
        ("{\"ok\": 0}".to_owned(), "the command failed"),
        ("{\"ok\": 1}".to_owned(), "the reply has no cursor"),
        ("{\"ok\": 1, \"cursor\": {\"firstBatch\": [7], \"id\": 0}}".to_owned(), "the reply has no cursor"),
        ("HTTP/1.0 400 Bad Request\r\n\r\n".to_owned(), "malformed reply"),
        (raw(b"\x15\0\0\0\x01\0\0\0\x09\0\0\0\x4d\x07\0\0\0\0\0\0\0"), "malformed reply"),
        (raw(b"\x10\0\0\0\x01\0\0\0\x02\0\0\0\x4d\x07\0\0"), "malformed reply"),
    ] {
        let (port, _log) = server(vec![vec![hello("alone", &[]), reply.clone()], vec![hello("alone", &[]), reply]]);
        let (table, lines) = table(&format!("mongodb://127.0.0.1:{port}/"));
        assert!(ask(&*table).is_err(), "{shown}");
        assert_eq!(lines.lock().unwrap().pop().unwrap(), format!("/m.cf: mongodb server 127.0.0.1:{port}: {shown}"));
    }
}

#[test]
fn a_server_that_is_silent_is_given_up() {
    let (listener, port) = listen();
    let (table, lines) = table(&format!("mongodb://127.0.0.1:{port}/?connectTimeoutMS=200"));
    assert!(ask(&*table).is_err());
    assert_eq!(lines.lock().unwrap().pop().unwrap(), format!("/m.cf: mongodb server 127.0.0.1:{port}: Connection timed out"));
    drop(listener);
    let (port, log) = server(vec![vec![hello("alone", &[]), String::new()]]);
    let (table, _) = table_with_limit(port);
    assert!(ask(&*table).is_err());
    // It is not given its time twice.
    assert_eq!(log.lock().unwrap()[..], ["hello", "find"]);
}

fn table_with_limit(port: u16) -> (Box<dyn Table>, Log) {
    table(&format!("mongodb://127.0.0.1:{port}/?socketTimeoutMS=200"))
}

/// A server that does not know the password, but wants the client to believe so.
#[test]
fn a_server_must_prove_that_it_knows_the_password() {
    let easy = "{\"ok\": 1, \"done\": true, \"conversationId\": 1, \"payload\": \"v=bm8=\"}".to_owned();
    let (port, log) = server(vec![vec![hello("alone", &[]), easy]]);
    let (table, lines) = table(&format!("mongodb://u:p@127.0.0.1:{port}/"));
    assert!(ask(&*table).is_err());
    assert_eq!(log.lock().unwrap()[..], ["hello", "saslStart"]);
    assert!(!lines.lock().unwrap().is_empty());
}

#[test]
fn settings_are_checked() {
    let error = |settings: &str| try_table(settings).0.err().unwrap();
    assert_eq!(error("uri = http://x\n"), "/m.cf: uri: it must begin with mongodb:// or mongodb+srv://");
    assert_eq!(error(""), "/m.cf: bad string length 0 < 1: uri = ");
    let uri = "uri = mongodb://x\n";
    assert_eq!(error(&format!("{uri}query_filter = x\n")), "/m.cf: query_filter: expected { at \"x\"");
    assert_eq!(error(&format!("{uri}projection = {{\"a\": b}}\n")), "/m.cf: projection: expected a value, with text in quotes, at \"b}\"");
    assert!(error(&format!("{uri}projection = {{\"a\": 1}}\nresult_attribute = a\n")).contains("exclude one another"));
    assert!(error(&format!("{uri}query_filter = {{\"a\": \"%q\"}}\n")).starts_with("/m.cf: query_filter: \"%q\": unexpected %q"));
}
