//! discard(8): drops mail, and logs the next hop as the reason.
//!
//! The reason may begin with an enhanced status code of class 2; another one is ignored with a warning.

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
    const SPEC: Spec = Spec { program: "discard", privileged: false, connects: false, executes: false };
    posthaste_service::run::<Discard>(SPEC, arguments)
}

struct Discard {
    deliveries: Deliveries,
    agent: Rc<Agent>,
}

struct Agent {
    reporter: Reporter,
    log: Logger,
}

impl Service for Discard {
    const LIMIT_CLIENTS: bool = false;

    fn open(setup: &Setup) -> Result<Self, Fatal> {
        let queue = Queue::open(&setup.config)?;
        let reporter = Reporter::new(&setup.config, queue, setup.log.clone())?;
        Ok(Discard { deliveries: Deliveries::new(setup)?, agent: Rc::new(Agent { reporter, log: setup.log.clone() }) })
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
        let (dsn, ignored) = reason(request.nexthop.as_bstr());
        if let Some(code) = ignored {
            warn!(self.log, "sent: ignoring dsn code \"{code}\"");
        }
        let timing = Timing { started: SystemTime::now(), connected: None };
        for i in 0..request.recipients.len() as u32 {
            sink(&self.reporter.sent(request, i, BStr::new("none"), timing, dsn.clone()));
        }
        Done::default()
    }
}

/// Status and text of a reason, and the code that does not fit.
fn reason(nexthop: &BStr) -> (Dsn, Option<String>) {
    let (code, text) = match split_status(nexthop.trim_ascii().as_bstr()) {
        Some((code, text)) => (Some(code), text),
        None => (None, nexthop.trim_ascii().as_bstr()),
    };
    let fits = code.is_some_and(|code| code.starts_with('2'));
    let status = code.filter(|_| fits).unwrap_or("2.0.0").to_owned();
    (Dsn { status, reason: BString::from(text), ..Dsn::default() }, code.filter(|_| !fits).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Postfix logged for these next hops.
    #[test]
    fn reasons() {
        for (nexthop, status, text, ignored) in
            [("gone", "2.0.0", "gone", None), ("2.1.0 gone", "2.1.0", "gone", None), ("4.1.1 x", "2.0.0", "x", Some("4.1.1"))]
        {
            let (dsn, left) = reason(nexthop.into());
            assert_eq!((dsn.status.as_str(), dsn.reason, left.as_deref()), (status, text.into(), ignored), "{nexthop}");
        }
    }
}
