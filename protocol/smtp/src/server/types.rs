//! What the engine is told (settings, client, verdicts) and what it tells (steps, the transaction).

use bstr::{BStr, BString};
use posthaste_address::Address;
use std::net::IpAddr;
use std::time::Duration;

/// What main.cf says about the protocol. One value for all sessions of a service.
pub struct Settings {
    /// `myhostname`: in replies to HELO and EHLO, in 421 replies and the Received: header.
    pub hostname: String,
    /// `mail_name`, for the Received: header.
    pub mail_name: String,
    /// `smtpd_banner`.
    pub banner: String,
    /// `smtpd_helo_required`.
    pub helo_required: bool,
    /// `strict_rfc821_envelopes`.
    pub strict_envelopes: bool,
    /// `disable_vrfy_command`.
    pub disable_vrfy: bool,
    /// `smtpd_delay_reject`: the client, HELO and sender checks are made at RCPT.
    pub delay_reject: bool,
    /// `smtpd_delay_open_until_valid_rcpt`: the queue file is made at the first good recipient, else at MAIL.
    pub delay_open: bool,
    /// `soft_bounce`: every 5xx becomes 4xx.
    pub soft_bounce: bool,
    /// `smtputf8_enable`.
    pub smtputf8: bool,
    /// `strict_smtputf8`.
    pub strict_smtputf8: bool,
    /// `line_length_limit`: longest piece of a content line, and longest command.
    pub line_length_limit: usize,
    /// `message_size_limit`; 0 is no limit.
    pub message_size_limit: u64,
    /// `smtpd_error_sleep_time`.
    pub error_sleep: Duration,
    /// `smtpd_soft_error_limit`.
    pub soft_error_limit: u32,
    /// `smtpd_hard_error_limit`.
    pub hard_error_limit: u32,
    /// `smtpd_junk_command_limit`.
    pub junk_command_limit: u32,
    /// `smtpd_recipient_limit`.
    pub recipient_limit: u32,
    /// `smtpd_recipient_overshoot_limit`.
    pub recipient_overshoot_limit: u32,
    /// `smtpd_history_flush_threshold`; `None` keeps no transcript at all (`notify_classes` wants none).
    pub history: Option<usize>,
    /// `smtpd_forbid_bare_newline`.
    pub bare_newline: BareNewline,
    /// `smtpd_forbid_bare_newline_reject_code`.
    pub bare_newline_code: u16,
    /// `smtpd_forbid_unauth_pipelining`: what happens to a client that does not wait for a reply where it must.
    pub early_input: EarlyInput,
    /// `smtpd_client_port_logging`.
    pub log_port: bool,
    /// `smtpd_hide_client_session`.
    pub hide_client: bool,
    /// `smtpd_noop_commands`: the command is answered 250 and otherwise ignored.
    pub noop_command: Option<Matcher>,
    /// `smtpd_forbidden_commands`: the client is thrown out.
    pub forbidden_command: Option<Matcher>,
    /// Changes a refusal (4xx, 5xx) before it is sent: `smtpd_reject_filter_maps`, `smtpd_reject_footer(_maps)`. `None` in the answer leaves it.
    /// Lines are separated by `\r\n`.
    pub edit_refusal: Option<RefusalEditor>,
    /// Looks a client's command up in `smtpd_command_filter`.
    pub command_filter: Option<CommandFilter>,
    /// `smtpd_proxy_filter`: RCPT and DATA go on to a filter in front of the queue before they are answered ([`Step::Relay`]).
    pub relay: bool,
    /// `default_verp_delimiters`.
    pub verp_delimiters: String,
    /// `verp_delimiter_filter`.
    pub verp_filter: String,
    /// Form of addresses in the log (`info_log_address_format`): quoted when true.
    pub log_external: bool,
}

