"""limits of cleanup that are not the client's: body_checks_size_limit, and mime_nesting_limit where nothing is converted"""
sink("eight", "192.0.2.20:25")
sink("seven", "192.0.2.21:25", hostname="mx.example.net", ehlo=["PIPELINING", "DSN"])
file("/etc/postfix/checks", "/strip/ STRIP\n")
main("""
    smtp_connection_cache_on_demand = no
    smtp_header_checks = regexp:/etc/postfix/checks
    smtp_body_checks = regexp:/etc/postfix/checks
    body_checks_size_limit = 40
    mime_nesting_limit = 1
    mime_boundary_length_limit = 5
""")
start()
for number, body in enumerate(("a" * 60, "z" * 1000, "z" * 20 + "\nstrip0\n" + "z" * 1000, "z" * 5000, "\n" * 10 + "z" * 10)):
    sendmail(f"-f body{number}@example.org a@example.org", f"X-Number: {number}\n\n{body}\nstrip1\nstrip2\n")
    settle()
multipart = "Content-Type: multipart/mixed; boundary={0}\n\n--{0}\n".format
for levels in (1, 2, 3, 4):
    nested = "".join(multipart(f"b{n}") for n in range(levels))
    same = "".join(multipart(f"bbbbbbb{n}") for n in range(levels))
    for to in ("a@example.org", "a@example.net"):
        for name, text in (("plain", nested), ("same", same), ("attached", multipart("a") + "Content-Type: message/rfc822\n\n" + nested), ("global", multipart("a") + "Content-Type: message/global\n\n" + nested)):
            sendmail(f"-f '' {to}", f"X-Case: {levels} {name}\n{text}Y: y\n\nx\n")
            settle()
sinks()
log(include="smtp: ")
