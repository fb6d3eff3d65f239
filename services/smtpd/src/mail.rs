//! A message on its way into the queue: envelope and content as records for the cleanup pipeline, then the commit.

use crate::Smtpd;
use crate::proxy::Proxy;
use crate::records::{self, Records};
use crate::settings::{RewriteClients, Settings};
use bstr::{BStr, BString, ByteSlice};
use posthaste_cleanup_protocol::{Accepted, Flags, Message as Cleanup, Rejected};
use posthaste_config::system_reason;
use posthaste_ipc::qmgr::NewMessage;
use posthaste_log::{info, warn};
use posthaste_queue::{QueueName, RecordType};
use posthaste_smtp_protocol::server::{Action, Finished, Message, Recipient, Refusal, Session, notice, received};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The message of a transaction. Dropping it undoes what has been done.
#[allow(clippy::large_enum_variant, reason = "it lives in the transaction, which is boxed; the common case shall not be boxed twice")]
pub enum Mail {
    Queue(QueueMail),
    /// To `smtpd_proxy_filter`.
    Filter(Box<Proxy>),
}

impl Message for Mail {
    fn recipient(&mut self, recipient: &Recipient) {
        match self {
            Mail::Queue(mail) => records::recipient(mail, recipient),
            // It has been relayed.
            Mail::Filter(_) => {}
        }
    }

    fn line(&mut self, text: &BStr, whole: bool) {
        match self {
            Mail::Queue(mail) => {
                let first = std::mem::take(&mut mail.first_line);
                records::line(mail, text, whole, first);
            }
            Mail::Filter(proxy) => proxy.line(text, whole),
        }
    }
}

impl Mail {
    /// Passes on what has come, where that may take time.
    pub async fn flush(&mut self) {
        match self {
            Mail::Queue(mail) => mail.flush().await,
            Mail::Filter(proxy) => proxy.flush().await,
        }
    }
}

/// A message on its way into the queue. Dropping it removes the queue file.
pub struct QueueMail {
    /// Lent to a thread while that works on a batch.
    cleanup: Option<Cleanup>,
    /// Where lookups of the pipeline may wait for another host: records that a thread is to work on, so that other clients do not wait.
    batch: Option<Batch>,
    /// How many of the transaction's actions have been carried out.
    done: usize,
    /// No line of the client's content has come yet.
    first_line: bool,
    /// Scratch space for records that are put together.
    text: Vec<u8>,
}

/// Records put aside: type, length, payload, one after the other.
#[derive(Default)]
struct Batch(Vec<u8>);

impl Batch {
    fn put(&mut self, kind: RecordType, payload: &[u8]) {
        self.0.push(kind.0);
        self.0.extend_from_slice(&payload.len().to_ne_bytes());
        self.0.extend_from_slice(payload);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn apply(&self, cleanup: &mut Cleanup) {
        const HEAD: usize = size_of::<usize>();
        let mut rest = &self.0[..];
        while let Some((kind, tail)) = rest.split_first() {
            let Some((head, tail)) = tail.split_first_chunk::<HEAD>() else { return };
            let Some((payload, tail)) = tail.split_at_checked(usize::from_ne_bytes(*head)) else { return };
            // Told again at the end.
            let _ = cleanup.record(RecordType(*kind), payload.as_bstr());
            rest = tail;
        }
    }
}

impl Records for QueueMail {
    /// What goes wrong is told again when the message is finished, so nothing is done about it here.
    fn record(&mut self, kind: RecordType, payload: &BStr) {
        match (&mut self.batch, &mut self.cleanup) {
            (Some(batch), _) => batch.put(kind, payload),
            (None, Some(cleanup)) => {
                let _ = cleanup.record(kind, payload);
            }
            (None, None) => {}
        }
    }

    fn attribute(&mut self, name: &str, value: &[u8]) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value);
        self.record(RecordType::ATTRIBUTE, text.as_bstr());
        self.text = text;
    }
}

impl QueueMail {
    fn new(smtpd: &Smtpd, flags: Flags) -> io::Result<QueueMail> {
        let cleanup = Cleanup::begin(&smtpd.profile, &smtpd.queue, flags)?;
        let batch = smtpd.profile.may_block().then(Batch::default);
        Ok(QueueMail { cleanup: Some(cleanup), batch, done: 0, first_line: true, text: Vec::with_capacity(256) })
    }

