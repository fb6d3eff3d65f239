//! What has to be written down about a recipient's result: records for the bounce, defer and trace logs, and the mark in the queue file.
//!
//! The queue manager does it ([`records`]). A delivery agent whose queue manager has gone in the meantime (a reload, a crash) does it itself
//! ([`Alone`]), or what it found out would be lost: the recipient would be tried again, and one that wants a report of success would get the
//! message twice. The next queue manager finds the records when the agent lets go of the queue file.

use posthaste_config::{Config, ConfigError, split_list};
use posthaste_ipc::delivery::{Outcome, Report, Request, TRACE_DELAY_CLEARED, TRACE_PROBE, TRACE_RECORD, TRACE_VERIFY};
use posthaste_log::{Logger, warn};
use posthaste_queue::log::{LogName, LogRecord};
use posthaste_queue::{Notify, Queue, Recipient};
use posthaste_system::credentials::{self, Identity};
use std::{fmt, io};

/// What one result leaves to be written. The logs come first: a recipient may be marked when they are on stable storage.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Records and their logs.
    pub logs: Vec<(LogName, LogRecord)>,
    /// Where the recipient is to be marked done.
    pub mark: Option<u64>,
}

/// Works out the records of one result. `trace_flags`: those of the request. `postmaster_copies`: the postmaster wants to hear of bounces, so
/// they are recorded even if the sender does not (`notify_classes`).
pub fn records(trace_flags: u32, recipient: &Recipient, report: Report, postmaster_copies: bool) -> Records {
    let Report { outcome, dsn, marked, relay, part, .. } = report;
    let mut found = Records::default();
    if trace_flags & TRACE_VERIFY != 0 || (marked && outcome == Outcome::Sent) {
        return found;
    }
    // An address that a recipient was expanded to is logged, and changes nothing for the recipient.
    let whole = part.is_none();
    let notify = recipient.notify.0;
    let (probe, record) = (trace_flags & TRACE_PROBE != 0, trace_flags & TRACE_RECORD != 0);
    if whole && (probe || outcome != Outcome::Deferred) {
        found.mark = recipient.offset;
    }
    if whole && dsn.status.is_empty() {
        // All has been told by parts.
        return found;
    }
    let own = match outcome {
        _ if probe => None,
        Outcome::Sent => None,
        Outcome::Deferred => Some(LogName::Defer),
        Outcome::Bounced if notify == 0 || notify & Notify::FAILURE != 0 || postmaster_copies => Some(LogName::Bounce),
        // RFC 3461 §4.1: the sender does not want to know.
        Outcome::Bounced => None,
    };
    let cleared = whole && trace_flags & TRACE_DELAY_CLEARED != 0 && (notify == 0 || notify & Notify::DELAY != 0);
    let traced = probe || record || (outcome == Outcome::Sent && (notify & Notify::SUCCESS != 0 || cleared));
    let text = LogRecord {
        recipient: recipient.address.clone(),
        original: recipient.original.clone(),
        offset: recipient.offset,
        dsn_orcpt: recipient.dsn_orcpt.clone(),
        notify: recipient.notify,
        status: dsn.status,
        action: dsn.action,
        diag_type: dsn.diag_type,
        diag_text: dsn.diag_text,
        mta_type: dsn.mta_type,
        mta_name: dsn.mta_name,
        reason: dsn.reason,
    };
    if traced {
        let mut text = text.clone();
        if !relay.is_empty() {
            text.reason = [b"delivery via ", &relay[..], b": ", &text.reason].concat().into();
        }
        found.logs.push((LogName::Trace, text));
    }
    if let Some(own) = own {
        found.logs.insert(0, (own, text));
    }
    found
}

/// Writes down results where no queue manager is left to do it.
pub struct Alone {
    queue: Queue,
    log: Logger,
    postmaster_copies: bool,
    compatible: bool,
    /// Who logs belong to, where this process runs as root.
    owner: Option<Identity>,
}

