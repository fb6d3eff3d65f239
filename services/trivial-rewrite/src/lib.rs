//! trivial-rewrite(8): rewriting and resolving.
//!
//! Done as a library by the services that need it. An entry in master.cf is the profile that `rewrite_service_name` selects; its process
//! answers nobody.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run_profile("trivial-rewrite", arguments)
}
