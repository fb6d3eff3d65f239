//! postmulti(1): several instances of the mail system on one machine.
//!
//! The default instance lists the configuration directories of the others in `multi_instance_directories`; each of these has
//! `multi_instance_name`, `multi_instance_group` and `multi_instance_enable` in its own main.cf.

mod edit;
pub mod manual;

use posthaste_cli::{Getopt, until_operand};
use posthaste_config::{Config, directory, split_list};
use posthaste_log::{Kind, Logger, fatal};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// One instance.
#[derive(Clone, Debug)]
struct Instance {
    name: String,
    group: String,
    enabled: bool,
    directory: PathBuf,
    default: bool,
}

impl Instance {
    /// `-i`: by its name, or `-` for the default instance.
    fn is_called(&self, name: &str) -> bool {
        name == self.name || name == "-" && self.default
    }
}

/// All has been logged; exit status 1.
struct Failed;

#[derive(Default)]
struct Options {
    all: bool,
    name: Option<String>,
    group: Option<String>,
    new_name: Option<String>,
    new_group: Option<String>,
    list: bool,
    json: bool,
    reverse: bool,
    postfix: bool,
    execute: bool,
    edit: Option<String>,
    verbose: bool,
    operands: Vec<String>,
}

const USAGE: &str = "Usage:postmulti -l [-v] [-a] [-g group] [-i instance] | postmulti -p [-v] [-a] [-g group] [-i instance] command... | postmulti -x [-v] [-a] [-i name] [-g group] command... | postmulti -e action [-v] [-a] [-i name] [-g group] [-I name] [-G group] [param=value ...]";

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if arguments.iter().any(|a| a == "--help") {
        let _ = std::io::stdout().write_all(manual::MANUAL.help().as_bytes());
        return ExitCode::SUCCESS;
    }
    // Its reasons go to the log, and to people at a terminal.
    posthaste_log::early(true, posthaste_log::on_terminal());
    let log = Logger::with_whole_tag("postmulti");
    match run(arguments, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed) => ExitCode::FAILURE,
    }
}

fn fail(log: &Logger, text: impl std::fmt::Display) -> Failed {
    fatal!(log, "{text}");
    Failed
}

fn run(arguments: Vec<OsString>, log: &Logger) -> Result<(), Failed> {
    let directory = directory::config_directory(None);
    let config = Config::load(&directory).map_err(|e| fail(log, e))?;
    posthaste_log::open(&config, Kind::Control, posthaste_log::on_terminal()).map_err(|e| fail(log, e))?;
    let options = parse(arguments, log)?;
    let instances = instances(&config, log)?;
    if let Some(action) = &options.edit {
        return edit::edit(&config, &instances, action, &options, log);
    }
    let mut chosen = choose(&instances, &options, log)?;
    if options.reverse {
        chosen.reverse();
    }
    if options.list {
        return list(&chosen, options.json);
    }
    if options.operands.is_empty() {
        return Err(fail(log, USAGE));
    }
    execute(&config, &chosen, &options, log)
}

fn parse(arguments: Vec<OsString>, log: &Logger) -> Result<Options, Failed> {
    let mut o = Options::default();
    // Behind the first operand stands a command with options of its own.
    let (own, rest) = until_operand(arguments, &['e', 'g', 'i', 'G', 'I']);
    let mut options = Getopt::new(own, "ae:g:i:jlpvxG:I:R");
    for option in options.by_ref() {
        let (letter, value) = option.map_err(|bad| {
            eprintln!("{bad}");
            fail(log, USAGE)
        })?;
        let value = value.map(|v| v.to_string_lossy().into_owned());
        match letter {
            b'a' => o.all = true,
            b'e' => o.edit = value,
            b'g' => o.group = value,
            b'i' => o.name = value,
            b'j' => o.json = true,
            b'l' => o.list = true,
            b'p' => o.postfix = true,
            b'v' => o.verbose = true,
            b'x' => o.execute = true,
            b'G' => o.new_group = value,
            b'I' => o.new_name = value,
            _ => o.reverse = true,
        }
    }
    o.operands = rest.into_iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let modes = [o.list, o.edit.is_some(), o.postfix, o.execute].into_iter().filter(|m| *m).count();
    match (modes, o.list && !o.operands.is_empty()) {
        (1, false) => Ok(o),
        (1, true) => Err(fail(log, "Command not allowed with '-l'")),
        _ => Err(fail(log, "Specify exactly one of '-e', '-l', '-p', '-x'")),
    }
}

