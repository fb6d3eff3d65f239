//! `smtpd_proxy_filter` (SMTPD_PROXY_README): messages go to an SMTP server in front of the queue, and its replies to the client.
//!
//! Each message has a connection of its own. Commands are not pipelined. MAIL and RCPT go on as the client wrote them, but for control characters; the
//! content is taken apart into lines and put together again, each with CRLF and its dots doubled, so that the filter sees the end of the data
//! exactly where this server saw it, however lax it is about line ends.
//!
//! With `speed_adjust` the message is first kept in a file without a name, and the filter is asked when all is there.

use crate::Smtpd;
use crate::endpoint::{self, Endpoint};
use crate::mail::{Mail, rewrites_as_local, write_refusal};
use crate::transport::Stream;
use bstr::{BStr, BString, ByteSlice};
use posthaste_config::ports::Ports;
use posthaste_config::{Config, split_list, system_reason};
use posthaste_log::{Logger, info, warn};
use posthaste_service::Fatal;
use posthaste_smtp_protocol::client::{Discard, Features, Oddity, Reply, ReplyReader, Xforward};
use posthaste_smtp_protocol::server::{Forwarded, NameStatus, Refusal, Session, notice};
use posthaste_smtp_protocol::xtext;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::timeout;

/// What the client hears of a filter that does not work: no internal details.
const BROKEN: &str = "451 4.3.0 Error: queue file write error";
/// Longest reply line taken whole.
const LINE_LIMIT: usize = 2048;
/// How much content is collected before it is written.
const CHUNK: usize = 64 * 1024;

/// Parameters of the filter.
pub struct Settings {
    /// As configured, for the log.
    name: String,
    endpoint: Endpoint,
    /// `smtpd_proxy_ehlo`.
    ehlo: String,
    /// `smtpd_proxy_timeout`: for each step.
    timeout: Duration,
    /// `smtpd_proxy_options = speed_adjust`.
    speed_adjust: bool,
    /// `cleanup_replace_stray_cr_lf`, which cleanup would do behind the filter.
    replace_stray_cr: bool,
}

impl Settings {
    /// `None` without a filter.
    pub fn read(config: &Config) -> Result<Option<Settings>, Fatal> {
        let name = config.text("smtpd_proxy_filter")?;
        if name.is_empty() {
            return Ok(None);
        }
        let options = config.text("smtpd_proxy_options")?;
        if let Some(unknown) = split_list(&options).find(|word| *word != "speed_adjust") {
            return Err(Fatal(format!("unknown smtpd_proxy_options value \"{unknown}\" in \"{options}\"")));
        }
        Ok(Some(Settings {
            endpoint: Endpoint::parse(&name, &Ports::read(config)?)
                .map_err(|error| Fatal(format!("smtpd_proxy_filter = {name}: {error}")))?,
            name,
            ehlo: config.text("smtpd_proxy_ehlo")?,
            timeout: config.time("smtpd_proxy_timeout")?,
            replace_stray_cr: config.bool("cleanup_replace_stray_cr_lf")?,
            speed_adjust: !options.trim().is_empty(),
        }))
    }
}

/// A message on its way to the filter.
pub struct Proxy {
    settings: Rc<Settings>,
    log: Logger,
    client: Client,
    way: Way,
    /// Content as the filter is to get it, not yet written.
    content: Vec<u8>,
    /// Within a line that came in pieces.
    mid_line: bool,
    /// No line of the client's content has come yet.
    first_line: bool,
}

enum Way {
    /// `None` after the connection has failed.
    Direct(Option<Link>),
    /// MAIL and RCPT commands, and a file with the content; `None` when that cannot be written.
    Later { commands: Vec<BString>, file: Option<File> },
}

