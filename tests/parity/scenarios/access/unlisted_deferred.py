"""Unknown senders and recipients of whom a restriction says that they are to be deferred if they are permitted"""
# S-UBE-05
main("""
    smtpd_sender_restrictions = check_sender_access inline:{{nosuch@example.com=DEFER_IF_PERMIT one} {nosuch2@example.com=DEFER_IF_REJECT two}}
    smtpd_recipient_restrictions = check_recipient_access inline:{{nosuch@example.com=DEFER_IF_PERMIT three} {nosuch2@example.com=DEFER_IF_REJECT four} {alice@example.com=DEFER_IF_PERMIT three}}
    smtpd_reject_unlisted_sender = yes
""")
start()
dialogue = """
    HELO client.example.org
    MAIL FROM:<%s>
    RCPT TO:<nosuch@example.com>
    RCPT TO:<nosuch2@example.com>
    RCPT TO:<nosuch3@example.com>
    RCPT TO:<alice@example.com>
    QUIT
"""
for sender in ("nosuch@example.com", "nosuch2@example.com", "nosuch3@example.com", "bob@example.com"):
    smtp(dialogue % sender)
main("smtpd_delay_reject = no")
reload()
for sender in ("nosuch@example.com", "nosuch2@example.com", "nosuch3@example.com", "bob@example.com"):
    smtp(dialogue % sender)
