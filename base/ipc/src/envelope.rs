//! [`Wire`] for the types of other crates that cross process borders: addresses, times, queue ids, recipients, envelopes.

use crate::wire::{Wire, WireError};
use crate::wire_struct;
use bstr::BString;
use posthaste_address::Address;
use posthaste_queue::{Envelope, Notify, Origin, QueueId, QueueName, Recipient};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Wire for Address {
    fn put(&self, out: &mut Vec<u8>) {
        let bytes = self.as_bytes();
        (bytes.len() as u32).put(out);
        out.extend_from_slice(bytes);
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(Address::new(BString::take(input)?))
    }
}

impl Wire for SystemTime {
    /// Seconds since 1970 (negative before) and nanoseconds above them.
    fn put(&self, out: &mut Vec<u8>) {
        let (seconds, nanos) = match self.duration_since(UNIX_EPOCH) {
            Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
            Err(before) => match before.duration() {
                // Wrapping: the earliest time of all has no positive counterpart.
                d if d.subsec_nanos() == 0 => ((d.as_secs() as i64).wrapping_neg(), 0),
                d => (!(d.as_secs() as i64), 1_000_000_000 - d.subsec_nanos()),
            },
        };
        seconds.put(out);
        nanos.put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        let (seconds, nanos) = (i64::take(input)?, u32::take(input)?);
        if nanos >= 1_000_000_000 {
            return Err(WireError("not a time"));
        }
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let whole = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
        whole.and_then(|t| t.checked_add(Duration::from_nanos(nanos.into()))).ok_or(WireError("not a time"))
    }
}

/// A pair, such as a time and an offset.
impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl Wire for QueueId {
    fn put(&self, out: &mut Vec<u8>) {
        (self.as_str().len() as u32).put(out);
        out.extend_from_slice(self.as_str().as_bytes());
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        // The rule of `parse` matters: an id becomes a path.
        QueueId::parse(&String::take(input)?).ok_or(WireError("not a queue id"))
    }
}

const QUEUES: [QueueName; 11] = [
    QueueName::Active,
    QueueName::Bounce,
    QueueName::Corrupt,
    QueueName::Defer,
    QueueName::Deferred,
    QueueName::Flush,
    QueueName::Hold,
    QueueName::Incoming,
    QueueName::Maildrop,
    QueueName::Saved,
    QueueName::Trace,
];

impl Wire for QueueName {
    fn put(&self, out: &mut Vec<u8>) {
        let at = QUEUES.iter().position(|queue| queue == self).unwrap_or_default();
        out.push(at as u8);
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        QUEUES.get(usize::from(u8::take(input)?)).copied().ok_or(WireError("not a queue"))
    }
}

impl Wire for Notify {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok(Notify(u8::take(input)?))
    }
}

wire_struct!(Recipient { offset, address, original, dsn_orcpt, notify });

wire_struct!(Origin {
    log_client_name,
    log_client_address,
    log_client_port,
    log_helo_name,
    log_protocol_name,
    log_ident,
    sasl_method,
    sasl_username,
    sasl_sender,
    rewrite_context,
});

wire_struct!(Envelope {
    arrival,
    created,
    sender,
    full_name,
    content_offset,
    content_length,
    message_size,
    recipient_count,
    qmgr_hints,
    sender_options,
    encoding,
    envelope_id,
    ret,
    trace_flags,
    trace_flags_at,
    message_id,
    content_filter,
    redirect,
    verp,
    warn,
    warned,
    origin,
    recipients,
    more_at,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{envelope, round_trip};

    #[test]
    fn every_queue_keeps_its_name() {
        for queue in QUEUES {
            assert_eq!(round_trip(&queue), queue);
        }
        assert!(QueueName::take(&mut &[11u8][..]).is_err());
    }

    #[test]
    fn times_on_both_sides_of_1970() {
        for t in [
            UNIX_EPOCH,
            UNIX_EPOCH + Duration::new(1_795_000_000, 123_456_789),
            UNIX_EPOCH - Duration::new(5, 250),
            UNIX_EPOCH - Duration::from_secs(5),
        ] {
            assert_eq!(round_trip(&t), t);
        }
        let mut bad = Vec::new();
        0i64.put(&mut bad);
        1_000_000_000u32.put(&mut bad);
        assert!(SystemTime::take(&mut &bad[..]).is_err());
        for seconds in [i64::MIN, i64::MAX] {
            let mut far = Vec::new();
            seconds.put(&mut far);
            999_999_999u32.put(&mut far);
            let _ = SystemTime::take(&mut &far[..]); // either answer will do, but no panic
        }
    }

    #[test]
    fn a_queue_id_that_would_leave_its_folder_is_refused() {
        let mut bytes = Vec::new();
        "../../etc/passwd".to_string().put(&mut bytes);
        assert!(QueueId::take(&mut &bytes[..]).is_err());
    }

    #[test]
    fn envelope_round_trip() {
        let e = envelope();
        assert_eq!(round_trip(&e), e);
        let mut bytes = Vec::new();
        e.put(&mut bytes);
        for n in 0..bytes.len() {
            assert!(Envelope::take(&mut &bytes[..n]).is_err(), "cut at {n}");
        }
    }
}
