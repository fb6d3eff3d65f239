//! The name of a client: its PTR record, and whether that name leads back to the address.

use crate::{DnsError, Families, NativeError, Resolver, Source, valid_hostname};
use posthaste_log::warn;
use std::net::IpAddr;

/// How a name was found; smtpd's restrictions answer 450 or 550 by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStatus {
    /// Found, and verified where that is asked.
    Ok,
    /// A lookup failed for now (4xx).
    Temporary,
    /// There is none (5xx).
    NotFound,
    /// There is one that does not lead back to the address (5xx).
    Forged,
}

/// What is known of a client's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName {
    /// Verified name, or `unknown`: `client_name` of restrictions and log.
    pub name: String,
    /// How `name` was found.
    pub status: NameStatus,
    /// The name that the address maps to, verified or not, or `unknown`.
    pub reverse_name: String,
    /// How `reverse_name` was found.
    pub reverse_status: NameStatus,
}

const UNKNOWN: &str = "unknown";

impl Resolver {
    /// The client's name as smtpd shows it (`connect from name[address]`), by native lookups: address to name, and name to address.
    /// Warns of names that are no host names and of names that do not lead back.
    pub async fn client_name(&self, ip: IpAddr) -> ClientName {
        let unknown = |status| ClientName { name: UNKNOWN.into(), status, reverse_name: UNKNOWN.into(), reverse_status: status };
        let log = &self.inner.settings.log;
        let name = match self.native_name(ip).await {
            Ok(name) => name,
            Err(error) if error.temporary() => return unknown(NameStatus::Temporary),
            Err(_) => return unknown(NameStatus::NotFound),
        };
        if let Err(error) = valid_hostname(&name) {
            warn!(log, "{error}");
            return unknown(NameStatus::NotFound);
        }
        let family = Families { ipv4: ip.is_ipv4(), ipv6: ip.is_ipv6() };
        let status = match self.native_addresses(&name, family).await {
            Ok(list) if list.contains(&ip) => NameStatus::Ok,
            Ok(_) => {
                warn!(log, "hostname {name} does not resolve to address {ip}");
                NameStatus::Forged
            }
            Err(NativeError { error, .. }) => {
                warn!(log, "hostname {name} does not resolve to address {ip}: {}", error.native_text());
                if error.temporary() { NameStatus::Temporary } else { NameStatus::Forged }
            }
        };
        let verified = if status == NameStatus::Ok { name.clone() } else { UNKNOWN.into() };
        ClientName { name: verified, status, reverse_name: name, reverse_status: NameStatus::Ok }
    }

    /// As getnameinfo(3) with a name required.
    pub async fn native_name(&self, ip: IpAddr) -> Result<String, DnsError> {
        let mut failure = None;
        for source in &self.inner.order {
            match source {
                Source::Files => {
                    if let Some(name) = self.hosts(|hosts| hosts.name(ip).map(str::to_owned)) {
                        return Ok(name);
                    }
                }
                Source::Dns => match self.ptr(ip).await {
                    Ok(answer) => {
                        let first = answer.records.first().map(|record| &record.data);
                        if let Some(crate::Data::Ptr(name)) = first {
                            return Ok(name.clone());
                        }
                    }
                    Err(error) => failure = Some(error),
                },
            }
        }
        Err(failure.unwrap_or_else(|| DnsError {
            name: crate::reverse_name(ip),
            kind: crate::Type::Ptr,
            reason: crate::Reason::NoName,
            secure: false,
        }))
    }
}
