//! A message on its way into the queue: envelope and content as records for the cleanup pipeline, then the commit.

use crate::{Client, Qmqpd, verp};
use bstr::{BStr, BString, ByteSlice};
use posthaste_cleanup_protocol::{Accepted, Message, Rejected};
use posthaste_config::system_reason;
use posthaste_ipc::qmgr::NewMessage;
use posthaste_log::warn;
use posthaste_queue::clock::mail_date;
use posthaste_queue::{QueueName, RecordType as T};
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the client hears.
pub struct Outcome {
    /// `K`, `Z` or `D`.
    pub letter: char,
    /// For people.
    pub text: String,
}

/// A message that is being received. Dropping it removes the queue file.
pub struct Incoming {
    id: String,
    /// Lent to a thread while that works on records.
    message: Option<Message>,
    /// Records that wait for it.
    records: Vec<(T, BString)>,
    content: BString,
    /// First recipient, and how many there are.
    first: Option<BString>,
    recipients: u64,
    /// The client's part of the Received: header.
    from: String,
    refused: Option<String>,
}

/// Recipients are passed on when so many wait.
const BATCH: usize = 100;

impl Incoming {
    /// Creates the queue file.
    pub fn begin(qmqpd: &Qmqpd, client: &Client) -> io::Result<Incoming> {
        let message = Message::begin(&qmqpd.profile, &qmqpd.queue, qmqpd.settings.flags)?;
        let from = format!("Received: from {} ({} [{}])", client.name, client.name, client.rfc_address());
        let mut mail = Incoming {
            id: message.id().as_str().to_owned(),
            message: Some(message),
            records: Vec::new(),
            content: BString::default(),
            first: None,
            recipients: 0,
            from,
            refused: None,
        };
        mail.envelope_head(qmqpd, client);
        Ok(mail)
    }

    /// The queue id.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn put(&mut self, kind: T, payload: impl Into<BString>) {
        self.records.push((kind, payload.into()));
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.put(T::ATTRIBUTE, format!("{name}={value}"));
    }

    /// What stands before the sender; the attributes about the client wait until it is known.
    fn envelope_head(&mut self, qmqpd: &Qmqpd, client: &Client) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.put(T::TIME, format!("{} {}", now.as_secs(), now.subsec_micros()));
        let filter = &qmqpd.settings.content_filter;
        if !filter.is_empty() {
            self.put(T::FILTER, filter.as_str());
        }
        let (address, port) = (client.ip.to_string(), client.port.to_string());
        self.attribute("log_client_name", &client.name);
        self.attribute("log_client_address", &client.rfc_address());
        self.attribute("log_client_port", &port);
        self.attribute("log_message_origin", &client.label(qmqpd.settings.port_logging));
        self.attribute("log_protocol_name", "QMQP");
        self.attribute("client_name", &client.name);
        self.attribute("client_address", &address);
        self.attribute("client_port", &port);
        // The numbers of AF_INET and AF_INET6 on Linux, as Postfix writes them.
        self.attribute("client_address_type", if client.ip.is_ipv6() { "10" } else { "2" });
        self.attribute("protocol_name", "QMQP");
    }

    /// The message, which is kept for later.
    pub fn content(&mut self, content: BString) {
        self.content = content;
    }

    /// The envelope sender.
    pub fn sender(&mut self, qmqpd: &Qmqpd, sender: BString) {
        let place = self.records.iter().position(|(kind, _)| *kind == T::ATTRIBUTE).unwrap_or(self.records.len());
        let Some((address, delimiters)) = verp::request(sender.as_bstr()) else {
            self.records.insert(place, (T::SENDER, sender));
            return;
        };
        self.records.insert(place, (T::SENDER, address));
        let filter = &qmqpd.settings.verp_filter;
        if delimiters.iter().all(|delimiter| filter.as_bytes().contains(delimiter)) {
            self.put(T::VERP, &delimiters[..]);
        } else {
            let shown = printable(&delimiters);
            self.refused = Some(format!("Error: Invalid VERP delimiters: \"{shown}\". Need two characters from \"{filter}\""));
        }
    }

    /// A recipient.
    pub fn recipient(&mut self, recipient: BString) {
        // What the client sent, before anything is made of it.
        let original = [&b"rfc822;"[..], &recipient].concat();
        self.put(T::ATTRIBUTE, [&b"dsn_orig_rcpt="[..], &original].concat());
        self.recipients += 1;
        if self.first.is_none() {
            self.first = Some(recipient.clone());
        }
        self.put(T::RECIPIENT, recipient);
    }

    /// Passes recipients on when there are many: they need not be in memory.
    pub async fn flush(&mut self, qmqpd: &Qmqpd) {
        if self.records.len() >= BATCH {
            self.work(qmqpd).await;
        }
    }

    /// Gives the records to the pipeline, on a thread where its lookups may wait for another host. What goes wrong is told again at the end.
    async fn work(&mut self, qmqpd: &Qmqpd) {
        let records = std::mem::take(&mut self.records);
        let Some(mut message) = self.message.take() else { return };
        let put = move || {
            for (kind, payload) in records {
                let _ = message.record(kind, payload.as_bstr());
            }
            message
        };
        self.message = if qmqpd.profile.may_block() { tokio::task::spawn_blocking(put).await.ok() } else { Some(put()) };
    }

    fn content_records(&mut self, qmqpd: &Qmqpd) {
        let settings = &qmqpd.settings;
        self.put(T::MESSAGE, "");
        let date = mail_date(SystemTime::now());
        let from = std::mem::take(&mut self.from);
        self.put(T::NORMAL, from);
        let by = format!("\tby {} ({}) with QMQP", settings.myhostname, settings.mail_name);
        // With several recipients the header may not tell one of the others (RFC 5321 §7.2).
        match self.first.take().filter(|_| self.recipients == 1) {
            Some(recipient) => {
                self.put(T::NORMAL, format!("{by} id {}", self.id));
                self.put(T::NORMAL, [&b"\tfor <"[..], &recipient, format!(">; {date}").as_bytes()].concat());
            }
            None => {
                self.put(T::NORMAL, by);
                self.put(T::NORMAL, format!("\tid {}; {date}", self.id));
            }
        }
    }

    /// The end: the message is made safe, and only then the client may hear so.
    pub async fn finish(mut self, qmqpd: &Qmqpd) -> Outcome {
        if let Some(text) = self.refused.take() {
            return Outcome { letter: 'D', text };
        }
        if self.recipients == 0 {
            return refusal(qmqpd, &Rejected::NoRecipients);
        }
        self.content_records(qmqpd);
        self.work(qmqpd).await;
        let Some(mut message) = self.message.take() else { return refusal(qmqpd, &Rejected::BadRecords) };
        let (content, limit) = (std::mem::take(&mut self.content), qmqpd.settings.line_length_limit);
        let rest = move || {
            // Told by finish().
            let _ = text(&mut message, content.as_bstr(), limit)
                .and_then(|()| message.record(T::EXTRACTED, BStr::new(b"")))
                .and_then(|()| message.record(T::END, BStr::new(b"")));
            message.finish()
        };
        let finished = tokio::task::spawn_blocking(rest).await.unwrap_or(Err(Rejected::BadRecords));
        let accepted = match finished {
            Ok(accepted) => accepted,
            Err(rejected) => return refusal(qmqpd, &rejected),
        };
        match commit(qmqpd, accepted).await {
            Ok(()) => Outcome { letter: 'K', text: format!("Ok: queued as {}", self.id) },
            Err(error) => {
                warn!(qmqpd.log, "{}: commit queue file: {}", self.id, system_reason(&error));
                refusal(qmqpd, &error.into())
            }
        }
    }
}

