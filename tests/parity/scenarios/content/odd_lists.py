"""Address lists in headers: groups, routes and comments over several lines; -t with Resent- headers; carriage returns given to sendmail; too many hops"""
main("""\
    smtp_tls_security_level =
    cleanup_replace_stray_cr_lf = no
    hopcount_limit = 4
""")
start()
rows = [
    "@r:a@a.example, g: b@b.example;, h: c@c.example;", "@r:a@a.example, @r2:b@b.example, g: c@c.example;", "g: b@b.example;, @r:a@a.example", "@r:a, ;",
    "g: a;;, @r:b@c.example", "f: @r:a@a.example, g: b@b.example;;", "a:b, c:d, e:f;", "a:b;, c:d, e:f;", "N <a@x.example>: b@c.example, g: d@d.example;",
    "bob (a\n\tb), carol", "bob (a\n  b), carol", "bob (a\tb), carol", "bob,\n\t(unclosed carol,\n\tdave", "bob, \"quoted\n\tstring\" <alice>, carol",
    "bob, (unclosed carol,\n\tdave" + "x" * 30 + ",\n\t" + "y" * 40, "(a\n\tb)\n\t(c\n d) bob", "bob, \"unclosed\n\tcarol",
]
for before in ["", "bob, "]:
    sendmail("-f s@example.org alice@example.com", "\n".join("Cc: " + before + row for row in rows) + "\n\ntext\n", user="alice")
    settle()
for header in ["Resent-Message-Id: <a@b>", "Resent-From: alice", "Resent-To: dave", "Resent-To:", "Resent-Bcc: dave"]:
    sendmail("-t", "X-Case: 1\n" + header + "\nBcc: carol\n\ntext\n", user="alice")
    settle()
for text in [b"A: b\nC: d\r\n\nx\r\ny\r\r\nz\r\r\r\nw\nin\rside\nend\r", b"A: b\r\r\n\r\n\r\nx\n"]:
    sendmail("-f s@example.org alice@example.com", text, user="bob")
    settle()
sendmail("-f alice@example.com bob@example.com", "Received: a\nReceived: b\nReceived: c\nReceived: d\n\ntext\n", user="alice")
settle()
mbox("alice")
