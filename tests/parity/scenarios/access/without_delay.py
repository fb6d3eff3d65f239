"""all that refuses, in every list, with smtpd_delay_reject and without: what a list cannot know yet is passed over"""
# S-UBE-01 S-UBE-02 S-UBE-14
dns("""
    12.2.0.192.bl.example A 127.0.0.2 nptr
    bad.example.dbl.example A 127.0.1.2 nptr
    unknown.dbl.example A 127.0.1.2 nptr
    forged.example.org.dbl.example A 127.0.1.2 nptr
    x.dbl.example A 127.0.1.2 nptr
    bad.example A 203.0.113.66
    bad.example MX 10 mx.bad.example
    bad.example NS ns.bad.example
    mx.bad.example A 203.0.113.67
    ns.bad.example A 203.0.113.68
    forged.example.org NS ns.bad.example
""")
ALL = "pcre:/etc/postfix/all"
file("/etc/postfix/all", "/^(.*)$/ 554 5.3.0 has $1\n")
NAMES = f"""
    reject defer reject_plaintext_session reject_unauth_pipelining reject_multi_recipient_bounce reject_unauth_destination defer_unauth_destination
    reject_invalid_helo_hostname reject_non_fqdn_helo_hostname reject_unknown_helo_hostname reject_unknown_client_hostname reject_unknown_reverse_client_hostname
    reject_non_fqdn_sender reject_unknown_sender_domain reject_unlisted_sender reject_non_fqdn_recipient reject_unknown_recipient_domain reject_unlisted_recipient
    reject_rbl_client,bl.example reject_rhsbl_client,dbl.example reject_rhsbl_reverse_client,dbl.example reject_rhsbl_helo,dbl.example
    reject_rhsbl_sender,dbl.example reject_rhsbl_recipient,dbl.example permit_mx_backup permit_auth_destination
""".split()
NAMES = [x for x in NAMES if not x.startswith("permit")]
NAMES += [f"check_{what}{host}_access,{ALL}" for what in ("client", "reverse_client_hostname", "helo", "sender", "recipient") for host in ("", "_a", "_mx", "_ns")]
NAMES += [f"check_etrn_access,{ALL}"]
main("smtpd_restriction_classes = everything\neverything = " + ", ".join("warn_if_reject " + x for x in NAMES))
main("""
    smtpd_relay_restrictions = reject_unauth_destination
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
    notify_classes =
""")
LISTS = ["client", "helo", "sender", "relay", "recipient", "data", "end_of_data", "etrn"]
for n, name in enumerate(LISTS):
    for delay in ("yes", "no"):
        more = ",reject_unauth_destination" if name == "relay" else ""
        master(f"""
            {2600 + n * 2 + (delay == 'no')} inet n - n - - smtpd
              -o smtpd_{name}_restrictions=everything{more}
              -o smtpd_delay_reject={delay}
              -o syslog_name={name}/{delay}
        """)
start()
for n, name in enumerate(LISTS):
    for delay in (0, 1):
        ask("""
            HELO bad.example
            MAIL FROM:<a@bad.example>
            RCPT TO:<alice@example.com>
            DATA
            x
            .
            RSET
            ETRN bad.example
            VRFY bob@example.com
            HELO x
            MAIL FROM:<nosuch@example.com>
            RCPT TO:<nosuch@example.com>
            RCPT TO:<postmaster>
            RSET
            MAIL FROM:<>
            RCPT TO:<x@elsewhere.example>
            RCPT TO:<alice@example.com>
            DATA
        """, src="192.0.2.12", port=2600 + n * 2 + delay)
log(include="reject_warning|warning: ")
