use super::*;
use bstr::ByteSlice;
use posthaste_address::Address;
use posthaste_queue::Notify;

fn params() -> TransportParams {
    TransportParams::default()
}

struct Bench {
    sched: Scheduler,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new() -> Bench {
        let start = Instant::now();
        let sched = Scheduler::new(Duration::from_secs(300), Duration::from_secs(60), 100);
        Bench { sched, start, now: start }
    }

    fn transport(&mut self, name: &str, params: TransportParams) -> Key<Transport> {
        self.sched.transport(name, || params)
    }

    fn add(&mut self, message: u64, transport: Key<Transport>, nexthop: &str) -> Key<Entry> {
        let recipients = vec![Recipient {
            offset: Some(1),
            address: Address::new("x@y"),
            original: Address::empty(),
            dsn_orcpt: "".into(),
            notify: Notify(0),
        }];
        let name = nexthop.as_bytes().as_bstr();
        self.sched.add(self.now, Batch { message, transport, name, nexthop: name, recipients, limit: 1, unread: 0 })
    }

    fn at(&mut self, seconds: u64) {
        self.now = self.start + Duration::from_secs(seconds);
        self.sched.tick(self.now);
    }

    /// Messages in the order in which they are selected, each delivery ending before the next begins.
    fn serial(&mut self) -> Vec<u64> {
        let mut seen = Vec::new();
        while let Some(dispatch) = self.sched.next(self.now) {
            seen.push(dispatch.message);
            self.sched.done(self.now, dispatch.entry, Feedback::Good);
        }
        seen
    }

    fn burst(&mut self) -> Vec<Dispatch> {
        std::iter::from_fn(|| self.sched.next(self.now)).collect()
    }
}

fn refused() -> Dsn {
    Dsn { status: "4.4.1".into(), reason: "connect to h[192.0.2.1]:25: Connection refused".into(), ..Dsn::default() }
}

#[test]
fn first_come_first_served() {
    let mut b = Bench::new();
    let t = b.transport("smtp", params());
    (1..=4).for_each(|m| {
        b.add(m, t, "a.example");
    });
    assert_eq!(b.serial(), [1, 2, 3, 4]);
    assert_eq!(b.sched.destinations.len() + b.sched.jobs.len() + b.sched.peers.len() + b.sched.entries.len(), 0, "nothing is left behind");
}

#[test]
fn transports_take_turns() {
    let mut b = Bench::new();
    let (s, l) = (b.transport("smtp", params()), b.transport("local", params()));
    (1..=3).for_each(|m| {
        b.add(m, s, "a.example");
    });
    (11..=13).for_each(|m| {
        b.add(m, l, "b.example");
    });
    assert_eq!(b.serial(), [1, 11, 2, 12, 3, 13]);
}

/// S-QUEUE-19, S-QUEUE-20.
#[test]
fn concurrency_starts_at_5_and_grows_to_20() {
    let mut b = Bench::new();
    let t = b.transport("smtp", params());
    (0..200).for_each(|m| {
        b.add(m, t, "a.example");
    });
    let mut running = b.burst();
    let mut peak = running.len();
    assert_eq!(peak, 5);
    while !running.is_empty() {
        for d in std::mem::take(&mut running) {
            b.sched.done(b.now, d.entry, Feedback::Good);
        }
        running = b.burst();
        peak = peak.max(running.len());
    }
    assert_eq!(peak, 20);
}

#[test]
fn a_full_destination_does_not_hold_up_another() {
    let mut b = Bench::new();
    let t = b.transport("smtp", params());
    (0..50).for_each(|m| {
        b.add(m, t, "slow.example");
    });
    b.add(99, t, "fast.example");
    let sent: Vec<_> = b.burst().iter().map(|d| d.message).collect();
    assert_eq!(sent, [0, 1, 2, 3, 4, 99]);
}

#[test]
fn the_process_limit_bounds_all_destinations_together() {
    let mut b = Bench::new();
    let t = b.transport("smtp", TransportParams { processes: Some(3), ..params() });
    (0..10).for_each(|m| {
        b.add(m, t, &format!("d{m}.example"));
    });
    let running = b.burst();
    assert_eq!(running.len(), 3);
    b.sched.done(b.now, running[0].entry, Feedback::Good);
    assert_eq!(b.burst().len(), 1);
}

