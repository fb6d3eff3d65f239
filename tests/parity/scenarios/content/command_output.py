"""pipe(8), local(8): what a command says, as it stands in reports and log lines"""
# S-PIPE-05
main("""
    transport_maps = inline:{ {p.example=p:} {s.example=s:} {t.example=t:} {g.example=g:} }
    relay_domains = p.example, s.example, t.example, g.example
    bounce_queue_lifetime = 0
""")
file("/usr/bin/say", b'#!/bin/sh\nprintf "%sa\\tb\\n\\001c\\r\\nd\\377 \\303\\251 \\303\\050\\177" "$2"; exit $1\n', mode=0o755)
master("""
    p unix - n n - - pipe user=bob argv=/usr/bin/say 3
    s unix - n n - - pipe user=bob argv=/usr/bin/say 0
    t unix - n n - - pipe user=bob argv=/usr/bin/say 75 {5.1.2 }
""")
aliases("""
    loc: "|/usr/bin/say 5"
    well: "|/usr/bin/say 0"
""")
start()
# Apart, as deliveries of one message may end in any order.
for recipients in ("x@p.example", "x@s.example", "x@t.example", "loc@example.com", "well@example.com"):
    mail("alice@example.com", recipients, "Subject: x\n\nx\n", rcpt_options="NOTIFY=SUCCESS,FAILURE")
    settle()
mbox("alice", sort=True)
