//! The conversations.

use crate::message::{Payload, headers, payload};
use crate::options::{Options, Pause, Target};
use posthaste_config::system_reason;
use posthaste_log::{Logger, info, warn};
use posthaste_smtp_protocol::client::{Reply, ReplyReader};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UnixStream, lookup_host};
use tokio::task::JoinSet;

/// Time limit of one reply, as in Postfix's program.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What all sessions share.
pub struct Run {
    options: Options,
    log: Logger,
    payload: RefCell<Rc<Payload>>,
    /// Messages that nobody has begun.
    left: Cell<u64>,
    sent: Cell<u64>,
    /// For `-N`.
    sequence: Cell<u64>,
    random: RandomState,
}

impl Run {
    pub fn new(options: Options, log: Logger) -> Run {
        let left = Cell::new(options.messages);
        let payload = RefCell::new(Rc::new(Payload::Body(Vec::new())));
        Run { options, log, payload, left, sent: Cell::new(0), sequence: Cell::new(0), random: RandomState::new() }
    }

    /// Whether there is a message to send; it is then the caller's.
    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    fn count(&self) {
        self.sent.set(self.sent.get() + 1);
        if self.options.counter {
            print!("{}\r", self.sent.get());
            let _ = io::stdout().flush();
        }
    }

    fn next_number(&self) -> u64 {
        self.sequence.set(self.sequence.get() + 1);
        self.sequence.get()
    }

    async fn pause(&self) {
        match self.options.pause {
            Pause::None => {}
            Pause::Fixed(time) => tokio::time::sleep(time).await,
            Pause::Random(most) => {
                let mut hasher = self.random.build_hasher();
                hasher.write_u64(self.sent.get());
                let millis = hasher.finish() % (most.as_millis() as u64 + 1);
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
        }
    }
}

/// Runs all sessions until all messages are sent, or one goes wrong.
pub async fn run_all(run: Rc<Run>) -> Result<(), String> {
    *run.payload.borrow_mut() = Rc::new(payload(&run.options)?);
    let mut sessions = JoinSet::new();
    for number in 0..run.options.sessions {
        let run = Rc::clone(&run);
        sessions.spawn_local(async move { session(&run, number).await });
    }
    while let Some(ended) = sessions.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// Connects, sends, and begins anew for as long as there are messages.
async fn session(run: &Run, number: u32) -> Result<(), String> {
    let mut first = true;
    while run.take() {
        if !std::mem::replace(&mut first, false) {
            run.pause().await;
        }
        match &run.options.target {
            Target::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| format!("connect: {}", system_reason(&error)))?;
                conversation(run, number, stream).await?;
            }
            Target::Inet(host, port) => conversation(run, number, connect(run, host, port).await?).await?,
        }
    }
    Ok(())
}

