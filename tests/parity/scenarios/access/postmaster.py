"""Bare postmaster is accepted before any restriction is looked at"""
main("""
    smtpd_client_restrictions = check_sender_access inline:{{c@example.org=REJECT}}
    smtpd_sender_restrictions = check_sender_access inline:{{s@example.org=REJECT} {p@example.org=DEFER_IF_PERMIT}}
    smtpd_recipient_restrictions = reject
""")
start()
for s in "csxp":
    smtp(f"""
HELO x
MAIL FROM:<{s}@example.org>
RCPT TO:<postmaster>
RCPT TO:<Postmaster>
RCPT TO:<postmaster@example.com>
RCPT TO:<postmaster+x>
VRFY postmaster
QUIT
""")
main("smtpd_delay_reject = no")
reload()
smtp("""
HELO x
MAIL FROM:<p@example.org>
RCPT TO:<postmaster>
QUIT
""")
