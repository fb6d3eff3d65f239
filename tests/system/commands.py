"""the commands as scripts and people use them (S-CMD), and what an installation has (S-ADMIN, S-BUILD)"""
import json
import os
import re
import time


def out(command, **more):
    r = quiet(command, **more)
    return (r.stdout + r.stderr).strip(), r.returncode


sink("mx1", "192.0.2.20:25", {"RCPT TO:<later@": ["450 4.2.0 try later", "250 2.1.5 Ok"]})
main("mynetworks = 127.0.0.0/8\nminimal_backoff_time = 300s\nqueue_run_delay = 300s")

# S-CMD-03: missing directories; silence when all is well.
quiet("postfix check; rm -rf /var/spool/postfix/hold /var/spool/postfix/defer; postfix check")
for name in ("hold", "defer"):
    s = os.stat("/var/spool/postfix/" + name)
    check((s.st_mode & 0o7777, s.st_uid, s.st_gid) == (0o700, 103, 0), f"S-CMD-03: check makes {name} again: {s}")
check(out("postfix check") == ("", 0), f"S-CMD-03: silent when all is well: {out('postfix check')}")
check(out("postfix -c /etc/postfix check") == ("", 0), "S-CMD-07")
check(out("postfix -c /nosuch check")[1] == 1, "S-CMD-07: another directory")

# S-CMD-01
start()
check(grep("postfix/postfix-script: starting the Postfix mail system"), "S-CMD-01: start is logged")
check(grep(r"postfix/master: daemon started -- version 3\.\S+, configuration /etc/postfix", 3), "S-CMD-01: by master too")
text, status = out("postfix start")
check(status == 1 and grep("fatal: the Postfix mail system is already running"), f"S-CMD-01: once: {text}")

# S-CMD-04, S-CMD-28, S-TRAP-25
quiet("sendmail later@example.org", "Subject: later\n\nx\n")
settle()
check(len(queue_ids("deferred")) == 1, "S-CMD-04: deferred")
check(out("sendmail -q30m") == ("", 0), f"S-CMD-28, S-TRAP-25: an interval is accepted: {out('sendmail -q30m')}")
settle()
check(out("postconf -h queue_run_delay")[0] == "300s", "S-TRAP-25: and changes nothing")
if queue_ids("deferred"):
    check(out("postfix flush")[1] == 0, "S-CMD-04: postfix flush")
wait_empty()
check("| Subject: later" in "\n".join("\n".join(r) for r in host.servers["mx1"].records), "S-CMD-04: tries it now")

# S-CMD-08
file("/tmp/al", "a: x\nB: \"|cmd x\", c\nlong: one,\n  two\nbad line\n")
text, status = out("postalias hash:/tmp/al")
check("postalias: warning: /tmp/al, line 5: need name:value pair" in text and status == 0, f"S-CMD-08: {text}")
check(out("postalias -q b hash:/tmp/al") == out("postalias -q B hash:/tmp/al") == ('"|cmd x", c', 0), f"S-CMD-08: key case is folded: {out('postalias -q B hash:/tmp/al')}")
check(out("postalias -q none hash:/tmp/al") == ("", 1), "S-CMD-08: not found")
rows = [x for x in out("postalias -s hash:/tmp/al")[0].split("\n") if not x.startswith(("@", "YP_"))]
check(sorted(re.sub(r":?\s+", " ", x, count=1) for x in rows) == ["a x", 'b "|cmd x", c', "long one, two"], f"S-CMD-08: -s lists: {rows}")
check(out("postalias -d a hash:/tmp/al") == ("", 0) and out("postalias -q a hash:/tmp/al")[1] == 1, "S-CMD-08: -d")
out("echo 'new: y' | postalias -i hash:/tmp/al")
check(out("postalias -q new hash:/tmp/al") == ("y", 0) and out("postalias -q b hash:/tmp/al")[1] == 0, "S-CMD-08: -i adds")
check("duplicate" in out("echo 'new: z' | postalias -i hash:/tmp/al")[0], "S-CMD-08: -w is not the default")
out("echo 'new: z' | postalias -i -r hash:/tmp/al")
check(out("postalias -q new hash:/tmp/al") == ("z", 0), "S-CMD-08: -r replaces")

# S-CMD-16, S-CMD-17, S-CMD-18
file("/etc/postfix/tt", "key1 value one\nKEY2\tvalue two\n# c\nkey1 again\n\n lonely\nkey3\n")
text, status = out("postmap /etc/postfix/tt")
check('postmap: warning: /etc/postfix/tt.db: duplicate entry: "key1"' in text, f"S-CMD-16: {text}")
check("line 7: expected format: key whitespace value" in text, f"S-CMD-16: {text}")
check(os.path.exists("/etc/postfix/tt.db"), "S-CMD-17: the type is default_database_type")
os.chmod("/etc/postfix/tt", 0o640)
for kind in ("hash", "lmdb", "cdb"):
    if kind not in out("postconf -m")[0].split():
        continue
    name = "/etc/postfix/tt." + {"hash": "db"}.get(kind, kind)
    quiet(f"rm -f {name}; postmap {kind}:/etc/postfix/tt")
    check(os.path.exists(name) and os.stat(name).st_mode & 0o777 == 0o640, f"S-CMD-17: {kind} makes {name} with the mode of its source")
    check(out(f"postmap -q key2 {kind}:/etc/postfix/tt") == ("value two", 0), f"S-CMD-16: -q, {kind}")
