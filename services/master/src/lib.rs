//! master(8): opens the sockets named in master.cf and starts a service when its socket first has work.
//!
//! One process per entry. While no process of a service runs, master watches its sockets; at the first activity it starts the program, hands it the
//! sockets, and watches only the process from then on. A process that ends is started again when there is work. Master reads nothing from the
//! network, has no runtime and one thread.
//!
//! Between master and a service there is one socket pair. The service writes one byte when it is ready to serve; its end reads as closed when master
//! lets go of it (reload: drain) or is dead.

mod listen;
mod lock;
mod server;
mod start;

use posthaste_cli::{Manual, Opt};
use std::ffi::OsString;
use std::process::ExitCode;

/// The manual page.
pub const MANUAL: Manual = Manual {
    name: "master",
    section: 8,
    summary: "Posthaste master process",
    synopsis: &["master [-Dditsvw] [-c config_dir] [-e exit_time]"],
    description: "The resident process that starts the other daemons on demand: one process for each service in master.cf, which serves as many \
                  clients at one time as the maxproc column says.\n\n\
                  Services end by themselves after an idle time and are started again when their socket has work. A service that dies while it \
                  starts is not started again for service_throttle_time.",
    options: &[
        Opt { flag: "-c", argument: "config_dir", text: "Read main.cf and master.cf in this directory." },
        Opt { flag: "-D", argument: "", text: "Run debugger_command on the master process after initialization." },
        Opt { flag: "-d", argument: "", text: "Keep standard input, output and error, and the controlling terminal." },
        Opt { flag: "-e", argument: "exit_time", text: "End after this many seconds." },
        Opt { flag: "-i", argument: "", text: "Init mode: do not become session leader, and keep standard output. Only as process 1." },
        Opt { flag: "-s", argument: "", text: "Keep standard output, so that maillog_file = /dev/stdout works." },
        Opt { flag: "-t", argument: "", text: "Test: status 0 when no master runs for this queue." },
        Opt { flag: "-v", argument: "", text: "Verbose logging, here and in all services. May be repeated." },
        Opt { flag: "-w", argument: "", text: "Go into the background; the status is 0 when initialization succeeded." },
    ],
    sections: &[
        (
            "SIGNALS",
            "SIGHUP: read the configuration again. Old processes finish what they do; new clients get new processes. A configuration that is wrong is \
             logged, and the old one stays.\n\nSIGTERM: end, with all services.",
        ),
        (
            "FILES",
            "pid/master.pid below queue_directory, and master.lock in data_directory: held locked while master runs; the process id is in them.",
        ),
    ],
};

/// Runs the daemon; `arguments[0]` is its name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    start::run(arguments)
}
