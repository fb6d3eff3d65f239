"""BODY= at submission and the declared encoding: BODY= at delivery, conversion for a server that takes 7bit only, and the same for reports (S-EXT-03)"""
sink("eight", "192.0.2.20:25")
sink("seven", "192.0.2.21:25", hostname="mx.example.net", ehlo=["PIPELINING", "DSN"])
main("""
    mynetworks = 192.0.2.0/24
    smtp_connection_cache_on_demand = no
""")
start()
declared = ["", "8bit", "8bit (c)", "base64", "binary", "quoted-printable"]
both = ["a@example.org", "b@example.net"]
for option in ("", "-B8BITMIME ", "-B7BIT "):
    for encoding in declared:
        for to in both:
            header = f"Content-Transfer-Encoding: {encoding}\n" if encoding else ""
            sendmail(f"{option}-f s@example.org {to}", f"X-Case: sendmail {option}/ {encoding}\n{header}\n\u00e9=\n")
            settle()
for option in ("", " BODY=8BITMIME", " BODY=7BIT"):
    for encoding in declared:
        for to in both:
            header = f"Content-Transfer-Encoding: {encoding}\n" if encoding else ""
            mail(f"s@example.org", to, f"X-Case: SMTP{option} / {encoding}\n{header}\n\u00e9=\n", options=option.strip())
            settle()
for settings in ("detect_8bit_encoding_header = no", "smtputf8_enable = no"):
    main(settings)
    reload()
    for option in ("", "-B8BITMIME ", "-B7BIT "):
        for domain in ("example.org", "example.net"):
            sendmail(f"{option}-f s@{domain} nobody@example.com", f"X-Case: {option}\n\n\u00e9=\n")
            settle()
sinks()
nolog()
