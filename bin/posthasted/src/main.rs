//! All daemons in one program, told apart by the name it is called by.

mod manuals;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let name = arguments.first().map(|name| posthaste_cli::program_name(name)).unwrap_or_default();
    let first = arguments.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    match name.as_str() {
        // `posthasted --man DIR` writes the pages of section 8.
        "posthasted" if first == "--man" => posthaste_cli::write_manuals(&arguments, &manuals::pages()),
        // Only in front: further back it may belong to a command that pipe or spawn runs.
        _ if first == "--help" && manuals::of(&name).is_some() => {
            let help = manuals::of(&name).map(posthaste_cli::Manual::help).unwrap_or_default();
            let _ = std::io::stdout().write_all(help.as_bytes());
            ExitCode::SUCCESS
        }
        "error" | "retry" => posthaste_svc_error::main(arguments),
        "lmtp" | "smtp" => posthaste_svc_smtp::main(arguments),
        "oqmgr" | "qmgr" => posthaste_svc_qmgr::main(arguments),
        "anvil" => posthaste_svc_anvil::main(arguments),
        "bounce" => posthaste_svc_bounce::main(arguments),
        "cleanup" => posthaste_svc_cleanup::main(arguments),
        "discard" => posthaste_svc_discard::main(arguments),
        "flush" => posthaste_svc_flush::main(arguments),
        "local" => posthaste_svc_local::main(arguments),
        "master" => posthaste_svc_master::main(arguments),
        "pickup" => posthaste_svc_pickup::main(arguments),
        "pipe" => posthaste_svc_pipe::main(arguments),
        "postlogd" => posthaste_svc_postlogd::main(arguments),
        "proxymap" => posthaste_svc_proxymap::main(arguments),
        "qmqpd" => posthaste_svc_qmqpd::main(arguments),
        "scache" => posthaste_svc_scache::main(arguments),
        "showq" => posthaste_svc_showq::main(arguments),
        "smtpd" => posthaste_svc_smtpd::main(arguments),
        "spawn" => posthaste_svc_spawn::main(arguments),
        "tlsmgr" => posthaste_svc_tlsmgr::main(arguments),
        "trivial-rewrite" => posthaste_svc_trivial_rewrite::main(arguments),
        "verify" => posthaste_svc_verify::main(arguments),
        "virtual" => posthaste_svc_virtual::main(arguments),
        other => {
            eprintln!("posthasted: fatal: called as \"{other}\", which is no daemon of Posthaste");
            ExitCode::FAILURE
        }
    }
}
