use super::*;
use posthaste_config::Config;
use posthaste_delivery::Style;
use posthaste_ipc::bounce::Kind;
use posthaste_ipc::delivery::{Done, Dsn, Report, TRACE_PROBE, TRACE_RECORD, TRACE_VERIFY};
use posthaste_ipc::qmgr::NewMessage;
use posthaste_queue::clock::Clock;
use posthaste_queue::commit::Committer;
use posthaste_queue::disk::Disk;
use posthaste_queue::record::SizeRecord;
use posthaste_queue::sim::{SimDisk, Survives};
use posthaste_queue::{Notify, RecordType, Settings as QueueSettings};
use posthaste_route::Class;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

const START: u64 = 1_795_000_000;

struct TestClock(AtomicU64);
impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// Routes by the domain; some domains have a meaning.
struct Fake;
impl Resolver for Fake {
    fn may_block(&self) -> bool {
        false
    }
    fn resolve(&self, _: bool, _: &Address, recipient: &Address) -> Result<Route, RouteError> {
        let domain = recipient.domain().unwrap_or_default();
        let mut route = Route {
            transport: "smtp".into(),
            nexthop: domain.into(),
            recipient: recipient.clone(),
            class: Class::Default,
            routed: false,
            error: false,
        };
        match domain.as_ref() as &[u8] {
            b"lookup.example" => return Err(RouteError("table is unavailable".into())),
            b"syntax.example" => route.error = true,
            b"postponed.example" => route.transport = "postponed".into(),
            b"gone.example" => route.transport = "gone".into(),
            b"here.example" => (route.transport, route.class) = ("local".into(), Class::Local),
            _ => (),
        }
        Ok(route)
    }
}

fn params(name: &str) -> TransportParams {
    let recipient_limit = if name == "smtp" { 100 } else { 20000 };
    TransportParams { recipients: if name == "local" { 1 } else { 50 }, recipient_limit, ..TransportParams::default() }
}

fn settings() -> Settings {
    Settings {
        qmgr_message_active_limit: 20000,
        qmgr_message_recipient_limit: 20000,
        qmgr_message_recipient_minimum: 10,
        minimal_backoff_time: Duration::from_secs(300),
        maximal_backoff_time: Duration::from_secs(4000),
        maximal_queue_lifetime: Duration::from_secs(5 * 86400),
        bounce_queue_lifetime: Duration::from_secs(5 * 86400),
        queue_run_delay: Duration::from_secs(300),
        transport_retry_time: Duration::from_secs(60),
        qmgr_clog_warn_time: Duration::from_secs(300),
        defer_transports: vec!["postponed".into()],
        default_filter_nexthop: String::new(),
        double_bounce_sender: "double-bounce".into(),
        recipient_delimiter: "+".into(),
        owner_request_special: true,
        confirm_delay_cleared: false,
        disable_verp_bounces: false,
        backwards_bounce_logfile_compatibility: true,
        address_verify_pending_request_limit: 5000,
        bounce_service_name: "bounce".into(),
        defer_service_name: "defer".into(),
        trace_service_name: "trace".into(),
        destination_concurrency_feedback_debug: false,
        postmaster_copies: false,
        style: Style { digits: 2, external: true },
    }
}

/// A host: disk, clock, queue manager, and agents that do what the local part of an address says.
struct World {
    disk: SimDisk,
    clock: Arc<TestClock>,
    begin: Instant,
    queue: Queue,
    manager: Manager<Fake>,
    /// Requests at the agents.
    sent: Vec<(u64, Box<Request>)>,
    notices: Vec<(Key<Message>, Box<Notice>)>,
    /// What reached the other side, and how often.
    delivered: HashMap<String, u32>,
    /// Addresses in reports that were sent.
    reported: HashMap<String, u32>,
    reasons: HashMap<String, String>,
    /// All requests and notices so far.
    requests: Vec<Request>,
    history: Vec<Notice>,
    probed: Vec<(Address, Outcome)>,
    unreachable: Vec<String>,
    bounce_works: bool,
}

const DIRECTORIES: [&str; 9] = ["active", "bounce", "corrupt", "defer", "deferred", "hold", "incoming", "trace", "flush"];

impl World {
    fn new() -> World {
        World::with(settings())
    }

    fn with(settings: Settings) -> World {
        let disk = SimDisk::new(&DIRECTORIES);
        World::on(disk, Arc::new(TestClock(AtomicU64::new(START))), settings)
    }

    fn on(disk: SimDisk, clock: Arc<TestClock>, settings: Settings) -> World {
        let layout = QueueSettings {
            queue_directory: "/nowhere".into(),
            hash_queue_names: vec!["deferred".into(), "defer".into()],
            hash_queue_depth: 1,
            enable_long_queue_ids: false,
            line_length_limit: 2048,
            dont_remove: false,
            owner: None,
        };
        let queue = Queue { settings: Arc::new(layout), disk: Arc::new(disk.clone()), clock: clock.clone() };
        let config = Config::parse("soft_bounce = no\n", "main.cf").unwrap();
        let reporter = |name: &str| Reporter::new(&config, queue.clone(), Logger::new(name)).unwrap();
        let manager = Manager::new(Parts {
            queue: queue.clone(),
            settings,
            resolver: Fake,
            params: Box::new(params),
            flushable: Box::new(|_| false),
            log: Logger::new("postfix/qmgr"),
            error: reporter("postfix/error"),
            own: reporter("postfix/qmgr"),
        });
        World {
            disk,
            clock,
            begin: Instant::now(),
            queue,
            manager,
            sent: Vec::new(),
            notices: Vec::new(),
            delivered: HashMap::new(),
            reported: HashMap::new(),
            reasons: HashMap::new(),
            requests: Vec::new(),
            history: Vec::new(),
            probed: Vec::new(),
            unreachable: vec!["gone".into()],
            bounce_works: true,
        }
    }

    fn now(&self) -> Instant {
        self.begin + Duration::from_secs(self.clock.0.load(Ordering::Relaxed) - START)
    }

