//! Parameters of main.cf, read once at start.

use crate::{proxy, refusals};
use bstr::{BStr, BString};
use posthaste_cleanup_protocol::{Flags, Profile};
use posthaste_config::{Config, split_list};
use posthaste_log::Logger;
use posthaste_service::Fatal;
use posthaste_smtp_protocol::server::{self, BareNewline, EarlyInput, notice};
use posthaste_table::{Maps, StringList};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// What the shell around the protocol needs.
pub struct Settings {
    /// `smtpd_timeout`.
    pub timeout: Duration,
    /// `smtpd_per_request_deadline`, and the rate that lengthens it (`smtpd_min_data_rate`, bytes a second).
    pub deadline: Option<u64>,
    /// `smtpd_peername_lookup`.
    pub peername_lookup: bool,
    /// `queue_minfree`, and the space that one message may need.
    pub queue_minfree: u64,
    pub message_size_limit: u64,
    /// `content_filter`.
    pub content_filter: BString,
    /// How cleanup treats a message of a client.
    pub cleanup: Flags,
    /// `notify_classes`, as [`notice`] bits.
    pub notify: u8,
    /// `error_notice_recipient`, for protocol, policy, resource and software.
    pub error_notice_recipient: String,
    /// `bounce_notice_recipient`.
    pub bounce_notice_recipient: String,
    pub myhostname: String,
    pub myorigin: String,
    pub mail_name: String,
    pub double_bounce: String,
    /// `internal_mail_filter_classes` has `notify`.
    pub filter_notices: bool,
    /// `smtputf8_enable`: notices may have UTF-8.
    pub utf8: bool,
    /// `local_header_rewrite_clients`.
    pub rewrite: Vec<RewriteClients>,
    /// The socket of `flush_service_name`, and how long to wait for it.
    pub flush: PathBuf,
    pub ipc_timeout: Duration,
    /// `in_flow_delay`.
    pub in_flow_delay: Duration,
    /// `smtpd_upstream_proxy_protocol = haproxy`, with `smtpd_upstream_proxy_timeout`.
    pub upstream_proxy: Option<Duration>,
    /// `smtpd_proxy_filter`.
    pub proxy: Option<Rc<proxy::Settings>>,
}

/// An item of `local_header_rewrite_clients`.
pub enum RewriteClients {
    InetInterfaces,
    Mynetworks,
    Authenticated,
    Table(Maps),
}

impl Settings {
    pub fn read(config: &Config, profile: &Profile) -> Result<Settings, Fatal> {
        let rate = u64::try_from(config.int("smtpd_min_data_rate")?).unwrap_or(1).max(1);
        Ok(Settings {
            timeout: config.time("smtpd_timeout")?,
            deadline: config.bool("smtpd_per_request_deadline")?.then_some(rate),
            peername_lookup: config.bool("smtpd_peername_lookup")?,
            queue_minfree: u64::try_from(config.int("queue_minfree")?).unwrap_or(0),
            message_size_limit: u64::try_from(config.int("message_size_limit")?).unwrap_or(0),
            content_filter: config.text("content_filter")?.into(),
            cleanup: Flags { quiet_after_hops: true, ..Flags::received(config, profile, "smtpd")? },
            notify: notify_classes(&config.text("notify_classes")?)?,
            error_notice_recipient: config.text("error_notice_recipient")?,
            bounce_notice_recipient: config.text("bounce_notice_recipient")?,
            myhostname: config.text("myhostname")?,
            myorigin: config.text("myorigin")?,
            mail_name: config.text("mail_name")?,
            double_bounce: config.text("double_bounce_sender")?,
            filter_notices: split_list(&config.text("internal_mail_filter_classes")?).any(|word| word == "notify"),
            utf8: config.bool("smtputf8_enable")?,
            rewrite: rewrite_clients(config)?,
            flush: PathBuf::from("public").join(config.text("flush_service_name")?),
            ipc_timeout: config.time("ipc_timeout")?,
            in_flow_delay: config.time("in_flow_delay")?,
            upstream_proxy: match config.text("smtpd_upstream_proxy_protocol")?.as_str() {
                "" => None,
                "haproxy" => Some(config.time("smtpd_upstream_proxy_timeout")?),
                other => return Err(Fatal(format!("unsupported smtpd_upstream_proxy_protocol value: {other}"))),
            },
            proxy: proxy::Settings::read(config)?.map(Rc::new),
        })
    }
}

fn notify_classes(value: &str) -> Result<u8, Fatal> {
    split_list(value).try_fold(0, |bits, word| {
        Ok(bits
            | match word {
                "protocol" => notice::PROTOCOL,
                "policy" => notice::POLICY,
                "resource" => notice::RESOURCE,
                "software" => notice::SOFTWARE,
                "data" => notice::DATA,
                "bounce" => notice::BOUNCE,
                "2bounce" | "delay" => 0,
                other => return Err(Fatal(format!("unknown notify_classes value \"{other}\" in \"{value}\""))),
            })
    })
}

