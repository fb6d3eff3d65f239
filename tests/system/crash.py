"""processes killed at random while 2,000 messages pass: nothing accepted is lost (S-QUEUE-15, S-DAEMON-01)

Duplicates may come only from the window of RFC 1047: the next server has said 250, and the process that heard it is killed before it could
mark the recipient. Each kill can cost at most the deliveries then under way."""
import collections
import os
import random
import signal
import smtplib
import threading
import time

SEED = int(os.environ.get("CRASH_SEED", "1"))
MESSAGES = int(os.environ.get("CRASH_MESSAGES", "2000"))
sink("mx1", "192.0.2.20:25")
main("""
    mynetworks = 127.0.0.0/8
    relayhost = [192.0.2.20]
    minimal_backoff_time = 2s
    maximal_backoff_time = 2s
    queue_run_delay = 2s
    service_throttle_time = 1s
    smtpd_client_connection_count_limit = 0
    default_destination_concurrency_limit = 10
""")
start()
accepted, lock, finished = set(), threading.Lock(), threading.Event()
counter = iter(range(MESSAGES))


def send():
    while True:
        with lock:
            n = next(counter, None)
        if n is None:
            return
        for _ in range(200):
            try:
                with smtplib.SMTP("127.0.0.1", 25, timeout=20) as s:
                    s.sendmail("s@example.com", [f"r{n}@example.org"], f"Subject: m{n}\r\n\r\n" + "x" * (n % 7 * 900) + "\r\n")
                with lock:
                    accepted.add(n)
                break
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)


def daemons():
    found = collections.defaultdict(list)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            exe = os.readlink(f"/proc/{pid}/exe")
            name = open(f"/proc/{pid}/cmdline").read().split("\0")[0].rsplit("/", 1)[-1]
        except OSError:
            continue
        if "/usr/lib/postfix/sbin/" in exe:
            found[name].append(int(pid))
    return found


kills = collections.Counter()


def kill():
    dice = random.Random(SEED)
    while not finished.wait(dice.uniform(0.02, 0.12)):
        running = daemons()
        if not running:
            continue
        # master itself now and then, with everything else: what a machine without power looks like to the processes.
        name = dice.choice(sorted(running))
        if name == "master" and dice.random() < 0.7:
            continue
        victims = sum(running.values(), []) if name == "master" else running[name]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        kills[name] += 1
        if name == "master":
            time.sleep(0.2)
            quiet("postfix start")


threads = [threading.Thread(target=send) for _ in range(8)]
killer = threading.Thread(target=kill)
killer.start()
for t in threads:
    t.start()
for t in threads:
    t.join()
finished.set()
killer.join()
quiet("postfix start")
check(len(accepted) == MESSAGES, f"all {MESSAGES} messages were accepted in the end ({len(accepted)})")
check(sum(kills.values()) >= 10, f"processes were killed: {dict(kills)}")
end = time.time() + 120
# Files that were never complete belong to no accepted message: postqueue does not list them.
while time.time() < end and quiet("postqueue -j").stdout.strip():
    quiet("postqueue -f")
    time.sleep(1)
left = quiet("postqueue -p").stdout
check(not quiet("postqueue -j").stdout.strip(), f"the queue is empty: {left[-500:]}")
got = collections.Counter()
for record in host.servers["mx1"].records:
    recipient, complete = None, False
    for line in record:
        if line.startswith("RCPT TO:<r"):
            recipient = int(line[len("RCPT TO:<r"):].split("@")[0])
        if line == "." and recipient is not None:
            got[recipient] += 1
            recipient = None
lost = sorted(accepted - set(got))
check(not lost, f"no accepted message is lost: {lost[:20]}")
twice = sum(n - 1 for n in got.values())
check(twice <= 10 * sum(kills.values()), f"duplicates come from SMTP's window only: {twice} with {sum(kills.values())} kills")
nolog()
