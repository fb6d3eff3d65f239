//! The command line.

use posthaste_cli::{Getopt, Manual, Opt};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub const MANUAL: Manual = Manual {
    name: "smtp-sink",
    section: 1,
    summary: "parallelized SMTP/LMTP test server",
    synopsis: &["smtp-sink [options] [inet:][host]:port backlog", "smtp-sink [options] unix:pathname backlog"],
    description: "Listens on the named host (or address) and port, takes SMTP messages from the network and throws them away. It is made to measure \
                  clients, not to check the protocol. Commands in options are CONNECT, HELO, EHLO, LHLO, MAIL, RCPT, VRFY, DATA, ., RSET, NOOP \
                  and QUIT, in any case, separated by blanks or commas.",
    options: &[
        Opt { flag: "-4", argument: "", text: "Listen on IPv4 only." },
        Opt { flag: "-6", argument: "", text: "Listen on IPv6 only." },
        Opt { flag: "-8", argument: "", text: "Do not announce 8BITMIME." },
        Opt { flag: "-a", argument: "", text: "Do not announce AUTH." },
        Opt {
            flag: "-A",
            argument: "delay",
            text: "Wait so many seconds after the reply to DATA, then end with a 550 reply, reading no further input.",
        },
        Opt { flag: "-b", argument: "reply", text: "Reply of soft rejects (default: 450 4.3.0 Error: command failed)." },
        Opt { flag: "-B", argument: "reply", text: "Reply of hard rejects (default: 500 5.3.0 Error: command failed)." },
        Opt { flag: "-c", argument: "", text: "Display running counters of sessions, QUIT commands and messages." },
        Opt { flag: "-C", argument: "", text: "Do not take XCLIENT." },
        Opt {
            flag: "-d",
            argument: "template",
            text: "Write each message to a file of its own; the name is made from the template by strftime(3) and a random hexadecimal number. Missing directories are made.",
        },
        Opt { flag: "-D", argument: "template", text: "Append messages to the file named by the template as expanded by strftime(3)." },
        Opt { flag: "-e", argument: "", text: "Do not announce ESMTP." },
        Opt { flag: "-E", argument: "", text: "Do not announce ENHANCEDSTATUSCODES." },
        Opt { flag: "-f", argument: "commands", text: "Reject these commands with a hard error. Implies -p." },
        Opt { flag: "-F", argument: "", text: "Do not take XFORWARD." },
        Opt { flag: "-h", argument: "hostname", text: "Name in greeting and hello (default: smtp-sink)." },
        Opt { flag: "-H", argument: "delay", text: "Wait so many seconds before the first read after DATA." },
        Opt { flag: "-L", argument: "", text: "Speak LMTP." },
        Opt { flag: "-m", argument: "count", text: "Serve at most so many connections at one time (default: 256)." },
        Opt { flag: "-M", argument: "count", text: "End after so many messages." },
        Opt { flag: "-n", argument: "count", text: "End after so many sessions." },
        Opt { flag: "-N", argument: "", text: "Do not announce DSN." },
        Opt { flag: "-p", argument: "", text: "Do not announce PIPELINING." },
        Opt { flag: "-P", argument: "", text: "Greet like a CISCO PIX firewall. Implies -e." },
        Opt { flag: "-q", argument: "commands", text: "Disconnect without a reply after one of these commands." },
        Opt { flag: "-Q", argument: "commands", text: "Reply 421 and disconnect after one of these commands." },
        Opt { flag: "-r", argument: "commands", text: "Reject these commands with a soft error. Implies -p." },
        Opt { flag: "-R", argument: "directory", text: "Change the root directory. Needs root, and -u." },
        Opt { flag: "-s", argument: "commands", text: "Log these commands." },
        Opt { flag: "-S", argument: "string", text: "Text in front of each dumped message; C escapes are expanded." },
        Opt { flag: "-t", argument: "timeout", text: "Time limit in seconds for receiving a command or sending a reply (default: 100)." },
        Opt { flag: "-T", argument: "windowsize", text: "TCP window size." },
        Opt { flag: "-u", argument: "username", text: "Become this user once the socket is open. Needed as root." },
        Opt { flag: "-v", argument: "", text: "Show the conversations." },
        Opt { flag: "-w", argument: "delay", text: "Wait so many seconds before the reply to DATA." },
        Opt {
            flag: "-W",
            argument: "command:delay[:odds]",
            text: "Wait so many seconds before the reply to the command; with odds, a random multiple of it.",
        },
    ],
    sections: &[(
        "DUMP FILE FORMAT",
        "The text of -S; X-Client-Addr, X-Client-Proto, X-Helo-Args, X-Mail-Args, and one X-Rcpt-Args for each recipient; a Received header; \
         the message as received; an empty line.",
    )],
};

