//! Where mail ends: mailboxes, files, commands.

use crate::deliver::{Delivery, Target};
use crate::expand::{filtered, shell};
use bstr::BString;
use posthaste_address::Address;
use posthaste_delivery::command::{Command, Ended, What};
use posthaste_delivery::copy::Copy;
use posthaste_delivery::mailbox::{Mailbox, MailboxError};
use posthaste_delivery::maildir;
use posthaste_ipc::delivery::Dsn;
use posthaste_system::credentials::Identity;
use posthaste_system::users::{self, User};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

fn identity(user: &User) -> Identity {
    Identity { uid: user.uid, gid: user.gid }
}

impl Delivery<'_> {
    /// `mail_spool_directory`: a file or Maildir named after the user.
    pub fn spool_mailbox(&mut self, target: &Target, user: &User) {
        let spool = &self.local.parameters.mail_spool_directory;
        let owner = identity(user);
        if spool.ends_with('/') {
            return self.maildir(target, &format!("{spool}{}/", user.name), owner, "maildir");
        }
        let folder = std::fs::metadata(spool);
        let mode = folder.as_ref().map_or(0, |m| m.mode());
        // Who may make files in the spool: everybody, its group, or root alone, who then gives the file to the user.
        let (open_as, create_as, give_to) = match folder {
            Ok(_) if mode & 0o002 != 0 => (owner, owner, None),
            Ok(meta) if mode & 0o020 != 0 => {
                let with_group = Identity { uid: owner.uid, gid: meta.gid() };
                (with_group, with_group, None)
            }
            _ => (owner, Identity::effective(), Some(owner)),
        };
        // A spool that others may not enter can be opened by root alone.
        let open_as = if give_to.is_some() && mode & 0o001 == 0 { create_as } else { open_as };
        let path = PathBuf::from(format!("{spool}/{}", user.name));
        self.mailbox_file(target, &path, open_as, create_as, give_to, user);
    }

    /// `home_mailbox`, below the user's home.
    pub fn home_mailbox(&mut self, target: &Target, path: &str, user: &User) {
        let owner = identity(user);
        if path.ends_with('/') {
            return self.maildir(target, path, owner, "maildir");
        }
        self.mailbox_file(target, Path::new(path), owner, owner, None, user);
    }

    fn mailbox_file(
        &mut self,
        target: &Target,
        path: &Path,
        open_as: Identity,
        create_as: Identity,
        give_to: Option<Identity>,
        user: &User,
    ) {
        if self.request.probe {
            return self.sent(target, "deliverable", "delivers to mailbox");
        }
        let local = self.local;
        let mailbox = Mailbox {
            path,
            open_as,
            create_as,
            give_to,
            owner: local.parameters.strict_mailbox_ownership.then_some(user.uid),
            lock_required: true,
            refuse_executable: false,
            size_limit: local.parameters.mailbox_size_limit,
            locking: &local.locking,
        };
        let copy = Copy::mailbox(&target.sender, self.original_to(target), self.delivered_to(target));
        let result = self.rewound().and_then(|()| mailbox.append(&copy, self.content, &local.log));
        match result {
            Ok(start) => {
                local.tell_biff(&user.name, start);
                self.sent(target, "delivered", "delivered to mailbox");
            }
            Err(e) => self.failed(target, e.status, format!("cannot update mailbox {} for user {}. {}", path.display(), user.name, e.text)),
        }
    }

    fn maildir(&mut self, target: &Target, path: &str, owner: Identity, what: &str) {
        if self.request.probe {
            return self.sent(target, "deliverable", format!("delivers to {what}"));
        }
        let local = self.local;
        let copy = Copy::maildir(&target.sender, self.original_to(target), self.delivered_to(target));
        let limit = local.parameters.mailbox_size_limit;
        let result =
            self.rewound().and_then(|()| maildir::deliver(Path::new(path), owner, &local.host, limit, &copy, self.content, &local.log));
        match result {
            Ok(()) => self.sent(target, "delivered", format!("delivered to {what}")),
            Err(e) => self.failed(target, e.status, format!("maildir delivery failed: {}", e.text)),
        }
    }

    /// The value of `Delivered-To:` in a mailbox or another file, where it is wanted.
    fn delivered_to(&self, target: &Target) -> Option<Address> {
        self.local.parameters.prepend_delivered_header.file.then(|| target.delivered_to.clone())
    }

    /// The value of `X-Original-To:`, where it is wanted.
    fn original_to<'t>(&self, target: &'t Target) -> Option<&'t Address> {
        self.local.parameters.enable_original_recipient.then_some(&target.recipient.original)
    }

    fn rewound(&mut self) -> Result<(), MailboxError> {
        self.content.rewind().map_err(|e| MailboxError { status: "4.3.0", text: format!("cannot read queue file: {e}") })
    }

    /// `/file/name` in an alias, `.forward` or `:include:`.
    pub fn file_destination(&mut self, inner: &Target, outer: &Target, path: &str, user: Option<&User>) {
        let allow = self.local.parameters.allow_mail_to_files;
        if !allow.contains(inner.source) {
            return self.failed(outer, "5.7.1", "mail to file is restricted");
        }
        let rights = self.rights(inner, user);
        if self.is_duplicate(&format!("file:{}:{path}", rights.uid)) {
            return;
        }
        if path.ends_with('/') {
            return self.maildir(outer, path, rights, "maildir");
        }
        if self.request.probe {
            return self.sent(outer, "deliverable", format!("delivers to file: {path}"));
        }
        let local = self.local;
        let copy = Copy::mailbox(&inner.sender, self.original_to(inner), self.delivered_to(inner));
        let mailbox = Mailbox {
            path: Path::new(path),
            open_as: rights,
            create_as: rights,
            give_to: None,
            owner: None,
            lock_required: false,
            refuse_executable: true,
            size_limit: local.parameters.mailbox_size_limit,
            locking: &local.locking,
        };
        let result = self.rewound().and_then(|()| mailbox.append(&copy, self.content, &local.log));
        match result {
            Ok(_) => self.sent(outer, "delivered", format!("delivered to file: {path}")),
            Err(e) => self.failed_below(
                outer,
                inner,
                Dsn {
                    status: e.status.into(),
                    reason: format!("cannot append message to file {path}: {}", e.text).into(),
                    ..Dsn::default()
                },
            ),
        }
    }

    /// `|command` in an alias, `.forward` or `:include:`.
    pub fn command_destination(&mut self, inner: &Target, outer: &Target, line: &str, user: Option<&User>) {
        let allow = self.local.parameters.allow_mail_to_commands;
        if !allow.contains(inner.source) {
            return self.failed(outer, "5.7.1", "mail to command is restricted");
        }
        let rights = self.rights(inner, user);
        if self.is_duplicate(&format!("command:{}:{line}", rights.uid)) {
            return;
        }
        self.command(outer, inner, line, rights, user);
    }

    /// `mailbox_command`, as the user; mail for root runs it with `default_privs`.
    pub fn mailbox_command(&mut self, target: &Target, line: &str, user: &User) {
        let rights = if user.uid == 0 { self.local.default_rights } else { identity(user) };
        self.command(target, target, line, rights, Some(user));
    }

    fn rights(&self, inner: &Target, user: Option<&User>) -> Identity {
        match user {
            Some(user) if user.uid != 0 => identity(user),
            _ => inner.rights.filter(|r| r.uid != 0).unwrap_or(self.local.default_rights),
        }
    }

    fn command(&mut self, told: &Target, inner: &Target, line: &str, identity: Identity, user: Option<&User>) {
        if self.request.probe {
            return self.sent(told, "deliverable", format!("delivers to command: {line}"));
        }
        let local = self.local;
        let p = &local.parameters;
        // Without a user, home and shell are those of the alias file's owner.
        let owner = match (user, inner.rights) {
            (None, Some(rights)) if rights == identity => users::by_uid(rights.uid).unwrap_or_default(),
            _ => None,
        };
        let user = user.or(owner.as_ref());
        let directory = match p.command_execution_directory.as_str() {
            "" => local.queue_directory.clone(),
            pattern => PathBuf::from(self.expand_for(pattern, &p.execution_directory_expansion_filter, inner, user)),
        };
        let command = Command {
            what: What::Line(line.to_owned()),
            shell: (!p.local_command_shell.is_empty()).then(|| p.local_command_shell.clone()),
            identity,
            environment: self.command_environment(inner, user),
            directory,
            root: None,
            time_limit: p.command_time_limit,
            program: "local",
        };
        let mut copy =
            Copy::maildir(&inner.sender, self.original_to(inner), p.prepend_delivered_header.command.then(|| inner.delivered_to.clone()));
        copy.from_line = true;
        let ended = match self.rewound() {
            Ok(()) => command.run(&copy, self.content, &local.log),
            Err(e) => return self.failed(told, e.status, e.text),
        };
        match ended {
            Ok(Ended::Well(_)) => self.sent(told, "delivered", format!("delivered to command: {line}")),
            Ok(Ended::Badly { status, text, diagnostic }) => {
                let dsn = Dsn { status, reason: text, diag_type: "x-unix".into(), diag_text: diagnostic, ..Dsn::default() };
                self.failed_below(told, inner, dsn);
            }
            Err(e) => self.failed(told, "4.3.0", format!("cannot read queue file: {e}")),
        }
    }

    fn command_environment(&self, target: &Target, user: Option<&User>) -> Vec<(BString, BString)> {
        let p = &self.local.parameters;
        let address = &target.recipient.address;
        let parts = self.parts(address);
        let origin = &self.request.origin;
        let mut all = self.local.environment.clone();
        let mut set = |name: &str, value: &[u8]| {
            // The null sender is a value, too.
            if !value.is_empty() || name == "SENDER" {
                all.push((name.into(), filtered(value, &p.command_expansion_filter).into()));
            }
        };
        if let Some(user) = user {
            set("SHELL", shell(user).as_os_str().as_bytes());
            set("HOME", user.home.as_os_str().as_bytes());
        }
        set("LOGNAME", &parts.user);
        set("USER", &parts.user);
        set("LOCAL", &parts.local);
        set("EXTENSION", parts.extension.as_deref().map_or(b"", |e| e.as_slice()));
        set("DOMAIN", &address.domain().map_or(Vec::new(), |d| d.to_ascii_lowercase()));
        set("RECIPIENT", address.as_bytes());
        set("ORIGINAL_RECIPIENT", target.recipient.original.as_bytes());
        set("SENDER", target.sender.as_bytes());
        set("CLIENT_ADDRESS", &origin.log_client_address);
        set("CLIENT_HELO", &origin.log_helo_name);
        set("CLIENT_HOSTNAME", &origin.log_client_name);
        set("CLIENT_PROTOCOL", &origin.log_protocol_name);
        set("SASL_METHOD", &origin.sasl_method);
        set("SASL_SENDER", &origin.sasl_sender);
        set("SASL_USERNAME", &origin.sasl_username);
        set("ENVID", &self.request.envelope_id);
        all
    }
}
