//! Messages of the DNS (RFC 1035): a question to bytes, and a reply to records. No I/O.

use crate::hostname::valid_dns_name;
use crate::record::{Data, Reason, Record, Type};
use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::name::NameBuilder;
use domain::base::rdata::UnknownRecordData;
use domain::base::{Message, MessageBuilder, Name, ParsedName, ToName};
use domain::rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt};

/// More records than this in one reply are not looked at, as in Postfix 3.9.
pub const RECORD_LIMIT: usize = 100;
/// Longest chain of CNAME records that is followed.
pub const CNAME_LIMIT: usize = 10;
/// Size of a UDP reply that is asked for with EDNS: fits an unfragmented packet everywhere.
const UDP_PAYLOAD: u16 = 1232;

type Octets<'a> = &'a [u8];
type Owner<'a> = ParsedName<Octets<'a>>;

/// A question on its way.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name.
    pub name: Name<Vec<u8>>,
    /// What is asked about it.
    pub kind: Type,
    /// EDNS (RFC 6891).
    pub edns: bool,
    /// DO bit: send signatures.
    pub dnssec: bool,
    /// AD bit: say whether you validated (RFC 6840 §5.7).
    pub want_ad: bool,
}

/// Builds a name from text with dots; `None` when its labels or its length do not fit.
pub fn name_from_text(text: &str) -> Option<Name<Vec<u8>>> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut builder = NameBuilder::new_vec();
    if !text.is_empty() {
        for label in text.split('.') {
            if label.is_empty() {
                return None;
            }
            builder.append_label(label.as_bytes()).ok()?;
        }
    }
    builder.into_name().ok()
}

impl Question {
    /// The query as bytes, without the length prefix of TCP.
    pub fn encode(&self, id: u16) -> Option<Vec<u8>> {
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_id(id);
        message.header_mut().set_rd(true);
        message.header_mut().set_ad(self.want_ad);
        let mut message = message.question();
        message.push((&self.name, Rtype::from_int(self.kind.code()))).ok()?;
        let mut message = message.additional();
        if self.edns {
            message
                .opt(|opt| {
                    opt.set_udp_payload_size(UDP_PAYLOAD);
                    opt.set_dnssec_ok(self.dnssec);
                    Ok(())
                })
                .ok()?;
        }
        Some(message.finish())
    }

