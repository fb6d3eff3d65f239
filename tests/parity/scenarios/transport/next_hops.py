"""next hops: domain, host:port, [host], [host]:port, address, several of them, service names; with and without MX (S-CLASS-06)"""
dns("""
    good.test MX 10 mx.good.test
    good.test A 192.0.2.23
    mx.good.test A 192.0.2.20
    mx.good.test MX 10 other.good.test
    other.good.test A 192.0.2.21
    plain.test A 192.0.2.22
    six.test AAAA 2001:db8::20
""")
for n in (20, 21, 22, 23):
    sink(f"h{n}", f"192.0.2.{n}:25", hostname=f"h{n}.test")
    sink(f"p{n}", f"192.0.2.{n}:2525", hostname=f"p{n}.test")
sink("six", "[2001:db8::20]:25", hostname="six.test")
sink("here", "127.0.0.1:2525", hostname="here.test")
HOPS = ("good.test", "[good.test]", "mx.good.test", "[mx.good.test]", "good.test:2525", "[good.test]:2525", "plain.test", "192.0.2.22", "[192.0.2.22]", "192.0.2.22:2525",
        "[192.0.2.22]:2525", "[192.0.2.22]:smtp", "[192.0.2.22]:25", "localhost:2525", "[2001:db8::20]", "[IPv6:2001:db8::20]", "[ipv6:2001:db8::20]:25", "six.test",
        "nosuch.test, [192.0.2.22]", "good.test, plain.test", "good.test:", "GOOD.Test", "[192.0.2.22]:", "192.0.2.22:25", "[good.test]:smtp")
main("mynetworks = 127.0.0.0/8 192.0.2.10\nsmtp_connection_cache_on_demand = no\nsmtp_connect_timeout = 3s\nminimal_backoff_time = 1h\nqueue_run_delay = 1h")
file("/etc/postfix/hops", "".join(f"d{n}.example smtp:{hop}\n" for n, hop in enumerate(HOPS)))
main("transport_maps = texthash:/etc/postfix/hops")
start()
for n, hop in enumerate(HOPS):
    mail("s@example.net", f"x@d{n}.example", f"Subject: {hop}\n\n")
    settle()
for hop in ("good.test", "[mx.good.test]", "192.0.2.22", "[192.0.2.22]:2525"):
    quiet(f"postconf -e 'transport_maps =' 'relayhost = {hop}'; postfix reload; sleep 0.7")
    mail("s@example.net", "x@far.example", f"Subject: relayhost {hop}\n\n")
    settle()
log(include="status=|warning|fatal|error")
