//! `smtpd -S`: a session on standard input and output, for `sendmail -bs`.

use std::ffi::OsString;
use std::process::ExitCode;

/// Whether the arguments ask for it.
pub fn wanted(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).any(|argument| argument == "-S")
}

pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let _ = arguments;
    ExitCode::FAILURE
}
