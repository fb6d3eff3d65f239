"""docs/recipes/after-queue-filter.md: SMTP filters behind the queue, chained, spawned, for one recipient; refusing, waiting, down"""
# S-RECIPE-46 S-RECIPE-47 S-RECIPE-71 S-FILTER-01 S-FILTER-04 S-FILTER-05 S-FILTER-06 S-FILTER-07 S-FILTER-08 S-FILTER-09 S-FILTER-11 S-FILTER-12
recipe("after-queue-filter")
FILTER = r"""
#!/usr/bin/python3
import smtplib, socketserver, sys
NAME, HOST, PORT = sys.argv[1:4]

def serve(read, write):
    def say(text):
        write(text.encode() + b"\r\n")
    say(f"220 {NAME} ESMTP")
    sender, recipients, forward = None, [], []
    while line := read():
        line = line.decode().strip()
        verb = line[:4].upper()
        if verb == "EHLO":
            say(f"250-{NAME}")
            say("250-XFORWARD NAME ADDR PROTO HELO SOURCE")
            say("250 8BITMIME")
        elif verb == "XFOR":
            forward.append(line)
            say("250 ok")
        elif verb == "MAIL":
            sender, recipients = line[line.index("<") + 1:line.index(">")], []
            say("250 ok")
        elif verb == "RCPT":
            recipients.append(line[line.index("<") + 1:line.index(">")])
            say("250 ok")
        elif verb == "DATA":
            say("354 go on")
            text = b""
            while (line := read()) not in (b".\r\n", b""):
                text += line[1:] if line.startswith(b"..") else line
            if b"virus" in text:
                say("550 5.7.1 virus found")
            elif b"wait" in text:
                say("451 4.7.1 scanner is busy")
            else:
                try:
                    with smtplib.SMTP(HOST, int(PORT), local_hostname=NAME) as next_hop:
                        next_hop.ehlo()
                        for command in forward if "xforward" in next_hop.esmtp_features else []:
                            next_hop.docmd(command)
                        refused = next_hop.sendmail(sender, recipients, f"X-Filter: {NAME}\r\n".encode() + text)
                        say("250 2.0.0 passed on by " + NAME)
                except Exception as error:
                    say(f"451 4.3.0 {type(error).__name__}")
        elif verb == "QUIT":
            say("221 bye")
            return
        else:
            say("250 ok")

def write_out(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        serve(self.rfile.readline, self.wfile.write)

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

if len(sys.argv) > 4:
    Server(("127.0.0.1", int(sys.argv[4])), Handler).serve_forever()
serve(sys.stdin.buffer.readline, write_out)
"""
file("/usr/local/lib/filter.py", FILTER, mode=0o755)
file("/usr/local/lib/filter", "#!/bin/sh\nexec /usr/local/lib/filter.py spawned \"$@\"\n", mode=0o755)
main("""
    virtual_alias_maps = inline:{ {both@example.com=alice,bob} }
    always_bcc = dave
    smtp_connection_cache_on_demand = no
    bounce_queue_lifetime = 0
    minimal_backoff_time = 1000s
    virtual_mailbox_domains = virtual.example
    virtual_mailbox_maps = static:all
    virtual_transport = store
""")
# Two filters for mail by one port, and one where nobody listens for mail by the other.
master("""
    2525 inet n - n - - smtpd -o content_filter=chkmsg:[127.0.0.1]:10024
    2526 inet n - n - - smtpd -o content_filter=chkmsg:[127.0.0.1]:10099
""")
quiet("mkdir -p /var/vmail; chown vmail /var/vmail")
file("/usr/local/lib/store", "#!/bin/sh\ncat >> /var/vmail/$1\n", mode=0o755)
master("store unix - n n - - pipe flags=DRhu user=vmail argv=/usr/local/lib/store ${recipient}")
start()
daemon("second", "/usr/local/lib/filter.py second localhost 10026 10025", "127.0.0.1:10025")
daemon("first", "/usr/local/lib/filter.py first localhost 10025 10024", "127.0.0.1:10024")
mail("s@example.org", "both@example.com", "Subject: clean\n\nx\n")
settle()
mail("carol@example.com", "alice@example.com nosuch@example.com", "Subject: infected\n\na virus\n")
settle()
mail("s@example.org", "bob@example.com", "Subject: busy\n\nwait a while\n")
settle()
sendmail("both@example.com user@virtual.example", "Subject: from here\n\nx\n")
settle()
mail("s@example.org", "strict@example.com", "Subject: unknown\n\nx\n")
mail("s@example.org", "bob@example.com", "Subject: two filters\n\nx\n", port=2525)
settle()
aliases("strict: bob")
mail("s@example.org", "strict@example.com", "Subject: by spawn\n\nx\n")
settle()
mail("s@example.org", "alice@example.com", "Subject: nobody there\n\nx\n", port=2526)
settle()
end("second")
mail("s@example.org", "alice@example.com", "Subject: down\n\nx\n")
settle()
mailq()
daemon("second", "/usr/local/lib/filter.py second localhost 10026 10025", "127.0.0.1:10025")
sh("postqueue -f")
settle()
for name in ("alice", "bob", "carol", "dave"):
    mbox(name, sort=True)
sh("cat /var/vmail/user@virtual.example")
log(exclude="smtpd: (dis)?connect |smtpd: lost")
