//! access(5): lookups of clients, names and addresses, and what the results mean.

use super::eval::{Evaluation, Outcome};
use super::lookup::on;
use super::parse::{self, Subject};
use super::reply::{Reject, fit_dsn, split_dsn};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_log::{info, warn};
use posthaste_smtp_protocol::server::Action;
use posthaste_table::{AddressSearch, Maps, TableError, fold};
use std::sync::Arc;

impl Evaluation<'_> {
    /// `check_…_access`.
    pub async fn access(&mut self, subject: Subject, maps: &Arc<Maps>) -> Outcome {
        let parents = self.rules.access_parents;
        let name = self.name_of(subject);
        let mut key = name.clone();
        let found = match subject {
            Subject::Client | Subject::ReverseClient => {
                let client = self.session.client();
                key = if subject == Subject::Client { client.name.clone() } else { client.reverse_name.clone() };
                let (host, address) = (key.clone(), client.address.clone());
                match on(maps, move |maps| domain_lookup(maps, parents, host.as_bstr())).await {
                    Ok(None) => {
                        key = address.clone();
                        on(maps, move |maps| network_lookup(maps, address.as_bstr())).await
                    }
                    found => found,
                }
            }
            Subject::Helo | Subject::Etrn => {
                if name.is_empty() || subject == Subject::Etrn && self.session.place() != "ETRN" {
                    return Outcome::Dunno;
                }
                let host = name.clone();
                on(maps, move |maps| domain_lookup(maps, parents, host.as_bstr())).await
            }
            Subject::Sender => {
                let Some(transaction) = self.session.transaction() else { return Outcome::Dunno };
                if transaction.sender.is_empty() {
                    let null = self.rules.null_key.clone();
                    on(maps, move |maps| maps.find(BStr::new(null.as_bytes()))).await
                } else if let Some(refusal) = self.unresolved(subject) {
                    return refusal;
                } else {
                    let address = self.memory.sender_route.as_ref().map_or(&transaction.sender, |route| &route.recipient);
                    self.address_lookup(maps, address.clone()).await
                }
            }
            Subject::Recipient => {
                if name.is_empty() {
                    return Outcome::Dunno;
                }
                if let Some(refusal) = self.unresolved(subject) {
                    return refusal;
                }
                let address = match &self.route {
                    Some(route) => route.recipient.clone(),
                    None => Address::new(name.clone()),
                };
                self.address_lookup(maps, address).await
            }
            Subject::Data | Subject::EndOfData => return Outcome::Dunno,
        };
        match found {
            Ok(None) => Outcome::Dunno,
            Ok(Some(value)) => {
                let key = match subject {
                    Subject::Client | Subject::ReverseClient => key,
                    // Addresses were folded to be looked up.
                    Subject::Sender | Subject::Recipient => fold::fold(name.as_bstr(), self.rules.smtputf8).into_owned(),
                    _ => name,
                };
                let outcome = self.result(maps.title(), value.as_bstr(), key.as_bstr(), subject).await;
                if subject == Subject::ReverseClient && outcome == Outcome::Permit {
                    let name = self.name_of(subject);
                    return self.permit_forbidden("check_reverse_client_hostname_access", name.as_bstr());
                }
                outcome
            }
            Err(error) => self.lookup_failed(&error, name.as_bstr(), subject),
        }
    }

    /// Strangers choose their own reverse names, mail exchangers and name servers: a permit by these would let anybody in.
    pub fn permit_forbidden(&self, restriction: &str, name: &BStr) -> Outcome {
        warn!(self.rules.log, "restriction {restriction} returns OK for {name}");
        warn!(self.rules.log, "this is not allowed for security reasons");
        warn!(self.rules.log, "use DUNNO instead of OK if you want to make an exception");
        self.misconfigured()
    }

    /// A table that fails: temporary. (One that could not even be opened is a fault of the configuration, and is called so.)
    pub fn lookup_failed(&mut self, error: &TableError, name: &BStr, subject: Subject) -> Outcome {
        let _ = error;
        let reject = Reject::new(451, "4.3.5", name, subject.class(), "Server configuration error");
        self.reject(reject)
    }

    async fn address_lookup(&self, maps: &Arc<Maps>, address: Address) -> Result<Option<BString>, TableError> {
        let rules = self.rules;
        let (special, delimiters, parents) = (rules.owner_request_special, rules.delimiters.clone(), rules.access_parents);
        let work = move |maps: &Maps| {
            let search = AddressSearch { owner_request_special: special, ..AddressSearch::access(&delimiters, parents) };
            Ok(maps.find_address(&address, &search)?.map(|found| found.value))
        };
        on(maps, work).await
    }

    /// Acts on the right-hand side of an access table, found for `key`.
    pub async fn result(&mut self, table: &str, value: &BStr, key: &BStr, subject: Subject) -> Outcome {
        let name = self.name_of(subject);
        let name = name.as_bstr();
        if value.trim_ascii().is_empty() {
            warn!(self.rules.log, "access table {table} entry {value} has empty value");
            return Outcome::Dunno;
        }
        // What begins with a blank (only a policy server can say so) names no action: it is a list of restrictions.
        let (word, text) = match value.find_byteset(" \t") {
            Some(at) => (value[..at].as_bstr(), value[at..].trim_ascii_start().as_bstr()),
            None => (value, BStr::new(b"")),
        };
        let class = subject.class();
        let codes = &self.rules.codes;
        let upper = word.to_ascii_uppercase();
        let place = self.session.place();
        match upper.as_slice() {
            b"DUNNO" => Outcome::Dunno,
            b"REJECT" => {
                let reject = self.with_text(codes.access_map_reject, "5.7.1", name, class, text, "Access denied");
                self.reject(reject)
            }
            b"DEFER" => {
                let reject = self.with_text(codes.access_map_defer, "4.7.1", name, class, text, "Access denied");
                self.reject(reject)
            }
            b"DEFER_IF_REJECT" => {
                let reject = self.with_text(codes.access_map_defer, "4.7.1", name, class, text, "Service unavailable");
                self.defer_if_reject(reject);
                Outcome::Dunno
            }
            b"DEFER_IF_PERMIT" => {
                let reject = self.with_text(codes.access_map_defer, "4.7.1", name, class, text, "Service unavailable");
                self.defer_if_permit(reject);
                Outcome::Dunno
            }
            b"HANGUP" => {
                info!(self.rules.log, "{}", self.session.describe("hangup", place, &text.to_string()));
                Outcome::HangUp
            }
            b"INFO" | b"WARN" => {
                let action = if upper == b"INFO" { "info" } else { "warn" };
                info!(self.rules.log, "{}", self.session.describe(action, place, &text.to_string()));
                Outcome::Dunno
            }
            b"HOLD" | b"DISCARD" => {
                let hold = upper == b"HOLD";
                if self.no_message(if hold { "HOLD" } else { "DISCARD" }, table) {
                    return Outcome::Dunno;
                }
                let what = if hold { Action::Hold } else { Action::Discard };
                // Logged once per message, though each recipient leads here.
                if !self.has_action(&what) {
                    let action = if hold { "hold" } else { "discard" };
                    let done = if text.is_empty() { format!("triggers {} action", action.to_uppercase()) } else { text.to_string() };
                    info!(self.rules.log, "{}", self.session.describe(action, place, &format!("<{name}>: {class} {done}")));
                    self.actions.push(what);
                }
                if hold {
                    return Outcome::Dunno;
                }
                self.permit_table(word, subject, table);
                Outcome::Discard
            }
            b"FILTER" | b"REDIRECT" | b"BCC" => self.envelope_action(&upper, text, key, subject, table),
            b"PREPEND" => {
                if self.no_message("PREPEND", table) {
                    return Outcome::Dunno;
                }
                if place == "END-OF-MESSAGE" {
                    warn!(self.rules.log, "access table {table}: action PREPEND must be used before smtpd_end_of_data_restrictions");
                } else if !is_header(text) {
                    warn!(self.rules.log, "access table {table} entry \"{key}\" requires header: text");
                } else {
                    self.actions.push(Action::Prepend(text.to_owned()));
                }
                Outcome::Dunno
            }
            b"OK" | b"RELAY" => self.permit_table(word, subject, table),
            digits if value == word && digits.iter().all(u8::is_ascii_digit) => self.permit_table(word, subject, table),
            [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] => {
                let code = word.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
                let dsn = if code >= 500 { "5.7.1" } else { "4.7.1" };
                let reject = self.with_text(code, dsn, name, class, text, "");
                self.reject(reject)
            }
            // A list of restrictions, which then speak of what was looked up.
            _ => self.result_list(parse::as_text(value), subject, table).await,
        }
    }

    fn permit_table(&self, action: &BStr, subject: Subject, table: &str) -> Outcome {
        self.permit_from(&action.to_str_lossy(), subject, &format!("from {table}"))
    }

    fn envelope_action(&mut self, action: &[u8], text: &BStr, key: &BStr, subject: Subject, table: &str) -> Outcome {
        let word = String::from_utf8_lossy(action).into_owned();
        if self.no_message(&word, table) {
            return Outcome::Dunno;
        }
        let warning = match word.as_str() {
            "FILTER" if text.is_empty() => Some("has FILTER entry without value"),
            "FILTER" if !text.contains(&b':') => Some("requires transport:destination"),
            "REDIRECT" | "BCC" if !text.contains(&b'@') => Some("requires user@domain target"),
            _ => None,
        };
        if let Some(warning) = warning {
            warn!(self.rules.log, "access table {table} entry \"{key}\" {warning}");
            return Outcome::Dunno;
        }
        let what = match word.as_str() {
            "FILTER" => Action::Filter(text.to_owned()),
            "REDIRECT" => Action::Redirect(text.to_owned()),
            _ => Action::Bcc(text.to_owned()),
        };
        let done = format!("<{}>: {} triggers {word} {text}", self.name_of(subject), subject.class());
        info!(self.rules.log, "{}", self.session.describe(&word.to_ascii_lowercase(), self.session.place(), &done));
        if !self.has_action(&what) {
            self.actions.push(what);
        }
        Outcome::Dunno
    }

    /// Whether there is no message that the action could apply to.
    fn no_message(&self, action: &str, table: &str) -> bool {
        let log = &self.rules.log;
        if self.session.place() == "ETRN" && action != "PREPEND" {
            warn!(log, "access table {table}: action {action} is unavailable in smtpd_etrn_restrictions");
            return true;
        }
        if self.session.transaction().is_none() {
            // Postfix says so of VRFY and ETRN, too, whatever smtpd_delay_reject is.
            warn!(
                log,
                "access table {table}: with smtpd_delay_reject=no, action {action} is always skipped in Client host or Helo command restrictions"
            );
            return true;
        }
        // A filter in front of the queue gets the message; only headers can be added to that.
        if self.session.settings().relay && action != "PREPEND" {
            warn!(log, "access table {table}: with smtpd_proxy_filter specified, action {action} is unavailable");
            return true;
        }
        false
    }

    fn has_action(&self, action: &Action) -> bool {
        let done = self.session.transaction().is_some_and(|transaction| transaction.actions.contains(action));
        done || self.actions.contains(action)
    }

    /// A reply with the text of a table, which may begin with an enhanced code.
    fn with_text(&self, code: u16, dsn: &str, name: &BStr, class: &str, text: &BStr, default: &str) -> Reject {
        let text = text.to_str_lossy();
        let (dsn, text) = match split_dsn(&text) {
            Some((own, rest)) => (fit_dsn(own, class, &self.rules.log), rest),
            None => (dsn.to_owned(), &*text),
        };
        Reject::new(code, &dsn, name, class, if text.is_empty() { default } else { text })
    }
}

