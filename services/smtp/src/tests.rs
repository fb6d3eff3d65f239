//! Deliveries of real queue files to scripted servers on loopback.

use crate::deliver::Agent;
use crate::pool::Pool;
use crate::settings::Settings;
use crate::transform::Rules;
use posthaste_address::Address;
use posthaste_config::Config;
use posthaste_delivery::Reporter;
use posthaste_dns::{Resolver, Settings as DnsSettings};
use posthaste_ipc::delivery::{Done, Outcome, Report, Request};
use posthaste_log::Logger;
use posthaste_queue::{Notify, Origin, Queue, QueueName, Recipient, RecordType};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tokio::task::LocalSet;

const EHLO: &str = "250-mx.example|250-PIPELINING|250-SIZE 1000000|250-8BITMIME|250-DSN|250 SMTPUTF8";

/// What a scripted server saw, one list of lines for each connection.
#[derive(Clone, Default)]
struct Seen(Rc<RefCell<Vec<Vec<String>>>>);

impl Seen {
    fn all(&self) -> Vec<String> {
        self.0.borrow().iter().map(|lines| lines.join("|")).collect()
    }
    fn add(&self, at: usize, line: &str) {
        self.0.borrow_mut()[at].push(line.to_owned());
    }
}

/// A server with its answers by the start of the command (`BANNER`, `.` for the end of data); `drop` hangs up, `mute` says nothing.
#[derive(Clone, Default)]
struct Script {
    replies: HashMap<&'static str, &'static str>,
    lmtp: bool,
    seen: Seen,
}

impl Script {
    fn new(replies: &[(&'static str, &'static str)]) -> Script {
        Script { replies: replies.iter().copied().collect(), ..Script::default() }
    }

    fn reply(&self, command: &str, default: &'static str) -> &'static str {
        let best = self.replies.iter().filter(|(key, _)| command.starts_with(**key)).max_by_key(|(key, _)| key.len());
        best.map_or(default, |(_, reply)| reply)
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let at = self.seen.0.borrow().len();
        self.seen.0.borrow_mut().push(Vec::new());
        let (reader, mut writer) = tokio::io::split(stream);
        let mut lines = BufReader::new(reader).split(b'\n');
        let mut good = Vec::new();
        let mut todo = vec![self.reply("BANNER", "220 mx.example ESMTP")];
        let mut data = false;
        loop {
            for reply in todo.drain(..) {
                match reply {
                    "drop" => return,
                    "mute" => std::future::pending().await,
                    reply => {
                        if writer.write_all(format!("{}\r\n", reply.replace('|', "\r\n")).as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            }
            let Ok(Some(mut line)) = lines.next_segment().await else { return };
            if line.pop() != Some(b'\r') {
                self.seen.add(at, "(bare newline)");
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            self.seen.add(at, &line);
            if data {
                if line == "." {
                    data = false;
                    if self.lmtp {
                        todo.extend(good.iter().map(|rcpt: &String| self.reply(&format!(".{rcpt}"), "250 2.0.0 ok")));
                    } else {
                        todo.push(self.reply(".", "250 2.0.0 ok"));
                    }
                }
                continue;
            }
            let reply = match line.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" | "LHLO" => self.reply(&line, EHLO),
                "MAIL" => {
                    good.clear();
                    self.reply(&line, "250 2.1.0 ok")
                }
                "RCPT" => {
                    let reply = self.reply(&line, "250 2.1.5 ok");
                    if reply.starts_with('2') {
                        good.push(line.clone());
                    }
                    reply
                }
                "DATA" => {
                    let reply = self.reply(&line, if good.is_empty() { "554 5.5.1 nobody" } else { "354 go" });
                    data = reply.starts_with('3');
                    reply
                }
                "QUIT" => {
                    let _ = writer.write_all(b"221 2.0.0 bye\r\n").await;
                    return;
                }
                _ => self.reply(&line, "250 2.0.0 ok"),
            };
            todo.push(reply);
        }
    }

    /// Listens on a port of its own.
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let this = self.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(this.clone().serve(stream));
            }
        });
        format!("[127.0.0.1]:{port}")
    }

    fn listen_unix(&self, path: &Path) {
        let listener = UnixListener::bind(path).unwrap();
        let this = self.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(this.clone().serve(stream));
            }
        });
    }
}

struct World {
    folder: tempfile::TempDir,
    agent: Agent,
}

