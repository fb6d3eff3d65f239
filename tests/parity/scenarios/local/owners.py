"""owner- aliases in other domains; commands and files of an alias file that is somebody's (S-LIST-03, S-LIST-06)"""
sink("mx1", "192.0.2.20:25")
main("""
    mydestination = $myhostname, localhost.$mydomain, localhost, $mydomain, shop.test
    alias_maps = hash:/etc/aliases, hash:/tmp/al, hash:/tmp/nobody
    local_recipient_maps =
""")
aliases("""
team: x@example.org, alice
owner-team: carol
loop: team
owner-loop: bob, alice
inc: :include:/tmp/inc
owner-inc: carol
owner-dave: carol
owner-nosuch: bob
""")
file("/tmp/inc", "bob\nx@example.org\n")
file("/tmp/cmd", "#!/bin/sh\n(id -un; id -gn; id -G; echo $HOME $SHELL $USER $SENDER) >> /tmp/cmd.log\ncat >/dev/null", mode=0o755)
postalias("hash:/tmp/al", "cmd: \"|/tmp/cmd\"\nfile: /tmp/af/x\n")
postalias("hash:/tmp/nobody", "lost: \"|/tmp/cmd\"\nlostfile: /tmp/af/y\n")
quiet("mkdir -m 777 /tmp/af; touch /tmp/cmd.log; chmod 666 /tmp/cmd.log; chown vmail:root /tmp/al.db; chown 4711:4712 /tmp/nobody.db; chmod 644 /tmp/*.db")
start()
for to in ("team@localhost", "team@mail.example.com", "team@shop.test", "inc@shop.test"):
    mail("s@example.org", to, f"Subject: for {to}\n\nx\n")
    settle()
sh("grep -h '^Return-Path\\|^Subject\\|^Delivered' /var/mail/alice /var/mail/bob; rm /var/mail/*")
for to in ("cmd", "file", "lost", "lostfile"):
    mail("s@example.org", to, f"Subject: {to}\n\nx\n")
    settle()
sh("cat /tmp/cmd.log; stat -c '%U %G %a' /tmp/af/*")
mailq()
quiet("postsuper -d ALL")
log(include="local|bounce")
