//! What is fuzzed: one function for each parser that reads what strangers send. Each must take any bytes without a panic, in time and memory that
//! the input bounds, and checks besides what must be true of every result.
//!
//! `make fuzz` gives them to libFuzzer ([`TARGETS`] by name, corpus in `fuzz/corpus/NAME`); `cargo test` runs each over its corpus and over some
//! thousand mutations of it, always the same ones.

mod parsers;
mod smtp;

pub use parsers::{address, client_replies, haproxy, header_and_mime, ipc_frames, outbound_content, qmqp, queue_file};
pub use smtp::smtp_server;

/// A function that is fuzzed.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 9] = [
    ("address", address),
    ("client_replies", client_replies),
    ("haproxy", haproxy),
    ("header_and_mime", header_and_mime),
    ("ipc_frames", ipc_frames),
    ("outbound_content", outbound_content),
    ("qmqp", qmqp),
    ("queue_file", queue_file),
    ("smtp_server", smtp_server),
];

#[cfg(test)]
mod tests;
