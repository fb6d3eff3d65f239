"""use_srv_lookup: next hops by SRV records, in order, with and without a way back to MX records (postconf(5), 3.8 and later: S-DNS-01)"""
dns("""
    _submission._tcp.two.example SRV 20 0 2020 second.two.example
    _submission._tcp.two.example SRV 10 0 2010 first.two.example
    first.two.example A 192.0.2.29
    second.two.example A 192.0.2.22
    _smtp._tcp.alt.example SRV 0 0 2525 alt.host.example
    alt.host.example A 192.0.2.23
    _submission._tcp.none.example SRV 0 0 0 .
    _submission._tcp.fail.example SRV SERVFAIL
    fail.example MX 10 mx.example.org
    onlymx.example MX 10 mx.example.org
""")
sink("second", "192.0.2.22:2020", hostname="second.two.example")
sink("alt", "192.0.2.23:2525", hostname="alt.host.example")
sink("mx25", "192.0.2.20:25")
sink("mx587", "192.0.2.20:587")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = texthash:/etc/postfix/transport
    use_srv_lookup = submission, smtp
""")
for name, options in {"strict": "", "back": "allow_srv_lookup_fallback=yes", "lax": "ignore_srv_lookup_error=yes", "off": "use_srv_lookup="}.items():
    master(f"{name} unix - - n - - smtp\n  -o syslog_name=postfix/{name}\n" + (f"  -o {options}\n" if options else ""))
CASES = {
    "strict:two.example:submission": r"relay=second\.two\.example\[192\.0\.2\.22\]:2020,.*status=sent",
    "strict:alt.example": r"relay=alt\.host\.example\[192\.0\.2\.23\]:2525,.*status=sent",
    "strict:[mx.example.org]:submission": r"relay=mx\.example\.org\[192\.0\.2\.20\]:587,.*status=sent",
    "strict:none.example:submission": r"dsn=5\.\d\.\d, status=bounced",
    "strict:fail.example:submission": r"dsn=4\.4\.3, status=deferred",
    "strict:onlymx.example:submission": r"status=bounced .*_submission\._tcp\.onlymx\.example type=SRV",
    "back:onlymx.example:submission": r"relay=mx\.example\.org\[192\.0\.2\.20\]:587,.*status=sent",
    "back:fail.example:submission": r"dsn=4\.4\.3, status=deferred",
    "lax:fail.example:submission": r"relay=mx\.example\.org\[192\.0\.2\.20\]:587,.*status=sent",
    "lax:onlymx.example:submission": r"status=bounced",
    "off:onlymx.example": r"relay=mx\.example\.org\[192\.0\.2\.20\]:25,.*status=sent",
}
file("/etc/postfix/transport", "".join(f"c{n}.test {way}\n" for n, way in enumerate(CASES)))
start()
for n, way in enumerate(CASES):
    mail("", f"x@c{n}.test", f"Subject: {way}\n\n")
settle()
for n, (way, want) in enumerate(CASES.items()):
    found = grep(rf"to=<x@c{n}\.test>.*{want}")
    check(len(found) == 1, f"{way}: {grep(f'to=<x@c{n}.test>')}")
nolog()
