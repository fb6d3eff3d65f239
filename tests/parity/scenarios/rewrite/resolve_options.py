"""routing operators, dequoted addresses, null and numeric domains, literals, the recipient that is nobody (S-REWRITE-17, S-ID-06, S-ID-14)"""
# Everything that is not local goes to one server, so that what was decided is seen there.
sink("hub", "192.0.2.22:25", hostname="hub.example.net")
main("""
    relayhost = [192.0.2.22]
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
    relay_domains = example.net
""")
start()
FORMS = '''
    "alice@example.org"@example.com
    "alice%example.org"@example.com
    "example.org!alice"@example.com
    alice%example.org@example.com
    alice%example.com%localhost@localhost
    alice%example.net@example.com
    example.org!alice@example.com
    example.com!alice
    example.net!alice
    alice@example.org@example.com
    @example.org,@example.net:alice@example.com
    @example.com:alice@example.org
    @example.com:alice
    @[192.0.2.1]:alice@[192.0.2.1]
    alice@[192.0.2.1]
    alice@[127.0.0.1]
    alice@[IPv6:2001:db8::1]
    alice@[192.0.2.9]
    alice@192.0.2.1
    alice@192.0.2.9
    alice@
    alice
    ""@example.com
    @example.com
    -alice@example.com
    "-alice"@example.com
    alice%@example.com
    %example.org@example.com
    alice%example.org%@example.com
    alice%"example.org"@example.com
    "a b"%example.org@example.com
    .alice@example.com
    alice.@example.com
    alice..b@example.com
    alice@example.com.
    alice@sub..example.com
    alice@.example.com
    alice@exa_mple.com
    alice@-example.com
    alice@example.com-
'''


def ask(label, sender="s@example.org", src=None):
    sh(f"echo {label}")
    smtp("EHLO client.example.org\n" + "".join(
        f"MAIL FROM:<{sender}>\nRCPT TO:<{form.strip()}>\nRSET\n" for form in FORMS.strip().split("\n")) + "QUIT\n", src=src)


ask("defaults")
ask("trusted client", src="127.0.0.1")
for n, settings in enumerate(("resolve_dequoted_address = no", "resolve_null_domain = yes", "resolve_numeric_domain = yes",
                 "allow_min_user = yes", "swap_bangpath = no", "allow_percent_hack = no",
                 "allow_untrusted_routing = yes", "strict_rfc821_envelopes = yes")):
    # One at a time, the one before as it was.
    quiet("cp /etc/postfix/main.cf /root/main.cf") if n == 0 else quiet("cp /root/main.cf /etc/postfix/main.cf")
    quiet(f"postconf -e '{settings}'")
    quiet("postfix reload; sleep 0.7")
    ask(settings)
log(include="warning|error|fatal")
