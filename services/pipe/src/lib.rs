//! pipe(8): delivers to an external command, as the user that the master.cf entry names.

mod attributes;

use attributes::{Attributes, Own, Piece};
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use posthaste_delivery::command::{Command, Ended, What, environment};
use posthaste_delivery::copy::Copy;
use posthaste_delivery::delivered::Delivered;
use posthaste_delivery::{Reporter, Timing};
use posthaste_ipc::delivery::{Done, Dsn, Report, Request};
use posthaste_log::{Logger, error, warn};
use posthaste_queue::{Queue, Recipient};
use posthaste_service::{Agent, Fatal, Setup, Spec};
use posthaste_system::users;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    const SPEC: Spec = Spec { program: "pipe", privileged: true, connects: false, executes: true };
    posthaste_service::run_agent::<Entry>(SPEC, arguments)
}

/// The master.cf entry: what it says may make no sense, which costs the deliveries that want it, and is logged with each of them.
struct Entry {
    log: Logger,
    reporter: Reporter,
    service: String,
    pipe: std::result::Result<Pipe, String>,
}

struct Pipe {
    log: Logger,
    queue: Queue,
    service: String,
    master_cf: PathBuf,
    attributes: Attributes,
    environment: Vec<(BString, BString)>,
    queue_directory: PathBuf,
    time_limit: Duration,
    delimiters: String,
    /// `enable_original_recipient`.
    original_to: bool,
}

/// The result for all recipients of a request.
struct Result {
    dsn: Dsn,
    bounced: bool,
    sent: bool,
}

impl Result {
    fn failed(status: &str, text: impl Into<BString>) -> Result {
        let bounced = status.starts_with('5');
        Result { dsn: Dsn { status: status.into(), reason: text.into(), ..Dsn::default() }, bounced, sent: false }
    }
}

impl Agent for Entry {
    fn open(setup: &Setup) -> std::result::Result<Entry, Fatal> {
        let config = &setup.config;
        let (owner, group) = (config.text("mail_owner")?, config.text("setgid_group")?);
        let owner = users::by_name(&owner).map_err(|e| Fatal(format!("user lookup for {owner}: {e}")))?;
        let group = users::group_by_name(&group).map_err(|e| Fatal(format!("group lookup for {group}: {e}")))?;
        let own = Own { uid: owner.map_or(u32::MAX, |user| user.uid), gid: group.map_or(u32::MAX, |group| group.gid) };
        let queue = Queue::open(config)?;
        let pipe = match Attributes::parse(&setup.arguments, own) {
            Ok(attributes) => Ok(Pipe::open(setup, queue.clone(), attributes)?),
            Err(text) => Err(text),
        };
        let reporter = Reporter::new(config, queue, setup.log.clone())?;
        Ok(Entry { log: setup.log.clone(), reporter, service: setup.service.clone(), pipe })
    }

    fn deliver(&self, request: &Request, report: &mut dyn FnMut(Report)) -> Done {
        let timing = Timing { started: SystemTime::now(), connected: None };
        let result = match &self.pipe {
            Ok(pipe) => pipe.run(request),
            Err(text) => {
                error!(self.log, "{text}");
                Result::failed("4.3.0", "unknown mail transport error")
            }
        };
        for index in 0..u32::try_from(request.recipients.len()).unwrap_or(u32::MAX) {
            let relay = self.service.as_bytes().as_bstr();
            let dsn = result.dsn.clone();
            report(if result.sent {
                self.reporter.sent(request, index, relay, timing, dsn)
            } else if result.bounced {
                self.reporter.bounced(request, index, relay, timing, dsn)
            } else {
                self.reporter.deferred(request, index, relay, timing, dsn)
            });
        }
        Done::default()
    }
}

impl Pipe {
    fn open(setup: &Setup, queue: Queue, attributes: Attributes) -> std::result::Result<Pipe, Fatal> {
        let config = &setup.config;
        Ok(Pipe {
            log: setup.log.clone(),
            queue,
            service: setup.service.clone(),
            master_cf: config.directory().join("master.cf"),
            attributes,
            environment: environment(config)?,
            queue_directory: config.queue_directory(),
            time_limit: config.service_time(&setup.service, "time_limit")?,
            delimiters: config.text("recipient_delimiter")?,
            original_to: config.bool("enable_original_recipient")?,
        })
    }

