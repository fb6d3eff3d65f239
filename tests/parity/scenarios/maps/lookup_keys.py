"""which keys each address table and list is asked for: quoted, extended and bare addresses, domains, parents (S-MAP-01, S-MAP-02, S-REWRITE-05)"""
dns("example.net MX 10 mx.example.net\nquoted.example MX 10 mx.example.net\nsub.example.org MX 10 mx.example.net")
sink("a", "192.0.2.21:25", hostname="mx.example.net")
socketmap("tables", "127.0.0.1:9002", {"fallback_transport_maps eve": "discard:fallback"})
ADDRESS_MAPS = ("canonical_maps", "sender_canonical_maps", "recipient_canonical_maps", "virtual_alias_maps", "transport_maps", "relocated_maps", "sender_bcc_maps", "recipient_bcc_maps",
                "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps", "smtp_generic_maps", "fallback_transport_maps", "mailbox_transport_maps", "mailbox_command_maps",
                "virtual_mailbox_maps", "virtual_uid_maps", "virtual_gid_maps")
LISTS = ("relay_domains", "virtual_alias_domains", "virtual_mailbox_domains", "masquerade_exceptions", "smtpd_client_event_limit_exceptions")
CHECKS = ("local_recipient_maps", "relay_recipient_maps", "virtual_mailbox_maps", "virtual_alias_maps", "canonical_maps", "relocated_maps")
ACCESS = ("client", "reverse_client_hostname", "helo", "sender", "recipient", "etrn")


def through(name):
    return f"socketmap:inet:127.0.0.1:9002:{name}"


settings = "".join(f"{name} = {through(name)}\n" for name in ADDRESS_MAPS + LISTS)
main(settings)
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    mydestination = $myhostname, $mydomain
    masquerade_domains = example.com
    recipient_delimiter = +
    local_recipient_maps =
    smtp_connection_cache_on_demand = no
""")
aliases("bob: bob\n")
start()
seen = 0


def keys():
    """What each table was asked for since the last time, without repetitions: what a process remembers it does not ask again."""
    global seen
    records = host.servers["tables"].records
    new, seen = records[seen:], len(records)
    for name in sorted({record.split(" ", 1)[0] for record in new}):
        host.out(f"== {name}")
        for key in sorted({record.split(" ", 1)[1] for record in new if record.split(" ", 1)[0] == name}):
            host.out("   " + key)


for sender, recipient in (("s@sub.example.org", "bob@example.com"), ("s+x@sub.example.org", "Bob+Ext@Example.com"), ('"s t+x"@quoted.example', '"u@v+x"@example.net'), ("", '".a+x"@example.com'),
                          ("s@h.example.com", '"a b+x"@sub.example.org'), ("postmaster", "x@[192.0.2.21]"), ("s@sub.example.org", "eve+x@mail.example.com"), ("s@sub.example.org", "x+@example.net"), ("s@sub.example.org", '""@example.com')):
    sendmail(f"-f '{sender}' -- '{recipient}'", "From: sender\nSubject: keys\n\nx\n")
    settle()
keys()
virtual = "virtual_mailbox_domains = mbox.example\nvirtual_mailbox_base = /var/vmail\nvirtual_alias_domains = valias.example\nrelay_domains = relay.example\n"
checks = "".join(f"{name} = {through(name)}\n" for name in CHECKS)
access = "".join(f"check_{name}_access {through(name)}, " for name in ACCESS if name != "etrn")
for sender, text in (("", checks + virtual), ("s+x@h.sub.example.org", "smtpd_recipient_restrictions = " + access + "permit\nlocal_recipient_maps =\nmynetworks = 127.0.0.1\nsmtpd_etrn_restrictions = check_etrn_access " + through("etrn"))):
    quiet("postconf -X " + " ".join(ADDRESS_MAPS + LISTS))
    quiet("postconf -e " + " ".join(f"'{line}'" for line in text.strip().split("\n")) + " 'smtpd_relay_restrictions=permit_mynetworks,reject'; postfix reload; sleep 1.5")
    for recipient in ("bob@example.com", '"u;v+x"@example.com', "r+x@relay.example", "r@sub.relay.example", '"m;n+x"@mbox.example', "v+x@valias.example"):
        smtp(f"EHLO Client.Sub.example.org\nMAIL FROM:<{sender}>\nRCPT TO:<{recipient}>\nRSET\nETRN sub.example.org\nQUIT\n")
    keys()
log(include="warning|fatal")
