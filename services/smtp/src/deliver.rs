//! One delivery request: servers are tried in order until every recipient has a result.

use crate::content::{self, ContentError, Sending};
use crate::destination::{self, BadDestination, Destination};
use crate::lookup::{Found, HostAddress, Lookup};
use crate::notice::Notices;
use crate::pool::Pool;
use crate::problem::{Peer, Problem};
use crate::protection::Protection;
use crate::session::{Broken, NoSession, Opening, Session};
use crate::settings::Settings;
use crate::transform::Rules;
use crate::{forward, stream};
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use posthaste_delivery::delivered::Delivered;
use posthaste_delivery::{Reporter, Timing};
use posthaste_dns::Resolver;
use posthaste_ipc::delivery::{Done, Report, Request, TRACE_PROBE, TRACE_VERIFY};
use posthaste_log::{Logger, error, info, warn};
use posthaste_queue::{Content, Notify, Queue};
use posthaste_smtp_protocol::client::{
    Client, Commands, Ending, Event, MailParameters, RcptParameters, Reply, Stage, Target, Transaction, Xforward, xforward,
};
use posthaste_table::TableError;
use posthaste_tls::Backend;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;

/// `sender_options`: SMTPUTF8 was asked for.
const UTF8_REQUESTED: u32 = 1;
/// `sender_options`: header or sender address are not ASCII.
const UTF8_NEEDED: u32 = 2 | 4;
/// `sender_options`: REQUIRETLS.
const REQUIRETLS: u32 = 32;

/// What all deliveries of the process share.
pub struct Agent {
    /// Parameters.
    pub settings: Settings,
    /// Where to log.
    pub log: Logger,
    /// The queue.
    pub queue: Queue,
    /// Logs and reports results.
    pub reporter: Reporter,
    /// Names to addresses.
    pub resolver: Resolver,
    /// Idle connections.
    pub pool: Rc<Pool>,
    /// Changes to the content.
    pub rules: Rules,
    /// Tells the postmaster of protocol errors.
    pub notices: Option<Arc<Notices>>,
    /// Destinations that get no mail without TLS or a password.
    pub protection: Protection,
    /// The TLS library, if there is one.
    pub tls: Option<Rc<dyn Backend>>,
}

impl Agent {
    /// Delivers one request; results go to `sink` as they are known.
    pub async fn deliver(&self, request: Request, sink: &dyn Fn(&Request, &Report)) -> Done {
        let opened = self.queue.open_message(request.queue, &request.id, request.content_offset);
        let open = vec![true; request.recipients.len()];
        let now = SystemTime::now();
        let mut job = Job {
            agent: self,
            request,
            content: None,
            sink,
            open,
            started: now,
            connected: None,
            problem: None,
            sessions: 0,
            domain: String::new(),
            cached: false,
        };
        match opened {
            Ok(content) => job.content = Some(content),
            Err(error) => {
                warn!(self.log, "{}: open queue file: {error}", job.request.id);
                job.problem = Some(Problem::local("4.3.0", format!("cannot read the queue file: {error}")));
                return job.finish();
            }
        }
        if self.settings.flags.delivered_to {
            job.refuse_loops();
        }
        match job.destinations() {
            Ok(list) => job.run(list).await,
            Err(BadDestination(text)) => {
                error!(self.log, "{}: {text}", job.request.id);
                job.problem = Some(Problem::local("4.3.0", "unknown mail transport error"));
            }
        }
        job.finish()
    }
}

/// One request at work.
struct Job<'a> {
    agent: &'a Agent,
    request: Request,
    /// The queue file.
    content: Option<Content>,
    sink: &'a dyn Fn(&Request, &Report),
    /// Recipients without a result.
    open: Vec<bool>,
    started: SystemTime,
    connected: Option<SystemTime>,
    /// What went wrong last: the result of recipients that nobody took.
    problem: Option<Problem>,
    /// Sessions that got as far as mail.
    sessions: usize,
    /// The domain or host of the destination that is tried.
    domain: String,
    /// `smtp_connection_cache_destinations` names it.
    cached: bool,
}

