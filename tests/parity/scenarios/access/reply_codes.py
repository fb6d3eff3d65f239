"""every reject code parameter, temporary DNS failures under codes of 5xx, the tempfail actions"""
# S-UBE-10 S-UBE-12 S-UBE-13 S-UBE-15 S-UBE-20..26 S-UBE-32 S-UBE-35 S-UBE-36
dns("""
    later.example SERVFAIL
    16.2.0.192.in-addr.arpa SERVFAIL
    10.2.0.192.bl.example A 127.0.0.2 nptr
    10.2.0.192.later.bl.example SERVFAIL
    null.example MX 0 .
    halfway.example MX SERVFAIL
    halfway.example A 192.0.2.28
    nohost.example MX 10 later.example
""")
CODES = """
    reject_code defer_code access_map_reject_code access_map_defer_code invalid_hostname_reject_code non_fqdn_reject_code unknown_hostname_reject_code
    unknown_client_reject_code unknown_address_reject_code relay_domains_reject_code maps_rbl_reject_code unknown_local_recipient_reject_code
    unknown_virtual_alias_reject_code unknown_virtual_mailbox_reject_code unknown_relay_recipient_reject_code multi_recipient_bounce_reject_code plaintext_reject_code
""".split()
main("""
    virtual_alias_domains = alias.example
    virtual_mailbox_domains = box.example
    virtual_mailbox_maps = inline:{{x@box.example=x}}
    relay_domains = relay.example
    relay_recipient_maps = inline:{{x@relay.example=x}}
    mynetworks = 127.0.0.0/8
    smtpd_restriction_classes = c_reject c_defer c_helo c_client c_sender c_plain c_rbl c_mynet
    c_reject = reject
    c_defer = defer
    c_helo = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, reject_unknown_helo_hostname
    c_client = reject_unknown_reverse_client_hostname, reject_unknown_client_hostname
    c_sender = reject_non_fqdn_sender, reject_unknown_sender_domain
    c_plain = reject_plaintext_session
    c_rbl = reject_rbl_client bl.example, reject_rbl_client later.bl.example
    c_mynet = permit_mynetworks, reject
    smtpd_relay_restrictions = reject_unauth_destination
    smtpd_recipient_restrictions = reject_non_fqdn_recipient, check_recipient_access pcre:/etc/postfix/which
    smtpd_data_restrictions = reject_multi_recipient_bounce
    smtpd_hard_error_limit = 10000
    smtpd_soft_error_limit = 10000
    smtpd_error_sleep_time = 0
    notify_classes =
""")
file("/etc/postfix/which", """
    /^alice\\+(c_.*)@/ $1
    /^alice\\+reject@/ REJECT
    /^alice\\+defer@/ DEFER
""")
PORTS = {"default": 2600, "five": 2601, "four": 2602, "defer": 2603, "odd": 2604, "soft": 2605}
def settings(code):
    return "".join(f"\n  -o {name}={code + n}" for n, name in enumerate(CODES))
master(f"""
2600 inet n - n - - smtpd
2601 inet n - n - - smtpd{settings(570)}
2602 inet n - n - - smtpd{settings(470)}
2603 inet n - n - - smtpd{settings(570)}
  -o unknown_address_tempfail_action=defer
  -o unknown_helo_hostname_tempfail_action=defer
2604 inet n - n - - smtpd{settings(250)}
2605 inet n - n - - smtpd{settings(570)}
  -o soft_bounce=yes
""")
start()
NAMES = [("client.example.org", "a@example.org"), ("-bad-", "a"), ("[1.2.3]", "a@host"), ("short", "a@nosuch.example"), ("nosuch.example", "a@null.example"),
         ("later.example", "a@later.example"), ("halfway.example", "a@halfway.example"), ("nohost.example", "a@nohost.example"), ("null.example", "")]
RCPTS = ["c_reject", "c_defer", "reject", "defer", "c_plain", "c_rbl", "c_mynet"]
for name, port in PORTS.items():
    note(name)
    rows = ["EHLO client.example.org", "MAIL FROM:<>"]
    rows += [f"RCPT TO:<alice+{x}@example.com>" for x in RCPTS]
    rows += [f"RCPT TO:<{x}>" for x in ("nosuch@example.com", "x@alias.example", "y@box.example", "y@relay.example", "y@elsewhere.example", "y@host")]
    rows += ["RCPT TO:<alice@example.com>", "RCPT TO:<bob@example.com>", "DATA"]
    for row, reply in zip(rows[2:], [x for x in ask("\n".join(rows), port=port) if not x.startswith("250-")][3:]):
        note(f"  {row}: {reply}")
    for helo, sender in NAMES:
        rows = [f"HELO {helo}", f"MAIL FROM:<{sender}>", "RCPT TO:<alice+c_helo@example.com>", "RCPT TO:<alice+c_sender@example.com>", "RCPT TO:<nosuch+c_sender@example.com>"]
        note(f"  {helo} {sender}: {' | '.join(ask(chr(10).join(rows), port=port)[3:])}")
    for src in ("192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.16", "127.0.0.1"):
        dst = "127.0.0.1" if src.startswith("127") else "192.0.2.1"
        rows = ["HELO x", "MAIL FROM:<>", "RCPT TO:<alice+c_client@example.com>", "RCPT TO:<alice+c_mynet@example.com>", "RCPT TO:<y@elsewhere.example>"]
        note(f"  {src}: {' | '.join(ask(chr(10).join(rows), port=port, src=src, dst=dst)[3:])}")
log(include="warning|: reject: .*later.example")