fn world(main_cf: &str, lmtp: bool) -> World {
    let folder = tempfile::tempdir().unwrap();
    for name in ["incoming", "active"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let text = format!(
        "myhostname = mail.example.com\ninet_interfaces = loopback-only\ninet_protocols = ipv4\nqueue_directory = {}\n{main_cf}",
        folder.path().display()
    );
    let config = Config::parse(&text, "main.cf").unwrap();
    let settings = Settings::read(&config, lmtp, &[]).ok().unwrap();
    let log = Logger::new(if lmtp { "postfix/lmtp" } else { "postfix/smtp" });
    let queue = Queue::open(&config).unwrap();
    let mut dns = DnsSettings::from_config(&config, log.clone()).unwrap();
    std::fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.1:9\noptions attempts:1 timeout:1\n").unwrap();
    std::fs::write(folder.path().join("hosts"), "127.0.0.1 known.example\n").unwrap();
    dns.directory = folder.path().into();
    let agent = Agent {
        settings,
        log: log.clone(),
        reporter: Reporter::new(&config, queue.clone(), log).unwrap(),
        queue,
        resolver: Resolver::new(dns),
        pool: Rc::new(Pool::default()),
        rules: Rules::open(&config, lmtp).unwrap(),
        notices: None,
        protection: crate::protection::Protection::open(&config, lmtp, false).unwrap(),
        tls: None,
    };
    World { folder, agent }
}

impl World {
    /// Writes a queue file and makes the request for it.
    fn message(&self, nexthop: &str, recipients: &[&str], body: &[&str]) -> Request {
        use RecordType as T;
        let mut file = self.agent.queue.create(QueueName::Incoming).unwrap();
        file.record(T::SENDER, b"sender@example.com").unwrap();
        let recipients = recipients
            .iter()
            .map(|address| Recipient {
                offset: Some(file.record(T::RECIPIENT, address.as_bytes()).unwrap()),
                address: Address::new(*address),
                original: Address::new(*address),
                dsn_orcpt: "".into(),
                notify: Notify(0),
            })
            .collect();
        file.record(T::MESSAGE, b"").unwrap();
        let content_offset = file.offset();
        for line in body {
            file.record(T::NORMAL, line.as_bytes()).unwrap();
        }
        let content_length = file.offset() - content_offset;
        file.record(T::EXTRACTED, b"").unwrap();
        file.record(T::END, b"").unwrap();
        let id = file.id().clone();
        let completed = file.complete(QueueName::Incoming).unwrap();
        posthaste_queue::commit::Committer::commit_now(completed).unwrap();
        let now = SystemTime::now();
        Request {
            queue: QueueName::Incoming,
            id,
            nexthop: nexthop.into(),
            content_offset,
            content_length,
            message_size: 1234,
            encoding: "".into(),
            sender: Address::new("sender@example.com"),
            sender_options: 0,
            envelope_id: "".into(),
            ret: 0,
            probe: false,
            trace_flags: 0,
            origin: Origin::default(),
            arrival: now,
            created: now,
            active: now,
            cache_load: false,
            cache_store: false,
            recipients,
        }
    }

    async fn deliver(&self, request: Request) -> (Vec<String>, Done) {
        let reports = RefCell::new(Vec::new());
        let sink = |_: &Request, report: &Report| reports.borrow_mut().push(report.clone());
        let done = self.agent.deliver(request, &sink).await;
        let mut reports = reports.into_inner();
        reports.sort_by_key(|report| report.recipient);
        let shown = reports.iter().map(|report| {
            let word = match report.outcome {
                Outcome::Sent => "sent",
                Outcome::Deferred => "deferred",
                Outcome::Bounced => "bounced",
            };
            format!("{} {word} {} {}", report.recipient, report.dsn.status, report.dsn.reason)
        });
        (shown.collect(), done)
    }

    async fn send(&self, nexthop: &str, recipients: &[&str]) -> Vec<String> {
        self.deliver(self.message(nexthop, recipients, &["Subject: x", "", "body"])).await.0
    }
}

/// Runs a test on a runtime like the harness's.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(test));
}

fn strip_port(text: &str) -> String {
    text.replace("127.0.0.1[127.0.0.1]", "H")
}

/// S-CLIENT-06: the whole conversation, results apart, recipients marked done in the queue file.
#[test]
fn one_message_to_three() {
    run(async {
        let world = world("", false);
        let server = Script::new(&[("RCPT TO:<bad@", "550 5.1.1 unknown"), ("RCPT TO:<later@", "450 4.2.0 busy")]);
        let nexthop = server.listen().await;
        let request = world.message(&nexthop, &["a@x.example", "bad@x.example", "later@x.example"], &["Subject: x", "", ".dot", "end"]);
        let (id, offsets) = (request.id.clone(), request.recipients.iter().filter_map(|r| r.offset).collect::<Vec<_>>());
        let (reports, done) = world.deliver(request).await;
        let reports: Vec<_> = reports.iter().map(|r| strip_port(r)).collect();
        assert_eq!(
            reports,
            [
                "0 sent 2.0.0 250 2.0.0 ok",
                "1 bounced 5.1.1 host H said: 550 5.1.1 unknown (in reply to RCPT TO command)",
                "2 deferred 4.2.0 host H said: 450 4.2.0 busy (in reply to RCPT TO command)",
            ]
        );
        assert_eq!(done.destination_failed, None);
        tokio::task::yield_now().await;
        assert_eq!(
            server.seen.all(),
            ["EHLO mail.example.com|MAIL FROM:<sender@example.com> SIZE=1234|RCPT TO:<a@x.example> ORCPT=rfc822;a@x.example|\
              RCPT TO:<bad@x.example> ORCPT=rfc822;bad@x.example|RCPT TO:<later@x.example> ORCPT=rfc822;later@x.example|DATA|\
              Subject: x||..dot|end|.|QUIT"]
        );
        let file = std::fs::read(world.folder.path().join("incoming").join(id.as_str())).unwrap();
        let marks: Vec<u8> = offsets.iter().map(|at| file[*at as usize]).collect();
        assert_eq!(marks, b"DRR");
    });
}