    /// Somebody sets the clock; no time passes.
    fn set_clock(&mut self, seconds: u64) {
        let now = self.now();
        self.clock.0.store(START + seconds, Ordering::Relaxed);
        self.begin = now - Duration::from_secs(seconds);
        self.run();
    }

    fn at(&mut self, seconds: u64) {
        self.clock.0.store(START + seconds, Ordering::Relaxed);
        self.run();
    }

    /// Puts a message into `incoming`, safe on disk.
    fn message(&self, mail: &Mail) -> QueueId {
        use RecordType as T;
        let mut file = self.queue.create(QueueName::Incoming).unwrap();
        let now = self.clock.0.load(Ordering::Relaxed);
        file.record(T::SIZE, &SizeRecord::default().encode()).unwrap();
        file.record(T::TIME, format!("{now} 0").as_bytes()).unwrap();
        file.record(T::ATTRIBUTE, format!("create_time={now}").as_bytes()).unwrap();
        file.record(T::SENDER, mail.sender.as_bytes()).unwrap();
        if mail.trace != 0 {
            file.record(T::ATTRIBUTE, format!("trace_flags={}", mail.trace).as_bytes()).unwrap();
        }
        if !mail.verp.is_empty() {
            file.record(T::VERP, mail.verp.as_bytes()).unwrap();
        }
        if let Some(after) = mail.warn {
            file.record(T::WARN, format!("{:15}", now + after).as_bytes()).unwrap();
        }
        for to in mail.to {
            if mail.notify != 0 {
                file.record(T::ATTRIBUTE, format!("notify_flags={}", mail.notify).as_bytes()).unwrap();
            }
            file.record(T::ORIGINAL, to.as_bytes()).unwrap();
            file.record(T::RECIPIENT, to.as_bytes()).unwrap();
        }
        file.record(T::MESSAGE, b"").unwrap();
        let content_offset = file.offset();
        file.record(T::NORMAL, b"Subject: x").unwrap();
        let content_length = file.offset() - content_offset;
        file.record(T::EXTRACTED, b"").unwrap();
        if !mail.extra.1.is_empty() {
            file.record(mail.extra.0, mail.extra.1.as_bytes()).unwrap();
        }
        file.record(T::END, b"").unwrap();
        let size = SizeRecord {
            content_length,
            content_offset,
            recipients: Some(mail.to.len() as u32),
            hints: 0,
            message_size: content_length,
            sender_options: 0,
        };
        file.overwrite(0, T::SIZE, &size.encode()).unwrap();
        let file = file.complete(QueueName::Incoming).unwrap();
        let id = file.id().clone();
        Committer::commit_now(file).unwrap();
        id
    }

    /// As smtpd does it: the file, then the announcement with the envelope.
    fn post(&mut self, mail: &Mail) -> QueueId {
        let id = self.message(mail);
        let envelope = self.queue.read_envelope(QueueName::Incoming, &id, 1000).unwrap();
        let now = self.now();
        self.manager.new_message(now, NewMessage { queue: QueueName::Incoming, id: id.clone(), envelope: Some(envelope) });
        id
    }

    /// Lets the queue manager do what it can; requests and notices are kept for later.
    fn think(&mut self) {
        let now = self.now();
        loop {
            while self.manager.step(now) {}
            let Some(action) = self.manager.action() else { return };
            match action {
                Action::Deliver { transport, number, request } => {
                    let name = self.manager.transport_name(transport);
                    if self.unreachable.iter().any(|dead| **dead == *name) {
                        self.manager.transport_failed(now, transport);
                        self.manager.unsent(now, number);
                        continue;
                    }
                    self.requests.push((*request).clone());
                    self.sent.push((number, request));
                }
                Action::Notice { message, notice, .. } => {
                    self.history.push((*notice).clone());
                    self.notices.push((message, notice));
                }
                Action::Write { message, work } => {
                    let result = work.run(&self.queue);
                    self.manager.written(now, message, result);
                }
                Action::Probed { address, outcome, .. } => self.probed.push((address, outcome)),
                Action::Resolve { .. } | Action::Flushable { .. } => unreachable!(),
            }
        }
    }

    /// One agent finishes one request.
    fn deliver(&mut self, index: usize) {
        let (number, request) = self.sent.remove(index);
        let now = self.now();
        if request.nexthop == "dead.example" {
            let dsn = Dsn { status: "4.4.1".into(), reason: "connect: Connection refused".into(), ..Dsn::default() };
            for recipient in 0..request.recipients.len() as u32 {
                self.manager.report(
                    number,
                    Report { recipient, outcome: Outcome::Deferred, dsn: dsn.clone(), marked: false, relay: "there".into(), part: None },
                );
            }
            return self.manager.delivered(now, number, Done { destination_failed: Some(dsn) });
        }
        for (index, recipient) in request.recipients.iter().enumerate() {
            let local = recipient.address.local();
            let (outcome, status) = if local.starts_with(b"bad") {
                (Outcome::Bounced, "5.1.1")
            } else if local.starts_with(b"tmp") {
                (Outcome::Deferred, "4.2.0")
            } else {
                (Outcome::Sent, "2.0.0")
            };
            let mut marked = false;
            if outcome == Outcome::Sent && !request.probe {
                *self.delivered.entry(recipient.address.to_string()).or_default() += 1;
                if !request.report_success(recipient) {
                    marked = self.queue.mark_done(request.queue, &request.id, recipient.offset.unwrap()).is_ok();
                }
            }
            let dsn = Dsn { status: status.into(), reason: "said so".into(), ..Dsn::default() };
            self.manager.report(number, Report { recipient: index as u32, outcome, dsn, marked, relay: "there".into(), part: None });
        }
        self.manager.delivered(now, number, Done::default());
    }

