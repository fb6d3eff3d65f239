//! SMTP and LMTP engines without I/O: bytes in, events out, for the server and the client.

pub mod client;
pub mod haproxy;
pub mod server;
pub mod xtext;
