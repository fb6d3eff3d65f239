//! Messages to files (`-d`, `-D`).

use crate::engine::{Engine, Mail};
use crate::options::Dump;
use crate::server::Shared;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

/// Writes one message.
pub fn write(mail: &Mail, engine: &Engine<'_>, address: &str, shared: &Shared) -> io::Result<()> {
    let id = format!("{:08x}", shared.number() as u32);
    let now = jiff::Zoned::now();
    let name = match &shared.options.dump {
        Dump::None => return Ok(()),
        Dump::Single(template) => expand(template, &now)? + &id,
        Dump::Append(template) => expand(template, &now)?,
    };
    if let Some(folder) = Path::new(&name).parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut out = shared.options.start_text.clone();
    let bare = address.strip_prefix("ipv6:").unwrap_or(address);
    let (helo, host, proto) = (engine.helo.as_deref(), &shared.options.hostname, engine.protocol);
    write!(out, "X-Client-Addr: {address}\nX-Client-Proto: {proto}\n")?;
    if let Some(helo) = helo {
        writeln!(out, "X-Helo-Args: {helo}")?;
    }
    writeln!(out, "X-Mail-Args: {}", mail.mail)?;
    for recipient in &mail.recipients {
        writeln!(out, "X-Rcpt-Args: {recipient}")?;
    }
    let from = helo.map_or_else(|| format!("[{bare}]"), str::to_owned);
    let date = posthaste_queue::clock::mail_date(SystemTime::now());
    write!(out, "Received: from {from} ([{bare}])\n\tby {host} (smtp-sink) with {proto} id {id};\n\t{date}\n")?;
    out.extend_from_slice(&mail.text);
    out.push(b'\n');
    let mut open = OpenOptions::new();
    match shared.options.dump {
        Dump::Append(_) => open.append(true).create(true),
        _ => open.write(true).create_new(true),
    };
    open.open(&name)?.write_all(&out)
}

fn expand(template: &str, now: &jiff::Zoned) -> io::Result<String> {
    jiff::fmt::strtime::format(template, now).map_err(io::Error::other)
}