    fn run(&self, request: &Request) -> Result {
        let a = &self.attributes;
        if a.size.is_some_and(|limit| request.message_size > limit) {
            return Result::failed("5.2.3", "message too large");
        }
        let arguments = match self.arguments(request) {
            Ok(arguments) => arguments,
            Err(name) => {
                let (file, service) = (self.master_cf.display(), &self.service);
                warn!(self.log, "file {file}: service {service}: unknown macro name: \"{name}\"");
                return Result::failed("4.3.5", "mail system configuration error");
            }
        };
        let mut content = match self.queue.open_message(request.queue, &request.id, request.content_offset) {
            Ok(content) => content,
            Err(e) => return Result::failed("4.3.0", format!("cannot open queue file: {e}")),
        };
        if let (Some(flag), 2..) = (['D', 'O'].into_iter().find(|flag| a.has(*flag)), request.recipients.len()) {
            // One header cannot name them all.
            warn!(self.log, "pipe flag `{flag}' requires {}_destination_recipient_limit = 1", self.service);
            return Result::failed("4.3.5", "mail system configuration error");
        }
        let Some(first) = request.recipients.first() else { return Result::failed("4.3.0", "no recipients") };
        if a.has('D') {
            match Delivered::read(&mut content) {
                Ok(seen) if seen.contains(&first.address) => {
                    return Result::failed("5.4.6", format!("mail forwarding loop for {}", first.address));
                }
                Ok(_) => {}
                Err(e) => return Result::failed("4.3.0", format!("cannot read queue file: {e}")),
            }
        }
        if request.probe {
            let command = arguments.first().map(|program| program.as_bstr()).unwrap_or_default();
            let text = format!("delivers to command: {command}");
            return Result { dsn: self.delivered(text.into()), bounced: false, sent: true };
        }
        let copy = Copy {
            from_line: a.has('F'),
            return_path: a.has('R'),
            original_to: (a.has('O') && self.original_to).then(|| first.original.clone()).filter(|original| !original.is_empty()),
            delivered_to: a.has('D').then(|| first.address.clone()),
            sender: if request.sender.is_empty() { Address::new(a.null_sender.as_str()) } else { request.sender.clone() },
            quote_from: a.has('>'),
            quote_dot: a.has('.'),
            blank_end: a.has('B'),
            end_of_line: a.end_of_line.clone(),
        };
        let command = Command {
            what: What::Arguments(arguments),
            shell: None,
            identity: a.identity,
            environment: self.environment.clone(),
            directory: a.directory.clone().unwrap_or_else(|| if a.chroot.is_some() { "/".into() } else { self.queue_directory.clone() }),
            root: a.chroot.clone(),
            time_limit: self.time_limit,
            program: "pipe",
        };
        match command.run(&copy, &mut content, &self.log) {
            Ok(Ended::Well(output)) => {
                let mut text = format!("delivered via {} service", self.service).into_bytes();
                let output = output.trim_ascii_end();
                if !output.is_empty() {
                    text.extend_from_slice(b" (");
                    text.extend_from_slice(output);
                    text.push(b')');
                }
                Result { dsn: self.delivered(text.into()), bounced: false, sent: true }
            }
            Ok(Ended::Badly { status, text, diagnostic }) => {
                let bounced = status.starts_with('5');
                let dsn = Dsn { status, reason: text, diag_type: "x-unix".into(), diag_text: diagnostic, ..Dsn::default() };
                Result { dsn, bounced, sent: false }
            }
            Err(e) => Result::failed("4.3.0", format!("cannot read queue file: {e}")),
        }
    }

    fn delivered(&self, reason: BString) -> Dsn {
        let action = if self.attributes.has('X') { "delivered" } else { "relayed" };
        Dsn { status: "2.0.0".into(), action: action.into(), reason, ..Dsn::default() }
    }

    /// The command line; an argument with a macro of the recipient is there once for each recipient. The error is an unknown macro's name.
    fn arguments(&self, request: &Request) -> std::result::Result<Vec<BString>, String> {
        const OF_RECIPIENT: [&str; 6] = ["domain", "extension", "mailbox", "original_recipient", "recipient", "user"];
        let mut out = Vec::new();
        for template in &self.attributes.argv {
            let per_recipient = template.iter().any(|p| matches!(p, Piece::Macro(name) if OF_RECIPIENT.contains(&name.as_str())));
            let times = if per_recipient { request.recipients.len() } else { 1 };
            for recipient in request.recipients.iter().take(times) {
                let mut argument = BString::default();
                for piece in template {
                    match piece {
                        Piece::Text(text) => argument.extend_from_slice(text.as_bytes()),
                        Piece::Macro(name) => {
                            argument.extend_from_slice(&self.value(name, request, recipient).ok_or_else(|| name.clone())?)
                        }
                    }
                }

                out.push(argument);
            }
        }
        Ok(out)
    }

    fn value(&self, name: &str, request: &Request, recipient: &Recipient) -> Option<BString> {
        let a = &self.attributes;
        let origin = &request.origin;
        let folded = |on: char, text: &[u8]| -> BString { if a.has(on) { text.to_ascii_lowercase().into() } else { text.into() } };
        let address = |address: &Address| -> BString {
            let mut local = folded('u', address.local());
            if let Some(domain) = address.domain() {
                local.push(b'@');
                local.extend_from_slice(&folded('h', domain));
            }
            if a.has('q') { Address::new(local).external() } else { local }
        };
        Some(match name {
            "client_address" => origin.log_client_address.clone(),
            "client_helo" => origin.log_helo_name.clone(),
            "client_hostname" => origin.log_client_name.clone(),
            "client_port" => origin.log_client_port.clone(),
            "client_protocol" => origin.log_protocol_name.clone(),
            "domain" => folded('h', recipient.address.domain().unwrap_or_default()),
            "envid" => request.envelope_id.clone(),
            "extension" => {
                let parts = recipient.address.split_extension(&self.delimiters, false);
                parts.map_or_else(BString::default, |(_, extension)| folded('u', &extension))
            }
            "mailbox" => folded('u', recipient.address.local()),
            "nexthop" => folded('h', &request.nexthop),
            "original_recipient" => address(if recipient.original.is_empty() { &recipient.address } else { &recipient.original }),
            "queue_id" => request.id.as_str().into(),
            "recipient" => address(&recipient.address),
            "sasl_method" => origin.sasl_method.clone(),
            "sasl_sender" => origin.sasl_sender.clone(),
            "sasl_username" => origin.sasl_username.clone(),
            "sender" if request.sender.is_empty() => a.null_sender.as_str().into(),
            "sender" if a.has('q') => request.sender.external(),
            "sender" => request.sender.as_bytes().into(),
            "size" => request.message_size.to_string().into(),
            "user" => {
                let parts = recipient.address.split_extension(&self.delimiters, false);
                folded('u', parts.as_ref().map_or(&recipient.address, |(bare, _)| bare).local())
            }
            _ => return None,
        })
    }
}
