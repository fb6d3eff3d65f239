//! smtp-sink(1): takes test mail and throws it away.

#![allow(clippy::print_stdout, reason = "the running counters of -c")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails panics"))]

mod dump;
mod engine;
mod options;
mod server;

use options::Options;
use posthaste_cli::Manual;
use posthaste_log::fatal;
use posthaste_system::process::become_user;
use posthaste_system::{credentials::Identity, users};
use server::Shared;
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;

/// The manual page.
pub const MANUAL: Manual = options::MANUAL;

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let log = posthaste_cli::early("smtp-sink");
    if arguments.iter().any(|word| word == "--help") {
        println!("{}", MANUAL.help());
        return ExitCode::SUCCESS;
    }
    match Options::parse(arguments).and_then(|options| run(options, &log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            fatal!(log, "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options, log: &posthaste_log::Logger) -> Result<(), String> {
    let reason = |error: std::io::Error| posthaste_config::system_reason(&error);
    if options.user.is_none() && Identity::effective().uid == 0 {
        return Err("-u option is required if running as root".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(reason)?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        let listener = server::listen(&options)?;
        // The user is looked up before the root changes.
        let user = match &options.user {
            Some(name) => Some(users::by_name(name).map_err(reason)?.ok_or_else(|| format!("unknown user: {name}"))?),
            None => None,
        };
        if let Some(root) = &options.root {
            rustix::process::chroot(root)
                .and_then(|()| rustix::process::chdir("/"))
                .map_err(|error| format!("chroot({}): {}", root.display(), reason(error.into())))?;
        }
        if let Some(user) = user
            && Identity::effective().uid == 0
        {
            become_user(Identity { uid: user.uid, gid: user.gid }).map_err(reason)?;
        }
        let counters = options.counters;
        server::serve(listener, Rc::new(Shared::new(options, log.clone()))).await;
        if counters {
            println!();
        }
        Ok(())
    }))
}
