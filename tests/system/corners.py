"""what few administrators meet: a queue manager that hangs, a log that is a directory, wrong parameters of one transport (S-DAEMON-01, S-QUEUE-14)"""
import glob
import os
import time

sink("mx1", "192.0.2.20:25", {"RCPT TO:<later@": ["450 4.2.0 later", "450 4.2.0 later", "250 2.1.5 Ok"]})
sink("mx2", "192.0.2.21:25", hostname="mx.example.net")
main("""
    relay_domains = example.org example.net
    transport_maps = inline:{ example.net=strange: }
    smtp_connection_cache_on_demand = no
    minimal_backoff_time = 1000s
    maximal_backoff_time = 1000s
    qmgr_daemon_timeout = 3s
""")
master("strange unix - - n - - smtp")
start()


def send(to):
    quiet(f"sendmail -f alice@example.com {to}", "Subject: x\n\nx\n")
    settle()


# One that stands still is ended after its own time, others after theirs; mail goes on.
send("first@example.org")
[qmgr], [pickup] = running("qmgr"), running("pickup")
quiet(f"kill -STOP {qmgr} {pickup}; sleep 5; kill -CONT {qmgr} {pickup}")
check(grep("postfix/qmgr: fatal: watchdog timeout", wait=10), f"qmgr_daemon_timeout: {grep('watchdog|exit status|signal')}")
check(grep(r"postfix/master: warning: process /usr/lib/postfix/sbin/qmgr pid \w+ exit status 1", wait=10), f"master says so: {grep('exit status|signal')}")
send("second@example.org")
check(grep("to=<second@example.org>, .*status=sent", wait=20), "a new queue manager works")
check(running("pickup") == [pickup], "daemon_timeout is longer: pickup has survived")

# A log that cannot be read or written holds nothing up, also when the message is to expire; no process spins.
send("later@example.org")
[path] = glob.glob("/var/spool/postfix/defer/*/*")
os.unlink(path)
os.makedirs(path + "/x")
os.chown(path, os.stat("/var/spool/postfix/defer").st_uid, 0)
quiet("postqueue -f")
settle()
check(grep("cannot remove its defer log: Directory not empty", wait=10), f"the directory is told of: {grep('defer log')}")
check("later@example.org" in quiet("postqueue -p").stdout, "and hides no recipient")
quiet(f"postsuper -e {os.path.basename(path)}; postqueue -f")
check(grep("to=<later@example.org>, .*status=sent", wait=20), f"one more try: {grep('later@')}")
settle()
check("queue is empty" in quiet("postqueue -p").stdout, f"all is done: {quiet('postqueue -p').stdout}")

# What is wrong with one transport's parameters is told, and costs nobody's mail.
for name, value, says in (
    ("recipient_refill_delay", "0", "invalid strange_recipient_refill_delay: 0 (min 1)"),
    ("recipient_refill_limit", "0", "invalid strange_recipient_refill_limit parameter value 0 < 1"),
    ("extra_recipient_limit", "", "bad numerical configuration: strange_extra_recipient_limit = "),
    ("initial_destination_concurrency", "0", "invalid strange_initial_destination_concurrency parameter value 0 < 1"),
    ("destination_concurrency_positive_feedback", "", "bad string length 0 < 1: strange_destination_concurrency_positive_feedback = "),
):
    quiet(f"postconf -e 'strange_{name}={value}'; postfix reload")
    time.sleep(1)
    user = name.replace("_", "-")
    send(f"{user}@example.net")
    told = grep("postfix/qmgr: warning: ", wait=5)
    check(any(says in line for line in told), f"{name} = {value} is told: {told}")
    check(grep(f"to=<{user}@example.net>, .*status=sent", wait=10), f"{name}: mail goes on")
    quiet(f"postconf -X strange_{name}")
nolog()
