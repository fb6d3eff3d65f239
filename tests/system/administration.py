"""what administrators and the programs on a machine do with a mail system: cron, PHP, Webmin, log rotation, tables made from databases, missing table types
(S-INT-11, S-INT-17, S-INT-22, S-INT-23, S-DB-13, S-BUILD-01, S-BUILD-09)"""
import os
import re
import socket
import sqlite3
import threading
import time

main("""
    mynetworks = 127.0.0.0/8
    smtpd_relay_restrictions = permit_mynetworks, check_client_access hash:/etc/postfix/pop, reject_unauth_destination
    virtual_alias_maps = hash:/etc/postfix/customers
""")
sink("mx1", "192.0.2.20:25")
postmap("hash:/etc/postfix/customers", "first@example.com alice\n")
postmap("hash:/etc/postfix/pop", "# who has read mail by POP lately\n")
start()


def out(command, stdin=None, user=None):
    r = quiet(command, stdin, user)
    return r.stdout + r.stderr, r.returncode


def box(name):
    settle()
    text = open(f"/var/mail/{name}").read() if os.path.exists(f"/var/mail/{name}") else ""
    quiet(f"rm -f /var/mail/{name}")
    return text


# S-INT-17: the real cron, whose sendmail line is its own; a job at its start saves waiting for the minute.
quiet("mkdir -p /var/spool/cron/crontabs /etc/cron.d; rm -f /etc/cron.d/* /run/crond.*; : > /etc/crontab; mkdir -p /etc/pam.d; printf 'auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n' > /etc/pam.d/cron")
file("/etc/cron.d/job", "@reboot alice printf 'a line\\n.\\nafter a dot \\303\\244\\n'\n")
cron = quiet("timeout -s TERM 4 cron -f -L 0 2>&1")
text = box("alice")
check("(Cron Daemon)" in text and "Subject: Cron <alice@mail" in text, f"S-INT-17: cron's mail arrives: {cron.stdout} {text} {grep('cron|sendmail|pickup')}")
check("\na line\n.\nafter a dot \u00e4\n" in text, f"S-INT-17: whole: {text}")
got = out("sendmail -FCronDaemon -i -odi -oem -oi -t -f root", "To: alice\nSubject: older crons\n\nx\n")
text = box("alice")
check(got == ("", 0) and "From: CronDaemon <root@example.com>" in text, f"S-INT-17: other crons' line: {got} {text}")

# S-INT-17: PHP's mail(), with its default sendmail_path.
got = out("php -r 'var_dump(mail(\"alice@example.com\", \"from PHP\", \"line one\\r\\n.\\nline three\\n\", \"From: web@example.com\\r\\nBcc: bob@example.com\\r\\nX-A: b\", \"-fbounces@example.com\"));'", user="carol")
check("bool(true)" in got[0], f"S-INT-17: mail() says yes: {got}")
text, copy = box("alice"), box("bob")
check("Subject: from PHP" in text and "\nX-A: b\n" in text and "\nline one\n.\nline three\n" in text and "\r" not in text, f"S-INT-17: PHP's message arrives as it was: {text}")
check("Bcc" not in text and "Subject: from PHP" in copy, f"S-INT-17: to hidden recipients, too: {copy}")
check(text.startswith("From bounces@example.com "), f"S-INT-17: with the sender it gave: {text[:80]}")

