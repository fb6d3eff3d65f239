"""parameters of smtpd(8) that no other scenario sets: each with a service of its own, and what a client sees"""
# S-SMTPD-05 S-SMTPD-07 S-SMTPD-11 S-SMTPD-12 S-TRAP-10
postmap("hash:/etc/postfix/keywords", "192.0.2.13 pipelining, chunking\n198.51.100.0 x\n")
file("/etc/postfix/commands", "/^HELP\\b.*/ NOOP\n/^BADMAIL (.*)/ MAIL FROM:$1\n/^DROP/ QUIT\n")
file("/etc/postfix/footers", "/^550 5\\.1\\.1 / \\c. Ask $server_name\n/^501/ DUNNO\n")
CASES = {
    "disable_vrfy_command=yes": "VRFY alice",
    "smtpd_discard_ehlo_keywords=dsn,ETRN,8bitmime,silent-discard": "MAIL FROM:<a@example.org> RET=FULL",
    "smtpd_discard_ehlo_keywords=size,vrfy,smtputf8": "MAIL FROM:<a@example.org> SIZE=1\nRSET\nVRFY alice\nMAIL FROM:<a@example.org> SMTPUTF8",
    "smtpd_discard_ehlo_keyword_address_maps=hash:/etc/postfix/keywords": "BDAT 0",
    "smtpd_command_filter=pcre:/etc/postfix/commands": "HELP me\nBADMAIL <a@example.org>\nDROP\nNOOP",
    "smtpd_forbidden_commands=CONNECT,FOO": "GET / HTTP/1.0\nRSET\nfoo bar\nNOOP",
    "smtpd_forbidden_commands=": "GET /\nCONNECT x\nNOOP",
    "smtpd_noop_commands=FOO,VRFY,mail": "FOO bar\nVRFY alice\nMAIL FROM:<a@example.org>\nRCPT TO:<x>",
    "smtpd_junk_command_limit=2": "NOOP\nRSET\nVRFY alice\nNOOP\nNOOP",
    "smtpd_reject_footer_maps=pcre:/etc/postfix/footers": "MAIL FROM:<a@example.org>\nRCPT TO:<nosuch@example.com>\nRCPT TO:<>\nFOO",
    "smtpd_banner=$myhostname ESMTP ready": "HELP",
    "smtpd_peername_lookup=no": "MAIL FROM:<a@example.org>\nRCPT TO:<x@elsewhere.example>",
    "smtpd_client_port_logging=yes": "MAIL FROM:<a@example.org>\nRCPT TO:<x@elsewhere.example>",
    "smtpd_recipient_limit=1": "MAIL FROM:<a@example.org>\nRCPT TO:<alice@example.com>\nRCPT TO:<bob@example.com>",
    "smtpd_history_flush_threshold=1": "MAIL FROM:<a@example.org>\nRCPT TO:<alice@example.com>\nDATA\nx\n.\nFOO",
    "message_size_limit=0": "MAIL FROM:<a@example.org> SIZE=999999999\nRSET\nMAIL FROM:<a@example.org> SIZE=9999999999999999999999",
    "message_size_limit=100": "MAIL FROM:<a@example.org> SIZE=101\nMAIL FROM:<a@example.org> SIZE=100",
    "resolve_null_domain=yes": "MAIL FROM:<a@>\nMAIL FROM:<@>\nMAIL FROM:<a@example.org>\nRCPT TO:<alice@>",
    "strict_rfc821_envelopes=yes": "MAIL FROM:a@example.org\nMAIL FROM:<a@example.org>\nRCPT TO:alice@example.com\nRCPT TO:<<alice@example.com>>",
    "soft_bounce=yes": "FOO\nMAIL FROM:<a@example.org>\nRCPT TO:<nosuch@example.com>\nRCPT TO:<>\nDATA\nVRFY nosuch\nMAIL FROM:<> FOO=bar",
    "smtputf8_enable=no": "MAIL FROM:<a@example.org> SMTPUTF8\nMAIL FROM:<a@example.org>\nRCPT TO:<ä@example.com>",
    "strict_smtputf8=yes": "MAIL FROM:<ä@example.org>\nMAIL FROM:<a@example.org>\nRCPT TO:<ä@example.com>",
    "debug_peer_list=192.0.2.99": "NOOP",
    "smtpd_hard_error_limit=3": "FOO\nFOO\nFOO\nNOOP",
    "smtpd_helo_required=yes": "HELP",
    "smtpd_forbid_unauth_pipelining=yes": "NOOP",
    "stress=yes": "!repeat 1 FOO\n",
    "smtpd_expansion_filter=abc": "MAIL FROM:<a@example.org>",
    "smtpd_dns_reply_filter=static:IGNORE": "MAIL FROM:<a@example.org>\nRCPT TO:<alice@example.com>",
    "smtpd_timeout=1s": "!sleep 1.6\n!read",
    "myhostname=relay.example.com": "HELP",
    "mail_name=Mail": "NOOP",
}
main("""
    notify_classes =
    smtpd_error_sleep_time = 0
""")
for n, setting in enumerate(CASES):
    master(f"{2600 + n} inet n - n - - smtpd\n  -o {{ {setting} }}\n")
start()
for n, (setting, dialogue) in enumerate(CASES.items()):
    note(setting)
    for src in ("192.0.2.10", "192.0.2.13") if "address_maps" in setting else ("192.0.2.10",):
        smtp("EHLO client.example.org\n" + dialogue + "\nQUIT", src=src, port=2600 + n)
smtp("""
    HELO client.example.org
    MAIL FROM:<a@example.org> FOO=bar
    MAIL FROM:<> AUTH=<>
    MAIL FROM:<>
    RCPT TO:<alice@example.com> FOO=bar
    RCPT TO:<>
    RCPT TO:<alice@example.com>
    RSET
    NOOP
    VRFY alice
    VRFY nosuch
    VRFY
    QUIT
""")
smtp("""
    EHLO client.example.org
    BDAT 0
    BDAT 0 LAST
    MAIL FROM:<a@example.org>
    BDAT 0
    RCPT TO:<alice@example.com>
    BDAT 0
    RCPT TO:<alice@example.com>
    !raw "BDAT 3\\r\\na\\r\\n"
    !read
    BDAT 0
    !raw "BDAT 3 LAST\\r\\nb\\r\\n"
    !read
    MAIL FROM:<a@example.org> SIZE=9223372036854775808
    MAIL FROM:<a@example.org> SIZE=9223372036854775807
    MAIL FROM:<a@example.org>
    RSET
    QUIT
""")
