"""docs/recipes/mail-hub.md: own domains by MX, own mailboxes here, the rest to the gateway (S-RECIPE-60, S-RELAY-06)"""
dns("""
    gateway.example.com A 192.0.2.22
    dept.example.com MX 10 mx.example.org
    far.example MX 10 mx.example.net
""")
sink("dept", "192.0.2.20:25", hostname="mx.example.org")
sink("far", "192.0.2.21:25", hostname="mx.example.net")
sink("gateway", "192.0.2.22:25", hostname="gateway.example.com")
recipe("mail-hub")
main("mynetworks = 127.0.0.0/8 192.0.2.10")
start()
for rcpt in ("u@dept.example.com", "u@far.example", "u@example.org", "bob@example.com", "bob@mail.example.com", "u@nowhere.example.com"):
    mail("s@example.com", rcpt, f"Subject: {rcpt}\n\n")
    settle()
sinks()
mbox("bob")
