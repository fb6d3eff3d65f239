"""helpful_warnings = yes: nothing is said of domains in two lists, nor of a destination that fills the active queue"""
sink("slow", "192.0.2.20:25", {"EHLO": "delay 3 250 x"})
main("""
    virtual_alias_domains = example.com both.test
    relay_domains = both.test example.com example.org
    virtual_mailbox_domains = both.test
    qmgr_message_active_limit = 20
    qmgr_clog_warn_time = 1s
    relay_destination_concurrency_limit = 1
    relay_initial_destination_concurrency = 1
    smtp_connection_cache_on_demand = no
    defer_transports = relay
    helpful_warnings = no
""")
start()
quiet("sendmail -f '' alice@example.com bob@both.test", "Subject: x\n\nx\n")
for n in range(25):
    quiet(f"sendmail -f '' u{n}@example.org", "Subject: x\n\nx\n")
settle()
main("defer_transports =")
quiet("postfix reload; sleep 1; postqueue -f")
sleep(4)
sh("grep -cE 'do not list|is using up' /var/log/maillog")
nolog()
