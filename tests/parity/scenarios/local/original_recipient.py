"""enable_original_recipient = no: no X-Original-To from local, virtual and pipe; reports of expanded aliases"""
main("""
    enable_original_recipient = no
    virtual_alias_maps = inline:{ {v@example.com=alice} {w@example.com=nosuch@example.com} {dave=dave} {two=carol,bob} }
    smtpd_reject_unlisted_recipient = no
    virtual_mailbox_domains = boxes.example
    virtual_mailbox_maps = inline:{ {box@boxes.example=box} {dir@boxes.example=dir/} }
    virtual_mailbox_base = /var/vmail
    virtual_uid_maps = static:5000
    virtual_gid_maps = static:5000
    transport_maps = inline:{ {p.example=p:} {s.example=s:[192.0.2.20]} }
    relay_domains = p.example, s.example
""")
master("""
    p unix - n n - - pipe flags=DORF user=bob argv=/bin/sh -c {cat >/tmp/p.out}
    s unix - - n - - smtp flags=OR
""")
sink("mx", "192.0.2.20:25")
file("/home/alice/.forward", '"|cat >/tmp/cmd.out; env | grep -i RECIP >> /tmp/cmd.out", /tmp/file.out, /home/alice/m/\n', owner="alice")
start()
mail("a@example.org", "alice@example.com", "Subject: x\n\nx\n")
mail("a@example.org", "box@boxes.example", "Subject: x\n\nx\n")
mail("a@example.org", "dir@boxes.example", "Subject: x\n\nx\n")
mail("a@example.org", "x@p.example", "Subject: x\n\nx\n")
mail("a@example.org", "x@s.example", "Subject: x\n\nx\n")
settle()
for path in ("/tmp/cmd.out", "/tmp/file.out", "/var/vmail/box", "/tmp/p.out"):
    cat(path)
maildir("/home/alice/m")
maildir("/var/vmail/dir")
sinks()
# A report of success ends at an alias, also at one with a single recipient.
for to, notify in (("w", "ORCPT=rfc822;orcpt@x NOTIFY=SUCCESS,FAILURE"), ("v", "NOTIFY=SUCCESS"), ("dave", "NOTIFY=SUCCESS"), ("two", "NOTIFY=SUCCESS,FAILURE")):
    mail("carol@example.com", f"{to}@example.com", "Subject: x\n\nx\n", rcpt_options=notify)
    settle()
sh("grep -E '^(Final|Original|Action|<)' /var/mail/carol | sort")
