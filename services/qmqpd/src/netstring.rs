//! The protocol, without I/O: <http://cr.yp.to/proto/qmqp.html>.
//!
//! A client sends one netstring that holds a netstring with the message, one with the sender, and one for each recipient. As in Postfix, the length of
//! the outer one is read but not relied on: what counts is the comma that ends it.

use bstr::BString;

/// What is being received, in the words of the log and the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The length of the whole.
    Header,
    /// The message.
    Content,
    /// The envelope sender.
    Sender,
    /// A recipient, or the end of the whole.
    Recipient,
}

impl Part {
    /// As in `while receiving message content`.
    pub fn name(self) -> &'static str {
        match self {
            Part::Header => "QMQP packet header",
            Part::Content => "message content",
            Part::Sender => "sender address",
            Part::Recipient => "recipient address",
        }
    }
}

/// What the client did wrong; the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No netstring.
    Format,
    /// Longer than it may be.
    TooLong,
}

impl Fault {
    /// For the log and the reply.
    pub fn text(self) -> &'static str {
        match self {
            Fault::Format => "netstring format error",
            Fault::TooLong => "netstring length exceeds storage limit",
        }
    }
}

/// What has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The message.
    Content(BString),
    /// The envelope sender.
    Sender(BString),
    /// A recipient.
    Recipient(BString),
    /// All is here. What follows is not looked at.
    End,
}

/// Reads one request. It never holds more than has arrived of one part, and that is at most the part's limit.
pub struct Reader {
    part: Part,
    /// Digits of the length that have come, and their value; then the bytes that it counts.
    digits: bool,
    length: u64,
    in_value: bool,
    value: Vec<u8>,
    content_limit: u64,
    address_limit: u64,
}

impl Reader {
    /// `content_limit` is `message_size_limit` (0: none), `address_limit` is `line_length_limit`, both in bytes.
    pub fn new(content_limit: u64, address_limit: u64) -> Reader {
        let content_limit = if content_limit == 0 { i64::MAX as u64 } else { content_limit };
        Reader { part: Part::Header, digits: false, length: 0, in_value: false, value: Vec::new(), content_limit, address_limit }
    }

    /// What is awaited now.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Takes bytes off the front of `input` up to the next event; `None` when more are needed.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Fault> {
        loop {
            if !self.in_value {
                match self.read_length(input)? {
                    None => return Ok(None),
                    Some(false) => return Ok(Some(Event::End)),
                    Some(true) if self.part == Part::Header => self.begin(Part::Content),
                    Some(true) => self.in_value = true,
                }
                continue;
            }
            let missing = usize::try_from(self.length).unwrap_or(usize::MAX) - self.value.len();
            let (now, rest) = input.split_at(missing.min(input.len()));
            self.value.extend_from_slice(now);
            *input = rest;
            if missing > now.len() {
                return Ok(None);
            }
            match input.split_first() {
                None => return Ok(None),
                Some((b',', rest)) => *input = rest,
                Some(_) => return Err(Fault::Format),
            }
            if self.part != Part::Content && self.value.contains(&0) {
                return Err(Fault::Format);
            }
            let value = BString::from(std::mem::take(&mut self.value));
            let (event, next) = match self.part {
                Part::Header | Part::Content => (Event::Content(value), Part::Sender),
                Part::Sender => (Event::Sender(value), Part::Recipient),
                Part::Recipient => (Event::Recipient(value), Part::Recipient),
            };
            self.begin(next);
            return Ok(Some(event));
        }
    }

    fn begin(&mut self, part: Part) {
        self.part = part;
        self.digits = false;
        self.length = 0;
        self.in_value = false;
    }

    /// Whether a length is complete; `Some(false)` for the comma that ends the request.
    fn read_length(&mut self, input: &mut &[u8]) -> Result<Option<bool>, Fault> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            match byte {
                b'0'..=b'9' => {
                    let value = self.length.checked_mul(10).and_then(|length| length.checked_add(u64::from(byte - b'0')));
                    self.length = value.filter(|length| *length <= self.limit()).ok_or(Fault::TooLong)?;
                    self.digits = true;
                }
                // Postfix takes no digits at all for a zero, too.
                b':' => return Ok(Some(true)),
                b',' if !self.digits && self.part == Part::Recipient => return Ok(Some(false)),
                _ => return Err(Fault::Format),
            }
        }
        Ok(None)
    }

    fn limit(&self) -> u64 {
        match self.part {
            Part::Header => i64::MAX as u64,
            Part::Content => self.content_limit,
            Part::Sender | Part::Recipient => self.address_limit,
        }
    }
}

