//! Time as a parameter.

use std::time::SystemTime;

/// Where the queue gets the time from.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Debug)]
pub struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The date of `Received:` and `Date:` headers, in local time with the zone's name: `Sat, 21 Nov 2026 06:03:57 +0000 (UTC)`
/// (RFC 5322 §3.3; the day of the month has two digits since Postfix 3.9).
pub fn mail_date(time: SystemTime) -> String {
    let stamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    stamp.to_zoned(posthaste_log::zone().clone()).strftime("%a, %d %b %Y %H:%M:%S %z (%Z)").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_have_two_digits_and_a_zone() {
        let date = mail_date(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        assert!(date.contains(" Sep 2001 ") && (date.starts_with("Sun, 09") || date.starts_with("Sat, 08")), "{date}");
        assert!(date.ends_with(')'), "{date}");
    }
}
