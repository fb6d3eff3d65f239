//! `check_policy_service` (SMTPD_POLICY_README): a server outside is told of the request and answers with an action of access(5).

use super::eval::{Evaluation, Outcome};
use super::parse::Subject;
use crate::endpoint::{self, Endpoint};
use crate::transport::Stream;
use bstr::{BString, ByteSlice};
use posthaste_config::ports::Ports;
use posthaste_config::{Config, split_list};
use posthaste_dns::Resolver;
use posthaste_log::{Logger, warn};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};

/// A reply may not be longer.
const MAX_REPLY: usize = 64 * 1024;

/// One policy server with its idle connections.
#[derive(Debug)]
pub struct Policy {
    /// As configured, with braces and attributes: what warnings about its answers name.
    title: String,
    /// `inet:127.0.0.1:10023`.
    name: String,
    endpoint: Endpoint,
    timeout: Duration,
    max_idle: Duration,
    max_ttl: Duration,
    request_limit: u64,
    try_limit: u64,
    retry_delay: Duration,
    default_action: String,
    context: String,
    /// `smtputf8_enable`: answers have to be UTF-8.
    smtputf8: bool,
    idle: RefCell<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    made: Instant,
    used: Instant,
    requests: u64,
}

impl Policy {
    /// From `inet:host:port`, `unix:path`, or `inet:host:port, timeout=10s, default_action=DUNNO` (the inside of braces); `title` is the whole
    /// as it is written.
    pub fn parse(title: &str, spec: &str, config: &Config) -> Result<Policy, String> {
        let mut words = split_list(spec);
        let name = words.next().ok_or("policy service without a server")?;
        let text = |name: &str| config.text(name).map_err(|error| error.to_string());
        let time = |name: &str| config.time(name).map_err(|error| error.to_string());
        let number = |name: &str| config.int(name).map(|n| u64::try_from(n).unwrap_or(0)).map_err(|error| error.to_string());
        let mut policy = Policy {
            title: title.to_owned(),
            name: name.to_owned(),
            endpoint: Endpoint::parse_typed(name, &Ports::read(config).map_err(|error| error.to_string())?)
                .map_err(|error| format!("bad policy service \"{name}\": {error}"))?,
            timeout: time("smtpd_policy_service_timeout")?,
            max_idle: time("smtpd_policy_service_max_idle")?,
            max_ttl: time("smtpd_policy_service_max_ttl")?,
            request_limit: number("smtpd_policy_service_request_limit")?,
            try_limit: number("smtpd_policy_service_try_limit")?,
            retry_delay: time("smtpd_policy_service_retry_delay")?,
            default_action: text("smtpd_policy_service_default_action")?,
            context: text("smtpd_policy_service_policy_context")?,
            smtputf8: config.bool("smtputf8_enable").map_err(|error| error.to_string())?,
            idle: RefCell::default(),
        };
        // `{ inet:…, name = value, { name = value with blanks } }`
        let rest = &spec[spec.find(name).unwrap_or(0) + name.len()..];
        for (name, value) in attributes(rest)? {
            let time = || parse_time(value).ok_or(format!("bad time value \"{value}\" of {name}"));
            let number = || value.parse().map_err(|_| format!("bad numerical value \"{value}\" of {name}"));
            match name {
                "timeout" => policy.timeout = time()?,
                "max_idle" => policy.max_idle = time()?,
                "max_ttl" => policy.max_ttl = time()?,
                "retry_delay" => policy.retry_delay = time()?,
                "request_limit" => policy.request_limit = number()?,
                "try_limit" => policy.try_limit = number()?,
                "default_action" => policy.default_action = value.to_owned(),
                "policy_context" => policy.context = value.to_owned(),
                other => return Err(format!("unknown attribute {other} of policy service {}", policy.name)),
            }
        }
        Ok(policy)
    }

    /// `host:port` or the path, as in log lines.
    fn label(&self) -> &str {
        self.name.split_once(':').map_or(&self.name, |(_, rest)| rest)
    }

