"""lists of users and of destinations that commands and ETRN ask: files, tables, exceptions with !, tables that fail, what is malformed (S-ID-11, S-MAP-13, S-QUEUE-07)"""
file("/etc/postfix/users", "# who may\nalice\n/etc/postfix/more\n")
file("/etc/postfix/more", "!bob carol, inline:{dave=x}\n")
file("/etc/postfix/domains", "# those\na.example\n/etc/postfix/more_domains\n")
file("/etc/postfix/more_domains", "!b.example c.example, inline:{d.example=x}\n")
file("/etc/postfix/directory/x", "")
main("smtpd_error_sleep_time = 0")
start()


def tell(who, command):
    r = host._run(command, "Subject: x\n\nx\n", who)
    host.out(f"{who or 'root'}: {command}: {r.returncode} {(r.stdout + r.stderr).strip()}")


# A refusal takes Postfix's commands a second.
for value in ("!alice, static:all", "ALICE, regexp:{{/^b/ x}}", "fail:x", "alice fail:x", "/etc/postfix/nosuch", "/etc/postfix/users", "/etc/postfix/directory", "!", "nosuch:x", "hash:/etc/postfix/nosuch", "::1", ""):
    host.out(f"== authorized_mailq_users = {value}")
    quiet(f"postconf -e 'authorized_mailq_users = {value}'")
    for user in ("alice", "bob", None):
        tell(user, "mailq")
quiet("postconf -X authorized_mailq_users")
for name, command in (("authorized_flush_users", "postqueue -f"), ("authorized_submit_users", "sendmail carol@nosuch.example")):
    for value in ("!alice, static:all", "alice fail:x", "/etc/postfix/nosuch", "/etc/postfix/users"):
        host.out(f"== {name} = {value}")
        quiet(f"postconf -e '{name} = {value}'")
        for user in ("alice", "bob", None):
            tell(user, command)
    quiet(f"postconf -X {name}")
for value in ("!a.example, static:all", "a.example fail:x", "/etc/postfix/nosuch", "/etc/postfix/domains", "nosuch:x", ".a.example", "A.EXAMPLE", "/etc/postfix/directory"):
    host.out(f"== fast_flush_domains = {value}")
    quiet(f"postconf -e 'fast_flush_domains = {value}'; postfix reload")
    for domain in ("a.example", "x.a.example", "b.example", "d.example"):
        tell(None, f"postqueue -s {domain}")
    if value != "/etc/postfix/directory":
        host.out(" / ".join(ask("EHLO x\nETRN a.example\nETRN x.a.example\nETRN b.example\nQUIT")[-4:]))
quiet("postsuper -d ALL")
log(include="nothing")
