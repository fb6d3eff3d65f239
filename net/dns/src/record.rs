//! Questions, answers and failures, in the words of the DNS and of Postfix's log.

use bstr::BString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Type of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the DNS")]
pub enum Type {
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Srv,
    Tlsa,
    Txt,
}

impl Type {
    /// By name, case ignored.
    pub fn parse(name: &str) -> Option<Type> {
        const ALL: [Type; 9] = [Type::A, Type::Aaaa, Type::Cname, Type::Mx, Type::Ns, Type::Ptr, Type::Srv, Type::Tlsa, Type::Txt];
        ALL.into_iter().find(|kind| name.eq_ignore_ascii_case(&kind.to_string()))
    }

    /// Number on the wire.
    pub fn code(self) -> u16 {
        match self {
            Type::A => 1,
            Type::Ns => 2,
            Type::Cname => 5,
            Type::Ptr => 12,
            Type::Mx => 15,
            Type::Txt => 16,
            Type::Aaaa => 28,
            Type::Srv => 33,
            Type::Tlsa => 52,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::A => "A",
            Type::Aaaa => "AAAA",
            Type::Cname => "CNAME",
            Type::Mx => "MX",
            Type::Ns => "NS",
            Type::Ptr => "PTR",
            Type::Srv => "SRV",
            Type::Tlsa => "TLSA",
            Type::Txt => "TXT",
        })
    }
}

/// Data of one record. Names are in ASCII, without the final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the DNS")]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(String),
    Mx {
        preference: u16,
        host: String,
    },
    Ns(String),
    Ptr(String),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        host: String,
    },
    Tlsa {
        usage: u8,
        selector: u8,
        matching: u8,
        data: Vec<u8>,
    },
    /// The strings of the record joined.
    Txt(BString),
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its owner: the name asked for, or where its CNAMEs lead.
    pub name: String,
    /// Seconds; never more than the caller may rely on now, for cached answers too.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

impl Record {
    /// The address of an A or AAAA record.
    pub fn address(&self) -> Option<IpAddr> {
        match self.data {
            Data::A(v4) => Some(v4.into()),
            Data::Aaaa(v6) => Some(v6.into()),
            _ => None,
        }
    }

    /// The preference of an MX record; the lowest comes first.
    pub fn preference(&self) -> Option<u16> {
        match self.data {
            Data::Mx { preference, .. } => Some(preference),
            _ => None,
        }
    }
}

/// `name ttl class type preference value`, the form that DNS reply filters match (`smtp_dns_reply_filter`).
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {} IN ", self.name, self.ttl)?;
        match &self.data {
            Data::A(v4) => write!(f, "A {v4}"),
            Data::Aaaa(v6) => write!(f, "AAAA {v6}"),
            Data::Cname(name) => write!(f, "CNAME {name}."),
            Data::Mx { preference, host } => write!(f, "MX {preference} {host}."),
            Data::Ns(name) => write!(f, "NS {name}."),
            Data::Ptr(name) => write!(f, "PTR {name}."),
            Data::Srv { priority, weight, port, host } => write!(f, "SRV {priority} {weight} {port} {host}."),
            Data::Tlsa { usage, selector, matching, data } => {
                write!(f, "TLSA {usage} {selector} {matching} ")?;
                data.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
            }
            Data::Txt(text) => write!(f, "TXT {text}"),
        }
    }
}

/// Records found: at least one, all of the type asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name asked for after its CNAMEs.
    pub name: String,
    /// As the server gave them, but SRV records sorted by priority.
    pub records: Vec<Record>,
    /// The whole chain was validated (AD bit) by a resolver that `resolv.conf` declares trusted (`options trust-ad`).
    pub secure: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The name does not exist (NXDOMAIN).
    NoName,
    /// The name exists, but has no record of this type.
    NoData,
    /// No server answered, or none could: the same question may be answered later.
    TryAgain,
    /// The servers refuse the question for good (FORMERR, NOTIMP).
    NonRecoverable,
    /// The reply makes no sense, or holds names that are none.
    Malformed,
    /// The reply filter removed all records.
    Filtered,
    /// The reply filter failed, or says what makes no sense.
    BadFilter,
    /// `MX 0 .` (RFC 7505): the domain accepts no mail.
    NullMx,
    /// CNAME records that lead in a circle or on too long a way.
    Loop,
    /// The question's name cannot be one in the DNS.
    InvalidName,
}