    /// An idle connection that may still be used, else a new one.
    async fn connection(&self, resolver: &Resolver, log: &Logger) -> io::Result<Connection> {
        let now = Instant::now();
        let usable = |connection: &Connection| {
            now.duration_since(connection.used) < self.max_idle
                && now.duration_since(connection.made) < self.max_ttl
                && (self.request_limit == 0 || connection.requests < self.request_limit)
                && connection.stream.is_quiet()
        };
        let kept = {
            let mut idle = self.idle.borrow_mut();
            idle.retain(usable);
            idle.pop()
        };
        match kept {
            Some(connection) => Ok(connection),
            None => Ok(Connection { stream: self.endpoint.connect(resolver, log).await?, made: now, used: now, requests: 0 }),
        }
    }

    /// One request, one answer. A connection is kept only when nothing but the answer came.
    async fn exchange(&self, resolver: &Resolver, log: &Logger, request: &[u8]) -> Result<BString, Failed> {
        let until = Instant::now() + self.timeout;
        let connected = timeout_at(until, self.connection(resolver, log)).await;
        let mut connection = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
            warn!(log, "connect to {}: {}", self.label(), endpoint::reason(&error));
            Failed::System(error)
        })?;
        let written = timeout_at(until, connection.stream.write_all(request)).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(Failed::System)?;
        let mut reply = Vec::new();
        loop {
            match parse_reply(&reply) {
                Reply::Incomplete if reply.len() > MAX_REPLY => {
                    warn!(log, "reply from {} is too long", self.label());
                    return Err(Failed::Protocol);
                }
                Reply::Incomplete => {}
                Reply::NoAction => {
                    warn!(log, "missing attribute action in input from {}", self.label());
                    return Err(Failed::Protocol);
                }
                Reply::Action { action, end } => {
                    let action = BString::from(action);
                    if end == reply.len() {
                        connection.used = Instant::now();
                        connection.requests += 1;
                        self.idle.borrow_mut().push(connection);
                    }
                    return Ok(action);
                }
            }
            let read = timeout_at(until, connection.stream.read(&mut reply)).await;
            let what = match read {
                Ok(Ok(count)) if count > 0 => continue,
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(Err(error)) => return Err(Failed::System(error)),
                Ok(Ok(_)) => "premature end-of-input",
                Err(_) => "timeout",
            };
            if !reply.is_empty() {
                let line = &reply[reply.rfind_byte(b'\n').map_or(0, |at| at + 1)..];
                let part = if line.contains(&b'=') { "value" } else { "name" };
                warn!(log, "{what} on {} while reading input attribute {part}", self.label());
            }
            return Err(if what == "timeout" { Failed::System(io::ErrorKind::TimedOut.into()) } else { Failed::Protocol });
        }
    }
}

/// Why there was no answer.
#[derive(Debug)]
enum Failed {
    /// The server does not keep to the protocol, which is logged, or has closed the connection.
    Protocol,
    System(io::Error),
}

impl Failed {
    /// Whether the first such failure goes without saying: servers end their idle connections, and may be starting just now.
    fn is_usual(&self) -> bool {
        match self {
            Failed::Protocol => true,
            Failed::System(error) => {
                matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotFound)
            }
        }
    }
}

/// What has come of a reply: `name=value` lines up to an empty one.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Its empty line has not come.
    Incomplete,
    /// There is none in it.
    NoAction,
    /// The first action, and where the reply ends.
    Action { action: &'a [u8], end: usize },
}

pub fn parse_reply(reply: &[u8]) -> Reply<'_> {
    let mut action = None;
    let mut at = 0;
    while let Some(length) = reply[at..].find_byte(b'\n') {
        let line = &reply[at..at + length];
        at += length + 1;
        if line.is_empty() {
            return action.map_or(Reply::NoAction, |action| Reply::Action { action, end: at });
        }
        if let Some(value) = line.strip_prefix(b"action=") {
            // A NUL ends a value.
            action.get_or_insert(value.split(|&c| c == 0).next().unwrap_or_default());
        }
    }
    Reply::Incomplete
}

