"""the queue's disk is full at every step: nothing is lost, nothing half accepted, the log says why, mail goes on by itself (S-SEC-06, S-QUEUE-13)"""
import os
import re
import threading
import time

SPOOL = "/var/spool/postfix"
LONG = "Subject: %s\n\n" + ("x" * 70 + "\n") * 200
sink("mx1", "192.0.2.20:25")
sink("mx2", "192.0.2.21:25", {"RCPT TO:<bad": "550 5.1.1 no such user", "RCPT TO:<later": ["450 4.2.0 try later"] * 3 + ["250 2.1.5 ok"] * 100,
                              "RCPT TO:<slow": "delay 3 550 5.1.1 no such user"})
quiet(f"mkdir /mnt/q && mount -t tmpfs -o size=6m,mode=755 tmpfs /mnt/q && cp -a {SPOOL}/. /mnt/q/ && mount --bind /mnt/q {SPOOL}")
file("/etc/postfix/hold", "keep@example.com\tHOLD\n")
aliases("""
    fwd:   u@example.org
    both:  v@example.org, |"cat >> /tmp/both"
    lists: :include:/etc/postfix/members
    owner-lists: dave
""")
file("/etc/postfix/members", "m1@example.org\nm2@example.org\nm3@example.org\n")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    message_size_limit = 40000
    mailbox_size_limit = 0
    relay_domains = example.org example.net
    minimal_backoff_time = 2s
    maximal_backoff_time = 2s
    queue_run_delay = 2s
    transport_retry_time = 2s
    bounce_queue_lifetime = 1h
    delay_warning_time = 0
