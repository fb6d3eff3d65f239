"""flush(8): which sites have a list, what stands in it, refresh and purge by age, postqueue -s and -i, sendmail -q forms, ETRN, flush away (S-SMTPD-06)"""
sink("mx1", "192.0.2.20:25", {"RCPT": "450 4.2.0 later"})
sink("mx2", "192.0.2.21:25", {"RCPT": "450 4.2.0 later"}, hostname="mx.example.net")
sink("open", "192.0.2.22:25", hostname="open.example.org")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    relay_domains = example.org, sub.example.net, hash:/etc/postfix/relay_domains
    fast_flush_domains = $relay_domains, extra.example, [192.0.2.22], pcre:/etc/postfix/sites
    parent_domain_matches_subdomains = fast_flush_domains
    smtpd_etrn_restrictions = check_etrn_access hash:/etc/postfix/etrn, permit_mynetworks, reject
    smtp_connection_cache_on_demand = no
    smtp_connect_timeout = 2s
    minimal_backoff_time = 1000s
    maximal_backoff_time = 2000s
    queue_run_delay = 1000s
    smtpd_error_sleep_time = 0
    fast_flush_refresh_time = 2h
    fast_flush_purge_time = 7d
    transport_maps = inline:{ {extra.example=smtp:[192.0.2.20]} {other.example=smtp:[192.0.2.20]} {listed.example=smtp:[192.0.2.20]} {UPPER.example=smtp:[192.0.2.20]} }
""")
postmap("hash:/etc/postfix/relay_domains", "listed.example x\n")
postmap("hash:/etc/postfix/etrn", "refused.example 550 5.7.1 not for you\nlater.example DEFER_IF_PERMIT wait\nok.example OK\nsub.example.org REJECT\nextra.example WARN seen\n")
file("/etc/postfix/sites", r"/^any-.*\.test$/ x")
dns("sub.example.net MX 10 mx.example.net\nany-1.test MX 10 mx.example.net")
start()
SITES = ("a@example.org", "a@x.example.org", "a@sub.example.net", "a@example.net", "a@extra.example", "a@other.example", "a@listed.example", "a@any-1.test", "a@[192.0.2.29]", "b@example.org")


def lists():
    """Each list and the messages in it, by their recipients."""
    sh(r"cd /var/spool/postfix/flush; for f in $(find . -type f | sort); do echo $f $(stat -c %a:%U $f); for q in $(cat $f); do postcat -eq $q 2>/dev/null | sed -n 's/^recipient: /    /p'; done | sort | uniq -c; done")


for n, rcpt in enumerate(SITES):
    sendmail(f"-f s@example.com {rcpt}", f"Subject: {n}\n\n")
settle()
lists()
smtp("""
    EHLO client.example.org
    ETRN
    ETRN example.org
    ETRN EXAMPLE.ORG
    ETRN x.example.org
    ETRN @example.org
    ETRN @
    ETRN #example.org
    ETRN example.org.
    ETRN <example.org>
    ETRN a@example.org
    ETRN example.net
    ETRN extra.example
    ETRN listed.example
    ETRN any-1.test
    ETRN any.test
    ETRN refused.example
    ETRN later.example
    ETRN ok.example
    ETRN sub.example.org
    ETRN [192.0.2.22]
    ETRN 192.0.2.22
    ETRN [192.0.2.300]
    ETRN [::1]
    ETRN [ipv6:2001:db8::1]
    ETRN 1.2.3
    ETRN a.1
    ETRN bad..example
    ETRN -bad.example
    ETRN two words
    ETRN xn--4ca.example.org
    !raw "ETRN \\xc3\\xa4.example.org\\r\\n"
    !read
    MAIL FROM:<>
    ETRN example.org
    RSET
    ETRN example.org
    QUIT
""")
settle()
smtp("HELO other.example.net\nETRN example.org\nETRN ok.example\nQUIT", src="192.0.2.13")
smtp("ETRN example.org\nQUIT")
settle()
lists()
# By age: looked through after refresh time, gone after purge time when empty.
sh("cd /var/spool/postfix/flush; find . -type f -exec touch -d '3 hours ago' {} + ; : > empty_example_org; touch -d '8 days ago' empty_example_org; : > young_example_org; "
   "touch -d '3 days ago' young_example_org; echo NOSUCHID > gone_example_org; touch -d '3 hours ago' gone_example_org; chown postfix:postfix *; chmod 600 *")
quiet("postkick public flush W; sleep 1")
settle()
lists()
for command in ("postqueue -s example.org", "postqueue -s example.net", "postqueue -s EXTRA.example", "postqueue -s bad..example", "postqueue -s '[192.0.2.22]'", "postqueue -s 192.0.2.22", "postqueue -s example.org.", "postqueue -s ''", "postqueue -s",
                "postqueue -i NOSUCH", "postqueue -i ''", "postqueue -i DEADBEEF", "postqueue -s example.org -i X", "postqueue -f extra", "sendmail -qRexample.org", "sendmail -qR example.org", "sendmail -qRnosuch.example",
                "sendmail -qIDEADBEEF", "sendmail -qI../../x", "sendmail -qS x", "sendmail -qX", "sendmail -qm", "sendmail -q-1", "sendmail -q1x", "sendmail -q '!Rx'", "sendmail -q bob", "sendmail -qRexample.org bob"):
    sh(command)
sh("postqueue -s example.org", user="alice")
settle()
sh("for q in $(mailq | sed -n 's/^\\([0-9A-F]*\\) .*/\\1/p' | head -n 1); do postqueue -i $q; sendmail -qI$q; done")
settle()
main("authorized_flush_users = root, bob")
quiet("postfix reload; sleep 0.7")
sh("postqueue -s example.org", user="alice")
sh("postqueue -s example.org", user="bob")
sh("sendmail -q", user="alice")
sh("postqueue -i DEADBEEF", user="alice")
settle()
# No site at all, and every site.
for value in ("", "static:all", "example.org"):
    main(f"fast_flush_domains = {value}")
    quiet("postfix reload; sleep 0.7")
    smtp("EHLO client.example.org\nETRN example.org\nETRN other.example\nQUIT")
    sh("postqueue -s other.example")
    settle()
nolog()