    /// The bounce service makes one report: durable before the log goes.
    fn answer(&mut self, index: usize) {
        let (key, notice) = self.notices.remove(index);
        let now = self.now();
        if !self.bounce_works {
            return self.manager.noticed(now, key, false);
        }
        let logs = match notice.kind {
            Kind::Failure | Kind::Verp if notice.expired => vec![LogName::Bounce, LogName::Defer],
            Kind::Failure | Kind::Verp => vec![LogName::Bounce],
            Kind::Delay => vec![LogName::Defer],
            Kind::Trace => vec![LogName::Trace],
            Kind::One => Vec::new(),
        };
        for log in logs {
            for record in self.queue.read_log(log, &notice.id).unwrap().into_iter().flatten() {
                let record = record.unwrap();
                let address = record.recipient.to_string();
                self.reasons.insert(address.clone(), record.reason.to_string());
                *self.reported.entry(format!("{:?} {address}", notice.kind)).or_default() += 1;
            }
            if log != LogName::Defer {
                self.queue.remove_log(log, &notice.id).unwrap();
            }
        }
        self.manager.noticed(now, key, true);
    }

    /// Until nothing more happens at this time.
    fn run(&mut self) {
        loop {
            self.think();
            if !self.sent.is_empty() {
                self.deliver(0);
            } else if !self.notices.is_empty() {
                self.answer(0);
            } else {
                return;
            }
        }
    }

    fn files(&self, queue: QueueName) -> Vec<QueueId> {
        let mut ids: Vec<_> = self
            .queue
            .scan(queue)
            .unwrap()
            .filter_map(|found| match found {
                Ok(posthaste_queue::scan::Found::File { id, .. }) => Some(id),
                _ => None,
            })
            .collect();
        ids.sort();
        ids
    }

    fn empty(&self) -> bool {
        DIRECTORIES.iter().all(|name| match *name {
            "active" => self.files(QueueName::Active).is_empty(),
            "incoming" => self.files(QueueName::Incoming).is_empty(),
            "deferred" => self.files(QueueName::Deferred).is_empty(),
            "bounce" => self.files(QueueName::Bounce).is_empty(),
            "defer" => self.files(QueueName::Defer).is_empty(),
            "trace" => self.files(QueueName::Trace).is_empty(),
            _ => true,
        })
    }

    fn contents(&self) -> String {
        use QueueName as N;
        [N::Incoming, N::Active, N::Deferred, N::Bounce, N::Defer, N::Trace]
            .map(|name| format!("{}: {:?}", name.as_str(), self.files(name)))
            .join(", ")
    }

    fn retry_at(&self, id: &QueueId) -> u64 {
        let modified = self.queue.stat(QueueName::Deferred, id).unwrap().modified;
        modified.duration_since(UNIX_EPOCH).unwrap().as_secs() - START
    }
}

#[derive(Clone)]
struct Mail<'a> {
    sender: &'a str,
    to: &'a [&'a str],
    notify: u8,
    trace: u32,
    warn: Option<u64>,
    verp: &'a str,
    extra: (RecordType, &'a str),
}

