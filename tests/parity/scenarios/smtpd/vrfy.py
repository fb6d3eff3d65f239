"""VRFY, and RCPT with a bare name: which lists are looked at without HELO and MAIL, and what tables are asked for"""
main("""
    smtpd_client_restrictions = warn_if_reject reject
    smtpd_helo_restrictions = warn_if_reject reject
    smtpd_sender_restrictions = warn_if_reject reject, check_sender_access inline:{ {a@example.org=WARN sender} {<>=WARN null} }, reject_non_fqdn_sender, reject_unknown_sender_domain
    smtpd_relay_restrictions = warn_if_reject reject, reject_unauth_destination
    smtpd_recipient_restrictions = warn_if_reject reject, check_sender_access inline:{ {a@example.org=WARN sender2} {<>=WARN null2} },
        check_helo_access inline:{{x=WARN helo}}, check_recipient_access inline:{ {alice=WARN r} {alice@example.com=WARN rc} {alice@=WARN ra} {example.net=WARN rn} }
""")
start()
smtp("""
    VRFY alice
    VRFY alice+x
    EHLO x
    VRFY alice
    VRFY nosuch
    VRFY alice@example.com
    MAIL FROM:<a@example.org>
    VRFY alice
    RCPT TO:<bob@example.com>
    RCPT TO:<alice>
    RCPT TO:<Alice@EXAMPLE.com>
    RCPT TO:<alice+x>
    VRFY alice
    VRFY bob@example.net
    RSET
    MAIL FROM:<>
    VRFY alice
    QUIT
""")
