//! Service profiles: the configuration of a helper whose work is done as a library.

use crate::{Config, ConfigError, MasterFile};
use std::io::ErrorKind;

impl Config {
    /// The configuration that the program `program` has as the service `service` of master.cf: main.cf and the `-o` overrides of that
    /// entry, without those of the present service. Reads both files again.
    ///
    /// A configuration that was not read from a folder, as in tests, stands for itself. So does main.cf where master.cf has no such entry.
    pub fn service_profile(&self, program: &str, service: &str) -> Result<Config, ConfigError> {
        if self.directory().join("main.cf").to_string_lossy() != self.file() {
            return Ok(self.with_identity(program, service));
        }
        let config = match Config::load(self.directory()) {
            Err(ConfigError::Open { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(self.with_identity(program, service));
            }
            other => other?.with_identity(program, service),
        };
        let master = match MasterFile::load(self.directory()) {
            Err(ConfigError::Open { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(config),
            other => other?,
        };
        // Warnings are master's to give.
        let entries = master.entries(&config, &mut Vec::new())?;
        match entries.iter().find(|entry| entry.service == service && entry.socket().is_some()) {
            Some(entry) => config.with_overrides(entry.overrides()),
            None => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cleanup_service_name = pre-cleanup`: the overrides of that entry count, those of the asking service do not.
    #[test]
    fn overrides_of_the_entry() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("main.cf"), "header_checks = a\nbody_checks = b\n")?;
        std::fs::write(
            directory.path().join("master.cf"),
            "cleanup unix n - n - 0 cleanup\npre-cleanup unix n - n - 0 cleanup\n  -o virtual_alias_maps= -o header_checks=c\n",
        )?;
        let own = Config::load(directory.path())?.with_overrides([("body_checks", "mine")])?;
        let profile = own.service_profile("cleanup", "pre-cleanup")?;
        assert_eq!((profile.text("header_checks")?, profile.text("body_checks")?), ("c".into(), "b".into()));
        let plain = own.service_profile("cleanup", "cleanup")?;
        assert_eq!(plain.text("header_checks")?, "a");
        assert_eq!(own.service_profile("cleanup", "nobody")?.text("header_checks")?, "a");
        let parsed = Config::parse("header_checks = d\n", "main.cf")?.with_overrides([("body_checks", "mine")])?;
        assert_eq!(parsed.service_profile("cleanup", "cleanup")?.text("body_checks")?, "mine");
        Ok(())
    }
}
