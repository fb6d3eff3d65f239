"""a next hop with a port that no one knows: what becomes of its mail, and of other mail (S-CLASS-06)"""
sink("a", "192.0.2.20:25")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = inline:{ {badport.example=smtp:[192.0.2.20]:nosuchservice}, {good.example=smtp:[192.0.2.20]} }
""")
start()
mail("s@example.org", "u@good.example", "Subject: good\n\n")
settle()
mail("s@example.org", "u@badport.example", "Subject: bad\n\n")
settle()
sh("postqueue -p | grep -c '^[0-9A-F]'")
sinks()
