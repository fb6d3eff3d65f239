//! The two forms of the listing.

use crate::list::Printer;
use bstr::BString;
use posthaste_address::Address;
use posthaste_log::{Logger, warn};
use posthaste_queue::QueueName;
use posthaste_queue::listing::{Listed, ListedRecipient, Listing};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Reasons end at this column.
const WIDTH: usize = 78;

/// For people, as Sendmail's mailq has it.
pub struct Table<'a, W> {
    out: W,
    empty: String,
    long: bool,
    log: &'a Logger,
    messages: u64,
    bytes: u64,
    /// Of the last recipient: several with the same reason stand below it once.
    reason: BString,
}

impl<'a, W: Write> Table<'a, W> {
    /// `empty`: what stands for the empty address.
    pub fn new(out: W, empty: String, long: bool, log: &'a Logger) -> Self {
        Table { out, empty, long, log, messages: 0, bytes: 0, reason: BString::default() }
    }
}

impl<W: Write> Listing for Table<'_, W> {
    fn message(&mut self, message: &Listed) -> io::Result<()> {
        if self.messages > 0 {
            writeln!(self.out)?;
        } else if self.long {
            writeln!(self.out, "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------")?;
        } else {
            writeln!(self.out, "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------")?;
        }
        self.messages += 1;
        self.bytes += message.size;
        self.reason.clear();
        let mut id = message.id.as_str().to_owned();
        id.push_str(match message.queue {
            QueueName::Active => "*",
            QueueName::Hold => "!",
            _ => "",
        });
        if message.forced_expire {
            id.push('#');
        }
        let (size, time) = (message.size, local_time(message.arrival_seconds()));
        let sender = printable(&shown(&message.sender, &self.empty));
        if self.long {
            writeln!(self.out, "{id:<17} {size:>8} {time:19} {sender}")
        } else {
            writeln!(self.out, "{id:<11}{size:>8} {time:20} {sender}")
        }
    }

    fn recipient(&mut self, recipient: &ListedRecipient) -> io::Result<()> {
        if recipient.reason != self.reason {
            self.reason.clone_from(&recipient.reason);
            let reason = if self.reason.is_empty() { "reason unavailable".into() } else { printable(&self.reason) };
            // To the right edge by bytes, as Postfix does, not by characters.
            let blanks = WIDTH.saturating_sub(reason.len() + 2);
            writeln!(self.out, "{:blanks$}({reason})", "")?;
        }
        let indent = if self.long { 47 } else { 41 };
        writeln!(self.out, "{:indent$}{}", "", printable(&shown(&recipient.address, &self.empty)))
    }

    fn warning(&mut self, text: String) {
        warn!(self.log, "{text}");
    }
}

impl<W: Write> Printer for Table<'_, W> {
    fn finish(&mut self) -> io::Result<()> {
        match self.messages {
            0 => writeln!(self.out, "Mail queue is empty")?,
            n => writeln!(self.out, "\n-- {} Kbytes in {n} Request{}.", self.bytes / 1024, if n == 1 { "" } else { "s" })?,
        }
        self.out.flush()
    }
}

/// For programs: one object a line.
pub struct Json<'a, W> {
    out: W,
    empty: String,
    log: &'a Logger,
    /// Recipients of the message whose object is open.
    recipients: Option<u64>,
}

impl<'a, W: Write> Json<'a, W> {
    /// `empty`: what stands for the empty address.
    pub fn new(out: W, empty: String, log: &'a Logger) -> Self {
        Json { out, empty, log, recipients: None }
    }

    fn close(&mut self) -> io::Result<()> {
        if self.recipients.take().is_some() { writeln!(self.out, "]}}") } else { Ok(()) }
    }
}

impl<W: Write> Listing for Json<'_, W> {
    fn message(&mut self, message: &Listed) -> io::Result<()> {
        self.close()?;
        self.recipients = Some(0);
        write!(
            self.out,
            "{{\"queue_name\": {}, \"queue_id\": {}, \"arrival_time\": {}, \"message_size\": {}, \"forced_expire\": {}, \"sender\": {}, \"recipients\": [",
            quoted(message.queue.as_str().as_bytes()),
            quoted(message.id.as_str().as_bytes()),
            message.arrival_seconds(),
            message.size,
            message.forced_expire,
            quoted(&shown(&message.sender, &self.empty)),
        )
    }

    fn recipient(&mut self, recipient: &ListedRecipient) -> io::Result<()> {
        let Some(count) = &mut self.recipients else { return Err(io::ErrorKind::InvalidData.into()) };
        *count += 1;
        let comma = if *count == 1 { "" } else { ", " };
        write!(self.out, "{comma}{{\"address\": {}", quoted(&shown(&recipient.address, &self.empty)))?;
        if !recipient.original.is_empty() {
            write!(self.out, ", \"orig_address\": {}", quoted(&recipient.original.external()))?;
        }
        if !recipient.reason.is_empty() {
            let name = if recipient.bounced { "bounce_reason" } else { "delay_reason" };
            write!(self.out, ", \"{name}\": {}", quoted(&recipient.reason))?;
        }
        write!(self.out, "}}")
    }

    fn warning(&mut self, text: String) {
        warn!(self.log, "{text}");
    }
}

impl<W: Write> Printer for Json<'_, W> {
    fn finish(&mut self) -> io::Result<()> {
        self.close()?;
        self.out.flush()
    }
}

fn shown(address: &Address, empty: &str) -> BString {
    if address.is_empty() { empty.into() } else { address.external() }
}

/// Control characters and what is not UTF-8 as `?`.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.extend(chunk.valid().chars().map(|c| if c.is_control() { '?' } else { c }));
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

