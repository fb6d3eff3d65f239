//! The manual.

use posthaste_cli::{Manual, Opt};

const fn opt(flag: &'static str, argument: &'static str, text: &'static str) -> Opt {
    Opt { flag, argument, text }
}

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "postconf",
    section: 1,
    summary: "show and edit the configuration",
    synopsis: &[
        "postconf [-dfhHjnopqvx] [-c config_dir] [-C class,...] [parameter ...]",
        "postconf [-epv] [-c config_dir] parameter=value ...",
        "postconf -#|-X [-pv] [-c config_dir] parameter ...",
        "postconf -M [-fjoqvx] [-c config_dir] [service[/type] ...]",
        "postconf -M [-ev] [-c config_dir] service/type=value ...",
        "postconf -M#|-MX [-v] [-c config_dir] service/type ...",
        "postconf -F [-fhHjoqvx] [-c config_dir] [service[/type[/field]] ...]",
        "postconf -F [-ev] [-c config_dir] service/type/field=value ...",
        "postconf -P|-PP [-fhHjoqvx] [-c config_dir] [service[/type[/parameter]] ...]",
        "postconf -P [-ev] [-c config_dir] service/type/parameter=value ...",
        "postconf -PX [-v] [-c config_dir] service/type/parameter ...",
        "postconf -b|-t [-v] [-c config_dir] [template_file]",
        "postconf -T mode [-v] [-c config_dir]",
        "postconf -a|-A|-l|-m [-v] [-c config_dir]",
    ],
    description: "Shows the values of main.cf parameters: those named, or all. It also edits main.cf and master.cf, shows master.cf in \
        several forms, and lists what this mail system can do.\n\n\
        Parameters that nothing reads (misspelt names, most of all), names that are used but not defined, deprecated parameters and text \
        that was meant as a comment are reported on standard error, for main.cf and for the -o options in master.cf.\n\n\
        An edit copies the file to a temporary file, which is renamed into place; comments, order, owner and mode stay. Quote blanks \
        and other characters that are special to the shell.",
    options: &[
        opt("-a", "", "List the SASL plug-in types of the SMTP server (smtpd_sasl_type)."),
        opt("-A", "", "List the SASL plug-in types of the SMTP client (smtp_sasl_type, lmtp_sasl_type)."),
        opt(
            "-b",
            "[template_file]",
            "Show the text at the beginning of reports (bounce(5)), with $name expanded. An empty file name means the built-in templates.",
        ),
        opt("-c", "config_dir", "Use the configuration in this directory."),
        opt(
            "-C",
            "class,...",
            "Show only parameters of these classes: builtin (those of the mail system), service (named after a service of master.cf), user (made up by you), all.",
        ),
        opt("-d", "", "Show defaults instead of actual values."),
        opt(
            "-e",
            "",
            "Edit: set main.cf parameters (name=value); with -M replace or add entries (service/type=entry), with -F set fields, with -P set -o options. Assumed when the first operand has a value.",
        ),
        opt("-f", "", "Fold long lines."),
        opt(
            "-F",
            "",
            "Show fields of master.cf as service/type/field = value. The fields are service, type, private, unprivileged, chroot, wakeup, process_limit, command. What is left out of service/type/field, or is *, means any.",
        ),
        opt("-h", "", "Show values without names."),
        opt("-H", "", "Show names without values."),
        opt(
            "-j",
            "",
            "Show one JSON object for each line: with name and value, with -M one member for each field, with -F and -P service, type, field or parameter, and value.",
        ),
        opt("-l", "", "List the mailbox locking methods."),
        opt("-m", "", "List the lookup table types."),
        opt("-M", "", "Show or edit entries of master.cf."),
        opt("-n", "", "Show only parameters that main.cf sets."),
        opt("-o", "name=value", "Show what would be if main.cf had this setting."),
        opt("-p", "", "Show or edit main.cf; this is the default."),
        opt(
            "-P",
            "",
            "Show or edit the parameters that master.cf sets with -o, as service/type/parameter = value. Given twice, show all parameters that the service's program reads, with the values that it sees.",
        ),
        opt("-q", "", "Do not warn about unused, undefined or deprecated parameters."),
        opt("-t", "[template_file]", "Show the templates of reports, unexpanded."),
        opt("-T", "mode", "Show facts about TLS: compile-version, run-version or public-key-algorithms."),
        opt("-v", "", "Accepted for compatibility."),
        opt("-x", "", "Expand $name in values. Templates that are expanded when they are used stay as they are."),
        opt("-X", "", "Edit: remove main.cf parameters; with -M remove entries, with -P remove -o options."),
        opt("-#", "", "Edit: comment out main.cf parameters; with -M entries."),
    ],
    sections: &[
        ("EXIT STATUS", "0, also when a parameter is unknown or unused (with a warning); 1 after a fatal error."),
        ("ENVIRONMENT", "MAIL_CONFIG names the directory of main.cf and master.cf, when -c does not."),
        ("FILES", "/etc/postfix/main.cf, /etc/postfix/master.cf"),
        ("SEE ALSO", "bounce(5), master(5), postconf(5)"),
    ],
};
