"""docs/recipes/local-identity.md: own names only, generic addresses on the way out (S-RECIPE-65, S-RECIPE-68, S-REWRITE-10, S-REWRITE-11, S-MAP-04, S-TRAP-04)"""
dns("example.com MX 10 mx.example.org\npublic.example MX 10 mx.example.org")
sink("mx", "192.0.2.20:25", hostname="mx.example.org")
recipe("local-identity")
aliases("info: alice")
start()
for rcpt in ("info@www1.example.com", "info@localhost", "bob@localhost.localdomain", "root@example.com", "info@mail.example.com"):
    mail("", rcpt, f"Subject: {rcpt}\n\n", src="192.0.2.13")
settle()
for sender in ("root@localdomain", "root", "root@www1.example.com", "root@localhost", "root@other.example", "kdent@localdomain", "alice", "root@[192.0.2.1]"):
    sendmail(f"-f {sender} x@example.org bob@localhost root", f"From: {sender} (R)\nTo: x@example.org, Root <root>, any@localdomain\nSubject: {sender}\n\nroot@localdomain\n")
    settle()
sinks(sort=True)
mbox("bob", sort=True)
mbox("alice", sort=True)
