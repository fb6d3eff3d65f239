//! Aliases, `:include:` files and `.forward` files.

use crate::Alias;
use crate::deliver::{Delivery, Target};
use crate::tokens::{Destination, parse};
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use posthaste_config::system_reason as reason;
use posthaste_log::warn;
use posthaste_queue::Notify;
use posthaste_route::Context;
use posthaste_system::credentials::{Identity, as_user};
use posthaste_system::users::{self, User};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A `.forward` or `:include:` file larger than this is not read further.
const FILE_LIMIT: u64 = 16 << 20;

/// What kind of list an address stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Envelope,
    Alias,
    Forward,
    Include,
}

/// The local part of an address, in lower case, and what it is made of. An extension with a slash in it is dropped, from `local` too: it
/// stands in names of files, and must not lead elsewhere.
pub(crate) struct Parts {
    pub local: BString,
    pub user: BString,
    pub extension: Option<BString>,
}

impl Parts {
    /// Delimiter and extension, as `propagate_unmatched_extensions` appends them.
    fn unmatched(&self) -> Option<BString> {
        self.extension.as_ref().map(|_| BString::from(&self.local[self.user.len()..]))
    }
}

impl Delivery<'_> {
    /// Expands the alias of this name; false when there is none, and the name may be a user's.
    pub fn alias(&mut self, target: &Target) -> bool {
        let name = self.parts(&target.recipient.address).local;
        // Found in its own expansion: the user is meant.
        if name.is_empty() || target.aliases.last() == Some(&name) {
            return false;
        }
        let found = match self.find_alias(target, &name) {
            Ok(Some(found)) => found,
            Ok(None) => return false,
            Err(error) => {
                warn!(self.local.log, "{error}");
                self.failed(target, "4.3.0", "alias database unavailable");
                return true;
            }
        };
        let (key, value, table) = found;
        let parts = self.parts(&target.recipient.address);
        if target.aliases.contains(&key) {
            let last = target.aliases.last().cloned().unwrap_or_default();
            if last == key {
                return false;
            }
            warn!(self.local.log, "alias database loop for {last}");
            let mut looping = target.clone();
            looping.recipient.address = with_domain(&last, &target.recipient.address);
            self.failed(&looping, "5.4.6", format!("alias database loop for {last}"));
            return true;
        }
        if self.verifies() {
            self.sent(target, "deliverable", format!("aliased to {value}"));
            return true;
        }
        let mut inner = target.clone();
        inner.depth += 1;
        inner.source = Source::Alias;
        inner.aliases.push(key.clone());
        // What an alias does not give on, a file that it includes cannot.
        let keep = key == parts.user && self.local.parameters.propagate.alias;
        inner.unmatched = if keep { parts.unmatched() } else { None };
        if inner.rights.is_none() {
            inner.rights = match table.file.as_deref().map_or(Ok(None), rights_of_table) {
                Ok(rights) => rights,
                Err(NoOwner) => {
                    // Postfix names a table together with the way it was opened.
                    let flags = "0,lock|no_regsub|no_proxy|no_unauth|fold_fix|utf8_request";
                    warn!(self.local.log, "cannot find alias database owner for {}({flags})", table.name);
                    self.failed(target, "4.3.0", "cannot find alias database owner");
                    return true;
                }
            };
        }
        if let Err(error) = self.take_owner(&mut inner, &key) {
            warn!(self.local.log, "{error}");
            self.failed(target, "4.3.0", "alias database unavailable");
            return true;
        }
        let mut outer = target.clone();
        if inner.owned && !target.owned {
            // The address that the first sender wrote is no business of the owner's.
            outer.recipient.original = Address::empty();
            outer.recipient.dsn_orcpt = BString::default();
        }
        self.list(&inner, &outer, &value, None);
        true
    }

    /// The alias for the whole local part, or for it without its extension: key, right-hand side, and the table it stands in.
    fn find_alias(&self, target: &Target, name: &BString) -> Result<Option<(BString, BString, &'_ Alias)>, posthaste_table::TableError> {
        let parts = self.parts(&target.recipient.address);
        let bare = parts.extension.is_some().then_some(parts.user);
        for key in [Some(name.clone()), bare].into_iter().flatten() {
            if target.aliases.last() == Some(&key) {
                return Ok(None);
            }
            for table in &self.local.aliases {
                if let Some(value) = table.maps.find(key.as_bstr())? {
                    return Ok(Some((key, value, table)));
                }
            }
        }
        Ok(None)
    }

    /// `owner-NAME`: the sender of what this alias sends on.
    fn take_owner(&mut self, inner: &mut Target, key: &BString) -> Result<(), posthaste_table::TableError> {
        let mut owner = BString::from("owner-");
        owner.extend_from_slice(key);
        // Without owner_request_special the name means nothing.
        for table in self.local.aliases.iter().filter(|_| self.local.parameters.owner_request_special) {
            if let Some(value) = table.maps.find(owner.as_bstr())? {
                let address = if self.local.parameters.expand_owner_alias {
                    match parse(&value).into_iter().next() {
                        Some(Destination::Address(a) | Destination::User(a)) => a,
                        _ => Address::new(owner),
                    }
                } else {
                    // Made complete with this host's domain, whatever domain the alias was addressed in.
                    Address::new(owner)
                };
                inner.sender = self.local.router.rewrite(Context::Local, &address);
                // Bounces go to the owner now, who knows nothing of the wishes of the first sender.
                inner.owned = true;
                self.has_owner |= inner.depth == 1;
                inner.recipient.original = Address::empty();
                inner.recipient.notify = Notify::default();
                inner.recipient.dsn_orcpt = BString::default();
                return Ok(());
            }
        }
        if self.local.parameters.reset_owner_alias {
            // The sender stays the list's.
            inner.owned = false;
        }
        Ok(())
    }

    /// The target with the owner that the list of this name has, if any, as sender. A table that fails has none.
    pub fn with_owner(&mut self, target: &Target) -> Target {
        let parts = self.parts(&target.recipient.address);
        let mut inner = target.clone();
        for key in [&parts.local, &parts.user] {
            if !inner.owned
                && let Err(error) = self.take_owner(&mut inner, key)
            {
                warn!(self.local.log, "{error}");
            }
        }
        inner
    }

    /// Delivers to all destinations of a list. `outer` is the target that the list was found for.
    pub fn list(&mut self, inner: &Target, outer: &Target, text: &[u8], user: Option<&User>) {
        self.expanded = true;
        let destinations = parse(text);
        if destinations.is_empty() {
            warn!(self.local.log, "no recipients in expansion of {}", outer.recipient.address);
            return self.failed(outer, "5.3.5", "mail system configuration error");
        }
        for destination in destinations {
            match destination {
                Destination::Command(line) => self.command_destination(inner, outer, &line, user),
                Destination::File(path) => self.file_destination(inner, outer, &path, user),
                Destination::Include(path) => self.include(inner, outer, &path),
                Destination::User(address) => self.address(inner, &address, true),
                Destination::Address(address) => self.address(inner, &address, false),
            }
        }
    }

    /// An address in a list: delivered here when it is a local one in an alias, otherwise sent on as a new message.
    fn address(&mut self, inner: &Target, address: &Address, user_only: bool) {
        let mut address = self.local.router.rewrite(Context::Local, address);
        if let Some(extension) = &inner.unmatched
            && self.local.parameters.propagate.contains(inner.source)
        {
            address = with_extension(&address, extension);
        }
        let mut next = inner.clone();
        next.recipient.address = address.clone();
        let route = match self.local.router.resolve(&inner.sender, &address) {
            Ok(route) => route,
            Err(error) => {
                warn!(self.local.log, "{error}");
                return self.failed(inner, "4.3.0", "address resolver failure");
            }
        };
        if route.transport == self.local.service && !route.error {
            next.recipient.address = route.recipient;
            let name = self.user_name(&next.recipient.address);
            // A user in the user's own .forward means the mailbox; so does a backslash.
            if user_only || inner.forwarding.as_ref() == Some(&name) {
                return self.mailbox_of(&next, &name);
            }
            // An alias is expanded here, wherever it stands; a user of a list that has an owner, or is in a file, gets a new message.
            if self.alias_of(&next) {
                return;
            }
            if inner.source == Source::Alias && !inner.owned {
                return self.user_of(&next);
            }
        }
        self.forwards.add(&inner.sender, inner, &address);
    }

    /// The parts of an address that name a user, an alias, or a file.
    pub fn parts(&self, address: &Address) -> Parts {
        let p = &self.local.parameters;
        let local = BString::from(address.local().to_ascii_lowercase());
        let Some(at) = address.extension_at(&p.recipient_delimiter, p.owner_request_special) else {
            return Parts { user: local.clone(), local, extension: None };
        };
        let (user, extension) = (BString::from(&local[..at]), BString::from(&local[at + 1..]));
        if extension.contains(&b'/') {
            return Parts { local: user.clone(), user, extension: None };
        }
        Parts { local, user, extension: Some(extension) }
    }

    /// The bare user name of an address: lower case, no extension.
    pub fn user_name(&self, address: &Address) -> BString {
        self.parts(address).user
    }

    fn include(&mut self, inner: &Target, outer: &Target, path: &str) {
        let log = &self.local.log;
        let configuration_error = "mail system configuration error";
        if !path.starts_with('/') {
            warn!(log, ":include:{path} uses a relative path");
            return self.failed(outer, "5.3.5", configuration_error);
        }
        let meta = match std::fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) => {
                warn!(log, "unable to lookup :include: file {path}: {}", reason(&error));
                let status = if error.kind() == io::ErrorKind::NotFound { "5.3.5" } else { "4.3.5" };
                return self.failed(outer, status, configuration_error);
            }
        };
        if meta.mode() & 0o002 != 0 {
            warn!(log, ":include: file {path} is world writable");
            return self.failed(outer, "5.3.5", configuration_error);
        }
        let mut next = inner.clone();
        next.depth += 1;
        next.source = Source::Include;
        if next.rights.is_none() && meta.uid() != 0 {
            next.rights = Some(Identity { uid: meta.uid(), gid: meta.gid() });
        }
        if next.depth > 100 {
            return self.failed(outer, "5.4.6", format!(":include: file loop for {path}"));
        }
        let reader = next.rights.unwrap_or(self.local.default_rights);
        match as_user(reader, || read_list(Path::new(path))).unwrap_or_else(Err) {
            Ok(text) => self.list(&next, outer, &text, None),
            Err(error) => {
                warn!(log, "cannot open include file {path}: {}", reason(&error));
                self.failed(outer, "4.3.5", configuration_error);
            }
        }
    }

    /// Expands the user's first `.forward` file that is there; false when there is none (or none that may be used).
    pub fn dot_forward(&mut self, target: &Target, user: &User) -> bool {
        let name = BString::from(user.name.as_str());
        if target.forwarding.as_ref() == Some(&name) {
            return false;
        }
        let identity = Identity { uid: user.uid, gid: user.gid };
        let filter = &self.local.parameters.forward_expansion_filter;
        // With each path, whether the extension is in it: then the file is meant for it, and it is not handed on.
        let mut paths: Vec<(PathBuf, bool)> = (self.local.parameters.forward_path.iter())
            .map(|pattern| (self.expand_for(pattern, filter, target, Some(user)).into(), pattern.contains("extension")))
            .collect();
        // Mostly there is no such file: all are looked for with one change of the user.
        let found = as_user(identity, || {
            let mut found = Vec::new();
            for (path, matched) in paths.drain(..) {
                match read_dot_forward(&path, user.uid) {
                    Err(Refused::Missing) => {}
                    other => {
                        let end = other.is_ok();
                        found.push((path, matched, other));
                        if end {
                            break;
                        }
                    }
                }
            }
            found
        });
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                warn!(self.local.log, "error looking up .forward of {}: {}", user.name, reason(&error));
                return false;
            }
        };
        for (path, matched, text) in found {
            let text = match text {
                Ok(text) => text,
                Err(Refused::Missing) => continue,
                Err(Refused::Unsafe(why)) => {
                    warn!(self.local.log, "file {} {why}", path.display());
                    continue;
                }
                Err(Refused::Other(error)) => {
                    warn!(self.local.log, "error looking up {}: {}", path.display(), reason(&error));
                    continue;
                }
            };
            if self.verifies() {
                // Also where the file is empty.
                self.sent(target, "deliverable", format!("forward via file: {}", path.display()));
                return true;
            }
            if parse(&text).is_empty() {
                // An empty file means "do not forward".
                return false;
            }
            let mut inner = target.clone();
            inner.depth += 1;
            inner.source = Source::Forward;
            inner.rights = Some(identity);
            inner.forwarding = Some(name);
            inner.unmatched = if matched { None } else { self.parts(&target.recipient.address).unmatched() };
            self.list(&inner, target, &text, Some(user));
            return true;
        }
        false
    }
}

