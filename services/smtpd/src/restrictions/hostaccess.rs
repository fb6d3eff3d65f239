//! `check_…_mx_access`, `check_…_ns_access`, `check_…_a_access`: the hosts behind a name.

use super::access::{domain_lookup, network_lookup};
use super::eval::{Evaluation, Outcome};
use super::hosts::{dns_name, literal};
use super::lookup::on;
use super::parse::{Hosts, Subject};
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use posthaste_dns::{Data, DnsError, Families, NativeError, Reason, Type};
use posthaste_log::warn;
use posthaste_table::{Maps, TableError};
use std::sync::Arc;

impl Evaluation<'_> {
    /// Looks the hosts of a name up in an access table, by name and by address.
    pub async fn host_access(&mut self, subject: Subject, hosts: Hosts, maps: &Arc<Maps>, restriction: &str) -> Outcome {
        let domain = match subject {
            Subject::Client => self.session.client().name.clone(),
            Subject::ReverseClient => self.session.client().reverse_name.clone(),
            Subject::Helo => self.session.helo().unwrap_or_default().to_owned(),
            Subject::Sender => self.session.transaction().map(|t| host_part(&t.sender)).unwrap_or_default(),
            Subject::Recipient => self.session.recipient().map(host_part).unwrap_or_default(),
            _ => BString::default(),
        };
        if domain.is_empty() || (matches!(subject, Subject::Client | Subject::ReverseClient) && domain == "unknown") {
            return Outcome::Dunno;
        }
        // `user@[1.2.3.4]` is that host.
        if let Some(found) = literal(domain.as_bstr()) {
            let Some(ip) = found.filter(|_| hosts != Hosts::NameServer) else { return Outcome::Dunno };
            let key = BString::from(ip.to_string());
            let value = self.look_up_network(maps, &key).await;
            return self.host_result(value, &key, subject, maps, restriction).await.unwrap_or(Outcome::Dunno);
        }
        let Some(mut name) = dns_name(domain.as_bstr()) else { return Outcome::Dunno };
        if domain.ends_with(b".") {
            name.push('.');
        }
        let names = match hosts {
            Hosts::Address => vec![name],
            Hosts::MailExchanger => match self.exchangers(&name).await {
                Ok(names) => names,
                Err(outcome) => return outcome,
            },
            Hosts::NameServer => match self.name_servers(&name, subject).await {
                Ok(names) => names,
                Err(outcome) => return outcome,
            },
        };
        let kind = if hosts == Hosts::NameServer { "NS" } else { "MX" };
        for host in names {
            if hosts != Hosts::Address {
                let key = BString::from(host.as_str());
                let (parents, host_key) = (self.rules.access_parents, key.clone());
                let value = on(maps, move |maps| domain_lookup(maps, parents, host_key.as_bstr())).await;
                if let Some(outcome) = self.host_result(value, &key, subject, maps, restriction).await {
                    return outcome;
                }
            }
            let families = Families { ipv4: true, ipv6: self.rules.resolver.families().ipv6 };
            match self.rules.resolver.native_addresses(&host, families).await {
                Ok(mut addresses) => {
                    // In the order of the system's own lookup (RFC 6724).
                    addresses.sort_by_key(|ip| !ip.is_ipv6());
                    for ip in addresses {
                        let key = BString::from(ip.to_string());
                        let value = self.look_up_network(maps, &key).await;
                        if let Some(outcome) = self.host_result(value, &key, subject, maps, restriction).await {
                            return outcome;
                        }
                    }
                }
                // A name without an address is no news here; that a mail exchanger has none is.
                Err(_) if hosts == Hosts::Address => {}
                Err(NativeError { error, .. }) => {
                    let name = self.name_of(subject);
                    let reason = error.native_text();
                    warn!(self.rules.log, "Unable to look up {kind} host {host} for {} {name}: {reason}", subject.class());
                }
            }
        }
        Outcome::Dunno
    }

    async fn look_up_network(&self, maps: &Arc<Maps>, address: &BString) -> Result<Option<BString>, TableError> {
        let address = address.clone();
        on(maps, move |maps| network_lookup(maps, address.as_bstr())).await
    }

    /// MX hosts, or the name itself if it has none.
    async fn exchangers(&self, name: &str) -> Result<Vec<String>, Outcome> {
        // The DNS library takes a final dot for an empty label.
        if name.ends_with('.') {
            return Ok(vec![name.to_owned()]);
        }
        // As the server gave them: the first that the table has decides.
        match self.rules.resolver.query(name, Type::Mx).await {
            Ok(answer) => Ok(answer
                .records
                .iter()
                .filter_map(|record| match &record.data {
                    Data::Mx { host, .. } => Some(host.clone()),
                    _ => None,
                })
                .collect()),
            Err(error) if error.temporary() => Err(self.host_lookup_later("MX", name)),
            Err(DnsError { reason: Reason::NullMx, .. }) => Ok(Vec::new()),
            Err(error) if error.not_found() => Ok(vec![name.to_owned()]),
            Err(_) => Ok(vec![name.to_owned()]),
        }
    }

    /// The name servers of the name or of the nearest parent that has some.
    async fn name_servers(&mut self, name: &str, subject: Subject) -> Result<Vec<String>, Outcome> {
        let mut zone = name;
        loop {
            let answer = match zone.ends_with('.') {
                true => Err(DnsError { name: zone.into(), kind: Type::Ns, reason: Reason::NoName, secure: false }),
                false => self.rules.resolver.query(zone, Type::Ns).await,
            };
            match answer {
                Ok(answer) => {
                    return Ok(answer
                        .records
                        .iter()
                        .filter_map(|record| match &record.data {
                            Data::Ns(host) => Some(host.clone()),
                            _ => None,
                        })
                        .collect());
                }
                Err(error) if error.temporary() => return Err(self.host_lookup_later("NS", zone)),
                Err(error) => match zone.split_once('.') {
                    Some((_, parent)) if !parent.is_empty() => zone = parent,
                    _ => {
                        let name = match subject {
                            Subject::Client => self.session.client().name.clone(),
                            _ => self.name_of(subject),
                        };
                        warn!(self.rules.log, "Unable to look up NS host for {name}: {}", dns_reason(&error));
                        return Ok(Vec::new());
                    }
                },
            }
        }
    }

    fn host_lookup_later(&self, kind: &str, name: &str) -> Outcome {
        warn!(self.rules.log, "Unable to look up {kind} host for {name}: Host not found, try again");
        Outcome::Dunno
    }

    /// The first host or address that the table has decides, also when its result is DUNNO. `None`: not in the table.
    async fn host_result(
        &mut self,
        value: Result<Option<BString>, TableError>,
        key: &BString,
        subject: Subject,
        maps: &Maps,
        restriction: &str,
    ) -> Option<Outcome> {
        let name = self.name_of(subject);
        let outcome = match value {
            Ok(None) => return None,
            Ok(Some(value)) => Box::pin(self.result(maps.title(), value.as_bstr(), key.as_bstr(), subject)).await,
            Err(error) => return Some(self.lookup_failed(&error, name.as_bstr(), subject)),
        };
        if outcome == Outcome::Permit {
            let name = if subject == Subject::Client { &self.session.client().name } else { &name };
            return Some(self.permit_forbidden(restriction, name.as_bstr()));
        }
        Some(outcome)
    }
}

/// The domain of an address; Postfix takes an address without one for a host name.
fn host_part(address: &Address) -> BString {
    address.domain().unwrap_or_else(|| address.as_bytes()).to_owned()
}

/// The resolver's words for a name that has no such record.
pub fn dns_reason(error: &DnsError) -> &'static str {
    match error.reason {
        _ if error.temporary() => "Host not found, try again",
        Reason::NoData => "Host found but no data record of requested type",
        _ => "Host not found",
    }
}
