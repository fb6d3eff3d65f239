//! `$name` in reply templates: `default_rbl_reply`, `smtpd_reject_footer`.

use super::eval::Evaluation;
use crate::mail::Mail;
use bstr::{BStr, BString};
use posthaste_address::Address;
use posthaste_config::expand::{MacroError, expand};
use posthaste_log::{Logger, warn};
use posthaste_smtp_protocol::server::{Client, Session};

impl Evaluation<'_> {
    /// Expands a template with the session's data, made harmless by `smtpd_expansion_filter`. `extra` knows names of its own. `None`, and a
    /// warning, when it is no template or has a name that means nothing.
    pub fn expand(&self, template: &BStr, extra: &mut dyn FnMut(&str) -> Option<BString>) -> Option<BString> {
        let session = self.session;
        let filter = &self.rules.expansion_filter;
        let mut good = true;
        let result = expand::<MacroError>(template, &mut |name| {
            let value = extra(name).or_else(|| session_value(name, session));
            if value.is_none() {
                unknown_name(name, &self.rules.log);
                good = false;
            }
            Ok(value.map(|value| filtered(&value, filter)))
        });
        match result {
            Ok(text) => good.then(|| text.into()),
            Err(error) => {
                warn!(self.rules.log, "{error}");
                None
            }
        }
    }
}

fn session_value(name: &str, session: &Session<Mail>) -> Option<BString> {
    let sender = session.transaction().map(|transaction| &transaction.sender);
    let recipient = session.recipient();
    address_value(name, sender, recipient).or_else(|| client_value(name, session.client(), &session.label(), session.helo()))
}

/// The names about sender and recipient.
pub fn address_value(name: &str, sender: Option<&Address>, recipient: Option<&Address>) -> Option<BString> {
    let (what, part) = name.split_once('_').unwrap_or((name, ""));
    let address = match what {
        "sender" => sender?,
        "recipient" => recipient?,
        _ => return None,
    };
    let null = |text: &BStr| if text.is_empty() { BString::from("<>") } else { text.to_owned() };
    Some(match part {
        "" => null(address.as_bytes()),
        "name" => null(address.local()),
        "domain" => address.domain().unwrap_or_default().to_owned(),
        _ => return None,
    })
}

/// Whether the name is one about sender or recipient, which have no value before MAIL and RCPT.
pub fn is_address_name(name: &str) -> bool {
    matches!(name, "sender" | "sender_name" | "sender_domain" | "recipient" | "recipient_name" | "recipient_domain")
}

/// Says that a template has a name that means nothing here.
pub fn unknown_name(name: &str, log: &Logger) {
    warn!(log, "unknown macro name \"{name}\" in expansion request");
}

/// The names that are known from the connection on; `label` is the client as log lines name it.
pub fn client_value(name: &str, client: &Client, label: &str, helo: Option<&BStr>) -> Option<BString> {
    Some(match name {
        "client" => label.into(),
        "client_address" => client.address.clone(),
        "client_name" => client.name.clone(),
        "client_port" => client.port.clone(),
        "reverse_client_name" => client.reverse_name.clone(),
        "server_address" => client.server_address.clone(),
        "helo_name" => helo.unwrap_or_default().to_owned(),
        "localtime" => BString::from(crate::date::local_time()),
        _ => return None,
    })
}

/// Characters that are not in `smtpd_expansion_filter` become `_`; the texts go into replies and logs.
pub fn filtered(value: &[u8], filter: &[u8]) -> Vec<u8> {
    value.iter().map(|&c| if filter.contains(&c) { c } else { b'_' }).collect()
}

/// C escapes as in `smtpd_expansion_filter`: `\t`, `\40`, `\\`.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    while let Some(c) = bytes.next() {
        if c != b'\\' {
            out.push(c);
            continue;
        }
        match bytes.next() {
            Some(b't') => out.push(b'\t'),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'v') => out.push(11),
            Some(b'f') => out.push(12),
            Some(first @ b'0'..=b'7') => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    match bytes.peek() {
                        Some(digit @ b'0'..=b'7') => value = value * 8 + u32::from(digit - b'0'),
                        _ => break,
                    }
                    bytes.next();
                }
                out.push((value & 0xff) as u8);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"\t\40a\\b\101"), b"\t a\\bA");
    }

    #[test]
    fn filter() {
        assert_eq!(filtered(b"a\nb", b"ab"), b"a_b");
    }

    #[test]
    fn client_names() {
        let client = Client { name: "c.example".into(), ..Client::local() };
        assert_eq!(client_value("client", &client, "c.example[127.0.0.1]:99", None).unwrap(), "c.example[127.0.0.1]:99");
        assert_eq!(client_value("helo_name", &client, "", Some("x".into())).unwrap(), "x");
        assert_eq!(client_value("nonsense", &client, "", None), None);
    }
}
