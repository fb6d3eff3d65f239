//! The smaller parsers.

use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_address::list::AddressList;
use posthaste_address::token::{Form, join, scan};
use posthaste_ipc::frame::{self, Decoder, Frame};
use posthaste_ipc::wire::{Wire, WireError};
use posthaste_ipc::{bounce, delivery, flush, proxymap, qmgr, verify};
use posthaste_mime::{Block, Fault, Handler, Header, HeadersEnd, Machine, Options};
use posthaste_queue::disk::ReadAt;
use posthaste_queue::listing::{Listed, ListedRecipient};
use posthaste_queue::read::RecordReader;
use posthaste_smtp_protocol::client::{BodyWriter, ReplyReader};
use posthaste_smtp_protocol::{haproxy as proxy, server, xtext};
use posthaste_svc_qmqpd::netstring::{Event, Reader};
use std::convert::Infallible;
use std::io;

/// Addresses in commands and headers, and their quoting.
pub fn address(data: &[u8]) {
    for strict in [false, true] {
        if let Ok(address) = server::extract(data, strict) {
            assert!(!address.as_bytes().contains(&b'\n') || data.contains(&b'\n'), "nothing is made up");
            // What the tolerance for odd domains lets through is quoted for the log only.
            let plain = |domain: &BStr| domain.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-'));
            if address.domain().is_some_and(plain) && data.iter().all(u8::is_ascii_graphic) {
                assert_eq!(Address::from_external(&address.external()), address);
            }
        }
    }
    let external = Address::new(data).external();
    assert!(external.len() <= 2 * data.len() + 2);
    let tokens = scan(data, 1000);
    let _ = join(&tokens, Form::External);
    let list = AddressList::parse(data, 1000);
    assert!(list.addresses().count() <= data.len() + 1);
    let _ = list.text();
    let _ = posthaste_address::idn::domain_to_ascii(data.as_bstr());
    let _ = posthaste_address::idn::domain_to_utf8(data.as_bstr());
    assert_eq!(xtext::decode(&xtext::encode(data)), Some(data.into()));
    let _ = xtext::decode(data);
}

/// Replies of a server to our client.
pub fn client_replies(data: &[u8]) {
    let read = |size: usize| {
        let mut reader = ReplyReader::new(512);
        let mut replies = Vec::new();
        for piece in data.chunks(size) {
            reader.feed(piece);
            while let Some(reply) = reader.next_reply() {
                let shown = reply.printable();
                assert!(!shown.contains(&b'\r') && !shown.contains(&0), "fit for the log: {shown:?}");
                replies.push(reply);
            }
        }
        replies
    };
    assert_eq!(read(data.len().max(1)), read(3), "the cuts that the network makes change nothing");
}

/// HAProxy's header. A header that was taken is taken again by itself, and is bounded.
pub fn haproxy(data: &[u8]) {
    if let Ok(header) = proxy::parse(data) {
        assert!(header.length <= data.len() && header.length <= proxy::LIMIT);
        assert_eq!(proxy::parse(&data[..header.length]), Ok(header));
    }
    let _ = proxy::describe("bad", data);
}

#[derive(Default)]
struct Counter {
    bytes: usize,
    calls: usize,
}

impl Handler for Counter {
    type Error = Infallible;

    fn header(&mut self, header: Header<'_>) -> Result<(), Infallible> {
        self.bytes += header.text.len();
        self.calls += 1;
        let _ = (header.name(), header.value());
        Ok(())
    }

    fn headers_end(&mut self, _: Block, _: HeadersEnd) -> Result<(), Infallible> {
        self.calls += 1;
        Ok(())
    }

    fn body(&mut self, line: &[u8], _whole: bool, _at: u64) -> Result<(), Infallible> {
        self.bytes += line.len();
        self.calls += 1;
        Ok(())
    }

    fn fault(&mut self, _: Fault, _: &[u8]) -> Result<(), Infallible> {
        self.calls += 1;
        Ok(())
    }
}

/// Headers and MIME structure; the first byte chooses what is asked for.
pub fn header_and_mime(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let options = Options {
        mime: choice & 1 == 0,
        header_size_limit: if choice & 2 != 0 { 50 } else { 102_400 },
        boundary_length_limit: if choice & 4 != 0 { 5 } else { 2048 },
        nesting_limit: if choice & 8 != 0 { 2 } else { 100 },
        strict_7bit_headers: choice & 16 != 0,
        strict_8bitmime_body: choice & 32 != 0,
        strict_encoding_domain: choice & 64 != 0,
        downgrade: choice & 128 != 0,
    };
    let (mut machine, mut counter) = (Machine::new(options), Counter::default());
    let mut lines = 0;
    for line in text.split(|c| *c == b'\n') {
        let mut pieces = line.chunks(100).peekable();
        lines += 1;
        if line.is_empty() {
            let Ok(()) = machine.line(b"", true, &mut counter);
        }
        while let Some(piece) = pieces.next() {
            lines += 1;
            let Ok(()) = machine.line(piece, pieces.peek().is_none(), &mut counter);
        }
    }
    let Ok(()) = machine.end(&mut counter);
    assert!(counter.bytes <= 4 * text.len() + 60 * lines + 200, "{} bytes of {}", counter.bytes, text.len());
    assert!(counter.calls <= text.len() + 8 * lines + 20, "{} calls for {lines} lines", counter.calls);
}

