//! What all delivery agents share: the result of a recipient, its log line with `delay=` and `delays=`, `soft_bounce`, the delivery status
//! filter, marking done.
//!
//! An agent makes one [`Reporter`] at its start and calls [`Reporter::sent`], [`Reporter::deferred`] or [`Reporter::bounced`] once for each
//! recipient of a request, in any order, as each is finished. What they return goes to the queue manager. Agents that use connections
//! more than once or have something to tell about TLS go through [`Reporter::over`].

pub mod command;
pub mod copy;
pub mod delay;
pub mod delivered;
pub mod filter;
mod gather;
pub mod mailbox;
pub mod maildir;
pub mod records;
pub mod verp;

use bstr::{BStr, BString, ByteSlice};
pub use delay::Delay;
use posthaste_address::Address;
use posthaste_config::{Config, ConfigError};
use posthaste_ipc::delivery::{Dsn, Outcome, Report, Request, TRACE_PROBE, TRACE_VERIFY};
use posthaste_log::{Logger, info, warn};
use posthaste_queue::{Content, Queue};
use posthaste_table::Maps;
use std::fmt;
use std::time::SystemTime;

/// Moments of a delivery, for `delays=a/b/c/d`. What an agent does not know stays `None` and counts as zero.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The agent began.
    pub started: SystemTime,
    /// Connection set-up (DNS, connect, HELO, TLS) was done, or was given up. `None` where there is no connection.
    pub connected: Option<SystemTime>,
}

/// Logs and reports recipients' results.
pub struct Reporter {
    queue: Queue,
    log: Logger,
    soft_bounce: bool,
    style: Style,
    filter: Maps,
}

/// How addresses and delays are shown in log lines.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// `delay_logging_resolution_limit`.
    pub digits: u32,
    /// `info_log_address_format`: quoted as in mail headers, or raw.
    pub external: bool,
}

impl Style {
    /// From main.cf.
    pub fn from_config(config: &Config) -> Result<Style, ConfigError> {
        Ok(Style {
            digits: u32::try_from(config.int("delay_logging_resolution_limit")?).unwrap_or(2),
            external: config.text("info_log_address_format")? != "internal",
        })
    }
}

/// The facts of a connection that a log line tells.
#[derive(Clone, Copy)]
pub struct Over<'a> {
    reporter: &'a Reporter,
    conn_use: u32,
    tls: Option<&'a str>,
    content: Option<&'a Content>,
}

impl Reporter {
    /// `logger` writes as `postfix/smtp` and so on; the program's name in it selects the delivery status filter
    /// (`smtp_delivery_status_filter`; programs without one, such as error and discard, have none).
    pub fn new(config: &Config, queue: Queue, logger: Logger) -> Result<Reporter, ConfigError> {
        let program = logger.tag().rsplit('/').next().unwrap_or_default();
        let filter = match program {
            "lmtp" | "local" | "pipe" | "smtp" | "virtual" => {
                let name = format!("{program}_delivery_status_filter");
                Maps::open(&name, &config.text(&name)?, config)
            }
            _ => Maps::default(),
        };
        Ok(Reporter { soft_bounce: config.bool("soft_bounce")?, style: Style::from_config(config)?, queue, log: logger, filter })
    }

    /// Delivered (`status=sent`). Marks the recipient done unless [`Request::report_success`] says that a trace record comes first.
    /// `dsn.action` says delivered, relayed or expanded (delivered when empty). `relay` is the text of `relay=`. Probes log `deliverable`.
    ///
    /// One write to the queue file, not synced: after a crash the recipient may get the message again, as after any crash between
    /// the other side's reply and ours to it (RFC 1047).
    pub fn sent(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        self.over(1, None).sent(request, recipient, relay, timing, dsn)
    }

    /// Failed for good (`status=bounced`); with `soft_bounce` it is deferred instead (`status=SOFTBOUNCE`). Probes log `undeliverable`.
    pub fn bounced(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        self.over(1, None).bounced(request, recipient, relay, timing, dsn)
    }

    /// Failed for now (`status=deferred`). Probes log `undeliverable`.
    pub fn deferred(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        self.over(1, None).deferred(request, recipient, relay, timing, dsn)
    }

    /// For a delivery over a connection that serves for the `conn_use`th time (1 for the first), with the text of `tls=` where there is one.
    pub fn over<'a>(&'a self, conn_use: u32, tls: Option<&'a str>) -> Over<'a> {
        Over { reporter: self, conn_use, tls, content: None }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("log", &self.log).finish_non_exhaustive()
    }
}

