//! `set-permissions`, `upgrade-configuration`, `post-install`: what an installation needs after its files have been laid down.

use crate::check::{self, DIRECTORIES, Owner};
use crate::{Failed, Place, print};
use posthaste_config::edit::{Change, edit_main, replace};
use posthaste_config::master_cf::MasterFile;
use posthaste_config::system_reason;
use posthaste_log::{fatal, info, warn};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Uid, chownat, fchmod, openat, statat};
use rustix::io::Errno;
use std::io::Write;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// Services that a master.cf from an older version may lack, in Postfix's order: name, type, how the message names it, the entry that is added.
const ENTRIES: [(&str, &str, &str, &str); 12] = [
    ("relay", "unix", "relay service", "relay     unix  -       -       n       -       -       smtp"),
    ("flush", "unix", "flush service", "flush     unix  n       -       n       1000?   0       flush"),
    ("trace", "unix", "trace service", "trace     unix  -       -       n       -       0       bounce"),
    ("verify", "unix", "verify service", "verify    unix  -       -       n       -       1       verify"),
    ("proxymap", "unix", "proxymap service", "proxymap  unix  -       -       n       -       -       proxymap"),
    ("anvil", "unix", "anvil service", "anvil     unix  -       -       n       -       1       anvil"),
    ("scache", "unix", "scache service", "scache    unix  -       -       n       -       1       scache"),
    ("discard", "unix", "discard service", "discard   unix  -       -       n       -       -       discard"),
    ("tlsmgr", "unix", "tlsmgr service", "tlsmgr    unix  -       -       n       1000?   1       tlsmgr"),
    ("retry", "unix", "retry service", "retry     unix  -       -       n       -       -       error"),
    ("proxywrite", "unix", "proxywrite service", "proxywrite unix -       -       n       -       1       proxymap"),
    ("postlog", "unix-dgram", "postlog unix-domain datagram service", POSTLOG),
];

/// Services whose sockets old versions had in the private directory; all users' programs connect to them now.
const PUBLIC: [&str; 5] = ["pickup", "cleanup", "qmgr", "flush", "showq"];

const POSTLOG: &str = "postlog   unix-dgram n  -       n       -       1       postlogd";

/// Commands, in `command_directory`.
const PROGRAMS: [&str; 14] = [
    "postalias",
    "postcat",
    "postconf",
    "postfix",
    "posthaste",
    "postkick",
    "postlock",
    "postmap",
    "postmulti",
    "postsuper",
    "qshape",
    "sendmail",
    "smtp-sink",
    "smtp-source",
];

/// Commands that run with the group of `setgid_group`.
const SET_GID: [&str; 3] = ["postdrop", "postlog", "postqueue"];

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
        // A wrong folder in main.cf would take the commands away that can mend it.
        for (folder, program) in [("command_directory", "postconf"), ("daemon_directory", "master")] {
            if name == folder && !Path::new(value).join(program).is_file() {
                return Err(fail(place, &format!("no {value}/{program} command found: give {folder} as an absolute path")));
            }
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
    upgrade-permissions     The same for queue, directories and set-gid programs.
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
            "set-permissions" => set_permissions(place, Files::All)?,
            "upgrade-permissions" => set_permissions(place, Files::Special)?,
            "upgrade-configuration" => upgrade_configuration(place)?,
            "upgrade-package" | "upgrade-source" => {
                set_permissions(place, Files::Special)?;
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

/// Which files get their owners and modes.
#[derive(Clone, Copy, PartialEq)]
pub enum Files {
    All,
    /// Those without whose owners and modes nothing works: the queue, all directories, set-gid programs.
    Special,
}

/// Gives files and directories their owners, groups and modes. What stands without a group keeps the one it has.
pub fn set_permissions(place: &Place, files: Files) -> Result<(), Failed> {
    check::create_missing(place)?;
    if place.rootless {
        info!(place.log, "one user owns everything: no owners to set");
        return Ok(());
    }
    let (mail, group) = (place.owner.uid, Some(place.setgid_group));
    let mut wrong = false;
    let mut tell = |path: &Path, error: &std::io::Error| {
        warn!(place.log, "set-permissions: {}: {}", path.display(), system_reason(error));
        wrong = true;
    };
    let mut set = |path: &Path, uid: u32, gid: Option<u32>, mode: u32| {
        if !path.exists() {
            return;
        }
        let done = chown(path, Some(uid), gid).and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)));
        if let Err(error) = done {
            tell(path, &error);
        }
    };
    for (name, owner, shared, mode) in DIRECTORIES {
        let uid = if owner == Owner::Mail { mail } else { 0 };
        set(&place.in_queue(name), uid, group.filter(|_| shared), mode);
    }
    set(&place.data, mail, None, 0o700);
    for folder in [&place.directory, &place.daemons] {
        set(folder, 0, None, 0o755);
    }
    for name in SET_GID {
        set(&place.commands.join(name), 0, group, 0o2755);
    }
    if files == Files::All {
        for name in ["main.cf", "master.cf"] {
            set(&place.directory.join(name), 0, None, 0o644);
        }
        // Laid down by a user who is not root, programs would belong to that user.
        let programs =
            [&place.commands, &place.daemons].into_iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
        for path in programs.map(|entry| entry.path()) {
            if PROGRAMS.iter().any(|name| path.ends_with(name)) || path.starts_with(&place.daemons) {
                set(&path, 0, Some(0), 0o755);
            }
        }
    }
    // Messages and logs are the queue's owner's, those of a restored backup too. Sockets are master's, and submissions their users'.
    let own = |name: &str| !["maildrop", "private", "public"].contains(&name);
    for (name, ..) in DIRECTORIES.iter().filter(|(name, owner, ..)| *owner == Owner::Mail && own(name)) {
        let path = place.queue.join(name);
        if let Err(error) = open_folder(CWD, &path).and_then(|folder| own_all(&folder, mail)) {
            tell(&path, &std::io::Error::from(error));
        }
    }
    if wrong { Err(Failed) } else { Ok(()) }
}

