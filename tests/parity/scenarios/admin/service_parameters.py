"""default_filter_nexthop; process_id_directory, which nothing may change"""
sink("mx1", "192.0.2.20:25")
sink("filter", "192.0.2.21:25", hostname="mx.example.net")
main("""
    content_filter = scan:
    smtp_connection_cache_on_demand = no
    process_id_directory = elsewhere
    relay_domains = example.org
""")
master("""
    scan   unix - - n - - smtp
""")
start()
# S-FILTER-02: without a next hop of its own, and without a default, a filter is given mail for the recipient's domain.
quiet("sendmail -f '' one@example.org", "Subject: x\n\nx\n")
wait_empty()
quiet("postconf -e 'default_filter_nexthop = [192.0.2.21]'; postfix reload")
sleep(1)
quiet("sendmail -f '' two@example.org three@example.com", "Subject: x\n\nx\n")
wait_empty()
sh("ls /var/spool/postfix/elsewhere; ls /var/spool/postfix/pid/master.pid; postfix status")
log(exclude="postfix-script|master: reload")
