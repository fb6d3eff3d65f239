"""defer logs that are empty, cut, full of garbage, gone or not ours: the queue listing shows each recipient, the mail is still delivered (S-QUEUE-14)"""
import glob
import os
names = ["empty", "garbage", "half", "more", "cut", "gone", "unreadable", "owner"]
sink("mx1", "192.0.2.20:25", {f"RCPT TO:<{name}@": ["450 4.2.0 later", "250 2.1.5 Ok"] for name in names})
main("""
    relay_domains = example.org
    smtp_connection_cache_on_demand = no
    minimal_backoff_time = 1000s
""")
start()


def write(path, text, mode="w"):
    with open(path, mode) as f:
        f.write(text)


damage = {
    "empty": lambda path: write(path, ""),
    "garbage": lambda path: write(path, "\0 garbage \1\n\n===\n"),
    "half": lambda path: write(path, "recipient=x\noffset=9999\n"),
    "more": lambda path: write(path, "recipient=ghost@example.org\noffset=100\nstatus=5.0.0\naction=failed\nreason=invented", "a"),
    "cut": lambda path: os.truncate(path, os.path.getsize(path) - 20),
    "gone": os.unlink,
    "unreadable": lambda path: os.chmod(path, 0),
    "owner": lambda path: os.chown(path, 0, 0),
}
for name in names:
    host.head(name)
    quiet(f"sendmail -f alice@example.com {name}@example.org", "Subject: x\n\nx\n")
    settle()
    [path] = glob.glob(f"/var/spool/postfix/defer/*/{queue_ids('deferred')[0]}")
    damage[name](path)
    mailq()
    quiet("postqueue -f")
    wait_empty()
log(include="status=")