impl Settings {
    /// The defaults of main.cf for a host `mail.example.com`: a start for tests and for callers that set each field anyway.
    pub fn example() -> Settings {
        Settings {
            hostname: "mail.example.com".into(),
            mail_name: "Posthaste".into(),
            banner: "mail.example.com ESMTP Posthaste".into(),
            helo_required: false,
            strict_envelopes: false,
            disable_vrfy: false,
            delay_reject: true,
            delay_open: true,
            soft_bounce: false,
            smtputf8: true,
            strict_smtputf8: false,
            line_length_limit: 2048,
            message_size_limit: 10_240_000,
            error_sleep: Duration::from_secs(1),
            soft_error_limit: 10,
            hard_error_limit: 20,
            junk_command_limit: 100,
            recipient_limit: 1000,
            recipient_overshoot_limit: 1000,
            history: Some(100),
            bare_newline: BareNewline::Normalize,
            bare_newline_code: 550,
            early_input: EarlyInput::Forbid,
            log_port: false,
            hide_client: false,
            noop_command: None,
            forbidden_command: None,
            edit_refusal: None,
            command_filter: None,
            relay: false,
            verp_delimiters: "+=".into(),
            verp_filter: "-=+".into(),
            log_external: true,
        }
    }
}

/// Whether a command word is in a list.
pub type Matcher = Box<dyn Fn(&BStr) -> bool>;
/// See [`Settings::edit_refusal`].
pub type RefusalEditor = Box<dyn Fn(&RefusalContext<'_>, &str) -> Option<String>>;

/// What a refusal's text may speak of.
#[derive(Clone, Debug)]
pub struct RefusalContext<'a> {
    /// The client.
    pub client: &'a Client,
    /// The client as log lines name it.
    pub label: String,
    /// The name given with HELO or EHLO.
    pub helo: Option<&'a BStr>,
    /// The sender, from MAIL on.
    pub sender: Option<&'a Address>,
    /// The first recipient that was accepted; one that is refused is not spoken of.
    pub recipient: Option<&'a Address>,
}

/// See [`Settings::command_filter`].
pub type CommandFilter = Box<dyn Fn(&BStr) -> Option<BString>>;

/// `smtpd_forbid_bare_newline`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BareNewline {
    /// Lines may end in a bare newline, also the dot that ends a message.
    #[default]
    Allow,
    /// Only CRLF.CRLF ends a message; other lines may end as they like.
    Normalize,
    /// As `Normalize`, and a line with a bare newline spoils the message or command.
    Reject,
    /// As `Allow`, and logged.
    Note,
}

/// Who is connected. XCLIENT replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Verified host name, or `unknown`.
    pub name: BString,
    /// What the address maps back to, not verified, or `unknown`.
    pub reverse_name: BString,
    /// Printed, without `IPv6:`.
    pub address: BString,
    /// Printed, empty when unknown.
    pub port: BString,
    /// The address as a number; `None` for a local socket.
    pub ip: Option<IpAddr>,
    /// Who is at the other end of the connection, whatever XCLIENT says; `None` for a local socket.
    pub peer: Option<IpAddr>,
    /// How the lookup of `name` ended.
    pub name_status: NameStatus,
    /// How the lookup of `reverse_name` ended.
    pub reverse_status: NameStatus,
    /// Our side of the connection.
    pub server_address: BString,
    /// Our side of the connection.
    pub server_port: BString,
}

/// How a name lookup ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameStatus {
    /// Found (and, for the name, it maps back to the address).
    #[default]
    Found,
    /// There is none, or it does not map back.
    Missing,
    /// The name server could not be asked.
    Failed,
    /// The name was found and belongs to another address.
    Forged,
}

impl Client {
    /// A client on this host that did not come over the network (`sendmail -bs`, tests).
    pub fn local() -> Client {
        Client {
            name: "localhost".into(),
            reverse_name: "localhost".into(),
            address: "127.0.0.1".into(),
            port: BString::default(),
            ip: Some(IpAddr::from([127, 0, 0, 1])),
            peer: Some(IpAddr::from([127, 0, 0, 1])),
            name_status: NameStatus::Found,
            reverse_status: NameStatus::Found,
            server_address: "127.0.0.1".into(),
            server_port: BString::default(),
        }
    }

    /// `name[address]`, as in log lines; `name[address]:port` with `smtpd_client_port_logging`.
    pub fn label(&self, with_port: bool) -> String {
        if with_port && !self.port.is_empty() {
            format!("{}[{}]:{}", self.name, self.address, self.port)
        } else {
            format!("{}[{}]", self.name, self.address)
        }
    }

    /// The address with the `IPv6:` prefix where RFC 5321 §4.1.3 wants it.
    pub fn rfc_address(&self) -> BString {
        match self.ip {
            Some(IpAddr::V6(_)) => BString::from(format!("IPv6:{}", self.address)),
            _ => self.address.clone(),
        }
    }
}

