//! The Received: header that smtpd puts on top (RFC 5321 §4.4).

use super::session::Session;
use super::types::Message;
use bstr::{BString, ByteSlice};

/// The lines of the header, without line ends: `Received: from HELO (NAME [ADDR])`, `\tby …`, `\tfor …; DATE`. `tls` are lines in parentheses
/// about the session (TLS, authenticated sender), each without its tab. `date` is an RFC 5322 date.
pub fn received<M: Message>(session: &Session<M>, tls: &[String], date: &str) -> Vec<BString> {
    let settings = session.settings();
    let client = session.client();
    let mut lines: Vec<BString> = Vec::with_capacity(4);
    if settings.hide_client {
        lines.push(BString::from(format!("Received: by {} ({})", settings.hostname, settings.mail_name)));
    } else {
        let helo = session.helo().unwrap_or(client.name.as_bstr());
        let mut first = BString::from("Received: from ");
        first.extend_from_slice(helo);
        first.extend_from_slice(format!(" ({} [{}])", client.name, client.rfc_address()).as_bytes());
        lines.push(first);
        lines.extend(tls.iter().map(|line| BString::from(format!("\t{line}"))));
        lines.push(BString::from(format!("\tby {} ({})", settings.hostname, settings.mail_name)));
    }
    let transaction = session.transaction();
    let smtputf8 = transaction.is_some_and(|transaction| transaction.parameters.smtputf8);
    let protocol = session.transmission_type(smtputf8);
    if let Some(last) = lines.last_mut() {
        last.extend_from_slice(format!(" with {protocol}").as_bytes());
        if let Some(id) = transaction.and_then(|transaction| transaction.queue_id.as_deref()) {
            last.extend_from_slice(format!(" id {id}").as_bytes());
        }
    }
    // With several recipients the header may not tell one of the others (RFC 5321 §7.2).
    match transaction.and_then(|transaction| transaction.first_recipient.as_ref().filter(|_| transaction.recipients == 1)) {
        Some(recipient) => lines.push(BString::from(format!("\tfor <{}>; {date}", recipient.external()))),
        None => {
            if let Some(last) = lines.last_mut() {
                last.push(b';');
            }
            lines.push(BString::from(format!("\t{date}")));
        }
    }
    lines
}

impl<M: Message> Session<M> {
    /// RFC 3848 and RFC 6531 §4.3.
    fn transmission_type(&self, smtputf8: bool) -> &'static str {
        match (self.esmtp(), smtputf8, self.login().is_some()) {
            (_, true, false) => "UTF8SMTP",
            (_, true, true) => "UTF8SMTPA",
            (true, false, false) => "ESMTP",
            (true, false, true) => "ESMTPA",
            (false, false, _) => "SMTP",
        }
    }
}
