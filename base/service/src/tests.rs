//! Delivery requests, for both kinds of agents.

use crate::agent::test_agent;
use crate::{Agent, Connection, Deliveries, Fatal, Setup};
use posthaste_address::Address;
use posthaste_config::Config;
use posthaste_ipc::delivery::{DRAINING, Done, Dsn, Outcome, Report, Request};
use posthaste_ipc::frame::{Reader, put};
use posthaste_log::Logger;
use posthaste_queue::{Origin, QueueId, QueueName};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

fn setup(limit: Option<usize>) -> Setup {
    Setup {
        config: Arc::new(Config::parse(&format!("queue_directory = {}\n", std::env::temp_dir().display()), "main.cf").expect("legal")),
        service: "test".into(),
        kind: "unix".into(),
        arguments: Vec::new(),
        log: Logger::new("postfix/test"),
        limit,
        verbose: 0,
        load: Arc::new(crate::load::Load::new(limit, false)),
    }
}

fn request(nexthop: &str) -> Request {
    let now = SystemTime::UNIX_EPOCH;
    Request {
        queue: QueueName::Active,
        id: QueueId::parse("66CDB9940C5").expect("a legal id"),
        nexthop: nexthop.into(),
        content_offset: 0,
        content_length: 0,
        message_size: 0,
        encoding: "".into(),
        sender: Address::empty(),
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
        recipients: Vec::new(),
    }
}

fn report(reason: &str) -> Report {
    Report {
        recipient: 0,
        outcome: Outcome::Sent,
        dsn: Dsn { reason: reason.into(), ..Dsn::default() },
        marked: true,
        relay: "".into(),
        part: None,
    }
}

fn requests(list: &[(u32, &str)]) -> Vec<u8> {
    let mut wire = Vec::new();
    list.iter().for_each(|(number, nexthop)| put(&mut wire, Request::FRAME, *number, &request(nexthop)).expect("small"));
    wire
}

/// What comes back until the connection closes or `count` frames are there: kind, request, text of the report.
fn answers(reader: &mut Reader<UnixStream>, count: usize) -> Vec<(u8, u32, String)> {
    let mut all = Vec::new();
    while all.len() < count
        && let Some((kind, number, payload)) = reader.receive().expect("well-formed")
    {
        let mut rest = &payload[..];
        let text = if kind == Report::FRAME {
            <Report as posthaste_ipc::wire::Wire>::take(&mut rest).expect("a report").dsn.reason.to_string()
        } else {
            String::new()
        };
        all.push((kind, number, text));
    }
    all
}

/// Runs an event-driven agent on one end of a pair and the test on the other, in a thread.
fn event_driven(limit: Option<usize>, drain: bool, test: impl FnOnce(UnixStream) + Send + 'static) {
    let (near, far) = UnixStream::pair().expect("socket pair");
    near.set_nonblocking(true).expect("non-blocking");
    far.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    let test = std::thread::spawn(move || test(far));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let tasks = tokio::task::LocalSet::new();
    runtime.block_on(tasks.run_until(async {
        let deliveries = Rc::new(Deliveries::new(&setup(limit)).expect("a queue directory"));
        if drain {
            let deliveries = Rc::clone(&deliveries);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                deliveries.drain();
            });
        }
        let running = Rc::new(std::cell::Cell::new(0));
        let client = Connection::Unix(tokio::net::UnixStream::from_std(near).expect("stream"));
        let serve = deliveries.serve(client, |request, reports| {
            let running = Rc::clone(&running);
            async move {
                running.set(running.get() + 1);
                assert!(running.get() <= limit.unwrap_or(usize::MAX), "more deliveries than maxproc");
                match request.nexthop.to_string().as_str() {
                    "panic" => {
                        running.set(running.get() - 1);
                        panic!("as asked")
                    }
                    "slow" => tokio::time::sleep(Duration::from_millis(200)).await,
                    "slower" => tokio::time::sleep(Duration::from_millis(1500)).await,
                    _ => tokio::task::yield_now().await,
                }
                reports.send(&request, &report(&request.nexthop.to_string()));
                running.set(running.get() - 1);
                Done::default()
            }
        });
        serve.await;
        assert_eq!(running.get(), 0, "served to the end of all deliveries");
    }));
    test.join().expect("test thread");
}

