//! Dates for headers and templates.

use jiff::{Timestamp, Zoned};
use std::cell::RefCell;
use std::time::SystemTime;

/// The present time as RFC 5322 §3.3 writes it; computed once a second, since every message needs it.
#[derive(Default)]
pub struct Dates {
    last: RefCell<(i64, String)>,
}

impl Dates {
    /// `Sat, 21 Nov 2026 05:57:49 +0000 (UTC)`.
    pub fn rfc5322(&self, now: SystemTime) -> String {
        let second = Timestamp::try_from(now).map_or(0, |stamp| stamp.as_second());
        let mut last = self.last.borrow_mut();
        if last.0 != second || last.1.is_empty() {
            *last = (second, zoned(second).strftime("%a, %d %b %Y %H:%M:%S %z (%Z)").to_string());
        }
        last.1.clone()
    }
}

/// `$localtime` of reply templates: `Jan 24 17:23:15`.
pub fn local_time() -> String {
    zoned(Timestamp::now().as_second()).strftime("%b %d %H:%M:%S").to_string()
}

fn zoned(second: i64) -> Zoned {
    Timestamp::from_second(second).unwrap_or_default().to_zoned(posthaste_log::zone().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// RFC 5322 §3.3, with the two-digit day of Postfix 3.9.
    #[test]
    fn format() {
        let dates = Dates::default();
        let first = dates.rfc5322(SystemTime::UNIX_EPOCH + Duration::from_secs(1_793_512_669));
        let (date, zone) = first.split_at(26);
        assert_eq!(date.as_bytes()[3], b',');
        assert!(zone.ends_with(')'), "{first}");
        assert_ne!(first, dates.rfc5322(SystemTime::UNIX_EPOCH + Duration::from_secs(1_793_512_670)));
    }
}
