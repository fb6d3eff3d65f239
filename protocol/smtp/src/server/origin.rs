//! XCLIENT and XFORWARD (XCLIENT_README, XFORWARD_README): a trusted client speaks for another.

use super::lines;
use super::session::{Level, Session, State};
use super::types::*;
use crate::xtext;
use bstr::{BStr, BString, ByteSlice};
use std::net::IpAddr;

/// A client that is known by login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// SASL mechanism, or `XCLIENT`.
    pub method: String,
    /// Login name.
    pub username: BString,
    /// From MAIL FROM … AUTH=, empty when not given.
    pub sender: BString,
}

/// What XFORWARD tells of the client upstream, for the log and for the next server. What was not told is `unknown`, or `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Host name.
    pub name: BString,
    /// Printed, without `IPv6:`.
    pub address: BString,
    /// The same with `IPv6:` where RFC 5321 wants it.
    pub rfc_address: BString,
    /// Port.
    pub port: BString,
    /// Protocol name.
    pub protocol: BString,
    /// Name given with HELO.
    pub helo: Option<BString>,
    /// Queue id upstream.
    pub ident: Option<BString>,
    /// Whether the message originated on the host upstream, when `SOURCE` said so.
    pub local: Option<bool>,
    /// Something was said of the client, if only that it is unknown: what is said here takes the place of what is known of the real client.
    pub client: bool,
    /// `NAME[ADDR]`, as of the last command that told one of them; `NAME` without a known address.
    pub label: BString,
}

const UNKNOWN: &str = "unknown";

impl Default for Forwarded {
    fn default() -> Forwarded {
        let unknown = || BString::from(UNKNOWN);
        Forwarded {
            name: unknown(),
            address: unknown(),
            rfc_address: unknown(),
            port: unknown(),
            protocol: unknown(),
            helo: None,
            ident: None,
            local: None,
            client: false,
            label: unknown(),
        }
    }
}

/// The value of an attribute.
enum Value {
    Given(BString),
    Unavailable,
    TemporarilyUnavailable,
}

impl<M: Message> Session<M> {
    /// The login, if there is one.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// What XFORWARD told, for the present transaction.
    pub fn forwarded(&self) -> Option<&Forwarded> {
        self.forwarded.as_deref()
    }

    /// The same, when it told of the client.
    pub fn forwarded_client(&self) -> Option<&Forwarded> {
        self.forwarded().filter(|forwarded| forwarded.client)
    }

    /// After [`Step::Reintroduced`]: what the client as it now is may do.
    pub fn set_rules(&mut self, rules: Rules) {
        // Whether a client may use XFORWARD is settled when it connects.
        let unknown = rules.unknown & !keyword::XFORWARD | self.rules.unknown & keyword::XFORWARD;
        self.rules = Rules { xforward: self.rules.xforward, unknown, ..rules };
    }

    /// `client=NAME[ADDR]`, with login and origin, for the line that ties a queue id to its client.
    pub fn client_line(&self) -> String {
        let mut line = format!("client={}", self.label());
        if let Some(login) = &self.login {
            line.push_str(&format!(", sasl_method={}, sasl_username={}", login.method, lines::printable(&login.username)));
            if !login.sender.is_empty() {
                line.push_str(&format!(", sasl_sender={}", lines::printable(&login.sender)));
            }
        }
        if let Some(forwarded) = &self.forwarded {
            if let Some(ident) = &forwarded.ident {
                line.push_str(&format!(", orig_queue_id={}", lines::printable(ident)));
            }
            if forwarded.client {
                line.push_str(&format!(", orig_client={}", forwarded.label));
            }
        }
        line
    }

    pub(super) fn xclient(&mut self, arguments: &[u8]) {
        if self.transaction.is_some() {
            return self.fail("503 5.5.1 Error: MAIL transaction in progress");
        }
        if self.is_unknown(keyword::XCLIENT, "XCLIENT") {
            return;
        }
        if !self.rules.xclient {
            return self.fail_as("550 5.7.0 Error: insufficient authorization", notice::POLICY);
        }
        if arguments.is_empty() {
            return self.fail("501 5.5.4 Syntax: XCLIENT attribute=value...");
        }
        // An attribute counts at once, also when a later one of the command is wrong; log lines then go on naming the client as before.
        let shown = self.shown.take().unwrap_or_else(|| self.label());
        match self.set_client(arguments, self.settings.smtputf8) {
            Ok(renamed) => {
                self.shown = (!renamed).then_some(shown);
                // The transcript begins anew.
                self.history.clear();
                self.history_lines = 0;
                self.end_transaction();
                self.state = State::Reintroduced;
            }
            Err(reply) => {
                self.shown = Some(shown);
                self.fail(&reply);
            }
        }
    }

