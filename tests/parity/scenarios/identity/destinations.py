"""what is local: myorigin, mydestination, address literals, proxy_interfaces, postmaster"""
# S-ID-03 S-ID-04 S-ID-05 S-ID-06 S-ID-10 S-ID-20 S-CLASS-10
sink("mx1", "192.0.2.20:25")
dns("""
    behind.example MX 10 mx.example.org
    behind.example MX 20 nat.example.com
    nat.example.com A 198.51.100.99
    onlyus.example MX 10 nat.example.com
""")
main("myorigin = /etc/mailname\nproxy_interfaces = 198.51.100.99\nrelay_domains = behind.example onlyus.example\nmaximal_queue_lifetime = 0")
file("/etc/mailname", "named.example\n")
start()
sendmail("-f alice bob@example.com", "Subject: origin from a file\n\n")
settle()
mbox("bob")
quiet("rm -f /var/mail/*")
main("myorigin = $mydomain")
reload()
sendmail("-f alice bob", "Subject: origin is the domain\n\n")
settle()
mbox("bob")
quiet("rm -f /var/mail/*")
RCPTS = ("kdent@other.example", "alice@mail.example.com", "alice@example.com", "alice@localhost", "alice@localhost.example.com", "alice@[192.0.2.1]", "alice@[127.0.0.1]",
         "alice@[IPv6:2001:db8::1]", "alice@[IPv6:::1]", "alice@[198.51.100.99]", "alice@[192.0.2.20]", "alice@192.0.2.1", "postmaster", "nosuch@[192.0.2.1]")
ALL = "EHLO x\nMAIL FROM:<>\n" + "".join(f"RCPT TO:<{r}>\n" for r in RCPTS) + "DATA\nSubject: all\n\n.\nQUIT\n"
smtp(ALL)
settle()
main("mydestination = $myhostname, localhost.$mydomain, localhost, $mydomain, other.example\nlocal_recipient_maps =")
reload()
smtp("EHLO x\nMAIL FROM:<>\nRCPT TO:<kdent@other.example>\nQUIT\n")
sh("grep -h '^X-Original-To' /var/mail/alice | sort; grep -c ^From /var/mail/dave")
for d in ("behind", "onlyus"):
    mail("", f"x@{d}.example", f"Subject: {d}\n\n")
    settle()
sinks()
