//! `postfix check`: directories that are missing are made, what looks wrong is warned about, silence when all is well.

use crate::{Failed, Place, install};
use posthaste_config::check::{Names, unused};
use posthaste_config::master_cf::MasterFile;
use posthaste_log::{fatal, warn};
use std::fs::{DirBuilder, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// Owner of a directory of the queue.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    Root,
    Mail,
}

/// Name, owner, whether it has the set-gid group, mode.
const DIRECTORIES: [(&str, Owner, bool, u32); 16] = [
    (".", Owner::Root, false, 0o755),
    ("active", Owner::Mail, false, 0o700),
    ("bounce", Owner::Mail, false, 0o700),
    ("corrupt", Owner::Mail, false, 0o700),
    ("defer", Owner::Mail, false, 0o700),
    ("deferred", Owner::Mail, false, 0o700),
    ("flush", Owner::Mail, false, 0o700),
    ("hold", Owner::Mail, false, 0o700),
    ("incoming", Owner::Mail, false, 0o700),
    ("maildrop", Owner::Mail, true, 0o730),
    ("pid", Owner::Root, false, 0o755),
    ("private", Owner::Mail, false, 0o700),
    ("public", Owner::Mail, true, 0o710),
    ("saved", Owner::Mail, false, 0o700),
    ("tlstrace", Owner::Mail, false, 0o700),
    ("trace", Owner::Mail, false, 0o700),
];

/// All checks; fails when the system could not run.
pub fn check(place: &Place) -> Result<(), Failed> {
    create_missing(place)?;
    install::missing_entries_warning(place);
    warn_about_owners(place);
    warn_about_corrupt(place);
    warn_about_names(place)
}

/// Makes the queue's and the data directory where they are missing, with their owners and modes.
pub fn create_missing(place: &Place) -> Result<(), Failed> {
    if !place.daemons.is_dir() {
        fatal!(place.log, "{}: no such directory; check daemon_directory in {}", place.daemons.display(), place.config.file());
        return Err(Failed);
    }
    for (name, owner, group, mode) in DIRECTORIES.iter() {
        let path = if *name == "." { place.queue.clone() } else { place.queue.join(name) };
        make(place, &path, *owner, *group, *mode)?;
    }
    make(place, &place.data, Owner::Mail, false, 0o700)
}

fn make(place: &Place, path: &Path, owner: Owner, group: bool, mode: u32) -> Result<(), Failed> {
    if path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(mode).create(path).and_then(|()| {
        // The umask may have taken bits away.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        if place.rootless {
            return Ok(());
        }
        let uid = if owner == Owner::Mail { place.owner.uid } else { 0 };
        let gid = if group { place.setgid_group } else { 0 };
        chown(path, Some(uid), Some(gid))
    });
    made.map_err(|error| {
        fatal!(place.log, "unable to create missing directory {}: {error}", path.display());
        Failed
    })
}

/// Warns about files and directories of the wrong owner, or that others can write.
pub fn warn_about_owners(place: &Place) {
    if place.rootless {
        return;
    }
    let show = |path: &Path| path.display().to_string();
    for name in [".", "./main.cf", "./master.cf"] {
        let path = format!("{}/{name}", place.directory.display());
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        warn_root(place, &path, &meta);
    }
    for folder in [&place.daemons, &place.commands] {
        if let Ok(meta) = std::fs::metadata(folder) {
            warn_root(place, &show(folder), &meta);
        }
    }
    for (name, owner, group, mode) in DIRECTORIES.iter() {
        let path = place.queue.join(name);
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        let path = if *name == "." { show(&place.queue) } else { show(&path) };
        match owner {
            Owner::Root => warn_root(place, &path, &meta),
            Owner::Mail if meta.uid() != place.owner.uid => warn!(place.log, "not owned by {}: {path}", owner_name(place)),
            Owner::Mail => {}
        }
        if *group && meta.gid() != place.setgid_group {
            warn!(place.log, "not owned by group {}: {path}", place.config.text("setgid_group").unwrap_or_default());
        }
        if *owner == Owner::Mail && meta.mode() & 0o002 & !mode != 0 {
            warn!(place.log, "group or other writable: {path}");
        }
    }
    if let Ok(meta) = std::fs::metadata(&place.data)
        && meta.uid() != place.owner.uid
    {
        warn!(place.log, "not owned by {}: {}", owner_name(place), show(&place.data));
    }
    for program in ["postqueue", "postdrop"] {
        let path = place.commands.join(program);
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.gid() != place.setgid_group {
            warn!(place.log, "not owned by group {}: {}", place.config.text("setgid_group").unwrap_or_default(), show(&path));
        }
        if meta.mode() & 0o2111 != 0o2111 {
            warn!(place.log, "not set-gid or not owner+group+world executable: {}", show(&path));
        }
    }
    warn_about_chroot(place);
}

fn owner_name(place: &Place) -> String {
    place.config.text("mail_owner").unwrap_or_default()
}

fn warn_root(place: &Place, path: &str, meta: &Metadata) {
    if meta.uid() != 0 {
        warn!(place.log, "not owned by root: {path}");
    }
    if meta.mode() & 0o022 != 0 {
        warn!(place.log, "group or other writable: {path}");
    }
}

/// Copies of system files in a chroot jail have to follow their originals.
fn warn_about_chroot(place: &Place) {
    for name in ["etc/localtime", "etc/resolv.conf", "etc/services", "etc/host.conf", "etc/nsswitch.conf", "etc/hosts"] {
        let (copy, original) = (place.queue.join(name), Path::new("/").join(name));
        if let (Ok(one), Ok(two)) = (std::fs::read(&copy), std::fs::read(&original))
            && one != two
        {
            warn!(place.log, "{} and {} differ", copy.display(), original.display());
        }
    }
}

fn warn_about_corrupt(place: &Place) {
    let Ok(entries) = std::fs::read_dir(place.queue.join("corrupt")) else { return };
    for entry in entries.flatten() {
        if entry.metadata().is_ok_and(|m| m.is_file()) {
            warn!(place.log, "damaged message: corrupt/{}", entry.file_name().display());
        }
    }
}

/// Names that nothing reads, and values that do not fit: what `postconf` says, in the log.
fn warn_about_names(place: &Place) -> Result<(), Failed> {
    let master = MasterFile::load(&place.directory).map_err(|error| {
        fatal!(place.log, "{error}");
        Failed
    })?;
    for text in place.config.warnings() {
        warn!(place.log, "{text}");
    }
    for text in unused(&place.config, &master, &Names::collect(&place.config, &master)) {
        warn!(place.log, "{text}");
    }
    let mut warnings = Vec::new();
    let entries = master.entries(&place.config, &mut warnings);
    for text in &warnings {
        warn!(place.log, "{text}");
    }
    entries.map(drop).map_err(|error| {
        fatal!(place.log, "{error}");
        Failed
    })
}
