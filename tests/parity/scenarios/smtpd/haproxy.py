"""smtpd_upstream_proxy_protocol behind the real haproxy, with both versions of its protocol, IPv4 and IPv6, and with its health checks"""
main("smtpd_upstream_proxy_protocol = haproxy\nmynetworks = 127.0.0.0/8")
file("/etc/haproxy.cfg", """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout check 20s
listen one
    bind 192.0.2.1:2501
    bind [2001:db8::1]:2501
    server smtp 127.0.0.1:25 send-proxy
listen two
    bind 192.0.2.1:2502
    bind [2001:db8::1]:2502
    server smtp 127.0.0.1:25 send-proxy-v2
""")
# Health checks: PROXY UNKNOWN, and LOCAL.
file("/etc/haproxy-checks.cfg", """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout check 20s
listen three
    bind 192.0.2.1:2503
    option smtpchk EHLO one.check.example
    server smtp 127.0.0.1:2525 send-proxy check check-send-proxy inter 300ms fall 1000
listen four
    bind 192.0.2.1:2504
    option smtpchk EHLO two.check.example
    server smtp 127.0.0.1:2526 send-proxy-v2 check check-send-proxy inter 300ms fall 1000
""")
master("""
    2525 inet n - n - - smtpd -o syslog_name=postfix/one
    2526 inet n - n - - smtpd -o syslog_name=postfix/two
""")
start()
daemon("haproxy", "haproxy -db -f /etc/haproxy.cfg", "192.0.2.1:2502")
for port in (2501, 2502):
    smtp("EHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<other@example.org>\nRCPT TO:<alice@example.com>\nDATA\nSubject: %d\n\n.\nQUIT" % port, port=port)
    smtp("HELO x\nMAIL FROM:<s@example.org>\nRCPT TO:<other@example.org>\nQUIT", src="2001:db8::10", dst="2001:db8::1", port=port)
wait_empty()
daemon("checks", "haproxy -db -f /etc/haproxy-checks.cfg", "192.0.2.1:2504")
for name in ("one", "two"):
    wait_log(f"{name}/smtpd: disconnect from .*ehlo=1")
# Checks pass: mail goes through.
for port in (2503, 2504):
    smtp("EHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT", port=port)
sh("sed -n 's/.*\\(one\\|two\\)\\/smtpd\\[[0-9]*\\]: \\(connect\\|disconnect\\|warning\\)/\\1: \\2/p' /var/log/maillog | sort -u")
end("checks")
mbox("alice")
log(include="smtpd.*client.example.org")
