"""the connection cache: by destination and by server, its limits in number and time, and connections that died while they waited"""
# S-CLIENT-07
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = texthash:/etc/postfix/transport
    smtp_connection_cache_on_demand = no
    smtp_connection_cache_time_limit = 30s
    connection_cache_ttl_limit = 30s
""")
dns("""
    keep.example MX 10 mx.keep.example
    other.example MX 10 mx.keep.example
    mx.keep.example A 192.0.2.20
""")
CASES = {
    # name: (options, sink replies, pause between the messages, EHLO words)
    "byname": ("smtp_connection_cache_destinations=byname.example", {}, 0, None),
    "byhop": ("smtp_connection_cache_destinations=192.0.2.20", {}, 0, None),
    "count": ("smtp_connection_cache_destinations=192.0.2.20 smtp_connection_reuse_count_limit=2", {}, 0, None),
    "time": ("smtp_connection_cache_destinations=192.0.2.20 smtp_connection_cache_time_limit=1", {}, 2.5, None),
    "age": ("smtp_connection_cache_destinations=192.0.2.20 smtp_connection_reuse_time_limit=1", {}, 1.5, None),
    "dead": ("smtp_connection_cache_destinations=192.0.2.20", {"RSET": "drop"}, 0, None),
    "refused": ("smtp_connection_cache_destinations=192.0.2.20", {"RCPT": "550 5.1.1 no"}, 0, None),
    "dotrefused": ("smtp_connection_cache_destinations=192.0.2.20", {".": "550 5.7.1 no"}, 0, []),
    "never": ("smtp_connection_cache_destinations=elsewhere.example", {}, 0, None),
}
rows = []
for n, (name, (options, replies, pause, ehlo)) in enumerate(CASES.items()):
    sink(name, f"192.0.2.20:{4000 + n}", replies, ehlo=ehlo)
    rows.append(f"{name}.example {name}:[192.0.2.20]:{4000 + n}")
    master(f"{name} unix - - n - - smtp\n" + "".join(f"  -o {o}\n" for o in options.split()) + f"  -o syslog_name=postfix/{name}\n")
# Two domains with one mail exchanger share its connections.
sink("shared", "192.0.2.20:25")
rows += ["keep.example share:keep.example", "other.example share:other.example"]
master("""
    share unix - - n - - smtp
      -o smtp_connection_cache_destinations=mx.keep.example,keep.example,other.example
      -o syslog_name=postfix/share
""")
file("/etc/postfix/transport", "\n".join(rows))
start()
for name, (options, replies, pause, ehlo) in CASES.items():
    for n in range(4 if name == "count" else 3):
        mail("", f"{n}@{name}.example", f"Subject: {name} {n}\n\n")
        settle()
        sleep(pause)
for n, domain in enumerate(("keep.example", "other.example", "keep.example")):
    mail("", f"{n}@{domain}", f"Subject: {domain} {n}\n\n")
    settle()
sinks()
nolog()
sh("grep -o 'conn_use=[0-9]*\\|to=<[^>]*>.*conn_use=[0-9]*' /var/log/maillog | sed 's/, relay.*conn_use/ conn_use/'")
