//! How every command begins: log, options, main.cf.

use posthaste_config::{Config, ConfigError, directory};
use posthaste_log::{Kind, Logger, verbose, warn};
use std::path::Path;

/// Where lines go until main.cf is read: to syslog and standard error, under the bare name of the program.
pub fn early(program: &str) -> Logger {
    posthaste_log::early(true, true);
    Logger::new(program)
}

/// Reads main.cf (of `directory`, the argument of `-c`; else of `MAIL_CONFIG` or the default) and opens the log as it says.
/// What main.cf has that is odd is logged as warnings. The error is what the command logs as fatal before it ends.
pub fn start(program: &str, directory: Option<&Path>) -> Result<(Config, Logger), ConfigError> {
    load(program, &directory::config_directory(directory))
}

/// As [`start`], for a program that has more rights than its caller: anybody but root may name only a directory that the default main.cf lists.
pub fn start_set_gid(program: &str, directory: Option<&Path>, caller_is_root: bool) -> Result<(Config, Logger), ConfigError> {
    let directory = directory::config_directory(directory);
    // Without the set-gid bit the command can do no more than its caller.
    let set_id = rustix::process::getegid() != rustix::process::getgid() || rustix::process::geteuid() != rustix::process::getuid();
    if !caller_is_root && set_id && directory::authorize(&directory).is_err() {
        let (bad, main) = (directory.display(), Path::new(directory::DEFAULT_DIRECTORY).join("main.cf"));
        posthaste_log::error!(Logger::new(program), "unauthorized configuration directory name: {bad}");
        return Err(ConfigError::Bad(format!(
            "specify \"alternate_config_directories = {bad}\" or \"multi_instance_directories = {bad}\" in {}",
            main.display()
        )));
    }
    load(program, &directory)
}

/// What `-v` tells of the machine before anything else, as Postfix words it; nothing without `-v`.
pub fn show_interfaces(log: &Logger) {
    if log.verbose() == 0 {
        return;
    }
    let addresses = posthaste_system::interfaces::interface_addresses().unwrap_or_default();
    let four = addresses.iter().filter(|a| a.address.is_ipv4()).count();
    verbose!(log, "name_mask: all");
    verbose!(log, "inet_addr_local: configured {four} IPv4 addresses");
    verbose!(log, "inet_addr_local: configured {} IPv6 addresses", addresses.len() - four);
}

fn load(program: &str, directory: &Path) -> Result<(Config, Logger), ConfigError> {
    let config = Config::open(directory)?.with_identity(program, "");
    posthaste_log::open(&config, Kind::Command, true)?;
    let log = Logger::program(&config, program)?;
    for warning in config.warnings() {
        warn!(log, "{warning}");
    }
    Ok((config, log))
}