    /// Whether name, address or port were told; or the refusal.
    fn set_client(&mut self, arguments: &[u8], utf8: bool) -> Result<bool, String> {
        let (mut renamed, mut helo, mut esmtp, mut login) = (false, None, false, None);
        let client = &mut self.client;
        for word in arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            let (name, value) = attribute(word)?;
            renamed |= matches!(name.as_slice(), b"NAME" | b"ADDR" | b"PORT");
            let good = match name.as_slice() {
                b"NAME" => set_name(&value, &mut client.name, &mut client.name_status).map(|()| {
                    // Until REVERSE_NAME says otherwise.
                    if client.name_status == NameStatus::Found {
                        (client.reverse_name, client.reverse_status) = (client.name.clone(), client.name_status);
                    }
                }),
                b"REVERSE_NAME" => set_name(&value, &mut client.reverse_name, &mut client.reverse_status),
                b"ADDR" => set_address(&value, &mut client.address).map(|ip| client.ip = ip),
                b"DESTADDR" => set_address(&value, &mut client.server_address).map(drop),
                b"PORT" => set_port(&value, &mut client.port),
                b"DESTPORT" => set_port(&value, &mut client.server_port),
                b"PROTO" => match &value {
                    Value::Given(text) if text.eq_ignore_ascii_case(b"ESMTP") || text.eq_ignore_ascii_case(b"SMTP") => {
                        esmtp = text.len() == 5;
                        self.esmtp = esmtp;
                        Ok(())
                    }
                    Value::Given(text) => Err(text.clone()),
                    Value::Unavailable => Err("[UNAVAILABLE]".into()),
                    Value::TemporarilyUnavailable => Err("[TEMPUNAVAIL]".into()),
                },
                b"HELO" => {
                    helo = given(&value).map(|text| lines::neuter(text, utf8));
                    self.helo.clone_from(&helo);
                    Ok(())
                }
                b"LOGIN" => {
                    let username = given(&value).cloned();
                    login = username.map(|username| Login { method: "XCLIENT".into(), username, sender: BString::default() });
                    self.login = login.clone().or(self.login.take());
                    Ok(())
                }
                _ => return Err(format!("501 5.5.4 Bad XCLIENT attribute name: {}", lines::printable(&name))),
            };
            good.map_err(|text| bad_value(name.as_bstr(), &text))?;
        }
        // A new session, but for the client.
        (self.helo, self.esmtp, self.login) = (helo, esmtp, login);
        Ok(renamed)
    }

    /// Whether it could not be found out if the client may use a command, which is answered then.
    fn is_unknown(&mut self, bit: u32, command: &str) -> bool {
        let unknown = self.rules.unknown & bit != 0;
        if unknown {
            self.log(Level::Warning, format!("don't know if command {command} should be allowed from {}", self.label()));
            self.local_data_error();
        }
        unknown
    }

    pub(super) fn xforward(&mut self, arguments: &[u8]) {
        if self.transaction.is_some() {
            return self.fail("503 5.5.1 Error: MAIL transaction in progress");
        }
        if self.is_unknown(keyword::XFORWARD, "XFORWARD") {
            return;
        }
        if !self.rules.xforward {
            return self.fail_as("550 5.7.0 Error: insufficient authorization", notice::POLICY);
        }
        if arguments.is_empty() {
            return self.fail("501 5.5.4 Syntax: XFORWARD attribute=value...");
        }
        // An attribute counts at once, also when a later one of the command is wrong; what makes use of it waits for a good command.
        let forwarded = self.forwarded.get_or_insert_default();
        match forwarded.set(arguments, self.settings.smtputf8) {
            Ok(()) => self.succeed("250 2.0.0 Ok"),
            Err(reply) => self.fail(&reply),
        }
    }
}

