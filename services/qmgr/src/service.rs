//! The queue manager as a process: sockets, timers, threads around [`crate::manager`].

use crate::link::{Events, Link, Lost};
use crate::manager::{Action, IsFlushable, Manager, Message, Parts, Resolved, Resolver, Trigger};
use crate::sched::{Transport, TransportParams};
use crate::settings::{Settings, transport_params};
use crate::slab::Key;
use bstr::ByteSlice;
use posthaste_address::Address;
use posthaste_config::master_cf::MasterFile;
use posthaste_config::{split_list, system_reason};
use posthaste_delivery::Reporter;
use posthaste_ipc::bounce::{Answer, Notice};
use posthaste_ipc::delivery::{Done, Report, Request};
use posthaste_ipc::flush;
use posthaste_ipc::frame::{Decoder, Frame};
use posthaste_ipc::qmgr::NewMessage;
use posthaste_ipc::verify::Probed;
use posthaste_ipc::wire::WireError;
use posthaste_log::{Logger, warn};
use posthaste_queue::{Queue, QueueName};
use posthaste_route::{Route, RouteError, Router};
use posthaste_service::{Connection, Fatal, Service, Setup};
use posthaste_table::DomainList;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, Semaphore};

/// Threads that sync recipient logs at one time; as many as disks like.
const WRITERS: usize = 8;
/// How long the end of the process waits for deliveries, and the next queue manager for it. Agents finish what they do in any case and write down
/// what came of it; that is found a minute later.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// For what agents said before they knew that nobody listens any more.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Between two tries to become the one queue manager.
const TAKE_OVER: Duration = Duration::from_millis(20);

/// Routes with and without the parameters for address verification.
#[derive(Clone)]
struct Routers {
    normal: Arc<Router>,
    verify: Arc<Router>,
}

impl Resolver for Routers {
    fn may_block(&self) -> bool {
        self.normal.may_block() || self.verify.may_block()
    }

    fn resolve(&self, verify: bool, sender: &Address, recipient: &Address) -> Result<Route, RouteError> {
        let router = if verify { &self.verify } else { &self.normal };
        router.resolve(sender, recipient)
    }
}

/// The queue manager.
pub struct Qmgr {
    manager: RefCell<Manager<Routers>>,
    routers: Routers,
    queue: Queue,
    log: Logger,
    links: RefCell<HashMap<String, Rc<Link>>>,
    transports: RefCell<HashMap<String, Key<Transport>>>,
    dirty: RefCell<Vec<Rc<Link>>>,
    writers: Arc<Semaphore>,
    /// The main task has something to do before its timer rings.
    wake: Notify,
    armed: Cell<Option<Instant>>,
    draining: Cell<bool>,
    closing: Notify,
    ipc_idle: Duration,
    names: Names,
    /// `active`, locked by the one queue manager.
    lock: Rc<File>,
    started: Cell<bool>,
}

/// Services we talk to.
struct Names {
    verify: String,
    flush: String,
}

impl Service for Qmgr {
    const SINGLE: bool = true;
    const LIMIT_CLIENTS: bool = false;