/// S-CLIENT-01: without ESMTP there are no parameters and no pipelining.
#[test]
fn an_old_server() {
    run(async {
        let world = world("", false);
        let server = Script::new(&[("EHLO", "500 5.5.1 what")]);
        let nexthop = server.listen().await;
        assert_eq!(world.send(&nexthop, &["a@x.example"]).await, ["0 sent 2.0.0 250 2.0.0 ok"]);
        tokio::task::yield_now().await;
        assert!(
            server.seen.all()[0]
                .starts_with("EHLO mail.example.com|HELO mail.example.com|MAIL FROM:<sender@example.com>|RCPT TO:<a@x.example>|DATA|")
        );
    });
}

/// S-CLIENT-03, S-DNS-01: what one server does not do is tried at the next; what it refuses for good is not.
#[test]
fn the_next_server() {
    run(async {
        let world = world("", false);
        let good = Script::default();
        let last = good.listen().await;
        for (script, expected) in [
            (&[("BANNER", "554 go away")][..], "sent"),
            (&[("BANNER", "421 4.3.2 busy")], "sent"),
            (&[("BANNER", "drop")], "sent"),
            (&[("EHLO", "421 4.3.2 no")], "sent"),
            (&[("EHLO", "554 5.1.0 no"), ("HELO", "554 5.1.1 no")], "bounced 5.1.1 host H refused to talk to me: 554 5.1.1 no"),
            (&[("BANNER", "354 strange")], "bounced 5.5.0 host H refused to talk to me: 354 strange"),
            (&[("MAIL", "450 4.7.1 grey")], "sent"),
            (&[("MAIL", "550 5.7.1 no")], "bounced 5.7.1 host H said: 550 5.7.1 no (in reply to MAIL FROM command)"),
            (&[("RCPT", "450 4.2.0 busy")], "sent"),
            (&[("RCPT", "354 strange")], "bounced 5.5.0 host H said: 354 strange (in reply to RCPT TO command)"),
            (&[("DATA", "451 4.7.0 no")], "sent"),
            (&[("DATA", "drop")], "sent"),
            (&[(".", "452 4.3.1 full")], "sent"),
            (&[(".", "552 5.3.4 no")], "bounced 5.3.4 host H said: 552 5.3.4 no (in reply to end of DATA command)"),
            (&[(".", "drop")], "sent"),
        ] {
            let first = Script::new(script).listen().await;
            let got = world.send(&format!("{first}, {last}"), &["a@x.example"]).await;
            let got: Vec<_> = got.iter().map(|r| strip_port(r)).collect();
            let expected = if expected == "sent" { "sent 2.0.0 250 2.0.0 ok" } else { expected };
            assert_eq!(got, [format!("0 {expected}")], "{script:?}");
        }
    });
}

/// S-CLIENT-05, S-CLIENT-04, and the texts of broken conversations when no other server is left.
#[test]
fn what_goes_wrong_at_the_only_server() {
    run(async {
        let world = world("smtp_helo_timeout = 1\nsmtp_data_done_timeout = 1\n", false);
        for (script, expected, destination) in [
            (&[("BANNER", "554 5.3.2 go away")][..], "4.3.2 host H refused to talk to me: 554 5.3.2 go away", true),
            (&[("BANNER", "mute")], "4.4.2 conversation with H timed out while receiving the initial server greeting", true),
            (&[("EHLO", "drop")], "4.4.2 lost connection with H while performing the EHLO handshake", true),
            (&[("MAIL", "drop")], "4.4.2 lost connection with H while sending MAIL FROM", false),
            (&[("RCPT", "drop")], "4.4.2 lost connection with H while sending RCPT TO", false),
            (&[("DATA", "drop")], "4.4.2 lost connection with H while sending DATA command", false),
            (&[(".", "drop")], "4.4.2 lost connection with H while sending end of data -- message may be sent more than once", false),
            (
                &[(".", "mute")],
                "4.4.2 conversation with H timed out while sending end of data -- message may be sent more than once",
                false,
            ),
        ] {
            let server = Script::new(script).listen().await;
            let request = world.message(&server, &["a@x.example"], &["", "body"]);
            let (got, done) = world.deliver(request).await;
            assert_eq!(got.iter().map(|r| strip_port(r)).collect::<Vec<_>>(), [format!("0 deferred {expected}")]);
            assert_eq!(done.destination_failed.is_some(), destination, "{expected}");
        }
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let got = world.send(&format!("[127.0.0.1]:{free}"), &["a@x.example"]).await;
        assert_eq!(got, [format!("0 deferred 4.4.1 connect to 127.0.0.1[127.0.0.1]:{free}: Connection refused")]);
    });
}

#[test]
fn recipients_are_kept_apart_over_servers() {
    run(async {
        let world = world("", false);
        let first = Script::new(&[("RCPT TO:<a@", "450 4.2.0 busy")]);
        let second = Script::default();
        let nexthop = format!("{}, {}", first.listen().await, second.listen().await);
        assert_eq!(world.send(&nexthop, &["a@x.example", "b@x.example"]).await.len(), 2);
        tokio::task::yield_now().await;
        assert!(second.seen.all()[0].contains("RCPT TO:<a@") && !second.seen.all()[0].contains("RCPT TO:<b@"));
    });
}

