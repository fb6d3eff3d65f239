//! cleanup(8): what is done to a message before it is queued.
//!
//! The programs that queue mail (smtpd, pickup, local, bounce) do this themselves, as a library; the entry in master.cf that
//! `cleanup_service_name` names configures it, with its `-o` overrides. The service itself answers nobody.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    posthaste_service::run_profile("cleanup", arguments)
}
