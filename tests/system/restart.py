"""the queue manager is there again at once after it was killed, without any trigger; one that cannot start is throttled (S-MASTER-12, S-DAEMON-01)"""
import os
import signal
import time

sink("mx1", "192.0.2.20:25", {"RCPT TO:<slow": ["delay 4 250 ok", "250 ok"]})
main("""
    relayhost = [192.0.2.20]
    queue_run_delay = 300s
    service_throttle_time = 60s
""")
start()


def pids(program):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/cmdline").read().split("\0")[0].rsplit("/", 1)[-1] == program:
                found.append(int(pid))
        except OSError:
            pass
    return found


def within(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


check(within(10, lambda: pids("qmgr")), "the queue manager runs after the start")
time.sleep(6)  # it has been up for a while
first = pids("qmgr")[0]
sendmail("slow@example.org", "Subject: in delivery when the queue manager dies\n\n")
check(within(10, lambda: "slow@" in open("/var/log/maillog").read()), "the message is known")
os.kill(first, signal.SIGKILL)
# A throttled one would come after a minute.
check(within(15, lambda: pids("qmgr") not in ([], [first])), "a new queue manager at once")
second = pids("qmgr")[0]
# One that has lived for a moment only waits a second.
os.kill(second, signal.SIGKILL)
check(within(20, lambda: pids("qmgr") not in ([], [second])), "another one soon")
wait_log("to=<slow@example.org>.*status=sent")

# A program that ends while it starts is tried again once in service_throttle_time, not all the time.
quiet("postconf -e service_throttle_time=3s; postconf -F qmgr/unix/command='qmgr -o nonsense'")
quiet("postfix reload")
time.sleep(7)
tries = open("/var/log/maillog").read().count("bad command startup -- throttling")
check(2 <= tries <= 4, f"a queue manager that cannot start is tried once in 3 seconds: {tries} times in 7")
quiet("postconf -F qmgr/unix/command=qmgr")
quiet("postfix reload")
check(within(20, lambda: pids("qmgr")), "with a good entry it starts again")
sendmail("after@example.org", "Subject: after\n\n")
wait_log("to=<after@example.org>.*status=sent")
nolog()
