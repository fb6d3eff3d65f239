"""docs/recipes/outbound-relay.md: mail for the world goes to the gateway by its A record, mail for this host stays (S-RECIPE-26, S-RELAY-05)"""
dns("""
    gw.example.com A 192.0.2.20
    gw.example.com MX 10 mx.example.net
""")
sink("gw", "192.0.2.20:25", hostname="gw.example.com")
sink("mx", "192.0.2.21:25", hostname="mx.example.net")
recipe("outbound-relay")
main("mynetworks = 127.0.0.0/8 192.0.2.10")
start()
sendmail("-f alice u@example.net bob", "Subject: from here\n\n")
settle()
mail("s@example.com", "u@far.example", "Subject: from a client\n\n", src="192.0.2.10")
mail("s@example.com", "u@far.example", "Subject: from a stranger\n\n", src="192.0.2.13")
settle()
sinks()
mbox("bob")
