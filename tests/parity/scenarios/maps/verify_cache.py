"""address_verify_map through proxywrite, and a proxywrite that does not want it (S-TABLE-09)"""
MASK = "sed 's/[0-9][0-9]*:[0-9][0-9]*:/T:T:/'"
main("""
    relay_domains = example.org
    smtpd_recipient_restrictions = reject_unverified_recipient
    address_verify_map = proxy:btree:$data_directory/verify_cache
    address_verify_poll_delay = 1
    address_verify_poll_count = 5
    address_verify_cache_cleanup_interval = 0
""")
sink("mx1", "192.0.2.20:25", {"RCPT TO:<bad@": "550 5.1.1 no such user here", "RCPT TO:<later@": "450 4.2.0 later"})
start()


def ask(*names):
    smtp("HELO client.example.org\nMAIL FROM:<s@example.com>\n" + "".join(f"RCPT TO:<{n}@example.org>\n" for n in names) + "QUIT")
    settle()


ask("good", "bad", "later", "Good")
stat("/var/lib/postfix/verify_cache*")
sinks(sort=True)
stop()
sh(f"postmap -s btree:/var/lib/postfix/verify_cache | {MASK}", sort=True)
main("proxy_write_maps = \naddress_verify_map = proxy:btree:$data_directory/verify_cache\naddress_verify_poll_count = 1")
start()
# Postfix does not answer then.
file("/tmp/ask", """
    import socket
    s = socket.create_connection(("192.0.2.1", 25))
    s.settimeout(4)
    for line in (b"HELO c", b"MAIL FROM:<>", b"RCPT TO:<good@example.org>", b"QUIT"):
        s.recv(1000)
        s.sendall(line + bytes((13, 10)))
""")
quiet("python3 /tmp/ask")
log(include="proxymap|/verify: ")
