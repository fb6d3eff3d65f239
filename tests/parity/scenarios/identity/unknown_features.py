"""lists of clients that fail: whether XCLIENT, XFORWARD, XVERP are announced and allowed, which EHLO keywords are left out (S-ID-11, S-MAP-13)"""
main("smtpd_error_sleep_time = 0\nsmtpd_authorized_verp_clients = static:all")
SETTINGS = ("smtpd_authorized_xclient_hosts = fail:x", "smtpd_authorized_xforward_hosts = fail:x", "smtpd_authorized_verp_clients = fail:x", "smtpd_discard_ehlo_keyword_address_maps = fail:x", "smtpd_log_access_permit_actions = fail:x",
            "smtpd_log_access_permit_actions = /etc/postfix/nosuch", "smtpd_log_access_permit_actions = !permit, static:all",
            "smtpd_discard_ehlo_keywords = xclient, xforward } -o { smtpd_authorized_xclient_hosts = fail:x } -o { smtpd_authorized_xforward_hosts = fail:x } -o { smtpd_authorized_verp_clients = fail:x")
master("".join(f"{2000 + n} inet n - n - 1 smtpd\n  -o {{ {text} }} -o syslog_name=postfix/list{n} -o {{ smtpd_recipient_restrictions = check_sender_access inline:{{{{s@example.net=permit}}}} }}\n"
               for n, text in enumerate(SETTINGS)))
start()
for n, text in enumerate(SETTINGS):
    host.out(f"== {text}")
    smtp("HELO y\nXCLIENT NAME=x\nXFORWARD NAME=x\nMAIL FROM:<s@example.net> XVERP\nMAIL FROM:<s@example.net>\nRCPT TO:<alice@example.com>\nQUIT", port=2000 + n)
    smtp("EHLO x\nMAIL FROM:<s@example.net>\nQUIT", port=2000 + n)
log()
