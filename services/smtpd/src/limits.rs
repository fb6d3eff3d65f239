//! Limits per client: connections at one time, and rates of connections, messages and recipients (anvil(8)).
//!
//! All clients of a master.cf entry are in one process, so the counts are here and no other process is asked.

use crate::statistics::{Measure, Statistics};
use posthaste_config::{Config, split_list};
use posthaste_log::Logger;
use posthaste_service::Fatal;
use posthaste_smtp_protocol::server::Client;
use posthaste_table::AddressList;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Counts and limits.
pub struct Limits {
    /// `smtpd_client_port_logging`.
    log_port: bool,
    count: u32,
    rates: [u32; 3],
    window: Duration,
    ipv4_bits: u8,
    ipv6_bits: u8,
    exceptions: AddressList,
    service: String,
    clients: RefCell<HashMap<IpAddr, Counts>>,
    /// When clients were last forgotten.
    forgotten: Cell<Instant>,
    statistics: Statistics,
    /// `anvil_status_update_time`.
    pub update_time: Duration,
}

#[derive(Debug)]
struct Counts {
    connections: u32,
    since: Instant,
    events: [u32; 3],
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Connection,
    Message,
    Recipient,
}

/// A limit that was exceeded.
#[derive(Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The line for the log, as a warning.
    pub log: String,
}

impl Limits {
    /// For a service by its name in master.cf.
    pub fn open(config: &Config, service: &str) -> Result<Limits, Fatal> {
        let number = |name: &str| -> Result<u32, Fatal> { Ok(u32::try_from(config.int(name)?.max(0)).unwrap_or(u32::MAX)) };
        let bits = |name: &str| -> Result<u8, Fatal> { Ok(u8::try_from(config.int(name)?).unwrap_or(u8::MAX)) };
        let parents = config.text("parent_domain_matches_subdomains")?;
        let name = "smtpd_client_event_limit_exceptions";
        let has_parents = split_list(&parents).any(|word| word == name);
        let window = config.time("anvil_rate_time_unit")?;
        Ok(Limits {
            count: number("smtpd_client_connection_count_limit")?,
            log_port: config.bool("smtpd_client_port_logging")?,
            rates: [
                number("smtpd_client_connection_rate_limit")?,
                number("smtpd_client_message_rate_limit")?,
                number("smtpd_client_recipient_rate_limit")?,
            ],
            window,
            ipv4_bits: bits("smtpd_client_ipv4_prefix_length")?,
            ipv6_bits: bits("smtpd_client_ipv6_prefix_length")?,
            exceptions: AddressList::open(name, &config.text(name)?, has_parents, config).map_err(|error| Fatal(error.reason))?,
            service: service.to_owned(),
            clients: RefCell::default(),
            forgotten: Cell::new(Instant::now()),
            statistics: Statistics::new(service, window.as_secs(), Logger::program(config, "anvil")?),
            update_time: config.time("anvil_status_update_time")?,
        })
    }

    /// The client as counted: nothing when it is exempt, or when there is nothing to count.
    pub fn connect(&self, client: &Client) -> (Option<Ticket<'_>>, Result<(), Exceeded>) {
        let Some(ip) = client.ip else { return (None, Ok(())) };
        let wanted = self.count > 0 || self.rates.iter().any(|rate| *rate > 0);
        if !wanted || self.exceptions.matches(client.name.as_slice().into(), client.address.as_slice().into()).unwrap_or(false) {
            return (None, Ok(()));
        }
        let key = network(ip, self.ipv4_bits, self.ipv6_bits);
        let ticket = Ticket { limits: self, key };
        let now = Instant::now();
        if now.duration_since(self.forgotten.get()) >= self.window / 4 {
            self.forget(now);
        }
        let (connections, known) = {
            let mut clients = self.clients.borrow_mut();
            let counts = clients.entry(key).or_insert(Counts { connections: 0, since: now, events: [0; 3] });
            counts.connections += 1;
            (counts.connections, clients.len())
        };
        let rate = ticket.count(Event::Connection, now);
        self.statistics.note(Measure::CacheSize, u32::try_from(known).unwrap_or(u32::MAX), String::new);
        self.statistics.note(Measure::ConnectionCount, connections, || self.shown(key));
        let from = client.label(self.log_port);
        let result = if self.count > 0 && connections > self.count {
            Err(Exceeded { log: format!("Connection concurrency limit exceeded: {connections} from {from} for service {}", self.service) })
        } else if self.rates[0] > 0 && rate > self.rates[0] {
            Err(Exceeded { log: format!("Connection rate limit exceeded: {rate} from {from} for service {}", self.service) })
        } else {
            Ok(())
        };
        (Some(ticket), result)
    }

    /// Every `anvil_status_update_time`: logs the peaks, and forgets clients that are gone for long.
    pub fn update_status(&self) {
        self.statistics.report();
        self.forget(Instant::now());
    }

    /// A client that is gone is remembered for as long as its rates count.
    fn forget(&self, now: Instant) {
        self.forgotten.set(now);
        self.clients.borrow_mut().retain(|_, counts| counts.connections > 0 || now.duration_since(counts.since) < self.window);
    }

