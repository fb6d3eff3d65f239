"""address_verify_map in a folder of others, in none, damaged, unreadable, of a kind that cannot be written: mail goes on (S-UBE-46)"""
main("""
    smtpd_relay_restrictions = permit_mynetworks, reject
    mynetworks = 127.0.0.0/8 192.0.2.0/24
    smtpd_recipient_restrictions = reject_unverified_recipient
    address_verify_poll_count = 1
    address_verify_cache_cleanup_interval = 0
    smtpd_error_sleep_time = 0
    mydestination = $myhostname, $mydomain
""")
file("/tmp/ask", """
    import socket
    s = socket.create_connection(("192.0.2.1", 25))
    s.settimeout(3)
    try:
        for line in (b"HELO c", b"MAIL FROM:<>", b"RCPT TO:<alice@example.com>", b"QUIT", b""):
            print(s.recv(1000).decode().strip())
            s.sendall(line + bytes((13, 10)))
    except Exception as e:
        print(type(e).__name__)
""")
for n, (map, prepare) in enumerate((("btree:/etc/postfix/vcache", "true"), ("btree:/var/lib/postfix/sub/vcache", "true"), ("btree:/var/lib/postfix/garbage", "echo garbage > /var/lib/postfix/garbage.db; chown postfix /var/lib/postfix/garbage.db"),
                   ("btree:/var/lib/postfix/roots", "echo a b > /tmp/x; postmap btree:/tmp/x; cp /tmp/x.db /var/lib/postfix/roots.db; chown root /var/lib/postfix/roots.db; chmod 600 /var/lib/postfix/roots.db"),
                   ("btree:/var/lib/postfix/empty", ": > /var/lib/postfix/empty.db; chown postfix /var/lib/postfix/empty.db"),
                   ("texthash:/var/lib/postfix/text", "true"), ("hash:/var/lib/postfix/h", "true"), ("internal:x", "true"), ("nosuch:x", "true"), ("x", "true"))):
    main(f"address_verify_map = {map}")
    quiet("mkdir -p /var/lib/postfix; chown postfix /var/lib/postfix")
    sh(prepare)
    start()
    sh("python3 /tmp/ask")
    settle()
    stop()
    sh("ls /etc/postfix/vcache* /var/lib/postfix")
log(include="verify: warning: re")