""")
start()


class Full:
    """While it lasts, whoever frees a block finds it taken again."""

    def __enter__(self):
        self.over = threading.Event()
        self.file = open(SPOOL + "/fill", "wb", buffering=0)
        self.fill()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def fill(self):
        for size in (65536, 4096):
            try:
                while True:
                    self.file.write(b"z" * size)
            except OSError:
                pass

    def run(self):
        while not self.over.wait(0.002):
            self.fill()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.file.close()
        os.unlink(SPOOL + "/fill")


def halt():
    """Deliveries wait from here on."""
    quiet("postconf -e 'defer_transports = smtp relay local'; postfix reload; sleep 1")


def go():
    quiet("postconf -e defer_transports=; postfix reload; sleep 1; postqueue -f")


def within(seconds, condition):
    # A busy machine needs longer.
    end = time.time() + max(seconds, 30)
    while time.time() < end:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def received(server):
    return [m for r in host.servers[server].records for x in r for m in re.findall(r"^RCPT TO:<([^>]*)>", x)]


def reports(text):
    return sum(f"<{text}>: " in "\n".join(r) for r in host.servers["mx1"].records)


def empty(seconds=30):
    return within(seconds, lambda: not queue_ids("incoming", "active", "deferred", "maildrop"))


def no_rests(what):
    rests = [f for d in ("incoming", "active", "deferred", "maildrop", "bounce", "defer", "trace", "corrupt")
             for _, _, files in os.walk(f"{SPOOL}/{d}") for f in files]
    check(not rests, f"{what}: nothing is left over: {rests}")


# Accepting by SMTP: refused for now, and no half of a file stays.
with Full():
    sleep(1.1)
    got = ask("EHLO c\nMAIL FROM:<s@example.org>\nQUIT")
    check(any(x.startswith("452 4.3.1 Insufficient system storage") for x in got), f"SMTP: MAIL is refused: {got}")
    check(grep(r"smtpd: warning: not enough free space in mail queue: \d+ bytes < 1.5\*message size limit"), "SMTP: the log says so")
quiet("postconf -e message_size_limit=0; postfix reload; sleep 1")
with Full():
    got = ask("EHLO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\nSubject: half\n\n" + ("x" * 70 + "\n") * 3000 + ".\nQUIT")
    check(any(x.startswith("452 4.3.1 Error: queue file write error") for x in got), f"SMTP: a long message is refused: {got}")
    got = ask("EHLO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\nx\n.\nQUIT")
    check(any(x.startswith("452 4.3.1 Error: queue file write error") for x in got), f"SMTP: a short one as well: {got}")
    check(grep(r"cleanup: warning: \w+: write queue file: No space left on device"), "SMTP: the reason is in the log")
    # Submitting by a command: sendmail(1) says to try again.
    r = quiet("sendmail alice@example.com", "Subject: half\n\nx\n", user="bob")
    check(r.returncode == 75 and "No space left on device" in r.stderr and "queue file write error" in r.stderr, f"sendmail: {r.returncode} {r.stderr}")
    no_rests("refused")
quiet("postconf -e message_size_limit=40000; postfix reload; sleep 1")
check(not quiet("cat /var/mail/alice").stdout, "SMTP: what was refused is not delivered")

# From maildrop to the queue: it stays in maildrop, and goes on when there is room (pickup looks once a minute, and when it is woken).
quiet("postfix stop")
host.started = False
quiet("sendmail alice@example.com", LONG % "dropped", user="bob")
with Full():
    start()
    wait_log(r"write queue file: No space left on device")
    check(len(queue_ids("maildrop")) == 1, f"pickup: the message stays in maildrop: {queue_ids('maildrop')}")
quiet("postkick public pickup W")
check(empty() and "Subject: dropped" in quiet("cat /var/mail/alice").stdout, "pickup: it is delivered when there is room")

# Forwarding by local(8).
halt()
quiet("sendmail -f s@example.net fwd@example.com both@example.com lists@example.com", LONG % "forwarded")
settle()
with Full():
    go()
    wait_log(r"local: \w+: to=<fwd@example.com>.*status=deferred \(unable to forward message\)")
    wait_log(r"local: warning: \w+: cannot forward: queue file write error: No space left on device")
    check(not received("mx1"), f"forward: nothing goes out: {received('mx1')}")
check(empty(), f"forward: the queue becomes empty: {quiet('postqueue -p').stdout}")
check(sorted(received("mx1")) == ["m1@example.org", "m2@example.org", "m3@example.org", "u@example.org", "v@example.org"],
      f"forward: each gets it once: {received('mx1')}")
check("Subject: forwarded" in quiet("cat /tmp/both").stdout, "forward: and the command got it")
no_rests("forward")

# The record of a failure cannot be written: the recipient stays, is asked for again, and the sender hears of it, once.
host.servers["mx1"].records.clear()
halt()
quiet("sendmail -f s@example.org bad1@example.net good1@example.org", LONG % "fails")
settle()
with Full():
    go()
    wait_log(r"to=<bad1@example.net>.*status=bounced")
    wait_log(r"qmgr: warning: \w+: cannot record the results of its delivery: No space left on device")
    sleep(1)
    check(len(queue_ids()) == 1 and "bad1@example.net" in quiet("postqueue -p").stdout, f"bounce log: it stays in the queue: {quiet('postqueue -p').stdout}")
    check(reports("bad1@example.net") == 0, "bounce log: no report yet")
check(empty(), f"bounce log: the queue becomes empty: {quiet('postqueue -p').stdout}")
check(reports("bad1@example.net") == 1, f"bounce log: one report: {reports('bad1@example.net')}")
check(received("mx1").count("good1@example.org") == 1, "bounce log: the other recipient got it once")
no_rests("bounce log")

# The record is written, but there is no room for the report.
host.servers["mx1"].records.clear()
quiet("sendmail -f s@example.org slow1@example.net", LONG % "fails slowly")
within(10, lambda: "slow1@example.net" in received("mx2"))
known = len(grep(r"cleanup: warning: \w+: write queue file: No space left on device"))
free = quiet(f"stat -f -c %a {SPOOL}").stdout.strip()
quiet(f"dd if=/dev/zero of={SPOOL}/most bs=4k count={int(free) - 3}")
wait_log(r"to=<slow1@example.net>.*status=bounced")
check(within(10, lambda: len(grep(r"cleanup: warning: \w+: write queue file: No space left on device")) > known), "report: the log says why")
wait_log(r"qmgr: \w+: status=deferred \(bounce failed\)")
check(reports("slow1@example.net") == 0 and len(queue_ids()) == 1, f"report: it waits in the queue: {quiet('postqueue -p').stdout}")
quiet(f"rm {SPOOL}/most")
check(empty(), f"report: the queue becomes empty: {quiet('postqueue -p').stdout}")
check(reports("slow1@example.net") == 1, f"report: is sent once: {reports('slow1@example.net')}")
check(received("mx2").count("slow1@example.net") == 1, "report: the recipient is not tried again")
no_rests("report")

# The log of deferred recipients: nothing is lost but the reason in the listing.
host.servers["mx2"].records.clear()
quiet("sendmail -f s@example.org later1@example.net", LONG % "deferred")
with Full():
    quiet("sendmail -f s@example.org later2@example.net", LONG % "deferred")
    wait_log(r"to=<later1@example.net>.*status=deferred", 1)
    sleep(3)
    check("later1@example.net" in quiet("postqueue -p").stdout, f"defer log: the message is in the queue: {quiet('postqueue -p').stdout}")
    check(grep(r"qmgr: warning: \w+: cannot write its defer log: No space left on device", 5), "defer log: the log says so")
check(empty(), f"defer log: the queue becomes empty: {quiet('postqueue -p').stdout}")
check(received("mx2").count("later2@example.net") == 0, "defer log: what sendmail could not submit was not sent")
no_rests("defer log")
nolog()
