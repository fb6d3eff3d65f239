"""domains in two classes at once: what is warned of, and which class wins (S-CLASS-01, S-CLASS-02)"""
sink("mx1", "192.0.2.20:25", hostname="mx.example.org")
main("""
    mydestination = $myhostname, localhost, a.example, b.example, c.example
    virtual_alias_domains = a.example, d.example, e.example
    virtual_alias_maps = inline:{ {x@a.example=bob@mail.example.com}, {x@d.example=bob@mail.example.com}, {x@e.example=bob@mail.example.com} }
    virtual_mailbox_domains = b.example, d.example, f.example, g.example
    virtual_mailbox_maps = inline:{ {x@b.example=b}, {x@d.example=d}, {x@f.example=f}, {x@g.example=g} }
    virtual_transport = discard
    relay_domains = c.example, e.example, f.example, .g.example, example.com
    relay_recipient_maps = inline:{ {x@c.example=1}, {x@e.example=1}, {x@f.example=1}, {x@sub.g.example=1} }
    relay_transport = smtp:[192.0.2.20]
    parent_domain_matches_subdomains = relay_domains
""")
start()
for d in ("a.example", "b.example", "c.example", "d.example", "e.example", "f.example", "g.example", "sub.g.example", "sub.c.example", "example.com", "mail.example.com", "h.example"):
    mail("s@example.org", f"x@{d}", f"Subject: {d}\n\n", src="192.0.2.13")
    mail("s@example.org", f"bob@{d}", f"Subject: {d}\n\n", src="192.0.2.13")
    settle()
sh("for d in a b c d e f; do sendmail -bv bob@$d.example; done")
settle()
