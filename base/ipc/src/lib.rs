//! What Posthaste's processes tell each other: typed messages, one codec, frames on a Unix stream socket.
//!
//! A frame is a 4-byte big-endian length (of what follows), a version byte, a message kind, a 4-byte request number, and the payload.
//! Requests are multiplexed by number. A bad frame costs the connection that sent it, never the process. The first byte of the length is 0
//! (frames are below 16 MiB), so on a trigger socket (`public/qmgr`, `public/pickup`) a frame cannot be mistaken for Postfix's trigger
//! bytes (`W D I F A`).

pub mod bounce;
pub mod delivery;
mod envelope;
pub mod flush;
pub mod frame;
pub mod postdrop;
pub mod proxymap;
pub mod qmgr;
pub mod showq;
pub mod trigger;
pub mod verify;
pub mod wire;

#[cfg(test)]
mod tests {
    use crate::wire::Wire;
    use posthaste_address::Address;
    use posthaste_queue::{Envelope, Notify, Origin, QueueId, Recipient};
    use std::time::{Duration, UNIX_EPOCH};

    /// Encodes, decodes, and insists that nothing is left over.
    pub fn round_trip<T: Wire>(value: &T) -> T {
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        let mut rest = &bytes[..];
        let back = T::take(&mut rest).expect("what was put can be taken");
        assert!(rest.is_empty());
        back
    }

    pub fn id() -> QueueId {
        QueueId::parse("66CDB9940C5").expect("a legal id")
    }

    /// An envelope in which no two fields of a type are equal, so that swapped fields show.
    pub fn envelope() -> Envelope {
        Envelope {
            arrival: UNIX_EPOCH + Duration::new(1_795_000_000, 5000),
            created: UNIX_EPOCH + Duration::from_secs(1_795_000_001),
            sender: Address::new("alice@example.com"),
            full_name: "Alice".into(),
            content_offset: 501,
            content_length: 400,
            message_size: 399,
            recipient_count: 2,
            qmgr_hints: 4,
            sender_options: 1,
            encoding: "8bit".into(),
            envelope_id: "id+1".into(),
            ret: 2,
            trace_flags: 1024,
            trace_flags_at: Some(300),
            message_id: "<m@example.com>".into(),
            content_filter: "scan:[127.0.0.1]:10025".into(),
            redirect: Some(Address::new("there@example.com")),
            verp: "+=".into(),
            warn: Some((UNIX_EPOCH + Duration::from_secs(1_795_004_000), 222)),
            warned: true,
            origin: Origin {
                log_client_name: "c".into(),
                log_client_address: "192.0.2.1".into(),
                log_client_port: "1234".into(),
                log_helo_name: "h".into(),
                log_protocol_name: "ESMTP".into(),
                log_ident: "66CDB9940C5".into(),
                sasl_method: "PLAIN".into(),
                sasl_username: "u".into(),
                sasl_sender: "s".into(),
                rewrite_context: "remote".into(),
            },
            recipients: vec![
                Recipient {
                    offset: Some(300),
                    address: Address::new("bob@example.org"),
                    original: Address::new("robert@example.org"),
                    dsn_orcpt: "rfc822;robert@example.org".into(),
                    notify: Notify(Notify::FAILURE),
                },
                Recipient {
                    offset: None,
                    address: Address::new(&b"\xff@x"[..]),
                    original: Address::empty(),
                    dsn_orcpt: "".into(),
                    notify: Notify(0),
                },
            ],
            more_at: Some(1_000_000),
        }
    }
}