check(out("postmap -q none hash:/etc/postfix/tt") == ("", 1), "S-CMD-16: not found is silent")
check(out("printf 'key1\\nnone\\nkey2\\n' | postmap -q - hash:/etc/postfix/tt") == ("key1\tvalue one\nkey2\tvalue two", 0), f"S-CMD-16: -q -: {out('postmap -s hash:/etc/postfix/tt')}")
out("echo 'new val' | postmap -i hash:/etc/postfix/tt")
check(out("postmap -q new hash:/etc/postfix/tt") == ("val", 0), "S-CMD-16: -i")
check("new\tval" in out("postmap -s hash:/etc/postfix/tt")[0], "S-CMD-16: -s")
check(out("postmap -d new hash:/etc/postfix/tt")[1] == 0 and out("postmap -q new hash:/etc/postfix/tt")[1] == 1, "S-CMD-16: -d")
quiet("postmap -n hash:/etc/postfix/tt; postmap -N hash:/etc/postfix/tt")
check(out("postmap -q key2 hash:/etc/postfix/tt") == ("value two", 0), "S-CMD-16: -N, and the answers are the same")
file("/etc/postfix/hc", "/^Subject: (.*)/ REJECT matched $1\n")
check(out("postmap -h -q - regexp:/etc/postfix/hc", stdin="Subject: h17\nFoo: x\n\nSubject: body\n") == ("Subject: h17\tREJECT matched h17", 0), "S-CMD-18")
check(out("postmap -b -q - regexp:/etc/postfix/hc", stdin="Subject: h17\nFoo: x\n\nSubject: body\n") == ("Subject: body\tREJECT matched body", 0), "S-CMD-18: -b")
# S-TRAP-12
check("sequence operation is not supported" in out("postmap -s cdb:/etc/postfix/tt")[0] or "key2\tvalue two" in out("postmap -s cdb:/etc/postfix/tt")[0], "S-TRAP-12: 3.7 refuses, 3.11 lists")

# S-CMD-26, S-CMD-29
r = quiet("sendmail", "Subject: x\n\nx\n")
check(r.returncode == 75, f"S-CMD-26: without recipients: {r}")
check(grep(r"sendmail: fatal: root\(0\): Recipient addresses must be specified on the command line or via the -t option") or "Recipient addresses must be" in r.stderr, "S-CMD-26: and why")
text, status = out("sendmail -bX")
check("fatal: unsupported: -bX" in text and status == 75, f"S-CMD-26: {text} {status}")
quiet("sendmail -t -i", "To: alice\nCc: bob@example.com\nBcc: carol\nSubject: three\n\n.\nafter the dot\n", user="dave")
settle()
for user in ("alice", "bob", "carol"):
    text = quiet(f"cat /var/mail/{user}").stdout
    check("Subject: three" in text and "Bcc" not in text and "after the dot" in text, f"S-CMD-26: -t -i: {user}")
r = quiet("sendmail -F 'Full Name' -f env@example.com -N never -R hdrs -V id7 -B 8BITMIME -G -oem -odi -om -oi -L tag -U -h 5 -A x alice", "Subject: many options\n\nx\n")
settle()
check(r.returncode == 0 and "many options" in quiet("cat /var/mail/alice").stdout, f"S-CMD-26: options for other mail systems are taken: {r}")
text, status = out("sendmail -bv alice nosuch")
check(text == "Mail Delivery Status Report will be mailed to <root>." and status == 0, f"S-CMD-29: {text}")
for _ in range(50):
    report = quiet("cat /var/mail/dave").stdout
    if "Action: deliverable" in report and "Action: undeliverable" in report:
        break
    time.sleep(0.1)
check("Action: deliverable" in report and "Action: undeliverable" in report, f"S-CMD-29: the report: {report[-800:]}")

# S-CMD-30
for name in ("mailq_path", "newaliases_path", "sendmail_path"):
    path = out(f"postconf -h {name}")[0]
    check(os.path.exists(path), f"S-CMD-30, S-BUILD-03: {name} is {path}")
check(out("mailq")[0] == out("sendmail -bp")[0] == out("postqueue -p")[0], "S-CMD-30: mailq")
quiet("echo 'fresh: alice' >> /etc/aliases; newaliases")
check(out("postalias -q fresh hash:/etc/aliases")[0] == "alice", "S-CMD-30, S-ADMIN-06: newaliases")
quiet("echo 'fresher: alice' >> /etc/aliases; sendmail -bi")
check(out("postalias -q fresher hash:/etc/aliases")[0] == "alice", "S-CMD-30: by option")

