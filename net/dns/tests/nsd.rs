//! The resolver against a real name server: NSD, which answers from a zone as it stands in a file.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use posthaste_dns::{Data, Families, Reason, Resolver, Settings, Type};
use posthaste_log::Logger;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Nsd(Child);

impl Drop for Nsd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A mail hub's zone (S-DNS-14), with what is needed besides.
fn zone() -> String {
    let mut text = "$ORIGIN hub.test.\n$TTL 300\n\
        @ SOA ns hostmaster 1 3600 600 86400 60\n\
        @ NS ns\nns A 127.0.0.1\n\
        @ MX 20 backup\n@ MX 10 mail\n\
        mail A 192.0.2.1\nmail AAAA 2001:db8::1\nbackup A 192.0.2.2\n\
        alias CNAME alias2\nalias2 CNAME mail\ncircle CNAME circle\n\
        *.wild MX 5 mail\nnull MX 0 .\nowner TXT \"a b\" \"c\"\n\
        _25._tcp.mail TLSA 3 1 1 0D6FCE13243AA7\n_submission._tcp SRV 10 5 587 mail\n"
        .to_owned();
    for i in 0..60 {
        let _ = writeln!(text, "many TXT \"record number {i} of a set that is too long for a datagram\"");
    }
    text
}

/// `None` where NSD is not installed; `tests/setup` installs it.
fn start(folder: &Path) -> Option<(Nsd, u16)> {
    let program = ["/usr/sbin/nsd", "/usr/bin/nsd"].into_iter().find(|path| Path::new(path).exists())?;
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = folder.display();
    std::fs::write(folder.join("zone"), zone()).unwrap();
    let conf = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n server-count: 1\n username: \"\"\n zonesdir: \"{dir}\"\n pidfile: \"\"\n database: \"\"\n \
         xfrdfile: \"{dir}/xfrd\"\n xfrdir: \"{dir}\"\n zonelistfile: \"{dir}/zones\"\n hide-version: yes\n\
         remote-control:\n control-enable: no\nzone:\n name: hub.test\n zonefile: zone\n"
    );
    std::fs::write(folder.join("nsd.conf"), conf).unwrap();
    let child = Command::new(program).args(["-d", "-c"]).arg(folder.join("nsd.conf")).stderr(Stdio::null()).spawn().unwrap();
    Some((Nsd(child), port))
}

#[tokio::test]
async fn a_real_zone() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_nsd, port)) = start(folder.path()) else {
        eprintln!("skipped: no nsd here (tests/setup installs it)");
        return;
    };
    std::fs::write(folder.path().join("resolv.conf"), format!("nameserver 127.0.0.1:{port}\noptions timeout:1 attempts:1 edns0\n"))
        .unwrap();
    let mut settings = Settings::new(Logger::new("test"));
    settings.directory = folder.path().into();
    let resolver = Resolver::new(settings);
    for _ in 0..50 {
        match resolver.a("ns.hub.test").await {
            Err(error) if error.temporary() => tokio::time::sleep(Duration::from_millis(100)).await,
            _ => break,
        }
    }

    let mx: Vec<String> = resolver.mx("hub.test").await.unwrap().records.iter().map(ToString::to_string).collect();
    assert_eq!(mx, ["hub.test. 300 IN MX 10 mail.hub.test.", "hub.test. 300 IN MX 20 backup.hub.test."]);
    let alias = resolver.addresses("alias.hub.test", Families::ALL).await.unwrap();
    let ips: Vec<String> = alias.records.iter().filter_map(|r| r.address()).map(|ip| ip.to_string()).collect();
    assert_eq!((alias.name.as_str(), ips), ("mail.hub.test", vec!["192.0.2.1".into(), "2001:db8::1".into()]));
    let wild = resolver.mx("any.thing.wild.hub.test").await.unwrap();
    assert!(matches!(&wild.records[..], [record] if record.data == Data::Mx { preference: 5, host: "mail.hub.test".into() }));
    assert_eq!(resolver.txt("owner.hub.test").await.unwrap().records[0].data, Data::Txt("a bc".into()));
    assert_eq!(resolver.txt("many.hub.test").await.unwrap().records.len(), 60, "by TCP, since it is too long");
    let tlsa = resolver.query("_25._tcp.mail.hub.test", Type::Tlsa).await.unwrap();
    let expected = Data::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0x0D, 0x6F, 0xCE, 0x13, 0x24, 0x3A, 0xA7] };
    assert_eq!(tlsa.records[0].data, expected);
    let srv = resolver.query("_submission._tcp.hub.test", Type::Srv).await.unwrap();
    assert_eq!(srv.records[0].to_string(), "_submission._tcp.hub.test. 300 IN SRV 10 5 587 mail.hub.test.");
    for (name, kind, reason) in [
        ("nosuch.hub.test", Type::Mx, Reason::NoName),
        ("mail.hub.test", Type::Mx, Reason::NoData),
        ("null.hub.test", Type::Mx, Reason::NullMx),
        // NSD refuses what is not its own; another server might know.
        ("elsewhere.test", Type::A, Reason::TryAgain),
    ] {
        assert_eq!(resolver.query(name, kind).await.unwrap_err().reason, reason, "{name}");
    }
    // Most resolvers fail on this by themselves, which is a temporary error; so is it when they leave it to us.
    let circle = resolver.a("circle.hub.test").await.unwrap_err();
    assert_eq!((circle.reason.clone(), circle.temporary()), (Reason::Loop, true));
}
