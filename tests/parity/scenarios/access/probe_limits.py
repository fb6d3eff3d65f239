"""address_verify_pending_request_limit, address_verify_service_name, address_verify_sender_dependent_relayhost_maps; a probe in the queue listing (S-UBE-46)"""
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtpd_recipient_restrictions = reject_unverified_recipient
    address_verify_poll_count = 1
    address_verify_cache_cleanup_interval = 0
    address_verify_pending_request_limit = 1
    address_verify_service_name = verify2
    address_verify_map = btree:$data_directory/not_this
    sender_dependent_relayhost_maps = static:[192.0.2.20]:2501
    address_verify_sender_dependent_relayhost_maps = static:[192.0.2.20]:2502
    transport_maps = inline:{ {slow.example=smtp:[192.0.2.22]} {quick.example=discard:} }
    smtpd_error_sleep_time = 0
    smtp_helo_timeout = 9s
    smtp_connection_cache_on_demand = no
""")
master("verify2 unix - - n - 1 verify -o address_verify_map=btree:/var/lib/postfix/this\n")
sink("mail", "192.0.2.20:2501")
sink("probes", "192.0.2.20:2502")
raw_server("silent", "192.0.2.22:25", hold=60)
start()
smtp("EHLO client.example.org\nMAIL FROM:<s@example.com>\nRCPT TO:<x@far.example>\nQUIT")
settle()
smtp("EHLO client.example.org\nMAIL FROM:<s@example.com>\nRCPT TO:<x@far.example>\nDATA\nSubject: x\n\n.\nQUIT")
settle()
# One probe is on its way: the next ones fail at once.
smtp("EHLO client.example.org\nMAIL FROM:<s@example.com>\nRCPT TO:<a@slow.example>\nQUIT")
wait_log("a@slow|from=<double-bounce@example.com>.*active", count=2)
smtp("EHLO client.example.org\nMAIL FROM:<s@example.com>\nRCPT TO:<b@quick.example>\nQUIT")
wait_log("b@quick.example>, .*status")
sh("mailq | sed 's/^[0-9A-F*]*  *[0-9]* .* double/ID N DATE double/'")
settle()
smtp("EHLO client.example.org\nMAIL FROM:<s@example.com>\nRCPT TO:<a@slow.example>\nRCPT TO:<b@quick.example>\nRCPT TO:<c@quick.example>\nQUIT")
settle()
smtp("EHLO client.example.org\nMAIL FROM:<s@example.com>\nRCPT TO:<c@quick.example>\nQUIT")
sinks()
sh("mailq; ls /var/spool/postfix/deferred /var/spool/postfix/defer")
stop()
sh("ls /var/lib/postfix")
log(exclude="disconnect")
