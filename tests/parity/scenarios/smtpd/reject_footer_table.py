"""soft_bounce and smtpd_reject_footer_maps: which replies the table sees before they are made temporary (S-SMTPD, S-UBE)"""
main("""
    soft_bounce = yes
    smtpd_reject_footer_maps = regexp:{ {/^5/ hard} {/^4/ soft} }
    header_checks = regexp:{{/^Subject: (5.*)/ REJECT $$1} {/^Subject: 4/ REJECT 4.7.1 temp}}
    message_size_limit = 5000
    smtpd_recipient_limit = 2
    smtpd_helo_restrictions = check_helo_access inline:{{b=550 no},{c=421 4.7.0 gone},{d=521 5.7.1 gone}}
    smtpd_data_restrictions = check_helo_access inline:{{e=550 no}}
    smtpd_end_of_data_restrictions = check_helo_access inline:{{f=550 no}}
    smtpd_hard_error_limit = 6
    smtpd_error_sleep_time = 0
    strict_8bitmime = yes
""")
start()
MAIL = "MAIL FROM:<a@b>\nRCPT TO:<alice@example.com>\n"
smtp("EHLO x\nFOO\nVRFY x@nosuch\nVRFY nosuch\nMAIL FROM:<a@b> SIZE=9999\nMAIL FROM:<a@b> SIZE=x\nQUIT")
smtp("EHLO x\n" + "FOO\n" * 7 + "QUIT")
smtp("EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<a@no.example>\n" + "RCPT TO:<alice@example.com>\n" * 3 + "DATA\nSubject: 5.7.1 bad\n\n.\nQUIT")
smtp("EHLO x\n" + MAIL + "DATA\nSubject: 4\n\n.\n" + MAIL + "DATA\nSubject: é\n\n.\nQUIT")
smtp("EHLO x\n" + MAIL + "DATA\nSubject: x\n\n" + ("y" * 900 + "\n") * 7 + ".\nQUIT")
for helo in "bcdef":
    smtp("EHLO " + helo + "\n" + MAIL + "DATA\nSubject: x\n\n.\nQUIT")
    smtp("EHLO " + helo + "\n" + MAIL + "!raw 'BDAT 10 LAST\\r\\nSubject:x\\n'\n!read\nQUIT")
smtp("EHLO x\nETRN example.org\nETRN\nETRN x..\nXCLIENT ADDR=x\nQUIT")
