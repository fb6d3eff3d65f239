"""docs/recipes/amavis.md: Debian's amavisd behind the queue and in front of it (S-INT-09, S-FILTER-10)"""
import re

peer("amavis")
recipe("amavis")
user("amavis", 1300)
main("smtp_connection_cache_on_demand = no\nsmtpd_authorized_xforward_hosts = 192.0.2.10\nnotify_classes =")
sh("mkdir -p /var/lib/amavis/tmp /var/lib/amavis/db /var/lib/amavis/virusmails /run/amavis; cp -a -n /srv/peers/amavis/etc/amavis /etc/ ; "
   "chown -R amavis:amavis /var/lib/amavis /run/amavis")
daemon("amavisd", "/usr/sbin/amavisd -u amavis -g amavis foreground", "127.0.0.1:10024")
start()
HEAD = "From: s@example.org\nTo: alice@example.com\nDate: Mon, 02 Nov 2026 10:00:00 +0000\nMessage-ID: <1@example.org>\n"
PLAIN = HEAD + "Subject: plain\n\n.a body\n"
BANNED = HEAD + """Subject: banned
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: application/octet-stream; name="tool.exe"
Content-Disposition: attachment; filename="tool.exe"

x
--b--
"""
for port in (25, 2525):
    mail("s@example.org", "alice@example.com bob@example.com", PLAIN, port=port)
    settle()
    mail("s@example.org", "alice@example.com", BANNED, port=port)
    settle()
sendmail("-f s@example.org alice@example.com", PLAIN)
settle()
mbox("alice", sort=True)
mbox("bob", sort=True)
end("amavisd")
for port in (25, 2525):
    mail("s@example.org", "alice@example.com", PLAIN, port=port)
    settle()
log(exclude="amavis: ")
# amavisd's own ids
for n, line in enumerate(host.lines):
    host.lines[n] = re.sub(r"\bid=\d{5}-\d\d\b", "id=AMAVIS", re.sub(r"^(\| ? id )[\w-]{12}\b", r"\1AMAVIS", line))
