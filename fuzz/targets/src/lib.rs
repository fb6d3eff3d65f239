//! What is fuzzed: one function for each parser that reads what strangers send. Each must take any bytes without a panic, in time and memory that
//! the input bounds, and checks besides what must be true of every result.
//!
//! `make fuzz` gives them to libFuzzer ([`TARGETS`] by name, corpus in `fuzz/corpus/NAME`); `cargo test` runs each over its corpus and over some
//! thousand mutations of it, always the same ones.

mod parsers;
mod smtp;
mod sources;
mod spool;

pub use parsers::{address, client_replies, haproxy, header_and_mime, ipc_frames, outbound_content, qmqp, queue_file};
pub use smtp::smtp_server;
pub use sources::{alias_lines, configuration, dns_reply, policy_and_actions, table_file};
pub use spool::{maildrop, queue_envelope, recipient_log};

/// A function that is fuzzed.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 17] = [
    ("address", address),
    ("alias_lines", alias_lines),
    ("client_replies", client_replies),
    ("configuration", configuration),
    ("dns_reply", dns_reply),
    ("haproxy", haproxy),
    ("header_and_mime", header_and_mime),
    ("ipc_frames", ipc_frames),
    ("maildrop", maildrop),
    ("outbound_content", outbound_content),
    ("policy_and_actions", policy_and_actions),
    ("qmqp", qmqp),
    ("queue_envelope", queue_envelope),
    ("queue_file", queue_file),
    ("recipient_log", recipient_log),
    ("smtp_server", smtp_server),
    ("table_file", table_file),
];

#[cfg(test)]
mod tests;