    fn open(setup: &Setup) -> Result<Qmgr, Fatal> {
        let config = &setup.config;
        let queue = Queue::open(config)?;
        let log = setup.log.clone();
        let settings = Settings::from_config(config, &log)?;
        let routers = Routers { normal: Arc::new(Router::open(config, false)?), verify: Arc::new(Router::open(config, true)?) };
        let prefix = log.tag().rsplit_once('/').map_or("", |(prefix, _)| prefix).to_owned();
        let reporter = |program: &str| Reporter::new(config, queue.clone(), Logger::new(&format!("{prefix}/{program}")));
        let lock = config.queue_directory().join(QueueName::Active.as_str());
        let lock = File::open(&lock).map_err(|error| Fatal(format!("open {}: {}", lock.display(), system_reason(&error))))?;
        let params = {
            let (config, log) = (Arc::clone(config), log.clone());
            let processes = process_limits(setup)?;
            let limit = u32::try_from(config.int("default_process_limit")?).ok().filter(|&limit| limit > 0);
            Box::new(move |name: &str| transport(&config, name, processes.get(name).copied().unwrap_or(limit), &log))
        };
        let manager = Manager::new(Parts {
            queue: queue.clone(),
            settings,
            resolver: routers.clone(),
            params,
            flushable: flushable(setup)?,
            log: log.clone(),
            error: reporter("error")?,
            own: reporter("qmgr")?,
        });
        Ok(Qmgr {
            manager: RefCell::new(manager),
            routers,
            queue,
            log,
            links: RefCell::default(),
            transports: RefCell::default(),
            dirty: RefCell::default(),
            writers: Arc::new(Semaphore::new(WRITERS)),
            wake: Notify::new(),
            armed: Cell::new(None),
            draining: Cell::new(false),
            closing: Notify::new(),
            ipc_idle: config.time("ipc_idle")?,
            names: Names { verify: config.text("address_verify_service_name")?, flush: config.text("flush_service_name")? },
            lock: Rc::new(lock),
            started: Cell::new(false),
        })
    }

    fn started(self: &Rc<Qmgr>, _setup: &Setup) {
        let this = Rc::clone(self);
        tokio::task::spawn_local(async move { this.main().await });
    }

    async fn serve(self: Rc<Qmgr>, client: Connection) {
        let Connection::Unix(mut stream) = client else { return };
        let mut decoder = Decoder::new();
        loop {
            tokio::select! {
                read = stream.read_buf(decoder.buffer()) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                () = self.closing.notified() => return,
            }
            if decoder.peek().is_some_and(|first| first != 0) {
                // A trigger: all that comes on this connection is.
                let buffer = decoder.buffer();
                let triggers: Vec<_> = buffer.iter().filter_map(|&byte| Trigger::from_byte(byte)).collect();
                buffer.clear();
                self.manager.borrow_mut().trigger(Instant::now(), &triggers);
            } else if let Err(error) = self.announced(&mut decoder) {
                return warn!(self.log, "new message: {error}");
            }
            self.poke();
        }
    }

    fn idle(&self) -> bool {
        self.manager.borrow().idle()
    }

    fn drain(self: &Rc<Qmgr>) {
        self.draining.set(true);
        self.manager.borrow_mut().drain();
        self.closing.notify_waiters();
        self.wake.notify_one();
    }

