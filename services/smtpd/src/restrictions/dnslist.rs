//! DNS lists: `reject_rbl_client zone=filter`, `permit_dnswl_client` and so on.

use super::eval::{Evaluation, Outcome};
use super::lookup::on;
use super::parse::Subject;
use super::reply::Reject;
use bstr::{BStr, BString, ByteSlice};
use posthaste_dns::{Data, reverse_name};
use posthaste_log::warn;
use posthaste_smtp_protocol::server::notice;
use std::net::Ipv4Addr;

/// A zone with the answers that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsList {
    pub zone: String,
    /// As written, the filter included: the key of `rbl_reply_maps`.
    pub text: String,
    /// Nothing: any answer counts.
    filter: Option<[Vec<(u8, u8)>; 4]>,
}

impl DnsList {
    /// `zone`, `zone=127.0.0.2`, `zone=127.0.[1..3].[2;4..11]`.
    pub fn parse(text: &str) -> Result<DnsList, String> {
        let (zone, filter) = match text.split_once('=') {
            Some((zone, filter)) => (zone, Some(parse_filter(filter)?)),
            None => (text, None),
        };
        Ok(DnsList { zone: zone.to_owned(), text: text.to_owned(), filter })
    }

    pub fn counts(&self, address: Ipv4Addr) -> bool {
        let Some(filter) = &self.filter else { return true };
        filter.iter().zip(address.octets()).all(|(ranges, octet)| ranges.iter().any(|(low, high)| (*low..=*high).contains(&octet)))
    }
}

/// Reads `d.d.d.d`. The error tells the place as `at "127.0.0.>256<"`.
fn parse_filter(text: &str) -> Result<[Vec<(u8, u8)>; 4], String> {
    if text.is_empty() {
        return Err("RBL reply error: empty address pattern".into());
    }
    let mut scan = Scan { text, at: 0 };
    let mut parts: [Vec<(u8, u8)>; 4] = Default::default();
    for (nth, ranges) in parts.iter_mut().enumerate() {
        if nth > 0 && !scan.take('.') {
            return Err(scan.fault("need \".\""));
        }
        if !scan.take('[') {
            let number = scan.number("need decimal number 0..255 or \"[\"")?;
            ranges.push((number, number));
            continue;
        }
        loop {
            let low = scan.number("need decimal number 0..255")?;
            let mut high = low;
            if scan.rest().starts_with("..") {
                scan.at += 2;
                let before = scan.at;
                high = scan.number("need decimal number 0..255")?;
                if high < low {
                    scan.at = before;
                    return Err(scan.fault("numeric range error"));
                }
            }
            ranges.push((low, high));
            if scan.take(']') {
                break;
            }
            if !scan.take(';') {
                return Err(scan.fault("need \";\" or \"]\""));
            }
        }
    }
    if scan.rest().is_empty() { Ok(parts) } else { Err(scan.fault("garbage after pattern")) }
}

/// A place in a filter.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn digits(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())]
    }

    fn number(&mut self, need: &str) -> Result<u8, String> {
        let digits = self.digits();
        let number = digits.parse().map_err(|_| self.fault(need))?;
        self.at += digits.len();
        Ok(number)
    }

    /// Points at what is here: a number, or one character.
    fn fault(&self, what: &str) -> String {
        let token = match self.digits() {
            "" => self.rest().chars().next().map_or(0, char::len_utf8),
            digits => digits.len(),
        };
        let (before, rest) = self.text.split_at(self.at);
        let (token, after) = rest.split_at(token);
        format!("RBL reply error: {what} at \"{before}>{token}<{after}\"")
    }
}

/// What was looked up and how it is called in the reply.
pub struct Listed<'a> {
    pub query: String,
    /// `$rbl_what`.
    pub what: BString,
    pub subject: Subject,
    pub list: &'a DnsList,
}

/// The answer of a DNS list.
enum Answer {
    Listed(String),
    NotListed,
    Failed,
}

