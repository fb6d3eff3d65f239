//! `smtpd -S`: a session on standard input and output, for `sendmail -bs`. Its user may not write to the queue, so messages would have to go
//! through postdrop(1); that way is not built, and docs/differences.md says so.

use std::ffi::OsString;
use std::process::ExitCode;

/// Whether the arguments ask for it.
pub fn wanted(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).any(|argument| argument == "-S")
}

/// Says what to do instead.
pub fn main() -> ExitCode {
    let log = posthaste_log::Logger::with_whole_tag("smtpd");
    posthaste_log::early(true, true);
    posthaste_log::fatal!(log, "SMTP on standard input (sendmail -bs) is not supported; submit with sendmail -t, or by SMTP to port 25");
    // EX_UNAVAILABLE: the caller keeps its message.
    ExitCode::from(69)
}
