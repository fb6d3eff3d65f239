"""mailbox files and Maildirs: what is put before a message, From quoting, modes, sender forms, Delivered-To as asked, extensions"""
# S-LOCAL-04 S-LOCAL-05 S-LOCAL-10 S-LOCAL-11 S-LOCAL-12 S-LOCAL-13 S-INT-24
MESSAGE = "From: x@example.org\nTo: y\nSubject: {}\n\nFrom here\n>From there\nfrom small\n From indented\n\nFrom end"
aliases("""
    filed:   /tmp/filed
    folder:  /tmp/folder/
    piped:   "|cat >> /tmp/piped"
    multi:   alice, /tmp/filed, "|cat >> /tmp/piped"
""")
sh("chmod 1777 /tmp")
start()


def send(sender, to, what):
    # One after the other: two deliveries to one file have no fixed order.
    for one in to.split(" ") if '"' not in to else [to]:
        mail(sender, one, MESSAGE.format(what))
        settle()


send("s@example.org", "alice@example.com", "spool")
send("", "alice+ext@example.com", "null sender")
send('"odd sender"@example.org', "alice@localhost", "odd sender")
sendmail("-f 'plain' alice", "Subject: plain\n\nno end of line", user="bob")
settle()
mbox("alice")
send("s@example.org", "filed+x@example.com folder@example.com piped@example.com", "targets")
cat("/tmp/filed")
cat("/tmp/piped")
maildir("/tmp/folder")
stat("/var/mail/alice", "/tmp/filed", "/tmp/piped", "/tmp/folder", "/tmp/folder/*", "/tmp/folder/new/*")
main("home_mailbox = Mail/deep/box")
reload()
send("s@example.org", "bob@example.com", "below a folder that is not there")
sh("mkdir /home/bob/Mail /home/bob/Mail/deep; chown -R bob /home/bob/Mail")
send("s@example.org", "bob@example.com", "below a folder")
stat("/home/bob/Mail/deep/*")
main("home_mailbox = Mail/dir/\nprepend_delivered_header = command, file")
reload()
send("s@example.org", "carol+ext@example.com multi@example.com", "Maildir below a folder; no Delivered-To when forwarded")
maildir("/home/carol/Mail/dir")
tree("/home/carol")
main("home_mailbox =\nmail_spool_directory = /var/mail/md/\nprepend_delivered_header = forward")
reload()
send("s@example.org", "dave@example.com", "spool of Maildirs that is not there")
sh("mkdir -m 1777 /var/mail/md")
send("s@example.org", "dave@example.com multi@example.com filed@example.com", "spool of Maildirs")
maildir("/var/mail/md/dave")
stat("/var/mail/md/dave/*", "/var/mail/md/dave/new/*")
main("mail_spool_directory = /var/mail\nprepend_delivered_header =\nfrozen_delivered_to = no\nenable_original_recipient = no\nsun_mailtool_compatibility = yes")
reload()
send("s@example.org", "carol+two@example.com filed@example.com", "nothing before it")
mbox("carol")
cat("/tmp/filed")
cat("/tmp/piped")
mailq()
