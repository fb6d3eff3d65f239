//! The manuals of the daemons: `--help`, and the pages of section 8. That of master stands beside master.

use posthaste_cli::{Manual, Opt};

const fn daemon(
    name: &'static str,
    summary: &'static str,
    synopsis: &'static [&'static str],
    description: &'static str,
    sections: &'static [(&'static str, &'static str)],
) -> Manual {
    Manual { name, section: 8, summary, synopsis, description, options: OPTIONS, sections }
}

/// What master.cf may give to every daemon.
const OPTIONS: &[Opt] = &[
    Opt { flag: "-D", argument: "", text: "Run debugger_command on the process." },
    Opt {
        flag: "-o",
        argument: "name=value",
        text: "Set a parameter of main.cf for this entry only. With white space in the value: -o { name = value }.",
    },
    Opt { flag: "-v", argument: "", text: "Verbose logging. May be repeated." },
];

const GENERIC: &[&str] = &["Started by master(8) from an entry in master.cf: program [-Dv] [-o name=value]..."];

const AS_LIBRARY: (&str, &str) = (
    "THE ENTRY IN MASTER.CF",
    "May stay: it is not started for mail, and whoever connects to its socket is let go at once. Its -o settings count for the programs that do this \
     work.",
);

const LOG: (&str, &str) = ("DIAGNOSTICS", "Problems and transactions are logged by syslogd(8) or postlogd(8).");

