//! Composes a report (RFC 3464): the headers, the notice for people, the delivery status for programs, and the message or its headers.
//!
//! It writes lines to a closure and holds nothing: a report on ten thousand recipients takes no more memory than one on a single one. The caller
//! goes through the recipient log twice, once for [`Report::notice_recipient`] and once for [`Report::status_recipient`].

use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_config::{Config, ConfigError};
use posthaste_queue::QueueId;
use posthaste_queue::clock::mail_date;
use posthaste_queue::log::LogRecord;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest line of the notice and of `Diagnostic-Code:`; longer ones go on in the next line.
const WIDTH: usize = 79;
const INDENT: &[u8] = b"    ";

/// What main.cf says about reports, read once.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of main.cf")]
pub struct Settings {
    pub myhostname: String,
    pub mail_name: String,
    pub maximal_queue_lifetime: Duration,
    pub smtputf8_enable: bool,
    pub enable_threaded_bounces: bool,
}

impl Settings {
    /// From main.cf.
    pub fn from_config(config: &Config) -> Result<Settings, ConfigError> {
        Ok(Settings {
            myhostname: config.text("myhostname")?,
            mail_name: config.text("mail_name")?,
            maximal_queue_lifetime: config.time("maximal_queue_lifetime")?,
            smtputf8_enable: config.bool("smtputf8_enable")?,
            enable_threaded_bounces: config.bool("enable_threaded_bounces")?,
        })
    }
}

/// Which report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Recipients that will never get the message.
    Failure,
    /// Recipients that have not got it yet.
    Delay,
    /// What the log says of each.
    Trace,
}

/// The message that the report is about.
#[derive(Clone, Debug)]
pub struct Original {
    /// Its queue id.
    pub id: QueueId,
    /// Its envelope sender; empty for `<>`.
    pub sender: Address,
    /// DSN ENVID, or empty.
    pub envelope_id: BString,
    /// With angle brackets, or empty.
    pub message_id: BString,
    /// When it arrived.
    pub arrival: SystemTime,
    /// SMTPUTF8 was asked for it.
    pub smtputf8: bool,
    /// What is known of its encoding: `8bit`, `7bit`, or empty.
    pub encoding: BString,
}

/// To whom and how the report goes.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// The new message's queue id.
    pub id: &'a QueueId,
    /// Now.
    pub now: SystemTime,
    /// `From:`, from the template.
    pub from: &'a str,
    /// `Subject:`, from the template.
    pub subject: &'a str,
    /// Envelope recipient and `To:`.
    pub to: &'a Address,
    /// A copy for the postmaster, which nobody is to answer automatically either.
    pub copy: bool,
    /// The template's character set.
    pub charset: &'a str,
    /// The template's text, expanded; empty in copies.
    pub text: &'a str,
}

/// A report being written.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    settings: &'a Settings,
    purpose: Purpose,
    original: &'a Original,
    boundary: String,
    eight_bit: bool,
}

