"""A refused second MAIL takes parameters of the first one back; AUTH= of a client whose login a proxy told (S-SMTPD-06, S-EXT)"""
main("""
    header_checks = static:HOLD
    smtpd_authorized_xclient_hosts = 192.0.2.11
    always_add_missing_headers = yes
""")
start()
FIRST = "MAIL FROM:<é@example.com> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=abc"
SECOND = "MAIL FROM:<a@example.com>"
RCPT = "RCPT TO:<alice@example.com>"
for name, rows in {"plain": [FIRST, RCPT], "before": [FIRST, SECOND, RCPT], "after": [FIRST, RCPT, SECOND], "other": [FIRST, SECOND + " RET=FULL", RCPT], "short": [FIRST, "MAIL", RCPT],
                   "more": ["MAIL FROM:<b@example.com>", SECOND + " SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=abc", RCPT]}.items():
    smtp("\n".join(["EHLO x", *rows, "DATA", f"Subject: {name}", "Message-Id: <x>", "", "x", ".", "QUIT"]))
for name, said in {"given": "AUTH=b+2B@example.org", "empty": "AUTH=<>", "nothing": ""}.items():
    smtp(f"EHLO x\nXCLIENT LOGIN=joe\nEHLO x\nMAIL FROM:<s@example.org> {said}\n{RCPT}\nDATA\nSubject: {name}\nMessage-Id: <x>\n\nx\n.\nMAIL FROM:<s@example.org>\n{RCPT}\nDATA\nSubject: after {name}\nMessage-Id: <x>\n\nx\n.\nQUIT",
         src="192.0.2.11")
# Such a login alone opens nothing.
smtp("EHLO x\nXCLIENT LOGIN=joe\nEHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<x@example.net>\nQUIT", src="192.0.2.11")
settle()
sh("cd /var/spool/postfix; for f in $(find hold -type f); do postcat $f | grep -E '^(Subject|message_size|sender|named_attribute: (encoding|ret|env|sasl)|.by mail)' | tr '\\n' ';'; echo; done", sort=True)
log("client=")
