"""Dovecot as mail store: LMTP by socket and TCP, its LDA by pipe, IMAP and POP reading mailboxes that grow meanwhile (S-INT-02, S-INT-04, S-RECIPE-14)"""
import imaplib
import poplib
import threading
import time

peer("dovecot")
user("dovecot", 110)
user("dovenull", 111)
PEOPLE = {"alice": (1001, "mbox:~/mail:INBOX=/var/mail/alice"), "bob": (1002, "maildir:~/Maildir"), "store": (5000, "maildir:/var/vmail/%u")}
file("/etc/dovecot/users", "".join(f"{name}:{{plain}}secret:{uid}:{uid}::/home/{name}::userdb_mail={where}\n" for name, (uid, where) in PEOPLE.items()))
file("/etc/dovecot/dovecot.conf", """
protocols = imap pop3 lmtp
base_dir = /run/dovecot
state_dir = /run/dovecot-state
ssl = no
disable_plaintext_auth = no
log_path = /tmp/dovecot.log
auth_username_format = %n
first_valid_uid = 1
mail_privileged_group = mail
mbox_write_locks = dotlock fcntl
recipient_delimiter = +
postmaster_address = postmaster@example.com
hostname = mail.example.com
passdb { \n driver = passwd-file \n args = /etc/dovecot/users \n}
userdb { \n driver = passwd-file \n args = /etc/dovecot/users \n default_fields = uid=5000 gid=5000 home=/var/vmail \n}
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp { \n mode = 0600 \n user = postfix \n group = postfix \n }
  inet_listener lmtp { \n address = 127.0.0.1 \n port = 2424 \n }
}
service imap-login { \n inet_listener imap { \n address = 127.0.0.1 \n } \n}
service pop3-login { \n inet_listener pop3 { \n address = 127.0.0.1 \n } \n}
service stats { \n unix_listener stats-writer { \n mode = 0666 \n } \n}
service auth { \n unix_listener auth-userdb { \n mode = 0666 \n } \n}
""".replace(" \\n", "\n"))
quiet("mkdir -p /var/vmail /run/dovecot-state; chown vmail:vmail /var/vmail; touch /tmp/dovecot.log; chmod 666 /tmp/dovecot.log")
main("""
    mynetworks = 127.0.0.0/8
    recipient_delimiter = +
    virtual_mailbox_domains = unix.example, tcp.example, lda.example
    virtual_mailbox_maps = static:all
    virtual_transport = lmtp:unix:private/dovecot-lmtp
    transport_maps = inline:{ {tcp.example=lmtp:inet:127.0.0.1:2424} {lda.example=dovecot-lda:} }
    dovecot-lda_destination_recipient_limit = 1
    lmtp_destination_recipient_limit = 20
""")
master("""
    dovecot-lda unix - n n - - pipe
      flags=DRhu user=vmail:vmail argv=/usr/lib/dovecot/dovecot-lda -f ${sender} -a ${original_recipient} -d ${user} -m ${extension}
""")
file("/home/bob/.forward", "/home/bob/Maildir/\n", owner="bob")
start()
daemon("dovecot", "dovecot -F -c /etc/dovecot/dovecot.conf", "127.0.0.1:143")


def imap(name):
    box = imaplib.IMAP4("127.0.0.1", 143)
    box.login(name, "secret")
    return box


