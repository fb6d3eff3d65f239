//! One client from connect to disconnect: reads, writes, waits, and does what the protocol engine asks for.

use crate::arrival::Arrival;
use crate::ask::ask;
use crate::limits::{Event, Exceeded, Ticket};
use crate::mail::{self, Mail};
use crate::restrictions::Memory;
use crate::settings::Settings;
use crate::transport::Transport;
use crate::{Smtpd, proxy, report};
use bstr::{BStr, ByteSlice};
use posthaste_config::{split_list, system_reason};
use posthaste_ipc::flush;
use posthaste_log::{Level, info, warn};
use posthaste_smtp_protocol::server::{self, Check, Lost, Session, Step, Verdict, notice};
use posthaste_table::DomainList;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Serves one client to its end.
pub(crate) async fn serve(smtpd: Rc<Smtpd>, mut transport: Transport) {
    let parameters = smtpd.parameters();
    let Arrival { client, early, fault } = Arrival::of(&smtpd, &parameters.settings, &mut transport).await;
    let (ticket, admitted) = smtpd.limits.connect(&client);
    let rules = smtpd.keywords.of(&client);
    let mut session = Session::new(Rc::clone(&parameters.protocol), client, rules);
    session.input().extend_from_slice(&early);
    let mut task =
        Task { smtpd: &smtpd, settings: &parameters.settings, session, transport, ticket, memory: Memory::default(), deadline: None };
    if fault {
        task.session.turn_away(&format!("421 4.3.0 {} Server local error", parameters.settings.myhostname));
    } else if let Err(Exceeded { log }) = admitted {
        task.turn_away(&log);
    }
    let lost = task.run().await;
    task.end(lost).await;
}

struct Task<'a> {
    smtpd: &'a Rc<Smtpd>,
    settings: &'a Settings,
    session: Session<Mail>,
    transport: Transport,
    ticket: Option<Ticket<'a>>,
    memory: Memory,
    /// `smtpd_per_request_deadline`: when the present request must be complete.
    deadline: Option<Instant>,
}