/// What to do after a session.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    /// Try the next server, if recipients are left.
    Next,
    /// The kept connection was dead: make a new one to the same server.
    Again,
}

/// Where a session leads: for its name in the connection cache, and whether others may be tried after it.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The destination, as in the next hop.
    destination: &'a str,
    /// No server comes after this one.
    last: bool,
}

impl Job<'_> {
    fn destinations(&self) -> Result<Vec<Destination>, BadDestination> {
        let settings = &self.agent.settings;
        let mut list = destination::parse(self.request.nexthop.as_bstr(), settings)?;
        for relay in &settings.fallback_relay {
            list.push(destination::parse_one(relay, settings)?);
        }
        Ok(list)
    }

    fn is_done(&self) -> bool {
        !self.open.contains(&true)
    }

    async fn run(&mut self, destinations: Vec<Destination>) {
        let agent = self.agent;
        let relays = agent.settings.fallback_relay.len();
        let (mut total, own) = (destinations.len(), destinations.len() - relays);
        for (i, destination) in destinations.iter().enumerate() {
            if i >= total || self.is_done() {
                return;
            }
            match destination {
                Destination::Unix { path } => {
                    self.cached = self.always_cached(path);
                    let place = Place { destination: path, last: i + 1 == total };
                    self.unix(path, place).await;
                }
                Destination::Inet { shown, host, literal, port, srv } => {
                    let key = format!("{shown}:{port}");
                    self.domain.clone_from(host);
                    self.cached = self.always_cached(host);
                    if let Some(problem) = self.protected(&key, None) {
                        self.problem = Some(problem);
                        continue;
                    }
                    let lookup = Lookup { settings: &agent.settings, resolver: &agent.resolver, log: &agent.log };
                    let found = if *literal { lookup.host(host, *port).await } else { lookup.domain(host, *port, srv.as_deref()).await };
                    let (mut list, backup) = match found {
                        Found::Addresses { list, backup } => (list, backup),
                        Found::Myself => return self.loops_back(host, "none".into()).await,
                        Found::Failed { problem, backup } => {
                            self.connected = Some(SystemTime::now());
                            self.problem = Some(problem);
                            (Vec::new(), backup)
                        }
                    };
                    // A fallback relay may well send mail back here that a better MX host did not take.
                    if backup {
                        total = own;
                    }
                    let last = i + 1 >= total;
                    if let Some(session) = self.reusable().and_then(|()| agent.pool.for_destination(&key)) {
                        let (ip, port) = (session.peer.address.clone(), session.peer.port);
                        let other = |server: &HostAddress| destination::address_text(server.ip) != ip || Some(server.port) != port;
                        let place = Place { destination: &key, last: last && !list.iter().any(other) };
                        self.connected = Some(SystemTime::now());
                        if self.transact(session, true, place).await == Then::Next {
                            // This server has said what it has to say.
                            list.retain(other);
                        }
                    }
                    if self.servers(&list, &key, last).await {
                        return;
                    }
                }
            }
        }
    }

    /// Why the destination (with its port), or this server of it, gets no mail now.
    fn protected(&self, nexthop: &str, host: Option<&str>) -> Option<Problem> {
        let requiretls = self.request.sender_options & REQUIRETLS != 0;
        self.agent.protection.refusal(nexthop, host, &self.request.sender, requiretls)
    }

    /// Tries the servers of one destination. `true` when the request has been dealt with in another way.
    async fn servers(&mut self, list: &[HostAddress], key: &str, last_destination: bool) -> bool {
        let limit = self.agent.settings.mx_session_limit;
        let before = self.sessions;
        for (j, address) in list.iter().enumerate() {
            let used = self.sessions - before;
            if self.is_done() || (limit > 0 && used >= limit) {
                break;
            }
            let server = format!("{}:{}", address.ip, address.port);
            let last = last_destination && (j + 1 == list.len() || used + 1 == limit);
            let place = Place { destination: key, last };
            if let Some(problem) = self.protected(key, Some(&address.host)) {
                self.problem = Some(problem);
                continue;
            }
            if let Some(session) = self.reusable().and_then(|()| self.agent.pool.for_server(&server)) {
                self.connected = Some(SystemTime::now());
                if self.transact(session, true, place).await == Then::Next {
                    continue;
                }
            }
            let peer = Peer { host: address.host.clone(), address: destination::address_text(address.ip), port: Some(address.port) };
            match self.open_session(address, &peer).await {
                Ok(session) => {
                    self.connected = Some(SystemTime::now());
                    self.transact(session, false, place).await;
                }
                Err(NoSession::Myself(peer)) => {
                    self.connected = Some(SystemTime::now());
                    let nexthop = self.request.nexthop.to_str_lossy().into_owned();
                    self.loops_back(&nexthop, peer.name_and_port().into()).await;
                    return true;
                }
                Err(NoSession::Failed(problem)) => {
                    self.connected = Some(SystemTime::now());
                    // Such sessions do not count against the limit, so there may be a next server all the same.
                    self.not_opened(problem, last_destination && j + 1 == list.len());
                }
                Err(NoSession::TlsFailed) => {}
            }
        }
        false
    }

    /// A handshake that failed: a permanent refusal is final, else the next server is tried.
    fn not_opened(&mut self, problem: Problem, last: bool) {
        // A failed connection was logged when it was made; here follow the servers that do not want us.
        let connected = problem.relay != "none";
        if !problem.is_soft() {
            let open: Vec<u32> = self.open_recipients();
            open.into_iter().for_each(|i| self.report_problem(i, &problem, 1));
        } else if connected && !last {
            info!(self.agent.log, "{}: {}", self.request.id, problem.dsn.reason);
        }
        self.problem = Some(problem);
    }

    async fn open_session(&self, address: &HostAddress, peer: &Peer) -> Result<Session, NoSession> {
        let agent = self.agent;
        let mut plain = false;
        loop {
            let born = Instant::now();
            let stream = match stream::connect(address, peer, &agent.settings, &agent.log).await {
                Ok(stream) => stream,
                Err(problem) => {
                    info!(agent.log, "{}", problem.dsn.reason);
                    return Err(NoSession::Failed(problem));
                }
            };
            let opening = Opening { plain, ..self.opening() };
            match Session::open(stream, peer.clone(), born, &opening).await {
                Err(NoSession::TlsFailed) if !plain => plain = true,
                result => return result,
            }
        }
    }

    async fn unix(&mut self, path: &str, place: Place<'_>) {
        let agent = self.agent;
        if let Some(session) = self.reusable().and_then(|()| agent.pool.for_server(path)) {
            self.connected = Some(SystemTime::now());
            if self.transact(session, true, place).await == Then::Next {
                return;
            }
        }
        let peer = Peer { host: agent.settings.myhostname.clone(), address: path.to_owned(), port: None };
        let born = Instant::now();
        let opened = match stream::connect_unix(path, &agent.settings).await {
            Ok(stream) => Session::open(stream, peer, born, &Opening { plain: true, ..self.opening() }).await,
            Err(problem) => Err(NoSession::Failed(problem)),
        };
        self.connected = Some(SystemTime::now());
        match opened {
            Ok(session) => {
                self.transact(session, false, place).await;
            }
            Err(NoSession::Failed(problem)) => self.not_opened(problem, place.last),
            Err(NoSession::Myself(_) | NoSession::TlsFailed) => {}
        }
    }

    fn opening(&self) -> Opening<'_> {
        let agent = self.agent;
        let (id, arrival) = (&self.request.id, self.request.arrival);
        // Nobody is told of trouble with mail that has no sender: it may be a notice itself.
        let notices = agent.notices.as_ref().filter(|_| !self.request.sender.is_empty());
        Opening {
            settings: &agent.settings,
            log: &agent.log,
            id,
            arrival,
            tls: agent.tls.as_deref(),
            plain: false,
            notices,
            domain: &self.domain,
        }
    }

    /// Whether connections to this destination may be used again: `Some` for use with `and_then`.
    fn reusable(&self) -> Option<()> {
        let on_demand = self.agent.settings.cache_on_demand && self.request.cache_load;
        (on_demand || self.cached).then_some(())
    }

    /// Whether this session is to be kept for the next message.
    fn keeps(&self, session: &Session) -> bool {
        let settings = &self.agent.settings;
        ((settings.cache_on_demand && self.request.cache_store) || self.cached)
            && session.born.elapsed() < settings.reuse_time
            && (settings.reuse_count == 0 || u64::from(session.uses) <= settings.reuse_count)
    }

    /// Whether `smtp_connection_cache_destinations` has this destination: the domain, relay host or socket as it was written, not a server behind it.
    fn always_cached(&self, destination: &str) -> bool {
        let list = self.agent.settings.cache_destinations.as_ref();
        list.is_some_and(|list| list.matches(destination.into()).unwrap_or(false))
    }

    fn open_recipients(&self) -> Vec<u32> {
        (0..self.open.len() as u32).filter(|i| self.open[*i as usize]).collect()
    }

    fn is_probe(&self) -> bool {
        self.request.probe || self.request.trace_flags & (TRACE_VERIFY | TRACE_PROBE) != 0
    }

    /// Whether the message can only go to a server with SMTPUTF8 (RFC 6531 §3.4).
    fn needs_utf8(&self, batch: &[u32]) -> bool {
        let request = &self.request;
        let recipients = || batch.iter().filter_map(|i| request.recipients.get(*i as usize));
        self.agent.settings.smtputf8_enable
            && request.sender_options & UTF8_REQUESTED != 0
            && (request.sender_options & UTF8_NEEDED != 0
                || !request.sender.as_bytes().is_ascii()
                || recipients().any(|recipient| !recipient.address.as_bytes().is_ascii()))
    }

    /// Sends the message to all open recipients over a session; keeps or closes it.
    async fn transact(&mut self, mut session: Session, reused: bool, place: Place<'_>) -> Then {
        let (then, keep) = self.transaction(&mut session, reused, place).await;
        session.notify(&self.opening());
        if keep {
            let server = match session.peer.port {
                Some(port) => format!("{}:{port}", session.peer.address),
                None => session.peer.address.clone(),
            };
            self.agent.pool.keep(session, place.destination, server, self.agent.settings.cache_time);
        }
        then
    }

    /// The conversation; the second value says that the connection is good for another.
    async fn transaction(&mut self, session: &mut Session, reused: bool, place: Place<'_>) -> (Then, bool) {
        let settings = &self.agent.settings;
        let batch = self.open_recipients();
        if !reused {
            self.sessions += 1;
        }
        let features = session.features.clone();
        let keep = self.keeps(session);
        // As in Postfix, only the first message of a connection is held against the limit.
        if !reused && features.size_limit > 0 && self.request.message_size > features.size_limit {
            let reason = format!(
                "message size {} exceeds size limit {} of server {}",
                self.request.message_size,
                features.size_limit,
                session.peer.name()
            );
            let problem = session.peer.unfit("5.3.4", reason, false);
            batch.iter().for_each(|i| self.report_problem(*i, &problem, session.uses));
            return (Then::Next, keep);
        }
        if self.needs_utf8(&batch) && !features.smtputf8 {
            let reason = format!("SMTPUTF8 is required, but was not offered by host {}", session.peer.name());
            let mut problem = session.peer.unfit("5.6.7", reason, false);
            session.quit(settings).await;
            if place.last {
                batch.iter().for_each(|i| self.report_problem(*i, &problem, session.uses));
            } else {
                info!(self.agent.log, "{}: {}", self.request.id, problem.dsn.reason);
                problem.dsn.status = "5.6.7".into();
                self.problem = Some(problem);
            }
            return (Then::Next, false);
        }
        let ending = match () {
            () if keep => Ending::Keep,
            () if settings.skip_quit_response => Ending::Quit,
            () => Ending::QuitAndWait,
        };
        let target = match (self.is_probe(), settings.verify_target_data) {
            (false, _) => Target::Deliver,
            (true, false) => Target::ProbeRecipients,
            (true, true) => Target::ProbeData,
        };
        let mut out = Vec::with_capacity(4096);
        // Who asked for SMTPUTF8 gets it where it can be had, needed or not.
        let utf8 = settings.smtputf8_enable && features.smtputf8 && self.request.sender_options & UTF8_REQUESTED != 0;
        let commands = match self.commands(&batch, session, utf8) {
            Ok(commands) => commands,
            Err(error) => {
                warn!(self.agent.log, "{}: {error}", self.request.id);
                self.problem = Some(session.peer.local_data_error());
                session.quit(settings).await;
                return (Then::Next, false);
            }
        };
        let mut tx = Transaction::new(commands, &features, settings.lmtp, target, ending, reused, &mut out);
        session.note_sent(&out, &self.opening());
        while let Some(stage) = tx.stage() {
            let reply = session.exchange(&mut out, stage, &self.opening()).await;
            let reply = match reply {
                // The answer to QUIT says nothing of the message before.
                Ok(reply) if session.garbled && stage == Stage::Dot && reply.code == 221 => {
                    return (self.broken(session, stage, Broken::Lost, place), false);
                }
                Ok(reply) => reply,
                Err(broken) => return (self.broken(session, stage, broken, place), false),
            };
            let before = out.len();
            let event = tx.reply(reply, &mut out);
            session.note_sent(&out[before..], &self.opening());
            match event {
                Event::Progress => {}
                Event::Stale => return (Then::Again, false),
                Event::XforwardRefused(stage, reply) => {
                    let text = reply.printable();
                    let (host, command) = (session.relay(), stage.command());
                    warn!(self.agent.log, "host {host} said: {text} (in reply to {command} command)");
                }
                Event::Refused(stage, reply) => {
                    session.note_refused(&reply);
                    let concerned: Vec<u32> = match stage {
                        Stage::Mail => batch.clone(),
                        _ => tx.open_recipients().filter_map(|k| batch.get(k as usize).copied()).collect(),
                    };
                    self.refused(&concerned, session, &reply, stage, place);
                }
                Event::RecipientRefused(k, stage, reply) => {
                    session.note_refused(&reply);
                    self.refused(batch.get(k as usize).map(std::slice::from_ref).unwrap_or_default(), session, &reply, stage, place);
                }
                Event::Welcome(k, reply) | Event::RecipientAccepted(k, reply) => {
                    if let Some(i) = batch.get(k as usize) {
                        self.report_sent(*i, session, &reply);
                    }
                }
                Event::Accepted(reply) => {
                    let accepted: Vec<u32> = tx.open_recipients().filter_map(|k| batch.get(k as usize).copied()).collect();
                    accepted.iter().for_each(|i| self.report_sent(*i, session, &reply));
                }
                Event::SendContent => {
                    let agent = self.agent;
                    let (request, rules, log) = (&self.request, &agent.rules, &agent.log);
                    let sending = Sending { request, recipient: batch.first().copied(), settings, rules, log };
                    let sent = match &mut self.content {
                        Some(content) => content::send(session, content, &sending, &mut out).await,
                        // Without a queue file no session is opened.
                        None => return (Then::Next, false),
                    };
                    match sent {
                        Ok(()) => {
                            let before = out.len();
                            tx.content_sent(&mut out);
                            session.note_sent(&out[before..], &self.opening());
                        }
                        Err(ContentError::Broken(broken)) => return (self.broken(session, Stage::Body, broken, place), false),
                        Err(ContentError::Read(error)) => {
                            // Without the final dot the server throws away what it has.
                            warn!(self.agent.log, "{}: read queue file: {error}", self.request.id);
                            self.problem = Some(Problem::local("4.3.0", format!("queue file read error: {error}")));
                            return (Then::Next, false);
                        }
                        Err(ContentError::Table(what)) => {
                            warn!(self.agent.log, "{}: {what} lookup error", self.request.id);
                            self.problem = Some(session.peer.local_data_error());
                            return (Then::Next, false);
                        }
                        Err(ContentError::Structure(why)) => {
                            self.problem = Some(session.peer.local_content_error(why));
                            return (Then::Next, false);
                        }
                    }
                    // For another server, should this one fail.
                    if let Some(Err(error)) = self.content.as_mut().map(Content::rewind) {
                        warn!(self.agent.log, "{}: rewind queue file: {error}", self.request.id);
                    }
                }
            }
        }
        if !out.is_empty() {
            let _ = session.send(&mut out, Stage::Quit, settings).await;
        }
        (Then::Next, tx.may_be_kept())
    }

    fn commands(&self, batch: &[u32], session: &Session, utf8: bool) -> Result<Commands, TableError> {
        let (settings, request, features) = (&self.agent.settings, &self.request, &session.features);
        let mut commands = Commands::default();
        if settings.send_xforward && features.xforward != Xforward::default() {
            for command in xforward(&original_client(request), features.xforward) {
                commands.xforward(&command);
            }
        }
        // What is converted for this server has another size then.
        let size_known = request.encoding == "7bit" || !self.agent.rules.downgrades(!features.eight_bit_mime);
        let mail = MailParameters {
            size: if size_known { request.message_size } else { 0 },
            eight_bit: match request.encoding.as_slice() {
                b"8bit" => Some(true),
                b"7bit" => Some(false),
                _ => None,
            },
            smtputf8: utf8,
            envelope_id: &request.envelope_id,
            ret: request.ret,
            requiretls: request.sender_options & REQUIRETLS != 0,
            // Only in a session that SASL has authenticated (postconf(5)).
            dummy_auth: settings.send_dummy_auth && session.authenticated,
        };
        let shown = |address: &Address| -> Result<BString, TableError> {
            let generic = self.agent.rules.generic.as_ref();
            let mapped = generic.map(|generic| generic.address(address)).transpose()?.flatten();
            let address = mapped.as_ref().unwrap_or(address);
            Ok(if settings.quote_envelope { address.external() } else { address.as_bytes().to_owned() })
        };
        commands.mail(&shown(&request.sender)?, &mail, features);
        for recipient in batch.iter().filter_map(|i| request.recipients.get(*i as usize)) {
            let mut orcpt = recipient.dsn_orcpt.clone();
            if orcpt.is_empty() && !recipient.original.is_empty() && features.dsn {
                orcpt = BString::from("rfc822;");
                orcpt.extend_from_slice(&recipient.original.external());
            }
            let parameters = RcptParameters { orcpt: &orcpt, notify: recipient.notify.0 };
            commands.rcpt(&shown(&recipient.address)?, &parameters, features);
        }
        Ok(commands)
    }

    /// The connection failed in the middle.
    fn broken(&mut self, session: &Session, stage: Stage, broken: Broken, place: Place<'_>) -> Then {
        match stage {
            Stage::RsetProbe => return Then::Again,
            // All recipients have their results.
            Stage::Quit | Stage::RsetAbort => return Then::Next,
            _ => {}
        }
        let problem = session.peer.broken(stage, broken, false);
        if !place.last {
            info!(self.agent.log, "{}: {}", self.request.id, problem.dsn.reason);
        }
        self.problem = Some(problem);
        Then::Next
    }

    /// Recipients were refused: for good, or until the next server or the next try.
    fn refused(&mut self, recipients: &[u32], session: &Session, reply: &Reply, stage: Stage, place: Place<'_>) {
        let mut problem = session.peer.said(reply, stage);
        if session.garbled && !matches!(reply.class(), 4 | 5) {
            // The reply to another command. No mail is returned for that.
            problem.soften();
        }
        if problem.is_soft() && !place.last {
            info!(self.agent.log, "{}: {}", self.request.id, problem.dsn.reason);
            self.problem = Some(problem);
        } else {
            recipients.iter().for_each(|i| self.report_problem(*i, &problem, session.uses));
        }
    }

    fn report_sent(&mut self, i: u32, session: &Session, reply: &Reply) {
        let settings = &self.agent.settings;
        let mut dsn = session.peer.accepted(reply);
        let last = settings.flags.last || (settings.assume_final && !session.features.dsn);
        dsn.action = if last { "delivered" } else { "relayed" }.into();
        // RFC 3461 §5.2.2: a server that takes NOTIFY reports itself.
        if session.features.dsn
            && !self.is_probe()
            && let Some(recipient) = self.request.recipients.get_mut(i as usize)
        {
            recipient.notify.0 &= !Notify::SUCCESS;
        }
        let mut over = self.agent.reporter.over(session.uses, None);
        if let Some(content) = &self.content {
            over = over.marking(content);
        }
        let report = over.sent(&self.request, i, session.relay().as_str().into(), self.timing(), dsn);
        self.done(i, &report);
    }

    fn report_problem(&mut self, i: u32, problem: &Problem, uses: u32) {
        let over = self.agent.reporter.over(uses, None);
        let (relay, dsn) = (problem.relay.as_bstr(), problem.dsn.clone());
        let report = if problem.is_soft() {
            over.deferred(&self.request, i, relay, self.timing(), dsn)
        } else {
            over.bounced(&self.request, i, relay, self.timing(), dsn)
        };
        self.done(i, &report);
    }

    fn done(&mut self, i: u32, report: &Report) {
        if let Some(open) = self.open.get_mut(i as usize) {
            *open = false;
        }
        (self.sink)(&self.request, report);
    }

    fn timing(&self) -> Timing {
        Timing { started: self.started, connected: self.connected }
    }

    /// `flags=D`: a message that has been here for this recipient does not go there again.
    fn refuse_loops(&mut self) {
        let Some(content) = &mut self.content else { return };
        let delivered = match Delivered::read(content) {
            Ok(delivered) => delivered,
            Err(error) => {
                warn!(self.agent.log, "{}: read queue file: {error}", self.request.id);
                return;
            }
        };
        for i in self.open_recipients() {
            let Some(recipient) = self.request.recipients.get(i as usize) else { continue };
            if delivered.contains(&recipient.address) {
                let problem = Problem::local("5.4.6", format!("mail forwarding loop for {}", recipient.address));
                self.report_problem(i, &problem, 1);
            }
        }
    }

    /// The best mail exchanger is this host, though no address class has the domain.
    async fn loops_back(&mut self, name: &str, relay: BString) {
        let transport = self.agent.settings.best_mx_transport.clone();
        if transport.is_empty() {
            let mut problem = Problem::local("5.4.6", format!("mail for {name} loops back to myself"));
            problem.relay = relay;
            self.open_recipients().into_iter().for_each(|i| self.report_problem(i, &problem, 1));
            return;
        }
        let batch = self.open_recipients();
        for recipient in batch.iter().filter_map(|i| self.request.recipients.get(*i as usize)) {
            let service = transport.split_once(':').map_or(transport.as_str(), |(service, _)| service);
            info!(self.agent.log, "{}: passing <{}> to transport={service}", self.request.id, recipient.address);
        }
        let mut reports = Vec::new();
        let passed = forward::pass_on(&self.request, &batch, &transport, &mut |report: Report| reports.push(report)).await;
        reports.iter().for_each(|report| self.done(report.recipient, report));
        if let Err(error) = passed {
            warn!(self.agent.log, "{}: best_mx_transport {transport}: {error}", self.request.id);
            self.problem = Some(Problem::local("4.3.0", "mail transport unavailable"));
        }
    }

    /// Recipients that are left get what went wrong last.
    fn finish(mut self) -> Done {
        if self.is_done() {
            return Done::default();
        }
        let problem = self.problem.take().unwrap_or_else(|| Problem::local("4.3.0", "mail transport unavailable"));
        self.open_recipients().into_iter().for_each(|i| self.report_problem(i, &problem, 1));
        Done { destination_failed: (problem.destination && problem.is_soft()).then(|| problem.dsn.clone()) }
    }
}

/// What XFORWARD tells.
fn original_client(request: &Request) -> Client<'_> {
    let origin = &request.origin;
    Client {
        name: &origin.log_client_name,
        addr: &origin.log_client_address,
        port: &origin.log_client_port,
        proto: &origin.log_protocol_name,
        helo: &origin.log_helo_name,
        ident: &origin.log_ident,
        source: if origin.rewrite_context == "local" { b"LOCAL" } else { b"REMOTE" },
    }
}
