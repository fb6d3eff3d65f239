//! Frames: the unit that travels on a connection between two processes.
//!
//! The codec works on buffers and does no I/O, so the same code serves Tokio's sockets and plain threads. Several frames may be put into one
//! buffer and written with one system call, and one read may bring several.
//!
//! ```
//! use posthaste_ipc::frame::{self, Decoder};
//! let mut wire = Vec::new();
//! frame::put(&mut wire, 7, 1, &"hello".to_owned())?;
//! let mut decoder = Decoder::new();
//! decoder.feed(&wire);
//! let frame = decoder.frame()?.expect("one whole frame");
//! assert_eq!((frame.kind, frame.request), (7, 1));
//! assert_eq!(frame.value::<String>()?, "hello");
//! # Ok::<(), posthaste_ipc::wire::WireError>(())
//! ```

use crate::wire::{Wire, WireError};
use std::io::{self, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Version of all message formats: both ends are of one installation, except for a moment after an upgrade.
pub const VERSION: u8 = 1;
/// What follows the length must be shorter than this.
pub const MAX: usize = 1 << 24;
/// Version, kind and request number.
const HEAD: usize = 6;
/// Read from a connection at one time.
const CHUNK: usize = 16 * 1024;

/// Appends a frame with `value` as its payload. On an error (a value of 16 MiB or more) `out` is as before.
pub fn put<T: Wire>(out: &mut Vec<u8>, kind: u8, request: u32, value: &T) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(VERSION);
    out.push(kind);
    request.put(out);
    value.put(out);
    let length = out.len() - start - 4;
    if length >= MAX {
        out.truncate(start);
        return Err(WireError("too long for a frame"));
    }
    out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(())
}

/// One frame as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is: the `FRAME` constant of the message's type.
    pub kind: u8,
    /// Ties answers to their request.
    pub request: u32,
    /// The encoded value.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Decodes the payload, all of it: bytes left over are an error.
    pub fn value<T: Wire>(&self) -> Result<T, WireError> {
        let mut rest = self.payload;
        let value = T::take(&mut rest)?;
        if rest.is_empty() { Ok(value) } else { Err(WireError("bytes left over")) }
    }
}

/// Cuts a stream of bytes into frames. Holds at most one unfinished frame and what came with one read.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// An empty decoder; it allocates nothing before the first byte.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Takes bytes that were received.
    pub fn feed(&mut self, data: &[u8]) {
        self.make_room();
        self.buffer.extend_from_slice(data);
    }

    /// For reading without a copy: reserves room, and gives the buffer to append to (as `AsyncReadExt::read_buf` does).
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.make_room();
        self.buffer.reserve(CHUNK);
        &mut self.buffer
    }

    /// The next whole frame, or `None` when more bytes are needed. After an error the connection is of no more use.
    pub fn frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let rest = &self.buffer[self.start..];
        let Some((head, tail)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if !(HEAD..MAX).contains(&length) {
            return Err(WireError("bad frame length"));
        }
        if tail.len() < length {
            return Ok(None);
        }
        let at = self.start + 4;
        self.start = at + length;
        let body = &self.buffer[at..at + length];
        if body[0] != VERSION {
            return Err(WireError("another version of the protocol"));
        }
        let request = u32::from_be_bytes([body[2], body[3], body[4], body[5]]);
        Ok(Some(Frame { kind: body[1], request, payload: &body[HEAD..] }))
    }

    /// The first byte received, if none was consumed yet: 0 for a frame, else a trigger byte such as `W`.
    pub fn peek(&self) -> Option<u8> {
        self.buffer.get(self.start).copied()
    }

    /// Whether the stream ended between two frames, and not within one.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    fn make_room(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        // One long message may not keep its memory for the life of the connection.
        if self.buffer.is_empty() && self.buffer.capacity() > 8 * CHUNK {
            self.buffer.shrink_to(CHUNK);
        }
    }
}

/// Frames from a blocking connection.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    decoder: Decoder,
}

impl<R: Read> Reader<R> {
    /// Reads from `source`, which should not be buffered.
    pub fn new(source: R) -> Reader<R> {
        Reader { source, decoder: Decoder::new() }
    }

