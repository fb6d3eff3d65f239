"""The keys that warnings of access tables name (S-UBE)"""
A = "inline:{{owner@example.org=%(a)s},{Owner@example.org=%(a)s},{example.net=%(a)s},{.net=%(a)s},{net=%(a)s},{bob@=%(a)s},{client.example=%(a)s},{mx.example.net=%(a)s},{192.0.2.21=%(a)s},{ns.example.org=%(a)s}}"
main("""    smtpd_sender_restrictions = check_helo_access """ + A % {"a": "REDIRECT"} + """, check_sender_access """ + A % {"a": "REDIRECT nobody"} + """, check_recipient_access """ + A % {"a": "FILTER x"} + """,
      check_sender_mx_access """ + A % {"a": "PREPEND x"} + ", check_helo_ns_access " + A % {"a": "BCC"} + """
""")
start()
smtp("EHLO CLIENT.Example\nMAIL FROM:<OWNER@EXAMPLE.Org>\nRCPT TO:<BOB@Example.COM>\nRSET\nMAIL FROM:<Bob@EXAMPLE.Net>\nRCPT TO:<Alice@EXAMPLE.com>\nQUIT")
smtp("EHLO X.Example.ORG\nMAIL FROM:<É@EXAMPLE.Net> SMTPUTF8\nRCPT TO:<Alice@EXAMPLE.com>\nQUIT")
log("warning")
