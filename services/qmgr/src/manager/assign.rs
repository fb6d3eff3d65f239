//! From recipients to scheduler entries: redirection and filters, resolving, grouping by destination.

use super::{Action, Manager, Message, Resolver};
use crate::sched::{Batch, Dispatch, Transport};
use crate::slab::Key;
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use posthaste_delivery::verp;
use posthaste_ipc::delivery::{Dsn, Outcome, Request, TRACE_VERIFY};
use posthaste_log::warn;
use posthaste_queue::{QueueName, Recipient};
use posthaste_route::{Class, Route, RouteError};
use std::cmp::Ordering;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// One recipient with its destination.
struct Target {
    transport: Key<Transport>,
    /// Tells destinations of the transport apart.
    name: BString,
    nexthop: BString,
    recipient: Recipient,
}

/// The result of resolving one recipient.
pub type Resolved = (Recipient, Result<Route, RouteError>);

/// Domains first, whatever their case, then whole addresses: `R@` before `bad1@` before `bad@`.
fn by_domain(a: &Address, b: &Address) -> Ordering {
    fn domain(address: &Address) -> impl Iterator<Item = u8> + '_ {
        address.domain().unwrap_or_default().iter().map(u8::to_ascii_lowercase)
    }
    domain(a).cmp(domain(b)).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

pub(super) fn simple(status: &str, reason: &str) -> Dsn {
    Dsn { status: status.into(), reason: reason.into(), ..Dsn::default() }
}

/// How long a new message may wait in `incoming`.
const MOMENT: Duration = Duration::from_secs(1);

impl<R: Resolver> Manager<R> {
    /// Begins (or goes on with) the delivery of the recipients in the message's envelope.
    pub(super) fn open(&mut self, now: Instant, key: Key<Message>) {
        let Some(message) = self.messages.get_mut(key) else { return };
        let mut recipients = std::mem::take(&mut message.envelope.recipients);
        if let Some(redirect) = &message.envelope.redirect {
            // One copy goes to the one address; the others are done when it is. As in Postfix the first by name stands for all.
            recipients.sort_by(|a, b| by_domain(&a.address, &b.address));
            recipients.truncate(1);
            message.envelope.more_at = None;
            for recipient in &mut recipients {
                if message.read == 0 {
                    recipient.address = redirect.clone();
                    recipient.dsn_orcpt = BString::default();
                }
            }
        }
        message.read += recipients.len() as u32;
        message.open += recipients.len() as u32;
        message.last_read = now;
        self.recipients += recipients.len();
        if message.envelope.trace_flags & TRACE_VERIFY != 0 && self.probes > self.settings.address_verify_pending_request_limit {
            let dsn = simple("4.3.2", "Too many address verification requests");
            recipients.into_iter().for_each(|recipient| self.refuse(key, recipient, Outcome::Deferred, dsn.clone()));
            return self.advance(now, key);
        }
        if recipients.is_empty() {
            return self.advance(now, key);
        }
        // A probe asks what would become of the address in the end.
        if !message.envelope.content_filter.is_empty() && !message.probe() {
            let filter = std::mem::take(&mut message.envelope.content_filter);
            let resolved = recipients.into_iter().map(|recipient| self.to_filter(&filter, recipient)).collect();
            if let Some(message) = self.messages.get_mut(key) {
                message.envelope.content_filter = filter;
            }
            return self.assign(now, key, resolved);
        }
        let verify = message.envelope.trace_flags & TRACE_VERIFY != 0;
        if self.resolver.may_block() {
            message.resolving = true;
            let sender = message.envelope.sender.clone();
            self.actions.push_back(Action::Resolve { message: key, sender, verify, recipients });
            return;
        }
        let sender = &message.envelope.sender;
        let resolved = recipients
            .into_iter()
            .map(|recipient| {
                let route = self.resolver.resolve(verify, sender, &recipient.address);
                (recipient, route)
            })
            .collect();
        self.assign(now, key, resolved);
    }

    /// `transport:nexthop` takes all recipients as they are. Without a next hop: `default_filter_nexthop`, or the recipient's domain.
    fn to_filter(&self, filter: &BString, recipient: Recipient) -> Resolved {
        let (transport, nexthop) = filter.split_once_str(":").unwrap_or((filter, b""));
        let nexthop = if !nexthop.is_empty() {
            nexthop.into()
        } else if !self.settings.default_filter_nexthop.is_empty() {
            self.settings.default_filter_nexthop.as_str().into()
        } else {
            recipient.address.domain().unwrap_or_default().into()
        };
        let transport = transport.to_str_lossy().into_owned();
        let address = recipient.address.clone();
        (recipient, Ok(Route { transport, nexthop, recipient: address, class: Class::Default, routed: false, error: false }))
    }

    /// The answer to [`Action::Resolve`].
    pub fn resolved(&mut self, now: Instant, key: Key<Message>, resolved: Vec<Resolved>) {
        if let Some(message) = self.messages.get_mut(key) {
            message.resolving = false;
            self.assign(now, key, resolved);
            self.may_wait(now, key);
        }
    }

