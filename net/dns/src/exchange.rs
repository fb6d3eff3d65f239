//! Asking the servers: UDP, TCP where the answer is long, the next server, and another round, as libresolv does.

use crate::system::ResolvConf;
use crate::wire::{Found, Question, Reply};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Largest datagram read: more than any reply to what we ask for.
const DATAGRAM: usize = 4096;

/// Numbers that a stranger cannot guess, without a system call: SipHash over a counter, keyed by the system's random source.
#[derive(Debug, Default)]
pub struct Random {
    key: RandomState,
    counter: AtomicU64,
}

impl Random {
    /// The next number.
    pub fn number(&self) -> u64 {
        let mut hasher = self.key.build_hasher();
        hasher.write_u64(self.counter.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }
}

/// Asks until a server answers; `None` when none did in all rounds.
///
/// Timeouts are libresolv's: `timeout` in the first round; doubled in each further round, then divided by the number of servers.
pub async fn ask(conf: &ResolvConf, question: &Question, random: &Random) -> Option<Found> {
    let servers = conf.servers.len();
    let first = if conf.rotate { random.number() as usize % servers } else { 0 };
    let mut format_error = false;
    for round in 0..conf.attempts {
        let mut wait = conf.timeout * (1 << round);
        if round > 0 {
            wait /= servers as u32;
        }
        for i in 0..servers {
            let server = conf.servers[(first + i) % servers];
            match ask_one(server, question, random, wait.max(Duration::from_secs(1)), conf.use_vc).await {
                Some(Reply::Found(found)) => return Some(found),
                Some(Reply::FormatError) => format_error = true,
                _ => {}
            }
        }
    }
    format_error.then(|| Found { reason: Some(crate::Reason::NonRecoverable), ..Found::default() })
}

async fn ask_one(server: SocketAddr, question: &Question, random: &Random, wait: Duration, tcp: bool) -> Option<Reply> {
    let reply = exchange(server, question, random, wait, tcp).await?;
    if reply == Reply::FormatError && question.edns {
        // An old server that does not know EDNS (RFC 6891 §7). DNSSEC is lost with it.
        let plain = Question { edns: false, dnssec: false, ..question.clone() };
        return exchange(server, &plain, random, wait, tcp).await;
    }
    Some(reply)
}

async fn exchange(server: SocketAddr, question: &Question, random: &Random, wait: Duration, tcp: bool) -> Option<Reply> {
    let id = random.number() as u16;
    let query = question.encode(id)?;
    if !tcp {
        match timeout(wait, by_udp(server, question, id, &query)).await.ok()?.ok()? {
            Reply::Truncated => {}
            reply => return Some(reply),
        }
    }
    match timeout(wait, by_tcp(server, question, id, &query)).await.ok()?.ok()? {
        Reply::Truncated | Reply::NotOurs => None,
        reply => Some(reply),
    }
}

/// A socket of its own for each question: the kernel picks a fresh random port, which a forger has to guess besides the id.
async fn by_udp(server: SocketAddr, question: &Question, id: u16, query: &[u8]) -> io::Result<Reply> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    // Connected: the kernel drops what others send, and tells us when nobody listens there.
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = [0; DATAGRAM];
    loop {
        let n = socket.recv(&mut buffer).await?;
        match question.decode(id, &buffer[..n]) {
            Reply::NotOurs => {}
            reply => return Ok(reply),
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Question, id: u16, query: &[u8]) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(server).await?;
    let mut framed = Vec::with_capacity(query.len() + 2);
    framed.extend_from_slice(&(query.len() as u16).to_be_bytes());
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).await?;
    Ok(question.decode(id, &reply))
}