/// S-LMTP-01, S-LMTP-02.
#[test]
fn lmtp_over_tcp_and_socket() {
    run(async {
        let world = world("", true);
        let server = Script { lmtp: true, ..Script::new(&[(".RCPT TO:<full@", "552 5.2.2 full"), ("RCPT TO:<no@", "550 5.1.1 no")]) };
        let to = ["a@x.example", "full@x.example", "no@x.example"];
        let expected = [
            "0 sent 2.0.0 250 2.0.0 ok",
            "1 bounced 5.2.2 host H said: 552 5.2.2 full (in reply to end of DATA command)",
            "2 bounced 5.1.1 host H said: 550 5.1.1 no (in reply to RCPT TO command)",
        ];
        let nexthop = format!("inet:{}", server.listen().await);
        let got: Vec<_> = world.send(&nexthop, &to).await.iter().map(|r| strip_port(r)).collect();
        assert_eq!(got, expected);
        let path = world.folder.path().join("lmtp.sock");
        server.listen_unix(&path);
        let got = world.send(&format!("unix:{}", path.display()), &to).await;
        let name = format!("mail.example.com[{}]", path.display());
        assert_eq!(got.iter().map(|r| r.replace(&name, "H")).collect::<Vec<_>>(), expected);
        assert!(server.seen.all()[1].starts_with("LHLO mail.example.com|"));
        let got = world.send("unix:/nosuch", &["a@x.example"]).await;
        assert_eq!(got, ["0 deferred 4.4.1 connect to mail.example.com[/nosuch]: No such file or directory"]);
    });
}

/// S-CLIENT-07: the queue manager's hints decide; RSET comes before the next message; a dead connection is replaced without a word.
#[test]
fn connections_are_used_again() {
    run(async {
        let world = world("", false);
        let server = Script::default();
        let nexthop = server.listen().await;
        let message = |load, store| {
            let mut request = world.message(&nexthop, &["a@x.example"], &["", "x"]);
            (request.cache_load, request.cache_store) = (load, store);
            request
        };
        world.deliver(message(false, true)).await;
        world.deliver(message(true, true)).await;
        world.deliver(message(true, false)).await;
        tokio::task::yield_now().await;
        let seen = server.seen.all();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].matches("|RSET|MAIL").count(), 2);
        assert!(seen[0].ends_with("|.|QUIT"));

        let short = Script::new(&[("RSET", "drop")]);
        let nexthop = short.listen().await;
        for _ in 0..2 {
            let mut request = world.message(&nexthop, &["a@x.example"], &["", "x"]);
            (request.cache_load, request.cache_store) = (true, true);
            assert_eq!(world.deliver(request).await.0, ["0 sent 2.0.0 250 2.0.0 ok"]);
        }
        assert_eq!(short.seen.all().len(), 2);
    });
}

#[test]
fn kept_connections_are_closed_in_time() {
    run(async {
        let world = world("smtp_connection_cache_time_limit = 1\n", false);
        let server = Script::default();
        let nexthop = server.listen().await;
        let mut request = world.message(&nexthop, &["a@x.example"], &["", "x"]);
        request.cache_store = true;
        world.deliver(request.clone()).await;
        tokio::time::sleep(Duration::from_millis(1300)).await;
        request.cache_load = true;
        assert!(world.agent.pool.for_destination(nexthop.as_str()).is_none());
        world.deliver(request).await;
        assert_eq!(server.seen.all().len(), 2);
    });
}

/// The size limit that a server names is believed.
#[test]
fn too_big_for_the_server() {
    run(async {
        let world = world("", false);
        let server = Script::new(&[("EHLO", "250-mx|250 SIZE 10")]);
        let got = world.send(&server.listen().await, &["a@x.example"]).await;
        assert_eq!(strip_port(&got[0]), "0 bounced 5.3.4 message size 1234 exceeds size limit 10 of server H");
        assert_eq!(server.seen.all(), ["EHLO mail.example.com"]);
    });
}

#[test]
fn smtputf8_needs_a_server_that_has_it() {
    run(async {
        let world = world("smtputf8_enable = yes\n", false);
        let old = Script::new(&[("EHLO", "250-mx|250 PIPELINING")]);
        let new = Script::default();
        let mut request = world.message(&old.listen().await, &["gr\u{fc}\u{df}@x.example"], &["", "x"]);
        request.sender_options = 1;
        let (got, _) = world.deliver(request.clone()).await;
        assert_eq!(strip_port(&got[0]), "0 bounced 5.6.7 SMTPUTF8 is required, but was not offered by host H");
        // Since 3.11 another server may take it.
        request.nexthop = format!("{}, {}", old.listen().await, new.listen().await).into();
        assert_eq!(world.deliver(request).await.0, ["0 sent 2.0.0 250 2.0.0 ok"]);
        tokio::task::yield_now().await;
        assert!(new.seen.all()[0].contains(" SMTPUTF8|RCPT TO:<gr\u{fc}\u{df}@x.example>"), "{:?}", new.seen.all());
    });
}