    /// Reads a datagram or message that came from the server asked.
    pub fn decode(&self, id: u16, bytes: &[u8]) -> Reply {
        let Ok(message) = Message::from_octets(bytes) else { return Reply::NotOurs };
        let header = message.header();
        if header.id() != id || !header.qr() {
            return Reply::NotOurs;
        }
        match message.sole_question() {
            Ok(question) if question.qname().name_eq(&self.name) && question.qtype().to_int() == self.kind.code() => {}
            // A server that fails early may leave the question out.
            Err(_) if header.rcode() != Rcode::NOERROR && message.header_counts().qdcount() == 0 => {}
            _ => return Reply::NotOurs,
        }
        if header.tc() {
            return Reply::Truncated;
        }
        match header.rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => {}
            Rcode::FORMERR => return Reply::FormatError,
            _ => return Reply::ServerFailure,
        }
        self.records(&message, header.rcode() == Rcode::NXDOMAIN)
    }

    fn records(&self, message: &Message<&[u8]>, nxdomain: bool) -> Reply {
        let mut found = Found { secure: message.header().ad(), ..Found::default() };
        let Ok(section) = message.answer() else { return Reply::Found(found.failed(Reason::Malformed)) };
        let mut items = Vec::new();
        for item in section.take(RECORD_LIMIT) {
            match item {
                Ok(item) if item.class() == Class::IN => items.push(item),
                Ok(_) => {}
                Err(_) => return Reply::Found(found.failed(Reason::Malformed)),
            }
        }
        // CNAME records may come in any order; follow them by name.
        let mut name: Owner<'_> = match message.sole_question() {
            Ok(question) => question.into_qname(),
            Err(_) => return Reply::NotOurs,
        };
        let mut ttl = u32::MAX;
        let mut hops = 0;
        if self.kind != Type::Cname {
            while let Some((record, target)) = items.iter().find_map(|item| {
                let record = item.to_record::<Cname<Owner<'_>>>().ok().flatten()?;
                let target = *record.data().cname();
                record.owner().name_eq(&name).then_some((record, target))
            }) {
                hops += 1;
                if hops > CNAME_LIMIT {
                    return Reply::Found(found.failed(Reason::Loop));
                }
                let text = text_of(&target);
                if let Err(error) = valid_dns_name(&text) {
                    found.warnings.push(error.to_string());
                    found.warnings.push(format!("malformed domain name in resource data of CNAME record for {}: {text}", text_of(&name)));
                    return Reply::Found(found.failed(Reason::Malformed));
                }
                ttl = ttl.min(record.ttl().as_secs());
                name = target;
            }
        }
        found.name = text_of(&name);
        found.aliased = hops > 0;
        let owner = found.name.clone();
        let mut bad = 0;
        for item in items.iter().filter(|item| item.rtype().to_int() == self.kind.code() && item.owner().name_eq(&name)) {
            match self.data(item, &owner, &mut found.warnings) {
                Some(data) => {
                    let seconds = item.ttl().as_secs();
                    ttl = ttl.min(seconds);
                    found.records.push(Record { name: owner.clone(), ttl: seconds, data });
                }
                None => bad += 1,
            }
        }
        if found.records.is_empty() {
            found.reason = Some(match () {
                () if bad > 0 => Reason::Malformed,
                () if nxdomain => Reason::NoName,
                () => Reason::NoData,
            });
            ttl = negative_ttl(message).unwrap_or(0).min(ttl);
        }
        if found.records.iter().any(|record| matches!(&record.data, Data::Mx { host, .. } if host.is_empty())) {
            found.reason = Some(Reason::NullMx);
        }
        found.ttl = ttl;
        Reply::Found(found)
    }

    fn data(&self, item: &domain::base::record::ParsedRecord<'_, &[u8]>, owner: &str, warnings: &mut Vec<String>) -> Option<Data> {
        let mut host = |name: &Owner<'_>| {
            let text = text_of(name);
            let Err(error) = valid_dns_name(&text) else { return Some(text) };
            // An address where a name should be: not allowed, but what is meant is clear.
            if text.parse::<std::net::Ipv4Addr>().is_ok() {
                warnings.push(format!("numeric domain name in resource data of {} record for {owner}: {text}", self.kind));
                return Some(text);
            }
            warnings.push(error.to_string());
            warnings.push(format!("malformed domain name in resource data of {} record for {owner}: {text}", self.kind));
            None
        };
        Some(match self.kind {
            Type::A => Data::A(item.to_record::<A>().ok()??.data().addr()),
            Type::Aaaa => Data::Aaaa(item.to_record::<Aaaa>().ok()??.data().addr()),
            Type::Cname => Data::Cname(host(item.to_record::<Cname<Owner<'_>>>().ok()??.data().cname())?),
            Type::Mx => {
                let record = item.to_record::<Mx<Owner<'_>>>().ok()??;
                let mx = record.data();
                // The root is no host, but says "no mail" (RFC 7505); the caller sees to it.
                let host = if mx.exchange().is_root() { String::new() } else { host(mx.exchange())? };
                Data::Mx { preference: mx.preference(), host }
            }
            Type::Ns => Data::Ns(host(item.to_record::<Ns<Owner<'_>>>().ok()??.data().nsdname())?),
            Type::Ptr => Data::Ptr(host(item.to_record::<Ptr<Owner<'_>>>().ok()??.data().ptrdname())?),
            Type::Srv => {
                let record = item.to_record::<Srv<Owner<'_>>>().ok()??;
                let srv = record.data();
                let host = if srv.target().is_root() { String::new() } else { host(srv.target())? };
                Data::Srv { priority: srv.priority(), weight: srv.weight(), port: srv.port(), host }
            }
            Type::Tlsa => {
                // RFC 6698 §2.1: three bytes, and the rest.
                let record = item.to_record::<UnknownRecordData<Octets<'_>>>().ok()??;
                let (&[usage, selector, matching], data) = record.data().data().split_first_chunk()?;
                Data::Tlsa { usage, selector, matching, data: data.to_vec() }
            }
            Type::Txt => {
                let record = item.to_record::<Txt<Octets<'_>>>().ok()??;
                Data::Txt(record.data().iter().flatten().copied().collect::<Vec<u8>>().into())
            }
        })
    }
}

/// The text of a name without the final dot; empty for the root.
fn text_of(name: &Owner<'_>) -> String {
    if name.is_root() { String::new() } else { name.to_string().trim_end_matches('.').to_owned() }
}

/// How long a negative answer holds: RFC 2308 §5.
fn negative_ttl(message: &Message<&[u8]>) -> Option<u32> {
    let authority = message.authority().ok()?;
    let soa = authority.limit_to::<Soa<Owner<'_>>>().take(RECORD_LIMIT).find_map(Result::ok)?;
    Some(soa.ttl().as_secs().min(soa.data().minimum().as_secs()))
}

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// Not the answer to this question: a late one, or a forged one. Wait on.
    NotOurs,
    /// Ask again over TCP.
    Truncated,
    /// FORMERR: perhaps it does not know EDNS.
    FormatError,
    /// SERVFAIL, REFUSED, NOTIMP and the like: ask another server.
    ServerFailure,
    /// An answer, with or without records.
    Found(Found),
}

/// The useful part of a reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Where the CNAME records of the reply lead.
    pub name: String,
    /// There were CNAME records.
    pub aliased: bool,
    /// Of the type asked for, at `name`.
    pub records: Vec<Record>,
    /// Why there are none.
    pub reason: Option<Reason>,
    /// Seconds for which the answer holds.
    pub ttl: u32,
    /// AD bit.
    pub secure: bool,
    /// For the log.
    pub warnings: Vec<String>,
}

impl Found {
    fn failed(mut self, reason: Reason) -> Found {
        self.reason = Some(reason);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: Type) -> Question {
        Question { name: name_from_text(name).unwrap(), kind, edns: false, dnssec: false, want_ad: false }
    }

    fn n(text: &str) -> Name<Vec<u8>> {
        name_from_text(text).unwrap()
    }

    /// A reply to `q` with these answer records added by `fill`.
    fn reply(q: &Question, rcode: Rcode, fill: impl FnOnce(&mut domain::base::message_builder::AnswerBuilder<Vec<u8>>)) -> Vec<u8> {
        let query = q.encode(7).unwrap();
        let query = Message::from_octets(query).unwrap();
        let mut answer = MessageBuilder::new_vec().start_answer(&query, rcode).unwrap();
        fill(&mut answer);
        answer.finish()
    }

    fn found(reply: Reply) -> Found {
        match reply {
            Reply::Found(found) => found,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn query_bytes_are_those_of_rfc_1035() {
        let bytes = question("a.example", Type::Mx).encode(0x1234).unwrap();
        assert_eq!(bytes, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x0f\x00\x01");
        let edns = Question { edns: true, dnssec: true, want_ad: true, ..question("a.example", Type::Mx) }.encode(1).unwrap();
        assert_eq!(&edns[2..4], b"\x01\x20");
        assert_eq!(&edns[bytes.len()..], b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00");
    }

    /// S-DNS-03: the chain is followed whatever the order of its records.
    #[test]
    fn cname_chain_in_any_order() {
        let q = question("alias.example", Type::A);
        let bytes = reply(&q, Rcode::NOERROR, |answer| {
            answer.push((n("end.example"), 30, A::from_octets(192, 0, 2, 1))).unwrap();
            answer.push((n("middle.example"), 20, Cname::new(n("END.example")))).unwrap();
            answer.push((n("Alias.example"), 40, Cname::new(n("middle.example")))).unwrap();
            answer.push((n("other.example"), 1, A::from_octets(192, 0, 2, 9))).unwrap();
        });
        let found = found(q.decode(7, &bytes));
        assert_eq!(found.records.len(), 1);
        assert_eq!((found.name.as_str(), found.ttl, found.aliased, found.reason), ("END.example", 20, true, None));
    }

    #[test]
    fn cname_circle_ends() {
        let q = question("a.example", Type::A);
        let bytes = reply(&q, Rcode::NOERROR, |answer| {
            answer.push((n("a.example"), 30, Cname::new(n("b.example")))).unwrap();
            answer.push((n("b.example"), 30, Cname::new(n("a.example")))).unwrap();
        });
        assert_eq!(found(q.decode(7, &bytes)).reason, Some(Reason::Loop));
    }

    /// S-DNS-07, RFC 7505: "no mail". Others may not stand beside it; Postfix does not look at them.
    #[test]
    fn null_mx() {
        let q = question("x.example", Type::Mx);
        let bytes = reply(&q, Rcode::NOERROR, |answer| answer.push((n("x.example"), 30, Mx::new(0, n(".")))).unwrap());
        assert_eq!(found(q.decode(7, &bytes)).reason, Some(Reason::NullMx));
        let bytes = reply(&q, Rcode::NOERROR, |answer| {
            answer.push((n("x.example"), 30, Mx::new(0, n(".")))).unwrap();
            answer.push((n("x.example"), 30, Mx::new(5, n("mx.example")))).unwrap();
        });
        assert_eq!(found(q.decode(7, &bytes)).reason, Some(Reason::NullMx));
    }

    #[test]
    fn names_that_are_none_are_left_out_with_a_warning() {
        let q = question("x.example", Type::Mx);
        let bytes = reply(&q, Rcode::NOERROR, |answer| {
            answer.push((n("x.example"), 30, Mx::new(0, n("-bad.example")))).unwrap();
        });
        let bad = found(q.decode(7, &bytes));
        assert_eq!(bad.reason, Some(Reason::Malformed));
        assert_eq!(
            bad.warnings,
            [
                "valid_hostname: misplaced hyphen: -bad.example",
                "malformed domain name in resource data of MX record for x.example: -bad.example"
            ]
        );
        let bytes = reply(&q, Rcode::NOERROR, |answer| answer.push((n("x.example"), 30, Mx::new(0, n("192.0.2.1")))).unwrap());
        let numeric = found(q.decode(7, &bytes));
        assert_eq!(numeric.records.len(), 1);
        assert_eq!(numeric.warnings, ["numeric domain name in resource data of MX record for x.example: 192.0.2.1"]);
    }

    #[test]
    fn forged_late_and_broken_replies() {
        let q = question("x.example", Type::A);
        let good = reply(&q, Rcode::NOERROR, |answer| answer.push((n("x.example"), 30, A::from_octets(1, 2, 3, 4))).unwrap());
        assert_eq!(q.decode(8, &good), Reply::NotOurs, "another id");
        assert_eq!(question("y.example", Type::A).decode(7, &good), Reply::NotOurs, "another name");
        assert_eq!(q.decode(7, &q.encode(7).unwrap()), Reply::NotOurs, "our own query");
        assert_eq!(q.decode(7, &good[..5]), Reply::NotOurs, "too short");
        assert_eq!(found(q.decode(7, &good[..good.len() - 3])).reason, Some(Reason::Malformed), "cut off");
        assert_eq!(q.decode(7, &reply(&q, Rcode::SERVFAIL, |_| ())), Reply::ServerFailure);
        assert_eq!(found(q.decode(7, &reply(&q, Rcode::NXDOMAIN, |_| ()))).reason, Some(Reason::NoName));
        assert_eq!(found(q.decode(7, &reply(&q, Rcode::NOERROR, |_| ()))).reason, Some(Reason::NoData));
    }

    #[test]
    fn no_more_records_than_the_limit() {
        let q = question("x.example", Type::A);
        let bytes = reply(&q, Rcode::NOERROR, |answer| {
            for i in 0..200u8 {
                answer.push((n("x.example"), 30, A::from_octets(10, 0, 0, i))).unwrap();
            }
        });
        assert_eq!(found(q.decode(7, &bytes)).records.len(), RECORD_LIMIT);
    }

    proptest::proptest! {
        /// Whatever comes over the network, decoding ends and does not panic.
        #[test]
        fn any_bytes_are_survived(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..400), flags: u8, counts: [u8; 3]) {
            let q = question("x.example", Type::Mx);
            let mut bytes = q.encode(7).unwrap();
            bytes[2] |= 0x80 | (flags & 0x7f);
            (bytes[7], bytes[9], bytes[11]) = (counts[0], counts[1], counts[2]);
            bytes.extend(tail);
            let _ = q.decode(7, &bytes);
        }
    }
}
