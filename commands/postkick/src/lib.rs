//! postkick(1).

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let _ = arguments;
    eprintln!("postkick: fatal: this program is not finished");
    ExitCode::FAILURE
}
