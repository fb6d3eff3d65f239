"""other people's clients: swaks, curl, msmtp, mutt, Python's smtplib, and plain nc-like sockets (S-INT-01, S-INT-16, S-INT-27, S-EXT-01, S-CMD-09)"""
import shutil
import smtplib

main("mynetworks = 127.0.0.0/8")
start()
BODY = "Subject: from %s\n\nHello from %s.\n"


def boxes():
    return quiet("cat /var/mail/alice 2>/dev/null").stdout


def arrives(name):
    settle()
    check(f"Subject: from {name}" in boxes(), f"a message by {name} arrives")


with smtplib.SMTP("127.0.0.1", 25, timeout=10) as s:
    s.ehlo("client.example")
    check(s.has_extn("pipelining") and s.has_extn("size") and s.has_extn("dsn"), "smtplib sees the extensions")
    refused = s.sendmail("s@example.com", ["alice@example.com"], BODY % ("smtplib", "smtplib"))
    check(refused == {}, "smtplib: no recipient is refused")
    try:
        s.sendmail("s@example.com", ["nosuchuser@example.com"], BODY % ("x", "x"))
        check(False, "smtplib: an unknown user is refused")
    except smtplib.SMTPRecipientsRefused as e:
        check(e.recipients["nosuchuser@example.com"][0] == 550, "smtplib: an unknown user is refused with 550")
arrives("smtplib")

for program, command in {
    "swaks": "swaks --server 127.0.0.1 --from s@example.com --to alice@example.com --header 'Subject: from swaks' --body x --hide-all",
    "swaks-pipeline": "swaks --pipeline --server 127.0.0.1 --from s@example.com --to alice@example.com --header 'Subject: from swaks-pipeline' --hide-all",
    "curl": "printf 'Subject: from curl\\n\\nx\\n' | curl -sS --crlf smtp://127.0.0.1/me --mail-from s@example.com --mail-rcpt alice@example.com -T -",
    "msmtp": "printf 'Subject: from msmtp\\n\\nx\\n' | msmtp -C /dev/null --host=127.0.0.1 --from=s@example.com alice@example.com",
    "mutt": "echo x | mutt -n -F /dev/null -e 'set sendmail=/usr/sbin/sendmail copy=no' -s 'from mutt' alice@example.com",
    "mailx": "printf 'Subject: from mailx\\n\\nx\\n' | sendmail -t -oi alice@example.com",
}.items():
    binary = "sendmail" if program == "mailx" else program.split("-")[0]
    check(shutil.which(binary), f"{binary} is installed")
    r = quiet(command)
    check(r.returncode == 0, f"{program} is content: {(r.stdout + r.stderr).strip()[-300:]}")
    arrives(program)
check(not queue_ids(), "nothing is left in the queue")
nolog()
