//! The command line.

use crate::Failed;
use bstr::BString;
use posthaste_cli::Getopt;
use posthaste_log::{Logger, fatal, info, warn};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `-bd`, `-bl`.
    Daemon,
    /// `-q`.
    Flush,
    /// `-qI`.
    FlushId(String),
    /// `-qR`.
    FlushSite(String),
    /// `-bh`, `-bH`.
    Ignored,
    /// `-bi`, `-I`.
    NewAliases,
    /// `-bp`.
    Queue,
    /// `-bs`.
    StandAlone,
    /// `-bm`.
    Submit,
    /// `-bv`.
    Verify,
}

/// Options and recipients.
#[derive(Debug)]
pub struct Options {
    pub mode: Mode,
    /// `-B`: `7bit` or `8bit`.
    pub encoding: Option<&'static str>,
    /// `-F`.
    pub full_name: Option<BString>,
    /// `-f`, `-r`.
    pub sender: Option<BString>,
    /// `-G`.
    pub gateway: bool,
    /// `-i`.
    pub ignore_dots: bool,
    /// `-N`: the value of `notify_flags`.
    pub notify: u8,
    /// `-O smtputf8`, `-O requiretls`: field 6 of the size record.
    pub sender_options: u32,
    /// `-oA`.
    pub alias_database: Option<String>,
    /// `-R`: 1 full, 2 hdrs.
    pub ret: u8,
    /// `-t`.
    pub from_headers: bool,
    /// `-V`.
    pub envelope_id: Option<BString>,
    /// `-v`.
    pub verbose: u32,
    /// `-XV`: the delimiters, empty for the default ones.
    pub verp: Option<BString>,
    /// Words that are not options.
    pub recipients: Vec<BString>,
}

/// What tells an option from its siblings.
fn first(value: &BString) -> char {
    value.first().map_or(' ', |byte| char::from(*byte))
}

/// `verp_delimiter_filter`.
const BAD_VERP: &str = "-V requires two characters from -=+";

const SMTPUTF8: u32 = 1;
const REQUIRETLS: u32 = 32;

const LETTERS: &str = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx";

/// Makes two forms that getopt(3) would misread into others: `-q` alone, which takes no argument, and VERP as it was asked for before
/// Postfix 2.3, `-V` or `-Vxy` with two punctuation characters. The second list holds warnings.
fn modern(arguments: Vec<OsString>) -> (Vec<OsString>, Vec<String>) {
    let ends = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let mut warnings = Vec::new();
    let mut out = Vec::with_capacity(arguments.len());
    for (n, word) in arguments.iter().enumerate() {
        let text = word.to_string_lossy();
        let bare = text == "-V" && arguments.get(n + 1).is_none_or(|next| next.to_string_lossy().starts_with('-'));
        let joined = text.len() == 4 && text.starts_with("-V") && text[2..].bytes().all(|b| b.is_ascii_punctuation());
        if n < ends && word == "-q" {
            out.push("-q0".into());
        } else if n < ends && (bare || joined) {
            warnings.push(format!("option {text} is deprecated with Postfix 2.3; specify -X{} instead", &text[1..]));
            out.push(format!("-X{}", &text[1..]).into());
        } else {
            out.push(word.clone());
        }
    }
    (out, warnings)
}

/// The argument of `-C`. As in Postfix the options are gone over twice, and a bad one is said each time.
pub fn config_option(arguments: Vec<OsString>) -> Option<PathBuf> {
    let mut found = None;
    for option in Getopt::new(modern(arguments).0, LETTERS) {
        match option {
            Ok((b'C', value)) => found = value.map(PathBuf::from),
            Ok(_) => {}
            Err(bad) => eprintln!("{bad}"),
        }
    }
    found
}