    /// Gives resolved recipients to the scheduler, or refuses them.
    fn assign(&mut self, now: Instant, key: Key<Message>, resolved: Vec<Resolved>) {
        let mut targets = Vec::with_capacity(resolved.len());
        for (recipient, route) in resolved {
            if let Some(target) = self.target(key, recipient, route) {
                targets.push(target);
            }
        }
        // The order in which Postfix sends them, which other systems and logs see.
        targets.sort_by(|a, b| {
            let destination = a.transport.cmp(&b.transport).then_with(|| a.nexthop.cmp(&b.nexthop));
            destination.then_with(|| by_domain(&a.recipient.address, &b.recipient.address))
        });
        let mut batch: Vec<Recipient> = Vec::new();
        let mut targets = targets.into_iter().peekable();
        while let Some(target) = targets.next() {
            batch.push(target.recipient);
            let Some(message) = self.messages.get_mut(key) else { return };
            let limit = if message.envelope.verp.is_empty() { self.sched.params(target.transport).recipients as usize } else { 1 };
            let goes_on = targets.peek().is_some_and(|next| next.transport == target.transport && next.name == target.name);
            if goes_on && (limit == 0 || batch.len() < limit) {
                continue;
            }
            if !message.transports.contains(&target.transport) {
                message.transports.push(target.transport);
            }
            let unread = if message.envelope.more_at.is_some() { message.envelope.recipient_count.saturating_sub(message.read) } else { 0 };
            let batch = Batch {
                message: key.number(),
                transport: target.transport,
                name: target.name.as_bstr(),
                nexthop: target.nexthop.as_bstr(),
                recipients: std::mem::take(&mut batch),
                limit,
                unread,
            };
            self.sched.add(now, batch);
        }
        if let Some(message) = self.messages.get(key)
            && message.envelope.more_at.is_none()
        {
            self.sched.set_unread(key.number(), &message.transports, 0);
        }
        self.advance(now, key);
    }

    /// The destination of one recipient; `None` when it has been refused or put off.
    fn target(&mut self, key: Key<Message>, mut recipient: Recipient, route: Result<Route, RouteError>) -> Option<Target> {
        let route = match route {
            Ok(route) => route,
            Err(error) => {
                warn!(self.log, "{}: cannot resolve <{}>: {error}", self.messages.get(key)?.id, recipient.address);
                self.refuse(key, recipient, Outcome::Deferred, simple("4.3.0", "address resolver failure"));
                return None;
            }
        };
        recipient.address = route.recipient;
        if route.error {
            self.refuse(key, recipient, Outcome::Bounced, simple("5.1.3", "bad address syntax"));
            return None;
        }
        let local = recipient.address.local();
        if route.class == Class::Local && local.eq_ignore_ascii_case(self.settings.double_bounce_sender.as_bytes()) {
            self.discard(key, recipient);
            return None;
        }
        let message = self.messages.get(key)?;
        let (flush, revive) = (message.flush, message.revive);
        if !flush && self.settings.defer_transports.contains(&route.transport) {
            self.refuse(key, recipient, Outcome::Deferred, simple("4.3.2", "deferred transport"));
            return None;
        }
        let params = &self.params;
        let transport = self.sched.transport(&route.transport, || params(&route.transport));
        let single = self.sched.params(transport).recipients == 1;
        let name = if single { self.recipient_name(&recipient.address) } else { route.nexthop.clone() };
        if revive {
            self.sched.flush_one(transport, name.as_bstr());
        }
        let dead = self.sched.dead_transport(transport).or_else(|| self.sched.dead_destination(transport, name.as_bstr()));
        if let Some(dsn) = dead {
            self.refuse(key, recipient, Outcome::Deferred, (*dsn).clone());
            return None;
        }
        Some(Target { transport, name, nexthop: route.nexthop, recipient })
    }

    /// What tells destinations apart when each recipient is one: the address without extension, case ignored.
    fn recipient_name(&self, address: &Address) -> BString {
        let split = address.split_extension(&self.settings.recipient_delimiter, self.settings.owner_request_special);
        split.as_ref().map_or(address, |(address, _)| address).as_bytes().to_ascii_lowercase().into()
    }

    /// Sends one entry, if one may be sent.
    pub(super) fn dispatch(&mut self, now: Instant) -> bool {
        let Some(Dispatch { entry, message: number, cache_store, cache_load }) = self.sched.next(now) else { return false };
        let Some((transport, request)) = self.request(entry, number, cache_load, cache_store) else { return true };
        self.sent.insert(entry.number(), entry);
        self.actions.push_back(Action::Deliver { transport, number: entry.number(), request: Box::new(request) });
        true
    }