/// Begins a transaction: connects and sends MAIL, or makes the file.
pub async fn open(
    smtpd: &Smtpd,
    settings: &Rc<Settings>,
    shell: &crate::settings::Settings,
    session: &Session<Mail>,
) -> Result<Proxy, Refusal> {
    let log = &smtpd.log;
    let mail = session.transaction().map(|transaction| transaction.command.clone()).unwrap_or_default();
    let client = Client::new(session, rewrites_as_local(smtpd, shell, session));
    let way = if settings.speed_adjust {
        let file = unnamed_file().map_err(|error| {
            warn!(log, "create a temporary file in incoming: {}", system_reason(&error));
            write_refusal()
        })?;
        Way::Later { commands: vec![mail], file: Some(file) }
    } else {
        let mut link = Link::open(smtpd, settings, &client).await.map_err(|Broken| write_refusal())?;
        link.command(mail.as_bstr(), b'2').await.map_err(refusal)?;
        Way::Direct(Some(link))
    };
    info!(log, "{}: {}", session.queue_id(), session.client_line());
    let settings = Rc::clone(settings);
    Ok(Proxy { settings, log: log.clone(), client, way, content: Vec::new(), mid_line: false, first_line: true })
}

/// In `incoming`, on the queue's file system: room for it is reckoned with (`queue_minfree`).
fn unnamed_file() -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(CWD, "incoming", flags, Mode::RUSR | Mode::WUSR)?.into())
}

impl Proxy {
    /// Passes RCPT or DATA on.
    pub async fn relay(&mut self, command: &BStr, data: bool) -> Result<(), Refusal> {
        match &mut self.way {
            Way::Later { commands, .. } => {
                if !data {
                    commands.push(command.to_owned());
                }
                Ok(())
            }
            Way::Direct(slot) => {
                let Some(link) = slot else { return Err(write_refusal()) };
                // A BDAT command becomes DATA.
                let done = if data { link.start_content().await } else { link.command(command, b'2').await };
                if let Err(Failure::Broken) = &done {
                    *slot = None;
                }
                done.map_err(refusal)
            }
        }
    }

    /// A line of content that precedes the client's.
    pub fn header(&mut self, line: &BStr) {
        self.put(line, true);
    }

    /// A line of the client's content, or a piece of one.
    pub fn line(&mut self, text: &BStr, whole: bool) {
        if std::mem::take(&mut self.first_line) && text.first().is_some_and(|c| matches!(c, b' ' | b'\t')) {
            // It would continue our Received: header.
            self.put(BStr::new(b""), true);
        }
        self.put(text, whole);
    }

    fn put(&mut self, text: &BStr, whole: bool) {
        let start = self.content.len();
        stuff(&mut self.content, text, self.mid_line);
        if self.settings.replace_stray_cr && text.contains(&b'\r') {
            // A lax filter may take a stray CR for the end of a line, and the dot behind it for the end of the message. Others may be signed.
            for at in start..self.content.len() {
                let next = self.content.get(at + 1);
                if self.content[at] == b'\r' && next.map_or(!whole, |next| *next == b'.') {
                    self.content[at] = b' ';
                }
            }
        }
        if whole {
            self.content.extend_from_slice(b"\r\n");
        }
        // An empty piece does not begin a line: the dot may come with the next one.
        self.mid_line = !whole && (self.mid_line || !text.is_empty());
        if let Way::Later { file, .. } = &mut self.way
            && self.content.len() >= CHUNK
        {
            spool(file, &mut self.content, &self.log);
        }
    }

    /// Writes what has come. A connection that fails is told of at the end of the message.
    pub async fn flush(&mut self) {
        if self.content.is_empty() {
            return;
        }
        match &mut self.way {
            Way::Later { file, .. } => spool(file, &mut self.content, &self.log),
            Way::Direct(slot) => {
                if let Some(link) = slot
                    && link.write(&self.content).await.is_err()
                {
                    *slot = None;
                }
                self.content.clear();
            }
        }
    }

