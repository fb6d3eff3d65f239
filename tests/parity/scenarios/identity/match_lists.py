"""lists of networks: files, tables, exceptions with !, patterns, names, IPv6, what is malformed (S-ID-11, S-ID-12, S-MAP-13)"""
file("/etc/postfix/nets", "# a comment\n192.0.2.10\n  !192.0.2.11 192.0.2.12,\n/etc/postfix/more\n")
file("/etc/postfix/more", "cidr:/etc/postfix/cidr\n[2001:db8::10]\n")
file("/etc/postfix/cidr", "192.0.2.14 x\n!192.0.2.0/24 outside\n2001:db8::12/127 x\n")
file("/etc/postfix/tail", "192.0.2.10 # one\n192.0.2.11\n")
file("/etc/postfix/badfile", "192.0.2.10\n192.0.2.11/33\n192.0.2.12\n")
file("/etc/postfix/empty", "")
postmap("hash:/etc/postfix/table", "192.0.2.15 x\n198.51.100 x\n2001:db8:0:0 x\n2001:db8::14 x\nclient.example.org x\nexample.net x\n")
CLIENTS = ("192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", "192.0.2.15", "192.0.2.16", "198.51.100.10", "203.0.113.10", "2001:db8::10", "2001:db8::12", "2001:db8::14")
LISTS = ("/etc/postfix/nets", "!192.0.2.10, 192.0.2.8/29", "192.0.2.10/32 [2001:db8::10]/125", "hash:/etc/postfix/table", "!hash:/etc/postfix/table, 192.0.2.0/24 198.51.100.0/24", "!/etc/postfix/nets, 0.0.0.0/0",
         "192.0.2.10/24", "192.0.2", "192.0.2.10 192.0.2.11/33", "2001:db8::10", "[2001:db8::10]", "[2001:db8::10/125]", "[2001:db8::11]/125 192.0.2.10", "/etc/postfix/nosuch, 192.0.2.10", "hash:/etc/postfix/nosuch 192.0.2.10",
         "192.0.2.10 hash:/etc/postfix/nosuch", "192.0.2.[10;12..14]", "192.0.2.[10", "!", "192.0.2.10, , ,", "client.example.org", "example.org", ".example.org", "!client.example.org example.org 192.0.2.0/24", "unknown", "0.0.0.0/0",
         "[::]/0", "[2001:db8::12", "192.0.2.10/x", "192.0.2.300", "nosuch:x", "/etc/postfix/tail", "/etc/postfix/badfile", "/etc/postfix/empty", "/etc/postfix", "!!192.0.2.10", "inline:{192.0.2.10=x}", "cidr:{{192.0.2.12/30 y}}",
         "[::ffff:192.0.2.10]", "192.0.2.010", "192.0.2.10-192.0.2.12", "*", "/", "!/etc/postfix/empty 192.0.2.10")
main("smtpd_error_sleep_time = 0\nmynetworks_style = host\nsmtpd_helo_required = no\nsmtpd_client_connection_count_limit = 0")
# A port for each list.
master("".join(f"{2000 + n} inet n - n - - smtpd\n  -o {{ mynetworks = {networks} }} -o syslog_name=postfix/list{n}\n" for n, networks in enumerate(LISTS)))
start()


def ask(src, port, recipient):
    """The reply to RCPT."""
    with host.net.socket(10 if ":" in src else 2, 1, src) as s:
        s.settimeout(3)
        s.bind((src, 0))
        s.connect(("2001:db8::1" if ":" in src else "192.0.2.1", port))
        f = s.makefile("rwb")
        try:
            reply = f.readline()
            for line in ("MAIL FROM:<>", f"RCPT TO:<{recipient}>"):
                f.write(line.encode() + b"\r\n")
                f.flush()
                reply = f.readline()
        except (TimeoutError, ConnectionError):
            reply = b""
        return reply.decode().strip() or "no answer"


for n, networks in enumerate(LISTS):
    host.out(f"== list {n}: {networks}")
    replies = {}
    for src in CLIENTS:
        reply = ask(src, 2000 + n, "x@far.example")
        replies.setdefault(reply, []).append(src)
        if reply == "no answer":
            break
    for reply, clients in replies.items():
        host.out(f"{reply}: {' '.join(clients)}")
# Whether a table that cannot be opened is an error for each list that names it is no matter.
log(include="smtpd: (warning|fatal)", exclude="hostname forged")
