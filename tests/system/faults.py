"""what an administrator can break in the queue directory: nothing is lost, the log says what is wrong, mail goes on when it is mended (S-SEC-06, S-QUEUE-15)"""
import os
import threading
import time

S = "/var/spool/postfix"
SBIN = "/usr/lib/postfix/sbin"
sink("mx1", "192.0.2.20:25")
sink("mx2", "192.0.2.21:25", {"RCPT TO:<bad": "550 5.1.1 no such user"})
# The locks of master are on another file system, or the queue could not be made read-only while it runs.
quiet(f"mkdir /mnt/q && mount -t tmpfs -o size=40m,nr_inodes=3000,mode=755 tmpfs /mnt/q && cp -a {S}/. /mnt/q/ && mount --bind /mnt/q {S}; mkdir -p {S}/pid; mount -t tmpfs -o mode=755 none {S}/pid")
aliases("fwd: u@example.org\n")
file("/etc/postfix/maps", "x@example.com\tHOLD\n")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    message_size_limit = 100000
    mailbox_size_limit = 0
    virtual_mailbox_limit = 0
    relay_domains = example.org example.net
    minimal_backoff_time = 2s
    maximal_backoff_time = 2s
    queue_run_delay = 2s
    transport_retry_time = 2s
    service_throttle_time = 2s
    qmgr_message_active_limit = 100