#[test]
fn destinations_of_one_message_take_turns() {
    let mut b = Bench::new();
    let t = b.transport("smtp", TransportParams { slot_cost: 0, ..params() });
    for _ in 0..2 {
        b.add(1, t, "a.example");
        b.add(1, t, "b.example");
    }
    let mut nexthops = Vec::new();
    while let Some(d) = b.sched.next(b.now) {
        let destination = b.sched.entry(d.entry).expect("busy").destination;
        nexthops.push(b.sched.destination(destination).1.to_string());
        b.sched.done(b.now, d.entry, Feedback::Good);
    }
    assert_eq!(nexthops, ["a.example", "b.example", "a.example", "b.example"]);
}

/// S-QUEUE-11: after a failed cohort the rest is suspended at once with the reason, and tried again after minimal_backoff_time.
#[test]
fn a_dead_destination_suspends_what_waits() {
    let mut b = Bench::new();
    let t = b.transport("smtp", params());
    (0..10).for_each(|m| {
        b.add(m, t, "dead.example");
    });
    let running = b.burst();
    assert_eq!(running.len(), 5);
    for d in &running {
        b.sched.done(b.now, d.entry, Feedback::Failed(refused()));
    }
    let suspended: Vec<_> = std::iter::from_fn(|| b.sched.suspended()).collect();
    assert_eq!(suspended.iter().map(|s| s.message).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
    assert_eq!(suspended[0].dsn.reason, "delivery temporarily suspended: connect to h[192.0.2.1]:25: Connection refused");
    assert_eq!(suspended[0].dsn.status, "4.4.1");
    assert!(b.sched.dead_destination(t, b"dead.example".as_bstr()).is_some());
    b.at(299);
    assert!(b.sched.dead_destination(t, b"dead.example".as_bstr()).is_some());
    b.at(300);
    assert!(b.sched.dead_destination(t, b"dead.example".as_bstr()).is_none());
    assert_eq!(b.sched.destinations.len(), 0);
}

#[test]
fn a_flush_brings_the_dead_back() {
    let mut b = Bench::new();
    let t = b.transport("smtp", params());
    (0..5).for_each(|m| {
        b.add(m, t, "dead.example");
    });
    for d in b.burst() {
        b.sched.done(b.now, d.entry, Feedback::Failed(refused()));
    }
    b.sched.transport_failed(b.now, t, refused());
    assert!(b.sched.dead_transport(t).is_some());
    b.sched.flush();
    assert!(b.sched.dead_transport(t).is_none());
    assert!(b.sched.dead_destination(t, b"dead.example".as_bstr()).is_none());
    b.add(9, t, "dead.example");
    assert_eq!(b.burst().len(), 1);
}

/// S-QUEUE-24.
#[test]
fn a_broken_transport_rests_for_transport_retry_time() {
    let mut b = Bench::new();
    let t = b.transport("crash", params());
    (0..7).for_each(|m| {
        b.add(m, t, "x");
    });
    let running = b.burst();
    b.sched.transport_failed(b.now, t, Dsn { status: "4.3.0".into(), reason: "mail transport unavailable".into(), ..Dsn::default() });
    assert_eq!(std::iter::from_fn(|| b.sched.suspended()).count(), 2);
    for d in running {
        assert!(b.sched.done(b.now, d.entry, Feedback::Unknown).is_some());
    }
    assert_eq!(b.sched.next_timer(), Some(b.start + Duration::from_secs(60)));
    b.at(60);
    b.add(8, t, "x");
    assert_eq!(b.burst().len(), 1);
}

#[test]
fn a_rate_delay_serves_one_at_a_time_with_rests() {
    let mut b = Bench::new();
    let t = b.transport("slow", TransportParams { rate_delay: Duration::from_secs(10), ..params() });
    (0..3).for_each(|m| {
        b.add(m, t, "x");
    });
    let first = b.burst();
    assert_eq!(first.len(), 1);
    b.sched.done(b.now, first[0].entry, Feedback::Good);
    assert_eq!(b.burst().len(), 0);
    b.at(9);
    assert_eq!(b.burst().len(), 0);
    b.at(10);
    assert_eq!(b.burst().len(), 1);
}

#[test]
fn a_transport_rate_delay_counts_from_the_start_of_a_delivery() {
    let mut b = Bench::new();
    let t = b.transport("slow", TransportParams { transport_rate_delay: Duration::from_secs(2), ..params() });
    (0..3).for_each(|m| {
        b.add(m, t, &format!("d{m}"));
    });
    assert_eq!(b.burst().len(), 1);
    assert_eq!(b.sched.next_timer(), Some(b.start + Duration::from_secs(2)));
    b.at(2);
    assert_eq!(b.burst().len(), 1);
}

/// S-QUEUE-21: SCHEDULER_README's promise: mail with few recipients slips past a list, and the list is delayed by no more than the slot cost allows.
#[test]
fn small_mail_passes_a_mailing_list() {
    let mut b = Bench::new();
    let t = b.transport("smtp", TransportParams { processes: Some(1), ..params() });
    for n in 0..1000 {
        b.add(1, t, &format!("d{n}.example"));
    }
    b.at(1);
    (2..=41).for_each(|m| {
        b.add(m, t, &format!("e{m}.example"));
    });
    let order = b.serial();
    assert_eq!(order.len(), 1040);
    let first_small = order.iter().position(|&m| m == 2).expect("delivered");
    assert!(first_small <= 10, "the first small one goes after {first_small} of 1000");
    let last_small = order.iter().rposition(|&m| m != 1).expect("delivered");
    assert!(last_small < 300, "all 40 are out after {last_small}");
    // The oldest of the small ones first.
    let small: Vec<_> = order.iter().copied().filter(|&m| m != 1).collect();
    assert!(small.is_sorted(), "{small:?}");
    // At no point have more slots been given away than one in slot_cost, but for the loan and discount.
    for (at, _) in order.iter().enumerate() {
        let given = order[..=at].iter().filter(|&&m| m != 1).count();
        let own = at + 1 - given;
        assert!(given <= own / 5 + 4, "{given} of {own}");
    }
}

#[test]
fn preemption_can_be_turned_off() {
    let mut b = Bench::new();
    let t = b.transport("smtp", TransportParams { processes: Some(1), slot_cost: 0, ..params() });
    (0..100).for_each(|n| {
        b.add(1, t, &format!("d{n}.example"));
    });
    b.add(2, t, "e.example");
    assert_eq!(b.serial().last(), Some(&2));
}

#[test]
fn a_blocked_job_is_no_candidate() {
    let mut b = Bench::new();
    let limit1 = Limits { initial: 1, limit: 1, ..params().concurrency };
    let t = b.transport("smtp", TransportParams { concurrency: limit1, processes: Some(2), ..params() });
    b.add(7, t, "slow.example");
    let slow = b.burst();
    assert_eq!(slow.len(), 1);
    (0..100).for_each(|n| {
        b.add(1, t, &format!("d{n}.example"));
    });
    b.add(2, t, "slow.example");
    b.add(3, t, "free.example");
    let order = b.serial();
    assert_eq!(order.len(), 101, "all but the one that waits for the slow destination");
    assert!(order.iter().position(|&m| m == 3).is_some_and(|at| at < 20));
    b.sched.done(b.now, slow[0].entry, Feedback::Good);
    assert_eq!(b.serial(), [2]);
}

#[test]
fn cache_hints_follow_the_backlog() {
    let mut b = Bench::new();
    let limit1 = Limits { initial: 1, limit: 1, ..params().concurrency };
    let t = b.transport("smtp", TransportParams { concurrency: limit1, ..params() });
    (0..3).for_each(|m| {
        b.add(m, t, "x");
    });
    let mut hints = Vec::new();
    while let Some(d) = b.sched.next(b.now) {
        hints.push((d.cache_load, d.cache_store));
        b.sched.done(b.now, d.entry, Feedback::Good);
    }
    assert_eq!(hints, [(false, true), (true, true), (true, false)]);
}