/// `name: value`, as PREPEND needs it.
fn is_header(text: &BStr) -> bool {
    let Some(colon) = text.find_byte(b':') else { return false };
    let name = text[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(|c| (b'!'..=b'~').contains(c))
}

/// A name, then its parent domains: as `.parent`, or as `parent` where `parents` says so.
pub fn domain_lookup(maps: &Maps, parents: bool, name: &BStr) -> Result<Option<BString>, TableError> {
    if let Some(value) = maps.find(name)? {
        return Ok(Some(value));
    }
    // An address literal has no parents.
    if name.starts_with(b"[") {
        return Ok(None);
    }
    let mut key = name;
    // As in Postfix a dot at the start of a key belongs to it.
    while let Some(dot) = key.get(1..).and_then(|rest| rest.find_byte(b'.')) {
        key = key[1 + dot + usize::from(parents)..].as_bstr();
        if key.is_empty() {
            break;
        }
        if let Some(value) = maps.find_partial(key)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// An address, then the networks it is in: 1.2.3.4, 1.2.3, 1.2, 1.
pub fn network_lookup(maps: &Maps, address: &BStr) -> Result<Option<BString>, TableError> {
    if let Some(value) = maps.find(address)? {
        return Ok(Some(value));
    }
    let separator = if address.contains(&b':') { b':' } else { b'.' };
    let mut rest = address;
    while let Some(at) = rest.rfind_byte(separator) {
        rest = rest[..at].as_bstr();
        if rest.is_empty() {
            break;
        }
        if let Some(value) = maps.find_partial(rest)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}