/// What one client may do, looked up when it connects (and again after XCLIENT).
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// `smtpd_discard_ehlo_keyword(s|_address_maps)`: a set of [`keyword`] bits.
    pub discard: u32,
    /// `smtpd_forbid_bare_newline_exclusions` matches.
    pub bare_newline_excluded: bool,
    /// `smtpd_authorized_xclient_hosts` matches.
    pub xclient: bool,
    /// `smtpd_authorized_xforward_hosts` matches.
    pub xforward: bool,
    /// `smtpd_authorized_verp_clients` matches.
    pub verp: bool,
    /// The lookup failed that tells whether the client may use these: of XCLIENT, XFORWARD and VERP, and [`keyword::ANY`] for what
    /// is announced at all. A client that asks is told so and sent away.
    pub unknown: u32,
    /// The dialogue goes to the log: `debug_peer_list` matches, or `-v`.
    pub debug: bool,
}

/// EHLO keywords that can be discarded.
#[allow(missing_docs, reason = "the names are the keywords")]
pub mod keyword {
    pub const PIPELINING: u32 = 1 << 0;
    pub const SIZE: u32 = 1 << 1;
    pub const VRFY: u32 = 1 << 2;
    pub const ETRN: u32 = 1 << 3;
    pub const STARTTLS: u32 = 1 << 4;
    pub const AUTH: u32 = 1 << 5;
    pub const XCLIENT: u32 = 1 << 6;
    pub const XFORWARD: u32 = 1 << 7;
    pub const VERP: u32 = 1 << 8;
    pub const ENHANCEDSTATUSCODES: u32 = 1 << 9;
    pub const EIGHTBITMIME: u32 = 1 << 10;
    pub const DSN: u32 = 1 << 11;
    pub const SMTPUTF8: u32 = 1 << 12;
    pub const CHUNKING: u32 = 1 << 13;
    pub const REQUIRETLS: u32 = 1 << 14;
    /// Not announced: no log line about what is discarded.
    pub const SILENT: u32 = 1 << 15;
    /// Whatever there is.
    pub const ANY: u32 = 1 << 16;

    /// The discarded keywords as the log lists them: in Postfix's order, and with its odd name for SMTPUTF8. `None` when nothing is
    /// logged: nothing is discarded, `silent-discard`, or, a quirk, ENHANCEDSTATUSCODES is among them.
    pub fn words(discard: u32) -> Option<String> {
        const ORDER: [(&str, u32); 14] = [
            ("8BITMIME", EIGHTBITMIME),
            ("AUTH", AUTH),
            ("ETRN", ETRN),
            ("PIPELINING", PIPELINING),
            ("SIZE", SIZE),
            ("VERP", VERP),
            ("VRFY", VRFY),
            ("XCLIENT", XCLIENT),
            ("XFORWARD", XFORWARD),
            ("STARTTLS", STARTTLS),
            ("DSN", DSN),
            ("EHLO_MASK_SMTPUTF8", SMTPUTF8),
            ("CHUNKING", CHUNKING),
            ("REQUIRETLS", REQUIRETLS),
        ];
        if discard == 0 || discard & (SILENT | ENHANCEDSTATUSCODES) != 0 {
            return None;
        }
        let words: Vec<&str> = ORDER.iter().filter(|(_, bit)| discard & bit != 0).map(|(word, _)| *word).collect();
        Some(words.join(" "))
    }

    /// The bit of a keyword, case ignored.
    pub fn bit(name: &str) -> Option<u32> {
        const ALL: [(&str, u32); 16] = [
            ("PIPELINING", PIPELINING),
            ("SIZE", SIZE),
            ("VRFY", VRFY),
            ("ETRN", ETRN),
            ("STARTTLS", STARTTLS),
            ("AUTH", AUTH),
            ("XCLIENT", XCLIENT),
            ("XFORWARD", XFORWARD),
            ("VERP", VERP),
            ("ENHANCEDSTATUSCODES", ENHANCEDSTATUSCODES),
            ("8BITMIME", EIGHTBITMIME),
            ("DSN", DSN),
            ("SMTPUTF8", SMTPUTF8),
            ("CHUNKING", CHUNKING),
            ("REQUIRETLS", REQUIRETLS),
            ("SILENT-DISCARD", SILENT),
        ];
        ALL.iter().find(|(word, _)| word.eq_ignore_ascii_case(name)).map(|(_, bit)| *bit)
    }
}

