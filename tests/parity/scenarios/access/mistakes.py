"""restrictions that are wrong: unknown names, missing arguments, missing tables, bad values; what is fatal and what a client is told"""
# S-SMTPD-17
file("/etc/postfix/badpcre", "/[/ REJECT\n")
file("/etc/postfix/badcidr", "192.0.2.1/99 REJECT\n")
file("/etc/postfix/mode", "a REJECT\n")
BAD = """
    no_such_restriction
    reject_unknown_forward_client_hostname
    { reject }
    { reject_rbl_client bl.example }
    check_client_access
    check_client_access nocolon
    check_client_access hash:/etc/postfix/nosuch
    check_client_access cidr:/etc/postfix/nosuch
    check_client_access pcre:/etc/postfix/badpcre
    check_client_access cidr:/etc/postfix/badcidr
    check_client_access nosuchtype:/etc/postfix/x
    check_client_access texthash:/etc/postfix/mode
    check_client_access hash:/etc/postfix/mode
    check_client_access fail:x
    check_sender_access fail:x
    check_recipient_access fail:x
    check_helo_access fail:x
    check_client_mx_access fail:x
    check_sender_a_access fail:x
    warn_if_reject check_client_access fail:x
    warn_if_reject no_such_restriction
    check_etrn_mx_access hash:/etc/postfix/x
    check_sasl_access
    check_ccert_access
    check_policy_service
    reject_rbl_client
    reject_rbl_client ,
    reject_rbl_client =127.0.0.2
    reject_rhsbl_sender
    permit_dnswl_client
    sleep
    sleep soon
    sleep -1
    warn_if_reject
    permit, reject
    reject, permit
    defer reject
    PERMIT
    REJECT
    OK
    DUNNO
    REJECT text
    450 no
    hash:/etc/postfix/nosuch
    nosuchtype:x
    loop2
    notaclass
    check_client_access inline:{192.0.2.10=no_such_restriction}
    check_client_access inline:{192.0.2.10={reject}}
    check_client_access static:{reject_rbl_client}
    check_client_access static:{check_client_access}
    check_client_access static:{check_policy_service inet:127.0.0.1:9}
    check_client_access static:{sleep x}
    check_client_access static:{permit reject}
"""
rows = [line.strip() for line in BAD.strip().split("\n")]
main("""
    smtpd_restriction_classes = loop2 inner
    loop2 = check_client_access inline:{192.0.2.10=loop2}
    inner = reject
    smtpd_hard_error_limit = 10000
    smtpd_soft_error_limit = 10000
    smtpd_error_sleep_time = 0
    smtpd_policy_service_retry_delay = 1
    smtpd_policy_service_try_limit = 1
    notify_classes =
    mynetworks = 127.0.0.1
    master_service_disable =
    service_throttle_time = 1
""")
text = ""
for n, row in enumerate(rows):
    text += f"{2600 + n} inet n - n - - smtpd\n  -o {{ smtpd_recipient_restrictions={row} }}\n  -o syslog_name=postfix{n}\n"
master(text)
start()
for n, row in enumerate(rows):
    replies = ask("""
        HELO x
        MAIL FROM:<a@example.org>
        RCPT TO:<alice@example.com>
        RCPT TO:<bob@example.com>
        NOOP
    """, port=2600 + n, timeout=1.5)
    note(f"{n} {row}: {' | '.join(replies[3:] or replies)}")
# A process that does not start is tried again, how often is chance.
sh(r"grep -ohE 'postfix[0-9]+/smtpd\[[0-9]+\]: (warning|fatal|error|panic): .*' /var/log/maillog | sed 's/\[[0-9]*\]//' | sort -u")
nolog()