    fn request(
        &mut self,
        entry: Key<crate::sched::Entry>,
        number: u64,
        cache_load: bool,
        cache_store: bool,
    ) -> Option<(Key<Transport>, Request)> {
        let e = self.sched.entry(entry)?;
        let (transport, nexthop) = self.sched.destination(e.destination);
        let message = self.messages.get_mut(Key::from_number(number))?;
        message.busy += 1;
        let envelope = &message.envelope;
        let sender = match &e.recipients[..] {
            [one] if !envelope.verp.is_empty() => {
                let to = if one.original.is_empty() { &one.address } else { &one.original };
                verp::expand(&envelope.sender, to, &envelope.verp)
            }
            _ => envelope.sender.clone(),
        };
        let request = Request {
            queue: message.queue,
            id: message.id.clone(),
            nexthop: nexthop.into(),
            content_offset: envelope.content_offset,
            content_length: envelope.content_length,
            message_size: envelope.message_size,
            encoding: envelope.encoding.clone(),
            sender,
            sender_options: envelope.sender_options,
            envelope_id: envelope.envelope_id.clone(),
            ret: envelope.ret,
            probe: message.probe(),
            trace_flags: message.request_flags(&self.settings),
            origin: envelope.origin.clone(),
            arrival: envelope.arrival,
            created: envelope.created,
            active: message.began,
            cache_load,
            cache_store,
            recipients: e.recipients.clone(),
        };
        Some((transport, request))
    }

    /// A message that can be sent at once, or in a moment, stays in `incoming`, which saves the disk a rename; one that waits longer moves to
    /// `active`, where the tools show it.
    pub(super) fn may_wait(&mut self, now: Instant, key: Key<Message>) {
        if self.messages.get(key).is_some_and(|message| message.queue == QueueName::Incoming) {
            self.fresh.push_back((now + MOMENT, key));
        }
    }

    pub(super) fn settle_fresh(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.fresh.front() {
            // Most are gone by then.
            if at > now && self.messages.get(key).is_some() {
                return;
            }
            self.fresh.pop_front();
            self.settle_in_active(now, key);
        }
    }

    /// Moves a message that has to wait from `incoming` to `active`; not while an agent has it under its old name.
    pub(super) fn settle_in_active(&mut self, now: Instant, key: Key<Message>) {
        let Some(message) = self.messages.get_mut(key) else { return };
        if message.queue != QueueName::Incoming || message.busy > 0 || message.open == 0 || message.resolving || message.writing {
            return;
        }
        match self.queue.rename(&message.id, QueueName::Incoming, QueueName::Active) {
            Ok(()) => message.queue = QueueName::Active,
            Err(error) if error.kind() == ErrorKind::NotFound => self.forget(now, key),
            Err(error) => warn!(self.log, "cannot move {} from incoming to active: {error}", message.id),
        }
    }

    /// Reads the next recipients of messages that have unread ones and room for them. Returns whether some message wants more.
    pub(super) fn feed_some(&mut self, now: Instant) -> bool {
        const SOME: usize = 100;
        for _ in 0..SOME {
            let Some(key) = self.hungry.pop_front() else { return false };
            self.read_more(now, key);
        }
        !self.hungry.is_empty()
    }

    /// Whether the next portion is to be read: all of the last are done, or a transport has room for a portion worth reading, or for any
    /// at all and the last is long ago.
    pub(super) fn wants_more(&self, now: Instant, key: Key<Message>) -> bool {
        let Some(message) = self.messages.get(key) else { return false };
        if message.envelope.more_at.is_none() || message.resolving || message.stage != super::Stage::Delivering {
            return false;
        }
        message.open == 0
            || message.transports.iter().any(|&transport| {
                let (params, room) = (self.sched.params(transport), self.room(message, key, transport));
                room >= params.refill_limit || room > 0 && now.saturating_duration_since(message.last_read) >= params.refill_delay
            })
    }

    /// How many more recipients of this message may be in memory for a transport: what the transport has left, and the number that each
    /// message may have in any case.
    fn room(&self, message: &Message, key: Key<Message>, transport: Key<crate::sched::Transport>) -> u32 {
        let signed = |n: u32| i64::from(n);
        let minimum = i64::try_from(self.settings.qmgr_message_recipient_minimum).unwrap_or(i64::MAX);
        let left = self.sched.recipients_left(transport, key.number()).saturating_add(minimum);
        u32::try_from(left.max(minimum - signed(message.open)).max(0)).unwrap_or(u32::MAX)
    }

    pub(super) fn read_more(&mut self, now: Instant, key: Key<Message>) {
        let Some(message) = self.messages.get(key) else { return };
        let room = message.transports.iter().map(|&transport| self.room(message, key, transport)).max();
        let limit = room.map_or(self.settings.qmgr_message_recipient_minimum, |room| room as usize).max(1);
        let Some(message) = self.messages.get_mut(key) else { return };
        match self.queue.read_more_recipients(message.queue, &message.id, &mut message.envelope, limit) {
            Ok(()) => self.open(now, key),
            Err(error) => {
                // Try again with the next attempt; nothing that was not read is done.
                warn!(self.log, "{}: cannot read more recipients: {error}", message.id);
                message.envelope.more_at = None;
                message.deferred = true;
                self.advance(now, key);
            }
        }
    }
}
