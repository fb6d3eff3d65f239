"""time limits of the client at each stage, and the deadlines of smtp_per_request_deadline"""
# S-CLIENT-04 S-CLIENT-14
CASES = {
    "greeting": ("smtp_helo_timeout=1", {"BANNER": "delay 3 220 x ESMTP"}, None),
    "ehlo": ("smtp_helo_timeout=1", {"EHLO": "delay 3 250 x"}, None),
    "helo": ("smtp_helo_timeout=1", {"EHLO": "500 x", "HELO": "delay 3 250 x"}, None),
    "xforward": ("smtp_xforward_timeout=1 smtp_send_xforward_command=yes", {"XFORWARD": "delay 3 250 x"}, ["XFORWARD NAME ADDR HELO"]),
    "mail": ("smtp_mail_timeout=1", {"MAIL": "delay 3 250 x"}, None),
    "rcpt": ("smtp_rcpt_timeout=1", {"RCPT": "delay 3 250 x"}, None),
    "rcpt2": ("smtp_rcpt_timeout=1", {"RCPT TO:<b": "delay 3 250 x"}, None),
    "rcpt2nopipe": ("smtp_rcpt_timeout=1", {"RCPT TO:<b": "delay 3 250 x"}, []),
    "data": ("smtp_data_init_timeout=1", {"DATA": "delay 3 354 x"}, None),
    "dot": ("smtp_data_done_timeout=1", {".": "delay 3 250 x"}, None),
    "dotslow": ("smtp_data_xfer_timeout=1", {".": "delay 2 250 2.0.0 slow"}, None),
    "rset": ("smtp_rset_timeout=1", {"RCPT": "550 5.1.1 no", "RSET": "delay 3 250 x"}, []),
    "quit": ("smtp_quit_timeout=1 smtp_skip_quit_response=no", {"QUIT": "delay 3 250 x"}, None),
    "perrequest": ("smtp_per_request_deadline=yes smtp_rcpt_timeout=1", {"RCPT": "delay 3 250 x"}, None),
}
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = texthash:/etc/postfix/transport
    smtp_connection_cache_on_demand = no
""")
rows = []
for n, (name, (options, replies, ehlo)) in enumerate(CASES.items()):
    sink(name, f"192.0.2.20:{4000 + n}", replies, ehlo=ehlo)
    rows.append(f"{name}.example {name}:[192.0.2.20]:{4000 + n}")
    master(f"{name} unix - - n - - smtp\n" + "".join(f"  -o {o}\n" for o in options.split()) + f"  -o syslog_name=postfix/{name}\n")
file("/etc/postfix/transport", "\n".join(rows))
start()
for name in CASES:
    mail("", f"a@{name}.example b@{name}.example", f"Subject: {name}\n\n")
settle()
