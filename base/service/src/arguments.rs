//! What a daemon is started with: the options that master gives, and those of its master.cf entry.

use lexopt::prelude::*;
use std::ffi::OsString;
use std::time::Duration;

/// The command line of a daemon.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// `-n`: service name; empty when the entry is started by hand.
    pub(crate) service: String,
    /// `-t`.
    pub(crate) kind: String,
    /// `-u`: become `mail_owner`.
    pub(crate) unprivileged: bool,
    /// `-c`.
    pub(crate) chroot: bool,
    /// `-p`: the maxproc column; `None` is no limit.
    pub(crate) limit: Option<usize>,
    /// `-P` instead of `-p`: the column is `-`, and the limit is `default_process_limit`.
    pub(crate) default_limit: bool,
    /// `-f`: numbers of the descriptors that master left open: the status socket, then the listening sockets.
    pub(crate) descriptors: Vec<i32>,
    /// `-v`.
    pub(crate) verbose: u32,
    /// `-D`: run `debugger_command`.
    pub(crate) debug: bool,
    /// `-V`: log to standard error as well.
    pub(crate) stderr: bool,
    /// `-S`: serve one client on standard input and output. With `-u` as `mail_owner` in the sandbox, else with the rights of the caller.
    pub(crate) stand_alone: bool,
    /// `-i`, else `max_idle`.
    pub(crate) max_idle: Option<Duration>,
    /// `-z`: no idle limit.
    pub(crate) never_idle: bool,
    /// `-o`.
    pub(crate) overrides: Vec<(String, String)>,
    /// What is no option: `flags=…`, `argv=…` and all that follows.
    pub(crate) rest: Vec<String>,
}

/// Parses a daemon's command line, program name in front. The error is the text after `fatal: `.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut parser = lexopt::Parser::from_iter(arguments);
    let text = |value: OsString| value.to_string_lossy().into_owned();
    let bad = |error: lexopt::Error| format!("bad command line: {error}");
    while let Some(argument) = parser.next().map_err(bad)? {
        match argument {
            Short('n') => parsed.service = text(parser.value().map_err(bad)?),
            Short('t') => parsed.kind = text(parser.value().map_err(bad)?),
            Short('u') => parsed.unprivileged = true,
            Short('c') => parsed.chroot = true,
            Short('p') => parsed.limit = Some(number(&text(parser.value().map_err(bad)?))?).filter(|&limit| limit > 0),
            Short('P') => {
                parsed.limit = Some(number(&text(parser.value().map_err(bad)?))?).filter(|&limit| limit > 0);
                parsed.default_limit = true;
            }
            Short('f') => {
                let list = text(parser.value().map_err(bad)?);
                parsed.descriptors = list.split(',').map(number).collect::<Result<_, _>>()?;
            }
            Short('v') => parsed.verbose += 1,
            Short('D') => parsed.debug = true,
            Short('V') => parsed.stderr = true,
            Short('S') => parsed.stand_alone = true,
            Short('i') => parsed.max_idle = Some(Duration::from_secs(number(&text(parser.value().map_err(bad)?))?)),
            Short('z') => parsed.never_idle = true,
            Short('o') => {
                let pair = text(parser.value().map_err(bad)?);
                let (name, value) =
                    pair.split_once('=').ok_or_else(|| format!("invalid \"-o {pair}\" option value: missing '=' after attribute name"))?;
                parsed.overrides.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            // Accepted, as Postfix's daemons do, and without effect here: one process serves all sockets and any number of clients.
            Short('d' | 'l') => {}
            Short('m' | 's') => drop(parser.value().map_err(bad)?),
            Value(first) => {
                parsed.rest.push(text(first));
                parsed.rest.extend(parser.raw_args().map_err(bad)?.map(text));
                break;
            }
            Short(other) => return Err(format!("invalid option: {other}")),
            Long(_) => return Err(String::from("invalid option: -")),
        }
    }
    Ok(parsed)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("bad command line: not a number: \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        super::parse(line.split(' ').map(OsString::from).collect())
    }

    /// S-MASTER-14, S-MASTER-15: options of the entry follow those of master.
    #[test]
    fn options_of_master_and_of_the_entry() {
        let parsed = parse("smtpd -n smtp -t inet -u -p 100 -f 5,6,7 -o syslog_name=postfix/submission -ox=y=z -vv").expect("good");
        assert_eq!((parsed.service.as_str(), parsed.kind.as_str(), parsed.unprivileged, parsed.chroot), ("smtp", "inet", true, false));
        assert_eq!((parsed.limit, parsed.descriptors, parsed.verbose), (Some(100), vec![5, 6, 7], 2));
        let overrides: Vec<_> = parsed.overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(overrides, [("syslog_name", "postfix/submission"), ("x", "y=z")]);
    }

    /// Options after the first operand belong to the command that pipe or spawn runs.
    #[test]
    fn operands_end_the_options() {
        let parsed =
            parse("pipe -n vacation -t unix -p 0 flags=DRhu user=vmail argv=/bin/vacation -f ${sender} -- ${recipient}").expect("good");
        assert_eq!(parsed.rest, ["flags=DRhu", "user=vmail", "argv=/bin/vacation", "-f", "${sender}", "--", "${recipient}"]);
        assert_eq!(parsed.limit, None);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(
            parse("smtpd -o myhostname").expect_err("no ="),
            "invalid \"-o myhostname\" option value: missing '=' after attribute name"
        );
        assert!(parse("smtpd -f 5,x").is_err());
        assert!(parse("smtpd -Q").is_err());
    }
}
