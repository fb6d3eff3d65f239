//! smtpd(8): receives mail over SMTP.
//!
//! The protocol is [`posthaste_smtp_protocol::server`], which does no I/O. Here are the socket and its timeouts ([`session`]), the client's name and
//! limits, the access restrictions ([`restrictions`]), the way of the message into the queue ([`mail`]), and what
//! the postmaster is told ([`report`]).
//!
//! One process serves all clients of its master.cf entry, each in a task of a runtime with one thread. An idle client costs its socket, a timer and
//! the state of its session; buffers are borrowed from a pool while a command or data is on its way.

mod arrival;
mod ask;
mod date;
mod endpoint;
pub mod fuzzing;
mod keywords;
mod limits;
mod mail;
mod proxy;
mod records;
mod refusals;
mod report;
mod restrictions;
mod session;
mod settings;
mod space;
mod standalone;
mod statistics;
mod transport;

use posthaste_cleanup_protocol::Profile;
use posthaste_config::Config;
use posthaste_dns::Resolver;
use posthaste_log::Logger;
use posthaste_queue::Queue;
use posthaste_queue::commit::Committer;
use posthaste_route::Router;
use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
use posthaste_smtp_protocol::server as protocol;
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

/// Threads that sync queue files, in groups: while one waits for the disk the next group gathers. With four the groups are smaller, which costs
/// more than it brings (12.7 context switches a message, with two 10.2, at the same rate or a higher one).
const COMMIT_THREADS: usize = 2;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let spec = Spec { program: "smtpd", privileged: false, connects: true, executes: false };
    if standalone::wanted(&arguments) {
        return standalone::main(spec, arguments);
    }
    posthaste_service::run::<Smtpd>(spec, arguments)
}

/// What all sessions of the process share.
pub(crate) struct Smtpd {
    setup: Setup,
    normal: Rc<Parameters>,
    /// With `stress = yes`: for clients that come while there are as many as there may be (STRESS_README).
    stressed: Rc<Parameters>,
    restrictions: restrictions::Rules,
    keywords: keywords::Keywords,
    limits: limits::Limits,
    resolver: Resolver,
    queue: Queue,
    profile: Arc<Profile>,
    committer: Committer,
    notifier: Rc<posthaste_service::Notifier>,
    buffers: transport::Buffers,
    space: space::Space,
    dates: date::Dates,
    log: Logger,
}

/// Parameters that a session keeps for its life.
pub(crate) struct Parameters {
    protocol: Rc<protocol::Settings>,
    settings: settings::Settings,
}

impl Parameters {
    fn read(config: &Config, profile: &Profile, log: &Logger) -> Result<Rc<Parameters>, Fatal> {
        let settings = settings::Settings::read(config, profile)?;
        Ok(Rc::new(Parameters { protocol: Rc::new(settings::protocol(config, log)?), settings }))
    }
}

impl Smtpd {
    fn build(setup: &Setup) -> Result<Smtpd, Fatal> {
        let (config, log) = (&*setup.config, &setup.log);
        let limits = limits::Limits::open(config, &setup.service)?;
        let router = Arc::new(Router::open(config, false)?);
        let resolver = Resolver::new(posthaste_dns::Settings::from_config(config, log.clone())?);
        let profile = Profile::open(config)?;
        let restrictions = restrictions::Rules::open(config, router, resolver.clone(), log.clone())?;
        Ok(Smtpd {
            setup: setup.clone(),
            normal: Parameters::read(config, &profile, log)?,
            stressed: Parameters::read(&setup.stressed_config()?, &profile, log)?,
            restrictions,
            keywords: keywords::Keywords::open(config, log)?,
            limits,
            resolver,
            queue: Queue::open(config)?.without_root(),
            profile,
            committer: Committer::new(COMMIT_THREADS),
            notifier: Rc::new(posthaste_service::Notifier::new("public/qmgr")),
            buffers: transport::Buffers::default(),
            space: space::Space::default(),
            dates: date::Dates::default(),
            log: log.clone(),
        })
    }

    /// The parameters for a new client.
    fn parameters(&self) -> Rc<Parameters> {
        Rc::clone(if self.setup.stressed() { &self.stressed } else { &self.normal })
    }
}

impl Service for Smtpd {
    fn open(setup: &Setup) -> Result<Smtpd, Fatal> {
        let smtpd = Smtpd::build(setup)?;
        smtpd.restrictions.warn_of_faults();
        Ok(smtpd)
    }

    fn started(self: &Rc<Self>, _setup: &Setup) {
        self.notifier.start();
        let this = Rc::clone(self);
        tokio::task::spawn_local(async move {
            while !this.limits.update_time.is_zero() {
                tokio::time::sleep(this.limits.update_time).await;
                this.limits.update_status();
            }
        });
    }

    async fn drained(self: Rc<Self>) {
        self.notifier.finish().await;
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        match client {
            Connection::Tcp(stream) => session::serve(self, transport::Transport::Tcp(stream)).await,
            Connection::Unix(stream) => session::serve(self, transport::Transport::Unix(stream)).await,
            // Such a client cannot be known to this program yet.
            _ => {}
        }
    }
}
