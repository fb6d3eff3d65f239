//! To the flush service (`public/flush`, `flush_service_name`): which deferred mail is for which destination, and requests to send it (ETRN_README).

use crate::wire::{Wire, WireError};
use crate::wire_struct;
use bstr::BString;
use posthaste_queue::QueueId;

/// A request. Frame kind [`Request::FRAME`]; answered by [`Answer`], but for `Add`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// This message has a deferred recipient in this domain. No answer.
    Add {
        /// A domain for which `fast_flush_domains` holds.
        site: BString,
        /// The message.
        id: QueueId,
    },
    /// Try all mail for this destination now (`ETRN`, `postqueue -s`).
    Site(BString),
    /// Try this message now (`postqueue -i`).
    File(QueueId),
    /// Try all mail now, and forget the lists (`postqueue -f`).
    Purge,
    /// Try again what has been waiting longest (master's periodic wake-up).
    Refresh,
}

impl Request {
    /// The frame kind.
    pub const FRAME: u8 = 40;
}

/// What became of a [`Request`]. Frame kind [`Answer::FRAME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Ok,
    /// The destination is not in `fast_flush_domains`, or its name makes no sense.
    Refused,
    /// Files could not be read or moved.
    Failed,
}

impl Answer {
    /// The frame kind.
    pub const FRAME: u8 = 41;
}

wire_struct!(Addition { site, id });

struct Addition {
    site: BString,
    id: QueueId,
}

impl Wire for Request {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Request::Add { site, id } => {
                out.push(0);
                Addition { site: site.clone(), id: id.clone() }.put(out);
            }
            Request::Site(site) => {
                out.push(1);
                site.put(out);
            }
            Request::File(id) => {
                out.push(2);
                id.put(out);
            }
            Request::Purge => out.push(3),
            Request::Refresh => out.push(4),
        }
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            0 => {
                let Addition { site, id } = Addition::take(input)?;
                Request::Add { site, id }
            }
            1 => Request::Site(BString::take(input)?),
            2 => Request::File(QueueId::take(input)?),
            3 => Request::Purge,
            4 => Request::Refresh,
            _ => return Err(WireError("not a flush request")),
        })
    }
}

impl Wire for Answer {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Answer::Ok => 0,
            Answer::Refused => 1,
            Answer::Failed => 2,
        });
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            0 => Answer::Ok,
            1 => Answer::Refused,
            2 => Answer::Failed,
            _ => return Err(WireError("not an answer of flush")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{id, round_trip};

    #[test]
    fn round_trips() {
        let add = Request::Add { site: "example.org".into(), id: id() };
        for request in [add, Request::Site("x".into()), Request::File(id()), Request::Purge, Request::Refresh] {
            assert_eq!(round_trip(&request), request);
        }
        for answer in [Answer::Ok, Answer::Refused, Answer::Failed] {
            assert_eq!(round_trip(&answer), answer);
        }
        assert!(Request::take(&mut &[5u8][..]).is_err() && Answer::take(&mut &[3u8][..]).is_err());
    }
}
