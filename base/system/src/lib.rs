//! The thin typed border with the operating system: users and groups, credentials, processes, signals, mailbox locks.
//!
//! This is one of the few crates that may hold `unsafe` code; each module owns one system interface and gives it a safe face.

pub mod credentials;

pub mod descriptors;
pub mod interfaces;
pub mod locks;
pub mod mapping;
pub mod pace;
pub mod process;
pub mod signals;
pub mod storage;
pub mod users;