/// Address verification: asks, and delivers nothing.
#[test]
fn probes_stop_before_data() {
    run(async {
        let world = world("", false);
        let server = Script::new(&[("RCPT TO:<bad@", "550 5.1.1 no")]);
        let mut request = world.message(&server.listen().await, &["a@x.example", "bad@x.example"], &["", "x"]);
        request.probe = true;
        let (got, _) = world.deliver(request).await;
        assert_eq!(got[0], "0 sent 2.0.0 250 2.1.5 ok".replace("2.0.0 250", "2.1.5 250"));
        tokio::task::yield_now().await;
        assert!(server.seen.all()[0].ends_with("|RSET|QUIT") && !server.seen.all()[0].contains("DATA"), "{:?}", server.seen.all());
    });
}

/// S-DNS-13: a host known to the hosts file only.
#[test]
fn native_lookup() {
    run(async {
        let native = world("smtp_host_lookup = native\n", false);
        let server = Script::default();
        let port = server.listen().await.replace("[127.0.0.1]", "");
        assert_eq!(native.send(&format!("[known.example]{port}"), &["a@x.example"]).await, ["0 sent 2.0.0 250 2.0.0 ok"]);
        let by_dns = world("", false);
        let got = by_dns.send(&format!("[known.example]{port}"), &["a@x.example"]).await;
        assert_eq!(
            got,
            ["0 deferred 4.4.3 Host or domain name not found. Name service error for name=known.example type=A: Host not found, try again"]
        );
    });
}

#[test]
fn fallback_relay_takes_what_nobody_else_does() {
    run(async {
        let relay = Script::default();
        let world = world(&format!("smtp_fallback_relay = {}\n", relay.listen().await), false);
        let grey = Script::new(&[("MAIL", "450 4.7.1 grey")]);
        assert_eq!(world.send(&grey.listen().await, &["a@x.example"]).await, ["0 sent 2.0.0 250 2.0.0 ok"]);
        assert_eq!(world.send("unknown.example", &["a@x.example"]).await, ["0 sent 2.0.0 250 2.0.0 ok"]);
        assert_eq!(relay.seen.all().len(), 2);
    });
}

/// A next hop that makes no sense costs its delivery, not the process.
#[test]
fn bad_destination() {
    run(async {
        let world = world("", false);
        assert_eq!(world.send("[brack.example", &["a@x.example"]).await, ["0 deferred 4.3.0 unknown mail transport error"]);
    });
}

/// Mandatory encryption is never given up, also where there is no TLS at all.
#[test]
fn no_clear_text_where_tls_is_required() {
    run(async {
        let world = world("smtp_tls_security_level = encrypt\n", false);
        let without = Script::default();
        let got = world.send(&without.listen().await, &["a@x.example"]).await;
        assert_eq!(strip_port(&got[0]), "0 deferred 4.7.4 TLS is required, but was not offered by host H");
        let with = Script::new(&[("EHLO", "250-mx|250 STARTTLS")]);
        let got = world.send(&with.listen().await, &["a@x.example"]).await;
        assert_eq!(strip_port(&got[0]), "0 deferred 4.7.5 TLS is required, but our TLS engine is unavailable");
        assert!(!with.seen.all()[0].contains("MAIL"));
    });
}

/// A message of many chunks arrives whole.
#[test]
fn a_large_message() {
    run(async {
        let world = world("", false);
        let server = Script::new(&[("EHLO", "250-mx|250 PIPELINING")]);
        let lines: Vec<String> = (0..20_000).map(|i| format!("line {i} of the message")).collect();
        let refs: Vec<&str> = lines.iter().map(String::as_str).collect();
        let request = world.message(&server.listen().await, &["a@x.example"], &refs);
        assert_eq!(world.deliver(request).await.0, ["0 sent 2.0.0 250 2.0.0 ok"]);
        tokio::task::yield_now().await;
        assert!(server.seen.all()[0].ends_with(&format!("DATA|{}|.|QUIT", lines.join("|"))));
    });
}

/// What arrives of a message at a server with this EHLO reply.
async fn arrives(main_cf: &str, ehlo: &'static str, encoding: &str, lines: &[&str]) -> Vec<String> {
    let world = world(main_cf, false);
    let server = Script::new(&[("EHLO", ehlo)]);
    let mut request = world.message(&server.listen().await, &["alice@gen.example"], lines);
    request.encoding = encoding.into();
    request.sender = Address::new("bob+ext@example.com");
    assert_eq!(world.deliver(request).await.0, ["0 sent 2.0.0 250 2.0.0 ok"]);
    tokio::task::yield_now().await;
    let seen = server.seen.0.borrow();
    seen[0].iter().skip_while(|line| !line.starts_with("MAIL")).cloned().collect()
}

