"""the clock jumps hours forward and back while mail waits, is being delivered and comes in: nothing is lost, doubled or put off (S-QUEUE-08, S-QUEUE-09, S-MASTER-18)"""
import os
import re
import time

# libfaketime stands between the daemons and the clock; clocks that do not jump (CLOCK_MONOTONIC) and time stamps of the file system stay as they are.
library = [f"{d}/faketime/libfaketime.so.1" for d in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib") if os.path.exists(f"{d}/faketime")][0]
stamp = "/var/spool/postfix/pid/clock"
sink("mx1", "192.0.2.20:25", {
    "RCPT TO:<first@": ["450 4.2.0 not yet", "250 2.1.5 Ok"],
    "RCPT TO:<far@": ["450 4.2.0 not yet", "250 2.1.5 Ok"],
    "RCPT TO:<again@": ["450 4.2.0 not yet", "450 4.2.0 not yet", "250 2.1.5 Ok"],
    "RCPT TO:<slow": "delay 4 250 2.1.5 Ok",
})
main(f"""
    import_environment = MAIL_CONFIG TZ LANG=C LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={stamp} FAKETIME_NO_CACHE=1
        FAKETIME_DISABLE_SHM=1 DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
    mynetworks = 192.0.2.10
    relay_domains = example.org
    minimal_backoff_time = 3s
    maximal_backoff_time = 3s
    queue_run_delay = 2s
    smtp_connection_cache_on_demand = no
""")


def jump(hours):
    """The clock is so many hours from the true time, from now on."""
    with open(stamp + ".new", "w") as f:
        f.write(f"{hours * 3600:+d}\n")
    os.chmod(stamp + ".new", 0o644)
    os.rename(stamp + ".new", stamp)


def sent(name, wait=20):
    return len(grep(rf"to=<{name}@example.org>, .*status=sent", wait))


def send(name, deferred=False):
    quiet(f"sendmail -f alice@example.com {name}@example.org", "Subject: x\n\nx\n")
    if deferred:
        check(grep(rf"to=<{name}@example.org>, .*status=deferred", 20), f"{name} is deferred")


os.makedirs("/var/spool/postfix/pid", exist_ok=True)
jump(0)
start()


def logged(text):
    """The hour at which the last line with this text was written, from now."""
    rows = [row for row in open("/var/log/maillog", errors="replace") if text in row]
    at = time.mktime(time.strptime(f"{time.localtime().tm_year} {rows[-1][:15]}", "%Y %b %d %H:%M:%S"))
    hours = round((at - time.time()) / 3600)
    # Lines have no year: one of another year is a year off.
    return next((h for h in (hours, hours - 8760, hours + 8760, hours - 8784, hours + 8784) if abs(h) < 100), hours)


host.head("forward")
session = client()
send("first", deferred=True)
send("slow1")
sleep(1)
jump(6)
check(sent("first"), "what waited is tried again")
check(sent("slow1"), "what was being delivered is delivered")
session.do("EHLO client.example.org\nMAIL FROM:<s@example.net>\nRCPT TO:<session@example.org>\nDATA\nSubject: x\n\nx\n.\nQUIT")
session.close()
check(sent("session"), "a session that was open goes on")
send("new")
check(sent("new"), "new mail is delivered")
check(logged("to=<new@example.org>") == 6, f"by the other clock: {logged('to=<new@example.org>')} hours")
send("far", deferred=True)
send("slow2")
sleep(1)

host.head("back")
jump(-6)
check(sent("slow2"), "what was being delivered is delivered")
send("newer")
check(sent("newer"), "new mail is delivered")
check(logged("to=<newer@example.org>") == -6, f"by the other clock: {logged('to=<newer@example.org>')} hours")
send("again", deferred=True)
check(sent("again", 30), "what is deferred now is tried again, twice, and not hours later")
check(ask("EHLO c\nMAIL FROM:<s@example.net>\nRCPT TO:<late@example.org>\nDATA\nx\n.\nQUIT")[-2].startswith("250 "), "a new session is served")
check(sent("late"), "and its mail delivered")
check(not sent("far", 0), "what was to be tried hours later waits for that time")
quiet("postqueue -f")
check(sent("far"), "or for a flush")

host.head("right again")
jump(0)
send("last")
check(sent("last"), "new mail is delivered")
quiet("postfix reload")
sleep(1)
send("reloaded")
check(sent("reloaded"), "and after a reload")
wait_empty()
for name in "first slow1 session new far slow2 newer again late last reloaded".split():
    check(sent(name, 0) == 1, f"{name} was delivered once: {sent(name, 0)}")
check(not queue_ids(), f"the queue is empty: {queue_ids()}")
got = [line for dialogue in host.servers["mx1"].records for line in dialogue if line == "."]
check(len(got) == 11, f"the server has each message once: {len(got)}")
check(not grep("fatal|panic|watchdog|killed|exit status"), f"no process suffers: {grep('fatal|panic|watchdog|killed|exit status')}")
nolog()
