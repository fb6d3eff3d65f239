//! Several hosts with the same data: which of them to ask, what to do when one fails, and connections kept for the next lookup.
//!
//! mysql_table(5), pgsql_table(5): hosts are tried in random order (MySQL: those over Unix-domain sockets first); one that failed is left alone
//! for `retry_interval`; a connection that was idle for `idle_interval` is closed. All tables with the same servers, user and database share one
//! pool.

use crate::{Answers, Source, Template, expand, runtime};
use bstr::{BStr, BString, ByteSlice};
use posthaste_table::{Context, TableError};
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Lookups that one pool makes at one time; others wait. Servers have few connections to give, and each is a process or a thread there.
const AT_ONCE: usize = 10;
/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// For an answer, and for a place among those that are asked at one time.
const ANSWER: Duration = Duration::from_secs(60);
/// A server that is the only one is tried again after this time, whatever `retry_interval` says.
const ONLY: Duration = Duration::from_secs(1);

/// Why a query brought no answer.
pub(crate) enum Fault {
    /// The connection is of no use any more.
    Lost(String),
    /// The server refused, or answered what cannot be used. The connection is good.
    Refused(String),
}

/// A kind of server, and all that is needed to connect to it. Two that are equal share their connections.
pub(crate) trait Server: PartialEq + Send + Sync + Sized + 'static {
    /// For messages: `mysql`.
    const KIND: &'static str;
    /// Whether hosts over Unix-domain sockets are tried before all others.
    const LOCAL_FIRST: bool;
    type Connection: Send + 'static;
    type Query: Send + Sync + 'static;
    type Rows: Send + 'static;

    /// Hosts as configured, for messages; `unix:` in front is over a local socket.
    fn hosts(&self) -> &[String];

    /// Times as configured.
    fn times(&self) -> Times;

    /// What is logged of a query that failed.
    fn query_failed(&self, _nth: usize, table: &str, reason: &str) -> String {
        format!("{table}: query failed: {reason}")
    }

    /// Connects to `hosts()[nth]`.
    fn connect(&self, nth: usize) -> impl Future<Output = Result<Self::Connection, String>> + Send;

    /// Asks.
    fn ask(&self, connection: &mut Self::Connection, query: &Self::Query) -> impl Future<Output = Result<Self::Rows, Fault>> + Send;
}

/// `retry_interval` and `idle_interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    retry: Duration,
    idle: Duration,
}

impl Times {
    /// Reads the settings (seconds).
    pub fn read(source: &Source) -> Result<Times, String> {
        let seconds = |setting| Ok::<_, String>(Duration::from_secs(source.int(setting, 60, 1, i64::from(i32::MAX))?.unsigned_abs()));
        Ok(Times { retry: seconds("retry_interval")?, idle: seconds("idle_interval")? })
    }
}

/// Connections to a set of servers.
pub(crate) struct Pool<S: Server> {
    server: S,
    at_once: Semaphore,
    state: Mutex<State<S>>,
}

struct State<S: Server> {
    hosts: Vec<Host<S>>,
    /// Something will look for idle connections.
    swept: bool,
}

struct Host<S: Server> {
    free: Vec<(S::Connection, Instant)>,
    /// It has failed, and is not to be tried before this time.
    down_until: Option<Instant>,
}

/// A table whose lookups are queries made of a template: what tables in SQL databases have in common.
pub(crate) struct QueryTable<S: Server> {
    pub name: String,
    pub query: Arc<Template>,
    pub answers: Answers,
    pub pool: Arc<Pool<S>>,
    pub context: Context,
}

impl<S: Server<Rows = Vec<BString>>> QueryTable<S> {
    /// Asks, with the query for the server that `query` makes of the template, and puts the values together.
    pub fn find(&self, key: &BStr, query: impl FnOnce(Arc<Template>) -> S::Query) -> Result<Option<BString>, TableError> {
        if !self.answers.wanted(key)? || self.query.query(key, &expand::unquoted).is_none() {
            return Ok(None);
        }
        let asked = runtime::wait(Arc::clone(&self.pool).ask(self.name.clone(), query(Arc::clone(&self.query)), self.context.clone()));
        let values =
            asked.unwrap_or_else(|error| Err(error.to_string())).map_err(|reason| TableError::without_detail(&self.name, reason))?;
        let mut result = self.answers.result(key);
        for value in &values {
            result.add(value.as_bstr())?;
        }
        Ok(result.finish())
    }
}

