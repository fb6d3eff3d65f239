//! Who has connected: by the socket, or by what a proxy in front says (`smtpd_upstream_proxy_protocol`); then by name.

use crate::Smtpd;
use crate::settings::Settings;
use crate::transport::Transport;
use posthaste_dns::NameStatus as DnsName;
use posthaste_log::warn;
use posthaste_smtp_protocol::haproxy::{self, Fault};
use posthaste_smtp_protocol::server::{Client, NameStatus};
use std::net::SocketAddr;
use tokio::time::{Instant, timeout_at};

/// A client before its first command.
pub struct Arrival {
    pub client: Client,
    /// What it sent behind the proxy's header.
    pub early: Vec<u8>,
    /// There was no header, or a bad one, which has been logged: the client here is the proxy.
    pub fault: bool,
}

impl Arrival {
    /// Reads the proxy's header, if there is to be one, and looks the client's name up.
    pub async fn of(smtpd: &Smtpd, settings: &Settings, transport: &mut Transport) -> Arrival {
        let (mut early, mut fault) = (Vec::new(), false);
        let mut ends = match transport {
            Transport::Tcp(stream) => stream.peer_addr().and_then(|peer| Ok((peer, stream.local_addr()?))).ok(),
            Transport::Unix(_) => None,
        };
        if let Some(limit) = settings.upstream_proxy {
            match header(smtpd, transport, &mut early, Instant::now() + limit).await {
                Ok(told) => ends = told.or(ends),
                Err(text) => {
                    warn!(smtpd.log, "haproxy read: {text}");
                    fault = true;
                    early.clear();
                }
            }
        }
        let client = match (ends, &transport) {
            (Some((peer, own)), _) => identify(smtpd, settings, peer, own).await,
            (None, Transport::Unix(_)) => Client::local(),
            // The client is gone already.
            (None, Transport::Tcp(_)) => {
                Client { name: "unknown".into(), address: "unknown".into(), ip: None, peer: None, ..Client::local() }
            }
        };
        Arrival { client, early, fault }
    }
}

/// Client and server as the header tells them; `None` for the proxy itself. What follows the header stays in `input`. The error is for the log.
async fn header(
    smtpd: &Smtpd,
    transport: &mut Transport,
    input: &mut Vec<u8>,
    until: Instant,
) -> Result<Option<(SocketAddr, SocketAddr)>, String> {
    let _idle = smtpd.setup.idle();
    loop {
        let missing = match haproxy::parse(input) {
            Ok(header) => {
                input.drain(..header.length);
                return Ok(header.ends);
            }
            Err(Fault::Bad(text)) => return Err(haproxy::describe(text, input)),
            Err(Fault::Short(text)) => text,
        };
        match timeout_at(until, transport.read(input)).await {
            Ok(Ok(count)) if count > 0 => {}
            _ if !input.is_empty() => return Err(haproxy::describe(missing, input)),
            Ok(Ok(_)) => return Err("EOF".into()),
            Ok(Err(error)) => return Err(posthaste_config::system_reason(&error)),
            Err(_) => return Err("timeout error".into()),
        }
    }
}

async fn identify(smtpd: &Smtpd, settings: &Settings, peer: SocketAddr, own: SocketAddr) -> Client {
    // IPv4 clients of an IPv6 socket are IPv4 clients.
    let ip = peer.ip().to_canonical();
    let mut client = Client {
        name: "unknown".into(),
        reverse_name: "unknown".into(),
        address: ip.to_string().into(),
        port: peer.port().to_string().into(),
        ip: Some(ip),
        peer: Some(ip),
        name_status: NameStatus::Missing,
        reverse_status: NameStatus::Missing,
        server_address: own.ip().to_canonical().to_string().into(),
        server_port: own.port().to_string().into(),
    };
    if settings.peername_lookup {
        let found = Box::pin(smtpd.resolver.client_name(ip)).await;
        client.name = found.name.into();
        client.reverse_name = found.reverse_name.into();
        client.name_status = status(found.status);
        client.reverse_status = status(found.reverse_status);
    }
    client
}

fn status(status: DnsName) -> NameStatus {
    match status {
        DnsName::Ok => NameStatus::Found,
        DnsName::Temporary => NameStatus::Failed,
        DnsName::NotFound => NameStatus::Missing,
        DnsName::Forged => NameStatus::Forged,
    }
}
