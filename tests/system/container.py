"""a container: postfix start-fg as process 1, log on standard output, an orderly end (S-RECIPE-63, S-INT-15)"""
import os
import time

main("maillog_file = /dev/stdout")
quiet("newaliases")
quiet("setsid unshare --pid --fork --propagation unchanged --mount-proc postfix start-fg > /tmp/stdout 2>&1 < /dev/null & echo $! > /tmp/pid")
outer = int(open("/tmp/pid").read())
for _ in range(100):
    greeting = quiet("swaks --server 127.0.0.1 --quit-after CONNECT 2>&1").stdout
    if "220 " in greeting:
        break
    time.sleep(0.1)
check("220 mail.example.com ESMTP" in greeting, f"S-RECIPE-63: port 25 answers: {greeting[-200:]} {open('/tmp/stdout').read()}")
quiet("swaks --server 127.0.0.1 --from s@example.org --to alice@example.com --body inside")
for _ in range(100):
    if os.path.exists("/var/mail/alice"):
        break
    time.sleep(0.1)
check("inside" in quiet("cat /var/mail/alice").stdout, "S-RECIPE-63: mail is delivered")
text = open("/tmp/stdout").read()
for line in ("postfix/master[1]: daemon started -- version 3.", "postfix/smtpd[", "status=sent (delivered to mailbox)"):
    check(line in text, f"S-RECIPE-63: the log is on standard output: {line}: {text}")
first = quiet(f"pgrep -P {outer}").stdout.split()
check(len(first) == 1, f"one process below unshare: {first}")
begin = time.time()
quiet(f"kill -TERM {first[0]}")
for _ in range(100):
    if not os.path.exists(f"/proc/{first[0]}"):
        break
    time.sleep(0.1)
check(not os.path.exists(f"/proc/{first[0]}") and time.time() - begin < 9, "S-RECIPE-63: what docker stop sends ends it in time")
check("terminating on signal 15" in open("/tmp/stdout").read(), f"S-RECIPE-63: an orderly end: {open('/tmp/stdout').read()[-300:]}")
check(not running(), f"S-RECIPE-63: nothing is left: {running()}")
nolog()
