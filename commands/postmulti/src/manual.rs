//! The manual of postmulti(1).

use posthaste_cli::{Manual, Opt};

const fn opt(flag: &'static str, argument: &'static str, text: &'static str) -> Opt {
    Opt { flag, argument, text }
}

/// `--help` and the man page.
pub const MANUAL: Manual = Manual {
    name: "postmulti",
    section: 1,
    summary: "several instances of the mail system",
    synopsis: &[
        "postmulti -l [-ajR] [-g group] [-i name]",
        "postmulti -p [-aRv] [-g group] [-i name] command",
        "postmulti -x [-aR] [-g group] [-i name] command ...",
        "postmulti -e init",
        "postmulti -e create|import|destroy|deport|enable|disable|assign [-i name] [-I new_name] [-G new_group]",
    ],
    description: "Lists, makes and controls the instances of the mail system. The default instance names the configuration directories of the others in \
        multi_instance_directories.",
    options: &[
        opt("-a", "", "All instances: the default."),
        opt(
            "-e",
            "action",
            "init: set up the default instance for others. create: a new instance, configuration and directories. import: one whose directory \
            exists. enable, disable: whether postmulti -p start starts it. assign: give it a name or group. deport: forget it. destroy: remove it (stopped, and \
            its queue empty).",
        ),
        opt("-g", "group", "Instances of that group only."),
        opt("-G", "group", "The group to assign."),
        opt("-i", "name", "That instance only (import: its directory)."),
        opt("-I", "name", "The name to assign."),
        opt("-j", "", "With -l: JSON, an object a line."),
        opt("-l", "", "List: name, group, enabled, configuration directory."),
        opt("-p", "", "Run a postfix(1) command for each."),
        opt("-R", "", "In reverse order."),
        opt("-v", "", "Verbose."),
        opt("-x", "", "Run any command for each, with MAIL_CONFIG set."),
    ],
    sections: &[("EXIT STATUS", "0 when everything went well, 1 otherwise."), ("SEE ALSO", "postfix(1), postconf(5)")],
};