# S-INT-11: what Webmin's Postfix module runs, and how it reads the answers.
version = out("postconf -c /etc/postfix mail_version")[0]
check(float(re.match(r"mail_version\s*=\s*(\d+\.\d+)", version)[1]) > 3, f"S-INT-11: version: {version}")
check(out("postconf -c /etc/postfix -h myhostname") == ("mail.example.com\n", 0), "S-INT-11: postconf -h")
check(re.match(r"default_privs = nobody\n", out("postconf -d default_privs")[0]), "S-INT-11: defaults")
check(out("postconf -c /etc/postfix -e 'recipient_bcc_maps=hash:/etc/postfix/bcc'") == ("", 0), "S-INT-11: sets a parameter")
file("/etc/postfix/bcc", "alice@example.com\tcarol@example.com\n")
check(out("postmap -c /etc/postfix hash:/etc/postfix/bcc") == ("", 0) and out("postmap -q alice@example.com hash:/etc/postfix/bcc") == ("carol@example.com\n", 0), "S-INT-11: makes a table")
append("/etc/aliases", "webmin: alice\n")
check(out("postalias -q webmin hash:/etc/aliases")[1] == 1 and out("newaliases") == ("", 0) and out("postalias -q webmin hash:/etc/aliases") == ("alice\n", 0), "S-INT-11: aliases, after newaliases")
check(out("postfix -c /etc/postfix check") == ("", 0) and out("postfix -c /etc/postfix reload")[1] == 0, "S-INT-11: checks and reloads")
sleep(1)
quiet("sendmail webmin@example.com alice@example.com", "Subject: from a page\n\nx\n")
check("from a page" in box("alice") and "from a page" in box("carol"), "S-INT-11: alias and copy are in force")
quiet("postconf -e defer_transports=smtp; postfix reload; sleep 1; sendmail far@example.org", "Subject: waits\n\nx\n")
settle()
rows = out("postqueue -p")[0].split("\n")
parsed = [m for m in (re.match(r"^([0-9A-Za-z]+)([*!]?)\s+(\d+)\s+(\S+\s+\S+\s+\d+\s+\d+:\d+:\d+)\s+(.*)$", row) for row in rows) if m]
check(len(parsed) == 1 and parsed[0][5] == "root@example.com", f"S-INT-11: the queue page: {rows}")
name = parsed[0][1] if parsed else "none"
check("Subject: waits" in out(f"postcat -q {name}")[0], "S-INT-11: shows a message")
for action, says in (("-h", "placed on hold"), ("-H", "released from hold"), ("-r", "requeued"), ("-d", "removed")):
    name = (re.findall(r"^([0-9A-Za-z]{6,})", out("postqueue -p")[0], re.M) or ["none"])[0]
    got = out(f"postsuper {action} {name}")
    check(got[1] == 0 and says.lower() in got[0].lower(), f"S-INT-11: postsuper {action}: {got}")
    # What is requeued waits for pickup(8).
    quiet("postkick public pickup W")
    settle()
check(out("postqueue -p")[0] == "Mail queue is empty\n" and out("postqueue -f") == ("", 0), "S-INT-11: empty, and a flush")
quiet("postconf -X defer_transports; postconf -X recipient_bcc_maps; postfix reload")
sleep(1)

# S-DB-13: a script writes the table from a database again and again, while mail that needs it comes in.
db = sqlite3.connect("/tmp/customers.db")
db.execute("create table customers (address text, name text)")
db.commit()
db.close()
file("/tmp/export", """#!/usr/bin/python3
import os, sqlite3
rows = sqlite3.connect("/tmp/customers.db").execute("select address, name from customers")
with open("/etc/postfix/customers", "w") as f:
    f.write("first@example.com alice\\n")
    f.writelines(f"{a} {n}\\n" for a, n in rows)
os.execvp("postmap", ["postmap", "/etc/postfix/customers"])
""", mode=0o755)
stop_it, wrong = threading.Event(), []


def export():
    with sqlite3.connect("/tmp/customers.db") as d:
        n = 0
        while not stop_it.is_set():
            n += 1
            d.execute("insert into customers values (?, 'bob')", (f"c{n}@example.com",))
            d.commit()
            r = quiet("/tmp/export")
            if r.returncode or r.stderr:
                wrong.append(r.stderr)