impl fmt::Debug for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alone").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Alone {
    /// Reads what it needs of main.cf and opens the queue: to be called before a chroot.
    pub fn open(config: &Config, log: Logger) -> Result<Alone, ConfigError> {
        let queue = Queue::open(config)?;
        Ok(Alone {
            owner: queue.settings.owner.map(|(uid, gid)| Identity { uid, gid }),
            postmaster_copies: postmaster_copies(config)?,
            compatible: config.bool("backwards_bounce_logfile_compatibility")?,
            queue,
            log,
        })
    }

    /// Writes one result, and syncs it. To be called while the message is open. What goes wrong is logged: the recipient is tried again then.
    pub fn record(&self, request: &Request, report: &Report) {
        let Some(recipient) = report.part.as_ref().or_else(|| request.recipients.get(report.recipient as usize)) else { return };
        let Records { logs, mark } = records(request.trace_flags, recipient, report.clone(), self.postmaster_copies);
        let write = || -> io::Result<()> {
            // Those that are still open are tried at once by the next queue manager, which begins their defer log anew.
            for (log, record) in logs.into_iter().filter(|(log, _)| *log != LogName::Defer) {
                self.queue.append_log(log, &request.id, &[record], self.compatible)?;
            }
            mark.map_or(Ok(()), |offset| self.queue.mark_done_wherever(request.queue, &request.id, offset))
        };
        let written = match self.owner {
            Some(owner) if rustix::process::geteuid().is_root() => credentials::as_user(owner, write).and_then(|written| written),
            _ => write(),
        };
        if let Err(error) = written {
            warn!(self.log, "{}: cannot record the result for <{}>: {error}", request.id, recipient.address);
        }
    }
}

/// Whether `notify_classes` has the postmaster told of bounces.
pub fn postmaster_copies(config: &Config) -> Result<bool, ConfigError> {
    Ok(split_list(&config.text("notify_classes")?).any(|class| matches!(class, "bounce" | "2bounce")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_address::Address;
    use posthaste_ipc::delivery::Dsn;

    fn recipient(notify: u8) -> Recipient {
        Recipient {
            address: Address::new("a@x.example"),
            original: Address::default(),
            dsn_orcpt: Default::default(),
            notify: Notify(notify),
            offset: Some(70),
        }
    }

    fn report(outcome: Outcome, marked: bool) -> Report {
        let dsn = Dsn { status: "2.0.0".into(), reason: "why".into(), ..Dsn::default() };
        Report { recipient: 0, outcome, dsn, marked, relay: "mx".into(), part: None }
    }

    #[test]
    fn each_result_has_its_records() {
        let names = |flags, notify, outcome, marked, copies| {
            let found = records(flags, &recipient(notify), report(outcome, marked), copies);
            (found.logs.into_iter().map(|(log, _)| log).collect::<Vec<_>>(), found.mark)
        };
        use LogName::{Bounce, Defer, Trace};
        assert_eq!(names(0, 0, Outcome::Sent, true, false), (vec![], None));
        // The mark failed: it is tried again.
        assert_eq!(names(0, 0, Outcome::Sent, false, false), (vec![], Some(70)));
        assert_eq!(names(0, Notify::SUCCESS, Outcome::Sent, false, false), (vec![Trace], Some(70)));
        assert_eq!(names(0, 0, Outcome::Bounced, false, false), (vec![Bounce], Some(70)));
        assert_eq!(names(0, Notify::DELAY, Outcome::Bounced, false, false), (vec![], Some(70)));
        assert_eq!(names(0, Notify::DELAY, Outcome::Bounced, false, true), (vec![Bounce], Some(70)));
        assert_eq!(names(0, 0, Outcome::Deferred, false, false), (vec![Defer], None));
        assert_eq!(names(TRACE_RECORD, 0, Outcome::Deferred, false, false), (vec![Defer, Trace], None));
        assert_eq!(names(TRACE_PROBE, 0, Outcome::Deferred, false, false), (vec![Trace], Some(70)));
        assert_eq!(names(TRACE_VERIFY, 0, Outcome::Bounced, false, false), (vec![], None));
        let traced = records(0, &recipient(Notify::SUCCESS), report(Outcome::Sent, false), false);
        assert_eq!(traced.logs[0].1.reason, "delivery via mx: why");
    }

    #[test]
    fn parts_are_logged_and_finish_nothing() {
        let part = Report { part: Some(recipient(0)), ..report(Outcome::Bounced, false) };
        let found = records(0, &recipient(0), part, false);
        assert_eq!((found.logs.len(), found.mark), (1, None));
        let last = Report { dsn: Dsn::default(), ..report(Outcome::Bounced, false) };
        let found = records(0, &recipient(0), last, false);
        assert_eq!((found.logs.len(), found.mark), (0, Some(70)));
    }
}
