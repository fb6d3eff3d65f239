"""sendmail -bs: restrictions do not apply, commands and their parameters, limits, BDAT, refusals, what pickup receives; S-CMD-27"""
sink("mx1", "192.0.2.20:25")
main("""
    smtpd_client_restrictions = reject
    smtpd_recipient_restrictions = reject
    smtpd_relay_restrictions = reject
    smtpd_helo_required = yes
    message_size_limit = 3000
    smtpd_recipient_limit = 2
    smtpd_forbid_bare_newline = normalize
""")
start()
sh("sendmail -bs", "MAIL FROM:<a@example.com>\nVRFY x@example.org\nETRN example.org\nSTARTTLS\nXCLIENT NAME=foo\nXFORWARD NAME=foo\nFOO\nHELO here\nQUIT\n", user="bob")
sh("sendmail -bs", "EHLO here\nMAIL FROM:<bob@example.com> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=abc SMTPUTF8\nRCPT TO:<alice@example.com> NOTIFY=SUCCESS ORCPT=rfc822;orig@example.com\n"
   "DATA\nX-1: yes\n\n..dot\n.\nMAIL FROM:<bob@example.com>\nRCPT TO:<\"a b\"@example.com>\nRCPT TO:<carol+x@example.com>\nRCPT TO:<dave@example.com>\nRSET\nQUIT\n", user="bob")
settle()
mbox("alice")
mbox("bob")
sh("sendmail -bs", "EHLO here\nMAIL FROM:<>\nRCPT TO:<carol>\nDATA\n leading blank\n\nbody\n.\nMAIL FROM:<bob>\nRCPT TO:<@example.net:dave@example.com>\nBDAT 4\na:b\nBDAT 3 LAST\n\nx\nQUIT\n", user="root")
settle()
mbox("carol")
mbox("dave")
sh("sendmail -bs", "EHLO here\nMAIL FROM:<bob@example.com> SIZE=5000\nETRN example.org\nETRN -bad\nFOO\nXX\nSUBJECT: x\n", user="root")
sh("sendmail -bs", "EHLO here\r\nMAIL FROM:<bob@example.com>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\na\n.\nb\r\n.\r\nHELP", user="root")
sh("sendmail -bs", "EHLO here\nMAIL FROM:<bob@example.com>\nRCPT TO:<alice@example.com>\nDATA\nhalf a message\n", user="bob")
sh("sendmail -bs", "EHLO here\nMAIL FROM:<bob@example.com>\nRCPT TO:<>\nRCPT TO:<bad\nMAIL FROM:<x>\nDATA\nBDAT x\n", user="bob")
sh("sendmail -bs < /dev/null", user="bob")
sh("sendmail -bs -f x@example.com alice", "QUIT\n", user="bob")
sh("sendmail -bs -t", "QUIT\n", user="bob")
sh("sendmail -bs -v -O x=y -i", "QUIT\n", user="bob")
sh("ls -A /var/spool/postfix/maildrop /var/spool/postfix/incoming")
main("authorized_submit_users = !bob, static:all")
reload()
sh("sendmail -bs", "EHLO here\nMAIL FROM:<bob@example.com>\nRCPT TO:<alice@example.com>\nDATA\nx\n.\nQUIT\n", user="bob")
sh("sendmail -bs", "EHLO here\nMAIL FROM:<bob@example.com>\nRCPT TO:<alice@example.com>\nDATA\nx\n.\nQUIT\n", user="carol")
settle()
