//! One cleanup service as configured.

use crate::Flags;
use crate::mapping::{Classes, Masquerade};
use posthaste_config::{Config, ConfigError, split_list};
use posthaste_delivery::Style;
use posthaste_log::Logger;
use posthaste_mime::Options;
use posthaste_mime::checks::Checks;
use posthaste_route::{LocalDomains, Rewriter};
use posthaste_table::{Maps, StringList};
use std::sync::Arc;
use std::time::Duration;

/// One cleanup service as configured: parameters read, tables open. Shared by all messages of a process.
pub struct Profile {
    pub(crate) log: Logger,
    pub(crate) style: Style,
    pub(crate) bounce_log_compatible: bool,
    // Addresses.
    pub(crate) rewriter: Rewriter,
    pub(crate) locals: LocalDomains,
    pub(crate) recipient_delimiter: String,
    pub(crate) owner_request_special: bool,
    pub(crate) empty_address_recipient: String,
    pub(crate) enable_original_recipient: bool,
    pub(crate) duplicate_filter_limit: usize,
    pub(crate) utf8: bool,
    // Mappings.
    pub(crate) canonical_maps: Maps,
    pub(crate) sender_canonical_maps: Maps,
    pub(crate) recipient_canonical_maps: Maps,
    pub(crate) canonical_classes: Classes,
    pub(crate) sender_canonical_classes: Classes,
    pub(crate) recipient_canonical_classes: Classes,
    pub(crate) masquerade: Masquerade,
    pub(crate) virtual_alias_maps: Maps,
    pub(crate) virtual_alias_recursion_limit: usize,
    pub(crate) virtual_alias_expansion_limit: usize,
    pub(crate) virtual_alias_address_length_limit: usize,
    pub(crate) propagate_canonical: bool,
    pub(crate) propagate_virtual: bool,
    pub(crate) always_bcc: String,
    pub(crate) sender_bcc_maps: Maps,
    pub(crate) recipient_bcc_maps: Maps,
    // Content.
    pub(crate) checks: Checks,
    pub(crate) mime: Options,
    pub(crate) drop_headers: Vec<String>,
    pub(crate) reject_characters: Option<Box<Characters>>,
    pub(crate) strip_characters: Option<Box<Characters>>,
    pub(crate) replace_stray_cr_lf: bool,
    pub(crate) detect_8bit_encoding_header: bool,
    pub(crate) end_of_header_action: EndOfHeaderAction,
    pub(crate) header_address_token_limit: usize,
    pub(crate) hopcount_limit: usize,
    pub(crate) message_size_limit: u64,
    pub(crate) line_length_limit: usize,
    pub(crate) attribute_limit: usize,
    // Headers of our own.
    pub(crate) always_add_missing_headers: bool,
    pub(crate) undisclosed_recipients_header: String,
    pub(crate) obsolete_from: bool,
    pub(crate) full_name_charset: String,
    pub(crate) myhostname: String,
    pub(crate) long_queue_ids: bool,
    // Envelope.
    pub(crate) delay_warning_time: Duration,
    pub(crate) tls_required: bool,
    autodetect: Vec<String>,
}

/// A set of bytes.
pub(crate) type Characters = [bool; 256];

/// What to do about headers and body without an empty line between them (`non_empty_end_of_header_action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndOfHeaderAction {
    FixQuietly,
    AddHeader,
    Reject,
}

impl Profile {
    /// Whether messages with multiparts too deep in each other are refused: as observed with Postfix, only where headers are checked or one of
    /// the strict settings asks for it.
    pub(crate) fn refuses_nesting(&self) -> bool {
        let mime = &self.mime;
        self.checks.has_header() || mime.strict_7bit_headers || mime.strict_8bitmime_body || mime.strict_encoding_domain
    }

