"""lists of domains: files, tables, exceptions with !, .domain, patterns, tables that fail, parent_domain_matches_subdomains (S-ID-11, S-MAP-13, S-CLASS-01)"""
file("/etc/postfix/domains", "f1.example\n!sub.f1.example, .f2.example\n")
postmap("hash:/etc/postfix/table", "t1.example x\n.t2.example x\n")
DOMAINS = ("f1.example", "sub.f1.example", "a.sub.f1.example", "f2.example", "x.f2.example", "t1.example", "x.t1.example", "t2.example", "x.t2.example", "F1.EXAMPLE", "p1.example", "xp1.example", "[192.0.2.1]")
main("""
    smtpd_error_sleep_time = 0
    smtpd_soft_error_limit = 100
    smtpd_hard_error_limit = 100
    mynetworks_style = host
    show_user_unknown_table_name = yes
    local_recipient_maps = static:yes
    relay_recipient_maps = fail:relay
""")
start()
quiet("cp /etc/postfix/main.cf /root/main.cf")
for text in ("relay_domains = /etc/postfix/domains", "relay_domains = hash:/etc/postfix/table", "relay_domains = !t1.example, hash:/etc/postfix/table", "relay_domains = regexp:{{/^.?p1\\.example$$/ x}}",
             "relay_domains = static:all", "relay_domains = !f1.example, static:all", "relay_domains = /etc/postfix/nosuch", "relay_domains = .f1.example f2.example", "relay_domains = f1.example fail:x",
             "mydestination = /etc/postfix/domains hash:/etc/postfix/table", "mydestination = $myhostname, !f1.example, static:x", "mydestination = hash:/etc/postfix/nosuch", "virtual_alias_domains = .t1.example x.t2.example hash:/etc/postfix/table",
             "virtual_mailbox_domains = F1.example t1.EXAMPLE", "virtual_alias_domains = f1.example fail:x"):
    for parents in (("", "relay_domains") if text.startswith("relay_domains") else ("",)):
        quiet("cp /root/main.cf /etc/postfix/main.cf")
        quiet(f"postconf -e '{text}' 'parent_domain_matches_subdomains = {parents}'; postfix reload; sleep 1")
        host.out(f"== {text}; parent_domain_matches_subdomains = {parents}")
        replies = {}
        with host.net.socket(2, 1, "192.0.2.13") as s:
            s.settimeout(5)
            s.bind(("192.0.2.13", 0))
            s.connect(("192.0.2.1", 25))
            f = s.makefile("rwb")
            f.readline()
            for line in ["MAIL FROM:<>"] + [f"RCPT TO:<x@{d}>" for d in DOMAINS]:
                f.write(line.encode() + b"\r\n")
                f.flush()
                domain = line.split("@")[-1].rstrip(">")
                replies.setdefault(f.readline().decode().strip().replace(domain, "..."), []).append(domain)
        for reply, domains in replies.items():
            host.out(f"{reply}: {' '.join(domains)}")
log(include="smtpd: fatal|rewrite: warning: .*(lookup|unavailable)")
