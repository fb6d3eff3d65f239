"""what the log says and where: names, verbose, debug_peer_list, debugger, soft_bounce, syslog, a file, standard output; pflogsumm reads it (S-LOG)"""
import os
import re
import signal
import subprocess
import time

sink("mx1", "192.0.2.20:25", {"RCPT TO:<bad@": "550 5.1.1 no such user", "RCPT TO:<later@": "450 4.2.0 try later"})
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    debug_peer_list = 192.0.2.13
    debugger_command = echo $process_name $process_id >> /tmp/debugged; sleep 1
    smtpd_client_event_limit_exceptions =
""")
master("""
    10025 inet n - n - - smtpd -o syslog_name=postfix/smtps -v
    10026 inet n - n - - smtpd -D
    10027 inet n - n - - smtpd -o soft_bounce=yes
    smtp  unix - - y - - smtp
""")
start()

# S-LOG-03, S-LOG-09: `-v` of an entry, and its name.
ask("HELO c\nQUIT", port=10025)
check(grep("^postfix/smtps/smtpd: connect from client.example.org"), "S-LOG-03: syslog_name of the entry")
verbose = grep("^postfix/smtps/smtpd: ")
check(any("< client.example.org[192.0.2.10]: HELO c" in x for x in verbose) and any("> client.example.org[192.0.2.10]: 250 mail.example.com" in x for x in verbose),
      f"S-LOG-09: smtpd -v logs the dialogue: {verbose[:9]}")
ask("HELO c\nQUIT")
check(not grep("^postfix/smtpd: [<>] "), "S-LOG-09: without -v it is not")

# S-LOG-04: for that peer only, at this level.
ask("HELO c\nQUIT", src="192.0.2.13")
check(grep(r"^postfix/smtpd: < other.example.net\[192.0.2.13\]: HELO c"), "S-LOG-04: what the peer says")
check(grep(r"^postfix/smtpd: > other.example.net\[192.0.2.13\]: 250 mail.example.com"), "S-LOG-04: what it is told")
ask("HELO d\nQUIT")
check(not grep(r"^postfix/smtpd: [<>] client.example.org"), "S-LOG-04: nobody else")
check(len(grep(r"^postfix/smtpd: (connect from|disconnect from) other.example.net\[192.0.2.13\]")) == 2, "S-LOG-04: the session's own lines are there as ever")
# The client's side.
quiet("postconf -e debug_peer_list=192.0.2.20; postfix reload")
sleep(1)
quiet("sendmail x@example.org", "Subject: x\n\nx\n")
settle()
check(grep(r"^postfix/smtp: > mx.example.org\[192.0.2.20\](:25)?: MAIL FROM:<root@example.com>"), f"S-LOG-04: smtp(8) too: {grep('postfix/smtp: ')[:20]}")
# S-LOG-07: chrooted, without etc/services in the jail.
check(not os.path.exists("/var/spool/postfix/etc/services") and grep("postfix/smtp: .*status=sent"), "S-LOG-07: a chrooted smtp(8) knows port 25 all the same")

# S-LOG-05, S-LOG-06
ask("HELO c\nQUIT", port=10026)
lines = quiet("cat /tmp/debugged").stdout.split("\n")
words = lines[0].split()
check(len(words) == 2 and words[0] == "smtpd", f"S-LOG-05: debugger_command gets the daemon's name: {lines}")
check(words[1:] and int(words[1]) in running("smtpd"), f"S-LOG-05: and its process id: {lines} {running()}")
tracer = subprocess.Popen(["strace", "-f", "-o", "/tmp/trace", "-p", words[1]], stderr=subprocess.PIPE)
tracer.stderr.readline()
ask("HELO traced\nQUIT", port=10026)
sleep(0.3)
tracer.send_signal(signal.SIGINT)
tracer.wait(5)
check("HELO traced" in quiet("cat /tmp/trace").stdout, f"S-LOG-06: strace attaches and sees: {quiet('tail -3 /tmp/trace').stdout}")
ask("HELO after\nQUIT", port=10026)
check(words[1:] and int(words[1]) in running("smtpd"), "S-LOG-06: and harms nothing")

# S-LOG-10
got = ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<nosuch@example.com>\nFOO\nQUIT", port=10027)
check(got[3] == "450 4.1.1 <nosuch@example.com>: Recipient address rejected: User unknown in local recipient table", f"S-LOG-10: {got}")
check(got[4].startswith("400 4.5.2 Error: command not recognized"), f"S-LOG-10: {got}")
quiet("postconf -e soft_bounce=yes; postfix reload")
sleep(1)
quiet("sendmail nosuch@example.com", "Subject: x\n\nx\n")
settle()
check(grep(r'postfix/local: \w+: to=<nosuch@example.com>, .*dsn=4.1.1, status=(deferred|SOFTBOUNCE) \(unknown user: "nosuch"\)'), f"S-LOG-10: local: {grep('to=<nosuch')}")
check(len(queue_ids("deferred")) == 1, "S-LOG-10: it stays in the queue")
quiet("postsuper -d ALL; postconf -e soft_bounce=no debug_peer_list=")

# S-LOG-09: commands
quiet("sendmail held@example.org; postsuper -h ALL", "Subject: x\n\nx\n")
more = quiet("printf 'Subject: v\\n\\nx\\n' | sendmail -v alice 2>&1").stdout
check("Mail Delivery Status Report will be mailed to <root>" in more, f"S-LOG-09: sendmail -v: {more}")
settle()


# S-CMD-33: pflogsumm tells the same of the same traffic through another mail system. The explaining text of reports is everyone's own, so here
# it is given, that sizes agree.
file("/etc/postfix/bounce.cf", """
    failure_template = <<EOF
    Charset: us-ascii
    From: MAILER-DAEMON (Mail Delivery System)
    Subject: Undelivered Mail Returned to Sender

    It did not work.
    EOF