/// All daemons but master.
pub const DAEMONS: &[Manual] = &[
    daemon(
        "anvil",
        "Postfix session count and request rate control",
        GENERIC,
        "Counts clients, and the rates of their connections, messages, recipients and TLS sessions. The SMTP server does this itself, for all clients of \
         its entry in master.cf.",
        &[AS_LIBRARY, LOG],
    ),
    daemon(
        "bounce",
        "Postfix delivery status reports",
        GENERIC,
        "Sends non-delivery reports, delay notices (as the service defer) and reports of success or of address verification (as the service trace), \
         from the recipient logs that the queue manager keeps in the directories bounce, defer and trace.\n\nA report has three parts: a text from \
         bounce_template_file for people, a delivery-status part (RFC 3464) for programs, and the message or its header.",
        &[("STANDARDS", "RFC 822, RFC 2045, RFC 3461 to 3464, RFC 6532, RFC 6533."), LOG],
    ),
    daemon(
        "cleanup",
        "canonicalize and enqueue Postfix messages",
        GENERIC,
        "Completes, rewrites and checks the header and the envelope of a message, checks its body, and writes it into the incoming queue. The programs \
         that bring mail into the queue (smtpd, pickup, local, bounce) do this themselves.\n\nThe entry that cleanup_service_name names configures it: \
         an smtpd with -o cleanup_service_name=pre-cleanup works with the -o settings of the entry pre-cleanup.",
        &[AS_LIBRARY, LOG],
    ),
    daemon(
        "discard",
        "Postfix discard mail delivery agent",
        GENERIC,
        "Reports every recipient as delivered and delivers nothing. What follows \"discard:\" in a transport table is logged as the reason.",
        &[LOG],
    ),
    daemon(
        "error",
        "Postfix error/retry mail delivery agent",
        GENERIC,
        "As error, fails every recipient; as retry, defers it. What follows \"error:\" or \"retry:\" in a transport table is the reason; it may begin with an \
         enhanced status code such as 5.7.1.",
        &[("STANDARDS", "RFC 3463."), LOG],
    ),
    daemon(
        "flush",
        "Postfix fast flush server",
        GENERIC,
        "Remembers which deferred messages wait for the destinations in fast_flush_domains, so that ETRN, \"postqueue -s site\" and \"sendmail -qRsite\" \
         need not go through the whole queue.",
        &[("FILES", "The directory flush in the queue directory: one file for each destination."), LOG],
    ),
    daemon(
        "local",
        "Postfix local mail delivery",
        GENERIC,
        "Delivers to users of this machine: through aliases(5) (alias_maps), .forward files (forward_path), and to mailboxes, Maildirs, files, commands and \
         other addresses.\n\nWithout alias and .forward file, the first of these that is configured and takes the recipient delivers: \
         mailbox_transport_maps, mailbox_transport, mailbox_command_maps, mailbox_command, home_mailbox, the mailbox in mail_spool_directory. A name \
         without account goes to fallback_transport_maps, fallback_transport, luser_relay.\n\nThe process holds root. What it does for a user it does with that \
         user's rights; for an alias, with those of the owner of the alias file (default_privs where that is root).",
        &[
            (
                "COMMANDS",
                "A command runs by way of a shell only where it needs one. Its environment has USER, EXTENSION, DOMAIN, HOME, LOCAL, LOGNAME, RECIPIENT, \
                 ORIGINAL_RECIPIENT, SENDER, SHELL, CLIENT_ADDRESS, CLIENT_HELO, CLIENT_HOSTNAME, CLIENT_PROTOCOL, SASL_METHOD, SASL_SENDER and SASL_USERNAME, and \
                 what export_environment names. The exit status is that of sysexits(3): 0 is delivered, 75 is tried again, others are failures. The output is the \
                 reason; it may begin with an enhanced status code.",
            ),
            ("LOOPS", "Each delivery adds a Delivered-To: header. A message that has it already for this recipient is returned."),
            ("FILES", "/etc/aliases, aliases. $HOME/.forward. /var/mail, mailboxes."),
            LOG,
        ],
    ),
    daemon(
        "pickup",
        "Postfix local mail pickup",
        GENERIC,
        "Takes the messages that postdrop(1) has put into the maildrop directory, and brings them into the queue. It is told of each by postdrop, and looks by \
         itself as often as the wakeup column of its entry says.",
        &[LOG],
    ),
    daemon(
        "pipe",
        "Postfix delivery to external command",
        &["pipe [-Dv] [-o name=value]... user=name[:group] [attribute=value]... argv=command ..."],
        "Delivers by running a command, which gets the message on standard input. It is run directly, without a shell. Exit status and output are treated as \
         those of commands of local(8).",
        &[
            (
                "ATTRIBUTES",
                "user=name[:group]: whose rights the command has; not root, and not the mail owner. Needed.\n\n\
                 argv=command ...: the command; the last attribute. Needed.\n\n\
                 directory=path: working directory. chroot=path: root directory.\n\n\
                 eol=string: end of lines in place of newline; \\r, \\n and the like are expanded.\n\n\
                 flags=letters: B adds an empty line at the end; D adds a Delivered-To: header (one recipient a time); F begins with a From_ line; O adds \
                 X-Original-To: (one recipient a time); R adds Return-Path:; X marks this as the last hop, whose success is reported as delivered; h folds \
                 $nexthop and domains to lower case, u folds local parts; q quotes addresses as in header lines; . doubles dots at the beginning of lines; > puts a > \
                 before lines that begin with \"From \".\n\n\
                 null_sender=string: what $sender stands for when the sender is empty (default: MAILER-DAEMON).\n\n\
                 size=number: greater messages are returned.",
            ),
            (
                "MACROS",
                "In argv: ${client_address}, ${client_helo}, ${client_hostname}, ${client_port}, ${client_protocol}, ${domain}, ${envid}, ${extension}, ${mailbox}, \
                 ${nexthop}, ${original_recipient}, ${queue_id}, ${recipient}, ${sasl_method}, ${sasl_sender}, ${sasl_username}, ${sender}, ${size}, ${user}. An argument with a \
                 macro of the recipient is repeated for each recipient.",
            ),
            LOG,
        ],
    ),
    daemon(
        "postlogd",
        "Postfix internal log server",
        GENERIC,
        "Writes maillog_file for programs that may not open it themselves. Processes that root started append to the file on their own.",
        &[("FILES", "The socket public/postlog in the queue directory; maillog_file.")],
    ),
    daemon(
        "proxymap",
        "Postfix lookup table proxy server",
        GENERIC,
        "Looks up in tables for programs that cannot open them (a changed root directory) or should share one connection: those written as \
         proxy:type:name. Only tables that proxy_read_maps names may be asked for; as the service proxywrite, those of proxy_write_maps may be changed, too.",
        &[LOG],
    ),
    daemon(
        "qmgr",
        "Postfix queue manager",
        GENERIC,
        "Decides which message is delivered when and by which delivery agent, keeps the results, and has reports sent. What came in and what is due again is \
         taken into the active queue, up to qmgr_message_active_limit; recipients are read in portions. Each destination has a number of deliveries at one \
         time that grows with success and shrinks with failure; small messages may overtake large ones (SCHEDULER_README).",
        &[
            (
                "TRIGGERS",
                "Bytes sent to its socket (postkick public qmgr ...): A scan all of the deferred queue without regard to time, D scan the deferred queue, F forget \
                 dead destinations, I scan the incoming queue, W wake up.",
            ),
            ("FILES", "The directories incoming, active, deferred, bounce, defer, trace and corrupt in the queue directory."),
            LOG,
        ],
    ),
    daemon(
        "qmqpd",
        "Postfix QMQP server",
        GENERIC,
        "Takes mail over QMQP, one message for each connection, from the hosts in qmqpd_authorized_clients only. A message is acknowledged only when it is on \
         stable storage.\n\nThe protocol has one reply for a message with all its recipients, so single recipients cannot be refused; and what is wrong with a \
         message can be told only when all of it is here. The content is kept in memory until then, up to message_size_limit.",
        &[("STANDARDS", "http://cr.yp.to/proto/qmqp.html"), LOG],
    ),
    daemon(
        "scache",
        "Postfix shared connection cache server",
        GENERIC,
        "Keeps SMTP connections open for reuse. Each smtp(8) process does this itself, for all its deliveries.",
        &[AS_LIBRARY, LOG],
    ),
    daemon(
        "showq",
        "list the Postfix mail queue",
        GENERIC,
        "Gives postqueue(1) the list of all messages, with the recipients that are not done and the reasons. It takes no input.",
        &[LOG],
    ),
    daemon(
        "smtp",
        "Postfix SMTP and LMTP client",
        GENERIC,
        "Delivers over SMTP or, as lmtp, over LMTP. The next hop is a domain, whose MX hosts are tried in the order of preference, or, in [], a host; host:port and \
         unix:path (LMTP) are possible. Addresses of equal preference are tried in random order; a temporary failure leads to the next one. As lmtp it reads \
         the parameters lmtp_... in place of smtp_....",
        &[("STANDARDS", "RFC 5321, RFC 1870, RFC 2033, RFC 2920, RFC 3207, RFC 3461, RFC 6152, RFC 6531, RFC 7505."), LOG],
    ),
    daemon(
        "smtpd",
        "Postfix SMTP server",
        &["Started by master(8) from an entry in master.cf: smtpd [-Dv] [-o name=value]...", "sendmail -bs"],
        "Takes mail over SMTP. Each command of a client is checked against the access restrictions of its stage (smtpd_client_restrictions and so on) and the \
         recipient tables; a message is answered with success only when it is on stable storage.\n\nOne process serves all clients of an entry; the maxproc \
         column bounds how many at one time.",
        &[("STANDARDS", "RFC 5321, RFC 1870, RFC 1985, RFC 2034, RFC 2920, RFC 3030, RFC 3461, RFC 6152, RFC 6531."), LOG],
    ),
    daemon(
        "spawn",
        "Postfix external command spawner",
        &["spawn [-Dv] [-o name=value]... user=name[:group] argv=command ..."],
        "Runs a command for each client of its socket, with the connection as standard input, output and error, as inetd(8) does: for policy servers and \
         content filters. It is run directly, without a shell, for at most SERVICE_time_limit.",
        &[
            (
                "ATTRIBUTES",
                "user=name[:group]: whose rights the command has; not root, and not the mail owner. argv=command ...: the command; last.",
            ),
            LOG,
        ],
    ),
    daemon(
        "tlsmgr",
        "Postfix TLS session cache and PRNG manager",
        GENERIC,
        "Keeps TLS session caches and ticket keys. The programs that speak TLS do this themselves.",
        &[AS_LIBRARY, LOG],
    ),
    daemon(
        "trivial-rewrite",
        "Postfix address rewriting and resolving",
        GENERIC,
        "Brings addresses into standard form, and finds the transport, next hop and recipient that an address leads to. The programs that need it do this \
         themselves.",
        &[AS_LIBRARY, LOG],
    ),
    daemon(
        "verify",
        "Postfix address verification server",
        GENERIC,
        "Finds out by probe messages whether an address is deliverable, for reject_unverified_sender and reject_unverified_recipient, and remembers the \
         result in address_verify_map.",
        &[LOG],
    ),
    daemon(
        "virtual",
        "Postfix virtual domain mail delivery agent",
        GENERIC,
        "Delivers to mailboxes of users who need no account. virtual_mailbox_maps names the file below virtual_mailbox_base, one that ends in / is a Maildir; \
         virtual_uid_maps and virtual_gid_maps say who owns it. There are no aliases, .forward files and commands here.",
        &[LOG],
    ),
];

