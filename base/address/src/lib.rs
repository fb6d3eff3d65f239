//! Mail addresses: RFC 5321 and 5322 parsing and quoting as Postfix understands them.
//!
//! An [`Address`] is in *internal* form: unquoted, `local@domain` split at the last `@`, possibly without a domain, empty for `<>`.
//! It is bytes, since strangers send what they like. The *external* form, quoted as RFC 5322 wants, is what goes into headers, SMTP
//! commands and log lines.

//!
//! ```
//! use posthaste_address::Address;
//! let address = Address::from_external(br#""a b"@example.com"#);
//! assert_eq!(address.as_bytes(), "a b@example.com");
//! assert_eq!(address.external(), r#""a b"@example.com"#);
//! ```

mod extension;
pub mod idn;
pub mod list;
mod quote;
pub mod token;

pub use quote::is_dot_string;

use bstr::{BStr, BString, ByteSlice};
use std::borrow::Cow;
use std::fmt;

/// An address in internal form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(BString);

impl Address {
    /// From internal form, as it is.
    pub fn new(internal: impl Into<BString>) -> Address {
        Address(internal.into())
    }

    /// The empty address, `<>`.
    pub fn empty() -> Address {
        Address::default()
    }

    /// Whether this is `<>`.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The internal form.
    pub fn as_bytes(&self) -> &BStr {
        self.0.as_bstr()
    }

    /// What stands before the last `@`, or all.
    pub fn local(&self) -> &BStr {
        match self.0.rfind_byte(b'@') {
            Some(at) => self.0[..at].as_bstr(),
            None => self.0.as_bstr(),
        }
    }

    /// What stands after the last `@`.
    pub fn domain(&self) -> Option<&BStr> {
        self.0.rfind_byte(b'@').map(|at| self.0[at + 1..].as_bstr())
    }
}

/// The internal form; use [`Address::external`] for log lines, headers and SMTP.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.as_bstr(), f)
    }
}

impl Address {
    /// The external form: the local part quoted where RFC 5322 asks for it (`"a b"@c`); empty stays empty. A source route in front
    /// (`@a:b@c`) is left as it is.
    pub fn external(&self) -> BString {
        quote::quote(self.as_bytes())
    }

    /// Like [`Address::external`], without a copy when nothing needs quotes.
    pub fn external_cow(&self) -> Cow<'_, BStr> {
        match quote::is_dot_string(self.local()) || self.is_empty() {
            true => Cow::Borrowed(self.as_bytes()),
            false => Cow::Owned(self.external()),
        }
    }

    /// From external form (`"a b"@c`, without `<>`): quotes and backslashes of the local part removed.
    pub fn from_external(text: &[u8]) -> Address {
        Address(quote::unquote(text))
    }

    /// From the words of an address as it stands in a header or command: like [`Address::from_external`], but quotes and backslashes of the
    /// domain go too, and what is not closed is.
    pub fn from_words(text: &[u8]) -> Address {
        match text.iter().all(|&c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'@' | b'-' | b'_' | b'+' | b'=')) {
            true => Address::new(text),
            false => Address(token::join_address(&token::scan(text, usize::MAX), token::Form::Bare)),
        }
    }

    /// Splits the local part at the first character of `delimiters` (`recipient_delimiter`): `user+ext@d` gives `user@d` and `ext`
    /// (without the delimiter; [`Address::extension_at`] tells which it was). `None` where there is no extension. `mailer-daemon`,
    /// `double-bounce`, `postmaster` (case ignored) and, at `-`, `owner-…` and `…-request` (`owner_request_special`) are never split.
    pub fn split_extension(&self, delimiters: &str, owner_request_special: bool) -> Option<(Address, BString)> {
        let at = self.extension_at(delimiters, owner_request_special)?;
        let local = self.local();
        let mut base = BString::from(&local[..at]);
        base.extend_from_slice(&self.0[local.len()..]);
        Some((Address(base), BString::from(&local[at + 1..])))
    }

    /// The index of the delimiter that [`Address::split_extension`] splits at.
    pub fn extension_at(&self, delimiters: &str, owner_request_special: bool) -> Option<usize> {
        extension::position(self.local(), delimiters, owner_request_special)
    }
}

impl From<&str> for Address {
    /// From internal form.
    fn from(internal: &str) -> Address {
        Address::new(internal)
    }
}

#[cfg(test)]
mod tests;