    /// The client, or the network that counts as one client.
    fn shown(&self, key: IpAddr) -> String {
        let (bits, all) = if key.is_ipv4() { (self.ipv4_bits, 32) } else { (self.ipv6_bits, 128) };
        if bits < all { format!("{key}/{bits}") } else { key.to_string() }
    }
}

/// A connected client; dropping it ends its count.
pub struct Ticket<'a> {
    limits: &'a Limits,
    key: IpAddr,
}

impl Ticket<'_> {
    /// Counts a message or recipient.
    pub fn event(&self, event: Event, client: &Client) -> Result<(), Exceeded> {
        let limit = self.limits.rates[event as usize];
        if limit == 0 {
            return Ok(());
        }
        let rate = self.count(event, Instant::now());
        if rate <= limit {
            return Ok(());
        }
        let what = match event {
            Event::Connection => "Connection rate",
            Event::Message => "Message delivery request rate",
            Event::Recipient => "Recipient address rate",
        };
        Err(Exceeded {
            log: format!("{what} limit exceeded: {rate} from {} for service {}", client.label(self.limits.log_port), self.limits.service),
        })
    }

    /// Rates are counted from the first event on; after `anvil_rate_time_unit` they begin anew.
    fn count(&self, event: Event, now: Instant) -> u32 {
        let mut clients = self.limits.clients.borrow_mut();
        let Some(counts) = clients.get_mut(&self.key) else { return 0 };
        if now.duration_since(counts.since) >= self.limits.window {
            counts.since = now;
            counts.events = [0; 3];
        }
        let count = &mut counts.events[event as usize];
        *count = count.saturating_add(1);
        let measure = match event {
            Event::Connection => Measure::ConnectionRate,
            Event::Message => Measure::MessageRate,
            Event::Recipient => Measure::RecipientRate,
        };
        self.limits.statistics.note(measure, *count, || self.limits.shown(self.key));
        *count
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(counts) = self.limits.clients.borrow_mut().get_mut(&self.key) {
            counts.connections -= 1;
        }
    }
}

/// `smtpd_client_ipv4_prefix_length`, `smtpd_client_ipv6_prefix_length`: clients of one network count as one.
fn network(ip: IpAddr, ipv4_bits: u8, ipv6_bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(ipv4_bits.into())).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_bits.into())).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let net = |ip: &str, v4, v6| network(ip.parse().unwrap(), v4, v6).to_string();
        assert_eq!(net("192.0.2.77", 32, 84), "192.0.2.77");
        assert_eq!(net("192.0.2.77", 24, 84), "192.0.2.0");
        assert_eq!(net("192.0.2.77", 0, 84), "0.0.0.0");
        assert_eq!(net("2001:db8::1:2", 32, 64), "2001:db8::");
        assert_eq!(net("2001:db8::1:2", 32, 128), "2001:db8::1:2");
    }

    fn limits(text: &str) -> Limits {
        let config = Config::parse(text, "main.cf").unwrap();
        Limits::open(&config, "smtp").unwrap()
    }

    fn client() -> Client {
        Client { name: "c.example".into(), address: "192.0.2.10".into(), ip: "192.0.2.10".parse().ok(), ..Client::local() }
    }

    /// S-LIMIT-05.
    #[test]
    fn connections_at_one_time() {
        let limits = limits("mynetworks = 127.0.0.1\nsmtpd_client_connection_count_limit = 1\n");
        let (first, ok) = limits.connect(&client());
        assert_eq!(ok, Ok(()));
        let (second, refused) = limits.connect(&client());
        assert_eq!(refused.unwrap_err().log, "Connection concurrency limit exceeded: 2 from c.example[192.0.2.10] for service smtp");
        drop(second);
        drop(first);
        assert_eq!(limits.clients.borrow().values().map(|counts| counts.connections).collect::<Vec<_>>(), [0]);
        limits.update_status();
        assert_eq!(limits.clients.borrow().len(), 1, "its rate still counts");
        assert_eq!(limits.connect(&client()).1, Ok(()));
        // Exempt: mynetworks.
        assert!(limits.connect(&Client::local()).0.is_none());
    }

    #[test]
    fn rates() {
        let limits = limits("mynetworks = 127.0.0.1\nsmtpd_client_message_rate_limit = 2\nsmtpd_client_connection_count_limit = 0\n");
        let (ticket, ok) = limits.connect(&client());
        assert_eq!(ok, Ok(()));
        let ticket = ticket.unwrap();
        assert_eq!(ticket.event(Event::Message, &client()), Ok(()));
        assert_eq!(ticket.event(Event::Message, &client()), Ok(()));
        let log = ticket.event(Event::Message, &client()).unwrap_err().log;
        assert_eq!(log, "Message delivery request rate limit exceeded: 3 from c.example[192.0.2.10] for service smtp");
        assert_eq!(ticket.event(Event::Recipient, &client()), Ok(()));
    }
}
