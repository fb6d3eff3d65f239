"""counts and rates of clients, exceptions, and anvil's statistics in the log (S-LIMIT-05, S-DAEMON-20)"""
main("""
    anvil_rate_time_unit = 10s
    anvil_status_update_time = 8s
    smtpd_client_connection_count_limit = 3
    smtpd_client_connection_rate_limit = 7
    smtpd_client_message_rate_limit = 3
    smtpd_client_recipient_rate_limit = 5
    smtpd_client_event_limit_exceptions = 192.0.2.13, .example.com, 198.51.100.0/24
    smtpd_error_sleep_time = 0
    mynetworks = 127.0.0.0/8
    max_idle = 5s
    notify_classes =
""")
start()
send = "MAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nRSET"
a, b, c = client(), client(), client(src="192.0.2.11")
a.do("HELO x\n" + "MAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nRCPT TO:<bob@example.com>\nRSET\n" * 3)
a.do(send)
b.do("HELO x\n" + send)
c.do("HELO x\n" + send)
d = client()
e = client()
for one in (a, b, c, d, e):
    one.close()
for n in range(3):
    client().close()
for src in ("192.0.2.13", "198.51.100.10"):
    several = [client(src=src) for n in range(5)]
    several[0].do("HELO x\n" + send * 1 + "\n" + "\n".join([send] * 4))
    for one in several:
        one.close()
# The rates begin anew; nothing is counted for clients that are exempt.
sleep(10.5)
client().close()
wait_log("statistics: max cache size", 2)
sh("grep -ao 'anvil.*statistics: .*' /var/log/maillog | sed 's/ at .*//; s/\\[[0-9]*\\]//'")