impl Evaluation<'_> {
    async fn ask_list(&self, name: &str, list: &DnsList) -> Answer {
        // Neither a zone with a final dot nor a name with one inside makes a name.
        if name.ends_with('.') || name.contains("..") {
            return Answer::NotListed;
        }
        match self.rules.resolver.a(name).await {
            Ok(answer) => {
                let hit = answer.records.iter().any(|record| matches!(record.data, Data::A(address) if list.counts(address)));
                if !hit {
                    return Answer::NotListed;
                }
                let text = match self.rules.resolver.txt(name).await {
                    Ok(answer) => {
                        let texts = answer.records.iter().filter_map(|record| match &record.data {
                            Data::Txt(text) => Some(text.to_string()),
                            _ => None,
                        });
                        texts.collect::<Vec<_>>().join(" / ")
                    }
                    Err(_) => String::new(),
                };
                Answer::Listed(text)
            }
            Err(error) if error.temporary() => {
                warn!(self.rules.log, "{name}: RBL lookup error: {error}");
                Answer::Failed
            }
            Err(_) => Answer::NotListed,
        }
    }

    /// `reject_rbl_client`.
    pub async fn reject_address_list(&mut self, list: &DnsList) -> Outcome {
        let Some(ip) = self.session.client().ip else { return Outcome::Dunno };
        let listed = Listed {
            query: format!("{}.{}", list_name(ip), list.zone),
            what: self.session.client().address.clone(),
            subject: Subject::Client,
            list,
        };
        self.reject_listed(listed).await
    }

    /// `reject_rhsbl_…`.
    pub async fn reject_name_list(&mut self, subject: Subject, list: &DnsList) -> Outcome {
        let Some((domain, what)) = self.list_subject(subject) else { return Outcome::Dunno };
        self.reject_listed(Listed { query: format!("{domain}.{}", list.zone), what, subject, list }).await
    }

    async fn reject_listed(&mut self, listed: Listed<'_>) -> Outcome {
        match self.ask_list(&listed.query, listed.list).await {
            Answer::Listed(text) => {
                let reject = self.list_reply(&listed, &text).await;
                self.reject(reject)
            }
            Answer::NotListed | Answer::Failed => Outcome::Dunno,
        }
    }

    /// `permit_dnswl_client`, `permit_rhswl_client`: never for a destination that this host does not relay to, since anybody can run a
    /// DNS list.
    pub async fn permit_address_list(&mut self, list: &DnsList) -> Outcome {
        let Some(ip) = self.session.client().ip else { return Outcome::Dunno };
        let name = format!("{}.{}", list_name(ip), list.zone);
        let what = self.session.client().address.clone();
        self.permit_listed(&name, list, "permit_dnswl_client", what).await
    }

    pub async fn permit_name_list(&mut self, subject: Subject, list: &DnsList) -> Outcome {
        let Some((domain, what)) = self.list_subject(subject) else { return Outcome::Dunno };
        self.permit_listed(&format!("{domain}.{}", list.zone), list, "permit_rhswl_client", what).await
    }

    async fn permit_listed(&mut self, name: &str, list: &DnsList, action: &str, what: BString) -> Outcome {
        if self.session.candidate().is_some() {
            match self.authorized_destination() {
                Ok(true) => {}
                Ok(false) => return Outcome::Dunno,
                Err(outcome) => return outcome,
            }
        }
        match self.ask_list(name, list).await {
            Answer::Listed(_) => self.permit(action, Subject::Client),
            Answer::NotListed => Outcome::Dunno,
            Answer::Failed => {
                self.defer_if_reject(Reject::new(450, "4.7.1", what.as_bstr(), Subject::Client.class(), "Service unavailable"));
                Outcome::Dunno
            }
        }
    }

    /// The domain to look up and `$rbl_what`.
    fn list_subject(&mut self, subject: Subject) -> Option<(String, BString)> {
        let (domain, what): (BString, BString) = match subject {
            Subject::Client => (self.session.client().name.clone(), self.session.client().name.clone()),
            Subject::ReverseClient => (self.session.client().reverse_name.clone(), self.session.client().reverse_name.clone()),
            Subject::Helo => (self.session.helo()?.to_owned(), self.session.helo()?.to_owned()),
            Subject::Sender => {
                let sender = self.session.transaction().map(|transaction| &transaction.sender)?;
                (sender.domain()?.to_owned(), sender.as_bytes().to_owned())
            }
            Subject::Recipient => {
                let recipient = self.session.recipient()?;
                (recipient.domain()?.to_owned(), recipient.as_bytes().to_owned())
            }
            _ => return None,
        };
        let text = domain.to_str().ok()?;
        let nameless = matches!(subject, Subject::Client | Subject::ReverseClient) && text == "unknown";
        // Address literals and names that no DNS name can be are listed nowhere.
        if nameless || text.starts_with('[') || text.is_empty() {
            return None;
        }
        Some((posthaste_address::idn::domain_to_ascii(BStr::new(text)).unwrap_or_else(|| text.to_owned()), what))
    }

    /// `rbl_reply_maps`, `default_rbl_reply`.
    async fn list_reply(&self, listed: &Listed<'_>, text: &str) -> Reject {
        let rules = self.rules;
        let key = listed.list.text.clone();
        let template = match on(&rules.rbl_reply_maps, move |maps| maps.find(BStr::new(key.as_bytes()))).await {
            Ok(template) => template,
            Err(_) => return Reject::plain(451, "4.3.5 Server configuration error").software(),
        };
        let mut values = |name: &str| {
            Some(match name {
                "rbl_code" => BString::from(rules.maps_rbl_reject_code.to_string()),
                "rbl_domain" => BString::from(listed.list.zone.as_str()),
                "rbl_reason" | "rbl_txt" => BString::from(text),
                "rbl_what" => listed.what.clone(),
                "rbl_class" => BString::from(listed.subject.class()),
                _ => return None,
            })
        };
        let own = template.and_then(|template| {
            let expanded = self.expand(template.as_bstr(), &mut values);
            if expanded.is_none() {
                warn!(rules.log, "rbl_reject_reply: bad rbl reply template for domain {}: {template}", listed.list.text);
            }
            expanded
        });
        let expanded = match own {
            Some(expanded) => expanded,
            None => self.expand(BStr::new(rules.default_rbl_reply.as_bytes()), &mut values).unwrap_or_default(),
        };
        match Reject::from_template(expanded.as_bstr()) {
            Some(mut reject) => {
                reject.class = notice::POLICY;
                reject
            }
            None => {
                warn!(rules.log, "rbl response code configuration error: {expanded}");
                Reject::plain(450, "4.7.1 Service unavailable")
            }
        }
    }
}

