"""master.cf and the daemons: sockets, users, chroot, names, idle and missing services, each program's job (S-MASTER, S-DAEMON)"""
import os
import re
import stat
import time

sink("mx1", "192.0.2.20:25")
raw_server("silent", "192.0.2.22:25", hold=60)
file("/etc/postfix/transport", """
    slow.test     relay:[192.0.2.22]
    gone.test     nosuch:
    error.test    error:5.2.1 mailbox disabled
    retry.test    retry:4.0.0 later
    dis.test      discard:silently
    clone.test    myfilter:[192.0.2.20]
    virt.test     virtual:
    pipe.test     tofile:
""")
quiet("postmap hash:/etc/postfix/transport")
file("/etc/postfix/vmailbox", "box@virt.test box\n")
quiet("postmap hash:/etc/postfix/vmailbox")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = hash:/etc/postfix/transport
    relay_domains = example.org backup.test slow.test
    virtual_mailbox_maps = hash:/etc/postfix/vmailbox
    virtual_mailbox_base = /var/vmail
    virtual_uid_maps = static:5000
    virtual_gid_maps = static:5000
    local_recipient_maps = proxy:unix:passwd.byname $alias_maps
    fast_flush_domains = $relay_domains
    unverified_sender_reject_code = 450
    tofile_destination_recipient_limit = 1
    anvil_status_update_time = 1s
    anvil_rate_time_unit = 2s
""")
master("""
    10025   inet  n - y - - smtpd -o syslog_name=postfix/chrooted -o smtpd_sender_restrictions=reject_unverified_sender
    10026   inet  n - n - - smtpd -o smtpd_client_connection_count_limit=1 -o smtpd_client_event_limit_exceptions= -o max_use=1
    submission inet n - n - - smtpd
        -o syslog_name=postfix/submission
    smtp    unix  - - y - - smtp
    relay   unix  - - n - - smtp
        -o syslog_name=postfix/$service_name
        -o smtp_helo_timeout=2 -o smtp_connect_timeout=2
    myfilter unix - - n - - smtp -o syslog_name=postfix/$service_name
    tofile  unix  - n n - - pipe flags=X user=filter argv=/bin/sh -c cat>>/tmp/tofile.$$
    flush   unix  n - n 1000? 0 flush
    idler   unix  - - n - 1 verify -o max_idle=1s
    10027   inet  n - n - - smtpd -o max_idle=1s