impl Forwarded {
    fn set(&mut self, arguments: &[u8], utf8: bool) -> Result<(), String> {
        let (mut client, mut label, mut local) = (false, false, self.local);
        for word in arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            let (name, value) = attribute(word)?;
            client |= !matches!(name.as_slice(), b"IDENT" | b"SOURCE");
            label |= matches!(name.as_slice(), b"NAME" | b"ADDR" | b"PORT");
            let good = match name.as_slice() {
                b"NAME" => set_name(&value, &mut self.name, &mut NameStatus::default()).map_err(|text| lines::neuter(&text, utf8)),
                // "Unavailable" takes back only what log lines show, as in Postfix.
                b"ADDR" => set_address(&value, &mut self.address).map(|ip| match ip {
                    Some(IpAddr::V6(_)) => self.rfc_address = BString::from(format!("IPv6:{}", self.address)),
                    Some(IpAddr::V4(_)) => self.rfc_address.clone_from(&self.address),
                    None => {}
                }),
                b"PORT" => set_port(&value, &mut self.port),
                b"PROTO" => match given(&value) {
                    Some(name) if name.len() > 64 => Err(name.clone()),
                    name => {
                        self.protocol = name.map_or_else(|| BString::from(UNKNOWN), |text| lines::neuter(text, utf8));
                        Ok(())
                    }
                },
                b"HELO" => {
                    self.helo = given(&value).map(|text| lines::neuter(text, utf8));
                    Ok(())
                }
                b"IDENT" => {
                    self.ident = given(&value).map(|text| lines::neuter(text, utf8));
                    Ok(())
                }
                b"SOURCE" => match &value {
                    Value::Given(text) if text.eq_ignore_ascii_case(b"LOCAL") => {
                        local = Some(true);
                        Ok(())
                    }
                    Value::Given(text) if text.eq_ignore_ascii_case(b"REMOTE") => {
                        local = Some(false);
                        Ok(())
                    }
                    Value::Given(text) => Err(text.clone()),
                    _ => Ok(()),
                },
                _ => return Err(format!("501 5.5.4 Bad XFORWARD attribute name: {}", lines::printable(&name))),
            };
            good.map_err(|text| bad_value(name.as_bstr(), &text))?;
        }
        self.client |= client;
        self.local = local;
        if label {
            self.label = match self.address == UNKNOWN {
                true => self.name.clone(),
                false => BString::from(format!("{}[{}]", self.name, self.address)),
            };
        }
        Ok(())
    }
}

fn bad_value(name: &BStr, value: &[u8]) -> String {
    format!("501 5.5.4 Bad {name} syntax: {}", lines::printable(value))
}

/// `NAME=value`: the name in capitals, the value decoded.
fn attribute(word: &[u8]) -> Result<(BString, Value), &'static str> {
    let expected = "501 5.5.4 Error: attribute=value expected";
    let (name, value) = word.split_once_str("=").ok_or(expected)?;
    if name.is_empty() || value.is_empty() {
        return Err(expected);
    }
    if value.len() > 255 {
        return Err("501 5.5.4 Error: attribute value too long");
    }
    // Before 2.3 values were not encoded.
    let mut value = xtext::decode(value).unwrap_or_else(|| BString::from(value));
    // As in Postfix, where it is a C string.
    let end = value.find_byte(0).unwrap_or(value.len());
    value.truncate(end);
    let value = match () {
        () if value.eq_ignore_ascii_case(b"[UNAVAILABLE]") => Value::Unavailable,
        () if value.eq_ignore_ascii_case(b"[TEMPUNAVAIL]") => Value::TemporarilyUnavailable,
        () => Value::Given(value),
    };
    Ok((BString::from(name.to_ascii_uppercase()), value))
}

fn given(value: &Value) -> Option<&BString> {
    match value {
        Value::Given(text) => Some(text),
        _ => None,
    }
}

/// The error is the value, for the reply.
fn set_name(value: &Value, name: &mut BString, status: &mut NameStatus) -> Result<(), BString> {
    (*name, *status) = match value {
        Value::Given(text) if text.starts_with(b"[") || !lines::looks_like_host(text) => return Err(text.clone()),
        Value::Given(text) => (text.clone(), NameStatus::Found),
        Value::Unavailable => (BString::from(UNKNOWN), NameStatus::Missing),
        Value::TemporarilyUnavailable => (BString::from(UNKNOWN), NameStatus::Failed),
    };
    Ok(())
}

/// IPv6 addresses have the prefix `IPv6:`.
fn set_address(value: &Value, address: &mut BString) -> Result<Option<IpAddr>, BString> {
    let Value::Given(text) = value else {
        *address = BString::from(UNKNOWN);
        return Ok(None);
    };
    let bad = || lines::neuter(text, true);
    let plain = text.to_str().map_err(|_| bad())?;
    let ip = match plain.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("IPv6:") => IpAddr::V6(plain[5..].parse().map_err(|_| bad())?),
        _ => IpAddr::V4(plain.parse().map_err(|_| bad())?),
    };
    *address = BString::from(ip.to_string());
    Ok(Some(ip))
}

fn set_port(value: &Value, port: &mut BString) -> Result<(), BString> {
    *port = match value {
        Value::Given(text) if text.is_empty() || text.len() > 5 || !text.iter().all(u8::is_ascii_digit) => {
            return Err(text.clone());
        }
        Value::Given(text) => text.clone(),
        _ => BString::from(UNKNOWN),
    };
    Ok(())
}