    /// Has a thread work on what has been put aside, if anything.
    async fn flush(&mut self) {
        let Some(batch) = self.batch.as_mut().filter(|batch| !batch.is_empty()) else { return };
        let batch = std::mem::take(batch);
        let Some(mut cleanup) = self.cleanup.take() else { return };
        let work = tokio::task::spawn_blocking(move || {
            batch.apply(&mut cleanup);
            cleanup
        });
        // A panic over there has dropped the message; finishing it will say so.
        self.cleanup = work.await.ok();
    }

    /// The end of all records.
    async fn finish(mut self) -> Result<Accepted, Rejected> {
        let cleanup = self.cleanup.take().ok_or(Rejected::BadRecords)?;
        match self.batch.take() {
            None => cleanup.finish(),
            Some(batch) => {
                let work = tokio::task::spawn_blocking(move || {
                    let mut cleanup = cleanup;
                    batch.apply(&mut cleanup);
                    cleanup.finish()
                });
                work.await.unwrap_or(Err(Rejected::BadRecords))
            }
        }
    }

    fn with_cleanup(&mut self, work: impl FnOnce(&mut Cleanup)) {
        if let Some(cleanup) = self.cleanup.as_mut() {
            work(cleanup);
        }
    }

    /// Carries out what access rules asked for since the last call. `PREPEND` waits for the content.
    fn act(&mut self, actions: &[Action]) {
        let new = &actions[self.done.min(actions.len())..];
        for action in new {
            match action {
                Action::Hold => self.with_cleanup(Cleanup::hold),
                Action::Discard => self.with_cleanup(Cleanup::discard),
                Action::Filter(filter) => self.record(RecordType::FILTER, filter.as_bstr()),
                Action::Redirect(address) => self.record(RecordType::REDIRECT, address.as_bstr()),
                Action::Bcc(address) => self.with_cleanup(|cleanup| cleanup.bcc(address.as_bstr())),
                Action::Prepend(_) => {}
            }
        }
        self.done = actions.len();
    }
}

/// Creates the queue file of a transaction and writes what is known of its envelope.
pub fn open(smtpd: &Smtpd, settings: &Settings, session: &Session<Mail>) -> Result<(Mail, String), Refusal> {
    let Some(transaction) = session.transaction() else {
        return Err(write_refusal());
    };
    let flags = Flags { smtputf8: transaction.parameters.smtputf8, ..settings.cleanup };
    let mut mail = QueueMail::new(smtpd, flags).map_err(|error| {
        warn!(smtpd.log, "create a queue file in incoming: {}", system_reason(&error));
        refusal(&error.into())
    })?;
    let id = mail.id();
    info!(smtpd.log, "{id}: {}", session.client_line());

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    mail.record(RecordType::TIME, format!("{} {}", now.as_secs(), now.subsec_micros()).as_bytes().as_bstr());
    if !settings.content_filter.is_empty() {
        mail.record(RecordType::FILTER, settings.content_filter.as_bstr());
    }
    let forwarded = session.forwarded();
    let ident = forwarded.and_then(|forwarded| forwarded.ident.as_ref());
    mail.attribute("log_ident", ident.map_or(id.as_bytes(), |ident| ident));
    let said = forwarded.and_then(|forwarded| forwarded.local);
    let local = said.unwrap_or_else(|| rewrites_as_local(smtpd, settings, session));
    mail.attribute("rewrite_context", if local { b"local" } else { b"remote" });
    if let Some(login) = session.login() {
        mail.attribute("sasl_method", login.method.as_bytes());
        mail.attribute("sasl_username", &login.username);
        if !login.sender.is_empty() {
            mail.attribute("sasl_sender", &login.sender);
        }
    }
    let parameters = &transaction.parameters;
    if !parameters.envelope_id.is_empty() {
        mail.attribute("envelope_id", &parameters.envelope_id);
    }
    if parameters.ret != 0 {
        mail.attribute("ret_flags", parameters.ret.to_string().as_bytes());
    }
    records::sender(&mut mail, &transaction.sender, parameters);
    mail.client_attributes(session);
    if !parameters.verp.is_empty() {
        mail.record(RecordType::VERP, parameters.verp.as_bstr());
    }
    mail.act(&transaction.actions);
    Ok((Mail::Queue(mail), id))
}

impl QueueMail {
    fn id(&self) -> String {
        self.cleanup.as_ref().map_or_else(String::new, |cleanup| cleanup.id().as_str().to_owned())
    }