/// The address with delimiter and extension at the end of its local part.
fn with_extension(address: &Address, extension: &BString) -> Address {
    let local = address.local();
    Address::new([local, extension.as_slice(), &address.as_bytes()[local.len()..]].concat())
}

/// A name with the domain of another address.
fn with_domain(name: &BString, like: &Address) -> Address {
    let mut text = name.clone();
    if let Some(domain) = like.domain() {
        text.push(b'@');
        text.extend_from_slice(domain);
    }
    Address::new(text)
}

/// The file's owner is no user.
struct NoOwner;

/// The rights of the user to whom an alias table's file belongs, unless that is root.
fn rights_of_table(file: &Path) -> Result<Option<Identity>, NoOwner> {
    let indexed = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let Some(meta) = [".db", ".lmdb", ".cdb", ""].iter().find_map(|suffix| std::fs::metadata(indexed(suffix)).ok()) else {
        return Ok(None);
    };
    if meta.uid() == 0 {
        return Ok(None);
    }
    // The group is the user's: the file's says nothing about what the user may do.
    match users::by_uid(meta.uid()) {
        Ok(Some(user)) => Ok(Some(Identity { uid: user.uid, gid: user.gid })),
        _ => Err(NoOwner),
    }
}

enum Refused {
    Missing,
    Unsafe(String),
    Other(io::Error),
}