    /// From main.cf with the overrides of the master.cf entry that `cleanup_service_name` names in `config`: that of the calling service,
    /// whose own overrides do not count otherwise.
    pub fn open(config: &Config) -> Result<Arc<Profile>, ConfigError> {
        let config = &config.service_profile("cleanup", &config.text("cleanup_service_name")?)?;
        // Postfix's cleanup leaves completion of addresses to trivial-rewrite.
        let rewriting = config.service_profile("trivial-rewrite", &config.text("rewrite_service_name")?)?;
        let maps = |name: &str| Ok::<_, ConfigError>(Maps::open(name, &config.text(name)?, config));
        let number = |name: &str| Ok::<_, ConfigError>(usize::try_from(config.int(name)?).unwrap_or(usize::MAX));
        let classes = |name: &str| Classes::parse(name, &config.text(name)?);
        let characters = |name: &str| Ok::<_, ConfigError>(parse_characters(&config.text(name)?));
        let propagate = config.text("propagate_unmatched_extensions")?;
        let propagates = |feature: &str| split_list(&propagate).any(|word| word.eq_ignore_ascii_case(feature));
        let strict = config.bool("strict_8bitmime")?;
        let exceptions = StringList::open("masquerade_exceptions", &config.text("masquerade_exceptions")?, config)
            .map_err(|error| ConfigError::Bad(error.reason))?;
        let autodetect = match config.bool("smtputf8_enable")? {
            true => split_list(&config.text("smtputf8_autodetect_classes")?).map(str::to_ascii_lowercase).collect(),
            false => Vec::new(),
        };
        Ok(Arc::new(Profile {
            log: Logger::program(config, "cleanup")?,
            style: Style::from_config(config)?,
            bounce_log_compatible: config.bool("backwards_bounce_logfile_compatibility")?,
            rewriter: Rewriter::open(&rewriting)?,
            locals: LocalDomains::open(config)?,
            recipient_delimiter: config.text("recipient_delimiter")?,
            owner_request_special: config.bool("owner_request_special")?,
            empty_address_recipient: config.text("empty_address_recipient")?,
            enable_original_recipient: config.bool("enable_original_recipient")?,
            duplicate_filter_limit: number("duplicate_filter_limit")?,
            utf8: config.bool("smtputf8_enable")?,
            canonical_maps: maps("canonical_maps")?,
            sender_canonical_maps: maps("sender_canonical_maps")?,
            recipient_canonical_maps: maps("recipient_canonical_maps")?,
            canonical_classes: classes("canonical_classes")?,
            sender_canonical_classes: classes("sender_canonical_classes")?,
            recipient_canonical_classes: classes("recipient_canonical_classes")?,
            masquerade: Masquerade::new(&config.text("masquerade_domains")?, exceptions, classes("masquerade_classes")?),
            virtual_alias_maps: maps("virtual_alias_maps")?,
            virtual_alias_recursion_limit: number("virtual_alias_recursion_limit")?,
            virtual_alias_expansion_limit: number("virtual_alias_expansion_limit")?,
            virtual_alias_address_length_limit: number("virtual_alias_address_length_limit")?,
            propagate_canonical: propagates("canonical"),
            propagate_virtual: propagates("virtual"),
            always_bcc: config.text("always_bcc")?,
            sender_bcc_maps: maps("sender_bcc_maps")?,
            recipient_bcc_maps: maps("recipient_bcc_maps")?,
            checks: Checks::open(config, "")?,
            mime: Options {
                mime: !config.bool("disable_mime_input_processing")?,
                header_size_limit: number("header_size_limit")?,
                boundary_length_limit: number("mime_boundary_length_limit")?,
                nesting_limit: number("mime_nesting_limit")?,
                strict_7bit_headers: strict || config.bool("strict_7bit_headers")?,
                strict_8bitmime_body: strict || config.bool("strict_8bitmime_body")?,
                strict_encoding_domain: config.bool("strict_mime_encoding_domain")?,
                downgrade: config.bool("force_mime_input_conversion")?,
            },
            drop_headers: split_list(&config.text("message_drop_headers")?).map(str::to_ascii_lowercase).collect(),
            reject_characters: characters("message_reject_characters")?,
            strip_characters: characters("message_strip_characters")?,
            replace_stray_cr_lf: config.bool("cleanup_replace_stray_cr_lf")?,
            detect_8bit_encoding_header: config.bool("detect_8bit_encoding_header")?,
            end_of_header_action: EndOfHeaderAction::parse(&config.text("non_empty_end_of_header_action")?)?,
            header_address_token_limit: number("header_address_token_limit")?,
            hopcount_limit: number("hopcount_limit")?,
            message_size_limit: config.int("message_size_limit")?.unsigned_abs(),
            line_length_limit: number("line_length_limit")?,
            attribute_limit: number("queue_file_attribute_count_limit")?,
            always_add_missing_headers: config.bool("always_add_missing_headers")?,
            undisclosed_recipients_header: config.text("undisclosed_recipients_header")?,
            obsolete_from: match config.text("header_from_format")?.to_ascii_lowercase().as_str() {
                "standard" => false,
                "obsolete" => true,
                other => return Err(ConfigError::Bad(format!("invalid setting: \"header_from_format = {other}\""))),
            },
            full_name_charset: config.text("full_name_encoding_charset")?,
            myhostname: config.text("myhostname")?,
            long_queue_ids: config.bool("enable_long_queue_ids")?,
            delay_warning_time: config.time("delay_warning_time")?,
            tls_required: config.bool("tls_required_enable")?,
            autodetect,
        }))
    }

