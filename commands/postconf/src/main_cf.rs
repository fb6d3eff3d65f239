//! Showing the parameters of main.cf.

use crate::options::Options;
use crate::{Failed, Terminal, assignment, load, words};
use posthaste_config::check::{Names, main_warnings, master_warnings};
use posthaste_config::directory::DEFAULT_DIRECTORY;
use posthaste_config::parameters::PARAMETERS;
use posthaste_config::table::{Kind, parameter};
use posthaste_config::{Config, ConfigError, MasterFile};
use std::collections::BTreeMap;
use std::path::Path;

/// `postconf [-dfhHjnoqx] [-C class] [name …]`.
pub fn show(options: &Options, terminal: &Terminal) -> Result<(), Failed> {
    let config = if options.defaults {
        let config = Config::defaults(&options.directory).map_err(|error| terminal.config_error(error))?;
        config.with_identity("postconf", "")
    } else {
        load(options, terminal)?
    };
    let master = master_file(options, terminal)?;
    let names = Names::collect(&config, &master);
    let warn = !options.quiet && !options.defaults;
    if warn {
        for text in names.undefined.iter().chain(&names.faults) {
            terminal.warn(text);
        }
    }
    if options.operands.is_empty() {
        for (name, class) in all(&config, &names, options) {
            if class.is_chosen(options) {
                line(&name, &config, &names, options, terminal)?;
            }
        }
    } else {
        for name in &options.operands {
            if known(name, &config, &names, options) {
                if !options.set_only || is_set(name, &config) {
                    line(name, &config, &names, options, terminal)?;
                }
            } else {
                terminal.warn(format_args!("{name}: unknown parameter"));
            }
        }
    }
    if warn {
        for text in main_warnings(&config, &names).into_iter().chain(master_warnings(&master, &names)) {
            terminal.warn(text);
        }
    }
    Ok(())
}

/// master.cf, whose services have parameters of their own. Without it there are fewer, but main.cf can still be shown.
fn master_file(options: &Options, terminal: &Terminal) -> Result<MasterFile, Failed> {
    match MasterFile::load(&options.directory) {
        Ok(master) => {
            if !options.defaults {
                for warning in &master.warnings {
                    terminal.warn(warning);
                }
            }
            Ok(master)
        }
        Err(ConfigError::Open { .. }) if options.defaults => Ok(MasterFile::default()),
        Err(error @ ConfigError::Open { .. }) => {
            terminal.warn(error);
            Ok(MasterFile::default())
        }
        Err(error) => Err(terminal.config_error(error)),
    }
}

#[derive(Clone, Copy)]
enum Class {
    Builtin,
    Service,
    User,
}

impl Class {
    fn is_chosen(self, options: &Options) -> bool {
        match self {
            Class::Builtin => options.classes.builtin,
            Class::Service => options.classes.service,
            Class::User => options.classes.user,
        }
    }
}

/// All parameters to be listed, by name.
fn all(config: &Config, names: &Names, options: &Options) -> BTreeMap<String, Class> {
    let mut found = BTreeMap::new();
    if !options.set_only {
        found.extend(PARAMETERS.iter().filter(|row| !row.legacy).map(|row| (row.name.to_owned(), Class::Builtin)));
        found.extend(names.service.keys().map(|name| (name.clone(), Class::Service)));
    } else if config.directory() != Path::new(DEFAULT_DIRECTORY) {
        found.insert("config_directory".to_owned(), Class::Builtin);
    }
    if options.defaults {
        return found;
    }
    for (name, _) in config.settings().filter(|(name, _)| names.is_known(name)) {
        let class = match parameter(name) {
            Some(_) => Class::Builtin,
            None if names.service.contains_key(name) => Class::Service,
            None => Class::User,
        };
        found.insert(name.to_owned(), class);
    }
    found
}

fn known(name: &str, config: &Config, names: &Names, options: &Options) -> bool {
    parameter(name).is_some() || names.service.contains_key(name) || (!options.defaults && names.is_known(name) && config.is_set(name))
}

fn is_set(name: &str, config: &Config) -> bool {
    config.is_set(name) || (name == "config_directory" && config.directory() != Path::new(DEFAULT_DIRECTORY))
}

fn line(name: &str, config: &Config, names: &Names, options: &Options, terminal: &Terminal) -> Result<(), Failed> {
    let value = value(name, config, names, options).map_err(|error| terminal.config_error(error))?;
    if options.json {
        terminal.json([("name", name), ("value", &words(&value))]);
    } else {
        terminal.line(assignment(name, &value, options));
    }
    Ok(())
}

fn value(name: &str, config: &Config, names: &Names, options: &Options) -> Result<String, ConfigError> {
    let raw = config.raw(name)?;
    let raw = match raw {
        Some(raw) => raw.into_owned(),
        None => names.service.get(name).cloned().unwrap_or_default(),
    };
    let is_template = matches!(parameter(name), Some(row) if matches!(row.kind, Kind::Raw { .. }));
    if options.expand && !is_template { config.expand(&raw) } else { Ok(raw) }
}
