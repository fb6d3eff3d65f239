"""relocated_maps in all key forms, for mail from outside and for local mail; with catch-alls and wildcards (S-MAP-05, S-REWRITE-15)"""
postmap("hash:/etc/postfix/relocated", """
    gone@example.com        gone@new.example
    bare                    a new home
    ext+only@example.com    only with extension
    @closed.example         the whole domain
    remote@example.org      somewhere else
    alice@v.example         virtual
    box@m.example           mailbox moved
    listed@relay.example    relay moved
    "q q"@example.com       quoted
""")
main("""
    relocated_maps = hash:/etc/postfix/relocated
    virtual_alias_domains = v.example, closed.example
    virtual_alias_maps = inline:{ {ok@v.example=alice@example.com}, {alias@v.example=gone@example.com} }
    virtual_mailbox_domains = m.example
    virtual_mailbox_maps = inline:{ {ok@m.example=x} }
    relay_domains = relay.example
    mynetworks = 127.0.0.0/8 192.0.2.13
""")
start()
RCPTS = ("gone@example.com gone+x@example.com GONE@Example.com bare@example.com bare@localhost bare@[192.0.2.1] bare@example.org bare+x@mail.example.com "
         "ext+only@example.com ext+other@example.com anyone@closed.example remote@example.org alice@v.example alias@v.example box@m.example "
         "box+x@m.example listed@relay.example alice@example.com").split()


def all_of(src):
    smtp("EHLO a\nMAIL FROM:<s@example.org>\n" + "".join(f"RCPT TO:<{r}>\n" for r in RCPTS) + 'RCPT TO:<"q q"@example.com>\nQUIT\n', src=src)


all_of("192.0.2.10")
all_of("192.0.2.13")
for r in RCPTS:
    sendmail(f"-f '' -- {r}" if r != "remote@example.org" else "-f '' remote@example.org", "Subject: x\n\n")
    settle()
main("relocated_maps = hash:/etc/postfix/relocated, fail:x\nlocal_recipient_maps =\nshow_user_unknown_table_name = no")
reload()
all_of("192.0.2.10")
log(exclude="connect from")