# S-ADMIN-07: tables that make(1) builds aside and renames into place, seen by running daemons.
os.makedirs("/etc/postfix/make")
file("/etc/postfix/make/Makefile", "all: aliases.db access.db\naliases.db: aliases.in\n\tpostalias aliases.in\n\tmv aliases.in.db aliases.db\naccess.db: access.in\n\tpostmap access.in\n\tmv access.in.db access.db\n")
file("/etc/postfix/make/aliases.in", "made: alice\n")
file("/etc/postfix/make/access.in", "made@example.org REJECT one\n")
quiet("make -C /etc/postfix/make")
main("smtpd_sender_restrictions = check_sender_access hash:/etc/postfix/make/access\nalias_maps = hash:/etc/aliases hash:/etc/postfix/make/aliases")
quiet("postfix reload")
sleep(1)
check("REJECT" not in ask("HELO c\nMAIL FROM:<made@example.org>\nRCPT TO:<made@example.com>\nQUIT")[3] and "one" in ask("HELO c\nMAIL FROM:<made@example.org>\nRCPT TO:<made@example.com>\nQUIT")[3], "S-ADMIN-07: answers")
sleep(1)
file("/etc/postfix/make/access.in", "made@example.org REJECT two\n")
quiet("make -C /etc/postfix/make")
sleep(0.3)
check("two" in ask("HELO c\nMAIL FROM:<made@example.org>\nRCPT TO:<made@example.com>\nQUIT")[3], "S-ADMIN-07: a table renamed into place is picked up")

# S-ADMIN-05
quiet("postconf -e 'relayhost = [192.0.2.99]:nosuchport'; postfix reload; sleep 1; sendmail x@example.org", "Subject: x\n\nx\n")
settle()
lines = quiet("egrep '(reject|warning|error|fatal|panic):' /var/log/maillog").stdout
for severity in ("reject:", "fatal:", "warning:"):
    check(severity in lines, f"S-ADMIN-05: {severity} is spelled so")
quiet("postsuper -d ALL; postconf -e relayhost=; postfix reload; sleep 1")

# S-ADMIN-08: a person types; mail(1) sends nothing but headers.
import socket
s = socket.create_connection(("127.0.0.1", 25))
s.settimeout(5)
f = s.makefile("rb")
got = [f.readline()]
for line in ("helo me", "mail from:<me@example.org>", "rcpt to:<alice@example.com>", "data"):
    s.sendall(line.encode() + b"\n")
    got.append(f.readline())
s.sendall(b"Subject: typed\n\nby hand\n.\n")
try:
    got.append(f.readline())
except OSError:
    s.sendall(b"\r\n.\r\n")
    got.append(f.readline())
check([g[:3] for g in got] == [b"220", b"250", b"250", b"250", b"354", b"250"], f"S-ADMIN-08: lines without carriage return: {got}")
quiet("printf 'To: alice\\nSubject: empty\\n\\n' | sendmail -t")
settle()
text = quiet("cat /var/mail/alice").stdout
check("Subject: typed" in text and "Subject: empty" in text, "S-ADMIN-08: both arrive")

# S-CMD-19
check(re.split(r"\s+", out("postmulti -l")[0]) == ["-", "-", "y", "/etc/postfix"], f"S-CMD-19: {out('postmulti -l')}")
for name in ("main.cf", "master.cf"):
    # Debian's package ships these for `-e create`.
    if not os.path.exists(f"/etc/postfix/{name}.proto"):
        quiet(f"cp /etc/postfix/{name} /etc/postfix/{name}.proto")
for command in ("postmulti -e init", "postmulti -I postfix-out -e create", "postmulti -i postfix-out -e enable"):
    text, status = out(command)
    check(status == 0, f"S-CMD-19: {command}: {text}")
quiet("postconf -c /etc/postfix-out -e 'inet_interfaces = 127.0.0.1' 'master_service_disable =' 'inet_protocols = ipv4' compatibility_level=3.6 maillog_file=/var/log/maillog")
quiet("postconf -e inet_interfaces=192.0.2.1")
check("postfix-out" in out("postmulti -l")[0], f"S-CMD-19: listed: {out('postmulti -l')}")
quiet("postfix stop; postfix start")
sleep(0.5)
check("220 " in out("swaks --server 127.0.0.1 --quit-after CONNECT")[0], f"S-CMD-19: postfix start starts both: {grep('fatal|postfix-out')[-5:]}")
check("220 " in out("swaks --server 192.0.2.1 --quit-after CONNECT")[0], "S-CMD-19: both")
check(out("postfix status")[1] == 0 and out("postmulti -p status")[1] == 0, f"S-CMD-19: -p: {out('postmulti -p status')}")
# S-CMD-01
quiet("postfix stop")
check(grep("postfix/postfix-script: stopping the Postfix mail system"), "S-CMD-01: stop is logged")
check(out("postfix status")[1] == 1 and not running(), f"S-CMD-01: nothing is left: {running()}")
nolog()
