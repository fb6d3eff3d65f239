//! `postmulti -e`: making, changing and forgetting instances.

use crate::{Failed, Instance, Options, fail};
use posthaste_config::{Config, split_list};
use posthaste_log::Logger;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Does one action.
pub(crate) fn edit(config: &Config, all: &[Instance], action: &str, options: &Options, log: &Logger) -> Result<(), Failed> {
    let editor = Editor { config, all, options, log };
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
            format!("Invalid -e edit action '{other}'. Specify one of: init, create, import, destroy, deport, enable, disable, assign"),
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

    fn target(&self) -> Result<&Instance, Failed> {
        let name = self.options.name.as_deref().ok_or_else(|| self.fail("specify the instance with -i"))?;
        self.all.iter().find(|i| !i.default && i.name == name).ok_or_else(|| self.fail(format!("No matching instances: -i {name}")))
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
                return Err(self.fail(format!("Invalid instance name '{name}': it must begin with postfix-")));
            }
            if self.all.iter().any(|i| i.name == *name) {
                return Err(self.fail(format!("Instance {name} already exists")));
            }
            settings.push(format!("multi_instance_name = {}", if name == "-" { "" } else { name }));
        }
        if let Some(group) = &self.options.new_group {
            settings.push(format!("multi_instance_group = {}", if group == "-" { "" } else { group }));
        }
        if settings.is_empty() { Err(self.fail("specify -I or -G")) } else { Ok(settings) }
    }

    fn switch(&self, on: bool) -> Result<(), Failed> {
        let target = self.target()?;
        self.set(&target.directory, &[format!("multi_instance_enable = {}", if on { "yes" } else { "no" })])
    }

    fn import(&self) -> Result<(), Failed> {
        let directory = self.options.name.as_deref().ok_or_else(|| self.fail("specify the configuration directory with -i"))?;
        let path = PathBuf::from(directory);
        if !path.is_absolute() || !path.join("main.cf").is_file() {
            return Err(self.fail(format!("{directory}: no main.cf there; specify an absolute path")));
        }
        if self.options.new_name.is_some() || self.options.new_group.is_some() {
            let settings = self.naming()?;
            self.set(&path, &settings)?;
        }
        self.list(&path)
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
        let name = self.options.new_name.as_deref().ok_or_else(|| self.fail("specify the new instance's name with -I"))?;
        let mut settings = self.naming()?;
        let beside = |parameter: &str| -> Result<PathBuf, Failed> {
            let own = PathBuf::from(self.config.text(parameter).map_err(|e| self.fail(e))?);
            Ok(own.parent().unwrap_or(Path::new("/")).join(name))
        };
        let directory = self.config.directory().parent().unwrap_or(Path::new("/")).join(name);
        if directory.join("main.cf").exists() {
            return Err(self.fail(format!("{}: already there; use -e import", directory.display())));
        }
        std::fs::create_dir_all(&directory).map_err(|e| self.fail(format!("{}: {e}", directory.display())))?;
        let master = self.config.directory().join("master.cf");
        // Nothing of the new instance listens before it has been told where.
        let main = "compatibility_level = 3.11\nmaster_service_disable = inet\nauthorized_submit_users =\n";
        let files =
            std::fs::write(directory.join("main.cf"), main).and_then(|()| std::fs::copy(&master, directory.join("master.cf")).map(drop));
        files.map_err(|e| self.fail(format!("{}: {e}", directory.display())))?;
        settings.push(format!("queue_directory = {}", beside("queue_directory")?.display()));
        settings.push(format!("data_directory = {}", beside("data_directory")?.display()));
        settings.push(String::from("multi_instance_enable = no"));
        self.set(&directory, &settings)?;
        self.list(&directory)?;
        self.run(&directory, "postfix", &[String::from("post-install"), String::from("create-missing")])
    }

    fn deport(&self) -> Result<(), Failed> {
        let target = self.target()?;
        let text = target.directory.display().to_string();
        let left: Vec<String> = self.directories()?.into_iter().filter(|d| *d != text).collect();
        self.set(self.config.directory(), &[format!("multi_instance_directories = {}", left.join(" "))])
    }

    fn destroy(&self) -> Result<(), Failed> {
        let target = self.target()?;
        let config = Config::load(&target.directory).map_err(|e| self.fail(e))?;
        let queue = config.queue_directory();
        for name in ["active", "deferred", "hold", "incoming", "maildrop"] {
            if !empty(&queue.join(name)) {
                return Err(self.fail(format!("{}: mail is left in the {name} queue; nothing has been removed", target.name)));
            }
        }
        if target.enabled {
            return Err(self.fail(format!("{} is enabled; stop it and disable it first", target.name)));
        }
        self.deport()?;
        let data = PathBuf::from(config.text("data_directory").map_err(|e| self.fail(e))?);
        for directory in [&queue, &data, &target.directory] {
            std::fs::remove_dir_all(directory).map_err(|e| self.fail(format!("{}: {e}", directory.display())))?;
        }
        Ok(())
    }
}

/// Whether a queue holds no file, hash directories included.
fn empty(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return true };
    entries.flatten().all(|entry| entry.file_type().is_ok_and(|t| t.is_dir()) && empty(&entry.path()))
}
