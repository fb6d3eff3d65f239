//! postlog: set-gid, so it stands alone.

fn main() -> std::process::ExitCode {
    posthaste_cmd_postlog::main(std::env::args_os().collect())
}
