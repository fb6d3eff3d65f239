"""The size record tells what NOTIFY asked for, whatever aliases leave of it; bcc recipients do not count (S-QUEUE)"""
postmap("hash:/etc/postfix/virtual", """
    virtual.example         anything
    info@virtual.example    alice
    user@virtual.example    bob, alice
""")
main("""
    recipient_bcc_maps = inline:{ {alice@example.com=dave} }
    virtual_alias_maps = hash:/etc/postfix/virtual
    virtual_alias_domains = virtual.example
    header_checks = regexp:{{/^Subject: no/ REJECT} {/./ HOLD}}
""")
master("""
    2525 inet n - n - - smtpd
      -o cleanup_service_name=cleanup2
    cleanup2 unix n - n - 0 cleanup
      -o sender_bcc_maps=static:dave@example.com
    2526 inet n - n - - smtpd
      -o cleanup_service_name=cleanup3
    cleanup3 unix n - n - 0 cleanup
      -o always_bcc=dave@example.com
""")
start()
RECIPIENTS = {"a": "alice", "b": "bob", "i": "info@virtual.example", "u": "user@virtual.example", "au": "alice user@virtual.example", "aa": "alice alice"}
for port in (25, 2525, 2526):
    for name, recipients in RECIPIENTS.items():
        if port == 2525 and name == "aa":
            continue
        for option in ("", " NOTIFY=NEVER", " NOTIFY=SUCCESS", " NOTIFY=SUCCESS,FAILURE", " NOTIFY=DELAY"):
            rows = ["RCPT TO:<%s>%s" % (r if "@" in r else r + "@example.com", option) for r in recipients.split()]
            smtp("\n".join(["EHLO x", "MAIL FROM:<s@example.org>", *rows, "DATA", f"Subject: {port} {name}{option}", "", ".", "QUIT"]), port=port)
sendmail("-N success,delay alice user@virtual.example", "Subject: by command\n\nx\n")
# Whom a refusal of the header names: not the bcc recipient.
smtp("EHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<bob@example.com>\nRCPT TO:<alice@example.com>\nDATA\nSubject: no\n\n.\nQUIT")
settle()
sh("cd /var/spool/postfix; for f in $(find hold -type f); do postcat $f | grep -E '^(Subject|message_size)' | tr '\\n' ';'; echo; done", sort=True)
log("reject:")
