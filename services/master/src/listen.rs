//! The sockets of an entry.

use posthaste_config::network::Protocols;
use posthaste_config::ports::Ports;
use posthaste_config::{Config, MasterEntry, ServiceKind, split_list, system_reason as text};
use posthaste_system::credentials::Identity;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

/// What master needs to know of main.cf to listen.
pub(crate) struct Settings {
    interfaces: Vec<IpAddr>,
    protocols: Protocols,
    ports: Ports,
    /// Connections that may wait for a service.
    backlog: i32,
    /// `tcp_windowsize`; 0: as the system has it.
    window: usize,
    /// Who owns the sockets; `None` when master runs without root.
    pub(crate) owner: Option<Identity>,
}

impl Settings {
    pub(crate) fn read(config: &Config, owner: Option<Identity>) -> Result<Settings, String> {
        let text = |name| config.text(name).map_err(|error| error.to_string());
        let protocols = config.protocols().map_err(|error| error.to_string())?;
        let protocols = Protocols { ipv6: protocols.ipv6 && has_ipv6(), ..protocols };
        let ports = Ports::read(config).map_err(|error| error.to_string())?;
        let limit = config.int("default_process_limit").map_err(|error| error.to_string())?;
        let window = config.int("tcp_windowsize").map_err(|error| error.to_string())?;
        let interfaces = interfaces(&text("inet_interfaces")?, protocols)?;
        Ok(Settings {
            interfaces,
            protocols,
            ports,
            backlog: limit.clamp(1024, 65535) as i32,
            window: usize::try_from(window).unwrap_or(0),
            owner,
        })
    }

    /// Keeps listening where `now` does: addresses change only with a new start, as in Postfix, so that a mistake in `inet_interfaces` does not
    /// cut a running host off. `true`: these settings would have had others.
    pub(crate) fn keep_interfaces(&mut self, now: &Settings) -> bool {
        let differ = self.interfaces != now.interfaces;
        self.interfaces.clone_from(&now.interfaces);
        differ
    }
}

/// The addresses on which services without a host in their name listen: for `all` the wildcard addresses, so that an interface that comes
/// up later is served too.
fn interfaces(names: &str, protocols: Protocols) -> Result<Vec<IpAddr>, String> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for name in split_list(names) {
        match name.to_ascii_lowercase().as_str() {
            "all" => addresses.extend([IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]),
            "loopback-only" => addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]),
            _ => {
                let host = name.trim_start_matches('[').trim_end_matches(']');
                let found = (host, 0).to_socket_addrs().map_err(|_| format!("config variable inet_interfaces: host not found: {name}"))?;
                addresses.extend(found.map(|address| address.ip()));
            }
        }
    }
    let mut unique: Vec<IpAddr> = Vec::new();
    for address in addresses.into_iter().filter(|address| protocols.allow(address)) {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    Ok(unique)
}

fn has_ipv6() -> bool {
    Socket::new(Domain::IPV6, Type::STREAM, None).is_ok()
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Inet(SocketAddr),
    Unix(PathBuf),
    Dgram(PathBuf),
    Fifo(PathBuf),
}

impl Endpoint {
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Endpoint::Inet(_) => None,
            Endpoint::Unix(path) | Endpoint::Dgram(path) | Endpoint::Fifo(path) => Some(path),
        }
    }
}

/// Where an entry listens. The error is the text after `fatal: `.
pub(crate) fn endpoints(entry: &MasterEntry, settings: &Settings, file: &Path) -> Result<Vec<Endpoint>, String> {
    let path = || PathBuf::from(entry.socket().unwrap_or_default());
    match entry.kind {
        ServiceKind::Unix | ServiceKind::Pass => Ok(vec![Endpoint::Unix(path())]),
        ServiceKind::UnixDatagram => Ok(vec![Endpoint::Dgram(path())]),
        ServiceKind::Fifo => Ok(vec![Endpoint::Fifo(path())]),
        ServiceKind::Inet => inet(entry, settings, file),
    }
}

/// Whether an entry listens on the addresses of `inet_interfaces`.
pub(crate) fn follows_interfaces(entry: &MasterEntry) -> bool {
    entry.kind == ServiceKind::Inet && host_and_service(&entry.service).0.is_empty()
}

fn inet(entry: &MasterEntry, settings: &Settings, file: &Path) -> Result<Vec<Endpoint>, String> {
    let (host, service) = host_and_service(&entry.service);
    let bad = || format!("{}: line {}: bad hostname or network address: {}", file.display(), entry.line, entry.service);
    let port =
        |shown: &str| settings.ports.find(service).ok_or_else(|| format!("{shown}:{service}: Servname not supported for ai_socktype"));
    if host.is_empty() {
        if settings.interfaces.is_empty() {
            return Err(format!("{}: line {}: no valid IP address found: {}", file.display(), entry.line, entry.service));
        }
        let port = port(&settings.interfaces[0].to_string())?;
        return Ok(settings.interfaces.iter().map(|&address| Endpoint::Inet(SocketAddr::new(address, port))).collect());
    }
    let port = port(host)?;
    let found = (host, port).to_socket_addrs().map_err(|_| bad())?;
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for address in found {
        if settings.protocols.allow(&address.ip()) && !endpoints.contains(&Endpoint::Inet(address)) {
            endpoints.push(Endpoint::Inet(address));
        }
    }
    if endpoints.is_empty() { Err(bad()) } else { Ok(endpoints) }
}

