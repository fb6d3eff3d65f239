"""main.cf and master.cf as the running system takes them: lists, files, owners, what needs a reload (S-CONF)"""
import os

sink("mx1", "192.0.2.20:25")
file("/etc/postfix/domains", "# a comment\nlist1.test, list2.test\n\nlist3.test\n")
file("/etc/postfix/dest", "foo.test x\n")
quiet("postmap hash:/etc/postfix/dest")
file("/etc/postfix/relay", "deep.test whatever it says\n")
quiet("postmap hash:/etc/postfix/relay")
file("/etc/postfix/senders.re", "/^re@/ REJECT by regexp one\n")
file("/etc/postfix/senders", "first@example.org REJECT by hash one\n")
quiet("postmap hash:/etc/postfix/senders")
file("/etc/postfix/trap.cidr", "10.5.1.0/22 OK\n")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    mydestination = $myhostname $mydomain hash:/etc/postfix/dest !list2.test /etc/postfix/domains
    relay_domains = hash:/etc/postfix/relay
    masquerade_domains = !a.b.example.com example.com
    inet_interfaces = 127.0.0.1, 192.0.2.1
    smtpd_sender_restrictions = check_sender_access hash:/etc/postfix/senders, check_sender_access regexp:/etc/postfix/senders.re
    local_recipient_maps =
    smtpd_delay_reject = no
""")
aliases("late: alice")
start()


def rcpt(address, src="192.0.2.10"):
    return ask(f"HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<{address}>\nQUIT", src=src)[3]


def sender(address):
    return ask(f"HELO c\nMAIL FROM:<{address}>\nQUIT")[2]


# S-CONF-11, S-CONF-12, S-CONF-13: from a stranger, so that only domains of the lists are accepted.
for domain, good in {"list1.test": True, "list3.test": True, "list2.test": False, "foo.test": True, "deep.test": True, "other.test": False}.items():
    got = rcpt("u@" + domain, src="192.0.2.13")
    check(got.startswith("250" if good else "454 4.7.1"), f"S-CONF-11..13: {domain} is {'in the lists' if good else 'in none'}: {got}")
sendmail("-f q@w.a.b.example.com x@example.org", "From: u@h.example.com\nSubject: m\n\nx\n")
settle()
wait_log("to=<x@example.org>")
text = "\n".join(host.servers["mx1"].records[0])
check("MAIL FROM:<q@w.a.b.example.com>" in text and "From: u@example.com" in text, f"S-CONF-13: !pattern excludes: {text[:300]}")

# S-CONF-11: a list file that is missing.
quiet("postconf -e 'mynetworks = /nosuch'; postfix reload")
sleep(1)
got = rcpt("alice@example.com")
check(got == "451 4.3.0 <alice@example.com>: Temporary lookup failure" or "Temporary lookup failure" in "".join(ask("HELO c\nMAIL FROM:<s@example.org>")),
      f"S-CONF-11: missing list file: {got}")
check(grep("open file /nosuch: No such file or directory", 3), "S-CONF-11: the log says which file")

# S-CONF-24, S-TRAP-07: host bits in a network.
quiet("postconf -e 'mynetworks = 10.5.1.0/22 172.16.70.0/16'; postfix reload")
sleep(1)
got = rcpt("alice@example.com")
check(got.startswith("451 4.3.0"), f"S-TRAP-07: host bits are a temporary error for all: {got}")
check(grep("warning: .*10.5.1.0/22", 3), f"S-TRAP-07: and a warning: {grep('10.5.1')}")
quiet("postconf -e 'mynetworks = 127.0.0.0/8'; postfix reload")
sleep(1)

# S-CONF-24, S-CONF-25: an indexed table is noticed at once or soon, a rule table after a reload at the latest.
check("by hash one" in sender("first@example.org"), "S-CONF-24: table as at start")
check(sender("second@example.org").startswith("250"), "S-CONF-24: not listed yet")
file("/etc/postfix/senders", "second@example.org REJECT by hash two\n")
quiet("postmap hash:/etc/postfix/senders")
sleep(0.3)
got = sender("second@example.org")
check("by hash two" in got, f"S-CONF-24, S-CONF-25: an indexed table is new for a new connection, without reload: {got}")
check(sender("first@example.org").startswith("250"), "S-CONF-24: and the old row is gone")
file("/etc/postfix/senders.re", "/^re@/ REJECT by regexp two\n")
quiet("postfix reload")
sleep(1)
check("by regexp two" in sender("re@example.org"), "S-CONF-24: a rule table after a reload")
sendmail("late@example.com", "Subject: one\n\nx\n", user="bob")
settle()
quiet("sed -i 's/^late:.*/late: carol/' /etc/aliases; newaliases")
sendmail("late@example.com", "Subject: two\n\nx\n", user="bob")
settle()
check(os.path.exists("/var/mail/carol") and os.path.exists("/var/mail/alice"), "S-CONF-25: a running local(8) sees the new alias after newaliases")

# S-CONF-26: interfaces are not changed by a reload.
quiet("ip addr add 192.0.2.2/24 dev eth0 2>/dev/null; postconf -e 'inet_interfaces = 127.0.0.1, 192.0.2.1, 192.0.2.2'; postfix reload")
sleep(1)
check(grep("postfix/master: warning: service smtp: ignoring inet_interfaces change"), "S-CONF-26: said for the service")
check(grep("postfix/master: warning: to change inet_interfaces, stop and start Postfix"), "S-CONF-26: and what to do")
check("refused" in quiet("swaks --server 192.0.2.2 --quit-after CONNECT 2>&1").stdout, "S-CONF-26: the new address refuses")
check(ask("QUIT")[0].startswith("220"), "S-CONF-26: the old one answers")
quiet("postfix stop; postfix start")
check("220 " in quiet("swaks --server 192.0.2.2 --quit-after CONNECT 2>&1").stdout, "S-CONF-26: stop and start opens it")

# S-CONF-20
for command, path, warning in (
    ("chown alice", "/etc/postfix/main.cf", "not owned by root: /etc/postfix/./main.cf"),
    ("chmod 666", "/etc/postfix/master.cf", "group or other writable: /etc/postfix/./master.cf"),
    ("chown alice", "/var/spool/postfix/private", "not owned by postfix: /var/spool/postfix/private"),
    ("chmod g-s", "/usr/sbin/postdrop", "not set-gid or not owner+group+world executable: /usr/sbin/postdrop"),
):
    check(not grep("warning: " + warning), f"S-CONF-20: not yet {warning}")
    quiet(f"{command} {path}; postfix check")
    check(grep("postfix/postfix-script: warning: " + warning.replace("+", r"\+")), f"S-CONF-20: {warning}")
nolog()