def subjects(name, folder="INBOX"):
    box = imap(name)
    status, _ = box.select(folder, readonly=True)
    if status != "OK":
        return []
    _, found = box.search(None, "ALL")
    got = [box.fetch(n, "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode().strip().removeprefix("Subject: ") for n in found[0].split()]
    box.logout()
    return got


# LMTP: a mailbox that is there, one that is not, and several recipients in one transaction; each has its own answer.
mail("bob@example.com", "store@unix.example nobody@unix.example store+lists@unix.example", "Subject: by socket\n\nx\n.dot\n")
mail("bob@example.com", "store@tcp.example nobody@tcp.example", "Subject: by tcp\n\nk\u00e4se\n", options="BODY=8BITMIME")
settle()
check(sorted(subjects("store")) == ["by socket", "by socket", "by tcp"], f"LMTP: {subjects('store')}")
text = grep("postfix/lmtp:")
check(any("to=<store@unix.example>" in x and "[private/dovecot-lmtp]" in x and "status=sent (250 2.0.0" in x for x in text), "LMTP by socket: sent")
check(any("to=<nobody@unix.example>" in x and "dsn=5.1.1, status=bounced" in x for x in text), f"LMTP: unknown user: {text}")
check(any("to=<nobody@tcp.example>" in x and "127.0.0.1]:2424" in x and "dsn=5.1.1, status=bounced" in x for x in text), "LMTP by TCP: unknown user")
box = imap("store")
box.select("INBOX", readonly=True)
raw = box.fetch("1", "(BODY[])")[1][0][1].decode()
box.logout()
check("Return-Path: <bob@example.com>" in raw and "\r\n.dot\r\n" in raw, f"LMTP: content {raw!r}")

# The delivery command: its exit codes are sysexits' (67: unknown user).
mail("bob@example.com", "store@lda.example nobody@lda.example", "Subject: by lda\n\n")
settle()
check("by lda" in subjects("store"), f"LDA: {subjects('store')}")
check(any("to=<nobody@lda.example>" in x and "dsn=5.1.1, status=bounced (user unknown" in x for x in grep("dovecot-lda")), f"LDA: {grep('dovecot-lda')}")

# A store that is away: mail waits, and arrives when it is back.
end("dovecot")
mail("bob@example.com", "store@unix.example", "Subject: waited\n\n")
settle()
check(any("status=deferred" in x and "store@unix.example" in x for x in grep("dovecot-lmtp")), "the store is away: deferred")
daemon("dovecot", "dovecot -F -c /etc/dovecot/dovecot.conf", "127.0.0.1:143")
quiet("postqueue -f")
wait_empty()
check("waited" in subjects("store"), "the store is back")

# Mailboxes are read and cleared by IMAP and POP while mail is delivered to them: every message is seen exactly once.
COUNT = 60
quiet("rm -rf /home/bob/Maildir/new/* ; : > /var/mail/alice; chown alice:mail /var/mail/alice; chmod 660 /var/mail/alice")
seen = {"alice": [], "bob": []}
stop_reading = threading.Event()


def read_imap(name):
    while True:
        last = stop_reading.is_set()
        box = imap(name)
        box.select("INBOX")
        for n in box.search(None, "ALL")[1][0].split():
            seen[name].append(box.fetch(n, "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode().strip())
            box.store(n, "+FLAGS", "\\Deleted")
        box.expunge()
        box.logout()
        if last:
            return
        time.sleep(0.05)


def read_pop(name):
    while True:
        last = stop_reading.is_set()
        box = poplib.POP3("127.0.0.1", 110)
        box.user(name)
        box.pass_("secret")
        for n in range(1, box.stat()[0] + 1):
            seen[name].append(next(x for x in box.retr(n)[1] if x.startswith(b"Subject:")).decode())
            box.dele(n)
        box.quit()
        if last:
            return
        time.sleep(0.05)


readers = [threading.Thread(target=read_pop, args=("alice",)), threading.Thread(target=read_imap, args=("bob",))]
[r.start() for r in readers]
for n in range(COUNT):
    mail("s@example.com", "alice@example.com bob@example.com", f"Subject: number {n}\n\nFrom here on\n" + "x" * 70 + "\n")
settle()
stop_reading.set()
[r.join(60) for r in readers]
for name, got in seen.items():
    number = [s for s in got if s.startswith("Subject: number")]
    check(len(number) == COUNT and len(set(number)) == COUNT, f"{name}: {len(number)} messages, {len(set(number))} different ones, of {COUNT}")
check(not queue_ids(), f"the queue is empty: {quiet('mailq').stdout}")
end("dovecot")
nolog()
