"""mailbox limits below message_size_limit: nothing is delivered until they are mended (S-LOCAL-08, S-VIRT-12)"""
postmap("hash:/etc/postfix/vmailbox", "box@v.example   box\n")
main("""
    mailbox_size_limit = 5000
    virtual_mailbox_limit = 5000
    message_size_limit = 6000
    virtual_mailbox_domains = v.example
    virtual_mailbox_base = /var/vmail
    virtual_mailbox_maps = hash:/etc/postfix/vmailbox
    virtual_uid_maps = static:5000
    virtual_gid_maps = static:5000
    minimal_backoff_time = 1000s
    transport_retry_time = 1s
""")
start()
mail("", "alice@example.com", "Subject: small\n\nx\n")
wait_log("local.*fatal")
mail("", "box@v.example", "Subject: small\n\nx\n")
wait_log("virtual.*fatal")
sh("postqueue -p | grep -c @; ls /var/mail /var/vmail")
main("mailbox_size_limit = 0\nvirtual_mailbox_limit = 0\nservice_throttle_time = 1s")
quiet("postfix stop")
start()
sh("postqueue -f; true")
sh("postqueue -f")
wait_empty()
sh("grep -c Subject /var/mail/alice /var/vmail/box")
log(include="fatal|status=sent", exclude="deferred")