fn mail<'a>(to: &'a [&'a str]) -> Mail<'a> {
    Mail { sender: "alice@here.example", to, notify: 0, trace: 0, warn: None, verp: "", extra: (RecordType::FILTER, "") }
}

/// DESIGN §6: at its first try a message is delivered from `incoming`, without a rename.
#[test]
fn a_message_goes_straight_from_incoming() {
    let mut w = World::new();
    let id = w.post(&mail(&["ok@a.example"]));
    let before = w.disk.operations();
    w.think();
    assert_eq!(w.sent.len(), 1);
    assert_eq!((w.sent[0].1.queue, &w.sent[0].1.id), (QueueName::Incoming, &id));
    w.run();
    assert_eq!(w.delivered["ok@a.example"], 1);
    assert!(w.empty());
    assert_eq!(w.disk.operations() - before, 2, "the agent's mark and the removal");
    assert_eq!((w.manager.active(), w.manager.recipients, w.manager.sent.len()), (0, 0, 0));
}

#[test]
fn a_message_that_must_wait_moves_to_active() {
    let mut w = World::new();
    for _ in 0..7 {
        w.post(&mail(&["ok@a.example"]));
    }
    w.think();
    assert_eq!((w.sent.len(), w.files(QueueName::Active).len(), w.files(QueueName::Incoming).len()), (5, 0, 7));
    w.clock.0.store(START + 1, Ordering::Relaxed);
    w.think();
    assert_eq!((w.sent.len(), w.files(QueueName::Active).len(), w.files(QueueName::Incoming).len()), (5, 2, 5));
    w.run();
    assert!(w.empty());
    assert_eq!(w.delivered["ok@a.example"], 7);
}

/// The order Postfix 3.7.11 was seen to send recipients in, and the batches of S-QUEUE-20.
#[test]
fn recipients_are_sorted_and_grouped() {
    let mut w = World::new();
    w.post(&mail(&["z@a.example", "b@a.example", "Q@a.example", "y@b.example", "a@a.example"]));
    w.think();
    let batches: Vec<Vec<String>> = w.requests.iter().map(|r| r.recipients.iter().map(|r| r.address.to_string()).collect()).collect();
    assert_eq!(batches, [vec!["Q@a.example", "a@a.example", "b@a.example", "z@a.example"], vec!["y@b.example"]]);

    let many: Vec<String> = (0..120).map(|n| format!("u{n}@c.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    w.requests.clear();
    w.post(&mail(&many));
    w.run();
    assert_eq!(w.requests.iter().skip(2).map(|r| r.recipients.len()).collect::<Vec<_>>(), Vec::<usize>::from([20]));
    assert_eq!(w.requests.iter().map(|r| r.recipients.len()).sum::<usize>(), 120);
    assert!(w.empty());
}

#[test]
fn with_a_recipient_limit_of_one_each_recipient_is_a_destination() {
    let mut w = World::new();
    w.post(&mail(&["bob@here.example", "carol@here.example", "bob+x@here.example"]));
    w.think();
    assert_eq!(w.requests.len(), 3);
    assert!(w.requests.iter().all(|r| r.nexthop == "here.example" && r.recipients.len() == 1));
    w.run();
    assert!(w.empty());
}

/// S-QUEUE-12.
#[test]
fn a_failure_is_logged_before_it_is_marked_and_reported_before_it_is_forgotten() {
    let mut w = World::new();
    let id = w.post(&mail(&["bad@a.example", "ok@a.example"]));
    w.think();
    w.deliver(0);
    w.think();
    assert_eq!(w.files(QueueName::Bounce), std::slice::from_ref(&id));
    assert!(w.queue.read_envelope(QueueName::Incoming, &id, 10).unwrap().recipients.is_empty(), "both are marked");
    assert_eq!(w.notices.len(), 1);
    assert_eq!(w.notices[0].1.kind, Kind::Failure);
    assert_eq!(w.files(QueueName::Incoming), [id], "the message stays until the report is safe");
    w.run();
    assert_eq!(w.reported["Failure bad@a.example"], 1);
    assert!(w.empty());
}

/// S-QUEUE-08, S-QUEUE-09.
#[test]
fn deferred_mail_backs_off_and_expires() {
    let mut w = World::new();
    let id = w.post(&mail(&["tmp@a.example", "ok@a.example"]));
    w.run();
    assert_eq!(w.delivered["ok@a.example"], 1);
    assert_eq!(w.retry_at(&id), 300, "minimal_backoff_time");
    assert_eq!(w.files(QueueName::Defer), std::slice::from_ref(&id));
    w.at(299);
    assert_eq!(w.requests.len(), 1);
    w.at(300);
    assert_eq!(w.requests.len(), 2);
    assert_eq!(w.requests[1].recipients.len(), 1, "only who is left");
    assert_eq!(w.retry_at(&id), 600);
    w.at(600);
    assert_eq!(w.retry_at(&id), 1200, "as long as it is old");
    for at in [1200, 2400, 4800, 8800, 12800] {
        w.at(at);
    }
    assert_eq!(w.retry_at(&id), 16800, "maximal_backoff_time");
    w.at(5 * 86400);
    assert_eq!(w.reported["Failure tmp@a.example"], 1);
    assert!(w.history.last().is_some_and(|notice| notice.expired));
    assert!(w.empty());
}

#[test]
fn a_lifetime_of_zero_returns_at_the_first_failure() {
    let mut w = World::with(Settings { maximal_queue_lifetime: Duration::ZERO, ..settings() });
    w.post(&mail(&["tmp@a.example"]));
    w.run();
    assert_eq!(w.reported["Failure tmp@a.example"], 1);
    assert!(w.empty());
    // A bounce has its own lifetime.
    let id = w.post(&Mail { sender: "", ..mail(&["tmp@a.example"]) });
    w.run();
    assert_eq!(w.retry_at(&id), 300);
}

/// As Postfix 3.7.11 was seen to do: no further attempt, and the reasons of the last one.
#[test]
fn force_expired_mail_is_returned_without_another_attempt() {
    let mut w = World::new();
    let id = w.post(&mail(&["tmp@a.example"]));
    w.run();
    w.queue.set_mode(QueueName::Deferred, &id, 0o710).unwrap();
    w.at(300);
    assert_eq!((w.reported["Failure tmp@a.example"], w.requests.len()), (1, 1));
    assert!(w.empty());

    // Without its log it is tried, and returned when that fails: nobody may be left out of the report.
    let id = w.post(&mail(&["tmp@b.example", "ok@b.example"]));
    w.run();
    w.queue.set_mode(QueueName::Deferred, &id, 0o710).unwrap();
    w.queue.remove_log(LogName::Defer, &id).unwrap();
    w.at(600);
    assert_eq!((w.reported["Failure tmp@b.example"], w.requests.len()), (1, 3));
    assert!(w.empty());
}

#[test]
fn the_delay_warning_is_sent_once() {
    let mut w = World::new();
    let id = w.post(&Mail { warn: Some(200), ..mail(&["tmp@a.example"]) });
    w.run();
    assert!(w.history.is_empty());
    w.at(300);
    assert_eq!(w.history.iter().map(|n| n.kind).collect::<Vec<_>>(), [Kind::Delay]);
    w.at(600);
    assert_eq!(w.history.len(), 1);
    assert!(w.queue.read_envelope(QueueName::Deferred, &id, 1).unwrap().warned);
    let mut w = World::new();
    w.post(&Mail { warn: Some(0), sender: "", ..mail(&["tmp@a.example"]) });
    w.run();
    assert!(w.history.is_empty(), "never to the null sender");
}

#[test]
fn confirm_delay_cleared_asks_for_a_report_of_success() {
    let mut w = World::with(Settings { confirm_delay_cleared: true, ..settings() });
    let id = w.post(&Mail { warn: Some(0), ..mail(&["tmp@a.example"]) });
    w.run();
    assert_eq!(w.history.len(), 1);
    w.clock.0.store(START + 300, Ordering::Relaxed);
    w.think();
    let (number, request) = w.sent.remove(0);
    assert!(request.report_success(&request.recipients[0]));
    assert_eq!(request.recipients[0].notify, Notify(0), "the next hop is not asked for anything");
    let dsn = Dsn { status: "2.0.0".into(), action: "relayed".into(), reason: "ok".into(), ..Dsn::default() };
    w.manager.report(number, Report { recipient: 0, outcome: Outcome::Sent, dsn, marked: false, relay: "there".into(), part: None });
    let now = w.now();
    w.manager.delivered(now, number, Done::default());
    w.run();
    assert_eq!(w.history.last().map(|notice| notice.kind), Some(Kind::Trace));
    assert!(w.empty() && w.queue.stat(QueueName::Active, &id).is_err());
}

/// RFC 3461 §4.1.
#[test]
fn notify_decides_what_is_reported() {
    let mut w = World::new();
    w.post(&Mail { notify: Notify::NEVER, ..mail(&["bad@a.example"]) });
    w.run();
    assert!(w.history.is_empty() && w.empty());
    w.post(&Mail { notify: Notify::SUCCESS, ..mail(&["bad@a.example", "ok@a.example"]) });
    w.run();
    assert_eq!(w.history.iter().map(|n| n.kind).collect::<Vec<_>>(), [Kind::Trace]);
    assert_eq!(w.reported["Trace ok@a.example"], 1);
    assert_eq!(w.reasons["ok@a.example"], "delivery via there: said so");
    assert!(w.empty());
}

/// As Postfix 3.7.11 was seen to do: `notify_classes = bounce` gives the postmaster a copy also of what nobody else hears of.
#[test]
fn the_postmaster_hears_of_failures_that_the_sender_does_not() {
    let mut w = World::with(Settings { postmaster_copies: true, ..settings() });
    w.post(&Mail { notify: Notify::NEVER, ..mail(&["bad@a.example"]) });
    w.run();
    assert_eq!(w.history.len(), 1);
    assert!(w.empty());
}

#[test]
fn probes_and_traces() {
    let mut w = World::new();
    w.post(&Mail { trace: TRACE_VERIFY, ..mail(&["ok@a.example", "tmp@a.example", "bad@a.example"]) });
    w.run();
    assert_eq!(w.probed.len(), 3);
    assert!(w.history.is_empty() && w.delivered.is_empty() && w.empty());
    assert_eq!(w.manager.probes, 0);

    w.post(&Mail { trace: TRACE_PROBE, ..mail(&["ok@a.example", "tmp@a.example", "bad@a.example"]) });
    w.run();
    assert!(w.delivered.is_empty() && w.empty());
    for name in ["ok", "tmp", "bad"] {
        assert_eq!(w.reported[&format!("Trace {name}@a.example")], 1);
    }

    w.history.clear();
    let id = w.post(&Mail { trace: TRACE_RECORD, ..mail(&["ok@a.example", "tmp@a.example", "bad@a.example"]) });
    w.run();
    assert_eq!(w.history.iter().map(|n| n.kind).collect::<Vec<_>>(), [Kind::Failure, Kind::Trace]);
    assert_eq!(w.reported["Trace tmp@a.example"], 2);
    assert_eq!(w.queue.read_envelope(QueueName::Deferred, &id, 1).unwrap().trace_flags, 0, "reported once");
}

#[test]
fn verp_gives_each_recipient_a_request_and_a_sender() {
    let mut w = World::new();
    w.post(&Mail { sender: "owner@list.example", verp: "+=", ..mail(&["x@a.example", "bad@a.example"]) });
    w.run();
    let senders: Vec<_> = w.requests.iter().map(|r| r.sender.to_string()).collect();
    assert_eq!(senders, ["owner+bad=a.example@list.example", "owner+x=a.example@list.example"]);
    assert_eq!((w.history[0].kind, w.history[0].verp.to_string()), (Kind::Verp, "+=".into()));
    assert!(w.empty());
}

#[test]
fn mail_that_cannot_be_routed_is_put_off_or_refused_here() {
    let mut w = World::new();
    w.post(&mail(&["a@lookup.example", "b@syntax.example", "double-bounce@here.example", "c@postponed.example", "d@gone.example"]));
    w.run();
    assert!(w.requests.is_empty());
    assert_eq!(w.reported["Failure b@syntax.example"], 1);
    let id = w.files(QueueName::Deferred)[0].clone();
    let logged: Vec<_> = w
        .queue
        .read_log(LogName::Defer, &id)
        .unwrap()
        .unwrap()
        .map(|record| record.map(|r| format!("{} {} {}", r.recipient, r.status, r.reason)).unwrap())
        .collect();
    assert_eq!(
        logged,
        [
            "a@lookup.example 4.3.0 address resolver failure",
            "c@postponed.example 4.3.2 deferred transport",
            "d@gone.example 4.3.0 mail transport unavailable"
        ]
    );
}

/// S-QUEUE-11, S-QUEUE-18, S-QUEUE-25.
#[test]
fn a_flush_tries_everything_now() {
    let mut w = World::new();
    for _ in 0..5 {
        w.post(&mail(&["ok@dead.example"]));
    }
    w.post(&mail(&["ok@postponed.example"]));
    w.run();
    assert_eq!(w.requests.len(), 5);
    w.post(&mail(&["ok@dead.example"]));
    w.run();
    assert_eq!(w.requests.len(), 5, "the destination is dead");
    assert_eq!(w.files(QueueName::Deferred).len(), 7);
    let now = w.now();
    w.manager.trigger(now, &[Trigger::Deferred]);
    w.run();
    assert_eq!(w.requests.len(), 5, "not due yet");
    w.manager.trigger(now, &[Trigger::All, Trigger::FlushDead, Trigger::Deferred]);
    w.run();
    assert_eq!(
        w.requests.len(),
        5 + 6,
        "each once: six to the dead destination less those that found it dead again, and the postponed one"
    );
    assert_eq!(w.delivered["ok@postponed.example"], 1);
}

#[test]
fn one_flushed_message_revives_its_destination() {
    let mut w = World::new();
    for _ in 0..5 {
        w.post(&mail(&["ok@dead.example"]));
    }
    w.run();
    assert_eq!(w.requests.len(), 5);
    // As the flush service does.
    let id = w.files(QueueName::Deferred)[0].clone();
    w.queue.set_time(QueueName::Deferred, &id, w.clock.now()).unwrap();
    w.queue.set_mode(QueueName::Deferred, &id, 0o740).unwrap();
    w.queue.rename(&id, QueueName::Deferred, QueueName::Incoming).unwrap();
    let now = w.now();
    w.manager.trigger(now, &[Trigger::Incoming]);
    w.run();
    assert_eq!(w.requests.len(), 6);
    assert_eq!(w.queue.stat(QueueName::Deferred, &id).unwrap().mode & 0o777, 0o700);
}

/// A clock that is set back or forward neither stops the mail nor loses any (S-QUEUE-08).
#[test]
fn a_clock_that_jumps() {
    const DAY: u64 = 86_400;
    let mut w = World::new();
    w.at(2 * DAY);
    let id = w.post(&mail(&["tmp@a.example"]));
    w.run();
    let (due, tries) = (w.retry_at(&id), w.requests.len());
    assert!(due > 2 * DAY);

    w.set_clock(DAY);
    w.post(&mail(&["ok@b.example"]));
    w.run();
    assert_eq!(w.delivered["ok@b.example"], 1, "new mail goes on");
    assert!(w.manager.next_wake().is_some_and(|at| at <= w.now() + Duration::from_secs(300)), "the queue run is not put off");
    let now = w.now();
    w.manager.trigger(now, &[Trigger::All, Trigger::Deferred]);
    w.run();
    assert_eq!(w.requests.len(), tries + 2, "a flush sends what would wait for its time");
    assert!(w.retry_at(&id) < DAY + 5000, "from then on its time is that of the new clock");

    let tries = w.requests.len();
    w.set_clock(3 * DAY);
    w.at(3 * DAY + 300);
    assert_eq!(w.requests.len(), tries + 1, "what has become due is tried with the next queue run");
    assert_eq!(w.files(QueueName::Deferred), [id]);
}

#[test]
fn a_start_takes_over_what_was_active() {
    let mut w = World::new();
    let a = w.message(&mail(&["ok@a.example"]));
    w.queue.rename(&a, QueueName::Incoming, QueueName::Active).unwrap();
    let b = w.message(&mail(&["tmp@b.example"]));
    w.queue.set_time(QueueName::Incoming, &b, w.clock.now() + Duration::from_secs(50)).unwrap();
    w.queue.rename(&b, QueueName::Incoming, QueueName::Deferred).unwrap();
    w.message(&mail(&["new@c.example"]));
    let now = w.now();
    w.manager.start(now);
    w.run();
    assert_eq!((w.delivered["ok@a.example"], w.delivered["new@c.example"], w.requests.len()), (1, 1, 2));
    assert_eq!(w.manager.next_wake().map(|at| at - w.now()), Some(Duration::from_secs(300)), "queue_run_delay");
    w.at(60);
    assert_eq!(w.requests.len(), 2, "due, but there is no queue run");
    w.at(300);
    assert_eq!(w.requests.len(), 3);
}

/// S-QUEUE-14.
#[test]
fn a_corrupt_file_is_set_aside() {
    let mut w = World::new();
    let id = w.message(&mail(&["ok@a.example"]));
    w.disk.open(&w.queue.path(QueueName::Incoming, &id), posthaste_queue::disk::Access::Update).unwrap().write_at(b"garbage", 0).unwrap();
    let now = w.now();
    w.manager.trigger(now, &[Trigger::Incoming]);
    w.run();
    assert_eq!(w.files(QueueName::Corrupt), [id]);
    assert_eq!(w.manager.active(), 0);
}

#[test]
fn a_file_that_an_old_agent_still_holds_is_skipped() {
    let mut w = World::new();
    let id = w.message(&mail(&["ok@a.example"]));
    let offset = w.queue.read_envelope(QueueName::Incoming, &id, 1).unwrap().content_offset;
    let held = w.queue.open_message(QueueName::Incoming, &id, offset).unwrap();
    let now = w.now();
    w.manager.trigger(now, &[Trigger::Incoming]);
    w.run();
    assert_eq!((w.requests.len(), w.retry_at(&id)), (0, 60));
    drop(held);
    w.at(300);
    assert_eq!(w.delivered["ok@a.example"], 1);
}

#[test]
fn a_message_put_on_hold_while_it_fails_is_marked_there() {
    let mut w = World::new();
    let id = w.post(&mail(&["bad@a.example", "tmp@a.example"]));
    w.think();
    w.queue.rename(&id, QueueName::Incoming, QueueName::Hold).unwrap();
    w.run();
    let left = w.queue.read_envelope(QueueName::Hold, &id, 10).unwrap().recipients;
    assert_eq!(left.iter().map(|r| r.address.to_string()).collect::<Vec<_>>(), ["tmp@a.example"]);
    assert_eq!((w.reported["Failure bad@a.example"], w.manager.active()), (1, 0));
}

#[test]
fn a_message_removed_by_the_administrator_is_forgotten() {
    let mut w = World::new();
    let id = w.post(&mail(&["tmp@a.example"]));
    w.run();
    w.queue.remove(QueueName::Deferred, &id).unwrap();
    w.at(300);
    assert_eq!((w.requests.len(), w.manager.active()), (1, 0));
    // While it waits in the active queue.
    for _ in 0..6 {
        w.post(&mail(&["ok@a.example"]));
    }
    w.think();
    w.clock.0.store(START + 302, Ordering::Relaxed);
    w.think();
    let waiting = w.files(QueueName::Active)[0].clone();
    w.queue.remove(QueueName::Active, &waiting).unwrap();
    w.run();
    assert_eq!(w.manager.active(), 0);
}

/// S-QUEUE-10: new mail and deferred mail take turns.
#[test]
fn the_active_limit_holds_and_neither_side_starves() {
    let mut w = World::with(Settings { qmgr_message_active_limit: 10, ..settings() });
    for _ in 0..50 {
        w.post(&mail(&["tmp@a.example"]));
        w.run();
    }
    assert_eq!(w.files(QueueName::Deferred).len(), 50);
    w.clock.0.store(START + 300, Ordering::Relaxed);
    for n in 0..50 {
        let address = format!("ok{n}@b.example");
        w.message(&mail(&[&address]));
    }
    let now = w.now();
    w.manager.trigger(now, &[Trigger::Incoming]);
    w.requests.clear();
    w.think();
    assert_eq!(w.manager.active(), 10);
    w.run();
    assert_eq!((w.requests.len(), w.delivered.len()), (100, 50));
    let first: Vec<_> = w.requests.iter().take(10).map(|r| r.nexthop.to_string()).collect();
    assert!(first.contains(&"a.example".into()) && first.contains(&"b.example".into()), "{first:?}");
    assert_eq!(w.manager.active(), 0);
}

#[test]
fn many_recipients_are_read_in_portions() {
    let mut w = World::with(Settings { qmgr_message_recipient_limit: 100, ..settings() });
    let many: Vec<String> = (0..1000).map(|n| format!("u{n:04}@d{}.example", n % 7)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    w.message(&mail(&many));
    let now = w.now();
    w.manager.trigger(now, &[Trigger::Incoming]);
    let mut peak = 0;
    loop {
        w.think();
        peak = peak.max(w.manager.recipients);
        if w.sent.is_empty() {
            break;
        }
        w.deliver(0);
    }
    assert_eq!(w.delivered.len(), 1000);
    assert!(w.delivered.values().all(|&n| n == 1));
    assert!(peak <= 300, "{peak}");
    assert!(w.empty());
}

#[test]
fn a_filter_takes_all_and_a_redirect_takes_one_copy() {
    let mut w = World::new();
    w.post(&Mail { extra: (RecordType::FILTER, "scan:[127.0.0.1]:10025"), ..mail(&["b@b.example", "a@a.example"]) });
    w.run();
    assert_eq!(w.requests.len(), 1);
    assert_eq!((w.requests[0].nexthop.to_string(), w.requests[0].recipients.len()), ("[127.0.0.1]:10025".into(), 2));
    w.post(&Mail { extra: (RecordType::FILTER, "scan"), ..mail(&["b@b.example"]) });
    w.run();
    assert_eq!(w.requests[1].nexthop, "b.example");
    w.post(&Mail { extra: (RecordType::REDIRECT, "spy@c.example"), ..mail(&["b@b.example", "a@a.example"]) });
    w.run();
    assert_eq!(w.requests.len(), 3);
    assert_eq!(w.requests[2].recipients[0].address, Address::new("spy@c.example"));
    w.post(&Mail { extra: (RecordType::FILTER, "scan:x"), ..mail(&["a@z.example", "z@a.example", "B@m.example", "a@m.example"]) });
    w.run();
    let order: Vec<_> = w.requests[3].recipients.iter().map(|r| r.address.to_string()).collect();
    assert_eq!(order, ["z@a.example", "B@m.example", "a@m.example", "a@z.example"], "by domain, as Postfix sorts them");
    assert!(w.empty());
}

#[test]
fn probes_pass_by_the_filter() {
    let mut w = World::new();
    w.post(&Mail { trace: TRACE_PROBE, extra: (RecordType::FILTER, "scan:[127.0.0.1]:10025"), ..mail(&["b@b.example"]) });
    w.run();
    assert_eq!(w.requests[0].nexthop, "b.example");
}

#[test]
fn a_message_removed_while_it_fails_leaves_no_log() {
    let mut w = World::new();
    let id = w.post(&mail(&["bad@a.example"]));
    w.think();
    w.queue.remove(QueueName::Incoming, &id).unwrap();
    w.run();
    assert!(w.empty() && w.history.is_empty());
    assert_eq!(w.manager.active(), 0);
}

#[test]
fn an_agent_that_dies_defers_whom_it_said_nothing_about() {
    let mut w = World::new();
    let id = w.post(&mail(&["a@a.example", "b@a.example"]));
    w.think();
    let (number, request) = w.sent.remove(0);
    w.queue.mark_done(request.queue, &request.id, request.recipients[0].offset.unwrap()).unwrap();
    w.manager.report(
        number,
        Report { recipient: 0, outcome: Outcome::Sent, dsn: Dsn::default(), marked: true, relay: "there".into(), part: None },
    );
    let now = w.now();
    w.manager.lost(now, number);
    w.run();
    assert_eq!(w.queue.read_envelope(QueueName::Deferred, &id, 10).unwrap().recipients.len(), 1);
    let logged: Vec<_> = w.queue.read_log(LogName::Defer, &id).unwrap().unwrap().map(|r| r.unwrap().reason).collect();
    assert_eq!(logged, ["unknown mail transport error"]);
}

#[test]
fn addresses_that_a_recipient_was_expanded_to_are_reported_under_their_own_names() {
    let mut w = World::new();
    let id = w.post(&mail(&["list@a.example"]));
    w.think();
    let (number, request) = w.sent.remove(0);
    let part = |address: &str| Recipient { address: Address::new(address), ..request.recipients[0].clone() };
    let failed = Dsn { status: "5.1.1".into(), reason: "no".into(), ..Dsn::default() };
    w.manager.report(
        number,
        Report {
            recipient: 0,
            outcome: Outcome::Bounced,
            dsn: failed,
            marked: false,
            relay: "there".into(),
            part: Some(part("x@b.example")),
        },
    );
    w.manager.report(
        number,
        Report { recipient: 0, outcome: Outcome::Bounced, dsn: Dsn::default(), marked: false, relay: "there".into(), part: None },
    );
    let now = w.now();
    w.manager.delivered(now, number, Done::default());
    w.think();
    assert!(w.queue.read_envelope(QueueName::Incoming, &id, 10).unwrap().recipients.is_empty());
    w.run();
    assert_eq!(w.reported.iter().collect::<Vec<_>>(), [(&"Failure x@b.example".to_string(), &1)]);
    assert!(w.empty());
}

#[test]
fn nonsense_from_an_agent_does_no_harm() {
    let mut w = World::new();
    w.post(&mail(&["bad@a.example"]));
    w.think();
    let (number, _) = w.sent[0];
    let report = |recipient| Report {
        recipient,
        outcome: Outcome::Bounced,
        dsn: Dsn { status: "5.1.1".into(), ..Dsn::default() },
        marked: false,
        relay: "there".into(),
        part: None,
    };
    w.manager.report(number, report(7));
    w.manager.report(number + 1, report(0));
    w.manager.report(number, report(0));
    w.manager.report(number, report(0));
    let now = w.now();
    w.manager.delivered(now, number, Done::default());
    w.manager.delivered(now, number, Done::default());
    w.manager.lost(now, number);
    w.sent.clear();
    w.run();
    assert_eq!(w.reported["Failure bad@a.example"], 1);
    assert!(w.empty());
    assert_eq!(w.manager.recipients, 0);
}

#[test]
fn a_report_that_cannot_be_sent_is_tried_again() {
    let mut w = World::new();
    w.bounce_works = false;
    let id = w.post(&mail(&["bad@a.example"]));
    w.run();
    assert_eq!(w.files(QueueName::Deferred), std::slice::from_ref(&id));
    assert_eq!(w.files(QueueName::Bounce), [id]);
    w.bounce_works = true;
    w.at(300);
    assert_eq!((w.reported["Failure bad@a.example"], w.requests.len()), (1, 1));
    assert!(w.empty());
}

#[test]
fn a_full_disk_loses_no_failure() {
    let mut w = World::new();
    let id = w.post(&mail(&["bad@a.example"]));
    w.think();
    w.disk.set_capacity(0);
    w.deliver(0);
    w.run();
    assert_eq!(w.queue.read_envelope(QueueName::Deferred, &id, 10).unwrap().recipients.len(), 1, "not marked: it will fail again");
    w.disk.set_capacity(1 << 20);
    w.at(300);
    assert_eq!(w.reported["Failure bad@a.example"], 1);
    assert!(w.empty());
}

#[test]
fn an_announcement_after_the_scan_does_not_deliver_twice() {
    let mut w = World::new();
    let id = w.message(&mail(&["ok@a.example"]));
    let envelope = w.queue.read_envelope(QueueName::Incoming, &id, 10).unwrap();
    let now = w.now();
    w.manager.trigger(now, &[Trigger::Incoming]);
    w.run();
    w.manager.new_message(now, NewMessage { queue: QueueName::Incoming, id, envelope: Some(envelope) });
    w.run();
    assert_eq!(w.requests.len(), 1);
}

#[test]
fn draining_finishes_what_runs_and_begins_nothing() {
    let mut w = World::new();
    for _ in 0..7 {
        w.post(&mail(&["ok@a.example"]));
    }
    w.think();
    assert!(!w.manager.drain());
    w.run();
    assert!(w.manager.drain());
    assert_eq!(w.delivered["ok@a.example"], 5);
    assert_eq!(w.files(QueueName::Incoming).len(), 2, "left for the next queue manager");
}

struct Dice(u64);
impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Promise 2 of the design: whatever is killed whenever, no accepted message is lost, none is delivered twice, no failure goes unreported.
#[test]
fn no_message_is_lost_or_invented_by_kill_minus_9() {
    for seed in 1..10u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut w = World::new();
        let mut expected = Vec::new();
        let mut clock = 0;
        for round in 0..30 {
            for n in 0..dice.roll(4) {
                let kind = ["ok", "ok", "bad", "tmp"][dice.roll(4) as usize];
                let to: Vec<String> = (0..1 + dice.roll(3)).map(|i| format!("{kind}{seed}.{round}.{n}.{i}@d{i}.example")).collect();
                let to: Vec<&str> = to.iter().map(String::as_str).collect();
                w.post(&mail(&to));
                expected.extend(to.iter().map(|to| to.to_string()));
            }
            for _ in 0..dice.roll(20) {
                w.think();
                match dice.roll(3) {
                    0 if !w.notices.is_empty() => w.answer(dice.roll(w.notices.len() as u64) as usize),
                    _ if !w.sent.is_empty() => w.deliver(dice.roll(w.sent.len() as u64) as usize),
                    _ => (),
                }
            }
            clock += dice.roll(400);
            w.clock.0.store(START + clock, Ordering::Relaxed);
            if dice.roll(3) == 0 {
                // kill -9 of the queue manager and the agents; the disk keeps everything.
                let (delivered, reported) = (std::mem::take(&mut w.delivered), std::mem::take(&mut w.reported));
                w = World::on(w.disk.reboot(Survives::Everything), w.clock.clone(), settings());
                (w.delivered, w.reported) = (delivered, reported);
                w.begin = Instant::now() - Duration::from_secs(clock);
                let now = w.now();
                w.manager.start(now);
            }
        }
        while !w.empty() {
            clock += 500;
            assert!(clock < 10 * 86400, "seed {seed}: the queue does not empty: {}", w.contents());
            w.at(clock);
        }
        for to in &expected {
            let (delivered, reported) =
                (w.delivered.get(to).copied().unwrap_or(0), w.reported.get(&format!("Failure {to}")).copied().unwrap_or(0));
            match to.as_bytes()[0] {
                b'o' => assert_eq!((delivered, reported), (1, 0), "seed {seed}: {to}"),
                _ => assert_eq!((delivered, reported), (0, 1), "seed {seed}: {to}"),
            }
        }
        assert_eq!(w.delivered.len() + w.reported.len(), expected.len(), "seed {seed}");
    }
}

/// Power may fail at any moment: a mark that was not synced may cost a second delivery, but nothing is lost and no failure goes unreported.
#[test]
fn no_message_is_lost_by_a_power_failure() {
    for seed in 1..50u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut w = World::new();
        let mut expected = Vec::new();
        for n in 0..5 {
            let to = [format!("ok{n}@a.example"), format!("bad{n}@b.example"), format!("tmp{n}@c.example")];
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            w.post(&mail(&to));
            expected.extend(to.iter().map(|to| to.to_string()));
        }
        for _ in 0..dice.roll(25) {
            w.think();
            match dice.roll(3) {
                0 if !w.notices.is_empty() => w.answer(dice.roll(w.notices.len() as u64) as usize),
                _ if !w.sent.is_empty() => w.deliver(dice.roll(w.sent.len() as u64) as usize),
                _ => (),
            }
        }
        let (delivered, reported) = (std::mem::take(&mut w.delivered), std::mem::take(&mut w.reported));
        w = World::on(w.disk.reboot(Survives::Some(seed)), w.clock.clone(), settings());
        (w.delivered, w.reported) = (delivered, reported);
        let now = w.now();
        w.manager.start(now);
        w.run();
        let mut clock = 0;
        while !w.empty() {
            clock += 3000;
            assert!(clock < 10 * 86400, "seed {seed}: the queue does not empty: {}", w.contents());
            w.at(clock);
        }
        for to in &expected {
            match to.as_bytes()[0] {
                b'o' => assert!(w.delivered.get(to).is_some_and(|&n| n >= 1), "seed {seed}: {to}"),
                _ => assert!(w.reported.get(&format!("Failure {to}")).is_some_and(|&n| n >= 1), "seed {seed}: {to}"),
            }
        }
    }
}
