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
        upgrade-configuration; logrotate (of maillog_file); post-install create-missing.",
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
