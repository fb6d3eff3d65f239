//! What a row of the parameter table says, and how a value is checked against it.

use crate::ConfigError;
use crate::parameters::{FAMILIES, PARAMETERS};
use std::time::Duration;

/// One `main.cf` parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in `main.cf`.
    pub name: &'static str,
    /// Type, unit and range.
    pub kind: Kind,
    /// Default value, unexpanded. Empty for the values that are computed: see [`crate::Config`].
    pub default: &'static str,
    /// The Postfix version that introduced it; `1.0` for those older than any record.
    pub since: &'static str,
    /// Postfix programs that read it, separated by blanks; `all` for every program, `daemons` for every daemon.
    pub programs: &'static str,
    /// Allowed values, in words; empty when the text is free.
    pub values: &'static str,
    /// When deprecated: what to do instead, as `specify smtp_tls_security_level`.
    pub instead: Option<&'static str>,
    /// An old name that nothing reads directly; it lives on in the default value of its successor, and is not listed unless set.
    pub legacy: bool,
}

/// A parameter whose name begins with the name of a `master.cf` service: `relay_destination_concurrency_limit`.
#[derive(Debug)]
pub struct Family {
    /// The name after `<service>_`.
    pub suffix: &'static str,
    /// Type, unit and range.
    pub kind: Kind,
    /// Default value, unexpanded: a reference to the general parameter.
    pub default: &'static str,
    /// The Postfix version that introduced it.
    pub since: &'static str,
    /// Exists for services that run `pipe` or `spawn`; otherwise for those that run `error`, `lmtp`, `local`, `pipe`, `smtp` or `virtual`.
    pub spawned: bool,
}

/// Type and range of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`, in any case.
    Bool,
    /// A number of 32 bits.
    Int {
        /// Least allowed value.
        min: Option<i64>,
        /// Greatest allowed value.
        max: Option<i64>,
    },
    /// A number of 64 bits: sizes of messages and files.
    Long {
        /// Least allowed value.
        min: Option<i64>,
        /// Greatest allowed value.
        max: Option<i64>,
    },
    /// Text that is not expanded when it is read, but when it is used, with other names.
    Raw {
        /// Least length in bytes.
        min: usize,
    },
    /// Text, expanded.
    Text {
        /// Least length in bytes.
        min: usize,
        /// Greatest length in bytes.
        max: Option<usize>,
    },
    /// A time; a number and a unit letter.
    Time {
        /// Unit of a number without letter: `s`, `m`, `h`, `d` or `w`.
        unit: char,
        /// Least allowed number of seconds.
        min: Option<i64>,
        /// Greatest allowed number of seconds.
        max: Option<i64>,
    },
}

/// The row of a parameter.
pub fn parameter(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.binary_search_by(|row| row.name.cmp(name)).ok().map(|at| &PARAMETERS[at])
}

/// The family that a name such as `relay_destination_concurrency_limit` belongs to, with the service's name. When two suffixes fit
/// (`x_extra_recipient_limit` also ends in `_recipient_limit`), the longer one is meant.
pub fn family(name: &str) -> Option<(&str, &'static Family)> {
    FAMILIES
        .iter()
        .filter_map(|row| {
            let service = name.strip_suffix(row.suffix)?.strip_suffix('_')?;
            (!service.is_empty()).then_some((service, row))
        })
        .min_by_key(|(service, _)| service.len())
}

/// Reads `yes` or `no`; the error has Postfix's words.
pub fn parse_bool(name: &str, value: &str) -> Result<bool, ConfigError> {
    if value.eq_ignore_ascii_case("yes") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("no") {
        Ok(false)
    } else {
        Err(ConfigError::Bad(format!("bad boolean configuration: {name} = {value}")))
    }
}

/// Reads a number and checks its range; 32 bits unless `long`.
pub fn parse_int(name: &str, value: &str, min: Option<i64>, max: Option<i64>, long: bool) -> Result<i64, ConfigError> {
    let number = value
        .parse::<i64>()
        .ok()
        .filter(|number| long || i32::try_from(*number).is_ok())
        .ok_or_else(|| ConfigError::Bad(format!("bad numerical configuration: {name} = {value}")))?;
    if let Some(min) = min.filter(|min| number < *min) {
        return Err(ConfigError::Bad(format!("invalid {name} parameter value {number} < {min}")));
    }
    if let Some(max) = max.filter(|max| number > *max) {
        return Err(ConfigError::Bad(format!("invalid {name} parameter value {number} > {max}")));
    }
    Ok(number)
}