/// Reads a `.forward` file with the user's rights; it has to be a plain file of the user's or root's that not everybody can write.
fn read_dot_forward(path: &Path, uid: u32) -> Result<Vec<u8>, Refused> {
    let file = match open_plain(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Err(Refused::Missing),
        Err(e) => return Err(Refused::Other(e)),
    };
    let meta = file.metadata().map_err(Refused::Other)?;
    if !meta.is_file() {
        return Err(Refused::Unsafe(String::from("is not a regular file")));
    }
    if meta.mode() & 0o002 != 0 {
        return Err(Refused::Unsafe(String::from("is world writable")));
    }
    if meta.uid() != uid && meta.uid() != 0 {
        return Err(Refused::Unsafe(format!("has bad owner uid {}", meta.uid())));
    }
    read_lines(file).map_err(Refused::Other)
}

fn read_list(path: &Path) -> io::Result<Vec<u8>> {
    read_lines(open_plain(path)?)
}

fn open_plain(path: &Path) -> io::Result<File> {
    // A FIFO with nobody at its other end must not hang the delivery.
    File::options().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(path)
}

/// The lines of a list file, comments left out, as one comma-separated text.
fn read_lines(file: File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(FILE_LIMIT).read_to_end(&mut text)?;
    let mut list = Vec::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim_ascii();
        if !line.is_empty() && !line.starts_with(b"#") {
            list.extend_from_slice(line);
            list.push(b',');
        }
    }
    Ok(list)
}

