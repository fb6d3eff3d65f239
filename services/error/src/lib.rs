//! error(8): bounces (service name `error`) or defers (service name `retry`) mail for the reason that stands in the next hop.
//!
//! The reason may begin with an enhanced status code; one whose class does not fit is ignored with a warning.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails panics"))]

use bstr::{BStr, BString, ByteSlice as _};
use posthaste_delivery::filter::split_status;
use posthaste_delivery::{Reporter, Timing};
use posthaste_ipc::delivery::{Done, Dsn, Report, Request};
use posthaste_log::{Logger, warn};
use posthaste_queue::Queue;
use posthaste_service::{Connection, Deliveries, Fatal, Service, Setup, Spec};
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::SystemTime;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    const SPEC: Spec = Spec { program: "error", privileged: false, connects: false, executes: false };
    posthaste_service::run::<Error>(SPEC, arguments)
}

struct Error {
    deliveries: Deliveries,
    agent: Rc<Agent>,
}

struct Agent {
    reporter: Reporter,
    log: Logger,
    retry: bool,
}

impl Service for Error {
    const LIMIT_CLIENTS: bool = false;

    fn open(setup: &Setup) -> Result<Self, Fatal> {
        let queue = Queue::open(&setup.config)?;
        let reporter = Reporter::new(&setup.config, queue, setup.log.clone())?;
        let agent = Agent { reporter, log: setup.log.clone(), retry: setup.service == "retry" };
        Ok(Error { deliveries: Deliveries::new(setup)?, agent: Rc::new(agent) })
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        self.deliveries
            .serve(client, |request, reports| {
                let agent = Rc::clone(&self.agent);
                async move { agent.deliver(&request, &|report| reports.send(&request, report)) }
            })
            .await;
    }

    fn drain(self: &Rc<Self>) {
        self.deliveries.drain();
    }
}

impl Agent {
    fn deliver(&self, request: &Request, sink: &dyn Fn(&Report)) -> Done {
        let (dsn, ignored) = reason(request.nexthop.as_bstr(), self.retry);
        if let Some(code) = ignored {
            warn!(self.log, "{}: ignoring dsn code \"{code}\"", if self.retry { "defer_append" } else { "bounce_append" });
        }
        let timing = Timing { started: SystemTime::now(), connected: None };
        for i in 0..request.recipients.len() as u32 {
            let (relay, dsn) = (BStr::new("none"), dsn.clone());
            let report = if self.retry {
                self.reporter.deferred(request, i, relay, timing, dsn)
            } else {
                self.reporter.bounced(request, i, relay, timing, dsn)
            };
            sink(&report);
        }
        Done::default()
    }
}

/// Status and text of a reason, and the code that does not fit.
fn reason(nexthop: &BStr, retry: bool) -> (Dsn, Option<String>) {
    let class = if retry { '4' } else { '5' };
    let (code, text) = match split_status(nexthop.trim_ascii().as_bstr()) {
        Some((code, text)) => (Some(code), text),
        None => (None, nexthop.trim_ascii().as_bstr()),
    };
    let fits = code.is_some_and(|code| code.starts_with(class));
    let status = code.filter(|_| fits).map_or_else(|| format!("{class}.0.0"), str::to_owned);
    let ignored = code.filter(|_| !fits).map(str::to_owned);
    (Dsn { status, reason: BString::from(text), ..Dsn::default() }, ignored)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Postfix logged for these next hops.
    #[test]
    fn reasons() {
        for (nexthop, retry, status, text, ignored) in [
            ("just text", false, "5.0.0", "just text", None),
            ("just text", true, "4.0.0", "just text", None),
            ("5.1.1 User unknown", false, "5.1.1", "User unknown", None),
            ("  5.7.1   spaced  ", false, "5.7.1", "spaced", None),
            ("4.7.1 busy now", false, "5.0.0", "busy now", Some("4.7.1")),
            ("5.1.1 no such", true, "4.0.0", "no such", Some("5.1.1")),
            ("4.3.2 sys", true, "4.3.2", "sys", None),
            ("2.0.0 fine", false, "5.0.0", "fine", Some("2.0.0")),
            ("5.7.1.2 odd", false, "5.0.0", "5.7.1.2 odd", None),
        ] {
            let (dsn, left) = reason(nexthop.into(), retry);
            assert_eq!((dsn.status.as_str(), dsn.reason, left.as_deref()), (status, text.into(), ignored), "{nexthop}");
        }
    }
}
