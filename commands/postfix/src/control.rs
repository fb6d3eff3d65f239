//! The running system: start, stop, abort, reload, flush, status, logrotate.

use crate::{Failed, Place, check};
use posthaste_config::{MasterFile, system_reason};
use posthaste_log::{Logger, fatal, info, warn};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Checks, then starts master and waits until it serves.
pub fn start(place: &Place) -> Result<(), Failed> {
    prepare(place)?;
    info!(place.log, "starting the Postfix mail system");
    let status = master(place).arg("-w").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => {
            fatal!(place.log, "mail system startup failed");
            Err(Failed)
        }
        Err(error) => Err(cannot_run(place, "master", &error)),
    }
}

/// Becomes master, which stays in the foreground.
pub fn start_in_foreground(place: &Place) -> Result<(), Failed> {
    prepare(place)?;
    info!(place.log, "starting the Postfix mail system");
    // As process 1 of a container master also has to reap what nobody else does.
    let error = master(place).arg(if std::process::id() == 1 { "-i" } else { "-s" }).exec();
    Err(cannot_run(place, "master", &error))
}

fn prepare(place: &Place) -> Result<(), Failed> {
    if running(place)? {
        fatal!(place.log, "the Postfix mail system is already running");
        return Err(Failed);
    }
    if check::check(place).is_err() {
        fatal!(place.log, "Postfix integrity check failed!");
        return Err(Failed);
    }
    backwards_compatible(place);
    Ok(())
}

/// Postfix tells at each start when it runs with the defaults of an older version.
fn backwards_compatible(place: &Place) {
    const FIRST_WITHOUT_CHANGES: &str = "3.6";
    let old = posthaste_config::expand::Level::parse(FIRST_WITHOUT_CHANGES)
        .ok()
        .zip(place.config.level().ok())
        .is_some_and(|(last, level)| level < last);
    if old {
        // Said by the program itself, not by its script.
        let log = Logger::program(&place.config, "postfix").unwrap_or_else(|_| place.log.clone());
        info!(log, "Postfix is using backwards-compatible default settings");
        info!(log, "See http://www.postfix.org/COMPATIBILITY_README.html for details");
        info!(log, "To disable backwards compatibility use \"postconf compatibility_level=3.11\" and \"postfix reload\"");
    }
}

/// Asks master to end, waits for it, and is firm in the end.
pub fn stop(place: &Place) -> Result<(), Failed> {
    let pid = running_pid(place)?;
    info!(place.log, "stopping the Postfix mail system");
    let _ = kill_process(pid, Signal::TERM);
    for second in 0..10 {
        for _ in 0..20 {
            if test_kill_process(pid).is_err() {
                return Ok(());
            }
            sleep(Duration::from_millis(50));
        }
        if second == 4 {
            info!(place.log, "waiting for the Postfix mail system to terminate");
        }
    }
    warn!(place.log, "stopping the Postfix mail system with force");
    let _ = kill_process(pid, Signal::KILL);
    Ok(())
}

/// Ends master and all its children at once.
pub fn abort(place: &Place) -> Result<(), Failed> {
    let pid = running_pid(place)?;
    info!(place.log, "aborting the Postfix mail system");
    let _ = kill_process(pid, Signal::TERM);
    for _ in 0..20 {
        if test_kill_process(pid).is_err() {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    Ok(())
}

/// Has the configuration read again.
pub fn reload(place: &Place) -> Result<(), Failed> {
    let pid = running_pid(place)?;
    info!(place.log, "refreshing the Postfix mail system");
    backwards_compatible(place);
    // A master.cf that cannot be read is told by master.
    if let Ok(master) = MasterFile::load(&place.directory) {
        check::advise(place, &master);
    }
    if kill_process(pid, Signal::HUP).is_err() {
        fatal!(place.log, "the Postfix mail system is not running");
        return Err(Failed);
    }
    Ok(())
}

/// Tries all deferred mail now: becomes `postqueue -f`, whose exit status is that of this command.
pub fn flush(place: &Place) -> Result<(), Failed> {
    let error = Command::new(place.commands.join("postqueue")).arg("-f").env("MAIL_CONFIG", &place.directory).exec();
    Err(cannot_run(place, "postqueue", &error))
}

/// Says whether the system runs.
pub fn status(place: &Place) -> Result<(), Failed> {
    if running(place)? {
        match read_pid(place) {
            Some(pid) => info!(place.log, "the Postfix mail system is running: PID: {}", pid.as_raw_nonzero()),
            None => info!(place.log, "the Postfix mail system is running"),
        }
        Ok(())
    } else {
        info!(place.log, "the Postfix mail system is not running");
        Err(Failed)
    }
}

/// Renames `maillog_file`, makes master and postlogd open a new one, and compresses the old.
pub fn logrotate(place: &Place) -> Result<(), Failed> {
    let fail = |text: String| {
        fatal!(place.log, "{text}");
        Failed
    };
    let text = |name: &str| place.config.text(name).map_err(|e| fail(e.to_string()));
    let file = text("maillog_file")?;
    if file.is_empty() || file.starts_with("/dev/") {
        return Err(fail(String::from("maillog_file is not set to a file: nothing to rotate")));
    }
    let suffix = text("maillog_file_rotate_suffix")?;
    let suffix = jiff::Zoned::now().strftime(&suffix).to_string();
    let rotated = format!("{file}.{suffix}");
    if std::fs::symlink_metadata(&rotated).is_ok() {
        return Err(fail(format!("logrotate: {rotated} already exists")));
    }
    std::fs::rename(&file, &rotated).map_err(|e| fail(format!("logrotate: rename {file} to {rotated}: {e}")))?;
    if running(place)? {
        reload(place)?;
        // Until then the processes have let go of the old file.
        sleep(Duration::from_secs(1));
    }
    let compressor = text("maillog_file_compressor")?;
    match Command::new(&compressor).arg(&rotated).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(fail(format!("logrotate: {compressor} {rotated}: {status}"))),
        Err(error) => Err(fail(format!("logrotate: {compressor}: {error}"))),
    }
}

/// Whether master holds its lock: `master -t` tells.
fn running(place: &Place) -> Result<bool, Failed> {
    if !place.queue.join("pid/master.pid").exists() {
        return Ok(false);
    }
    match master(place).arg("-t").stderr(Stdio::null()).status() {
        Ok(status) => Ok(!status.success()),
        Err(error) => Err(cannot_run(place, "master", &error)),
    }
}

fn running_pid(place: &Place) -> Result<Pid, Failed> {
    if running(place)?
        && let Some(pid) = read_pid(place)
    {
        return Ok(pid);
    }
    fatal!(place.log, "the Postfix mail system is not running");
    Err(Failed)
}

fn read_pid(place: &Place) -> Option<Pid> {
    let text = std::fs::read_to_string(place.queue.join("pid/master.pid")).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn master(place: &Place) -> Command {
    let mut command = Command::new(place.daemons.join("master"));
    command.env("MAIL_CONFIG", &place.directory).stdin(Stdio::null());
    if place.verbose {
        command.arg("-v");
    }
    if place.debug {
        command.arg("-D");
    }
    command
}

fn cannot_run(place: &Place, program: &str, error: &std::io::Error) -> Failed {
    let folder = if program == "master" { &place.daemons } else { &place.commands };
    fatal!(place.log, "cannot run {}: {}", folder.join(program).display(), system_reason(error));
    Failed
}
