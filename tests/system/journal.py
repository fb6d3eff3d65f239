"""Maildirs on ext4 with a journal: the message gets its name in `new` only, and what a copy of the disk holds at "delivered" is all there (S-LOCAL-10)"""
import glob
import os
import re
import signal
import time

IMAGE, MAIL, COPY = "/tmp/disk", "/mail", "/mnt/copy"
quiet("mknod /dev/loop-control c 10 237; for n in 0 1 2 3 4 5 6 7; do mknod /dev/loop$n b 7 $n; done; mkdir -p /sys; mount -t sysfs none /sys")
quiet(f"mkdir -p {MAIL} {COPY} && truncate -s 64M {IMAGE} && mkfs.ext4 -q -F {IMAGE}")
if quiet(f"mount -o loop {IMAGE} {MAIL}").returncode:
    check(True, "left out: no loop device to be had here")
else:
    quiet(f"mkdir {MAIL}/v {MAIL}/users && chown 5000:5000 {MAIL}/v && install -d -o alice -g mail -m 2700 {MAIL}/users/alice")
    file("/etc/postfix/boxes", "a@example.net a/\nb@example.net b/\n")
    main(f"""
        virtual_mailbox_domains = example.net
        virtual_mailbox_base = {MAIL}/v
        virtual_mailbox_maps = texthash:/etc/postfix/boxes
        virtual_uid_maps = static:5000
        virtual_gid_maps = static:5000
        mail_spool_directory = {MAIL}/users/
    """)
    start()

    def cut():
        """The disk as it is at one moment: a copy that is the same after it was made as it was before."""
        quiet(f"until cp {IMAGE} /tmp/cut && cmp -s {IMAGE} /tmp/cut; do :; done; mount -o loop /tmp/cut {COPY}")

    def at(top, where):
        return sorted(glob.glob(f"{top}/{where}/new/*"))

    def deliver(rcpt, number):
        sendmail(rcpt, f"Subject: number {number}\n\n" + f"text of {number}\n" * 500)
        wait_log(f"to=<{rcpt}.*status=sent", count=number)

    def tmp_changed():
        return os.stat(f"{MAIL}/v/a/tmp").st_mtime_ns

    for number in (1, 2):
        for rcpt, where in (("a@example.net", "v/a"), ("b@example.net", "v/b"), ("alice@example.com", "users/alice")):
            deliver(rcpt, number)
            # What was written so far; nobody has unmounted or synced the disk.
            cut()
            found = at(COPY, where)
            texts = [open(name).read() for name in found]
            check(len(found) == number and all(t.count("text of") == 500 for t in texts), f"{rcpt}: {number} after a power cut: {len(found)}")
            quiet(f"umount {COPY}")
        made = tmp_changed() if number == 1 else made
    check(tmp_changed() == made, "the second message was never in tmp")
    for where, uid in (("v/a", 5000), ("users/alice", os.stat("/home/alice").st_uid)):
        names = at(MAIL, where)
        inodes = [f"{os.stat(name).st_ino:x}" for name in names]
        check(len(names) == 2 and all(re.fullmatch(rf"\d+\.V[0-9a-f]+I{inode}M\d+\.\S+", os.path.basename(name)) for name, inode in zip(names, inodes)), f"{where}: names in new")
        stats = [os.stat(name) for name in names]
        check(all((s.st_uid, s.st_mode & 0o7777, s.st_nlink) == (uid, 0o600, 1) for s in stats), f"{where}: owner and mode")
        check(sorted(os.listdir(f"{MAIL}/{where}")) == ["cur", "new", "tmp"] and not os.listdir(f"{MAIL}/{where}/tmp"), f"{where}: nothing in tmp")
    # Many at one time: those that share a sync are all there, whenever the power goes.
    boxes = {f"m{n}@example.net": f"v/m{n}" for n in range(12)}
    file("/etc/postfix/boxes", "".join(f"m{n}@example.net m{n}/\n" for n in range(12)) + "a@example.net a/\nb@example.net b/\n")
    for round in range(6):
        for number in range(4):
            sendmail(" ".join(boxes), f"Subject: many\n\n" + f"text of {number}\n" * 500)
        wait_log(r"to=<m\d+@.*status=sent", count=48 * round + 5 + 4 * round)
        daemons = [pid for pids in running().values() for pid in pids]
        for pid in daemons:
            os.kill(pid, signal.SIGSTOP)
        # What they asked the kernel for is done, and no more comes.
        time.sleep(0.5)
        said = {box: len(re.findall(f"to=<{box}>.*status=sent", open("/var/log/maillog").read())) for box in boxes}
        cut()
        found = {box: [open(name).read() for name in at(COPY, where)] for box, where in boxes.items()}
        whole = {box: sum(text.count("text of") == 500 for text in texts) for box, texts in found.items()}
        check(all(whole[box] >= said[box] for box in boxes) and sum(said.values()) > 0, f"many, round {round}: {sum(said.values())} said to be delivered, {sum(whole.values())} there")
        quiet(f"umount {COPY}")
        for pid in daemons:
            os.kill(pid, signal.SIGCONT)
        wait_log(r"to=<m\d+@.*status=sent", count=48 * (round + 1))
    # One that nobody may read through /proc, as in a chroot jail.
    quiet("postconf -F virtual/unix/chroot=y && mkdir -p /var/spool/postfix/mail && mount --bind /mail /var/spool/postfix/mail && postfix stop && postfix start")
    deliver("a@example.net", 3)
    check(tmp_changed() != made and len(at(MAIL, "v/a")) == 3 and not os.listdir(f"{MAIL}/v/a/tmp"), "in a jail without /proc: the third, by way of tmp")
    # A full one.
    size = sum(os.statvfs(MAIL)[i] for i in (3,)) * os.statvfs(MAIL).f_frsize
    quiet(f"head -c {size} /dev/zero > {MAIL}/fill; sync {MAIL}/fill")
    sendmail("b@example.net", "Subject: full\n\n" + "x\n" * 5000)
    wait_log(r"to=<b@example\.net>.*status=deferred")
    check(len(at(MAIL, "v/b")) == 2 and not os.listdir(f"{MAIL}/v/b/tmp"), "a full disk: deferred, nothing half there")
    quiet(f"rm {MAIL}/fill; postqueue -f")
    wait_log(r"to=<b@example\.net>.*status=sent", count=3)
    check(len(at(MAIL, "v/b")) == 3, "with room again it arrives")
nolog()