/// The name of an address in a DNS list: its octets or nibbles backwards.
fn list_name(ip: std::net::IpAddr) -> String {
    let name = reverse_name(ip);
    name.trim_end_matches(".in-addr.arpa").trim_end_matches(".ip6.arpa").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(spec: &str, address: &str) -> bool {
        DnsList::parse(spec).unwrap().counts(address.parse().unwrap())
    }

    /// S-UBE-27.
    #[test]
    fn reply_filters() {
        assert!(counts("bl.example", "127.0.0.99"));
        assert!(counts("bl.example=127.0.0.2", "127.0.0.2"));
        assert!(!counts("bl.example=127.0.0.2", "127.0.0.3"));
        assert!(counts("bl.example=127.0.0.[2..11;13]", "127.0.0.13"));
        assert!(!counts("bl.example=127.0.0.[2..11;13]", "127.0.0.12"));
        assert!(counts("bl.example=127.[0;1].[0..3].4", "127.1.3.4"));
        assert!(DnsList::parse("=1.2.3.4").is_ok());
    }

    /// What Postfix says of them.
    #[test]
    fn bad_filters() {
        for (filter, fault) in [
            ("", "empty address pattern"),
            ("127.0.0", "need \".\" at \"127.0.0><\""),
            ("127.0.0.2.3", "garbage after pattern at \"127.0.0.2>.<3\""),
            ("127.0.0.256", "need decimal number 0..255 or \"[\" at \"127.0.0.>256<\""),
            ("127.0.0.[5..4]", "numeric range error at \"127.0.0.[5..>4<]\""),
            ("127.0.0.[5", "need \";\" or \"]\" at \"127.0.0.[5><\""),
            ("127.0.0.[]", "need decimal number 0..255 at \"127.0.0.[>]<\""),
            ("127.0.0.[1;]", "need decimal number 0..255 at \"127.0.0.[1;>]<\""),
            ("127.0.0.x", "need decimal number 0..255 or \"[\" at \"127.0.0.>x<\""),
        ] {
            assert_eq!(DnsList::parse(&format!("bl.example={filter}")), Err(format!("RBL reply error: {fault}")));
        }
    }

    #[test]
    fn names_of_addresses() {
        assert_eq!(list_name("192.0.2.10".parse().unwrap()), "10.2.0.192");
        assert!(list_name("2001:db8::1".parse().unwrap()).ends_with("8.b.d.0.1.0.0.2"));
    }
}
