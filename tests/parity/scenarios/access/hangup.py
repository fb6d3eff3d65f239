"""HANGUP: the connection ends without a reply, also to commands that came together with the one refused"""
main("""
    smtpd_sender_restrictions = check_sender_access inline:{{d@example.org=HANGUP}}
    smtpd_recipient_restrictions = check_sender_access inline:{{a@example.org=HANGUP},{b@example.org=421 4.7.0 closing},{c@example.org=521 bye}}, reject_unauth_destination
""")
start()
for who in "abcd":
    smtp(f"EHLO x\n& MAIL FROM:<{who}@example.org>\n& RCPT TO:<alice@example.com>\n& RCPT TO:<bob@example.com>\nDATA\nQUIT")
    smtp(f"EHLO x\nMAIL FROM:<{who}@example.org>\nRCPT TO:<alice@example.com>\nNOOP\nQUIT")
