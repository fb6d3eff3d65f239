//! The settings of a table: a file like main.cf, named by the table (`mysql:/etc/postfix/aliases.cf`), or parameters of main.cf that begin with the
//! table's name (`mysql:aliases`, `aliases_hosts = …`).

use posthaste_config::Config;
use posthaste_config::lines::{logical_lines, split_name_value};
use std::collections::BTreeMap;
use std::fmt;

/// The settings of one table. Reading a value checks its range; errors name the file and the setting.
#[derive(Clone)]
pub struct Source {
    name: String,
    place: Place,
    /// What is odd about the file, to be logged when it has been read.
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone)]
enum Place {
    /// A file of its own: values are taken as they are written.
    File(BTreeMap<String, String>),
    /// main.cf: values are expanded like any other.
    Main(Config),
}

/// Without the values, among which are passwords.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// Reads the settings of the table `name`, what stands after `type:`. One that begins with `/` or `.` is a file.
    pub fn read(name: &str, config: &Config) -> Result<Source, String> {
        if !name.starts_with(['/', '.']) {
            return Ok(Source { name: name.to_owned(), place: Place::Main(config.clone()), warnings: Vec::new() });
        }
        let bytes = std::fs::read(name).map_err(|error| format!("open {name}: {}", posthaste_config::system_reason(&error)))?;
        Source::parse(name, &String::from_utf8_lossy(&bytes))
    }

    /// From the text of a file; `name` is its name for messages.
    pub fn parse(name: &str, text: &str) -> Result<Source, String> {
        let mut values = BTreeMap::new();
        let mut warnings = Vec::new();
        for line in logical_lines(text) {
            if line.is_misplaced() {
                return Err(format!("{name}, line {}: logical line must not start with whitespace: \"{}\"", line.first, line.text));
            }
            let (key, value) =
                split_name_value(&line.text).map_err(|error| format!("{name}, line {}: {error}: \"{}\"", line.last, line.text))?;
            if let Some(earlier) = values.insert(key.to_owned(), value.to_owned()).filter(|earlier| earlier != value) {
                // It may be a password.
                let earlier = if key.contains("pass") || key.contains("_pw") { "..." } else { &earlier };
                warnings.push(format!("{name}, line {}: overriding earlier entry: {key}={earlier}", line.last));
            }
        }
        Ok(Source { name: name.to_owned(), place: Place::File(values), warnings })
    }

    /// The file, or the name of which the parameters in main.cf are made.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A value as it is set; `None` when it is not.
    pub fn get(&self, setting: &str) -> Result<Option<String>, String> {
        match &self.place {
            Place::File(values) => Ok(values.get(setting).cloned()),
            Place::Main(config) => config.lookup(&format!("{}_{setting}", self.name)).map_err(|error| error.to_string()),
        }
    }

    /// Whether there is such a setting at all.
    pub fn is_set(&self, setting: &str) -> bool {
        matches!(self.get(setting), Ok(Some(_)))
    }

    /// A text, with the default where it is not set.
    pub fn text(&self, setting: &str, default: &str) -> Result<String, String> {
        Ok(self.get(setting)?.unwrap_or_else(|| default.to_owned()))
    }

    /// A text that may not be missing or empty.
    pub fn required(&self, setting: &str) -> Result<String, String> {
        let value = self.text(setting, "")?;
        if value.is_empty() {
            return Err(format!("{}bad string length 0 < 1: {} = ", self.place(), self.full(setting)));
        }
        Ok(value)
    }

    /// A whole number from `min` to `max`.
    pub fn int(&self, setting: &str, default: i64, min: i64, max: i64) -> Result<i64, String> {
        let Some(text) = self.get(setting)? else { return Ok(default) };
        let full = self.full(setting);
        let value: i64 = text.parse().map_err(|_| format!("{}bad numerical configuration: {full} = {text}", self.place()))?;
        if value < min {
            return Err(format!("{}invalid {full} parameter value {value} < {min}", self.place()));
        }
        if value > max {
            return Err(format!("{}invalid {full} parameter value {value} > {max}", self.place()));
        }
        Ok(value)
    }

    /// `yes` or `no`.
    pub fn bool(&self, setting: &str, default: bool) -> Result<bool, String> {
        match self.get(setting)? {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("yes") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("no") => Ok(false),
            Some(text) => Err(format!("{}bad boolean configuration: {} = {text}", self.place(), self.full(setting))),
        }
    }

    /// `/file: `, or nothing where the parameter's name tells the table.
    fn place(&self) -> String {
        match self.place {
            Place::File(_) => format!("{}: ", self.name),
            Place::Main(_) => String::new(),
        }
    }

    fn full(&self, setting: &str) -> String {
        match self.place {
            Place::File(_) => setting.to_owned(),
            Place::Main(_) => format!("{}_{setting}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S-DB-04
    #[test]
    fn a_file_is_written_like_main_cf() {
        let source = Source::parse("/etc/x.cf", "# comment\nhosts = a\n  b\nquery = SELECT '$x = %s'\nhosts2=\n").unwrap();
        assert_eq!(source.text("hosts", "d").unwrap(), "a  b");
        assert_eq!(source.text("query", "").unwrap(), "SELECT '$x = %s'");
        assert_eq!(source.text("hosts2", "d").unwrap(), "");
        assert_eq!(source.text("hosts3", "d").unwrap(), "d");
        assert_eq!(
            Source::parse("/x.cf", "a = b\nnonsense line\n").unwrap_err(),
            "/x.cf, line 2: missing '=' after attribute name: \"nonsense line\""
        );
    }

    // S-DB-07
    #[test]
    fn parameters_of_main_cf_are_expanded() {
        let config = Config::parse("base = /tmp\nlite_dbpath = $base/db\n", "main.cf").unwrap();
        let source = Source::read("lite", &config).unwrap();
        assert_eq!(source.text("dbpath", "").unwrap(), "/tmp/db");
        assert!(!source.is_set("query"));
        assert_eq!(source.required("query").unwrap_err(), "bad string length 0 < 1: lite_query = ");
    }

    #[test]
    fn values_out_of_range_are_named() {
        let source = Source::parse("/x.cf", "a = x\nb = -1\nc = 9\nd = maybe\ne = Yes\n").unwrap();
        assert_eq!(source.int("a", 1, 0, 5).unwrap_err(), "/x.cf: bad numerical configuration: a = x");
        assert_eq!(source.int("b", 1, 0, 5).unwrap_err(), "/x.cf: invalid b parameter value -1 < 0");
        assert_eq!(source.int("c", 1, 0, 5).unwrap_err(), "/x.cf: invalid c parameter value 9 > 5");
        assert_eq!(source.int("z", 1, 0, 5), Ok(1));
        assert_eq!(source.bool("d", true).unwrap_err(), "/x.cf: bad boolean configuration: d = maybe");
        assert_eq!(source.bool("e", false), Ok(true));
    }

    #[test]
    fn passwords_are_not_shown() {
        let source = Source::parse("/x.cf", "password = secret\n").unwrap();
        assert!(!format!("{source:?}").contains("secret"));
    }
}
