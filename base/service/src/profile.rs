//! Services that other processes call as a library: their master.cf entry configures that call and is otherwise only there to be found.

use crate::{Connection, Fatal, Service, Setup, Spec, run};
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;

struct Profile;

impl Service for Profile {
    fn open(_: &Setup) -> Result<Self, Fatal> {
        Ok(Profile)
    }

    /// Nothing of ours connects, save master's wake-up. A client is let go at once, which tells it sooner than silence that nobody answers.
    async fn serve(self: Rc<Self>, client: Connection) {
        drop(client);
    }
}

/// Runs a service that has nothing to do: anvil, cleanup, scache, tlsmgr and trivial-rewrite are library calls in the processes that need them.
pub fn run_profile(program: &'static str, arguments: Vec<OsString>) -> ExitCode {
    run::<Profile>(Spec { program, privileged: false, connects: false, executes: false }, arguments)
}