impl<'a> Report<'a> {
    /// Begins a report; `now` goes into the boundary.
    pub fn new(settings: &'a Settings, purpose: Purpose, original: &'a Original, now: SystemTime) -> Report<'a> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let boundary = format!("{}.{seconds}/{}", original.id, settings.myhostname);
        Report { settings, purpose, original, boundary, eight_bit: settings.smtputf8_enable || original.encoding == "8bit" }
    }

    /// `8bit` or `7bit`: what the report's header says. `None` when nothing is known of the message's.
    pub fn encoding(&self) -> Option<&'static str> {
        if self.eight_bit { Some("8bit") } else { (self.original.encoding == "7bit").then_some("7bit") }
    }

    /// Headers and the beginning of the notice.
    pub fn begin<E>(&self, letter: &Letter<'_>, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let Settings { myhostname, mail_name, .. } = self.settings;
        put(format!("Received: by {myhostname} ({mail_name})").as_bytes())?;
        put(format!("\tid {}; {}", letter.id, mail_date(letter.now)).as_bytes())?;
        put(format!("Date: {}", mail_date(letter.now)).as_bytes())?;
        put(format!("From: {}", letter.from).as_bytes())?;
        put(format!("Subject: {}", letter.subject).as_bytes())?;
        put(&[b"To: ", &letter.to.external()[..]].concat())?;
        if self.settings.enable_threaded_bounces && !self.original.message_id.is_empty() {
            put(&[b"References: ", &self.original.message_id[..]].concat())?;
            put(&[b"In-Reply-To: ", &self.original.message_id[..]].concat())?;
        }
        // RFC 3834 §5: neither kind may be answered by a program.
        put(if letter.copy { b"Auto-Submitted: auto-generated" } else { b"Auto-Submitted: auto-replied" })?;
        put(b"MIME-Version: 1.0")?;
        put(b"Content-Type: multipart/report; report-type=delivery-status;")?;
        put(format!("\tboundary=\"{}\"", self.boundary).as_bytes())?;
        if let Some(encoding) = self.encoding() {
            put(format!("Content-Transfer-Encoding: {encoding}").as_bytes())?;
        }
        put(b"")?;
        put(b"This is a MIME-encapsulated message.")?;
        put(b"")?;
        // A template in ASCII is as well in UTF-8, in which texts of other systems may be.
        let charset = if self.eight_bit && letter.charset.eq_ignore_ascii_case("us-ascii") { "utf-8" } else { letter.charset };
        self.part("Notification", &format!("text/plain; charset={charset}"), true, put)?;
        letter.text.lines().try_for_each(|line| put(line.as_bytes()))
    }

    /// The head of a part. `content`: what may be 8-bit says so.
    fn part<E>(&self, description: &str, kind: &str, content: bool, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(format!("--{}", self.boundary).as_bytes())?;
        put(format!("Content-Description: {description}").as_bytes())?;
        put(format!("Content-Type: {kind}").as_bytes())?;
        if self.eight_bit && content {
            put(b"Content-Transfer-Encoding: 8bit")?;
        }
        put(b"")
    }

    /// One recipient, for people.
    pub fn notice_recipient<E>(&self, record: &LogRecord, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(b"")?;
        let mut text = BString::from("<");
        text.extend_from_slice(&record.recipient.external());
        text.extend_from_slice(b">");
        if expanded(record) {
            text.extend_from_slice(b" (expanded from <");
            text.extend_from_slice(&record.original.external());
            text.extend_from_slice(b">)");
        }
        text.extend_from_slice(b": ");
        text.extend_from_slice(&record.reason);
        wrap(text.as_bstr(), put)
    }

    /// A text in the place of recipients, when the log cannot be read.
    pub fn notice_missing<E>(&self, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(b"")?;
        put(b"\t--- Delivery report unavailable ---")
    }

    /// The beginning of the delivery status (RFC 3464 §2.2).
    pub fn status<E>(&self, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(b"")?;
        let utf8 = self.original.smtputf8;
        let kind = if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
        self.part("Delivery report", kind, utf8, put)?;
        let Settings { myhostname, .. } = self.settings;
        let x = self.extension();
        put(format!("Reporting-MTA: dns; {myhostname}").as_bytes())?;
        if !self.original.envelope_id.is_empty() {
            put(&[b"Original-Envelope-Id: ", &self.original.envelope_id[..]].concat())?;
        }
        put(format!("{x}-Queue-ID: {}", self.original.id).as_bytes())?;
        let sender = self.returnable_sender();
        put(&[format!("{x}-Sender: ").as_bytes(), &self.typed(&sender)].concat())?;
        put(format!("Arrival-Date: {}", mail_date(self.original.arrival)).as_bytes())
    }

    /// One recipient, for programs (RFC 3464 §2.3).
    pub fn status_recipient<E>(&self, record: &LogRecord, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(b"")?;
        put(&[b"Final-Recipient: ", &self.typed(&record.recipient)[..]].concat())?;
        if !record.dsn_orcpt.is_empty() {
            let mut original = BString::from(&record.dsn_orcpt[..]);
            if !self.settings.smtputf8_enable {
                original.iter_mut().filter(|c| !c.is_ascii()).for_each(|c| *c = b'?');
            }
            put(&[b"Original-Recipient: ", &original[..]].concat())?;
        } else if !record.original.is_empty() {
            put(&[b"Original-Recipient: ", &self.typed(&record.original)[..]].concat())?;
        }
        let action = match self.purpose {
            // Expired mail is in the log as delayed.
            Purpose::Failure => "failed",
            Purpose::Delay => "delayed",
            Purpose::Trace => &record.action,
        };
        put(format!("Action: {action}").as_bytes())?;
        put(format!("Status: {}", record.status).as_bytes())?;
        if !record.mta_type.is_empty() && !record.mta_name.is_empty() {
            put(&[format!("Remote-MTA: {}; ", record.mta_type).as_bytes(), &record.mta_name].concat())?;
        }
        let diagnostic = if !record.diag_type.is_empty() && !record.diag_text.is_empty() {
            [format!("Diagnostic-Code: {}; ", record.diag_type).as_bytes(), &record.diag_text].concat()
        } else {
            [format!("Diagnostic-Code: {}; ", self.extension()).as_bytes(), &record.reason].concat()
        };
        wrap(diagnostic.as_bstr(), put)?;
        if self.purpose == Purpose::Delay {
            let until = self.original.arrival + self.settings.maximal_queue_lifetime;
            put(format!("Will-Retry-Until: {}", mail_date(until)).as_bytes())?;
        }
        Ok(())
    }

    /// The beginning of the last part; the caller writes the message after it, up to the empty line if `headers`.
    pub fn message<E>(&self, headers: bool, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(b"")?;
        let description = match (self.purpose, headers) {
            (Purpose::Trace, true) => "Message Headers",
            (Purpose::Trace, false) => "Message",
            (_, true) => "Undelivered Message Headers",
            (_, false) => "Undelivered Message",
        };
        let kind = match (self.original.smtputf8, headers) {
            (true, true) => "message/global-headers",
            (true, false) => "message/global",
            (false, true) => "text/rfc822-headers",
            (false, false) => "message/rfc822",
        };
        self.part(description, kind, true, put)?;
        put(&[b"Return-Path: <", &self.returnable_sender().external()[..], b">"].concat())
    }

    /// In the place of a message that cannot be read.
    pub fn message_missing<E>(&self, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(b"")?;
        put(b"\t--- Undelivered message unavailable ---")
    }

    /// After the message.
    pub fn end<E>(&self, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(b"")?;
        put(format!("--{}--", self.boundary).as_bytes())
    }

    /// `X-Postfix` and the like, for fields that no standard knows.
    fn extension(&self) -> String {
        let token = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        format!("X-{}", self.settings.mail_name.chars().map(token).collect::<String>())
    }

    /// The null sender has a name in reports.
    fn returnable_sender(&self) -> Address {
        if self.original.sender.is_empty() {
            Address::new(format!("MAILER-DAEMON@{}", self.settings.myhostname))
        } else {
            self.original.sender.clone()
        }
    }

    /// `rfc822; address`, or `utf-8; address` where that is allowed and needed (RFC 6533 §3).
    fn typed(&self, address: &Address) -> BString {
        let external = address.external();
        let kind: &[u8] = if self.original.smtputf8 && !external.is_ascii() { b"utf-8; " } else { b"rfc822; " };
        [kind, &external[..]].concat().into()
    }
}

