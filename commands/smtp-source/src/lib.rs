//! smtp-source(1): sends test mail over many connections at a time.

#![allow(clippy::print_stdout, reason = "the running counter of -c")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails panics"))]

mod message;
mod options;
mod session;

use options::Options;
use posthaste_cli::Manual;
use posthaste_log::fatal;
use session::{Run, run_all};
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;

/// The manual page.
pub const MANUAL: Manual = options::MANUAL;

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let log = posthaste_cli::early("smtp-source");
    if arguments.iter().any(|word| word == "--help") {
        println!("{}", MANUAL.help());
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(text) => {
            fatal!(log, "{text}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            fatal!(log, "runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let counter = options.counter;
    let run = Rc::new(Run::new(options, log.clone()));
    let result = runtime.block_on(tokio::task::LocalSet::new().run_until(run_all(run)));
    if counter {
        println!();
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            fatal!(log, "{text}");
            ExitCode::FAILURE
        }
    }
}
