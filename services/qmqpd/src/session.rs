//! One client from connect to disconnect.

use crate::mail::{Incoming, Outcome};
use crate::netstring::{Event, Part, Reader, reply};
use crate::{Client, Qmqpd};
use bstr::ByteSlice;
use posthaste_config::system_reason;
use posthaste_log::{info, warn};
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Why there is no reply.
#[derive(Clone, Copy, Debug)]
enum Lost {
    Timeout,
    Connection,
}

/// Serves one client to its end.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(qmqpd: &Rc<Qmqpd>, mut stream: S, client: Client) {
    let label = client.label(qmqpd.settings.port_logging);
    info!(qmqpd.log, "connect from {label}");
    match qmqpd.clients.matches(client.name.as_bytes().as_bstr(), client.ip.to_string().as_bytes().as_bstr()) {
        Ok(true) => receive(qmqpd, &mut stream, &client, &label).await,
        Ok(false) => {
            // Ports are for our own log.
            let text = format!("Error: {} is not authorized to use this service", client.label(false));
            let _ = answer(qmqpd, &mut stream, 'D', &text).await;
        }
        // The client may try again: whether it is authorized is not known. The list has logged the reason.
        Err(_) => {
            let _ = answer(qmqpd, &mut stream, 'Z', "Error: server configuration error").await;
        }
    }
    info!(qmqpd.log, "disconnect from {label}");
}

async fn receive<S: AsyncRead + AsyncWrite + Unpin>(qmqpd: &Rc<Qmqpd>, stream: &mut S, client: &Client, label: &str) {
    if qmqpd.notifier.slow() && !qmqpd.settings.in_flow_delay.is_zero() {
        tokio::time::sleep(qmqpd.settings.in_flow_delay).await;
    }
    let mut mail = match Incoming::begin(qmqpd, client) {
        Ok(mail) => mail,
        Err(error) => {
            warn!(qmqpd.log, "create a queue file in incoming: {}", system_reason(&error));
            let _ = answer(qmqpd, stream, 'Z', "Error: queue file write error").await;
            return;
        }
    };
    let id = mail.id().to_owned();
    info!(qmqpd.log, "{id}: client={label}");
    let settings = &qmqpd.settings;
    let mut reader = Reader::new(settings.message_size_limit, settings.line_length_limit as u64);
    match exchange(qmqpd, stream, &mut reader, &mut mail).await {
        Err(lost) => {
            let what = match lost {
                Lost::Timeout => "read/write timeout",
                Lost::Connection => "lost connection",
            };
            info!(qmqpd.log, "{id}: {label}: {what} while receiving {}", reader.part().name());
        }
        Ok(Some(fault)) => {
            let text = format!("{fault} while receiving {}", reader.part().name());
            info!(qmqpd.log, "{id}: {label}: {text}");
            let _ = answer(qmqpd, stream, 'D', &text).await;
        }
        Ok(None) => {
            let Outcome { letter, text } = mail.finish(qmqpd).await;
            if letter != 'K' {
                warn!(qmqpd.log, "{id}: {label}: {text}");
            }
            if let Err(lost) = answer(qmqpd, stream, letter, &text).await {
                let what = match lost {
                    Lost::Timeout => "read/write timeout",
                    Lost::Connection => "lost connection",
                };
                info!(qmqpd.log, "{id}: {label}: {what} while sending completion status");
            }
        }
    }
}

/// Reads the request to its end or to what is wrong with it.
async fn exchange<S: AsyncRead + Unpin>(
    qmqpd: &Qmqpd,
    stream: &mut S,
    reader: &mut Reader,
    mail: &mut Incoming,
) -> Result<Option<&'static str>, Lost> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        buffer.clear();
        match timeout(qmqpd.settings.timeout, stream.read_buf(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return Err(Lost::Connection),
            Ok(Ok(_)) => {}
            Err(_) => return Err(Lost::Timeout),
        }
        let mut input = &buffer[..];
        loop {
            match reader.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::End)) => return Ok(None),
                Ok(Some(Event::Content(content))) => mail.content(content),
                Ok(Some(Event::Sender(sender))) => mail.sender(qmqpd, sender),
                Ok(Some(Event::Recipient(recipient))) => mail.recipient(recipient),
                Err(fault) => return Ok(Some(fault.text())),
            }
        }
        if reader.part() == Part::Recipient {
            mail.flush(qmqpd).await;
        }
    }
}

/// Replies; refusals after a pause (`qmqpd_error_delay`).
async fn answer<S: AsyncWrite + Unpin>(qmqpd: &Qmqpd, stream: &mut S, letter: char, text: &str) -> Result<(), Lost> {
    let settings = &qmqpd.settings;
    if letter != 'K' && !settings.error_delay.is_zero() {
        tokio::time::sleep(settings.error_delay).await;
    }
    let send = async {
        stream.write_all(&reply(letter, text)).await?;
        stream.shutdown().await
    };
    match timeout(settings.timeout, send).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Lost::Connection),
        Err(_) => Err(Lost::Timeout),
    }
}
