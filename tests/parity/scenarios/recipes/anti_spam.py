"""docs/recipes/anti-spam.md: each rule refuses what it is for, a proper client passes, users choose"""
# S-RECIPE-35 S-RECIPE-36 S-UBE-37 S-UBE-38 S-UBE-31
dns("""
    12.2.0.192.nospam.example.com A 127.0.0.2 nptr
    12.2.0.192.nospam.example.com TXT "listed"
    later.example SERVFAIL
    bulk.example MX 10 mx.example.org
""")
recipe("anti-spam")
main("mynetworks = 127.0.0.0/8\nsmtpd_hard_error_limit = 100\nsmtpd_soft_error_limit = 100")
start()
def talk(helo="client.example.org", sender="s@example.org", rcpts="alice", subject="hello", body="text", **kw):
    smtp("\n".join([f"HELO {helo}" if helo else "NOOP", f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r if '@' in r else r + '@example.com'}>" for r in rcpts.split()]
                   + ["DATA", f"Subject: {subject}", "", body, ".", "QUIT"]), **kw)
talk(rcpts="alice bob carol")
talk(helo="")
for n in (13, 14):
    talk(src=f"192.0.2.{n}")
talk(src="198.51.100.17", rcpts="bob")
for helo in ("-bad-", "mail.example.com", "short"):
    talk(helo=helo, rcpts="alice bob carol")
for sender in ("s", "s@nosuch.example", "s@later.example", "spammer@example.org", "x@bulk.example", ""):
    talk(sender=sender, rcpts="alice bob")
talk(rcpts="x@example.org x@host nosuch x@nosuch.example")
talk(src="192.0.2.12", rcpts="alice bob carol")
talk(subject="make money fast")
talk(body="TVqQAAMAAAAEAAAA//8AALgAAAA")
smtp("""
    HELO client.example.org
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    !raw "DATA\\r\\nSubject: early\\r\\n\\r\\n.\\r\\n"
    !read 2
""")
talk(rcpts="x@elsewhere.example", src="127.0.0.1", dst="127.0.0.1")
settle()
mbox("bob")
mbox("carol")
