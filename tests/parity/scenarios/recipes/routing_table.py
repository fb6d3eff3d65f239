"""docs/recipes/routing-table.md: each address takes the line that the page says (S-RECIPE-23, S-RECIPE-66, S-CLASS-05, S-CLASS-06, S-CLASS-08)"""
dns("""
    gateway.oreilly.com A 192.0.2.23
    gateway.oreilly.com MX 10 mx.example.org
    oreillynet.com MX 10 mx.example.net
""")
sink("provider", "192.0.2.20:587", hostname="mx.example.org")
lmtp_sink("tcp", "192.0.2.21:24")
lmtp_sink("socket", "unix:/tmp/service.sock")
sink("net", "192.0.2.21:25", hostname="mx.example.net")
sink("ora", "192.0.2.22:20025", hostname="ora.com")
sink("gateway", "192.0.2.23:25", hostname="gateway.oreilly.com")
recipe("routing-table")
main("mynetworks = 127.0.0.0/8 192.0.2.10\nmydestination = localhost, z.localdomain")
start()
for rcpt in ("admin@localhost", "alice@localhost", "alice@z.localdomain", "nosuch@localhost", "x@service1.example.com", "x@example.com", "x@a.example.com", "x@b.a.example.com",
             "x@oreilly.com", "x@sub.oreilly.com", "x@oreillynet.com", "x@ora.com", "kdent@ora.com", "x@far.example", "admin+x@localhost"):
    mail("s@example.net", rcpt, f"Subject: {rcpt}\n\n")
    settle()
sinks()
