//! qmgr(8), the queue manager: decides what is delivered when, by which agent, and what becomes of mail that is not.
//!
//! It listens on `public/qmgr` for announcements of new messages ([`posthaste_ipc::qmgr::NewMessage`]) and for Postfix's trigger bytes
//! (`postkick public qmgr AFD`), reads `incoming` and `deferred`, resolves recipients, schedules ([`sched`]), sends delivery requests to
//! `private/TRANSPORT`, keeps the recipient logs `bounce`, `defer` and `trace`, and asks the bounce service for reports.
//!
//! [`manager`] does all that without sockets; [`service`] is the process around it.

pub mod deferred;
pub mod link;
pub mod manager;
pub mod sched;
pub mod service;
pub mod settings;
pub mod slab;

use posthaste_service::Spec;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with the arguments of its master.cf entry. `oqmgr`, Postfix's old queue manager with the same interface, is the same program.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let spec = Spec { program: "qmgr", privileged: false, connects: false, executes: false };
    posthaste_service::run::<service::Qmgr>(spec, arguments)
}
