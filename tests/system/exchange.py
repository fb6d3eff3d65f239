"""the queue changes hands: filled by one mail system, drained by the other, and the reverse (S-QUEUE-01, S-QUEUE-15)"""
# Deferred, held and undelivered mail, with all attributes that a queue file may have.
sink("mx1", "192.0.2.20:25")
aliases("team: alice, bob")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.0/24
    queue_run_delay = 300s
    minimal_backoff_time = 300s
    maximal_backoff_time = 300s
    defer_transports = smtp
    recipient_delimiter = +
    enable_original_recipient = yes
    virtual_alias_maps = inline:{ {va@example.com=alice@example.com,bob@example.com} }
""")


def fill(tag):
    long = "x" * 5000
    mail("s@example.org", ["one@example.org", "two@example.org"], f"Subject: {tag} two recipients\n\nbody\n.dot\n")
    mail("s@example.org", ["va@example.com", "r@example.org"], f"Subject: {tag} long\nX-Long: {long}\n\n{long}\n")
    mail("", "r@example.org", f"Subject: {tag} 8bit\n\nkäse\n", options="BODY=8BITMIME RET=HDRS ENVID=abc", rcpt_options="NOTIFY=FAILURE ORCPT=rfc822;x@example.org")
    sendmail("-f from@example.com -N success,delay -V id1 out@example.org", f"Subject: {tag} by command\n\nx\n")
    settle()
    mail("s@example.org", "held@example.org", f"Subject: {tag} held\n\nbody\n")
    settle()
    held = [i for i in queue_ids() if "held@example.org" in quiet(f"postcat -q {i}").stdout]
    quiet(f"postsuper -h {' '.join(held)}")
    # In maildrop while nobody picks it up.
    quiet("postfix stop")
    quiet("sendmail -f mm@example.com md@example.org", f"Subject: {tag} maildrop\n\nx\n", user="alice")


def drain(tag):
    start()
    check("held@example.org" in quiet("postqueue -p").stdout, f"{tag}: held mail is listed")
    ids = quiet("postqueue -j").stdout
    for queue in ("hold", "deferred"):
        check(f'"queue_name": "{queue}"' in ids, f"{tag}: {queue} mail is listed")
    quiet("postsuper -H ALL")
    quiet("postconf -e defer_transports=")
    quiet("postfix reload; sleep 1; postqueue -f")
    wait_empty()
    received = "\n".join("\n".join(r) for r in host.servers["mx1"].records)
    for what, n in (("two recipients", 1), ("long", 1), ("8bit", 1), ("by command", 1), ("held", 1), ("maildrop", 1)):
        got = received.count(f"Subject: {tag} {what}")
        check(got == n, f"{tag}: '{what}' arrived {n} times (got {got})")
    check(received.count("RCPT TO:<one@example.org>") == 1 and received.count("RCPT TO:<two@example.org>") == 1, f"{tag}: each recipient once")
    check(("x" * 5000) in received or "X-Long: " in received, f"{tag}: long lines")
    check("ENVID=id1" in received and "ENVID=abc" in received, f"{tag}: envelope ids")
    quiet("postconf -e defer_transports=smtp; postfix reload; sleep 1")
    host.servers["mx1"].records.clear()


start()
fill("ours")
listed = quiet("find /var/spool/postfix/deferred /var/spool/postfix/hold /var/spool/postfix/maildrop -type f | wc -l").stdout.strip()
check(int(listed) >= 6, f"the first system left {listed} files")
swap()
drain("ours")
fill("theirs")
swap()
drain("theirs")
nolog()