worker = threading.Thread(target=export)
worker.start()
begin = time.time()
replies = []
while time.time() - begin < 5:
    replies += [x for x in ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<first@example.com>\nRCPT TO:<never@example.com>\nQUIT")[3:5]]
stop_it.set()
worker.join()
check(not wrong, f"S-DB-13: the script always succeeds: {wrong[:3]}")
check(len(replies) > 20 and all(x.startswith("250") for x in replies[::2]) and all(x.startswith("550") for x in replies[1::2]), f"S-DB-13: every answer is right: {set(replies)}")
check(ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<c1@example.com>\nQUIT")[3].startswith("250"), "S-DB-13: new rows count without a reload")

# S-INT-23: a POP server's daemon enters clients into a table, and takes them out.
session = "HELO c\nMAIL FROM:<s@example.com>\nRCPT TO:<x@example.org>\nQUIT"
check(ask(session)[3].startswith("5"), "S-INT-23: a stranger may not relay")
quiet("echo '192.0.2.10 OK' | postmap -i hash:/etc/postfix/pop")
check(ask(session)[3].startswith("250"), "S-INT-23: after POP he may")
quiet("postmap -d 192.0.2.10 hash:/etc/postfix/pop")
check(ask(session)[3].startswith("5"), "S-INT-23: until he is taken out")

# S-BUILD-01, S-BUILD-09: dynamicmaps.cf of packages that are gone does no harm; a type that is not there costs what needs it, and nothing else.
file("/etc/postfix/dynamicmaps.cf", "# dict-type so-name dict-function mkmap-function\nlmdb postfix-lmdb.so dict_lmdb_open mkmap_lmdb_open\nmysql /nosuch/postfix-mysql.so dict_mysql_open\n")
types = out("postconf -m")[0].split()
for kind in ("btree cidr environ fail hash inline internal ldap lmdb mysql pcre pgsql cdb pipemap proxy randmap regexp sqlite static tcp texthash unionmap unix".split()):
    check(kind in types, f"S-BUILD-01: {kind}: {types}")
file("/etc/postfix/t", "a b\n")
check(out("postmap lmdb:/etc/postfix/t; postmap -q a lmdb:/etc/postfix/t") == ("b\n", 0), "S-BUILD-01: lmdb works")
got = out("postmap -q a netinfo:/etc/postfix/t")
check("unsupported dictionary type: netinfo" in got[0] and got[1] == 1, f"S-BUILD-09: a command says so: {got}")
quiet("postconf -e 'smtpd_sender_restrictions = check_sender_access netinfo:/etc/postfix/t'; postfix reload")
sleep(1)
got = ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<first@example.com>\nQUIT")
check(got[3].startswith("451 4.3."), f"S-BUILD-09: 451, no crash: {got}")
check(grep("unsupported dictionary type: netinfo", wait=3), "S-BUILD-09: the log tells why")
quiet("sendmail alice", "Subject: goes on\n\nx\n")
check("goes on" in box("alice"), "S-BUILD-09: the rest goes on")
quiet("postconf -X smtpd_sender_restrictions")

# S-INT-22: rotation of maillog_file; a syslog server that comes back.
quiet("postconf -e maillog_file_rotate_suffix=%Y; postfix reload")
sleep(1)
got = out("postfix logrotate")
check(got[1] == 0, f"S-INT-22: postfix logrotate: {got}")
for _ in range(50):
    if quiet("ls /var/log/maillog.*.gz").returncode == 0:
        break
    time.sleep(0.1)
old = out("zcat /var/log/maillog.*.gz")[0]
check("goes on" in old or "status=sent" in old, f"S-INT-22: the old log is whole and compressed: {out('ls -la /var/log')}")
quiet("sendmail alice", "Subject: after the rotation\n\nx\n")
box("alice")
check(grep("status=sent", wait=3), f"S-INT-22: new lines go to a new file: {out('ls -la /var/log; tail -3 /var/log/maillog')}")
quiet("postconf -X maillog_file; postfix stop; rm -f /dev/log")
lines = []


def syslogd():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    s.settimeout(0.2)

    def run():
        while not getattr(s, "done", False) and not ended.is_set():
            try:
                lines.append(s.recv(65536).decode())
            except OSError:
                pass
        s.close()
        os.unlink("/dev/log")
    ended = threading.Event()
    thread = threading.Thread(target=run)
    thread.start()
    return ended, thread


ended, thread = syslogd()
quiet("postfix start")
quiet("sendmail alice", "Subject: by syslog\n\nx\n")
check("by syslog" in box("alice") and any("status=sent" in x for x in lines), f"S-INT-22: syslog gets the lines: {lines[-3:]}")
ended.set()
thread.join()
ended, thread = syslogd()
del lines[:]
quiet("sendmail alice", "Subject: after its restart\n\nx\n")
text = box("alice")
sleep(0.5)
for what in (r"pickup\[\d+\]: \w+: uid=", r"cleanup\[\d+\]: \w+: message-id=", r"qmgr\[\d+\]: \w+: from=", r"local\[\d+\]: \w+: to=.*status=sent", r"qmgr\[\d+\]: \w+: removed"):
    check("after its restart" in text and any(re.search(what, x) for x in lines), f"S-INT-22: a restarted syslog loses nothing: {what}: {lines}")
quiet("postfix stop")
ended.set()
thread.join()
nolog()
