//! tlsmgr(8): TLS session caches and keys.
//!
//! The services that speak TLS keep these themselves. An entry in master.cf may stay; it answers nobody.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run_profile("tlsmgr", arguments)
}
