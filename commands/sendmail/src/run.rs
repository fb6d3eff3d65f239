//! Modes that another program does.

use crate::options::{Mode, Options};
use crate::{Failed, Place};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

fn become_program(place: &Place, path: &Path, arguments: &[String]) -> Failed {
    let error = Command::new(path).args(arguments).env("MAIL_CONFIG", place.config.directory()).exec();
    place.fail(&format!("cannot execute {}: {}", path.display(), posthaste_config::system_reason(&error)))
}

fn command(place: &Place, name: &str, arguments: &[String]) -> Result<ExitCode, Failed> {
    let path = Path::new(&place.text("command_directory")?).join(name);
    Err(become_program(place, &path, arguments))
}

fn verbose(options: &Options) -> Vec<String> {
    vec![String::from("-v"); options.verbose as usize]
}

/// `-bd`: `postfix start`. Start scripts call it on a running system too: `postfix` logs that it runs already, and this is no failure.
pub fn daemon(place: &Place) -> Result<ExitCode, Failed> {
    let master = Path::new(&place.text("daemon_directory")?).join("master");
    let test = Command::new(master).arg("-t").env("MAIL_CONFIG", place.config.directory()).stderr(std::process::Stdio::null()).status();
    if test.is_ok_and(|status| status.success()) {
        return command(place, "postfix", &[String::from("start")]);
    }
    let postfix = Path::new(&place.text("command_directory")?).join("postfix");
    // Nothing is to be done about its not starting a second time.
    let _ = Command::new(postfix).arg("start").env("MAIL_CONFIG", place.config.directory()).status();
    Ok(ExitCode::SUCCESS)
}

/// `-bp`, `-q`, `-qI`, `-qR`: postqueue.
pub fn queue(place: &Place, options: &Options) -> Result<ExitCode, Failed> {
    let mut arguments = verbose(options);
    match &options.mode {
        Mode::Flush => arguments.push(String::from("-f")),
        Mode::FlushId(id) => arguments.extend([String::from("-i"), id.clone()]),
        Mode::FlushSite(site) => arguments.extend([String::from("-s"), site.clone()]),
        _ => arguments.push(String::from("-p")),
    }
    command(place, "postqueue", &arguments)
}

/// `-bi`: postalias on each alias database.
pub fn new_aliases(place: &Place, options: &Options) -> Result<ExitCode, Failed> {
    let databases = match &options.alias_database {
        Some(database) => database.clone(),
        None => place.text("alias_database")?,
    };
    let databases: Vec<String> = posthaste_config::split_list(&databases).map(String::from).collect();
    if databases.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = verbose(options);
    arguments.push(String::from("--"));
    arguments.extend(databases);
    command(place, "postalias", &arguments)
}

/// `-bs`: smtpd on standard input and output.
pub fn stand_alone(place: &Place, options: &Options) -> Result<ExitCode, Failed> {
    crate::submit::authorize(place)?;
    let path = Path::new(&place.text("daemon_directory")?).join("smtpd");
    let mut arguments = verbose(options);
    arguments.push(String::from("-S"));
    Err(become_program(place, &path, &arguments))
}
