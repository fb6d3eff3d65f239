//! `postfix check`: directories that are missing are made, the queue is repaired, what looks wrong is warned about; silence when all is well.

use crate::{Failed, Place, install};
use posthaste_config::advice::advice;
use posthaste_config::check::{Names, unused};
use posthaste_config::master_cf::MasterFile;
use posthaste_config::{ConfigError, system_reason};
use posthaste_log::{fatal, warn};
use std::fs::{DirBuilder, Metadata, symlink_metadata};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Component, Path};
use std::process::{Command, Stdio};

/// Owner of a directory of the queue.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Owner {
    Root,
    Mail,
}

/// Name, owner, whether it has the set-gid group, mode.
pub(crate) const DIRECTORIES: [(&str, Owner, bool, u32); 15] = [
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
    ("trace", Owner::Mail, false, 0o700),
];

/// Postfix's scripts ask postconf again for each parameter that they need, and every time it warns of names that nothing defines or reads. Who
/// counts lines gets as many.
const ASKED_BY_CHECK: usize = 20;

/// Directories of a chroot jail below the queue directory that hold copies of the system's.
const JAIL: [&str; 5] = ["bin", "etc", "lib", "sbin", "usr"];

/// All checks; fails when the system could not run.
pub fn check(place: &Place) -> Result<(), Failed> {
    let master_cf = place.directory.join("master.cf");
    if !master_cf.is_file() {
        fatal!(place.log, "no {} file found", master_cf.display());
        return Err(Failed);
    }
    let master = warn_about_names(place, ASKED_BY_CHECK)?;
    values_expand(place)?;
    create_missing(place)?;
    install::require_postlog(place, &master)?;
    repair_queue(place)?;
    warn_about_owners(place);
    warn_about_damage(place);
    advise(place, &master);
    Ok(())
}

/// A value with a bad `$name` keeps every daemon that reads it from running.
fn values_expand(place: &Place) -> Result<(), Failed> {
    for (name, _) in place.config.settings() {
        if let Err(error) = place.config.lookup(name) {
            fatal!(place.log, "{}: {error}", place.config.file());
            return Err(Failed);
        }
    }
    Ok(())
}

/// Makes the queue's and the data directory where they are missing, with their owners and modes.
pub fn create_missing(place: &Place) -> Result<(), Failed> {
    if !place.daemons.is_dir() {
        fatal!(place.log, "{}: no such directory; check daemon_directory in {}", place.daemons.display(), place.config.file());
        return Err(Failed);
    }
    let master = place.daemons.join("master");
    if !master.is_file() {
        fatal!(place.log, "no Postfix master program {}!", master.display());
        return Err(Failed);
    }
    for (name, owner, group, mode) in DIRECTORIES.iter() {
        make(place, &place.in_queue(name), *owner, *group, *mode)?;
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
        fatal!(place.log, "unable to create missing directory {}: {}", path.display(), system_reason(&error));
        Failed
    })
}

/// Files whose name does not fit their inode (a queue restored from a backup) could be overwritten by new mail: they are renamed before anything
/// runs. What a crash left half written is removed, too.
fn repair_queue(place: &Place) -> Result<(), Failed> {
    let program = place.commands.join("postsuper");
    let status = Command::new(&program).env("MAIL_CONFIG", &place.directory).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        // It has said why.
        Ok(_) => Err(Failed),
        Err(error) => {
            fatal!(place.log, "cannot run {}: {}", program.display(), system_reason(&error));
            Err(Failed)
        }
    }
}

