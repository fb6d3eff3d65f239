"""unknown users in each class, senders too; error and retry transports; relocated; VRFY"""
# S-CLASS-02 S-VIRT-13 S-LOCAL-25 S-RELAY-02 S-ID-20 S-RECIPE-06 S-BOUNCE-12 (unknown recipients are refused at once)
postmap("hash:/etc/postfix/valias", """
    al.example  x
    good@al.example alice
    @all.example alice
    all.example x
    virt@example.com bob
""")
postmap("hash:/etc/postfix/vmbox", """
    box@vm.example  vm/box/
    @vmall.example vm/all/
""")
postmap("hash:/etc/postfix/relocated", """
    moved@example.com  new@elsewhere.example
    moved2 somewhere else
""")
postmap("hash:/etc/postfix/transport", """
    err.example  error:5.1.2 no mail for this domain
    err2.example  error:no code
    ret.example  retry:4.4.4 wait
    ret2.example  retry:just wait
    erruser@example.com error:5.7.9 user level
""")
postmap("hash:/etc/postfix/canon", """
    canon@example.com  alice
""")
main("""
    virtual_alias_maps = hash:/etc/postfix/valias
    virtual_mailbox_domains = vm.example vmall.example
    virtual_mailbox_maps = hash:/etc/postfix/vmbox
    relay_domains = relay.example relayall.example err.example err2.example ret.example ret2.example
    relay_recipient_maps = inline:{{ok@relay.example=x},{@relayall.example=x}}
    relocated_maps = hash:/etc/postfix/relocated
    transport_maps = hash:/etc/postfix/transport
    canonical_maps = hash:/etc/postfix/canon
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
""")
master('''
    2525 inet n - n - - smtpd
      -o show_user_unknown_table_name=no -o unknown_local_recipient_reject_code=450
    2526 inet n - n - - smtpd
      -o smtpd_reject_unlisted_sender=yes
    2527 inet n - n - - smtpd
      -o smtpd_reject_unlisted_recipient=no
''')
start()
R = "\n".join(f"RCPT TO:<{x}>" for x in """alice@example.com alice alice+ext@example.com nobody@example.com nobody+ext@example.com alice@mail.example.com nobody@localhost
  good@al.example good+x@al.example bad@al.example x@all.example virt@example.com virt+x@example.com box@vm.example box+x@vm.example bad@vm.example x@vmall.example
  ok@relay.example ok+x@relay.example bad@relay.example x@relayall.example moved@example.com moved2@example.com moved+x@example.com
  x@err.example x@err2.example x@ret.example x@ret2.example erruser@example.com canon@example.com canon+x@example.com postmaster postmaster@example.com
  Postmaster@mail.example.com double-bounce double-bounce@example.com double-bounce@mail.example.com ALICE@EXAMPLE.COM abuse mailer-daemon MAILER-DAEMON@example.com
  alice@[192.0.2.1] nobody@[192.0.2.1] root daemon "ali"ce@example.com "alice"@example.com alice\\@example.com @al.example @example.com""".split())
V = R.replace("RCPT TO:", "VRFY ")
smtp("EHLO x\nMAIL FROM:<s@example.org>\n" + R + "\nRSET\n" + V + "\nQUIT\n")
for port in (2525, 2527):
    smtp("EHLO x\nMAIL FROM:<s@example.org>\n" + R + "\nRSET\nQUIT\n", port=port)
for s in ("alice@example.com", "nobody@example.com", "nobody", "bad@al.example", "bad@vm.example", "bad@relay.example", "moved@example.com", "x@err.example", "x@ret.example", "", "double-bounce@mail.example.com", "double-bounce", "postmaster", "canon@example.com", "x@elsewhere.example", "alice@[192.0.2.1]", "moved2", "virt+y@example.com"):
    smtp(f"EHLO x\nMAIL FROM:<{s}>\nRCPT TO:<alice@example.com>\nQUIT\n", port=2526)
