"""lists of clients in every place of smtpd: tables that fail, files in files, what is malformed, exceptions (S-ID-11, S-MAP-13)"""
file("/etc/postfix/nested", "# a list in a list\n/etc/postfix/inner\n")
file("/etc/postfix/inner", "192.0.2.11\n!192.0.2.12 cidr:{{192.0.2.12/31 x}}\n[2001:db8::10]\n")
file("/etc/postfix/failing", "192.0.2.11\nfail:inside\n")
file("/etc/postfix/directory/x", "")
PLACES = {
    "smtpd_authorized_xclient_hosts": ("EHLO x", "XCLIENT NAME=a.example"),
    "smtpd_authorized_xforward_hosts": ("EHLO x", "XFORWARD NAME=a.example"),
    "smtpd_authorized_verp_clients": ("EHLO x", "MAIL FROM:<s@example.net> XVERP"),
    "smtpd_client_event_limit_exceptions": ("EHLO x", "MAIL FROM:<s@example.net>", "RSET", "MAIL FROM:<s@example.net>"),
    "smtpd_forbid_bare_newline_exclusions": ("EHLO x", "NOOP\n"),
    "debug_peer_list": ("EHLO x",),
}
LISTS = ("192.0.2.10", "fail:x", "192.0.2.10 fail:x", "!fail:x", "/etc/postfix/nosuch", "/etc/postfix/nested", "/etc/postfix/failing", "192.0.2.10/24", "192.0.2.8/29", "nosuch:x",
         "hash:/etc/postfix/nosuch", "192.0.2.0/33", "!192.0.2.10 192.0.2.0/24", "[2001:db8::]/64", ".example.org", "example.org", "cidr:{{192.0.2.11/32 x}}", "static:all", "unknown")
# With these the server does not start.
FATAL = ("/etc/postfix/directory", "!", "::1")
CLIENTS = ("192.0.2.10", "192.0.2.12", "192.0.2.11", "2001:db8::10")
main("""
    smtpd_error_sleep_time = 0
    mynetworks_style = host
    smtpd_client_connection_count_limit = 0
    smtpd_client_message_rate_limit = 1
    smtpd_authorized_verp_clients = static:all
    smtpd_client_event_limit_exceptions = static:all
    smtpd_forbid_bare_newline = reject
""")
SERVICES = [(place, value) for place in PLACES for value in LISTS + FATAL]
master("".join(f"{2000 + n} inet n - n - 1 smtpd\n  -o {{ {place} = {value} }} -o syslog_name=postfix/{place}{n}\n" for n, (place, value) in enumerate(SERVICES)))
start()


def ask(src, port, commands):
    """The last reply; what EHLO offers of XCLIENT, XFORWARD, XVERP."""
    with host.net.socket(10 if ":" in src else 2, 1, src) as s:
        s.settimeout(10)
        s.bind((src, 0))
        s.connect(("2001:db8::1" if ":" in src else "192.0.2.1", port))
        f = s.makefile("rwb")
        f.readline()
        offered = ""
        for command in commands:
            f.write(command.encode() + (b"" if command.endswith("\n") else b"\r\n"))
            f.flush()
            while True:
                reply = f.readline().decode()
                offered += "".join(f" offers {word}" for word in ("XCLIENT", "XFORWARD", "XVERP") if reply[4:].startswith(word) and reply.startswith("250"))
                if reply[3:4] != "-":
                    break
            if reply.startswith("421"):
                break
        return reply.strip() + offered


for n, (place, value) in enumerate(SERVICES):
    host.out(f"== {place} = {value}")
    replies = {}
    if value in FATAL:
        with host.net.socket(2, 1, "192.0.2.10") as s:
            s.connect(("192.0.2.1", 2000 + n))
            wait_log(f"{place}{n}/smtpd.*: fatal: ")
        continue
    for src in CLIENTS:
        replies.setdefault(ask(src, 2000 + n, PLACES[place]), []).append(src)
    for reply, clients in replies.items():
        host.out(f"{reply}: {' '.join(clients)}")
log(include="smtpd: (warning|fatal|error|NOQUEUE|< )|master: warning: process", exclude="hostname forged|throttl")
