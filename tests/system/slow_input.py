"""in_flow_delay: input waits while the queue manager stands still, and everything is delivered afterwards (S-QUEUE-23); resource parameters are accepted (S-QUEUE-26)"""
import os
import signal
import smtplib
import time

sink("mx1", "192.0.2.20:25")
main("""
    mynetworks = 127.0.0.0/8
    relayhost = [192.0.2.20]
    in_flow_delay = 2s
    fork_attempts = 7
    fork_delay = 2s
    ipc_idle = 7s
    ipc_timeout = 100s
    ipc_ttl = 900s
    default_process_limit = 50
    max_use = 5
""")
start()
quiet("smtp-source -m 5 -s 5 -f s@example.org -t r@example.org 127.0.0.1:25")
wait_empty()
[qmgr] = running("qmgr")
os.kill(qmgr, signal.SIGSTOP)
RECIPIENTS = [f"recipient-with-a-rather-long-name-{n}@example.org" for n in range(100)]
sent, slowest = 0, 0.0
with smtplib.SMTP("127.0.0.1", 25, timeout=30) as client:
    while sent < 400 and slowest < 1:
        began = time.monotonic()
        client.sendmail("s@example.org", RECIPIENTS, "Subject: x\r\n\r\nx\r\n")
        slowest = max(slowest, time.monotonic() - began)
        sent += 1
check(sent > 5, f"S-QUEUE-23: the first messages are taken at once: {sent}")
check(1.5 < slowest < 20, f"S-QUEUE-23: then each waits for in_flow_delay: {slowest:.1f} s after {sent} messages")
os.kill(qmgr, signal.SIGCONT)
wait_empty(100)
got = sum(x.startswith("RCPT TO:<recipient-") for r in host.servers["mx1"].records for x in r)
check(got == 100 * sent, f"S-QUEUE-23: all are delivered, once: {got} of {100 * sent}")
check(quiet("postconf -dh fork_attempts").stdout == "5\n", "S-QUEUE-26: the default of fork_attempts")
check(not grep("fork_attempts|ipc_|unused"), "S-QUEUE-26: resource parameters are accepted")
nolog()