    /// All content is there: the filter's last word, whatever it is.
    pub async fn finish(mut self, smtpd: &Smtpd) -> String {
        self.flush().await;
        let said = match &mut self.way {
            Way::Direct(Some(link)) => link.end_content().await,
            Way::Direct(None) | Way::Later { file: None, .. } => Err(Failure::Broken),
            Way::Later { commands, file: Some(file) } => later(smtpd, &self.settings, &self.client, commands, file).await,
        };
        match said {
            Ok(reply) => reply,
            Err(failure) => refusal(failure).reply,
        }
    }
}

/// Gives the filter a message that was kept. The first refusal counts for the whole of it.
async fn later(smtpd: &Smtpd, settings: &Rc<Settings>, client: &Client, commands: &[BString], file: &mut File) -> Result<String, Failure> {
    let mut link = Link::open(smtpd, settings, client).await.map_err(|Broken| Failure::Broken)?;
    for command in commands {
        link.command(command.as_bstr(), b'2').await?;
    }
    link.start_content().await?;
    let broken = |error: io::Error| {
        warn!(smtpd.log, "read a temporary file: {}", system_reason(&error));
        Failure::Broken
    };
    file.rewind().map_err(broken)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer).map_err(broken)? {
            0 => break,
            count => link.write(&buffer[..count]).await.map_err(|Broken| Failure::Broken)?,
        }
    }
    link.end_content().await
}

fn spool(file: &mut Option<File>, content: &mut Vec<u8>, log: &Logger) {
    if let Some(open) = file
        && let Err(error) = open.write_all(content)
    {
        warn!(log, "write a temporary file: {}", system_reason(&error));
        *file = None;
    }
    content.clear();
}

/// Appends a line with its leading dot doubled (RFC 5321 §4.5.2); `inside` a line a dot is no leading one.
fn stuff(out: &mut Vec<u8>, text: &[u8], inside: bool) {
    if !inside && text.first() == Some(&b'.') {
        out.push(b'.');
    }
    out.extend_from_slice(text);
}

/// The filter cannot be spoken to; why has been logged.
struct Broken;

enum Failure {
    Broken,
    /// This reply was not what was wanted.
    Refused(String),
}

impl From<Broken> for Failure {
    fn from(Broken: Broken) -> Failure {
        Failure::Broken
    }
}

/// What the client hears of it.
fn refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::Refused(reply) if reply.starts_with(['4', '5']) => Refusal { reply, class: notice::POLICY, log: false },
        // Anything else makes no sense at this point.
        Failure::Refused(_) | Failure::Broken => Refusal { reply: BROKEN.into(), class: notice::RESOURCE, log: false },
    }
}

/// A connection to the filter.
struct Link {
    stream: Stream,
    replies: ReplyReader,
    settings: Rc<Settings>,
    log: Logger,
    /// Content is on its way: a command would become part of it.
    in_content: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.in_content {
            self.stream.try_write(b"QUIT\r\n");
        }
    }
}

