//! Refusals as the client sees them: `smtpd_reject_filter_maps`, then `smtpd_reject_footer_maps` and `smtpd_reject_footer`.

use crate::restrictions::{address_value, client_value, filtered, is_address_name, unescape, unknown_name};
use bstr::{BStr, BString, ByteSlice};
use posthaste_config::Config;
use posthaste_config::expand::{MacroError, expand};
use posthaste_log::{Logger, warn};
use posthaste_service::Fatal;
use posthaste_smtp_protocol::server::{RefusalContext, RefusalEditor};
use posthaste_table::Maps;

struct Editor {
    filter: Maps,
    footer: String,
    footer_maps: Maps,
    characters: Vec<u8>,
    server_name: String,
    log: Logger,
}

/// `None` when no parameter asks for a change.
pub fn editor(config: &Config, log: &Logger) -> Result<Option<RefusalEditor>, Fatal> {
    let open = |name: &str| -> Result<Maps, Fatal> { Ok(Maps::open(name, &config.text(name)?, config)) };
    let editor = Editor {
        filter: open("smtpd_reject_filter_maps")?,
        footer: config.text("smtpd_reject_footer")?,
        footer_maps: open("smtpd_reject_footer_maps")?,
        characters: unescape(&config.text("smtpd_expansion_filter")?),
        server_name: config.text("myhostname")?,
        log: log.clone(),
    };
    if editor.filter.is_empty() && editor.footer.is_empty() && editor.footer_maps.is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::new(move |context, text| editor.edit(context, text))))
}

impl Editor {
    fn edit(&self, context: &RefusalContext<'_>, text: &str) -> Option<String> {
        let filtered = match self.filter.find(BStr::new(text.as_bytes())) {
            Ok(found) => found.map(|value| value.to_str_lossy().into_owned()),
            Err(_) => None,
        };
        let text = filtered.as_deref().unwrap_or(text);
        let from_table = self.footer_maps.find(BStr::new(text.as_bytes())).ok().flatten();
        let footer = match &from_table {
            Some(footer) => footer.as_bstr(),
            None => BStr::new(self.footer.as_bytes()),
        };
        if footer.is_empty() {
            return filtered;
        }
        Some(self.add(context, text, footer))
    }

    /// `\c` at the start of the footer continues the line; without it, and at each `\n` in it, a further line begins, with code and enhanced code.
    fn add(&self, context: &RefusalContext<'_>, text: &str, footer: &BStr) -> String {
        let (same_line, footer) = match footer.strip_prefix(b"\\c") {
            Some(rest) => (true, rest),
            None => (false, footer.as_bytes()),
        };
        let expanded = expand::<MacroError>(footer, &mut |name| {
            let value = match name {
                "server_name" => Some(BString::from(self.server_name.as_str())),
                _ => address_value(name, context.sender, context.recipient)
                    .or_else(|| client_value(name, context.client, &context.label, context.helo)),
            };
            if value.is_none() && !is_address_name(name) {
                unknown_name(name, &self.log);
            }
            Ok(value.map(|value| filtered(&value, &self.characters)))
        })
        .unwrap_or_else(|error| {
            warn!(self.log, "bad macro in SMTP reject footer: {error}");
            footer.to_vec()
        });
        let expanded = expanded.to_str_lossy();
        let code = &text[..text.len().min(3)];
        let rest = text.get(4..).unwrap_or_default();
        let dsn = rest.split(' ').next().filter(|word| word.split('.').count() == 3 && word.starts_with(&code[..1.min(code.len())]));
        let head = dsn.map_or_else(String::new, |dsn| format!("{dsn} "));
        let mut lines: Vec<String> = vec![rest.to_owned()];
        for (at, part) in expanded.split("\\n").enumerate() {
            match lines.last_mut() {
                Some(last) if at == 0 && same_line => last.push_str(part),
                _ => lines.push(format!("{head}{part}")),
            }
        }
        let last = lines.len() - 1;
        let numbered: Vec<String> =
            lines.iter().enumerate().map(|(at, line)| format!("{code}{}{line}", if at == last { ' ' } else { '-' })).collect();
        numbered.join("\r\n")
    }
}
