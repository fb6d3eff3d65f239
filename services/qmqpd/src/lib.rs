//! qmqpd(8): receives mail over QMQP from hosts that may use it.
//!
//! A client sends one message with its sender and recipients ([`netstring`]), hears what became of it, and is gone. The message comes before its
//! envelope, so it is held in memory until the sender is known: at most `message_size_limit` bytes of what has really come, from authorized hosts only.

mod mail;
pub mod netstring;
mod session;
mod verp;

use posthaste_cleanup_protocol::{Flags, Profile};
use posthaste_config::{Config, split_list};
use posthaste_dns::Resolver;
use posthaste_log::Logger;
use posthaste_queue::Queue;
use posthaste_queue::commit::Committer;
use posthaste_service::{Connection, Fatal, Notifier, Service, Setup, Spec};
use posthaste_table::AddressList;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Threads that sync queue files.
const COMMIT_THREADS: usize = 4;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run::<Qmqpd>(Spec { program: "qmqpd", privileged: false, connects: true, executes: false }, arguments)
}

/// What all clients share.
struct Qmqpd {
    settings: Settings,
    clients: AddressList,
    resolver: Resolver,
    queue: Queue,
    profile: Arc<Profile>,
    committer: Committer,
    notifier: Rc<Notifier>,
    log: Logger,
}

/// Parameters of main.cf.
struct Settings {
    timeout: Duration,
    error_delay: Duration,
    port_logging: bool,
    message_size_limit: u64,
    line_length_limit: usize,
    content_filter: String,
    flags: Flags,
    verp_filter: String,
    soft_bounce: bool,
    in_flow_delay: Duration,
    myhostname: String,
    mail_name: String,
}

impl Settings {
    fn read(config: &Config, profile: &Profile) -> Result<Settings, Fatal> {
        Ok(Settings {
            timeout: config.time("qmqpd_timeout")?,
            error_delay: config.time("qmqpd_error_delay")?,
            port_logging: config.bool("qmqpd_client_port_logging")?,
            message_size_limit: u64::try_from(config.int("message_size_limit")?).unwrap_or(0),
            line_length_limit: usize::try_from(config.int("line_length_limit")?).unwrap_or(2048),
            content_filter: config.text("content_filter")?,
            flags: Flags::received(config, profile, "qmqpd")?,
            verp_filter: config.text("verp_delimiter_filter")?,
            soft_bounce: config.bool("soft_bounce")?,
            in_flow_delay: config.time("in_flow_delay")?,
            myhostname: config.text("myhostname")?,
            mail_name: config.text("mail_name")?,
        })
    }
}

impl Service for Qmqpd {
    fn open(setup: &Setup) -> Result<Qmqpd, Fatal> {
        let (config, log) = (&*setup.config, &setup.log);
        let name = "qmqpd_authorized_clients";
        let parents = split_list(&config.text("parent_domain_matches_subdomains")?).any(|word| word == name);
        let clients = AddressList::open(name, &config.text(name)?, parents, config).map_err(|error| Fatal(error.reason))?;
        let profile = Profile::open(config)?;
        Ok(Qmqpd {
            settings: Settings::read(config, &profile)?,
            clients,
            resolver: Resolver::new(posthaste_dns::Settings::from_config(config, log.clone())?),
            queue: Queue::open(config)?.without_root(),
            profile,
            committer: Committer::new(COMMIT_THREADS),
            notifier: Rc::new(Notifier::new(format!("public/{}", config.text("queue_service_name")?))),
            log: log.clone(),
        })
    }

    fn started(self: &Rc<Self>, _setup: &Setup) {
        self.notifier.start();
    }

    async fn drained(self: Rc<Self>) {
        self.notifier.finish().await;
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        match client {
            Connection::Tcp(stream) => {
                let Ok(peer) = stream.peer_addr() else { return };
                let client = Client::identify(&self, peer).await;
                session::serve(&self, stream, client).await;
            }
            Connection::Unix(stream) => session::serve(&self, stream, Client::local()).await,
            // Such a client cannot be known to this program yet.
            _ => {}
        }
    }
}

/// Who has connected.
struct Client {
    name: String,
    ip: IpAddr,
    port: u16,
}

impl Client {
    /// What comes over a socket of this host.
    fn local() -> Client {
        Client { name: "localhost".into(), ip: Ipv4Addr::LOCALHOST.into(), port: 0 }
    }

    async fn identify(qmqpd: &Qmqpd, peer: SocketAddr) -> Client {
        let ip = peer.ip().to_canonical();
        Client { name: qmqpd.resolver.client_name(ip).await.name, ip, port: peer.port() }
    }

    /// As in log lines.
    fn label(&self, with_port: bool) -> String {
        if with_port { format!("{}[{}]:{}", self.name, self.ip, self.port) } else { format!("{}[{}]", self.name, self.ip) }
    }

    /// The address as RFC 5321 §4.1.3 writes it.
    fn rfc_address(&self) -> String {
        if self.ip.is_ipv6() { format!("IPv6:{}", self.ip) } else { self.ip.to_string() }
    }
}