/// Warns about files and directories of the wrong owner, or that others can write. Order and words are Postfix's.
pub fn warn_about_owners(place: &Place) {
    // Without root all belongs to one user.
    if place.rootless {
        return;
    }
    let root_owned: Vec<(String, Metadata)> = [Some(&place.directory), place.libraries.as_ref(), Some(&place.daemons)]
        .into_iter()
        .flatten()
        .flat_map(|folder| below(folder))
        .collect();
    let queue: Vec<(String, Metadata)> = ["/.", "/pid"]
        .iter()
        .filter_map(|name| {
            let path = format!("{}{name}", place.queue.display());
            let meta = symlink_metadata(&path).ok()?;
            Some((path, meta))
        })
        .collect();
    for (path, meta) in queue.iter().chain(&root_owned) {
        if meta.uid() != 0 {
            warn!(place.log, "not owned by root: {path}");
        }
    }
    let writable = |path: &str, meta: &Metadata| {
        if others_write(Path::new(path), meta) {
            warn!(place.log, "group or other writable: {path}");
        }
    };
    for (path, meta) in queue.iter().chain(&root_owned) {
        writable(path, meta);
    }
    for (path, _) in root_owned.iter().filter(|(path, meta)| meta.is_symlink() && leaves(Path::new(path))) {
        warn!(place.log, "symlink leaves directory: {path}");
    }
    let (owner, group) = (place.owner_name(), place.group_name());
    let data = below(&place.data);
    let not_owned = |(path, meta): &(String, Metadata)| {
        if meta.uid() != place.owner.uid {
            warn!(place.log, "not owned by {owner}: {path}");
        }
    };
    data.iter().for_each(not_owned);
    for (path, meta) in &data {
        writable(path, meta);
    }
    for (name, ..) in DIRECTORIES.iter().filter(|(_, owner, ..)| *owner == Owner::Mail) {
        let path = place.queue.join(name).display().to_string();
        if *name == "maildrop" {
            // Its files are those of the users who submitted them.
            symlink_metadata(&path).into_iter().for_each(|meta| not_owned(&(path.clone(), meta)));
        } else {
            // Who owns a socket's name does not matter: only the directory's owner can change it.
            let kind = |meta: &Metadata| meta.file_type().is_socket() || meta.file_type().is_fifo();
            tree(path).iter().filter(|(_, meta)| !kind(meta)).for_each(not_owned);
        }
    }
    let shared = ["public", "maildrop"].map(|name| place.queue.join(name));
    let programs = ["postqueue", "postdrop"].map(|name| place.commands.join(name));
    for path in shared.iter().chain(&programs) {
        if symlink_metadata(path).is_ok_and(|meta| meta.gid() != place.setgid_group) {
            warn!(place.log, "not owned by group {group}: {}", path.display());
        }
    }
    for path in &programs {
        if symlink_metadata(path).is_ok_and(|meta| meta.mode() & 0o2111 != 0o2111) {
            warn!(place.log, "not set-gid or not owner+group+world executable: {}", path.display());
        }
    }
    warn_about_jail(place);
}

/// Everything in and below a folder, named as find(1) does when given `FOLDER/.`.
fn below(folder: &Path) -> Vec<(String, Metadata)> {
    tree(format!("{}/.", folder.display()))
}

/// A file, or a folder with all that is in and below it; symbolic links are not followed.
pub(crate) fn tree(path: String) -> Vec<(String, Metadata)> {
    let mut found = Vec::new();
    let mut todo = vec![path];
    while let Some(path) = todo.pop() {
        let Ok(meta) = symlink_metadata(&path) else { continue };
        if meta.is_dir()
            && let Ok(entries) = std::fs::read_dir(&path)
        {
            todo.extend(entries.flatten().map(|entry| format!("{path}/{}", entry.file_name().display())));
        }
        found.push((path, meta));
    }
    found
}

/// Whether a symbolic link may point out of its folder: who can change what is there could change our files.
fn leaves(link: &Path) -> bool {
    let outside = |part: Component<'_>| matches!(part, Component::RootDir | Component::ParentDir);
    std::fs::read_link(link).is_ok_and(|target| target.components().any(outside))
}

