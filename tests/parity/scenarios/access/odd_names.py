"""Names with a final dot, and names that are none, in the checks that look up hosts"""
dns("""
example.org NS ns.example.org
ns.example.org A 192.0.2.22
""")
main("""
    smtpd_helo_restrictions = warn_if_reject check_helo_mx_access inline:{mx.example.org=REJECT}, warn_if_reject check_helo_ns_access inline:{ns.example.org=REJECT},warn_if_reject check_helo_a_access inline:{192.0.2.25=REJECT}, warn_if_reject reject_unknown_helo_hostname, warn_if_reject reject_rhsbl_helo dbl.example
    smtpd_sender_restrictions = warn_if_reject check_sender_mx_access inline:{mx.example.org=REJECT}, warn_if_reject check_sender_ns_access inline:{ns.example.org=REJECT},warn_if_reject check_sender_a_access inline:{192.0.2.25=REJECT}, warn_if_reject reject_unknown_sender_domain
    smtpd_error_sleep_time = 0
""")
start()
for s in ("example.org", "example.org.", ".dot", "bad_name.example", "-bad.example", "dot.", "a..b", "nosuch.example", "x"*70+".example"):
    smtp(f"""
EHLO {s}
MAIL FROM:<x@{s}>
RCPT TO:<alice@example.com>
QUIT
""")
