"""who opens a table in a database: root's services ask a helper of their own, all others the proxymap service; files of settings are root's (S-DB-01, S-TABLE-09, S-TABLE-11)"""
quiet("sqlite3 /tmp/db \"create table t(s text, k text, v text); insert into t values('box','alice@v.test','box/'),('alias','team','alice,bob'),('virtual','x@a.test','carol@example.com')\"")
for name in ("box", "alias", "virtual"):
    file(f"/etc/postfix/{name}.cf", f"dbpath = /tmp/db\nquery = SELECT v FROM t WHERE s = '{name}' AND k = '%s'\n", mode=0o600)
quiet("mkdir -p /var/vmail; chown vmail /var/vmail")
sink("mx", "192.0.2.20:25")
main("""
    alias_maps = sqlite:/etc/postfix/alias.cf
    alias_database =
    virtual_alias_domains = a.test
    virtual_alias_maps = pipemap:{sqlite:/etc/postfix/virtual.cf}
    virtual_mailbox_domains = v.test
    virtual_mailbox_maps = sqlite:/etc/postfix/box.cf
    virtual_mailbox_base = /var/vmail
    virtual_uid_maps = static:5000
    virtual_gid_maps = static:5000
""")
start()


def processes(name):
    """Of programs of this name: (parent's name, user id, process id)."""
    found = []
    for line in quiet("ps -eo pid=,ppid=,uid=,args=").stdout.splitlines():
        pid, ppid, uid, args = line.split(None, 3)
        if args.split()[0].endswith(f"/{name}") or args.split()[0] == name:
            parent = quiet(f"ps -o args= -p {ppid}").stdout.split()
            found.append((parent[0].rsplit("/", 1)[-1] if parent else "", uid, pid))
    return found


mail("s@example.org", "alice@v.test")
mail("s@example.org", "team@example.com")
mail("s@example.org", "x@a.test")
settle()
check(len(quiet("ls /var/vmail/box/new").stdout.split()) == 1, "virtual finds the mailbox in the table")
check("From s@example.org" in quiet("cat /var/mail/bob").stdout, "local finds the alias in the table")
check("From s@example.org" in quiet("cat /var/mail/carol").stdout, "smtpd and cleanup find the virtual alias in the table")
owner = quiet("id -u postfix").stdout.strip()
helpers = processes("proxymap")
check(all(uid == owner for _, uid, _ in helpers), f"no proxymap has root: {helpers}")
parents = sorted(parent for parent, _, _ in helpers)
check(parents == ["local", "master", "virtual"], f"one for all, and one for each service that holds root: {parents}")

# The helpers die. local starts another one; virtual may not start programs, so it ends and comes again.
for parent, _, pid in helpers:
    if parent != "master":
        quiet(f"kill -9 {pid}")
quiet("rm -f /var/mail/bob")
mail("s@example.org", "team@example.com", "Subject: third\n\nx\n")
mail("s@example.org", "alice@v.test")
settle()
check("third" in quiet("cat /var/mail/bob").stdout, "a helper that died is started again")
quiet("sleep 1; postqueue -f")
wait_empty()
check(len(quiet("ls /var/vmail/box/new").stdout.split()) == 2, "and so is that of a service which may not start programs")

# Not named in the configuration: not answered for.
file("/etc/postfix/other.cf", "dbpath = /tmp/db\nquery = SELECT 'secret'\n", mode=0o600)
r = quiet("postmap -q x proxy:sqlite:/etc/postfix/other.cf", user="alice")
check(r.returncode != 0 and "secret" not in r.stdout, "proxymap does not open what the configuration does not name")

# The database goes away: deferred and refused for now, never unknown.
quiet("mv /tmp/db /tmp/gone")
mail("s@example.org", "x@a.test")
quiet("sendmail -f s@example.com team@example.com", "Subject: fourth\n\nx\n")
wait_log(r"postfix/pickup.*maildrop/.*queue file write error", 1)
log_text = "\n".join(host._log_lines())
check("Temporary lookup failure" in log_text, "451 while the database is away")
check("User unknown" not in log_text, "never unknown")
quiet("mv /tmp/gone /tmp/db; postqueue -f")
wait_empty()
check("fourth" in quiet("cat /var/mail/bob").stdout, "delivered when the database is back")
nolog()
