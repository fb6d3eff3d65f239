//! All manual pages of commands, and those of section 5.

use posthaste_cli::Manual;
use posthaste_cli::roff::{Page, parameters};

const COMMANDS: &[&Manual] = &[
    &posthaste_cmd_postcat::MANUAL,
    &posthaste_cmd_postconf::MANUAL,
    &posthaste_cmd_postdrop::MANUAL,
    &posthaste_cmd_postfix::manual::MANUAL,
    &posthaste_cmd_postfix::manual::TLS,
    &posthaste_cmd_postkick::MANUAL,
    &posthaste_cmd_postlock::MANUAL,
    &posthaste_cmd_postlog::MANUAL,
    &posthaste_cmd_postmap::manual::POSTALIAS,
    &posthaste_cmd_postmap::manual::POSTMAP,
    &posthaste_cmd_postmulti::manual::MANUAL,
    &posthaste_cmd_postqueue::MANUAL,
    &posthaste_cmd_postsuper::MANUAL,
    &posthaste_cmd_qshape::MANUAL,
    &posthaste_cmd_sendmail::manual::MANUAL,
    &posthaste_cmd_smtp_sink::MANUAL,
    &posthaste_cmd_smtp_source::MANUAL,
];

/// The pages of sections 1 and 5.
pub fn pages() -> Vec<Page> {
    let sendmail = &posthaste_cmd_sendmail::manual::MANUAL;
    let mut pages: Vec<Page> = COMMANDS.iter().map(|manual| Page::of(manual)).collect();
    pages.extend(["mailq", "newaliases"].map(|name| Page::alias(name, sendmail)));
    pages.push(parameters());
    pages.push(Page::of(&MASTER_CF));
    pages
}

/// master(5): the grammar of master.cf.
const MASTER_CF: Manual = Manual {
    name: "master",
    section: 5,
    summary: "Postfix master process configuration file format",
    synopsis: &["service type private unpriv chroot wakeup maxproc command [arguments]"],
    description: "The file master.cf says which services master(8) runs: one a line. Lines that begin with # and empty lines are ignored; a line that begins with \
                  white space continues the line before it. A - in a column stands for its default. Of two entries with the same service and type the last \
                  counts.\n\nEach entry is one process, started when its socket first has work, that serves all its clients.",
    options: &[],
    sections: &[
        (
            "COLUMNS",
            "service: where it listens. For inet [host:]port, where port is a number or a name of services(5), and a host is needed only where \
             inet_interfaces is not meant; for the other types the name of the socket below private or public.\n\n\
             type: inet, a TCP socket; unix, a stream socket; unix-dgram, a datagram socket; fifo, a named pipe; pass, a stream socket over which open \
             connections come.\n\n\
             private (default y): whether the socket is for the mail system only, in the directory private. Must be n for inet.\n\n\
             unpriv (default y): whether the process runs as mail_owner. Only local, virtual, pipe and spawn keep root for n.\n\n\
             chroot (default n; y below compatibility_level 1): whether the process changes its root to queue_directory.\n\n\
             wakeup (default 0, never): after how many seconds, again and again, the service is woken. With ? behind the number only if it runs.\n\n\
             maxproc (default default_process_limit): how many clients or deliveries the service handles at one time. 0 is no limit. As a default, clients \
             that do nothing do not count.\n\n\
             command: the program, in daemon_directory, and its arguments. -o name=value sets a parameter for this entry; -D runs \
             debugger_command; -v is verbose logging. An argument with white space stands in { and }.",
        ),
        ("FILES", "/etc/postfix/master.cf. After a change: postfix reload."),
        ("SEE ALSO", "master(8), postconf(1) (options -M, -F and -P), postconf(5)"),
    ],
};
