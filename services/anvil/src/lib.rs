//! anvil(8): connection counts and rates.
//!
//! Counts and rates are kept by the service that serves the clients (`smtpd`), as a library. An entry in master.cf may stay; it answers nobody.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run_profile("anvil", arguments)
}