    fn client_attributes(&mut self, session: &Session<Mail>) {
        let client = session.client();
        let helo = session.helo();
        match session.forwarded_client() {
            Some(forwarded) => {
                self.attribute("log_client_name", &forwarded.name);
                self.attribute("log_client_address", &forwarded.rfc_address);
                self.attribute("log_client_port", &forwarded.port);
                self.attribute("log_message_origin", &forwarded.label);
                if let Some(helo) = &forwarded.helo {
                    self.attribute("log_helo_name", helo);
                }
                self.attribute("log_protocol_name", &forwarded.protocol);
            }
            None => {
                self.attribute("log_client_name", &client.name);
                self.attribute("log_client_address", &client.rfc_address());
                if !client.port.is_empty() {
                    self.attribute("log_client_port", &client.port);
                }
                self.attribute("log_message_origin", session.label().as_bytes());
                if let Some(helo) = helo {
                    self.attribute("log_helo_name", helo);
                }
                self.attribute("log_protocol_name", session.protocol().as_bytes());
            }
        }
        self.attribute("client_name", &client.name);
        self.attribute("reverse_client_name", &client.reverse_name);
        self.attribute("client_address", &client.address);
        if !client.port.is_empty() {
            self.attribute("client_port", &client.port);
        }
        self.attribute("server_address", &client.server_address);
        self.attribute("server_port", &client.server_port);
        if let Some(helo) = helo {
            self.attribute("helo_name", helo);
        }
        self.attribute("protocol_name", session.protocol().as_bytes());
        // The numbers of AF_INET and AF_INET6 on Linux, as Postfix writes them.
        self.attribute("client_address_type", if matches!(client.ip, Some(IpAddr::V6(_))) { b"10" } else { b"2" });
    }
}

/// `local_header_rewrite_clients`: whose mail may have its headers completed with our domain.
pub(crate) fn rewrites_as_local(smtpd: &Smtpd, settings: &Settings, session: &Session<Mail>) -> bool {
    let client = session.client();
    settings.rewrite.iter().any(|item| match item {
        RewriteClients::InetInterfaces => smtpd.restrictions.is_own_address(client.peer),
        RewriteClients::Mynetworks => {
            smtpd.restrictions.mynetworks().matches(client.name.as_bstr(), client.address.as_bstr()).unwrap_or(false)
        }
        RewriteClients::Authenticated => session.login().is_some(),
        RewriteClients::Table(maps) => smtpd.restrictions.in_client_table(maps, client),
    })
}

/// Writes what precedes the content: headers to prepend, then Received:.
pub fn start_content(smtpd: &Smtpd, session: &mut Session<Mail>) {
    let date = smtpd.dates.rfc5322(SystemTime::now());
    let lines = received(session, &[], &date);
    let Some(transaction) = session.transaction_mut() else { return };
    let Some(message) = transaction.message.as_mut() else { return };
    let prepended = transaction.actions.iter().filter_map(|action| match action {
        Action::Prepend(header) => Some(header),
        _ => None,
    });
    let headers = prepended.chain(&lines);
    match message {
        Mail::Queue(mail) => {
            mail.act(&transaction.actions);
            mail.record(RecordType::MESSAGE, BStr::new(b""));
            headers.for_each(|line| mail.record(RecordType::NORMAL, line.as_bstr()));
        }
        Mail::Filter(proxy) => headers.for_each(|line| proxy.header(line.as_bstr())),
    }
}

/// Finishes the message and makes it safe. Only then may the client hear 250.
pub async fn finish(smtpd: &Rc<Smtpd>, session: &mut Session<Mail>) -> Finished {
    let Some(transaction) = session.transaction_mut() else { return refused(write_refusal()) };
    let mut mail = match transaction.message.take() {
        Some(Mail::Queue(mail)) => mail,
        Some(Mail::Filter(proxy)) => {
            let reply = proxy.finish(smtpd).await;
            let action = if reply.starts_with('2') { "proxy-accept" } else { "proxy-reject" };
            info!(smtpd.log, "{}", session.describe_outcome(action, &reply.replace("\r\n", "??")));
            return Finished::Reply(reply);
        }
        None => return refused(write_refusal()),
    };
    mail.record(RecordType::EXTRACTED, BStr::new(b""));
    mail.act(&transaction.actions);
    mail.record(RecordType::END, BStr::new(b""));
    let id = mail.id();
    let accepted = match mail.finish().await {
        Ok(accepted) => accepted,
        Err(rejected) => return refused(refusal(&rejected)),
    };
    match commit(smtpd, accepted).await {
        Ok(()) => Finished::Queued,
        Err(error) => {
            warn!(smtpd.log, "{id}: commit queue file: {}", system_reason(&error));
            refused(refusal(&error.into()))
        }
    }
}

