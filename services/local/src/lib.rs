//! local(8): delivers to the users of this machine, through aliases and `.forward` files, to mailboxes, files, commands and other addresses.
//!
//! - `deliver`: one recipient from the request to its results.
//! - `expand`: aliases, `:include:`, `.forward`; `tokens`: what stands in them.
//! - `user`: the order of mailbox_transport, mailbox_command, home_mailbox and so on.
//! - `outlet`: mailboxes, files and commands, with the rights they need.
//! - `forward`: new messages for addresses that go elsewhere; `pass`: handing a recipient to another transport.
//!
//! The process holds root. What is done for a user is done with that user's rights, in the delivering thread alone or in a child.

mod deliver;
mod expand;
mod forward;
mod outlet;
mod owner;
mod pass;
pub mod tokens;
mod user;

use crate::expand::Source;
use bstr::BString;
use posthaste_config::{Config, ConfigError};
use posthaste_delivery::Reporter;
use posthaste_delivery::command::environment;
use posthaste_delivery::mailbox::Locking;
use posthaste_ipc::delivery::{Done, Report, Request};
use posthaste_log::{Logger, warn};
use posthaste_queue::Queue;
use posthaste_route::Router;
use posthaste_service::{Agent, Fatal, Setup, Spec};
use posthaste_system::credentials::Identity;
use posthaste_system::users;
use posthaste_table::{Maps, OpenFlags};
use std::ffi::OsString;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    const SPEC: Spec = Spec { program: "local", privileged: true, connects: false, executes: true };
    posthaste_service::run_agent::<Local>(SPEC, arguments)
}

/// The daemon: parameters read, tables open.
struct Local {
    log: Logger,
    queue: Queue,
    reporter: Reporter,
    router: Router,
    forwarder: forward::Forwarder,
    /// Name of this service: what resolves to it is delivered here.
    service: String,
    /// `bounce_service_name`.
    bounce_service: String,
    host: String,
    mail_name: String,
    queue_directory: PathBuf,
    environment: Vec<(BString, BString)>,
    /// `default_privs`.
    default_rights: Identity,
    locking: Locking,
    /// Each table of alias_maps apart: its owner's rights apply.
    aliases: Vec<Alias>,
    mailbox_transport_maps: Maps,
    mailbox_command_maps: Maps,
    fallback_transport_maps: Maps,
    /// `biff`: a socket for notes to comsat(8).
    biff: Option<UdpSocket>,
    parameters: Parameters,
}

/// One table of alias_maps.
struct Alias {
    /// As in main.cf, for the log.
    name: String,
    maps: Maps,
    /// The file whose owner lends its rights to commands and files in the table.
    file: Option<PathBuf>,
}

/// Parameters, by their names in main.cf.
struct Parameters {
    mailbox_transport: String,
    mailbox_command: String,
    home_mailbox: String,
    mail_spool_directory: String,
    fallback_transport: String,
    luser_relay: String,
    local_command_shell: String,
    command_execution_directory: String,
    execution_directory_expansion_filter: String,
    command_expansion_filter: String,
    forward_path: Vec<String>,
    forward_expansion_filter: String,
    recipient_delimiter: String,
    owner_request_special: bool,
    expand_owner_alias: bool,
    require_home_directory: bool,
    reset_owner_alias: bool,
    frozen_delivered_to: bool,
    enable_original_recipient: bool,
    strict_mailbox_ownership: bool,
    allow_mail_to_commands: Contexts,
    allow_mail_to_files: Contexts,
    prepend_delivered_header: Headers,
    /// `propagate_unmatched_extensions`, as far as it is about lists.
    propagate: Contexts,
    command_time_limit: Duration,
    mailbox_size_limit: Option<u64>,
    duplicate_filter_limit: usize,
}

/// Where destinations of a kind may stand (`allow_mail_to_commands`).
#[derive(Clone, Copy, Default)]
struct Contexts {
    alias: bool,
    forward: bool,
    include: bool,
}

impl Contexts {
    fn contains(self, source: Source) -> bool {
        match source {
            Source::Alias => self.alias,
            Source::Forward => self.forward,
            Source::Include => self.include,
            Source::Envelope => false,
        }
    }
}

/// Which kinds of delivery get a `Delivered-To:` header (`prepend_delivered_header`).
#[derive(Clone, Copy, Default)]
struct Headers {
    command: bool,
    file: bool,
    forward: bool,
}

impl Agent for Local {
    fn open(setup: &Setup) -> Result<Local, Fatal> {
        let config: &Config = &setup.config;
        let maps = |name: &str| Ok::<_, ConfigError>(Maps::open(name, &config.text(name)?, config));
        let privs = config.text("default_privs")?;
        let user = users::by_name(&privs).map_err(|e| Fatal(format!("default_privs: user lookup for {privs}: {e}")))?;
        let user = user.ok_or_else(|| {
            Fatal(format!("file {}/main.cf: parameter default_privs: unknown user name value: {privs}", config.directory().display()))
        })?;
        if user.uid == 0 {
            return Err(Fatal(format!("parameter default_privs: user {privs} has privileged user ID")));
        }
        let aliases = split(&config.text("alias_maps")?)
            // The table is opened here, with our rights: another process has none to lend.
            .map(|spec| spec.strip_prefix("proxy:").unwrap_or(spec).to_owned())
            .map(|spec| Alias {
                maps: Maps::open_flags("alias_maps", &spec, OpenFlags::SECURE, config),
                file: spec.split_once(':').map(|(_, file)| PathBuf::from(file)),
                name: spec,
            })
            .collect();
        let queue = Queue::open(config)?;
        Ok(Local {
            log: setup.log.clone(),
            reporter: Reporter::new(config, queue.clone(), setup.log.clone())?,
            router: Router::open(config, false)?,
            forwarder: forward::Forwarder::open(config)?,
            queue,
            service: setup.service.clone(),
            bounce_service: config.text("bounce_service_name")?,
            host: config.text("myhostname")?,
            mail_name: config.text("mail_name")?,
            queue_directory: config.queue_directory(),
            environment: environment(config)?,
            default_rights: Identity { uid: user.uid, gid: user.gid },
            locking: locking(config, &setup.log)?,
            aliases,
            mailbox_transport_maps: maps("mailbox_transport_maps")?,
            // Commands come from tables that root controls only.
            mailbox_command_maps: Maps::open_flags(
                "mailbox_command_maps",
                &config.text("mailbox_command_maps")?,
                OpenFlags::SECURE,
                config,
            ),
            fallback_transport_maps: maps("fallback_transport_maps")?,
            // A machine without a loopback network has no comsat either.
            biff: if config.bool("biff")? { UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok() } else { None },
            parameters: Parameters::read(config)?,
        })
    }

