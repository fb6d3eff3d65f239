"""a table that fails, in every parameter that says where mail goes: temporary, logged, and only for the mail that needs it (S-TABLE-21)"""
main("smtpd_hard_error_limit=1000\nsmtpd_soft_error_limit=1000\nmynetworks=192.0.2.10")
start()
for n, settings in enumerate(("relocated_maps = fail:x", "transport_maps = fail:x", "virtual_alias_domains = fail:x", "relay_domains = fail:x", "virtual_mailbox_domains=fail:x", "sender_dependent_relayhost_maps = fail:x","sender_dependent_default_transport_maps=fail:x","mydestination = fail:x", "virtual_alias_maps = fail:x", "canonical_maps = fail:x","mynetworks=fail:x, 192.0.2.10","local_recipient_maps=fail:x","sender_bcc_maps=fail:x","recipient_bcc_maps=fail:x", "masquerade_domains=org\nmasquerade_exceptions=fail:x","relay_domains=fail:x\nsmtpd_reject_unlisted_sender=yes", "transport_maps=fail:x\nsmtpd_reject_unlisted_sender=yes","transport_maps=fail:x\nsmtpd_sender_restrictions=reject_unknown_sender_domain")):
    quiet("cp /etc/postfix/main.cf /root/main.cf") if n == 0 else quiet("cp /root/main.cf /etc/postfix/main.cf")
    for s in settings.split("\n"):
        quiet(f"postconf -e '{s}'")
    quiet("postfix reload; sleep 0.7")
    sh("echo '" + settings + "'")
    for i in ("alice@example.com","x@example.org"):
        smtp(f"EHLO client.example.org\nMAIL FROM:<alice@example.com>\nRSET\nMAIL FROM:<s@example.org>\nRCPT TO:<{i}>\nDATA\nFrom: x@example.org\n\n.\nQUIT\n")
    settle()
for settings in ("canonical_maps = fail:x", "sender_canonical_maps = fail:x", "recipient_canonical_maps = fail:x\nrecipient_canonical_classes = header_recipient"):
    quiet("cp /root/main.cf /etc/postfix/main.cf")
    for s in settings.split("\n"):
        quiet(f"postconf -e '{s}'")
    quiet("postfix reload; sleep 0.7")
    sendmail("-f s@example.org r@example.org", "From: f@example.org\nTo: t@example.org\n\n")
    sleep(1)
    quiet("rm -f /var/spool/postfix/maildrop/*")
# Postfix asks for "*" as soon as it starts, and has one warning less when mydestination fails.
log(include="warning|error|fatal|status=deferred", exclude='"\\*"|mydestination lookup failure')
