//! The resolver against a server in the test that can also be hostile, slow, or short of words.

use super::*;
use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::{A, Aaaa, Cname, Mx, Ptr};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// What the server says to one question; `None` is silence.
type Script = Arc<dyn Fn(&str, Rtype, &Message<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync>;

struct World {
    resolver: Resolver,
    asked: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

fn n(text: &str) -> Name<Vec<u8>> {
    wire::name_from_text(text).unwrap()
}

fn truncated(query: &Message<Vec<u8>>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_tc(true);
    let mut message = builder.start_answer(query, Rcode::NOERROR).unwrap();
    message.header_mut().set_tc(true);
    message.finish()
}

async fn world(resolv: &str, hosts: &str, tcp_only: bool, script: Script) -> World {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(address).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, talk) = (Arc::clone(&asked), Arc::clone(&script));
    tokio::spawn(async move {
        let mut buffer = [0; 600];
        while let Ok((len, peer)) = udp.recv_from(&mut buffer).await {
            count.fetch_add(1, Ordering::Relaxed);
            let query = Message::from_octets(buffer[..len].to_vec()).unwrap();
            let question = query.sole_question().unwrap();
            let reply = if tcp_only {
                Some(truncated(&query))
            } else {
                talk(&question.qname().to_string().to_lowercase(), question.qtype(), &query)
            };
            if let Some(reply) = reply {
                udp.send_to(&reply, peer).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let query = Message::from_octets(query).unwrap();
            let question = query.sole_question().unwrap();
            let reply = script(&question.qname().to_string().to_lowercase(), question.qtype(), &query).unwrap();
            stream.write_u16(reply.len() as u16).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("resolv.conf"), format!("nameserver {address}\n{resolv}\n")).unwrap();
    std::fs::write(folder.path().join("hosts"), hosts).unwrap();
    let settings = Settings { directory: folder.path().into(), ..Settings::new(Logger::new("test")) };
    World { resolver: Resolver::new(settings), asked, _folder: folder }
}

fn script(f: impl Fn(&str, Rtype, &Message<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static) -> Script {
    Arc::new(f)
}

/// A small zone.
fn zone() -> Script {
    script(|name, kind, query| {
        let rcode = if name.starts_with("no.") { Rcode::NXDOMAIN } else { Rcode::NOERROR };
        let rcode = if name.starts_with("fail.") { Rcode::SERVFAIL } else { rcode };
        let mut answer = MessageBuilder::new_vec().start_answer(query, rcode).unwrap();
        answer.header_mut().set_ad(true);
        match (name, kind) {
            ("x.example", Rtype::MX) => {
                answer.push((n(name), 60, Mx::new(20, n("b.example")))).unwrap();
                answer.push((n(name), 60, Mx::new(10, n("a.example")))).unwrap();
            }
            ("a.example", Rtype::A) => answer.push((n(name), 60, A::from_octets(192, 0, 2, 1))).unwrap(),
            ("a.example", Rtype::AAAA) => answer.push((n(name), 60, Aaaa::new("2001:db8::1".parse().unwrap()))).unwrap(),
            // Points elsewhere, and leaves it to us to ask there.
            ("alias.example", _) => answer.push((n(name), 60, Cname::new(n("a.example")))).unwrap(),
            ("1.2.0.192.in-addr.arpa", Rtype::PTR) => answer.push((n(name), 60, Ptr::new(n("a.example")))).unwrap(),
            ("2.2.0.192.in-addr.arpa", Rtype::PTR) => answer.push((n(name), 60, Ptr::new(n("a.example")))).unwrap(),
            ("3.2.0.192.in-addr.arpa", Rtype::PTR) => answer.push((n(name), 60, Ptr::new(n("-bad.example")))).unwrap(),
            ("short.corp.example", Rtype::A) => answer.push((n(name), 60, A::from_octets(192, 0, 2, 7))).unwrap(),
            _ => {}
        }
        Some(answer.finish())
    })
}

fn ips(answer: &Answer) -> Vec<String> {
    answer.records.iter().filter_map(Record::address).map(|ip| ip.to_string()).collect()
}

/// S-DNS-01: sorted by preference.
#[tokio::test]
async fn mx_are_sorted_and_cached() {
    let world = world("", "", false, zone()).await;
    for _ in 0..3 {
        let mx = world.resolver.mx("X.example").await.unwrap();
        let hosts: Vec<_> = mx.records.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["X.example. 60 IN MX 10 a.example.", "X.example. 60 IN MX 20 b.example."]);
        assert!(!mx.secure, "without trust-ad nobody is believed");
        let as_given = world.resolver.query("X.example", Type::Mx).await.unwrap();
        assert!(as_given.records.first().is_some_and(|record| record.to_string().ends_with(" 20 b.example.")));
    }
    assert_eq!(world.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn trust_ad_believes_the_ad_bit() {
    let world = world("options trust-ad", "", false, zone()).await;
    assert!(world.resolver.mx("x.example").await.unwrap().secure);
}

#[tokio::test]
async fn many_ask_at_once_one_question_goes_out() {
    let world = world("", "", false, zone()).await;
    let (a, b, c) = tokio::join!(world.resolver.a("a.example"), world.resolver.a("a.example"), world.resolver.a("A.example"));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(world.asked.load(Ordering::Relaxed), 1);
}

/// S-DNS-03.
#[tokio::test]
async fn alias_without_its_target_is_asked_for() {
    let world = world("", "", false, zone()).await;
    let answer = world.resolver.addresses("alias.example", Families::ALL).await.unwrap();
    assert_eq!(answer.name, "a.example");
    assert_eq!(ips(&answer), ["192.0.2.1", "2001:db8::1"]);
}

#[tokio::test]
async fn long_answers_come_by_tcp() {
    let world = world("", "", true, zone()).await;
    assert_eq!(ips(&world.resolver.a("a.example").await.unwrap()), ["192.0.2.1"]);
}

/// S-DNS-04, S-DNS-05.
#[tokio::test]
async fn not_found_and_failed_are_told_apart() {
    let world = world("options attempts:1", "", false, zone()).await;
    let resolver = &world.resolver;
    let no = resolver.addresses("no.example", Families::ALL).await.unwrap_err();
    assert_eq!(no.to_string(), "Host or domain name not found. Name service error for name=no.example type=AAAA: Host not found");
    assert!(no.not_found() && !no.temporary());
    let nodata = resolver.mx("a.example").await.unwrap_err();
    assert_eq!(nodata.reason, Reason::NoData);
    let fail = resolver.mx("fail.example").await.unwrap_err();
    assert!(fail.temporary() && !fail.not_found());
    assert_eq!(resolver.a("a..example").await.unwrap_err().reason, Reason::InvalidName);
}

#[tokio::test]
async fn a_server_that_lies_about_the_id_is_not_heard() {
    let world = world(
        "options attempts:1 timeout:1",
        "",
        false,
        script(|_, _, query| {
            let mut answer = MessageBuilder::new_vec().start_answer(query, Rcode::NOERROR).unwrap();
            answer.header_mut().set_id(query.header().id().wrapping_add(1));
            answer.push((n("a.example"), 60, A::from_octets(6, 6, 6, 6))).unwrap();
            Some(answer.finish())
        }),
    )
    .await;
    assert!(world.resolver.a("a.example").await.unwrap_err().temporary());
}

#[tokio::test]
async fn nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.1:9\n").unwrap();
    let resolver = Resolver::new(Settings { directory: folder.path().into(), ..Settings::new(Logger::new("test")) });
    let start = Instant::now();
    assert!(resolver.a("a.example").await.unwrap_err().temporary());
    assert!(start.elapsed() < Duration::from_secs(4), "the kernel said so at once: a time-out would take five seconds");
}

/// S-DNS-12.
#[tokio::test]
async fn client_names_are_verified() {
    let world = world("", "192.0.2.9 listed.example\n", false, zone()).await;
    let mut seen = Vec::new();
    for ip in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.9"] {
        let client = world.resolver.client_name(ip.parse().unwrap()).await;
        seen.push(format!("{} {:?} {} {:?}", client.name, client.status, client.reverse_name, client.reverse_status));
    }
    assert_eq!(
        seen,
        [
            "a.example Ok a.example Ok",
            "unknown Forged a.example Ok",
            "unknown NotFound unknown NotFound",
            "unknown NotFound unknown NotFound",
            "listed.example Ok listed.example Ok",
        ]
    );
}

/// S-DNS-13: native lookups use the hosts file and the search list.
#[tokio::test]
async fn native_lookups() {
    let world = world("search corp.example", "192.0.2.9 filter\n", false, zone()).await;
    let look = |name: &'static str| {
        let resolver = world.resolver.clone();
        async move { resolver.native_addresses(name, Families::ALL).await.map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>()) }
    };
    assert_eq!(look("filter").await.unwrap(), ["192.0.2.9"]);
    assert_eq!(look("short").await.unwrap(), ["192.0.2.7"]);
    assert_eq!(look("192.0.2.33").await.unwrap(), ["192.0.2.33"]);
    assert_eq!(look("no.such").await.unwrap_err().to_string(), "unable to look up host no.such: Name or service not known");
    assert!(world.resolver.a("short").await.is_err(), "DNS lookups do not search");
}

#[tokio::test]
async fn reply_filter_removes_records() {
    let mut world = world("", "", false, zone()).await;
    let filter: ReplyFilter = Arc::new(|record| Ok(record.to_string().contains("192.0.2.1")));
    let settings = Settings { filter: Some(filter), ..world.resolver.inner.settings.clone() };
    world.resolver = Resolver::new(settings);
    let all = world.resolver.addresses("a.example", Families::ALL).await.unwrap();
    assert_eq!(ips(&all), ["2001:db8::1"]);
    let none = world.resolver.a("a.example").await.unwrap_err();
    assert!(none.temporary());
    assert_eq!(none.to_string(), "Error looking up name=a.example type=A: DNS reply filter drops all results");
}

#[test]
fn reverse_names() {
    assert_eq!(reverse_name("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
    assert_eq!(
        reverse_name("2001:db8::567:89ab".parse().unwrap()),
        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    );
}

/// postconf(5), dnssec_probe: one probe, after the first answer that is not validated, and none when answers are.
#[tokio::test]
async fn dnssec_is_probed_once() {
    for (resolv, questions) in [("", 3), ("options trust-ad", 2)] {
        let mut world = world(resolv, "", false, zone()).await;
        let probe = probe("mx:x.example").unwrap();
        world.resolver = Resolver::new(Settings { dnssec: true, dnssec_probe: probe, ..world.resolver.inner.settings.clone() });
        for name in ["a.example", "alias2.example", "a.example"] {
            let _ = world.resolver.a(name).await;
        }
        assert_eq!(world.asked.load(Ordering::Relaxed), questions, "{resolv:?}");
    }
    assert_eq!(probe("ns:.").unwrap(), Some((Type::Ns, ".".into())));
    assert!(probe("").unwrap().is_none() && probe("xx:.").is_err() && probe("ns").is_err());
}
