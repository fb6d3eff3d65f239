//! What Posthaste's processes tell each other: typed messages, one codec, frames on a Unix stream socket.
//!
//! A frame is a 4-byte big-endian length (of what follows), a version byte, a message kind, a 4-byte request number, and the payload.
//! Requests are multiplexed by number. A bad frame costs the connection that sent it, never the process. The first byte of the length is 0
//! (frames are below 16 MiB), so on a trigger socket (`public/qmgr`, `public/pickup`) a frame cannot be mistaken for Postfix's trigger
//! bytes (`W D I F A`).

pub mod delivery;
pub mod qmgr;
pub mod wire;
