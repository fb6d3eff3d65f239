"""What makes two recipients one, with enable_original_recipient and without; an alias for itself at the limit of recursion (S-REWRITE-12, S-TABLE-23)"""
postmap("hash:/etc/postfix/virtual", """
    first@v.example     second@v.example
    second@v.example    third@v.example
    third@v.example     third@v.example
    one@v.example       other@v.example
    other@v.example     third@v.example
""")
main("""
    enable_original_recipient = no
    header_checks = static:HOLD
    virtual_alias_domains = v.example
    virtual_alias_maps = hash:/etc/postfix/virtual
    smtpd_reject_unlisted_recipient = no
""")
master("""
    2525 inet n - n - - smtpd
      -o cleanup_service_name=cleanup2
    cleanup2 unix n - n - 0 cleanup
      -o enable_original_recipient=yes
    2526 inet n - n - - smtpd
      -o cleanup_service_name=cleanup3
    cleanup3 unix n - n - 0 cleanup
      -o virtual_alias_recursion_limit=3
    2527 inet n - n - - smtpd
      -o cleanup_service_name=cleanup4
    cleanup4 unix n - n - 0 cleanup
      -o virtual_alias_recursion_limit=2
""")
start()
OPTIONS = ["", " NOTIFY=SUCCESS", " NOTIFY=NEVER", " ORCPT=rfc822;x@y"]
for port in (25, 2525):
    for one in OPTIONS:
        rows = "".join(f"RCPT TO:<alice@example.com>{other}\n" for other in [one, *OPTIONS])
        smtp(f"EHLO x\nMAIL FROM:<s@example.org>\n{rows}DATA\nSubject: {port}{one}\n\n.\nQUIT", port=port)
for port in (2526, 2527):
    for name in ("first", "second", "third", "one", "other"):
        smtp(f"EHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<{name}@v.example>\nDATA\nSubject: {port} {name}\n\n.\nQUIT", port=port)
settle()
sh("cd /var/spool/postfix; for f in $(find hold -type f); do postcat $f | grep -E '^(Subject|message_size|named_attribute: (notify|dsn_or)|recipient)' | tr '\\n' ';'; echo; done", sort=True)
log("warning|reject")