/// The pools of one kind of server.
pub(crate) struct Pools<S: Server>(Mutex<Vec<Weak<Pool<S>>>>);

impl<S: Server> Pools<S> {
    pub const fn new() -> Pools<S> {
        Pools(Mutex::new(Vec::new()))
    }

    /// The pool for these servers.
    pub fn get(&self, server: S) -> Arc<Pool<S>> {
        let mut pools = self.0.lock().unwrap_or_else(|e| e.into_inner());
        pools.retain(|pool| pool.strong_count() > 0);
        if let Some(pool) = pools.iter().filter_map(Weak::upgrade).find(|pool| pool.server == server) {
            return pool;
        }
        let pool = Arc::new(Pool::new(server));
        pools.push(Arc::downgrade(&pool));
        pool
    }
}

/// A random number, from the seed of the standard library's hash tables.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl<S: Server> Pool<S> {
    fn new(server: S) -> Pool<S> {
        let hosts = server.hosts().iter().map(|_| Host { free: Vec::new(), down_until: None }).collect();
        Pool { server, at_once: Semaphore::new(AT_ONCE), state: Mutex::new(State { hosts, swept: false }) }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Asks one host after the other until one answers. What fails is logged with the table's name; `Err` says that none answered.
    pub async fn ask(self: Arc<Self>, table: String, query: S::Query, context: Context) -> Result<S::Rows, String> {
        let Ok(Ok(_place)) = timeout(ANSWER, self.at_once.acquire()).await else {
            let text = format!("{table}: {AT_ONCE} other lookups take too long");
            context.warn(&text);
            return Err(text);
        };
        let order = self.order();
        if order.is_empty() {
            let text = format!("{table}: all servers failed a short time ago");
            context.warn(&text);
            return Err(text);
        }
        let mut last = String::new();
        for nth in order {
            match self.ask_host(nth, &query).await {
                Ok(rows) => return Ok(rows),
                Err(Failed::Connect(reason)) => {
                    last = format!("connect to {} server {}: {reason}", S::KIND, self.server.hosts()[nth]);
                    self.down(nth);
                }
                Err(Failed::Query(Fault::Lost(reason))) => {
                    last = self.server.query_failed(nth, &table, &reason);
                    self.down(nth);
                }
                Err(Failed::Query(Fault::Refused(reason))) => last = self.server.query_failed(nth, &table, &reason),
            }
            context.warn(&last);
        }
        Err(last)
    }

    /// The hosts in the order in which they are to be asked: local ones, those to which there is a connection, and apart from that by chance.
    fn order(&self) -> Vec<usize> {
        let now = Instant::now();
        let mut state = self.state();
        let mut order = Vec::with_capacity(state.hosts.len());
        for (nth, host) in state.hosts.iter_mut().enumerate() {
            host.down_until = host.down_until.filter(|until| *until > now);
            if host.down_until.is_none() {
                let remote = S::LOCAL_FIRST && !self.server.hosts()[nth].starts_with("unix:");
                order.push((remote, host.free.is_empty(), random(), nth));
            }
        }
        drop(state);
        order.sort_unstable();
        order.into_iter().map(|(_, _, _, nth)| nth).collect()
    }

    async fn ask_host(self: &Arc<Self>, nth: usize, query: &S::Query) -> Result<S::Rows, Failed> {
        loop {
            let known = self.take(nth);
            let reused = known.is_some();
            let mut connection = match known {
                Some(connection) => connection,
                None => match timeout(CONNECT, self.server.connect(nth)).await {
                    Ok(connected) => connected.map_err(Failed::Connect)?,
                    Err(_) => return Err(Failed::Connect("Connection timed out".into())),
                },
            };
            let answer = match timeout(ANSWER, self.server.ask(&mut connection, query)).await {
                Ok(answer) => answer,
                // What comes now would be taken for the answer to the next query.
                Err(_) => return Err(Failed::Query(Fault::Lost("no answer in time".into()))),
            };
            match answer {
                // The server may have closed it meanwhile: no reason to call it down.
                Err(Fault::Lost(_)) if reused => {}
                Err(Fault::Lost(reason)) => return Err(Failed::Query(Fault::Lost(reason))),
                good => {
                    self.give_back(nth, connection);
                    return good.map_err(Failed::Query);
                }
            }
        }
    }

    fn take(&self, nth: usize) -> Option<S::Connection> {
        let idle = self.server.times().idle;
        let mut state = self.state();
        let free = &mut state.hosts[nth].free;
        free.retain(|(_, since)| since.elapsed() < idle);
        free.pop().map(|(connection, _)| connection)
    }

    fn give_back(self: &Arc<Self>, nth: usize, connection: S::Connection) {
        let mut state = self.state();
        state.hosts[nth].free.push((connection, Instant::now()));
        if !std::mem::replace(&mut state.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.server.times().idle));
        }
    }

    fn down(&self, nth: usize) {
        let mut state = self.state();
        let wait = if state.hosts.len() == 1 { ONLY.min(self.server.times().retry) } else { self.server.times().retry };
        state.hosts[nth].free.clear();
        state.hosts[nth].down_until = Some(Instant::now() + wait);
    }
}

