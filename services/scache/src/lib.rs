//! scache(8): the connection cache.
//!
//! Each `smtp` process keeps its own idle connections. An entry in master.cf may stay; it answers nobody.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run_profile("scache", arguments)
}
