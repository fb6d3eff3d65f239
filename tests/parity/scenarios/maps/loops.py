"""results that loop: virtual aliases, local aliases (S-TABLE-23)"""
file("/etc/postfix/loop", "one@l.example two@l.example\ntwo@l.example one@l.example\n")
quiet("postmap hash:/etc/postfix/loop")
aliases("loopy: loopy2\nloopy2: loopy\n")
main("""
    virtual_alias_domains = l.example
    virtual_alias_maps = hash:/etc/postfix/loop
""")
start()
smtp("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<one@l.example>\nDATA\nSubject: loop\n\n.\nQUIT")
mail("s@example.org", "loopy@mail.example.com")
settle()
mailq()
