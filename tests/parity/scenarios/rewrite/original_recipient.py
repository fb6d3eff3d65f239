"""enable_original_recipient = no: in local, virtual and pipe, not in lmtp (S-REWRITE-16); pipe flags that need one recipient at a time"""
main("""
    enable_original_recipient = no
    virtual_alias_maps = inline:{ {virt@example.com=bob@example.com}, {piped@example.com=x@p.example}, {lm@example.com=x@l.example},
        {same@example.com=bob@example.com, BOB@example.com} }
    virtual_mailbox_domains = v.example
    virtual_mailbox_maps = inline:{ {a@v.example=vbox}, {b@v.example=vdir/} }
    virtual_mailbox_base = /tmp/v
    virtual_minimum_uid = 10
    virtual_uid_maps = static:1001
    virtual_gid_maps = static:1001
    transport_maps = inline:{ {p.example=pipeo:}, {many.example=several:}, {l.example=lm:[192.0.2.22]:24} }
    pipeo_destination_recipient_limit = 1
    lm_destination_recipient_limit = 1
""")
master("""
    pipeo unix - n n - - pipe
      flags=DORX user=alice argv=/bin/dd status=none of=/tmp/v/${original_recipient}
    several unix - n n - - pipe
      flags=O user=alice argv=/bin/dd status=none of=/tmp/v/${original_recipient}
    lm unix - - n - - lmtp
      flags=DORX
""")
lmtp_sink("lm", "192.0.2.22:24")
sh("mkdir -m 777 /tmp/v")
start()
for rcpt in ("virt", "bob", "BOB", "a@v.example", "b@v.example", "piped", "lm", "bob virt same", "x@many.example", "x@many.example y@many.example"):
    sendmail("-f alice -N failure " + rcpt, "Subject: x\n\nx\n")
    settle()
sh("for f in /tmp/v/* /tmp/v/vdir/new/* /var/mail/*; do test -f $f && echo $(echo $f|tr 0-9 N) && grep -aE '^(X-Orig|Deliv|Return-P|Subject)' $f; done | sed s/N.*N/N/")
sinks()
