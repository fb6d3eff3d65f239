"""real policy servers: policyd-spf in Python and in Perl, run by spawn(8), and postgrey on a TCP and on a Unix socket (S-FILTER-15, S-FILTER-16, S-FILTER-18, S-UBE-45, S-INT-26)"""
peer("policy")
user("policyd-spf", 901)
user("postgrey", 902)
file("/etc/postfix-policyd-spf-python/policyd-spf.conf", """
    debugLevel = 0
    TestOnly = 0
    HELO_reject = Fail
    Mail_From_reject = Fail
    PermError_reject = True
    TempError_Defer = True
    skip_addresses = 127.0.0.0/8
    Whitelist = 198.51.100.0/24
""")
dns("""
    pass.example TXT "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"
    fail.example TXT "v=spf1 -all"
    soft.example TXT "v=spf1 ~all"
    bad.example TXT "v=spf1 nonsense:x -all"
    later.example TXT SERVFAIL
    helo.example TXT "v=spf1 -all"
""")
for domain in ("pass", "fail", "soft", "bad", "later"):
    dns(f"{domain}.example MX 10 mail.example.com")
main("""
    smtpd_error_sleep_time = 0
    smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/spf-python
    spf-python_time_limit = 3600
    spf-perl_time_limit = 3600
    mynetworks = 127.0.0.0/8
    default_process_limit = 10
""")
master("""
    spf-python unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf /etc/postfix-policyd-spf-python/policyd-spf.conf
    spf-perl unix - n n - 0 spawn user=policyd-spf argv=/usr/sbin/postfix-policyd-spf-perl
    2525 inet n - n - - smtpd -o smtpd_recipient_restrictions=reject_unauth_destination,check_policy_service,unix:private/spf-perl
    2526 inet n - n - - smtpd -o smtpd_recipient_restrictions=reject_unauth_destination,check_policy_service,inet:127.0.0.1:10023
    2527 inet n - n - - smtpd -o smtpd_recipient_restrictions=reject_unauth_destination,check_policy_service,unix:/var/spool/postfix/postgrey
""")
file("/etc/postgrey/clients", "other.example.net\n")
file("/etc/postgrey/recipients", "carol@\n")
quiet("mkdir -p /var/lib/postgrey /run/postgrey; chown postgrey /var/lib/postgrey /run/postgrey")
start()
common = "--delay=2 --user=postgrey --group=postgrey --pidfile=/run/postgrey/pid-%s --dbdir=/var/lib/postgrey/%s --whitelist-clients=/etc/postgrey/clients --whitelist-recipients=/etc/postgrey/recipients --hostname=mail.example.com --auto-whitelist-clients=0 --greylist-text='Greylisted for %%s seconds'"
quiet("mkdir -p /var/lib/postgrey/i /var/lib/postgrey/u; chown postgrey /var/lib/postgrey/?")
daemon("postgrey-inet", "postgrey --inet=127.0.0.1:10023 " + common % ("i", "i"), "127.0.0.1:10023")
daemon("postgrey-unix", "postgrey --unix=/var/spool/postfix/postgrey " + common % ("u", "u"), "/var/spool/postfix/postgrey")

for port in (25, 2525):
    smtp("""
        EHLO client.example.org
        MAIL FROM:<s@pass.example>
        RCPT TO:<alice@example.com>
        RCPT TO:<bob@example.com>
        DATA
        Subject: pass

        .
        MAIL FROM:<s@fail.example>
        RCPT TO:<alice@example.com>
        RSET
        MAIL FROM:<s@soft.example>
        RCPT TO:<alice@example.com>
        RSET
        MAIL FROM:<s@bad.example>
        RCPT TO:<alice@example.com>
        RSET
        MAIL FROM:<s@later.example>
        RCPT TO:<alice@example.com>
        RSET
        MAIL FROM:<s@none.example>
        RCPT TO:<alice@example.com>
        RSET
        MAIL FROM:<>
        RCPT TO:<alice@example.com>
        QUIT
    """, port=port)
    smtp("EHLO helo.example\nMAIL FROM:<>\nRCPT TO:<alice@example.com>\nQUIT", port=port)
    smtp("EHLO six.example.org\nMAIL FROM:<s@pass.example>\nRCPT TO:<alice@example.com>\nRSET\nMAIL FROM:<s@fail.example>\nRCPT TO:<alice@example.com>\nQUIT", src="2001:db8::10", dst="2001:db8::1", port=port)
for port in (2526, 2527):
    first = "EHLO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nRCPT TO:<carol@example.com>\nRCPT TO:<bob@example.com>\nQUIT"
    smtp(first, port=port)
    smtp("EHLO other.example.net\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT", src="192.0.2.13", port=port)
sleep(3)
for port in (2526, 2527):
    smtp(f"EHLO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nRCPT TO:<bob@example.com>\nDATA\nSubject: greylisted {port}\n\n.\nQUIT", port=port)
settle()
# postgrey's header has a date and a number of seconds.
sh("sed -i 's/delayed [0-9]* seconds\(.*; \).*/delayed N seconds\1DATE/' /var/mail/*")
mbox("alice", sort=True)
# postgrey is ended: its clients notice, and are answered for the time being.
end("postgrey-inet")
smtp("EHLO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT", port=2526)
log(include="postfix/smtpd: .*reject:|postfix/.*warning")
