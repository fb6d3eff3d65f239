"""force expiry, hold while deferred, lifetimes, postsuper -e and -f, defer_transports and flush"""
sink("down", "192.0.2.20:25", {"RCPT": "450 4.2.0 later"})
sink("ok", "192.0.2.21:25", hostname="mx.example.net")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtp_connection_cache_on_demand = no
    minimal_backoff_time = 1000s
    defer_transports = postponed
    transport_maps = inline:{ {later.example=postponed:[192.0.2.21]} }
    bounce_queue_lifetime = 0
""")
master("postponed unix - - n - - smtp")
start()
mail("alice@example.com", "u1@example.org", "Subject: one\n\n")
mail("alice@example.com", "u2@later.example", "Subject: two\n\n")
mail("", "u3@example.org", "Subject: three\n\n")
settle()
mailq()
sh("postsuper -e ALL deferred")
quiet("postqueue -f")
wait_empty()
mbox("alice")
sinks()
log()
