"""transcripts of sessions with clients that were refused: which class, to whom"""
# S-BOUNCE-05 S-BOUNCE-06
CLASSES = {2501: "bounce", 2502: "policy", 2503: "bounce,policy", 2504: "protocol", 2505: "data", 2506: "resource,software,2bounce,delay"}
SESSIONS = {
    "relay denied": ("MAIL FROM:<a@example.org>", "RCPT TO:<x@elsewhere.example>"),
    "unknown user": ("MAIL FROM:<a@example.org>", "RCPT TO:<nosuchuser@example.com>"),
    "sender refused": ("MAIL FROM:<bad@example.org>", "RCPT TO:<alice@example.com>"),
    "content refused": ("MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.com>", "DATA", "X-Bad: yes", "", "."),
    "deferred": ("MAIL FROM:<later@example.org>", "RCPT TO:<alice@example.com>"),
    "bad command": ("NONSENSE",),
    "bad syntax": ("MAIL FROM a@example.org",),
    "bad order": ("RCPT TO:<alice@example.com>",),
    "no recipient": ("MAIL FROM:<a@example.org>", "DATA"),
    "too big": ("MAIL FROM:<a@example.org> SIZE=999999999",),
    "data refused": ("MAIL FROM:<data@example.org>", "RCPT TO:<alice@example.com>", "DATA"),
    "bad address": ("MAIL FROM:<a@example.org>", "RCPT TO:<a@b@c@d>"),
    "non-fqdn": ("MAIL FROM:<a@example.org>", "RCPT TO:<a b>"),
}
main("""
    mynetworks = 127.0.0.0/8
    smtpd_delay_reject = no
    smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
    smtpd_sender_restrictions = check_sender_access inline:{ {bad@example.org=REJECT we do not want you} {later@example.org=DEFER later} }
    smtpd_data_restrictions = check_sender_access inline:{ {data@example.org=REJECT at data} }
    header_checks = regexp:/etc/postfix/checks
    bounce_notice_recipient = carol
    error_notice_recipient = dave
    2bounce_notice_recipient = bob
    delay_notice_recipient = bob
""")
file("/etc/postfix/checks", "/^X-Bad/ REJECT bad header\n")
for port, classes in CLASSES.items():
    master(f"""
        {port} inet n - n - - smtpd
          -o notify_classes={classes}
    """)
start()
for name, lines in SESSIONS.items():
    note(name)
    for port, classes in CLASSES.items():
        c = client(src="192.0.2.10", port=port)
        keep, host.lines = host.lines, []
        c.do("\n".join(("EHLO client.example.org",) + lines + ("QUIT",)))
        c.close()
        host.lines = keep
        settle()
        sh(f"echo {classes}; grep -h '^To:\\|^X-Orig\\|^From:\\|^Return-Path\\|^  *Out: [45]' /var/mail/bob /var/mail/carol /var/mail/dave 2>/dev/null; rm -f /var/mail/*")
nolog()
