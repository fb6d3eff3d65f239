//! Submitting a message: envelope, content and `-t` recipients, as records to postdrop(1).

use crate::message::{HeaderRecipients, LineEndings, Piece, Reader};
use crate::options::{Mode, Options};

use crate::{Failed, Place};
use bstr::{BStr, BString};
use posthaste_address::Address;
use posthaste_address::list::AddressList;
use posthaste_ipc::postdrop::{PostDrop, status};
use posthaste_log::warn;
use posthaste_queue::RecordType;
use posthaste_table::StringList;
use std::io::{self, BufReader};
use std::path::Path;
use std::process::ExitCode;

/// `trace_flags`: verify only, or report what the first attempt did.
const VERIFY: u32 = 512;
const RECORD: u32 = 1024;

/// Reads the message and stores it.
pub fn submit(place: &Place, options: &Options) -> Result<ExitCode, Failed> {
    authorize(place)?;
    // As Postfix: by the sender that was given, else by the login name.
    let who = format!("{}({})", options.sender.as_ref().map_or_else(|| place.user.name.clone(), |given| given.to_string()), place.user.uid);
    if options.recipients.is_empty() && !options.from_headers {
        return Err(place.fail(&format!("{who}: Recipient addresses must be specified on the command line or via the -t option")));
    }
    let sender = sender(place, options);
    let recipients = recipients(&options.recipients);
    let commands = place.text("command_directory")?;
    let mut drop = PostDrop::start(Path::new(&commands), place.config.directory(), options.verbose)
        .map_err(|e| place.fail(&format!("{who}: unable to execute {commands}/postdrop -r: {}", posthaste_config::system_reason(&e))))?;
    envelope(place, options, &sender, &mut drop);
    for recipient in &recipients {
        put_recipient(options, recipient, &mut drop);
    }
    drop.record(RecordType::MESSAGE, b"");
    let mut found = Vec::new();
    if options.mode == Mode::Verify {
        probe(&sender, &recipients, &mut drop);
    } else {
        let headers = content(place, options, &mut drop).map_err(|e| place.fail(&format!("{who}: error reading input: {e}")))?;
        if options.from_headers {
            found = headers.finish();
        }
    }
    drop.record(RecordType::EXTRACTED, b"");
    for recipient in &found {
        put_recipient(options, &Address::from_words(recipient), &mut drop);
    }
    if recipients.is_empty() && found.is_empty() {
        // No end record: postdrop gives the file up.
        let _ = drop.finish();
        return Err(place.fail(&format!("{who}: No recipient addresses found in message header")));
    }
    drop.record(RecordType::END, b"");
    let ended = drop.finish().map_err(|e| place.fail(&format!("{who}: unable to execute {commands}/postdrop -r: {e}")))?;
    if ended.broken || ended.status == status::TOO_LARGE {
        warn!(place.log, "mail_stream_cleanup: close error");
    }
    match ended.status {
        0 if !ended.broken => {}
        status::TOO_LARGE => return Err(place.fail(&format!("{who}: message file too big"))),
        _ if !ended.reason.is_empty() => return Err(place.fail(&format!("{who}: {}", ended.reason))),
        _ => return Err(place.fail(&format!("{who}: queue file write error"))),
    }
    if options.verbose > 0 || options.mode == Mode::Verify {
        use io::Write;
        let _ = writeln!(io::stdout(), "Mail Delivery Status Report will be mailed to <{}>.", sender.external());
    }
    Ok(ExitCode::SUCCESS)
}

/// `authorized_submit_users`.
pub fn authorize(place: &Place) -> Result<(), Failed> {
    let value = place.text("authorized_submit_users")?;
    // The default needs no table.
    if value == "static:anyone" {
        return Ok(());
    }
    match StringList::ask("authorized_submit_users", &value, BStr::new(&place.user.name), &place.config) {
        Ok(true) => Ok(()),
        Ok(false) => Err(place.fail(&format!("User {}({}) is not allowed to submit mail", place.user.name, place.user.uid))),
        Err(fault) => Err(place.fail(&fault.text())),
    }
}

/// `-f`, or the user's name.
fn sender(place: &Place, options: &Options) -> Address {
    let Some(given) = &options.sender else { return Address::new(place.user.name.as_str()) };
    if given.trim_ascii().is_empty() || given.trim_ascii() == b"<>" {
        return Address::empty();
    }
    let list = AddressList::parse(given, 1000);
    let mut addresses = list.addresses();
    let first = addresses.next().map(|a| Address::from_words(a)).unwrap_or_default();
    if first.is_empty() || addresses.next().is_some() {
        warn!(place.log, "-f option specified malformed sender: {given}");
    }
    first
}