/// A question that was not answered with records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsError {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    pub kind: Type,
    /// Why.
    pub reason: Reason,
    /// A negative answer that a trusted resolver validated.
    pub secure: bool,
}

impl DnsError {
    /// Whether the DNS says with authority that there is no such name or no such record; also null MX.
    pub fn not_found(&self) -> bool {
        matches!(self.reason, Reason::NoName | Reason::NoData | Reason::NullMx)
    }

    /// Whether asking later may help.
    pub fn temporary(&self) -> bool {
        matches!(self.reason, Reason::TryAgain | Reason::Filtered | Reason::BadFilter | Reason::Loop)
    }

    /// The text that getaddrinfo(3) and getnameinfo(3) have for this, used where Postfix uses the native lookup.
    pub fn native_text(&self) -> &'static str {
        match self.reason {
            Reason::NoName | Reason::InvalidName => "Name or service not known",
            Reason::NoData | Reason::NullMx => "No address associated with hostname",
            Reason::TryAgain | Reason::Filtered | Reason::BadFilter => "Temporary failure in name resolution",
            _ => "Non-recoverable failure in name resolution",
        }
    }
}

/// The text that Postfix logs and returns.
impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DnsError { name, kind, .. } = self;
        let word = match self.reason {
            Reason::NoName | Reason::InvalidName => "Host not found",
            Reason::NoData => "Host found but no data record of requested type",
            Reason::TryAgain => "Host not found, try again",
            Reason::NonRecoverable => "Non-recoverable error",
            Reason::Malformed => {
                return write!(f, "Name service error for name={name} type={kind}: Malformed or unexpected name server reply");
            }
            Reason::Filtered => return write!(f, "Error looking up name={name} type={kind}: DNS reply filter drops all results"),
            Reason::BadFilter => return write!(f, "Error looking up name={name} type={kind}: Invalid DNS reply filter syntax"),
            Reason::NullMx => return write!(f, "Domain {name} does not accept mail (nullMX)"),
            Reason::Loop => return write!(f, "Name server loop for {name}"),
        };
        write!(f, "Host or domain name not found. Name service error for name={name} type={kind}: {word}")
    }
}

impl std::error::Error for DnsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(reason: Reason) -> DnsError {
        DnsError { name: "x.example".into(), kind: Type::Mx, reason, secure: false }
    }

    /// S-DNS-04, S-DNS-05, S-DNS-07: the texts of the delivery log.
    #[test]
    fn texts_are_those_of_postfix() {
        assert_eq!(
            error(Reason::TryAgain).to_string(),
            "Host or domain name not found. Name service error for name=x.example type=MX: Host not found, try again"
        );
        assert_eq!(
            error(Reason::NoName).to_string(),
            "Host or domain name not found. Name service error for name=x.example type=MX: Host not found"
        );
        assert_eq!(error(Reason::NullMx).to_string(), "Domain x.example does not accept mail (nullMX)");
    }

    /// postconf(5), smtp_dns_reply_filter: `name ttl class type preference value`.
    #[test]
    fn records_print_in_the_form_that_filters_match() {
        let record = Record { name: "a.example".into(), ttl: 60, data: Data::Mx { preference: 10, host: "mx.example".into() } };
        assert_eq!(record.to_string(), "a.example. 60 IN MX 10 mx.example.");
        let record = Record { name: "a.example".into(), ttl: 5, data: Data::A([192, 0, 2, 1].into()) };
        assert_eq!(record.to_string(), "a.example. 5 IN A 192.0.2.1");
    }
}