/// `host:service`, `[v6]:service` or `service`.
fn host_and_service(name: &str) -> (&str, &str) {
    if let Some((host, service)) = name.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return (host, service);
    }
    name.rsplit_once(':').unwrap_or(("", name))
}

/// Opens a listening socket. The error is the text after `fatal: `.
pub(crate) fn open(endpoint: &Endpoint, settings: &Settings) -> Result<OwnedFd, String> {
    match endpoint {
        Endpoint::Inet(address) => {
            tcp(*address, settings).map_err(|error| format!("bind {} port {}: {}", address.ip(), address.port(), text(&error)))
        }
        Endpoint::Unix(path) => local(path, Type::STREAM, settings).map_err(|error| format!("bind: {}: {}", path.display(), text(&error))),
        Endpoint::Dgram(path) => local(path, Type::DGRAM, settings).map_err(|error| format!("bind: {}: {}", path.display(), text(&error))),
        Endpoint::Fifo(path) => fifo(path, settings).map_err(|error| format!("create fifo {}: {}", path.display(), text(&error))),
    }
}

fn tcp(address: SocketAddr, settings: &Settings) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Accepted connections inherit these two on Linux, so that no service spends a system call on them for each client.
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    // Before the socket listens: a window is agreed upon when a connection is made.
    if settings.window > 0 {
        socket.set_send_buffer_size(settings.window)?;
        socket.set_recv_buffer_size(settings.window)?;
    }
    socket.bind(&address.into())?;
    socket.listen(settings.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn local(path: &Path, kind: Type, settings: &Settings) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    socket.bind(&SockAddr::unix(path)?)?;
    // Who may connect is decided by the directory: private/ or public/.
    rustix::fs::chmod(path, Mode::from_raw_mode(0o666))?;
    own(path, settings)?;
    if kind == Type::STREAM {
        socket.listen(settings.backlog)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn fifo(path: &Path, settings: &Settings) -> io::Result<OwnedFd> {
    let mode = Mode::from_raw_mode(0o622);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0)?;
    rustix::fs::chmod(path, mode)?;
    own(path, settings)?;
    // Open for writing too: otherwise it reads as ended whenever no writer is there, and would always be ready.
    Ok(rustix::fs::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}

fn own(path: &Path, settings: &Settings) -> io::Result<()> {
    if let Some(owner) = settings.owner {
        rustix::fs::chownat(CWD, path, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Sends the wake-up byte to a service, as a client of its socket. Does not wait: when nobody takes it now, the service has enough to do.
pub(crate) fn wake(endpoint: &Endpoint) -> io::Result<()> {
    match endpoint {
        Endpoint::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(&SockAddr::unix(path)?)?;
            socket.send(b"W").map(drop)
        }
        Endpoint::Fifo(path) => {
            let pipe = rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
            rustix::io::write(&pipe, b"W").map(drop).map_err(io::Error::from)
        }
        Endpoint::Inet(address) => {
            let mut address = *address;
            if address.ip().is_unspecified() {
                address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
            }
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.connect_timeout(&address.into(), std::time::Duration::from_secs(1))?;
            socket.send(b"W").map(drop)
        }
        Endpoint::Dgram(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-MASTER-04.
    #[test]
    fn names_of_inet_services() {
        assert_eq!(host_and_service("smtp"), ("", "smtp"));
        assert_eq!(host_and_service(":25"), ("", "25"));
        assert_eq!(host_and_service("127.0.0.1:10026"), ("127.0.0.1", "10026"));
        assert_eq!(host_and_service("[::1]:2525"), ("::1", "2525"));
        assert_eq!(host_and_service("::1:2525"), ("::1", "2525"));
    }

    #[test]
    fn all_interfaces_are_the_wildcard_addresses_of_the_protocols_in_use() {
        let only4 = Protocols { ipv4: true, ipv6: false };
        assert_eq!(interfaces("all", only4), Ok(vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)]));
        assert_eq!(interfaces("loopback-only, 127.0.0.1", only4), Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
        assert_eq!(interfaces("[::1] 127.0.0.1", Protocols { ipv4: false, ipv6: true }), Ok(vec![IpAddr::V6(Ipv6Addr::LOCALHOST)]));
        assert!(interfaces("no.such.host.invalid", only4).is_err());
    }
}
