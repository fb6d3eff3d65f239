"""lists that the SMTP client asks: debug_peer_list by server, address and next hop, smtp_connection_cache_destinations; masquerade_exceptions; tables that fail (S-ID-11, S-MAP-13)"""
import os

file("/etc/postfix/peers", "# those\nmx.example.org\n/etc/postfix/more\n")
file("/etc/postfix/more", "!b.example inline:{example.org=x}\n")
sink("mx", "192.0.2.20:25")
dns("far.example MX 10 mx.example.org\nnear.example MX 10 mx.example.org")
main("""
    masquerade_domains = example.com
    in_flow_delay = 0
    relay_domains = far.example
    relayhost = near.example
    relay_transport = relay:near.example
""")
LISTS = ("192.0.2.20", "example.org", ".example.org", "far.example", "near.example", "!near.example static:all", "!mx.example.org, static:all", "mx.example.org fail:x", "/etc/postfix/nosuch", "/etc/postfix/peers", "nosuch:x", "192.0.2.20/24", "192.0.2.0/33")
start()
for value in LISTS:
    host.out(f"== debug_peer_list = {value}")
    quiet(f"postconf -e 'debug_peer_list = {value}'; postfix reload")
    mark = os.path.getsize("/var/log/maillog")
    host._run("sendmail -f s@example.net x@far.example", "Subject: x\n\nx\n", "alice")
    settle()
    with open("/var/log/maillog") as f:
        f.seek(mark)
        log_text = f.read()
    host.out("conversation logged" if "> mx.example.org[192.0.2.20]:25: MAIL FROM" in log_text else "not logged")
    for line in sorted({x.split(": ", 1)[1] for x in log_text.split("\n") if "postfix/relay/smtp[" in x and ("warning: " in x or "error: " in x or "fatal: " in x)}):
        host.out(line)
quiet("postconf -X debug_peer_list")
for value in ("!alice, static:all", "alice fail:x", "/etc/postfix/nosuch", "ALICE", "regexp:{{/^al/ x}}"):
    quiet(f"postconf -e 'masquerade_exceptions = {value}'; postfix reload")
    host.out(f"== masquerade_exceptions = {value}")
    for sender in ("alice@sub.example.com", "bob@sub.example.com"):
        host.out(f"{sender}: " + ask(f"EHLO x\nMAIL FROM:<{sender}>\nRCPT TO:<x@far.example>\nDATA\nSubject: x\n\n.\nQUIT")[-2].split(": queued")[0])
settle()
log(include="from=<")
