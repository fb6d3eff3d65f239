//! One SMTP session: the engines of the protocol crate, with a socket, time limits and the log around them.

use crate::notice::{Notices, Transcript};
use crate::problem::{Peer, Problem};
use crate::settings::{Pix, Settings};
use crate::stream::Stream;
use bstr::{BString, ByteSlice};
use posthaste_log::{Logger, info, warn};
use posthaste_queue::QueueId;
use posthaste_smtp_protocol::client::{
    Discard, Features, Hello, HelloOptions, HelloStep, Oddity, Reply, ReplyReader, Stage, StartTls, is_masked, printable,
};
use posthaste_tls::{Backend, ClientPolicy, Level};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};

/// A session that is ready for mail.
pub struct Session {
    stream: Stream,
    replies: ReplyReader,
    /// Whom we talk to.
    pub peer: Peer,
    /// What the server offers.
    pub features: Features,
    /// Messages sent over it so far.
    pub uses: u32,
    /// When the connection was begun.
    pub born: Instant,
    /// Wait before the final dot.
    delay_dot: bool,
    deadline: Option<Instant>,
    /// What was said, if the postmaster may want to know.
    pub transcript: Option<Box<Transcript>>,
    /// Log the conversation (`-v`, `debug_peer_list`).
    verbose: bool,
    /// The server said something without a reply code in answer to pipelined commands: replies may not belong to the commands they seem to.
    pub garbled: bool,
    /// SASL has authenticated us.
    pub authenticated: bool,
}

/// Why the conversation has ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The connection was lost.
    Lost,
    /// The server did not answer in time.
    TimedOut,
    /// A table of ours failed; the log says which.
    LocalData,
}

/// Why there is no session.
#[derive(Debug)]
pub enum NoSession {
    /// The server does not do.
    Failed(Problem),
    /// It is this host.
    Myself(Peer),
    /// The TLS handshake failed, and mail may go out in the clear: try again without.
    TlsFailed,
}

/// What a session is opened with, besides the settings.
pub struct Opening<'a> {
    /// The service's settings.
    pub settings: &'a Settings,
    /// Where to log.
    pub log: &'a Logger,
    /// The message that is the occasion.
    pub id: &'a QueueId,
    /// Its arrival, for the workarounds that are for old messages only.
    pub arrival: SystemTime,
    /// The TLS library, if there is one.
    pub tls: Option<&'a dyn Backend>,
    /// Do without TLS, since it did not work the time before.
    pub plain: bool,
    /// Tells the postmaster of protocol errors, where that is wanted for this message.
    pub notices: Option<&'a Arc<Notices>>,
    /// The domain or host that the server was found by; empty for a socket.
    pub domain: &'a str,
}

