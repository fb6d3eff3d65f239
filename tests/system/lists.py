"""mailing lists made of aliases, list files, owners and commands, in the forms that list managers use (S-LIST)"""

sink("mx1", "192.0.2.20:25", {"RCPT TO:<gone@": "550 5.1.1 no such user"})
file("/etc/postfix/members", "alice\n# a comment\nbob, x@example.org\n")
file("/srv/mlm/aliases", 'mlist: "|/srv/mlm/wrapper post mlist"\nowner-mlist: carol\n')
file("/srv/mlm/wrapper", "#!/bin/sh\n{ echo \"$@\"; id -un; id -gn; } >> /var/tmp/mlm.out\ncat >> /var/tmp/mlm.out\n", mode=0o755)
file("/srv/mlm/mailman", "#!/bin/sh\necho \"$@\" >> /var/tmp/mailman.out\n", mode=0o755)
quiet("postalias hash:/srv/mlm/aliases; chown filter:filter /srv/mlm /srv/mlm/*")
file("/etc/postfix/virtual", "lists.test anything\nnews@lists.test news-local\nodd@lists.test odd@mailman.test\n")
file("/etc/postfix/transport", "mailman.test mailman:\n")
quiet("postmap hash:/etc/postfix/virtual hash:/etc/postfix/transport; umask 0; touch /var/tmp/mailman.out /var/tmp/mlm.out /var/tmp/nobodys")
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
    mailman unix - n n - - pipe flags=FRX user=filter argv=/srv/mlm/mailman ${nexthop} ${user}
""")
start()


def post(to, text="Subject: s\n\nx\n", sender="poster@example.org"):
    quiet(f"sendmail -f {sender} {to}", text)
    settle()


def box(user):
    return quiet(f"cat /var/mail/{user}").stdout


def mail_about(user, subject):
    """The headers of a message."""
    found = [m for m in ("\n" + box(user)).split("\nFrom ") if f"Subject: {subject}\n" in m]
    return found[0].split("\n\n")[0] if found else ""


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
text = mail_about("alice", "owned")
check("\nReturn-Path: <owner-li@example.com>" in text, f"S-LIST-03: members see the owner as sender: {text}")
check(grep(r"postfix/qmgr: \w+: from=<owner-li@example.com>"), "S-LIST-03: so does the log")
check("Subject: Undelivered Mail Returned to Sender" in box("dave") and "<gone@example.org>" in box("dave"), "S-LIST-03, S-BOUNCE-08: the owner gets the report")
check("MAILER-DAEMON" not in "\n".join("\n".join(r) for r in host.servers["mx1"].records), "S-LIST-03: the poster does not")
check(grep(r"postfix/local: \w+: to=<li@example.com>, orig_to=<li>, .*status=sent \(forwarded as \w+\)"), f"S-LIST-01: forwarded as a new message: {grep('orig_to=<li>')}")
# S-LIST-05
check(text.count("\nReceived: ") >= 2 and "\nDelivered-To: li@example.com" in text and "\nDelivered-To: alice@example.com" in text, f"S-LIST-05: the way is told: {text}")
quiet("postconf -e expand_owner_alias=yes; postfix reload")
sleep(1)
post("li", "Subject: expanded\n\nx\n")
check("\nReturn-Path: <dave@example.com>" in mail_about("alice", "expanded"), f"S-LIST-03: expand_owner_alias: {mail_about('alice', 'expanded')}")
quiet("postconf -e expand_owner_alias=no; postfix reload")
sleep(1)

# S-LIST-06, S-LIST-08, S-INT-07: the wrapper's rights are those of the alias file's owner, else of default_privs.
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
