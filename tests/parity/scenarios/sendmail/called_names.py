"""what mailq and newaliases call themselves on standard error, and in the log; a host name that cannot be"""
start()
for c in ("mailq extra", "mailq -Q", "newaliases extra", "newaliases -Q", "sendmail -Q", "mailq -bz", "mailq -C/nonexistent", "newaliases -C /nonexistent"):
    sh(c)
quiet("postconf -e alias_database=hash:/nonexistent/a")
sh("newaliases")
quiet("postconf -e 'myhostname=x y'")
for c in ("mailq", "newaliases", "sendmail bob < /dev/null", "postqueue -p", "postqueue -f"):
    sh(f"timeout 20 {c} 2>&1 | grep -o '^[a-z]*: fatal: .*value: x y'")
log(include="sendmail: fatal", exclude="value: x y")