/// Each word may hold several addresses; an empty one is the empty address.
fn recipients(words: &[BString]) -> Vec<Address> {
    let mut all = Vec::new();
    for word in words {
        let list = AddressList::parse(word, 10_000);
        let before = all.len();
        all.extend(list.addresses().map(|a| Address::from_words(a)));
        if all.len() == before {
            all.push(Address::empty());
        }
    }
    all
}

fn envelope(place: &Place, options: &Options, sender: &Address, drop: &mut PostDrop) {
    if options.sender_options != 0 {
        // A preliminary size record, for its last field alone (3.11).
        drop.record(RecordType::SIZE, format!("{0:>15} {0:>15} {0:>15} {0:>15} {0:>15} {1:>15}", -1, options.sender_options).as_bytes());
    }
    if let Some(id) = &options.envelope_id {
        drop.attribute("envelope_id", id);
    }
    if options.ret != 0 {
        drop.attribute("ret_flags", options.ret.to_string().as_bytes());
    }
    drop.attribute("rewrite_context", if options.gateway { b"remote" } else { b"local" });
    let full_name = full_name(place, options);
    if !full_name.is_empty() {
        drop.record(RecordType::FULLNAME, &full_name);
    }
    drop.record(RecordType::SENDER, sender.as_bytes());
    if let Some(encoding) = options.encoding {
        drop.attribute("encoding", encoding.as_bytes());
    }
    let trace = match (&options.mode, options.verbose) {
        (Mode::Verify, _) => VERIFY,
        (_, 0) => 0,
        _ => RECORD,
    };
    if trace != 0 {
        drop.attribute("trace_flags", trace.to_string().as_bytes());
    }
    if let Some(delimiters) = &options.verp {
        let default = place.config.text("default_verp_delimiters").unwrap_or_else(|_| String::from("+="));
        drop.record(RecordType::VERP, if delimiters.is_empty() { default.as_bytes() } else { delimiters });
    }
}

/// `-F`, the environment, or the user database: where `&` stands for the login name.
fn full_name(place: &Place, options: &Options) -> BString {
    if let Some(name) = &options.full_name {
        return name.clone();
    }
    if let Some(name) = std::env::var_os("NAME").filter(|n| !n.is_empty()) {
        return name.into_encoded_bytes().into();
    }
    let gecos = place.user.gecos.split(',').next().unwrap_or_default();
    let mut login = place.user.name.clone();
    if let Some(first) = login.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    gecos.replace('&', &login).into()
}

fn put_recipient(options: &Options, recipient: &Address, drop: &mut PostDrop) {
    if options.notify != 0 {
        drop.attribute("notify_flags", options.notify.to_string().as_bytes());
    }
    drop.record(RecordType::RECIPIENT, recipient.as_bytes());
}

/// The message that `-bv` sends.
fn probe(sender: &Address, recipients: &[Address], drop: &mut PostDrop) {
    drop.record(RecordType::NORMAL, &[b"From: ", sender.external().as_slice()].concat());
    drop.record(RecordType::NORMAL, b"Subject: probe");
    for (n, recipient) in recipients.iter().enumerate() {
        let end: &[u8] = if n + 1 < recipients.len() { b"," } else { b"" };
        let start: &[u8] = if n == 0 { b"To: " } else { b"    " };
        drop.record(RecordType::NORMAL, &[start, recipient.external().as_slice(), end].concat());
    }
    drop.record(RecordType::NORMAL, b"");
}

fn content(place: &Place, options: &Options, drop: &mut PostDrop) -> io::Result<HeaderRecipients> {
    let endings = match place.config.text("sendmail_fix_line_endings").as_deref() {
        Ok("never") => LineEndings::Never,
        Ok("strict") => LineEndings::Strict,
        _ => LineEndings::Always,
    };
    let limit = place.config.int("line_length_limit").ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(2048);
    let mut reader = Reader::new(BufReader::with_capacity(64 * 1024, io::stdin().lock()), limit, endings, !options.ignore_dots);
    let mut headers = HeaderRecipients::default();
    let mut long = Vec::new();
    while let Some(piece) = reader.piece()? {
        match piece {
            Piece::Line(line) => {
                if options.from_headers {
                    long.extend_from_slice(line);
                    headers.line(&long);
                    long.clear();
                }
                drop.record(RecordType::NORMAL, line);
            }
            Piece::Part(part) => {
                if options.from_headers && long.len() < 1 << 20 {
                    long.extend_from_slice(part);
                }
                drop.record(RecordType::CONTINUED, part);
            }
        }
    }
    Ok(headers)
}