""")
# Chrooted daemons find these in the jail (S-MASTER-11).
quiet("mkdir -p /var/spool/postfix/etc && cp /etc/services /etc/resolv.conf /etc/nsswitch.conf /etc/hosts /var/spool/postfix/etc/")
dns("backup.test MX 10 nobody.backup.test\nnobody.backup.test A 192.0.2.23\nslow.test A 192.0.2.22")
start()


def send(to, text="Subject: s\n\nx\n", user="bob", options=""):
    quiet(f"sendmail {options} {to}", text, user=user)


# S-MASTER-05: one socket for each entry, in private/ or public/.
sockets = {d: {f for f in os.listdir("/var/spool/postfix/" + d) if stat.S_ISSOCK(os.stat(f"/var/spool/postfix/{d}/{f}").st_mode)} for d in ("private", "public")}
expected = {"private": "tlsmgr rewrite bounce defer trace verify proxymap proxywrite smtp relay error retry discard local virtual lmtp anvil scache myfilter tofile idler",
            "public": "pickup cleanup qmgr flush showq postlog"}
for where, names in expected.items():
    check(sockets[where] == set(names.split()), f"S-MASTER-05: {where} has a socket for each entry: {sockets[where] ^ set(names.split())}")

# S-MASTER-10, S-DAEMON-04..06, S-DAEMON-11: without headers, to a bare name.
send("alice", "hello\n")
settle()
st = os.stat("/var/mail/alice")
check((st.st_uid, st.st_mode & 0o777) == (1001, 0o600), "S-MASTER-10: local(8) has the rights to give the mailbox to its user")
box = quiet("cat /var/mail/alice").stdout
for header in ("From: Bob Example <bob@example.com>", "Date: ", "Message-Id: <"):
    check("\n" + header in box, f"S-DAEMON-04: cleanup adds {header}: {box}")
for line in (r"postfix/cleanup: (\w+): message-id=<.*@mail.example.com>", r"postfix/qmgr: \w+: from=<bob@example.com>, size=\d+, nrcpt=1 \(queue active\)",
             r"postfix/local: \w+: to=<alice@example.com>, orig_to=<alice>, relay=local, .*status=sent \(delivered to mailbox\)", r"postfix/qmgr: \w+: removed"):
    check(grep(line), f"S-DAEMON-04..06, S-DAEMON-11: {line}")

# S-DAEMON-07, S-MASTER-16
ask("EHLO c\nMAIL FROM:<s@example.org>\nRCPT TO:<bob@example.com>\nDATA\nx\n.\nQUIT", port=587, dst="127.0.0.1", src="127.0.0.1")
for line in ("connect from localhost", r"\w+: client=localhost\[127.0.0.1\]", r"disconnect from localhost\[127.0.0.1\] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"):
    check(grep("^postfix/submission/smtpd: " + line, 5), f"S-DAEMON-07, S-MASTER-16: {line}")

# S-MASTER-11, S-DAEMON-23, S-SEC-02: a chrooted server has the queue directory as its root, and still knows users and tables by proxymap.
session = client(port=10025)
[pid] = [p for p in running("smtpd") if os.path.samefile(f"/proc/{p}/root", "/var/spool/postfix")] or [0]
check(pid, "S-MASTER-11: the root of the smtpd with chroot=y is the queue directory")
check(os.path.exists(f"/proc/{pid}/root/pid") and not os.path.exists(f"/proc/{pid}/root/var/spool/postfix/pid"), "S-MASTER-11: it sees /pid")
session.close()
got = ask("HELO c\nMAIL FROM:<>\nRCPT TO:<alice@example.com>\nRCPT TO:<nobodyhere@example.com>\nQUIT", port=10025)
check(got[3].startswith("250"), f"S-DAEMON-23: chrooted, a known user: {got}")
check(got[4].startswith("550 5.1.1 <nobodyhere@example.com>: Recipient address rejected: User unknown in local recipient table"), f"S-DAEMON-23: an unknown: {got}")
if "smtpd" not in quiet("postconf -M local/unix").stdout:
    check(all(os.readlink(f"/proc/{p}/root") == "/" for p in running("local")), "S-MASTER-11: others are not chrooted")

# S-DAEMON-19
got = ask("HELO c\nMAIL FROM:<nosuch@example.com>\nRCPT TO:<alice@example.com>\nQUIT", port=10025)
for _ in range(40):
    if "unverified address" in got[3]:
        break
    time.sleep(0.3)
    got = ask("HELO c\nMAIL FROM:<nosuch@example.com>\nRCPT TO:<alice@example.com>\nQUIT", port=10025)
check(got[3].startswith('450 4.1.7 <nosuch@example.com>: Sender address rejected: un') and "unknown user: \"nosuch\"" in got[3], f"S-DAEMON-19: {got}")
check(grep("status=undeliverable", 5), "S-DAEMON-19: the probe is in the log")

# S-DAEMON-20
first = client(port=10026)
got = ask("QUIT", port=10026)
check(got[0] == "421 4.7.0 mail.example.com Error: too many connections from 192.0.2.10", f"S-DAEMON-20: {got}")
first.close()

# S-MASTER-17, S-DAEMON-09, S-DAEMON-21: transports by name; the chrooted client finds hosts by DNS and port 25 by services.
send("r@example.org u@clone.test")
send("after@example.org")
settle()
check(grep(r"postfix/relay/smtp: \w+: to=<r@example.org>, relay=mx.example.org\[192.0.2.20\]:25, .*status=sent"), "S-MASTER-17: relay")
check(grep(r"postfix/myfilter/smtp: \w+: to=<u@clone.test>, relay=192.0.2.20\[192.0.2.20\]:25, .*status=sent"), "S-MASTER-17: a clone of one's own")
check(any(n for n in os.listdir("/var/spool/postfix/private") if n == "myfilter"), "S-MASTER-17: has its own socket")

# S-DAEMON-12, S-DAEMON-13, S-DAEMON-15, S-DAEMON-16
send("box@virt.test p@pipe.test u@dis.test")
send("u@error.test", options="-f carol@example.com")
send("u@retry.test u@gone.test")
settle()
check(quiet("cat /var/vmail/box").stdout.startswith("From bob@example.com  "), "S-DAEMON-12: virtual delivers to its mailbox (S-TRAP-27: two blanks)")
check(os.stat("/var/vmail/box").st_uid == 5000, "S-DAEMON-12: as the user of the map")
files = [f for f in os.listdir("/tmp") if f.startswith("tofile.")]
check(len(files) == 1 and os.stat("/tmp/" + files[0]).st_uid == 1005, f"S-DAEMON-13: pipe runs the command as its user: {files}")
check(grep(r"postfix/discard: \w+: to=<u@dis.test>, relay=none, .*status=sent \(silently\)"), "S-DAEMON-16: discard")
check(grep(r"postfix/error: \w+: to=<u@error.test>, relay=none, .*dsn=5.2.1, status=bounced \(mailbox disabled\)"), "S-DAEMON-15: error")
check(grep(r"postfix/(error|retry|retry/error): \w+: to=<u@retry.test>, relay=none, .*dsn=4.0.0, status=deferred \(later\)"), "S-DAEMON-15: retry")
# S-DAEMON-14
check(grep(r"postfix/bounce: \w+: sender non-delivery notification: \w+"), "S-DAEMON-14: report")
check("mailbox disabled" in quiet("cat /var/mail/carol").stdout, "S-DAEMON-14: and it arrives")
held = [f for _, _, files in os.walk("/var/spool/postfix/defer") for f in files]
check(set(held) & set(queue_ids("deferred")), f"S-DAEMON-14: a log in defer/, named by queue id: {held}")
# S-MASTER-22 for a transport without an entry
check(grep(r"postfix/qmgr: warning: connect to transport private/nosuch: No such file or directory"), "S-MASTER-22: transport without entry")
check(grep(r"to=<u@gone.test>, .*dsn=4.3.0, status=deferred \(mail transport unavailable\)"), "S-MASTER-22: its mail is deferred")

# S-MASTER-19
begin = time.time()
send("u@slow.test")
check(grep(r"postfix/relay/smtp: \w+: to=<u@slow.test>, .*status=deferred \(conversation with .*timed out while receiving the initial server greeting\)", 10),
      f"S-MASTER-19: smtp_helo_timeout of the entry: {grep('slow.test')}")
check(1.5 < time.time() - begin < 30, f"S-MASTER-19: after its time: {time.time() - begin:.1f}")

# S-DAEMON-17
send("u@backup.test")
check(grep("to=<u@backup.test>.*status=deferred", 10), "S-DAEMON-17: deferred")
wait_file("/var/spool/postfix/flush/backup_test")
check(os.path.exists("/var/spool/postfix/flush/backup_test"), "S-DAEMON-17: the flush service has a file for the domain")

# S-DAEMON-02
before = set(running("smtpd"))
client(port=10027).close()
new = set(running("smtpd")) - before
check(len(new) == 1, "S-DAEMON-02: a process for the entry")
for _ in range(40):
    if not new & set(running("smtpd")):
        break
    time.sleep(0.1)
check(not new & set(running("smtpd")), "S-DAEMON-02: it is gone after max_idle")
check(ask("QUIT", port=10027)[0].startswith("220"), "S-DAEMON-02: and comes again; max_use is accepted")

# S-MASTER-23, S-CMD-02: a session goes on while a port is added and a service changes.
session = client()
session.do("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>")
master("10028 inet n - n - - smtpd -o mail_name=Second\nqmgr unix n - n 300 1 oqmgr\n")
quiet("postfix reload")
sleep(1)
check(ask("QUIT", port=10028)[0].startswith("220 mail.example.com ESMTP Second"), "S-MASTER-23: the new port is open")
session.lines = host.lines
at = len(host.lines)
session.do("DATA\nSubject: across the reload\n\nx\n.\nQUIT")
check(any("S: 250 2.0.0 Ok: queued as" in x for x in host.lines[at:]), f"S-MASTER-23: the session was not cut: {host.lines[at:]}")
check(grep("postfix/postfix-script: refreshing the Postfix mail system") and grep("postfix/master: reload -- version"), "S-CMD-02: lines")
# S-MASTER-24
settle()
check("across the reload" in quiet("cat /var/mail/alice").stdout, "S-MASTER-24: oqmgr delivers")
check(running("oqmgr") and not running("qmgr"), f"S-MASTER-24: by that name: {running()}")
check(grep("postfix/o?qmgr: .*from=<s@example.org>"), "S-MASTER-24: logged")

# S-MASTER-22
quiet("postconf -M# local/unix smtp/inet; postfix stop; postfix start")
sleep(0.5)
send("alice")
check(grep(r"postfix/o?qmgr: warning: connect to transport private/local: ", 10), "S-MASTER-22: local is off")
check(grep(r"to=<alice@example.com>, .*dsn=4.3.0, status=deferred \(mail transport unavailable\)", 10), "S-MASTER-22: its mail waits")
check("refused" in quiet("swaks --server 127.0.0.1 --quit-after CONNECT 2>&1").stdout, "S-MASTER-22: port 25 refuses")
# S-MASTER-08: what a command of an unprivileged user has to say reaches the file by postlogd.
quiet("postdrop -r", "no record", user="alice")
check(grep("postfix/postdrop: .*uid=1001", 5) and running("postlogd"), f"S-MASTER-08: postlogd writes maillog_file: {grep('postdrop')} {running()}")
nolog()
