//! What main.cf says to the bounce service.

use posthaste_address::Address;
use posthaste_config::{Config, split_list};
use posthaste_dsn::report;
use posthaste_dsn::template::{Kind, Template, Templates};
use posthaste_log::{Logger, warn};
use posthaste_service::Fatal;
use std::sync::atomic::{AtomicBool, Ordering};

/// A template with its text expanded.
pub struct Text {
    /// Headers.
    pub template: Template,
    /// The text, lines with line ends.
    pub text: String,
    warnings: Vec<String>,
    warned: AtomicBool,
}

impl Text {
    /// Tells what is odd about the template, the first time it is used.
    pub fn warn(&self, log: &Logger) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            self.warnings.iter().for_each(|text| warn!(log, "{text}"));
        }
    }
}

/// Read once at start.
#[allow(missing_docs, reason = "the names are those of main.cf, of notify_classes and of the templates")]
pub struct Settings {
    pub report: report::Settings,
    pub failure: Text,
    pub delay: Text,
    pub success: Text,
    pub verify: Text,
    pub bounce_size_limit: u64,
    pub bounce_notice_recipient: Option<Address>,
    pub double_bounce_notice_recipient: Option<Address>,
    pub delay_notice_recipient: Option<Address>,
    /// The sender of mail to the postmaster.
    pub double_bounce: Address,
    /// Reports are subject to content checks (`internal_mail_filter_classes`).
    pub filter: bool,
}

impl Settings {
    /// From main.cf and the template file.
    pub fn from_config(config: &Config, log: &Logger) -> Result<Settings, Fatal> {
        let file = config.text("bounce_template_file")?;
        let templates = if file.is_empty() {
            Templates::builtin(config)?
        } else {
            let text =
                std::fs::read(&file).map_err(|error| Fatal(format!("open file {file}: {}", posthaste_config::system_reason(&error))))?;
            Templates::parse(&String::from_utf8_lossy(&text), &file, config).map_err(|error| Fatal(error.to_string()))?
        };
        templates.warnings.iter().for_each(|text| warn!(log, "{text}"));
        let text = |kind| -> Result<Text, Fatal> {
            let template = templates.get(kind).clone();
            let mut warnings = Vec::new();
            let text = template.expand(config, &mut warnings).map_err(|error| Fatal(error.to_string()))?;
            Ok(Text { template, text, warnings, warned: AtomicBool::new(false) })
        };
        let classes = config.text("notify_classes")?;
        let class = |name: &str, parameter: &str| -> Result<Option<Address>, Fatal> {
            let wanted = split_list(&classes).any(|class| class.eq_ignore_ascii_case(name));
            Ok(if wanted { Some(Address::from_external(config.text(parameter)?.as_bytes())) } else { None })
        };
        let filtered = config.text("internal_mail_filter_classes")?;
        Ok(Settings {
            report: report::Settings::from_config(config)?,
            failure: text(Kind::Failure)?,
            delay: text(Kind::Delay)?,
            success: text(Kind::Success)?,
            verify: text(Kind::Verify)?,
            bounce_size_limit: u64::try_from(config.int("bounce_size_limit")?).unwrap_or(0),
            bounce_notice_recipient: class("bounce", "bounce_notice_recipient")?,
            double_bounce_notice_recipient: class("2bounce", "2bounce_notice_recipient")?,
            delay_notice_recipient: class("delay", "delay_notice_recipient")?,
            double_bounce: Address::new(format!("{}@{}", config.text("double_bounce_sender")?, config.text("myhostname")?)),
            filter: split_list(&filtered).any(|class| class.eq_ignore_ascii_case("bounce")),
        })
    }
}
