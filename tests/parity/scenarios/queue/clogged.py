"""qmgr_clog_warn_time: one destination has much of the active queue, said once in that time (S-QUEUE-22)"""
sink("slow", "192.0.2.20:25", {"EHLO": "delay 4 250 x"})
sink("fast", "192.0.2.21:25", hostname="mx.example.net")
main("""
    relay_domains = example.org example.net
    qmgr_message_active_limit = 20
    qmgr_clog_warn_time = 60s
    relay_destination_concurrency_limit = 1
    relay_initial_destination_concurrency = 1
    smtp_connection_cache_on_demand = no
    defer_transports = relay
""")
start()
for n in range(25):
    quiet(f"sendmail -f s@example.org u{n}@example.org", "Subject: x\n\nx\n")
quiet("sendmail -f s@example.org u@example.net", "Subject: x\n\nx\n")
settle()
main("defer_transports =")
quiet("postfix reload; sleep 1; postqueue -f")
sleep(3)
sh("grep -o 'warning: .*is using up .* active queue entries' /var/log/maillog | sed 's/ [0-9]* of [0-9]*/ N of N/'")
sleep(5)
sh("grep -c 'is using up' /var/log/maillog")
nolog()
