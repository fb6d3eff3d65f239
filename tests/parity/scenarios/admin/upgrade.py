"""upgrade-configuration: entries that a master.cf of an older version lacks or has in another way (S-BUILD-04)"""
etc = "/etc/postfix"
quiet(f"touch {etc}/makedefs.out {etc}/main.cf.proto {etc}/master.cf.proto; rm -f {etc}/postfix-script {etc}/post-install")
file(f"{etc}/master.cf", """
    # an old one
    smtp      inet  n       -       n       -       -       smtpd
    pickup    fifo  n       -       n       60      1       pickup
    cleanup   unix  -       -       n       -       0       cleanup
    qmgr      fifo  n       -       n       300     1       qmgr
    rewrite   unix  -       -       n       -       -       trivial-rewrite
    bounce    unix  -       -       n       -       0       bounce
    defer     unix  -       -       n       -       0       bounce
    flush     unix  -       -       n       1000?   0       flush
       -o syslog_name=a
    # between
    smtp      unix  -       -       n       -       -       smtp
    showq     unix  n       -       n       -       -       showq
    error     unix  -       -       n       -       -       error
    local     unix  -       n       n       -       -       local
    tlsmgr    fifo  -       -       n       300     1       tlsmgr
    # the end
""")
quiet(f"cp {etc}/main.cf /tmp; chmod 640 {etc}/master.cf")
# Postfix also shows what its editor says, and adds postscreen's entries as comments.
run = r"| grep ^Editing | grep -Ev 'TCP service|smtpd|dnsblog|tlsproxy'"
sh(f"postfix upgrade-configuration {run}")
sh("postconf -M")
sh(f"grep '^# ' {etc}/master.cf; cmp /tmp/main.cf {etc}/main.cf; stat -c %a {etc}/master.cf")
sh(f"postfix upgrade-configuration {run}")
sh(f"echo '# none' > {etc}/master.cf; postfix post-install upgrade-configuration {run} | grep -v 'flush service public'; postconf -M")
nolog()