impl fmt::Debug for Over<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Over").field("conn_use", &self.conn_use).field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl<'a> Over<'a> {
    /// Marks recipients done through the queue file that the agent has open, which spares opening it again for each.
    pub fn marking(self, content: &'a Content) -> Over<'a> {
        Over { content: Some(content), ..self }
    }

    /// As [`Reporter::sent`].
    pub fn sent(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        self.finish(Outcome::Sent, request, recipient, relay, timing, dsn)
    }

    /// As [`Reporter::bounced`].
    pub fn bounced(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        self.finish(Outcome::Bounced, request, recipient, relay, timing, dsn)
    }

    /// As [`Reporter::deferred`].
    pub fn deferred(&self, request: &Request, recipient: u32, relay: &BStr, timing: Timing, dsn: Dsn) -> Report {
        self.finish(Outcome::Deferred, request, recipient, relay, timing, dsn)
    }

    fn finish(&self, outcome: Outcome, request: &Request, recipient: u32, relay: &BStr, timing: Timing, mut dsn: Dsn) -> Report {
        let this = self.reporter;
        if !this.filter.is_empty() {
            filter::apply(&this.filter, &this.log, &mut dsn);
        }
        let probe = request.probe || request.trace_flags & (TRACE_VERIFY | TRACE_PROBE) != 0;
        let (outcome, status) = settle(outcome, &mut dsn, probe, this.soft_bounce);
        let to = request.recipients.get(recipient as usize);
        let mut marked = false;
        if let Some(to) = to {
            let now = this.queue.clock.now();
            let line = Line {
                request,
                to: &to.address,
                original: &to.original,
                relay,
                conn_use: self.conn_use,
                tls: self.tls,
                timing,
                now,
                style: this.style,
                dsn: &dsn,
                status,
            };
            info!(this.log, "{line}");
            if outcome == Outcome::Sent && !request.report_success(to) {
                let mark = |offset| match self.content {
                    Some(content) => content.mark_done(offset),
                    None => this.queue.mark_done_wherever(request.queue, &request.id, offset),
                };
                marked = match to.offset.map(mark) {
                    None | Some(Ok(())) => true,
                    Some(Err(error)) => {
                        warn!(this.log, "{}: cannot mark recipient <{}> as delivered: {error}", request.id, to.address);
                        false
                    }
                };
            }
        }
        // For the success report: `delivery via …`, where there was something to go by.
        let traced = relay != "none" && to.is_some_and(|to| request.report_success(to));
        Report { recipient, outcome, dsn, marked, relay: if traced { relay.into() } else { BString::default() }, part: None }
    }
}

/// The final outcome, the action, and the word after `status=`: the class of the (filtered) status decides between deferred and bounced.
fn settle(outcome: Outcome, dsn: &mut Dsn, probe: bool, soft_bounce: bool) -> (Outcome, &'static str) {
    let outcome = match (outcome, dsn.status.as_bytes().first()) {
        (Outcome::Bounced, Some(b'4')) => Outcome::Deferred,
        (Outcome::Deferred, Some(b'5')) => Outcome::Bounced,
        _ => outcome,
    };
    let (outcome, action, word) = match outcome {
        Outcome::Sent if probe => (outcome, "deliverable", "deliverable"),
        Outcome::Sent if dsn.action.is_empty() => (outcome, "delivered", "sent"),
        Outcome::Sent => return (outcome, "sent"),
        _ if probe => (outcome, "undeliverable", "undeliverable"),
        Outcome::Deferred => (outcome, "delayed", "deferred"),
        Outcome::Bounced if soft_bounce => {
            dsn.status.replace_range(..1, "4");
            (Outcome::Deferred, "delayed", "SOFTBOUNCE")
        }
        Outcome::Bounced => (outcome, "failed", "bounced"),
    };
    dsn.action = action.to_string();
    (outcome, word)
}

/// One `to=<…>` line.
struct Line<'a> {
    request: &'a Request,
    to: &'a Address,
    original: &'a Address,
    relay: &'a BStr,
    conn_use: u32,
    tls: Option<&'a str>,
    timing: Timing,
    now: SystemTime,
    style: Style,
    dsn: &'a Dsn,
    status: &'a str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = self.request;
        write!(f, "{}: to=<{}>, ", request.id, self.address(self.to))?;
        if !self.original.is_empty() && !self.original.as_bytes().eq_ignore_ascii_case(self.to.as_bytes()) {
            write!(f, "orig_to=<{}>, ", self.address(self.original))?;
        }
        write!(f, "relay={}, ", self.relay)?;
        if self.conn_use > 1 {
            write!(f, "conn_use={}, ", self.conn_use)?;
        }
        let span = |from, to| Delay::between(from, to, self.style.digits);
        let Timing { started, connected } = self.timing;
        let connected = connected.unwrap_or(started);
        write!(
            f,
            "delay={}, delays={}/{}/{}/{}, ",
            span(request.arrival, self.now),
            span(request.arrival, request.active),
            span(request.active, started),
            span(started, connected),
            span(connected, self.now),
        )?;
        if let Some(tls) = self.tls {
            write!(f, "tls={tls}, ")?;
        }
        write!(f, "dsn={}, status={} ({})", self.dsn.status, self.status, self.dsn.reason)
    }
}

impl Line<'_> {
    fn address(&self, address: &Address) -> ShownAddress {
        ShownAddress::new(address, self.style)
    }
}

/// An address as log lines show it (`info_log_address_format`).
pub struct ShownAddress(bstr::BString);

impl ShownAddress {
    /// In external form unless the style says otherwise.
    pub fn new(address: &Address, style: Style) -> ShownAddress {
        ShownAddress(if style.external { address.external() } else { address.as_bytes().into() })
    }
}

impl fmt::Display for ShownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.as_bstr(), f)
    }
}

#[cfg(test)]
mod tests;
