"""Addresses of this host that are known without a table; what VRFY makes of a sender that was refused (S-UBE, S-SMTPD)"""
main("""
    smtpd_data_restrictions =
    smtpd_recipient_restrictions = warn_if_reject reject_unknown_sender_domain, permit_mynetworks, reject_unauth_destination
""")
master("""
    2525 inet n - n - - smtpd
      -o local_recipient_maps=inline:{{alice=x},{bob@example.com=y}}
""")
start()
for port in (25, 2525):
    for name in "MAILER-DAEMON mailer-daemon Mailer-Daemon postmaster POSTMASTER double-bounce DOUBLE-bounce nosuch bob BOB mailer-daemon+x postmaster+x".split():
        smtp("EHLO x\nMAIL FROM:<s@example.org>\n" + "".join("RCPT TO:<%s>\n" % (name + at) for at in ("", "@example.com", "@[127.0.0.1]", "@mail.example.com", "@example.org")) + "QUIT", port=port)
smtp("EHLO x\nMAIL FROM:<a@nosuch.example> junk\nVRFY alice\nMAIL FROM:<a@nosuch.example>\nVRFY alice\nRSET\nVRFY alice\nQUIT")