impl Session {
    /// Greets and is greeted.
    pub async fn open(stream: Stream, peer: Peer, born: Instant, opening: &Opening<'_>) -> Result<Session, NoSession> {
        let settings = opening.settings;
        let mut this = Session {
            stream,
            replies: ReplyReader::new(settings.reply_line_limit),
            peer,
            features: Features::default(),
            uses: 1,
            born,
            delay_dot: false,
            deadline: None,
            transcript: opening.notices.map(|_| Box::default()),
            verbose: false,
            garbled: false,
            authenticated: false,
        };
        this.verbose = this.is_debugged(opening);
        let options = HelloOptions {
            name: settings.helo_name.clone(),
            lmtp: settings.lmtp,
            always_ehlo: settings.always_send_ehlo,
            never_ehlo: settings.never_send_ehlo,
            own_name: (!settings.lmtp && this.peer.port == Some(25)).then(|| settings.myhostname.clone()),
            masked_means_helo: false,
            discard: Discard::default(),
            starttls: match settings.tls_level {
                _ if opening.tls.is_none() || opening.plain => StartTls::Never,
                Level::None => StartTls::Never,
                Level::May | Level::Dane => StartTls::May,
                _ => StartTls::Must,
            },
        };
        let mut hello = Hello::new(options);
        let mut out = Vec::new();
        loop {
            let stage = hello.stage();
            this.note_sent(&out, opening);
            let reply = match this.exchange(&mut out, stage, opening).await {
                Ok(reply) => reply,
                Err(broken) => return Err(NoSession::Failed(this.peer.broken(stage, broken, true))),
            };
            match stage {
                Stage::Greeting if is_masked(&reply) => this.masked(&mut hello, opening),
                Stage::Ehlo | Stage::Lhlo if reply.is_positive() => match this.discard(opening) {
                    Some(discard) => {
                        if !discard.is_empty() && !discard.is_silent() {
                            info!(opening.log, "discarding EHLO keywords: {}", discard.words());
                        }
                        hello.discard(discard);
                    }
                    None => return Err(NoSession::Failed(this.peer.local_data_error())),
                },
                _ => {}
            }
            match hello.reply(&reply, &mut out) {
                HelloStep::Wait => {}
                HelloStep::Ready => break,
                HelloStep::TlsNotOffered => break,
                HelloStep::Handshake => {
                    this.handshake(opening).await?;
                    hello.secured(&mut out);
                }
                HelloStep::Refused => {
                    this.note_refused(&reply);
                    let skip = stage == Stage::Greeting && settings.skip_5xx_greeting;
                    let problem = this.peer.refused(&reply, skip);
                    this.quit(settings).await;
                    this.notify(opening);
                    return Err(NoSession::Failed(problem));
                }
                HelloStep::Myself => {
                    warn!(
                        opening.log,
                        "host {} replied to HELO/EHLO with my own hostname {}",
                        this.peer.name_and_port(),
                        settings.myhostname
                    );
                    this.quit(settings).await;
                    return Err(NoSession::Myself(this.peer));
                }
            }
            if stage == Stage::Greeting && hello.greeted_as_me() {
                let (peer, name) = (this.peer.name_and_port(), &settings.myhostname);
                warn!(opening.log, "host {peer} greeted me with my own hostname {name}");
            }
        }
        this.features = hello.into_features();
        if let Some(bad) = &this.features.bad_size {
            warn!(opening.log, "bad EHLO SIZE limit \"{}\" from {}", printable(bad), this.peer.name_and_port());
        }
        if this.features.implied_eight_bit {
            info!(opening.log, "host {} offers SMTPUTF8 support, but not 8BITMIME", this.peer.name());
        }
        this.check_tls(settings, opening.log).await?;
        Ok(this)
    }