    /// Whether some table may block: then feed the pipeline from a blocking thread.
    pub fn may_block(&self) -> bool {
        let maps = [
            &self.canonical_maps,
            &self.sender_canonical_maps,
            &self.recipient_canonical_maps,
            &self.virtual_alias_maps,
            &self.sender_bcc_maps,
            &self.recipient_bcc_maps,
        ];
        maps.iter().any(|maps| maps.may_block()) || self.checks.may_block() || self.locals.may_block()
    }

    /// Whether mail of this origin (`sendmail`, `smtpd`, `qmqpd`, `forward`, `bounce`, `notify`, `verify`) is looked at for whether it needs
    /// SMTPUTF8 (`smtputf8_autodetect_classes`): the value for [`crate::Flags::smtputf8_autodetect`].
    pub fn autodetects_smtputf8(&self, origin: &str) -> bool {
        self.autodetect.iter().any(|class| class == origin || class == "all")
    }
}

impl Flags {
    /// For mail that a service takes in, with `receive_override_options` of its `config`; `origin` as in [`Profile::autodetects_smtputf8`].
    pub fn received(config: &Config, profile: &Profile, origin: &str) -> Result<Flags, ConfigError> {
        let mut flags = Flags {
            filter: true,
            milter: true,
            address_mappings: true,
            bcc: true,
            smtputf8_autodetect: profile.autodetects_smtputf8(origin),
            ..Flags::default()
        };
        let options = config.text("receive_override_options")?;
        for option in split_list(&options) {
            match option {
                "no_address_mappings" => (flags.address_mappings, flags.bcc) = (false, false),
                "no_header_body_checks" => flags.filter = false,
                "no_milters" => flags.milter = false,
                // A matter of the SMTP server's.
                "no_unknown_recipient_checks" => {}
                other => return Err(ConfigError::Bad(format!("unknown receive_override_options value \"{other}\" in \"{options}\""))),
            }
        }
        Ok(flags)
    }
}

impl EndOfHeaderAction {
    fn parse(text: &str) -> Result<EndOfHeaderAction, ConfigError> {
        match text {
            "fix_quietly" => Ok(EndOfHeaderAction::FixQuietly),
            "add_header" => Ok(EndOfHeaderAction::AddHeader),
            "reject" => Ok(EndOfHeaderAction::Reject),
            other => Err(ConfigError::Bad(format!("invalid setting: \"non_empty_end_of_header_action = {other}\""))),
        }
    }
}

/// A set of characters with C escapes: `\0`, `\a`, `\377`. `None` for the empty set.
fn parse_characters(text: &str) -> Option<Box<Characters>> {
    let mut set = Box::new([false; 256]);
    let mut bytes = text.bytes().peekable();
    while let Some(c) = bytes.next() {
        let c = match c {
            b'\\' => match bytes.next() {
                Some(b'a') => 7,
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(digit @ b'0'..=b'7') => {
                    let mut value = u32::from(digit - b'0');
                    for _ in 0..2 {
                        if let Some(digit) = bytes.next_if(|c| (b'0'..=b'7').contains(c)) {
                            value = value * 8 + u32::from(digit - b'0');
                        }
                    }
                    (value & 255) as u8
                }
                Some(other) => other,
                None => b'\\',
            },
            c => c,
        };
        set[usize::from(c)] = true;
    }
    set.iter().any(|&c| c).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters() {
        let set = |text: &str| parse_characters(text).map(|set| (0..=255u8).filter(|c| set[usize::from(*c)]).collect::<Vec<_>>());
        assert_eq!(set(""), None);
        assert_eq!(set(r"\0\a\377x\\"), Some(vec![0, 7, b'\\', b'x', 255]));
        assert_eq!(set(r"\1012\"), Some(vec![b'2', b'A', b'\\']));
    }
}
