"""XCLIENT and XFORWARD whose later attribute is wrong: the earlier ones count (S-EXT-13, S-EXT-14)"""
main("""
    smtpd_authorized_xclient_hosts = 192.0.2.0/24
    smtpd_authorized_xforward_hosts = 192.0.2.0/24
    smtpd_recipient_restrictions = check_recipient_access inline:{{bob@example.com=REJECT}}, check_policy_service inet:127.0.0.1:9000, reject_unauth_destination
    header_checks = regexp:{{/^X: / HOLD w}}
    remote_header_rewrite_domain = remote.invalid
    local_header_rewrite_clients = permit_inet_interfaces, permit_mynetworks
    mynetworks = 1.2.3.4 [2001:db8::]/64
""")
policy("p", "127.0.0.1:9000", {})
start()
ATTEMPTS = """
    XCLIENT NAME=a.example FOO=x
    XCLIENT REVERSE_NAME=b.example FOO=x
    XCLIENT ADDR=1.2.3.4 FOO=x
    XCLIENT ADDR=[UNAVAILABLE] FOO=x
    XCLIENT PORT=7 FOO=x
    XCLIENT DESTADDR=1.2.3.4 DESTPORT=9 FOO=x
    XCLIENT HELO=hhh FOO=x
    XCLIENT PROTO=SMTP FOO=x
    XCLIENT NAME=[UNAVAILABLE]
    XCLIENT NAME=a FOO=x | XCLIENT HELO=g
    XCLIENT NAME=a FOO=x | XCLIENT PORT=7
    XCLIENT ADDR=127.0.0.1
    XCLIENT LOGIN=joe | XCLIENT HELO=x
    XFORWARD NAME=a ADDR=203.0.113.9 FOO=x
    XFORWARD NAME=a ADDR=203.0.113.9 FOO=x | XFORWARD HELO=y
    XFORWARD NAME=a ADDR=203.0.113.9 FOO=x | XFORWARD NAME=y
    XFORWARD NAME=a | XFORWARD NAME=b ADDR=bad
    XFORWARD IDENT=a HELO=x FOO=x
    XFORWARD IDENT=a
    XFORWARD SOURCE=LOCAL FOO=x | XFORWARD NAME=x
    XFORWARD SOURCE=LOCAL | XFORWARD ADDR=bad
""".strip().splitlines()
for n, commands in enumerate(ATTEMPTS):
    smtp("EHLO client.example.org\n" + "\n".join(commands.strip().split(" | ")) + f"""
MAIL FROM:<n{n}@example.org>
RCPT TO:<alice@example.com>
RCPT TO:<bob@example.com>
DATA
From: n{n}
X: {n} {commands.strip()}

.
""")
settle()
sh("cd /var/spool/postfix; for f in $(find hold -type f); do postcat -e $f; postcat -h $f; done | grep -E 'sender:|name=|address=|origin|rewrite|sasl|From:|Received|^X:' | tr '\n' ' ' | sed 's/X: [^X]*/&\n/g'", sort=True)
requests("p", "sender client_address client_name reverse_client_name helo_name server_address server_port protocol_name", sort=True)
