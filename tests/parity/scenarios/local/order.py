"""who gets the mail: aliases, .forward, mailbox transports and commands, home_mailbox, spool, fallback transports, luser_relay; case; new and odd accounts"""
# S-LOCAL-01 S-LOCAL-02 S-LOCAL-12 S-LOCAL-18 S-LOCAL-20 S-LOCAL-21 S-LOCAL-23 S-LOCAL-24 S-LOCAL-37 S-LOCAL-38 S-LOCAL-39 S-INT-03
lmtp_sink("all", "unix:/tmp/lmtp.sock")
lmtp_sink("known", "192.0.2.21:24")
lmtp_sink("unknown", "192.0.2.22:24")
aliases("""
    bob:        carol
    Root2:      root
    info.desk:  dave
""")
file("/home/bob/.forward", "alice\n", owner="bob")
file("/home/carol/.forward", "\\carol, alice@example.org\n", owner="carol")
file("/home/dave/.forward+x", "|cat > /tmp/dave.x\n", owner="dave")
sink("mx1", "192.0.2.20:25")
user("info.ora.com", 1020)
file("/usr/bin/deliver", "#!/bin/sh\n{ id -un; echo \"$@\"; cat; } > /tmp/command.$USER\n", mode=0o755)
sh("chmod 1777 /tmp")
main("home_mailbox = Mailbox")
start()
NAMES = "alice BOB Carol INFO.ora.com info.DESK dave+x PostMaster"


def send(what, names=NAMES):
    for name in names.split():
        mail("s@example.org", f"{name}@Example.COM", f"Subject: {what} {name}\n\nx\n")
        settle()


send("home_mailbox")
stat("/home/*/Mailbox")
main("mailbox_command = /usr/bin/deliver $USER")
reload()
send("command")
send("root", "root2 root")
stat("/tmp/command.*")
main("mailbox_transport_maps = inline:{ {alice = lmtp:inet:192.0.2.21:24} {nosuch = lmtp:inet:192.0.2.21:24} }\nlocal_recipient_maps =")
reload()
send("transport maps", "alice+e carol nosuch")
main("mailbox_transport = lmtp:unix:/tmp/lmtp.sock")
reload()
send("transport", NAMES + " nosuch2+ext")
# The table comes first, and names without an account come to the fallback only without mailbox_transport.
main("mailbox_transport =\nmailbox_transport_maps =\nmailbox_command =\nfallback_transport = lmtp:inet:192.0.2.22:24\nfallback_transport_maps = inline:{ {nobodyhome = lmtp:inet:192.0.2.21:24} }\nluser_relay = dave")
reload()
send("fallback", "alice bob nosuch nobodyhome nosuch+ext")
main("fallback_transport =\nfallback_transport_maps =")
reload()
send("luser", "alice nosuch no.such")
main("luser_relay =")
reload()
send("nobody", "nosuch")
# An account that was not there at the start; one whose home is away.
sh("cp /etc/passwd /tmp/p; echo 'erin:x:1030:1030::/home/erin:/bin/sh' >> /tmp/p; cp /tmp/p /etc/passwd; mkdir /home/erin; chown 1030:1030 /home/erin")
send("new", "erin")
sh("rm -r /home/erin")
send("no home", "erin")
main("home_mailbox =\nlocal_recipient_maps = inline:{ {alice = x} {@example.com = x} }")
reload()
send("no home, in the spool", "erin nosuch")
mail("s@example.org", "nosuch@localhost", "Subject: not in the table\n\nx\n")
main("local_recipient_maps = proxy:unix:passwd.byname $alias_maps")
reload()
send("default", "nosuch erin info.desk+a NoSuch+b")
sh("cd /home; tail -n 99 */Mailbox /tmp/command.* | grep -vE '^(Received|From|Return-|.by |.for )'")
sinks()
mailq()
log()
