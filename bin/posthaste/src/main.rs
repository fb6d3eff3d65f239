//! The user and administration commands in one program, told apart by the name it is called by. Those that are programs of their own (`postdrop`,
//! `postlog`, `postqueue`, `sendmail`) have only their manuals here.

mod manuals;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let name = arguments.first().map(|name| posthaste_cli::program_name(name)).unwrap_or_default();
    match name.as_str() {
        // `posthaste --man DIR` writes the manual pages of sections 1 and 5.
        "posthaste" if arguments.get(1).is_some_and(|word| word == "--man") => posthaste_cli::write_manuals(&arguments, &manuals::pages()),
        "postalias" | "postmap" => posthaste_cmd_postmap::main(arguments),
        "postcat" => posthaste_cmd_postcat::main(arguments),
        "postconf" => posthaste_cmd_postconf::main(arguments),
        "postfix" => posthaste_cmd_postfix::main(arguments),
        "postkick" => posthaste_cmd_postkick::main(arguments),
        "postlock" => posthaste_cmd_postlock::main(arguments),
        "postmulti" => posthaste_cmd_postmulti::main(arguments),
        "postlog" => posthaste_cmd_postlog::main(arguments),
        "postsuper" => posthaste_cmd_postsuper::main(arguments),
        "qshape" => posthaste_cmd_qshape::main(arguments),
        "smtp-sink" => posthaste_cmd_smtp_sink::main(arguments),
        "smtp-source" => posthaste_cmd_smtp_source::main(arguments),
        other => {
            eprintln!("posthaste: fatal: called as \"{other}\", which is no command of Posthaste; call it by a link such as postconf");
            ExitCode::FAILURE
        }
    }
}