/// A reply: a netstring whose first letter says what became of the message (`K` taken, `Z` not now, `D` never).
pub fn reply(letter: char, text: &str) -> Vec<u8> {
    format!("{}:{letter}{text},", text.len() + 1).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> String {
        format!("{}:{text},", text.len())
    }

    fn request(recipients: &[&str]) -> String {
        let recipients: String = recipients.iter().map(|address| net(address)).collect();
        net(&(net("text") + &net("s@x") + &recipients))
    }

    /// All events, the input given `size` bytes at a time, and how it ended.
    fn read(input: &str, size: usize) -> (Vec<Event>, Result<Part, (Fault, Part)>) {
        let mut reader = Reader::new(100, 10);
        let mut events = Vec::new();
        for mut piece in input.as_bytes().chunks(size) {
            loop {
                match reader.next(&mut piece) {
                    Ok(None) => break,
                    Ok(Some(Event::End)) => {
                        events.push(Event::End);
                        return (events, Ok(reader.part()));
                    }
                    Ok(Some(event)) => events.push(event),
                    Err(fault) => return (events, Err((fault, reader.part()))),
                }
            }
        }
        (events, Ok(reader.part()))
    }

    /// S-DAEMON-08: whatever the pieces in which it comes.
    #[test]
    fn request_in_pieces() {
        let wanted = [
            Event::Content("text".into()),
            Event::Sender("s@x".into()),
            Event::Recipient("a@x".into()),
            Event::Recipient("".into()),
            Event::End,
        ];
        for size in 1..40 {
            assert_eq!(read(&request(&["a@x", ""]), size).0, wanted, "{size}");
        }
        // The length of the whole is not relied on.
        let other = request(&["a@x", ""]).replacen(|c: char| c.is_ascii_digit(), "9", 1);
        assert_eq!(read(&other, 1000).0, wanted);
    }

    /// Each of these got the same answer from Postfix.
    #[test]
    fn faults() {
        use Fault::{Format, TooLong};
        for (input, fault, part) in [
            ("hello", Format, Part::Header),
            (":x", Format, Part::Content),
            ("-1:x,", Format, Part::Header),
            (" 1:x,", Format, Part::Header),
            (",", Format, Part::Header),
            ("9223372036854775808:", TooLong, Part::Header),
            ("99999999999999999999999999", TooLong, Part::Header),
            ("9223372036854775807:x", Format, Part::Content),
            ("0:,", Format, Part::Content),
            ("9:101:", TooLong, Part::Content),
            ("9:1:xx", Format, Part::Content),
            ("9:1:x,,", Format, Part::Sender),
            ("9:1:x,11:", TooLong, Part::Sender),
            ("9:1:x,1:s,11:", TooLong, Part::Recipient),
            ("9:1:x,1:s,1:r;", Format, Part::Recipient),
            // Postfix cuts an address here.
            ("9:1:x,3:a\0b,", Format, Part::Sender),
            ("9:1:x,1:s,3:a\0b,", Format, Part::Recipient),
            ("9:1:x,1:s,1:r,;", Format, Part::Recipient),
            ("9:1:x,1:s,1:r,7,", Format, Part::Recipient),
        ] {
            assert_eq!(read(input, 3).1, Err((fault, part)), "{input}");
        }
    }

    /// A length that is announced takes no memory before its bytes come.
    #[test]
    fn promises_cost_nothing() {
        let mut reader = Reader::new(0, 10);
        assert_eq!(reader.next(&mut &b"9:9223372036854775807:x"[..]), Ok(None));
        assert!(reader.value.capacity() < 100);
    }

    #[test]
    fn replies() {
        assert_eq!(reply('K', "Ok: queued as 6C8B057"), b"22:KOk: queued as 6C8B057,");
    }
}
