//! One recipient of a request: the loop check, alias or user, and the results that are told.

use crate::Local;
use crate::expand::Source;
use crate::forward::Forwards;
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_delivery::Timing;
use posthaste_delivery::delivered::Delivered;
use posthaste_ipc::delivery::{Done, Dsn, Outcome, Report, Request, TRACE_RECORD, TRACE_VERIFY};
use posthaste_log::warn;
use posthaste_queue::{Content, Notify, Recipient};
use posthaste_system::credentials::Identity;
use std::collections::HashSet;
use std::time::SystemTime;

/// Deeper than any sane chain of aliases.
const DEEPEST: u32 = 100;

/// What is being delivered to, on the way from a recipient through its expansions. Each expansion works on a copy.
#[derive(Clone)]
pub(crate) struct Target {
    /// Address, original address and DSN facts, as they go into logs and reports.
    pub recipient: Recipient,
    /// The envelope sender for what comes of this (`owner-` aliases change it).
    pub sender: Address,
    /// What `Delivered-To:` says.
    pub delivered_to: Address,
    /// Whose rights open files and run commands; `None` where nobody in particular is meant (`default_privs`).
    pub rights: Option<Identity>,
    /// Where the address stands that led here.
    pub source: Source,
    /// The aliases that have been expanded on the way here.
    pub aliases: Vec<BString>,
    /// The user whose `.forward` is being expanded.
    pub forwarding: Option<BString>,
    /// An `owner-` alias gave its sender: what comes of this is sent anew.
    pub owned: bool,
    /// Delimiter and extension that the last expansion left over.
    pub unmatched: Option<BString>,
    /// Expansions on the way here.
    pub depth: u32,
}

/// A recipient in delivery.
pub(crate) struct Delivery<'a> {
    pub local: &'a Local,
    pub request: &'a Request,
    /// Index of the recipient in the request.
    pub index: u32,
    pub content: &'a mut Content,
    pub delivered: &'a Delivered,
    pub timing: Timing,
    pub report: &'a mut dyn FnMut(Report),
    /// New messages to be sent when the whole recipient has been expanded.
    pub forwards: Forwards,
    /// Destinations seen, against duplicates.
    pub seen: &'a mut HashSet<BString>,
    /// Whether anything has been expanded: then results are told in parts.
    pub expanded: bool,
    /// Whether something is to be tried again.
    pub deferred: bool,
    /// The recipient is a list with an owner, who hears of its members' failures from now on.
    pub has_owner: bool,
}

/// Delivers to all recipients of a request.
pub(crate) fn request(local: &Local, request: &Request, report: &mut dyn FnMut(Report)) -> Done {
    let timing = Timing { started: SystemTime::now(), connected: None };
    let opened = local.queue.open_message(request.queue, &request.id, request.content_offset).and_then(|mut content| {
        let delivered = Delivered::read(&mut content)?;
        Ok((content, delivered))
    });
    let (mut content, delivered) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            for index in 0..u32::try_from(request.recipients.len()).unwrap_or(u32::MAX) {
                let dsn = Dsn { status: "4.3.0".into(), reason: format!("cannot read queue file: {error}").into(), ..Dsn::default() };
                report(local.reporter.deferred(request, index, relay(local), timing, dsn));
            }
            return Done::default();
        }
    };
    let mut seen = HashSet::new();
    for (index, recipient) in (0..).zip(&request.recipients) {
        let mut delivery = Delivery {
            local,
            request,
            index,
            content: &mut content,
            delivered: &delivered,
            timing,
            report: &mut *report,
            forwards: Forwards::default(),
            seen: &mut seen,
            expanded: false,
            deferred: false,
            has_owner: false,
        };
        delivery.top(recipient);
    }
    Done::default()
}

/// What the sender wants to know of an address that a recipient was expanded to. Success is reported for the whole and not for its members,
/// who may be nobody's business (RFC 3461 §6.2.7.3); who asked for success only, hears nothing of them.
pub(crate) fn for_member(notify: Notify) -> Notify {
    match notify.0 & !Notify::SUCCESS {
        0 if notify.0 != 0 => Notify(Notify::NEVER),
        rest => Notify(rest),
    }
}

pub(crate) fn relay(local: &Local) -> &BStr {
    local.service.as_bytes().as_bstr()
}

