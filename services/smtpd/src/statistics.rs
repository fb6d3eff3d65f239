//! The highest counts and rates of clients, for the log (anvil(8)).

use crate::date;
use posthaste_log::{Logger, info};
use std::cell::RefCell;

/// What is measured, in the order of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    ConnectionRate,
    ConnectionCount,
    MessageRate,
    RecipientRate,
    CacheSize,
}

/// The peaks since the last report.
#[derive(Debug)]
pub struct Statistics {
    service: String,
    /// `anvil_rate_time_unit`, seconds.
    unit: u64,
    log: Logger,
    peaks: RefCell<[Peak; 5]>,
}

#[derive(Clone, Debug, Default)]
struct Peak {
    value: u32,
    client: String,
    at: String,
}

impl Statistics {
    /// For a service by the name it has in master.cf. `log` is that of the program `anvil`.
    pub fn new(service: &str, unit: u64, log: Logger) -> Statistics {
        Statistics { service: service.to_owned(), unit, log, peaks: RefCell::default() }
    }

    /// Notes a value; `client` is only asked for its name when it is the highest.
    pub fn note(&self, measure: Measure, value: u32, client: impl FnOnce() -> String) {
        let peak = &mut self.peaks.borrow_mut()[measure as usize];
        if value > peak.value {
            *peak = Peak { value, client: client(), at: date::local_time() };
        }
    }

    /// Logs the peaks, and begins anew.
    pub fn report(&self) {
        for line in self.lines() {
            info!(self.log, "statistics: {line}");
        }
    }

    fn lines(&self) -> Vec<String> {
        let peaks = self.peaks.take();
        let (service, unit) = (&self.service, self.unit);
        let texts = ["connection rate", "connection count", "message rate", "recipient rate", "cache size"];
        let peaks = texts.into_iter().zip(peaks).filter(|(_, peak)| peak.value > 0);
        peaks
            .map(|(what, Peak { value, client, at })| match what {
                "cache size" => format!("max {what} {value} at {at}"),
                "connection count" => format!("max {what} {value} for ({service}:{client}) at {at}"),
                _ => format!("max {what} {value}/{unit}s for ({service}:{client}) at {at}"),
            })
            .collect()
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        self.report();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-DAEMON-20: the lines of Postfix, without their dates.
    #[test]
    fn peaks() {
        let statistics = Statistics::new("smtp", 60, Logger::new("postfix/anvil"));
        let client = |name: &'static str| move || name.to_owned();
        statistics.note(Measure::ConnectionCount, 2, client("192.0.2.10"));
        statistics.note(Measure::ConnectionRate, 4, client("192.0.2.10"));
        statistics.note(Measure::ConnectionRate, 3, client("192.0.2.11"));
        statistics.note(Measure::CacheSize, 3, String::new);
        let lines: Vec<String> = statistics.lines().iter().map(|line| line.split(" at ").next().unwrap().to_owned()).collect();
        assert_eq!(
            lines,
            ["max connection rate 4/60s for (smtp:192.0.2.10)", "max connection count 2 for (smtp:192.0.2.10)", "max cache size 3"]
        );
        assert!(statistics.lines().is_empty());
    }
}
