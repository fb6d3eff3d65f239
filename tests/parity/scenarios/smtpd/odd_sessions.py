"""What random sessions found: refused clients, HELO after EHLO, early input, BDAT errors, sizes, NOTIFY, XCLIENT values, MAILER-DAEMON; S-SMTPD-08, S-EXT-13"""
main("""
    smtpd_authorized_xclient_hosts = 192.0.2.13
    smtpd_authorized_xforward_hosts = 192.0.2.13
    smtpd_reject_unlisted_recipient = no
    defer_transports = local
""")
master("""
    2525 inet n - n - - smtpd
      -o smtpd_delay_reject=no
      -o smtpd_client_restrictions=check_client_access,inline:{192.0.2.11=REJECT}
      -o smtpd_helo_restrictions=reject_non_fqdn_helo_hostname
    2526 inet n - n - - smtpd
      -o smtpd_forbid_unauth_pipelining=no
      -o strict_smtputf8=yes
      -o soft_bounce=yes
      -o { smtpd_command_filter=regexp:{{/^JUNK(.*)$$/ NOOP$$1}} }
      -o { smtpd_recipient_restrictions = warn_if_reject reject_unknown_client_hostname, permit, reject_unauth_destination }
""")
start()
# refused at connect: what follows BDAT is read as commands, and the place in the log stays CONNECT
smtp(r"""
    EHLO x.example
    MAIL FROM:<s@example.org>
    !raw "BDAT 12 LAST\r\nNOOP\r\nx\r\ny\r\n"
    !read 4
    XYZ
""", src="192.0.2.11", port=2525)
# a refused HELO shows the name as given, and leaves the transaction
smtp("""
    HELO <a b>
    EHLO x.example
    MAIL FROM:<s@example.org>
    HELO é;
    RCPT TO:<alice@example.com>
    HELO y.example
    RCPT TO:<alice@example.com>
    QUIT
""", port=2525)
smtp("""
    EHLO x.example
    HELO x.example
    & MAIL FROM:<s@example.org>
    & RCPT TO:<alice(c)@example.com>
    & RCPT TO:<@there:alice@example.com>
    RCPT TO:alice@example.com NOTIFY=,SUCCESS,,DELAY,
    RCPT TO:<alice@example.com> NOTIFY=,
    DATA
    Message-Id: <x@y>
    	folded

    .
    QUIT
""")
smtp(r"""
    & EHLO x.example
    NOOP
    & NOOP
    RSET
    JUNK x
    MAIL FROM:<s@example.org>
    RCPT TO:<é@example.com>
    RCPT TO:<alice@example.com>
    !raw "Subject: \xc3\xa9 \t x\r\n"
    !read
""", src="192.0.2.11", port=2526)
smtp(r"""
    EHLO x.example
    BDAT 0
    RSET
    MAIL FROM:<s@example.org> SIZE=9223372036854775808
    MAIL FROM:<MAILER-DAEMON> ENVID=eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
    RCPT TO:<alice@example.com>
    !raw "BDAT 10\r\na: b\r\r\n\r\nx"
    !read
    BDAT 0
    BDAT 0 LAST
    RSET
    MAIL FROM:<mailer-daemon@example.com>
    RCPT TO:<alice@example.com>
    !raw "BDAT 13 LAST\r\na: b\r\r\n\r\nx\r\n\n"
    !read
    VRFY <alice
    VRFY a	b
    ETRN é.example
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    !raw "DATA\r\n"
    !read
    !raw "a: b\r\r\n\r\r\nc\r\r\r\n.\r\n"
    !read
    QUIT
""", src="192.0.2.12")
smtp("""
    EHLO x.example
    XCLIENT NAME=a+20<b>
    XCLIENT NAME=é
    XCLIENT ADDR=a+20b
    XCLIENT PORT=99999
    XCLIENT PROTO=[UNAVAILABLE]
    XFORWARD NAME=a+20b
    XFORWARD SOURCE=a+20b
    XFORWARD NAME=+5BUNAVAILABLE+5D
    XFORWARD NAME=only.example
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    RSET
    XCLIENT NAME=other.example
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    QUIT
""", src="192.0.2.13")
settle()
sh("cd /var/spool/postfix; for f in $(find deferred -type f); do postcat $f; done | grep -v 'message_size\\|message_id=\\|port='", sort=True)