    async fn handshake(&mut self, opening: &Opening<'_>) -> Result<(), NoSession> {
        let Some(backend) = opening.tls else { return Ok(()) };
        let level = opening.settings.tls_level;
        let policy = ClientPolicy { level, server_name: Some(self.peer.host.clone()), ..ClientPolicy::default() };
        let limit = opening.settings.timeouts.starttls;
        let made = match backend.client(&policy) {
            Ok(session) => match tokio::time::timeout(limit, self.stream.encrypt(session)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("timed out".to_owned()),
            },
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = made {
            info!(opening.log, "SSL_connect error to {}: {error}", self.peer.name_and_port());
            if level.is_mandatory() {
                return Err(NoSession::Failed(self.peer.unfit("4.7.5", "Cannot start TLS: handshake failure".into(), true)));
            }
            return Err(NoSession::TlsFailed);
        }
        let verified = self.stream.tls().is_some_and(|session| session.peer().verified);
        if level > Level::Encrypt && level != Level::Dane && !verified {
            return Err(NoSession::Failed(self.peer.unfit("4.7.5", "Server certificate not verified".into(), true)));
        }
        Ok(())
    }

    /// The server is behind a firewall with faults of its own.
    fn masked(&mut self, hello: &mut Hello, opening: &Opening<'_>) {
        let (pix, from_table) = self.pix(opening);
        let age = SystemTime::now().duration_since(opening.arrival).unwrap_or_default();
        let used = Pix { delay_dotcrlf: pix.delay_dotcrlf && age >= opening.settings.pix_threshold, ..pix };
        if used != Pix::default() || from_table {
            info!(opening.log, "{}: enabling PIX workarounds: {} for {}", opening.id, used.words(), self.peer.name_and_port());
        }
        self.delay_dot = used.delay_dotcrlf;
        hello.masked_means_helo(used.disable_esmtp);
    }

    fn is_debugged(&self, opening: &Opening<'_>) -> bool {
        if opening.log.verbose() > 0 {
            return true;
        }
        let Some(list) = &opening.settings.debug_peers else { return false };
        // By the next hop, then by the server: an exception for one of them leaves the other.
        let listed = |name: &str, address: &str| list.matches(name.into(), address.into()).unwrap_or(false);
        (!opening.domain.is_empty() && listed(opening.domain, "")) || listed(&self.peer.host, &self.peer.address)
    }

    /// Commands that are about to be sent, for transcript and log.
    pub fn note_sent(&mut self, commands: &[u8], opening: &Opening<'_>) {
        if let Some(transcript) = &mut self.transcript {
            transcript.sent(commands);
        }
        if self.verbose {
            commands.lines().for_each(|line| info!(opening.log, "> {}: {}", self.peer.name_and_port(), line.as_bstr()));
        }
    }

    /// A reply that refused something.
    pub fn note_refused(&mut self, reply: &Reply) {
        if let Some(transcript) = &mut self.transcript {
            transcript.refused(reply);
        }
    }

    /// The workarounds, and whether they are from the table.
    fn pix(&self, opening: &Opening<'_>) -> (Pix, bool) {
        let settings = opening.settings;
        if settings.pix_maps.is_empty() {
            return (settings.pix, false);
        }
        match settings.pix_maps.find(self.peer.address.as_str().into()) {
            Ok(Some(list)) => (Pix::parse_known(&list.to_str_lossy()), true),
            // The table itself has warned of an error.
            Ok(None) | Err(_) => (settings.pix, false),
        }
    }

    /// `None`: the table failed. What the server can do, but must not be asked for, is then not known.
    fn discard(&self, opening: &Opening<'_>) -> Option<Discard> {
        let settings = opening.settings;
        if settings.discard_maps.is_empty() {
            return Some(settings.discard.clone());
        }
        match settings.discard_maps.find(self.peer.address.as_str().into()) {
            Ok(Some(list)) => Some(Discard::parse(&list.to_str_lossy())),
            Ok(None) => Some(settings.discard.clone()),
            Err(_) => {
                let (title, address) = (settings.discard_maps.title(), &self.peer.address);
                warn!(opening.log, "{}: {title} map lookup error for {address}", opening.id);
                None
            }
        }
    }

    /// What must be encrypted does not go out in the clear.
    async fn check_tls(&mut self, settings: &Settings, log: &Logger) -> Result<(), NoSession> {
        if settings.note_starttls_offer && settings.tls_level == Level::None && self.features.starttls {
            info!(log, "Host offered STARTTLS: [{}]", self.peer.host);
        }
        if !settings.tls_level.is_mandatory() || settings.tls_level == Level::Dane || self.stream.tls().is_some() {
            return Ok(());
        }
        let problem = if self.features.starttls {
            self.peer.unfit("4.7.5", "TLS is required, but our TLS engine is unavailable".into(), true)
        } else {
            self.peer.unfit("4.7.4", format!("TLS is required, but was not offered by host {}", self.peer.name()), true)
        };
        self.quit(settings).await;
        Err(NoSession::Failed(problem))
    }

    /// Sends what is in `out`, if anything, and waits for the reply.
    pub async fn exchange(&mut self, out: &mut Vec<u8>, stage: Stage, opening: &Opening<'_>) -> Result<Reply, Broken> {
        // With deadlines per request, one limit is for sending the request and receiving the whole response.
        self.deadline = opening.settings.per_request_deadline.then(|| Instant::now() + opening.settings.timeouts.of(stage));
        if !out.is_empty() {
            self.send(out, stage, opening.settings).await?;
        }
        self.reply(stage, opening).await
    }

    /// Writes all of `out` and empties it.
    pub async fn send(&mut self, out: &mut Vec<u8>, stage: Stage, settings: &Settings) -> Result<(), Broken> {
        let limit = settings.timeouts.of(stage);
        let until = self.deadline.unwrap_or_else(|| Instant::now() + limit);
        let written = limited(until, self.stream.write_all(out)).await;
        if stage == Stage::Body {
            // The transfer of n bytes buys time for the next ones, up to the limit.
            let bought = Duration::from_millis(out.len() as u64 * 1000 / settings.min_data_rate);
            self.deadline = self.deadline.map(|deadline| (deadline + bought).min(Instant::now() + limit));
        }
        out.clear();
        written
    }

    async fn reply(&mut self, stage: Stage, opening: &Opening<'_>) -> Result<Reply, Broken> {
        let settings = opening.settings;
        loop {
            let mut failed = false;
            let reply = self.replies.next_filtered(|line| {
                if settings.reply_filter.is_empty() {
                    return None;
                }
                filtered(line, &self.peer, opening).unwrap_or_else(|()| {
                    failed = true;
                    None
                })
            });
            if failed {
                return Err(Broken::LocalData);
            }
            let oddities = self.replies.take_oddities();
            if !oddities.is_empty() {
                self.log_oddities(&oddities, opening);
            }
            if let Some(reply) = reply {
                if let Some(transcript) = &mut self.transcript {
                    transcript.received(&reply);
                }
                if self.verbose {
                    reply.text.lines().for_each(|line| info!(opening.log, "< {}: {}", self.peer.name_and_port(), line.as_bstr()));
                }
                return Ok(reply);
            }
            let limit = Instant::now() + settings.timeouts.of(stage);
            let n = limited(self.deadline.unwrap_or(limit), self.stream.read(self.replies.buffer())).await?;
            if n == 0 {
                return Err(Broken::Lost);
            }
        }
    }

    fn log_oddities(&mut self, oddities: &[Oddity], opening: &Opening<'_>) {
        let peer = self.peer.name_and_port();
        for oddity in oddities {
            match oddity {
                Oddity::TooLong(start) => {
                    warn!(opening.log, "{peer}: response longer than {}: {start}...", opening.settings.reply_line_limit)
                }
                Oddity::NoCode(text) if self.features.esmtp => {
                    if let Some(transcript) = &mut self.transcript {
                        transcript.garbage();
                    }
                    warn!(opening.log, "{}: non-ESMTP response from {peer}: {text}", opening.id);
                    self.garbled |= self.features.pipelining;
                    if self.features.pipelining {
                        let maps = opening.settings.discard_maps.title();
                        warn!(
                            opening.log,
                            "to prevent loss of mail, turn off command pipelining for {} with the {maps} parameter", self.peer.address
                        );
                    }
                }
                Oddity::NoCode(_) => {}
            }
        }
    }

    /// Says goodbye, as politely as `smtp_skip_quit_response` asks for.
    pub async fn quit(&mut self, settings: &Settings) {
        self.deadline = None;
        let mut out = b"QUIT\r\n".to_vec();
        if let Some(transcript) = &mut self.transcript {
            transcript.sent(&out);
        }
        if self.send(&mut out, Stage::Quit, settings).await.is_ok() && !settings.skip_quit_response {
            let until = Instant::now() + settings.timeouts.quit;
            while self.replies.next_reply().is_none() {
                match limited(until, self.stream.read(self.replies.buffer())).await {
                    Ok(n) if n > 0 => {}
                    _ => break,
                }
            }
        }
    }

    /// Sends the postmaster the transcript, if there was trouble.
    pub fn notify(&mut self, opening: &Opening<'_>) {
        if let (Some(notices), Some(transcript)) = (opening.notices, &mut self.transcript) {
            notices.send(&self.peer, transcript);
        }
    }

    /// The pause before the final dot that some firewalls need.
    pub async fn pause_before_dot(&mut self, out: &mut Vec<u8>, settings: &Settings) -> Result<(), Broken> {
        if self.delay_dot {
            self.send(out, Stage::Body, settings).await?;
            tokio::time::sleep(settings.pix_delay).await;
        }
        Ok(())
    }

    /// The content is going to be sent: with deadlines per request, one for all of it, put off as data gets through.
    pub fn begin_body(&mut self, settings: &Settings) {
        self.deadline = settings.per_request_deadline.then(|| Instant::now() + settings.timeouts.data_xfer);
    }

    /// `relay=` text.
    pub fn relay(&self) -> String {
        self.peer.name_and_port()
    }
}

/// What `smtp_reply_filter` makes of a line of the server's; an error has been logged.
fn filtered(line: &[u8], peer: &Peer, opening: &Opening<'_>) -> Result<Option<BString>, ()> {
    match opening.settings.reply_filter.find_quietly(line.as_bstr()) {
        Ok(None) => Ok(None),
        Ok(Some(new)) => {
            info!(opening.log, "{}: replacing server reply \"{}\" with \"{new}\"", peer.name_and_port(), printable(line));
            Ok(Some(new))
        }
        Err(error) => {
            warn!(opening.log, "{}: table {} lookup error for {}", opening.id, error.table, printable(line));
            Err(())
        }
    }
}

/// Reads or writes until a moment.
async fn limited<T>(until: Instant, io: impl Future<Output = std::io::Result<T>>) -> Result<T, Broken> {
    match timeout_at(until, io).await {
        Err(_) => Err(Broken::TimedOut),
        Ok(Err(_)) => Err(Broken::Lost),
        Ok(Ok(value)) => Ok(value),
    }
}