/// Other names of the same programs.
pub const ALIASES: &[(&str, &str)] = &[("defer", "bounce"), ("lmtp", "smtp"), ("oqmgr", "qmgr"), ("retry", "error"), ("trace", "bounce")];

/// The manual of a program, by any of its names.
pub fn of(name: &str) -> Option<&'static Manual> {
    let name = ALIASES.iter().find(|(other, _)| *other == name).map_or(name, |(_, name)| name);
    DAEMONS.iter().find(|manual| manual.name == name)
}

/// All pages of section 8.
pub fn pages() -> Vec<posthaste_cli::roff::Page> {
    use posthaste_cli::roff::Page;
    let aliases = ALIASES.iter().filter_map(|(name, _)| Some(Page::alias(name, of(name)?)));
    [Page::of(&posthaste_svc_master::MANUAL)].into_iter().chain(DAEMONS.iter().map(Page::of)).chain(aliases).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What main.rs can run has a manual.
    #[test]
    fn every_daemon_has_a_manual() {
        let source = include_str!("main.rs");
        let names = source.lines().filter(|line| line.contains("=> posthaste_svc_")).flat_map(|line| {
            let (names, _) = line.split_once("=>").unwrap_or_default();
            names.split('|').map(|name| name.trim().trim_matches('"').to_owned()).collect::<Vec<_>>()
        });
        let mut count = 0;
        for name in names.filter(|name| name != "master") {
            assert!(of(&name).is_some(), "{name} has no manual");
            count += 1;
        }
        assert!(count > 20);
    }
}
