"""dead destinations: deliveries are suspended"""
# S-QUEUE-11
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtp_connection_cache_on_demand = no
    minimal_backoff_time = 1000s
    one_destination_concurrency_limit = 1
    transport_maps = inline:{ {dead.example=one:[192.0.2.25]} {other.example=smtp:[192.0.2.25]} }
""")
master("one unix - - n - - smtp")
start()
for n in range(3):
    mail("alice@example.com", f"u{n}@dead.example", f"Subject: {n}\n\n")
    settle()
for n in range(8):
    mail("alice@example.com", f"u{n}@other.example", f"Subject: {n}\n\n")
    settle()
mailq()
log()
