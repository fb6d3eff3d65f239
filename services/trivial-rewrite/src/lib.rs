//! trivial-rewrite(8): rewriting and resolving of addresses.
//!
//! The programs that need it (smtpd, qmgr, and those that run cleanup) do this themselves, as a library. An entry in master.cf may stay; it
//! answers nobody.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run_profile("trivial-rewrite", arguments)
}
