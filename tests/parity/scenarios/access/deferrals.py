"""DEFER_IF_PERMIT, DEFER_IF_REJECT: how long they last, both at once"""
# S-UBE-05
main("""
    smtpd_client_restrictions = check_sender_access inline:{ {ca@example.org=DEFER_IF_REJECT later} {cp@example.org=DEFER_IF_PERMIT not yet} }
    smtpd_helo_restrictions = check_sender_access inline:{ {ca@example.org=REJECT} {ha@example.org=DEFER_IF_REJECT later} }
    smtpd_sender_restrictions = check_sender_access inline:{ {ha@example.org=REJECT} {sr@example.org=defer_if_reject} {sp@example.org=defer_if_permit} }
    smtpd_relay_restrictions = check_sender_access inline:{ {ra@example.org=DEFER_IF_REJECT later} {r2@example.org=DEFER_IF_REJECT later} {rp@example.org=DEFER_IF_PERMIT pp} }
    smtpd_recipient_restrictions = check_sender_access inline:{ {ra@example.org=REJECT} },
       check_sender_access inline:{ {x1@example.org=DEFER_IF_PERMIT perm1} {x2@example.org=DEFER_IF_REJECT rej1} {x3@example.org=DEFER_IF_PERMIT perm1} {x4@example.org=DEFER_IF_REJECT rej1} {rp@example.org=DEFER_IF_REJECT perm1} },
       check_sender_access inline:{ {x1@example.org=DEFER_IF_REJECT rej2} {x2@example.org=DEFER_IF_PERMIT perm2} {x3@example.org=DEFER_IF_PERMIT perm2} {x4@example.org=DEFER_IF_REJECT rej2} },
       check_recipient_access inline:{ {alice@example.com=WARN here} },
       check_sender_access inline:{ {x4@example.org=REJECT no} }, reject_unauth_destination, reject_unlisted_recipient
""")
start()
for sender in "ca cp ha sr sp ra r2 rp x1 x2 x3 x4".split():
    smtp(f"""
        EHLO client.example.org
        MAIL FROM:<{sender}@example.org>
        RCPT TO:<alice@example.com>
        RCPT TO:<nosuch@example.com>
        RCPT TO:<nosuch@example.net>
        QUIT
    """)