/// Whether others than the owner may write a file. The mode of a symbolic link says nothing, so links are told of where what they lead to is not
/// looked at itself.
fn others_write(path: &Path, meta: &Metadata) -> bool {
    let up = |target: &Path| target.as_os_str().as_encoded_bytes().windows(2).any(|pair| pair == b"..");
    let inside = || std::fs::read_link(path).is_ok_and(|target| target.is_relative() && !up(&target));
    meta.mode() & 0o022 != 0 && !(meta.is_symlink() && inside())
}

/// Copies of system files in a chroot jail belong to root and have to follow their originals.
fn warn_about_jail(place: &Place) {
    for name in JAIL {
        let copies = tree(place.queue.join(name).display().to_string());
        for (path, _) in copies.iter().filter(|(_, meta)| meta.uid() != 0) {
            warn!(place.log, "not owned by root: {path}");
        }
        for (copy, meta) in copies.iter().filter(|(_, meta)| meta.is_file()) {
            let Ok(name) = Path::new(copy).strip_prefix(&place.queue) else { continue };
            let original = Path::new("/").join(name);
            let Ok(other) = std::fs::metadata(&original) else { continue };
            let same = other.len() == meta.len() && std::fs::read(copy).ok() == std::fs::read(&original).ok();
            if !same {
                warn!(place.log, "{copy} and {} differ", original.display());
            }
        }
    }
}

/// Mail that could not be read lies in `corrupt` until somebody looks at it.
fn warn_about_damage(place: &Place) {
    for (path, meta) in tree(place.queue.join("corrupt").display().to_string()) {
        if meta.is_file()
            && let Ok(name) = Path::new(&path).strip_prefix(&place.queue)
        {
            warn!(place.log, "damaged message: {}", name.display());
        }
    }
}

/// Warns of settings that have no effect yet, of services that cannot start, of open relays.
pub fn advise(place: &Place, master: &MasterFile) {
    // What is wrong with an entry has been told.
    let Ok(entries) = master.entries(&place.config, &mut Vec::new()) else { return };
    for warning in advice(&place.config, &entries, &master.file, &place.daemons) {
        warn!(place.log, "{warning}");
    }
}

/// Warns of names in main.cf and master.cf that nothing reads or defines; what cannot be read is fatal.
fn warn_about_names(place: &Place, repeat: usize) -> Result<MasterFile, Failed> {
    tell_names(place, repeat).map_err(|error| {
        fatal!(place.log, "{error}");
        Failed
    })
}

/// The same for commands that go on in any case. Warnings go to standard error, in the name of postconf(1) as in Postfix.
pub fn tell_names(place: &Place, repeat: usize) -> Result<MasterFile, ConfigError> {
    let master = MasterFile::load(&place.directory)?;
    let mut warnings = master.warnings.clone();
    let names = Names::collect(&place.config, &master);
    warnings.extend(unused(&place.config, &master, &names));
    master.entries(&place.config, &mut warnings)?;
    warnings.splice(0..0, names.undefined);
    let postconf = place.commands.join("postconf");
    for _ in 0..repeat {
        warnings.iter().for_each(|warning| eprintln!("{}: warning: {warning}", postconf.display()));
    }
    Ok(master)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_leave_their_folder() {
        let dir = tempfile::tempdir().unwrap();
        for (name, target, out) in [("a", "/tmp", true), ("b", "../x", true), ("c", "main.cf", false), ("d", "./sub/x", false)] {
            let link = dir.path().join(name);
            std::os::unix::fs::symlink(target, &link).unwrap();
            assert_eq!(leaves(&link), out, "{target}");
        }
    }

    #[test]
    fn names_are_those_of_find() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/file"), "").unwrap();
        let mut names: Vec<_> = below(dir.path()).into_iter().map(|(path, _)| path.replace(dir.path().to_str().unwrap(), "D")).collect();
        names.sort();
        assert_eq!(names, ["D/.", "D/./sub", "D/./sub/file"]);
    }
}
