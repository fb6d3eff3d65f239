//! What this mail system can do: table types, lock types, SASL plug-ins, TLS; and the templates of reports.

use crate::options::{Options, Target};
use crate::{Failed, Terminal, load};
use posthaste_config::system_reason;
use posthaste_dsn::template::{TemplateError, Templates};

/// Mailbox locks (`mailbox_delivery_lock`).
const LOCKS: [&str; 3] = ["flock", "fcntl", "dotlock"];
/// Types of SASL plug-ins in the SMTP server (`smtpd_sasl_type`).
const SERVER_SASL: [&str; 2] = ["cyrus", "dovecot"];
/// Types of SASL plug-ins in the SMTP client (`smtp_sasl_type`).
const CLIENT_SASL: [&str; 1] = ["cyrus"];
/// The TLS library. It is part of the program, so that there is no difference between the version built with and the version run with.
const TLS_LIBRARY: &str = "rustls with aws-lc-rs";
/// Types of keys that certificates may have.
const PUBLIC_KEYS: [&str; 3] = ["ecdsa", "ed25519", "rsa"];

/// `postconf -a|-A|-b|-l|-m|-t|-T`.
pub fn show(target: Target, options: &Options, terminal: &Terminal) -> Result<(), Failed> {
    match target {
        Target::ClientSasl => list(&CLIENT_SASL, terminal),
        Target::Locks => list(&LOCKS, terminal),
        Target::ServerSasl => list(&SERVER_SASL, terminal),
        Target::Tables => list(posthaste_table::TYPES, terminal),
        Target::Tls => match options.tls_mode.as_str() {
            "compile-version" | "run-version" => terminal.line(TLS_LIBRARY),
            "public-key-algorithms" => list(&PUBLIC_KEYS, terminal),
            mode => {
                terminal.warn(format_args!("unknown 'postconf -T' mode: {mode}"));
                return Err(Failed);
            }
        },
        _ => templates(target, options, terminal)?,
    }
    Ok(())
}

fn list(names: &[&str], terminal: &Terminal) {
    for name in names {
        terminal.line(name);
    }
}

/// The name in which messages about templates come.
const BOUNCE: &str = "postfix/bounce";

/// `-b` and `-t`. Messages come in the name of bounce(8), whose templates these are.
fn templates(target: Target, options: &Options, terminal: &Terminal) -> Result<(), Failed> {
    let config = load(options, terminal)?;
    let file = match &options.operands[..] {
        [] => config.text("bounce_template_file").map_err(|error| terminal.config_error(error))?,
        [file] => file.clone(),
        _ => return Err(terminal.fatal("options -b and -t require at most one template file")),
    };
    let failed = |error: TemplateError| {
        if let TemplateError::Reference { reason, .. } = &error {
            terminal.warn_as(BOUNCE, reason);
        }
        terminal.fatal_as(BOUNCE, error)
    };
    let templates = if file.is_empty() {
        Templates::builtin(&config).map_err(|error| terminal.config_error(error))?
    } else {
        let bytes =
            std::fs::read(&file).map_err(|error| terminal.fatal_as(BOUNCE, format_args!("open {file}: {}", system_reason(&error))))?;
        Templates::parse(&String::from_utf8_lossy(&bytes), &file, &config).map_err(failed)?
    };
    let mut warnings = templates.warnings.clone();
    let text = if target == Target::Templates { Ok(templates.display()) } else { templates.display_expanded(&config, &mut warnings) };
    for warning in warnings {
        terminal.warn_as(BOUNCE, warning);
    }
    terminal.line(text.map_err(failed)?.trim_end_matches('\n'));
    Ok(())
}
