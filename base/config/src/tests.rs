use super::*;

fn config(text: &str) -> Config {
    Config::parse(text, "/etc/postfix/main.cf").unwrap()
}

fn error<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> String {
    result.unwrap_err().to_string()
}

// S-CONF-01
#[test]
fn blanks_around_the_equals_sign_do_not_matter() {
    for text in ["myorigin=$mydomain\nmydomain=example.com", "# x\nmydomain = example.com\n\nmyorigin  =\t$mydomain  \n"] {
        assert_eq!(config(text).text("myorigin").unwrap(), "example.com");
    }
}

// S-CONF-02
#[test]
fn continued_values() {
    let config = config("relay_domains = a\n   b\n# comment\n   c\n  \n d\n");
    let value = config.text("relay_domains").unwrap();
    assert_eq!(split_list(&value).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}

// S-CONF-03, S-CONF-14
#[test]
fn expansion() {
    let config = config("smtpd_banner=$$x|${mydomain}|$(mydomain)\nmydomain = example.com\nrelayhost = \"x y\"\n");
    assert_eq!(config.text("smtpd_banner").unwrap(), "$x|example.com|example.com");
    assert_eq!(config.text("relayhost").unwrap(), "\"x y\"");
    assert_eq!(config.expand("${mydomain?yes}${nodef:def}").unwrap(), "yesdef");
}

// S-CONF-06
#[test]
fn the_last_assignment_wins_with_a_warning() {
    let config = config("mydomain = example.com\nmyorigin = x\nmydomain = example.net\n");
    assert_eq!(config.text("mydomain").unwrap(), "example.net");
    assert_eq!(config.warnings(), ["/etc/postfix/main.cf, line 3: overriding earlier entry: mydomain=example.com"]);
}

// S-CONF-08
#[test]
fn user_defined_parameters() {
    let config = config("mua_client_restrictions=reject\n");
    assert_eq!(config.lookup("mua_client_restrictions").unwrap().as_deref(), Some("reject"));
    assert_eq!(config.lookup("mua_helo_restrictions").unwrap(), None);
    assert_eq!(config.expand("[$mua_helo_restrictions]").unwrap(), "[]");
}

// S-CONF-09, S-CONF-21
#[test]
fn a_line_without_equals_sign_is_an_error() {
    assert_eq!(
        error(Config::parse("x = y\nbad line here\n =x\n", "/etc/postfix/main.cf")),
        "/etc/postfix/main.cf, line 2: missing '=' after attribute name: \"bad line here =x\""
    );
    assert_eq!(error(Config::parse("=c", "m")), "m, line 1: missing attribute name: \"=c\"");
    assert_eq!(error(Config::parse("include x", "m")), "m, line 1: missing '=' after attribute name: \"include x\"");
}

// S-CONF-22
#[test]
fn an_empty_file_gives_the_defaults() {
    let config = config("");
    assert_eq!(config.int("message_size_limit").unwrap(), 10_240_000);
    assert_eq!(config.time("queue_run_delay").unwrap(), Duration::from_secs(300));
    assert_eq!(config.time("smtpd_timeout").unwrap(), Duration::from_secs(300));
    assert_eq!(config.text("syslog_name").unwrap(), "postfix");
    assert_eq!(config.queue_directory(), Path::new("/var/spool/postfix"));
    assert!(config.text("mail_version").unwrap().starts_with("3.11"));
    assert!(config.text("myhostname").unwrap().contains('.'));
    // The levels at which defaults changed (COMPATIBILITY_README).
    assert!(config.bool("append_dot_mydomain").unwrap());
    assert!(!config.with_overrides([("compatibility_level", "1")]).unwrap().bool("append_dot_mydomain").unwrap());
}

// S-CONF-23
#[test]
fn facts_cannot_be_set() {
    let config = config("process_name = x\nconfig_directory = /y\nsyslog_name = postfix/$service_name\n").with_identity("smtp", "relay");
    assert_eq!(config.expand("$process_name $service_name $config_directory").unwrap(), "smtp relay /etc/postfix");
    assert_eq!(config.text("syslog_name").unwrap(), "postfix/relay");
    assert_eq!(config.expand("$process_id").unwrap(), std::process::id().to_string());
}

// S-CONF-27
#[test]
fn a_missing_file_is_named() {
    assert_eq!(error(Config::load(Path::new("/nope"))), "open /nope/main.cf: No such file or directory");
}

#[test]
fn other_character_sets_are_reported_in_values_only() {
    let folder = tempfile::tempdir().unwrap();
    let warnings = |text: &[u8]| {
        std::fs::write(folder.path().join("main.cf"), text).unwrap();
        Config::load(folder.path()).unwrap().warnings().len()
    };
    assert_eq!(warnings(b"# \xe9\nrelayhost = x\n"), 0);
    assert_eq!(warnings(b"smtpd_banner = \xe9\n"), 1);
    assert_eq!(warnings("smtpd_banner = é\n".as_bytes()), 0);
}

#[test]
fn host_and_domain_complete_each_other() {
    let set = config("myhostname = mail.example.com\n");
    assert_eq!(set.text("mydomain").unwrap(), "example.com");
    assert_eq!(set.text("mydestination").unwrap(), "mail.example.com, localhost.example.com, localhost");
    // Each in terms of the other: noticed, not followed for ever.
    let circle = config("myhostname = mail.$mydomain\n");
    assert!(error(circle.text("myorigin")).contains("unreasonable macro call nesting"));
}

#[test]
fn a_parameter_that_refers_to_itself_is_an_error() {
    let config = config("r1 = $r2\nr2 = $r1\nrelayhost = $r1\n");
    assert!(error(config.text("relayhost")).contains("unreasonable macro call nesting: \"r"));
}

#[test]
fn errors_name_the_parameter() {
    let config = config("a = ${x\nrelayhost = $a\n");
    assert_eq!(error(config.text("relayhost")), "parameter a: truncated macro reference: \"${x\"");
    assert_eq!(error(Config::parse("compatibility_level = x", "m")), "malformed compatibility level syntax: \"x\"");
}

#[test]
fn overrides_win_and_leave_the_original_alone() {
    let base = config("relayhost = a\n");
    let other = base.with_overrides([("relayhost", "b"), ("relayhost", "c$stress"), ("stress", "yes")]).unwrap();
    assert_eq!(other.text("relayhost").unwrap(), "cyes");
    assert_eq!(other.int("smtpd_hard_error_limit").unwrap(), 1);
    assert_eq!(base.text("relayhost").unwrap(), "a");
    assert!(other.is_set("stress") && !base.is_set("stress"));
}

#[test]
fn names_made_from_services() {
    let config = config("relay_destination_concurrency_limit = 7\ndefault_destination_concurrency_limit = 30\nuucp_time_limit = 2h\n");
    assert_eq!(config.service_int("relay", "destination_concurrency_limit").unwrap(), 7);
    assert_eq!(config.service_int("smtp", "destination_concurrency_limit").unwrap(), 30);
    assert_eq!(config.service_int("local", "destination_concurrency_limit").unwrap(), 2);
    assert_eq!(config.service_int("local", "destination_recipient_limit").unwrap(), 1);
    assert_eq!(config.service_time("uucp", "time_limit").unwrap(), Duration::from_secs(7200));
    assert_eq!(config.service_time("other", "time_limit").unwrap(), Duration::from_secs(1000));
    assert_eq!(config.service_text("smtp", "destination_concurrency_positive_feedback").unwrap(), "1");
    assert_eq!(config.expand("$relay_destination_concurrency_limit $x_destination_concurrency_limit").unwrap(), "7 30");
}

// S-CONF-17
#[test]
fn templates_stay_unexpanded() {
    let config = config("smtpd_reject_footer = For help, call $server_name\n");
    assert_eq!(config.text("smtpd_reject_footer").unwrap(), "For help, call $server_name");
    assert_eq!(config.text("postscreen_reject_footer").unwrap(), "For help, call $server_name");
    assert_eq!(config.text("forward_path").unwrap(), "$home/.forward${recipient_delimiter}${extension}, $home/.forward");
}

/// Every default fits its own row. `virtual_mailbox_base` has none on purpose: virtual(8) refuses to run without it.
#[test]
fn defaults_are_valid() {
    let config = config("");
    for row in parameters::PARAMETERS.iter().filter(|row| row.name != "virtual_mailbox_base" && row.name != "service_name") {
        let result = match row.kind {
            Kind::Bool => config.bool(row.name).err(),
            Kind::Int { .. } | Kind::Long { .. } => config.int(row.name).err(),
            Kind::Time { .. } => config.time(row.name).err(),
            Kind::Raw { .. } | Kind::Text { .. } => config.text(row.name).err(),
        };
        assert!(result.is_none(), "{}: {}", row.name, result.unwrap());
    }
    for family in parameters::FAMILIES {
        assert!(!config.service_text("x", family.suffix).unwrap().is_empty(), "{}", family.suffix);
    }
}

/// The files that are installed: nothing in them is misspelt, and the services are those of Postfix (S-MASTER-18).
#[test]
fn the_installed_configuration_is_sound() {
    let config = Config::parse(include_str!("../../../conf/main.cf"), "main.cf").unwrap();
    let master = MasterFile::parse(include_str!("../../../conf/master.cf"), "master.cf").unwrap();
    let names = check::Names::collect(&config, &master);
    assert_eq!(check::unused(&config, &master, &names), Vec::<String>::new());
    assert!(names.undefined.is_empty() && names.faults.is_empty() && config.warnings().is_empty());
    config.check("smtpd", true).unwrap();
    let mut warnings = Vec::new();
    let entries = master.entries(&config, &mut warnings).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let services: Vec<String> = entries
        .iter()
        .map(|entry| format!("{}/{} {} {}", entry.service, entry.kind.name(), entry.command, entry.maxproc.unwrap_or(0)))
        .collect();
    let expected = "smtp/inet smtpd 100, pickup/unix pickup 1, cleanup/unix cleanup 0, qmgr/unix qmgr 1, tlsmgr/unix tlsmgr 1, \
        rewrite/unix trivial-rewrite 100, bounce/unix bounce 0, defer/unix bounce 0, trace/unix bounce 0, verify/unix verify 1, \
        flush/unix flush 0, proxymap/unix proxymap 100, proxywrite/unix proxymap 1, smtp/unix smtp 100, relay/unix smtp 100, \
        showq/unix showq 100, error/unix error 100, retry/unix error 100, discard/unix discard 100, local/unix local 100, \
        virtual/unix virtual 100, lmtp/unix lmtp 100, anvil/unix anvil 1, scache/unix scache 1, postlog/unix-dgram postlogd 1";
    assert_eq!(services, expected.split(", ").collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| !entry.chroot));
}