fn attributes(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([',', ' ', '\t', '\n']);
    while !rest.is_empty() {
        let (pair, tail) = if rest.starts_with('{') {
            let end = rest.find('}').ok_or_else(|| format!("missing '}}' in \"{rest}\""))?;
            (&rest[1..end], &rest[end + 1..])
        } else {
            // `name = value` and `name=value`: blanks around the sign belong to it.
            let sign = rest.find('=').ok_or_else(|| format!("missing '=' after attribute name: \"{rest}\""))?;
            let value = rest[sign + 1..].trim_start();
            let end = rest.len() - value.len() + value.find([',', ' ', '\t', '\n']).unwrap_or(value.len());
            rest.split_at(end)
        };
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("missing '=' after attribute name: \"{pair}\""))?;
        found.push((name.trim(), value.trim()));
        rest = tail.trim_start_matches([',', ' ', '\t', '\n']);
    }
    Ok(found)
}

fn parse_time(text: &str) -> Option<Duration> {
    let (digits, factor) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 60),
        b'h' => (&text[..text.len() - 1], 3600),
        b'd' => (&text[..text.len() - 1], 86400),
        b'w' => (&text[..text.len() - 1], 604_800),
        _ => (text, 1),
    };
    Some(Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(factor)?))
}

impl Evaluation<'_> {
    /// Asks a policy server and acts on its answer.
    pub async fn policy(&mut self, policy: &Policy, subject: Subject) -> Outcome {
        let request = self.policy_request(policy);
        let log = &self.rules.log;
        let mut action = None;
        for turn in 1..=policy.try_limit.max(1) {
            match policy.exchange(&self.rules.resolver, log, &request).await {
                Ok(answer) => {
                    action = Some(answer);
                    break;
                }
                Err(failed) => {
                    let last = turn == policy.try_limit.max(1);
                    if turn > 1 || last || !failed.is_usual() {
                        let reason = match &failed {
                            Failed::Protocol => "Application error".to_owned(),
                            Failed::System(error) => endpoint::reason(error),
                        };
                        warn!(log, "problem talking to server {}: {reason}", policy.label());
                    }
                    if !last {
                        tokio::time::sleep(policy.retry_delay).await;
                    }
                }
            }
        }
        if let Some(answer) = &action
            && policy.smtputf8
            && !answer.is_utf8()
        {
            warn!(
                log,
                "malformed UTF-8 in policy server {} response: \"{}\"",
                policy.name,
                posthaste_smtp_protocol::client::printable(answer)
            );
            action = None;
        }
        let action = action.unwrap_or_else(|| policy.default_action.as_str().into());
        Box::pin(self.result(&policy.title, action.as_bstr(), "policy query".into(), subject)).await
    }

    fn policy_request(&mut self, policy: &Policy) -> Vec<u8> {
        if self.memory.instance.is_empty() {
            self.memory.instance = self.rules.next_instance();
        }
        let session = self.session;
        let client = session.client();
        let transaction = session.transaction();
        let place = session.place();
        let late = matches!(place, "DATA" | "BDAT" | "END-OF-MESSAGE");
        let recipient = session.recipient().map(|address| address.as_bytes()).unwrap_or_default();
        let size = match transaction {
            Some(transaction) if place == "END-OF-MESSAGE" => transaction.size,
            Some(transaction) => transaction.parameters.size,
            None => 0,
        };
        let count = if late { transaction.map_or(0, |transaction| transaction.recipients) } else { 0 };
        let queue_id = transaction.and_then(|transaction| transaction.queue_id.as_deref()).unwrap_or_default();
        let mut out = Vec::with_capacity(768);
        let mut put = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            // A newline would end the attribute; nothing that a client sends may start another one.
            out.extend(value.iter().map(|&c| if c == b'\n' || c == 0 { b'?' } else { c }));
            out.push(b'\n');
        };
        put("request", b"smtpd_access_policy");
        put("protocol_state", if place == "BDAT" { b"DATA" } else { place.as_bytes() });
        put("protocol_name", session.protocol().as_bytes());
        put("client_address", &client.address);
        put("client_name", &client.name);
        put("client_port", &client.port);
        put("reverse_client_name", &client.reverse_name);
        put("server_address", &client.server_address);
        put("server_port", &client.server_port);
        put("helo_name", session.helo().unwrap_or_default());
        put("sender", transaction.map(|transaction| transaction.sender.as_bytes()).unwrap_or_default());
        put("recipient", recipient);
        put("recipient_count", count.to_string().as_bytes());
        put("queue_id", queue_id.as_bytes());
        put("instance", self.memory.instance.as_bytes());
        put("size", size.to_string().as_bytes());
        put("etrn_domain", if place == "ETRN" { session.written() } else { Default::default() });
        put("stress", self.rules.stress.as_bytes());
        let login = session.login();
        put("sasl_method", login.map_or(b"", |login| login.method.as_bytes()));
        put("sasl_username", login.map_or(b"", |login| &login.username));
        put("sasl_sender", login.map_or(b"", |login| &login.sender));
        for name in
            ["ccert_subject", "ccert_issuer", "ccert_fingerprint", "ccert_pubkey_fingerprint", "encryption_protocol", "encryption_cipher"]
        {
            put(name, b"");
        }
        put("encryption_keysize", b"0");
        put("policy_context", policy.context.as_bytes());
        put("compatibility_level", self.rules.compatibility_level.as_bytes());
        put("mail_version", self.rules.mail_version.as_bytes());
        out.push(b'\n');
        out
    }
}

