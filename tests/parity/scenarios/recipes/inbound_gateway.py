"""docs/recipes/inbound-gateway.md: two inside hosts by the relay transport, other domains refused (S-RECIPE-25, S-RELAY-04)"""
sink("mail1", "192.0.2.20:25", hostname="mail1.example.com")
sink("mail2", "192.0.2.21:25", hostname="mail2.example.com")
recipe("inbound-gateway")
start()
for rcpt in ("u@hr.example.com", "u@sales.example.com", "u@it.example.com", "u@sub.hr.example.com", "u@other.example", "bob@example.com"):
    mail("s@example.net", rcpt, f"Subject: {rcpt}\n\n", src="192.0.2.13")
    settle()
sinks()