    async fn drained(self: Rc<Qmgr>) {
        let end = tokio::time::Instant::now() + LAST_WAIT;
        while tokio::time::Instant::now() < end {
            if self.manager.borrow_mut().drain() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The agents are on their own from here. What they have said is read and written down; what they do later they write themselves.
        self.links.borrow().values().for_each(|link| link.abandon());
        tokio::time::sleep(LAST_WORDS).await;
        self.manager.borrow_mut().write_results();
        self.poke();
        let end = tokio::time::Instant::now() + LAST_WAIT;
        while self.manager.borrow().is_writing() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// `maxproc` of all services that may deliver.
fn process_limits(setup: &Setup) -> Result<HashMap<String, Option<u32>>, Fatal> {
    let entries = MasterFile::load(setup.config.directory()).and_then(|file| file.entries(&setup.config, &mut Vec::new()));
    Ok(entries?.into_iter().map(|entry| (entry.service, entry.maxproc)).collect())
}

/// Parameters of a transport; what main.cf says wrongly is told once and taken as if it were not there.
fn transport(config: &posthaste_config::Config, name: &str, processes: Option<u32>, log: &Logger) -> TransportParams {
    transport_params(config, name, processes, log).unwrap_or_else(|error| {
        warn!(log, "{error}; using the defaults for transport {name}");
        TransportParams { processes, ..TransportParams::default() }
    })
}

fn flushable(setup: &Setup) -> Result<IsFlushable, Fatal> {
    let config = &setup.config;
    let parents = split_list(&config.text("parent_domain_matches_subdomains")?).any(|name| name == "fast_flush_domains");
    let domains = DomainList::open("fast_flush_domains", &config.text("fast_flush_domains")?, parents, config);
    let domains = domains.map_err(|error| Fatal(error.to_string()))?;
    let log = setup.log.clone();
    Ok(Box::new(move |domain| {
        // As in Postfix: for an address in brackets nothing is remembered, whatever the list says.
        !domain.starts_with(b"[")
            && domains.matches(domain.as_bstr()).unwrap_or_else(|error| {
                warn!(log, "{error}");
                false
            })
    }))
}

impl Qmgr {
    /// Becomes the one queue manager, then does what time brings.
    async fn main(self: Rc<Qmgr>) {
        // The one before us may still be finishing its deliveries: what it has in memory must not be sent by both.
        loop {
            match rustix::fs::flock(&*self.lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) => tokio::time::sleep(TAKE_OVER).await,
                Err(error) => {
                    warn!(self.log, "lock active queue: {}", system_reason(&error.into()));
                    break;
                }
            }
        }
        if self.draining.get() {
            return;
        }
        self.started.set(true);
        self.manager.borrow_mut().start(Instant::now());
        loop {
            if self.turn() {
                tokio::task::yield_now().await;
                continue;
            }
            let wake = self.manager.borrow().next_wake();
            self.armed.set(wake);
            match wake {
                None => self.wake.notified().await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = self.wake.notified() => {}
                },
            }
        }
    }

    fn announced(&self, decoder: &mut Decoder) -> Result<(), WireError> {
        while let Some(frame) = decoder.frame()? {
            if frame.kind != NewMessage::FRAME {
                return Err(WireError("not a message to the queue manager"));
            }
            if self.started.get() {
                self.manager.borrow_mut().new_message(Instant::now(), frame.value()?);
            }
        }
        Ok(())
    }

    /// Does some of what there is to do, and sends what came of it. `true`: there is more.
    fn turn(self: &Rc<Qmgr>) -> bool {
        if !self.started.get() {
            return false;
        }
        let now = Instant::now();
        let more = self.manager.borrow_mut().step(now);
        loop {
            let Some(action) = self.manager.borrow_mut().action() else { break };
            self.act(now, action);
        }
        for link in self.dirty.take() {
            link.flush();
        }
        more
    }

    /// [`Qmgr::turn`] after an event; what is left to do then, now or at a new time, is for the main task.
    fn poke(self: &Rc<Qmgr>) {
        let more = self.turn();
        let sooner = match (self.manager.borrow().next_wake(), self.armed.get()) {
            (Some(next), Some(armed)) => next < armed,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        if more || sooner {
            self.wake.notify_one();
        }
    }

    fn act(self: &Rc<Qmgr>, now: Instant, action: Action) {
        match action {
            Action::Deliver { transport, number, request } => {
                let name = self.manager.borrow().transport_name(transport);
                self.transports.borrow_mut().entry(name.to_string()).or_insert(transport);
                if let Err(error) = self.link(&format!("private/{name}")).send(Request::FRAME, number, &*request, true) {
                    warn!(self.log, "{}: request for transport {name}: {error}", request.id);
                    self.manager.borrow_mut().lost(now, number);
                }
            }
            Action::Notice { service, message, notice } => {
                let path = format!("private/{service}");
                if let Err(error) = self.link(&path).send(Notice::FRAME, message.number(), &*notice, true) {
                    warn!(self.log, "{}: request for service {service}: {error}", notice.id);
                    self.manager.borrow_mut().noticed(now, message, false);
                }
            }
            Action::Write { message, work } => {
                let (this, writers, queue) = (Rc::clone(self), Arc::clone(&self.writers), self.queue.clone());
                tokio::task::spawn_local(async move {
                    let _permit = writers.acquire().await;
                    let result = tokio::task::spawn_blocking(move || work.run(&queue)).await;
                    let result = result.unwrap_or_else(|_| Err(std::io::Error::other("the writing thread panicked")));
                    this.manager.borrow_mut().written(Instant::now(), message, result);
                    this.poke();
                });
            }
            Action::Resolve { message, sender, verify, recipients } => {
                let (this, routers) = (Rc::clone(self), self.routers.clone());
                tokio::task::spawn_local(async move {
                    let whom = recipients.clone();
                    let resolve = move || -> Vec<Resolved> {
                        recipients
                            .into_iter()
                            .map(|recipient| {
                                let route = routers.resolve(verify, &sender, &recipient.address);
                                (recipient, route)
                            })
                            .collect()
                    };
                    let resolved = tokio::task::spawn_blocking(resolve).await.unwrap_or_else(|_| {
                        whom.into_iter().map(|recipient| (recipient, Err(RouteError("the resolver panicked".to_owned())))).collect()
                    });
                    this.manager.borrow_mut().resolved(Instant::now(), message, resolved);
                    this.poke();
                });
            }
            Action::Probed { address, outcome, text } => {
                let probed = Probed { address, outcome, text };
                let _ = self.link(&format!("private/{}", self.names.verify)).send(Probed::FRAME, 0, &probed, false);
            }
            Action::Flushable { site, id } => {
                let add = flush::Request::Add { site, id };
                let _ = self.link(&format!("public/{}", self.names.flush)).send(flush::Request::FRAME, 0, &add, false);
            }
        }
    }

    /// The connection to a service; one that takes nothing more is replaced.
    fn link(self: &Rc<Qmgr>, path: &str) -> Rc<Link> {
        let usable = self.links.borrow().get(path).filter(|link| link.usable()).cloned();
        let link = usable.unwrap_or_else(|| {
            let link = Link::start(path, self.ipc_idle, Rc::new(Peer(Rc::clone(self))));
            self.links.borrow_mut().insert(path.to_owned(), Rc::clone(&link));
            link
        });
        let mut dirty = self.dirty.borrow_mut();
        if !dirty.iter().any(|other| Rc::ptr_eq(other, &link)) {
            dirty.push(Rc::clone(&link));
        }
        link
    }
}

/// What comes on links, for the manager.
struct Peer(Rc<Qmgr>);

impl Events for Peer {
    fn frame(&self, _link: &Link, number: u64, frame: Frame<'_>) -> Result<bool, WireError> {
        let mut manager = self.0.manager.borrow_mut();
        match frame.kind {
            Report::FRAME => {
                manager.report(number, frame.value()?);
                Ok(false)
            }
            Done::FRAME => {
                manager.delivered(Instant::now(), number, frame.value()?);
                Ok(true)
            }
            Answer::FRAME => {
                let Answer { ok } = frame.value()?;
                manager.noticed(Instant::now(), Key::<Message>::from_number(number), ok);
                Ok(true)
            }
            _ => Err(WireError("not an answer")),
        }
    }

    fn batch(&self) {
        self.0.poke();
    }

    fn closed(&self, link: &Link, reason: Option<Lost>, open: Vec<u64>) {
        let this = &self.0;
        this.links.borrow_mut().retain(|_, other| !std::ptr::eq(&**other, link));
        let now = Instant::now();
        let path = link.path();
        let name = path.split_once('/').map_or(path, |(_, name)| name);
        let transport = if path.starts_with("private/") { this.transports.borrow().get(name).copied() } else { None };
        let mut manager = this.manager.borrow_mut();
        match (&reason, transport) {
            (None, _) => (),
            (Some(Lost::Unreachable(reason)), Some(_)) => warn!(this.log, "connect to transport {path}: {reason}"),
            (Some(Lost::Unreachable(reason)), None) => warn!(this.log, "connect to service {path}: {reason}"),
            (Some(Lost::Closed), _) => warn!(this.log, "{path} socket: malformed response"),
            (Some(Lost::Broken(reason)), _) => warn!(this.log, "{path} socket: malformed response: {reason}"),
        }
        if let (Some(_), Some(transport)) = (&reason, transport) {
            manager.transport_failed(now, transport);
        }
        let unreachable = matches!(reason, Some(Lost::Unreachable(_)));
        for number in open {
            match transport {
                Some(_) if unreachable => manager.unsent(now, number),
                Some(_) => manager.lost(now, number),
                None => manager.noticed(now, Key::<Message>::from_number(number), false),
            }
        }
        drop(manager);
        this.poke();
    }
}