impl Link {
    /// Connects, says hello, and who the client is.
    async fn open(smtpd: &Smtpd, settings: &Rc<Settings>, client: &Client) -> Result<Link, Broken> {
        let log = &smtpd.log;
        let connected = timeout(settings.timeout, settings.endpoint.connect(&smtpd.resolver, log)).await;
        let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
            let reason = endpoint::reason(&error);
            warn!(log, "connect to proxy filter {}: {reason}", settings.name);
            Broken
        })?;
        let mut link =
            Link { stream, replies: ReplyReader::new(LINE_LIMIT), settings: Rc::clone(settings), log: log.clone(), in_content: false };
        link.expect("connection request", b'2').await.map_err(|_| Broken)?;
        let ehlo = format!("EHLO {}", settings.ehlo);
        let reply = link.ask(ehlo.as_bytes().as_bstr(), b'2').await.map_err(|_| Broken)?;
        let (features, _) = Features::parse(&reply, &Discard::default());
        for command in client.xforward(features.xforward) {
            link.ask(command.as_bstr(), b'2').await.map_err(|_| Broken)?;
        }
        Ok(link)
    }

    /// A command whose reply has to begin with `wanted`.
    async fn command(&mut self, command: &BStr, wanted: u8) -> Result<(), Failure> {
        self.ask(command, wanted).await.map(drop)
    }

    async fn start_content(&mut self) -> Result<(), Failure> {
        self.command(BStr::new("DATA"), b'3').await?;
        self.in_content = true;
        Ok(())
    }

    /// The end of the content, and any reply to it.
    async fn end_content(&mut self) -> Result<String, Failure> {
        self.write(b".\r\n").await?;
        let reply = self.reply().await?;
        self.in_content = false;
        Ok(text(&reply))
    }

    async fn ask(&mut self, command: &BStr, wanted: u8) -> Result<Reply, Failure> {
        self.write(&[command.as_bytes(), b"\r\n"].concat()).await?;
        self.expect(&command.to_str_lossy(), wanted).await
    }

    async fn expect(&mut self, what: &str, wanted: u8) -> Result<Reply, Failure> {
        let reply = self.reply().await?;
        if reply.text.first() == Some(&wanted) {
            return Ok(reply);
        }
        let said = text(&reply);
        warn!(self.log, "proxy {} rejected \"{what}\": \"{}\"", self.settings.name, said.replace("\r\n", "??"));
        Err(Failure::Refused(said))
    }

    async fn reply(&mut self) -> Result<Reply, Broken> {
        let (stream, replies, log, name) = (&mut self.stream, &mut self.replies, &self.log, &self.settings.name);
        let read = async {
            loop {
                let reply = replies.next_reply();
                for oddity in replies.take_oddities() {
                    match oddity {
                        Oddity::TooLong(start) => warn!(log, "{name}: reply longer than {LINE_LIMIT}: {start}..."),
                        Oddity::NoCode(line) => warn!(log, "received garbage from proxy {name}: {}", line[..line.len().min(100)].as_bstr()),
                    }
                }
                if let Some(reply) = reply {
                    return Ok(reply);
                }
                if stream.read(replies.buffer()).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
            }
        };
        match timeout(self.settings.timeout, read).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(self.timed_out()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        match timeout(self.settings.timeout, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(self.timed_out()),
        }
    }

    fn lost(&self) -> Broken {
        warn!(self.log, "lost connection with proxy {}", self.settings.name);
        Broken
    }

    fn timed_out(&self) -> Broken {
        warn!(self.log, "timeout talking to proxy {}", self.settings.name);
        Broken
    }
}

/// All lines of a reply, as they go to the client.
fn text(reply: &Reply) -> String {
    let clean: String = reply.text.to_str_lossy().chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect();
    clean.replace('\n', "\r\n")
}

