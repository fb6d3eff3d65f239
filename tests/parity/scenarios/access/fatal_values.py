"""values that keep smtpd from starting"""
BAD = """
    smtpd_relay_restrictions= -o smtpd_recipient_restrictions=
    smtpd_relay_restrictions=permit_mynetworks -o smtpd_recipient_restrictions=permit_mynetworks
    smtpd_relay_restrictions=permit_mynetworks,permit -o smtpd_recipient_restrictions=permit,reject
    smtpd_relay_restrictions=warn_if_reject,reject_unauth_destination
    smtpd_relay_restrictions=nested -o smtpd_recipient_restrictions=
    smtpd_relay_restrictions=check_recipient_access,static:reject
    smtpd_relay_restrictions=permit_mynetworks -o smtpd_recipient_restrictions=defer_if_permit
    smtpd_relay_restrictions=REJECT
    smtpd_restriction_classes=reject -o reject=permit
    smtpd_restriction_classes=twice,twice -o twice=reject
    smtpd_restriction_classes=own -o own=
    unknown_address_tempfail_action=reject
    unknown_helo_hostname_tempfail_action=DEFER
    unverified_sender_tempfail_action=x
    unverified_recipient_tempfail_action=x
    reject_tempfail_action=defer
    reject_tempfail_action=foo
    reject_code=abc
    reject_code=99
    reject_code=
    smtpd_delay_reject=maybe
    smtpd_noop_commands=QUIT
    smtpd_forbidden_commands=regexp:/nosuch
    smtpd_expansion_filter=
    smtpd_hard_error_limit=0
    smtpd_soft_error_limit=0
    smtpd_recipient_limit=0
    smtpd_junk_command_limit=0
    smtpd_error_sleep_time=-1
    smtpd_timeout=0
    smtpd_history_flush_threshold=0
    permit_mx_backup_networks=fail:x
    rbl_reply_maps=fail:x
    smtpd_forbid_bare_newline=sometimes
    smtpd_forbid_unauth_pipelining=maybe
    mynetworks=fail:x
    mynetworks=192.0.2.0/33
    smtpd_log_access_permit_actions=fail:x
    parent_domain_matches_subdomains=nosuch
    stress=x
"""
rows = [line.strip() for line in BAD.strip().split("\n")]
main("""
    notify_classes =
    smtpd_restriction_classes = nested
    nested = reject
    smtpd_hard_error_limit = 100
    service_throttle_time = 1
""")
text = ""
for n, row in enumerate(rows):
    text += f"{2600 + n} inet n - n - - smtpd\n  -o {row}\n  -o syslog_name=postfix{n}\n"
master(text)
start()
for n, row in enumerate(rows):
    replies = ask("""
        EHLO x
        MAIL FROM:<a@example.org>
        RCPT TO:<alice@example.com>
        RCPT TO:<x@example.net>
        NOOP
    """, port=2600 + n, timeout=1.5)
    note(f"{n} {row}: {' | '.join(x for x in replies if x[3:4] == ' ' and 'CHUNKING' not in x)}")
# A process that does not start is tried again, how often is chance.
sh(r"grep -ohE 'postfix[0-9]+/smtpd\[[0-9]+\]: (warning|fatal|error|panic): .*' /var/log/maillog | sed 's/\[[0-9]*\]//' | sort -u")
nolog()
