"""smtpd_upstream_proxy_protocol behind the real haproxy, with both versions of its protocol, IPv4 and IPv6"""
main("smtpd_upstream_proxy_protocol = haproxy\nmynetworks = 127.0.0.0/8")
file("/etc/haproxy.cfg", """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen one
    bind 192.0.2.1:2501
    bind [2001:db8::1]:2501
    server smtp 127.0.0.1:25 send-proxy
listen two
    bind 192.0.2.1:2502
    bind [2001:db8::1]:2502
    server smtp 127.0.0.1:25 send-proxy-v2
""")
start()
daemon("haproxy", "haproxy -db -f /etc/haproxy.cfg", "192.0.2.1:2502")
for port in (2501, 2502):
    smtp("EHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<other@example.org>\nRCPT TO:<alice@example.com>\nDATA\nSubject: %d\n\n.\nQUIT" % port, port=port)
    smtp("HELO x\nMAIL FROM:<s@example.org>\nRCPT TO:<other@example.org>\nQUIT", src="2001:db8::10", dst="2001:db8::1", port=port)
wait_empty()
mbox("alice")
log(include="smtpd.*client.example.org")