/// S-CLIENT: a server without 8BITMIME gets quoted-printable; lines and order as Postfix sent them.
#[test]
fn eight_bit_content_is_converted() {
    run(async {
        let message = [
            "From: a@example.com",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
            "Subject: eight bits",
            "",
            "Gr\u{fc}\u{df}e = aus K\u{f6}ln, in a line that is longer than the limit of sixty octets, really",
            ".leading dot",
            "trailing space ",
        ];
        let got = arrives("smtp_line_length_limit = 60\n", "250-mx|250 PIPELINING", "8bit", &message).await;
        assert_eq!(
            got[3..],
            [
                "From: a@example.com",
                "Content-Type: text/plain; charset=utf-8",
                "Subject: eight bits",
                "Content-Transfer-Encoding: quoted-printable",
                "",
                "Gr=C3=BC=C3=9Fe =3D aus K=C3=B6ln, in a line that is longer ",
                " than the limi=",
                "t of sixty octets, really",
                "..leading dot",
                "trailing space=20",
                ".",
                "QUIT"
            ]
        );
        let got = arrives("", "250-mx|250-8BITMIME|250 PIPELINING", "8bit", &message).await;
        assert_eq!(got[0], "MAIL FROM:<bob+ext@example.com> BODY=8BITMIME");
        assert!(got[8].starts_with("Gr\u{fc}"), "{got:?}");
        let got = arrives("disable_mime_output_conversion = yes\n", "250-mx|250 PIPELINING", "8bit", &message).await;
        assert!(got[8].starts_with("Gr\u{fc}"), "{got:?}");
    });
}

/// smtp_header_checks and smtp_body_checks: what they may do, and what they may not.
#[test]
fn checks_of_the_client() {
    run(async {
        let checks = "smtp_header_checks = regexp:{ {/^X-Ign/ IGNORE}, {/^X-Rep/ REPLACE X-New: new}, {/^X-Pre/ PREPEND X-Before: b}, \
                      {/^X-Rej/ REJECT no}, {/^X-Warn/ WARN careful}, {/^X-Strip/ STRIP gone} }\n\
                      smtp_body_checks = regexp:{ {/^bodyrep/ REPLACE replaced}, {/^bodyign/ IGNORE} }\n";
        let message = [
            "X-Ign: 1",
            "X-Rep: 2",
            "X-Pre: 3",
            "X-Rej: 4",
            "X-Warn: a",
            "\tb",
            "X-Strip: 5",
            "",
            "bodyrep",
            "bodyign",
            "kept",
            "X-Ign: body",
        ];
        let got = arrives(checks, "250-mx|250 PIPELINING", "", &message).await;
        assert_eq!(
            got[3..],
            ["X-New: new", "X-Before: b", "X-Pre: 3", "X-Rej: 4", "X-Warn: a", "\tb", "", "replaced", "kept", "X-Ign: body", ".", "QUIT"]
        );
    });
}

/// generic(5): envelope and headers, extensions kept where main.cf says so. Input and result are those of a real Postfix.
#[test]
fn generic_maps() {
    run(async {
        let main_cf = "myorigin = example.com\nmydestination = example.com\nrecipient_delimiter = +\n\
                       propagate_unmatched_extensions = canonical, virtual, generic\n\
                       smtp_generic_maps = inline:{ {bob@example.com=robert@elsewhere.example}, {alice=al}, \
                       {@local.example=@global.example}, {carol@example.com=@only.example} }\n";
        let message = [
            "From: Bob <bob@example.com>, alice@example.com",
            "To: x@local.example,",
            "\tcarol@example.com (Carol), \"q u\"@local.example",
            "Cc: undisclosed:;",
            "Reply-To: bob+ext@example.com",
            "X-Other: bob@example.com",
            "Message-ID: <bob@example.com>",
            "",
            "bob@example.com",
        ];
        let got = arrives(main_cf, "250-mx|250 PIPELINING", "", &message).await;
        assert_eq!(
            got,
            [
                "MAIL FROM:<robert+ext@elsewhere.example>",
                "RCPT TO:<alice@gen.example>",
                "DATA",
                "From: Bob <robert@elsewhere.example>, al@example.com",
                "To: x@global.example, carol@only.example (Carol),",
                "\t\"q u\"@global.example",
                "Cc: undisclosed:;",
                "Reply-To: robert+ext@elsewhere.example",
                "X-Other: bob@example.com",
                "Message-ID: <bob@example.com>",
                "",
                "bob@example.com",
                ".",
                "QUIT"
            ]
        );
    });
}

