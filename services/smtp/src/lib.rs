//! smtp(8): the SMTP and LMTP client.
//!
//! Called as `lmtp` it speaks LMTP and reads the `lmtp_…` parameters. Each delivery request is a task: it finds the servers of the next hop
//! ([`lookup`](self)), opens or reuses a session, and sends the message to all its recipients in one transaction; recipients that one
//! server does not take now are tried at the next.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails panics"))]

mod content;
mod deliver;
mod destination;
mod forward;
mod generic;
mod lookup;
mod notice;
mod pool;
mod problem;
mod protection;
mod session;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod transform;

use deliver::Agent;
use notice::Notices;
use pool::Pool;
use posthaste_delivery::Reporter;
use posthaste_dns::{Resolver, Settings as DnsSettings};
use posthaste_log::warn;
use posthaste_queue::Queue;
use posthaste_service::{Connection, Deliveries, Fatal, Service, Setup, Spec};
use settings::Settings;
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use transform::Rules;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let lmtp = arguments.first().is_some_and(|name| posthaste_cli::program_name(name) == "lmtp");
    let spec = Spec { program: if lmtp { "lmtp" } else { "smtp" }, privileged: false, connects: true, executes: false };
    if lmtp { posthaste_service::run::<Smtp<true>>(spec, arguments) } else { posthaste_service::run::<Smtp<false>>(spec, arguments) }
}

/// The service, as smtp or as lmtp.
struct Smtp<const LMTP: bool> {
    deliveries: Deliveries,
    agent: Rc<Agent>,
}

impl<const LMTP: bool> Service for Smtp<LMTP> {
    const LIMIT_CLIENTS: bool = false;

    fn open(setup: &Setup) -> Result<Self, Fatal> {
        let config = &setup.config;
        let settings = Settings::read(config, LMTP, &setup.arguments)?;
        if settings.assume_final {
            warn!(setup.log, "lmtp_assume_final is obsolete; instead, specify \"flags=X\" in master.cf");
        }
        let queue = Queue::open(config)?;
        let reporter = Reporter::new(config, queue.clone(), setup.log.clone())?;
        let resolver = resolver(setup, LMTP, &settings)?;
        let rules = Rules::open(config, LMTP)?;
        let notices = Notices::open(config, &queue, &setup.log, LMTP)?;
        let agent = Agent {
            settings,
            log: setup.log.clone(),
            queue,
            reporter,
            resolver,
            pool: Rc::new(Pool::default()),
            rules,
            notices,
            protection: protection::Protection::open(config, LMTP, false)?,
            tls: None,
        };
        Ok(Smtp { deliveries: Deliveries::new(setup)?, agent: Rc::new(agent) })
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        self.deliveries
            .serve(client, |request, reports| {
                let agent = Rc::clone(&self.agent);
                async move { agent.deliver(request, &|request, report| reports.send(request, report)).await }
            })
            .await;
    }

    fn drain(self: &Rc<Self>) {
        self.deliveries.drain();
        self.agent.pool.clear();
    }
}

fn resolver(setup: &Setup, lmtp: bool, settings: &Settings) -> Result<Resolver, Fatal> {
    let config = &setup.config;
    let mut dns = DnsSettings::from_config(config, setup.log.clone())?;
    (dns.defnames, dns.dnsrch) = settings::resolver_options(config, lmtp)?;
    dns.dnssec = settings.dnssec;
    let filter = settings::dns_reply_filter(config, lmtp)?;
    if !filter.is_empty() {
        let log = setup.log.clone();
        dns.filter = Some(Arc::new(move |record| match filter.find(record.to_string().as_str().into()) {
            Ok(Some(action)) if action.trim_ascii().eq_ignore_ascii_case(b"IGNORE") => Ok(true),
            Ok(Some(action)) => {
                warn!(log, "{}: unknown DNS filter action: \"{action}\"", filter.title());
                Err(())
            }
            Ok(None) => Ok(false),
            Err(error) => {
                warn!(log, "{error}");
                Err(())
            }
        }));
    }
    Ok(Resolver::new(dns))
}
