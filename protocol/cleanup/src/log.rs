//! Lines of the log about content, and what of them goes into reports.

use crate::content::Content;
use bstr::{BStr, ByteSlice};
use posthaste_delivery::ShownAddress;
use posthaste_log::info;
use std::fmt;

/// How much of a header or line a log line shows.
const SHOWN: usize = 200;
/// And of what is wrong in its structure.
const SHOWN_FAULT: usize = 100;

/// ` from ORIGIN; from=<…> to=<…> proto=… helo=<…>`
struct Whence<'a> {
    content: &'a Content,
    /// Faults of MIME structure are logged without protocol and name.
    short: bool,
}

impl fmt::Display for Whence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content;
        let style = content.profile.style;
        let origin = match content.origin.is_empty() {
            // Mail from pickup says nothing of its origin.
            true => BStr::new("local"),
            false => content.origin.as_bstr(),
        };
        write!(f, "from {origin}; from=<{}>", ShownAddress::new(&content.envelope.sender, style))?;
        write!(f, " to=<{}>", ShownAddress::new(&content.last_recipient, style))?;
        let about = &content.envelope.origin;
        if !self.short && !about.log_protocol_name.is_empty() {
            write!(f, " proto={}", about.log_protocol_name)?;
        }
        if !self.short && !about.log_helo_name.is_empty() {
            write!(f, " helo=<{}>", about.log_helo_name)?;
        }
        Ok(())
    }
}

impl Content {
    /// `QID: reject: header Subject: x from …: text`; `what` is `header`, `body` or `content`.
    pub fn log_action(&self, word: &str, what: &str, line: &[u8], text: &BStr) {
        let line = line[..line.len().min(SHOWN)].as_bstr();
        let whence = Whence { content: self, short: false };
        let id = self.id();
        match text.is_empty() {
            true => info!(self.profile.log, "{id}: {word}: {what} {line} {whence}"),
            false => info!(self.profile.log, "{id}: {word}: {what} {line} {whence}: {text}"),
        }
    }

    /// `QID: reject: mime-error TEXT: LINE from …`
    pub fn log_fault(&self, text: &str, line: &[u8]) {
        let line = line[..line.len().min(SHOWN_FAULT)].as_bstr();
        let whence = Whence { content: self, short: true };
        info!(self.profile.log, "{}: reject: mime-error {text}: {line} {whence}", self.id());
    }
}
