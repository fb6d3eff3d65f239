//! From a destination to the addresses to try, best first: MX and SRV records, hosts, loops, limits.

use crate::problem::Problem;
use crate::settings::{Preference, Settings};
use posthaste_dns::{Answer, Data, DnsError, Families, Reason, Resolver, valid_hostname};
use posthaste_log::{Logger, warn};
use std::net::IpAddr;

/// One address of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// The host's name, as MX record or next hop has it.
    pub host: String,
    /// Its address.
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
    /// Preference of the MX or SRV record.
    pub preference: u32,
    /// Found by validated DNS answers all the way.
    pub secure: bool,
}

/// What a lookup leads to.
#[derive(Debug)]
pub enum Found {
    /// Addresses, best first; never empty. `backup` says that this host is an MX of the domain itself, so fallback relays are not for it.
    Addresses {
        /// Best first.
        list: Vec<HostAddress>,
        /// This host is an MX host of the domain.
        backup: bool,
    },
    /// The best MX host is this one.
    Myself,
    /// Nothing.
    Failed {
        /// Why.
        problem: Problem,
        /// As above.
        backup: bool,
    },
}

/// Looks destinations up.
pub struct Lookup<'a> {
    /// The service's settings.
    pub settings: &'a Settings,
    /// Where to ask.
    pub resolver: &'a Resolver,
    /// For warnings.
    pub log: &'a Logger,
}

/// Loops are looked for where SMTP servers normally listen; on another port of this host something else may listen.
const SMTP_PORT: u16 = 25;