/// The content as the caller stores it. The engine owns it inside the transaction, so that whatever ends the transaction drops it.
pub trait Message {
    /// Adds a recipient that was accepted. Trouble is told when the message is finished.
    fn recipient(&mut self, recipient: &Recipient);
    /// A line of content without its line end, dot-stuffing undone. Longer lines than `line_length_limit` come in pieces, of which only
    /// the last has `whole`.
    fn line(&mut self, text: &BStr, whole: bool);
}

/// One mail transaction (RFC 5321 §3.3). MAIL creates it; every refusal of MAIL, RSET, HELO and the end of the message drop it whole.
#[derive(Debug)]
pub struct Transaction<M> {
    /// Envelope sender.
    pub sender: Address,
    /// The MAIL command as it came; empty without [`Settings::relay`].
    pub command: BString,
    /// What came with it.
    pub parameters: MailParameters,
    /// The first recipient that was accepted.
    pub first_recipient: Option<Address>,
    /// Recipients accepted.
    pub recipients: u32,
    /// Recipients beyond the limit.
    pub overshoot: u32,
    /// Where the message goes, once there is a good recipient.
    pub message: Option<M>,
    /// Queue id of `message`; `None` when that goes to a filter first.
    pub queue_id: Option<Box<str>>,
    /// Content received, counting each line end as two bytes.
    pub size: u64,
    /// What access rules asked for, for the caller to carry out.
    pub actions: Vec<Action>,
    /// Content is no longer stored, and this is why.
    pub(crate) spoiled: Option<Spoiled>,
}

/// Parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// `BODY=8BITMIME` (`Some(true)`) or `BODY=7BIT`.
    pub eight_bit: Option<bool>,
    /// `SIZE=`, 0 when not given.
    pub size: u64,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `REQUIRETLS`.
    pub requiretls: bool,
    /// `ENVID=`, decoded.
    pub envelope_id: BString,
    /// `RET=`: 0, 1 = FULL, 2 = HDRS.
    pub ret: u8,
    /// `AUTH=` as the client wrote it, empty for `<>`.
    pub auth_sender: BString,
    /// `XVERP`: the delimiters.
    pub verp: BString,
}

/// A recipient with the parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// The address.
    pub address: Address,
    /// `NOTIFY=`: sum of 1 NEVER, 2 SUCCESS, 4 FAILURE, 8 DELAY; 0 when not given.
    pub notify: u8,
    /// `ORCPT=` as `type;address`, decoded. Without it, `rfc822` and the address as the client wrote it, before anything is made of it.
    pub orcpt: BString,
}

/// What access(5) actions ask for besides permit and reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put the message on hold.
    Hold,
    /// Accept it and throw it away.
    Discard,
    /// Send it through `transport:destination`.
    Filter(BString),
    /// Deliver it to this address instead.
    Redirect(BString),
    /// Deliver it to this address too.
    Bcc(BString),
    /// Put this header on top.
    Prepend(BString),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoiled {
    TooBig,
    BareNewline,
}

/// Which checks the caller must make before the engine goes on; answered by [`Session::decide`](super::Session::decide).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Client restrictions at connect (only if not delayed).
    Connect,
    /// HELO restrictions (only if not delayed).
    Helo,
    /// Whether the sender is an address at all. Its parameters are read only then.
    SenderAddress,
    /// Disk space, rate, restrictions (these only if not delayed).
    Mail,
    /// Whether the recipient is an address at all. Its parameters are read only then.
    RecipientAddress,
    /// Rate, restrictions.
    Recipient,
    /// Data restrictions.
    Data,
    /// End-of-data restrictions.
    EndOfMessage,
    /// As for a recipient, for VRFY.
    Verify,
    /// Etrn restrictions; if they permit, the caller tries and answers with [`Verdict::Reply`].
    Etrn,
}

/// The answer to a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Accept,
    /// Refuse with this reply, and log it.
    Refuse(Refusal),
    /// The address is none after all (`501 5.1.7`, `501 5.1.3`).
    BadAddress,
    /// Send this reply; success when it begins with 2.
    Reply(String),
    /// Drop the connection without a word.
    HangUp,
}

/// A refusal: reply and what the postmaster may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `550 5.7.1 <…>: …`, one line.
    pub reply: String,
    /// One of the [`notice`] bits.
    pub class: u8,
    /// Write the `reject:` line.
    pub log: bool,
}