enum Failed {
    Connect(String),
    Query(Fault),
}

/// Closes connections that nobody has used for `idle`, until there are none.
async fn sweep<S: Server>(pool: Weak<Pool<S>>, idle: Duration) {
    loop {
        sleep(idle).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.state();
        for host in &mut state.hosts {
            host.free.retain(|(_, since)| since.elapsed() < idle);
        }
        if state.hosts.iter().all(|host| host.free.is_empty()) {
            state.swept = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::wait;
    use posthaste_table::Settings;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Servers that do as they are told: `up`, `down`, or `refuses`; what is asked is which host answers.
    struct Fake {
        hosts: Vec<String>,
        behaviour: Arc<Mutex<Vec<&'static str>>>,
        connected: Arc<AtomicUsize>,
        times: Times,
    }

    impl PartialEq for Fake {
        fn eq(&self, other: &Fake) -> bool {
            self.hosts == other.hosts
        }
    }

    impl Server for Fake {
        const KIND: &'static str = "fake";
        const LOCAL_FIRST: bool = true;
        type Connection = usize;
        type Query = ();
        type Rows = String;

        fn hosts(&self) -> &[String] {
            &self.hosts
        }

        fn times(&self) -> Times {
            self.times
        }

        async fn connect(&self, nth: usize) -> Result<usize, String> {
            self.connected.fetch_add(1, Ordering::Relaxed);
            if self.behaviour.lock().unwrap()[nth] == "down" { Err("Connection refused".into()) } else { Ok(nth) }
        }

        async fn ask(&self, connection: &mut usize, (): &()) -> Result<String, Fault> {
            match self.behaviour.lock().unwrap()[*connection] {
                "up" => Ok(self.hosts[*connection].clone()),
                "refuses" => Err(Fault::Refused("no such table".into())),
                _ => Err(Fault::Lost("gone away".into())),
            }
        }
    }

    struct Fixture {
        pool: Arc<Pool<Fake>>,
        behaviour: Arc<Mutex<Vec<&'static str>>>,
        connected: Arc<AtomicUsize>,
        lines: Arc<Mutex<Vec<String>>>,
    }

    fn fixture(hosts: &[&str], behaviour: &[&'static str]) -> Fixture {
        fixture_with(hosts, behaviour, Duration::from_secs(60))
    }

    fn fixture_with(hosts: &[&str], behaviour: &[&'static str], idle: Duration) -> Fixture {
        let behaviour = Arc::new(Mutex::new(behaviour.to_vec()));
        let connected = Arc::new(AtomicUsize::new(0));
        let server = Fake {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            behaviour: Arc::clone(&behaviour),
            connected: Arc::clone(&connected),
            times: Times { retry: Duration::from_secs(60), idle },
        };
        Fixture { pool: Arc::new(Pool::new(server)), behaviour, connected, lines: Arc::default() }
    }

    impl Fixture {
        fn ask(&self) -> Result<String, String> {
            let sink = Arc::clone(&self.lines);
            let context = Context::with_report(Settings::default(), move |_, text| sink.lock().unwrap().push(text.to_owned()));
            wait(Arc::clone(&self.pool).ask("fake:x".into(), (), context)).unwrap()
        }
    }

    // S-DB-03
    #[test]
    fn local_sockets_first_and_others_when_they_are_down() {
        let fixture = fixture(&["one", "unix:/s", "two"], &["up", "up", "up"]);
        for _ in 0..5 {
            assert_eq!(fixture.ask().unwrap(), "unix:/s");
        }
        assert_eq!(fixture.connected.load(Ordering::Relaxed), 1, "one connection for all");
        fixture.behaviour.lock().unwrap()[1] = "down";
        assert_ne!(fixture.ask().unwrap(), "unix:/s");
        assert_eq!(*fixture.lines.lock().unwrap(), ["connect to fake server unix:/s: Connection refused"]);
        // It is left alone for a minute now.
        fixture.behaviour.lock().unwrap()[1] = "up";
        assert_ne!(fixture.ask().unwrap(), "unix:/s");
    }

    // S-TRAP-23
    #[test]
    fn hosts_are_chosen_by_chance() {
        let chosen: std::collections::HashSet<String> =
            (0..60).map(|_| fixture(&["one", "two", "three"], &["up", "up", "up"]).ask().unwrap()).collect();
        assert_eq!(chosen.len(), 3);
    }

    // S-DB-01
    #[test]
    fn when_all_fail_it_is_an_error() {
        let fixture = fixture(&["one", "two"], &["down", "refuses"]);
        assert!(fixture.ask().is_err());
        assert_eq!(fixture.lines.lock().unwrap().len(), 2);
        // The one that refuses is not down.
        fixture.behaviour.lock().unwrap()[1] = "up";
        assert_eq!(fixture.ask().unwrap(), "two");
    }

    #[test]
    fn the_only_host_is_tried_again_soon() {
        let fixture = fixture(&["one"], &["down"]);
        assert!(fixture.ask().is_err());
        fixture.behaviour.lock().unwrap()[0] = "up";
        assert_eq!(fixture.ask().unwrap_err(), "fake:x: all servers failed a short time ago");
        std::thread::sleep(ONLY);
        assert_eq!(fixture.ask().unwrap(), "one");
    }

    #[test]
    fn a_connection_that_was_closed_meanwhile_is_made_again() {
        let fixture = fixture(&["one"], &["up"]);
        fixture.ask().unwrap();
        // The connection is found dead, and so is a new one.
        fixture.behaviour.lock().unwrap()[0] = "lost";
        assert_eq!(fixture.ask().unwrap_err(), "fake:x: query failed: gone away");
        assert_eq!(fixture.connected.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn idle_connections_are_closed() {
        let fixture = fixture_with(&["one"], &["up"], Duration::from_secs(1));
        fixture.ask().unwrap();
        assert_eq!(fixture.pool.state().hosts[0].free.len(), 1);
        let start = std::time::Instant::now();
        while !fixture.pool.state().hosts[0].free.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(30), "it is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn equal_settings_share_a_pool() {
        let pools = Pools::new();
        let server = |host: &str| Fake {
            hosts: vec![host.to_owned()],
            behaviour: Arc::default(),
            connected: Arc::default(),
            times: Times { retry: ONLY, idle: ONLY },
        };
        let one = pools.get(server("one"));
        assert!(Arc::ptr_eq(&one, &pools.get(server("one"))));
        assert!(!Arc::ptr_eq(&one, &pools.get(server("two"))));
    }
}