impl Delivery<'_> {
    /// Expands `$user`, `$home` and so on; characters that the filter does not list become `_`.
    pub fn expand_for(&self, pattern: &str, filter: &str, target: &Target, user: Option<&User>) -> String {
        let address = &target.recipient.address;
        let parts = self.parts(address);
        let mut lookup = |name: &str| -> Result<Option<Vec<u8>>, posthaste_config::expand::MacroError> {
            let value: Option<Vec<u8>> = match name {
                "user" => Some(parts.user.to_vec()),
                "home" => user.map(|u| u.home.as_os_str().as_bytes().to_vec()),
                "shell" => user.map(|u| shell(u).as_os_str().as_bytes().to_vec()),
                "domain" => address.domain().map(|d| d.to_ascii_lowercase()),
                "local" => Some(parts.local.to_vec()),
                "recipient" => Some(address.as_bytes().to_vec()),
                "extension" => parts.extension.as_ref().map(|e| e.to_vec()),
                "recipient_delimiter" => parts.extension.as_ref().and_then(|_| parts.local.get(parts.user.len())).map(|c| vec![*c]),
                _ => None,
            };
            Ok(value.map(|bytes| filtered(&bytes, filter)))
        };
        match posthaste_config::expand::expand(pattern.as_bytes(), &mut lookup) {
            Ok(text) => text.to_str_lossy().into_owned(),
            Err(error) => {
                warn!(self.local.log, "cannot expand \"{pattern}\": {error}");
                String::new()
            }
        }
    }
}

/// Each byte that the filter does not list becomes `_`; an empty filter lets everything pass.
pub(crate) fn filtered(text: &[u8], filter: &str) -> Vec<u8> {
    if filter.is_empty() {
        return text.to_vec();
    }
    text.iter().map(|c| if filter.as_bytes().contains(c) { *c } else { b'_' }).collect()
}

/// The user's shell; a missing one is `/bin/sh`.
pub(crate) fn shell(user: &User) -> &Path {
    if user.shell.as_os_str().is_empty() { Path::new("/bin/sh") } else { &user.shell }
}
