"""check_*_mx_access, check_*_a_access: of several hosts and addresses the first that the table has decides, in the order of the DNS, IPv6 first"""
dns("""
    backup.example MX 20 mail.example.com
    backup.example MX 10 mx.example.org
    other.example MX 10 mx.example.org
    other.example MX 20 mail.example.com
    two.example A 192.0.2.10
    two.example AAAA 2001:db8::10
""")
main("""
    smtpd_helo_restrictions = check_helo_mx_access hash:/etc/postfix/t, check_helo_a_access hash:/etc/postfix/t
    smtpd_delay_reject = no
""")
postmap("hash:/etc/postfix/t", """
    192.0.2.20     INFO twenty
    192.0.2.1      INFO one
    192.0.2.10     REJECT four
    2001:db8::10   INFO six
""")
start()
for name in ("backup.example", "other.example", "two.example", "client.example.org"):
    smtp(f"HELO {name}\nQUIT")
