"""inet_interfaces and inet_protocols: where the server listens, and what is wrong"""
# S-ID-07 S-ID-08 S-ID-09
LISTEN = "postfix start && ss -Hltn | awk '{print $4}' | grep ':25$' | sort; postfix stop"
for text in ("inet_interfaces = all", "inet_interfaces = localhost", "inet_interfaces = 192.0.2.1", "inet_interfaces = [::1], 192.0.2.1", "inet_interfaces = loopback-only",
             "inet_interfaces = $myhostname, localhost\ninet_protocols = ipv4", "inet_interfaces = all\ninet_protocols = ipv4", "inet_interfaces = all\ninet_protocols = ipv6"):
    main(text)
    sh(LISTEN)
for text in ("inet_interfaces = 127.0.0.5\ninet_protocols = all", "inet_interfaces = no.such.host.example", "inet_interfaces = all\ninet_protocols = foo", "inet_interfaces =\ninet_protocols = all"):
    main(text)
    sh("postfix start; postfix status")
main("inet_interfaces = all\nmynetworks = 127.0.0.0/8 [::1]/128\nsmtpd_client_restrictions = permit_mynetworks, reject")
sink("six", "[2001:db8::20]:25", hostname="mx6.example")
dns("six.example MX 10 mx6.example\nmx6.example AAAA 2001:db8::20")
start()
smtp("EHLO x\nMAIL FROM:<>\nRCPT TO:<a@six.example>\nRCPT TO:<b@[IPv6:2001:db8::20]>\nDATA\nSubject: six\n\n.\nQUIT\n", src="::1", dst="::1")
settle()
smtp("EHLO x\nMAIL FROM:<>\nRCPT TO:<alice@example.com>\nQUIT\n", src="2001:db8::10", dst="2001:db8::1")
sinks()
