//! `set-permissions`, `upgrade-configuration`, `post-install`: what an installation needs after its files have been laid down.

use crate::check::{self, DIRECTORIES, Owner};
use crate::{Failed, Place, print};
use posthaste_config::edit::{Change, edit_main, replace};
use posthaste_config::master_cf::MasterFile;
use posthaste_config::system_reason;
use posthaste_log::{fatal, info, warn};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// Services that a master.cf from an older version may lack: name, type, how the message names it, the entry that is added. The commented ones
/// are there to be found by administrators.
const ENTRIES: [(&str, &str, &str, &str); 14] = [
    ("flush", "unix", "flush service", "flush     unix  n       -       n       1000?   0       flush"),
    ("relay", "unix", "relay service", "relay     unix  -       -       n       -       -       smtp"),
    ("trace", "unix", "trace service", "trace     unix  -       -       n       -       0       bounce"),
    ("verify", "unix", "verify service", "verify    unix  -       -       n       -       1       verify"),
    ("proxymap", "unix", "proxymap service", "proxymap  unix  -       -       n       -       -       proxymap"),
    ("anvil", "unix", "anvil service", "anvil     unix  -       -       n       -       1       anvil"),
    ("scache", "unix", "scache service", "scache    unix  -       -       n       -       1       scache"),
    ("discard", "unix", "discard service", "discard   unix  -       -       n       -       -       discard"),
    ("tlsmgr", "unix", "tlsmgr service", "tlsmgr    unix  -       -       n       1000?   1       tlsmgr"),
    ("retry", "unix", "retry service", "retry     unix  -       -       n       -       -       error"),
    ("proxywrite", "unix", "proxywrite service", "proxywrite unix -       -       n       -       1       proxymap"),
    ("showq", "unix", "showq service", "showq     unix  n       -       n       -       -       showq"),
    ("lmtp", "unix", "lmtp service", "lmtp      unix  -       -       n       -       -       lmtp"),
    ("postlog", "unix-dgram", "postlog unix-domain datagram service", POSTLOG),
];

const POSTLOG: &str = "postlog   unix-dgram n  -       n       -       1       postlogd";

/// Commands, in `command_directory`.
const PROGRAMS: [&str; 15] = [
    "postalias",
    "postcat",
    "postconf",
    "postfix",
    "posthaste",
    "postkick",
    "postlock",
    "postlog",
    "postmap",
    "postmulti",
    "postsuper",
    "qshape",
    "sendmail",
    "smtp-sink",
    "smtp-source",
];

/// Settings of main.cf that an installation may give with `name=value`.
const SETTINGS: [&str; 15] = [
    "command_directory",
    "daemon_directory",
    "data_directory",
    "html_directory",
    "mail_owner",
    "mailq_path",
    "manpage_directory",
    "meta_directory",
    "newaliases_path",
    "queue_directory",
    "readme_directory",
    "sample_directory",
    "sendmail_path",
    "setgid_group",
    "shlib_directory",
];

/// Takes the `name=value` words out of the arguments and writes them into main.cf; `true` when there were any.
pub fn take_settings(place: &Place, words: &mut Vec<String>) -> Result<bool, Failed> {
    let given: Vec<String> = words.extract_if(.., |word| word.contains('=')).collect();
    let mut settings = Vec::new();
    for word in &given {
        let Some((name, value)) = word.split_once('=').filter(|(name, _)| SETTINGS.contains(name)) else {
            return Err(fail(place, &format!("{word}: not a setting of an installation; these are: {}", SETTINGS.join(" "))));
        };
        if value.is_empty() || value.contains(char::is_whitespace) {
            return Err(fail(place, &format!("{name} needs a value without white space: \"{value}\"")));
        }
        settings.push((name.to_owned(), value.to_owned()));
    }
    set_parameters(place, settings)?;
    Ok(!given.is_empty())
}

/// Sets parameters in main.cf; comments and order stay, and the file is replaced as a whole.
pub fn set_parameters(place: &Place, settings: impl IntoIterator<Item = (String, String)>) -> Result<(), Failed> {
    let changes: Vec<Change> = settings.into_iter().map(|(name, value)| Change::Set(name, value)).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let path = place.directory.join("main.cf");
    let replaced = replace(&path).and_then(|file| {
        let (text, warnings) = edit_main(&file.current()?, &path.to_string_lossy(), &changes);
        warnings.iter().for_each(|warning| warn!(place.log, "{warning}"));
        file.commit(&text)
    });
    replaced.map_err(|error| fail(place, &error.to_string()))
}

