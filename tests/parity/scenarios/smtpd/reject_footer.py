"""smtpd_reject_footer: what its names stand for at each command"""
main("""
    smtpd_reject_footer = s=$sender_domain r=$recipient r=$recipient_domain
    smtpd_relay_restrictions = reject_unauth_destination
    smtpd_error_sleep_time = 0
""")
start()
smtp("""
EHLO x
MAIL FROM:<a@bad^>
RCPT TO:<alice@example.com>
MAIL FROM:<a@example.org>
RCPT TO:<alice@nosuch.example>
RCPT TO:<nosuch@example.com>
RCPT
RCPT TO:<alice@example.com>
RCPT TO:<nosuch@example.com>
RCPT
MAIL
MAIL FROM:<a@example.org>
RCPT TO:<bob@example.com>
RCPT TO:<nosuch@example.com>
RCPT
VRFY nosuch
VRFY
DATA
x
.
RCPT
MAIL
QUIT
""")