/// What our processes say to each other: all types from any frame. What decodes is encoded to what decodes to the same.
pub fn ipc_frames(data: &[u8]) {
    let mut decoder = Decoder::new();
    for piece in data.chunks(7) {
        decoder.feed(piece);
        while let Ok(Some(frame)) = decoder.frame() {
            values(&frame);
        }
        if decoder.frame().is_err() {
            break;
        }
    }
    values(&Frame { kind: 0, request: 0, payload: data });
}

fn values(frame: &Frame<'_>) {
    round_trip(frame.value::<qmgr::NewMessage>(), qmgr::NewMessage::FRAME);
    round_trip(frame.value::<delivery::Request>(), delivery::Request::FRAME);
    round_trip(frame.value::<delivery::Report>(), delivery::Report::FRAME);
    round_trip(frame.value::<delivery::Done>(), delivery::Done::FRAME);
    round_trip(frame.value::<bounce::Notice>(), bounce::Notice::FRAME);
    round_trip(frame.value::<bounce::Answer>(), bounce::Answer::FRAME);
    round_trip(frame.value::<flush::Request>(), flush::Request::FRAME);
    round_trip(frame.value::<flush::Answer>(), flush::Answer::FRAME);
    round_trip(frame.value::<proxymap::Query>(), proxymap::Query::FRAME);
    round_trip(frame.value::<proxymap::Answer>(), proxymap::Answer::FRAME);
    round_trip(frame.value::<proxymap::Listed>(), proxymap::Listed::FRAME);
    round_trip(frame.value::<verify::Probed>(), verify::Probed::FRAME);
    round_trip(frame.value::<verify::Query>(), verify::Query::FRAME);
    round_trip(frame.value::<verify::Known>(), verify::Known::FRAME);
    let _ = frame.value::<Listed>();
    let _ = frame.value::<ListedRecipient>();
}

fn round_trip<T: Wire + std::fmt::Debug>(value: Result<T, WireError>, kind: u8) {
    let Ok(value) = value else { return };
    let mut bytes = Vec::new();
    if frame::put(&mut bytes, kind, 7, &value).is_err() {
        return;
    }
    let mut decoder = Decoder::new();
    decoder.feed(&bytes);
    let frame = decoder.frame().ok().flatten().expect("our own frame");
    assert_eq!((frame.kind, frame.request), (kind, 7));
    let again: T = frame.value().expect("our own value");
    assert_eq!(format!("{again:?}"), format!("{value:?}"));
}

/// Content on its way to the next server: nothing in it may end it early (RFC 5321 §4.5.2), whatever the lines hold.
pub fn outbound_content(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let limit = if choice & 1 != 0 { 998 } else { usize::from(choice / 4) };
    let (mut writer, mut out) = (BodyWriter::new(limit), Vec::new());
    for line in text.split(|c| *c == b'\n') {
        if choice & 2 != 0 {
            writer.piece(b"", &mut out);
            line.chunks(5).for_each(|piece| writer.piece(piece, &mut out));
            writer.line(b"", &mut out);
        } else {
            writer.line(line, &mut out);
        }
    }
    writer.finish(&mut out);
    // The dot that ends it is not this one's to write.
    assert!(!out.contains_str(b"\r\n.\r\n") && !out.starts_with(b".\r\n"), "the content ends at its end: {:?}", out.as_bstr());
    assert!(!out.find_iter(b"\n").any(|at| at == 0 || out[at - 1] != b'\r'), "lines end in CR LF");
}

/// Requests to qmqpd; the cuts that the network makes change nothing.
pub fn qmqp(data: &[u8]) {
    let read = |size: usize| {
        let (mut reader, mut events) = (Reader::new(1000, 100), Vec::new());
        for mut piece in data.chunks(size) {
            loop {
                match reader.next(&mut piece) {
                    Ok(None) => break,
                    Ok(Some(Event::End)) => return (events, Ok(Some(reader.part()))),
                    Ok(Some(event)) => events.push(event),
                    Err(fault) => return (events, Err(fault)),
                }
            }
        }
        (events, Ok(None))
    };
    assert_eq!(read(data.len().max(1)), read(2));
}

struct File<'a>(&'a [u8]);

impl ReadAt for File<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let count = from.len().min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }
}

/// A queue file, pointers followed and not: it ends, loops or not.
pub fn queue_file(data: &[u8]) {
    let mut reader = RecordReader::new(File(data), 0);
    let (mut records, mut offset) = (0, 0);
    while let Ok(record) = reader.next_raw() {
        assert!(record.offset >= offset && record.payload.len() <= data.len());
        offset = record.offset + 1;
        records += 1;
        assert!(records <= data.len());
    }
    let mut reader = RecordReader::new(File(data), 0);
    let mut records = 0_u64;
    while let Ok(record) = reader.next_followed() {
        let _ = BString::from(record.payload);
        records += 1;
        // Ten thousand jumps back, each to at most the whole file again.
        assert!(records <= 10_001 * (data.len() as u64 + 1));
    }
}