const USAGE: &str = "Usage: postfix post-install [name=value] action...
    create-missing          Make the queue directories that are missing.
    set-permissions         Give all files their owners, groups and modes.
    upgrade-configuration   Add the services that master.cf lacks.
    upgrade-source, upgrade-package
                            All of these.
    first-install-reminder  Tell what to set before the first start.
    name=value              Where something is, and who owns it; kept in main.cf.";

/// `post-install` with one or several actions.
pub fn post_install(place: &Place, words: &[String]) -> Result<(), Failed> {
    if words.is_empty() {
        eprintln!("post-install: Error: {USAGE}");
        return Err(Failed);
    }
    for word in words {
        match word.as_str() {
            "create-missing" => check::create_missing(place)?,
            "first-install-reminder" => print(&format!(
                "Before the first start, look at myhostname, mydestination, mynetworks and relayhost in {}/main.cf, and at the aliases for \
                 postmaster and root in /etc/aliases (newaliases after a change).\n",
                place.directory.display()
            )),
            "set-permissions" | "upgrade-permissions" => set_permissions(place)?,
            "upgrade-configuration" => upgrade_configuration(place)?,
            "upgrade-package" | "upgrade-source" => {
                set_permissions(place)?;
                upgrade_configuration(place)?;
            }
            other => {
                eprintln!("post-install: Error: unknown action: {other}\n{USAGE}");
                return Err(Failed);
            }
        }
    }
    Ok(())
}

fn fail(place: &Place, text: &str) -> Failed {
    fatal!(place.log, "{text}");
    Failed
}

/// Gives every file and directory its owner, group and mode.
pub fn set_permissions(place: &Place) -> Result<(), Failed> {
    check::create_missing(place)?;
    if place.rootless {
        info!(place.log, "one user owns everything: no owners to set");
        return Ok(());
    }
    let (mail, group) = (place.owner.uid, place.setgid_group);
    let mut wrong = false;
    let mut set = |path: &Path, uid: u32, gid: u32, mode: u32| {
        if !path.exists() {
            return;
        }
        let done = chown(path, Some(uid), Some(gid)).and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)));
        if let Err(error) = done {
            warn!(place.log, "set-permissions: {}: {}", path.display(), system_reason(&error));
            wrong = true;
        }
    };
    for (name, owner, shared, mode) in DIRECTORIES {
        let uid = if owner == Owner::Mail { mail } else { 0 };
        set(&place.in_queue(name), uid, if shared { group } else { 0 }, mode);
    }
    set(&place.data, mail, 0, 0o700);
    for name in ["main.cf", "master.cf"] {
        set(&place.directory.join(name), 0, 0, 0o644);
    }
    // Laid down by a user who is not root, programs would belong to that user.
    let programs =
        [&place.commands, &place.daemons].into_iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    for path in programs.map(|entry| entry.path()) {
        if PROGRAMS.iter().any(|name| path.ends_with(name)) || path.starts_with(&place.daemons) {
            set(&path, 0, 0, 0o755);
        }
    }
    for name in ["postdrop", "postqueue"] {
        set(&place.commands.join(name), 0, group, 0o2755);
    }
    if wrong { Err(Failed) } else { Ok(()) }
}

fn has(master: &MasterFile, name: &str, kind: &str) -> bool {
    master.lines.iter().any(|line| line.fields[0] == name && line.fields[1] == kind)
}

/// Without this service, lines of unprivileged programs would be lost.
pub fn require_postlog(place: &Place, master: &MasterFile) -> Result<(), Failed> {
    if has(master, "postlog", "unix-dgram") {
        return Ok(());
    }
    Err(fail(place, "missing 'postlog' service in master.cf - run 'postfix upgrade-configuration'"))
}

/// Adds the entries that master.cf lacks; comments and order of what is there stay, and the file is replaced as a whole.
pub fn upgrade_configuration(place: &Place) -> Result<(), Failed> {
    let path = place.directory.join("master.cf");
    let master = MasterFile::load(&place.directory).map_err(|e| fail(place, &e.to_string()))?;
    let missing: Vec<_> = ENTRIES.iter().filter(|(name, kind, ..)| !has(&master, name, kind)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut text = std::fs::read(&path).map_err(|e| fail(place, &format!("open {}: {e}", path.display())))?;
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    for (_, _, what, line) in missing {
        print(&format!("Editing {}, adding missing entry for {what}\n", path.display()));
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    let temporary = place.directory.join(format!("master.cf.{}.tmp", std::process::id()));
    let written = std::fs::File::create(&temporary).and_then(|mut file| {
        file.set_permissions(std::fs::metadata(&path)?.permissions())?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    });
    written.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        fail(place, &format!("cannot write {}: {e}", path.display()))
    })
}