#[test]
fn requests_are_answered_by_number() {
    event_driven(None, false, |mut socket| {
        let mut reader = Reader::new(socket.try_clone().expect("copy"));
        socket.write_all(&requests(&[(7, "slow"), (8, "fast")])).expect("write");
        let got = answers(&mut reader, 4);
        let wanted = [(Report::FRAME, 8, "fast"), (Done::FRAME, 8, ""), (Report::FRAME, 7, "slow"), (Done::FRAME, 7, "")];
        assert_eq!(got, wanted.map(|(kind, number, text)| (kind, number, text.to_owned())));
    });
}

#[test]
fn a_panic_ends_its_delivery_without_a_report() {
    event_driven(None, false, |mut socket| {
        let mut reader = Reader::new(socket.try_clone().expect("copy"));
        socket.write_all(&requests(&[(1, "panic"), (2, "fast")])).expect("write");
        let mut got = answers(&mut reader, 3);
        got.sort();
        let wanted = [(Report::FRAME, 2, "fast"), (Done::FRAME, 1, ""), (Done::FRAME, 2, "")];
        assert_eq!(got, wanted.map(|(kind, number, text)| (kind, number, text.to_owned())));
    });
}

/// S-MASTER-13 for delivery agents; the bound itself is asserted in the agent.
#[test]
fn maxproc_bounds_deliveries() {
    event_driven(Some(2), false, |mut socket| {
        let mut reader = Reader::new(socket.try_clone().expect("copy"));
        let many: Vec<(u32, &str)> = (0..9).map(|number| (number, "slow")).collect();
        socket.write_all(&requests(&many)).expect("write");
        assert_eq!(answers(&mut reader, 18).len(), 18);
    });
}

#[test]
fn a_client_that_goes_does_not_stop_deliveries() {
    event_driven(None, false, |mut socket| {
        socket.write_all(&requests(&[(1, "slow")])).expect("write");
    });
}

#[test]
fn nonsense_closes_the_connection() {
    event_driven(None, false, |mut socket| {
        socket.write_all(b"W").expect("write");
        socket.write_all(&[0; 40]).expect("write");
        let mut reader = Reader::new(socket);
        assert!(!matches!(reader.receive(), Ok(Some(_))));
    });
}

#[test]
fn draining_is_announced_and_what_runs_is_finished() {
    event_driven(None, true, |mut socket| {
        let mut reader = Reader::new(socket.try_clone().expect("copy"));
        socket.write_all(&requests(&[(1, "slower")])).expect("write");
        let got: Vec<u8> = answers(&mut reader, 3).into_iter().map(|(kind, ..)| kind).collect();
        assert_eq!(got, [DRAINING, Report::FRAME, Done::FRAME]);
    });
}

#[derive(Default)]
struct Threads {
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Agent for Threads {
    fn open(_: &Setup) -> Result<Self, Fatal> {
        Ok(Threads::default())
    }

    fn deliver(&self, request: &Request, report: &mut dyn FnMut(Report)) -> Done {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let nexthop = request.nexthop.to_string();
        if nexthop == "slow" {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        assert_ne!(nexthop, "panic");
        report(super::tests::report(&nexthop));
        Done::default()
    }
}

#[test]
fn agents_on_threads_answer_bound_themselves_and_survive_panics() {
    let (near, mut far) = UnixStream::pair().expect("socket pair");
    far.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    let agent = test_agent(Threads::default(), &setup(Some(3)), near);
    let mut reader = Reader::new(far.try_clone().expect("copy"));
    let mut many: Vec<(u32, &str)> = (0..20).map(|number| (number, "slow")).collect();
    many.push((20, "panic"));
    far.write_all(&requests(&many)).expect("write");
    let got = answers(&mut reader, 41);
    assert_eq!(got.iter().filter(|(kind, ..)| *kind == Done::FRAME).count(), 21);
    assert_eq!(got.iter().filter(|(kind, ..)| *kind == Report::FRAME).count(), 20);
    assert!(got.iter().all(|(kind, number, _)| *number != 20 || *kind == Done::FRAME));
    assert_eq!(agent.most.load(Ordering::SeqCst), 3);
}
