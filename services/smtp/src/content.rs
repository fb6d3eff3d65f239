//! The message on its way from the queue file to the server.

use crate::session::{Broken, Session};
use crate::settings::Settings;
use crate::transform::{Rules, Stop};
use bstr::{BString, ByteSlice};
use posthaste_ipc::delivery::Request;
use posthaste_log::{Logger, info};
use posthaste_queue::{Content, ReadError, Text};
use posthaste_smtp_protocol::client::{BodyWriter, Stage};

/// Sent at one time. A smaller message goes out in one piece with the final dot.
const CHUNK: usize = 64 * 1024;

/// Why the content could not be sent.
#[derive(Debug)]
pub enum ContentError {
    /// The server or the way to it.
    Broken(Broken),
    /// Our queue file.
    Read(ReadError),
    /// A table that the content is checked or changed by: which. The table itself has warned of its error.
    Table(&'static str),
    /// It cannot be converted for this server: why.
    Structure(&'static str),
}

impl From<Stop> for ContentError {
    fn from(stop: Stop) -> ContentError {
        match stop {
            Stop::Table(which) => ContentError::Table(which),
            Stop::Structure(why) => ContentError::Structure(why),
        }
    }
}

impl From<Broken> for ContentError {
    fn from(broken: Broken) -> ContentError {
        ContentError::Broken(broken)
    }
}

impl From<ReadError> for ContentError {
    fn from(error: ReadError) -> ContentError {
        ContentError::Read(error)
    }
}

/// What is sent, and how.
pub struct Sending<'a> {
    /// The request.
    pub request: &'a Request,
    /// The recipient that added headers name.
    pub recipient: Option<u32>,
    /// Parameters.
    pub settings: &'a Settings,
    /// Changes to the content.
    pub rules: &'a Rules,
    /// Where to log.
    pub log: &'a Logger,
}

/// Sends the content, with the headers that `flags=` asks for in front. What is left in `out` at the end goes with the final dot.
pub async fn send(session: &mut Session, content: &mut Content, sending: &Sending<'_>, out: &mut Vec<u8>) -> Result<(), ContentError> {
    let Sending { request, recipient, settings, rules, log } = *sending;
    let mut writer = BodyWriter::new(settings.line_length_limit);
    session.begin_body(settings);
    for header in added_headers(request, recipient, settings) {
        writer.line(&header, out);
    }
    // What the sender called 7bit is taken at its word.
    let seven_bit = !session.features.eight_bit_mime && request.encoding != "7bit";
    let mut transform = rules.begin(seven_bit, &request.id, log);
    loop {
        let (text, whole) = match content.next()? {
            Some(Text::Line(line)) => (line, true),
            Some(Text::Piece(piece)) => (piece, false),
            None => break,
        };
        match &mut transform {
            Some(transform) => {
                if let Err(stop) = transform.line(text, whole, &mut writer, out) {
                    // What was converted before goes out, as with Postfix; without the end of data the server drops it.
                    if matches!(stop, Stop::Structure(_)) {
                        session.send(out, Stage::Body, settings).await?;
                    }
                    return Err(stop.into());
                }
            }
            None if whole => writer.line(text, out),
            None => writer.piece(text, out),
        }
        if out.len() >= CHUNK {
            session.send(out, Stage::Body, settings).await?;
        }
    }
    if let Some(transform) = &mut transform {
        transform.end(&mut writer, out)?;
    }
    writer.finish(out);
    if writer.has_broken_lines() {
        info!(log, "{}: breaking line > {} bytes with <CR><LF>SPACE", request.id, settings.line_length_limit);
    }
    session.pause_before_dot(out, settings).await?;
    Ok(())
}

fn added_headers(request: &Request, recipient: Option<u32>, settings: &Settings) -> Vec<BString> {
    let flags = settings.flags;
    let mut headers = Vec::new();
    let recipient = recipient.and_then(|i| request.recipients.get(i as usize));
    let mut add = |name: &str, value: BString| {
        let mut line = BString::from(name);
        line.extend_from_slice(&value.replace(b"\n", b" "));
        headers.push(line);
    };
    if flags.return_path {
        let mut value = BString::from("<");
        value.extend_from_slice(&request.sender.external());
        value.push(b'>');
        add("Return-Path: ", value);
    }
    if let Some(recipient) = recipient {
        if flags.original_to && !recipient.original.is_empty() {
            add("X-Original-To: ", recipient.original.external());
        }
        if flags.delivered_to {
            add("Delivered-To: ", recipient.address.external());
        }
    }
    headers
}
