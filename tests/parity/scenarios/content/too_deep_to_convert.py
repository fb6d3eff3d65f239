"""A message too deep to be converted for a server that takes no 8-bit mail: returned"""
main("""\
    mynetworks = 192.0.2.10
    smtp_tls_security_level =
    mime_nesting_limit = 1
""")
sink("seven", "192.0.2.21:25", hostname="mx.example.net", ehlo=["PIPELINING", "DSN"])
start()
deep = "\n".join(f"Content-Type: multipart/mixed; boundary=b{k}\n\n--b{k}" for k in range(6))
mail("alice@example.com", "b@example.net", f"Subject: deep\n{deep}\nContent-Transfer-Encoding: 8bit\n\né\n", options=" BODY=8BITMIME")
settle()
mail("alice@example.com", "b@example.net", f"Subject: 7bit, so that it need not be converted\n{deep}\n\nx\n")
settle()
mbox("alice")
