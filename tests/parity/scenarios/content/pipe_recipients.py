"""pipe(8): flags D and O, which want one recipient at a time"""
main("""
    transport_maps = inline:{ {p.example=p:} {q.example=q:} }
    relay_domains = p.example, q.example
""")
master("""
    p unix - n n - - pipe flags=D user=bob argv=/bin/echo ${recipient}
    q unix - n n - - pipe flags=O user=bob argv=/bin/echo
""")
start()
mail("a@example.org", "x@p.example", "Subject: x\n\nx\n")
mail("a@example.org", "x@p.example y@p.example", "Subject: x\n\nx\n")
mail("a@example.org", "x@q.example y@q.example", "Subject: x\n\nx\n")
settle()
mailq()
