"""smtp_per_request_deadline and smtp_min_data_rate: servers that trickle a reply or take a message drop by drop"""
# S-CLIENT-14
import time


def trickle(words, pause):
    """Serves each connection: the reply to each command byte by byte."""
    def serve(self, conn, peer):
        f = conn.makefile("rb")
        conn.sendall(b"220 slow ESMTP\r\n")
        data = False
        while True:
            line = f.readline()
            if not line:
                return
            verb = line.split()[0].upper() if line.split() else b""
            if data:
                if line == b".\r\n":
                    data = False
                    conn.sendall(b"250 2.0.0 Ok\r\n")
                continue
            reply = {b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}.get(verb, b"250 2.1.0 Ok\r\n")
            if verb in words:
                for n in range(len(reply)):
                    conn.sendall(reply[n:n + 1])
                    time.sleep(pause)
            else:
                conn.sendall(reply)
            data = verb == b"DATA"
    return serve


for n, (name, words) in enumerate({"ehlo": [b"EHLO"], "mail": [b"MAIL"], "rcpt": [b"RCPT"]}.items()):
    sink(name, f"192.0.2.20:{4000 + n}")
    host.servers[name].serve = trickle(words, 0.2).__get__(host.servers[name])
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = texthash:/etc/postfix/transport
    smtp_connection_cache_on_demand = no
""")
rows = []
for kind, deadline in (("each", "no"), ("whole", "yes")):
    for n, name in enumerate(("ehlo", "mail", "rcpt")):
        rows.append(f"{name}.{kind}.example {kind}:[192.0.2.20]:{4000 + n}")
    master(f"""
        {kind} unix - - n - - smtp
          -o smtp_per_request_deadline={deadline}
          -o smtp_helo_timeout=2
          -o smtp_mail_timeout=2
          -o smtp_rcpt_timeout=2
          -o syslog_name=postfix/{kind}
    """)
file("/etc/postfix/transport", "\n".join(rows))
start()
for row in rows:
    mail("", f"a@{row.split()[0]}", "Subject: x\n\n")
settle()
