//! What main.cf says to the queue manager, read once at its start.

use crate::sched::TransportParams;
use crate::sched::feedback::{Feedback, Limits, general};
use posthaste_config::{Config, ConfigError};
use posthaste_delivery::Style;
use posthaste_log::{Logger, info, warn};
use std::time::Duration;

/// Parameters that do not depend on a transport.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of main.cf")]
pub struct Settings {
    pub qmgr_message_active_limit: usize,
    pub qmgr_message_recipient_limit: usize,
    pub qmgr_message_recipient_minimum: usize,
    pub minimal_backoff_time: Duration,
    pub maximal_backoff_time: Duration,
    pub maximal_queue_lifetime: Duration,
    pub bounce_queue_lifetime: Duration,
    pub queue_run_delay: Duration,
    pub transport_retry_time: Duration,
    pub qmgr_clog_warn_time: Duration,
    pub defer_transports: Vec<String>,
    pub default_filter_nexthop: String,
    pub double_bounce_sender: String,
    pub recipient_delimiter: String,
    pub owner_request_special: bool,
    pub confirm_delay_cleared: bool,
    pub disable_verp_bounces: bool,
    pub backwards_bounce_logfile_compatibility: bool,
    pub address_verify_pending_request_limit: usize,
    pub bounce_service_name: String,
    pub defer_service_name: String,
    pub trace_service_name: String,
    pub destination_concurrency_feedback_debug: bool,
    /// `notify_classes` has `bounce` or `2bounce`: the postmaster hears also of failures that the sender does not want to hear of.
    pub postmaster_copies: bool,
    pub style: Style,
}

impl Settings {
    /// From main.cf. Combinations that make no sense are adjusted with a warning, as Postfix does.
    pub fn from_config(config: &Config, log: &Logger) -> Result<Settings, ConfigError> {
        let size = |name| config.int(name).map(|n| usize::try_from(n).unwrap_or(0));
        let mut settings = Settings {
            qmgr_message_active_limit: size("qmgr_message_active_limit")?,
            qmgr_message_recipient_limit: size("qmgr_message_recipient_limit")?,
            qmgr_message_recipient_minimum: size("qmgr_message_recipient_minimum")?,
            minimal_backoff_time: config.time("minimal_backoff_time")?,
            maximal_backoff_time: config.time("maximal_backoff_time")?,
            maximal_queue_lifetime: config.time("maximal_queue_lifetime")?,
            bounce_queue_lifetime: config.time("bounce_queue_lifetime")?,
            queue_run_delay: config.time("queue_run_delay")?,
            transport_retry_time: config.time("transport_retry_time")?,
            qmgr_clog_warn_time: if config.bool("helpful_warnings")? { config.time("qmgr_clog_warn_time")? } else { Duration::ZERO },
            defer_transports: words(&config.text("defer_transports")?),
            default_filter_nexthop: config.text("default_filter_nexthop")?,
            double_bounce_sender: config.text("double_bounce_sender")?,
            recipient_delimiter: config.text("recipient_delimiter")?,
            owner_request_special: config.bool("owner_request_special")?,
            confirm_delay_cleared: config.bool("confirm_delay_cleared")?,
            disable_verp_bounces: config.bool("disable_verp_bounces")?,
            backwards_bounce_logfile_compatibility: config.bool("backwards_bounce_logfile_compatibility")?,
            address_verify_pending_request_limit: size("address_verify_pending_request_limit")?,
            bounce_service_name: config.text("bounce_service_name")?,
            defer_service_name: config.text("defer_service_name")?,
            trace_service_name: config.text("trace_service_name")?,
            destination_concurrency_feedback_debug: config.bool("destination_concurrency_feedback_debug")?,
            postmaster_copies: posthaste_delivery::records::postmaster_copies(config)?,
            style: Style::from_config(config)?,
        };
        if settings.maximal_backoff_time < settings.minimal_backoff_time {
            warn!(log, "maximal_backoff_time is smaller than minimal_backoff_time - adjusting maximal_backoff_time");
            settings.maximal_backoff_time = settings.minimal_backoff_time;
        }
        if settings.qmgr_message_recipient_limit < settings.qmgr_message_active_limit {
            warn!(log, "qmgr_message_recipient_limit is smaller than qmgr_message_active_limit - adjusting qmgr_message_recipient_limit");
            settings.qmgr_message_recipient_limit = settings.qmgr_message_active_limit;
        }
        if settings.bounce_queue_lifetime > settings.maximal_queue_lifetime {
            warn!(log, "bounce_queue_lifetime is larger than maximal_queue_lifetime - adjusting bounce_queue_lifetime");
            settings.bounce_queue_lifetime = settings.maximal_queue_lifetime;
        }
        Ok(settings)
    }
}

/// A list of names separated by commas and white space.
fn words(text: &str) -> Vec<String> {
    text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The parameters of one transport; `processes` is the `maxproc` of its master.cf entry.
pub fn transport_params(config: &Config, name: &str, processes: Option<u32>, log: &Logger) -> Result<TransportParams, ConfigError> {
    let int = |suffix| config.service_int(name, suffix).map(|n| u32::try_from(n).unwrap_or(0));
    let verbose = config.bool("destination_concurrency_feedback_debug")?;
    let start = u32::try_from(config.int("initial_destination_concurrency")?).unwrap_or(1);
    let feedback = |suffix: &str| -> Result<Feedback, ConfigError> {
        let (text, common) = (config.service_text(name, suffix)?, config.text(&format!("default_{suffix}"))?);
        let parameter = format!("{}_{suffix}", if text == common { "default" } else { name });
        let value = Feedback::parse(&text).unwrap_or_else(|| {
            warn!(log, "{parameter}: ignoring malformed or unreasonable feedback: {text}");
            Feedback::Constant(1.0)
        });
        if verbose {
            let amount = general(value.amount(start));
            info!(log, "{name}: {parameter} feedback type {} value at {start}: {amount}", value.form());
        }
        Ok(value)
    };
    Ok(TransportParams {
        processes,
        concurrency: Limits {
            initial: int("initial_destination_concurrency")?.max(1),
            limit: int("destination_concurrency_limit")?,
            positive: feedback("destination_concurrency_positive_feedback")?,
            negative: feedback("destination_concurrency_negative_feedback")?,
            cohorts: int("destination_concurrency_failed_cohort_limit")?,
        },
        recipients: int("destination_recipient_limit")?,
        rate_delay: config.service_time(name, "destination_rate_delay")?,
        transport_rate_delay: config.service_time(name, "transport_rate_delay")?,
        slot_cost: int("delivery_slot_cost")?,
        slot_loan: int("delivery_slot_loan")?,
        slot_discount: int("delivery_slot_discount")?,
        minimum_slots: int("minimum_delivery_slots")?,
        recipient_limit: int("recipient_limit")?,
        extra_recipient_limit: int("extra_recipient_limit")?,
        refill_limit: int("recipient_refill_limit")?,
        refill_delay: config.service_time(name, "recipient_refill_delay")?,
    })
}
