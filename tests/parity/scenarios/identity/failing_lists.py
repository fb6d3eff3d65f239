"""lists with tables that fail, files that are not there, bad patterns: qmqpd_authorized_clients, smtp_connection_cache_destinations (S-TABLE-21, S-MAP-13)"""
import os
import socket

LISTS = ("fail:x", "192.0.2.10, fail:x", "/etc/postfix/nosuch", "nosuch:x", "192.0.2.0/33 192.0.2.10", "192.0.2.10/24", "!fail:x 192.0.2.10", "example.org", "/etc/postfix/clients")
file("/etc/postfix/clients", "# more\n!192.0.2.10\nstatic:all\n")
TEXT = "Subject: x\n\nx\n"
main("""
    qmqpd_error_delay = 0s
    smtp_connection_cache_on_demand = no
    relay_domains = example.org
    in_flow_delay = 0
""")
master("628 inet n - n - - qmqpd")
sink("mx", "192.0.2.20:25")
start()


def net(text):
    return b"%d:%s," % (len(text), text.encode() if isinstance(text, str) else text)


def qmqp():
    with host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.10") as s:
        s.settimeout(10)
        s.bind(("192.0.2.10", 0))
        s.connect(("192.0.2.1", 628))
        got = b""
        try:
            s.sendall(net(net(TEXT) + net("a@example.com") + net("alice@example.com")))
            while piece := s.recv(4096):
                got += piece
        except OSError:
            pass
        return got.decode()


def told(mark, program):
    with open("/var/log/maillog") as f:
        f.seek(mark)
        lines = [line.split(": ", 1)[1] for line in f.read().split("\n") if f"/{program}[" in line]
    for line in sorted({line for line in lines if line.startswith(("warning: ", "error: ", "fatal: "))}):
        host.out(line)


for value in LISTS:
    host.out(f"== qmqpd_authorized_clients = {value}")
    quiet(f"postconf -e 'qmqpd_authorized_clients = {value}'; postfix reload")
    mark = os.path.getsize("/var/log/maillog")
    host.out(qmqp())
    settle()
    sleep(0.3)
    told(mark, "qmqpd")
quiet("postconf -X qmqpd_authorized_clients")
for value in ("192.0.2.20 mx.example.org", "mx.example.org fail:x", "!example.org static:all", "/etc/postfix/nosuch", "inline:{example.org=x} fail:x"):
    host.out(f"== smtp_connection_cache_destinations = {value}")
    quiet(f"postconf -e 'smtp_connection_cache_destinations = {value}'; postfix reload")
    mark = os.path.getsize("/var/log/maillog")
    for n in range(2):
        host._run("sendmail -f s@example.com x@example.org", "Subject: x\n\nx\n", "alice")
        settle()
    with open("/var/log/maillog") as f:
        f.seek(mark)
        text = f.read()
    host.out(f"sent {text.count('status=sent')}, deferred {text.count('status=deferred')}, by a connection of before: {text.count('conn_use=2')}")
    told(mark, "smtp")
    quiet("rm -rf /var/spool/postfix/deferred/* /var/spool/postfix/active/*")
nolog()