fn refused(refusal: Refusal) -> Finished {
    Finished::Refused(refusal)
}

/// Syncs the file, with those of other sessions, and tells the queue manager.
async fn commit(smtpd: &Rc<Smtpd>, accepted: Accepted) -> io::Result<()> {
    let Some(file) = accepted.file else { return Ok(()) };
    let id = file.id().clone();
    let held = accepted.held;
    let (done, wait) = tokio::sync::oneshot::channel();
    smtpd.committer.commit(file, Box::new(move |result| drop(done.send(result))));
    wait.await.unwrap_or_else(|_| Err(io::Error::other("the commit was given up")))?;
    if !held {
        smtpd.notifier.send(&NewMessage { queue: QueueName::Incoming, id, envelope: accepted.envelope });
    }
    Ok(())
}

pub(crate) fn write_refusal() -> Refusal {
    Refusal { reply: "451 4.3.0 Error: queue file write error".into(), class: notice::RESOURCE, log: false }
}

/// The reply to the end of data for what cleanup says (restrictions.md, end of §8).
fn refusal(rejected: &Rejected) -> Refusal {
    let (reply, class) = match rejected {
        Rejected::BadRecords => ("451 4.3.0 Error: internal protocol error".to_owned(), notice::SOFTWARE),
        Rejected::Write { full: true, .. } => ("452 4.3.1 Error: queue file write error".to_owned(), notice::RESOURCE),
        Rejected::Write { full: false, .. } => ("451 4.3.0 Error: queue file write error".to_owned(), notice::RESOURCE),
        Rejected::TooBig => ("552 5.3.4 Error: message file too big".to_owned(), notice::POLICY),
        Rejected::Content { smtp: Some(reply), .. } => (reply.clone(), notice::POLICY),
        Rejected::Content { dsn, text, smtp: None } => {
            let code = if dsn.starts_with('4') { 451 } else { 550 };
            (format!("{code} {dsn} {text}"), notice::POLICY)
        }
        Rejected::TooManyHops => ("554 5.4.0 Error: too many hops".to_owned(), notice::POLICY),
        Rejected::Lookup => ("451 4.3.0 Error: queue file write error".to_owned(), notice::RESOURCE),
        Rejected::NoRecipients => ("550 5.1.0 Error: no recipients specified".to_owned(), notice::POLICY),
        Rejected::Other { dsn, text } => {
            let code = if dsn.starts_with('4') { 451 } else { 550 };
            (format!("{code} {dsn} {text}"), notice::POLICY)
        }
    };
    Refusal { reply, class, log: false }
}

/// Posts a message of our own to the postmaster, `to`: `lines` are its header and body.
pub async fn post_notice(smtpd: &Rc<Smtpd>, settings: &Settings, to: &str, lines: &[BString]) -> Result<(), String> {
    let flags = Flags { filter: settings.filter_notices, milter: settings.filter_notices, address_mappings: true, ..Flags::default() };
    let mut mail = QueueMail::new(smtpd, flags).map_err(|error| format!("create a queue file in incoming: {}", system_reason(&error)))?;
    let id = mail.id();
    let now = SystemTime::now();
    let date = smtpd.dates.rfc5322(now);
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    mail.record(RecordType::TIME, format!("{} {}", since.as_secs(), since.subsec_micros()).as_bytes().as_bstr());
    mail.attribute("log_message_origin", b"local");
    mail.attribute("rewrite_context", b"local");
    mail.record(RecordType::SENDER, format!("{}@{}", settings.double_bounce, settings.myhostname).as_bytes().as_bstr());
    mail.record(RecordType::RECIPIENT, BStr::new(to.as_bytes()));
    mail.record(RecordType::MESSAGE, BStr::new(b""));
    let head =
        [format!("Received: by {} ({})", settings.myhostname, settings.mail_name), format!("\tid {id}; {date}"), format!("Date: {date}")];
    for line in &head {
        mail.record(RecordType::NORMAL, line.as_bytes().as_bstr());
    }
    for line in lines {
        mail.record(RecordType::NORMAL, line.as_bstr());
    }
    mail.record(RecordType::EXTRACTED, BStr::new(b""));
    mail.record(RecordType::END, BStr::new(b""));
    let accepted = match mail.finish().await {
        // Cleanup has told of the table.
        Err(Rejected::Lookup) => return Ok(()),
        other => other.map_err(|rejected| rejected.to_string())?,
    };
    commit(smtpd, accepted).await.map_err(|error| format!("commit queue file: {}", system_reason(&error)))
}