/// Reads a time (`10`, `10s`, `5d`) and checks its range in seconds. `unit` is that of a bare number.
pub fn parse_time(name: &str, value: &str, unit: char, min: Option<i64>, max: Option<i64>) -> Result<Duration, ConfigError> {
    let bad = || ConfigError::Bad(format!("parameter {name}: bad time value or unit: {value}"));
    let (digits, unit) = match value.char_indices().next_back() {
        Some((at, letter)) if !letter.is_ascii_digit() => (&value[..at], letter),
        _ => (value, unit),
    };
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return Err(bad()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    // Postfix holds seconds in 32 bits.
    let seconds = digits.parse::<i32>().ok().and_then(|number| number.checked_mul(scale)).ok_or_else(bad)?;
    let seconds = i64::from(seconds);
    if let Some(min) = min.filter(|min| seconds < *min) {
        return Err(ConfigError::Bad(format!("invalid {name}: {seconds} (min {min})")));
    }
    if let Some(max) = max.filter(|max| seconds > *max) {
        return Err(ConfigError::Bad(format!("invalid {name}: {seconds} (max {max})")));
    }
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

/// Checks the length of a text.
pub fn check_text(name: &str, value: &str, min: usize, max: Option<usize>) -> Result<(), ConfigError> {
    let length = value.len();
    if length < min {
        return Err(ConfigError::Bad(format!("bad string length {length} < {min}: {name} = {value}")));
    }
    if let Some(max) = max.filter(|max| length > *max) {
        return Err(ConfigError::Bad(format!("bad string length {length} > {max}: {name} = {value}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn rows_are_sorted_and_unique() {
        assert!(PARAMETERS.is_sorted_by(|a, b| a.name < b.name));
        assert!(FAMILIES.is_sorted_by(|a, b| a.suffix < b.suffix));
        assert_eq!(parameter("myhostname").unwrap().name, "myhostname");
        assert!(parameter("transport_map").is_none());
    }

    #[test]
    fn the_longest_suffix_names_the_family() {
        let (service, row) = family("my_filter_extra_recipient_limit").unwrap();
        assert_eq!((service, row.suffix), ("my_filter", "extra_recipient_limit"));
        assert_eq!(family("relay_time_limit").unwrap().0, "relay");
        assert!(family("_time_limit").is_none());
        assert!(family("time_limit").is_none());
    }

    // S-CONF-15
    #[test]
    fn times_have_units() {
        let time = |value| parse_time("queue_run_delay", value, 's', Some(1), None);
        assert_eq!(time("1000").unwrap(), Duration::from_secs(1000));
        assert_eq!(time("5d").unwrap(), Duration::from_secs(5 * 86400));
        assert_eq!(time("2w").unwrap(), Duration::from_secs(14 * 86400));
        assert_eq!(parse_time("x", "3", 'h', None, None).unwrap(), Duration::from_secs(3 * 3600));
        for bad in ["1x", "x", "", "-1", "1H", "1 h", "s", "99999999999", "9999999w", "1é"] {
            assert_eq!(text(time(bad)), format!("parameter queue_run_delay: bad time value or unit: {bad}"));
        }
        assert_eq!(text(time("0")), "invalid queue_run_delay: 0 (min 1)");
        // S-CONF-18
        assert_eq!(text(parse_time("in_flow_delay", "11", 's', None, Some(10))), "invalid in_flow_delay: 11 (max 10)");
    }

    // S-CONF-16
    #[test]
    fn values_are_checked() {
        assert!(parse_bool("biff", "YES").unwrap());
        assert_eq!(text(parse_bool("biff", "maybe")), "bad boolean configuration: biff = maybe");
        assert_eq!(parse_int("x", "+10", None, None, false).unwrap(), 10);
        assert_eq!(text(parse_int("message_size_limit", "abc", None, None, true)), "bad numerical configuration: message_size_limit = abc");
        assert_eq!(text(parse_int("x", "99999999999", None, None, false)), "bad numerical configuration: x = 99999999999");
        assert_eq!(parse_int("x", "99999999999", None, None, true).unwrap(), 99_999_999_999);
        assert_eq!(text(parse_int("line_length_limit", "3", Some(512), None, false)), "invalid line_length_limit parameter value 3 < 512");
        assert_eq!(
            text(parse_int("delay_logging_resolution_limit", "7", None, Some(6), false)),
            "invalid delay_logging_resolution_limit parameter value 7 > 6"
        );
        assert_eq!(text(check_text("mydomain", "", 1, None)), "bad string length 0 < 1: mydomain = ");
        assert_eq!(
            text(check_text("default_verp_delimiters", "abc", 1, Some(2))),
            "bad string length 3 > 2: default_verp_delimiters = abc"
        );
    }
}
