//! What has to be right on this host before any program works: the mail system's users, and where `myorigin` comes from.

use crate::{Config, ConfigError, system_reason};
use posthaste_system::credentials::Identity;
use posthaste_system::users::{User, by_name, group_by_name};
use std::path::Path;

/// The first line of a file that `myorigin` names, as Debian has it (`/etc/mailname`). Only the name that is added to addresses comes from
/// the file: `$myorigin` in other parameters stays what main.cf says.
pub(crate) fn origin_file(path: &str) -> Result<String, String> {
    let text = std::fs::read(Path::new(path)).map_err(|error| format!("{path}: cannot open file: {}", system_reason(&error)))?;
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let name = String::from_utf8_lossy(line).trim().to_owned();
    if name.is_empty() { Err(format!("myorigin file {path} is empty")) } else { Ok(name) }
}

impl Config {
    /// [`Config::load`] and [`Config::check_host`].
    pub fn open(directory: &Path) -> Result<Config, ConfigError> {
        let config = Config::load(directory)?;
        config.check_host()?;
        Ok(config)
    }

    /// The domain that is added to addresses without one: `myorigin`, or the first line of the file that it names. That file is read when the
    /// configuration is.
    pub fn origin(&self) -> Result<String, ConfigError> {
        let value = self.text("myorigin")?;
        if !value.starts_with('/') {
            return Ok(value);
        }
        match &self.inner.origin {
            Some((path, name)) if *path == value => name.clone().map_err(ConfigError::Bad),
            _ => origin_file(&value).map_err(ConfigError::Bad),
        }
    }

    /// Whether the users and the group of the mail system exist and are not shared (`mail_owner`, `default_privs`, `setgid_group`), and
    /// [`Config::origin`] is there. Every program but postconf refuses to work without. Asks the user database.
    pub fn check_host(&self) -> Result<(), ConfigError> {
        let fail = |text: String| ConfigError::Bad(format!("file {}: {text}", self.file()));
        let user = |parameter: &str| -> Result<User, ConfigError> {
            let name = self.text(parameter)?;
            let found = by_name(&name).map_err(|error| fail(format!("parameter {parameter}: {name}: {}", system_reason(&error))))?;
            found.ok_or_else(|| fail(format!("parameter {parameter}: unknown user name value: {name}")))
        };
        let privileged = |parameter: &str, user: &User| match user {
            User { uid: 0, name, .. } => Err(fail(format!("parameter {parameter}: user {name} has privileged user ID"))),
            User { gid: 0, name, .. } => Err(fail(format!("parameter {parameter}: user {name} has privileged group ID"))),
            _ => Ok(()),
        };
        let owner = user("mail_owner")?;
        let me = Identity::effective();
        // Without root all is one user's, and nobody else is switched to.
        if me.uid != 0 && me.uid == owner.uid {
            return self.origin().map(drop);
        }
        privileged("mail_owner", &owner)?;
        let other = user("default_privs")?;
        privileged("default_privs", &other)?;
        if other.uid == owner.uid {
            return Err(fail(format!("parameters default_privs and mail_owner specify the same user {}", owner.name)));
        }
        let name = self.text("setgid_group")?;
        let group = group_by_name(&name).map_err(|error| fail(format!("parameter setgid_group: {name}: {}", system_reason(&error))))?;
        if group.ok_or_else(|| fail(format!("parameter setgid_group: unknown group name: {name}")))?.gid == owner.gid {
            return Err(fail(format!("parameters mail_owner and setgid_group specify the same group {name}")));
        }
        self.origin().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S-ID-03
    #[test]
    fn origin_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mailname");
        let main = folder.path().join("main.cf");
        std::fs::write(&main, format!("myorigin = {}\nrelayhost = $myorigin\n", file.display())).unwrap();
        std::fs::write(&file, "  named.example \nsecond\n").unwrap();
        let config = Config::load(folder.path()).unwrap();
        std::fs::write(&file, "").unwrap();
        assert_eq!(config.origin().unwrap(), "named.example");
        assert_eq!(config.text("relayhost").unwrap(), file.to_str().unwrap());
        let error = |config: Config| config.origin().unwrap_err().to_string();
        assert_eq!(error(Config::load(folder.path()).unwrap()), format!("myorigin file {} is empty", file.display()));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(error(Config::load(folder.path()).unwrap()), format!("{}: cannot open file: No such file or directory", file.display()));
        assert_eq!(Config::parse("myorigin = a.example\n", "main.cf").unwrap().origin().unwrap(), "a.example");
    }

    // S-ID-18
    #[test]
    fn shared_and_unknown_users() {
        let error = |text: &str| Config::parse(text, "main.cf").unwrap().check_host().unwrap_err().to_string();
        assert_eq!(error("mail_owner = no-such-user\n"), "file main.cf: parameter mail_owner: unknown user name value: no-such-user");
        if Identity::effective().uid == 0 {
            assert_eq!(error("mail_owner = root\n"), "file main.cf: parameter mail_owner: user root has privileged user ID");
            assert_eq!(
                error("mail_owner = daemon\ndefault_privs = root\n"),
                "file main.cf: parameter default_privs: user root has privileged user ID"
            );
            let same = "file main.cf: parameters default_privs and mail_owner specify the same user daemon";
            assert_eq!(error("mail_owner = daemon\ndefault_privs = daemon\n"), same);
            let group = "mail_owner = daemon\ndefault_privs = nobody\nsetgid_group = ";
            assert_eq!(
                error(&format!("{group}no-such-group\n")),
                "file main.cf: parameter setgid_group: unknown group name: no-such-group"
            );
        }
    }
}
