"""gateways and hubs: inbound gateway, mail hub, backup MX by permit_mx_backup, UUCP and fax by pipe, several LMTP back ends, IMAP servers by LMTP"""
# S-RELAY-03 S-RELAY-04 S-RELAY-06 S-RELAY-08 S-RELAY-09 S-LMTP-05 S-INT-03 S-INT-06 S-INT-20 S-RECIPE-14 S-RECIPE-21
dns("""
    backup.example MX 10 primary.example
    backup.example MX 20 mail.example.com
    primary.example A 198.51.100.12
    outside.example MX 10 primary.example
    elsewhere.example MX 10 mx.example.org
    host.inside.example MX 10 mx.host.inside.example
    mx.host.inside.example A 192.0.2.23
""")
sink("internal", "192.0.2.22:25", hostname="internal.example")
sink("direct", "192.0.2.23:25", hostname="mx.host.inside.example")
sink("gateway", "192.0.2.24:25", hostname="gateway.example.com")
for n in (1, 2):
    lmtp_sink(f"store{n}", f"192.0.2.2{5 + n}:24", hostname=f"store{n}.example.com")
lmtp_sink("imap", "unix:/tmp/imap-lmtp", hostname="imap.example.com")
file("/usr/local/bin/fake", "#!/bin/sh\necho \"$@\" >> /tmp/calls\necho \"USER=$USER LOGNAME=$LOGNAME\" >> /tmp/calls\ncat >/dev/null\n", mode=0o755)
quiet("touch /tmp/calls; chmod 666 /tmp/calls")
user("uucp", 10)
main("""
    mynetworks = 127.0.0.0/8
    smtpd_relay_restrictions = permit_mynetworks, permit_mx_backup, reject_unauth_destination
    relay_domains = gw.example, uucp.example, fax.example
    relay_recipient_maps = inline:{ {user@gw.example=x} {@uucp.example=x} {@fax.example=x} }
    virtual_mailbox_domains = stores.example, drop.example
    virtual_mailbox_maps = static:all
    transport_maps = texthash:/etc/postfix/transport
    mailbox_transport = lmtp:unix:/tmp/imap-lmtp
    fax_destination_recipient_limit = 1
    maildrop_destination_recipient_limit = 1
    smtp_connection_cache_on_demand = no
    relayhost =
""")
file("/etc/postfix/transport", """
gw.example smtp:[192.0.2.22]
uucp.example uucp:uucphost
fax.example fax:
drop.example maildrop:
stores.example lmtp:inet:192.0.2.26
carol@stores.example lmtp:inet:192.0.2.27:24
inside.example :
.inside.example :
example.com :
*  smtp:[192.0.2.24]
""")
master("""
    uucp unix - n n - - pipe
      flags=Fqhu user=uucp argv=/usr/local/bin/fake uux -r -n -z -a$sender - $nexthop!rmail ($recipient)
    fax unix - n n - 1 pipe
      flags= user=filter argv=/usr/local/bin/fake faxmail -d -n ${user}
    maildrop unix - n n - - pipe
      flags=DRXhu user=vmail argv=/usr/local/bin/fake maildrop -d ${recipient}
""")
aliases("team: alice, bob")
start()
smtp("""
    EHLO client.example.org
    MAIL FROM:<s@example.org>
    RCPT TO:<x@backup.example>
    RCPT TO:<x@outside.example>
    RCPT TO:<user@gw.example>
    RCPT TO:<nosuch@gw.example>
    QUIT
""", src="192.0.2.10")
mail("s@example.org", "user@gw.example", "Subject: inbound gateway\n\n")
settle()
sendmail("-f alice@example.com x@elsewhere.example x@host.inside.example", "Subject: hub\n\n")
settle()
mail("s@example.org", ["r1@Uucp.example", "r2@uucp.example", "R3+x@uucp.example"], "Subject: uucp\n\n")
settle()
mail("s@example.org", "5551234@fax.example 5555678@fax.example", "Subject: fax\n\n")
settle()
mail("s@example.org", "Joe@drop.example", "Subject: maildrop\n\n")
settle()
mail("s@example.org", "alice@stores.example carol@stores.example bob@stores.example", "Subject: back ends\n\n")
settle()
mail("s@example.org", "team@example.com", "Subject: alias and IMAP server\n\n")
settle()
main("local_transport = lmtp:unix:/tmp/imap-lmtp")
reload()
mail("s@example.org", "team@example.com", "Subject: no alias\n\n")
settle()
sinks()
sh("sort /tmp/calls")
