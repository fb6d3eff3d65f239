"""local_header_rewrite_clients in all its forms, remote_header_rewrite_domain (S-REWRITE-03)"""
postmap("hash:/etc/postfix/clients", """
    192.0.2.11          ok
    other.example.net   ok
    192.0.2.14          OK or anything
""")
file("/etc/postfix/more", "# a file of names\npermit_mynetworks,\n  hash:/etc/postfix/clients\n")
main("""
    mynetworks = 127.0.0.0/8
    canonical_maps = inline:{ {al@example.com=alice@example.com} }
    masquerade_domains = example.com
    append_dot_mydomain = yes
""")
start()


def send(src, subject):
    smtp(f"""
        EHLO client.example.org
        MAIL FROM:<al@host.example.com>
        RCPT TO:<al@example.com>
        DATA
        From: al
        To: al@example.com, x@sub.example.com, y@sub (comment),
         Z <"z z">
        Cc: @route:al@example.com, al%example.com
        Resent-To: al@host.example.com
        Errors-To: al
        Subject: {subject}

        .
        QUIT
    """, src=src)
    settle()


for setting, clients in (
    ("permit_inet_interfaces", ("192.0.2.10", "127.0.0.1")),
    ("permit_mynetworks", ("127.0.0.1",)),
    ("", ("127.0.0.1",)),
    ("check_address_map hash:/etc/postfix/clients", ("192.0.2.11", "192.0.2.13", "192.0.2.10")),
    ("hash:/etc/postfix/clients", ("192.0.2.11", "192.0.2.13")),
    ("permit_sasl_authenticated, permit_tls_clientcerts", ("127.0.0.1",)),
    ("check_address_map cidr:{{192.0.2.0/28 x}}", ("192.0.2.10", "192.0.2.20")),
    ("static:all", ("192.0.2.10",)),
):
    quiet(f"postconf -e 'local_header_rewrite_clients = {setting}'")
    quiet("postfix reload; sleep 0.7")
    for src in clients:
        send(src, f"{src} with {setting}")
quiet("postconf -e 'local_header_rewrite_clients =' 'remote_header_rewrite_domain = elsewhere.invalid'; postfix reload; sleep 0.7")
send("192.0.2.10", "the rest with a marker")
mbox("alice", sort=False)
log(include="warning|error|fatal")