const USAGE: &str = "usage: smtp-sink [-468acCeEFLpPv] [-A abort_delay] [-b soft_bounce_reply] [-B hard_bounce_reply] [-d dump-template] \
                     [-D dump-template] [-f commands] [-h hostname] [-m max_concurrency] [-M message_quit_count] [-n quit_count] [-q commands] \
                     [-r commands] [-R root-dir] [-s commands] [-S start-string] [-u user_privs] [-w delay] [host]:port backlog";

/// The commands that can be named in options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Connect,
    Helo,
    Ehlo,
    Lhlo,
    Xclient,
    Xforward,
    Auth,
    Mail,
    Rcpt,
    Data,
    Dot,
    Rset,
    Noop,
    Vrfy,
    Quit,
}

const COMMANDS: [(&str, Command); 15] = [
    ("CONNECT", Command::Connect),
    ("HELO", Command::Helo),
    ("EHLO", Command::Ehlo),
    ("LHLO", Command::Lhlo),
    ("XCLIENT", Command::Xclient),
    ("XFORWARD", Command::Xforward),
    ("AUTH", Command::Auth),
    ("MAIL", Command::Mail),
    ("RCPT", Command::Rcpt),
    ("DATA", Command::Data),
    (".", Command::Dot),
    ("RSET", Command::Rset),
    ("NOOP", Command::Noop),
    ("VRFY", Command::Vrfy),
    ("QUIT", Command::Quit),
];

impl Command {
    /// By name, case ignored.
    pub fn parse(word: &[u8]) -> Option<Command> {
        COMMANDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|(_, command)| *command)
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(u32);

impl Set {
    pub fn has(self, command: Command) -> bool {
        self.0 & command.bit() != 0
    }

