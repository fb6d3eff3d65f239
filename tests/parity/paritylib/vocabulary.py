"""The words of the random sessions: names that the sandbox's DNS knows and does not, restrictions, actions, parameters and their values.

What Postfix 3.7 and 3.11 do differently is left out."""

CLIENTS = ["192.0.2.10", "192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "198.51.100.10", "203.0.113.10", "2001:db8::10"]
DOMAINS = ["example.com", "example.com", "mail.example.com", "localhost", "example.org", "example.org", "sub.example.org", "example.net",
           "sub.example.net", "virtual.example", "boxes.example", "nosuch.example", "nullmx.example", "badmx.example", "servfail.example",
           "numericmx.example", "EXAMPLE.Org", "[192.0.2.1]", "[192.0.2.20]", "[IPv6:2001:db8::1]", "[127.0.0.1", "1.2.3.4", "a..b", "-x.example",
           "under_score.example", "example.org.", "unqualified", "backup.example", "localmx.example", "alias.example", "loop.example", "moved.example",
           "error.example", "[IPv6:2001:db8::20]", "[IPv6:x]", "[::1]", "deep.sub.example.org", "x" * 64 + ".example", "bücher.example"]
LOCALS = ["alice", "alice", "bob", "carol", "dave", "root", "postmaster", "abuse", "nobody", "nosuch", "alice+ext", "bob+a+b", "Alice", "user",
          "info", "box", "friend", "spammer", "a.b", "owner-list", '"quoted user"', '"al ice"@odd', "x%example.net", "uucp!user", "a@b", ".dot", "dot..dot", "MAILER-DAEMON",
          "list", "list-request", "alice-ext", '"a\\"b"', '"@"', '"alice"', "double-bounce", "é", "a/b", "!x", "/etc/passwd", "|cmd"]
ODD_ADDRESSES = ["@example.org:alice@example.com", "@a,@b:bob@example.com", "@example.org", "alice@", "<alice@example.com>", "a b@example.com", "alice@example.com@example.net", '""@example.com', "é@example.com",
                 "alice@é.example", "x" * 80 + "@example.com", "alice @example.com", "alice(c)@example.com", "a\\b@example.com", "alice@example.com.", "!bang@example.com", "alice%example.org@example.com", "user%example.net",
                 "host!user@example.com", "a,b@example.com", "a:b@example.com", "-x@example.com", "alice@example.com>x", "Alice <alice@example.com>", '"alice@example.com"', "alice;bob@example.com", "@:alice@example.com",
                 "@example.com:", "alice@@example.com", "a@[1.2.3.4]x", "a@[]", "a@b@c%d!e", "%", "!", "@", ".", '"', "\\", "alice@example.com\\", "(alice@example.com", "alice%@example.com", "postmaster@", "x@.example.com"]
COMMON_ADDRESSES = ["alice@example.com", "bob@example.com", "carol@example.com", "info@virtual.example", "user@virtual.example", "box@boxes.example", "friend@example.org", "x@example.org"]
HELOS = ["client.example.org", "mx.example.org", "x", "localhost", "mail.example.com", "[192.0.2.10]", "[1.2.3.444]", "1.2.3.4", "bad_name.example",
         "nosuch.example", "example.org", "evil.example", "sub.evil.example", "a b", "-bad.example", "", "servfail.example", "[IPv6:2001:db8::10]", "dot.", ".dot", "x" * 70 + ".example",
         "nullmx.example", "localmx.example", "<client>", "é.example", "a;b", "[192.0.2.10", "IPv6:::1", "alias.example", "backup.example", "_srv.example.org"]
# Without a BCC that has an address: Postfix sends two copies for two recipients (docs/differences.md).
ACTIONS = ["OK", "RELAY", "1", "DUNNO", "REJECT", "REJECT no way", "REJECT 5.7.9 own code", "DEFER", "DEFER later please", "DEFER_IF_PERMIT", "DEFER_IF_PERMIT maybe not",
           "DEFER_IF_REJECT", "DEFER_IF_REJECT hm", "550 no", "550 5.1.1 nope", "450 4.2.0 wait", "450 wait", "554", "521 5.7.1 go away", "DISCARD", "DISCARD gone",
           "HOLD", "HOLD look", "INFO", "INFO told", "WARN", "WARN careful", "PREPEND X-Access: yes", "PREPEND nothing", "REDIRECT bob@example.com", "REDIRECT bob",
           "FILTER discard:filtered", "FILTER nothing", "permit", "reject", "defer", "strict", "reject_unauth_destination", "permit_mynetworks, reject",
           "reject_unknown_sender_domain", "nonsense", "ok but not only", "5xx", "200", "4.7.1 x", "warn_if_reject reject", "defer_if_permit", "421 4.7.0 closing", "HANGUP", "Ok text", "dunno text",
           "REJECT 4.7.1 soft", "DEFER 5.1.1 hard", "450 5.1.1 mixed", "BCC", "REDIRECT", "FILTER", "PREPEND", "PREPEND X-Empty:", "loose", "nested", "strict, DUNNO", "hash:/etc/postfix/virtual",
           "check_sender_access hash:/etc/postfix/virtual", "reject  two  blanks", "571 Delivery not authorized", "REJECT $client", "HOLD, REJECT", "permit_auth_destination, reject",
           "reject_non_fqdn_helo_hostname", "reject_unlisted_recipient", "reject_plaintext_session", "sleep 0", "check_client_access", "warn_if_reject strict", "DISCARD, OK", "299 fine", "600 beyond", "399 below"]
CLIENT_KEYS = ["192.0.2.10", "192.0.2", "192.0", "192.0.2.11", "198.51.100", "203.0.113.10", "client.example.org", ".example.org", "example.org", "example.net", "unknown", "127.0.0.1", "192", "2001:db8::10", "2001:db8", "2001",
               "forged.example.org", "other.example.net", "org"]
HELO_KEYS = ["client.example.org", "evil.example", ".evil.example", "example.org", "x", "localhost", "[192.0.2.10]", "1.2.3.4", ".example.org", "org", "mail.example.com", "a b", "dot", "dot.", "sub.evil.example"]
ADDRESS_KEYS = ["alice@example.com", "bob@", "example.com", "example.org", ".example.org", "sub.example.org", "<>", "spammer@example.org", "friend@", "postmaster@", "alice+ext@example.com",
                "nosuch@", "virtual.example", "org", "example.net", "user@[192.0.2.1]", "root@", "info@virtual.example", "alice@", "[192.0.2.1]", "boxes.example", ".net", "alice+ext@", "null", "s@example.org", "x@"]
HOST_KEYS = ["mx.example.org", "192.0.2.20", "192.0.2", "mx.example.net", "127.0.0.1", "localhost", "example.org", "ns.example.org", "192.0.2.21", "example", "192.0.2.10", "192.0.2.25", "mail.example.com", "nosuch.example",
             "2001:db8", ".example.org", "192.0.2.22", "192.0.2.1"]
DOMAIN_KEYS = ["example.org", "nosuch.example", ".example.org", "example.com", "org", "x"]
KEYS = {"client": CLIENT_KEYS, "helo": HELO_KEYS, "address": ADDRESS_KEYS, "host": HOST_KEYS, "domain": DOMAIN_KEYS}

# `T:kind` stands for a table of such keys; alone it is a table without the name of a check.
GENERIC = ["permit_mynetworks", "permit", "reject", "defer", "defer_if_permit", "defer_if_reject", "warn_if_reject reject", "permit_inet_interfaces", "reject_plaintext_session",
           "reject_multi_recipient_bounce", "reject_unauth_pipelining", "strict", "loose", "nested", "sleep 0", "check_policy_service inet:127.0.0.1:9000",
           "check_policy_service { inet:127.0.0.1:9000, policy_context=here }", "check_policy_service { inet:127.0.0.1:9009, try_limit=1, { default_action = 450 4.3.0 down } }", "warn_if_reject defer_if_permit"]
CLIENT = ["reject_unknown_client_hostname", "reject_unknown_reverse_client_hostname", "reject_unknown_forward_client_hostname", "reject_rbl_client bl.example", "reject_rbl_client bl.example=127.0.0.[2..3]",
          "reject_rhsbl_client dbl.example", "reject_rhsbl_reverse_client dbl.example", "permit_dnswl_client wl.example", "permit_rhswl_client wl.example",
          "check_client_access T:client", "check_reverse_client_hostname_access T:client", "check_client_mx_access T:host", "check_client_ns_access T:host", "check_client_a_access T:host",
          "check_reverse_client_hostname_a_access T:host", "warn_if_reject reject_unknown_client_hostname", "check_reverse_client_hostname_mx_access T:host", "check_reverse_client_hostname_ns_access T:host",
          "reject_rbl_client bl.example=127.0.0.9", "reject_rbl_client servfail.example", "reject_rhsbl_client dbl.example=127.0.1.[2;4]", "permit_dnswl_client wl.example=127.0.0.[4..6]", "permit_dnswl_client servfail.example",
          "permit_tls_clientcerts", "permit_tls_all_clientcerts", "check_ccert_access T:client", "check_sasl_access T:client", "T:client", "reject_rbl_client", "permit_sasl_authenticated"]
HELO = ["reject_invalid_helo_hostname", "reject_non_fqdn_helo_hostname", "reject_unknown_helo_hostname", "reject_rhsbl_helo dbl.example", "check_helo_access T:helo", "check_helo_mx_access T:host",
        "check_helo_a_access T:host", "check_helo_ns_access T:host", "warn_if_reject reject_non_fqdn_helo_hostname", "reject_rhsbl_helo dbl.example=127.0.1.2", "T:helo"]
SENDER = ["reject_non_fqdn_sender", "reject_unknown_sender_domain", "reject_unlisted_sender", "reject_rhsbl_sender dbl.example", "check_sender_access T:address", "check_sender_mx_access T:host",
          "check_sender_a_access T:host", "check_sender_ns_access T:host", "warn_if_reject reject_unlisted_sender", "reject_sender_login_mismatch", "permit_sasl_authenticated",
          "reject_authenticated_sender_login_mismatch", "reject_unauthenticated_sender_login_mismatch", "reject_known_sender_login_mismatch", "reject_rhsbl_sender dbl.example=127.0.1.3", "T:address"]
RECIPIENT = ["permit_auth_destination", "permit_mx_backup", "reject_unauth_destination", "defer_unauth_destination", "reject_non_fqdn_recipient", "reject_unknown_recipient_domain",
             "reject_unlisted_recipient", "reject_rhsbl_recipient dbl.example", "check_recipient_access T:address", "check_recipient_mx_access T:host", "check_recipient_a_access T:host",
             "check_recipient_ns_access T:host", "warn_if_reject reject_unlisted_recipient", "reject_multi_recipient_bounce", "reject_rhsbl_recipient dbl.example=127.0.1.2", "T:address", "check_recipient_maps"]
ETRN = ["check_etrn_access T:domain", "T:domain"]

SETTINGS = {
    "smtpd_delay_reject": ["no"],
    "smtpd_helo_required": ["yes"],
    "strict_rfc821_envelopes": ["yes"],
    "disable_vrfy_command": ["yes"],
    "smtpd_reject_unlisted_sender": ["yes"],
    "smtpd_reject_unlisted_recipient": ["no"],
    "soft_bounce": ["yes"],
    "access_map_reject_code": ["559", "454"],
    "access_map_defer_code": ["451", "550"],
    "reject_code": ["577"],
    "defer_code": ["455"],
    "invalid_hostname_reject_code": ["450"],
    "non_fqdn_reject_code": ["454"],
    "unknown_address_reject_code": ["550"],
    "unknown_hostname_reject_code": ["550"],
    "unknown_client_reject_code": ["550"],
    "unknown_local_recipient_reject_code": ["450"],
    "unknown_virtual_alias_reject_code": ["450"],
    "unknown_virtual_mailbox_reject_code": ["450"],
    "unknown_relay_recipient_reject_code": ["450"],
    "relay_domains_reject_code": ["551"],
    "maps_rbl_reject_code": ["451"],
    "multi_recipient_bounce_reject_code": ["551"],
    "unknown_helo_hostname_tempfail_action": ["defer"],
    "unknown_address_tempfail_action": ["defer"],
    "reject_tempfail_action": ["defer"],
    "smtpd_null_access_lookup_key": ["null"],
    "parent_domain_matches_subdomains": ["", "smtpd_access_maps", "relay_domains, permit_mx_backup_networks"],
    "recipient_delimiter": ["", "+-", "-"],
    "smtpd_reject_footer": [r"\c. See http://example.com/$client_address", "For help, call $recipient_domain", "$client ($helo_name) $sender $recipient $server_name $server_port"],
    "smtpd_reject_footer_maps": ["regexp:{ {/^550 (.*)$$/ \\c; $$1} {/^4/ wait} }"],
    # Far from what a message needs that has no very long line: the record with the message-id (3.10) is part of the size that is limited.
    "message_size_limit": ["6000", "0"],
    "smtpd_recipient_limit": ["2", "3"],
    "smtpd_recipient_overshoot_limit": ["1", "2"],
    "smtpd_discard_ehlo_keywords": ["dsn, vrfy", "pipelining, chunking", "8bitmime,smtputf8", "size, etrn, silent-discard"],
    "smtpd_discard_ehlo_keyword_address_maps": ["inline:{ {192.0.2.10=dsn,pipelining}, {192.0.2.13=chunking} }"],
    "allow_percent_hack": ["no"],
    "swap_bangpath": ["no"],
    "append_dot_mydomain": ["yes"],
    "allow_untrusted_routing": ["yes"],
    "resolve_dequoted_address": ["no"],
    "resolve_null_domain": ["yes"],
    "resolve_numeric_domain": ["yes"],
    "append_at_myorigin": ["yes"],
    "allow_min_user": ["yes"],
    "smtputf8_enable": ["no"],
    "strict_smtputf8": ["yes"],
    "enable_original_recipient": ["no"],
    "always_bcc": ["dave@example.com"],
    "show_user_unknown_table_name": ["no"],
    "plaintext_reject_code": ["455"],
    "smtpd_noop_commands": ["XNOP, VRFY"],
    "smtpd_forbidden_commands": ["CONNECT, GET, JUNK", "regexp:{{/^[^A-Z]/ Bogus}}"],
    "smtpd_command_filter": ["regexp:{ {/^JUNK/ NOOP} {/^(RCPT +TO: *)([^<>[:space:]]+)$$/ $$1<$$2>} {/^HELP/ QUIT} {/^(MAIL FROM:<[^>]*>) junk$$/ $$1} }"],
    "smtpd_log_access_permit_actions": ["static:all", "permit_mynetworks, check_sender_access, OK"],
    "smtpd_junk_command_limit": ["3"],
    "smtpd_hard_error_limit": ["4"],
    "smtpd_relay_before_recipient_restrictions": ["no"],
    "smtpd_delay_open_until_valid_rcpt": ["no"],
    "smtpd_forbid_bare_newline": ["no", "reject"],
    "smtpd_forbid_unauth_pipelining": ["no"],
    "smtpd_authorized_verp_clients": ["static:all"],
    "smtpd_peername_lookup": ["no"],
    "smtpd_client_port_logging": ["yes"],
    "smtpd_expansion_filter": ["abcdefgh"],
    "default_rbl_reply": ["$rbl_code $rbl_class [$rbl_what] in $rbl_domain${rbl_reason?; $rbl_reason}${rbl_txt? txt $rbl_txt}", "$rbl_code 5.7.9 $client_name $client_address $helo_name $sender_domain $recipient_name"],
    "rbl_reply_maps": ["inline:{ {bl.example=$$rbl_code see $$client}, {dbl.example=$$rbl_code 4.7.2 $$rbl_what is on $$rbl_domain} }"],
    "permit_mx_backup_networks": ["192.0.2.0/24", "198.51.100.0/24"],
    "smtpd_sender_login_maps": ["inline:{ {alice@example.com=alice} }"],
    "line_length_limit": ["512"],
    "fast_flush_domains": ["example.org", ""],
    "relay_recipient_maps": ["inline:{ {x@example.org=y}, {@sub.example.org=y} }"],
    "local_recipient_maps": ["", "inline:{ alice=x, {bob@example.com=y} }"],
    "transport_maps": ["inline:{ {error.example=error:5.1.2 no such place}, {sub.example.net=retry:4.4.4 later}, {carol@example.com=discard:carol}, {.example.org=error:nobody} }"],
    "receive_override_options": ["no_address_mappings", "no_unknown_recipient_checks", "no_header_body_checks"],
    "content_filter": ["discard:content"],
    "defer_transports": ["local, discard"],
    "notify_classes": ["policy, protocol", "resource, software, policy"],
    "owner_request_special": ["no"],
    "virtual_alias_expansion_limit": ["2"],
    "virtual_alias_recursion_limit": ["2"],
    "virtual_alias_address_length_limit": ["30"],
    "propagate_unmatched_extensions": ["", "canonical, virtual, alias"],
    "local_header_rewrite_clients": ["", "static:all"],
    "remote_header_rewrite_domain": ["domain.invalid"],
    "masquerade_domains": ["example.com", "!sub.example.org example.org"],
    "masquerade_classes": ["envelope_recipient, header_sender"],
    "canonical_maps": ["inline:{ alice=Alice.Example, {spammer@example.org=renamed@example.net} }", "regexp:{ {/^(.*)@sub\\.(.*)$$/ $$1@$$2} }"],
    "canonical_classes": ["envelope_sender", "header_recipient, envelope_recipient"],
    "sender_canonical_maps": ["inline:{ bob=robert }"],
    "recipient_canonical_maps": ["inline:{ {bob@example.com=alice@example.com}, {@nosuch.example=@example.com} }"],
    "virtual_alias_maps": ["inline:{ {info@example.com=alice,bob}, {@all.example=carol}, {user=dave@example.com} } hash:/etc/postfix/virtual", "hash:/etc/postfix/virtual static:carol"],
    "recipient_bcc_maps": ["inline:{ {alice@example.com=dave} }"],
    "sender_bcc_maps": ["inline:{ {friend@example.org=dave} }"],
    "relocated_maps": ["inline:{ {nosuch@example.com=elsewhere@example.net}, {bob=gone}, {@moved.example=new.example} }"],
    "header_checks": ["regexp:{ {/^Subject: .*bad/ REJECT bad subject} {/^X-Drop/ IGNORE} {/^X-Hold/ HOLD held} {/^X-Add/ PREPEND X-New: added} }",
                      "regexp:{ {/^Subject: (.*)$$/ REPLACE Subject: [new] $$1} {/^To:/ INFO seen} {/^X-Drop/ DISCARD} }", "regexp:{ {/^X-Add/ FILTER discard:headers} {/^X-Hold/ REJECT 4.7.1 later} {/^X-Drop/ REDIRECT bob@example.com} }"],
    "body_checks": ["regexp:{ {/forbidden/ REJECT words} {/warned/ WARN hm} {/gone/ IGNORE} {/^x=/ REPLACE y} }", "regexp:{ {/forbidden/ DISCARD} {/warned/ HOLD} {/Hello/ PREPEND before} }"],
    "strict_7bit_headers": ["yes"],
    "strict_8bitmime": ["yes"],
    "strict_8bitmime_body": ["yes"],
    "strict_mime_encoding_domain": ["yes"],
    "disable_mime_input_processing": ["yes"],
    "hopcount_limit": ["1"],
    "undisclosed_recipients_header": ["To: nobody:;"],
    "always_add_missing_headers": ["yes"],
}

HEADERS = ["From: Alice <alice@example.com>", "From: bob", "To: alice", "To: alice@example.com, Bob <bob@sub.example.org>", "Cc: <carol@example.com>", "X-Drop: 1", "X-Hold: 1", "X-Add: 1",
           "Message-Id: <x@y>", "Date: Mon, 1 Jan 2024 00:00:00 +0000", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "Resent-From: bob@example.com",
           "To: a long,", "\tfolded@example.com,", "\tlist@example.org", "Sender: root", "Bcc: dave@example.com", "Return-Path: <x@y>", "Received: from x by y; z", "Delivered-To: alice@example.com",
           "bad header", "Reply-To: \"A B\" <a@b>, c (comment)", "Errors-To: alice", "From alice Mon Jan  1 00:00:00 2024", "To: Group: alice, bob@x;"]
BODY = ["Hello", "forbidden", "warned", "gone", "x=1", "..dots", "é 8-bit", "y" * 200, "From here", "", "--x", " ", "z" * 1100, "w" * 7000]
MAIL_OPTIONS = ["SIZE=100", "SIZE=100", "SIZE=99999999999", "SIZE=x", "BODY=8BITMIME", "BODY=7BIT", "BODY=BINARY", "SMTPUTF8", "RET=FULL", "RET=HDRS", "RET=x",
                "ENVID=abc", "ENVID=a+2Bb", "ENVID=a+b", "AUTH=<>", "FOO=BAR", "SIZE=6100", "ENVID=x ENVID=y", "smtputf8", "BODY=8bitmime", "XVERP", "XVERP==+", "XVERP=ab", "SIZE=", "SIZE=0", "SIZE=18446744073709551616", "RET=",
                "ENVID=", "BODY=", "SMTPUTF8=x", "size=1", "ret=full", "ENVID=" + "e" * 110, "RET=FULL RET=HDRS", "ENVID=a+0Ab", "BODY=BINARYMIME", "SIZE=-1", "SIZE=+1", "SIZE=1x"]
RCPT_OPTIONS = ["NOTIFY=NEVER", "NOTIFY=SUCCESS", "NOTIFY=FAILURE,DELAY", "NOTIFY=NEVER,SUCCESS", "NOTIFY=x", "ORCPT=rfc822;a@b", "ORCPT=rfc822;a+20b@c", "ORCPT=nothing",
                "ORCPT=utf-8;x@y", "FOO", "NOTIFY=", "notify=never", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=SUCCESS NOTIFY=DELAY", "ORCPT=rfc822;", "ORCPT=;x", "ORCPT=rfc822;a+b", "ORCPT=rfc822;a@b ORCPT=rfc822;c@d",
                "ORCPT=UTF-8;\\x{E9}@y", "ORCPT=utf-8;é@y", "NOTIFY=SUCCESS,", "NOTIFY=,", "ORCPT=rfc822;" + "o" * 120 + "@x", "orcpt=RFC822;A@B", "SIZE=1", "NOTIFY"]
ODD_COMMANDS = ["NOOP", "NOOP x", "RSET", "RSET", "RSET x", "VRFY alice", "VRFY alice@example.com", "VRFY nosuch@example.com", "VRFY", "VRFY <bob@example.org>", "HELP", "EXPN list", "JUNK", "XNOP", "GET / HTTP/1.0",
                "", "DATA", "BDAT x", "ETRN example.org", "ETRN nosuch.example", "ETRN", "ETRN #x", "ETRN a b", "STARTTLS", "AUTH PLAIN AGEAYg==", "QUIT now", "MAIL", "RCPT", "Subject: x", "XCLIENT ADDR=1.2.3.4", "XFORWARD NAME=x",
                "MAIL FROM:<>", "DATA x", "VRFY a b", "VRFY alice SMTPUTF8", "x" * 300, "VRFY x@nosuch.example", "VRFY postmaster", "VRFY é SMTPUTF8", "VRFY <>", "ETRN @example.org", "ETRN example.com", "ETRN [192.0.2.20]", "ETRN -x",
                "ETRN x..y", "HELO", "EHLO", "HELP MAIL", "QUIT", " NOOP", "noop", "BDAT", "BDAT 5 FIRST", "BDAT 0", "BDAT 0 LAST", "BDAT -1", "MAIL FROM:", "RCPT TO:", "RCPT TO:<>", "CONNECT x", "AUTH", "VRFY <alice", "TURN", "SEND FROM:<a@b>",
                "VRFY box@boxes.example", "VRFY info@virtual.example"]
RAW_COMMANDS = [rb"NOOP\x00x\r\n", rb"N\xf6\xf6p\r\n", rb"NOOP\n", rb"NOOP \rx\r\n", rb"VRFY al\tice\r\n", rb"VRFY \xff@example.com\r\n", rb"\r\n", rb"\x80\r\n", rb"MAIL FROM:<a\x01@example.org>\r\n", rb"RCPT TO:<\xc3\xa9@example.com>\r\n",
                rb"RCPT TO:<b\xe9@example.com>\r\n", rb"NOOP " + b"n" * 3000 + rb"\r\n", rb"HELO a\tb\r\n", rb"EHLO \xc3\xa9\r\n", rb"\tNOOP\r\n", rb"NOOP\r\r\n", rb"X-Y: z\r\n", rb"ETRN \xc3\xa9.example\r\n"]
XCLIENT = ["ADDR=198.51.100.7", "ADDR=192.0.2.11", "ADDR=IPV6:2001:db8::77", "NAME=other.example", "NAME=evil.example", "NAME=[UNAVAILABLE]", "NAME=[TEMPUNAVAIL]", "PORT=1234", "PROTO=SMTP", "PROTO=ESMTP", "HELO=spike", "HELO=[UNAVAILABLE]",
           "DESTADDR=192.0.2.1", "DESTPORT=25", "REVERSE_NAME=rev.example", "REVERSE_NAME=[UNAVAILABLE]", "ADDR=bad", "ADDR=[UNAVAILABLE]", "FOO=bar", "NAME=", "NAME", "PORT=x", "PROTO=LMTP", "NAME=a+20b", "NAME=a+b", "ADDR=127.0.0.1",
           "NAME=bad..name", "DESTADDR=x", "DESTPORT=99999", "addr=192.0.2.9", "PORT=[UNAVAILABLE]"]
XFORWARD = ["NAME=spike.example", "ADDR=203.0.113.5", "PORT=9", "HELO=spike", "PROTO=SMTP", "SOURCE=REMOTE", "SOURCE=LOCAL", "IDENT=abc", "NAME=[UNAVAILABLE]", "ADDR=[UNAVAILABLE]", "ADDR=bad", "SOURCE=x", "NAME=a+20b", "NAME=", "FOO=x", "IDENT=+41",
            "HELO=a+0Ab", "PROTO=x", "PORT=x", "ADDR=IPV6:2001:db8::5", "NAME=" + "n" * 300, "DOMAIN=rewrite"]
