"""sender_dependent_relayhost_maps and sender_dependent_default_transport_maps in all key forms; the twins for address verification (S-CLASS-07)"""
for n in range(1, 10):
    sink(f"s{n}", f"192.0.2.20:{2500 + n}", hostname="mx.example.org")
postmap("hash:/etc/postfix/relayhosts", """
    a@example.org        [192.0.2.20]:2501
    @dom.example         [192.0.2.20]:2502
    dom2.example         [192.0.2.20]:2502
    bare                 [192.0.2.20]:2503
    no@example.org       DUNNO
    null@example.org     mx.example.org:2504
    plus@example.org     [192.0.2.20]:2505
""")
postmap("hash:/etc/postfix/transports", """
    t@example.org        smtp:[192.0.2.20]:2506
    @tdom.example        smtp:
    e@example.org        error:5.7.1 not from you
    dunno@example.org    dunno
    bad@example.org      nosuch:x
    plus@example.org     smtp
""")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    relayhost = [192.0.2.20]:2509
    relay_domains = r.example
    address_verify_poll_count = 2
    address_verify_poll_delay = 1s
    sender_dependent_relayhost_maps = hash:/etc/postfix/relayhosts
    sender_dependent_default_transport_maps = hash:/etc/postfix/transports
    smtp_connection_cache_on_demand = no
    transport_maps = inline:{ {fixed.example=smtp:[192.0.2.20]:2508}, {open.example=smtp:} }
""")
start()
SENDERS = ("a@example.org", "A@Example.ORG", "a+ext@example.org", "x@dom.example", "x@sub.dom.example", "x@dom2.example", "bare@example.com", "no@example.org",
           "null@example.org", "plus+x@example.org", "t@example.org", "t+x@example.org", "x@tdom.example", "e@example.org", "dunno@example.org", "bad@example.org", "")


def records(label):
    for name in sorted(host.servers):
        if hasattr(host.servers[name], "records"):
            got = sorted(x for r in host.servers[name].records for x in r if x.startswith(("RCPT", "MAIL")))
            if got:
                host.out(f"{label} {name}: " + " ".join(re_.sub(r" SIZE=\\d+", "", x) for x in got))
            host.servers[name].records.clear()


import re as re_
for s in SENDERS:
    for r in ("x@far.example", "x@r.example", "x@fixed.example", "x@open.example"):
        mail(s, r, "Subject: x\n\n")
    settle()
    records(s or "<>")
sh("postsuper -d ALL 2>/dev/null")
for setting in ("address_verify_relayhost = [192.0.2.20]:2501", "address_verify_default_transport = smtp:[192.0.2.20]:2502", "address_verify_local_transport = error:5.1.1 nobody",
                "address_verify_virtual_transport = smtp:[192.0.2.20]:2503", "address_verify_relay_transport = smtp:[192.0.2.20]:2504",
                "address_verify_transport_maps = inline:{{probe.example=smtp:[192.0.2.20]:2505}}", "address_verify_sender_dependent_relayhost_maps = static:[192.0.2.20]:2506",
                "address_verify_sender_dependent_default_transport_maps = static:smtp:[192.0.2.20]:2507", "virtual_mailbox_domains = m.example",
                "smtpd_recipient_restrictions = reject_unverified_recipient"):
    quiet(f"postconf -e '{setting}'")
quiet("postfix reload; sleep 0.7")


def probes(n):
    smtp("EHLO a\nMAIL FROM:<a@example.org>\n" + "".join(f"RCPT TO:<p{n}@{d}>\n" for d in ("far.example", "r.example", "fixed.example", "probe.example", "example.com", "m.example")) + "QUIT\n")
    settle()
    records(f"probe {n}")


probes(1)
for n, setting in enumerate(("address_verify_sender_dependent_default_transport_maps =", "address_verify_sender_dependent_relayhost_maps =", "address_verify_default_transport = smtp",
                "address_verify_relayhost ="), 2):
    quiet(f"postconf -e '{setting}'; postfix reload; sleep 0.7")
    probes(n)
nolog()