    fn deliver(&self, request: &Request, report: &mut dyn FnMut(Report)) -> Done {
        deliver::request(self, request, report)
    }
}

/// How mailboxes are locked. `sun_mailtool_compatibility` is an old way to ask for `FILE.lock` alone.
fn locking(config: &Config, log: &Logger) -> Result<Locking, Fatal> {
    let mut locking = Locking::from_config(config, "mailbox_delivery_lock")?;
    if config.bool("sun_mailtool_compatibility")? {
        warn!(log, "sun_mailtool_compatibility: deprecated parameter, use \"mailbox_delivery_lock = dotlock\" instead");
        (locking.flock, locking.fcntl, locking.dotlock) = (false, false, true);
    }
    Ok(locking)
}

/// UDP port of comsat(8), service biff in services(5).
const BIFF_PORT: u16 = 512;

impl Local {
    /// Tells comsat(8), should it run, that a user has new mail, and where in the mailbox.
    fn tell_biff(&self, user: &str, offset: u64) {
        if let Some(socket) = &self.biff {
            let _ = socket.send_to(format!("{user}@{offset}\0").as_bytes(), (Ipv4Addr::LOCALHOST, BIFF_PORT));
        }
    }
}

impl Parameters {
    fn read(config: &Config) -> Result<Parameters, Fatal> {
        let contexts = |name: &str| {
            let mut found = Contexts::default();
            for word in split(&config.text(name)?) {
                match word {
                    "alias" => found.alias = true,
                    "forward" => found.forward = true,
                    "include" => found.include = true,
                    _ => return Err(Fatal(format!("bad value \"{word}\" in parameter {name}: specify alias, forward or include"))),
                }
            }
            Ok(found)
        };
        let mut prepend_delivered_header = Headers::default();
        for word in split(&config.text("prepend_delivered_header")?) {
            match word {
                "command" => prepend_delivered_header.command = true,
                "file" => prepend_delivered_header.file = true,
                "forward" => prepend_delivered_header.forward = true,
                _ => {
                    return Err(Fatal(format!(
                        "bad value \"{word}\" in parameter prepend_delivered_header: specify command, file or forward"
                    )));
                }
            }
        }
        let propagate = config.text("propagate_unmatched_extensions")?;
        let propagates = |feature: &str| split(&propagate).any(|word| word.eq_ignore_ascii_case(feature));
        let mailbox_size_limit = config.int("mailbox_size_limit")?;
        if mailbox_size_limit > 0 && mailbox_size_limit < config.int("message_size_limit")? {
            return Err(Fatal(String::from("configuration error: mailbox_size_limit is smaller than message_size_limit")));
        }
        Ok(Parameters {
            mailbox_transport: config.text("mailbox_transport")?,
            mailbox_command: config.text("mailbox_command")?,
            home_mailbox: config.text("home_mailbox")?,
            mail_spool_directory: config.text("mail_spool_directory")?,
            fallback_transport: config.text("fallback_transport")?,
            luser_relay: config.text("luser_relay")?,
            local_command_shell: config.text("local_command_shell")?,
            command_execution_directory: config.text("command_execution_directory")?,
            execution_directory_expansion_filter: config.text("execution_directory_expansion_filter")?,
            command_expansion_filter: config.text("command_expansion_filter")?,
            forward_path: split(&config.text("forward_path")?).map(String::from).collect(),
            forward_expansion_filter: config.text("forward_expansion_filter")?,
            recipient_delimiter: config.text("recipient_delimiter")?,
            owner_request_special: config.bool("owner_request_special")?,
            expand_owner_alias: config.bool("expand_owner_alias")?,
            require_home_directory: config.bool("require_home_directory")?,
            reset_owner_alias: config.bool("reset_owner_alias")?,
            frozen_delivered_to: config.bool("frozen_delivered_to")?,
            enable_original_recipient: config.bool("enable_original_recipient")?,
            strict_mailbox_ownership: config.bool("strict_mailbox_ownership")?,
            allow_mail_to_commands: contexts("allow_mail_to_commands")?,
            allow_mail_to_files: contexts("allow_mail_to_files")?,
            prepend_delivered_header,
            propagate: Contexts { alias: propagates("alias"), forward: propagates("forward"), include: propagates("include") },
            command_time_limit: config.time("command_time_limit")?,
            mailbox_size_limit: u64::try_from(mailbox_size_limit).ok().filter(|limit| *limit > 0),
            duplicate_filter_limit: usize::try_from(config.int("duplicate_filter_limit")?).unwrap_or(0),
        })
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty())
}
