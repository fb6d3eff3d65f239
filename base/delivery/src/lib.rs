//! What all delivery agents share: the result of a recipient, its log line with `delay=` and `delays=`, `soft_bounce`, marking done.

use bstr::BStr;
use posthaste_config::{Config, ConfigError};
use posthaste_ipc::delivery::{Dsn, Report, Request};
use posthaste_log::Logger;
use posthaste_queue::Queue;
use std::time::SystemTime;

/// Moments of a delivery, for `delays=a/b/c/d`. What an agent does not know stays `None` and counts as zero.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The agent began.
    pub started: SystemTime,
    /// Connection set-up (DNS, connect, HELO, TLS) was done.
    pub connected: Option<SystemTime>,
}

/// Logs and reports recipients' results.
pub struct Reporter {
    _private: (),
}

#[allow(clippy::todo, unused_variables, reason = "interface first; each body follows")]
impl Reporter {
    /// `logger` writes as `postfix/smtp` and so on.
    pub fn new(config: &Config, queue: Queue, logger: Logger) -> Result<Reporter, ConfigError> {
        todo!()
    }

    /// Delivered (`status=sent`). Marks the recipient done unless a report of success was asked for it. `dsn.action` says delivered, relayed or expanded.
    /// `relay` is the text of `relay=`. Probes log `deliverable`.
    pub fn sent(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        todo!()
    }

    /// Failed for good (`status=bounced`); with `soft_bounce` it is deferred instead.
    pub fn bounced(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        todo!()
    }

    /// Failed for now (`status=deferred`).
    pub fn deferred(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        todo!()
    }
}
