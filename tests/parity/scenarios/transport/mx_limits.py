"""how many servers are tried, in which order, from which address; best_mx_transport and what happens without addresses"""
# S-DNS-01 S-DNS-02 S-DNS-06 S-DNS-13
dns("""
    many.example MX 10 a.many.example
    many.example MX 20 b.many.example
    many.example MX 30 c.many.example
    many.example MX 40 d.many.example
    a.many.example A 192.0.2.21
    b.many.example A 192.0.2.22
    c.many.example A 192.0.2.23
    d.many.example A 192.0.2.24
    soft.example MX 10 soft1.soft.example
    soft.example MX 20 soft2.soft.example
    soft.example MX 30 soft3.soft.example
    soft1.soft.example A 192.0.2.25
    soft2.soft.example A 192.0.2.26
    soft3.soft.example A 192.0.2.27
    two.example MX 10 two6.two.example
    two.example MX 10 two4.two.example
    two6.two.example AAAA 2001:db8::20
    two4.two.example A 192.0.2.20
    six.example MX 10 six1.six.example
    six.example MX 10 six2.six.example
    six.example MX 20 six3.six.example
    six1.six.example AAAA 2001:db8::21
    six2.six.example AAAA 2001:db8::22
    six3.six.example A 192.0.2.20
    half.example MX 10 nosuch.half.example
    half.example MX 20 nosuch2.half.example
    servfailmx.example MX SERVFAIL
    servfailmx.example A 192.0.2.20
    mxa.example MX 10 broken.mxa.example
    broken.mxa.example SERVFAIL
    self.example MX 10 mail.example.com
    alias.example MX 10 aliased.example
    aliased.example CNAME mx.example.org
    dup.example MX 10 mx.example.org
    dup.example MX 20 mx.example.org
    refuse.example MX 10 refuse.mx.example
    refuse.example MX 20 mx.example.org
    refuse.mx.example A 192.0.2.23
    dead.example SERVFAIL
    sub.example.com A 192.0.2.20
""")
sink("ok", "192.0.2.20:25")
sink("ok6", "[2001:db8::20]:25")
sink("d", "192.0.2.24:25", hostname="d.many.example")
for n in (25, 26, 27):
    sink(f"soft{n}", f"192.0.2.{n}:25", {"MAIL": "451 4.3.0 not now"})
hosts("192.0.2.20 onlyhosts.example")
CASES = [
    ("all", "", "many.example soft.example"),
    ("lim3", "smtp_mx_address_limit=3", "many.example"),
    ("lim0", "smtp_mx_address_limit=0", "many.example"),
    ("ses1", "smtp_mx_session_limit=1", "soft.example"),
    ("ses3", "smtp_mx_session_limit=3", "soft.example"),
    ("ses0", "smtp_mx_session_limit=0", "soft.example"),
    ("p4", "smtp_address_preference=ipv4", "two.example"),
    ("p6", "smtp_address_preference=ipv6", "two.example"),
    ("bal", "smtp_mx_address_limit=2 smtp_address_preference=ipv6", "six.example"),
    ("nobal", "smtp_mx_address_limit=2 smtp_balance_inet_protocols=no", "six.example"),
    ("v4", "inet_protocols=ipv4", "two.example six.example"),
    ("v6", "inet_protocols=ipv6", "two.example six.example [192.0.2.20]"),
    ("bind", "smtp_bind_address=127.0.0.1 smtp_bind_address6=::1 smtp_bind_address_enforce=no smtp_connect_timeout=1", "[192.0.2.24]"),
    ("bindbad", "smtp_bind_address=203.0.113.99", "[192.0.2.24]"),
    ("bindforce", "smtp_bind_address=203.0.113.99 smtp_bind_address_enforce=yes", "[192.0.2.24] two.example"),
    ("half", "", "half.example mxa.example"),
    ("defmx", "smtp_defer_if_no_mx_address_found=yes", "half.example"),
    ("ignmx", "ignore_mx_lookup_error=yes", "servfailmx.example"),
    ("notign", "", "servfailmx.example"),
    ("best", "best_mx_transport=discard", "self.example"),
    ("best2", "best_mx_transport=error:5.1.0-here", "self.example"),
    ("nocname", "", "alias.example"),
    ("dup", "", "dup.example"),
    ("native", "smtp_host_lookup=native", "[onlyhosts.example] onlyhosts.example [mx.example.org] [no.such.example]"),
    ("both", "smtp_host_lookup=dns,native", "[onlyhosts.example] [no.such.example]"),
    ("dnsonly", "smtp_host_lookup=dns", "[onlyhosts.example]"),
    ("off", "smtp_dns_support_level=disabled", "onlyhosts.example many.example no.such.example servfailmx.example dead.example"),
    ("search", "smtp_dns_resolver_options=res_defnames,res_dnsrch", "[sub]"),
    ("nosearch", "", "[sub]"),
    ("fallback", "smtp_fallback_relay=[192.0.2.29],[192.0.2.24]", "many.example half.example soft.example servfailmx.example self.example refuse.example [192.0.2.23]"),
    ("fbmx", "smtp_fallback_relay=many.example", "[192.0.2.23]"),
    ("filter", "smtp_dns_reply_filter=pcre:/etc/postfix/answers", "many.example two.example"),
    ("filterall", "smtp_dns_reply_filter=static:ignore", "many.example"),
    ("filterbad", "smtp_dns_reply_filter=static:magic", "many.example"),
]
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    relay_domains =
    transport_maps = texthash:/etc/postfix/transport
    smtp_connection_cache_on_demand = no
    smtp_randomize_addresses = no
""")
file("/etc/postfix/answers", r"""
/^a\.many\.example\. .* A / IGNORE
/^b\.many\.example\. .* 192\.0\.2\.22$/ ignore
/ AAAA / IGNORE
/^many\.example\. [0-9]+ IN MX 30 / IGNORE
""")
rows = []
todo = []
for name, options, nexthops in CASES:
    master(f"{name} unix - - n - - smtp\n" + "".join(f"  -o {o}\n" for o in options.split()) + f"  -o syslog_name=postfix/{name}\n")
    for n, nexthop in enumerate(nexthops.split()):
        rows.append(f"{name}{n}.test {name}:{nexthop}")
        todo.append((name, n, nexthop))
file("/etc/postfix/transport", "\n".join(rows))
start()
for name, n, nexthop in todo:
    mail("", f"x@{name}{n}.test", f"Subject: {name} {nexthop}\n\n")
settle()
sinks("ok", "ok6", "d", sort=True)
