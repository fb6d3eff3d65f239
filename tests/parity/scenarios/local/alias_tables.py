"""several alias tables and their owners, newaliases, owner aliases, request names, delimiters of several characters, what the tables may hold"""
# S-LOCAL-26 S-LOCAL-27 S-LOCAL-28 S-LIST-03 S-LIST-04 S-BOUNCE-08 S-INT-24
sink("mx1", "192.0.2.20:25", {"RCPT TO:<gone@": "550 5.1.1 no such user"})
file("/srv/list/aliases", """
    majordomo:   "|id -un > /tmp/majordomo"
    both:        bob
    owned:       "|id -un; id -un > /tmp/owned"
""")
file("/etc/postfix/direct", "fromtext: alice\n")
aliases("""
    both:           alice
    list:           alice, gone@example.org, inner, child
    owner-list:     dave
    inner:          bob, gone@example.org
    owner-inner:    carol
    child:          erin
    plain:          inner, child, alice
    trail2:         alice, bob+x, c@example.org, :include:/etc/postfix/inc
    list-request:   bob
    owner-child-x:  bob
    ext+one:        alice
    ext:            bob
    a-b:            carol
    over:           "|cat > /tmp/over"
    over-ext:       dave
    # comment between
    CamelCase:      alice,
                    bob
    trail:          alice, ,bob,
    "quoted name":  carol
    x@example.com:  dave
    @example.com:   dave
    loop1:          loop1@example.com
    back:           \\alice, "\\\\bob"
    file with blank: alice
    nothing:
    ocmd:           "|cat > /tmp/ocmd"
    owner-ocmd:     bob
""")
file("/etc/postfix/inc", "dave, inner\n")
user("erin", 1050)
file("/home/erin/.forward", "\\erin, alice, inner, :include:/etc/postfix/inc, frank@example.org\n", owner="erin")
file("/home/erin/.forward+b", "alice\n", owner="erin")
quiet("chmod 1777 /tmp; chown -R filter /srv/list")
main("""
    alias_maps = hash:/etc/aliases, texthash:/etc/postfix/direct, hash:/srv/list/aliases
    alias_database = hash:/etc/aliases
""")
start()


def send(what, names, sender="poster@example.com"):
    for name in names.split(" "):
        mail(sender, f"{name}@example.com", f"Subject: {what} {name}\n\n")
        settle()


send("before postalias", "majordomo both fromtext")
sh("newaliases; ls /srv/list; postalias -q majordomo hash:/etc/aliases; postalias -q both hash:/etc/aliases")
sh("postalias hash:/srv/list/aliases; chown filter /srv/list/*; postalias -q both hash:/srv/list/aliases")
reload()
send("first table wins", "majordomo both owned")
sh("cat /tmp/majordomo /tmp/owned")
send("lists", "list inner list-request list+x owner-list over-ext nothing ocmd plain trail2 erin+b")
sh("cat /tmp/ocmd")
send("extensions", "ext+one ext+two ext CAMELCASE trail loop1 back x")
main("""
    recipient_delimiter = +-
    expand_owner_alias = yes
    reset_owner_alias = yes
""")
reload()
send("both delimiters", "ext-one ext-two a-b over-ext over-x list-request list-x child-x alice-b+c owner-child-x")
send("owners", "list child inner plain")
main("owner_request_special = no\nmydestination = $myhostname, example.com\npropagate_unmatched_extensions = alias, forward")
reload()
send("no special names", "list-request owner-list over-zz ext-two trail+three plain+a trail2-b erin+a erin+b list+f")
sh("cd /var/mail; grep -HE '^(Subject|Return-Path|Delivered-To|X-Original-To):' * | sort")
sinks(sort=True)
log(include="status=|warning|fatal", exclude="smtpd")
