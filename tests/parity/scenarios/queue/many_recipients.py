"""many recipients, several transports, content filter, recipient limits, redirect"""
# S-QUEUE-20
sink("mx1", "192.0.2.20:25", {"RCPT TO:<bad": "550 5.1.1 no"})
sink("filter", "192.0.2.21:10025", hostname="filter.example.com")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtp_connection_cache_on_demand = no
    smtp_destination_recipient_limit = 3
    smtp_destination_concurrency_limit = 1
    header_checks = regexp:/etc/postfix/hc
    local_destination_concurrency_limit = 1
""")
file("/etc/postfix/hc", "/^X-Filter: (.*)/ FILTER smtp:[192.0.2.21]:10025\n/^X-Redirect: (.*)/ REDIRECT dave@example.com\n")
start()
mail("alice@example.com", " ".join(f"u{n:02}@example.org" for n in range(8)) + " bad@example.org bob@example.com carol@example.com bob+x@example.com", "Subject: many\n\n")
wait_empty()
mail("alice@example.com", "b@example.org a@example.net bob@example.com", "Subject: filter\nX-Filter: yes\n\n")
wait_empty()
mail("alice@example.com", "b@example.org a@example.net bob@example.com", "Subject: redirect\nX-Redirect: yes\n\n")
wait_empty()
sinks(sort=True)
mbox("dave")
mbox("bob", sort=True)
log()