/// The log has the original recipient only where it is another one, if but for a blank at its end.
fn expanded(record: &LogRecord) -> bool {
    !record.original.is_empty()
}

/// Writes text in lines of at most [`WIDTH`] bytes where blanks allow it.
fn wrap<E>(text: &BStr, put: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let text = text.trim_ascii_end();
    let mut rest = text;
    let mut line = Vec::with_capacity(WIDTH);
    loop {
        line.clear();
        if rest.len() != text.len() {
            line.extend_from_slice(INDENT);
        }
        let room = WIDTH - line.len();
        let end = if rest.len() <= room {
            rest.len()
        } else {
            // The last blank at which the line is not too long, else the first one there is.
            let fits = rest[..=room].rfind_byte(b' ').filter(|&at| at > 0);
            fits.or_else(|| rest[room..].find_byte(b' ').map(|at| room + at)).unwrap_or(rest.len())
        };
        line.extend_from_slice(&rest[..end]);
        put(line.trim_ascii_end())?;
        rest = rest[end..].trim_ascii_start();
        if rest.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_queue::Notify;

    fn wrapped(text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let done: Result<(), ()> = wrap(text.as_bytes().as_bstr(), &mut |line| {
            lines.push(line.to_str_lossy().into_owned());
            Ok(())
        });
        done.unwrap();
        lines
    }

    /// As Postfix 3.7.11 was seen to do it: 79 columns, four blanks.
    #[test]
    fn lines_are_folded_at_79() {
        assert_eq!(
            wrapped("<bad@example.org>: host mx.example.org[192.0.2.20] said: 550 5.1.1 no (in reply to RCPT TO command)"),
            ["<bad@example.org>: host mx.example.org[192.0.2.20] said: 550 5.1.1 no (in reply", "    to RCPT TO command)"]
        );
        assert_eq!(
            wrapped("<bad1@example.org>: host mx.example.org[192.0.2.20] said: 550 5.1.1 no (in reply to RCPT TO command)"),
            ["<bad1@example.org>: host mx.example.org[192.0.2.20] said: 550 5.1.1 no (in", "    reply to RCPT TO command)"]
        );
        let long = "x".repeat(100);
        assert_eq!(wrapped(&format!("a {long} b")), ["a".to_owned(), format!("    {long}"), "    b".to_owned()]);
        assert_eq!(wrapped(&long), [long]);
    }

    fn settings() -> Settings {
        Settings {
            myhostname: "mail.example.com".into(),
            mail_name: "Postfix".into(),
            maximal_queue_lifetime: Duration::from_secs(5 * 86400),
            smtputf8_enable: true,
            enable_threaded_bounces: true,
        }
    }

    fn original() -> Original {
        Original {
            id: QueueId::parse("0500A24D").unwrap(),
            sender: Address::new("alice@example.com"),
            envelope_id: "id+1".into(),
            message_id: "<m1@x>".into(),
            arrival: UNIX_EPOCH + Duration::from_secs(1_795_255_036),
            smtputf8: false,
            encoding: "7bit".into(),
        }
    }

    fn record() -> LogRecord {
        LogRecord {
            recipient: Address::new("bad@example.org"),
            original: Address::new("al@example.com"),
            dsn_orcpt: "rfc822;al@example.com".into(),
            notify: Notify(0),
            status: "5.1.1".into(),
            action: "failed".into(),
            diag_type: "smtp".into(),
            diag_text: "550 5.1.1 no".into(),
            mta_type: "dns".into(),
            mta_name: "mx.example.org".into(),
            reason: "host mx.example.org[192.0.2.20] said: 550 5.1.1 no (in reply to RCPT TO command)".into(),
            ..LogRecord::default()
        }
    }

    fn whole(settings: &Settings, purpose: Purpose, original: &Original, records: &[LogRecord], copy: bool) -> String {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_255_036);
        let report = Report::new(settings, purpose, original, now);
        let id = QueueId::parse("1631D252").unwrap();
        let to = Address::new("alice@example.com");
        let text = "This is the mail system at host mail.example.com.\n\nSorry.\n";
        let letter = Letter {
            id: &id,
            now,
            from: "Mail Delivery System <MAILER-DAEMON>",
            subject: "Undelivered Mail Returned to Sender",
            to: &to,
            copy,
            charset: "us-ascii",
            text: if copy { "" } else { text },
        };
        let mut out = String::new();
        let mut put = |line: &[u8]| -> Result<(), ()> {
            out.push_str(&line.to_str_lossy());
            out.push('\n');
            Ok(())
        };
        report.begin(&letter, &mut put).unwrap();
        records.iter().for_each(|record| report.notice_recipient(record, &mut put).unwrap());
        report.status(&mut put).unwrap();
        records.iter().for_each(|record| report.status_recipient(record, &mut put).unwrap());
        report.message(copy, &mut put).unwrap();
        put(b"Subject: 7bit").unwrap();
        report.end(&mut put).unwrap();
        out
    }

    /// S-BOUNCE-01, S-BOUNCE-02, S-BOUNCE-10: the whole of a report, as Postfix 3.7.11 was seen to send it (but for the notice's text).
    #[test]
    fn a_non_delivery_report() {
        let expected = "\
Received: by mail.example.com (Postfix)
\tid 1631D252; DATE
Date: DATE
From: Mail Delivery System <MAILER-DAEMON>
Subject: Undelivered Mail Returned to Sender
To: alice@example.com
References: <m1@x>
In-Reply-To: <m1@x>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary=\"0500A24D.1795255036/mail.example.com\"
Content-Transfer-Encoding: 8bit

This is a MIME-encapsulated message.

--0500A24D.1795255036/mail.example.com
Content-Description: Notification
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

This is the mail system at host mail.example.com.

Sorry.

<bad@example.org> (expanded from <al@example.com>): host
    mx.example.org[192.0.2.20] said: 550 5.1.1 no (in reply to RCPT TO command)

--0500A24D.1795255036/mail.example.com
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.com
Original-Envelope-Id: id+1
X-Postfix-Queue-ID: 0500A24D
X-Postfix-Sender: rfc822; alice@example.com
Arrival-Date: DATE

Final-Recipient: rfc822; bad@example.org
Original-Recipient: rfc822;al@example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 5.1.1 no

--0500A24D.1795255036/mail.example.com
Content-Description: Undelivered Message
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Return-Path: <alice@example.com>
Subject: 7bit

--0500A24D.1795255036/mail.example.com--
";
        let date = mail_date(UNIX_EPOCH + Duration::from_secs(1_795_255_036));
        assert_eq!(whole(&settings(), Purpose::Failure, &original(), &[record()], false).replace(&date, "DATE"), expected);
    }

    /// With `smtputf8_enable = no`, 7-bit mail gets a 7-bit report (seen with Postfix 3.7.11).
    #[test]
    fn without_smtputf8_a_report_is_seven_bit_when_it_can_be() {
        let settings = Settings { smtputf8_enable: false, ..settings() };
        let text = whole(&settings, Purpose::Failure, &original(), &[record()], false);
        assert!(text.contains("Content-Transfer-Encoding: 7bit\n"));
        assert!(text.contains("Content-Type: text/plain; charset=us-ascii\n\n"));
        assert_eq!(text.matches("Content-Transfer-Encoding").count(), 1);
        let text = whole(&settings, Purpose::Failure, &Original { encoding: "".into(), ..original() }, &[record()], false);
        assert_eq!(text.matches("Content-Transfer-Encoding").count(), 0);
        let text = whole(&settings, Purpose::Failure, &Original { encoding: "8bit".into(), ..original() }, &[record()], false);
        assert_eq!(text.matches("Content-Transfer-Encoding: 8bit").count(), 3);
    }

    /// RFC 6533: the types for internationalized mail.
    #[test]
    fn smtputf8_reports() {
        let original = Original { smtputf8: true, sender: Address::new("böb@example.com"), ..original() };
        let record = LogRecord { recipient: Address::new("äö@example.org"), dsn_orcpt: "".into(), ..record() };
        let text = whole(&settings(), Purpose::Failure, &original, &[record], false);
        for line in [
            "Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n",
            "Content-Type: message/global\n",
            "X-Postfix-Sender: utf-8; böb@example.com\n",
            "Final-Recipient: utf-8; äö@example.org\nOriginal-Recipient: rfc822; al@example.com\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }

    #[test]
    fn a_postmaster_copy_of_a_double_bounce() {
        let original = Original { sender: Address::empty(), ..original() };
        let text = whole(&settings(), Purpose::Failure, &original, &[record()], true);
        for line in [
            "Auto-Submitted: auto-generated\n",
            "charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\n<bad@example.org>",
            "X-Postfix-Sender: rfc822; MAILER-DAEMON@mail.example.com\n",
            "Content-Description: Undelivered Message Headers\nContent-Type: text/rfc822-headers\n",
            "Return-Path: <MAILER-DAEMON@mail.example.com>\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }

    #[test]
    fn a_delay_says_until_when() {
        let record = LogRecord { action: "delayed".into(), status: "4.2.0".into(), diag_text: "".into(), mta_name: "".into(), ..record() };
        let text = whole(&settings(), Purpose::Delay, &original(), std::slice::from_ref(&record), false);
        let until = mail_date(original().arrival + Duration::from_secs(5 * 86400));
        assert!(text.contains(&format!(
            "Action: delayed\nStatus: 4.2.0\nDiagnostic-Code: X-Postfix; host mx.example.org[192.0.2.20] said: 550 5.1.1 no\n    \
             (in reply to RCPT TO command)\nWill-Retry-Until: {until}\n"
        )));
        // The same record, when the message has expired.
        let text = whole(&settings(), Purpose::Failure, &original(), &[record], false);
        assert!(text.contains("Action: failed\nStatus: 4.2.0\n") && !text.contains("Will-Retry-Until"));
    }

    #[test]
    fn a_mail_name_with_blanks_makes_no_bad_field_names() {
        let settings = Settings { mail_name: "My Mail: 1".into(), ..settings() };
        assert!(whole(&settings, Purpose::Failure, &original(), &[], false).contains("X-My-Mail--1-Queue-ID: 0500A24D\n"));
    }
}
