"""mailbox delivery that fails: full disk, quota of a file, missing and foreign folders, locks, owners"""
# S-LOCAL-06 (dave)
sh("mkdir /mnt/full; mount -t tmpfs -o size=8k tmpfs /mnt/full; mkdir /mnt/full/d; chown -R alice /mnt/full; dd if=/dev/zero of=/mnt/full/fill bs=4k count=4 2>/dev/null; true")
aliases("""
    full:     /mnt/full/box
    nodir:    /no/such/dir/box
    todir:    /tmp/folder/
    nomaild:  /no/such/dir/
    plain:    /etc/postfix/main.cf
    fifo:     /tmp/fifo
    exec:     /tmp/exec
    relative: "./x"
""")
sh("mkfifo /tmp/fifo; echo > /tmp/exec; chmod 755 /tmp/exec; chown nobody /tmp/exec; mkdir -m 777 /tmp/folder")
sh("touch /var/mail/bob; chown carol /var/mail/bob; ln -s /tmp/elsewhere /var/mail/carol; touch /var/mail/dave /var/mail/dave.lock; chown dave /var/mail/dave")
main("deliver_lock_attempts = 2\ndeliver_lock_delay = 1s\nstale_lock_time = 100s\nbounce_queue_lifetime = 0")
start()
for name in ("full", "nodir", "todir", "nomaild", "plain", "exec", "relative", "bob", "carol", "dave"):
    mail("", f"{name}@example.com", f"Subject: {name}\n\n")
    settle()
stat("/tmp/folder", "/var/mail/*", "/tmp/elsewhere", "/tmp/exec")
log(include="postfix/local")
