"""the forms of canonical, virtual and bcc tables from end to end, on the command line and over SMTP (S-MAP-03, S-MAP-07, S-MAP-11, S-REWRITE-09, S-REWRITE-13, S-REWRITE-14, S-TRAP-05, S-TRAP-06)"""
sink("mx1", "192.0.2.20:25", hostname="mx.example.org")
postmap("hash:/etc/postfix/canonical", """
    alice@example.com     Alice.Example@example.com
    @old.test             @new.test
""")
postmap("hash:/etc/postfix/virtual", """
    Alice.Example@example.com  alice
    ad.test               anything
    two@ad.test           bob, carol@example.com
    one@ad.test           bob
    ca.test               anything
    @ca.test              bob
    dd.test               anything
    @dd.test              @example.com
    team                  bob carol
""")
postmap("hash:/etc/postfix/bcc", """
    s1@example.net        carol@example.com
    @full.example         carol+domain@example.com
    s2@example.net        a1@example.org, a2@example.org
    alice.example         carol+local@example.com
""")
main("""
    canonical_maps = hash:/etc/postfix/canonical
    virtual_alias_maps = hash:/etc/postfix/virtual
    sender_bcc_maps = hash:/etc/postfix/bcc
    transport_maps = inline:{ {example.org=smtp:[192.0.2.20]}, {new.test=smtp:[192.0.2.20]} }
    mynetworks = 127.0.0.0/8 192.0.2.10
    recipient_delimiter = +
""")
start()
HEAD = "From: {s}\nTo: {r}\nSubject: {r}\n\nx\n"
for s, r in (("alice@example.com", "x@old.test"), ("alice", "x@example.org"), ("k@old.test", "Alice.Example@example.com"), ("alice", "team"), ("alice", "alice")):
    sendmail(f"-f {s} {r}", HEAD.format(s=s, r=r))
    settle()
for r in ("two@ad.test", "one@ad.test", "none@ad.test", "any@ca.test", "alice@dd.test", "nosuch@dd.test", "team@example.com", "TWO@AD.TEST", "one+x@ad.test"):
    mail("s@example.net", r, HEAD.format(s="s@example.net", r=r), src="192.0.2.13")
    settle()
for s in ("s1@example.net", "S1+x@example.net", "x@full.example", "x@sub.full.example", "s2@example.net", "alice"):
    mail(s, "bob@example.com", HEAD.format(s=s, r="bob@example.com"))
    settle()
# A line for each message, sorted: recipients of one message are delivered in any order.
sh("for u in alice bob carol; do echo $u; grep -E '^(From |Return-Path|X-Original-To|Delivered-To|From:|To:|Subject)' /var/mail/$u | sed 's/^From .*/@/' | tr '\\n@' ' \\n' | sort; done")
sinks()