    fn add(&mut self, list: &str) -> Result<(), String> {
        for word in list.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
            self.0 |= Command::parse(word.as_bytes()).ok_or_else(|| format!("unknown command: {word}"))?.bit();
        }
        Ok(())
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Host (empty for all) and port.
    Inet(String, u16),
    /// Path.
    Unix(PathBuf),
}

/// `-W`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    pub command: Command,
    pub time: Duration,
    pub odds: u64,
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dump {
    None,
    Single(String),
    Append(String),
}

#[derive(Clone, Debug)]
pub struct Options {
    pub endpoint: Endpoint,
    pub backlog: u32,
    pub ipv4: bool,
    pub ipv6: bool,
    pub eight_bit_mime: bool,
    pub auth: bool,
    pub abort: Option<Duration>,
    pub soft_reply: String,
    pub hard_reply: String,
    pub counters: bool,
    pub xclient: bool,
    pub dump: Dump,
    pub start_text: Vec<u8>,
    pub esmtp: bool,
    pub enhanced: bool,
    pub hard: Set,
    pub xforward: bool,
    pub hostname: String,
    pub read_delay: Duration,
    pub lmtp: bool,
    pub concurrency: usize,
    pub message_limit: u64,
    pub session_limit: u64,
    pub dsn: bool,
    pub pipelining: bool,
    pub pix: bool,
    pub hang_up: Set,
    pub hang_up_421: Set,
    pub soft: Set,
    pub root: Option<PathBuf>,
    pub log_commands: Set,
    pub timeout: Duration,
    pub window: u32,
    pub user: Option<String>,
    pub verbose: bool,
    pub delays: Vec<Delay>,
}

impl Options {
    /// An error is what is logged as fatal.
    pub fn parse(arguments: Vec<OsString>) -> Result<Options, String> {
        let mut getopt = Getopt::new(arguments, "468aA:b:B:cCd:D:eEf:Fh:H:Lm:M:n:NpPq:Q:r:R:s:S:t:T:u:vw:W:");
        let mut o = Options::default();
        for option in getopt.by_ref() {
            let (letter, argument) = match option {
                Ok(option) => option,
                Err(bad) => {
                    eprintln!("{bad}");
                    return Err(USAGE.into());
                }
            };
            let text = argument.unwrap_or_default().to_string_lossy().into_owned();
            let count = |what: &str| text.parse::<u64>().map_err(|_| format!("bad {what}: {text}"));
            let seconds = |what: &str| count(what).map(Duration::from_secs);
            match letter {
                b'4' => o.ipv6 = false,
                b'6' => o.ipv4 = false,
                b'8' => o.eight_bit_mime = false,
                b'a' => o.auth = false,
                b'A' => o.abort = Some(seconds("abort delay")?),
                b'b' => o.soft_reply = checked(&text, '4')?,
                b'B' => o.hard_reply = checked(&text, '5')?,
                b'c' => o.counters = true,
                b'C' => o.xclient = false,
                b'd' => o.dump = Dump::Single(text),
                b'D' => o.dump = Dump::Append(text),
                b'e' => o.esmtp = false,
                b'E' => o.enhanced = false,
                b'f' => {
                    o.hard.add(&text)?;
                    o.pipelining = false;
                }
                b'F' => o.xforward = false,
                b'h' => o.hostname = text,
                b'H' => o.read_delay = seconds("data read delay")?,
                b'L' => o.lmtp = true,
                b'm' => o.concurrency = count("concurrency limit")?.max(1) as usize,
                b'M' => o.message_limit = count("message quit count")?,
                b'n' => o.session_limit = count("session quit count")?,
                b'N' => o.dsn = false,
                b'p' => o.pipelining = false,
                b'P' => (o.pix, o.esmtp) = (true, false),
                b'q' => o.hang_up.add(&text)?,
                b'Q' => o.hang_up_421.add(&text)?,
                b'r' => {
                    o.soft.add(&text)?;
                    o.pipelining = false;
                }
                b'R' => o.root = Some(text.into()),
                b's' => o.log_commands.add(&text)?,
                b'S' => o.start_text = unescape(text.as_bytes()),
                b't' => o.timeout = seconds("timeout")?,
                b'T' => o.window = count("TCP window size")? as u32,
                b'u' => o.user = Some(text),
                b'v' => o.verbose = true,
                b'w' => o.delays.push(Delay { command: Command::Data, time: seconds("data delay")?, odds: 0 }),
                _ => o.delays.push(delay(&text)?),
            }
        }
        let operands = getopt.operands();
        let [endpoint, backlog] = &operands[..] else { return Err(USAGE.into()) };
        o.endpoint = endpoint_of(&endpoint.to_string_lossy())?;
        let backlog = backlog.to_string_lossy();
        o.backlog = backlog.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("bad backlog: {backlog}"))?;
        Ok(o)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            endpoint: Endpoint::Inet(String::new(), 0),
            backlog: 1,
            ipv4: true,
            ipv6: true,
            eight_bit_mime: true,
            auth: true,
            abort: None,
            soft_reply: "450 4.3.0 Error: command failed".into(),
            hard_reply: "500 5.3.0 Error: command failed".into(),
            counters: false,
            xclient: true,
            dump: Dump::None,
            start_text: Vec::new(),
            esmtp: true,
            enhanced: true,
            hard: Set::default(),
            xforward: true,
            hostname: "smtp-sink".into(),
            read_delay: Duration::ZERO,
            lmtp: false,
            concurrency: 256,
            message_limit: 0,
            session_limit: 0,
            dsn: true,
            pipelining: true,
            pix: false,
            hang_up: Set::default(),
            hang_up_421: Set::default(),
            soft: Set::default(),
            root: None,
            log_commands: Set::default(),
            timeout: Duration::from_secs(100),
            window: 0,
            user: None,
            verbose: false,
            delays: Vec::new(),
        }
    }
}

