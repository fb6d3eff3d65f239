"""the client's opening: EHLO or HELO, firewalls that mask the greeting, keywords to discard, replies filtered, XFORWARD, QUIT"""
# S-CLIENT-01 S-CLIENT-03 S-CLIENT-13
CASES = {
    # name: (smtp -o options, sink replies, EHLO words or None)
    "never": ("smtp_never_send_ehlo=yes", {}, None),
    "notalways": ("smtp_always_send_ehlo=no", {"BANNER": "220 mx.example.org ready"}, None),
    "esmtpword": ("smtp_always_send_ehlo=no", {"BANNER": "220 mx.example.org ESMTP ready"}, None),
    "esmtppart": ("smtp_always_send_ehlo=no", {"BANNER": "220 mx.example.org XESMTP-ready"}, None),
    "ehlo421": ("smtp_helo_name=x.example", {"EHLO": "421 4.3.2 not now"}, None),
    "ehlodrop": ("smtp_helo_name=x.example", {"EHLO": "drop"}, None),
    "pix": ("smtp_pix_workaround_delay_time=1", {"BANNER": "220 ****************************2******0*******200"}, None),
    "pixnow": ("smtp_pix_workaround_threshold_time=0 smtp_pix_workaround_delay_time=1", {"BANNER": "220 *********"}, None),
    "pixoff": ("smtp_pix_workarounds=", {"BANNER": "220 *********"}, None),
    "pixmap": ("smtp_pix_workaround_maps=static:disable_esmtp", {"BANNER": "220 *********"}, None),
    "pixmapbad": ("smtp_pix_workaround_maps=static:magic", {"BANNER": "220 *********"}, None),
    "discmap": ("smtp_discard_ehlo_keyword_address_maps=inline:{192.0.2.20=dsn,size}", {}, None),
    "discmiss": ("smtp_discard_ehlo_keyword_address_maps=inline:{192.0.2.21=dsn} smtp_discard_ehlo_keywords=size", {}, None),
    "discquiet": ("smtp_discard_ehlo_keywords=size,silent-discard", {}, None),
    "filter": ("smtp_reply_filter=pcre:/etc/postfix/replies", {"RCPT": "450-4.2.0 try\n450 4.2.0 later"}, None),
    "filter2": ("smtp_reply_filter=pcre:/etc/postfix/replies", {".": "stored\n250 2.0.0 Ok"}, None),
    "filter3": ("smtp_reply_filter=pcre:/etc/postfix/replies", {}, ["SIZE 10", "8BITMIME"]),
    "pixfail": ("smtp_pix_workaround_maps=fail:x", {}, None),
    "filterfail": ("smtp_reply_filter=fail:x", {}, None),
    "checksfail": ("smtp_header_checks=fail:x", {}, None),
    "skip5": ("smtp_skip_5xx_greeting=no", {"BANNER": "554 5.3.2 go"}, None),
    "greet3": ("smtp_skip_5xx_greeting=no", {"BANNER": "354 what"}, None),
    "greet1": ("smtp_helo_name=x.example", {"BANNER": "120 soon"}, None),
    "greet5multi": ("smtp_helo_name=x.example", {"BANNER": "554-5.3.2 no\n554 5.3.2 never"}, None),
    "quitwait": ("smtp_skip_quit_response=no", {"QUIT": "500 5.5.2 never"}, None),
    "quitdrop": ("smtp_skip_quit_response=no", {"QUIT": "drop"}, None),
    "quote": ("smtp_quote_rfc821_envelope=no", {}, None),
    "dummyauth": ("smtp_send_dummy_mail_auth=yes", {}, ["AUTH PLAIN"]),
    "size": ("smtp_helo_name=x.example", {}, ["SIZE 100"]),
    "size0": ("smtp_helo_name=x.example", {}, ["SIZE 0"]),
    "sizeless": ("smtp_helo_name=x.example", {}, ["SIZE"]),
    "sizebad": ("smtp_helo_name=x.example", {}, ["SIZE lots"]),
    "myself": ("smtp_helo_name=x.example", {"EHLO": "250 mail.example.com"}, None),
    "xforward": ("smtp_send_xforward_command=yes", {}, ["PIPELINING", "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT"]),
    "xforwardsome": ("smtp_send_xforward_command=yes", {}, ["XFORWARD NAME ADDR HELO"]),
    "xforwardno": ("smtp_send_xforward_command=yes", {"XFORWARD": "550 5.7.1 no"}, ["XFORWARD NAME ADDR HELO"]),
    "noxforward": ("smtp_send_xforward_command=yes", {}, []),
}
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = texthash:/etc/postfix/transport
    smtp_mx_session_limit = 1
    smtp_connection_cache_on_demand = no
    smtp_pix_workaround_delay_time = 1
""")
file("/etc/postfix/replies", r"""
/^450 (.*later)$/ 550 $1
/^450-(.*)$/ 550-$1
/^stored$/ 250-stored
/^250-SIZE/ 250-X
""")
rows = []
for n, (name, (options, replies, ehlo)) in enumerate(CASES.items()):
    sink(name, f"192.0.2.20:{4000 + n}" if name != "myself" else "192.0.2.20:25", replies, ehlo=ehlo)
    rows.append(f"{name}.example {name}:[192.0.2.20]" + (f":{4000 + n}" if name != "myself" else ""))
    master(f"{name} unix - - n - - smtp\n" + "".join(f"  -o {o}\n" for o in options.split()) + f"  -o syslog_name=postfix/{name}\n")
file("/etc/postfix/transport", "\n".join(rows))
start()
for name in CASES:
    who = f"a@{name}.example"
    mail("", who if name != "quote" else f'"a b"@{name}.example', f"Subject: {name}\n\nx\n")
settle()
mail("alice@example.com", "b@xforward.example", "Subject: the client's name\n\n", src="192.0.2.10")
settle()
sendmail("c@xforward.example", "Subject: local\n\n")
settle()
sinks()
