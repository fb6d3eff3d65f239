"""who may relay: backup exchangers, tables that change, what a permit is worth; patterns for client names; the order of the two recipient lists"""
# S-UBE-11 S-UBE-18 S-UBE-34 S-UBE-39 S-UBE-41 S-INT-23 S-UBE-43 S-TRAP-17
dns("""
    backed.example MX 10 mx.example.org
    backed.example MX 20 mail.example.com
    primary.example MX 10 mail.example.com
    other.example MX 10 mx.example.net
    equal.example MX 10 mx.example.org
    equal.example MX 10 mail.example.com
    two.example MX 10 mx.example.org
    two.example MX 10 mx.example.net
    two.example MX 20 mail.example.com
    split.example MX 10 nosuch-host.example
    split.example MX 10 mx.example.org
    split.example MX 20 mail.example.com
    nomx.example A 192.0.2.1
    later.example MX SERVFAIL
    lost.example MX 10 lost-host.example
    lost-host.example SERVFAIL
    gone.example MX 10 nosuch-host.example
    half.example MX 10 nosuch-host.example
    half.example MX 20 mail.example.com
    192.0.2.15 PTR bad.dialup.example
    bad.dialup.example A 192.0.2.15
""")
file("/etc/postfix/names.re", "/^bad\\./ REJECT\n/dialup/ 550 never here\n")
file("/etc/postfix/names.pcre", "/^client\\.(.*)$/ WARN of $1\n")
postmap("hash:/etc/postfix/hosts", "203.0.113.1 ok\n")
postmap("hash:/etc/postfix/friends", "friend@example.org OK\n")
master("""
    2600 inet n - n - - smtpd
      -o smtpd_relay_restrictions=permit_mx_backup,reject_unauth_destination
    2601 inet n - n - - smtpd
      -o smtpd_relay_restrictions=permit_mx_backup,reject_unauth_destination -o permit_mx_backup_networks=192.0.2.20
    2602 inet n - n - - smtpd
      -o smtpd_relay_restrictions=reject_unauth_destination -o smtpd_recipient_restrictions=permit
    2603 inet n - n - - smtpd
      -o smtpd_relay_restrictions=permit_auth_destination,reject
    2604 inet n - n - - smtpd
      -o smtpd_relay_restrictions=check_client_access,hash:/etc/postfix/hosts,reject_unauth_destination
    2605 inet n - n - - smtpd
      -o smtpd_sender_restrictions=check_sender_access,hash:/etc/postfix/friends,reject
    2606 inet n - n - - smtpd
      -o smtpd_client_restrictions=check_client_access,regexp:/etc/postfix/names.re,check_client_access,pcre:/etc/postfix/names.pcre
    2607 inet n - n - - smtpd
      -o smtpd_relay_before_recipient_restrictions=no -o smtpd_recipient_restrictions=check_recipient_access,static:INFO
      -o smtpd_relay_restrictions=check_recipient_access,static:WARN,reject_unauth_destination
    2608 inet n - n - - smtpd
      -o smtpd_recipient_restrictions=check_recipient_access,static:INFO
      -o smtpd_relay_restrictions=check_recipient_access,static:WARN,reject_unauth_destination
    2609 inet n - n - - smtpd
      -o allow_untrusted_routing=yes
    2610 inet n - n - - smtpd
      -o smtpd_null_access_lookup_key=nobody -o smtpd_sender_restrictions=check_sender_access,inline:{nobody=REJECT}
""")
main("smtpd_hard_error_limit = 1000\nsmtpd_soft_error_limit = 1000\nsmtpd_error_sleep_time = 0")
start()
def put(port, rcpts, sender="s@example.org", **kw):
    rows = ["HELO x", f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in rcpts]
    note(f"{port} from <{sender}> {kw.get('src', '')}")
    for r, reply in zip(rcpts, ask("\n".join(rows), port=port, **kw)[3:]):
        note(f"  {r}: {reply}")
NAMES = [f"x@{d}.example" for d in ("backed", "primary", "other", "nomx", "later", "lost", "gone", "half", "nosuch", "equal", "two", "split")]
NAMES += ["alice@example.com", "x%backed.example@example.com", "@backed.example:x@example.com", "x%elsewhere.example@backed.example", "x@[192.0.2.20]", "x@[192.0.2.1]"]
for port in (2600, 2601, 2602, 2603, 25, 2609):
    put(port, NAMES)
put(2604, ["x@elsewhere.example", "alice@example.com"], src="203.0.113.10")
quiet("echo '203.0.113.10 ok' >> /etc/postfix/hosts; postmap hash:/etc/postfix/hosts")
sleep(1.2)
put(2604, ["x@elsewhere.example", "alice@example.com"], src="203.0.113.10")
for sender in ("friend@example.org", "foe@example.org", ""):
    put(2605, ["alice@example.com"], sender)
for n in (10, 13, 15):
    put(2606, ["alice@example.com"], src=f"192.0.2.{n}")
for port in (2607, 2608):
    put(port, ["x@elsewhere.example"])
put(2610, ["alice@example.com"], "")
log(include="warn|info:")
