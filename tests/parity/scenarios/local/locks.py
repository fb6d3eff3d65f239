"""mailbox locks against other programs: dotlock, fcntl, flock, alone and together, in mailboxes, files and virtual mailboxes; waiting, stale lock files"""
# S-LOCAL-06
import fcntl
import os

postmap("hash:/etc/postfix/vmailbox", "box@v.example box\n")
main("""
    deliver_lock_attempts = 1
    deliver_lock_delay = 1s
    minimal_backoff_time = 1000s
    virtual_mailbox_domains = v.example
    virtual_mailbox_base = /var/vmail
    virtual_mailbox_maps = hash:/etc/postfix/vmailbox
    virtual_uid_maps = static:5000
    virtual_gid_maps = static:5000
""")
aliases("filed: /var/mail/filed\n")
quiet("chmod 1777 /var/vmail")


def empty(*_):
    quiet("postsuper -d ALL; rm -f /var/mail/* /var/vmail/*; touch /var/mail/filed /var/mail/alice /var/vmail/box; chown nobody /var/mail/filed; chown alice /var/mail/alice; chown 5000 /var/vmail/box")


class Holder:
    """Another program that has locked a mailbox."""

    def __init__(self, how, path):
        self.file, self.dot = None, None
        if how == "dotlock":
            self.dot = path + ".lock"
            os.close(os.open(self.dot, os.O_CREAT | os.O_EXCL, 0o600))
        else:
            self.file = open(path, "a")
            (fcntl.lockf if how == "fcntl" else fcntl.flock)(self.file, fcntl.LOCK_EX)

    def release(self):
        if self.dot:
            os.unlink(self.dot)
        else:
            self.file.close()


def held(how, path, to):
    holder = Holder(how, path)
    mail("", to, f"Subject: {how}\n\n")
    settle()
    sh(f"grep -c Subject {path}")
    holder.release()
    sh(f"ls {path}.lock 2>&1")


empty()
start()
METHODS = ("dotlock", "fcntl", "flock")
for methods in ("flock", "fcntl", "dotlock", "flock fcntl dotlock"):
    note(f"our locks: {methods}")
    main(f"mailbox_delivery_lock = {methods}\nvirtual_mailbox_lock = {methods.replace(' ', ',')}")
    quiet("postfix reload")
    sleep(1)
    for how in METHODS:
        held(how, "/var/mail/alice", "alice@example.com")
    empty()
note("files and virtual mailboxes")
for how in METHODS:
    held(how, "/var/mail/filed", "filed@example.com")
    held(how, "/var/vmail/box", "box@v.example")
empty()
note("a lock that ends in time, and one that is old")
main("deliver_lock_attempts = 20\nstale_lock_time = 3s")
quiet("postfix reload")
sleep(1)
for how in METHODS:
    holder = Holder(how, "/var/mail/alice")
    mail("", "alice@example.com", f"Subject: {how}\n\n")
    sleep(1.2)
    sh("grep -c Subject /var/mail/alice")
    holder.release()
    settle()
    sh("grep -c Subject /var/mail/alice")
sh("touch -d '10 seconds ago' /var/mail/alice.lock")
mail("", "alice@example.com", "Subject: stale\n\n")
settle()
sh("grep -c Subject: /var/mail/alice; ls /var/mail")
log(include="status=")
