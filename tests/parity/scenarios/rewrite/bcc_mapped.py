"""bcc recipients that canonical maps, masquerading and virtual aliases change, with and without extensions; the empty sender; no_address_mappings at smtpd, pickup and qmqpd (S-REWRITE-13, S-REWRITE-14)"""
main("""
    mydestination = $myhostname, $mydomain, localhost, masq.example.com, h.masq.example.com
    recipient_delimiter = +
    always_bcc = always+ext
    sender_bcc_maps = inline:{ {s@example.org=sent}, {me@example.com=empty+x@example.com} }
    recipient_bcc_maps = inline:{ {bob@example.com=received@h.masq.example.com}, {carol@example.com="quoted one"@example.com} }
    canonical_maps = inline:{ {always@example.com=dave@example.com}, {sent@example.com=alias@example.com}, {received@masq.example.com=other@example.com} }
    sender_canonical_maps = static:me@example.com
    sender_canonical_classes = envelope_sender
    virtual_alias_maps = inline:{ {alias@example.com=dave+viaalias@example.com carol@example.com}, {dave@example.com=alice@example.com} }
    masquerade_domains = masq.example.com
    masquerade_classes = envelope_sender envelope_recipient header_sender
    local_recipient_maps =
    luser_relay = alice
    qmqpd_authorized_clients = 192.0.2.10
    propagate_unmatched_extensions = canonical virtual
""")
master("""
    2525 inet n - n - - smtpd
      -o receive_override_options=no_address_mappings -o syslog_name=postfix/plain
    628 inet n - n - - qmqpd
    629 inet n - n - - qmqpd
      -o receive_override_options=no_address_mappings -o syslog_name=postfix/plain
""")
start()


def qmqp(port, sender, recipient):
    def net(text):
        return f"{len(text)}:{text},"
    with host.net.socket(2, 1, "192.0.2.10") as s:
        s.settimeout(10)
        s.bind(("192.0.2.10", 0))
        s.connect(("192.0.2.1", port))
        s.sendall(net(net("Subject: qmqp\n\nx\n") + net(sender) + net(recipient)).encode())
        host.out(s.recv(100).decode().split(" ")[0])


for sender, recipient in (("s@example.org", "bob@example.com"), ("", "carol@example.com"), ("t@example.org", "always@example.com"), ("t@example.org", "alias+tag@example.com")):
    for port in (25, 2525):
        mail(sender, recipient, f"Subject: {port}\n\nx\n", port=port)
        settle()
mail("t@example.org", "bob@example.com", "Subject: dsn\n\nx\n", rcpt_options="NOTIFY=SUCCESS ORCPT=rfc822;first@example.net")
settle()
for port in (628, 629):
    qmqp(port, "s@example.org", "bob@example.com")
    settle()
sendmail("-f s@example.org bob@example.com", "Subject: local\n\nx\n")
settle()
quiet("postconf -e receive_override_options=no_address_mappings; postfix reload; sleep 0.7")
sendmail("-f s@example.org bob@example.com", "Subject: local, no mappings\n\nx\n")
settle()
sh("grep -h '^X-Original-To\\|^Delivered-To\\|^From ' /var/mail/* | sed 's/  .*//'", sort=True)
