//! `set-permissions`, `upgrade-configuration`, `post-install`: what an installation needs after its files have been laid down.

use crate::{Failed, Place, check};
use posthaste_config::master_cf::MasterFile;
use posthaste_log::{fatal, info, warn};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// Services that a master.cf from an older version may lack, with the entry that is added.
const ENTRIES: [(&str, &str, &str); 10] = [
    ("trace", "unix", "trace     unix  -       -       n       -       0       bounce"),
    ("verify", "unix", "verify    unix  -       -       n       -       1       verify"),
    ("flush", "unix", "flush     unix  n       -       n       1000?   0       flush"),
    ("proxymap", "unix", "proxymap  unix  -       -       n       -       -       proxymap"),
    ("proxywrite", "unix", "proxywrite unix -       -       n       -       1       proxymap"),
    ("relay", "unix", "relay     unix  -       -       n       -       -       smtp"),
    ("retry", "unix", "retry     unix  -       -       n       -       -       error"),
    ("discard", "unix", "discard   unix  -       -       n       -       -       discard"),
    ("anvil", "unix", "anvil     unix  -       -       n       -       1       anvil"),
    ("postlog", "unix-dgram", "postlog   unix-dgram n  -       n       -       1       postlogd"),
];

/// `post-install create-missing`, `set-permissions`, `upgrade-permissions`, `upgrade-configuration`; several at once.
pub fn post_install(place: &Place, words: &[String]) -> Result<(), Failed> {
    if words.is_empty() {
        return Err(fail(place, "usage: postfix post-install [create-missing] [set-permissions] [upgrade-configuration]"));
    }
    for word in words {
        match word.as_str() {
            "create-missing" => check::create_missing(place)?,
            "set-permissions" | "upgrade-permissions" => set_permissions(place)?,
            "upgrade-configuration" => upgrade_configuration(place)?,
            // name=value pairs are settings of main.cf in a new installation; postconf(1) writes them.
            other if other.contains('=') => return Err(fail(place, &format!("post-install: set {other} with postconf -e first"))),
            other => return Err(fail(place, &format!("post-install: unknown action: {other}"))),
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
    let q = |name: &str| place.queue.join(name);
    let mut wrong = false;
    let mut set = |path: &Path, uid: u32, gid: u32, mode: u32| {
        if !path.exists() {
            return;
        }
        let done = chown(path, Some(uid), Some(gid)).and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)));
        if let Err(error) = done {
            warn!(place.log, "set-permissions: {}: {error}", path.display());
            wrong = true;
        }
    };
    for name in ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "tlstrace", "trace"] {
        set(&q(name), mail, 0, 0o700);
    }
    set(&place.queue, 0, 0, 0o755);
    set(&q("pid"), 0, 0, 0o755);
    set(&q("maildrop"), mail, group, 0o730);
    set(&q("public"), mail, group, 0o710);
    set(&place.data, mail, 0, 0o700);
    for name in ["main.cf", "master.cf"] {
        set(&place.directory.join(name), 0, 0, 0o644);
    }
    for name in ["postdrop", "postqueue"] {
        set(&place.commands.join(name), 0, group, 0o2755);
    }
    if wrong { Err(Failed) } else { Ok(()) }
}

fn missing_entries(place: &Place) -> Vec<(&'static str, &'static str)> {
    let Ok(master) = MasterFile::load(&place.directory) else { return Vec::new() };
    let mut warnings = Vec::new();
    let Ok(entries) = master.entries(&place.config, &mut warnings) else { return Vec::new() };
    let has = |name: &str, kind: &str| entries.iter().any(|e| e.service == name && e.kind.name() == kind);
    ENTRIES.iter().filter(|(name, kind, _)| !has(name, kind)).map(|(name, _, line)| (*name, *line)).collect()
}

/// Says what `upgrade-configuration` would add, for entries without which mail is not handled as documented.
pub fn missing_entries_warning(place: &Place) {
    let maillog = place.config.text("maillog_file").unwrap_or_default();
    for (name, _) in missing_entries(place) {
        if name == "postlog" && !maillog.is_empty() {
            warn!(
                place.log,
                "maillog_file is set, but {}/master.cf has no postlog entry; run: postfix upgrade-configuration",
                place.directory.display()
            );
        }
    }
}

/// Adds the entries that master.cf lacks; comments and order of what is there stay, and the file is replaced as a whole.
pub fn upgrade_configuration(place: &Place) -> Result<(), Failed> {
    let missing = missing_entries(place);
    if missing.is_empty() {
        return Ok(());
    }
    let path = place.directory.join("master.cf");
    let mut text = std::fs::read(&path).map_err(|e| fail(place, &format!("open {}: {e}", path.display())))?;
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    for (name, line) in missing {
        info!(place.log, "editing {}, adding missing entry for {name} service", path.display());
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
