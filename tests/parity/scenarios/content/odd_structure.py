"""MIME structure that is not quite right: encodings that nobody knows, encoded multiparts, 8-bit text where none may be, too deep nesting"""
main("""\
    mynetworks = 192.0.2.10
    smtp_tls_security_level =
    smtp_connection_cache_on_demand = no
    strict_mime_encoding_domain = yes
    mime_nesting_limit = 1
""")
sink("seven", "192.0.2.21:25", hostname="mx.example.net", ehlo=["PIPELINING", "DSN"])
start()


def give(rows):
    data = "\r\n".join(rows).encode() + b"\r\n.\r\n"
    smtp("\n".join(["EHLO x.example", "MAIL FROM:<s@example.org> BODY=8BITMIME", "RCPT TO:<b@example.net>", "DATA", "!raw " + repr(data)[1:], "!read", "QUIT"]), src="192.0.2.10")
    settle()


E, T = "Content-Transfer-Encoding: ", "Content-Type: "
long = "".join("%04d " % n for n in range(80))
deep = sum([[f"{T}multipart/mixed; boundary=b{k}", "", f"--b{k}"] for k in range(6)], [])
for value in ["(c) quoted-printable; x=y", "base64/x", "\"base64\"", "base64 " + long]:
    give([T + "multipart/mixed; boundary=a", E + value, "", "text"])
for rows in [[E + "base64", E + "7bit"], [E + "base64", E + "x-odd"], [E + "base64", T + "text/plain"]]:
    give([T + "multipart/mixed", *rows, "", "text"])
give([E + "base64", T + "message/rfc822", "", "text"])
give([T + "message/global", E + "base64", "", "text"])
give([T + "multipart/digest; boundary=a", "", "--a", E + "base64", "", "x"])
for n, encodings in enumerate([["8bit", "x-odd"], ["x-odd", "8bit"], ["8bit", "7bit"], ["binary", "x-odd", "7bit"], ["8bit,x"], ["8bit/x"], ["8bit:x"], ["; 8bit"], ["\"8bit\""]]):
    give([f"X-Number: {n}", "MIME-Version: 1.0", T + "text/plain", *(E + one for one in encodings), "X-After: x", "", "é=", "x"])
give(["X-Number: line", "MIME-Version: 1.0", T + "multipart/mixed; boundary=a", "", "--a", T + "multipart/mixed", E + "8bit", "no header =é", "next =é", "--a--"])
give([T + f"multipart/mixed; boundary=c{k}" for k in range(4)] + ["", "x"])
give(["X-Number: deep", *deep])
sh("postconf -e strict_mime_encoding_domain=no")
reload()
sleep(1)
sh("postconf -e strict_8bitmime_body=yes")
reload()
sleep(1)
for encoding in ["8bit", "base64"]:
    give([T + "multipart/mixed; boundary=a", E + encoding, "", "é " + long])
    give([T + "multipart/mixed; boundary=a", E + encoding, "", "x", "--a", E + encoding, "", "é"])
sinks(sort=True)
