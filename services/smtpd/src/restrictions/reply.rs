//! The reply of a restriction: code, enhanced code, text, and how they are made to fit.

use bstr::{BStr, ByteSlice};
use posthaste_log::{Logger, info, warn};
use posthaste_smtp_protocol::server::{Refusal, notice};

/// A reply that refuses, not yet sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub code: u16,
    /// `X.Y.Z text`.
    pub text: String,
    /// A [`notice`] bit.
    pub class: u8,
}

impl Reject {
    /// `CODE DSN <NAME>: CLASS rejected: TEXT`.
    pub fn new(code: u16, dsn: &str, name: &BStr, class: &str, text: &str) -> Reject {
        Reject::plain(code, &format!("{dsn} <{name}>: {class} rejected: {text}"))
    }

    /// `CODE TEXT`, where the text begins with the enhanced code.
    pub fn plain(code: u16, text: &str) -> Reject {
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Reject { code, text, class: notice::POLICY }
    }

    /// For faults of the configuration.
    pub fn software(mut self) -> Reject {
        self.class = notice::SOFTWARE;
        self
    }

    /// A whole reply made from a template: `554 5.7.1 text`, or `554 text`, which gets 5.7.1. `None` when it does not begin with a code.
    pub fn from_template(text: &BStr) -> Option<Reject> {
        let text = text.to_str_lossy();
        let (code, rest) = text.split_at_checked(3)?;
        let code: u16 = code.parse().ok().filter(|code| (400..600).contains(code))?;
        let rest = rest.strip_prefix(' ')?.trim_start();
        let (dsn, rest) = match split_dsn(rest) {
            Some((dsn, rest)) => (dsn.to_owned(), rest),
            None => ("5.7.1".to_owned(), rest),
        };
        Some(Reject::plain(code, &format!("{dsn} {rest}")))
    }

    /// The final reply. A code that is none is a fault of the configuration; the first digit of the enhanced code follows the code.
    pub fn into_refusal(self, log: &Logger) -> Refusal {
        if !(400..600).contains(&self.code) {
            warn!(log, "SMTP reply code configuration error: {} {}", self.code, self.text);
            return Refusal { reply: "450 4.7.1 Service unavailable".into(), class: notice::SOFTWARE, log: true };
        }
        let digit = if self.code >= 500 { '5' } else { '4' };
        let mut text = self.text;
        if split_dsn(&text).is_some() {
            text.replace_range(..1, digit.encode_utf8(&mut [0; 4]));
        }
        Refusal { reply: format!("{} {text}", self.code), class: self.class, log: true }
    }
}

/// Splits an enhanced status code (RFC 3463) off the beginning of a text.
pub fn split_dsn(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = word.split('.');
    let class = parts.next()?;
    let ok = matches!(class, "2" | "4" | "5")
        && parts.clone().count() == 2
        && parts.all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit()));
    ok.then(|| (word, rest.trim_start()))
}

/// An enhanced code about addresses (X.1.Y) that comes out of a table is made to fit what is refused.
pub fn fit_dsn(dsn: &str, class: &str, log: &Logger) -> String {
    let mut parts = dsn.splitn(3, '.');
    let (Some(first), Some("1"), Some(last)) = (parts.next(), parts.next(), parts.next()) else { return dsn.to_owned() };
    let fitted = match class {
        "Sender address" => match last {
            "0" | "7" | "8" => return dsn.to_owned(),
            "1" | "3" | "4" | "6" => format!("{first}.1.7"),
            "2" => format!("{first}.1.8"),
            _ => format!("{first}.1.0"),
        },
        "Recipient address" => match last {
            "0" | "1" | "2" | "3" | "4" | "5" | "6" => return dsn.to_owned(),
            "7" => format!("{first}.1.3"),
            "8" => format!("{first}.1.2"),
            _ => format!("{first}.1.0"),
        },
        _ => format!("{first}.0.0"),
    };
    info!(log, "mapping DSN status {dsn} into {class} status {fitted}");
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Logger {
        Logger::new("postfix/smtpd")
    }

    /// S-UBE-04: `554 4.7.1 weird` becomes `554 5.7.1 weird`.
    #[test]
    fn the_enhanced_code_follows_the_code() {
        let reply = |code, text| Reject::plain(code, text).into_refusal(&log()).reply;
        assert_eq!(reply(554, "4.7.1 weird"), "554 5.7.1 weird");
        assert_eq!(reply(450, "5.7.1 weird"), "450 4.7.1 weird");
        assert_eq!(reply(450, "no code\r\nhere"), "450 no code  here");
        assert_eq!(reply(250, "2.0.0 fine"), "450 4.7.1 Service unavailable");
    }

    #[test]
    fn templates() {
        let reply = |text: &str| Reject::from_template(text.into()).map(|reject| (reject.code, reject.text));
        assert_eq!(reply("554 Service unavailable; x"), Some((554, "5.7.1 Service unavailable; x".into())));
        assert_eq!(reply("450 4.7.9 x"), Some((450, "4.7.9 x".into())));
        assert_eq!(reply("Blocked   via ;"), None);
        assert_eq!(reply("250 ok"), None);
    }

    #[test]
    fn address_codes_are_fitted() {
        let fit = |dsn, class| fit_dsn(dsn, class, &log());
        assert_eq!(fit("5.1.1", "Client host"), "5.0.0");
        assert_eq!(fit("5.1.1", "Recipient address"), "5.1.1");
        assert_eq!(fit("5.1.8", "Recipient address"), "5.1.2");
        assert_eq!(fit("4.1.2", "Sender address"), "4.1.8");
        assert_eq!(fit("4.1.1", "Sender address"), "4.1.7");
        assert_eq!(fit("5.1.9", "Recipient address"), "5.1.0");
        assert_eq!(fit("5.7.1", "Client host"), "5.7.1");
    }

    #[test]
    fn enhanced_codes() {
        assert_eq!(split_dsn("5.7.1 no"), Some(("5.7.1", "no")));
        assert_eq!(split_dsn("4.12.123"), Some(("4.12.123", "")));
        for text in ["3.7.1 x", "5.7 x", "5.7.1234 x", "x", "5.7.a x", "5..1 x"] {
            assert_eq!(split_dsn(text), None, "{text}");
        }
    }
}
