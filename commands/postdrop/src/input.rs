//! Records from standard input, or a signal, whichever comes first.

use posthaste_queue::RecordType;
use posthaste_system::signals::Signals;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;

/// On which the file is removed.
const SIGNALS: [rustix::process::Signal; 4] =
    [rustix::process::Signal::HUP, rustix::process::Signal::INT, rustix::process::Signal::QUIT, rustix::process::Signal::TERM];

/// Why there is no further record.
#[derive(Debug)]
pub enum InputError {
    /// Somebody wants us to stop.
    Signal,
    /// No record, or half of one.
    Malformed(String),
    /// The system's fault.
    Io(io::Error),
}

/// Standard input.
pub struct Input {
    reader: BufReader<Watched<io::Stdin>>,
}

/// A source that is read only while no signal has come.
struct Watched<R> {
    source: R,
    signals: Signals,
    stopped: bool,
}

impl<R: Read + AsFd> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = [PollFd::new(&self.source, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut ready, None))?;
        if ready[1].revents().contains(PollFlags::IN) {
            self.stopped = true;
            return Err(io::Error::other("stopped by a signal"));
        }
        self.source.read(buffer)
    }
}

impl Input {
    /// Takes charge of the signals.
    pub fn new() -> io::Result<Input> {
        let signals = Signals::new(&SIGNALS.map(|signal| signal.as_raw()))?;
        let watched = Watched { source: io::stdin(), signals, stopped: false };
        Ok(Input { reader: BufReader::with_capacity(64 << 10, watched) })
    }

    /// The next record's type, its payload in `payload`. `None` at the end of input.
    pub fn record(&mut self, payload: &mut Vec<u8>, limit: usize) -> Result<Option<RecordType>, InputError> {
        let result = record(&mut self.reader, payload, limit);
        if self.reader.get_ref().stopped { Err(InputError::Signal) } else { result }
    }

    /// Reads on to the end and forgets it.
    pub fn drain(&mut self) {
        while let Ok(bytes) = self.reader.fill_buf() {
            let n = bytes.len();
            if n == 0 {
                break;
            }
            self.reader.consume(n);
        }
    }
}

fn record(reader: &mut impl BufRead, payload: &mut Vec<u8>, limit: usize) -> Result<Option<RecordType>, InputError> {
    let Some(kind) = byte(reader)? else { return Ok(None) };
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let Some(byte) = byte(reader)? else { return Err(InputError::Malformed(format!("unexpected EOF in length, record type {kind}"))) };
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
        if shift >= 28 {
            return Err(InputError::Malformed(format!("length of more than four bytes, record type {kind}")));
        }
    }
    if length > limit {
        return Err(InputError::Malformed(format!("illegal length {length}, record type {kind}")));
    }
    payload.clear();
    reader.take(length as u64).read_to_end(payload).map_err(InputError::Io)?;
    if payload.len() < length {
        return Err(InputError::Malformed(format!("unexpected EOF in data, record type {kind} length {length}")));
    }
    Ok(Some(RecordType(kind)))
}

fn byte(reader: &mut impl BufRead) -> Result<Option<u8>, InputError> {
    let byte = reader.fill_buf().map_err(InputError::Io)?.first().copied();
    reader.consume(usize::from(byte.is_some()));
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> (Vec<(u8, Vec<u8>)>, Option<String>) {
        let (mut seen, mut payload) = (Vec::new(), Vec::new());
        loop {
            match record(&mut bytes, &mut payload, 2048) {
                Ok(Some(kind)) => seen.push((kind.0, payload.clone())),
                Ok(None) => return (seen, None),
                Err(InputError::Malformed(text)) => return (seen, Some(text)),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    // The texts that name type and length are Postfix's. S-CMD-12
    #[test]
    fn records() {
        let long = [b"N\x80\x10".to_vec(), vec![b'x'; 2048]].concat();
        assert_eq!(all(&long), (vec![(b'N', vec![b'x'; 2048])], None));
        assert_eq!(all(b"S\x01aE\0"), (vec![(b'S', b"a".to_vec()), (b'E', vec![])], None));
        assert_eq!(all(b"garbage").1.unwrap(), "unexpected EOF in data, record type 103 length 97");
        assert_eq!(all(b"N\x90\x10").1.unwrap(), "illegal length 2064, record type 78");
        assert_eq!(all(b"N\xff\xff\xff\xff\x01").1.unwrap(), "length of more than four bytes, record type 78");
        assert_eq!(all(b"E\0N").1.unwrap(), "unexpected EOF in length, record type 78");
    }
}
