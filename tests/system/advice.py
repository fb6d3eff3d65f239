"""what is said at start, check and reload: settings without effect, services without program, open relays (S-CONF, S-TRAP-01); parameters that keep files"""
import os
import re

CLEAN = open("/etc/postfix/main.cf").read()


def said(command):
    before = len(grep("postfix-script: warning"))
    quiet(command)
    return grep("postfix-script: warning")[before:]


# Silence when all is well.
check(said("postfix check") == [], "nothing to say at check")
start()
check(grep("postfix-script: warning") == [], f"nothing to say at start: {grep('postfix-script: warning')}")
check(said("postfix reload") == [], "nothing to say at reload")

# What is set and is not there yet, in main.cf and for one service: a line for each place, at check, reload and start.
quiet("postconf -e smtpd_tls_security_level=may smtpd_tls_cert_file=/etc/ssl/cert.pem smtpd_milters=inet:127.0.0.1:8891 smtp_sasl_auth_enable=no")
quiet("postconf -P submission/inet/smtpd_sasl_auth_enable=yes; postconf -M submission/inet='submission inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes'")
for command in ("postfix check", "postfix reload", "postfix stop; postfix start"):
    lines = said(command)
    for words in (
        "/etc/postfix/main.cf: TLS is not there yet: .*: smtpd_tls_cert_file, smtpd_tls_security_level$",
        "/etc/postfix/main.cf: milter support is not there yet: .*: smtpd_milters$",
        r"/etc/postfix/master.cf: line \d+: service submission: SASL is not there yet: .*: smtpd_sasl_auth_enable$",
    ):
        check(len([x for x in lines if re.search(words, x)]) == 1, f"{command}: {words}: {lines}")
    check(not [x for x in lines if "smtp_sasl_auth_enable" in x], f"{command}: what is off is not warned of: {lines}")
file("/etc/postfix/main.cf", CLEAN)

# A service whose program does not exist.
quiet("postconf -M 10029/inet='10029 inet n - n - - nosuchd'")
lines = said("postfix check")
check(len(lines) >= 1 and any("service 10029 cannot start: there is no program /usr/lib/postfix/sbin/nosuchd" in x for x in lines), f"no program: {lines}")
quiet("postconf -MX 10029/inet submission/inet")
check(said("postfix check") == [], "silent again")

# S-TRAP-01
quiet("postconf -M submission/inet='submission inet n - n - - smtpd -o smtpd_relay_restrictions=permit'")
lines = said("postfix reload")
check(any("service submission: an open relay: permit in smtpd_relay_restrictions" in x for x in lines), f"S-TRAP-01: an open relay is told: {lines}")
quiet("postconf -MX submission/inet; postconf -e 'mynetworks = 127.0.0.0/8, 0.0.0.0/0'")
lines = said("postfix reload")
check(any("service smtp: an open relay: permit_mynetworks, with 0.0.0.0/0 in mynetworks" in x for x in lines), f"an open relay by mynetworks: {lines}")
file("/etc/postfix/main.cf", CLEAN)

# S-CONF-20: a table older than its source.
quiet("postmap /etc/postfix/t 2>/dev/null; echo 'a@b OK' > /etc/postfix/t; postmap hash:/etc/postfix/t; touch -d '-1 hour' /etc/postfix/t; touch -d '-2 hours' /etc/postfix/t.db")
quiet("postconf -e 'smtpd_sender_restrictions = check_sender_access hash:/etc/postfix/t'; postfix reload")
sleep(1)
ask("HELO c\nMAIL FROM:<a@b>\nQUIT")
check(grep("warning: database /etc/postfix/t.db is older than source file /etc/postfix/t", 5), "a table older than its source")

# S-TRAP-08: a main.cf that has lost the marks of its comments is refused, with the line; what runs goes on.
was = open("/etc/postfix/main.cf").read()
file("/etc/postfix/main.cf", "This is the configuration of our server\n" + was)
for command in ("postconf -n", "postfix check", "postfix reload"):
    r = quiet(command)
    check(r.returncode == 1 and "/etc/postfix/main.cf, line 1: missing '=' after attribute name" in r.stdout + r.stderr + "".join(grep("line 1: missing")),
          f"S-TRAP-08: {command}: {r.returncode} {r.stdout} {r.stderr}")
check(ask("QUIT")[0].startswith("220"), "S-TRAP-08: and mail goes on")
file("/etc/postfix/main.cf", was)

# dont_remove: queue files, what was in maildrop, and logs of reports go to saved/.
quiet("postconf -e dont_remove=1; postfix reload")
sleep(1)
sendmail("alice@example.com", "Subject: kept\n\nx\n", user="bob")
sendmail("nosuch@example.com", "Subject: kept too\n\nx\n", user="bob")
settle()
check(not queue_ids(), f"dont_remove: the queue is empty: {queue_ids()}")
names = os.listdir("/var/spool/postfix/saved")
check(len(names) == 6, f"dont_remove: two submissions, three messages, one log: {names}")
check("Subject: kept" in quiet("cd /var/spool/postfix/saved; for f in *; do postcat $f; done").stdout, "dont_remove: postcat reads them")
nolog()
