"""limits of virtual alias expansion: recursion, number, length; duplicates; header address tokens (S-REWRITE-12, S-REWRITE-18, S-TABLE-23)"""
postmap("hash:/etc/postfix/virtual", """
    many@v.example      a1@d.example a2@d.example a3@d.example a4@d.example a5@d.example
    five@v.example      many@v.example
    ten@v.example       five@v.example many@v.example b@d.example
    deep1@v.example     deep2@v.example
    deep2@v.example     deep3@v.example
    deep3@v.example     deep4@v.example
    deep4@v.example     deep5@v.example
    deep5@v.example     end@d.example
    grow@v.example      grow+x@v.example
    loop1@v.example     loop2@v.example end@d.example
    loop2@v.example     loop1@v.example
    dup@v.example       end@d.example, END@d.example, end@D.EXAMPLE end@d.example.
    long@v.example      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@d.example
    me@v.example        me@v.example
    \\\\x@v.example     y@d.example
    multi+a@v.example   ma@d.example
    multi@v.example     m@d.example, "q q"@d.example, <angle@d.example>, (comment) c@d.example, Name <n@d.example>
    quote@v.example     "a,b"@d.example
    list@v.example      g: h@d.example, i@d.example;
""")
main("""
    virtual_alias_domains = v.example
    virtual_alias_maps = hash:/etc/postfix/virtual
    transport_maps = inline:{ {d.example=discard:} }
    propagate_unmatched_extensions = canonical
    smtpd_recipient_restrictions = permit_mynetworks, reject
    smtpd_reject_unlisted_recipient = no
    mynetworks = 192.0.2.10
""")
start()
NAMES = ("many five ten deep1 grow loop1 dup long me multi multi+a multi+b quote list nosuch").split()


def all_of(label):
    sh("echo " + label)
    for n in NAMES:
        smtp(f"EHLO a\nMAIL FROM:<s@example.org>\nRCPT TO:<{n}@v.example>\nDATA\nSubject: {n}\n\n.\nQUIT\n")
        settle()


all_of("defaults")
for setting in ("virtual_alias_recursion_limit = 3", "virtual_alias_expansion_limit = 4", "virtual_alias_address_length_limit = 60",
                "propagate_unmatched_extensions = virtual"):
    quiet(f"postconf -e '{setting}'; postfix reload; sleep 0.7")
    all_of(setting)
    quiet(f"postconf -X {setting.split()[0]}")
quiet("postconf -e 'duplicate_filter_limit = 2' 'propagate_unmatched_extensions =' ; postfix reload; sleep 0.7")
smtp("EHLO a\nMAIL FROM:<s@example.org>\n" + "".join(f"RCPT TO:<{r}>\n" for r in ("a@d.example", "b@d.example", "a@d.example", "c@d.example", "c@d.example",
     "b@d.example")) + "DATA\nSubject: duplicates\n\n.\nQUIT\n")
settle()
quiet("postconf -e 'header_address_token_limit = 10'; postfix reload; sleep 0.7")
sendmail("-f alice bob", "To: a, b, c@x.example, d, e, f, g\nCc: (c) <a@b>, c\nSubject: tokens\n\n")
settle()
mbox("bob")
