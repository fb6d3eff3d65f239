"""smtpd_proxy_filter: content as the filter gets it (dots, bare newlines, long lines, BDAT), limits, access actions, RSET, destinations; S-FILTER-13"""
sink("tcp", "127.0.0.1:10025", ehlo=["XFORWARD NAME ADDR HELO", "SIZE"], hostname="proxy")
sink("unix", "unix:/var/spool/postfix/filter", ehlo=[], hostname="proxy")
sink("unused", "127.0.0.1:10027", ehlo=[], hostname="proxy")
sink("host", "127.0.0.1:10026", ehlo=["XFORWARD NAME ADDR PROTO HELO PORT SOURCE IDENT"], hostname="proxy")
main("""
    notify_classes =
    smtpd_error_sleep_time = 0
    smtpd_forbid_bare_newline = normalize
    smtpd_forbid_bare_newline_exclusions =
    message_size_limit = 5000
    line_length_limit = 600
    smtpd_authorized_xforward_hosts = 192.0.2.0/24
""")
file("/etc/postfix/rcpt", "alice@example.com PREPEND X-Pre: yes\nbob@example.com HOLD\ncarol@example.com REDIRECT x@example.org\ndave@example.com FILTER a:b\nroot@example.com DISCARD\n")
master("""
    2525 inet n - n - - smtpd -o smtpd_proxy_filter=127.0.0.1:10025 -o smtpd_recipient_restrictions=check_recipient_access,texthash:/etc/postfix/rcpt
    2526 inet n - n - - smtpd -o smtpd_proxy_filter=unix:filter -o smtpd_proxy_options=speed_adjust
    2527 inet n - n - - smtpd -o smtpd_proxy_filter=localhost:10026 -o smtpd_delay_open_until_valid_rcpt=no -o content_filter=x:y
    2528 inet n - n - - smtpd -o smtpd_proxy_filter=10026 -o smtpd_data_restrictions=reject
    2529 inet n - n - - smtpd -o smtpd_proxy_filter=:10027 -o smtpd_end_of_data_restrictions=reject
""")
start()
for port in (2525, 2526):
    smtp("""
        EHLO client.example.org
        MAIL FROM:<s@example.org> BODY=8BITMIME RET=FULL ENVID=abc
        RCPT TO:<alice@example.com> NOTIFY=NEVER ORCPT=rfc822;o@example.com
        RCPT  to: bob@example.com
        RCPT TO:<carol@example.com>
        RCPT TO:<dave@example.com>
        RCPT TO:<root@example.com>
        RCPT TO:<nosuch@example.com>
        DATA
        !raw " leading blank\\r\\n..stuffed\\r\\n...two\\r\\nbare\\n.\\nnewline\\n.\\r\\nx\\r\\n.\\nMAIL FROM:<evil@example.org>\\ry\\r\\r\\nnul\\x00 \\xe9\\r\\n.\\r\\n"
        !read
        MAIL FROM:<>
        RCPT TO:<@a.example,@b.example:alice@example.com>
        !raw "BDAT 8\\r\\nA: 1\\r\\n\\r\\n"
        !read
        !raw "BDAT 11\\r\\n.\\r\\nMAIL\\r\\n.\\r"
        !read
        !raw "BDAT 3 LAST\\r\\n\\nxy"
        !read
        MAIL FROM:<s@example.org>
        RCPT TO:<alice@example.com>
        DATA
        LONGLINE
        .
        MAIL FROM:<s@example.org> SIZE=6000
        QUIT
    """.replace("LONGLINE", "long" * 500), port=port)
smtp("""
    EHLO client.example.org
    XFORWARD NAME=upstream.example ADDR=198.51.100.9 HELO=up PROTO=SMTP IDENT=ABC SOURCE=LOCAL PORT=99
    MAIL FROM:<s@example.org>
    RSET
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    DATA
    x: y

    .
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    EHLO again.example.org
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
""", port=2527)
for port in (2528, 2529):
    smtp("HELO h\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\nx: y\n\n.\nQUIT", port=port)
sleep(1)
sinks("tcp", "unix", "host")