/// A JSON string (RFC 8259 §7).
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c if c.is_control() => {
                    let _ = write!(text, "\\u{:04X}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text.push('"');
    text
}

/// `Sat Nov 21 06:03:57`
fn local_time(seconds: u64) -> String {
    match i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
        Some(stamp) => stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%a %b %e %H:%M:%S").to_string(),
        None => seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_queue::QueueId;
    use std::time::{Duration, UNIX_EPOCH};

    fn message(queue: QueueName, id: &str, sender: &str, expire: bool) -> Listed {
        Listed {
            queue,
            id: QueueId::parse(id).unwrap(),
            arrival: UNIX_EPOCH + Duration::from_secs(1_795_254_158),
            size: 1275,
            forced_expire: expire,
            sender: Address::new(sender),
        }
    }

    fn recipient(address: &str, reason: &str) -> ListedRecipient {
        ListedRecipient { address: Address::new(address), original: Address::empty(), reason: reason.into(), bounced: false }
    }

    fn print(printer: &mut dyn Printer) {
        printer.message(&message(QueueName::Deferred, "04821253", "alice@example.com", true)).unwrap();
        for (address, reason) in [("x@example.org", "short"), ("y@example.org", "short"), ("z@example.org", "")] {
            printer.recipient(&recipient(address, reason)).unwrap();
        }
        printer.message(&message(QueueName::Active, "4jWnv66D0KzCf", "", false)).unwrap();
        printer.recipient(&recipient("odd rcpt@example.org", "")).unwrap();
        printer.message(&message(QueueName::Hold, "D5E51253", "a\u{1}é@b", true)).unwrap();
        printer.recipient(&recipient("x", "\"three\\ \t\u{7f}x")).unwrap();
        printer.finish().unwrap();
    }

    /// As Postfix prints it, times apart, which depend on the time zone. S-QUEUE-07
    fn masked(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap().replace(&local_time(1_795_254_158), "Sat Nov 21 09:42:38")
    }

    #[test]
    fn table() {
        let log = Logger::new("postqueue");
        let mut short = Table::new(Vec::new(), "MAILER-DAEMON".into(), false, &log);
        print(&mut short);
        assert_eq!(
            masked(short.out),
            r#"-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------
04821253#      1275 Sat Nov 21 09:42:38  alice@example.com
                                                                       (short)
                                         x@example.org
                                         y@example.org
                                                          (reason unavailable)
                                         z@example.org

4jWnv66D0KzCf*    1275 Sat Nov 21 09:42:38  MAILER-DAEMON
                                         "odd rcpt"@example.org

D5E51253!#     1275 Sat Nov 21 09:42:38  "a?é"@b
                                                                 ("three\ ??x)
                                         x

-- 3 Kbytes in 3 Requests.
"#
        );
        let mut long = Table::new(Vec::new(), "MAILER-DAEMON".into(), true, &log);
        print(&mut long);
        let out = masked(long.out);
        assert!(out.starts_with("----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"), "{out}");
        assert!(out.contains("\n04821253#             1275 Sat Nov 21 09:42:38 alice@example.com\n"), "{out}");
        assert!(out.contains("\n4jWnv66D0KzCf*        1275 Sat Nov 21 09:42:38 MAILER-DAEMON\n"), "{out}");
        assert!(out.contains("\n                                               z@example.org\n"), "{out}");
        let mut none = Table::new(Vec::new(), "MAILER-DAEMON".into(), true, &log);
        none.finish().unwrap();
        assert_eq!(none.out, b"Mail queue is empty\n");
    }

    // S-CMD-24
    #[test]
    fn json() {
        let log = Logger::new("postqueue");
        let mut json = Json::new(Vec::new(), "MAILER-DAEMON".into(), &log);
        print(&mut json);
        let bounced = ListedRecipient { original: Address::new("al@x"), bounced: true, ..recipient("q@x", "gone") };
        json.message(&message(QueueName::Incoming, "A", "", false)).unwrap();
        json.recipient(&bounced).unwrap();
        json.message(&message(QueueName::Maildrop, "B", "", false)).unwrap();
        json.finish().unwrap();
        let out = String::from_utf8(json.out).unwrap();
        let head = r#""arrival_time": 1795254158, "message_size": 1275, "forced_expire":"#;
        let want = [
            format!(
                r#"{{"queue_name": "deferred", "queue_id": "04821253", {head} true, "sender": "alice@example.com", "recipients": [{{"address": "x@example.org", "delay_reason": "short"}}, {{"address": "y@example.org", "delay_reason": "short"}}, {{"address": "z@example.org"}}]}}"#
            ),
            format!(
                r#"{{"queue_name": "active", "queue_id": "4jWnv66D0KzCf", {head} false, "sender": "MAILER-DAEMON", "recipients": [{{"address": "\"odd rcpt\"@example.org"}}]}}"#
            ),
            format!(
                r#"{{"queue_name": "hold", "queue_id": "D5E51253", {head} true, "sender": "\"a\u0001é\"@b", "recipients": [{{"address": "x", "delay_reason": "\"three\\ \t\u007Fx"}}]}}"#
            ),
            format!(
                r#"{{"queue_name": "incoming", "queue_id": "A", {head} false, "sender": "MAILER-DAEMON", "recipients": [{{"address": "q@x", "orig_address": "al@x", "bounce_reason": "gone"}}]}}"#
            ),
            format!(r#"{{"queue_name": "maildrop", "queue_id": "B", {head} false, "sender": "MAILER-DAEMON", "recipients": []}}"#),
        ];
        assert_eq!(out.lines().collect::<Vec<_>>(), want);
    }
}
