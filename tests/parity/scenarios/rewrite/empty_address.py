"""mail to and from the empty address; what stands for it in lookups; allow_min_user on submission"""
sink("a", "192.0.2.20:25", hostname="mx.example.org")
sink("b", "192.0.2.21:25", hostname="mx.example.net")
sink("c", "192.0.2.22:25", hostname="hub.example.net")
aliases("""
    mailer-daemon: carol
    nobody-home: bob
""")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    relayhost = [192.0.2.20]
    sender_dependent_relayhost_maps = inline:{ {<>=[192.0.2.21]}, {MAILER-DAEMON@example.com=[192.0.2.22]} }
    enable_original_recipient = yes
""")
start()
sendmail("-f alice ''", "Subject: to nobody\n\n")
settle()
mail("", "x@example.org", "Subject: from nobody\n\n")
settle()
main("""
    empty_address_recipient = nobody-home
    empty_address_relayhost_maps_lookup_key = MAILER-DAEMON@example.com
    sender_dependent_default_transport_maps = inline:{ {null-sender=smtp:[192.0.2.22]}, {x@example.com=error:not from x} }
    empty_address_default_transport_maps_lookup_key = null-sender
""")
reload()
sendmail("-f alice ''", "Subject: to nobody again\n\n")
settle()
mail("", "x@example.org", "Subject: from nobody, sent to its transport\n\n")
settle()
mail("x@example.com", "x@example.org", "Subject: from x\n\n")
settle()
main("sender_dependent_default_transport_maps =\nallow_min_user = no")
reload()
mail("", "x@example.org", "Subject: from nobody, to its relay\n\n")
settle()
sendmail("-f alice -- -x@example.com -y@example.org", "Subject: minus\n\n")
sendmail("-f -x@example.org -- bob", "Subject: from minus\n\n")
settle()
main("allow_min_user = yes")
reload()
sendmail("-f alice -- -x@example.com -y@example.org", "Subject: minus allowed\n\n")
sendmail("-f -x@example.org -- bob", "Subject: from minus allowed\n\n")
settle()
mbox("bob")
mbox("carol")
sinks()
