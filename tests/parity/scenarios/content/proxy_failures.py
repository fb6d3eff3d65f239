"""smtpd_proxy_filter: each way in which a filter can fail, at each step, with and without speed_adjust; S-FILTER-13"""
main("smtpd_proxy_timeout = 3s\nnotify_classes =\nsmtpd_error_sleep_time = 0")
XFORWARD = ["XFORWARD NAME ADDR PROTO HELO PORT SOURCE IDENT"]
cases = {
    "banner_refuse": {"BANNER": "554 5.3.2 not now"},
    "banner_421": {"BANNER": "421 busy"},
    "banner_drop": {"BANNER": "drop"},
    "banner_junk": {"BANNER": "hello there"},
    "ehlo_refuse": {"EHLO": "502 5.5.1 what?"},
    "ehlo_drop": {"EHLO": "drop"},
    "xforward_refuse": {"XFORWARD": "501 5.5.4 no"},
    "xforward_drop": {"XFORWARD": "drop"},
    "mail_refuse": {"MAIL": "550 5.1.0 not from you"},
    "mail_tempfail": {"MAIL": "450 4.1.0 not from you now"},
    "mail_drop": {"MAIL": "drop"},
    "rcpt_421": {"RCPT": "421 4.3.0 closing"},
    "rcpt_drop": {"RCPT": "drop"},
    "rcpt_lines": {"RCPT": "550-5.1.1 first line\n550 5.1.1 second line"},
    "rcpt_354": {"RCPT": "354 odd"},
    "data_refuse": {"DATA": "554 5.5.1 no data"},
    "data_250": {"DATA": "250 2.0.0 odd"},
    "data_drop": {"DATA": "drop"},
    "end_drop": {".": "drop"},
    "end_slow": {".": "delay 9 250 2.0.0 late"},
    "end_junk": {".": "thank you"},
    "end_lines": {".": "554-5.7.0 one\n554-5.7.0 two\n554 5.7.0 three"},
    "end_ok_lines": {".": "250-2.0.0 one\n250 2.0.0 two"},
    "end_354": {".": "354 more"},
    "end_421": {".": "421 4.3.2 going down"},
    "end_nodsn": {".": "550 no enhanced code"},
    "end_long": {".": "250 2.0.0 " + "x" * 700},
}
for n, (name, replies) in enumerate(cases.items()):
    port = 11000 + n
    sink(name, "127.0.0.1:%d" % port, replies, ehlo=XFORWARD, hostname="proxy")
    for base, option in ((3000, ""), (4000, "speed_adjust")):
        master("""
            %d inet n - n - - smtpd
              -o smtpd_proxy_filter=127.0.0.1:%d
              -o smtpd_proxy_options=%s
              -o syslog_name=postfix/%s%s
        """ % (base + n, port, option, name, "-adjust" if option else ""))
start()
for n in range(len(cases)):
    for base in (3000, 4000):
        smtp("""
            EHLO client.example.org
            MAIL FROM:<s@example.org>
            RCPT TO:<alice@example.com>
            RCPT TO:<bob@example.com>
            DATA
            Subject: x

            body
            .
            MAIL FROM:<t@example.org>
            RSET
            QUIT
        """, port=base + n)
sinks()