fn checked(reply: &str, class: char) -> Result<String, String> {
    let code = reply.get(..3).is_some_and(|code| code.starts_with(class) && code.bytes().all(|c| c.is_ascii_digit()));
    if code { Ok(reply.to_owned()) } else { Err(format!("bad reply, need {class}XX code: {reply}")) }
}

/// `command:delay[:odds]`.
fn delay(text: &str) -> Result<Delay, String> {
    let bad = || format!("bad command delay, need command:delay[:odds]: {text}");
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let command = Command::parse(name.as_bytes()).ok_or_else(|| format!("unknown command: {name}"))?;
    let time = Duration::from_secs(parts.next().and_then(|n| n.parse().ok()).ok_or_else(bad)?);
    let odds = match parts.next() {
        None => 0,
        Some(odds) => odds.parse().ok().filter(|n| (1..=99).contains(n)).ok_or_else(bad)?,
    };
    Ok(Delay { command, time, odds })
}

fn endpoint_of(text: &str) -> Result<Endpoint, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Endpoint::Unix(path.into()));
    }
    let text = text.strip_prefix("inet:").unwrap_or(text);
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = match port {
        "smtp" => 25,
        "lmtp" => 24,
        "submission" => 587,
        port => port.parse().map_err(|_| format!("bad port: {port}"))?,
    };
    Ok(Endpoint::Inet(host.into(), port))
}

/// C escapes: `\a \b \f \n \r \t \v \ddd \\`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&c, tail)) = rest.split_first() {
        rest = tail;
        if c != b'\\' {
            out.push(c);
            continue;
        }
        let Some((&c, tail)) = rest.split_first() else { break };
        let digits = rest.iter().take(3).take_while(|c| (b'0'..=b'7').contains(*c)).count();
        if digits > 0 {
            out.push(rest[..digits].iter().fold(0u32, |n, c| n * 8 + u32::from(c - b'0')) as u8);
            rest = &rest[digits..];
            continue;
        }
        rest = tail;
        out.push(match c {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            other => other,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(std::iter::once("smtp-sink").chain(line.split(' ')).map(OsString::from).collect())
    }

    #[test]
    fn endpoints() {
        for (text, expected) in [
            (":25", Endpoint::Inet("".into(), 25)),
            ("127.0.0.1:2525", Endpoint::Inet("127.0.0.1".into(), 2525)),
            ("inet:[::1]:2525", Endpoint::Inet("::1".into(), 2525)),
            ("unix:/run/x", Endpoint::Unix("/run/x".into())),
        ] {
            assert_eq!(parse(&format!("{text} 10")).unwrap().endpoint, expected);
        }
    }

    #[test]
    fn command_lists() {
        let options = parse("-f rcpt,. -q Mail 127.0.0.1:25 10").unwrap();
        assert!(options.hard.has(Command::Rcpt) && options.hard.has(Command::Dot) && !options.hard.has(Command::Data));
        assert!(options.hang_up.has(Command::Mail) && !options.pipelining);
        assert_eq!(parse("-f nosuch 127.0.0.1:25 10").unwrap_err(), "unknown command: nosuch");
        assert!(parse("127.0.0.1:25").unwrap_err().starts_with("usage: smtp-sink"));
    }

    #[test]
    fn delays_and_texts() {
        assert_eq!(parse("-W rcpt:2:50 :25 1").unwrap().delays, [Delay { command: Command::Rcpt, time: Duration::from_secs(2), odds: 50 }]);
        assert!(parse("-W rcpt:2:100 :25 1").is_err());
        assert_eq!(unescape(b"start\\t\\101\\n\\\\"), b"start\tA\n\\");
        assert!(parse("-b 550 :25 1").is_err());
    }
}
