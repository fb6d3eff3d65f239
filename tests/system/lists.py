"""mailing lists made of aliases, list files, owners and commands (S-LIST), in the forms that list managers use"""
import os
import re
import time

sink("mx1", "192.0.2.20:25", {"RCPT TO:<gone@": "550 5.1.1 no such user"})
file("/etc/postfix/members", "alice\n# a comment\nbob, x@example.org\n")
file("/srv/mlm/aliases", 'mlist: "|/srv/mlm/wrapper post mlist"\nowner-mlist: carol\n', owner="filter")
file("/srv/mlm/wrapper", "#!/bin/sh\n{ echo \"$@\"; id -un; id -gn; } >> /var/tmp/mlm.out\ncat >> /var/tmp/mlm.out\n", mode=0o755, owner="filter")
quiet("chown -R filter:filter /srv/mlm; postalias hash:/srv/mlm/aliases; chown filter:filter /srv/mlm/*")
file("/etc/postfix/virtual", "lists.test anything\nnews@lists.test news-local\nodd@lists.test odd@mailman.test\n")
file("/etc/postfix/transport", "mailman.test mailman:\n")
quiet("postmap hash:/etc/postfix/virtual hash:/etc/postfix/transport; touch /var/tmp/mailman.out; chmod 666 /var/tmp/mailman.out")
aliases("""
    needlepoint: alice, bob,
        carol
    members: :include:/etc/postfix/members
    li: alice, gone@example.org
    owner-li: dave
    news-local: alice, carol
    nobodys: "|cat >/dev/null; id >> /var/tmp/nobodys"
""")
main("""
    alias_maps = hash:/etc/aliases hash:/srv/mlm/aliases
    alias_database = hash:/etc/aliases
    virtual_alias_maps = hash:/etc/postfix/virtual
    transport_maps = hash:/etc/postfix/transport
    mailman_destination_recipient_limit = 1
""")
master("""
    mailman unix - n n - - pipe flags=FRX user=filter argv=/bin/sh -c {echo "$1 $2" >> /var/tmp/mailman.out} sh ${nexthop} ${user}
""")
quiet("touch /var/tmp/mlm.out; chmod 666 /var/tmp/mlm.out")
start()


def post(to, text="Subject: s\n\nx\n", sender="poster@example.org"):
    quiet(f"sendmail -f {sender} {to}", text)
    settle()


def box(user):
    return quiet(f"cat /var/mail/{user}").stdout


# S-LIST-01
post("needlepoint", "Subject: stitches\n\nx\n")
for member in ("alice", "bob", "carol"):
    check(box(member).count("Subject: stitches") == 1, f"S-LIST-01: {member} once")
check(len(grep(r"postfix/local: \w+: to=<(alice|bob|carol)@example.com>, orig_to=<needlepoint>, .*status=sent \(delivered to mailbox\)")) == 3,
      f"S-LIST-01: a line for each member: {grep('needlepoint')}")

# S-LIST-02: the file is read anew for each message.
post("members", "Subject: first\n\nx\n")
for member in ("alice", "bob"):
    check("Subject: first" in box(member), f"S-LIST-02: {member} is in the file")
check(any("| Subject: first" in r for r in host.servers["mx1"].records), "S-LIST-02: so is x@example.org")
file("/etc/postfix/members", "carol\n")
post("members", "Subject: second\n\nx\n")
check("Subject: second" in box("carol") and "Subject: second" not in box("alice"), "S-LIST-02: an edit is seen without newaliases")

# S-LIST-03
post("li", "Subject: owned\n\nx\n")
check("\nReturn-Path: <owner-li@example.com>" in box("alice").split("Subject: owned")[0].rsplit("From ", 1)[-1], "S-LIST-03: members see the owner as sender")
check(grep(r"postfix/qmgr: \w+: from=<owner-li@example.com>"), "S-LIST-03: so does the log")
check("Subject: Undelivered Mail Returned to Sender" in box("dave") and "<gone@example.org>" in box("dave"), "S-LIST-03: the owner gets the report")
check("MAILER-DAEMON" not in "\n".join("\n".join(r) for r in host.servers["mx1"].records), "S-LIST-03: the poster does not")
# S-LIST-05
text = box("alice").split("Subject: owned")[0].rsplit("\nFrom ", 1)[-1]
check("\nDelivered-To: li@example.com\n" in text or "\nDelivered-To: alice@example.com\n" in text, f"S-LIST-05: Delivered-To tells the way: {text}")
check(text.count("\nReceived: ") >= 2 and "Delivered-To: li@example.com" in text, f"S-LIST-05: and Received: {text}")
quiet("postconf -e expand_owner_alias=yes; postfix reload")
time.sleep(1)
post("li", "Subject: expanded\n\nx\n")
check(grep(r"from=<dave@example.com>"), f"S-LIST-03: expand_owner_alias: {grep('queue active')[-4:]}")
quiet("postconf -e expand_owner_alias=no owner_request_special=no; postfix reload")
time.sleep(1)
post("owner-li", "Subject: not special\n\nx\n")
check("Subject: not special" in box("dave"), "S-LIST-03: owner-li itself")

# S-LIST-06, S-LIST-08, S-INT-07: the wrapper's rights are those of the alias file's owner, else of default_privs.
quiet("postconf -e owner_request_special=yes; postfix reload; sleep 1")
post("mlist", "Subject: to the manager\n\nx\n")
out = quiet("cat /var/tmp/mlm.out").stdout.split("\n")
check(out[:3] == ["post mlist", "filter", "filter"], f"S-LIST-06, S-LIST-08, S-INT-07: {out[:3]}")
check("Subject: to the manager" in out, "S-LIST-06: it reads the message")
post("nobodys")
check("uid=65534(nobody)" in quiet("cat /var/tmp/nobodys").stdout, "S-LIST-08: default_privs for root's own file")
# S-LIST-07: what a list sends back to itself.
post("li", "Delivered-To: li@example.com\nSubject: again\n\nx\n", sender="carol@example.com")
check(grep(r"to=<li@example.com>, .*dsn=5.4.6, status=bounced \(mail forwarding loop for li@example.com\)"), f"S-LIST-07: {grep('orig_to=<li>')[-2:]}")
# S-LIST-09: lists of a virtual domain.
post("news@lists.test", "Subject: virtual list\n\nx\n")
check("Subject: virtual list" in box("alice") and "Subject: virtual list" in box("carol"), "S-LIST-09: by an alias to a local name")
post("odd@lists.test")
check(quiet("cat /var/tmp/mailman.out").stdout == "mailman.test odd\n", f"S-LIST-09: by a transport of its own: {quiet('cat /var/tmp/mailman.out').stdout}")
nolog()
