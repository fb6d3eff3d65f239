"""bad input in tables: malformed lines, a table that is not there, a pattern that explodes (S-TABLE-18, S-TABLE-21)"""
import time

file("/etc/postfix/bad.texthash", "good@t.example alice\nnovalue\nlast@t.example bob\n")
file("/etc/postfix/bad.regexp", "/^good@r\\.example$/ alice\n/unclosed( x\n/^last@r\\.example$/ bob\n")
file("/etc/postfix/bad.pcre", "/^good@p\\.example$/ alice\n/unclosed( x\n/^last@p\\.example$/ bob\n")
file("/etc/postfix/bad.cidr", "192.0.2.13 REJECT good\n300.0.0.0/8 REJECT bad\n192.0.2.12/32 REJECT last\n")
file("/etc/postfix/slow.pcre", "/^X-Slow: (a+)+$/ REJECT slow\n/^X-Bad:/ REJECT bad header\n")
for kind in ("texthash", "regexp", "pcre"):
    domain = kind[0] + ".example"
    for who, answer in (("good", "alice"), ("last", "bob")):
        found = quiet(f"postmap -q {who}@{domain} {kind}:/etc/postfix/bad.{kind}")
        check(found.stdout == answer + "\n", f"{kind}: {who} is found in spite of the bad line")
        check("warning: " in found.stderr and "/etc/postfix/bad." in found.stderr and "line 2" in found.stderr, f"{kind}: file and line are told: {found.stderr}")
main("""
    virtual_alias_domains = t.example r.example p.example
    virtual_alias_maps = texthash:/etc/postfix/bad.texthash, regexp:/etc/postfix/bad.regexp, pcre:/etc/postfix/bad.pcre
    smtpd_client_restrictions = check_client_access cidr:/etc/postfix/bad.cidr
    header_checks = pcre:/etc/postfix/slow.pcre
    smtpd_delay_reject = yes
""")
master("""
    10025 inet n - n - - smtpd
        -o smtpd_recipient_restrictions=check_recipient_access,hash:/etc/postfix/nosuch,permit_mynetworks,reject
        -o smtpd_client_restrictions=
""")
start()


def rcpt(address, src="192.0.2.10", port=25):
    return ask(f"HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<{address}>\nQUIT", port=port, src=src)[3]


for address in ("good@t.example", "last@t.example", "good@r.example", "last@r.example", "good@p.example", "last@p.example"):
    check(rcpt(address).startswith("250"), f"{address} is there")
for src in ("192.0.2.13", "192.0.2.12"):
    check(rcpt("good@t.example", src).startswith("554"), f"{src} is refused by the rule before and after the bad one")
check(grep("bad.cidr.*line 2", wait=3), "the service tells file and line")
reply = rcpt("alice@example.com", port=10025)
check(reply.startswith("451"), f"a table that is not there: {reply}")
check(grep("smtpd: .*hash:/etc/postfix/nosuch is unavailable", wait=3), "the log names it")
begin = time.time()
mail("s@example.org", "good@t.example", "X-Slow: " + "a" * 900 + "!\nSubject: slow\n\nx\n")
took = time.time() - begin
check(took < 20, f"a pattern that explodes is stopped ({took:.1f} s)")
check(grep("slow.pcre", wait=3), "and the log names the table")
settle()
check("Subject: slow" in open("/var/mail/alice").read(), "the mail has arrived")
nolog()
