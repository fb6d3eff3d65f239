"""DISCARD ends all lists, and what is said later of the same message is accepted unseen"""
# S-UBE-06
dns("""
client.example.org NS ns.example.org
ns.example.org A 192.0.2.22
example.org MX 10 mx.example.org
""")
main("""
    smtpd_client_restrictions = check_sender_access inline:{{c@example.org=DISCARD}}
    smtpd_helo_restrictions = check_sender_access inline:{{h@example.org=DISCARD}}, check_helo_access inline:{{reject=REJECT}}
    smtpd_sender_restrictions = check_sender_access inline:{{s@example.org=DISCARD} {x@example.org=DEFER_IF_PERMIT}}, check_recipient_access inline:{{carol@example.com=REJECT} {dave@example.com=DISCARD}}
    smtpd_relay_restrictions = reject_unauth_destination
    smtpd_recipient_restrictions = check_recipient_access inline:{{bob@example.com=REJECT} {alice@example.com=DISCARD}}, check_recipient_mx_access inline:{{mx.example.org=DISCARD}}
    smtpd_data_restrictions = check_sender_access inline:{{d@example.org=REJECT} {c@example.org=REJECT}}
    relay_domains = example.org
""")
start()
for s in "chsxd":
    smtp(f"""
EHLO ok
MAIL FROM:<{s}@example.org>
RCPT TO:<carol@example.com>
RCPT TO:<bob@example.com>
RCPT TO:<nosuch@example.net>
RCPT TO:<nosuch@example.com>
RCPT TO:<x@example.org>
RCPT TO:<dave@example.com>
RCPT TO:<nosuch@example.com>
RCPT TO:<alice@example.com>
RCPT TO:<bob@example.com>
RCPT TO:<nosuch@example.com>
DATA
x
.
QUIT
""")
smtp("""
EHLO ok
MAIL FROM:<c@example.org>
RCPT TO:<<bad>@example.com>
RCPT TO:<a@[1.2.3>
RCPT TO:<carol@example.com>
RCPT TO:<a@[1.2.3>
RCPT TO:<-bad@example.com>
VRFY nosuch
RSET
VRFY nosuch
MAIL FROM:<s@example.org>
RCPT TO:<bob@example.com>
QUIT
""")
main("smtpd_end_of_data_restrictions = reject")
reload()
smtp("""
EHLO ok
MAIL FROM:<s@example.org>
RCPT TO:<carol@example.com>
DATA
.
QUIT
""")
