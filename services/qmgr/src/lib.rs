//! qmgr(8).

pub mod deferred;
pub mod manager;
pub mod sched;
pub mod settings;
pub mod slab;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let _ = arguments;
    eprintln!("qmgr: fatal: this program is not finished");
    ExitCode::FAILURE
}
