//! The command line.

use posthaste_cli::{Getopt, Manual, Opt};
use std::ffi::OsString;
use std::time::Duration;

pub const MANUAL: Manual = Manual {
    name: "smtp-source",
    section: 1,
    summary: "parallelized SMTP/LMTP test generator",
    synopsis: &["smtp-source [options] [inet:]host[:port]", "smtp-source [options] unix:pathname"],
    description: "Connects to the named host and TCP port (default: port 25) and sends one or more messages to it, one after the other or over \
                  several connections in parallel. It speaks SMTP or LMTP, over IPv4, IPv6 or a Unix socket.",
    options: &[
        Opt { flag: "-4", argument: "", text: "Connect with IPv4." },
        Opt { flag: "-6", argument: "", text: "Connect with IPv6." },
        Opt { flag: "-A", argument: "", text: "Go on when the server sends something other than the expected positive reply." },
        Opt { flag: "-c", argument: "", text: "Display a running counter of completed messages." },
        Opt { flag: "-C", argument: "count", text: "When a connection is refused, try so many times before giving up (default: 1)." },
        Opt { flag: "-d", argument: "", text: "Do not disconnect after a message; send the next one over the same connection." },
        Opt { flag: "-f", argument: "from", text: "Sender address (default: foo@myhostname)." },
        Opt { flag: "-F", argument: "file", text: "Send the header and body in the file; dots and line ends are made as SMTP wants them." },
        Opt { flag: "-l", argument: "length", text: "Send so many bytes as message payload, headers not counted." },
        Opt { flag: "-L", argument: "", text: "Speak LMTP." },
        Opt { flag: "-m", argument: "message_count", text: "Send so many messages (default: 1)." },
        Opt { flag: "-M", argument: "myhostname", text: "Name or [address] for HELO and for the default addresses." },
        Opt { flag: "-N", argument: "", text: "Put a sequence number that never repeats in front of each recipient address." },
        Opt { flag: "-o", argument: "", text: "Old mode: send no HELO and no message headers." },
        Opt {
            flag: "-r",
            argument: "recipient_count",
            text: "Send so many recipients with each message (default: 1); a number is put in front of each.",
        },
        Opt { flag: "-R", argument: "interval", text: "Wait between messages for a random time of at most so many seconds." },
        Opt { flag: "-s", argument: "session_count", text: "Use so many connections in parallel (default: 1)." },
        Opt { flag: "-S", argument: "subject", text: "Subject line (default: none)." },
        Opt { flag: "-t", argument: "to", text: "Recipient address (default: foo@myhostname)." },
        Opt { flag: "-T", argument: "windowsize", text: "TCP window size." },
        Opt { flag: "-v", argument: "", text: "Show the conversations." },
        Opt { flag: "-w", argument: "interval", text: "Wait so many seconds between messages." },
    ],
    sections: &[("EXIT STATUS", "0 when all messages were sent; 1 when the server could not be reached or did not take one.")],
};

const USAGE: &str = "usage: smtp-source -cdLNov -s sess -l msglen -m msgs -C count -M myhostname -f from -t to -r rcptcount -R delay -w delay \
                     host[:port]";

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Host and port or service name.
    Inet(String, String),
    /// Path.
    Unix(String),
}

/// The pause between messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    None,
    Fixed(Duration),
    Random(Duration),
}

#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    pub ipv4: bool,
    pub ipv6: bool,
    pub keep_going: bool,
    pub counter: bool,
    pub tries: u32,
    pub keep_connection: bool,
    pub from: String,
    pub file: Option<OsString>,
    pub length: Option<usize>,
    pub lmtp: bool,
    pub messages: u64,
    pub hostname: String,
    pub number: bool,
    pub old: bool,
    pub recipients: u32,
    pub pause: Pause,
    pub sessions: u32,
    pub subject: Option<String>,
    pub to: String,
    pub window: u32,
    pub verbose: bool,
}

