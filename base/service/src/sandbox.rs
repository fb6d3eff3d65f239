//! What a service process can still reach, once it has opened its files: Landlock for files and TCP, seccomp for system calls.
//!
//! A service that starts other people's programs (`Spec::executes`: local, pipe, spawn) gets none of it. The programs would inherit it, and
//! `no_new_privs` alone would keep `sendmail` from submitting mail through the set-gid `postdrop`, which is what content filters and
//! vacation programs do. These services protect themselves by running each program as its user instead.
//!
//! A kernel without Landlock or seccomp is no reason not to serve mail: what is not there is left out.

use crate::{Setup, Spec};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError,
};
use posthaste_config::Config;
use posthaste_log::{verbose, warn};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// System calls that no mail service makes. A list of what is refused and not of what is allowed: an update of the C library may use a
/// new harmless call at any time, and mail must go on.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_execve,
    libc::SYS_execveat,
];

/// Whether a table is asked over TCP by this process, or by what it does for others (cleanup, trivial-rewrite), whose entries of master.cf
/// may name tables too. To be asked before the chroot.
pub(crate) fn asks_over_tcp(config: &Config) -> bool {
    let over_tcp = |value: &str| value.contains("tcp:") || value.contains("socketmap:inet:");
    config.settings().any(|(_, value)| over_tcp(value))
        || std::fs::read_to_string(config.directory().join("master.cf")).is_ok_and(|text| over_tcp(&text))
}

/// Enters the sandbox. `unprivileged`: the process runs as `mail_owner`; `chrooted`: its root is the queue directory; `connects`: it may
/// connect to TCP ports.
/// `folders`: what the service uses besides the places that main.cf names.
pub(crate) fn enter(spec: &Spec, setup: &Setup, unprivileged: bool, chrooted: bool, connects: bool, folders: &[PathBuf]) {
    if spec.executes {
        return;
    }
    if let Err(error) = rustix::thread::set_no_new_privs(true) {
        warn!(setup.log, "no_new_privs: {error}");
        return;
    }
    // What delivers to mailboxes anywhere cannot be told beforehand where those are: root, and in rootless mode the one user.
    if unprivileged && !spec.privileged {
        match landlock(setup, chrooted, connects, folders) {
            Ok(()) => verbose!(setup.log, "sandbox: files are restricted"),
            Err(error) => warn!(setup.log, "sandbox: {error}"),
        }
    }
    if let Err(error) = seccomp() {
        warn!(setup.log, "sandbox: {error}");
    }
}

fn landlock(setup: &Setup, chrooted: bool, connects: bool, folders: &[PathBuf]) -> Result<(), RulesetError> {
    // The newest set of access rights that this list was checked against; an older kernel enforces what it knows.
    let all = AccessFs::from_all(ABI::V5);
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?.handle_access(AccessNet::BindTcp)?;
    if !connects {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    let mut rules = ruleset.create()?;
    if connects {
        // smtp_bind_address chooses the address to send from; the port is the kernel's choice.
        rules = rules.add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    }
    let folders = folders.iter().map(|folder| (folder.clone(), true));
    for (path, writable) in places(setup, chrooted).into_iter().chain(folders) {
        let access = if writable { all & !AccessFs::Execute } else { AccessFs::ReadFile | AccessFs::ReadDir };
        if let Ok(open) = PathFd::new(&path) {
            rules = rules.add_rule(PathBeneath::new(open, access))?;
        }
    }
    rules.restrict_self().map(drop)
}

/// The files and directories that a service may read, or with `true` also write.
fn places(setup: &Setup, chrooted: bool) -> Vec<(PathBuf, bool)> {
    if chrooted {
        return vec![("/".into(), true)];
    }
    let config = &setup.config;
    let mut places = vec![(config.queue_directory(), true)];
    places.extend(config.text("data_directory").ok().map(|path| (path.into(), true)));
    // Host names, services, users (also those of sssd, nslcd, libnss-extrausers and systemd-homed, whose absence would look like "no such
    // user"), time zones, certificates; what is random and what is nothing.
    for path in [
        "/etc",
        "/usr/share",
        "/usr/lib",
        "/lib",
        "/lib64",
        "/run/nslcd",
        "/run/resolvconf",
        "/run/systemd/resolve",
        "/run/systemd/userdb",
        "/var/lib/extrausers",
        "/var/lib/sss",
        "/var/run/nscd",
        "/proc",
        "/sys",
    ] {
        places.push((path.into(), false));
    }
    for path in ["/dev/null", "/dev/urandom", "/dev/random", "/dev/log"] {
        places.push((path.into(), true));
    }
    places.push((config.directory().to_owned(), false));
    let settings = config.settings().map(|(_, value)| value);
    places.extend(settings.flat_map(paths).filter_map(|path| path.parent().map(|folder| (folder.to_owned(), false))));
    places
}

/// The absolute paths in a parameter's value, be it a table (`hash:/etc/aliases`), a file or a list of both.
fn paths(value: &str) -> impl Iterator<Item = &Path> {
    value
        .split([' ', '\t', '\n', ',', ':', '{', '}', '='])
        .filter(|word| word.starts_with('/') && word.len() > 1 && !word.contains('$'))
        .map(Path::new)
        // The folder of a path at the top is the root of everything.
        .filter(|path| path.parent().is_some_and(|folder| folder != Path::new("/")))
}

fn seccomp() -> Result<(), seccompiler::Error> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(()) };
    let refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|&call| (call, Vec::new())).collect();
    let filter = SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32), arch)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_any_value() {
        let found = |value| paths(value).map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(found("hash:/etc/aliases, lmdb:/var/lib/lists/aliases"), ["/etc/aliases", "/var/lib/lists/aliases"]);
        assert_eq!(found("check_client_access cidr:/srv/mail/clients.cidr reject"), ["/srv/mail/clients.cidr"]);
        assert_eq!(found("/ $queue_directory/x a/b /top"), Vec::<String>::new());
    }

    #[test]
    fn tables_over_tcp_are_seen() {
        let seen = |settings: &str| asks_over_tcp(&Config::parse(settings, "main.cf").expect("good"));
        assert!(seen("virtual_alias_maps = hash:/etc/x, socketmap:inet:127.0.0.1:9000:x\n"));
        assert!(seen("transport_maps = pipemap:{tcp:localhost:9000, static:x}\n"));
        assert!(!seen("virtual_alias_maps = socketmap:unix:/run/x:y\n"));
    }

    /// S-SEC-01: a confined process cannot start programs or reach files that are not its own. In a child process, as there is no way back.
    #[test]
    fn a_confined_thread_can_neither_execute_nor_write_elsewhere() {
        std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).expect("no_new_privs");
            seccomp().expect("filter");
            let error = std::process::Command::new("/bin/true").status().expect_err("execve is refused");
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        })
        .join()
        .expect("thread");
    }
}
