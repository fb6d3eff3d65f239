"""docs/recipes/procmail.md: procmail and maildrop deliver (S-RECIPE-76, S-RECIPE-57, S-INT-05, S-INT-06, S-LOCAL-18)"""
recipe("procmail")
start()
for to, subject in (("alice", "plain"), ("alice", "very urgent"), ("alice+lists", "to a list"), ("alice+other", "other"), ("bob", "for maildrop"), ("root", "for root"), ("carol", "no rules")):
    mail("s@example.org", f"{to}@example.com", f"Subject: {subject}\n\nx\n")
    settle()
sh("cd /home/alice; grep -H '^Subject:' *; stat -c '%n %U %a' *; cd /var/mail; grep -H '^Subject:' *; ls /home")
# Nothing but the rights of the user: root's mail without an alias runs as default_privs.
aliases("postmaster: root")
sh("sed -i '/^root:/d' /etc/aliases; newaliases")
main("mailbox_command = /usr/bin/id -un > /var/tmp/who")
quiet("chmod 1777 /var/tmp")
reload()
mail("s@example.org", "root@example.com", "Subject: for root\n\nx\n")
settle()
sh("cat /var/tmp/who")
log(include="status=")