impl Options {
    /// An error is what is logged as fatal.
    pub fn parse(arguments: Vec<OsString>) -> Result<Options, String> {
        let mut getopt = Getopt::new(arguments, "46AcC:df:F:l:Lm:M:Nor:R:s:S:t:T:vw:");
        let mut options = Options {
            target: Target::Unix(String::new()),
            ipv4: true,
            ipv6: true,
            keep_going: false,
            counter: false,
            tries: 1,
            keep_connection: false,
            from: String::new(),
            file: None,
            length: None,
            lmtp: false,
            messages: 1,
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            number: false,
            old: false,
            recipients: 1,
            pause: Pause::None,
            sessions: 1,
            subject: None,
            to: String::new(),
            window: 0,
            verbose: false,
        };
        for option in getopt.by_ref() {
            let (letter, argument) = match option {
                Ok(option) => option,
                Err(bad) => {
                    eprintln!("{bad}");
                    return Err(USAGE.into());
                }
            };
            let argument = argument.unwrap_or_default();
            let text = || argument.to_string_lossy().into_owned();
            let count = |what: &str| positive(what, &text());
            match letter {
                b'4' => options.ipv6 = false,
                b'6' => options.ipv4 = false,
                b'A' => options.keep_going = true,
                b'c' => options.counter = true,
                b'C' => options.tries = count("connection count")? as u32,
                b'd' => options.keep_connection = true,
                b'f' => options.from = text(),
                b'F' => options.file = Some(argument),
                b'l' => options.length = Some(count("message length")? as usize),
                b'L' => options.lmtp = true,
                b'm' => options.messages = count("message count")?,
                b'M' => options.hostname = text(),
                b'N' => options.number = true,
                b'o' => options.old = true,
                b'r' => options.recipients = count("recipient count")? as u32,
                b'R' => options.pause = Pause::Random(Duration::from_secs(count("random delay")?)),
                b's' => options.sessions = count("session count")? as u32,
                b'S' => options.subject = Some(text()),
                b't' => options.to = text(),
                b'T' => options.window = count("TCP window size")? as u32,
                b'v' => options.verbose = true,
                _ => options.pause = Pause::Fixed(Duration::from_secs(count("fixed delay")?)),
            }
        }
        let operands = getopt.operands();
        let [target] = &operands[..] else { return Err(USAGE.into()) };
        options.target = target_of(&target.to_string_lossy())?;
        let default = format!("foo@{}", options.hostname);
        for address in [&mut options.from, &mut options.to] {
            if address.is_empty() {
                address.clone_from(&default);
            }
        }
        Ok(options)
    }
}

fn positive(what: &str, text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("bad {what}: {text}"))
}

fn target_of(text: &str) -> Result<Target, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Target::Unix(path.into()));
    }
    let text = text.strip_prefix("inet:").unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(|| format!("{text}: missing \"]\""))?;
            (host, rest.strip_prefix(':').unwrap_or("smtp"))
        }
        None => text.split_once(':').unwrap_or((text, "smtp")),
    };
    if host.is_empty() || port.is_empty() {
        return Err(format!("{text}: need host or host:port"));
    }
    Ok(Target::Inet(host.into(), port.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(std::iter::once("smtp-source").chain(line.split(' ')).map(OsString::from).collect())
    }

    #[test]
    fn targets() {
        let inet = |host: &str, port: &str| Target::Inet(host.into(), port.into());
        for (text, target) in [
            ("host", inet("host", "smtp")),
            ("inet:host:26", inet("host", "26")),
            ("[::1]:26", inet("::1", "26")),
            ("[::1]", inet("::1", "smtp")),
            ("unix:/run/x", Target::Unix("/run/x".into())),
        ] {
            assert_eq!(parse(text).unwrap().target, target);
        }
    }

    /// The texts are those of Postfix's program.
    #[test]
    fn errors_say_what_is_wrong() {
        assert_eq!(parse("-m 0 host").unwrap_err(), "bad message count: 0");
        assert_eq!(parse("-w x host").unwrap_err(), "bad fixed delay: x");
        assert!(parse("-d").unwrap_err().starts_with("usage: smtp-source"));
        assert!(parse("a b").is_err());
    }

    #[test]
    fn default_addresses_are_of_this_host() {
        let options = parse("-M my.host -t c@d host").unwrap();
        assert_eq!((options.from.as_str(), options.to.as_str()), ("foo@my.host", "c@d"));
    }
}
