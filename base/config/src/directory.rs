//! Where the configuration is: `-c`, the environment, or the default; and which other places a privileged command may use.

use crate::{Config, ConfigError, split_list};
use std::path::{Path, PathBuf};

/// The folder of main.cf when nobody says otherwise.
pub const DEFAULT_DIRECTORY: &str = "/etc/postfix";

/// The environment variable that names another folder. Commands given `-c` set it for the programs they start.
pub const ENVIRONMENT: &str = "MAIL_CONFIG";

/// The folder to use: that of the option `-c`, else `MAIL_CONFIG`, else [`DEFAULT_DIRECTORY`].
pub fn config_directory(option: Option<&Path>) -> PathBuf {
    match option {
        Some(directory) => directory.to_owned(),
        None => std::env::var_os(ENVIRONMENT).filter(|name| !name.is_empty()).map_or_else(|| DEFAULT_DIRECTORY.into(), PathBuf::from),
    }
}

/// For set-gid commands that another user may have started with a `main.cf` of his own: refuses a folder that is neither the default
/// one nor listed in `alternate_config_directories` or `multi_instance_directories` of the default main.cf.
pub fn authorize(directory: &Path) -> Result<(), ConfigError> {
    authorize_by(directory, Path::new(DEFAULT_DIRECTORY))
}

fn authorize_by(directory: &Path, default: &Path) -> Result<(), ConfigError> {
    if directory == default {
        return Ok(());
    }
    let config = Config::load(default)?;
    for parameter in ["alternate_config_directories", "multi_instance_directories"] {
        if split_list(&config.text(parameter)?).any(|listed| Path::new(listed) == directory) {
            return Ok(());
        }
    }
    Err(ConfigError::Bad(format!(
        "unauthorized configuration directory name: {}; list it in alternate_config_directories or multi_instance_directories of {}",
        directory.display(),
        default.join("main.cf").display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_directories_are_authorized() {
        let default = tempfile::tempdir().unwrap();
        std::fs::write(
            default.path().join("main.cf"),
            "alternate_config_directories = /etc/a, /etc/b\nmulti_instance_directories = /etc/postfix-out\n",
        )
        .unwrap();
        let allowed = |name: &str| authorize_by(Path::new(name), default.path());
        assert!(authorize_by(default.path(), default.path()).is_ok());
        assert!(allowed("/etc/b").is_ok());
        assert!(allowed("/etc/postfix-out").is_ok());
        let error = allowed("/tmp/evil").unwrap_err().to_string();
        assert!(error.starts_with("unauthorized configuration directory name: /tmp/evil"), "{error}");
    }
}