/// A name server with records written as `name TYPE data`; names that are not there do not exist, `name TYPE fail` fails.
async fn name_server(zone: &'static str) -> u16 {
    use domain::base::iana::Rcode;
    use domain::base::{Message, MessageBuilder, Name};
    use domain::rdata::{A, Mx, Srv};
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let name = |text: &str| text.parse::<Name<Vec<u8>>>().unwrap();
    tokio::task::spawn_local(async move {
        let mut buffer = [0; 600];
        while let Ok((n, peer)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_octets(buffer[..n].to_vec()).unwrap();
            let question = query.sole_question().unwrap();
            let (asked, kind) = (question.qname().to_string().to_lowercase(), question.qtype().to_string());
            let rows: Vec<Vec<&str>> = zone.lines().map(|line| line.split_whitespace().collect()).collect();
            let rows: Vec<_> = rows.into_iter().filter(|row: &Vec<&str>| row.first() == Some(&asked.as_str())).collect();
            let here: Vec<_> = rows.iter().filter(|row| row[1] == kind).collect();
            let rcode = match () {
                () if here.iter().any(|row| row[2] == "fail") => Rcode::SERVFAIL,
                () if rows.is_empty() => Rcode::NXDOMAIN,
                () => Rcode::NOERROR,
            };
            let mut answer = MessageBuilder::new_vec().start_answer(&query, rcode).unwrap();
            for row in here.iter().filter(|row| row[2] != "fail") {
                let number = |i: usize| row[i].parse::<u16>().unwrap();
                match kind.as_str() {
                    "A" => answer.push((name(&asked), 60, A::new(row[2].parse().unwrap()))).unwrap(),
                    "MX" => answer.push((name(&asked), 60, Mx::new(number(2), name(row[3])))).unwrap(),
                    "SRV" => answer.push((name(&asked), 60, Srv::new(number(2), number(3), number(4), name(row[5])))).unwrap(),
                    _ => {}
                }
            }
            socket.send_to(&answer.finish(), peer).await.unwrap();
        }
    });
    port
}

async fn world_with_dns(main_cf: &str, zone: &'static str) -> World {
    let mut world = world(main_cf, false);
    let port = name_server(zone).await;
    let text = format!("nameserver 127.0.0.1:{port}\noptions attempts:1 timeout:1\n");
    std::fs::write(world.folder.path().join("resolv.conf"), text).unwrap();
    let mut dns = DnsSettings::new(world.agent.log.clone());
    dns.families = world.agent.resolver.families();
    dns.directory = world.folder.path().into();
    world.agent.resolver = Resolver::new(dns);
    world
}

/// S-DNS-04, S-DNS-05, S-DNS-06, S-DNS-07, S-DNS-08, S-DNS-10, S-RELAY-01: what the log says when there is nowhere to go. Port 25 is where
/// loops are looked for; nobody needs to listen there.
#[test]
fn where_mail_cannot_go() {
    const ZONE: &str = "nothing.example TXT x
        tempfail.example MX fail
        tempfail.example A 127.0.0.1
        nullmx.example MX 0 .
        loop.example MX 10 me.example
        me.example A 127.0.0.1
        backup.example MX 10 127.0.0.9
        backup.example MX 20 me.example
        lost.example MX 10 nosuch.lost.example
        lost.example MX 20 me.example
        nohost.example MX 10 nosuch.nohost.example
        nohost.example MX 20 alsonot.nohost.example
        half.example MX 10 nosuch.half.example
        half.example MX 20 flaky.example
        flaky.example A fail
        direct.example A 127.0.0.1";
    run(async {
        let world = world_with_dns("", ZONE).await;
        let unknown = |name: &str| format!("Host or domain name not found. Name service error for name={name} type=A: Host not found");
        let no_data = "Host or domain name not found. Name service error for name=nothing.example type=A: \
                       Host found but no data record of requested type";
        for (domain, expected) in [
            ("unknown.example", format!("bounced 5.4.4 {}", unknown("unknown.example"))),
            ("nothing.example", format!("bounced 5.4.4 {no_data}")),
            (
                "tempfail.example",
                "deferred 4.4.3 Host or domain name not found. Name service error for name=tempfail.example type=MX: Host not found, try again"
                    .into(),
            ),
            ("nullmx.example", "bounced 5.1.0 Domain nullmx.example does not accept mail (nullMX)".into()),
            ("loop.example", "bounced 5.4.6 mail for loop.example loops back to myself".into()),
            ("direct.example", "bounced 5.4.6 mail for direct.example loops back to myself".into()),
            ("[me.example]", "bounced 5.4.6 mail for me.example loops back to myself".into()),
            ("backup.example", "deferred 4.4.1 connect to 127.0.0.9[127.0.0.9]:25: Connection refused".into()),
            ("lost.example", "deferred 4.4.4 unable to find primary relay for lost.example".into()),
            ("nohost.example", format!("bounced 5.4.4 {}", unknown("alsonot.nohost.example"))),
            (
                "half.example",
                "deferred 4.4.3 Host or domain name not found. Name service error for name=flaky.example type=A: Host not found, try again"
                    .into(),
            ),
        ] {
            assert_eq!(world.send(domain, &["a@x.example"]).await, [format!("0 {expected}")], "{domain}");
        }
        // On another port of this host something else may listen.
        let elsewhere = world.send("loop.example:2", &["a@x.example"]).await;
        assert_eq!(elsewhere, ["0 deferred 4.4.1 connect to me.example[127.0.0.1]:2: Connection refused"]);
        let softer = world_with_dns("smtp_defer_if_no_mx_address_found = yes\nignore_mx_lookup_error = yes\n", ZONE).await;
        let got = softer.send("nohost.example", &["a@x.example"]).await;
        assert_eq!(got, [format!("0 deferred 4.4.4 {}", unknown("alsonot.nohost.example"))]);
        let got = softer.send("tempfail.example:2", &["a@x.example"]).await;
        assert_eq!(got, ["0 deferred 4.4.1 connect to tempfail.example[127.0.0.1]:2: Connection refused"]);
    });
}