/// Writes content lines, which end in a newline; the last one may lack it.
fn text(message: &mut Message, content: &BStr, limit: usize) -> Result<(), Rejected> {
    let mut first = true;
    for line in content.lines_with_terminator() {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if std::mem::take(&mut first) {
            if line.starts_with(b"From ") {
                // A mailbox's separator is no header.
                message.record(T::NORMAL, [b"X-Mailbox-Line: ", line].concat().as_bstr())?;
                continue;
            }
            if line.first().is_some_and(|c| matches!(c, b' ' | b'\t')) {
                // It would continue our Received: header.
                message.record(T::NORMAL, BStr::new(b""))?;
            }
        }
        let mut rest = line;
        while rest.len() > limit {
            let (piece, more) = rest.split_at(limit);
            message.record(T::CONTINUED, piece.as_bstr())?;
            rest = more;
        }
        message.record(T::NORMAL, rest.as_bstr())?;
    }
    Ok(())
}

/// Syncs the file and tells the queue manager.
async fn commit(qmqpd: &Qmqpd, accepted: Accepted) -> io::Result<()> {
    let Some(file) = accepted.file else { return Ok(()) };
    let id = file.id().clone();
    let (done, wait) = tokio::sync::oneshot::channel();
    qmqpd.committer.commit(file, Box::new(move |result| drop(done.send(result))));
    wait.await.unwrap_or_else(|_| Err(io::Error::other("the commit was given up")))?;
    if !accepted.held {
        qmqpd.notifier.send(&NewMessage { queue: QueueName::Incoming, id, envelope: accepted.envelope });
    }
    Ok(())
}

/// What the client hears when the pipeline did not take the message.
fn refusal(qmqpd: &Qmqpd, rejected: &Rejected) -> Outcome {
    let (permanent, text) = match rejected {
        Rejected::BadRecords => (false, "internal protocol error".to_owned()),
        Rejected::Write { .. } | Rejected::Lookup => (false, "queue file write error".to_owned()),
        Rejected::TooBig => (true, "message too large".to_owned()),
        Rejected::Content { smtp: Some(reply), .. } => (!reply.starts_with('4'), reply.replace("\r\n", " ")),
        Rejected::Content { dsn, text, smtp: None } | Rejected::Other { dsn, text } => (!dsn.starts_with('4'), format!("{dsn} {text}")),
        Rejected::TooManyHops => (true, "too many hops".to_owned()),
        Rejected::NoRecipients => (true, "no recipients specified".to_owned()),
    };
    Outcome { letter: if permanent && !qmqpd.settings.soft_bounce { 'D' } else { 'Z' }, text: format!("Error: {text}") }
}

/// What a stranger wrote, for the log.
fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' }).collect()
}
