"""Which sessions the postmaster is told of: a message that is accepted makes up for what went wrong before it (S-BOUNCE-05)"""
main("""
    notify_classes = policy
""")
master("""
    2525 inet n - n - - smtpd
      -o notify_classes=protocol
      -o smtpd_forbid_unauth_pipelining=yes
    2526 inet n - n - - smtpd -o notify_classes=protocol -o smtpd_helo_required=yes
    2527 inet n - n - - smtpd -o notify_classes=policy -o smtpd_helo_required=yes
""")
start()
REFUSED = "EHLO %s\nMAIL FROM:<s@example.org>\nRCPT TO:<x@example.net>\nRCPT TO:<alice@example.com>\n"
MESSAGE = "DATA\nx\n.\n"
for port in (25, 2525):
    for name, rest in {"none": "", "message": MESSAGE, "rset": MESSAGE + "RSET\n", "chunks": '!raw "BDAT 5 LAST\\r\\nabc\\r\\n"\n!read\n', "again": MESSAGE + "MAIL FROM:<>\nRCPT TO:<x@example.net>\n",
                       "syntax": "RCPT TO:<alice@example.com> NOTIFY=x\n", "syntax-message": "RCPT TO:<alice@example.com> NOTIFY=x\n" + MESSAGE}.items():
        smtp(REFUSED % name + rest + "QUIT", port=port)
    smtp(REFUSED % "lost" + MESSAGE + "!close", port=port)
    smtp('HELO early\n!raw "MAIL FROM:<a@example.org>\\r\\nRCPT TO:<alice@example.com>\\r\\n"\n!read', port=port)
    # Commands that are not for this client, or for nobody.
    for name, command in {"xclient": "XCLIENT ADDR=192.0.2.1", "xforward": "XFORWARD ADDR=192.0.2.1", "xverp": "MAIL FROM:<s@example.org> XVERP", "etrn": "ETRN x.example", "etrn-syntax": "ETRN a b",
                          "vrfy": "VRFY x@example.net", "vrfy-syntax": "VRFY", "sender": "MAIL FROM:<a@>", "option": "MAIL FROM:<s@example.org> X=Y", "size": "MAIL FROM:<s@example.org> SIZE=99999999999",
                          "nested": "MAIL FROM:<s@example.org>\nMAIL FROM:<s@example.org>", "starttls": "STARTTLS", "auth": "AUTH PLAIN"}.items():
        smtp(f"EHLO {name}.{port}.example\n{command}\nQUIT", port=port)
    # A client that goes away has done no harm by that.
    for rest in ("", "MAIL FROM:<s@example.org>\n", "MAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\n", "MAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\nSubject: x\n",
                 "MAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nRSET\n"):
        smtp("EHLO away\n" + rest + "!close", port=port)
    for rest in ("RCPT TO:<x@example.net>\n", "FOO\n", "RCPT TO:<alice@example.com>\n"):
        smtp("EHLO away-" + rest[:3].strip().lower() + "\nMAIL FROM:<s@example.org>\n" + rest + "!close", port=port)
    settle()
    sh("grep -E 'In: .*(EHLO|HELO) ' /var/mail/dave; : >/var/mail/dave", sort=True)
# Without HELO. The transcript shows the first command.
for port in (2526, 2527):
    for command in ("MAIL FROM:<mail@example.org>", "RCPT TO:<rcpt@example.com>", "DATA", "VRFY vrfy", "ETRN etrn.example"):
        smtp(f"{command}\nQUIT", port=port)
    settle()
    sh("grep -A1 -E 'In: .*(MAIL|RCPT|DATA|VRFY|ETRN)' /var/mail/dave; : >/var/mail/dave", sort=True)
nolog()
