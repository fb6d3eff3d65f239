"""checks of header and body in the client: every action, MIME and nested headers, for smtp and lmtp; results of delivery rewritten by tables"""
# S-CLIENT-01
lmtp_sink("lmtp", "192.0.2.20:24")
sink("smtp", "192.0.2.20:25")
sink("say", "192.0.2.21:25", {"RCPT TO:<gone@": "550 5.1.1 no such user", "RCPT TO:<busy@": "450 4.2.1 busy", "RCPT TO:<odd@": "550 5.7.1 spam"})
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = inline:{ {smtp.example=smtp:[192.0.2.20]} {lmtp.example=lmtp:inet:192.0.2.20} {say.example=filtered:[192.0.2.21]} {dflt.example=dflt:[192.0.2.21]} {lsay.example=lfiltered:inet:192.0.2.20:24} }
    smtp_header_checks = pcre:/etc/postfix/header
    smtp_mime_header_checks = pcre:/etc/postfix/mime
    smtp_nested_header_checks = pcre:/etc/postfix/nested
    smtp_body_checks = pcre:/etc/postfix/body
    lmtp_header_checks = pcre:/etc/postfix/header
    lmtp_body_checks = pcre:/etc/postfix/body
    smtp_connection_cache_on_demand = no
""")
master("""
    filtered unix - - n - - smtp
      -o smtp_delivery_status_filter=pcre:/etc/postfix/status
      -o syslog_name=postfix/filtered
    dflt unix - - n - - smtp
      -o syslog_name=postfix/dflt
    lfiltered unix - - n - - lmtp
      -o lmtp_delivery_status_filter=pcre:/etc/postfix/status
      -o lmtp_header_checks=
      -o syslog_name=postfix/lfiltered
""")
main("default_delivery_status_filter = pcre:/etc/postfix/default_status")
file("/etc/postfix/default_status", "/^4.2.1 (.*)/ 5.9.9 now: $1")
file("/etc/postfix/status", r"""
/^5\.1\.1 (.*)$/ 4.1.1 $1 (perhaps tomorrow)
/^4\.2\.1 (.*)$/ 5.2.1 $1
/^2\.0\.0 / 2.1.9 fine
/^5\.7\.1 / bad result
""")
file("/etc/postfix/header", r"""
/^X-Ignore:/ IGNORE
/^X-Strip:/ STRIP with a reason
/^X-Replace: (.*)/ REPLACE X-Replaced: $1
/^X-Prepend:/ PREPEND X-Before: yes
/^X-Info:/ INFO seen
/^X-Warn:/ WARN beware
/^X-Dunno:/ DUNNO
/^X-Reject:/ REJECT no
/^X-Hold:/ HOLD
/^X-Discard:/ DISCARD
/^X-Filter:/ FILTER smtp:x
/^X-Redirect:/ REDIRECT a@b
/^X-Bcc:/ BCC a@b
/^X-Odd:/ NONSENSE text
/^Subject: (.*)/ REPLACE Subject: [checked] $1
""")
file("/etc/postfix/mime", r"/^Content-Type: text\/html/ REPLACE Content-Type: text/plain")
file("/etc/postfix/nested", r"/^Subject: (.*)/ REPLACE Subject: [nested] $1")
file("/etc/postfix/body", r"""
/^ignore/ IGNORE
/^replace (.*)/ REPLACE replaced $1
/^prepend/ PREPEND before
/^warn/ WARN look
/^info/ INFO look
/^reject/ REJECT no
/^strip/ STRIP
/^>/ DUNNO
/quoted/ REPLACE never
""")
MESSAGE = """From: a@example.com
X-Ignore: 1
X-Strip: 2
X-Replace: 3
X-Prepend: 4
X-Info: 5
X-Warn: 6
X-Dunno: 7
X-Reject: 8
X-Hold: 9
X-Discard: 10
X-Filter: 11
X-Redirect: 12
X-Bcc: 13
X-Odd: 14
Subject: first
 folded
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

ignore this preamble
--b
Content-Type: text/html

replace one
prepend two
warn three
info four
reject five
strip six
> quoted
--b
Content-Type: message/rfc822

Subject: inner
X-Ignore: stays

replace inner
--b--
"""
start()
mail("", "a@smtp.example", MESSAGE)
settle()
mail("", "a@lmtp.example", MESSAGE)
settle()
for domain in ("say.example", "dflt.example", "lsay.example"):
    mail("", f"gone@{domain} busy@{domain} good@{domain} odd@{domain}", "Subject: x\n\n")
    settle()
sinks("smtp", "lmtp")
mailq()
