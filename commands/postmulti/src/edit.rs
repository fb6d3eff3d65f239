//! `postmulti -e`: making, changing and forgetting instances.

use crate::{Failed, Instance, Options, fail};
use posthaste_config::{Config, split_list};
use posthaste_log::{Logger, warn};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Does one action.
pub(crate) fn edit(config: &Config, all: &[Instance], action: &str, options: &Options, log: &Logger) -> Result<(), Failed> {
    let editor = Editor { config, all, options, log };
    editor.check_parameters(action)?;
    match action {
        "assign" => editor.assign(),
        "create" => editor.create(),
        "deport" => editor.deport(),
        "destroy" => editor.destroy(),
        "disable" => editor.switch(false),
        "enable" => editor.switch(true),
        "import" => editor.import(),
        "init" => editor.init(),
        other => Err(fail(
            log,
            format!(
                "Invalid '-e' edit action '{other}'. Specify 'create', 'destroy', 'import', 'deport', 'enable', 'disable', 'assign' or 'init'"
            ),
        )),
    }
}

struct Editor<'a> {
    config: &'a Config,
    all: &'a [Instance],
    options: &'a Options,
    log: &'a Logger,
}

impl Editor<'_> {
    fn fail(&self, text: impl std::fmt::Display) -> Failed {
        fail(self.log, text)
    }

    /// `postconf -e` in that directory: comments and order of main.cf stay.
    fn set(&self, directory: &Path, settings: &[String]) -> Result<(), Failed> {
        self.run(directory, "postconf", &[&[String::from("-e")], settings].concat())
    }

    fn run(&self, directory: &Path, program: &str, arguments: &[String]) -> Result<(), Failed> {
        let commands = self.config.text("command_directory").map_err(|e| self.fail(e))?;
        let status = Command::new(Path::new(&commands).join(program)).args(arguments).env("MAIL_CONFIG", directory).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(self.fail(format!("{program} failed for {}", directory.display()))),
            Err(error) => Err(self.fail(format!("cannot execute {program}: {error}"))),
        }
    }

    /// `name=value` on the command line: where the directories of an instance are.
    fn check_parameters(&self, action: &str) -> Result<(), Failed> {
        let valid: &[&str] = match action {
            "create" => &["config_directory", "queue_directory", "data_directory"],
            "import" => &["config_directory"],
            _ => &[],
        };
        for operand in &self.options.operands {
            let (name, value) = operand.split_once('=').unwrap_or((operand, ""));
            if !valid.contains(&name.trim()) {
                return Err(self.fail(format!("Parameter '{}' not valid with action {action}", name.trim())));
            }
            if !value.trim().starts_with('/') {
                return Err(self.fail(format!("Parameter '{}': specify an absolute path", name.trim())));
            }
        }
        Ok(())
    }

    fn parameter(&self, name: &str) -> Option<PathBuf> {
        let mut given = self.options.operands.iter().filter_map(|operand| operand.split_once('='));
        given.find(|(given, _)| given.trim() == name).map(|(_, value)| PathBuf::from(value.trim()))
    }

    /// A directory of the new instance: as given, or the default instance's with the new name for its last part.
    fn place(&self, parameter: &str, own: &Path) -> Result<PathBuf, Failed> {
        match (self.parameter(parameter), self.options.new_name.as_deref()) {
            (Some(path), _) => Ok(path),
            (None, Some(name)) if name != "-" => Ok(own.parent().unwrap_or(Path::new("/")).join(name)),
            _ => Err(self.fail(format!("Missing {parameter} parameter value"))),
        }
    }

    fn target(&self) -> Result<&Instance, Failed> {
        let name = self.options.name.as_deref().ok_or_else(|| self.fail("Select an instance via '-i name'"))?;
        self.all.iter().find(|i| i.is_called(name)).ok_or_else(|| self.fail(format!("No instance named {name}")))
    }

    /// The instance, which is not the default one.
    fn secondary(&self, what: &str) -> Result<&Instance, Failed> {
        let target = self.target()?;
        if target.default { Err(self.fail(format!("Cannot {what} the primary instance"))) } else { Ok(target) }
    }

    fn directories(&self) -> Result<Vec<String>, Failed> {
        let listed = self.config.text("multi_instance_directories").map_err(|e| self.fail(e))?;
        Ok(split_list(&listed).map(String::from).collect())
    }

    fn init(&self) -> Result<(), Failed> {
        let mut settings = vec![String::from("multi_instance_enable = yes")];
        if self.config.text("multi_instance_wrapper").map_err(|e| self.fail(e))?.is_empty() {
            settings.push(String::from("multi_instance_wrapper = ${command_directory}/postmulti -p --"));
        }
        self.set(self.config.directory(), &settings)
    }

    fn assign(&self) -> Result<(), Failed> {
        let target = self.target()?;
        let settings = self.naming()?;
        self.set(&target.directory, &settings)
    }

    fn naming(&self) -> Result<Vec<String>, Failed> {
        let mut settings = Vec::new();
        if let Some(name) = &self.options.new_name {
            if name != "-" && !name.starts_with("postfix-") {
                return Err(self.fail("New instance name must start with 'postfix-'"));
            }
            if name != "-" && self.all.iter().any(|i| i.name == *name) {
                return Err(self.fail(format!("new name {name} is already in use by another instance")));
            }
            settings.push(format!("multi_instance_name = {}", if name == "-" { "" } else { name }));
        }
        if let Some(group) = &self.options.new_group {
            settings.push(format!("multi_instance_group = {}", if group == "-" { "" } else { group }));
        }
        Ok(settings)
    }

    fn switch(&self, on: bool) -> Result<(), Failed> {
        let target = self.target()?;
        self.set(&target.directory, &[format!("multi_instance_enable = {}", if on { "yes" } else { "no" })])
    }

    fn new_directory(&self) -> Result<PathBuf, Failed> {
        if self.options.new_name.as_deref().is_some_and(|name| name != "-" && !name.starts_with("postfix-")) {
            return Err(self.fail("New instance name must start with 'postfix-'"));
        }
        let directory = self.place("config_directory", self.config.directory())?;
        if self.all.iter().any(|i| i.directory == directory) {
            let shown = directory.display();
            return Err(self.fail(format!("new config_directory={shown} is already in use by instance {shown}, config_directory={shown}")));
        }
        Ok(directory)
    }

    fn import(&self) -> Result<(), Failed> {
        let directory = self.new_directory()?;
        self.import_from(&directory)
    }

    fn import_from(&self, directory: &Path) -> Result<(), Failed> {
        for name in ["main.cf", "master.cf"] {
            if !directory.join(name).is_file() {
                return Err(self.fail(format!("Missing {}", directory.join(name).display())));
            }
        }
        let settings = self.naming()?;
        if !settings.is_empty() {
            self.set(directory, &settings)?;
        }
        self.list(directory)
    }

    /// Adds a directory to the default instance's list.
    fn list(&self, directory: &Path) -> Result<(), Failed> {
        let mut directories = self.directories()?;
        let text = directory.display().to_string();
        if !directories.contains(&text) {
            directories.push(text);
            self.set(self.config.directory(), &[format!("multi_instance_directories = {}", directories.join(" "))])?;
        }
        Ok(())
    }

    fn create(&self) -> Result<(), Failed> {
        let directory = self.new_directory()?;
        if directory.join("main.cf").exists() && directory.join("master.cf").exists() {
            return self.import_from(&directory);
        }
        let mut settings = self.naming()?;
        let own = |parameter: &str| Ok(PathBuf::from(self.config.text(parameter).map_err(|e| self.fail(e))?));
        let queue = self.place("queue_directory", &own("queue_directory")?)?;
        let data = self.place("data_directory", &own("data_directory")?)?;
        std::fs::create_dir_all(&directory).map_err(|e| self.fail(format!("{}: {e}", directory.display())))?;
        let meta = own("meta_directory")?;
        for (name, otherwise) in [("main.cf", None), ("master.cf", Some(self.config.directory().join("master.cf")))] {
            let prototype = meta.join(format!("{name}.proto"));
            let to = directory.join(name);
            let made = match otherwise {
                _ if prototype.exists() => std::fs::copy(&prototype, &to).map(drop),
                Some(file) => std::fs::copy(file, &to).map(drop),
                None => std::fs::write(&to, "compatibility_level = 3.11\n"),
            };
            made.map_err(|e| self.fail(format!("{}: {}", to.display(), posthaste_config::system_reason(&e))))?;
        }
        // The programs are the same ones.
        for name in SHARED {
            if self.config.is_set(name)
                && let Some(value) = self.config.raw(name).map_err(|e| self.fail(e))?
            {
                settings.push(format!("{name} = {value}"));
            }
        }
        settings.push(format!("queue_directory = {}", queue.display()));
        settings.push(format!("data_directory = {}", data.display()));
        // Nothing of the new instance listens, and nobody may use it, before it has been told where and who.
        settings.push(String::from("authorized_submit_users ="));
        settings.push(String::from("master_service_disable = inet"));
        self.set(&directory, &settings)?;
        self.list(&directory)?;
        self.run(&directory, "postfix", &[String::from("post-install"), String::from("create-missing")])
    }

    /// An instance that runs is neither forgotten nor removed: nobody could stop it then. `postfix status` says so in the log.
    fn stopped(&self, target: &Instance) -> Result<(), Failed> {
        let commands = self.config.text("command_directory").map_err(|e| self.fail(e))?;
        let status = Command::new(Path::new(&commands).join("postfix")).arg("status").env("MAIL_CONFIG", &target.directory).status();
        match status {
            Ok(status) if !status.success() => Ok(()),
            Ok(_) => Err(self.fail(format!("Instance '{}' is running: stop it first", target.name))),
            Err(error) => Err(self.fail(format!("cannot execute postfix: {}", posthaste_config::system_reason(&error)))),
        }
    }

    fn deport(&self) -> Result<(), Failed> {
        let target = self.secondary("deport")?;
        self.stopped(target)?;
        self.unlist(target)
    }

    fn unlist(&self, target: &Instance) -> Result<(), Failed> {
        let text = target.directory.display().to_string();
        let left: Vec<String> = self.directories()?.into_iter().filter(|d| *d != text).collect();
        self.set(self.config.directory(), &[format!("multi_instance_directories = {}", left.join(" "))])
    }

    fn destroy(&self) -> Result<(), Failed> {
        let target = self.secondary("remove")?;
        if target.enabled {
            return Err(self.fail("Cannot remove enabled instances"));
        }
        self.stopped(target)?;
        let config = Config::load(&target.directory).map_err(|e| self.fail(e))?;
        let queue = config.queue_directory();
        for name in ["active", "deferred", "hold", "incoming", "maildrop"] {
            if !empty(&queue.join(name)) {
                return Err(self.fail(format!("Instance '{}' {name} queue is not empty: nothing has been removed", target.name)));
            }
        }
        self.unlist(target)?;
        // Only what the mail system makes itself: tables, jails and whatever else is there are somebody's.
        for name in QUEUES {
            clear(&queue.join(name));
        }
        let data = PathBuf::from(config.text("data_directory").map_err(|e| self.fail(e))?);
        for file in [data.join("master.lock"), data.join("prng_exch"), target.directory.join("main.cf"), target.directory.join("master.cf")]
        {
            let _ = std::fs::remove_file(file);
        }
        for directory in [&queue, &data, &target.directory] {
            if let Err(error) = std::fs::remove_dir(directory)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                warn!(self.log, "{} is left: {}", directory.display(), posthaste_config::system_reason(&error));
            }
        }
        Ok(())
    }
}

/// Parameters of the default instance that all others have to agree with.
const SHARED: [&str; 13] = [
    "command_directory",
    "daemon_directory",
    "html_directory",
    "mail_owner",
    "mailq_path",
    "manpage_directory",
    "meta_directory",
    "newaliases_path",
    "readme_directory",
    "sample_directory",
    "sendmail_path",
    "setgid_group",
    "shlib_directory",
];

/// What `postfix start` makes in a queue directory.
const QUEUES: [&str; 14] = [
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "pid", "private", "public", "saved",
    "trace",
];

/// Removes a directory of the mail system with its logs, sockets and empty directories.
fn clear(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            clear(&entry.path());
        } else {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let _ = std::fs::remove_dir(directory);
}

/// Whether a queue holds no file, hash directories included.
fn empty(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return true };
    entries.flatten().all(|entry| entry.file_type().is_ok_and(|t| t.is_dir()) && empty(&entry.path()))
}
