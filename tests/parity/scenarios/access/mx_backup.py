"""permit_mx_backup and permit_mx_backup_networks: who may relay because this host is a mail exchanger (S-RELAY-03)"""
dns("""
    backup.test MX 10 mx.example.org
    backup.test MX 20 mail.example.com
    good.test MX 10 mx.example.org
    primary.test MX 10 mail.example.com
    equal.test MX 10 mx.example.org
    equal.test MX 10 mail.example.com
    first.test MX 10 mail.example.com
    first.test MX 20 mx.example.org
    two.test MX 10 mx.example.org
    two.test MX 10 mx.example.net
    two.test MX 20 mail.example.com
    three.test MX 10 mx.example.org
    three.test MX 15 mx.example.net
    three.test MX 20 mail.example.com
    multi.test MX 10 multi.example.com
    multi.test MX 20 mail.example.com
    multi.example.com A 192.0.2.20
    multi.example.com A 192.0.2.30
    six.test MX 10 six.example.com
    six.test MX 20 mail6.example.com
    six.example.com AAAA 2001:db8::20
    mail6.example.com AAAA 2001:db8::1
    proxied.test MX 10 mx.example.net
    proxied.test MX 20 nat.example.com
    nat.example.com A 198.51.100.99
    self.test A 192.0.2.1
    plain.test A 192.0.2.20
    null.test MX 0 .
    slow.test MX SERVFAIL
    lost.test MX 10 lost.example.com
    lost.test MX 20 mail.example.com
    lost.example.com A SERVFAIL
    lost.example.com AAAA SERVFAIL
    late.test MX 10 mx.example.org
    late.test MX 20 lost.example.com
    late.test MX 30 mail.example.com
    gone.test MX 10 gone.example.com
    gone.test MX 20 mail.example.com
    alias.test MX 10 alias.example.com
    alias.test MX 20 mail.example.com
    alias.example.com CNAME mx.example.org
""")
main("""
    proxy_interfaces = 198.51.100.99
    smtpd_relay_restrictions = permit_mx_backup, reject_unauth_destination
    smtpd_error_sleep_time = 0
    smtpd_soft_error_limit = 100
    smtpd_hard_error_limit = 100
""")
file("/etc/postfix/nets", "192.0.2.20 yes\n")
postmap("hash:/etc/postfix/names", "mx.example.org x\n192.0.2.21 x\n")
start()
RCPTS = ["x@" + d for d in ("backup.test", "good.test", "primary.test", "equal.test", "first.test", "two.test", "three.test", "multi.test", "six.test", "proxied.test", "self.test", "plain.test", "null.test",
                            "slow.test", "lost.test", "late.test", "gone.test", "alias.test", "nosuch.test", "[192.0.2.20]", "sub.backup.test", "BACKUP.test")]
RCPTS += ["bob@example.com", "x%good.test@backup.test", "x@good.test@backup.test"]


def dialogue(rcpts):
    smtp("EHLO x\nMAIL FROM:<s@example.net>\n" + "".join(f"RCPT TO:<{r}>\n" for r in rcpts) + "QUIT\n", src="192.0.2.13")


dialogue(RCPTS)
for networks in ("192.0.2.20", "!192.0.2.20, 192.0.2.0/24", "192.0.2.16/28", "[2001:db8::]/64", "192.0.2.21", "cidr:/etc/postfix/nets", "hash:/etc/postfix/names", "example.org", ".example.net", "!mx.example.org, 0.0.0.0/0",
                 "192.0.2.20/24", "/etc/postfix/nosuch"):
    quiet(f"postconf -e 'permit_mx_backup_networks = {networks}'; postfix reload; sleep 0.7")
    sh(f"echo '{networks}'")
    dialogue([r for r in RCPTS if r.split("@")[-1] in ("backup.test", "two.test", "three.test", "multi.test", "six.test", "proxied.test", "lost.test", "late.test", "gone.test", "alias.test", "equal.test")])
quiet("postconf -e permit_mx_backup_networks= smtpd_relay_restrictions=permit_mx_backup,defer_unauth_destination; postfix reload; sleep 0.7")
dialogue(["x@backup.test", "x@slow.test", "x@good.test"])
log(include="warning|error|fatal")