impl super::Rules {
    /// Names one message for the policy servers: process, time, and a counter.
    fn next_instance(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = self.instances.get();
        self.instances.set(number.wrapping_add(1));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "{:x}.{:x}.{:x}.{number:x}", std::process::id(), now.as_secs(), now.subsec_micros());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse("smtpd_policy_service_timeout = 7s\n", "main.cf").unwrap()
    }

    #[test]
    fn servers() {
        let policy = Policy::parse("", "inet:127.0.0.1:9000", &config()).unwrap();
        assert!(matches!(&policy.endpoint, Endpoint::Inet { host, port: Some(9000), .. } if host == "127.0.0.1"));
        assert_eq!(policy.timeout, Duration::from_secs(7));
        assert_eq!(policy.label(), "127.0.0.1:9000");
        assert!(
            matches!(Policy::parse("", "unix:private/policy", &config()).unwrap().endpoint, Endpoint::Unix(path) if path == "private/policy")
        );
        assert!(matches!(Policy::parse("", "inet:[::1]:9000", &config()).unwrap().endpoint, Endpoint::Inet { host, .. } if host == "::1"));
        assert!(Policy::parse("", "127.0.0.1:9000", &config()).is_err());
    }

    #[test]
    fn attributes_of_a_server() {
        let spec = " inet:127.0.0.1:9000, timeout = 2m, { default_action = 450 4.7.1 try later }, policy_context=ctx ";
        let policy = Policy::parse("", spec, &config()).unwrap();
        assert_eq!(policy.timeout, Duration::from_secs(120));
        assert_eq!(policy.default_action, "450 4.7.1 try later");
        assert_eq!(policy.context, "ctx");
        assert!(Policy::parse("", "inet:127.0.0.1:9000, foo=1", &config()).is_err());
        assert!(Policy::parse("", "inet:127.0.0.1:9000, timeout", &config()).is_err());
        assert!(Policy::parse("", "inet:127.0.0.1:9000, timeout=soon", &config()).is_err());
    }

    /// S-TRAP-09: what servers answer.
    #[test]
    fn replies() {
        let action = |reply: &'static [u8]| match parse_reply(reply) {
            Reply::Action { action, end } => Some((action, end)),
            other => panic!("{other:?}"),
        };
        assert_eq!(action(b"action=DUNNO\n\n"), Some((&b"DUNNO"[..], 14)));
        assert_eq!(action(b"x=y\naction=a=b\naction=c\nhello\n\naction=d\n\n"), Some((&b"a=b"[..], 31)));
        assert_eq!(action(b"action=REJECT a\0b\n\n"), Some((&b"REJECT a"[..], 19)));
        assert_eq!(action(b"action=\n\n"), Some((&b""[..], 9)));
        for reply in [&b""[..], b"action=DUNNO\n", b"action=DUNNO", b"action=DUNNO\r\n\r\n"] {
            assert_eq!(parse_reply(reply), Reply::Incomplete);
        }
        for reply in [&b"\n"[..], b"\naction=DUNNO\n\n", b"ACTION=DUNNO\n\n", b" action=DUNNO\n\n", b"action = DUNNO\n\n"] {
            assert_eq!(parse_reply(reply), Reply::NoAction);
        }
    }
}
