"""mynetworks in its forms, the default relay policy, relay_domains, an empty main.cf"""
# S-ID-11 S-ID-12 S-ID-14 S-ID-15 S-ID-16 S-RECIPE-77
sink("mx1", "192.0.2.20:25")
dns("relay.test MX 10 mx.example.org\nsub.relay.test MX 10 mx.example.org")
file("/etc/postfix/mynetworks", "# trusted\n127.0.0.0/8\n192.0.2.13\n")
postmap("hash:/etc/postfix/network_table", "192.0.2.14 ok\n198.51.100 ok\n")
DIALOGUE = "EHLO x\nMAIL FROM:<s@example.net>\n" + "".join(f"RCPT TO:<{r}>\n" for r in (
    "x@other.test", "x%other.test@example.com", "x@other.test@example.com", "x!y@example.com", "x@relay.test", "x@sub.relay.test", "alice@example.com")) + "QUIT\n"
main("smtpd_soft_error_limit = 100")
start()
for text in ("relay_domains = relay.test\nmynetworks = $config_directory/mynetworks, hash:/etc/postfix/network_table",
             "relay_domains = relay.test, .relay.test\nparent_domain_matches_subdomains =\nsmtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination"):
    main(text)
    reload()
    for src in ("192.0.2.10", "192.0.2.13", "192.0.2.14", "198.51.100.10"):
        smtp(DIALOGUE, src=src)
main("mynetworks = 127.0.0.0/8, 1.2.3.4/8")
reload()
smtp("EHLO x\nMAIL FROM:<s@example.net>\nRCPT TO:<x@example.org>\nRCPT TO:<alice@example.com>\nQUIT\n")
main_cf("maillog_file = /var/log/maillog\ncompatibility_level = 3.6\nalias_maps =\n")
reload()
smtp("EHLO x\nMAIL FROM:<s@example.net>\nRCPT TO:<x@example.org>\nRCPT TO:<root@mail.example.com>\nQUIT\n")
