//! What the postmaster is told of sessions with trouble (`notify_classes`).

use crate::settings::Settings;
use crate::{Smtpd, mail};
use bstr::{BString, ByteSlice};
use posthaste_log::warn;
use posthaste_smtp_protocol::server::{Client, Transcript, notice};
use std::rc::Rc;

/// Sends the transcript of a session if its trouble is of a class that the postmaster wants to hear of.
pub async fn send(smtpd: &Rc<Smtpd>, settings: &Settings, client: &Client, transcript: Transcript) {
    if transcript.trouble & settings.notify == 0 {
        return;
    }
    let label = client.label(settings.port_logging);
    let mut lines: Vec<BString> = [
        format!("From: Mail Delivery System <MAILER-DAEMON@{}>", settings.myhostname),
        // As in Postfix, the header names this one also when the message goes to `bounce_notice_recipient`.
        format!("To: Postmaster <{}>", complete(&settings.error_notice_recipient, &settings.myorigin)),
        format!("Subject: {} SMTP server: errors from {label}", settings.mail_name),
        String::new(),
        "Transcript of session follows.".into(),
        String::new(),
    ]
    .map(BString::from)
    .into();
    for line in transcript.lines.lines() {
        wrap(line, &mut lines);
    }
    lines.push(BString::default());
    if let Some(reason) = transcript.aborted {
        lines.push(format!("Session aborted, reason: {reason}").into());
    }
    lines.push(BString::default());
    lines.push("For other details, see the local mail logfile".into());
    let bounce = transcript.trouble & settings.notify & notice::BOUNCE != 0;
    let to = if bounce { &settings.bounce_notice_recipient } else { &settings.error_notice_recipient };
    if let Err(error) = mail::post_notice(smtpd, settings, to, &lines).await {
        warn!(smtpd.log, "postmaster notify: {error}");
    }
}

/// An address with a domain.
fn complete(address: &str, origin: &str) -> String {
    if address.contains('@') { address.to_owned() } else { format!("{address}@{origin}") }
}

/// ` In:  …` and ` Out: …`, folded at blanks after 78 columns, the rest indented by four.
fn wrap(line: &[u8], out: &mut Vec<BString>) {
    const WIDTH: usize = 78;
    let mut current = BString::from(" ");
    let mut empty = true;
    let mut words = line.split(|c| *c == b' ');
    // The tag and the blanks that follow it belong together.
    if let Some(tag) = words.next() {
        current.extend_from_slice(tag);
    }
    for word in words {
        let blank = 1;
        if !empty && current.len() + blank + word.len() > WIDTH || empty && word.len() + current.len() + blank > WIDTH && !word.is_empty() {
            out.push(std::mem::replace(&mut current, BString::from("    ")));
            current.extend_from_slice(b" ");
            current.extend_from_slice(word);
        } else {
            current.push(b' ');
            current.extend_from_slice(word);
        }
        if !word.is_empty() {
            empty = false;
        }
    }
    out.push(current);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(line: &str) -> Vec<String> {
        let mut out = Vec::new();
        wrap(line.as_bytes(), &mut out);
        out.iter().map(|line| line.to_string()).collect()
    }

    #[test]
    fn long_lines_are_folded() {
        assert_eq!(wrapped("In:  EHLO foo"), [" In:  EHLO foo"]);
        assert_eq!(
            wrapped("Out: 550 5.1.1 <bad@example.com>: Recipient address rejected: User unknown in local recipient table"),
            [" Out: 550 5.1.1 <bad@example.com>: Recipient address rejected: User unknown in", "     local recipient table"]
        );
        let long = "a".repeat(160);
        assert_eq!(wrapped(&format!("In:  FOO {long}")), [" In:  FOO".to_owned(), format!("     {long}")]);
    }
}
