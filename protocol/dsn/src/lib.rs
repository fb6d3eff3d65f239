//! Non-delivery, delay and success reports (RFC 3464) with Postfix's structure, made from recipient logs. No I/O.

pub mod report;
pub mod template;
