"""a reload, and the death of the queue manager, while agents are busy: no result is lost, nothing is delivered twice (S-MASTER-23, S-CMD-02, S-DAEMON-01)"""
import os
import signal
import time

sink("mx1", "192.0.2.20:25", {".": ["delay 6 250 2.0.0 Ok: slow", "250 2.0.0 Ok"]}, ehlo=["PIPELINING"])
sink("mx2", "192.0.2.21:25", {"RCPT TO:<bad@": "delay 6 550 5.1.1 no such user"}, ehlo=["PIPELINING"])
file("/etc/postfix/transport", "example.org smtp:[192.0.2.20]\nexample.net smtp:[192.0.2.21]\nslow.test slow:\nfails.test fails:\n")
quiet("postmap hash:/etc/postfix/transport; umask 0; touch /tmp/slow /tmp/fails")
file("/tmp/slow.sh", "#!/bin/sh\ncat >/dev/null; echo begun >> /tmp/slow; sleep 6\n", mode=0o755)
file("/tmp/fails.sh", "#!/bin/sh\ncat >/dev/null; echo begun >> /tmp/fails; sleep 6; exit 69\n", mode=0o755)
main("""
    transport_maps = hash:/etc/postfix/transport
    relay_domains = example.org
    minimal_backoff_time = 3s
    queue_run_delay = 3s
""")
master("""
    slow  unix - n n - - pipe user=filter argv=/tmp/slow.sh
    fails unix - n n - - pipe user=filter argv=/tmp/fails.sh
""")
start()


def count(user, text):
    return quiet(f"cat /var/mail/{user} 2>/dev/null").stdout.count(text)


def busy():
    """Four deliveries that take six seconds, all with something to write down at their end."""
    quiet("sendmail -f alice@example.com -N success,failure to@example.org", "Subject: smtp sent\n\nx\n")
    quiet("sendmail -f alice@example.com bad@example.net", "Subject: smtp bounced\n\nx\n")
    quiet("sendmail -f alice@example.com -N success,failure to@slow.test", "Subject: pipe sent\n\nx\n")
    quiet("sendmail -f alice@example.com to@fails.test", "Subject: pipe bounced\n\nx\n")
    for _ in range(100):
        if all(os.path.getsize("/tmp/" + f) for f in ("slow", "fails")) and all(any(x.startswith("RCPT") for r in host.servers[m].records for x in r) for m in ("mx1", "mx2")):
            return
        time.sleep(0.05)
    check(False, "all four are under way")


def outcome(what, seconds):
    end = time.time() + seconds
    while queue_ids() and time.time() < end:
        time.sleep(0.2)
        # A message that was found locked is looked at again a minute later.
        quiet("postqueue -f")
    settle()
    check(not queue_ids(), f"{what}: all has come to an end: {quiet('postqueue -p').stdout}")
    sent = sum(x == "| Subject: smtp sent" for r in host.servers["mx1"].records for x in r)
    check(sent == 1, f"{what}: delivered once by SMTP: {sent}")
    for f in ("slow", "fails"):
        check(quiet(f"cat /tmp/{f}").stdout == "begun\n", f"{what}: the command ran once: {f} {quiet('cat /tmp/' + f).stdout!r}")
    check(sum(x.startswith("RCPT") for r in host.servers["mx2"].records for x in r) == 1, f"{what}: asked once for the recipient that is refused")
    for subject, recipient in (("Successful Mail Delivery Report", "<to@example.org>"), ("Undelivered Mail", "<bad@example.net>"),
                               ("Successful Mail Delivery Report", "<to@slow.test>"), ("Undelivered Mail", "<to@fails.test>")):
        texts = [m for m in quiet("cat /var/mail/alice").stdout.split("\nFrom ") if f"Subject: {subject}" in m and f"\n{recipient}" in m]
        check(len(texts) == 1, f"{what}: one report '{subject}' about {recipient}: {len(texts)}")


busy()
before = running()
quiet("postfix reload")
sleep(1)
quiet("sendmail bob", "Subject: meanwhile\n\nx\n")
for _ in range(50):
    if count("bob", "Subject: meanwhile"):
        break
    time.sleep(0.1)
check(count("bob", "Subject: meanwhile"), "reload: mail goes on while old agents are busy")
check(set(before["pipe"]) & set(running("pipe")), "reload: a busy agent is left to finish")
sleep(6)
outcome("reload", 20)
check(not any(set(before[p]) & set(running(p)) for p in ("pipe", "smtp", "qmgr")), f"reload: the old processes are gone: {before} {running()}")

quiet("rm /var/mail/alice; : > /tmp/slow; : > /tmp/fails")
for m in ("mx1", "mx2"):
    host.servers[m].records.clear()
host.servers["mx1"].used.clear()
busy()
os.kill(running("qmgr")[0], signal.SIGKILL)
sleep(7)
outcome("killed", 20)
nolog()
