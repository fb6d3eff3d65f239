"""LMTP: lmtp_… parameters have their own values, DSN and final delivery, headers added by flags=, probes, refusals at every stage"""
# S-LMTP-01 S-LMTP-02 S-LMTP-03 S-LMTP-04
CASES = {
    "lhlo": ("lmtp_lhlo_name=l.example smtp_helo_name=never.example", {}, None),
    "lhlo5": ("lmtp_lhlo_name=l.example", {"LHLO": "500 5.5.1 what"}, None),
    "greet5": ("lmtp_skip_5xx_greeting=no", {"BANNER": "554 5.3.2 go"}, None),
    "skip5": ("smtp_skip_5xx_greeting=no", {"BANNER": "554 5.3.2 go"}, None),
    "discard": ("lmtp_discard_lhlo_keywords=dsn,pipelining", {}, None),
    "quitwait": ("lmtp_skip_quit_response=no", {"QUIT": "500 no"}, None),
    "timeout": ("lmtp_lhlo_timeout=1", {"LHLO": "delay 3 250 x"}, None),
    "dottimeout": ("lmtp_data_done_timeout=1", {". RCPT TO:<b@": "delay 3 250 x"}, None),
    "dropmid": ("lmtp_helo_name=x", {". RCPT TO:<b@": "drop"}, None),
    "nopipe": ("lmtp_line_length_limit=40", {"RCPT TO:<b@": "550 5.1.1 no"}, []),
    "alldead": ("lmtp_line_length_limit=40", {"RCPT": "550 5.1.1 no"}, None),
    "data4": ("lmtp_line_length_limit=40", {"DATA": "451 4.3.0 later"}, None),
    "final": ("lmtp_assume_final=yes", {}, ["PIPELINING"]),
    "notfinal": ("lmtp_assume_final=no", {}, ["PIPELINING"]),
    "finaldsn": ("lmtp_assume_final=yes", {}, None),
    "flags": ("-flags=DORX", {}, None),
    "generic": ("lmtp_generic_maps=inline:{a@generic.example=z@mapped.example}", {}, None),
    "xforward": ("lmtp_send_xforward_command=yes", {}, ["XFORWARD NAME ADDR PROTO HELO SOURCE"]),
    "filter": ("lmtp_reply_filter=pcre:/etc/postfix/replies", {". RCPT TO:<b@": "250 2.0.0 Quota exceeded"}, None),
    "mail5": ("lmtp_helo_name=x", {"MAIL": "553 5.1.8 no"}, None),
}
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = texthash:/etc/postfix/transport
    lmtp_connection_cache_on_demand = no
    lmtp_destination_recipient_limit = 10
""")
main("\n".join(f"{name}_destination_recipient_limit = 10" for name in CASES if name != "flags") + "\nflags_destination_recipient_limit = 1")
file("/etc/postfix/replies", "/^250 2.0.0 (Quota.*)/ 552 5.2.2 $1")
rows = []
for n, (name, (options, replies, ehlo)) in enumerate(CASES.items()):
    lmtp_sink(name, f"192.0.2.20:{4000 + n}", replies, ehlo=ehlo)
    rows.append(f"{name}.example {name}:inet:192.0.2.20:{4000 + n}")
    options = [o for o in options.split() if "lmtp_helo_name" not in o]
    flags = options.pop()[1:] if options and options[0].startswith("-") else ""
    master(f"{name} unix - - n - - lmtp\n" + "".join(f"  -o {o}\n" for o in options) + f"  -o syslog_name=postfix/{name}\n  {flags}\n")
lmtp_sink("socket", "unix:/var/spool/postfix/lmtp-server", hostname="local.lmtp")
rows += ["rel.example lmtp:unix:lmtp-server", "nosuch.example lmtp:unix:private/nosuch", "abs.example lmtp:unix:/var/spool/postfix/lmtp-server"]
file("/etc/postfix/transport", "\n".join(rows))
start()
for name in CASES:
    # The report of success, where this is the final delivery, is for bob.
    options = {"rcpt_options": "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;orig@x.example"} if "final" in name else {}
    mail("bob@example.com" if "final" in name else "", f"a@{name}.example b@{name}.example c@{name}.example", f"Subject: {name}\n\n.dot, in a line of more than forty octets altogether\n", **options)
for domain in ("rel.example", "nosuch.example", "abs.example"):
    mail("", f"a@{domain}", "Subject: socket\n\n")
settle()
sinks(sort=True)
mbox("bob", sort=True)
