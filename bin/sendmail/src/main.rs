//! sendmail, mailq, newaliases: started once for each message, and the program of all commands, with its TLS library, takes a quarter longer to start.

fn main() -> std::process::ExitCode {
    posthaste_cmd_sendmail::main(std::env::args_os().collect())
}
