use super::*;
use posthaste_queue::{Notify, Origin, QueueId, QueueName, Recipient};
use std::time::{Duration, UNIX_EPOCH};

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_795_000_000_000 + millis)
}

fn request() -> Request {
    Request {
        queue: QueueName::Active,
        id: QueueId::parse("D90C99980DD").expect("legal"),
        nexthop: "plain.example".into(),
        content_offset: 0,
        content_length: 0,
        message_size: 0,
        encoding: "".into(),
        sender: Address::new("u1@plain.example"),
        sender_options: 0,
        envelope_id: "".into(),
        ret: 0,
        probe: false,
        trace_flags: 0,
        origin: Origin::default(),
        arrival: at(0),
        created: at(0),
        active: at(10),
        cache_load: false,
        cache_store: false,
        recipients: vec![Recipient {
            offset: None,
            address: Address::new("ok@plain.example"),
            original: Address::new("OK@plain.example"),
            dsn_orcpt: "".into(),
            notify: Notify(0),
        }],
    }
}

fn line(request: &Request, conn_use: u32, tls: Option<&str>, dsn: &Dsn, status: &str) -> String {
    let to = &request.recipients[0];
    // `external: false` because the test is of the line, not of quoting.
    Line {
        request,
        to: &to.address,
        original: &to.original,
        relay: b"127.0.0.1[127.0.0.1]:12001".as_bstr(),
        conn_use,
        tls,
        timing: Timing { started: at(1610), connected: Some(at(1700)) },
        now: at(1800),
        style: Style { digits: 2, external: false },
        dsn,
        status,
    }
    .to_string()
}

fn dsn(status: &str, reason: &str) -> Dsn {
    Dsn { status: status.into(), reason: reason.into(), ..Dsn::default() }
}

/// The shape and the numbers of a line that Postfix 3.7.11 wrote (log-lines reference).
#[test]
fn the_line_of_a_delivery() {
    let r = request();
    assert_eq!(
        line(&r, 1, None, &dsn("2.0.0", "250 2.0.0 accepted as 12345"), "sent"),
        "D90C99980DD: to=<ok@plain.example>, relay=127.0.0.1[127.0.0.1]:12001, delay=1.8, delays=0.01/1.6/0.09/0.1, dsn=2.0.0, \
         status=sent (250 2.0.0 accepted as 12345)"
    );
}

#[test]
fn original_recipient_connection_use_and_tls_appear_when_they_say_something() {
    let mut r = request();
    r.recipients[0].original = Address::new("alias@plain.example");
    assert_eq!(
        line(&r, 2, Some("may"), &dsn("2.0.0", "ok"), "sent"),
        "D90C99980DD: to=<ok@plain.example>, orig_to=<alias@plain.example>, relay=127.0.0.1[127.0.0.1]:12001, conn_use=2, delay=1.8, \
         delays=0.01/1.6/0.09/0.1, tls=may, dsn=2.0.0, status=sent (ok)"
    );
}

#[test]
fn the_class_of_the_status_decides() {
    let mut d = dsn("5.7.5", "hardened by the filter");
    assert_eq!(settle(Outcome::Deferred, &mut d, false, false), (Outcome::Bounced, "bounced"));
    assert_eq!(d.action, "failed");
    let mut d = dsn("4.1.1", "softened by the filter");
    assert_eq!(settle(Outcome::Bounced, &mut d, false, false), (Outcome::Deferred, "deferred"));
    assert_eq!(d.action, "delayed");
}

/// S-BOUNCE: `soft_bounce` as Postfix 3.7.11 logs it: `dsn=4.1.1, status=SOFTBOUNCE (…550 5.1.1 no…)`.
#[test]
fn soft_bounce_defers_and_says_so() {
    let mut d = dsn("5.1.1", "host said: 550 5.1.1 no");
    assert_eq!(settle(Outcome::Bounced, &mut d, false, true), (Outcome::Deferred, "SOFTBOUNCE"));
    assert_eq!((d.status.as_str(), d.action.as_str()), ("4.1.1", "delayed"));
    assert_eq!(d.reason, "host said: 550 5.1.1 no");
}

#[test]
fn probes_are_deliverable_or_not_and_never_soft() {
    let mut d = dsn("5.1.1", "no");
    assert_eq!(settle(Outcome::Bounced, &mut d, true, true), (Outcome::Bounced, "undeliverable"));
    assert_eq!((d.status.as_str(), d.action.as_str()), ("5.1.1", "undeliverable"));
    let mut d = dsn("4.2.0", "later");
    assert_eq!(settle(Outcome::Deferred, &mut d, true, false), (Outcome::Deferred, "undeliverable"));
    let mut d = dsn("2.1.5", "250 ok");
    assert_eq!(settle(Outcome::Sent, &mut d, true, false), (Outcome::Sent, "deliverable"));
    assert_eq!(d.action, "deliverable");
}

#[test]
fn success_keeps_the_agents_action() {
    let mut d = Dsn { action: "relayed".into(), ..dsn("2.0.0", "ok") };
    assert_eq!(settle(Outcome::Sent, &mut d, false, false), (Outcome::Sent, "sent"));
    assert_eq!(d.action, "relayed");
    let mut d = dsn("2.0.0", "ok");
    settle(Outcome::Sent, &mut d, false, false);
    assert_eq!(d.action, "delivered");
}
