"""postfix check and post-install: what they say of wrong owners and modes, and mend (S-MASTER-02, S-ADMIN-11, S-CMD-05, S-SEC-02)"""
import os
start()
sleep(1)
q, data, etc, sbin = "/var/spool/postfix", "/var/lib/postfix", "/etc/postfix", "/usr/lib/postfix/sbin"
sh(f"rm -f {q}/pid/unix.*; ls -A {q} | sort")


def wrong(what, undo=None):
    """Damage, what postfix check says of it, repair."""
    before = os.path.getsize("/var/log/maillog")
    quiet(what)
    r = quiet("postfix check")
    with open("/var/log/maillog") as f:
        f.seek(before)
        said = sorted({line.split("]: ", 1)[-1] for line in f.read().splitlines() if "postfix-script" in line})
    file("/tmp/said", "".join(f"{line}\n" for line in said))
    sh(f"cat /tmp/said; echo 'status {r.returncode}: {what}'")
    if undo:
        quiet(undo)


wrong(f"chown alice {q}", f"chown root {q}")
wrong(f"chmod 777 {q}", f"chmod 755 {q}")
wrong(f"chown alice {q}/pid; chmod 777 {q}/pid", f"chown root {q}/pid; chmod 755 {q}/pid")
for name in "private public saved".split():
    wrong(f"chown alice {q}/{name}", f"chown postfix {q}/{name}")
quiet(f"chown alice {q}/active")
sh("postfix check")
quiet(f"chown postfix {q}/active")
wrong(f"chmod 777 {q}/active", f"chmod 700 {q}/active")
wrong(f"chgrp root {q}/public {q}/maildrop; chmod 777 {q}/public {q}/maildrop", f"chgrp postdrop {q}/public {q}/maildrop; chmod 730 {q}/maildrop; chmod 710 {q}/public")
wrong(f"chown root {q}/public/pickup {q}/private/smtp", f"chown postfix {q}/public/pickup {q}/private/smtp")
wrong(f"mkdir {q}/saved/d; for i in corrupt/A saved/B saved/d/C private/y pid/z; do touch {q}/$i; chown alice {q}/$i; done", f"rm -r {q}/corrupt/* {q}/saved/* {q}/private/y {q}/pid/z")
wrong(f"chown alice {data} {data}/master.lock; touch {data}/w; chmod 666 {data}/w; chmod 777 {data}", f"chown postfix {data} {data}/master.lock; chmod 755 {data}; rm {data}/w")
wrong(f"chmod 777 {etc}; chmod 666 {etc}/main.cf; chown alice {etc}/master.cf", f"chmod 755 {etc}; chmod 644 {etc}/main.cf; chown root {etc}/master.cf")
wrong(f"ln -s /tmp {etc}/out; ln -s a/../b {etc}/b; ln -s main.cf {etc}/in; ln -s ..in {etc}/dots; chown -h alice {etc}/in", f"rm {etc}/out {etc}/b {etc}/in {etc}/dots")
wrong(f"chown alice {sbin}/smtpd; chmod 777 {sbin}/smtpd", f"chown root {sbin}/smtpd; chmod 755 {sbin}/smtpd")
wrong("chgrp root /usr/sbin/postdrop", "chgrp postdrop /usr/sbin/postdrop; chmod 2755 /usr/sbin/postdrop")
wrong("chmod 2750 /usr/sbin/postdrop; chmod 755 /usr/sbin/postqueue", "chmod 2755 /usr/sbin/postdrop /usr/sbin/postqueue")
wrong("chmod 777 /usr/sbin/postconf; chown alice /usr/sbin/postmap", "chmod 755 /usr/sbin/postconf; chown root /usr/sbin/postmap")
jail = "bin etc lib sbin usr lib64 dev var home foo"
quiet("mkdir -p " + " ".join(f"/{d}/sub {q}/{d}/sub" for d in jail.split()))
wrong(f"for d in {jail}; do for f in differs same only; do echo $f > {q}/$d/sub/$f; done; echo other > /$d/sub/differs; echo same > /$d/sub/same; chown alice {q}/$d {q}/$d/sub/same; done")
wrong(f"rm -r {q}/etc {q}/usr {q}/bin {q}/sbin; ln -s /etc {q}/etc", f"rm -r {q}/etc {q}/lib {q}/lib64 {q}/dev {q}/var {q}/home {q}/foo; rm -r /*/sub")
wrong(f"rm -r {q}/saved {q}/hold")
wrong(f"mv {sbin}/master /tmp", f"mv /tmp/master {sbin}")

# What the reference lists in postfix-files and Debian does not install there.
quiet(f"touch {etc}/makedefs.out {etc}/main.cf.proto {etc}/master.cf.proto; rm -f {etc}/postfix-script {etc}/post-install")
quiet(f"""cd {q}; chown alice . active {data} {etc}/main.cf {sbin}/smtpd /usr/sbin/postmap; chmod 777 maildrop public {sbin}/smtpd /usr/sbin/postdrop {etc}
          chmod 600 {etc}/master.cf; chgrp root /usr/sbin/postqueue public; rm -r hold; mkdir active/d
          for i in active/A active/d/B saved/C maildrop/D; do touch $i; chown alice:users $i; done; touch {data}/mine; chown alice {data}/mine""")
look = f"cd {q}; stat -c '%U:%G %a %n' . active active/A active/d active/d/B saved/C maildrop maildrop/D public hold private/smtp {data} {data}/mine {etc} {etc}/main.cf {etc}/master.cf {sbin} {sbin}/smtpd /usr/sbin/postmap /usr/sbin/postdrop /usr/sbin/postqueue 2>&1"
sh("postfix post-install create-missing")
sh(look)
sh("postfix post-install upgrade-permissions; " + look)
sh("postfix set-permissions; " + look)
sh("postfix upgrade-permissions")
sh("postfix create-missing")
sh("postfix set-permissions", user="alice")
sh("postfix post-install set-permissions", user="alice")
sh("postfix post-install setgid_group=nogroup set-permissions; stat -c %G:%a /usr/sbin/postdrop /usr/sbin/postqueue; postconf -n setgid_group")
nolog()