""")
main("bounce_template_file = /etc/postfix/bounce.cf")
quiet("postfix stop")
host.started = False


def traffic():
    start()
    settle()
    open("/var/log/maillog", "w").close()
    ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nRCPT TO:<nosuch@example.com>\nRCPT TO:<x@example.org>\nDATA\nSubject: a\n\nb\n.\nQUIT")
    ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<x@elsewhere.test>\nQUIT", src="192.0.2.13")
    for to in ("bob carol", "good@example.org bad@example.org later@example.org", "nosuch"):
        quiet(f"sendmail -f alice@example.com {to}", "From: alice@example.com\nSubject: s\n\n" + "line\n" * 20)
        settle()
    size = grep("size=") + [quiet("tail -60 /var/mail/alice").stdout]
    text = quiet("pflogsumm --problems-first --rej-add-from --verbose-msg-detail /var/log/maillog").stdout
    quiet("postsuper -d ALL; postfix stop")
    host.started = False
    return size, [re.sub(r"\b[0-9A-F]{6,}\b|\b\d+:\d\d:\d\d\b", "_", x) for x in text.split("\n")]


sizes, ours = traffic()
swap()
other_sizes, theirs = traffic()
swap()
check(len(ours) > 60 and any("   4   received" in x for x in ours), f"S-CMD-33: pflogsumm has something to tell: {ours[:40]}")
# The hour may change between the two; delays vary.
skip = re.compile(r"^ *\d{4}-\d{4} |avg\. *dly|^ *\d+ +\d+ +\d+ +[\d.]+ s|(max|avg)imum delay")
a, b = ([x for x in t if not skip.search(x)] for t in (ours, theirs))
different = [(x, y) for x, y in zip(a, b) if x != y]
check(len(a) == len(b) and not different, f"S-CMD-33: the same of both: {len(a)} {len(b)} {different[:8]} {sizes} {other_sizes}")

# Syslog: without maillog_file all goes to /dev/log.
quiet("postconf -X maillog_file; postfix start")
sleep(0.5)
size = os.path.getsize("/var/log/maillog")
host.syslog.lines.clear()
ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\nx\n.\nQUIT")
quiet("sendmail bob", "Subject: x\n\nx\n", user="carol")
settle()
seen = "\n".join(host.syslog.lines)
for program in ("smtpd", "cleanup", "qmgr", "local", "pickup"):
    check(f"postfix/{program}[" in seen, f"syslog has the lines of {program}: {seen[:300]}")
check(os.path.getsize("/var/log/maillog") == size, "and the file none")
quiet("postfix stop")

# S-CMD-06, S-ADMIN-04: process 1 of a container.
quiet("postconf -e maillog_file=/dev/stdout")
container = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount", "--propagation", "unchanged", "--mount-proc", "postfix", "start-fg"], stdout=open("/tmp/stdout", "wb"),
                             stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
for _ in range(50):
    if ask("QUIT")[0].startswith("220"):
        break
    time.sleep(0.1)
ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\nx\n.\nQUIT")
quiet("sendmail bob", "Subject: x\n\nx\n", user="carol")
settle()
sleep(0.3)
text = open("/tmp/stdout").read()
for program in ("smtpd", "cleanup", "qmgr", "local", "pickup", "master"):
    check(f"postfix/{program}[" in text, f"S-CMD-06, S-ADMIN-04: standard output has the lines of {program}: {text[-600:]}")
check("postfix/master[1]: daemon started" in text, f"S-CMD-06: as process 1: {text[:300]}")
first = quiet(f"pgrep -P {container.pid}").stdout.split()
os.kill(int(first[0]), signal.SIGTERM)
check(container.wait(10) in (0, 143), f"S-CMD-06: SIGTERM ends it: {container.returncode}")
nolog()