fn open_folder(at: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Makes all that is below a folder a user's, and folders in it nobody else's. That user may change names there meanwhile, but may not be given files of other places: no link is
/// followed, and files with several names are left alone.
fn own_all(folder: &OwnedFd, user: u32) -> Result<(), Errno> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        // Mail that has been delivered meanwhile is gone.
        let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if stat.st_uid != user && (is_folder || stat.st_nlink == 1) {
            match chownat(folder, name, Some(Uid::from_raw(user)), None, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(()) | Err(Errno::NOENT) => (),
                Err(error) => return Err(error),
            }
        }
        if is_folder && let Ok(below) = open_folder(folder, name) {
            fchmod(&below, Mode::RWXU)?;
            own_all(&below, user)?;
        }
    }
    Ok(())
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

/// Mends entries of older versions and adds those that master.cf lacks; comments and order of what is there stay, and the file is replaced as a
/// whole.
pub fn upgrade_configuration(place: &Place) -> Result<(), Failed> {
    let path = place.directory.join("master.cf");
    // Not into a file that cannot be read.
    MasterFile::load(&place.directory).map_err(|e| fail(place, &e.to_string()))?;
    let old = std::fs::read(&path).map_err(|e| fail(place, &format!("open {}: {e}", path.display())))?;
    let mut text = old.clone();
    let told = |what: &str| print(&format!("Editing {}, {what}\n", path.display()));
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    for (name, kind, what, line) in ENTRIES {
        match name {
            "proxymap" => PUBLIC.iter().for_each(|service| make_public(&mut text, service, &told)),
            "tlsmgr" => modernize_tlsmgr(&mut text, &told),
            _ => (),
        }
        if field(&text, name, &[kind], 0).is_none() {
            told(&format!("adding missing entry for {what}"));
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
    }
    if text == old {
        return Ok(());
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

fn make_public(text: &mut Vec<u8>, service: &str, told: &dyn Fn(&str)) {
    if let Some(field) = field(text, service, &["unix", "fifo"], 2)
        && text.get(field.clone()) == Some(b"-")
    {
        told(&format!("making the {service} service public"));
        text.splice(field, *b"n");
    }
}

/// Services have Unix sockets, and this one is not woken before something has asked for it.
fn modernize_tlsmgr(text: &mut Vec<u8>, told: &dyn Fn(&str)) {
    if field(text, "tlsmgr", &["unix"], 0).is_some() {
        return;
    }
    let Some(kind) = field(text, "tlsmgr", &["fifo"], 1) else { return };
    told("updating the tlsmgr from fifo to unix service");
    text.splice(kind, *b"unix");
    if let Some(wakeup) = field(text, "tlsmgr", &["unix"], 5)
        && text.get(wakeup.clone()).is_some_and(|time| time.iter().all(u8::is_ascii_digit))
    {
        text.insert(wakeup.end, b'?');
    }
}

/// Where a field stands in the text of master.cf, in the first line of the entry with this name and one of these types.
fn field(text: &[u8], name: &str, kinds: &[&str], index: usize) -> Option<Range<usize>> {
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let begin = start;
        start += line.len();
        if line.first().is_none_or(|byte| byte.is_ascii_whitespace() || *byte == b'#') {
            continue;
        }
        let mut fields: Vec<Range<usize>> = Vec::new();
        for (at, _) in line.iter().enumerate().filter(|(_, byte)| !byte.is_ascii_whitespace()) {
            let at = begin + at;
            match fields.last_mut() {
                Some(last) if last.end == at => last.end += 1,
                _ => fields.push(at..at + 1),
            }
        }
        let word = |index: usize| fields.get(index).and_then(|range| text.get(range.clone()));
        if word(0) == Some(name.as_bytes()) && word(1).is_some_and(|kind| kinds.iter().any(|known| kind == known.as_bytes())) {
            return fields.get(index).cloned();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_entries() {
        let text = b"# flush unix -\nflush  inet n\n flush unix x\nflush\tunix  -  n\n";
        let at = |kind: &str, index| field(text, "flush", &[kind], index).map(|range| text[range].to_vec());
        assert_eq!(at("unix", 2), Some(b"-".to_vec()));
        assert_eq!(at("unix", 0), Some(b"flush".to_vec()));
        assert_eq!(at("inet", 2), Some(b"n".to_vec()));
        assert_eq!(at("inet", 3), None);
        assert_eq!(at("fifo", 0), None);
        assert_eq!(field(b"", "flush", &["unix"], 0), None);
    }
}