/// The default instance first, the others in the order of `multi_instance_directories`.
fn instances(config: &Config, log: &Logger) -> Result<Vec<Instance>, Failed> {
    let read = |config: &Config, default: bool| {
        let text = |name: &str| config.text(name).map_err(|e| fail(log, e));
        Ok(Instance {
            name: text("multi_instance_name")?,
            group: text("multi_instance_group")?,
            // The default instance has no switch: without it nothing else is found.
            enabled: default || config.bool("multi_instance_enable").map_err(|e| fail(log, e))?,
            directory: config.directory().to_owned(),
            default,
        })
    };
    let mut all = vec![read(config, true)?];
    for directory in split_list(&config.text("multi_instance_directories").map_err(|e| fail(log, e))?) {
        let other = Config::load(Path::new(directory)).map_err(|e| fail(log, e))?;
        all.push(read(&other, false)?);
    }
    Ok(all)
}

fn choose(all: &[Instance], options: &Options, log: &Logger) -> Result<Vec<Instance>, Failed> {
    let matches = |instance: &&Instance| {
        let by_name = options.name.as_ref().is_none_or(|name| instance.is_called(name));
        let by_group = options.group.as_ref().is_none_or(|group| *group == instance.group);
        by_name && by_group
    };
    let chosen: Vec<Instance> = all.iter().filter(matches).cloned().collect();
    if chosen.is_empty() {
        return Err(fail(log, "No matching instances"));
    }
    Ok(chosen)
}

fn list(chosen: &[Instance], json: bool) -> Result<(), Failed> {
    let mut out = String::new();
    for i in chosen {
        let dash = |text: &str| if text.is_empty() { String::from("-") } else { text.to_owned() };
        let (name, group, enabled, directory) = (dash(&i.name), dash(&i.group), i.enabled, i.directory.display());
        if json {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let (name, group, directory) = (quote(&i.name), quote(&i.group), quote(&directory.to_string()));
            out += &format!(
                "{{\"name\": \"{name}\", \"group\": \"{group}\", \"enabled\": {enabled}, \"config_directory\": \"{directory}\"}}\n"
            );
        } else {
            out += &format!("{name:<15} {group:<15} {:<9} {directory}\n", if enabled { "y" } else { "n" });
        }
    }
    let _ = std::io::stdout().write_all(out.as_bytes());
    Ok(())
}

/// How postfix(1) commands treat instances (`postmulti_start_commands` and so on).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment {
    /// Disabled instances are checked instead, and the first failure ends it.
    Start,
    /// Last instance first; disabled ones are left out.
    Stop,
    /// Disabled ones are left out.
    Control,
    Other,
}

fn treatment(config: &Config, word: &str, log: &Logger) -> Result<Treatment, Failed> {
    for (name, treatment) in [
        ("postmulti_start_commands", Treatment::Start),
        ("postmulti_stop_commands", Treatment::Stop),
        ("postmulti_control_commands", Treatment::Control),
    ] {
        if split_list(&config.text(name).map_err(|e| fail(log, e))?).any(|command| command == word) {
            return Ok(treatment);
        }
    }
    Ok(Treatment::Other)
}

/// `-p`: a postfix(1) command; `-x`: any command, with MAIL_CONFIG set.
fn execute(config: &Config, chosen: &[Instance], options: &Options, log: &Logger) -> Result<(), Failed> {
    let commands = config.text("command_directory").map_err(|e| fail(log, e))?;
    let treatment = if options.postfix { treatment(config, &options.operands[0], log)? } else { Treatment::Other };
    let mut chosen: Vec<&Instance> = chosen.iter().collect();
    if treatment == Treatment::Stop {
        chosen.reverse();
    }
    let mut failed = false;
    for instance in chosen {
        if !instance.enabled && matches!(treatment, Treatment::Stop | Treatment::Control) {
            continue;
        }
        let mut command = if options.postfix {
            let mut command = Command::new(Path::new(&commands).join("postfix"));
            if options.verbose {
                command.arg("-v");
            }
            if treatment == Treatment::Start && !instance.enabled {
                command.arg("check")
            } else {
                command.args(&options.operands)
            };
            command
        } else {
            let mut command = Command::new(&options.operands[0]);
            command.args(&options.operands[1..]);
            command
        };
        command.env("MAIL_CONFIG", &instance.directory);
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(_) if treatment == Treatment::Start => return Err(Failed),
            Ok(_) => failed = true,
            Err(error) => {
                return Err(fail(log, format!("cannot execute {}: {}", options.operands[0], posthaste_config::system_reason(&error))));
            }
        }
    }
    if failed { Err(Failed) } else { Ok(()) }
}