async fn connect(run: &Run, host: &str, port: &str) -> Result<tokio::net::TcpStream, String> {
    let options = &run.options;
    let number = match port {
        "smtp" => 25,
        "lmtp" => 24,
        "submission" => 587,
        port => port.parse().map_err(|_| format!("{host}:{port}: Servname not supported for ai_socktype"))?,
    };
    let found = lookup_host((host, number)).await.map_err(|error| {
        let text = error.to_string();
        let text = text.rsplit_once("information: ").map_or(text.as_str(), |(_, reason)| reason);
        format!("{host}:{port}: {text}")
    })?;
    let addresses: Vec<_> = found.filter(|a| if a.is_ipv4() { options.ipv4 } else { options.ipv6 }).collect();
    let mut tries = options.tries;
    loop {
        let mut last = "No address associated with hostname".to_owned();
        for address in &addresses {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
            let socket = socket.map_err(|error| format!("socket: {}", system_reason(&error)))?;
            if options.window > 0 {
                let _ = socket.set_recv_buffer_size(options.window);
                let _ = socket.set_send_buffer_size(options.window);
            }
            let _ = socket.set_nodelay(true);
            match socket.connect(*address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = system_reason(&error),
            }
        }
        tries -= 1;
        if tries == 0 {
            return Err(format!("connect: {last}"));
        }
        warn!(run.log, "connect: {last}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Talk<'a, S> {
    run: &'a Run,
    stream: S,
    replies: ReplyReader,
}

/// What became of a command.
enum Answer {
    Good,
    /// Not the reply expected, and `-A` says to go on.
    Bad,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn command(&mut self, line: &str) -> Result<(), String> {
        if self.run.options.verbose {
            info!(self.run.log, "{line}");
        }
        self.write(format!("{line}\r\n").as_bytes(), "sending command").await
    }

    async fn write(&mut self, bytes: &[u8], doing: &str) -> Result<(), String> {
        match tokio::time::timeout(TIMEOUT, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(format!("lost connection while {doing}")),
            Err(_) => Err(format!("timeout while {doing}")),
        }
    }

    async fn reply(&mut self, doing: &str) -> Result<Reply, String> {
        loop {
            if let Some(reply) = self.replies.next_reply() {
                if self.run.options.verbose {
                    reply.text.split(|&c| c == b'\n').for_each(|line| info!(self.run.log, "<<< {}", bstr::BStr::new(line)));
                }
                return Ok(reply);
            }
            let buffer = self.replies.buffer();
            buffer.reserve(2048);
            match tokio::time::timeout(TIMEOUT, self.stream.read_buf(buffer)).await {
                Ok(Ok(n)) if n > 0 => {}
                Ok(_) => return Err(format!("lost connection while {doing}")),
                Err(_) => return Err(format!("timeout while {doing}")),
            }
        }
    }

    /// Sends a command and wants a reply of this class.
    async fn expect(&mut self, line: &str, class: u16, what: &str, doing: &str) -> Result<Answer, String> {
        self.command(line).await?;
        self.expect_reply(class, what, doing).await
    }

    async fn expect_reply(&mut self, class: u16, what: &str, doing: &str) -> Result<Answer, String> {
        let reply = self.reply(doing).await?;
        if reply.class() == class {
            return Ok(Answer::Good);
        }
        let text = format!("{what}: {}", reply.printable());
        if !self.run.options.keep_going {
            return Err(text);
        }
        warn!(self.run.log, "{text}");
        Ok(Answer::Bad)
    }
}

/// One connection: the message that was taken, and more of them with `-d`.
async fn conversation<S: AsyncRead + AsyncWrite + Unpin>(run: &Run, number: u32, stream: S) -> Result<(), String> {
    let options = &run.options;
    let mut talk = Talk { run, stream, replies: ReplyReader::new(2048) };
    if let Answer::Bad = talk.expect_reply(2, "connect rejected", "receiving greeting").await? {
        return Ok(());
    }
    if !options.old {
        let verb = if options.lmtp { "LHLO" } else { "HELO" };
        let hello = format!("{verb} {}", options.hostname);
        if let Answer::Bad = talk.expect(&hello, 2, &format!("{verb} rejected"), &format!("sending {verb}")).await? {
            return Ok(());
        }
    }
    loop {
        if let Answer::Bad = message(run, number, &mut talk).await? {
            talk.expect("RSET", 2, "RSET rejected", "sending RSET").await?;
        }
        if !options.keep_connection || !run.take() {
            break;
        }
        run.pause().await;
    }
    talk.command("QUIT").await?;
    // Some servers hang up without an answer.
    let _ = talk.reply("sending QUIT").await;
    Ok(())
}

async fn message<S: AsyncRead + AsyncWrite + Unpin>(run: &Run, number: u32, talk: &mut Talk<'_, S>) -> Result<Answer, String> {
    let options = &run.options;
    if let Answer::Bad = talk.expect(&format!("MAIL FROM:<{}>", options.from), 2, "sender rejected", "sending sender").await? {
        return Ok(Answer::Bad);
    }
    for left in (1..=options.recipients).rev() {
        let prefix = match (options.number, left) {
            (true, _) => run.next_number().to_string(),
            (false, 1) => String::new(),
            (false, left) => left.to_string(),
        };
        if let Answer::Bad = talk.expect(&format!("RCPT TO:<{prefix}{}>", options.to), 2, "recipient rejected", "sending recipient").await?
        {
            return Ok(Answer::Bad);
        }
    }
    if let Answer::Bad = talk.expect("DATA", 3, "data rejected", "sending DATA command").await? {
        return Ok(Answer::Bad);
    }
    let payload = Rc::clone(&run.payload.borrow());
    let mut text = Vec::new();
    match &*payload {
        Payload::File(bytes) => text.extend_from_slice(bytes),
        Payload::Body(bytes) => {
            if !options.old {
                let date = posthaste_queue::clock::mail_date(SystemTime::now());
                let id = format!("{:04x}.{number:04x}.{:04x}", std::process::id(), run.left.get());
                text.extend_from_slice(headers(options, &date, &id).as_bytes());
            }
            text.extend_from_slice(bytes);
        }
    }
    text.extend_from_slice(b".\r\n");
    if options.verbose {
        info!(run.log, ".");
    }
    talk.write(&text, "sending message").await?;
    let replies = if options.lmtp { options.recipients } else { 1 };
    let mut answer = Answer::Good;
    for _ in 0..replies {
        if let Answer::Bad = talk.expect_reply(2, "end of data rejected", "sending message").await? {
            answer = Answer::Bad;
        }
    }
    if let Answer::Good = answer {
        run.count();
    }
    Ok(answer)
}