impl Delivery<'_> {
    fn top(&mut self, recipient: &Recipient) {
        let target = Target {
            recipient: recipient.clone(),
            sender: self.request.sender.clone(),
            delivered_to: recipient.address.clone(),
            rights: None,
            source: Source::Envelope,
            aliases: Vec::new(),
            forwarding: None,
            owned: false,
            unmatched: None,
            depth: 0,
        };
        if self.delivered.contains(&recipient.address) {
            let reason = format!("mail forwarding loop for {}", recipient.address).into();
            let owned = self.with_owner(&target);
            self.failed_below(&target, &owned, Dsn { status: "5.4.6".into(), reason, ..Dsn::default() });
            if self.expanded {
                // The owner knows of the failure; nobody is told of a success.
                self.finish_parts(&Recipient { notify: Notify::default(), ..recipient.clone() });
            }
            return;
        }
        let p = &self.local.parameters;
        let at = recipient.address.extension_at(&p.recipient_delimiter, p.owner_request_special);
        if at.is_some_and(|at| recipient.address.local()[at..].contains(&b'/')) {
            warn!(self.local.log, "{}: address with illegal extension: {}", self.request.id, recipient.address.local());
        }
        self.recipient(&target);
        self.send_forwards(&target);
        if self.expanded {
            self.finish_parts(recipient);
        }
    }

    /// The request is a probe of the verify service, for which it is enough that an address is expanded to others, whatever these are.
    pub fn verifies(&self) -> bool {
        self.request.trace_flags & TRACE_VERIFY != 0
    }

    /// Alias, or else user.
    pub fn recipient(&mut self, target: &Target) {
        if !self.alias_of(target) {
            self.user_of(target);
        }
    }

    /// Expands the name, if it is an alias.
    pub fn alias_of(&mut self, target: &Target) -> bool {
        if target.depth > DEEPEST {
            self.failed(target, "5.4.6", format!("mail forwarding loop for {}", target.recipient.address));
            return true;
        }
        self.alias(&self.thawed(target))
    }

    /// Delivers to the name, which is no alias.
    pub fn user_of(&mut self, target: &Target) {
        self.user(&self.thawed(target));
    }

    /// The target with its own address in `Delivered-To:`, unless that keeps the first one (`frozen_delivered_to`).
    fn thawed(&self, target: &Target) -> Target {
        let mut current = target.clone();
        if !self.local.parameters.frozen_delivered_to {
            current.delivered_to = target.recipient.address.clone();
        }
        current
    }

    /// The last report of a recipient that was expanded: everything has been told by then, but that it was expanded, to a sender who
    /// asked for reports of success.
    fn finish_parts(&mut self, recipient: &Recipient) {
        let request = self.request;
        let outcome = if self.deferred { Outcome::Deferred } else { Outcome::Sent };
        let mut report =
            Report { recipient: self.index, outcome, dsn: Dsn::default(), marked: false, relay: Default::default(), part: None };
        if !self.deferred {
            let traced = request.probe || request.trace_flags & TRACE_RECORD != 0;
            if !traced && request.report_success(recipient) {
                let action = if self.has_owner { "delivered" } else { "expanded" };
                report.dsn = Dsn { status: "2.0.0".into(), action: action.into(), reason: "alias expanded".into(), ..Dsn::default() };
                report.relay = relay(self.local).into();
            } else if let Some(offset) = recipient.offset {
                report.marked = self.content.mark_done(offset).is_ok();
            }
        }
        (self.report)(report);
    }

    /// Remembers a destination; true when it has been delivered to before, for this message.
    pub fn is_duplicate(&mut self, key: &str) -> bool {
        let limit = self.local.parameters.duplicate_filter_limit;
        if self.seen.contains(key.as_bytes().as_bstr()) {
            return true;
        }
        if limit == 0 || self.seen.len() < limit {
            self.seen.insert(key.into());
        }
        false
    }

    pub fn sent(&mut self, target: &Target, action: &str, text: impl Into<BString>) {
        let dsn = Dsn { status: "2.0.0".into(), action: action.into(), reason: text.into(), ..Dsn::default() };
        self.tell(target, Outcome::Sent, dsn);
    }

    /// Failed, for good or for now as the status says.
    pub fn failed(&mut self, target: &Target, status: &str, text: impl Into<BString>) {
        self.failed_with(target, Dsn { status: status.into(), reason: text.into(), ..Dsn::default() });
    }

    pub fn failed_with(&mut self, target: &Target, dsn: Dsn) {
        let outcome = if dsn.status.starts_with('4') { Outcome::Deferred } else { Outcome::Bounced };
        self.tell(target, outcome, dsn);
    }

    fn tell(&mut self, target: &Target, outcome: Outcome, dsn: Dsn) {
        let reporter = self.local.reporter.over(1, None).marking(self.content);
        let relay = relay(self.local);
        if !self.expanded && target.depth == 0 {
            let report = match outcome {
                Outcome::Sent => reporter.sent(self.request, self.index, relay, self.timing, dsn),
                Outcome::Deferred => reporter.deferred(self.request, self.index, relay, self.timing, dsn),
                Outcome::Bounced => reporter.bounced(self.request, self.index, relay, self.timing, dsn),
            };
            return (self.report)(report);
        }
        // A part: told under its own address, and without a place in the queue file that could be marked.
        let member = Recipient { offset: None, notify: for_member(target.recipient.notify), ..target.recipient.clone() };
        let part = Request { recipients: vec![member.clone()], sender: target.sender.clone(), ..self.request.clone() };
        let report = match outcome {
            Outcome::Sent => reporter.sent(&part, 0, relay, self.timing, dsn),
            Outcome::Deferred => reporter.deferred(&part, 0, relay, self.timing, dsn),
            Outcome::Bounced => reporter.bounced(&part, 0, relay, self.timing, dsn),
        };
        self.tell_part(member, report);
    }

    /// Passes on the result of an address that the recipient was expanded to.
    pub fn tell_part(&mut self, member: Recipient, report: Report) {
        self.deferred |= report.outcome == Outcome::Deferred;
        let offset = self.request.recipients.get(self.index as usize).and_then(|r| r.offset);
        (self.report)(Report { recipient: self.index, part: Some(Recipient { offset, ..member }), ..report });
    }
}