impl Lookup<'_> {
    /// The addresses of a `[host]`.
    pub async fn host(&self, host: &str, port: u16) -> Found {
        match self.addresses(host, port, 0, true).await {
            Err(problem) => Found::Failed { problem, backup: false },
            Ok(list) if self.detects_loops(port) && list.iter().any(|a| self.settings.is_own(a.ip)) => Found::Myself,
            Ok(list) => self.finish(list, false),
        }
    }

    /// The addresses of the mail exchangers of a domain.
    pub async fn domain(&self, domain: &str, port: u16, srv: Option<&str>) -> Found {
        if let Some(service) = srv
            && let Some(found) = self.by_srv(domain, port, service).await
        {
            return found;
        }
        if self.settings.dns_disabled {
            return self.host(domain, port).await;
        }
        let answer = match self.resolver.mx(domain).await {
            Ok(answer) => answer,
            Err(error) if matches!(error.reason, Reason::NoName | Reason::NoData | Reason::InvalidName) => {
                return self.host(domain, port).await;
            }
            Err(error) if self.settings.ignore_mx_lookup_error && error.temporary() => return self.host(domain, port).await,
            Err(error) => return Found::Failed { problem: dns_problem(&error), backup: false },
        };
        self.by_mx(domain, port, &answer).await
    }

    async fn by_mx(&self, domain: &str, port: u16, answer: &Answer) -> Found {
        let mut list = Vec::new();
        let (mut last, mut soft) = (None, self.settings.defer_if_no_mx_address);
        let best = answer.records.iter().filter_map(preference).min().unwrap_or(0);
        for record in &answer.records {
            let Data::Mx { preference, host } = &record.data else { continue };
            match self.addresses(host, port, u32::from(*preference), answer.secure).await {
                Ok(found) => list.extend(found),
                Err(problem) => {
                    soft |= problem.is_soft();
                    last = Some(problem);
                }
            }
        }
        let Some(us) = list.iter().filter(|a| self.detects_loops(port) && self.settings.is_own(a.ip)).map(|a| a.preference).min() else {
            if list.is_empty() {
                warn!(self.log, "no MX host for {domain} has a valid address record");
                let mut problem =
                    last.unwrap_or_else(|| Problem::local("5.4.4", format!("no MX host for {domain} has a valid address record")));
                // Some host may only be unknown for now.
                if soft {
                    problem.soften();
                }
                return Found::Failed { problem, backup: false };
            }
            return self.finish(list, false);
        };
        if us == best {
            return Found::Myself;
        }
        // RFC 5321 §5.1: only hosts that are better than ourselves, or mail would go round.
        list.retain(|a| a.preference < us);
        if list.is_empty() {
            let problem = Problem::local("4.4.4", format!("unable to find primary relay for {domain}"));
            return Found::Failed { problem, backup: true };
        }
        self.finish(list, true)
    }

    /// RFC 6186 style lookup of `_service._tcp.domain` (postconf(5), `use_srv_lookup`). `None`: go on as without.
    async fn by_srv(&self, domain: &str, port: u16, service: &str) -> Option<Found> {
        let name = format!("_{service}._tcp.{domain}");
        let answer = match self.resolver.query(&name, posthaste_dns::Type::Srv).await {
            Ok(answer) => answer,
            Err(error) if error.not_found() && self.settings.allow_srv_fallback => return None,
            Err(error) if error.temporary() && self.settings.ignore_srv_lookup_error => return None,
            Err(error) => return Some(Found::Failed { problem: dns_problem(&error), backup: false }),
        };
        let mut list = Vec::new();
        let (mut last, mut soft) = (None, false);
        for (rank, (host, srv_port)) in self.srv_order(&answer).into_iter().enumerate() {
            if host.is_empty() {
                // RFC 2782: the service is decidedly not available.
                let problem = Problem::local("5.1.0", format!("Domain {domain} does not offer the {service} service"));
                return Some(Found::Failed { problem, backup: false });
            }
            match self.addresses(&host, srv_port, rank as u32, answer.secure).await {
                Ok(found) => list.extend(found),
                Err(problem) => {
                    soft |= problem.is_soft();
                    last = Some(problem);
                }
            }
        }
        if list.is_empty() {
            warn!(self.log, "no SRV host for {name} has a valid address record");
            let mut problem = last.unwrap_or_else(|| Problem::local("5.4.4", format!("no SRV host for {name} has a valid address record")));
            if soft {
                problem.soften();
            }
            return Some(Found::Failed { problem, backup: false });
        }
        if list.iter().any(|a| self.detects_loops(port) && a.port == SMTP_PORT && self.settings.is_own(a.ip)) {
            return Some(Found::Myself);
        }
        Some(self.finish(list, false))
    }

    /// RFC 2782: by priority, and among equals at random by weight.
    fn srv_order(&self, answer: &Answer) -> Vec<(String, u16)> {
        let mut records: Vec<_> = answer
            .records
            .iter()
            .filter_map(|record| match &record.data {
                Data::Srv { priority, weight, port, host } => Some((*priority, *weight, *port, host.clone())),
                _ => None,
            })
            .collect();
        let mut order = Vec::new();
        while let Some(priority) = records.iter().map(|r| r.0).min() {
            let total: u64 = records.iter().filter(|r| r.0 == priority).map(|r| u64::from(r.1) + 1).sum();
            let mut ticket = self.resolver.random() % total;
            let chosen = records.iter().position(|r| {
                let weight = u64::from(r.1) + 1;
                if r.0 != priority {
                    return false;
                }
                if ticket < weight {
                    return true;
                }
                ticket -= weight;
                false
            });
            let (_, _, port, host) = records.remove(chosen.unwrap_or(0));
            order.push((host, port));
        }
        order
    }

    fn detects_loops(&self, port: u16) -> bool {
        !self.settings.lmtp && port == SMTP_PORT
    }

    /// The addresses of one host: a literal, the DNS, native means.
    async fn addresses(&self, host: &str, port: u16, preference: u32, secure: bool) -> Result<Vec<HostAddress>, Problem> {
        let address = |ip, secure| HostAddress { host: host.to_owned(), ip, port, preference, secure };
        if let Ok(ip) = host.parse() {
            if !self.resolver.families().contains(ip) {
                return Err(Problem::local("5.4.4", format!("Name service error for {host}: invalid host or domain name")));
            }
            return Ok(vec![address(ip, secure)]);
        }
        if host.is_ascii()
            && let Err(error) = valid_hostname(host)
        {
            warn!(self.log, "{error}");
        }
        let families = self.resolver.families();
        let mut problem = None;
        if self.settings.host_lookup.dns {
            match self.resolver.addresses(host, families).await {
                Ok(answer) => {
                    let secure = secure && answer.secure;
                    // Only for the sake of old configurations: an alias says nothing about whose server it is.
                    let host = if self.settings.cname_overrides { &answer.name } else { host };
                    let address = |ip, secure| HostAddress { host: host.to_owned(), ip, port, preference, secure };
                    return Ok(answer.records.iter().filter_map(posthaste_dns::Record::address).map(|ip| address(ip, secure)).collect());
                }
                Err(error) => {
                    // With DNSSEC a name that fails to validate must not be found by other means.
                    let stop = error.temporary() && self.settings.dnssec;
                    problem = Some(dns_problem(&error));
                    if stop {
                        return Err(dns_problem(&error));
                    }
                }
            }
        }
        if self.settings.host_lookup.native {
            match self.resolver.native_addresses(host, families).await {
                Ok(list) => return Ok(list.into_iter().map(|ip| address(ip, false)).collect()),
                Err(error) => {
                    let status = match error.error.reason {
                        _ if error.error.temporary() => "4.4.4",
                        Reason::NoData => "5.3.0",
                        _ => "5.4.4",
                    };
                    problem = Some(Problem::local(status, error.to_string()));
                }
            }
        }
        Err(problem.unwrap_or_else(|| Problem::local("5.4.4", format!("unable to look up host {host}"))))
    }

    /// Order, randomise, limit.
    fn finish(&self, mut list: Vec<HostAddress>, backup: bool) -> Found {
        if self.settings.randomize {
            // Fisher and Yates; the sort below keeps this order among equals.
            for i in (1..list.len()).rev() {
                list.swap(i, self.resolver.random() as usize % (i + 1));
            }
        }
        let preference = self.settings.preference;
        let rank = |a: &HostAddress| match preference {
            Preference::Any => 0,
            Preference::Ipv4 => u8::from(!a.ip.is_ipv4()),
            Preference::Ipv6 => u8::from(!a.ip.is_ipv6()),
        };
        list.sort_by_key(|a| (a.preference, rank(a)));
        list.dedup_by(|a, b| a.ip == b.ip && a.port == b.port && a.preference == b.preference);
        limit(&mut list, self.settings.mx_address_limit, self.settings.balance && self.both_families());
        Found::Addresses { list, backup }
    }

    fn both_families(&self) -> bool {
        self.resolver.families() == Families::ALL
    }
}

