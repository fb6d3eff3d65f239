"""smtputf8_enable = no: names given with HELO, and what is shown of 8-bit text in transcripts and reports (S-SMTPD-01)"""
policy("p", "127.0.0.1:9000", {})
main("""
    smtputf8_enable = no
    smtpd_helo_restrictions = check_policy_service inet:127.0.0.1:9000
    header_checks = regexp:{{/^Subject: hold/ HOLD}}
    smtpd_reject_footer = $helo_name
    smtpd_authorized_xclient_hosts = 192.0.2.0/24
    smtpd_authorized_xforward_hosts = 192.0.2.0/24
    local_recipient_maps =
    notify_classes = protocol
""")
start()
ENVELOPE = "MAIL FROM:<alice@example.com>\nRCPT TO:<bob@example.com>\n"
MESSAGE = "DATA\nSubject: hold\n\nx\n."
smtp("EHLO é.example\n" + ENVELOPE + MESSAGE)
smtp("XCLIENT HELO=é.example\n" + ENVELOPE + MESSAGE)
smtp("XFORWARD HELO=é.example\n" + ENVELOPE + MESSAGE)
smtp("EHLO é.example\nMAIL FROM:<é@example.org>\nRCPT TO:<é@é.example>\nNOOP é\nQUIT")
smtp("EHLO x\nMAIL FROM:<alice@example.com>\nRCPT TO:<nosuch@example.com>\nRCPT TO:<bob@example.com> NOTIFY=SUCCESS ORCPT=utf-8;é@y\nDATA\nSubject: x\n\nx\n.\nQUIT")
settle()
requests("p", "helo_name sender recipient", sort=True)
sh("cd /var/spool/postfix; for f in $(find hold -type f); do postcat -e $f; postcat -h $f; done | grep -E 'helo|Received'", sort=True)
mbox("alice", sort=True)
mbox("dave", sort=True)
nolog()