/// What XFORWARD tells of the client.
struct Client {
    attributes: [(&'static str, BString); 7],
}

impl Client {
    /// `local`: its mail is completed as that of local clients.
    fn new(session: &Session<Mail>, local: bool) -> Client {
        let client = session.client();
        let known = |text: &BString| if text.is_empty() || text == "unknown" { unavailable() } else { xtext::encode(text) };
        let optional = |text: Option<&BStr>| text.map_or_else(unavailable, |text| xtext::encode(text));
        let forwarded = session.forwarded();
        let local = forwarded.and_then(|forwarded| forwarded.local).unwrap_or(local);
        let source = BString::from(if local { "LOCAL" } else { "REMOTE" });
        let ident = optional(forwarded.and_then(|forwarded| forwarded.ident.as_ref()).map(|ident| ident.as_bstr()));
        let attributes = match session.forwarded_client() {
            Some(Forwarded { name, rfc_address, port, protocol, helo, .. }) => [
                ("NAME", known(name)),
                ("ADDR", known(rfc_address)),
                ("PORT", known(port)),
                ("HELO", optional(helo.as_ref().map(|helo| helo.as_bstr()))),
                ("IDENT", ident),
                ("PROTO", known(protocol)),
                ("SOURCE", source),
            ],
            None => [
                ("NAME", if client.name_status == NameStatus::Failed { "[TEMPUNAVAIL]".into() } else { known(&client.name) }),
                ("ADDR", known(&client.rfc_address())),
                ("PORT", known(&client.port)),
                ("HELO", optional(session.helo())),
                ("IDENT", ident),
                ("PROTO", session.protocol().into()),
                ("SOURCE", source),
            ],
        };
        Client { attributes }
    }

    /// The commands, for the attributes that the filter takes. None is longer than a command may be (RFC 5321 §4.5.3.1.4), unless a value is.
    fn xforward(&self, takes: Xforward) -> Vec<BString> {
        const COMMAND: &str = "XFORWARD";
        let taken = [takes.name, takes.addr, takes.port, takes.helo, takes.ident, takes.proto, takes.source];
        let mut commands = Vec::new();
        let mut command = BString::from(COMMAND);
        for ((name, value), _) in self.attributes.iter().zip(taken).filter(|(_, taken)| *taken) {
            if command.len() > COMMAND.len() && command.len() + name.len() + value.len() + 4 > 512 {
                commands.push(std::mem::replace(&mut command, COMMAND.into()));
            }
            command.extend_from_slice(format!(" {name}=").as_bytes());
            command.extend_from_slice(value);
        }
        if command.len() > COMMAND.len() {
            commands.push(command);
        }
        commands
    }
}

fn unavailable() -> BString {
    "[UNAVAILABLE]".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-FILTER-13: no line of the content can be taken for its end, also by a server that takes bare CR or LF for a line end.
    #[test]
    fn dots_are_doubled() {
        let mut out = Vec::new();
        for (text, inside) in [(&b"."[..], false), (b"..", false), (b".\r", false), (b"a", false), (b".b", true)] {
            stuff(&mut out, text, inside);
            out.push(b'|');
        }
        assert_eq!(out.as_bstr(), "..|...|..\r|a|.b|");
    }

    #[test]
    fn refusals_of_the_filter_go_through_and_other_trouble_does_not() {
        assert_eq!(refusal(Failure::Refused("550 5.1.1 no".into())).reply, "550 5.1.1 no");
        assert_eq!(refusal(Failure::Refused("354 odd".into())).reply, BROKEN);
        assert_eq!(refusal(Failure::Broken).reply, BROKEN);
    }

    /// XFORWARD_README: attributes that the server announced, in lines of bearable length.
    #[test]
    fn xforward_commands() {
        let long = BString::from("h".repeat(490));
        let values = [("NAME", "a".into()), ("ADDR", "b".into()), ("PORT", "1".into()), ("HELO", long.clone()), ("IDENT", unavailable())];
        let [a, b, c, d, e] = values;
        let client = Client { attributes: [a, b, c, d, e, ("PROTO", "ESMTP".into()), ("SOURCE", "REMOTE".into())] };
        let all = Xforward { name: true, addr: true, port: true, proto: true, helo: true, ident: true, source: true };
        let some = Xforward { addr: true, source: true, ..Xforward::default() };
        assert_eq!(
            client.xforward(all),
            [
                BString::from("XFORWARD NAME=a ADDR=b PORT=1"),
                format!("XFORWARD HELO={long}").into(),
                "XFORWARD IDENT=[UNAVAILABLE] PROTO=ESMTP SOURCE=REMOTE".into()
            ]
        );
        assert_eq!(client.xforward(some), ["XFORWARD ADDR=b SOURCE=REMOTE"]);
        assert!(client.xforward(Xforward::default()).is_empty());
    }

    #[test]
    fn replies_keep_their_lines_and_nothing_else() {
        let mut reader = ReplyReader::new(LINE_LIMIT);
        reader.feed(b"554-5.7.0 one\x07\r\n554 5.7.0 two\r\n");
        assert_eq!(text(&reader.next_reply().unwrap()), "554-5.7.0 one?\r\n554 5.7.0 two");
    }
}
