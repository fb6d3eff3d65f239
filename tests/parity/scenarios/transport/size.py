"""SIZE in MAIL: told unless the content may have to be converted, whatever limit the server names"""
sink("none", "192.0.2.20:4000", ehlo=["SIZE 0"])
sink("plain", "192.0.2.20:4001", ehlo=["SIZE"])
sink("limit", "192.0.2.20:4002", ehlo=["SIZE 100000"])
sink("eight", "192.0.2.20:4003", ehlo=["8BITMIME", "SIZE"])
main("""
    mynetworks = 192.0.2.10
    smtp_connection_cache_on_demand = no
    transport_maps = inline:{none.example=smtp:[192.0.2.20]:4000,plain.example=smtp:[192.0.2.20]:4001,limit.example=smtp:[192.0.2.20]:4002,eight.example=smtp:[192.0.2.20]:4003}
""")
start()
for d in ("none", "plain", "limit", "eight"):
    mail("s@example.org", f"x@{d}.example", "Subject: x\n\nx\n")
    mail("", f"x@{d}.example", "Subject: x\n\nx\n")
    mail("s@example.org", f"x@{d}.example", "Subject: x\n\nx\n", options="BODY=7BIT")
    mail("s@example.org", f"x@{d}.example", "Subject: x\n\nä\n", options="BODY=8BITMIME")
settle()
sinks()
log(include="to=<")
