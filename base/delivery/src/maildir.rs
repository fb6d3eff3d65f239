//! Writing a message into a Maildir: `tmp`, sync, `new`.
//!
//! Where the file system keeps the order of contents that were written out and names, the sync comes after the message is in `new`, and is one for all
//! deliveries of the moment. There the file has no name before that either: `tmp` would be one more directory to write for each message, and a
//! crash leaves nothing in it.

use crate::copy::{Copy, CopyError};
use crate::gather;
use crate::mailbox::{MailboxError, status_of, sync_in, sync_parent};
use posthaste_config::system_reason as reason;
use posthaste_log::Logger;
use posthaste_queue::Content;
use posthaste_system::credentials::{Identity, as_user};
use posthaste_system::storage;
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, BufWriter, Seek, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Delivers into the Maildir `folder` with the rights of `owner`; makes the folder and its three parts where they are missing.
///
/// File and folder are on disk when this returns `Ok`. `size_limit` is for the one file. Blocks for the syncs.
pub fn deliver(
    folder: &Path,
    owner: Identity,
    host: &str,
    size_limit: Option<u64>,
    copy: &Copy,
    content: &mut Content,
    log: &Logger,
) -> Result<(), MailboxError> {
    as_user(owner, || deliver_as(folder, owner, host, size_limit, copy, content, log))
        .unwrap_or_else(|e| Err(MailboxError { status: "4.3.0", text: format!("cannot act as uid {}: {}", owner.uid, reason(&e)) }))
}

fn deliver_as(
    folder: &Path,
    owner: Identity,
    host: &str,
    size_limit: Option<u64>,
    copy: &Copy,
    content: &mut Content,
    log: &Logger,
) -> Result<(), MailboxError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = |meta: &Metadata| {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_micros();
        folder.join("new").join(format!("{}.V{:x}I{:x}M{micros}.{host}", now.as_secs(), meta.dev(), meta.ino()))
    };
    let new = folder.join("new");
    let mut nameless = None;
    if let Some(file) = unnamed(&new) {
        let meta = write(&file, copy, content, size_limit)?;
        storage::write_out(file.as_fd()).map_err(|e| failed(&e))?;
        let target = name(&meta);
        let named = || File::open(&new).and_then(|new| link(&file, &target).map(|()| new)).ok();
        if let Some(result) = gather::sync(meta.dev(), named) {
            return kept(&target, result);
        }
        nameless = Some(file);
    }

    static SERIAL: AtomicU64 = AtomicU64::new(0);
    // Many deliveries of one process in one second: the process id alone is not unique.
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let tmp = folder.join("tmp").join(format!("{}.P{}{serial:06}.{host}", now.as_secs(), std::process::id()));
    let file = create(folder, &tmp).map_err(|error| {
        let text = format!("create maildir file {}: {}", tmp.display(), reason(&error));
        if error.kind() == io::ErrorKind::PermissionDenied {
            posthaste_log::warn!(log, "maildir access problem for UID/GID={}/{}: {text}", owner.uid, owner.gid);
            posthaste_log::warn!(log, "perhaps you need to create the maildirs in advance");
        }
        MailboxError { status: status_of(&error), text }
    })?;
    let written = match nameless {
        Some(nameless) => copy_file(nameless, &file),
        None => write(&file, copy, content, size_limit),
    };
    let result = written.and_then(|meta| {
        let ordered = storage::keeps_order_on(meta.dev());
        if ordered { storage::write_out(file.as_fd()) } else { file.sync_all() }.map_err(|e| failed(&e))?;
        let target = name(&meta);
        std::fs::rename(&tmp, &target).map_err(|e| MailboxError {
            status: status_of(&e),
            text: format!("create maildir file {}: {}", target.display(), reason(&e)),
        })?;
        kept(&target, sync_in(&target, ordered.then_some(&file)))
    });
    if result.is_err() {
        let _ = std::fs::remove_file(&tmp);
    }
    result
}

/// A file without a name in the file system of `new`, where that keeps the order of contents and names.
fn unnamed(new: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let device = rustix::fs::stat(new).ok()?.st_dev;
    if !storage::keeps_order_on(device) {
        return None;
    }
    let fd = rustix::fs::open(new, OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR).ok()?;
    Some(File::from(fd))
}

/// Gives the file its name. Fails where `/proc` is not there (after `chroot`), or where a link is refused.
fn link(file: &File, target: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD};
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, &open, CWD, target, AtFlags::SYMLINK_FOLLOW)?)
}

/// The message again, for a file that could not get a name.
fn copy_file(mut from: File, mut to: &File) -> Result<Metadata, MailboxError> {
    from.rewind().and_then(|()| io::copy(&mut from, &mut to)).and_then(|_| to.metadata()).map_err(|e| failed(&e))
}

fn create(folder: &Path, tmp: &Path) -> io::Result<File> {
    let open = || File::options().write(true).create_new(true).mode(0o600).open(tmp);
    let group = rustix::process::getegid().as_raw();
    match open() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let mut builder = DirBuilder::new();
            builder.mode(0o700).recursive(true);
            for part in ["tmp", "new", "cur"] {
                let part = folder.join(part);
                builder.create(&part)?;
                // A parent with the set-group-id bit gave it another group.
                if std::fs::metadata(&part)?.gid() != group {
                    std::os::unix::fs::chown(&part, None, Some(group))?;
                }
            }
            sync_parent(folder)?;
            sync_parent(tmp.parent().unwrap_or(folder))?;
            open()
        }
        result => result,
    }
}

fn write(file: &File, copy: &Copy, content: &mut Content, size_limit: Option<u64>) -> Result<Metadata, MailboxError> {
    let mut out = BufWriter::with_capacity(64 * 1024, file);
    let written = copy.run(content, &mut out).and_then(|()| out.flush().map_err(CopyError::from));
    let _ = out.into_parts();
    written.map_err(|error| match error {
        CopyError::Write(e) => MailboxError { status: status_of(&e), text: format!("error writing message: {}", reason(&e)) },
        CopyError::Read(e) => MailboxError { status: "4.3.0", text: format!("error reading message: {e}") },
    })?;
    let meta = file.metadata().map_err(|e| failed(&e))?;
    if size_limit.is_some_and(|limit| meta.len() > limit) {
        return Err(MailboxError { status: "5.2.2", text: String::from("error writing message: File too large") });
    }
    Ok(meta)
}

fn failed(error: &io::Error) -> MailboxError {
    MailboxError { status: status_of(error), text: format!("error writing message: {}", reason(error)) }
}

/// The message is about to leave the queue: its new name has to be on disk before that.
fn kept(target: &Path, synced: io::Result<()>) -> Result<(), MailboxError> {
    synced.map_err(|error| {
        // It stays in the queue: here it would be a second copy, if it is here at all.
        let _ = std::fs::remove_file(target);
        failed(&error)
    })
}
