//! The manual of sendmail(1).

use posthaste_cli::{Manual, Opt};

const fn opt(flag: &'static str, argument: &'static str, text: &'static str) -> Opt {
    Opt { flag, argument, text }
}

/// `--help` and the man page.
pub const MANUAL: Manual = Manual {
    name: "sendmail",
    section: 1,
    summary: "submit mail, list the queue, rebuild the alias database",
    synopsis: &["sendmail [option ...] [recipient ...]", "mailq", "newaliases"],
    description: "Reads a message from standard input, up to its end or to a line with only a dot, and has it delivered. The options are those that \
        programs written for Sendmail use; the message is stored by postdrop(1).\n\n\
        mailq lists the mail queue (postqueue -p); newaliases rebuilds the alias databases (postalias).",
    options: &[
        opt("-bd, -bl", "", "Start the mail system (postfix start)."),
        opt("-bi, -I", "", "Rebuild the alias databases."),
        opt("-bm", "", "Submit a message: the default."),
        opt("-bp", "", "List the mail queue."),
        opt("-bs", "", "Speak SMTP on standard input and output."),
        opt("-bv", "", "Deliver nothing; mail a report of what would be done with each recipient."),
        opt("-B", "type", "7BIT or 8BITMIME."),
        opt("-C", "path", "The configuration directory, or the main.cf in it."),
        opt("-F", "name", "Full name of the sender, where the message has no From: header."),
        opt("-f, -r", "sender", "Envelope sender, to whom delivery problems are reported."),
        opt("-G", "", "The message comes from elsewhere: do not complete its addresses with the local domain."),
        opt("-i, -oi", "", "A line with only a dot does not end the message."),
        opt("-N", "when", "Delivery status reports: never, or a list of success, failure, delay."),
        opt("-O", "name=value", "smtputf8=yes and requiretls=yes ask for these extensions; others are ignored."),
        opt("-oA", "table", "The alias database for -bi."),
        opt("-q", "", "Try all queued mail now. -qIid: that message; -qRsite: all mail for that site."),
        opt("-R", "what", "What a bounce returns: full or hdrs."),
        opt("-t", "", "Take recipients from the message headers, too."),
        opt("-V", "id", "Envelope id for delivery status reports."),
        opt("-v", "", "Mail a report of the first delivery attempt. Twice: verbose logging."),
        opt("-XV", "[xy]", "A sender address for each recipient (VERP), with the two characters as delimiters."),
        opt("-A -h -L -m -o7 -o8 -om -U -x", "", "Accepted and ignored."),
    ],
    sections: &[
        ("EXIT STATUS", "0 when the message is stored; 75 for every error."),
        ("ENVIRONMENT", "MAIL_CONFIG: the configuration directory. NAME: the sender's full name."),
        ("SEE ALSO", "postdrop(1), postqueue(1), postalias(1), postfix(1), smtpd(8)"),
    ],
};