impl Options {
    /// Parses; `name` is the name that the program was called by (mailq and newaliases are modes of their own).
    pub fn parse(name: &str, arguments: Vec<OsString>, log: &Logger) -> Result<Options, Failed> {
        let mut o = Options {
            mode: match name {
                "mailq" => Mode::Queue,
                "newaliases" => Mode::NewAliases,
                _ => Mode::Submit,
            },
            encoding: None,
            full_name: None,
            sender: None,
            gateway: false,
            ignore_dots: false,
            notify: 0,
            sender_options: 0,
            alias_database: None,
            ret: 0,
            from_headers: false,
            envelope_id: None,
            verbose: 0,
            verp: None,
            recipients: Vec::new(),
        };
        let (arguments, warnings) = modern(arguments);
        for warning in warnings {
            warn!(log, "{warning}");
        }
        let mut options = Getopt::new(arguments, LETTERS);
        for option in options.by_ref() {
            match option {
                Ok((letter, argument)) => o.option(letter, argument.map(OsString::into_vec).unwrap_or_default().into(), log)?,
                Err(bad) => {
                    eprintln!("{bad}");
                    fatal!(log, "usage: {name} [options]");
                    return Err(Failed);
                }
            }
        }
        o.recipients = options.operands().into_iter().map(|word| word.into_vec().into()).collect();
        o.consistent().map_err(|text| {
            fatal!(log, "{text}");
            Failed
        })?;
        Ok(o)
    }

    /// `-t` and recipients belong to a message.
    fn consistent(&self) -> Result<(), String> {
        let mode = match self.mode {
            Mode::Submit => return Ok(()),
            Mode::Verify if self.from_headers => return Err("-t option cannot be used with -bv".into()),
            Mode::Verify => return Ok(()),
            _ if self.from_headers => return Err("-t can be used only in delivery mode".into()),
            Mode::StandAlone => "stand-alone mode",
            Mode::Daemon => "daemon mode",
            Mode::NewAliases => "alias initialization mode",
            Mode::Queue => "display queue mode",
            Mode::Flush => "flush queue mode",
            Mode::FlushId(_) => "flush queue_id",
            Mode::FlushSite(_) => "flush site",
            Mode::Ignored => return Ok(()),
        };
        if self.recipients.is_empty() { Ok(()) } else { Err(format!("{mode} requires no recipient")) }
    }

    fn option(&mut self, letter: u8, value: BString, log: &Logger) -> Result<(), Failed> {
        let fail = |text: String| {
            fatal!(log, "{text}");
            Err(Failed)
        };
        match letter {
            b'B' => match value.to_ascii_uppercase().as_slice() {
                b"8BITMIME" => self.encoding = Some("8bit"),
                b"7BIT" => self.encoding = Some("7bit"),
                _ => return fail(String::from("-B option needs 8BITMIME or 7BIT")),
            },
            b'F' => self.full_name = Some(value),
            b'G' => self.gateway = true,
            b'I' => self.mode = Mode::NewAliases,
            b'N' => match notify_flags(&value, log) {
                Some(flags) => self.notify = flags,
                None => warn!(log, "bad -N option value -- ignored"),
            },
            b'O' => self.extension(&value, log),
            b'R' => match value.to_ascii_lowercase().as_slice() {
                b"full" => self.ret = 1,
                b"hdrs" => self.ret = 2,
                _ => warn!(log, "bad -R option value -- ignored"),
            },
            b'V' if printable(&value) => self.envelope_id = Some(value),
            b'V' => warn!(log, "bad -V option value -- ignored"),
            b'X' if value.first() == Some(&b'V') => match value.len() {
                1 => self.verp = Some(BString::default()),
                3 if value[1..].iter().all(|b| b"-=+".contains(b)) => self.verp = Some(value[1..].into()),
                _ => return fail(String::from(BAD_VERP)),
            },
            b'X' => return fail(format!("unsupported: -X{}", first(&value))),
            b'b' => {
                self.mode = match value.as_slice() {
                    b"d" | b"l" => Mode::Daemon,
                    b"h" | b"H" => Mode::Ignored,
                    b"i" => Mode::NewAliases,
                    b"m" => Mode::Submit,
                    b"p" => Mode::Queue,
                    b"s" => Mode::StandAlone,
                    b"v" => Mode::Verify,
                    _ => return fail(format!("unsupported: -b{}", first(&value))),
                }
            }
            b'f' | b'r' => self.sender = Some(value),
            b'i' => self.ignore_dots = true,
            b'o' => match value.first() {
                Some(b'A') if value.len() > 1 => self.alias_database = Some(value[1..].iter().map(|b| char::from(*b)).collect()),
                Some(b'A') => return fail(String::from("-oA requires pathname")),
                Some(b'i') => self.ignore_dots = true,
                _ => {}
            },
            b'n' => return fail(String::from("-n option not supported")),
            b'q' => {
                let text = |from: usize| String::from_utf8_lossy(value.get(from..).unwrap_or_default()).into_owned();
                match value.first() {
                    Some(b'I') if value.len() == 1 => return fail(String::from("specify: -qIqueueid")),
                    Some(b'R') if value.len() == 1 => return fail(String::from("specify: -qRsitename")),
                    Some(b'I') => self.mode = Mode::FlushId(text(1)),
                    Some(b'R') => self.mode = Mode::FlushSite(text(1)),
                    Some(c) if !c.is_ascii_digit() => return fail(format!("-q{} is not implemented", char::from(*c))),
                    // -q1h and the like: qmgr has its own timer.
                    Some(b'0'..=b'9') if value.iter().any(|b| *b != b'0') => self.mode = Mode::Ignored,
                    _ => self.mode = Mode::Flush,
                }
            }
            b't' => self.from_headers = true,
            b'v' => self.verbose += 1,
            _ => self.ignored(letter, log),
        }
        Ok(())
    }