impl Refusal {
    /// A refusal by policy, logged.
    pub fn policy(reply: impl Into<String>) -> Refusal {
        Refusal { reply: reply.into(), class: notice::POLICY, log: true }
    }
}

/// Classes of trouble, as in `notify_classes`.
#[allow(missing_docs, reason = "the names are those of notify_classes")]
pub mod notice {
    pub const PROTOCOL: u8 = 1;
    pub const POLICY: u8 = 2;
    pub const RESOURCE: u8 = 4;
    pub const SOFTWARE: u8 = 8;
    pub const DATA: u8 = 16;
    /// Mail for a user that does not exist was refused, where it might have been bounced.
    pub const BOUNCE: u8 = 32;
}

/// How the end of a message went; the answer to [`Step::Finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is safe on disk (or was to be discarded).
    Queued,
    /// It is not: the whole reply.
    Refused(Refusal),
    /// It went elsewhere (before-queue filter): the whole reply, a success when it begins with 2.
    Reply(String),
}

/// What the caller must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the output, then wait for input.
    Read,
    /// Wait before going on: the client made too many errors.
    Pause(Duration),
    /// Make a check and call [`Session::decide`](super::Session::decide).
    Check(Check),
    /// Make the message of the transaction and call [`Session::opened`](super::Session::opened).
    Open,
    /// Pass [`Session::relayed_command`](super::Session::relayed_command) on to the filter and call [`Session::relayed`](super::Session::relayed).
    Relay,
    /// Write what precedes the content (Received:), then go on.
    StartContent,
    /// XCLIENT has changed the client: look up what it may do, and call [`Session::set_rules`](super::Session::set_rules).
    Reintroduced,
    /// Take the message, finish it, and call [`Session::finished`](super::Session::finished).
    Finish,
    /// Send the output and close.
    Close,
}

/// Commands, as counted in the `disconnect` line and named in others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the commands")]
pub enum Verb {
    Helo,
    Ehlo,
    XClient,
    XForward,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Etrn,
    Quit,
    Unknown,
}

impl Verb {
    pub(crate) const ALL: [(Verb, &'static str); 16] = [
        (Verb::Helo, "HELO"),
        (Verb::Ehlo, "EHLO"),
        (Verb::XClient, "XCLIENT"),
        (Verb::XForward, "XFORWARD"),
        (Verb::StartTls, "STARTTLS"),
        (Verb::Auth, "AUTH"),
        (Verb::Mail, "MAIL"),
        (Verb::Rcpt, "RCPT"),
        (Verb::Data, "DATA"),
        (Verb::Bdat, "BDAT"),
        (Verb::Rset, "RSET"),
        (Verb::Noop, "NOOP"),
        (Verb::Vrfy, "VRFY"),
        (Verb::Etrn, "ETRN"),
        (Verb::Quit, "QUIT"),
        (Verb::Unknown, "UNKNOWN"),
    ];

    pub(crate) fn parse(word: &[u8]) -> Verb {
        let known = Verb::ALL.iter().find(|(verb, name)| *verb != Verb::Unknown && name.as_bytes().eq_ignore_ascii_case(word));
        known.map_or(Verb::Unknown, |(verb, _)| *verb)
    }

    /// In capitals.
    pub fn as_str(self) -> &'static str {
        Verb::ALL[self as usize].1
    }

    /// Whether more input may follow before the reply was sent (RFC 2920 §3.1).
    pub(crate) fn may_be_pipelined(self, esmtp: bool) -> bool {
        match self {
            Verb::Helo | Verb::Ehlo | Verb::Data | Verb::Noop | Verb::Vrfy => false,
            Verb::Unknown => true,
            _ => esmtp,
        }
    }
}

/// What is done about commands that come before the reply they should have waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyInput {
    /// Nothing: it is no client, but a file or a program that feeds standard input.
    Ignore,
    /// The first time is logged.
    Note,
    /// Logged, and the session ends.
    Forbid,
}

/// A session as it went, for the postmaster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// [`notice`] bits.
    pub trouble: u8,
    /// `In:  …` and `Out: …` lines.
    pub lines: Vec<u8>,
    /// `lost connection`, `timeout`, if it ended so.
    pub aborted: Option<&'static str>,
}
