"""the transports of the address classes, fallback and mailbox transports, by table and for all (S-CLASS-01, S-CLASS-03, S-CLASS-04, S-MAP-06)"""
for n in range(1, 10):
    sink(f"s{n}", f"192.0.2.20:{2500 + n}")
postmap("hash:/etc/postfix/fallback", """
    gone1        smtp:[192.0.2.20]:2506
    gone2        error:5.1.1 no gone2 here
    gone4        discard
    gone5        smtp:[192.0.2.20]:2506
    alice        smtp:[192.0.2.20]:2509
""")
postmap("hash:/etc/postfix/mailbox", """
    alice        smtp:[192.0.2.20]:2507
    bob          error:5.2.1 bob is closed
    nobodyhere   smtp:[192.0.2.20]:2507
""")
aliases("ali: alice\nfb: gone1\n")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    local_transport = smtp:[192.0.2.20]:2501
    virtual_transport = smtp:[192.0.2.20]:2502
    relay_transport = smtp:[192.0.2.20]:2503
    default_transport = smtp:[192.0.2.20]:2504
    virtual_mailbox_domains = m.example
    virtual_alias_domains = v.example
    virtual_alias_maps = inline:{ {a@v.example=a@m.example} }
    relay_domains = r.example
    local_recipient_maps =
    smtp_connection_cache_on_demand = no
""")
start()
ALL = "alice@example.com x@m.example a@v.example nosuch@v.example x@r.example x@sub.r.example x@other.example alice@[192.0.2.1] x@[192.0.2.20]".split()


def send(label, rcpts):
    sh("echo '" + label + "'")
    for r in rcpts:
        mail("s@example.net", r, f"Subject: {r}\n\n")
        settle()
    for name in list(host.servers):
        got = sorted(x for r in host.servers[name].records for x in r if x.startswith("RCPT"))
        if got:
            host.out(name + ": " + " ".join(got))
        if hasattr(host.servers[name], "records"):
            host.servers[name].records.clear()


def settings(*lines):
    for line in lines:
        quiet(f"postconf -e '{line}'")
    quiet("postfix reload; sleep 0.7")


send("each class", ALL)
settings("relayhost = [192.0.2.20]:2505", "default_transport = smtp", "relay_transport = smtp")
send("relayhost", ALL)
settings("transport_maps = inline:{ {alice@example.com=smtp:[192.0.2.20]:2508}, {m.example=:[192.0.2.20]:2508}, {.r.example=relay:}, {other.example=smtp:} }")
send("transport_maps", ALL + ["x@sub.other.example"])
settings("transport_maps = static:{smtp:[192.0.2.20]:2508}")
send("static", ALL)
settings("transport_maps = inline:{ {*=smtp:[192.0.2.20]:2508}, {example.com=:} }")
send("star", ALL)
settings("transport_maps =", "relayhost =", "default_transport = error:5.7.1 nothing leaves this host", "local_transport = error:local delivery is off", "virtual_transport = retry:4.3.2 later")
send("error transports", ALL)
settings("local_transport = local", "default_transport = error:no", "fallback_transport_maps = hash:/etc/postfix/fallback", "fallback_transport = smtp:[192.0.2.20]:2505")
send("fallback", [u + "@example.com" for u in ("gone1", "gone2", "gone4", "gone5+ext", "gone9", "alice", "fb")])
settings("mailbox_transport_maps = hash:/etc/postfix/mailbox", "mailbox_transport = smtp:[192.0.2.20]:2504", "fallback_transport =")
send("mailbox", [u + "@example.com" for u in ("alice", "bob", "nobodyhere", "carol", "ali", "alice+ext", "gone9")])
settings("mailbox_transport =", "mailbox_transport_maps =", "fallback_transport_maps = fail:x")
send("failing", [u + "@example.com" for u in ("alice", "gone9")])
mailq()
log(include="status=|warning|fatal")
