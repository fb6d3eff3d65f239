//! `delay=` and `delays=` as the log wants them.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A delay with at most two significant digits below 100 seconds and at most `digits` digits after the point
/// (`delay_logging_resolution_limit`), without trailing zeros; what is below that resolution is `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// How long.
    pub length: Duration,
    /// 0 to 6.
    pub digits: u32,
}

impl Delay {
    /// From `start` to `end`; a clock that went back gives 0.
    pub fn between(start: SystemTime, end: SystemTime, digits: u32) -> Delay {
        Delay { length: end.duration_since(start).unwrap_or_default(), digits }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u64 = 1_000_000;
        let limit = self.digits.min(6);
        let micros = u64::try_from(self.length.as_micros()).unwrap_or(u64::MAX);
        let resolution = 10u64.pow(6 - limit);
        if micros < resolution {
            return f.write_str("0");
        }
        // The step of the last digit shown: whole seconds from 10 s on, a tenth from 1 s on, and so on.
        let mut step = SECOND;
        while step > resolution && micros < step.saturating_mul(10) {
            step /= 10;
        }
        let rounded = micros.saturating_add(step / 2) / step * step;
        let (whole, mut rest) = (rounded / SECOND, rounded % SECOND);
        write!(f, "{whole}")?;
        if rest > 0 {
            f.write_str(".")?;
        }
        while rest > 0 {
            rest *= 10;
            write!(f, "{}", rest / SECOND)?;
            rest %= SECOND;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(micros: u64, digits: u32) -> String {
        Delay { length: Duration::from_micros(micros), digits }.to_string()
    }

    /// Values in the left column that Postfix 3.7 logs, and the rules of postconf(5).
    #[test]
    fn two_significant_digits() {
        assert_eq!(shown(0, 2), "0");
        assert_eq!(shown(9_999, 2), "0", "below the resolution");
        assert_eq!(shown(10_000, 2), "0.01");
        assert_eq!(shown(42_000, 2), "0.04");
        assert_eq!(shown(99_000, 2), "0.1", "trailing zeros are dropped");
        assert_eq!(shown(110_000, 2), "0.11");
        assert_eq!(shown(1_640_000, 2), "1.6");
        assert_eq!(shown(2_000_000, 2), "2");
        assert_eq!(shown(9_970_000, 2), "10");
        assert_eq!(shown(46_300_000, 2), "46");
        assert_eq!(shown(304_900_000, 2), "305");
        assert_eq!(shown(86_400_000_000, 2), "86400");
    }

    #[test]
    fn the_limit_is_a_parameter() {
        assert_eq!(shown(123_456, 0), "0");
        assert_eq!(shown(1_640_000, 0), "2");
        assert_eq!(shown(123_456, 1), "0.1");
        assert_eq!(shown(123_456, 6), "0.12");
        assert_eq!(shown(123, 6), "0.00012");
        assert_eq!(shown(7, 6), "0.000007");
    }

    #[test]
    fn a_clock_that_went_back_is_no_delay() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(Delay::between(now, now - Duration::from_secs(5), 2).to_string(), "0");
    }
}