""")
start()


def within(seconds, condition):
    # A busy machine needs longer.
    end = time.time() + max(seconds, 30)
    while time.time() < end:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def smtp_end(to="alice@example.com", subject="x"):
    """The reply that decides."""
    got = ask(f"EHLO c\nMAIL FROM:<s@example.org>\nRCPT TO:<{to}>\nDATA\nSubject: {subject}\n\nx\n.\nQUIT", src="192.0.2.10")
    bad = [x for x in got if x[0] in "45"]
    return bad[0] if bad else got[-2]


def submit(to="bob@example.com", subject="x"):
    return quiet(f"sendmail -f carol@example.com {to}", f"Subject: {subject}\n\nx\n", user="bob")


def count(user, subject):
    return quiet(f"cat /var/mail/{user}").stdout.count(f"Subject: {subject}\n")


def sent(subject):
    return sum(x == f"| Subject: {subject}" for m in ("mx1", "mx2") for r in host.servers[m].records for x in r)


def mended(what, *wanted):
    """Mail goes on, and nothing of before is lost or came twice. `wanted`: functions that give the number of copies."""
    quiet("postkick public pickup W")
    go()
    check(within(10, lambda: smtp_end(subject=f"after-{what}").startswith("250")), f"{what}: mail is accepted again")
    check(within(20, lambda: not queue_ids("maildrop", "incoming", "active", "deferred")), f"{what}: the queue becomes empty: {quiet('postqueue -p').stdout}")
    check(count("alice", f"after-{what}") >= 1, f"{what}: new mail is delivered")
    for n, number in enumerate(wanted):
        check(number() == 1, f"{what}: message {n} came once: {number()}")


def deferred(to, subject):
    """A message waits in the deferred queue."""
    quiet("postconf -e 'defer_transports = smtp relay local'; postfix reload; sleep 1")
    quiet(f"sendmail -f s@example.org {to}", f"Subject: {subject}\n\nx\n")
    settle()


def go():
    quiet("postconf -e defer_transports=; postfix reload; sleep 1; postqueue -f")


# A read-only file system.
deferred("keep@example.org", "ro-deferred")
quiet(f"mount -o remount,bind,ro {S}")
check(quiet(f"touch {S}/incoming/x").returncode != 0, "read-only: it is")
reply = smtp_end()
check(reply.startswith("451 4.3.0 "), f"read-only: SMTP: {reply}")
r = submit()
check(r.returncode == 75 and "Read-only file system" in r.stderr, f"read-only: sendmail: {r.returncode} {r.stderr}")
go()
check(grep(r"qmgr: warning: .*Read-only file system", 5), "read-only: the queue manager says it")
check(grep(r"smtpd: warning: create a queue file in incoming: Read-only file system"), "read-only: smtpd says it")
sleep(1)
check(sent("ro-deferred") == 0, "read-only: nothing is sent that could not be marked")
quiet(f"mount -o remount,bind,rw {S}")
mended("read-only", lambda: sent("ro-deferred"))

# No inodes.
deferred("keep2@example.org", "inodes-deferred")
deferred("bad@example.net", "inodes-bad")
deferred("fwd@example.com", "inodes-forward")
os.mkdir(f"{S}/fill")
over = threading.Event()


def fill():
    n = 0
    while not over.wait(0.002):
        try:
            while True:
                open(f"{S}/fill/{n}", "w").close()
                n += 1
        except OSError:
            pass


thread = threading.Thread(target=fill)
thread.start()
sleep(1)
check(quiet(f"touch {S}/incoming/x").returncode != 0, "inodes: there are none")
reply = smtp_end()
check(reply.startswith("452 4.3.1 "), f"inodes: SMTP: {reply}")
r = submit()
check(r.returncode == 75 and "No space left on device" in r.stderr, f"inodes: sendmail: {r.returncode} {r.stderr}")
go()
check(within(5, lambda: sent("inodes-deferred") == 1), "inodes: what is in the queue is delivered")
check(grep(r"status=deferred \(unable to forward message\)", 5), "inodes: forwarding waits")
over.set()
thread.join()
quiet(f"rm -r {S}/fill")
mended("inodes", lambda: sent("inodes-deferred"), lambda: sent("inodes-forward"), lambda: sum("Undelivered Mail Returned" in x for r in host.servers["mx1"].records for x in r))

# Directories that are gone, or somebody else's.
for kind in ("gone", "root's"):
    def spoil(d):
        quiet(f"mv {S}/{d} {S}/{d}.old" if kind == "gone" else f"chown root:root {S}/{d}; chmod 700 {S}/{d}")

    def mend(d):
        mode = "1730" if d == "maildrop" else "700"
        quiet(f"mv {S}/{d}.old {S}/{d}" if kind == "gone" else f"chown postfix:{'postdrop' if d == 'maildrop' else 'root'} {S}/{d}; chmod {mode} {S}/{d}")

    why = "No such file or directory" if kind == "gone" else "Permission denied"
    name = kind.replace("'", "")
    spoil("incoming")
    reply = smtp_end()
    check(reply.startswith("451 4.3.0 "), f"incoming {kind}: SMTP: {reply}")
    r = submit("bob@example.com", f"incoming-{name}")
    check(r.returncode == 0, f"incoming {kind}: sendmail puts it into maildrop: {r.stderr}")
    check(grep(f"pickup: warning: maildrop/\\w+: create a queue file in incoming: {why}", 5), f"incoming {kind}: pickup says why it stays there")
    mend("incoming")
    mended(f"incoming-{name}", lambda: count("bob", f"incoming-{name}"))

    spoil("maildrop")
    r = submit("bob@example.com", "x")
    check(r.returncode == 75 and why in r.stderr, f"maildrop {kind}: sendmail: {r.returncode} {r.stderr}")
    quiet("postkick public pickup W")
    check(grep(f"pickup: warning: open directory maildrop: {why}", 5), f"maildrop {kind}: pickup says it")
    mend("maildrop")
    mended(f"maildrop-{name}")

    # bounce and defer: what became of a recipient cannot be written down.
    deferred("bad@example.net", f"bounce-{name}")
    host.servers["mx1"].records.clear()
    spoil("bounce")
    spoil("defer")
    go()
    check(grep(f"qmgr: warning: \\w+: cannot record the results of its delivery: {why}", 5), f"bounce {kind}: the log says it")
    sleep(2)
    check(not host.servers["mx1"].records, f"bounce {kind}: no report of nothing: {host.servers['mx1'].records}")
    mend("bounce")
    mend("defer")
    mended(f"bounce-{name}", lambda: sum("Undelivered Mail Returned" in x for r in host.servers["mx1"].records for x in r))

    # active and deferred: the queue manager cannot move mail, nor start.
    deferred("w@example.org", f"active-{name}")
    spoil("deferred")
    spoil("active")
    go()
    submit("bob@example.com", f"direct-{name}")
    sleep(2)
    for p in running("qmgr"):
        os.kill(p, 9)
    check(grep(f"qmgr: fatal: open {S}/active: {why}", 8) if kind == "gone" else True, f"active {kind}: the queue manager says why it cannot start")
    mend("active")
    mend("deferred")
    check(within(15, lambda: running("qmgr")), f"active {kind}: the queue manager is there again")
    mended(f"active-{name}", lambda: sent(f"active-{name}"), lambda: count("bob", f"direct-{name}"))

# Files of the queue that are somebody else's, or have no permissions.
deferred("f@example.org", "file-root")
deferred("g@example.org", "file-mode")
files = sorted(host._queue("deferred"))
os.chown(files[0], 0, 0)
os.chmod(files[0], 0o700)
go()
check(grep(r"qmgr: warning: \w+: cannot read the queue file: Permission denied", 8), "a file of root's: the log says it")
check(within(5, lambda: sent("file-root") + sent("file-mode") == 1), "a file of root's: the other message is sent")
for f in host._queue("deferred") + host._queue("active"):
    os.chown(f, 103, 106)
mended("files", lambda: sent("file-root"), lambda: sent("file-mode"))

# A socket that is gone.
deferred("s@example.org", "socket")
quiet("postsuper -h ALL; postconf -e defer_transports=; postfix reload; sleep 1")
quiet(f"rm {S}/private/relay {S}/private/bounce; postsuper -H ALL; postqueue -f")
check(grep(r"qmgr: warning: connect to transport private/relay: No such file or directory", 5), "a socket that is gone: the log says it")
check(sent("socket") == 0, "a socket that is gone: the message waits")
quiet("postfix reload")
sleep(1)
mended("socket", lambda: sent("socket"))

# A daemon program that is gone.
deferred("p@example.org", "program")
quiet(f"mv {SBIN}/smtp {SBIN}/smtp.old")
for p in running("smtp"):
    os.kill(p, 15)
sleep(0.5)
go()
check(grep(r"master: fatal: master_spawn: exec /usr/lib/postfix/sbin/smtp: No such file or directory", 5), "a program that is gone: the log says it")
check(grep(r"master: warning: /usr/lib/postfix/sbin/smtp: bad command startup -- throttling"), "a program that is gone: is not tried all the time")
check(smtp_end("alice@example.com").startswith("250"), "a program that is gone: mail is accepted")
quiet(f"mv {SBIN}/smtp.old {SBIN}/smtp")
mended("program", lambda: sent("program"))
nolog()