    /// What has no meaning here is said to those who want to know.
    fn ignored(&self, letter: u8, log: &Logger) {
        if self.verbose > 0 {
            info!(log, "-{} option ignored", char::from(letter));
        }
    }

    fn extension(&mut self, value: &BString, log: &Logger) {
        let (name, on) = match value.iter().position(|b| *b == b'=') {
            Some(at) => (&value[..at], value[at + 1..].eq_ignore_ascii_case(b"yes")),
            None => (value.as_slice(), true),
        };
        let bit = match name.to_ascii_lowercase().as_slice() {
            b"smtputf8" => SMTPUTF8,
            b"requiretls" => REQUIRETLS,
            _ => return self.ignored(b'O', log),
        };
        self.sender_options = if on { self.sender_options | bit } else { self.sender_options & !bit };
    }
}

/// `never`, or a list of the others; `None` is a mistake, which has been warned about.
fn notify_flags(value: &BString, log: &Logger) -> Option<u8> {
    let mut flags = 0;
    for word in value.split(|b| matches!(b, b',' | b' ' | b'\t')).filter(|w| !w.is_empty()) {
        flags |= match word.to_ascii_lowercase().as_slice() {
            b"never" => 1,
            b"success" => 2,
            b"failure" => 4,
            b"delay" => 8,
            _ => {
                warn!(log, "unknown DSN NOTIFY command value \"{}\" in \"{value}\"", BString::from(word));
                return None;
            }
        };
    }
    // "never" stands alone.
    (flags == 1 || (flags != 0 && flags & 1 == 0)).then_some(flags)
}

/// RFC 3461: an envelope id is printable.
fn printable(value: &[u8]) -> bool {
    !value.is_empty() && value.len() <= 100 && value.iter().all(|b| (32..127).contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options, ()> {
        let log = Logger::with_whole_tag("test");
        Options::parse("sendmail", ["sendmail"].into_iter().chain(words.split(' ')).map(OsString::from).collect(), &log)
            .map_err(|Failed| ())
    }

    // S-CMD: options of programs written for Sendmail.
    #[test]
    fn modes_and_options() {
        let o = parse("-oi -t -f me@x -F Me -B 8BITMIME -N success,failure -R hdrs -V id1 -G a b").unwrap();
        assert!(o.ignore_dots && o.from_headers && o.gateway);
        assert_eq!((o.encoding, o.notify, o.ret), (Some("8bit"), 6, 2));
        assert_eq!(o.recipients, ["a", "b"]);
        assert_eq!(parse("-bp").unwrap().mode, Mode::Queue);
        assert_eq!(parse("-q -bp").unwrap().mode, Mode::Queue);
        assert_eq!(parse("-qRexample.com").unwrap().mode, Mode::FlushSite("example.com".into()));
        assert_eq!(parse("-q15m").unwrap().mode, Mode::Ignored);
        assert_eq!(parse("-O DeliveryMode=b -o7 -om -x -oX -L x alice").unwrap().recipients, ["alice"]);
        assert_eq!(parse("-O smtputf8=yes -O requiretls").unwrap().sender_options, 33);
        assert_eq!(parse("-XV+=").unwrap().verp, Some("+=".into()));
        assert!(parse("-- -odd@example.com").unwrap().recipients == ["-odd@example.com"]);
    }

    #[test]
    fn mistakes() {
        for bad in ["-B 9BIT", "-bz", "-Z", "-XV+"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for ignored in ["-N sometimes", "-N never,success"] {
            assert_eq!(parse(ignored).unwrap().notify, 0, "{ignored}");
        }
    }
}