    /// Waits for the next frame; `None` when the peer closed the connection between two frames.
    pub fn receive(&mut self) -> io::Result<Option<(u8, u32, Vec<u8>)>> {
        loop {
            if let Some(frame) = self.decoder.frame().map_err(bad)? {
                return Ok(Some((frame.kind, frame.request, frame.payload.to_vec())));
            }
            let mut chunk = [0; CHUNK];
            match self.source.read(&mut chunk) {
                Ok(0) if self.decoder.is_empty() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.decoder.feed(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn bad(error: WireError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The writing end of a blocking connection that several threads share. Frames that come while one thread is writing are written by that thread
/// together, with one system call.
#[derive(Debug)]
pub struct Writer<W> {
    state: Mutex<State>,
    sink: Mutex<W>,
}

#[derive(Debug, Default)]
struct State {
    queued: Vec<u8>,
    writing: bool,
    failed: bool,
}

impl<W: Write> Writer<W> {
    /// Writes to `sink`, which should not be buffered.
    pub fn new(sink: W) -> Writer<W> {
        Writer { state: Mutex::default(), sink: Mutex::new(sink) }
    }

    /// Queues one frame, which goes out with the next that is sent. Does not block.
    pub fn queue<T: Wire>(&self, kind: u8, request: u32, value: &T) -> io::Result<()> {
        put(&mut self.lock().queued, kind, request, value).map_err(bad)
    }

    /// Sends one frame and all that are queued. Returns when they have been written, or when another thread is writing, which then writes these
    /// as well. After an error the connection is of no more use.
    pub fn send<T: Wire>(&self, kind: u8, request: u32, value: &T) -> io::Result<()> {
        let mut state = self.lock();
        if state.failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        put(&mut state.queued, kind, request, value).map_err(bad)?;
        if state.writing {
            return Ok(());
        }
        state.writing = true;
        while !state.queued.is_empty() {
            let batch = std::mem::take(&mut state.queued);
            drop(state);
            let outcome = self.sink.lock().unwrap_or_else(PoisonError::into_inner).write_all(&batch);
            state = self.lock();
            if let Err(error) = outcome {
                state.failed = true;
                return Err(error);
            }
        }
        state.writing = false;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_first_byte_tells_a_frame_from_a_trigger() {
        let mut wire = Vec::new();
        put(&mut wire, 1, 2, &3u8).expect("small");
        let mut decoder = Decoder::new();
        assert_eq!(decoder.peek(), None);
        decoder.feed(&wire);
        assert_eq!(decoder.peek(), Some(0));
        let mut decoder = Decoder::new();
        decoder.feed(b"W");
        assert_eq!(decoder.peek(), Some(b'W'));
    }

    #[test]
    fn lengths_out_of_bounds_and_other_versions_are_refused() {
        for wire in [&[0, 0, 0, 5, 1, 1, 0, 0, 0][..], &[1, 0, 0, 0], b"WIFI", &[0, 0, 0, 6, 99, 1, 0, 0, 0, 0]] {
            let mut decoder = Decoder::new();
            decoder.feed(wire);
            assert!(decoder.frame().is_err(), "{wire:?}");
        }
    }

    #[test]
    fn a_value_too_long_leaves_the_buffer_alone() {
        let mut wire = vec![1, 2, 3];
        assert!(put(&mut wire, 1, 1, &"x".repeat(MAX)).is_err());
        assert_eq!(wire, [1, 2, 3]);
    }

    #[test]
    fn payload_left_over_is_an_error() {
        let frame = Frame { kind: 1, request: 1, payload: &[7, 8] };
        assert!(frame.value::<u8>().is_err());
        assert_eq!(frame.value::<u16>().ok(), Some(0x0708));
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_is_an_error() {
        let mut wire = Vec::new();
        put(&mut wire, 1, 1, &7u64).expect("small");
        let mut reader = Reader::new(&wire[..wire.len() - 1]);
        assert_eq!(reader.receive().expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
        let mut reader = Reader::new(&wire[..]);
        assert!(reader.receive().expect("whole").is_some());
        assert!(reader.receive().expect("end").is_none());
    }

    #[test]
    fn frames_of_many_threads_arrive_whole() {
        let (near, far) = UnixStream::pair().expect("socket pair");
        let writer = Writer::new(near);
        std::thread::scope(|scope| {
            for thread in 0..8u32 {
                let writer = &writer;
                scope.spawn(move || (0..200u32).for_each(|n| writer.send(1, thread, &n).expect("sent")));
            }
            let mut next = [0u32; 8];
            let mut reader = Reader::new(&far);
            for _ in 0..1600 {
                let (_, thread, payload) = reader.receive().expect("read").expect("frame");
                assert_eq!(payload, next[thread as usize].to_be_bytes(), "order within a thread is kept");
                next[thread as usize] += 1;
            }
        });
    }

    #[test]
    fn a_lost_peer_is_an_error_for_every_sender() {
        let (near, far) = UnixStream::pair().expect("socket pair");
        drop(far);
        let writer = Writer::new(near);
        assert!(writer.send(1, 1, &1u8).is_err());
        assert!(writer.send(1, 1, &1u8).is_err());
    }

    proptest! {
        #[test]
        fn any_cutting_of_the_stream_gives_the_same_frames(
            values in prop::collection::vec((any::<u8>(), any::<u32>(), ".{0,40}"), 0..8),
            step in 1usize..50,
        ) {
            let mut wire = Vec::new();
            for (kind, request, text) in &values {
                put(&mut wire, *kind, *request, text).expect("small");
            }
            let mut decoder = Decoder::new();
            let mut got = Vec::new();
            for part in wire.chunks(step) {
                decoder.feed(part);
                while let Some(frame) = decoder.frame().expect("well-formed") {
                    got.push((frame.kind, frame.request, frame.value::<String>().expect("text")));
                }
            }
            prop_assert!(decoder.is_empty());
            prop_assert_eq!(got, values);
        }

        #[test]
        fn no_input_panics(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new();
            decoder.feed(&data);
            while let Ok(Some(frame)) = decoder.frame() {
                let _ = frame.value::<Vec<String>>();
            }
        }
    }
}
