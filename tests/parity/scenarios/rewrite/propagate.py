"""propagate_unmatched_extensions value by value; recipient_delimiter with several characters, owner_request_special (S-REWRITE-15)"""
sink("hub", "192.0.2.22:25", hostname="hub.example.net")
aliases("""
    ali:       bob@out.example, carol
    inc:       :include:/etc/postfix/list
    owner-x:   dave
""")
file("/etc/postfix/list", "bob@out.example\ndave+own\n", mode=0o644)
file("/home/alice/.forward", "bob@out.example, carol\n", owner="alice")
main("""
    relayhost = [192.0.2.22]
    canonical_maps = inline:{ {can@example.com=canoned@out.example} }
    virtual_alias_maps = inline:{ {virt@example.com=virted@out.example}, {@catch.example=caught@out.example}, {virt+own@example.com=own@out.example} }
    virtual_alias_domains = catch.example
    smtp_generic_maps = inline:{ {gen@out.example=genned@isp.example}, {@gen.example=all@isp.example} }
    smtp_connection_cache_on_demand = no
    default_destination_recipient_limit = 1
""")
start()


def send(label):
    sh("echo " + label)
    for rcpt in ("can+x@example.com", "virt+x@example.com", "virt+own@example.com", "virt-a+b@example.com", "any+x@catch.example", "ali+x@example.com",
                 "inc+x@example.com", "alice+x@example.com", "gen+x@out.example", "u+x@gen.example", "owner-x@example.com", "x-request@out.example"):
        sendmail(f"-f s+ext@example.org {rcpt}", "\n\n")
    settle()
    host.out("\n".join(sorted({x for r in host.servers["hub"].records for x in r if x.startswith(("MAIL", "RCPT"))})))
    host.servers["hub"].records.clear()
    sh("grep -h '^Delivered-To' /var/mail/* | sort | uniq -c; rm -f /var/mail/*")


send("canonical, virtual")
for value in ("", "canonical", "virtual", "alias", "forward", "include", "generic", "alias forward include generic"):
    quiet(f"postconf -e 'propagate_unmatched_extensions = {value}'; postfix reload; sleep 0.7")
    send(value or "nothing")
for value in ("recipient_delimiter = -+", "recipient_delimiter = +-\nowner_request_special = no", "recipient_delimiter ="):
    for setting in value.split("\n"):
        quiet(f"postconf -e '{setting}'")
    quiet("postfix reload; sleep 0.7")
    send(value.replace("\n", " "))
nolog()
