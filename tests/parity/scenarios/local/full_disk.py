"""mailboxes on a full disk and over their limit: cut back to the old length, Maildir files gone, the configuration that makes no sense"""
# S-LOCAL-07 S-LOCAL-08 S-VIRT-12
BIG = "Subject: big\n\n" + ("x" * 70 + "\n") * 400
quiet("for d in spool full; do mkdir /mnt/$d; mount -t tmpfs -o size=16k,mode=1777 tmpfs /mnt/$d; done; mkdir -m 777 /mnt/full/old /mnt/full/v")
aliases("""
    box:  /mnt/full/box
    dir:  /mnt/full/dir/
    dirs: /mnt/full/old/dir/
""")
postmap("hash:/etc/postfix/vmailbox", """
    box@v.example   box
    dir@v.example   dir/
""")
main("""
    mail_spool_directory = /mnt/spool
    message_size_limit = 60000
    virtual_mailbox_domains = v.example
    virtual_mailbox_base = /mnt/full/v
    virtual_mailbox_maps = hash:/etc/postfix/vmailbox
    virtual_uid_maps = static:5000
    virtual_gid_maps = static:5000
    minimal_backoff_time = 1000s
    bounce_queue_lifetime = 0
""")
start()
mail("", "alice@example.com", "Subject: small\n\nx\n")
settle()
sh("wc -l /mnt/spool/alice; cp -a /mnt/spool/alice /tmp/before")
for to in ("alice@example.com", "box@example.com", "dir@example.com", "dirs@example.com", "box@v.example", "dir@v.example"):
    mail("s@example.org", to, BIG)
    settle()
    sh("cmp /mnt/spool/alice /tmp/before && echo as before; cd /mnt; find full spool -type f | sed 's/[0-9]\\{9,\\}.*/FILE/'; find full -type f -size +0 | wc -l")
    quiet("rm -rf /mnt/full/box /mnt/full/dir /mnt/full/v/*")
mailq()
# A full disk mends itself: the next attempt.
quiet("for d in spool full; do mount -o remount,size=1m /mnt/$d; done; postqueue -f")
wait_empty()
sh("grep -c '^Subject: big' /mnt/spool/alice /mnt/full/box /mnt/full/v/box; find /mnt/full -path '*new/*' | wc -l")
# The limit of one mailbox.
quiet("rm -rf /mnt/full/* /mnt/spool/*; mkdir -m 777 /mnt/full/v")
main("mailbox_size_limit = 60000\nvirtual_mailbox_limit = 60000")
reload()
for n in range(3):
    for to in ("alice@example.com", "box@example.com", "dir@example.com", "box@v.example", "dir@v.example"):
        mail("", to, BIG)
        settle()
    sh("cd /mnt; for f in spool/alice full/box full/v/box; do echo $f $(grep -c '^Subject: big' $f) $(($(stat -c %s $f) > 60000)); done; find full -path '*new/*' | wc -l")
log(include="postfix/(local|virtual)")