fn rewrite_clients(config: &Config) -> Result<Vec<RewriteClients>, Fatal> {
    let name = "local_header_rewrite_clients";
    let value = config.text(name)?;
    let mut words = split_list(&value);
    let mut list = Vec::new();
    while let Some(word) = words.next() {
        list.push(match word {
            "permit_inet_interfaces" => RewriteClients::InetInterfaces,
            "permit_mynetworks" => RewriteClients::Mynetworks,
            "permit_sasl_authenticated" | "permit_tls_clientcerts" | "permit_tls_all_clientcerts" => RewriteClients::Authenticated,
            "check_address_map" => match words.next() {
                Some(table) => RewriteClients::Table(Maps::open(name, table, config)),
                None => return Err(Fatal(format!("{name}: check_address_map requires a table"))),
            },
            table if table.contains(':') => RewriteClients::Table(Maps::open(name, table, config)),
            other => return Err(Fatal(format!("unknown {name} value \"{other}\""))),
        });
    }
    Ok(list)
}

/// What the protocol engine needs.
pub fn protocol(config: &Config, log: &Logger) -> Result<server::Settings, Fatal> {
    let number = |name: &str| -> Result<u32, Fatal> { Ok(u32::try_from(config.int(name)?.max(0)).unwrap_or(u32::MAX)) };
    let notify = notify_classes(&config.text("notify_classes")?)?;
    let banner = config.text("smtpd_banner")?;
    let bare_newline = config.text("smtpd_forbid_bare_newline")?;
    Ok(server::Settings {
        hostname: config.text("myhostname")?,
        mail_name: config.text("mail_name")?,
        banner,
        helo_required: config.bool("smtpd_helo_required")?,
        strict_envelopes: config.bool("strict_rfc821_envelopes")?,
        disable_vrfy: config.bool("disable_vrfy_command")?,
        delay_reject: config.bool("smtpd_delay_reject")?,
        delay_open: config.bool("smtpd_delay_open_until_valid_rcpt")?,
        soft_bounce: config.bool("soft_bounce")?,
        smtputf8: config.bool("smtputf8_enable")?,
        strict_smtputf8: config.bool("strict_smtputf8")?,
        line_length_limit: usize::try_from(config.int("line_length_limit")?).unwrap_or(2048),
        message_size_limit: u64::try_from(config.int("message_size_limit")?).unwrap_or(0),
        error_sleep: config.time("smtpd_error_sleep_time")?,
        soft_error_limit: number("smtpd_soft_error_limit")?,
        hard_error_limit: number("smtpd_hard_error_limit")?,
        junk_command_limit: number("smtpd_junk_command_limit")?,
        recipient_limit: number("smtpd_recipient_limit")?,
        recipient_overshoot_limit: number("smtpd_recipient_overshoot_limit")?,
        history: (notify != 0).then_some(usize::try_from(config.int("smtpd_history_flush_threshold")?).unwrap_or(100)),
        bare_newline: match bare_newline.to_ascii_lowercase().as_str() {
            "normalize" | "yes" => BareNewline::Normalize,
            "reject" => BareNewline::Reject,
            "note" => BareNewline::Note,
            "no" => BareNewline::Allow,
            _ => return Err(Fatal(format!("bad parameter value: 'smtpd_forbid_bare_newline = {bare_newline}'"))),
        },
        bare_newline_code: u16::try_from(config.int("smtpd_forbid_bare_newline_reject_code")?).unwrap_or(550),
        early_input: if config.bool("smtpd_forbid_unauth_pipelining")? { EarlyInput::Forbid } else { EarlyInput::Note },
        log_port: config.bool("smtpd_client_port_logging")?,
        hide_client: config.bool("smtpd_hide_client_session")?,
        noop_command: matcher(config, "smtpd_noop_commands")?,
        forbidden_command: matcher(config, "smtpd_forbidden_commands")?,
        edit_refusal: refusals::editor(config, log)?,
        command_filter: command_filter(config)?,
        relay: !config.text("smtpd_proxy_filter")?.is_empty(),
        verp_delimiters: config.text("default_verp_delimiters")?,
        verp_filter: config.text("verp_delimiter_filter")?,
        log_external: config.text("info_log_address_format")? == "external",
    })
}

fn matcher(config: &Config, name: &str) -> Result<Option<server::Matcher>, Fatal> {
    let value = config.text(name)?;
    if value.is_empty() {
        return Ok(None);
    }
    let list = StringList::open(name, &value, config).map_err(|error| Fatal(error.reason))?;
    Ok(Some(Box::new(move |word: &BStr| list.matches(word).unwrap_or(false))))
}

fn command_filter(config: &Config) -> Result<Option<server::CommandFilter>, Fatal> {
    let value = config.text("smtpd_command_filter")?;
    if value.is_empty() {
        return Ok(None);
    }
    let maps = Maps::open("smtpd_command_filter", &value, config);
    Ok(Some(Box::new(move |line: &BStr| maps.find(line).ok().flatten())))
}