/// S-DNS-01, S-DNS-02, S-RELAY-05: the preferred host first; among equals any.
#[test]
fn mail_exchangers_in_order() {
    run(async {
        let world = world_with_dns(
            "smtp_mx_session_limit = 0\n",
            "two.example MX 10 a.example
             two.example MX 10 b.example
             two.example MX 5 dead.example
             a.example A 127.0.0.3
             b.example A 127.0.0.4
             dead.example A 127.0.0.5",
        )
        .await;
        let port = TcpListener::bind("127.0.0.3:0").await.unwrap().local_addr().unwrap().port();
        let mut servers = Vec::new();
        for ip in ["127.0.0.3", "127.0.0.4"] {
            let script = Script::default();
            let listener = TcpListener::bind((ip, port)).await.unwrap();
            servers.push(script.clone());
            tokio::task::spawn_local(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::task::spawn_local(script.clone().serve(stream));
                }
            });
        }
        for _ in 0..40 {
            assert_eq!(world.send(&format!("two.example:{port}"), &["a@x.example"]).await, ["0 sent 2.0.0 250 2.0.0 ok"]);
        }
        let counts: Vec<usize> = servers.iter().map(|server| server.seen.all().len()).collect();
        // With a fair coin this fails once in 10^12 runs.
        assert!(counts.iter().sum::<usize>() == 40 && counts.iter().all(|n| *n > 0), "{counts:?}");
    });
}

/// postconf(5), use_srv_lookup: port and host come from the SRV record; without one there is mail only where main.cf lets MX take its place.
#[test]
fn srv_records() {
    run(async {
        let zone = "srv.example SRV x
            _submission._tcp.srv.example SRV 20 0 2 127.0.0.1
            _submission._tcp.srv.example SRV 10 0 3 127.0.0.1
            nosrv.example A 127.0.0.1
            _submission._tcp.none.example SRV 0 0 0 .";
        let world = world_with_dns("use_srv_lookup = submission\n", zone).await;
        let got = world.send("srv.example:submission", &["a@x.example"]).await;
        assert_eq!(got, ["0 deferred 4.4.1 connect to 127.0.0.1[127.0.0.1]:2: Connection refused"], "the last one tried");
        let got = world.send("nosrv.example:submission", &["a@x.example"]).await;
        assert_eq!(
            got,
            [
                "0 bounced 5.4.4 Host or domain name not found. Name service error for name=_submission._tcp.nosrv.example type=SRV: Host not found"
            ]
        );
        assert!(world.send("none.example:submission", &["a@x.example"]).await[0].starts_with("0 bounced 5.1.0"));
        let world = world_with_dns("use_srv_lookup = submission\nallow_srv_lookup_fallback = yes\n", zone).await;
        let got = world.send("nosrv.example:submission", &["a@x.example"]).await;
        assert_eq!(got, ["0 deferred 4.4.1 connect to nosrv.example[127.0.0.1]:587: Connection refused"]);
    });
}

/// S-CLIENT-13, S-CLIENT-14: what a content filter behind this client gets, and the time it may take.
#[test]
fn content_filter() {
    run(async {
        let world = world("smtp_send_xforward_command = yes\nsmtp_data_done_timeout = 1200s\n", false);
        assert_eq!(world.agent.settings.timeouts.data_done, Duration::from_secs(1200));
        let server = Script::new(&[("EHLO", "250-f|250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")]);
        let mut request = world.message(&server.listen().await, &["a@x.example"], &["", "x"]);
        request.origin = Origin {
            log_client_name: "client.good.test".into(),
            log_client_address: "127.0.0.2".into(),
            log_helo_name: "c".into(),
            log_protocol_name: "SMTP".into(),
            log_ident: "79D994A".into(),
            rewrite_context: "remote".into(),
            ..Origin::default()
        };
        world.deliver(request.clone()).await;
        request.origin = Origin { rewrite_context: "local".into(), ..Origin::default() };
        world.deliver(request).await;
        tokio::task::yield_now().await;
        let seen = server.seen.all();
        assert!(
            seen[0].contains("|XFORWARD NAME=client.good.test ADDR=127.0.0.2|XFORWARD PROTO=SMTP HELO=c IDENT=79D994A SOURCE=REMOTE|MAIL"),
            "{seen:?}"
        );
        assert!(seen[1].contains("|XFORWARD SOURCE=LOCAL|MAIL"), "{seen:?}");
    });
}

/// RFC 3461: NOTIFY=SUCCESS is the next server's business where that takes it, else ours.
#[test]
fn success_reports() {
    run(async {
        let world = world("", false);
        for (ehlo, ours) in [("250-mx|250 DSN", false), ("250 mx", true)] {
            let server = Script::new(&[("EHLO", ehlo)]);
            let mut request = world.message(&server.listen().await, &["a@x.example"], &["", "x"]);
            request.recipients[0].notify = Notify(Notify::SUCCESS);
            let reports = RefCell::new(Vec::new());
            world.agent.deliver(request, &|_: &Request, report: &Report| reports.borrow_mut().push(report.clone())).await;
            let report = &reports.borrow()[0];
            assert_eq!((report.marked, report.dsn.action.as_str()), (!ours, "relayed"));
        }
    });
}