/// Cuts the list at `limit` (0 is none). With `balance`, a family of which none would be left keeps half of the places, so that an outage
/// of the other one cannot hide it.
fn limit(list: &mut Vec<HostAddress>, limit: usize, balance: bool) {
    if limit == 0 || list.len() <= limit {
        return;
    }
    if balance && limit > 1 {
        let kept_v4 = list[..limit].iter().filter(|a| a.ip.is_ipv4()).count();
        let (few_are_v4, few) = if kept_v4 * 2 < limit { (true, kept_v4) } else { (false, limit - kept_v4) };
        let want = (limit / 2).min(list.iter().filter(|a| a.ip.is_ipv4() == few_are_v4).count());
        let mut missing = want.saturating_sub(few);
        while missing > 0 {
            let Some(last) = list[..limit].iter().rposition(|a| a.ip.is_ipv4() != few_are_v4) else { break };
            let Some(next) = list[limit..].iter().position(|a| a.ip.is_ipv4() == few_are_v4).map(|at| limit + at) else { break };
            let newcomer = list.remove(next);
            list.remove(last);
            list.insert(limit - 1, newcomer);
            missing -= 1;
        }
    }
    list.truncate(limit);
}

fn preference(record: &posthaste_dns::Record) -> Option<u32> {
    match record.data {
        Data::Mx { preference, .. } => Some(preference.into()),
        _ => None,
    }
}

/// The enhanced code of a failed DNS lookup.
pub fn dns_problem(error: &DnsError) -> Problem {
    let status = match error.reason {
        Reason::TryAgain | Reason::BadFilter | Reason::Loop => "4.4.3",
        Reason::Filtered => "4.7.0",
        Reason::NullMx => "5.1.0",
        Reason::NonRecoverable => "5.4.3",
        _ => "5.4.4",
    };
    Problem::local(status, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[(&str, u32)]) -> Vec<HostAddress> {
        list.iter()
            .map(|(ip, preference)| HostAddress {
                host: "h".into(),
                ip: ip.parse().unwrap(),
                port: 25,
                preference: *preference,
                secure: false,
            })
            .collect()
    }

    fn limited(list: &[(&str, u32)], n: usize, balance: bool) -> Vec<String> {
        let mut list = addresses(list);
        limit(&mut list, n, balance);
        list.iter().map(|a| a.ip.to_string()).collect()
    }

    /// postconf(5), smtp_balance_inet_protocols: both address types can be tried before the limit is reached.
    #[test]
    fn address_limit_is_balanced() {
        let list = [("2001:db8::1", 1), ("2001:db8::2", 1), ("2001:db8::3", 1), ("192.0.2.1", 2), ("192.0.2.2", 2)];
        assert_eq!(limited(&list, 2, false), ["2001:db8::1", "2001:db8::2"]);
        assert_eq!(limited(&list, 2, true), ["2001:db8::1", "192.0.2.1"]);
        assert_eq!(limited(&list, 4, true), ["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"]);
        assert_eq!(limited(&list, 0, true).len(), 5);
        let only6 = [("2001:db8::1", 1), ("2001:db8::2", 1), ("2001:db8::3", 1)];
        assert_eq!(limited(&only6, 2, true), ["2001:db8::1", "2001:db8::2"]);
    }
}
