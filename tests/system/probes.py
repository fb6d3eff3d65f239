"""the verify service killed, stopped, away: no client waits without end, nothing that was known for a second is forgotten (S-UBE-46)"""
import os
import signal
import time

main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtpd_recipient_restrictions = reject_unverified_recipient
    address_verify_poll_delay = 1
    address_verify_poll_count = 8
    address_verify_cache_cleanup_interval = 0
    ipc_timeout = 2s
    smtpd_error_sleep_time = 0
    transport_maps = inline:{ {ok.example=discard:} {no.example=error:5.1.1 nobody} }
""")
master("2525 inet n - n - - smtpd -o address_verify_service_name=nosuch -o address_verify_poll_count=1\n")
start()


def ask(name, port=25):
    """The reply to RCPT, and how long it took."""
    before, begin = len(host.lines), time.time()
    smtp(f"EHLO client.example.org\nMAIL FROM:<>\nRCPT TO:<{name}>\nQUIT", port=port)
    replies = [line.removeprefix("S: ") for line in host.lines[before:] if line.startswith("S: ")]
    return replies[-2], time.time() - begin


def verify():
    """The processes of the service."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/cmdline").read().split("\0")[0] == "verify":
                found.append(int(pid))
        except OSError:
            pass
    return found


good, bad = ask("a@ok.example")[0], ask("a@no.example")[0]
check(good == "250 2.1.5 Ok" and bad.startswith("450 4.1.1 <a@no.example>: Recipient address rejected: unverified address: nobody"), f"asked for the first time: {good}; {bad}")
settle()
# What was found out is on disk a second later, whatever happens to the process then.
for _ in range(100):
    if "a@no.example" in host._run("postmap -s btree:/var/lib/postfix/verify_cache").stdout:
        break
    time.sleep(0.1)
for pid in verify():
    os.kill(pid, signal.SIGKILL)
probes = len(grep("status=deliverable|status=undeliverable"))
reply = ask("a@ok.example")[0]
check(reply == "250 2.1.5 Ok", f"after a kill: {reply}")
reply = ask("a@no.example")[0]
check("nobody" in reply, f"after a kill: {reply}")
check(len(grep("status=deliverable|status=undeliverable")) == probes, "nothing was probed again")
reply = ask("b@ok.example")[0]
check(reply == "250 2.1.5 Ok", f"a new address after a kill: {reply}")
settle()
for pid in verify():
    os.kill(pid, signal.SIGSTOP)
reply, seconds = ask("b@ok.example")
check(reply.endswith("unverified address: address verification problem") and reply.startswith("450 ") and seconds < 30, f"the service hangs: {reply}")
for pid in verify():
    os.kill(pid, signal.SIGCONT)
reply = ask("b@ok.example")[0]
check(reply == "250 2.1.5 Ok", f"it goes on: {reply}")
reply, seconds = ask("b@ok.example", port=2525)
check(reply.endswith("unverified address: address verification problem") and seconds < 30, f"there is no such service: {reply}")
# Stopped in order: known at the next start, also what the last moment brought.
check(ask("c@ok.example")[0] == "250 2.1.5 Ok", "a last one")
stop()
sh("postmap -s btree:/var/lib/postfix/verify_cache | cut -d: -f1 | sort")
check("c@ok.example" in "\n".join(host.lines[-12:]), "it is in the file")
nolog()
