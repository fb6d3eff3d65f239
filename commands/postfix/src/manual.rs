//! The manual of postfix(1).

use posthaste_cli::{Manual, Opt};

/// `--help` and the man page.
pub const MANUAL: Manual = Manual {
    name: "postfix",
    section: 1,
    summary: "control the mail system",
    synopsis: &["postfix [-c config_dir] [-Dv] command"],
    description: "Starts and stops the mail system, checks it, and makes it read its configuration again. The superuser runs it; in rootless mode, \
        where mail_owner is who runs it, that user.\n\n\
        The commands: check (create missing queue directories, warn about bad owners and permissions); start; start-fg (in the foreground, for \
        containers and process managers); stop (what runs may finish); abort (stop at once); flush (try all deferred mail now); reload (read the \
        configuration again; no session and no delivery is cut); status (exit status 0 when running); set-permissions [name=value ...]; \
        upgrade-configuration [name=value ...]; logrotate (of maillog_file); \
        post-install; tls subcommand (see postfix-tls(1)).",
    options: &[
        Opt {
            flag: "-c",
            argument: "config_dir",
            text: "Read main.cf and master.cf in that directory, not in /etc/postfix; passed on in the environment as MAIL_CONFIG.",
        },
        Opt { flag: "-D", argument: "", text: "With start: run each daemon whose master.cf entry has -D under debugger_command." },
        Opt { flag: "-v", argument: "", text: "Verbose logging." },
    ],
    sections: &[
        ("EXIT STATUS", "0 when the command did what was asked, 1 otherwise; the reason is logged, and shown on a terminal."),
        ("FILES", "/etc/postfix/main.cf, parameters. /etc/postfix/master.cf, services."),
        ("SEE ALSO", "master(8), postconf(1), postqueue(1), postsuper(1), sendmail(1)"),
    ],
};

/// postfix-tls(1): a page of its own, as in Postfix.
pub const TLS: Manual = Manual {
    name: "postfix-tls",
    section: 1,
    summary: "Postfix TLS management",
    synopsis: &["postfix tls subcommand"],
    description: "Makes private keys and certificates of the SMTP server, and turns TLS on where the other side has it. openssl(1) (openssl_path) \
        does the work.\n\n\
        New keys and certificates are files in the configuration directory with the time in UTC in their names: key-yyyymmdd-hhmmss.pem and \
        cert-yyyymmdd-hhmmss.pem, for ECDSA eckey- and eccert-. Nothing is ever overwritten.",
    options: &[
        Opt {
            flag: "enable-client",
            argument: "[-r randsource]",
            text: "Opportunistic TLS in the SMTP client, when none of its TLS parameters is set; otherwise suggests settings.",
        },
        Opt {
            flag: "enable-server",
            argument: "[-r randsource] [-a algorithm] [-b bits] [hostname ...]",
            text: "A new key and self-signed certificate, and opportunistic TLS in the SMTP server, when none of its TLS parameters is set; otherwise suggests settings.",
        },
        Opt {
            flag: "new-server-key",
            argument: "[-a algorithm] [-b bits] [hostname ...]",
            text: "A new key and self-signed certificate, not yet used. The algorithm is rsa (default, 2048 bits) or ecdsa (bits is a curve, prime256v1 by default). The first hostname is the common name, all are alternative names; the default is myhostname.",
        },
        Opt {
            flag: "new-server-cert",
            argument: "[-a algorithm] [-b bits] [hostname ...]",
            text: "The same with the key that is in use, when there is one.",
        },
        Opt { flag: "deploy-server-cert", argument: "certfile keyfile", text: "Sets both in main.cf, when they fit." },
        Opt {
            flag: "output-server-csr",
            argument: "[-k keyfile] [hostname ...]",
            text: "Writes a certificate signing request. The key file is a path or rsa or ecdsa, for the one in use.",
        },
        Opt {
            flag: "output-server-tlsa",
            argument: "[-h hostname] [keyfile ...]",
            text: "Writes DANE TLSA records (RFC 7672) for the keys.",
        },
        Opt { flag: "all-default-client", argument: "", text: "Status 0 when no TLS parameter of the SMTP client is set." },
        Opt { flag: "all-default-server", argument: "", text: "Status 0 when no TLS parameter of the SMTP server is set." },
    ],
    sections: &[("SEE ALSO", "postfix(1), postconf(5), openssl(1)")],
};
