//! What the postmaster is told of sessions with trouble (`notify_classes`).

use crate::settings::Settings;
use crate::{Smtpd, mail};
use bstr::{BString, ByteSlice};
use posthaste_log::warn;
use posthaste_smtp_protocol::server::{Transcript, notice};
use std::rc::Rc;

/// Sends the transcript of a session with a client, `NAME[ADDR]`, if its trouble is of a class that the postmaster wants to hear of.
pub async fn send(smtpd: &Rc<Smtpd>, settings: &Settings, client: &str, transcript: Transcript) {
    if transcript.trouble & settings.notify == 0 {
        return;
    }
    let mut lines: Vec<BString> = [
        format!("From: Mail Delivery System <MAILER-DAEMON@{}>", settings.myhostname),
        // As in Postfix, the header names this one also when the message goes to `bounce_notice_recipient`.
        format!("To: Postmaster <{}>", complete(&settings.error_notice_recipient, &settings.myorigin)),
        format!("Subject: {} SMTP server: errors from {client}", settings.mail_name),
        String::new(),
        "Transcript of session follows.".into(),
        String::new(),
    ]
    .map(BString::from)
    .into();
    for line in transcript.lines.lines() {
        wrap(readable(line, settings.utf8).as_bytes(), &mut lines);
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

/// Up to a NUL; control characters and what is no UTF-8 (with `smtputf8_enable = no`: no ASCII) become `?`.
fn readable(line: &[u8], utf8: bool) -> String {
    let line = line.split_str("\0").next().unwrap_or_default();
    let mut out = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if c.is_control() => out.push('?'),
                c if utf8 || c.is_ascii() => out.push(c),
                c => out.extend(std::iter::repeat_n('?', c.len_utf8())),
            }
        }
        out.extend(chunk.invalid().iter().map(|_| '?'));
    }
    out
}

/// ` In:  …` and ` Out: …`, folded at blanks so that 78 bytes fit on a line, the rest indented by four. Lines end without blanks.
fn wrap(line: &[u8], out: &mut Vec<BString>) {
    const WIDTH: usize = 78;
    let (mut rest, mut indent) = (line, "");
    loop {
        let width = WIDTH - indent.len();
        let near = rest.get(..=width).map(|start| start.rfind_byte(b' ').filter(|&at| at > 0));
        // A longer word has a line of its own.
        let end = near.and_then(|near| near.or_else(|| rest.find_byte(b' ')));
        let (now, later) = rest.split_at(end.unwrap_or(rest.len()));
        let mut folded = BString::from(format!(" {indent}"));
        folded.extend_from_slice(now.trim_end_with(|c| c == ' '));
        out.push(folded);
        if end.is_none() {
            return;
        }
        (rest, indent) = (later.trim_start_with(|c| c == ' '), "    ");
    }
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
    fn what_cannot_be_printed_is_not() {
        assert_eq!(readable(b"In:  a\tb\xc3\xa9\xff\x7f", true), "In:  a?b\u{e9}??");
        assert_eq!(readable(b"In:  a\xc3\xa9\xff", false), "In:  a???");
        assert_eq!(readable(b"In:  a\0b", true), "In:  a");
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
        assert_eq!(wrapped(&format!("In:  {long} b")), [" In:".to_owned(), format!("     {long}"), "     b".to_owned()]);
        // 78 bytes fit; a blank too many makes a line with nothing on it.
        let full = "b".repeat(69);
        assert_eq!(wrapped(&format!("In:  FOO {full}")), [format!(" In:  FOO {full}")]);
        assert_eq!(wrapped(&format!("In:  FOO {full} ")), [format!(" In:  FOO {full}"), "     ".to_owned()]);
        assert_eq!(wrapped(&format!("In:  FOO {full}c")), [" In:  FOO".to_owned(), format!("     {full}c")]);
        assert_eq!(wrapped("In:  a  b  "), [" In:  a  b"]);
    }
}