impl Task<'_> {
    fn turn_away(&mut self, log: &str) {
        let client = self.session.client();
        let reply = format!("421 4.7.0 {} Error: too many connections from {}", self.settings.myhostname, client.address);
        self.session.turn_away(&reply);
        self.log();
        warn!(self.smtpd.log, "{log}");
    }

    /// Runs until the session is over; says if and how the client was lost.
    async fn run(&mut self) -> Option<Lost> {
        loop {
            let step = self.session.step();
            self.log();
            match step {
                Step::Read => {
                    self.flush_mail().await;
                    if let Some(transcript) = self.session.take_flushed() {
                        Box::pin(report::send(self.smtpd, self.settings, &self.session.label(), transcript)).await;
                    }
                    if let Err(lost) = self.write().await {
                        return Some(lost);
                    }
                    if let Err(lost) = self.read().await {
                        return Some(lost);
                    }
                }
                Step::Pause(time) => {
                    tokio::time::sleep(time).await;
                    // The reply has waited; another pause may follow, and is not for this one.
                    if let Err(lost) = self.write().await {
                        return Some(lost);
                    }
                }
                Step::Check(check) => self.check(check).await,
                Step::Open => {
                    if self.smtpd.notifier.slow() && !self.settings.in_flow_delay.is_zero() {
                        tokio::time::sleep(self.settings.in_flow_delay).await;
                    }
                    let opened = match &self.settings.proxy {
                        Some(proxy) => Box::pin(proxy::open(self.smtpd, proxy, self.settings, &self.session))
                            .await
                            .map(|proxy| (Mail::Filter(Box::new(proxy)), String::new())),
                        None => mail::open(self.smtpd, self.settings, &self.session),
                    };
                    match opened {
                        Ok((mail, id)) => self.session.opened(Ok((mail, &id))),
                        Err(refusal) => self.session.opened(Err(refusal)),
                    }
                }
                Step::Relay => {
                    let relayed = self.relay().await;
                    self.session.relayed(relayed);
                }
                Step::Reintroduced => {
                    let rules = self.smtpd.keywords.of(self.session.client());
                    self.session.set_rules(rules);
                    self.memory = Memory::default();
                }
                Step::StartContent => mail::start_content(self.smtpd, &mut self.session),
                Step::Finish => {
                    let finished = mail::finish(self.smtpd, &mut self.session).await;
                    self.session.finished(finished);
                }
                Step::Close => {
                    let _ = self.write().await;
                    return None;
                }
            }
        }
    }

    /// Last words, transcript, the `disconnect` line.
    async fn end(&mut self, lost: Option<Lost>) {
        if let Some(how) = lost {
            self.session.lost(how);
            self.log();
            let _ = self.write().await;
        }
        if let Some(transcript) = self.session.transcript() {
            Box::pin(report::send(self.smtpd, self.settings, &self.session.label(), transcript)).await;
        }
        self.session.disconnect();
        self.log();
        self.ticket = None;
        self.transport.close().await;
    }

    /// Lets a thread have the records that may need a lookup elsewhere.
    async fn flush_mail(&mut self) {
        if let Some(mail) = self.session.transaction_mut().and_then(|transaction| transaction.message.as_mut()) {
            mail.flush().await;
        }
    }

    /// Passes RCPT or DATA on to the filter.
    async fn relay(&mut self) -> Result<(), server::Refusal> {
        let data = matches!(self.session.place(), "DATA" | "BDAT");
        let command = self.session.relayed_command().to_owned();
        match self.session.transaction_mut().and_then(|transaction| transaction.message.as_mut()) {
            Some(Mail::Filter(proxy)) => Box::pin(proxy.relay(command.as_bstr(), data)).await,
            _ => Err(mail::write_refusal()),
        }
    }

    fn log(&mut self) {
        for (level, line) in self.session.take_log() {
            let level = match level {
                server::Level::Info => Level::Info,
                server::Level::Warning => Level::Warning,
            };
            self.smtpd.log.log(level, format_args!("{line}"));
        }
    }

    async fn check(&mut self, check: Check) {
        let verdict = match self.built_in(check) {
            Some(verdict) => verdict,
            None => {
                // Boxed, so that what a check needs is not part of every idle session.
                let checked = Box::pin(self.smtpd.restrictions.check(check, &self.session, &mut self.memory)).await;
                if let Some(transaction) = self.session.transaction_mut() {
                    transaction.actions.extend(checked.actions);
                }
                self.session.note(checked.trouble);
                match (check, checked.verdict) {
                    (Check::Etrn, Verdict::Accept) => Box::pin(self.flush_site()).await,
                    (_, verdict) => verdict,
                }
            }
        };
        self.session.decide(verdict);
        self.log();
    }

    /// Checks that no parameter lists: rates and disk space.
    fn built_in(&mut self, check: Check) -> Option<Verdict> {
        let event = match check {
            Check::Mail => Event::Message,
            Check::Recipient => Event::Recipient,
            _ => return None,
        };
        let client = self.session.client();
        if let Some(ticket) = &self.ticket
            && let Err(Exceeded { log }) = ticket.event(event, client)
        {
            let what = if event == Event::Message { "mail" } else { "recipients" };
            let reply = format!("450 4.7.1 Error: too much {what} from {}", client.address);
            let reply = if event == Event::Recipient { reply.replace("too much", "too many") } else { reply };
            warn!(self.smtpd.log, "{log}");
            return Some(Verdict::Refuse(server::Refusal { reply, class: notice::POLICY, log: false }));
        }
        if check == Check::Mail
            && let Some(free) = self.no_space()
        {
            warn!(self.smtpd.log, "not enough free space in mail queue: {free} bytes < 1.5*message size limit");
            let reply = "452 4.3.1 Insufficient system storage";
            info!(self.smtpd.log, "{}", self.session.describe_bare("reject", "MAIL", reply));
            return Some(Verdict::Refuse(server::Refusal { reply: reply.into(), class: notice::RESOURCE, log: false }));
        }
        None
    }

    /// `queue_minfree`, and room for one and a half messages of the largest size.
    fn no_space(&self) -> Option<u64> {
        let settings = self.settings;
        let need = settings.queue_minfree.max(settings.message_size_limit.saturating_add(settings.message_size_limit / 2));
        if need == 0 {
            return None;
        }
        Some(self.smtpd.space.free(&self.smtpd.queue)).filter(|free| *free < need)
    }

    /// ETRN was permitted: ask for the site's mail to be sent (RFC 1985).
    async fn flush_site(&mut self) -> Verdict {
        let domain = self.session.written().to_owned();
        let request = flush::Request::Site(domain.clone());
        let answer =
            ask::<_, flush::Answer>(&self.settings.flush, flush::Request::FRAME, &request, flush::Answer::FRAME, self.settings.ipc_timeout)
                .await;
        match answer {
            Ok(flush::Answer::Ok) => Verdict::Accept,
            Ok(flush::Answer::Refused) => self.refuse_site(domain.as_bstr()),
            Ok(flush::Answer::Failed) => Verdict::Reply("458 Unable to queue messages".into()),
            // Whether anything is remembered for it is known without the service.
            Err(_) if self.has_flush_list(domain.as_bstr()) == Ok(false) => self.refuse_site(domain.as_bstr()),
            Err(error) => {
                warn!(self.smtpd.log, "connect to {}: {}", self.settings.flush.display(), system_reason(&error));
                warn!(self.smtpd.log, "unable to talk to fast flush service");
                Verdict::Reply("458 Unable to queue messages".into())
            }
        }
    }

    fn refuse_site(&self, domain: &BStr) -> Verdict {
        warn!(self.smtpd.log, "reject: ETRN {domain}... from {}", self.session.label());
        Verdict::Reply(format!("459 <{domain}>: service unavailable"))
    }

    /// Whether `fast_flush_domains` has the domain. Opens the list: only for when flush(8), which has it open, cannot be asked.
    fn has_flush_list(&self, domain: &BStr) -> Result<bool, ()> {
        let config = &self.smtpd.setup.config;
        let text = |name: &str| config.text(name).map_err(drop);
        let name = "fast_flush_domains";
        let parents = split_list(&text("parent_domain_matches_subdomains")?).any(|listed| listed == name);
        let list = DomainList::open(name, &text(name)?, parents, config).map_err(drop)?;
        list.matches(domain).map_err(drop)
    }

    /// Sends the replies.
    async fn write(&mut self) -> Result<(), Lost> {
        if self.session.output().is_empty() {
            return Ok(());
        }
        let output = self.session.take_output();
        let until = Instant::now() + self.settings.timeout;
        self.deadline = None;
        match timeout_at(until, self.transport.write(&output)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Lost::Connection),
            Err(_) => Err(Lost::Timeout),
        }
    }

    /// Reads what the client sends next.
    async fn read(&mut self) -> Result<(), Lost> {
        let now = Instant::now();
        let until = match self.settings.deadline {
            None => now + self.settings.timeout,
            Some(_) => *self.deadline.get_or_insert(now + self.settings.timeout),
        };
        let buffers = &self.smtpd.buffers;
        let input = self.session.input();
        if input.is_empty() {
            // Nothing is held while the client is silent.
            buffers.give(std::mem::take(input));
            let _idle = self.session.transaction().is_none().then(|| self.smtpd.setup.idle());
            loop {
                match timeout_at(until, self.transport.readable()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(Lost::Connection),
                    Err(_) => return Err(Lost::Timeout),
                }
                // A new connection may be called readable before anything has come: then the client is silent still.
                let mut buffer = buffers.take();
                match self.transport.try_read(&mut buffer) {
                    Ok(0) => return Err(Lost::Connection),
                    Ok(count) => {
                        *self.session.input() = buffer;
                        self.extend_deadline(count);
                        return Ok(());
                    }
                    Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => buffers.give(buffer),
                    Err(_) => return Err(Lost::Connection),
                }
            }
        }
        let read = timeout_at(until, self.transport.read(self.session.input())).await;
        match read {
            Ok(Ok(0)) => Err(Lost::Connection),
            Ok(Ok(count)) => {
                self.extend_deadline(count);
                Ok(())
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Ok(Err(_)) => Err(Lost::Connection),
            Err(_) => Err(Lost::Timeout),
        }
    }

    /// Content that comes at the least rate or faster lengthens the deadline (`smtpd_min_data_rate`).
    fn extend_deadline(&mut self, count: usize) {
        if let (Some(rate), Some(deadline)) = (self.settings.deadline, self.deadline)
            && self.session.receiving_content()
        {
            let more = Duration::from_secs_f64(count as f64 / rate as f64);
            self.deadline = Some((deadline + more).min(Instant::now() + self.settings.timeout));
        }
    }
}
